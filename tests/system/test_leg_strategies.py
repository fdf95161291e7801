"""A strategy of legs on the paper stack: shown, entered at its time, closed at its exit time, its books, its switch."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import to_ns
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from tests.kit.project import copy_project
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

TRADED = date(2026, 11, 20)
pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

FILE = """name = "Strangle"
entry_time = "09:18"
entry_minutes = 30
exit_time = "09:30"
stop = "none"

[[legs]]
action = "BUY"
strike = "OTM 2"
right = "CE"
expiry = "next"

[[legs]]
action = "BUY"
strike = "DELTA 0.3"
right = "PE"
expiry = "next"
"""


def make_home(folder: Path) -> Path:
    copy_project(folder)
    (folder / "config" / "strategies" / "strangle.toml").write_text(FILE, encoding="utf-8")
    return folder


def test_strangle_is_entered_at_its_time_and_closed_at_its_exit_time(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with Stack(tmp_path, MYTRADING_HOME=str(home), ENABLED_STRATEGIES="Strangle") as stack:
        stack.up("--simulator")
        assert not missed_by(stack)
        shown = stack.ask("legs", "show", "Strangle", "--wait", "30")
        assert [leg["action"] for leg in shown["legs"]] == ["BUY", "BUY"]
        assert shown["margin"] == shown["margin_gross"] == pytest.approx(shown["net_premium"], abs=0.05)
        assert shown["net_premium"] > 0 and len(shown["breakevens"]) == 2 and shown["max_profit"] is None
        body = eventually(lambda: held_by(stack), 120)
        assert {row["purpose"] for row in body["orders"]} == {"entry"}
        refused = stack.run("strategies", "remove", "Strangle")
        assert refused.returncode == 1
        assert "Strangle holds" in refused.stderr and "CE in paper" in refused.stderr
        done = stack.run("strategies", "disable", "Strangle")
        assert done.returncode == 0, done.stderr
        closed = eventually(lambda: closed_by(stack), 150)
        assert len(closed["trades"]) == 2 and not closed["enabled"]
        assert sum(row["realised"] for row in closed["accounts"]) == pytest.approx(closed["realised"], abs=0.02)
        drawn = stack.ask("strategies", "chart", "Strangle", "--timeframe", "1m", "--period", "3")
        assert not drawn["open"] and {leg["instrument"] for leg in drawn["legs"]} == instruments_of(closed)
        assert drawn["entered_ns"] and all(row["close"] > 0 for row in drawn["bars"])
        removed = stack.ask("strategies", "remove", "Strangle")
        assert removed["moved"] == ["config/strategies/removed/strangle.toml"]
        assert len(stack.ask("strategies", "show", "Strangle")["trades"]) == 2


def test_entry_window_that_passed_before_the_start_is_said_by_up_and_as_an_alert(tmp_path: Path) -> None:
    home, clock = make_home(tmp_path / "home"), tmp_path / "state" / "paper" / "clock.json"
    stopped = ClockSegment(machine_now(), to_ns(TRADED, time(11)), 1.0)
    write_clock_file(clock, ClockFile(segments=(stopped,), last_seen_machine_ns=stopped.machine_ns))
    with Stack(tmp_path, MYTRADING_HOME=str(home), ENABLED_STRATEGIES="Strangle") as stack:
        done = stack.run("up", "--detach", "--simulator")
        assert done.returncode == 0, done.stderr
        text = "entry window 09:18-09:48 missed: no quotes of NSE_INDEX:NIFTY came then; the next one is on another day"
        assert f"alert WINDOW_MISSED Strangle: {text}" in done.stdout
        assert missed_by(stack) == {"Strangle": text}


def missed_by(stack: Stack) -> dict[str, str]:
    return {row["subject"]: row["message"] for row in stack.ask("alerts") if row["code"] == "WINDOW_MISSED"}


def instruments_of(closed: dict[str, Any]) -> set[str]:
    return {trade["instrument"] for trade in closed["trades"]}


def held_by(stack: Stack) -> dict[str, Any] | None:
    body = stack.ask("strategies", "show", "Strangle")
    return body if sum(1 for row in body["positions"] if row["quantity"]) == 2 else None


def closed_by(stack: Stack) -> dict[str, Any] | None:
    body = stack.ask("strategies", "show", "Strangle")
    return body if body["trades"] and not body["open"] and len(body["trades"]) == 2 else None
