"""A range of days in requests that a broker admits."""

import time
from datetime import date, timedelta

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.history import CHUNK_DAYS, GATE_NS, chunks, fetch_range


def test_chunks_cover_each_day_once_within_the_limit() -> None:
    start, end = date(2026, 1, 1), date(2026, 12, 31)
    found = list(chunks("1m", start, end))
    days = [first + timedelta(days=n) for first, last in found for n in range((last - first).days + 1)]
    assert days == [start + timedelta(days=n) for n in range(365)]
    assert max((last - first).days + 1 for first, last in found) == CHUNK_DAYS["1m"]


def test_chunks_of_one_day_and_of_none() -> None:
    day = date(2026, 1, 1)
    assert list(chunks("5m", day, day)) == [(day, day)]
    assert list(chunks("5m", day, day - timedelta(days=1))) == []


def test_range_of_an_unreachable_server_reports_every_chunk_and_keeps_the_pace() -> None:
    client = OpenAlgoClient("http://127.0.0.1:1", "key", time.monotonic_ns)
    paced: list[int] = []
    found = fetch_range(client, "NSE:SBIN", "1m", date(2026, 1, 1), date(2026, 4, 30), 0, paced.append)
    assert found.bars == ()
    assert found.missing == ((date(2026, 1, 1), date(2026, 3, 1)), (date(2026, 3, 2), date(2026, 4, 30)))
    assert len(found.reasons) == 2 and paced == [GATE_NS]
