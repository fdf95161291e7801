"""Faults of a live server's history and quotes: they change what they name, and nothing once off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator

HALF_INDIA_S = 19_800
"""India's distance from Greenwich: by so much a server abroad is late."""


@pytest.fixture
def dhan(tmp_path: Path) -> Iterator[RunningSimulator]:
    """A live server behind dhan: minute stamps depend on its zone, and a failure of history is an empty success."""
    with start_simulator(tmp_path, personality="live", broker="dhan", start="2026-11-18 11:00") as running:
        yield running


def ask(server: RunningSimulator, path: str, **fields: Any) -> tuple[int, Any]:
    body = json.dumps({"apikey": API_KEY, **fields}).encode()
    request = Request(f"{server.rest}/{path}", body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def minutes(server: RunningSimulator) -> list[int]:
    """Stamps (s) of a whole past day's minutes."""
    day = {"start_date": "2026-11-17", "end_date": "2026-11-17"}
    status, found = ask(server, "api/v1/history", symbol="SBIN", exchange="NSE", interval="1m", **day)
    assert status == 200, found
    return [row["timestamp"] for row in found["data"]]


def test_server_abroad_history_failure_and_bare_quotes_are_what_they_say(dhan: RunningSimulator) -> None:
    right = minutes(dhan)
    assert len(right) > 300
    ask(dhan, "sim/fault", kind="server_abroad")
    assert minutes(dhan) == [at + HALF_INDIA_S for at in right]
    ask(dhan, "sim/fault", kind="server_abroad", count=0)
    ask(dhan, "sim/fault", kind="history_failure")
    assert minutes(dhan) == []
    ask(dhan, "sim/fault", kind="history_failure", count=0)
    assert minutes(dhan) == right
    _, whole = ask(dhan, "api/v1/quotes", symbol="SBIN", exchange="NSE")
    ask(dhan, "sim/fault", kind="quotes_bare")
    _, bare = ask(dhan, "api/v1/quotes", symbol="SBIN", exchange="NSE")
    assert whole["data"]["volume"] > 0 and bare["data"]["ltp"] > 0 and bare["data"]["prev_close"] == 0
