"""Conditions for entries to rest: silence, unreadiness and a lost order stream count after ten seconds."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms.placing.entry_guard import PATIENCE_NS, WATCHED, EntryGuard
from mytrading.core.time import SECOND
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState


def beat(daemon: str, ready: bool = True, stream_up: float = 1.0) -> Heartbeat:
    return Heartbeat(
        daemon=daemon, pid=1, state=DaemonState.RUNNING, ready=ready, machine_ns=0, market_ns=0,
        started_machine_ns=0, figures={"stream_up": stream_up},
    )  # fmt: skip


def watched(seconds: int, unwell: Heartbeat | None = None, silent: str = "") -> EntryGuard:
    """Guardians after so many seconds of heartbeats, of which one may be unwell or missing."""
    guardians = EntryGuard(0)
    for second in range(1, seconds + 1):
        for name in WATCHED:
            if name != silent:
                guardians.on_heartbeat(
                    unwell if unwell is not None and unwell.daemon == name else beat(name), second * SECOND
                )
    return guardians


def test_guardians_that_are_well_have_no_complaint() -> None:
    assert watched(30).guard_problem(31 * SECOND) == ""


@pytest.mark.parametrize("name", WATCHED)
def test_silent_guardian_is_named_after_ten_seconds(name: str) -> None:
    assert watched(9, silent=name).guard_problem(PATIENCE_NS - 1) == ""
    assert f"{name} is silent" in watched(10, silent=name).guard_problem(PATIENCE_NS)


@pytest.mark.parametrize("name", WATCHED)
def test_guardian_that_is_not_ready_is_named_after_ten_seconds(name: str) -> None:
    assert f"{name} is not well" in watched(10, unwell=beat(name, ready=False)).guard_problem(PATIENCE_NS)


def test_stops_that_risk_holds_are_those_of_its_last_heartbeat_and_it_is_unwell_after_ten_seconds() -> None:
    guardians = watched(5)
    assert guardians.engine_stops == frozenset()
    guardians.on_heartbeat(
        replace(beat("risk"), figures={"stop main NSE:SBIN MIS S": 784.0, "entries": 1.0}), 6 * SECOND
    )
    guardians.on_heartbeat(beat("feed"), 9 * SECOND)
    assert guardians.daemon_problem("risk", 16 * SECOND - 1) == ""
    assert guardians.daemon_problem("risk", 16 * SECOND) == "risk is silent for 10 s"
    assert guardians.engine_stops == {"stop main NSE:SBIN MIS S"}
    assert EntryGuard(0).engine_stops is None, "nobody said yet"


def test_risk_that_comes_back_with_a_journal_in_doubt_takes_no_stop_of_its_own_away() -> None:
    guardians, stop = watched(1), "stop main NSE:SBIN MIS S"
    guardians.on_heartbeat(beat("risk", ready=False), 2 * SECOND)
    guardians.on_heartbeat(replace(beat("risk"), figures={stop: 784.0}), 3 * SECOND)
    guardians.on_heartbeat(beat("risk", ready=False), 20 * SECOND)
    assert guardians.engine_stops == {stop}
    fresh = EntryGuard(0)
    fresh.on_heartbeat(beat("risk", ready=False), SECOND)
    assert fresh.engine_stops is None, "it may hold any"


def test_lost_order_stream_is_a_complaint_though_the_reconciler_is_ready() -> None:
    assert "order stream" in watched(10, unwell=beat("reconciler", stream_up=0.0)).guard_problem(PATIENCE_NS)


def test_guardian_that_comes_back_ends_the_complaint() -> None:
    guardians = watched(12, silent="risk")
    assert guardians.guard_problem(12 * SECOND)
    guardians.on_heartbeat(beat("risk"), 13 * SECOND)
    assert guardians.guard_problem(13 * SECOND) == ""


def test_server_of_the_traded_account_that_hangs_leaves_entries_of_another_account() -> None:
    guardians = EntryGuard(0, ["second"])
    for second in range(1, 13):
        for name in WATCHED:
            guardians.on_heartbeat(beat(name, name != "reconciler", float(name != "reconciler")), second * SECOND)
        guardians.on_books_read("second", second * SECOND)
    assert "reconciler is not well" in guardians.guard_problem(12 * SECOND, "main")
    assert guardians.guard_problem(12 * SECOND, "second") == ""
    assert "is silent" in guardians.guard_problem(24 * SECOND, "second")


def test_account_whose_books_cannot_be_read_is_named_though_the_reconciler_is_ready() -> None:
    """Entries of it rested on, at a server that nobody could hear."""
    guardians = EntryGuard(0, ["second"])
    guardians.on_books_read("second", 2 * SECOND)
    for second in range(1, 13):
        for name in WATCHED:
            guardians.on_heartbeat(beat(name), second * SECOND)
    assert guardians.guard_problem(11 * SECOND, "second") == ""
    assert "books of second" in guardians.guard_problem(12 * SECOND, "second")
    assert guardians.guard_problem(12 * SECOND, "main") == ""
