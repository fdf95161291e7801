"""An exit past a stop that rests: from the answer of the stop's cancel to the exit order, at a server that is slow.

A stack of its own in real processes; a strategy goes long and flat in turns, with its stop at the broker, while the
simulator takes 100 ms for every call. The way is read from the router's journal; its limit is what the calls of one
read of the books took just then by themselves, side by side where that proves as much. Nothing is subtracted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from lab.bench.results import Figure, percentile, within
from lab.bench.stack import TURN_S, Lab, lab
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.enums import Purpose
from mytrading.messages.orders import OrderChanged
from mytrading.messages.run_config import RUN_FILE, decode_run_config
from mytrading.runtime.journal.journal import read_segment, segments

EXITS, WARM_UP = 20, 2
CALL_MS = 100.0
MORE_MS = 20.0
WAIT_S = 60.0
FIRST, THEN = "orderbook", ("analyzer", "tradebook", "positionbook")
"""The calls that prove a cancel: books asked for before the order book has come may lack what that shows."""


class GuardedLab(Lab):
    """The laboratory whose strategy has its stop at the broker."""

    holds = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        path = self.home / "config" / "strategies" / "bench_toggle.toml"
        kept = [line for line in path.read_text().splitlines() if not line.startswith("stop = ")]
        path.write_text("\n".join(kept).replace("lots = 10", 'lots = 10\nstop = "broker"\nstop_loss_percent = 5'))


def measure_exit_after_cancel(progress: Callable[[str], None]) -> list[Figure]:
    """From the answered cancel of a stop to the exit order's call, p50, beside the calls of one read."""
    progress(f"{EXITS} exits past a stop at a server that takes {CALL_MS:.0f} ms for a call, about a minute and a half")
    with lab(GuardedLab) as stack:
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        stack.rest("POST", "/sim/pause", paused=True)
        stack.rest("POST", "/sim/fault", kind="delay_ms", ms=CALL_MS)
        reads: list[float] = []
        base, deadline = stack.price(), time.monotonic() + WAIT_S
        while len(ways := list(_ways(stack))) < EXITS + WARM_UP and time.monotonic() < deadline:
            stack.show(base + len(reads) % 2 * 0.05)
            time.sleep(TURN_S)
            reads.append(_read(stack))
    if len(ways) <= WARM_UP:
        raise RuntimeError(f"{len(ways)} exits followed a cancel, {EXITS} were expected; see `mytrading bench latency`")
    kept = [way / 1e6 for way in ways[WARM_UP:]]
    progress(f"p10 {percentile(kept, 0.1):.1f}, p90 {percentile(kept, 0.9):.1f} ms; the slowest {max(kept):.1f}")
    return [within("exit_after_cancel", percentile(kept, 0.5), percentile(reads, 0.5), MORE_MS, len(kept))]


def _read(stack: Lab) -> float:
    """Milliseconds that the calls of one read take over connections that are kept, those beside one another at once."""
    venue = decode_run_config(stack.state / RUN_FILE).venue
    body = json.dumps({"apikey": venue.api_key}).encode()
    connections = [HTTPConnection(urlsplit(venue.rest_url).netloc, timeout=20) for _ in THEN]
    for connection in connections:
        connection.connect()
    began = time.monotonic_ns()
    for calls in ((FIRST,), THEN):
        beside = list(zip(connections, calls, strict=False))
        for connection, name in beside:
            connection.request("POST", f"/api/v1/{name}", body, {"Content-Type": "application/json"})
        for connection, _ in beside:
            connection.getresponse().read()
    took = time.monotonic_ns() - began
    for connection in connections:
        connection.close()
    return took / 1e6


def _ways(stack: Lab) -> Iterator[int]:
    """Nanoseconds from the answer of each cancel to the exit that left next."""
    config, decoder, answered = decode_run_config(stack.state / RUN_FILE), StreamDecoder("orders"), 0
    rows = (row for path in segments(config.journal_dir("router")) for row in read_segment(path))
    for message in (decoder.decode_body(row.body) for row in rows if row.stream == "orders"):
        if not isinstance(message, OrderChanged):
            continue
        if message.event == "cancel_accepted":
            answered = message.order.evidence.seen_machine_ns
        elif answered and message.event == "submitted" and message.order.purpose is Purpose.EXIT:
            yield message.order.call.began_machine_ns - answered
            answered = 0
