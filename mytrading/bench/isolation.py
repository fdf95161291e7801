"""What a bad strategy does to the exits of the others: the way of an exit that risk decides, with and without it.

Many positions are held whose stops risk watches. A quote beyond one of them leads to one exit, timed from before the
simulator writes the quote's frame to the arrival of the order request. Another strategy of the same engine spins at
full CPU, or holds a gigabyte, during every second of them. The one rule: good and bad moments take turns in one stack,
so that both find the machine in the same state.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mytrading.bench.figures import Figure, against_limit, percentile
from mytrading.bench.stack import Lab, lab

EXITS = 120
"""Half of them in a bad moment."""
MOST = 1.5
"""How many times a good moment's p99 a bad one's may be: less is within what two quiet runs differ by."""
_TURN_S = 0.45
_HELD_S = 180.0
_BELOW = 0.94
_PRICE = 500.0
_ABOVE = 1500.0
_LEAK_MB = 1024

_HOLDS = '''
from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Signal


class BenchHolds(BaseStrategy):
    """Buys each instrument once, and leaves the rest to its stop."""

    subscribe_quotes = True

    def initialize(self) -> None:
        self.bought: set[str] = set()

    def on_data(self, data: Any) -> Signal | None:
        if isinstance(data, Bar) or self.instrument in self.bought:
            return None
        if self.position.is_long:
            self.bought.add(self.instrument)
            return None
        return self.create_signal("BUY")
'''
_NOISE = '''
import time
from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Signal


class BenchNoise(BaseStrategy):
    """Is bad where the price is above {above}, and good again where it is not."""

    subscribe_quotes = True

    def initialize(self) -> None:
        self.kept: list[bytearray] = []

    def on_data(self, data: Any) -> Signal | None:
        if not isinstance(data, Bar):
            self.{what}(data.ltp > {above})
        return None

    def spin(self, bad: bool) -> None:
        until = time.monotonic() + (0.45 if bad else 0.0)
        while time.monotonic() < until:
            pass

    def leak(self, bad: bool) -> None:
        self.kept = [bytearray(b"x") * (64 << 20) for _ in range({chunks} if bad else 0)]
'''
_HOLDS_FILE = """
name = "BenchHolds"
symbols = [{symbols}]
timeframes = ["1m"]
lots = 10
stop = "engine"
stop_loss_pct = 0.03

[trade]
long = "same"
"""
_NOISE_FILE = """
name = "BenchNoise"
symbols = ["NSE:INFY"]
timeframes = ["1m"]

[trade]
long = "same"
"""
_SETTINGS = """
[risk]
max_order_size = 1_000_000
max_position_size = 1_000_000
min_order_size = 1
max_total_positions = 200
max_active_orders = 1_000
max_daily_loss = 10_000_000
max_drawdown = 0.9
min_data_coverage = 0.0
avoid_first_minutes = 0

[rates]
entries_per_minute = 100_000
"""
_SHARE = """
[underlyings.{name}]
name = "{name}"
exchange = "NSE"
reference_price = {price}
volatility = 0.1
tick = 0.05
"""


def measure_isolation(progress: Callable[[str], None]) -> list[Figure]:
    """p50 and p99 of an exit's way while a strategy spins, and while one holds a gigabyte, against that in between."""
    figures = []
    for what, settles in (("spin", 0.02), ("leak", 1.2)):
        progress(f"{EXITS} exits that risk decides, in every second of which a strategy is to {what}")
        with lab(partial(_furnished, what=what)) as stack:
            good, bad = _exits(stack, settles, progress)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            value, limit = percentile(bad, share), percentile(good, share)
            figures.append(against_limit(f"isolation_{what}_{name}", value, limit, MOST, len(bad)))
    return figures


def _furnished(folder: Path, what: str) -> Lab:
    """The home of a stack that holds positions beside a strategy that is to do something bad."""
    stack = Lab(folder)
    _furnish(stack, what)
    return stack


def _furnish(stack: Lab, what: str) -> None:
    for path in ((stack.home / "strategies").glob("*.py"), (stack.home / "config" / "strategies").glob("*.toml")):
        for file in path:
            file.unlink()
    with (stack.home / "config" / "instruments.toml").open("a", encoding="utf-8") as facts:
        facts.writelines(_SHARE.format(name=name, price=_PRICE) for name in _names())
    chunks = _LEAK_MB // 64
    strategies, files = stack.home / "strategies", stack.home / "config" / "strategies"
    (strategies / "bench_holds.py").write_text(_HOLDS, encoding="utf-8")
    (strategies / "bench_noise.py").write_text(_NOISE.format(what=what, chunks=chunks, above=_ABOVE), encoding="utf-8")
    symbols = ", ".join(f'"NSE:{name}"' for name in _names())
    (files / "bench_holds.toml").write_text(_HOLDS_FILE.format(symbols=symbols), encoding="utf-8")
    (files / "bench_noise.toml").write_text(_NOISE_FILE, encoding="utf-8")
    (stack.home / "config" / "settings.toml").write_text(_SETTINGS, encoding="utf-8")
    stack.environment["ENABLED_STRATEGIES"] = "BenchHolds,BenchNoise"
    stack.environment["ENABLED_SYMBOLS"] = ",".join(["NSE:INFY", *(f"NSE:{name}" for name in _names())])
    stack.environment["HISTORICAL_DAYS"] = "1"


def _names() -> list[str]:
    return [f"BENCH{number:03d}" for number in range(1, EXITS + 1)]


def _exits(stack: Lab, settles: float, progress: Callable[[str], None]) -> tuple[list[float], list[float]]:
    """Milliseconds of the way of each exit, in good moments and in bad ones, which begin `settles` s before."""
    stack.run("up", "--detach", "--simulator", "--speed", "1")
    prices = _when_held(stack)
    stack.rest("POST", "/sim/pause", paused=True)
    time.sleep(1.0)
    values: tuple[list[float], list[float]] = ([], [])
    silent = 0
    for number, (name, price) in enumerate(prices.items()):
        bad = number % 2
        stack.rest("POST", "/sim/market", symbol="INFY", exchange="NSE", ltp=_ABOVE + (1.0 if bad else -1.0))
        time.sleep(settles)
        took = _exit(stack, name, round(round(price * _BELOW / 0.05) * 0.05, 2))
        silent += not took
        values[bad].append(took or _TURN_S * 1000)
    if silent:
        progress(f"{silent} quotes led to no exit within {_TURN_S:g} s, and count as that long")
    return values


def _exit(stack: Lab, name: str, crossed: float) -> float:
    """Milliseconds from a quote beyond a stop to the exit's request; 0 if none came in its turn."""
    known = len(stack.rest("GET", "/sim/orders"))
    sent = stack.rest("POST", "/sim/market", symbol=name, exchange="NSE", ltp=crossed)["sent_ns"]
    time.sleep(_TURN_S)  # nothing else runs meanwhile: asking would take a core from what is measured
    orders = stack.rest("GET", "/sim/orders")
    return (int(orders[known]["received_ns"]) - sent) / 1e6 if len(orders) > known else 0.0


def _when_held(stack: Lab) -> dict[str, float]:
    """The price of each position once all are held, by name; `RuntimeError` if they do not come about."""
    until = time.monotonic() + _HELD_S
    while time.monotonic() < until:
        rows = [row for row in json.loads(stack.run("positions", "--json")) if row["quantity"]]
        if len(rows) >= EXITS:
            return {row["instrument"].partition(":")[2]: float(row["average_price"]) for row in rows}
        time.sleep(1.0)
    raise RuntimeError(
        f"expected {EXITS} positions within {_HELD_S:g} s, found {len(rows)}; see `mytrading bench latency`"
    )
