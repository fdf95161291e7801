"""A breach of an exit rule that risk holds, to its exit order at the simulator: no stop rests at the broker meanwhile.

A stack of its own in real processes; a strategy goes long and short in turns with `stop = "engine"`, and each time a
price is pushed beyond its stop. The way runs from the moment in which risk takes that quote up, which is written in its
journal, to the arrival of the exit order at the simulator. Journals are on, and nothing is subtracted.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.bench.bare_chain import BareChain, bare_chain
from lab.bench.results import Figure, below, percentile
from lab.bench.stack import TURN_S, Lab, lab
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.commands import CloseGoal
from mytrading.messages.run_config import RUN_FILE, decode_run_config
from mytrading.runtime.journal.journal import INPUT, read_segment, segments

EXITS, WARM_UP = 40, 4
WAIT_S = 20.0
BUY_AT, SELL_AT = 0.25, 0.75
"""Rupees beyond the whole price at which the strategy goes long and short; its stops lie one per cent away."""
BREACHES = {BUY_AT: 0.98, SELL_AT: 1.02}
"""Of the price: beyond the stop, and no jump that the feed would doubt."""

_STRATEGY = '''
from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Signal


class BenchBreach(BaseStrategy):
    """Long at one price and short at the other; it never signals an exit."""

    subscribe_quotes = True

    def on_data(self, data: Any) -> Signal | None:
        if isinstance(data, Bar) or self.position.is_long or self.position.is_short:
            return None
        action = {25: "BUY", 75: "SELL"}.get(round(data.ltp * 100) % 100)
        return self.create_signal(action) if action else None
'''
_CONFIG = """
name = "BenchBreach"
symbols = ["NSE:SBIN"]
timeframes = ["1m"]
direction = "both"
lots = 10
stop = "engine"
stop_loss_percent = 1
"""
_SETTINGS = """
[risk]
max_order_size = 1_000_000
max_position_size = 1_000_000
min_order_size = 1
max_daily_loss = 1_000_000
max_drawdown = 0.9
avoid_first_minutes = 0
avoid_last_minutes = 0

[rates]
entries_per_minute = 100_000
"""


class BreachLab(Lab):
    """The laboratory with the strategy of this benchmark."""

    holds = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for path in [*(self.home / "strategies").glob("*.py"), *(self.home / "config" / "strategies").glob("*.toml")]:
            path.unlink()
        (self.home / "strategies" / "bench_breach.py").write_text(_STRATEGY)
        (self.home / "config" / "strategies" / "bench_breach.toml").write_text(_CONFIG)
        (self.home / "config" / "settings.toml").write_text(_SETTINGS)
        self.environment["ENABLED_STRATEGIES"] = "BenchBreach"

    def arrivals(self) -> list[int]:
        """Machine times at which order requests came to the simulator."""
        return [int(row["received_ns"]) for row in self.rest("GET", "/sim/orders")]


def measure_breach(progress: Callable[[str], None]) -> list[Figure]:
    """From the quote that breaches, as risk takes it up, to the exit order at the simulator, and from the exchange."""
    progress(f"{EXITS} breaches of a stop that risk holds, about {EXITS * 4 * TURN_S + 15:.0f} s")
    with lab(BreachLab) as stack, bare_chain() as bare:
        assert isinstance(stack, BreachLab)
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        stack.rest("POST", "/sim/pause", paused=True)
        time.sleep(1.0)
        base = stack.price()
        sent = [breach for number in range(EXITS + WARM_UP) if (breach := _breach(stack, bare, number, base))]
        arrivals, seen = sorted(stack.arrivals()), list(_breaches_seen(stack))
        chain = percentile(bare.times()[WARM_UP:], 0.5)
    ways = [arrival - began for began in seen if (arrival := _next(arrivals, began))]
    whole = [arrival - began for began in sent if (arrival := _next(arrivals, began))]
    if len(ways) <= WARM_UP:
        raise RuntimeError(f"{len(ways)} of {EXITS + WARM_UP} breaches led to an exit; see `mytrading bench latency`")
    kept = [way / 1e6 for way in ways[WARM_UP:]]
    shares = ", ".join(f"p{share} {percentile(kept, share / 100):.2f}" for share in (10, 25, 50, 90))
    progress(
        f"from the breach to the exit order {shares} ms; from the exchange's frame on {_middle(whole[WARM_UP:]):.2f} ms"
        f"; the bare chain of `bench latency`, between them, {chain:.2f} ms"
    )
    return [
        below("breach_to_exit_p50", percentile(kept, 0.5), "ms", 2.0, len(kept), chain),
        below("breach_to_exit_p99", percentile(kept, 0.99), "ms", 20.0, len(kept)),
    ]


def _breach(stack: BreachLab, bare: BareChain, number: int, base: int) -> int:
    """Open a position and push a price beyond its stop; when that was sent, 0 if nothing was opened."""
    bare.send()
    time.sleep(TURN_S)
    way = SELL_AT if number % 2 else BUY_AT
    if not _order_follows(stack, base + way):
        return 0
    known = len(stack.arrivals())
    stack.show(float(round(base * BREACHES[way])))
    time.sleep(TURN_S)  # nothing else runs meanwhile: asking would take a core from what is measured
    sent = int(stack.rest("GET", "/sim/state")["published_ns"])
    deadline = time.monotonic() + WAIT_S
    while len(stack.arrivals()) == known and time.monotonic() < deadline:
        time.sleep(TURN_S)
    return sent


def _order_follows(stack: BreachLab, price: float) -> bool:
    """Push a price until an entry came of it, which waits until the last exit is known to be filled."""
    known, deadline = len(stack.arrivals()), time.monotonic() + WAIT_S
    while len(stack.arrivals()) == known and time.monotonic() < deadline:
        stack.show(price)
        time.sleep(TURN_S)
    time.sleep(TURN_S)
    return len(stack.arrivals()) > known


def _breaches_seen(stack: BreachLab) -> Iterator[int]:
    """Machine times at which risk took up the quotes on which it decided to close."""
    config = decode_run_config(stack.state / RUN_FILE)
    decoder, quote_ns = StreamDecoder("commands"), 0
    for path in segments(config.journal_dir("risk")):
        for row in read_segment(path):
            if row.kind == INPUT:
                quote_ns = row.machine_ns if row.stream == "market" else 0
            elif quote_ns and row.stream == "commands" and isinstance(decoder.decode_body(row.body), CloseGoal):
                yield quote_ns


def _middle(ways: list[int]) -> float:
    """Milliseconds in the middle of some ns; 0 of none."""
    return percentile(ways, 0.5) / 1e6 if ways else 0.0


def _next(arrivals: list[int], after: int) -> int:
    """The first arrival after a moment, 0 if there is none."""
    place = bisect_right(arrivals, after)
    return arrivals[place] if place < len(arrivals) else 0
