"""A range of days in requests that a broker admits, at the pace that the server admits."""

from __future__ import annotations

import time
import tomllib
from datetime import date, timedelta

import pytest

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.adapters.openalgo.rest.history import (
    CHUNK_DAYS,
    WINDOW_NS,
    HistoryGate,
    interval_ns,
    split_range,
)
from mytrading.adapters.openalgo.rest.proven_history import ProvenHistory
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))


class Watch:
    """Machine time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 5
        self.waits: list[int] = []

    def wait(self, ns: int) -> None:
        self.waits.append(ns)
        self.now += ns


def test_chunks_cover_each_day_once_within_the_limit() -> None:
    start, end = date(2026, 1, 1), date(2026, 12, 31)
    found = list(split_range("1m", start, end))
    days = [first + timedelta(days=n) for first, last in found for n in range((last - first).days + 1)]
    assert days == [start + timedelta(days=n) for n in range(365)]
    assert max((last - first).days + 1 for first, last in found) == CHUNK_DAYS["1m"]


def test_chunks_of_one_day_and_of_none() -> None:
    day = date(2026, 1, 1)
    assert list(split_range("5m", day, day)) == [(day, day)]
    assert list(split_range("5m", day, day - timedelta(days=1))) == []


def test_gate_lets_three_through_in_any_second() -> None:
    watch = Watch()
    gate = HistoryGate(lambda: watch.now, watch.wait)
    times = []
    for _ in range(8):
        gate.wait_turn()
        times.append(watch.now)
        watch.now += 50_000_000
    assert all(later - earlier >= WINDOW_NS for earlier, later in zip(times, times[3:], strict=False))
    assert len(watch.waits) == 2


def test_range_of_an_unreachable_server_names_every_chunk_and_tells_its_progress() -> None:
    client = OpenAlgoClient("http://127.0.0.1:1", "key", time.monotonic_ns)
    watch = Watch()
    reported: list[tuple[int, int]] = []
    gate = HistoryGate(lambda: watch.now, watch.wait)
    history = ProvenHistory(client, CALENDAR, gate.wait_turn, lambda: watch.now)
    found = history.fetch_range(
        "NSE:SBIN", "1m", date(2026, 1, 1), date(2026, 9, 1), 0, lambda done, count: reported.append((done, count))
    )
    assert found.bars == ()
    assert [(chunk.first, chunk.last) for chunk in found.failed][:2] == [
        (date(2026, 1, 1), date(2026, 3, 1)),
        (date(2026, 3, 2), date(2026, 4, 30)),
    ]
    assert all("is the server running" in chunk.problem for chunk in found.failed)
    assert reported == [(n, 5) for n in range(1, 6)] and watch.waits == [WINDOW_NS]


@pytest.mark.parametrize(("interval", "minutes"), [("1m", 1), ("15m", 15), ("1h", 60), ("1d", 1440)])
def test_interval_has_a_length(interval: str, minutes: int) -> None:
    assert interval_ns(interval) == minutes * MINUTE


@pytest.mark.parametrize("interval", ["", "m", "0m", "2d", "5s", "D"])
def test_interval_without_sense_is_refused(interval: str) -> None:
    with pytest.raises(ValueError, match="expected minutes, hours or a day"):
        interval_ns(interval)
