"""The runs of strategies: what each holds in all its accounts, its profit, its trailing stop, and rules that applied.

A run lasts from a strategy's first entry after flat until flat. Profits count confirmed quantities, at bid and ask
where both are there; an old price, or none, of one leg leaves no profit, and nothing that depends on it moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mytrading.core.accounting.pnl import exit_prices, unrealised
from mytrading.core.risk.runs.run import (
    BEST,
    COST,
    FIRED,
    LEAVING,
    PEAK,
    PREFIX,
    REALISED,
    STOP,
    InstrumentLegs,
    Run,
    RunLeg,
    Trail,
    fired_rule_name,
    rules_in_force,
    run_basis,
    run_id_of,
)
from mytrading.core.risk.state.state import NEVER, QUOTE_FLOOR_NS, RiskState
from mytrading.core.time import SECOND, iso_day
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.journal_rows import LevelMoved, RiskOpened
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import OrderChanged, Position, PositionAdjusted, PositionChanged
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind

_STOPS = frozenset((RiskKind.STOP, RiskKind.BROKER_STOP, RiskKind.LEG_STOP_LOSS, RiskKind.LEG_TRAILING))
OPTION_PATIENCE = 12
"""Factor on the limit of staleness for quotes of options, which are quoted less often than others."""


class RunBook:
    """`apply` is the only mutator. Budget of a quote with five legs in its instrument: 10 µs."""

    def __init__(self, state: RiskState) -> None:
        self._state, self._environment = state, state.environment
        self.runs: dict[str, Run] = {}
        self._holding: dict[str, list[InstrumentLegs]] = {}
        self._realised: dict[OwnerKey, tuple[str, float]] = {}
        self._newest_ns = 0

    def runs_holding(self, instrument: str) -> list[InstrumentLegs]:
        """The runs that hold an instrument, with their legs in it."""
        return self._holding.get(instrument, [])

    def apply_quote(self, quote: Quote) -> None:
        """Update profits, peaks and trailing stops of all runs that hold the quoted instrument."""
        valued = self._state.valued[quote.instrument]
        if quote.market_ns > self._newest_ns:
            self._newest_ns = quote.market_ns
        held = self._holding.get(quote.instrument)
        if not held:
            return
        sold_at, bought_at = exit_prices(valued)
        confirmed = self._confirmed_range(quote)
        for run, legs in held:
            if run.profit is None or self._newest_ns > run.fresh_until_ns:
                self.revalue(run, self._newest_ns)
            else:
                profit = run.profit
                for leg in legs:
                    quantity = leg.quantity
                    mark = quantity * ((sold_at if quantity > 0 else bought_at) - leg.average_price)
                    profit += mark - leg.mark
                    leg.mark = mark
                if len(run.legs) == 1:  # as `profit` adds it up, whatever the quotes before were
                    profit = run.realised + legs[0].mark
                run.profit = profit
                if run.trails and (run.trail.stop is None or profit > run.trail.peak):
                    self._trail_on(run, profit, self._newest_ns)
            if confirmed is not None and run.rules.leg_trailing.value:
                _follow_best(run, legs, *confirmed)

    def lose_price(self, instrument: str) -> None:
        """The profit of what holds the instrument is not known, so that no rule on it speaks, until a price comes."""
        for run, _ in self._holding.get(instrument, ()):
            run.profit, run.fresh_until_ns = None, 0

    def _confirmed_range(self, quote: Quote) -> tuple[float, float] | None:
        """The lower and the higher of the last prices of the newest quote and the one before it; None while either is
        none."""
        if quote.instrument in self._state.unpriced:
            return None
        last, former = quote.ltp, self._state.memory.money.previous_last_price(quote.instrument)
        if former is None:
            return None
        return (former, last) if former < last else (last, former)

    def revalue(self, run: Run, now: int) -> None:
        """Update a run's profit (rupees) and its legs' unrealised ones at market time `now`; move its trailing stop."""
        run.profit, run.fresh_until_ns = self.profit(run, now)
        if run.profit is None:
            return
        for leg in run.legs.values():
            quote = self._state.valued.get(leg.instrument)
            leg.mark = unrealised(leg.quantity, leg.average_price, quote) if quote is not None else 0.0
        if run.trails:
            self._trail_on(run, run.profit, now)

    def unconfirmed_profit(self, run: Run, now: int, *, gains: bool) -> float:
        """The part of a run's profit (`gains`) or loss, in rupees, that rests on the newest quotes alone."""
        unconfirmed = self._state.memory.money.unconfirmed_of
        return sum(
            unconfirmed(leg.instrument, leg.quantity, leg.average_price, now, gains=gains)
            for leg in run.legs.values()
            if leg.quantity
        )

    def _trail_on(self, run: Run, profit: float, now: int) -> None:
        """Move the stop after the peak that two quotes show."""
        if run.entering or run.leaving or self._lacks_last_price(leg.instrument for leg in run.legs.values()):
            return
        profit -= self.unconfirmed_profit(run, now, gains=True)
        trail = run.trail.advance(run.rules.trailing, profit, run.basis)
        if trail is not run.trail:
            run.trail = trail
            run.update_profit_band()

    def _lacks_last_price(self, instruments: Iterable[str]) -> bool:
        """True if a last price of these is none: their middle makes no peak and no bar."""
        unpriced = self._state.unpriced
        return bool(unpriced) and any(name in unpriced for name in instruments)

    def profit(self, run: Run, now: int) -> tuple[float | None, int]:
        """Return a run's profit in rupees and until when it is fresh (ns); (None, 0) while a leg has no fresh quote."""
        total, until, quotes, machine_ns = run.realised, NEVER, self._state.valued, self._state.wait_machine_ns
        for leg in run.legs.values():
            if not leg.quantity:
                continue
            quote = quotes.get(leg.instrument)
            if quote is None or not self._state.is_priced(leg.instrument):
                return None, 0
            old_from = quote.market_ns + leg.patience_ns
            if now > old_from and machine_ns - quote.received_ns > QUOTE_FLOOR_NS:
                return None, 0
            until = min(until, old_from)
            total += unrealised(leg.quantity, leg.average_price, quote)
        return total, until

    def combined_premium(self, run: Run, ratio: Iterable[tuple[str, int]], now: int) -> float | None:
        """Rupees of one set of legs (`ratio`: units by instrument) at last prices; None without fresh quotes."""
        if self._lacks_last_price(name for name, _ in ratio) or self.profit(run, now)[0] is None:
            return None
        quotes = [(self._state.quotes.get(instrument), units) for instrument, units in ratio]
        prices = [units * quote.ltp for quote, units in quotes if quote is not None]
        return sum(prices) if prices and len(prices) == len(quotes) else None

    def apply(self, row: Any) -> Run | None:
        """Apply a row other than a quote, after the state did; return the run whose legs may have changed, or None."""
        if isinstance(row, (PositionChanged, PositionAdjusted)):
            if isinstance(row, PositionAdjusted) and row.source is not None:
                return self._converted(row.position, row.source)
            return self._position(row.position)
        if isinstance(row, (OrderChanged, PlaceEntry)):
            return self._refresh(row.order.strategy if isinstance(row, OrderChanged) else row.strategy)
        if isinstance(row, RiskEventRecorded):
            self._event(row)
        elif isinstance(row, LevelMoved):
            self._level(row.name, row.value)
        elif isinstance(row, RiskOpened):
            self._opened(row)
        return None

    def _position(self, position: Position) -> Run | None:
        key = position.owner
        run = self.runs.get(position.strategy)
        leg = run.legs.get(key) if run is not None else None
        if not position.open_units:
            if run is not None and leg is not None:
                self._book(run, leg, position)
                del run.legs[key]
                self._reindex(position.instrument)
            elif run is not None and run.id == run_id_of(position):
                run.realised += self._late_profit(key, position)
        else:
            run = run or self._begin(position, run_id_of(position))
            if leg is None:
                leg = run.legs[key] = self._leg(key, position)
                self._reindex(position.instrument)
            self._book(run, leg, position)
        self._realised[key] = (iso_day(position.updated_ns), position.realised)
        return self._refresh(position.strategy)

    def _late_profit(self, key: OwnerKey, position: Position) -> float:
        """Rupees that a flat position's price, told late, adds to what its units were booked with on the same day."""
        known = self._realised.get(key)
        return position.realised - known[1] if known is not None and known[0] == iso_day(position.updated_ns) else 0.0

    def _converted(self, position: Position, source: Position) -> Run | None:
        """Take over units under another product: the leg goes on with the best price and the stop it had."""
        run = self.runs.get(position.strategy)
        leg = run.legs.get(source.owner) if run is not None else None
        if run is None or leg is None:
            self._position(source)
            return self._position(position)
        fresh = run.legs.get(position.owner)
        if fresh is None:
            fresh = run.legs[position.owner] = self._leg(position.owner, position)
            fresh.best, fresh.journaled, fresh.cost = leg.best, leg.journaled, leg.cost
        for each, level in ((leg, source), (fresh, position)):
            self._book(run, each, level)
            self._realised[level.owner] = (iso_day(level.updated_ns), level.realised)
        if not source.open_units:
            del run.legs[source.owner]
            run.past.pop(source.owner, None)
        self._reindex(position.instrument)
        return self._refresh(position.strategy)

    def _begin(self, position: Position, name: str) -> Run:
        """The run that a position begins, whichever was the newest before; later entries are of it."""
        rules = rules_in_force(self._environment.strategies.get(position.strategy), self._environment.limits)
        opened_ns = position.opened_ns or position.updated_ns
        trails = bool(rules.trailing.value) and self._environment.limits.trailing_stop_enabled
        run = Run(strategy=position.strategy, id=name, rules=rules, opened_ns=opened_ns, trails=trails)
        self.runs[position.strategy], self._state.runs[position.strategy] = run, name
        run.update_profit_band()
        return run

    def _leg(self, key: OwnerKey, position: Position) -> RunLeg:
        found = self._environment.instruments.get(position.instrument)
        times = OPTION_PATIENCE if found is not None and found.kind.is_option else 1
        patience = int(self._environment.limits.stale_quote_seconds * times * SECOND)
        known = self._realised.get(key)  # of its former trips, if they were today
        before = known[1] if known is not None and known[0] == iso_day(position.updated_ns) else 0.0
        start = msgspec.structs.replace(position, realised=before)
        best = position.average_price
        return RunLeg(key, start, position.instrument, 0, 0.0, patience, best, best)

    def _book(self, run: Run, leg: RunLeg, position: Position) -> None:
        """Take a position's new level; the profit realised since the last one is the run's."""
        same_day = iso_day(leg.position.updated_ns) == iso_day(position.updated_ns)
        run.realised += position.realised - (leg.position.realised if same_day else 0.0)
        if position.trip_quantity:
            sign = 1 if position.open_units > 0 else -1
            run.past[leg.key] = (position.trip_quantity, sign * position.trip_value)
            run.grown = True
        if (leg.quantity * position.quantity < 0 or not leg.best) and position.average_price:
            leg.best = leg.journaled = position.average_price
            leg.cost = 0.0
        leg.position = position
        leg.quantity, leg.average_price = position.quantity, position.average_price
        leg.update_price_band(run.rules)

    def _refresh(self, strategy: str) -> Run | None:
        """Entries or positions of a strategy moved: is it still entering, is its run over?"""
        run = self.runs.get(strategy)
        if run is None:
            return None
        run.entering = self._state.has_live_entry(strategy)
        if run.grown and not run.entering:
            run.basis, run.grown = run_basis(run.past), False
        if not run.legs and self._state.run_of(strategy) != run.id:
            del self.runs[strategy]
            self._state.leaving.pop(strategy, None)
        elif run.legs:
            self.revalue(run, self._newest_ns)
        return run

    def _reindex(self, instrument: str) -> None:
        """Legs of an instrument came or went: runs and legs stand in the order in which they began."""
        each = ((run, [leg for leg in run.legs.values() if leg.instrument == instrument]) for run in self.runs.values())
        if found := [InstrumentLegs(run, legs) for run, legs in each if legs]:
            self._holding[instrument] = found
        else:
            self._holding.pop(instrument, None)

    def _event(self, row: RiskEventRecorded) -> None:
        run = self.runs.get(row.strategy)
        if row.follows or run is None or run.id != row.run:
            return
        run.fired.add(fired_rule_name(row.kind, row.leg))
        self._move_to_cost(run, row)
        run.update_profit_band()
        if row.action is RiskAction.CLOSE_ALL:
            run.leaving, run.leaving_ns = row.cause, row.at_ns
            self._state.leaving[row.strategy] = row.kind.value

    def _move_to_cost(self, run: Run, row: RiskEventRecorded) -> None:
        """Move stops to the entry prices: of all legs at a profit of the run, or of the others once a stop closed one.
        A leg that comes later has its own stop, and what the run bought as a hedge has none that could move: the sold
        leg may be entered again."""
        at_stop = run.rules.stop_to_cost and row.kind in _STOPS and row.action is RiskAction.CLOSE_LEG
        if row.action is not RiskAction.MOVE_STOPS and not at_stop:
            return
        hedges = {account: self._hedges_of(run, account) for account in row.accounts}
        for leg in run.legs.values():
            if leg.instrument in hedges.get(leg.key.account, ()):
                continue
            if leg.key.account in row.accounts and not (at_stop and leg.instrument in row.instruments):
                leg.cost = leg.cost or leg.average_price
                leg.update_price_band(run.rules)

    def _hedges_of(self, run: Run, account: str) -> set[str]:
        """The options that a run bought in an account to hedge those it sold there, whether these are held or not."""
        units: dict[str, int] = {}
        for key, (count, premium) in run.past.items():
            if key[0] == account:
                units[key[1]] = units.get(key[1], 0) + (count if premium > 0 else -count)
        return {cover.bought for cover in self._state.match_covers(units) if cover.hedge}

    def _level(self, name: str, value: float) -> None:
        """A journaled level of a run that is there."""
        if not name.startswith(PREFIX):
            return
        _, run_id, what, *rest = name.split(" ", 3)
        run = next((run for run in self.runs.values() if run.id == run_id), None)
        if run is None:
            return
        subject = rest[0] if rest else ""
        if what in (PEAK, STOP):
            run.journaled_machine_ns, (peak, stop) = self._state.machine_ns, run.journaled
            if what == PEAK:
                peak = max(peak, value)
            else:
                stop = value if stop is None else max(stop, value)
            run.journaled = Trail(peak, stop)
            if stop is not None:
                higher = stop if run.trail.stop is None else max(run.trail.stop, stop)
                run.trail = Trail(max(run.trail.peak, peak), higher)
                run.update_profit_band()
        elif what == BEST:
            for leg in run.legs.values():
                if leg.name == subject:
                    leg.best, leg.journaled = (max if leg.units > 0 else min)(leg.best, value), value
                    leg.update_price_band(run.rules)
                    leg.journaled_machine_ns = self._state.machine_ns
        elif what == COST:
            for leg in run.legs.values():
                if leg.name == subject:
                    leg.cost = value
                    leg.update_price_band(run.rules)
        elif what == REALISED:
            run.realised = value
        elif what == FIRED:
            run.fired.add(subject)
            run.update_profit_band()
        elif what == LEAVING:
            kind, _, run.leaving = subject.partition(" ")
            run.leaving_ns = int(value)
            self._state.leaving[run.strategy] = kind

    def carried_levels(self) -> dict[str, float]:
        """All journaled levels of the runs by name, for the opening row of a new day."""
        return {
            name: value
            for run in self.runs.values()
            for name, value in run.journal_levels(self._state.leaving.get(run.strategy, "")).items()
        }

    def _opened(self, row: RiskOpened) -> None:
        self.runs.clear()
        self._holding.clear()
        self._state.leaving.clear()
        self._realised.clear()  # what is carried over has realised nothing yet on the new day
        carried = {name.split(" ", 2)[1] for name in row.levels if name.startswith(PREFIX)}
        for position in row.positions:
            name = row.runs.get(position.strategy, "")
            if name in carried and position.strategy not in self.runs:
                self._begin(position, name)
            self._position(position)
        for name, value in row.levels.items():
            self._level(name, value)


def _follow_best(run: Run, legs: list[RunLeg], low: float, high: float) -> None:
    """The best price of a leg is one that two quotes reached: the lesser of theirs, which lie from `low` to `high`."""
    for leg in legs:
        price = low if (held := leg.units) > 0 else high
        if price > leg.best if held > 0 else price < leg.best:
            leg.best = price
            leg.update_price_band(run.rules)
