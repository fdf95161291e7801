"""Compiled kernels beside bare loops over the same columns: Supertrend, implied volatility with greeks, bars of ticks.

The bare loops are written out here, without anything of ours around them. openalgo's Supertrend runs in a process of
its own, since importing that library replaces numba's `jit`. Both sides read and write the same arrays.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.bench.chain import CONTRACTS, bare_chain, made_chain
from lab.bench.results import Figure, against_limit, beside_peer, unmeasured
from mytrading.core.time import MINUTE

Floats = NDArray[np.float64]
BARS = 1_000_000
TICKS = 10_000_000
ROUNDS = 7
_CLOSE_TO = 1e-9
_THEIRS = """
import json, sys, time
import numpy as np
from openalgo import ta
high, low, close = np.load(sys.argv[1])
ta.supertrend(high[:100], low[:100], close[:100], period=10, multiplier=3.0)
took = []
for _ in range(7):
    began = time.perf_counter()
    line, _ = ta.supertrend(high, low, close, period=10, multiplier=3.0)
    took.append(time.perf_counter() - began)
np.save(sys.argv[2], np.asarray(line, float))
print(json.dumps({"seconds": min(took)}))
"""


def measure_compiled(progress: Callable[[str], None]) -> list[Figure]:
    """Measure the compiled paths; return three figures."""
    return [*_supertrend(progress), _greeks(progress), _ticks(progress)]


def turns(ours: Callable[[], Any], bare: Callable[[], Any], rounds: int = ROUNDS, each: int = 1) -> tuple[float, float]:
    """The least milliseconds of a call of each, taken in turns so that both find the machine in the same state."""
    ours(), bare()
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, call in enumerate((ours, bare)):
            began = time.perf_counter()
            for _ in range(each):
                call()
            best[side] = min(best[side], (time.perf_counter() - began) / each * 1e3)
    return best[0], best[1]


def _walk(count: int) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(1)
    close = 1000.0 * np.exp(np.cumsum(random.normal(0.0, 0.0005, count)))
    high = close * (1.0 + np.abs(random.normal(0.0, 0.0004, count)))
    low = close * (1.0 - np.abs(random.normal(0.0, 0.0004, count)))
    return high, low, close


def _supertrend(progress: Callable[[str], None]) -> list[Figure]:
    from mytrading.core.indicators.supertrend import supertrend

    progress(f"Supertrend over {BARS:,} bars, beside a bare loop and openalgo's")
    high, low, close = _walk(BARS)
    ours, bare = turns(lambda: supertrend(high, low, close, 10, 3.0), lambda: _bare_trend(high, low, close, 10, 3.0))
    figures = [against_limit("supertrend", ours, bare, 1.2, ROUNDS)]
    goal, least = "supertrend_openalgo", 3.0
    theirs, line, problem = _of_openalgo(high, low, close)
    if line is None:
        return [*figures, unmeasured(goal, "bars/s", f"≥ {least:g}× openalgo.ta", problem)]
    known = supertrend(high, low, close, 10, 3.0).line
    both = ~np.isnan(known) & ~np.isnan(line)
    apart = float(np.max(np.abs(known[both] - line[both]))) if both.sum() > BARS // 2 else float("inf")
    same = apart <= _CLOSE_TO
    speeds = (BARS / ours * 1e3, BARS / theirs * 1e3)
    figures.append(beside_peer(goal, *speeds, "bars/s", least, "openalgo.ta", ROUNDS, same=same))
    figures.append(_at_most("supertrend_difference", apart, _CLOSE_TO, int(both.sum())))
    return figures


def _of_openalgo(high: Floats, low: Floats, close: Floats) -> tuple[float, Floats | None, str]:
    """Milliseconds and values of openalgo's own; (0, None, why) where it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        given, found = Path(folder, "given.npy"), Path(folder, "found.npy")
        np.save(given, np.array([high, low, close]))
        command = [sys.executable, "-c", _THEIRS, str(given), str(found)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return 0.0, None, (done.stderr.strip().splitlines() or ["openalgo.ta ended without a word"])[-1]
        return json.loads(done.stdout.splitlines()[-1])["seconds"] * 1e3, np.load(found), ""


def _greeks(progress: Callable[[str], None]) -> Figure:
    from mytrading.core.options.black76 import greeks, implied_volatilities

    progress(f"implied volatility and greeks of {CONTRACTS} contracts, beside a bare loop")
    chain = made_chain()
    forward, years, rate, strikes, calls, premiums = chain

    def ours() -> None:
        volatilities, _ = implied_volatilities(premiums, forward, strikes, years, rate, calls)
        greeks(forward, strikes, years, volatilities, rate, calls)

    out, values = np.empty((CONTRACTS, 5)), np.empty(CONTRACTS)
    took, limit = turns(ours, lambda: bare_chain(premiums, forward, strikes, years, rate, calls, values, out), each=50)
    return against_limit("greeks_400", took, limit, 1.2, ROUNDS)


def _ticks(progress: Callable[[str], None]) -> Figure:
    from mytrading.core.bars.from_ticks import bars_of_ticks

    progress(f"{TICKS:,} ticks into one-minute bars, beside a bare loop")
    at, prices, volumes = made_ticks(TICKS)
    took, limit = turns(
        lambda: bars_of_ticks(at, prices, volumes, MINUTE), lambda: _bare_bars(at, prices, volumes, MINUTE), rounds=5
    )
    return against_limit("ticks_to_bars", took, limit, 1.3, 5)


def made_ticks(count: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Times (ns), prices and the day's volume so far of so many ticks, 2.5 ms apart on average."""
    random = np.random.default_rng(2)
    at = np.cumsum(random.integers(1_000_000, 4_000_000, count)) + 1_767_584_700_000_000_000
    prices = 1000.0 + np.cumsum(random.normal(0.0, 0.01, count))
    return at, prices, np.cumsum(random.integers(1, 5, count)).astype(np.float64)


def _at_most(name: str, value: float, most: float, n: int) -> Figure:
    return Figure(name=name, value=value, unit="₹", goal=f"≤ {most:g}", met=value <= most, n=n)


@njit
def _bare_trend(high: Floats, low: Floats, close: Floats, period: int, multiplier: float) -> tuple[Floats, Any]:
    size = close.size
    line, direction = np.full(size, np.nan), np.zeros(size, np.int8)
    average, upper, lower, up = 0.0, 0.0, 0.0, False
    for i in range(size):
        reach = high[i] - low[i]
        if i > 0:
            reach = max(reach, abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        average = average + (reach - average) / (i + 1) if i < period else (average * (period - 1) + reach) / period
        if i >= period - 1:
            middle, width = (high[i] + low[i]) / 2.0, multiplier * average
            if i == period - 1 or middle - width > lower or close[i - 1] < lower:
                lower = middle - width
            if i == period - 1 or middle + width < upper or close[i - 1] > upper:
                upper = middle + width
            if i > period - 1:
                up = close[i] >= lower if up else close[i] > upper
            line[i] = lower if up else upper
            direction[i] = 1 if up else -1
    return line, direction


@njit
def _bare_bars(at: NDArray[np.int64], prices: Floats, volumes: Floats, span: int) -> tuple[Any, Floats]:
    most = int((at[-1] - at[0]) // span) + 2
    starts, table = np.empty(most, np.int64), np.empty((5, most))
    bar, boundary, before = -1, np.int64(0), 0.0
    high = low = 0.0
    for i in range(at.size):
        price = prices[i]
        if at[i] >= boundary:
            if bar >= 0:
                table[1, bar], table[2, bar], table[3, bar] = high, low, prices[i - 1]
                table[4, bar], before = volumes[i - 1] - before, volumes[i - 1]
            bar += 1
            starts[bar] = at[i] // span * span
            boundary = starts[bar] + span
            table[0, bar] = high = low = price
        high, low = max(high, price), min(low, price)
    table[1, bar], table[2, bar], table[3, bar] = high, low, prices[-1]
    table[4, bar] = volumes[-1] - before
    return starts[: bar + 1], table[:, : bar + 1]
