"""Which runs have trips that need no machine, and that those runs do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest

from mytrading.backtest.data.columns import BARS_AT_ONCE, build_columns
from mytrading.backtest.engine.assumptions import Models, VolumeCap
from mytrading.backtest.engine.fast_path import Trips
from mytrading.backtest.run import run
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.run_config import Direction, StopPlan
from mytrading.strategies import Bar, BaseStrategy, Signal
from tests.kit.backtest_specs import LIMITS, SBIN, Cross, bars, bars_of, begin_of, fees, flat, spec_of

LONG: dict[str, Any] = {"direction": Direction.LONG, "product": Product.CNC, "short": None}


class Listener(Cross):
    """Hears of its fills."""

    def on_fill(self, fill: Any) -> None:
        self.heard = fill


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


@pytest.mark.parametrize(
    "given",
    [
        LONG,
        {**LONG, "stop": StopPlan.BROKER, "stop_loss_pct": 0.03},
        {**LONG, "product": Product.MIS},
        {**LONG, "product": Product.MIS, "stop": StopPlan.BROKER, "stop_loss_pct": 0.03, "lots": 3},
    ],
)
def test_long_trips_need_no_machine_after_the_first_and_come_out_as_theirs(given: dict[str, Any]) -> None:
    spec = spec_of(Cross, begin_of(bars_of("wild"), 900), fees=fees(), **given)
    quickly, slowly = run(spec), run(replace(spec, quick=False))
    assert (quickly.ledger.fills, quickly.ledger.trades) == (slowly.ledger.fills, slowly.ledger.trades)
    assert (quickly.ledger.events, quickly.ledger.counts) == (slowly.ledger.events, slowly.ledger.counts)
    assert slowly.quick == 0
    assert len(quickly.ledger.trades) // 2 < quickly.quick < len(quickly.ledger.trades)


@pytest.mark.parametrize(
    ("strategy", "given"),
    [
        (Cross, {**LONG, "direction": Direction.BOTH, "product": Product.MIS, "short": spec_of(
            Cross, bars(flat(100.0, 3))).run.short}),
        (Cross, {**LONG, "stop": StopPlan.ENGINE}),
        (Cross, {**LONG, "stop": StopPlan.BROKER, "stop_loss_pct": 0.3}),
        (Cross, {**LONG, "signal_cooldown": 60.0}),
        (Cross, {**LONG, "intraday": True}),
        (Cross, {**LONG, "rules": StrategyRules(max_loss=100.0)}),
        (Cross, {**LONG, "models": Models(at_close=True)}),
        (Cross, {**LONG, "models": Models(latency_ns=1)}),
        (Cross, {**LONG, "models": Models(volume=VolumeCap(0.5))}),
        (Cross, {**LONG, "limits": LIMITS}),
        (Cross, {**LONG, "timeframes": ("5m",)}),
        (Listener, LONG),
    ],
)  # fmt: skip
def test_machines_make_every_trip_where_more_can_follow(strategy: Any, given: dict[str, Any]) -> None:
    assert run(spec_of(strategy, begin_of(bars_of("wild"), 400), **given)).quick == 0


def test_index_and_a_run_with_counted_entries_have_no_quick_trips() -> None:
    index = begin_of(bars_of("wild", "NSE_INDEX:NIFTY"), 300)
    assert run(spec_of(Cross, index, **{**LONG, "product": Product.MIS})).quick == 0
    spec = spec_of(Cross, begin_of(bars_of("wild"), 300), **LONG)
    counted = msgspec.structs.replace(spec.limits, max_entries_per_session=3)
    assert run(replace(spec, limits=counted)).quick == 0 < run(spec).quick


def test_fault_in_the_middle_of_a_trip_is_told_once_and_leaves_it_open() -> None:
    spec = spec_of(Breaks, begin_of(bars_of("wild"), 600), **LONG)
    quickly, slowly = run(spec), run(replace(spec, quick=False))
    assert quickly.fault is not None
    assert quickly.fault == slowly.fault
    assert quickly.ledger.fills == slowly.ledger.fills
    assert quickly.ledger.events == slowly.ledger.events


@pytest.mark.parametrize("odd", ["memory", "confidence"])
def test_fault_that_only_the_engine_finds_ends_a_quick_run_at_the_same_bar(odd: str) -> None:
    spec = spec_of(InTurn, begin_of(bars_of("range"), 120), parameters={"odd": odd}, **LONG)
    quickly, slowly = run(spec), run(replace(spec, quick=False))
    assert quickly.quick > 10
    assert quickly.fault is not None
    assert quickly.fault == slowly.fault
    assert quickly.ledger.fills == slowly.ledger.fills
    assert quickly.ledger.events == slowly.ledger.events


def test_strategy_with_a_memory_trades_the_same_by_the_machines() -> None:
    class Remembers(InTurn):
        def on_data(self, data: Bar) -> Signal | None:
            if self.count > 40:
                self.memory["count"] = self.count
            return super().on_data(data)

    spec = spec_of(Remembers, begin_of(bars_of("range"), 120), **LONG)
    quickly, slowly = run(spec), run(replace(spec, quick=False))
    assert 0 < quickly.quick < len(slowly.ledger.trades) // 2
    assert quickly.ledger.trades == slowly.ledger.trades


def test_capital_that_stops_have_eaten_refuses_entries_on_the_quick_way_too() -> None:
    rows = [*flat(100.0, 8), (100.0, 100.0, 80.0, 100.0), *flat(100.0, 3)]
    days = [bars(rows, day=day) for month in (1, 2) for day in (date(2024, month, 5 + n) for n in range(21))]
    starts, table = np.concatenate([part.start_ns for part in days]), np.hstack([part.table for part in days])
    spec = spec_of(
        InTurn, build_columns(days[0].instrument, starts, table, "made"), parameters={"every": 6}, capital=3_500.0,
        lots=10, stop=StopPlan.BROKER, stop_loss_pct=0.14, **LONG,
    )  # fmt: skip
    quickly, slowly = run(spec), run(replace(spec, quick=False))
    assert 0 < quickly.quick < len(slowly.ledger.trades)
    assert slowly.ledger.trades[-1].exit_ns < int(spec.data[0].start_ns[-24]), "the capital is used up"
    assert quickly.ledger.fills == slowly.ledger.fills
    assert quickly.ledger.events == slowly.ledger.events


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
    for given in (spec, replace(spec, quick=False), replace(spec, plain=True)):
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


def test_machines_are_asked_whether_they_rest_only_after_something_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    rests = Trips._is_at_rest
    monkeypatch.setattr(Trips, "_is_at_rest", lambda self: asked.append(rests(self)) or asked[-1])
    asked_proven: list[bool] = []
    proven = Trips._is_proven
    monkeypatch.setattr(Trips, "_is_proven", lambda self: asked_proven.append(proven(self)) or asked_proven[-1])

    class Late(InTurn):
        def on_data(self, data: Bar) -> Signal | None:
            return super().on_data(data) if data.start_ns > late else None

    columns = begin_of(bars_of("trend"), 900)
    late = int(columns.start_ns[700])
    assert run(spec_of(Late, columns, **LONG)).quick > 10
    assert len(asked) + len(asked_proven) < 100


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
