"""Doctor on history: which day it asks, a broker that has none, stamps that are off, and minutes that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.cli.doctor.checks import CheckContext, Verdict
from mytrading.cli.doctor.probes import check_history
from mytrading.core.time import to_ns
from mytrading.messages.brokers import BrokerRules, HistoryRules
from mytrading.messages.run_config import RunConfig
from mytrading.orchestrator import TradingOrchestrator
from tests.kit.feed_process import feed_config
from tests.kit.history_server import HistoryServer, history_server, minutes_of

THU, FRI = date(2026, 7, 16), date(2026, 7, 17)
SBIN, NIFTY = "NSE:SBIN", "NSE_INDEX:NIFTY"


class At(CheckContext):
    """A context at a market time of the test."""

    now_ns = 0

    @cached_property
    def now(self) -> int:  # type: ignore[override]
        return self.now_ns


def context(folder: Path, server: HistoryServer, clock: str, rules: HistoryRules | None = None) -> At:
    config: RunConfig = feed_config(folder, folder, server.url, "ws://127.0.0.1:1", (SBIN, NIFTY))
    row = BrokerRules(name="anybroker", history=rules or HistoryRules())
    made = At(TradingOrchestrator(msgspec.structs.replace(config, brokers={"anybroker": row})))
    made.now_ns = to_ns(FRI, time.fromisoformat(clock))
    return made


@contextmanager
def server_of(today: int, **choices: Any) -> Iterator[HistoryServer]:
    """Thursday whole, and so many minutes of Friday."""
    found = minutes_of(THU) + minutes_of(FRI, count=today)
    with history_server(minutes={SBIN: found, NIFTY: found}, **choices) as server:
        yield server


@pytest.mark.parametrize(("clock", "day", "minutes"), [
    ("09:44", "2026-07-16", 375), ("09:45", "2026-07-17", 27), ("14:00", "2026-07-17", 282),
    ("15:31", "2026-07-16", 375), ("08:00", "2026-07-16", 375),
])  # fmt: skip
def test_today_is_asked_in_session_from_a_quarter_to_ten_on(tmp_path: Path, clock: str, day: str, minutes: int) -> None:
    """Minutes of the last three are not expected yet."""
    with server_of(375) as server:
        found = check_history(context(tmp_path, server, clock))
    assert (found.verdict, found.found) == (Verdict.OK, f"{minutes} of {minutes} minutes of NSE:SBIN on {day}")


def test_hours_of_today_that_are_missing_are_said(tmp_path: Path) -> None:
    """It asked the day before, and said that all was well."""
    with server_of(40) as server:
        found = check_history(context(tmp_path, server, "15:00"))
    assert (found.verdict, found.found) == (Verdict.WARNING, "40 of 342 minutes of NSE:SBIN on 2026-07-17")


def test_shifted_history_fails_with_its_number(tmp_path: Path) -> None:
    with server_of(375, late=330) as server:
        found = check_history(context(tmp_path, server, "08:00"))
    assert found.verdict is Verdict.FAILED and "330 minutes late" in found.found


def test_a_broker_without_history_is_said_and_one_that_shifts_is_made_good(tmp_path: Path) -> None:
    with server_of(375, late=30) as server:
        none = check_history(context(tmp_path, server, "14:00", HistoryRules(available=False)))
        known = check_history(context(tmp_path, server, "08:00", HistoryRules(minutes_late=30)))
    assert none.verdict is Verdict.WARNING and "has no history" in none.found
    assert (known.verdict, known.found) == (Verdict.OK, "375 of 375 minutes of NSE:SBIN on 2026-07-16")
