"""Quarantine of journals: kept until an operator resumes."""

from __future__ import annotations

from typing import Any

from mytrading.messages.control import Alert
from mytrading.messages.journal_rows import Doubted
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.recovery.quarantine import OWN, Quarantine


class Process:
    """Services of a daemon for its quarantine, at a market time that a test sets."""

    def __init__(self) -> None:
        self.now = 10
        self.rows: list[Any] = []
        self.sent: list[Alert] = []
        self.notes: dict[str, str] = {}
        self.alerts = Alerts("router", lambda: self.now, self.sent.append)
        self.quarantine = Quarantine(
            "router", self.alerts, self.notes, self.rows.extend, lambda: self.now, lambda: None
        )


def test_resume_ends_every_quarantine_and_its_alert() -> None:
    process = Process()
    process.quarantine.begin("risk", "UPSTREAM_UNREADABLE", "row 7 is bad")
    process.quarantine.release()
    assert not process.quarantine.writers and not process.notes and not process.alerts.active
    assert [(row.whom, row.cleared) for row in process.rows] == [("risk", False), ("risk", True)]


def test_resume_that_came_while_the_process_was_away_ends_what_is_older() -> None:
    """A router that was killed in quarantine read the resume while it started, and stayed in quarantine for good."""
    process = Process()
    process.quarantine.apply(Doubted(whom="risk", code="UPSTREAM_UNREADABLE", problem="row 7 is bad", at_ns=10))
    process.now = 30
    process.quarantine.begin(OWN, "JOURNAL_TAIL_LOST", "found at this start")
    for row in process.quarantine.active:
        process.quarantine.alert(row)
    process.quarantine.release(before=20)
    assert process.quarantine.writers == {OWN}
    assert [alert.code for alert in process.alerts.active] == ["JOURNAL_TAIL_LOST"]


def test_resume_from_before_a_quarantine_ends_nothing() -> None:
    process = Process()
    process.quarantine.begin("risk", "UPSTREAM_UNREADABLE", "row 7 is bad")
    process.quarantine.release(before=10)
    assert process.quarantine.writers == {"risk"}
