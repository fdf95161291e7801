"""The stack under measurement: a home of its own with one strategy that answers every quote, real processes.

Ticks of the simulator are paused, so that each quote that is pushed leads to one order and its way can be timed:
from before the simulator writes the frame to the arrival of the order request. The bare chain runs beside the stack
and takes turns with it, so that both find the machine in the same state.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from lab.bench.bare_chain import QUIET_S, BareChain, bare_chain
from lab.bench.results import Figure, against_limit, below, percentile
from mytrading.messages.run_config import RUN_FILE, decode_run_config
from mytrading.messages.streams import ALL
from mytrading.runtime.host.paths import project_home

ORDERS = 60
WARM_UP = 6
TURN_S = 0.4

_STRATEGY = '''
from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Signal


class BenchToggle(BaseStrategy):
    """Long and flat in turns, one signal for every quote."""

    subscribe_quotes = True

    def on_data(self, data: Any) -> Signal | None:
        if isinstance(data, Bar):
            return None
        return self.create_signal("EXIT" if self.position.is_long else "BUY")
'''
_CONFIG = """
name = "BenchToggle"
symbols = ["NSE:SBIN"]
timeframes = ["1m"]
lots = 10
stop = "none"  # the figure is the way of an entry; a stop would take turns with it

[trade]
long = "same"
"""
_SETTINGS = """
[risk]
max_order_size = 1_000_000
max_position_size = 1_000_000
min_order_size = 1

[rates]
entries_per_minute = 100_000
"""


class Lab:
    """A temporary home and state, and the commands to run there."""

    holds = False

    def __init__(self, folder: Path) -> None:
        self.home, self.state = folder / "home", folder / "state" / "paper"
        shutil.copytree(project_home() / "config", self.home / "config", ignore=shutil.ignore_patterns("webhooks"))
        shutil.copy(project_home() / "supervisord.conf", self.home / "supervisord.conf")
        (self.home / "strategies").mkdir()
        for path in (self.home / "config" / "strategies").glob("*.toml"):
            path.unlink()
        (self.home / "strategies" / "bench_toggle.py").write_text(_STRATEGY)
        (self.home / "config" / "strategies" / "bench_toggle.toml").write_text(_CONFIG)
        (self.home / "config" / "settings.toml").write_text(_SETTINGS)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MYTRADING_", "OPENALGO_"))},
            "MYTRADING_HOME": str(self.home),
            "MYTRADING_STATE_DIR": str(folder / "state"),
            "MYTRADING_LOG_DIR": str(folder / "logs"),
            "ENABLED_STRATEGIES": "BenchToggle",
            "ENABLED_SYMBOLS": "NSE:SBIN",
        }

    def run(self, *arguments: str) -> str:
        """One command of ours; raises with its errors.

        It ends even while this process is being ended: half an `up` would leave what nobody knows of.
        """
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._run, *arguments).result()

    def _run(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("mytrading")), *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=120, start_new_session=True
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()[-800:]}")
        return done.stdout

    def show(self, price: float) -> None:
        """A quote of the share, in `QUIET_S`; it stays where the laboratory `holds` its prices."""
        quote = {"symbol": "SBIN", "exchange": "NSE", "ltp": price, "bid": price - 0.05, "ask": price + 0.05}
        self.rest("POST", "/sim/market", **quote, hold=self.holds, after=QUIET_S)

    def price(self) -> int:
        """The share's price before anything is pushed, in whole rupees."""
        return int(self.rest("POST", "/api/v1/quotes", symbol="SBIN", exchange="NSE")["ltp"])

    def rest(self, method: str, path: str, **fields: Any) -> Any:
        """`data` of a call of the simulator's own routes."""
        venue = decode_run_config(self.state / RUN_FILE).venue
        url = f"{venue.rest_url}{path}"
        if method == "GET":
            request = Request(f"{url}?apikey={venue.api_key}")
        else:
            body = json.dumps({"apikey": venue.api_key, **fields}).encode()
            request = Request(url, body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"]


@contextmanager
def lab(furnished: Callable[[Path], Lab] = Lab) -> Iterator[Lab]:
    """A stack's home; all processes started there are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        found = furnished(Path(folder))
        try:
            yield found
        finally:
            if (found.state / RUN_FILE).exists():
                found.run("down")


def measure_latency(progress: Callable[[str], None]) -> list[Figure]:
    """From a quote on the feed's WebSocket to the order request at the exchange, p50 and p99, beside the bare chain."""
    progress(f"the stack and the bare chain in turns, {ORDERS} orders each, {ORDERS * 2 * TURN_S:.0f} s")
    with lab() as stack, bare_chain() as bare:
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        kept = _push_quotes(stack, bare, progress)[WARM_UP:]
        limit = bare.times()[WARM_UP:]
    return [
        against_limit("quote_to_order_p50", percentile(kept, 0.5), percentile(limit, 0.5), 2.0, len(kept)),
        against_limit("quote_to_order_p99", percentile(kept, 0.99), percentile(limit, 0.99), 3.0, len(kept)),
    ]


def _push_quotes(stack: Lab, bare: BareChain, progress: Callable[[str], None]) -> list[float]:
    """Milliseconds of each order's way. A quote that led to no order at once is reported and left out."""
    stack.rest("POST", "/sim/pause", paused=True)
    time.sleep(1.0)
    values: list[float] = []
    silent, known = 0, len(stack.rest("GET", "/sim/orders"))
    price = 800.0
    while len(values) < ORDERS + WARM_UP and silent < ORDERS:
        price = 800.0 if price > 800.0 else 800.05
        stack.show(price)
        time.sleep(TURN_S)  # nothing else runs meanwhile: asking would take a core from what is measured
        sent = stack.rest("GET", "/sim/state")["published_ns"]
        orders = stack.rest("GET", "/sim/orders")
        if len(orders) > known:
            values.append((int(orders[known]["received_ns"]) - sent) / 1e6)
            known = len(orders)
        else:
            silent += 1
        bare.send()
        time.sleep(TURN_S)
    if silent:
        progress(f"{silent} quotes led to no order at once (the last fill was not confirmed yet)")
    return values


def measure_start(progress: Callable[[str], None]) -> list[Figure]:
    """Seconds from `up` to everything running and ready, caches warm, and the memory of the stack then."""
    progress("start of the stack, three times")
    seconds, memory = [], []
    for _ in range(3):
        with lab() as stack:
            began = time.monotonic()
            stack.run("up", "--detach", "--simulator", "--speed", "1")
            seconds.append(time.monotonic() - began)
            rows = {row["daemon"]: row for row in json.loads(stack.run("status", "--json"))["daemons"]}
            memory.append(sum(rows[name]["rss_mb"] for name in ALL))
    return [
        below("start_ready", percentile(seconds, 0.5), "s", 5.0, len(seconds)),
        below("stack_memory", percentile(memory, 0.5), "MB", 400.0, len(memory)),
    ]
