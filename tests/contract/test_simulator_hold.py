"""A fast market stands until its stack has come to listen, so that none of it passes unseen."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date, time
from pathlib import Path

import websocket

from mytrading.core.calendar import to_ns
from mytrading.runtime.clock import SECOND, ClockFile, MarketClock, Segment, machine_now, write_clock_file
from tests.support import API_KEY, eventually, start_simulator

TEN = to_ns(date(2026, 11, 20), time(10))
HOUR_NS = 3_600 * SECOND


def test_market_that_stands_begins_when_its_quotes_are_listened_to(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    stands = Segment(machine_now() + HOUR_NS, TEN, 600.0)
    write_clock_file(path, ClockFile(segments=(stands,), last_seen_machine_ns=machine_now()))
    clock = MarketClock.load(path)
    with (
        start_simulator(tmp_path, start="", clock=path) as simulator,
        closing(websocket.create_connection(simulator.ws, timeout=10)) as listener,
    ):
        listener.send(json.dumps({"action": "authenticate", "api_key": API_KEY}))
        listener.recv()
        clock.refresh()
        assert clock.now() == TEN and clock.waits_until == stands.machine_ns
        listener.send(json.dumps({"action": "subscribe", "mode": 2, "symbol": "SBIN", "exchange": "NSE"}))
        eventually(lambda: clock.refresh() or clock.now() > TEN, 20)
    assert len(clock.segments) == 1 and clock.segments[0].market_ns == TEN
    assert clock.at(clock.waits_until + SECOND) == TEN + 600 * SECOND
