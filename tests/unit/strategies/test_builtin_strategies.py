"""The two shipped strategies against an independent recomputation of their rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mytrading.core.engine.machine import STARTED
from mytrading.messages.enums import Action
from mytrading.messages.orders import TimerFired
from mytrading.messages.run_config import Direction
from mytrading.messages.signals import StrategyFaulted
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import BaseStrategy
from tests.kit.engine_bench import OPEN, drive, make_bars, make_machine, make_run, random_walk, step

FOLDER = Path(__file__).parents[3] / "strategies"


def load(name: str) -> type[BaseStrategy]:
    loaded = load_file(FOLDER / f"{name}.py", BaseStrategy)
    assert loaded.fault is None
    (found,) = loaded.classes
    return found


def averages(closes: list[float], period: int) -> list[float | None]:
    return [None if k + 1 < period else sum(closes[k + 1 - period : k + 1]) / period for k in range(len(closes))]


def crossings(closes: list[float], fast: int, slow: int) -> list[tuple[int, str]]:
    found = []
    a, b = averages(closes, fast), averages(closes, slow)
    for k in range(1, len(closes)):
        if b[k - 1] is None:
            continue
        before, now = a[k - 1] - b[k - 1], a[k] - b[k]
        if before <= 1e-9 and now > 1e-9:
            found.append((k, "BUY"))
        if before >= -1e-9 and now < -1e-9:
            found.append((k, "SELL"))
    return found


def wilder(closes: list[float], period: int) -> list[float | None]:
    changes = np.diff(closes)
    gain, loss = np.clip(changes, 0, None), np.clip(-changes, 0, None)
    values: list[float | None] = [None] * period
    up, down = gain[:period].mean(), loss[:period].mean()
    values.append(100 * up / (up + down))
    for k in range(period, len(changes)):
        up, down = (up * (period - 1) + gain[k]) / period, (down * (period - 1) + loss[k]) / period
        values.append(100 * up / (up + down))
    return values


def actions(machine, closes, first=0):
    bars = make_bars(closes)
    return [(bars.index(bar), signal.action.value) for bar, signal in drive(machine, bars)]


def test_sma_crossover_fixture_signals_on_crossing_bars_only():
    closes = random_walk(600)
    expected = crossings(closes, 20, 50)
    assert len(expected) > 5
    assert actions(make_machine(load("sma_crossover"), make_run("SMA_Crossover")), closes) == expected


@pytest.mark.parametrize(("fast", "slow"), [(3, 8), (5, 40)])
def test_sma_crossover_changed_periods_move_the_signals(fast, slow):
    closes = random_walk(300, seed=fast)
    run = make_run("SMA_Crossover", parameters={"fast_period": str(fast), "slow_period": slow})
    assert actions(make_machine(load("sma_crossover"), run), closes) == crossings(closes, fast, slow)


def test_sma_crossover_long_only_exits_on_the_crossing_below():
    closes = random_walk(600)
    run = make_run("SMA_Crossover", direction=Direction.LONG)
    found = actions(make_machine(load("sma_crossover"), run), closes)
    expected = [(k, "EXIT" if action == "SELL" else action) for k, action in crossings(closes, 20, 50)]
    if expected[0][1] == "EXIT":
        expected = expected[1:]
    assert found == expected


def test_sma_crossover_join_trend_signals_at_the_first_bar_with_values():
    run = make_run("SMA_Crossover", parameters={"fast_period": 3, "slow_period": 8, "join_trend": "true"})
    closes = [100.0 + k for k in range(12)]
    assert actions(make_machine(load("sma_crossover"), run), closes) == [(7, "BUY")]


def test_sma_crossover_fast_above_slow_period_faults_with_place():
    run = make_run("SMA_Crossover", parameters={"fast_period": 50, "slow_period": 20})
    machine = make_machine(load("sma_crossover"), run)
    (fault,) = step(machine, TimerFired(name=STARTED, machine_ns=0), OPEN)
    assert isinstance(fault, StrategyFaulted)
    assert fault.error == "fast_period 50 must be below slow_period 20"
    assert fault.where.startswith("strategies/sma_crossover.py:")


def test_rsi_mean_reversion_fixture_signals_when_zones_are_left():
    closes = random_walk(600, seed=11)
    values = wilder(closes, 14)
    expected = []
    for k in range(15, len(closes)):
        before, now = values[k - 1], values[k]
        if before <= 30 < now:
            expected.append((k, "BUY"))
        if before >= 70 > now:
            expected.append((k, "SELL"))
    changes = [pair for k, pair in enumerate(expected) if k == 0 or expected[k - 1][1] != pair[1]]
    assert len(changes) > 4
    assert actions(make_machine(load("rsi_mean_reversion"), make_run("RSI_MeanReversion")), closes) == changes


def test_rsi_mean_reversion_levels_are_parameters():
    closes = random_walk(400, seed=11)
    run = make_run("RSI_MeanReversion", parameters={"oversold": "45", "overbought": "55", "period": "7"})
    bars = make_bars(closes)
    values = wilder(closes, 7)
    found = drive(make_machine(load("rsi_mean_reversion"), run), bars)
    assert found
    for bar, signal in found:
        k = bars.index(bar)
        if signal.action is Action.BUY:
            assert values[k - 1] <= 45 < values[k]
        else:
            assert values[k - 1] >= 55 > values[k]
