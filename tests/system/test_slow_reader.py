"""A reader of the running feed that stops reading: the feed goes on, does not grow, and nobody else misses anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mytrading.runtime.streams.endpoints import endpoint
from tests.kit.stack import Stack
from tests.kit.stack_project import make_busy_project
from tests.kit.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

READER = """
import sys, zmq
socket = zmq.Context.instance().socket(zmq.SUB)
socket.subscribe(b"")
socket.connect(sys.argv[1])
socket.recv()
print("reads", flush=True)
while True:
    socket.recv()
"""
STALLED_S = 15.0


def test_stalled_reader_of_the_feed_costs_nobody_anything(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_busy_project(tmp_path / "home", ZMQ_HIGH_WATER_MARK="1000")) as stack:
        stack.up("--simulator")
        market = endpoint(stack.config.runtime_dir, "market", "feed")
        reader = subprocess.Popen([sys.executable, "-c", READER, market], stdout=subprocess.PIPE, text=True)
        try:
            assert reader.stdout is not None and reader.stdout.readline() == "reads\n"
            before = stack.beat("feed")
            os.kill(reader.pid, signal.SIGSTOP)
            stalled = time.monotonic() + STALLED_S

            def flooded() -> bool:
                """For some while, and with more than the reader's queue holds."""
                sent = stack.beat("feed")["bytes_out"] - before["bytes_out"]
                return time.monotonic() > stalled and sent > 1000 * 150

            eventually(flooded, 2 * STALLED_S)
            after = stack.beat("feed")
            assert after["rss_mb"] < before["rss_mb"] + 16
            assert after["pid"] == before["pid"] and after["lag_ms"] < 2_000 * PATIENCE
            assert all(stack.beat(name)["dropped"] == 0 for name in ("engine", "risk"))
            placed = len(stack.ask("orders"))
            eventually(lambda: len(stack.ask("orders")) > placed, 60)
        finally:
            reader.kill()
            reader.wait()
