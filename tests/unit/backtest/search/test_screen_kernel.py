"""The compiled walk of a screening, beside the same rules written out bar by bar."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mytrading.backtest.search import screen as kernel
from mytrading.strategies.vectorized import crosses_above, crosses_below


def _slow_walk(
    signals: list[float], opens: list[float], closes: list[float], marks: list[int], days: list[int],
    units: list[float], *, shorts: bool, slip: float, rates: tuple[float, float], reach: list[tuple[float, float]],
    stop: float,
) -> tuple[list[float], list[tuple[int, int, float]]]:  # fmt: skip
    """The compiled walk bar by bar, in plain code: profit at each day's end, and round trips."""
    held = entering = price = banked = level = 0.0
    since, leaving, rests = 0, False, False
    equity, trips = [0.0] * len(units), []
    for bar, (signal, mark) in enumerate(zip(signals, marks, strict=True)):
        if mark & kernel.BEGINS or (mark & kernel.LATE and held):
            entering = 0.0
        if mark & kernel.SQUARE_OFF and held:
            leaving, entering = True, 0.0
        if leaving and held:
            at = opens[bar] - math.copysign(slip, held)
            banked += held * (at - price) - abs(held) * at * rates[held > 0]
            trips.append((since, bar, held))
            held, leaving = 0.0, False
        leaving = leaving and bool(held)
        if entering and not held:
            held, price, since = entering * units[days[bar]], opens[bar] + entering * slip, bar
            banked -= abs(held) * price * rates[entering < 0]
            away = closes[bar - 1] * (1 - entering * stop) / TICK
            level = round(TICK * (math.floor(away + 1e-6) if entering > 0 else math.ceil(away - 1e-6)), 4)
            rests = True
        elif mark & kernel.BEGINS:
            rests = False
        entering = 0.0
        low, high = reach[bar]
        if stop and held and rests and (low <= level if held > 0 else high >= level):
            at = min(opens[bar], level) - slip if held > 0 else max(opens[bar], level) + slip
            banked += held * (at - price) - abs(held) * at * rates[held > 0]
            trips.append((since, bar, held))
            held, leaving = 0.0, False
        rests = True
        wanted = 0.0 if signal < 0 and not shorts else signal
        if wanted * held <= 0:  # false of NaN: no signal
            leaving = leaving or bool(held)
            if wanted and mark & kernel.ENTRY_OK:
                entering = math.copysign(1.0, wanted)
        equity[days[bar]] = banked + held * (closes[bar] - price)
    return equity, trips


TICK = 0.05


@pytest.mark.parametrize("stop", [0.0, 0.004, 0.02])
@pytest.mark.parametrize("seed", range(40))
def test_compiled_walk_of_any_signals_and_marks_is_the_plain_one(seed: int, stop: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 80))
    days = np.sort(rng.integers(0, 4, n))
    days = np.unique(days, return_inverse=True)[1]
    ends = np.searchsorted(days, np.arange(days[-1] + 1), side="right").astype(np.int64)
    signalled = rng.choice([1.0, -1.0, 0.0, np.nan], p=[0.15, 0.15, 0.1, 0.6], size=n)
    opens = 100 + rng.normal(size=n).cumsum()
    closes, marks = opens + rng.normal(size=n), rng.integers(0, 16, n).astype(np.uint8) & rng.integers(0, 16, n)
    marks = marks.astype(np.uint8)
    highs, lows = np.maximum(opens, closes) + rng.random(n), np.minimum(opens, closes) - rng.random(n)
    units, shorts = rng.integers(1, 4, len(ends)).astype(float), bool(seed % 2)
    equity, rows = np.zeros(len(ends)), np.empty((n, 5))
    figures = kernel.walk_bars(
        signalled, opens, closes, marks, ends, units, True, shorts, 0.05, 0.001, 0.002, lows, highs, stop, TICK,
        equity, rows,
    )  # fmt: skip
    found, trips = _slow_walk(
        signalled.tolist(), opens.tolist(), closes.tolist(), marks.tolist(), days.tolist(), units.tolist(),
        shorts=shorts, slip=0.05, rates=(0.001, 0.002), reach=list(zip(lows.tolist(), highs.tolist(), strict=True)),
        stop=stop,
    )  # fmt: skip
    assert equity == pytest.approx(found)
    assert [(int(row[0]), int(row[1]), row[2]) for row in rows[: int(figures[1])]] == trips


def test_crossings_are_reported_at_the_bar_that_comes_across_and_never_of_a_missing_value() -> None:
    values = np.array([np.nan, 1.0, -1.0, 0.0, 2.0, np.nan, 3.0, 0.0, -1.0])
    assert np.flatnonzero(crosses_above(values)).tolist() == [4]
    assert np.flatnonzero(crosses_below(values)).tolist() == [2, 8]
    level = np.array([0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 4.0, -1.0, -1.0])
    assert np.flatnonzero(crosses_above(values, level)).tolist() == [7]
    assert np.flatnonzero(crosses_below(values, level)).tolist() == [4]
    assert crosses_above(values[:0]).tolist() == []
