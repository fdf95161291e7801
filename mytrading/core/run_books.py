"""The runs of strategies: what each holds in all its accounts, its profit, its trailing stop, and what has spoken.

Used by `core/strategy_risk` and `core/run_series`. A run lasts from a strategy's first entry after flat until flat.
Profits count confirmed quantities, at bid and ask where both are there. The one rule: an old price, or none, of one
leg says nothing about the whole, so there is no profit then, and nothing that depends on it moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd
from typing import Any

import msgspec

from mytrading.core.identity import content_id
from mytrading.core.pnl import exit_price
from mytrading.core.risk_books import SECOND, Key, day_of
from mytrading.core.risk_case import QUOTE_FLOOR_NS
from mytrading.core.risk_scene import Scene
from mytrading.core.risk_state import RiskState
from mytrading.core.trailing import WAITING, Basis, Trail, advance, better
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.market import Quote
from mytrading.messages.orders import OrderChanged, Position, PositionAdjusted, PositionChanged
from mytrading.messages.records import LevelMoved, RiskOpened
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded
from mytrading.messages.strategy_rules import LevelRule, StrategyRules

OPTION_PATIENCE = 12
"""How many times the limit of staleness an option's quote may be old: options are quoted less often than others."""
PREFIX = "run "
PEAK, STOP, BEST, REALISED, FIRED, LEAVING = "peak", "stop", "best", "realised", "fired", "leaving"
_NEVER = 1 << 62


class Leg(msgspec.Struct):
    """An open position of a run. `best` is the best last price since entry, `told` the one that is journaled.

    `patience_ns` is how old its quote may be. `realised` is what the position had realised today when last seen.
    """

    key: Key
    position: Position
    instrument: str
    quantity: int
    average_price: float
    patience_ns: int
    best: float
    told: float
    told_machine_ns: int = 0

    @property
    def name(self) -> str:
        """Account, instrument and product."""
        return " ".join(self.key[:3])

    @property
    def held(self) -> int:
        """Signed units, sighted ones where none are confirmed."""
        return self.quantity or self.position.quantity_seen


class Run(msgspec.Struct):
    """A run of a strategy. `profit` is None while a price is missing; it holds until `fresh_until_ns` (market time).

    `told` is the trail that is journaled. `leaving` is why all of it is being closed, with the time since when.
    """

    strategy: str
    id: str
    rules: StrategyRules
    opened_ns: int
    legs: dict[Key, Leg] = msgspec.field(default_factory=dict)
    past: dict[Key, tuple[int, float]] = msgspec.field(default_factory=dict)
    realised: float = 0.0
    profit: float | None = None
    fresh_until_ns: int = 0
    entering: bool = False
    basis: Basis = Basis()
    trail: Trail = WAITING
    told: Trail = WAITING
    told_machine_ns: int = 0
    fired: set[str] = msgspec.field(default_factory=set)
    leaving: str = ""
    leaving_ns: int = 0


class RunBooks:
    """`apply` is the only mutator. Budget of a quote with five legs in its instrument: 10 µs."""

    def __init__(self, state: RiskState, scene: Scene) -> None:
        self._state = state
        self._scene = scene
        self.runs: dict[str, Run] = {}
        self._holding: dict[str, list[Run]] = {}
        self._realised: dict[Key, tuple[str, float]] = {}
        self._newest_ns = 0

    def holding(self, instrument: str) -> list[Run]:
        """The runs that hold an instrument."""
        return self._holding.get(instrument, [])

    def leg_trailing(self, rules: StrategyRules) -> LevelRule:
        """The leg trailing in effect: none while the global switch is off."""
        return rules.leg_trailing if self._scene.limits.trailing_stop_enabled else LevelRule()

    # learning

    def quote(self, quote: Quote) -> None:
        """A price: profits, peaks and stops of all runs that hold the instrument."""
        self._newest_ns = max(self._newest_ns, quote.market_ns)
        for run in self._holding.get(quote.instrument, ()):
            self.value(run, self._newest_ns)
            if self.leg_trailing(run.rules).value:
                for leg in run.legs.values():
                    if leg.instrument == quote.instrument:
                        leg.best = better(leg.best, quote.ltp, leg.held)

    def value(self, run: Run, now: int) -> None:
        """Note a run's profit at market time `now`, and move its trailing stop with it."""
        run.profit, run.fresh_until_ns = self.profit(run, now)
        rule = run.rules.trailing
        if (
            run.profit is None
            or not rule.value
            or run.entering
            or run.leaving
            or not self._scene.limits.trailing_stop_enabled
        ):
            return
        run.trail = advance(rule, run.trail, run.profit, run.basis)

    def profit(self, run: Run, now: int) -> tuple[float | None, int]:
        """Rupees of a run, realised and at fresh quotes, and how long they are fresh; None while a leg has none."""
        total, until = run.realised, _NEVER
        quotes = self._state.quotes
        machine_ns = _NEVER if self._scene.lock_step else self._state.machine_ns
        for leg in run.legs.values():
            if not leg.quantity:
                continue
            quote = quotes.get(leg.instrument)
            if quote is None:
                return None, 0
            old_from = quote.market_ns + leg.patience_ns
            if now > old_from and machine_ns - quote.received_ns > QUOTE_FLOOR_NS:
                return None, 0
            until = min(until, old_from)
            total += leg.quantity * (exit_price(leg.quantity, quote) - leg.average_price)
        return total, until

    def combined(self, run: Run, ratio: Iterable[tuple[str, int]], now: int) -> float | None:
        """The premium of one complete set at last prices, in rupees a unit; None while a leg has no fresh quote."""
        if self.profit(run, now)[0] is None:
            return None
        total, found = 0.0, False
        for instrument, units in ratio:
            quote = self._state.quotes.get(instrument)
            if quote is None:
                return None
            total, found = total + units * quote.ltp, True
        return total if found else None

    def apply(self, row: Any) -> Run | None:
        """Learn a row other than a quote, after the state did; returns the run whose legs it may have changed."""
        if isinstance(row, PositionChanged | PositionAdjusted):
            return self._position(row.position)
        if isinstance(row, OrderChanged):
            return self._ordered(row.order.strategy)
        if isinstance(row, PlaceEntry):
            return self._ordered(row.strategy)
        if isinstance(row, RiskEventRecorded):
            self._event(row)
        elif isinstance(row, LevelMoved):
            self._level(row.name, row.value)
        elif isinstance(row, RiskOpened):
            self._opened(row)
        return None

    def _position(self, position: Position) -> Run | None:
        key = (position.account, position.instrument, position.product, position.strategy)
        run = self.runs.get(position.strategy)
        leg = run.legs.get(key) if run is not None else None
        if not (position.quantity or position.quantity_seen):
            if run is not None and leg is not None:
                self._book(run, leg, position)
                del run.legs[key]
                self._reindex()
        else:
            if run is None or (not run.legs and run.id != _run_id(position)):
                run = self.runs[position.strategy] = self._begun(position)
            if leg is None:
                leg = run.legs[key] = self._leg(key, position)
                self._reindex()
            self._book(run, leg, position)
        self._realised[key] = (day_of(position.updated_ns), position.realised)
        return self._ordered(position.strategy)

    def _begun(self, position: Position) -> Run:
        strategy = self._scene.strategies.get(position.strategy)
        rules = strategy.rules if strategy is not None else StrategyRules()
        opened_ns = position.opened_ns or position.updated_ns
        return Run(strategy=position.strategy, id=_run_id(position), rules=rules, opened_ns=opened_ns)

    def _leg(self, key: Key, position: Position) -> Leg:
        found = self._scene.instruments.get(position.instrument)
        times = OPTION_PATIENCE if found is not None and found.kind.is_option else 1
        patience = int(self._scene.limits.stale_quote_seconds * times * SECOND)
        start = msgspec.structs.replace(position, realised=self._before(key, position))
        best = position.average_price
        return Leg(key, start, position.instrument, 0, 0.0, patience, best, best)

    def _before(self, key: Key, position: Position) -> float:
        """What a position had realised today before it became a leg: the realised of its former trips."""
        known = self._realised.get(key)
        return known[1] if known is not None and known[0] == day_of(position.updated_ns) else 0.0

    def _book(self, run: Run, leg: Leg, position: Position) -> None:
        """Take a position's new level; what it realised since the last one is the run's."""
        same_day = day_of(leg.position.updated_ns) == day_of(position.updated_ns)
        run.realised += position.realised - (leg.position.realised if same_day else 0.0)
        if position.trip_quantity:
            sign = 1 if (position.quantity or position.quantity_seen) > 0 else -1
            run.past[leg.key] = (position.trip_quantity, sign * position.trip_value)
        if not leg.best and position.average_price:
            leg.best = leg.told = position.average_price
        leg.position = position
        leg.quantity, leg.average_price = position.quantity, position.average_price

    def _ordered(self, strategy: str) -> Run | None:
        """Entries or positions of a strategy moved: is it still entering, is its run over?"""
        run = self.runs.get(strategy)
        if run is None:
            return None
        run.entering = any(order.strategy == strategy for order in self._state.all_live_entries())
        if not run.entering:
            run.basis = _basis(run.past)
        if not run.legs and self._state.run_of(strategy) != run.id:
            del self.runs[strategy]
            self._state.leaving.pop(strategy, None)
        elif run.legs:
            self.value(run, self._newest_ns)
        return run

    def _reindex(self) -> None:
        found: dict[str, dict[str, Run]] = {}
        for run in self.runs.values():
            for leg in run.legs.values():
                found.setdefault(leg.instrument, {})[run.strategy] = run
        self._holding = {name: list(runs.values()) for name, runs in found.items()}

    def _event(self, row: RiskEventRecorded) -> None:
        run = self.runs.get(row.strategy)
        if row.follows or run is None or run.id != row.run:
            return
        run.fired.add(fired_name(row.kind, row.leg))
        if row.action is RiskAction.CLOSE_ALL:
            run.leaving, run.leaving_ns = row.cause, row.at_ns
            self._state.leaving[row.strategy] = row.kind.value

    # what survives

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
            self._trail(run, what, value)
        elif what == BEST:
            self._best(run, subject, value)
        elif what == REALISED:
            run.realised = value
        elif what == FIRED:
            run.fired.add(subject)
        elif what == LEAVING:
            kind, _, run.leaving = subject.partition(" ")
            run.leaving_ns = int(value)
            self._state.leaving[run.strategy] = kind

    def _trail(self, run: Run, what: str, value: float) -> None:
        run.told_machine_ns = self._state.machine_ns
        peak = max(run.told.peak, value) if what == PEAK else run.told.peak
        stop = run.told.stop
        if what == STOP:
            stop = value if stop is None else max(stop, value)
        run.told = Trail(peak, stop)
        if stop is not None:
            higher = stop if run.trail.stop is None else max(run.trail.stop, stop)
            run.trail = Trail(max(run.trail.peak, peak), higher)

    def _best(self, run: Run, name: str, value: float) -> None:
        for leg in run.legs.values():
            if leg.name == name:
                leg.best, leg.told = better(leg.best, value, leg.held), value
                leg.told_machine_ns = self._state.machine_ns

    def carried(self) -> dict[str, float]:
        """All levels of the runs by name, for the head of a new day."""
        levels: dict[str, float] = {}
        for run in self.runs.values():
            head = f"{PREFIX}{run.id} "
            levels[head + REALISED] = run.realised
            levels |= {f"{head}{FIRED} {name}": 1.0 for name in sorted(run.fired)}
            if run.trail.stop is not None:
                levels |= {head + PEAK: run.trail.peak, head + STOP: run.trail.stop}
            if run.leaving:
                kind = self._state.leaving.get(run.strategy, "")
                levels[f"{head}{LEAVING} {kind} {run.leaving}"] = float(run.leaving_ns)
            if self.leg_trailing(run.rules).value:
                levels |= {f"{head}{BEST} {leg.name}": leg.best for leg in run.legs.values()}
        return levels

    def _opened(self, row: RiskOpened) -> None:
        self.runs.clear()
        self._holding.clear()
        self._state.leaving.clear()
        for position in row.positions:
            self._position(position)
        for name, value in row.levels.items():
            self._level(name, value)


def fired_name(kind: str, leg: str) -> str:
    """The name under which it is kept that a rule spoke: of a run, or of a leg's trip in it."""
    return f"{kind} {leg}".strip()


def _run_id(position: Position) -> str:
    return position.run or content_id("run", position.strategy, position.opened_ns)


def _basis(entered: Mapping[Key, tuple[int, float]]) -> Basis:
    """What was entered in all accounts: units of a set, and the net premium in rupees."""
    units: dict[str, int] = {}
    for key, (count, _) in entered.items():
        units[key[1]] = units.get(key[1], 0) + count
    return Basis(gcd(*units.values()) if units else 0, sum(value for _, value in entered.values()))
