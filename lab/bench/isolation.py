"""Exits of strategies beside a bad one: the time of an exit that risk decides, with and without the bad strategy.

Several strategies hold the same shares, each with a stop a little below the one before, and risk watches them. A quote
beyond one of them leads to one exit, timed from before the simulator writes the quote's frame to the arrival of the
order request. Another strategy of the same engine is good for a moment, spins at full CPU for the next, and takes a
gigabyte and holds it in the one after that. The three take turns in one stack, so that all of them find the machine in
the same state.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.bench.results import Figure, against_limit, percentile
from lab.bench.stack import Lab, lab

MOMENTS = 30
"""Of each kind."""
IN_A_MOMENT = 4
HOLDERS = 12
"""Strategies that hold each share: as many exits of one share, one after the other."""
MOST = 1.5
"""Largest ratio of the p99 beside a bad strategy to the p99 without: two quiet runs differ by as much."""
GOOD, SPIN, LEAK = "good", "spin", "leak"
LEVELS = {GOOD: 500.0, SPIN: 520.0, LEAK: 480.0}
"""The price of the bad strategy's instrument that makes it so."""
_FIRST_S = 0.02
_TURN_S = 0.22
_AFTER_S = 0.2
_WAIT_S = 10.0
_HELD_S = 120.0
_FIRST_STOP, _STEP = 0.015, 0.006
"""Distance of the first strategy's stop below its price, and of each further stop below the last, as fractions."""
_BEYOND = 0.998
_PRICE = 500.0
_LEAK_MB = 1024
_NOISE_NAME = "BENCHNOISE"

_HOLDS = '''
from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Signal


class {name}(BaseStrategy):
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
    """Spins where the price is high, takes a gigabyte where it is low, and is good in between."""

    subscribe_quotes = True

    def initialize(self) -> None:
        self.kept: list[bytearray] = []

    def on_data(self, data: Any) -> Signal | None:
        if not isinstance(data, Bar):
            until = time.monotonic() + ({spin_s} if data.ltp > {high} else 0.0)
            while time.monotonic() < until:
                pass
            self.kept = [bytearray(b"x") * (64 << 20) for _ in range({chunks} if data.ltp < {low} else 0)]
        return None
'''
_HOLDS_FILE = """
name = "{name}"
symbols = [{symbols}]
timeframes = ["1m"]
lots = 10
stop = "engine"
stop_loss_percent = {stop}

[trade]
long = "same"
"""
_NOISE_FILE = """
name = "BenchNoise"
symbols = ["NSE:{name}"]
timeframes = ["1m"]

[trade]
long = "same"
"""
_SETTINGS = """
[risk]
max_order_size = 1_000_000
max_position_size = 1_000_000
min_order_size = 1
max_total_positions = 1_000
max_active_orders = 1_000
max_daily_loss = 10_000_000
max_drawdown = 0.9
min_data_coverage = 0.0
avoid_first_minutes = 0

[rates]
orders_per_second = 10
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
    """p50 and p99 of an exit's way while a strategy spins and while one leaks, against those while it is good."""
    each = MOMENTS * IN_A_MOMENT
    progress(f"{each} exits each beside a strategy that is good, that spins, that takes a gigabyte, in turns")
    with lab(_furnished) as stack:
        found = _exits(stack, progress)
    for kind, values in found.items():
        shares = ", ".join(f"{name} {percentile(values, share):.1f}" for name, share in (("p50", 0.5), ("p90", 0.9)))
        progress(f"{kind}: {shares}, the slowest three {', '.join(f'{value:.0f}' for value in sorted(values)[-3:])} ms")
    figures = []
    for kind in (SPIN, LEAK):
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            value, limit = percentile(found[kind], share), percentile(found[GOOD], share)
            figures.append(against_limit(f"isolation_{kind}_{name}", value, limit, MOST, each))
    return figures


def _furnished(folder: Path) -> Lab:
    """The home of a stack that holds positions beside a strategy that is to do something bad."""
    stack = Lab(folder)
    _furnish(stack)
    return stack


def _furnish(stack: Lab) -> None:
    for path in ((stack.home / "strategies").glob("*.py"), (stack.home / "config" / "strategies").glob("*.toml")):
        for file in path:
            file.unlink()
    with (stack.home / "config" / "instruments.toml").open("a", encoding="utf-8") as facts:
        facts.writelines(_SHARE.format(name=name, price=_PRICE) for name in (_NOISE_NAME, *_names()))
    strategies, files = stack.home / "strategies", stack.home / "config" / "strategies"
    (strategies / "bench_noise.py").write_text(_noise(), encoding="utf-8")
    symbols = ", ".join(f'"NSE:{name}"' for name in _names())
    for name, stop in _stops().items():
        held = _HOLDS_FILE.format(name=name, symbols=symbols, stop=round(100 * stop, 9))
        (strategies / f"{name}.py").write_text(_HOLDS.format(name=name), encoding="utf-8")
        (files / f"{name}.toml").write_text(held, encoding="utf-8")
    (files / "bench_noise.toml").write_text(_NOISE_FILE.format(name=_NOISE_NAME), encoding="utf-8")
    (stack.home / "config" / "settings.toml").write_text(_SETTINGS, encoding="utf-8")
    stack.environment["ENABLED_STRATEGIES"] = ",".join([*_stops(), "BenchNoise"])
    stack.environment["ENABLED_SYMBOLS"] = ",".join(f"NSE:{name}" for name in (_NOISE_NAME, *_names()))
    stack.environment["HISTORICAL_DAYS"] = "1"


def _noise() -> str:
    """The bad strategy's file. Where its price is as generated it is good: between the levels."""
    middle, spin_s = LEVELS[GOOD], IN_A_MOMENT * _TURN_S
    high, low = ((level + middle) / 2 for level in (LEVELS[SPIN], LEVELS[LEAK]))
    return _NOISE.format(high=high, low=low, spin_s=spin_s, chunks=_LEAK_MB // 64)


def _names() -> list[str]:
    return [f"BENCH{number:03d}" for number in range(1, len(LEVELS) * MOMENTS * IN_A_MOMENT // HOLDERS + 1)]


def _stops() -> dict[str, float]:
    """Return each strategy's stop distance below its price, as a fraction, the nearest first."""
    return {f"BenchHolds{number:02d}": round(_FIRST_STOP + number * _STEP, 4) for number in range(HOLDERS)}


def _exits(stack: Lab, progress: Callable[[str], None]) -> dict[str, list[float]]:
    """Milliseconds of the way of each exit, by the kind of its moment."""
    stack.run("up", "--detach", "--simulator", "--speed", "1")
    crossings = iter(_crossings(_when_held(stack)))
    stack.rest("POST", "/sim/pause", paused=True)
    time.sleep(1.0)
    sent: list[tuple[str, str, int]] = []
    for _ in range(MOMENTS):
        for kind in LEVELS:
            _push(stack, _NOISE_NAME, LEVELS[kind])
            begun = time.monotonic() + _FIRST_S
            for number in range(IN_A_MOMENT):
                # The next quote waits for no exit: what is slow must not put off what would have shown it.
                time.sleep(max(begun + number * _TURN_S - time.monotonic(), 0.0))
                name, price = next(crossings)
                sent.append((kind, name, _push(stack, name, price)))
            time.sleep(_TURN_S)
            _push(stack, _NOISE_NAME, LEVELS[GOOD])
            time.sleep(_AFTER_S)
    came = _arrivals(stack, len(sent))
    _judge_restarts(stack)
    values: dict[str, list[float]] = {kind: [] for kind in LEVELS}
    for kind, name, at in sent:
        arrival = next(came[name], 0)  # each quote of a share crosses one stop more
        values[kind].append((arrival - at) / 1e6 if arrival else _WAIT_S * 1000)
        if not arrival:
            progress(f"a quote of {name} led to no exit, and counts as {_WAIT_S:g} s")
    return values


def _crossings(stops: dict[str, list[float]]) -> list[tuple[str, float]]:
    """Share and price of each quote: the shares in turns, each a little beyond the next of its stops."""
    below = {name: sorted(prices, reverse=True) for name, prices in stops.items()}
    found = [(name, below[name][place] * _BEYOND) for place in range(HOLDERS) for name in _names()]
    return [(name, round(round(price / 0.05) * 0.05, 2)) for name, price in found]


def _push(stack: Lab, name: str, price: float) -> int:
    """Make a price the market at once; the machine time at which its frame was begun."""
    return int(stack.rest("POST", "/sim/market", symbol=name, exchange="NSE", ltp=price)["sent_ns"])


def _arrivals(stack: Lab, wanted: int, pause_s: float = 0.5) -> dict[str, Iterator[int]]:
    """Return the arrival times of each share's exits at the simulator, machine ns, ascending, without late ones."""
    until = time.monotonic() + _WAIT_S
    rows: list[dict[str, Any]] = []
    while len(rows) < wanted and time.monotonic() < until:
        time.sleep(pause_s)
        rows = [row for row in stack.rest("GET", "/sim/orders") if row["action"] == "SELL"]
    came: dict[str, list[int]] = {name: [] for name in _names()}
    for row in rows:
        came[row["symbol"]].append(int(row["received_ns"]))
    return {name: iter(times) for name, times in came.items()}


def _judge_restarts(stack: Lab) -> None:
    """Raises `RuntimeError` if a process died: an engine that hangs is killed, and its bad strategy runs no more."""
    rows: list[dict[str, Any]] = json.loads(stack.run("status", "--json"))["daemons"]
    if died := [row["daemon"] for row in rows if row["restarts"]]:
        raise RuntimeError(
            f"{', '.join(died)} died meanwhile, so not every bad moment was bad: measure on a machine with less to do"
        )


def _when_held(stack: Lab) -> dict[str, list[float]]:
    """The stops of each share once all positions are held; `RuntimeError` if they do not come about."""
    stops, until = _stops(), time.monotonic() + _HELD_S
    wanted = len(stops) * len(_names())
    rows: list[dict[str, Any]] = []
    while len(rows) < wanted and time.monotonic() < until:
        time.sleep(2.0)
        if len(stack.rest("GET", "/sim/orders")) >= wanted:
            rows = [row for row in json.loads(stack.run("positions", "--json")) if row["quantity"]]
    if len(rows) < wanted:
        raise RuntimeError(
            f"expected {wanted} positions within {_HELD_S:g} s, found {len(rows)}; see `mytrading bench latency`"
        )
    found: dict[str, list[float]] = {name: [] for name in _names()}
    for row in rows:
        found[row["instrument"].partition(":")[2]].append(row["average_price"] * (1.0 - stops[row["strategy"]]))
    return found
