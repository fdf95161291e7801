"""The shipped strategies on bands, MACD, Supertrend and bursts, against their rules worked out by themselves."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mytrading.core.indicators.supertrend import supertrend
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import BaseStrategy, StrategyError
from mytrading.strategies.testing import StrategyTester
from tests.kit.engine_bench import random_walk

FOLDER = Path(__file__).parents[3] / "strategies"


def load(name: str) -> type[BaseStrategy]:
    loaded = load_file(FOLDER / f"{name}.py", BaseStrategy)
    assert loaded.fault is None
    (found,) = loaded.classes
    return found  # type: ignore[no-any-return]


def flat(closes: list[float], volume: int = 100) -> list[tuple[float, ...]]:
    return [(close, close + 1.0, close - 1.0, close, volume) for close in closes]


def test_breakout_needs_price_volume_and_a_close_inside_before() -> None:
    quiet = [100.0 + 0.1 * math.sin(k) for k in range(30)]
    tester = StrategyTester(load("bollinger_breakout"), direction="both", period=20)
    tester.feed(*flat(quiet))
    assert tester.actions == []
    assert tester.feed((100, 103, 100, 103, 100)) == [], "the volume is as usual"
    tester = StrategyTester(load("bollinger_breakout"), direction="both", period=20)
    tester.feed(*flat(quiet), (100, 103, 100, 103, 400), (103, 104, 103, 104, 900))
    assert tester.actions == [(30, "BUY")], "the second bar was outside before"
    assert "above band" in tester.signals[0].reason
    tester.feed(*flat([103.0, 101.0, 99.0]))
    assert tester.actions[1][1] == "EXIT"


def test_breakout_of_an_index_is_judged_by_price_alone() -> None:
    quiet = [100.0 + 0.1 * math.sin(k) for k in range(30)]
    tester = StrategyTester(load("bollinger_breakout"), direction="both", period=20)
    tester.feed(*flat(quiet, volume=0), (100, 100, 97, 97, 0))
    assert tester.actions == [(30, "SELL")]


def exponential(values: list[float], period: int) -> list[float]:
    """Seeded with the average of the first `period`; NaN before."""
    found = [math.nan] * (period - 1) + [sum(values[:period]) / period]
    for value in values[period:]:
        found.append(found[-1] + 2 / (period + 1) * (value - found[-1]))
    return found


def histogram(closes: list[float], fast: int, slow: int, signal: int) -> list[float]:
    late = slow - fast
    quick = [math.nan] * late + exponential(closes[late:], fast)
    line = [a - b for a, b in zip(quick, exponential(closes, slow), strict=True)][slow - 1 :]
    return [math.nan] * (slow - 1) + [a - b for a, b in zip(line, exponential(line, signal), strict=True)]


def test_macd_signals_where_the_histogram_turns_beyond_its_least() -> None:
    closes = random_walk(500, seed=5)
    values = histogram(closes, 12, 26, 9)
    wanted, side = [], 0
    for k in range(1, len(closes)):
        if values[k - 1] < 0.5 <= values[k] and side <= 0:
            wanted.append((k, "BUY"))
            side = 1
        elif values[k - 1] > -0.5 >= values[k] and side >= 0:
            wanted.append((k, "SELL"))
            side = -1
    assert len(wanted) > 4
    tester = StrategyTester(load("macd_momentum"), direction="both")
    tester.feed(*closes)
    assert tester.actions == wanted


def test_macd_refuses_periods_the_wrong_way_round() -> None:
    with pytest.raises(StrategyError, match="fast_period 26 must be below slow_period 12"):
        StrategyTester(load("macd_momentum"), direction="both", fast_period=26, slow_period=12)


def test_supertrend_signals_on_turns_with_its_line_as_stop() -> None:
    closes = random_walk(400, seed=2)
    bars = flat(closes)
    high, low, close = (np.array([bar[column] for bar in bars]) for column in (1, 2, 3))
    trend = supertrend(high, low, close, 7, 3.0)
    turns = [k for k in range(1, len(bars)) if trend.direction[k] * trend.direction[k - 1] < 0]
    assert len(turns) > 4
    tester = StrategyTester(load("supertrend_trend"), direction="both", stop_at_line=True)
    tester.feed(*bars)
    assert tester.actions == [(k, "BUY" if trend.direction[k] > 0 else "SELL") for k in turns]
    for item in tester.signals:
        (leg,) = item.signal.legs
        assert leg.stop_price == pytest.approx(trend.line[item.bar])


def test_scalper_takes_a_burst_and_leaves_at_the_target_the_stop_or_after_its_time() -> None:
    calm = [(100.0, 100.0, 100.0, 100.0, 100)] * 25
    burst = (100.0, 100.3, 100.0, 100.3, 300)
    ends = {"target": (100.9, 1), "stop": (99.7, 1), "time": (100.4, 5)}
    for close, bars in ends.values():
        tester = StrategyTester(load("scalping_quick"), direction="both")
        tester.feed(*calm, burst)
        assert tester.actions == [(25, "BUY")]
        tester.feed(*flat([close] * bars))
        assert tester.actions == [(25, "BUY"), (25 + bars, "EXIT")]


def test_scalper_keeps_entry_and_rest_in_memory_for_a_restart() -> None:
    tester = StrategyTester(load("scalping_quick"), direction="both")
    tester.feed(*[(100.0, 100.0, 100.0, 100.0, 100)] * 25, (100.0, 100.3, 100.0, 100.3, 300))
    (kept,) = tester.memory.values()
    assert kept["entry"] == 100.3 and kept["entered_ns"] > 0
    tester.feed((99.0, 99.0, 99.0, 99.0, 100))
    (after,) = tester.memory.values()
    assert after["rests_until"] == kept["entered_ns"] + 120_000_000_000


def test_scalper_passes_over_a_move_without_volume_and_rests_after_a_trade() -> None:
    calm = [(100.0, 100.0, 100.0, 100.0, 100)] * 25
    tester = StrategyTester(load("scalping_quick"), direction="both", rest_seconds=120)
    tester.feed(*calm, (100.0, 100.3, 100.0, 100.3, 150))
    assert tester.actions == []
    tester.feed((100.0, 100.0, 99.7, 99.7, 400), (99.7, 99.7, 99.0, 99.0, 100))
    assert [action for _, action in tester.actions] == ["SELL", "EXIT"]
    tester.feed((99.0, 99.5, 99.0, 99.5, 900))
    assert len(tester.actions) == 2
    tester.feed((99.5, 99.5, 99.5, 99.5, 100), (99.5, 100.0, 99.5, 100.0, 900))
    assert tester.actions[-1][1] == "BUY"
