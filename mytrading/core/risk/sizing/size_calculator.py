"""The sums of the command line, made with the functions that risk sizes with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.accounting.margin_tables import RiskTables, Source, TradeType
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts, lot_size, nearest_expiry, value_on
from mytrading.core.orders.slicing import Sizes
from mytrading.core.risk.sizing.lots import basket_cost, plan_by_margin
from mytrading.messages.instruments import Instrument, InstrumentKind

KINDS: Mapping[TradeType, tuple[tuple[InstrumentKind, int], ...]] = {
    TradeType.SOLD: ((InstrumentKind.CE, -1),),
    TradeType.BOTH_SOLD: ((InstrumentKind.CE, -1), (InstrumentKind.PE, -1)),
    TradeType.FUTURE: ((InstrumentKind.FUT, 1),),
    TradeType.BOUGHT: ((InstrumentKind.CE, 1),),
}
"""The legs of a lot of each trade type, with their sign."""


class Lot(NamedTuple):
    """Units of a lot and of the largest order (0: no limit known), and the source."""

    size: int
    freeze: int
    source: str

    @property
    def sizes(self) -> Sizes:
        """Lot and freeze quantity as the slicing functions take them."""
        return Sizes(self.size, self.freeze)

    @property
    def max_lots(self) -> int:
        """Lots of the largest order; 0 where no limit is known."""
        return self.sizes.most_lots


class UnknownLot(ValueError):
    """No source knows the lot of an instrument on a day."""


def lot_on(
    name: str,
    day: date,
    listed: Iterable[Instrument],
    listed_day: str,
    tables: RiskTables,
    facts: ContractFacts,
    calendar: Calendar,
) -> Lot:
    """Return the lot of an underlying's nearest contract, or of a contract, on `day`: by `listed` (the contracts of
    `listed_day`) if that is the same day, else by dated tables. Raises `UnknownLot`, which names what is known."""
    underlying = name.partition(":")[2] or name
    if listed_day == day.isoformat():
        contracts = [item for item in listed if item.kind.is_derivative and name in (item.id, item.underlying)]
        if contracts:
            nearest = min(contracts, key=lambda item: item.expiry)
            return Lot(nearest.lot_size, nearest.freeze_qty, f"contracts of {listed_day}")
    if (row := tables.lot_size_of(underlying, day)) is not None:
        return Lot(row.lot, row.freeze, f"config/risk.toml, {row.since} to {row.until}")
    found = facts.underlyings.get(underlying)
    if found is None or not found.lot:
        known = ", ".join(sorted(key for key, value in facts.underlyings.items() if value.lot))
        raise UnknownLot(f"{name}: no lot size is known for {day}; expected one of {known}, or a contract listed then")
    if day < found.lot[0].since:
        begins = f"config/instruments.toml begins with {found.lot[0].since}"
        raise UnknownLot(f"{name}: no lot size is known for {day}; {begins}, add what held before")
    kind = InstrumentKind.CE if found.strike_step else InstrumentKind.FUT
    units = lot_size(found, nearest_expiry(calendar, found, kind, day), day)
    return Lot(units, int(value_on(found.freeze, day)), "config/instruments.toml")


class MarginEstimate(NamedTuple):
    """Size that a margin allows. Rupees; `lots` is 0 where it does not pay for one; `why` is the calculation."""

    lots: int
    margin_per_lot: float
    used: float
    left: float
    share: float
    why: str


def lots_for_margin(
    margin: float, name: str, kind: TradeType, sizing: str, expires: bool, lot: Lot, premium: float,
    tables: RiskTables, day: date,
) -> MarginEstimate:  # fmt: skip
    """The lots that a margin in rupees gives with `sizing`, a profile or grade. Raises `ValueError` for an unknown one.
    `expires`: the contract expires on `day`. `premium` is the price of a bought option in rupees, 0 if not known."""
    share = tables.margin_share_of(sizing)
    legs = [
        MarginLeg(_contract(name, right, day if expires else None, lot.size), sign * lot.size, premium)
        for right, sign in KINDS[kind]
    ]
    cost = basket_cost(legs, tables, day)
    if cost <= 0:
        return MarginEstimate(0, 0.0, 0.0, margin, share.share, f"no figures for {name} in config/risk.toml; add them")
    if kind is TradeType.BOUGHT and share.source is Source.AVAILABLE:
        why = f"grade {sizing} is not for what only buys options: they keep the lots of the strategy"
        return MarginEstimate(0, cost, 0.0, margin, share.share, why)
    plan = plan_by_margin(margin, share.share, cost, "this account")
    used = plan.times * cost
    return MarginEstimate(plan.times, cost, used, margin - used, share.share, plan.why)


def _contract(name: str, kind: InstrumentKind, expiry: date | None, lot: int) -> Instrument:
    """A contract as the formula needs it: the figures know nothing of strikes."""
    underlying = name.partition(":")[2] or name
    return Instrument(
        id=f"{underlying} {kind.value}",
        exchange="",
        symbol=underlying,
        kind=kind,
        underlying=underlying,
        expiry=expiry.isoformat() if expiry is not None else "",
        lot_size=lot,
    )
