"""The authors' API beside plain signals: hints, withdrawals, timers, memory, indicators of one instrument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mytrading.core.engine.machine import STARTED, TIME, EngineMachine
from mytrading.core.engine.position_views import PendingEntries
from mytrading.core.indicators import Indicator
from mytrading.messages.enums import Action, OrderState, OrderType, Product
from mytrading.messages.journal_rows import StrategyMemory
from mytrading.messages.orders import TimerFired
from mytrading.messages.signals import Leg, Signal, StrategyFaulted
from mytrading.strategies import Bar, BaseStrategy, StrategySignal
from tests.kit.engine_bench import (
    BUY_CALL,
    MINUTE,
    NIFTY,
    OPEN,
    SBIN,
    make_bar,
    make_bars,
    make_machine,
    make_run,
    moved,
    order_event,
    step,
)

INFY = "NSE:INFY"


def wanting(signal: Callable[[BaseStrategy], StrategySignal | None]) -> type[BaseStrategy]:
    class Wanting(BaseStrategy):
        def on_data(self, data: Bar) -> StrategySignal | None:
            return signal(self)

    return Wanting


def signals(rows: tuple[Any, ...]) -> list[Signal]:
    return [row for row in rows if isinstance(row, Signal)]


def fault_of(strategy: type[BaseStrategy], *runs: Any) -> str:
    machine = make_machine(strategy, *runs)
    rows = (*step(machine, make_bar(0, 100.0)), *step(machine, TimerFired(name=STARTED, machine_ns=0), OPEN))
    (fault,) = (row for row in rows if isinstance(row, StrategyFaulted))
    assert "test_author_api.py:" in fault.where
    return fault.error


# hints


@pytest.mark.parametrize(
    ("action", "hints", "leg"),
    [
        ("BUY", {"limit_price": 99.0}, Leg(instrument=SBIN, lots=1, order_type=OrderType.LIMIT, limit_price=99.0)),
        (
            "SELL",
            {"trigger_price": 98.0, "buffer": 3, "stop_price": 105.0, "stop_buffer": 2.0, "lots": 4},
            Leg(instrument=SBIN, lots=-4, order_type=OrderType.SL, trigger_price=98.0, limit_price=95.0,
                stop_price=105.0, stop_buffer=2.0),
        ),
        (
            "BUY",
            {"trigger_price": 102.0, "limit_price": 102.5, "target_price": 110.0, "valid_seconds": 300},
            Leg(instrument=SBIN, lots=1, order_type=OrderType.SL, trigger_price=102.0, limit_price=102.5,
                target_price=110.0, valid_seconds=300.0),
        ),
    ],
)  # fmt: skip
def test_hints_become_the_terms_of_the_leg(action: str, hints: dict[str, Any], leg: Leg) -> None:
    machine = make_machine(wanting(lambda s: s.create_signal(action, **hints)))
    (signal,) = signals(step(machine, make_bar(0, 100.0)))
    assert signal.legs == (leg,)


def test_product_of_a_signal_beats_the_configured_one() -> None:
    machine = make_machine(wanting(lambda s: s.create_signal("BUY", product="cnc")))
    (signal,) = signals(step(machine, make_bar(0, 100.0)))
    assert signal.product is Product.CNC


@pytest.mark.parametrize(
    ("action", "hints", "said"),
    [
        ("SHORT", {}, "expected BUY, SELL, EXIT, WITHDRAW or HOLD, found 'SHORT'; did you mean SELL?"),
        ("BUYY", {}, "found 'BUYY'; did you mean BUY?"),
        ("BUY", {"limit": 99.0}, "no hint 'limit'; did you mean limit_price?"),
        ("EXIT", {"limit_price": 99.0}, "limit_price belong to an entry, BUY or SELL; found EXIT"),
        ("BUY", {"buffer": 3.0}, "give trigger_price too"),
        ("BUY", {"trigger_price": 102.0}, "give buffer=3, say"),
        ("BUY", {"trigger_price": 102.0, "limit_price": 101.0}, "must lie at or above its trigger 102, found 101"),
        ("SELL", {"trigger_price": 2.0, "buffer": 3.0}, "must lie at or below its trigger 2, found -1"),
        ("BUY", {"trigger_price": 9.0, "limit_price": 9.0, "buffer": 1.0}, "found both"),
        ("BUY", {"target_price": 99.0}, "the target of a BUY must lie above the price 100, found 99"),
        ("SELL", {"target_price": 101.0}, "the target of a SELL must lie below the price 100, found 101"),
        ("BUY", {"lots": 1.5}, "lots must be a whole number"),
        ("BUY", {"limit_price": "99"}, "limit_price must be a number of rupees above 0, found '99'"),
        ("BUY", {"valid_seconds": -1}, "valid_seconds must be a number of seconds"),
        ("BUY", {"product": "BO"}, "product must be MIS, NRML or CNC, found 'BO'"),
        ("SELL", {"trigger_price": 98.0, "buffer": 1, "stop_price": 97.0}, "must lie above the price 98, found 97"),
        ("BUY", {"lots": 2, "legs": [Leg(instrument=SBIN, lots=1)]}, "legs have terms of their own"),
    ],
)
def test_hint_that_can_mean_nothing_is_refused_where_it_stands(action: str, hints: dict[str, Any], said: str) -> None:
    assert said in fault_of(wanting(lambda s: s.create_signal(action, **hints)))


def test_prices_of_the_index_are_no_prices_of_the_option_that_is_bought() -> None:
    run = make_run(symbols=(NIFTY,), long=BUY_CALL)
    machine = make_machine(wanting(lambda s: s.create_signal("BUY", limit_price=25_990.0)), run)
    assert signals(step(machine, make_bar(0, 26_000.0, NIFTY))) == []
    assert "the prices of the signal are levels of NSE_INDEX:NIFTY" in next(iter(machine.problems.values()))


def test_other_terms_replace_the_entry_and_equal_ones_say_nothing() -> None:
    prices = iter((99.0, 99.0, 98.0, 98.0))
    machine = make_machine(wanting(lambda s: s.create_signal("BUY", limit_price=next(prices))))
    (first,) = signals(step(machine, make_bar(0, 100.0)))
    step(machine, order_event(first, OrderState.ACCEPTED))
    assert signals(step(machine, make_bar(1, 100.0))) == []
    (second,) = signals(step(machine, make_bar(2, 100.0)))
    assert second.legs[0].limit_price == 98.0
    step(machine, moved("Sample", SBIN, 1))
    assert signals(step(machine, make_bar(3, 100.0))) == []


# what is on its way


class Patient(BaseStrategy):
    """Rests an entry on its first bar, and takes it back on the fourth."""

    def initialize(self) -> None:
        self.seen: list[Any] = []

    def on_data(self, data: Bar) -> StrategySignal | None:
        self.seen.append(self.pending)
        if len(self.seen) == 1:
            return self.create_signal("BUY", limit_price=99.0)
        return self.create_signal("WITHDRAW") if len(self.seen) == 4 else None


def test_entry_is_pending_from_the_signal_until_its_order_has_ended() -> None:
    machine = make_machine(Patient)
    (signal,) = signals(step(machine, make_bar(0, 100.0)))
    step(machine, order_event(signal, OrderState.SUBMITTED))
    step(machine, make_bar(1, 100.0))
    step(machine, order_event(signal, OrderState.ACCEPTED))
    step(machine, make_bar(2, 100.0))
    (withdrawn,) = signals(step(machine, make_bar(3, 100.0)))
    assert (withdrawn.action, withdrawn.keeps, withdrawn.legs) == (Action.EXIT, True, ())
    step(machine, make_bar(4, 100.0))
    step(machine, order_event(signal, OrderState.CANCELLED))
    step(machine, make_bar(5, 100.0))
    seen = machine.hosts[0].strategy.seen  # type: ignore[attr-defined]
    assert [None if view is None else (view.units, view.rests) for view in seen] == [
        None, (1, False), (1, True), (1, True), (1, True), None,
    ]  # fmt: skip


def test_withdrawal_says_nothing_where_nothing_is_on_its_way_and_leaves_the_position() -> None:
    machine = make_machine(wanting(lambda s: s.create_signal("WITHDRAW")))
    step(machine, moved("Sample", SBIN, 1))
    assert signals(step(machine, make_bar(0, 100.0))) == []


def test_signal_nobody_ordered_is_pending_no_longer_than_it_is_valid() -> None:
    book = PendingEntries()
    machine = make_machine(wanting(lambda s: s.create_signal("BUY")))
    (signal,) = signals(step(machine, make_bar(0, 100.0)))
    book.apply_signal(signal)
    view = book.entry_view("Sample", SBIN, signal.expires_ns - 1)
    assert view is not None
    assert (view.lots, view.units, view.rests) == (1, 0, False)
    assert book.entry_view("Sample", SBIN, signal.expires_ns) is None


# indicators


def test_indicator_of_one_instrument_is_read_from_any_and_refused_for_others() -> None:
    class Beta(BaseStrategy):
        def initialize(self) -> None:
            self.add_indicator("SMA", period=2, instrument=NIFTY, name="market")
            self.seen: list[tuple[str, float]] = []

        def on_data(self, data: Bar) -> None:
            self.seen.append((data.instrument, self.get_indicator_value("market")))
            if len(self.seen) == 3:
                self.get_indicator_value("market", instrument=SBIN)

    machine = make_machine(Beta, make_run(symbols=(NIFTY, SBIN)))
    for k, level in enumerate((10.0, 20.0, 30.0)):
        step(machine, make_bar(k, level, NIFTY))
        step(machine, make_bar(k, 500.0, SBIN))
    host = machine.hosts[0]
    assert host.strategy.seen == [(NIFTY, 15.0), (SBIN, 15.0), (NIFTY, 25.0)]  # type: ignore[attr-defined]
    assert host.fault is not None
    assert host.fault.error == f"indicator market was added for {NIFTY} alone, not for {SBIN}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda s: s.add_indicator("SMA", instrument="NSE:SBN"), "NSE:SBN is not watched; did you mean NSE:SBIN?"),
        (lambda s: s.add_indicator("SMA", source="closing"), "no column 'closing'; did you mean close?"),
        (
            lambda s: [s.add_indicator("SUPERTREND.line", multiplier=m) for m in (2.0, 3.0)],
            "there is another SUPERTREND.line_7; give each of them a name=",
        ),
    ],
)
def test_wrong_indicator_is_refused_with_what_there_is(body: Callable[[BaseStrategy], object], said: str) -> None:
    class Wrong(BaseStrategy):
        def initialize(self) -> None:
            body(self)

    assert said in fault_of(Wrong)


def counting(calls: list[int]) -> Indicator:
    def kernel(close: Any, period: int) -> Any:
        calls.append(len(close))
        return np.convolve(close, np.ones(int(period)), "full")[: len(close)]

    return Indicator("SUMMED", kernel, lambda period: int(period) - 1, ("close",), {"period": 3})


def test_equal_indicators_of_several_strategies_are_computed_once_a_bar() -> None:
    calls: list[int] = []
    summed = counting(calls)

    class Reader(BaseStrategy):
        indicators = (summed,)
        period: int = 3

        def initialize(self) -> None:
            self.add_indicator("SUMMED", period=self.period)
            self.seen: list[float] = []

        def on_data(self, data: Bar) -> None:
            self.seen.append(self.get_indicator_value("SUMMED"))

    names = [f"S{n}" for n in range(6)]
    runs = [make_run(name, parameters={"period": 4} if name == "S5" else {}) for name in names]
    machine = make_machine(dict.fromkeys(names, Reader), *runs, history=make_bars([1.0] * 20))
    assert calls == [20, 20]
    for k in range(3):
        step(machine, make_bar(20 + k, 2.0))
    assert calls == [20, 20, 21, 21, 22, 22, 23, 23]
    first, *others, odd = (host.strategy.seen for host in machine.hosts)  # type: ignore[attr-defined]
    assert all(seen == first for seen in others)
    assert odd != first


# time


class Alarm(BaseStrategy):
    """Sets a timer on its first bar; buys when that rings, leaves at 09:20."""

    def initialize(self) -> None:
        self.rang: list[tuple[str, int]] = []

    def on_data(self, data: Bar) -> None:
        if not self.rang and "soon" not in self._workspace.timers:
            self.set_timer("soon", 90)
            self.set_timer("end", at="09:20")

    def on_timer(self, name: str) -> StrategySignal:
        self.rang.append((name, (self.now_ns - OPEN) // 1_000_000_000))
        return self.create_signal("BUY" if name == "soon" else "EXIT", reason=name)


def tell_time(machine: EngineMachine, seconds: int) -> list[Signal]:
    now = OPEN + seconds * 1_000_000_000
    return signals(step(machine, TimerFired(name=TIME, machine_ns=now, market_ns=now), now))


def test_timer_rings_between_bars_once_and_its_signal_goes_out() -> None:
    machine = make_machine(Alarm)
    step(machine, make_bar(0, 100.0))
    assert machine.next_timer_ns() == OPEN + 150 * 1_000_000_000
    assert tell_time(machine, 149) == []
    (signal,) = tell_time(machine, 151)
    assert (signal.action, signal.reason, signal.price) == (Action.BUY, "soon", 100.0)
    step(machine, moved("Sample", SBIN, 1))
    assert tell_time(machine, 200) == []
    (leaving,) = tell_time(machine, 301)
    assert leaving.action is Action.EXIT
    assert machine.hosts[0].strategy.rang == [("soon", 150), ("end", 300)]  # type: ignore[attr-defined]
    assert machine.next_timer_ns() == 0


def test_timer_rings_with_the_next_bar_where_no_clock_runs_and_again_after_a_restart() -> None:
    bars = make_bars([100.0] * 6)
    walked = make_machine(Alarm, history=bars[:3])
    assert walked.hosts[0].strategy.rang == [("soon", 150)]  # type: ignore[attr-defined]
    found = [signal for bar in bars[3:] for signal in signals(step(walked, bar))]
    assert found == []  # what the walk through history wanted is dropped, and EXIT says nothing while flat
    assert walked.hosts[0].strategy.rang == [("soon", 150), ("end", 300)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "expected seconds, say 30, or at"),
        ({"seconds": 5, "at": "10:00"}, "found 5 and '10:00'"),
        ({"at": "25:00"}, "at must be a time in India like 15:10"),
        ({"seconds": -1}, "seconds must be a number above 0, found -1"),
    ],
)
def test_timer_without_a_time_is_refused(given: dict[str, Any], said: str) -> None:
    assert said in fault_of(wanting(lambda s: s.set_timer("x", **given)))


class Ranking(BaseStrategy):
    def initialize(self) -> None:
        self.slices: list[int] = []

    def generate_signals(self) -> StrategySignal | None:
        self.slices.append((self.now_ns - OPEN) // MINUTE)
        return self.create_signal("BUY", instrument=SBIN)


def test_slice_ends_by_the_clock_where_an_instrument_does_not_trade() -> None:
    machine = make_machine(Ranking, make_run(symbols=(SBIN, NIFTY)))
    step(machine, make_bar(0, 100.0))
    assert machine.next_timer_ns() == OPEN + MINUTE
    assert tell_time(machine, 61) == []
    (signal,) = tell_time(machine, 62)
    assert signal.watch == SBIN
    assert machine.hosts[0].strategy.slices == [1]  # type: ignore[attr-defined]


# memory


class Counting(BaseStrategy):
    """Counts its fills, and bars in which it did so."""

    def initialize(self) -> None:
        self.before = -1

    def on_start(self) -> None:
        self.before = self.memory.get("fills", 0)

    def on_data(self, data: Bar) -> None:
        self.memory["bars"] = self.memory.get("bars", 0) + 1

    def on_fill(self, fill: Any) -> None:
        self.memory["fills"] = self.memory.get("fills", 0) + 1
        self.memory["levels"] = [1.5, {"at": "10:00", "on": True, "of": None}]


def memories(rows: tuple[Any, ...]) -> list[str]:
    return [row.text for row in rows if isinstance(row, StrategyMemory)]


def test_memory_is_journaled_when_it_changes_and_back_after_a_restart() -> None:
    machine = make_machine(Counting)
    assert memories(step(machine, make_bar(0, 100.0))) == ['{"bars":1}']
    rows = step(machine, moved("Sample", SBIN, 1))
    assert memories(rows) == ['{"bars":1,"fills":1,"levels":[1.5,{"at":"10:00","on":true,"of":null}]}']
    assert memories(step(machine, moved("Sample", SBIN, 1, fill=0))) == []

    again = make_machine(Counting)
    for row in rows:
        again.apply(row)
    again.rebuild()
    again.open(make_bars([100.0]))
    strategy = again.hosts[0].strategy
    assert strategy.before == 1  # type: ignore[attr-defined]
    assert strategy.memory == {"bars": 1, "fills": 1, "levels": [1.5, {"at": "10:00", "on": True, "of": None}]}
    assert memories(step(again, make_bar(1, 100.0)))[0].startswith('{"bars":2')


def test_memory_is_carried_into_a_new_day() -> None:
    machine = make_machine(Counting)
    step(machine, make_bar(0, 100.0))
    carried = machine.snapshot("2025-12-02")
    for row in carried:
        machine.apply(row)
    assert memories(machine.snapshot("2025-12-03")) == ['{"bars":1}']


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "memory['x']: found object; expected numbers, texts"),
        ({1: 2}, "memory['x']: names must be texts, found 1"),
        ([float("nan")], "memory['x'][0]: nan cannot be kept; use None"),
        ("y" * 70_000, "at most 65,536 may be kept"),
    ],
)
def test_memory_that_cannot_come_back_equal_is_refused(value: Any, said: str) -> None:
    class Keeping(BaseStrategy):
        def on_data(self, data: Bar) -> None:
            self.memory["x"] = value

    machine = make_machine(Keeping)
    rows = step(machine, make_bar(0, 100.0))
    (fault,) = (row for row in rows if isinstance(row, StrategyFaulted))
    assert said in fault.error


def test_numbers_of_numpy_are_kept_as_numbers() -> None:
    class Keeping(BaseStrategy):
        def on_data(self, data: Bar) -> None:
            self.memory["last"] = self.bars(1).close[0]

    assert memories(step(make_machine(Keeping), make_bar(0, 100.5))) == ['{"last":100.5}']
