"""State of risk, which `core/risk/state/folds` alone changes: intents, positions, orders, quotes, levels, health."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mytrading.core.accounting.margin import MarginTracker
from mytrading.core.ids import client_order_id, content_id
from mytrading.core.orders.state_machine import FREED, TERMINAL, UNRESOLVED
from mytrading.core.reconciler import book_confidence as confidence
from mytrading.core.risk.pnl.day_pnl import Scope
from mytrading.core.risk.pnl.equity_memory import EquityMemory
from mytrading.core.risk.protection.hedges import (
    Cover,
    hedging_units,
    legs_left_bare,
    match_covers,
    sold_legs_exposed,
)
from mytrading.core.risk.protection.stop_coverage import StopCoverage
from mytrading.core.risk.state.environment import UNKNOWN_WATCH, RiskEnvironment
from mytrading.core.risk.state.indexed_dict import IndexedDict
from mytrading.core.risk.state.intent import Intent
from mytrading.core.time import SECOND
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.commands import RiskLevels
from mytrading.messages.control import KILL, BarGaps, DayTraded, Heartbeat, StrategySwitch, TradingState
from mytrading.messages.enums import Confidence, OrderState, Purpose, Side, TradingLevel
from mytrading.messages.instruments import Instrument
from mytrading.messages.journal_rows import LostCover, Rolled
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, GoneUnits, Order, Position, Protection, TradeClosed
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import StopPlan

MACHINE_FLOOR_NS = 2 * SECOND
NEVER = 1 << 62
QUOTE_FLOOR_NS = 2 * SECOND
"""Machine time within which a quote is never stale: at a high market speed its market age means nothing."""
COVERAGE_LOW_NS = 5 * SECOND
"""Machine time for which coverage must have been incomplete before a low one counts: what was subscribed just now has
no data yet."""
_NORMAL, _HALT = TradingLevel.NORMAL, TradingLevel.HALT

Place = tuple[str, str | None]
"""A strategy and one of the instruments that it watches."""


class BasketReserve(NamedTuple):
    """Reserve of a begun basket for legs still to be ordered: rupees, and their instruments."""

    margin: float = 0.0
    legs: tuple[str, ...] = ()


class EntryCounters:
    """Counts of the day: data coverage, cancels by account, losses in a row (and the last) by account and strategy."""

    def __init__(self) -> None:
        self.cancels: dict[str, int] = {}
        self.losses: dict[tuple[str, str], tuple[int, int]] = {}
        self._coverage = 1.0
        self._incomplete_ns = 0

    def open_day(self) -> None:
        """Clear the counts of cancels and of losing trades for a new day; the feed's coverage stays."""
        self.cancels.clear()
        self.losses.clear()

    def record_coverage(self, row: Heartbeat) -> None:
        """Record the coverage figures of the feed's heartbeat, and since when (machine ns) coverage is incomplete."""
        self._coverage = row.figures.get("coverage", 1.0) if row.figures.get("expected", 0.0) else 1.0
        if self._coverage >= 1.0:
            self._incomplete_ns = 0
        elif not self._incomplete_ns:
            self._incomplete_ns = row.machine_ns

    def coverage(self, machine_ns: int) -> float:
        """Share (0 to 1) of watched instruments with data; 1 until a gap has lasted for `COVERAGE_LOW_NS`."""
        return self._coverage if self._incomplete_ns and machine_ns - self._incomplete_ns >= COVERAGE_LOW_NS else 1.0

    def count_losses(self, row: TradeClosed) -> None:
        """Update the count of losing trades in a row of an account and strategy; one without a loss resets it."""
        key = (row.account, row.strategy)
        count = self.losses.get(key, (0, 0))[0] + 1
        self.losses[key] = (count, row.closed_ns) if row.realised < 0 else (0, row.closed_ns)


class RiskState:
    """All tables of risk. Reading methods are pure."""

    def __init__(self, environment: RiskEnvironment) -> None:
        self.environment = environment
        self.lot_of = environment.lot_of
        self.guard = StopCoverage(self.may_send)
        self.memory = EquityMemory(environment.limits.stale_quote_seconds)
        self.counters = EntryCounters()
        self.intents: dict[tuple[str, str], Intent] = {}
        self.watch_of_signal: dict[str, tuple[str, str]] = {}
        self.bound: dict[tuple[str, str], str] = {}
        """Watched instruments for which a strategy holds or orders an instrument."""
        self.issued: dict[str, None] = {}
        self.closing: set[OwnerKey] = set()
        self.goals: dict[str, Goal] = {}
        """Exits of the router that are not done."""
        self.positions: IndexedDict[OwnerKey, Position] = IndexedDict()
        self.orders: IndexedDict[str, Order] = IndexedDict()
        self.booked: dict[str, int] = {}
        """Units of each order that its position holds already."""
        self.runs: dict[str, str] = {}
        self.entry_times: dict[str, list[int]] = {}
        """Market times of the intents of each strategy that entered, one each, of the newest one's day, in order."""
        self.last_entry: dict[tuple[str, str], int] = {}
        self.quotes: dict[str, Quote] = {}
        self.valued: dict[str, Quote] = {}
        """Quotes as positions are valued at and their levels judged by: without a bid and an ask beyond
        `environment.collar_rupees`, and with the middle of the book as the last price where that is none."""
        self.unpriced: dict[str, int] = {}
        """Instruments whose newest last price is none: since when (machine ns) nothing stands in for it; 0: the middle
        of bid and ask does, for what is held alone."""
        self.trading: dict[str, TradingState] = {}
        self.switches: dict[str, StrategySwitch] = {}
        self.halted: dict[NetKey, str] = {}
        self.wrong_mode: dict[str, str] = {}
        self.run_ns = self.stopped_run_ns = 0
        """`RunStarted.run_ns` of the present run (0: it began on an earlier day), and of that which `down` stops."""
        self.beats: dict[str, Heartbeat] = {}
        self.bars = BarGaps(daemon="feed")
        self.closed: Mapping[str, str] = {}
        """Why the feed has no price that it believes, by instrument; no entry follows from such a one."""
        self.accepted_history: dict[str, str] = {}
        """The day (ISO) for which an operator accepted the holes in an instrument's history."""
        self.confirmed_days: dict[str, str] = {}
        """The day (ISO) of which an operator said that an exchange trades."""
        self.traded_days: dict[str, str] = {}
        """The last day (ISO) on which a price of an exchange was seen traded, where that is looked for."""
        self.health: dict[str, AccountHealth] = {}
        self.levels: dict[str, float] = {}
        self.stop_levels: dict[OwnerKey, float] = {}
        self.stop_instruments: dict[str, list[OwnerKey]] = {}
        self.target_levels: dict[OwnerKey, float] = {}
        self.protections: dict[OwnerKey, Protection] = {}
        self.passed_since: dict[OwnerKey, int] = {}
        """Since when (machine ns; in lock-step market ns) last prices are beyond the stop that an owner has at the
        broker."""
        self.claimed: set[OwnerKey] = set()
        """Positions that an operator assigned to an owner: without a stop unless one was named."""
        self.margin = MarginTracker()
        self.baskets: dict[tuple[str, str, str], BasketReserve] = {}
        """Reserved for legs still to be ordered, by strategy, watched instrument and account."""
        self.margin_requests: dict[str, int] = {}
        """Machine time of each question to a broker."""
        self.margin_answers: dict[str, float] = {}
        """Rupees, 0 where the broker gave no figure."""
        self.corporate: dict[OwnerKey, float] = {}
        """By what ratio carried shares may have been multiplied overnight; until an operator adjusted them."""
        self.first_priced: set[OwnerKey] = set()
        """Owners of carried positions whose first price of the day was judged."""
        self.gone: dict[str, tuple[GoneUnits, float]] = {}
        """Units that went today at a price which no trade told and the router has not booked yet, by their id, with the
        last price known of them (rupees, 0: none)."""
        self.copied: tuple[RiskLevels, tuple[int, ...]] | None = None
        """The newest copy of the limits' levels that went out, and the counts by which the next is due."""
        self.rolls: dict[OwnerKey, Rolled] = {}
        self.recovering: set[str] = set()
        self.leaving: dict[str, str] = {}
        """Strategies whose run is being closed by a rule of theirs, and which."""
        self.machine_ns = 0
        self.feed_ready_ns = 0
        """Machine time of the newest heartbeat in which the feed was ready."""
        self.disk_low = False
        self.doubted = False
        """A journal that risk reads is in quarantine."""
        self.uncovered: dict[OwnerKey, tuple[Position, tuple[str, ...]]] = {}
        """Bought positions as they were before a stop closed them, and what their owners had sold beside them.

        Each stays until all of that is gone, or the position is held again.
        """
        self.lost_covers: dict[OwnerKey, LostCover] = {}
        """Bought legs that were closed beside sold ones, for whatever reason; each stays until those are flat."""
        self.is_repeat = False
        """The newest row repeats the end of an order that was booked long ago: nobody gains or loses by it."""
        self.looked_at: set[str] = set()
        """Strategies of which nothing that could settle an intent was learnt since their intents were looked at."""
        self._awaited: set[str] | None = set()

    def may_send(self, exchange: str, now: int) -> bool:
        """True if the router sends stops and exits at market `now`: the exchange trades and, on a provisional day, a
        price of it was traded."""
        environment = self.environment
        if not environment.is_open(exchange, now):
            return False
        return not environment.is_provisional(exchange, now) or self.traded_days.get(exchange) == environment.today(now)

    def learns_trading(self, level: DayTraded) -> bool:
        """True if a level says of an exchange that it trades which is not known for that day."""
        return any(self.traded_days.get(exchange) != level.day for exchange in level.exchanges)

    def judged(self, row: Quote) -> Quote | None:
        """Return the quote by which what is held is judged after `row` was applied: itself, or with a middle that
        stands in for its last price; None if it was not taken."""
        name = row.instrument
        if self.quotes.get(name) is row:
            return row
        stands = self.valued.get(name) if self.unpriced and self.unpriced.get(name) == 0 else None
        same = stands is not None and (stands.market_ns, stands.received_ns) == (row.market_ns, row.received_ns)
        return stands if same else None

    def exit_quote(self, instrument: str) -> Quote | None:
        """Return the quote that an exit is priced by, with its whole book; None without any."""
        return (self.valued if instrument in self.unpriced else self.quotes).get(instrument)

    def is_priced(self, instrument: str) -> bool:
        """False while neither a last price nor the middle of a book says what an instrument is worth."""
        return not self.unpriced.get(instrument)

    def unpriced_scopes(self) -> set[Scope]:
        """Accounts and strategies that hold something whose last price is none: their peaks do not rise."""
        return {scope for name in self.unpriced for scope in self.memory.money.scopes_of(name)}

    def recheck_intents(self) -> None:
        """Let every intent be checked again for being satisfied, as after changes of lots, accounts or contracts."""
        self.looked_at.clear()

    def reset_awaited_instruments(self) -> None:
        """Clear the cached `awaited_instruments`, after intents were settled or reopened."""
        self._awaited = None

    @property
    def awaited_instruments(self) -> set[str]:
        """Instruments of the legs of unsettled intents, with those they are rolled to; cached."""
        if self._awaited is None:
            waiting = [intent for intent in self.intents.values() if not intent.settled]
            self._awaited = {leg.instrument for intent in waiting for leg in intent.legs}
            for intent in waiting if self.rolls else ():
                self._awaited.update(*(names.values() for names in intent.moved.values()))
        return self._awaited

    def open_intents(self) -> Iterator[Intent]:
        """Intents that are not settled: something is still to be entered or closed."""
        return (intent for intent in self.intents.values() if not intent.settled)

    def open_positions(self) -> list[Position]:
        """Positions that are not flat, by confirmed units or by fills that only one source has reported so far."""
        return [position for position in self.positions.values() if position.open_units]

    def unbound_positions(self) -> list[Position]:
        """Open positions whose watched instrument is unknown."""
        return [p for p in self.open_positions() if self.bound.get((p.strategy, p.instrument)) == UNKNOWN_WATCH]

    def positions_for(self, strategy: str, watch: str) -> list[Position]:
        """Open positions of a strategy held for a watched instrument, or whose watched instrument is not recorded."""
        return [
            position
            for position in self.positions.of_strategy(strategy)
            if position.open_units and self.bound.get((strategy, position.instrument), watch) == watch
        ]

    def pending_entries(self, strategy: str, watch: str) -> list[Order]:
        """Entries of a strategy for a watched instrument whose units are not all in its position yet."""
        return [
            order
            for order in self.orders.of_strategy(strategy)
            if order.purpose is Purpose.ENTRY
            and self.bound.get((strategy, order.instrument), watch) == watch
            and self.pending_fill(order)
        ]

    def live_entries(self, strategy: str, watch: str) -> list[Order]:
        """The `pending_entries` that may still fill."""
        return [order for order in self.pending_entries(strategy, watch) if order.state not in FREED]

    def positions_and_entries_by_watch(self) -> tuple[dict[Place, list[Position]], dict[Place, list[Order]]]:
        """Return two tables by (strategy, watched instrument): the open positions and the entries that may still fill.

        The watched instrument in a key is None where it is not recorded."""
        held: dict[Place, list[Position]] = {}
        live: dict[Place, list[Order]] = {}
        bound = self.bound
        for position in self.positions.values():
            if position.open_units:
                place = (position.strategy, bound.get((position.strategy, position.instrument)))
                held.setdefault(place, []).append(position)
        for order in self.orders.values():
            if order.purpose is Purpose.ENTRY and order.state not in FREED and self.pending_fill(order):
                place = (order.strategy, bound.get((order.strategy, order.instrument)))
                live.setdefault(place, []).append(order)
        return held, live

    def all_live_entries(self) -> list[Order]:
        """Entries of all strategies that may still fill."""
        return [o for o in self.orders.values() if o.purpose is Purpose.ENTRY and o.state not in TERMINAL]

    def is_flat(self, strategy: str) -> bool:
        """True if a strategy holds nothing, and nothing of it is on its way or waits."""
        return not (
            any(position.open_units for position in self.positions.of_strategy(strategy))
            or any(order.state not in TERMINAL for order in self.orders.of_strategy(strategy))
            or any(intent.signal.strategy == strategy for intent in self.open_intents())
        )

    def has_live_entry(self, strategy: str) -> bool:
        """True while an entry of a strategy may still fill."""
        return any(o.purpose is Purpose.ENTRY and o.state not in TERMINAL for o in self.orders.of_strategy(strategy))

    @property
    def wait_machine_ns(self) -> int:
        """Machine time (ns) to measure waiting times by; in lock-step `NEVER`, so that every wait is over."""
        return NEVER if self.environment.lock_step else self.machine_ns

    @property
    def is_stopping(self) -> bool:
        """True from the start of `mytrading down` until another run begins."""
        return self.stopped_run_ns > 0 and self.run_ns in (0, self.stopped_run_ns)

    def is_withdrawing(self, strategy: str, instrument: str) -> bool:
        """True while an entry of a strategy in an instrument is being cancelled and may still fill."""
        return any(
            (order.instrument, order.purpose) == (instrument, Purpose.ENTRY)
            and order.state not in TERMINAL
            and withdrawal_id(order) in self.issued
            for order in self.orders.of_strategy(strategy)
        )

    def closing_accounts(self, strategy: str, watch: str) -> set[str]:
        """The accounts in which a position of the strategy for the watched instrument is being closed."""
        return {
            key[0]
            for key in self.closing
            if key[3] == strategy
            and self.bound.get((strategy, key[1]), watch) == watch
            and ((position := self.positions.get(key)) is None or position.open_units)
        }

    def units_of(self, strategy: str, watch: str, instrument: str, account: str) -> int:
        """Signed units of `instrument` that a strategy holds for `watch` in an account; 0 if held for another."""
        if self.bound.get((strategy, instrument), watch) != watch:
            return 0
        there = self.positions.of_instrument(instrument)
        return sum([p.quantity for p in there if p.strategy == strategy and p.account == account])

    def pending_units(self, strategy: str, instrument: str, account: str) -> int:
        """Signed units that a strategy's entry orders may still add to its position in an account."""
        return sum(
            [
                self.pending_fill(order) * order.side.sign
                for order in self.orders.of_instrument(instrument)
                if order.strategy == strategy and order.account == account and order.purpose is Purpose.ENTRY
            ]
        )

    def next_entry(self, account: str, signal: str, instrument: str) -> tuple[int, str]:
        """Return the number of entries of a signal (id) for a leg in an account, and the order id of the next one."""
        count = 0
        while (name := client_order_id(account, signal, Purpose.ENTRY, instrument, 0, count)) in self.issued:
            count += 1
        return count, name

    def hedging_units(self, position: Position) -> int:
        """Units of a bought option that hedge options its owner has sold, or is about to sell, in the account. All of
        them while a contract is unknown: the stop of a hedge must not fire for lack of data."""
        if position.quantity_seen <= 0 or not self.owner_is_short(position):
            return 0
        name = position.instrument
        units = self._legs(position.account, position.strategy, self.watch_of(position), None)
        contracts = self._contracts(units)
        if (mine := contracts.get(name)) is not None and not mine.kind.is_option:
            return 0
        if mine is None or any(size < 0 and sold not in contracts for sold, size in units.items()):
            return position.quantity_seen
        return min(hedging_units(match_covers(units, contracts), name), position.quantity_seen)

    def is_hedge(self, position: Position) -> bool:
        """True if all units of a bought option hedge sold ones: it needs no stop of its own."""
        return position.quantity_seen > 0 and self.hedging_units(position) >= position.quantity_seen

    def risk_watches_stop(self, key: OwnerKey, position: Position) -> bool:
        """True if risk itself watches a position's stop, or is about to, and no stop order for it is at the broker."""
        guarded = self.protections.get(key)
        return bool(key in self.stop_levels or position.held_stop) and (guarded is None or guarded.state == "done")

    def guarded_positions(self) -> dict[OwnerKey, Position]:
        """Open positions that need a stop order at the broker: no hedges, none released or watched by risk, and none
        whose claim waits for its first stop: where that fails the router takes the claim back."""
        states = {key: level.state for key, level in self.protections.items()}
        free = {key for key in self.claimed if states.get(key, "done") == "done"}
        free |= {key for key, state in states.items() if state == "released"}
        free |= {key for key, level in self.protections.items() if level.claimed is not None}
        elsewhere = {name for name, run in self.environment.strategies.items() if run.stop is not StopPlan.BROKER}
        return {
            key: position
            for key, position in self.positions.items()
            if position.open_units
            and key not in free
            and position.strategy not in elsewhere
            and not self.risk_watches_stop(key, position)
            and not self.is_hedge(position)
            and key not in self.corporate
            and not (key in self.stop_levels and not self.broker_of(key.account).broker_stops)
        }

    def held_units(self, key: OwnerKey) -> int:
        """Return the signed units that an owner holds."""
        position = self.positions.get(key)
        return position.open_units if position is not None else 0

    def why_stop_held(self, account: str, instrument: str) -> str:
        """Return why nothing is entered where a corporate action waits for an operator's word; empty if none does."""
        waits = any((key.account, key.instrument) == (account, instrument) for key in self.corporate)
        return f"a corporate action may have happened: `mytrading positions adjust {instrument}`" if waits else ""

    def broker_of(self, account: str) -> BrokerRules:
        """Return the row of the table of brokers that holds for an account, by the name its server gave last."""
        health = self.health.get(account)
        return self.environment.broker_rules(health.broker if health is not None else "")

    def stop_holder_of(self, key: OwnerKey, units: int) -> tuple[StopPlan | None, float]:
        """Return holder and rupee level of the stop of the position that signed `units` add to; (None, 0.0): none."""
        position = self.positions.get(key)
        held = position.open_units if position is not None else 0
        if position is None or held * units <= 0:
            return None, 0.0
        if self.risk_watches_stop(key, position):
            return StopPlan.ENGINE, self.stop_levels.get(key, 0.0)
        guarded = self.protections.get(key)
        if guarded is None or guarded.state == "done" or guarded.side.sign * held > 0:
            return None, 0.0
        return StopPlan.BROKER, guarded.trigger

    def hedge_covers(self, account: str, strategy: str, watch: str, intent: Intent | None = None) -> list[Cover]:
        """Return which bought legs of a strategy cover which sold ones in an account; `intent`: in place of its own."""
        units = self._legs(account, strategy, watch, intent)
        return match_covers(units, self._contracts(units)) if any(size < 0 for size in units.values()) else []

    def hedge_instruments(self, intent: Intent, account: str) -> set[str]:
        """The bought options that would hedge sold ones of an intent if all its legs were held."""
        here = intent.for_account(account)
        units = {leg.instrument: here.lots(leg, account) * self.lot_of(leg.instrument) for leg in here.legs}
        return {cover.bought for cover in self.match_covers(units) if cover.hedge}

    def match_covers(self, units: dict[str, int]) -> list[Cover]:
        """Return which bought legs of signed `units`, by instrument, cover which sold ones."""
        return match_covers(units, self._contracts(units))

    def owner_is_short(self, position: Position) -> bool:
        """True if the owner of a bought position is also short in the account, or about to be; else False."""
        if position.quantity <= 0 and position.quantity_seen <= 0:
            return False
        strategy = position.strategy
        intent = self.intents.get((strategy, self.bound.get((strategy, position.instrument), "")))
        return self.has_short_exposure(position.account, strategy, intent)

    def has_short_exposure(self, account: str, strategy: str, intent: Intent | None) -> bool:
        """True if a strategy is short anything in an account, or would be once its entries and `intent` fill."""
        if intent is not None and not intent.settled and any(leg.lots < 0 for leg in intent.legs):
            return True
        for held in self.positions.of_strategy(strategy):
            if held.account == account and (held.quantity < 0 or held.quantity_seen < 0):
                return True
        entries = (o for o in self.orders.of_strategy(strategy) if o.purpose is Purpose.ENTRY and o.account == account)
        return any(order.side is Side.SELL and self.pending_fill(order) for order in entries)

    def shorts_left_uncovered(self, position: Position) -> set[str]:
        """Sold options that would lose cover if this bought position were closed; empty for any other position."""
        if not self.owner_is_short(position):
            return set()
        units = self._legs(position.account, position.strategy, self.watch_of(position), None)
        mine = max(position.quantity, position.quantity_seen)
        units[position.instrument] = max(units.get(position.instrument, 0), mine)
        return sold_legs_exposed(units, self._contracts(units), position.instrument)

    def _legs(self, account: str, strategy: str, watch: str, intent: Intent | None) -> dict[str, int]:
        """Signed units by instrument that an owner holds, has coming, or still wants for a watched instrument.

        A sold leg counts until it is known to be gone, a bought one as far as it is sighted.
        """
        units: dict[str, int] = {}
        for held in self.positions.of_strategy(strategy):
            if held.account == account and held.open_units:
                size = min(held.quantity, held.quantity_seen, 0) or held.quantity_seen
                units[held.instrument] = units.get(held.instrument, 0) + size
        for order in self.orders.of_strategy(strategy):
            if order.account == account and order.purpose is Purpose.ENTRY:
                units[order.instrument] = units.get(order.instrument, 0) + self.pending_fill(order) * order.side.sign
        intent = intent or self.intents.get((strategy, watch))
        if intent is not None and not intent.settled and account not in intent.ended:
            here = intent.for_account(account)
            for leg in here.legs:
                if not here.orders_leg(leg, account):
                    continue
                target, size = here.lots(leg, account) * self.lot_of(leg.instrument), units.get(leg.instrument, 0)
                units[leg.instrument] = min(target, size) if target < 0 else max(target, size)
        return units

    def units_held(self, account: str, strategy: str) -> dict[str, int]:
        """Signed units by instrument that a strategy holds in an account. A bought leg that is being closed does not
        count, a sold one counts until it is flat, and a sold entry that may fill counts as sold."""
        units: dict[str, int] = {}
        for held in self.positions.of_strategy(strategy):
            if held.account == account and held.open_units and not (held.open_units > 0 and held.owner in self.closing):
                size = min(held.quantity, held.quantity_seen, 0) or held.quantity
                units[held.instrument] = units.get(held.instrument, 0) + size
        for order in self.orders.of_strategy(strategy):
            if (order.account, order.purpose, order.side) == (account, Purpose.ENTRY, Side.SELL):
                units[order.instrument] = units.get(order.instrument, 0) - self.pending_fill(order)
        return units

    def sold_legs_needing(self, units: dict[str, int], instrument: str) -> set[str]:
        """Return the sold legs among `units` (signed, by instrument) that less would cover without `instrument`."""
        return sold_legs_exposed(units, self._contracts(units), instrument) if units.get(instrument, 0) > 0 else set()

    def sold_legs_left_bare(self, before: dict[str, int], after: dict[str, int]) -> set[str]:
        """Return legs sold `before` and `after` (signed units by instrument) with more uncovered units after."""
        return set(self.legs_left_bare(before, after))

    def legs_left_bare(self, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
        """Return the legs of `sold_legs_left_bare`, and how many units of each have no cover after."""
        return legs_left_bare(before, after, self._contracts({**before, **after}))

    def _contracts(self, names: dict[str, int]) -> dict[str, Instrument]:
        found = {name: self.environment.instruments.get(name) for name in names}
        return {name: contract for name, contract in found.items() if contract is not None}

    def watch_of(self, position: Position) -> str:
        """The watched instrument a position is held for; empty if unknown."""
        return self.bound.get((position.strategy, position.instrument), "")

    def units_everywhere(self, account: str, instrument: str) -> int:
        """Return the signed units of an instrument in an account that all owners hold or have entries working for."""
        held, orders = self.positions.of_instrument(instrument), self.orders.of_instrument(instrument)
        entries = [order for order in orders if order.account == account and order.purpose is Purpose.ENTRY]
        pending = sum([self.pending_fill(order) * order.side.sign for order in entries])
        return sum([position.quantity for position in held if position.account == account]) + pending

    def busy_instruments(self, account: str) -> set[str]:
        """Instruments of an account with an open position or an entry that may fill."""
        return {p.instrument for p in self.positions.values() if p.account == account and p.open_units} | {
            o.instrument for o in self.orders.values() if o.account == account and o.purpose is Purpose.ENTRY
        }

    def taken_instruments(self, account: str) -> set[str]:
        """Instruments that count as positions of an account: the busy ones, and those of legs still to be ordered."""
        busy = self.busy_instruments(account)
        return busy | self.instruments_kept_for_baskets(account) if self.baskets else busy

    def other_watch(self, strategy: str, watch: str, instrument: str) -> str:
        """Return another watched instrument for which the strategy already trades `instrument`; empty if none."""
        bound = self.bound.get((strategy, instrument), watch)
        if bound == watch or not self.owns(strategy, instrument):
            return ""
        return bound or "a watched instrument that is not known any more"

    def owns(self, strategy: str, instrument: str) -> bool:
        """True while a strategy holds the instrument, or an order of it in that instrument may still fill."""
        held, orders = self.positions.of_instrument(instrument), self.orders.of_instrument(instrument)
        return any(p.strategy == strategy and p.open_units for p in held) or any(
            order.strategy == strategy and self.pending_fill(order) for order in orders
        )

    def opposing_strategy(self, account: str, instrument: str, product: str, strategy: str, units: int) -> str:
        """Return another strategy that holds, or has a working entry for, the side opposite to `units`; else empty."""
        for position in self.positions.of_instrument(instrument):
            other = position.strategy != strategy and (position.account, position.product) == (account, product)
            if other and position.open_units * units < 0:
                return position.strategy
        for order in self.orders.of_instrument(instrument):
            other = order.strategy != strategy and (order.account, order.product) == (account, product)
            if other and order.purpose is Purpose.ENTRY and order.state not in TERMINAL and order.side.sign * units < 0:
                return order.strategy
        return ""

    def lost_entry_id(self, account: str, instrument: str, product: str, units: int) -> str:
        """Order id of a LOST entry (never seen at the broker, may yet appear) on the side of `units`; empty if none."""
        wanted, orders = (account, product, Purpose.ENTRY, OrderState.LOST), self.orders.of_instrument(instrument)
        there = (o for o in orders if (o.account, o.product, o.purpose, o.state) == wanted)
        return next((order.client_order_id for order in there if order.side.sign * units > 0), "")

    def unresolved_entry(self, strategy: str, instrument: str, account: str) -> Order | None:
        """An entry of a strategy that may still fill, one of unknown fate first; None if there is none."""
        wanted, orders = (strategy, account, Purpose.ENTRY), self.orders.of_instrument(instrument)
        found = [o for o in orders if (o.strategy, o.account, o.purpose) == wanted and self.pending_fill(o)]
        return min(found, key=lambda order: order.state not in UNRESOLVED, default=None)

    def margin_kept_for_baskets(self, account: str, but: tuple[str, str] | None = None) -> float:
        """Rupees reserved in an account for legs of unfinished baskets; `but`: (strategy, watch) not counted."""
        return sum(waiting.margin for waiting in self._waiting(account, but)) if self.baskets else 0.0

    def instruments_kept_for_baskets(self, account: str, but: tuple[str, str] | None = None) -> set[str]:
        """Instruments of unfinished baskets' legs not ordered yet in an account, without those of `but`."""
        return {name for waiting in self._waiting(account, but) for name in waiting.legs}

    def _waiting(self, account: str, but: tuple[str, str] | None) -> Iterator[BasketReserve]:
        for (strategy, watch, where), waiting in self.baskets.items():
            intent = self.intents.get((strategy, watch)) if where == account and (strategy, watch) != but else None
            if intent is not None and not intent.settled and account not in intent.ended:
                yield waiting

    def run_of(self, strategy: str) -> str:
        """The id of a strategy's current run; empty while it holds nothing, no entry may fill and no change of its legs
        has still to open one."""
        entries = (order for order in self.orders.of_strategy(strategy) if order.purpose is Purpose.ENTRY)
        held = any(position.open_units for position in self.positions.of_strategy(strategy))
        lasts = held or any(map(self.pending_fill, entries)) or self._opens_changed_legs(strategy)
        return self.runs.get(strategy, "") if lasts else ""

    def _opens_changed_legs(self, strategy: str) -> bool:
        """True while an adjustment that was admitted in an account and not given up there is under way."""
        return any(
            intent.signal.opened_instruments and intent.sized.keys() - intent.ended
            for intent in self.open_intents()
            if intent.signal.strategy == strategy
        )

    def entries_since(self, strategy: str, market_ns: int) -> int:
        """Count of a strategy's intents that entered at or after this market time (ns)."""
        times = self.entry_times.get(strategy, [])
        return len(times) - bisect_left(times, market_ns)

    def confidence(self, account: str, instrument: str) -> Confidence:
        """Return how far positions in an instrument can be trusted, by the age of book reads and by each position."""
        health = self.health.get(account)
        found = confidence.account_confidence(health, self.machine_ns)
        if health is not None and instrument in health.unread:
            found = confidence.lower_confidence(found, Confidence.STALE)
        for position in self.positions.of_instrument(instrument):
            if position.account == account and position.confidence is not found:
                found = confidence.lower_confidence(found, position.confidence)
        return found

    def trading_level(self, account: str) -> tuple[TradingLevel, str]:
        """The trading level in effect for an account, and its reason."""
        found = None
        for name in (KILL, "", account):
            state = self.trading.get(name)
            if state is None or state.level is _NORMAL:
                continue
            if found is None or (state.level is _HALT and found.level is not _HALT):
                found = state
        if found is None:
            return _NORMAL, ""
        return found.level, f"{found.reason} (by {found.by})" if found.by else found.reason

    def entries_enabled(self, strategy: str) -> bool:
        """True unless the strategy's entries are switched off."""
        switch = self.switches.get(strategy)
        return switch is None or switch.enabled

    def live_order_count(self, account: str) -> int:
        """Count of an account's orders that may still fill, LOST ones included."""
        return sum([order.account == account and order.state not in FREED for order in self.orders.values()])

    def unbooked_units(self, order: Order) -> int:
        """Units that an order, or the order replacing it, may still add to its position."""
        whole = order.filled if order.state in FREED else order.quantity
        modify = order.evidence.modify
        if order.state is OrderState.CANCELLED and modify.by_replacement and modify.wanted:
            whole = max(order.filled, modify.wanted.quantity)
        return max(0, whole - self.booked.get(order.client_order_id, 0))

    def pending_fill(self, order: Order) -> int:
        """Units that an order may still add to its position, as `unbooked_units`, but 0 for a LOST order."""
        return 0 if order.state is OrderState.LOST else self.unbooked_units(order)


def withdrawal_id(order: Order) -> str:
    """The id of the command that cancels an entry with all its slices; always the same, so it is sent once."""
    return content_id("withdraw", order.links.parent or order.client_order_id)


def is_stale(quote: Quote, now: int, machine_ns: int, limit_seconds: float) -> bool:
    """True if a quote is too old to trade on: in market time beyond the limit, and in machine time beyond 2 s."""
    return now - quote.market_ns > limit_seconds * SECOND and machine_ns - quote.received_ns > QUOTE_FLOOR_NS
