"""The authors' base class: parameters, indicators, bars, positions, signals, and errors on mistakes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from mytrading.core.engine.machine import STARTED
from mytrading.daemons.engine.strategy_files import find_class
from mytrading.messages.enums import Action
from mytrading.messages.orders import TimerFired
from mytrading.messages.run_config import Direction
from mytrading.messages.signals import Signal, StrategyFaulted, StrategyStarted
from mytrading.strategies import BaseStrategy, Indicator, ParameterError, StrategyError
from mytrading.strategies.parameters import declared_parameters, resolve_parameters
from tests.kit.engine_bench import (
    NIFTY,
    OPEN,
    SBIN,
    drive,
    make_bar,
    make_bars,
    make_machine,
    make_run,
    random_walk,
    step,
)


class CustomStrategy(BaseStrategy):
    def initialize(self):
        self.add_indicator("SMA", period=20)
        self.add_indicator("RSI", period=14)

    def on_data(self, data):
        sma = self.get_indicator_value("SMA")
        rsi = self.get_indicator_value("RSI")

        if rsi < 30 and data.close > sma:
            return self.create_signal("BUY", confidence=0.8)
        if rsi < 45:
            return self.create_signal("BUY", confidence=0.5)
        return None


def faults(strategy, *bars, **run):
    """The faults of a strategy that is started and given bars."""
    machine = make_machine(strategy, make_run(**run))
    rows = step(machine, TimerFired(name=STARTED, machine_ns=0), OPEN)
    for bar in bars:
        rows += step(machine, bar)
    return [row for row in rows if isinstance(row, StrategyFaulted)]


def test_strategy_of_the_readme_runs_unmodified_and_confidence_filters():
    closes = random_walk(200)
    machine = make_machine(CustomStrategy)
    found = drive(machine, make_bars(closes))
    assert found
    assert machine.fault_count == 0
    assert found[0][1].confidence == 0.5
    strict = make_machine(CustomStrategy, make_run(min_confidence=0.6))
    assert all(signal.confidence >= 0.6 for _, signal in drive(strict, make_bars(closes)))


def test_on_data_is_called_first_when_every_indicator_has_a_value():
    calls = []

    class Watcher(BaseStrategy):
        def initialize(self):
            self.add_indicator("EMA", period=5)
            self.add_indicator("RSI", period=9)

        def on_data(self, data):
            calls.append(data.close)

    drive(make_machine(Watcher), make_bars(range(100, 120)))
    assert calls == [float(k) for k in range(109, 120)]


class Parametered(BaseStrategy):
    name = "My_Params"
    LIMIT: ClassVar[int] = 9
    period: int = 10
    factor: float = 1.5
    label = "x"
    active: bool = True
    _hidden = 3


def test_parameters_are_the_public_class_attributes():
    assert declared_parameters(Parametered, BaseStrategy) == {"period": 10, "factor": 1.5, "label": "x", "active": True}


def test_parameters_from_text_take_the_declared_type():
    given = {"PERIOD": "12", "factor": 2, "active": "off", "label": 5}
    assert resolve_parameters(Parametered, BaseStrategy, given) == {
        "period": 12,
        "factor": 2.0,
        "label": "5",
        "active": False,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"perod": 3}, "Parametered has no parameter perod; did you mean period?"),
        ({"zzz": 3}, "there is active, factor, label, period"),
        ({"period": "2.5"}, "Parametered.period must be a whole number, say 10; found '2.5'"),
        ({"period": True}, "must be a whole number"),
        ({"factor": "nan"}, "must be a number, say 1.5"),
        ({"active": "maybe"}, "must be true or false"),
        ({"limit": 3}, "has no parameter limit"),
    ],
)
def test_parameters_wrong_are_refused_with_what_is_right(given, message):
    with pytest.raises(ParameterError, match=message.replace("?", r"\?").replace(".", r"\.")):
        resolve_parameters(Parametered, BaseStrategy, given)


def test_parameter_unknown_in_a_run_faults_the_strategy_alone():
    (fault,) = faults(Parametered, parameters={"perod": 3})
    assert "did you mean period?" in fault.error


def test_started_row_names_the_parameters_in_force():
    machine = make_machine(Parametered, make_run(parameters={"period": "12"}))
    (row,) = step(machine, TimerFired(name=STARTED, machine_ns=0), OPEN)
    assert isinstance(row, StrategyStarted)
    assert (row.parameters["period"], row.watches) == (12, (SBIN,))


def test_catalogue_matches_names_without_case_and_underscores():
    classes = [Parametered, CustomStrategy]
    assert find_class(classes, "MYPARAMS") is Parametered
    assert find_class(classes, "custom_strategy") is CustomStrategy
    with pytest.raises(StrategyError, match=r"no strategy is called MyParms; did you mean My_Params\?"):
        find_class(classes, "MyParms")


def test_catalogue_two_of_one_name_are_refused():
    twin = type("my_params", (BaseStrategy,), {})
    with pytest.raises(StrategyError, match="both define a strategy called My_Params"):
        find_class([Parametered, twin], "My_Params")


def mistake(body, at="on_data"):
    """A strategy whose `at` does `body(self)`."""
    return type("Mistaken", (BaseStrategy,), {at: lambda self, *data: body(self)})


def two_averages(self):
    self.add_indicator("SMA", period=5)
    self.add_indicator("SMA", period=9)


@pytest.mark.parametrize(
    ("body", "at", "message"),
    [
        (
            lambda s: s.create_signal("BYE"),
            "on_data",
            "expected BUY, SELL, EXIT, WITHDRAW or HOLD, found 'BYE'; did you mean BUY?",
        ),
        (lambda s: s.create_signal("BUY", confidence=80), "on_data", "confidence must lie in 0 to 1, found 80"),
        (lambda s: s.create_signal("BUY", confidence="high"), "on_data", "must be a number from 0 to 1"),
        (lambda s: s.create_signal("BUY", stop_price=1e9), "on_data", "the stop of a BUY must lie below the price"),
        (lambda s: s.create_signal("SELL", stop_price=0.05), "on_data", "the stop of a SELL must lie above the price"),
        (lambda s: s.create_signal("BUY", stop_price=-1), "on_data", "stop_price must be above 0"),
        (lambda s: s.create_signal("BUY", stop_price="98"), "on_data", "stop_price must be a price, found '98'"),
        (lambda s: s.create_signal("BUY", instrument="NSE:SBI"), "on_data", "not watched; did you mean NSE:SBIN?"),
        (lambda s: "BUY", "on_data", "on_data returned 'BUY': expected what self.create_signal(...) returns, or None"),
        (lambda s: 42, "generate_signals", "generate_signals returned 42"),
        (lambda s: 1 / 0, "on_data", "ZeroDivisionError: division by zero"),
        (lambda s: exit(1), "on_data", "SystemExit: 1"),
        (lambda s: s.get_indicator_value("SMA"), "on_data", "no indicator 'SMA'; there are none; add_indicator()"),
        (lambda s: s.add_indicator("SMMA"), "initialize", "no indicator 'SMMA'; did you mean"),
        (lambda s: s.add_indicator("SMA", perod=3), "initialize", "SMA has no parameter perod; did you mean period?"),
        (lambda s: s.add_indicator("SMA", period=1), "initialize", "period must be a whole number from 2 to 10000: 1"),
        (
            lambda s: s.add_indicator("RSI", period=20_000),
            "initialize",
            "period must be a whole number from 2 to 10000",
        ),
        (lambda s: s.add_indicator("SMA", period=5, timeframe="5m"), "initialize", "timeframe 5m is not kept"),
        (lambda s: s.add_indicator("SMA", period=5), "on_data", "call it in initialize()"),
        (lambda s: s.bars(3), "initialize", "there are no bars yet in initialize()"),
        (lambda s: s.position_of("NSE:INFY"), "on_data", "NSE:INFY is not watched"),
    ],
)
def test_mistake_faults_with_a_message_and_this_file(body, at, message):
    (fault,) = faults(mistake(body, at), make_bar(0, 100.0))
    assert message in fault.error
    assert fault.where.startswith("engine/test_base_strategy.py:")
    assert int(fault.where.rpartition(":")[2]) > 0


def test_indicators_of_one_kind_are_distinguished_by_period():
    class Two(BaseStrategy):
        seen: ClassVar[list[tuple[float, float]]] = []
        initialize = two_averages

        def on_data(self, data):
            self.seen.append((self.get_indicator_value("SMA_5"), self.get_indicator_value("sma_9")))
            return self.get_indicator_value("SMA")

    machine = make_machine(Two)
    rows = [row for bar in make_bars(range(100, 110)) for row in step(machine, bar)]
    assert Two.seen == [(106.0, 104.0)]
    assert "SMA is ambiguous: ask for SMA_5 or SMA_9" in rows[0].error


def test_indicator_of_the_authors_own_is_found_by_name():
    def midpoint(high, low, period):
        out = np.full(len(high), np.nan)
        for k in range(period - 1, len(high)):
            out[k] = (high[k - period + 1 : k + 1].max() + low[k - period + 1 : k + 1].min()) / 2
        return out

    class Mine(BaseStrategy):
        indicators = (Indicator("MIDPOINT", midpoint, lambda period: period - 1, ("high", "low"), {"period": 3}),)
        seen: ClassVar[list[float]] = []

        def initialize(self):
            self.middle = self.add_indicator("midpoint", period=4)

        def on_data(self, data):
            self.seen.append(self.get_indicator_value(self.middle))

    drive(make_machine(Mine), make_bars([10, 20, 30, 40, 50]))
    assert Mine.seen == [25.0, 35.0]


def test_indicator_kernel_of_wrong_length_faults():
    class Short(BaseStrategy):
        indicators = (Indicator("SHORT", lambda close: close[1:], lambda: 0),)

        def initialize(self):
            self.add_indicator("SHORT")

    (fault,) = faults(Short, make_bar(0, 100.0))
    assert "one value per bar" in fault.error


def test_bars_are_the_newest_completed_ones_and_read_only():
    class Reader(BaseStrategy):
        seen: ClassVar[list[object]] = []

        def on_data(self, data):
            self.seen.append(self.bars(3).close.tolist())
            self.bars(1).close[0] = 1.0

    machine = make_machine(Reader, history=make_bars([1, 2, 3]))
    assert machine.fault_count == 1
    assert Reader.seen == [[1.0]]


def test_generate_signals_runs_once_per_time_after_all_instruments():
    class Ranker(BaseStrategy):
        calls: ClassVar[list[tuple[str, ...]]] = []
        seen: ClassVar[list[str]] = []

        def on_data(self, data):
            self.seen.append(data.instrument)

        def generate_signals(self):
            self.calls.append(tuple(self.seen))
            self.seen.clear()
            best = max(self.instruments, key=lambda item: self.bars(1, item).close[-1])
            return [self.create_signal("BUY", instrument=best), None]

    machine = make_machine(Ranker, make_run(symbols=(SBIN, NIFTY)))
    bars = [make_bar(0, 5.0), make_bar(0, 9.0, NIFTY), make_bar(1, 5.0), make_bar(2, 5.0), make_bar(2, 4.0, NIFTY)]
    found = [(bar, row.watch) for bar in bars for row in step(machine, bar) if isinstance(row, Signal)]
    assert Ranker.calls == [(SBIN, NIFTY), (SBIN,), (SBIN, NIFTY)]
    assert found == [(bars[1], NIFTY), (bars[3], NIFTY), (bars[4], SBIN)]


def test_hold_and_none_say_nothing():
    machine = make_machine(mistake(lambda s: s.create_signal("HOLD")))
    assert step(machine, make_bar(0, 100.0)) == ()
    assert machine.fault_count == 0


def test_short_direction_turns_a_buy_into_flat():
    machine = make_machine(mistake(lambda s: s.create_signal("SELL")), make_run(direction=Direction.SHORT))
    (sold,) = step(machine, make_bar(0, 100.0))
    assert (sold.action, sold.legs[0].lots) == (Action.SELL, -1)
    machine = make_machine(mistake(lambda s: s.create_signal("BUY")), make_run(direction=Direction.SHORT))
    assert step(machine, make_bar(0, 100.0)) == ()
