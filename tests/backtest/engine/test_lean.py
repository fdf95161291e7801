"""Choice of the engine: runs that the lean engine covers are its own, others the machines', and the result says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any

import msgspec
import numpy as np
import pytest

from mytrading.backtest.data.columns import BARS_AT_ONCE, Columns, build_columns
from mytrading.backtest.engine.assumptions import Models, VolumeCap
from mytrading.backtest.run import LEAN, MACHINES, RunResult, Spec, run
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import LevelRule, StrategyRules, TrailKind, TrailRule, TrendExit, TrendRule
from mytrading.messages.run_config import Direction, SizingRule, StopPlan
from mytrading.strategies import Bar, BaseStrategy, Signal
from tests.kit.backtest_specs import (
    LIMITS,
    SBIN,
    Cross,
    Script,
    bars,
    bars_of,
    begin_of,
    fees,
    flat,
    spec_of,
    without_rupee_limits,
)

LONG: dict[str, Any] = {"direction": Direction.LONG, "product": Product.CNC, "short": None}


class Listener(Cross):
    """Hears of its fills."""

    def on_fill(self, fill: Any) -> None:
        self.received = fill


class Breaks(Cross):
    """Raises while it holds something."""

    def on_data(self, data: Bar) -> Signal | None:
        if self.position.is_long and self._workspace.last_fill_ns and data.close > 0 and data.start_ns % 7 == 0:
            raise ValueError("seven")
        return super().on_data(data)


class InTurn(BaseStrategy):
    """Buys on every `every`-th bar and leaves half-way to the next; on bar 81, while it is in, `odd` happens."""

    every: int = 4
    odd: str = ""

    def initialize(self) -> None:
        self.count = -1

    def on_data(self, data: Bar) -> Signal | None:
        self.count += 1
        if self.count == 81 and self.odd == "memory":
            self.memory["broken"] = object()
        if self.count == 81 and self.odd == "confidence":
            return msgspec.structs.replace(self.create_signal("BUY"), confidence=5.0)
        if self.count % self.every == 0:
            return self.create_signal("BUY")
        return self.create_signal("EXIT") if self.count % self.every == self.every // 2 else None


def both(spec: Spec) -> RunResult:
    """Run by both engines, compare them, and return the lean result."""
    lean, machines = run(spec), run(replace(spec, lean=False))
    assert (machines.engine, machines.note) == (MACHINES, "")
    assert (lean.ledger.fills, lean.ledger.trades) == (machines.ledger.fills, machines.ledger.trades)
    assert (lean.ledger.events, lean.ledger.counts) == (machines.ledger.events, machines.ledger.counts)
    assert lean.fault == machines.fault
    return lean


@pytest.mark.parametrize("stop", list(StopPlan))
@pytest.mark.parametrize("given", [LONG, {}, {"lots": 3, "take_profit_pct": 0.004}, {"direction": Direction.SHORT}])
def test_lean_run_of_each_stop_plan_is_that_of_the_machines(stop: StopPlan, given: dict[str, Any]) -> None:
    spec = spec_of(Cross, begin_of(bars_of("wild"), 900), fees=fees(), stop=stop, stop_loss_pct=0.003, **given)
    found = both(spec)
    assert (found.engine, found.note) == (LEAN, "")
    assert len(found.ledger.trades) > 10


@pytest.mark.parametrize(
    ("strategy", "given", "why"),
    [
        (Cross, {"signal_cooldown": 60.0}, ""),
        (Cross, {"min_confidence": 0.5}, ""),
        (Cross, {"rules": StrategyRules(max_loss=2.0, max_profit=3.0)}, ""),
        (Cross, {"limits": msgspec.structs.replace(LIMITS, max_entries_per_session=3)}, ""),
        (Cross, {"sizing": SizingRule(by="risk", risk_per_trade=100.0)}, "sizing by risk, margin or confidence"),
        (Cross, {"product": Product.CNC, "intraday": True}, "an intraday run that is not MIS"),
        (Cross, {"rules": StrategyRules(exit_time=50_000)}, "times of the strategy's own"),
        (Cross, {"rules": StrategyRules(leg_trailing=LevelRule(value=1.0))}, "trailing stops of single legs"),
        (Cross, {"rules": StrategyRules(trend=TrendRule(exit=TrendExit.BREAKOUT))}, "a Supertrend exit"),
        (Cross, {"max_daily_loss": 100.0}, "limits of the day"),
        (Cross, {"models": Models(at_close=True)}, "fills at the close"),
        (Cross, {"models": Models(latency_ns=1)}, "latency"),
        (Cross, {"models": Models(volume=VolumeCap(0.5))}, "a share of the volume"),
        (Cross, {"timeframes": ("5m",)}, ""),
        (Cross, {"timeframes": ("1m", "5m")}, "several timeframes"),
        (Listener, {}, "on_fill of the strategy"),
    ],
)
def test_run_that_the_lean_engine_does_not_cover_says_why(strategy: Any, given: dict[str, Any], why: str) -> None:
    found = both(spec_of(strategy, begin_of(bars_of("wild"), 400), **given))
    assert found.note == why
    assert found.engine == (MACHINES if why else LEAN)


def test_two_instruments_are_made_by_the_machines() -> None:
    data = (begin_of(bars_of("trend"), 100), begin_of(bars_of("range", "NSE:INFY"), 100))
    assert run(spec_of(Cross, *data)).note == "several instruments"


def test_fault_in_the_middle_of_a_trip_is_reported_once_and_leaves_it_open() -> None:
    found = both(spec_of(Breaks, begin_of(bars_of("wild"), 600), **LONG))
    assert found.fault is not None
    assert found.note == "the strategy failed"


@pytest.mark.parametrize("odd", ["memory", "confidence"])
def test_fault_that_only_the_engine_finds_ends_a_run_at_the_same_bar(odd: str) -> None:
    found = both(spec_of(InTurn, begin_of(bars_of("range"), 120), parameters={"odd": odd}, **LONG))
    assert found.fault is not None
    assert len(found.ledger.trades) > 10


def test_strategy_with_a_memory_trades_the_same() -> None:
    class Remembers(InTurn):
        def on_data(self, data: Bar) -> Signal | None:
            if self.count > 40:
                self.memory["count"] = self.count
            return super().on_data(data)

    assert both(spec_of(Remembers, begin_of(bars_of("range"), 120), **LONG)).engine == LEAN


def test_run_whose_capital_is_used_up_is_made_again_by_the_machines() -> None:
    rows = [*flat(100.0, 8), (100.0, 100.0, 80.0, 100.0), *flat(100.0, 3)]
    days = [bars(rows, day=day) for month in (1, 2) for day in (date(2024, month, 5 + n) for n in range(21))]
    spec = spec_of(
        InTurn, joined(*days), parameters={"every": 6}, capital=3_500.0, lots=10, stop=StopPlan.BROKER,
        stop_loss_pct=0.14, **LONG,
    )  # fmt: skip
    found = both(spec)
    assert found.note == "the capital is too small for an entry: it needs ₹1,000"
    assert found.ledger.trades[-1].exit_ns < int(spec.data[0].start_ns[-24]), "the capital is used up"
    assert found.ledger.counts["ORDER_REJECTED"] > 0
    assert any("Insufficient funds" in event.text for event in found.ledger.events), "missing entries are explained"


def joined(*parts: Columns) -> Columns:
    """Columns of the same instrument, one after the other."""
    starts, table = np.concatenate([part.start_ns for part in parts]), np.hstack([part.table for part in parts])
    return build_columns(parts[0].instrument, starts, table, "made")


NEXT = date(2024, 3, 14)


@pytest.mark.parametrize("stop", list(StopPlan))
@pytest.mark.parametrize(
    ("plan", "first"),
    [("2 BUY, 13 EXIT", 100.0), ("2 BUY, 7 EXIT", 100.0), ("2 BUY, 7 EXIT, 8 EXIT, 10 BUY", 100.0), ("2 BUY", 97.0)],
)
def test_position_over_the_night_ends_as_with_the_machines(plan: str, first: float, stop: StopPlan) -> None:
    """An exit after the last bar, one of the next day, a stop that the next open has passed."""
    evening, rows = bars(flat(100.0, 8), at=time(15, 22)), [(first, 100.5, first - 0.5, 100.0), *flat(100.0, 7)]
    data = joined(evening, bars(rows, at=time(9, 15), day=NEXT))
    found = both(spec_of(Script, data, stop=stop, stop_loss_pct=0.01, parameters={"plan": plan}, **LONG))
    assert found.engine == LEAN
    assert found.ledger.fills


def test_run_carried_over_a_night_does_not_trail_by_what_earlier_runs_lost() -> None:
    rules = StrategyRules(trailing=TrailRule(kind=TrailKind.AMOUNT, value=2.0, activation=5.0))
    evening = bars([*flat(100.0, 3), *flat(90.0, 7)], at=time(15, 20))
    data = joined(evening, bars(flat(90.0, 6), at=time(9, 15), day=NEXT))
    limits = msgspec.structs.replace(without_rupee_limits(LIMITS), trailing_stop_enabled=True)
    spec = spec_of(Script, data, rules=rules, limits=limits, parameters={"plan": "0 BUY, 3 EXIT, 5 BUY"}, **LONG)
    found = both(spec)
    assert found.engine == LEAN
    assert [trade.gross for trade in found.ledger.trades] == [-10.0]
    assert len(found.ledger.fills) == 3


def test_reversal_at_the_square_off_is_denied_and_closed() -> None:
    data = bars(flat(100.0, 10), at=time(15, 5))
    found = both(spec_of(Script, data, parameters={"plan": "1 BUY, 6 SELL"}))
    assert found.engine == LEAN
    assert found.ledger.counts == {"RUN_ENDING": 1}
    assert len(found.ledger.trades) == 1


def test_position_that_no_bar_squares_off_ends_at_the_last_price_of_its_day() -> None:
    data = joined(bars(flat(100.0, 5), at=time(14, 0)), bars(flat(90.0, 5), at=time(9, 15), day=NEXT))
    found = both(spec_of(Script, data, parameters={"plan": "1 BUY"}))
    assert found.engine == LEAN
    assert [fill.price for fill in found.ledger.fills] == [100.0, 100.0]


@pytest.mark.parametrize("stop", list(StopPlan))
def test_bars_longer_than_the_lead_are_squared_off_at_the_last_price_in_time(stop: StopPlan) -> None:
    """The exchange takes no intraday order from 15:15 on, when the first bar after 15:12 begins."""
    start = to_ns(date(2024, 3, 13), time(14, 50)) + np.arange(8, dtype=np.int64) * 5 * MINUTE
    table = np.array([[100.0 + n, 100.5 + n, 100.0 + n, 100.5 + n, 1000.0] for n in range(8)]).T.copy()
    spec = spec_of(Script, build_columns(SBIN, start, table, "made"), stop=stop, timeframes=("5m",))
    found = both(replace(spec, run=msgspec.structs.replace(spec.run, parameters={"plan": "1 BUY"})))
    assert found.engine == LEAN
    (trade,) = found.ledger.trades
    assert (trade.exit_price, trade.exit_ns) == (104.5, int(start[5]) - 1)


def test_lots_of_an_index_that_change_while_flat_are_those_of_the_day() -> None:
    parts = [
        bars(flat(100.0, 6), day=day, instrument="NSE_INDEX:NIFTY") for day in (date(2024, 11, 19), date(2025, 2, 3))
    ]
    found = both(spec_of(Script, joined(*parts), parameters={"plan": "1 BUY, 3 EXIT, 7 BUY, 9 EXIT"}))
    assert found.engine == LEAN
    assert len({fill.units for fill in found.ledger.fills}) == 4


class Reader(Cross):
    """Asks for its indicators in every way that there is, also while it hears of fills."""

    def initialize(self) -> None:
        super().initialize()
        self.handle = self.add_indicator("RSI", period=7)
        self.seen: list[tuple[float, ...]] = []

    def read(self) -> None:
        named = [self.get_indicator_value(word) for word in ("fast", "slow", self.handle)]
        again = [self.get_indicator_value(word, 0, SBIN) for word in ("fast", "slow", self.handle)]
        behind = self.get_indicator_value("fast", 1)
        mean = float(self.bars(self.fast).close.mean())
        assert named == again
        assert named[0] == pytest.approx(mean)
        self.seen.append((*named, behind))

    def on_data(self, data: Bar) -> Signal | None:
        self.read()
        return super().on_data(data)


class Hearer(Reader):
    """Hears of fills too."""

    def on_fill(self, fill: Any) -> None:
        self.read()


@pytest.mark.parametrize("kind", [Reader, Hearer])
def test_values_are_those_of_the_bar_at_hand_however_they_are_asked_for(kind: type[Reader]) -> None:
    seen: list[list[tuple[float, ...]]] = []

    class Kept(kind):  # type: ignore[valid-type,misc]
        def on_stop(self) -> None:
            seen.append(self.seen)

    spec = spec_of(Kept, begin_of(bars_of("wild"), 1000), **LONG)
    for given in (spec, replace(spec, lean=False), replace(spec, plain=True)):
        assert run(given).fault is None
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) > 800


def test_back_that_is_no_whole_number_is_a_fault_on_every_way() -> None:
    class Odd(InTurn):
        def on_data(self, data: Bar) -> Signal | None:
            if self.count == 600:
                self.get_indicator_value("fast", None)  # type: ignore[arg-type]
            return super().on_data(data) if self.get_indicator_value("fast") else None

        def initialize(self) -> None:
            super().initialize()
            self.add_indicator("SMA", period=5, name="fast")

    spec = spec_of(Odd, begin_of(bars_of("trend"), 900), **LONG)
    faults = [run(given).fault for given in (spec, replace(spec, plain=True))]
    assert faults[0] is not None
    assert faults[0] == faults[1]


def test_bars_of_columns_are_the_same_one_by_one_and_in_chunks() -> None:
    columns = bars_of("gaps")
    for first, last in ((0, None), (5, 9), (1000, 2100), (7, 7)):
        parts = [(list(rows), list(made)) for rows, made in columns.bars(first, last)]
        rows = [row for some, _ in parts for row in some]
        assert rows == list(range(first, len(columns) if last is None else last))
        assert [bar for _, made in parts for bar in made] == [
            columns.bar(row, int(columns.start_ns[row]) + columns.span_ns) for row in rows
        ]
        assert all(some[-1] // BARS_AT_ONCE == some[0] // BARS_AT_ONCE for some, _ in parts)
