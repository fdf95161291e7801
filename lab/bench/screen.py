"""The screening of a thousand pairs of averages beside a bare compiled loop that does just that; then with stops.

The bare loop computes both averages by running sums and walks the crossings to a profit, all pairs side by side; it
knows no sessions, no days, no costs by side and no records. The sweep with stops is long and short.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numba
import numpy as np
from msgspec.structs import replace as changed

from lab.bench.backtest import made, spec_of
from lab.bench.results import Figure
from mytrading.backtest.run import Spec
from mytrading.backtest.search.screen import screen_all
from mytrading.messages.enums import Product, Side
from mytrading.messages.run_config import Direction, StopPlan, TradeKind, TradeRule
from mytrading.strategies import BaseStrategy, VectorSignals, WholeBars, crosses_above, crosses_below

BARS, RUNS = 100_000, 3
FASTS, SLOWS = range(5, 30), range(40, 240, 5)
STOP = 0.002
"""The stop of the sweep with stops, as a share of the price."""
MOST, MOST_STOPS = 3.0, 4.5
"""Times the bare loop, which knows neither short positions nor stops."""


class Averages(BaseStrategy):
    """Long above, out below."""

    fast: int = 20
    slow: int = 50

    def positions(self, bars: WholeBars) -> VectorSignals:
        """A signal at each crossing."""
        gap = bars.indicator("SMA", period=self.fast) - bars.indicator("SMA", period=self.slow)
        return bars.signals(long=crosses_above(gap), out=crosses_below(gap))


class Turning(Averages):
    """Long above, short below."""

    def positions(self, bars: WholeBars) -> VectorSignals:
        """A signal at each crossing."""
        gap = bars.indicator("SMA", period=self.fast) - bars.indicator("SMA", period=self.slow)
        return bars.signals(long=crosses_above(gap), short=crosses_below(gap))


def stopped(spec: Spec) -> Spec:
    """The sweep long and short, intraday, with a stop of 0.2 %."""
    turned = changed(
        spec.run, short=TradeRule(kind=TradeKind.SAME, side=Side.SELL), direction=Direction.BOTH, product=Product.MIS,
        stop=StopPlan.BROKER, stop_loss_pct=STOP,
    )  # fmt: skip
    return replace(spec, strategy=Turning, run=turned)


@numba.njit(parallel=True)
def _bare(close: Any, opens: Any, fasts: Any, slows: Any, rate: float) -> Any:
    profit = np.zeros(len(fasts))
    for pair in numba.prange(len(fasts)):
        fast, slow = fasts[pair], slows[pair]
        quick = long = money = held = 0.0
        was, due = 0.0, 0.0
        for bar in range(len(close)):
            if due != held:
                money -= (due - held) * opens[bar] + abs(due - held) * opens[bar] * rate
                held = due
            quick += close[bar] - (close[bar - fast] if bar >= fast else 0.0)
            long += close[bar] - (close[bar - slow] if bar >= slow else 0.0)
            if bar >= slow - 1:
                gap = quick / fast - long / slow
                if gap > 0.0 and was <= 0.0:
                    due = 1.0
                elif gap < 0.0 and was >= 0.0:
                    due = 0.0
                was = gap
        profit[pair] = money + held * close[-1]
    return profit


def measure_screen(progress: Callable[[str], None]) -> list[Figure]:
    """Seconds of the whole sweep, ground and objective of each pair included."""
    columns = made(BARS)
    spec: Spec = replace(spec_of(columns), strategy=Averages)
    spec = replace(spec, run=changed(spec.run, parameters={}))
    points = [{"fast": fast, "slow": slow} for fast in FASTS for slow in SLOWS]
    fasts, slows = (np.array([point[name] for point in points]) for name in ("fast", "slow"))
    opens, close = columns.table[0].copy(), columns.table[3].copy()
    _bare(close[:100], opens[:100], fasts, slows, 0.0003)
    threads = os.cpu_count() or 1
    screen_all(spec, points[:4], "sharpe", 1, threads)
    ours, bare, with_stops = [], [], []
    for number in range(RUNS):
        progress(f"{len(points):,} pairs on {BARS:,} bars, run {number + 1} of {RUNS}")
        began = time.perf_counter()
        _bare(close, opens, fasts, slows, 0.0003)
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        found = screen_all(spec, points, "sharpe", 1, threads)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        turned = screen_all(stopped(spec), points, "sharpe", 1, threads)
        with_stops.append(time.perf_counter() - began)
    assert sum(trial.trades for trial in found) > len(points), "the sweep traded"
    assert sum(trial.trades for trial in turned) > sum(trial.trades for trial in found), "the other one more often"
    value, limit, slower = (sorted(times)[RUNS // 2] for times in (ours, bare, with_stops))
    return [
        Figure(
            name="screen_1000_stops", value=round(slower, 3), unit="s", goal=f"≤ {MOST_STOPS:g}× a bare compiled loop",
            met=slower <= MOST_STOPS * limit, n=len(points), limit=round(limit, 3), ratio=round(slower / limit, 3),
        ),
        Figure(
            name="screen_1000_pairs", value=round(value, 3), unit="s", goal=f"≤ {MOST:g}× a bare compiled loop",
            met=value <= MOST * limit, n=len(points), limit=round(limit, 3), ratio=round(value / limit, 3),
        ),
    ]  # fmt: skip
