"""Thousands of instruments subscribed at the real simulator, until each has shown a tick on the bus.

All instruments that the simulator lists are watched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from lab.bench.feed import WatchedFeed, feed_config
from lab.bench.results import Figure, below
from lab.bench.simulator_process import Exchange, exchange

EXCHANGES = ("NSE_INDEX", "BSE_INDEX", "NSE", "BSE", "NFO", "BFO")


def measure_subscribe_simulator(progress: Callable[[str], None], instruments: int = 3000) -> list[Figure]:
    """From the simulator's admission of the feed until each instrument has shown its first tick on the bus."""
    progress(f"{instruments} instruments of the simulator subscribed")
    with tempfile.TemporaryDirectory(prefix="mtb", dir="/tmp") as folder, ExitStack() as stack:
        running = stack.enter_context(exchange(Path(folder), "--instruments", str(instruments)))
        watch = _listed(running)[:instruments]
        feed = WatchedFeed(feed_config(Path(folder), running, watch), stack)
        seen = feed.wait_subscribed()
        (admitted_ns,) = running.get("/sim/state")["admitted_ns"]
    return [below("subscribe_simulator", (seen["at_ns"] - admitted_ns) / 1e9, "s", 5.0, len(watch))]


def _listed(running: Exchange) -> tuple[str, ...]:
    """Return the ids of all listed instruments."""
    return tuple(
        f"{name}:{row['symbol']}"
        for name in EXCHANGES
        for row in running.get("/api/v1/instruments", f"&exchange={name}&format=json")
    )
