"""Margin requirements of legs, free margin of accounts, and allocations of working orders.

Free is cash and collateral as the broker reports it, which has taken off what is used. An allocation counts until a
report of the broker that began after the order was known there, so that nothing is spent twice in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from mytrading.core.accounting.margin_tables import BufferRule, RiskTables, TradeType, trade_type
from mytrading.core.orders.state_machine import FREED
from mytrading.messages.enums import OrderState, Product
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.orders import Order
from mytrading.messages.reports import Funds

UNACCEPTED = frozenset({OrderState.INITIALIZED, OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.PARKED})
"""The broker may not know of the order, so its funds do not show it."""


class MarginLeg(NamedTuple):
    """So many units (signed, above 0 bought) of an instrument at a price in rupees.

    `spot` is the price of its underlying, rupees; 0 where that is not known.
    """

    instrument: Instrument
    units: int
    price: float
    product: Product = Product.MIS
    spot: float = 0.0

    @property
    def lots(self) -> float:
        """Lots (may be fractional), positive for bought and sold alike."""
        return abs(self.units) / max(self.instrument.lot_size, 1)


class Requirement(NamedTuple):
    """Rupees. `initial` is needed with hedges held and pairs charged once, `gross` with every leg by itself."""

    initial: float
    gross: float


def is_margined(instrument: Instrument, units: int) -> bool:
    """True if a position of signed `units` is charged margin, not its premium or price: futures and sold options."""
    return instrument.kind is InstrumentKind.FUT or (instrument.kind.is_option and units < 0)


def margin_requirement(legs: Iterable[MarginLeg], tables: RiskTables, day: date) -> Requirement:
    """Return the rupees that legs need together, all of them held.

    Calls and puts sold on one underlying are charged as pairs. Where bought options hedge sold ones, that is the most
    that both can lose at their expiry and the exposure margin, if that is less. A bought leg costs its premium.
    """
    open_legs = [leg for leg in legs if leg.units]
    gross = sum(leg_requirement(leg, tables, day) for leg in open_legs)
    sold = [leg for leg in open_legs if leg.units < 0 and leg.instrument.kind.is_option]
    if not sold:
        return Requirement(gross, gross)
    others = sum(leg_requirement(leg, tables, day) for leg in open_legs if leg not in sold)
    names = sorted({leg.instrument.underlying for leg in sold})
    options = sum(
        _options_sold([leg for leg in open_legs if leg.instrument.underlying == name], tables, day) for name in names
    )
    return Requirement(min(others + options, gross), gross)


def _options_sold(legs: Sequence[MarginLeg], tables: RiskTables, day: date) -> float:
    """Sold options of one underlying: in pairs, or bounded by the bought ones among the legs, whichever is less."""
    groups, bare = split_hedged(legs)
    paired = _sold([leg for leg in legs if leg.units < 0 and leg.instrument.kind.is_option], tables, day)
    bounded = sum(group.most_loss + group.sold_value * exposure_share(group, tables, day) for group in groups)
    return min(paired, bounded + _sold(bare, tables, day))


class HedgedOptions(NamedTuple):
    """Options of one underlying, expiry and product, as many bought as sold of each right at least. Rupees.

    `most_loss` is the most that they can be worth against their holder at the expiry, `sold_value` the value of what
    the sold units are written on: at the price of the underlying, where that is not known at the highest strike.
    """

    underlying: str
    expiry: str
    most_loss: float
    sold_value: float


def split_hedged(legs: Iterable[MarginLeg]) -> tuple[list[HedgedOptions], list[MarginLeg]]:
    """Split options into groups that are hedged, and the sold legs (or parts of them) that no bought option covers.

    A sold call is covered by a bought call of the same underlying, expiry and product, whatever their strikes, and a
    put by a put. Where fewer units are bought than sold, those sold furthest from the money stay uncovered.
    """
    groups: dict[tuple[str, str, Product], list[MarginLeg]] = {}
    for leg in legs:
        if leg.units and leg.instrument.kind.is_option:
            key = (leg.instrument.underlying, leg.instrument.expiry, leg.product)
            groups.setdefault(key, []).append(leg)
    hedged: list[HedgedOptions] = []
    bare: list[MarginLeg] = []
    for (underlying, expiry, _), group in groups.items():
        covered, rest = _split_covered(group)
        bare += rest
        if sold_units := -sum(leg.units for leg in covered if leg.units < 0):
            # beyond the outermost strikes nothing more is lost: there no more units are sold than bought
            strikes = {leg.instrument.strike for leg in covered}
            most_loss = max(0.0, *(-_value_at_expiry(covered, strike) for strike in strikes))
            spot = max(leg.spot for leg in covered) or max(strikes)
            hedged.append(HedgedOptions(underlying, expiry, most_loss, sold_units * spot))
    return hedged, bare


def _split_covered(group: Sequence[MarginLeg]) -> tuple[list[MarginLeg], list[MarginLeg]]:
    """The bought legs of a group with what they cover of the sold ones, nearest the money first, and the others."""
    covered, bare = [leg for leg in group if leg.units > 0], []
    for right in (InstrumentKind.CE, InstrumentKind.PE):
        room = sum(leg.units for leg in group if leg.units > 0 and leg.instrument.kind is right)
        sold = [leg for leg in group if leg.units < 0 and leg.instrument.kind is right]
        for leg in sorted(sold, key=lambda one: one.instrument.strike, reverse=right is InstrumentKind.PE):
            units = min(-leg.units, room)
            room -= units
            covered += [leg._replace(units=-units)] if units else []
            bare += [leg._replace(units=leg.units + units)] if leg.units + units else []
    return covered, bare


def hedge_benefit(
    legs: Sequence[MarginLeg], cost: Callable[[MarginLeg], float], exposure: Callable[[HedgedOptions], float]
) -> float:
    """Return the rupees by which bought options lessen the margin of sold ones; never below 0.

    Without hedges each sold leg is charged `cost(leg)`. Hedged ones are charged together instead: their greatest loss
    at expiry, and the fraction `exposure(group)` of their sold value.
    """
    groups, bare = split_hedged(legs)
    if not groups:
        return 0.0
    alone = sum(cost(leg) for leg in legs if leg.units < 0 and leg.instrument.kind.is_option)
    together = sum(group.most_loss + group.sold_value * exposure(group) for group in groups)
    return max(alone - sum(cost(leg) for leg in bare) - together, 0.0)


def _value_at_expiry(legs: Sequence[MarginLeg], price: float) -> float:
    """Rupees that options are worth at their expiry at a price of the underlying."""
    sign = {InstrumentKind.CE: 1, InstrumentKind.PE: -1}
    return sum(leg.units * max(sign[leg.instrument.kind] * (price - leg.instrument.strike), 0.0) for leg in legs)


def exposure_share(group: HedgedOptions, tables: RiskTables, day: date) -> float:
    """Return the exposure margin of hedged options as a share of the value that is sold."""
    figures = tables.figures_of(group.underlying, day)
    return tables.shares.exposure if figures is None else figures.exposure.rupees(group.expiry == day.isoformat())


def added_margin(
    new: Sequence[MarginLeg], held: Sequence[MarginLeg], tables: RiskTables, day: date,
    closed: Collection[str] = (),
) -> float:  # fmt: skip
    """Return the margin in rupees that `new` legs need beyond that of the legs `held` already; `closed` are instruments
    among these that make way for them.

    It is never below what bought options cost, which is paid in cash before they release any margin.
    """
    if len(new) == 1 and not held:
        return leg_requirement(new[0], tables, day)
    stay = [leg for leg in held if leg.instrument.id not in closed]
    before = margin_requirement(held, tables, day).initial if held else 0.0
    bought = sum(leg_requirement(leg, tables, day) for leg in new if leg.units > 0 and leg.instrument.kind.is_option)
    return max(margin_requirement([*stay, *new], tables, day).initial - before, bought)


def leg_requirement(leg: MarginLeg, tables: RiskTables, day: date) -> float:
    """Return the rupees a leg alone needs: margin of futures and sold options, else premium or a share of value."""
    if leg.instrument.kind.is_derivative and is_margined(leg.instrument, leg.units):
        kind = trade_type(leg.instrument, leg.units < 0) or TradeType.FUTURE
        return leg.lots * margin_per_lot(kind, leg.instrument, leg.price, tables, day)
    value = abs(leg.units) * leg.price
    if leg.instrument.kind.is_derivative:
        return value
    shares = tables.shares
    return value * (shares.equity_intraday if leg.product is Product.MIS else shares.equity_delivery)


def margin_per_lot(kind: TradeType, instrument: Instrument, price: float, tables: RiskTables, day: date) -> float:
    """Return the margin in rupees per lot: the table's figure for its units, else a share of the contract's value."""
    figures, lot = tables.figures_of(instrument.underlying, day), max(instrument.lot_size, 1)
    if figures is not None:
        rupees = figures.figure(kind).rupees(instrument.expiry == day.isoformat())
        return rupees * lot / figures.lots.get(instrument.underlying, lot)
    if kind is TradeType.FUTURE:
        return price * lot * tables.shares.future
    if kind is TradeType.BOUGHT:
        return price * lot
    value = instrument.strike * lot * tables.shares.sold
    return value * 2 if kind is TradeType.BOTH_SOLD else value


def _sold(legs: Sequence[MarginLeg], tables: RiskTables, day: date) -> float:
    """Sold options of one underlying: as many pairs of a call and a put as there are, the rest by themselves."""
    calls, puts = (
        [leg for leg in legs if leg.instrument.kind is kind] for kind in (InstrumentKind.CE, InstrumentKind.PE)
    )
    pairs = min(sum(leg.lots for leg in calls), sum(leg.lots for leg in puts))
    if not pairs:
        return sum(leg_requirement(leg, tables, day) for leg in legs)
    dearest = max(legs, key=lambda leg: margin_per_lot(TradeType.BOTH_SOLD, leg.instrument, leg.price, tables, day))
    paired = pairs * margin_per_lot(TradeType.BOTH_SOLD, dearest.instrument, dearest.price, tables, day)
    rest = sum(
        (sum(leg.lots for leg in side) - pairs)
        * max(margin_per_lot(TradeType.SOLD, leg.instrument, leg.price, tables, day) for leg in side)
        for side in (calls, puts)
    )
    return paired + rest


class MarginShare(msgspec.Struct):
    """Margin of one entry: rupees for so many units, and its orders by id with quantity, filled units and state.

    `owner` is the strategy and the instrument it is for.
    """

    rupees: float
    units: int
    owner: tuple[str, str] = ("", "")
    orders: dict[str, tuple[int, int, OrderState]] = msgspec.field(default_factory=dict)
    known_ns: int = 0

    @property
    def open_rupees(self) -> float:
        """Rupees still reserved, less the part of units whose orders ended unfilled."""
        gone = sum(quantity - filled for quantity, filled, state in self.orders.values() if state in FREED)
        return self.rupees * max(self.units - gone, 0) / self.units if self.units else 0.0

    @property
    def is_known(self) -> bool:
        """True if the whole entry is ordered and the broker has accepted or ended each order."""
        all_shown = sum(quantity for quantity, _, _ in self.orders.values()) >= self.units
        return all_shown and all(state not in UNACCEPTED for _, _, state in self.orders.values())


class MarginTracker:
    """Funds by account as the broker reported them, and allocations that no report shows yet."""

    def __init__(self) -> None:
        self.funds: dict[str, Funds] = {}
        self._allocated: dict[str, dict[str, MarginShare]] = {}

    def record_funds(self, funds: Funds) -> None:
        """Store the broker's funds report and drop reservations of orders it knew before the report was read."""
        self.funds[funds.account] = funds
        began = funds.began_machine_ns or funds.machine_ns
        mine = self._allocated.get(funds.account, {})
        for name in [name for name, one in mine.items() if one.known_ns and one.known_ns < began]:
            del mine[name]

    def allocate(
        self, account: str, name: str, rupees: float, units: int, strategy: str = "", instrument: str = ""
    ) -> None:
        """Reserve `rupees` for the entry with id `name`, of unsigned `units`; ignored if it is reserved already."""
        if rupees > 0:
            made = MarginShare(rupees, units, (strategy, instrument))
            self._allocated.setdefault(account, {}).setdefault(name, made)

    def release(self, account: str, name: str) -> None:
        """Drop the reservation of the entry with id `name`; nothing happens if there is none."""
        self._allocated.get(account, {}).pop(name, None)

    def drop_closed(self, account: str, strategy: str, instrument: str) -> None:
        """Drop reservations of ended entries of a strategy in an instrument, whose position is flat again."""
        mine = self._allocated.get(account, {})
        over = [
            name
            for name, one in mine.items()
            if one.owner == (strategy, instrument) and one.known_ns and all(o[2] in FREED for o in one.orders.values())
        ]
        for name in over:
            del mine[name]

    def record_order(self, order: Order, machine_ns: int) -> None:
        """Update the reservation of an order's entry: units that ended unfilled no longer reserve rupees.
        `machine_ns` is kept as the time when the broker knew the whole entry."""
        name = order.links.parent or order.client_order_id
        found = self._allocated.get(order.account, {}).get(name)
        if found is None:
            return
        found.orders[order.client_order_id] = (order.quantity, order.filled, order.state)
        if not found.open_rupees:
            self.release(order.account, name)
        elif found.is_known and (not found.known_ns or order.state in FREED):
            found.known_ns = machine_ns

    def allocated(self, account: str) -> float:
        """Return the rupees reserved for entries that no funds report of the account contains yet."""
        mine = self._allocated.get(account)
        return sum(one.open_rupees for one in mine.values()) if mine else 0.0

    def free(self, account: str, collateral_share: float = 1.0) -> float | None:
        """Return the free margin in rupees, less reservations; None before the account's first funds report.
        `collateral_share` is the share of collateral (fraction of 1) that counts as margin."""
        funds = self.funds.get(account)
        if funds is None:
            return None
        return funds.available + funds.collateral * collateral_share - self.allocated(account)


def buffer_after_refusal(buffer: float, rule: BufferRule) -> float:
    """Return the margin buffer (fraction of a requirement), raised after a refusal for lack of margin."""
    return min(max(buffer, rule.least) + rule.step, rule.most)


def buffer_after_quiet_day(buffer: float, rule: BufferRule) -> float:
    """Return the margin buffer (fraction of a requirement), lowered after a day without such a refusal."""
    return max(min(buffer, rule.most) - rule.step, rule.least)
