"""Doubts of journals: kept until a person resumes, whenever the process hears of that."""

from __future__ import annotations

from typing import Any

from mytrading.messages.control import Alert
from mytrading.messages.records import Doubted
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.doubts import OWN, Doubts


class Process:
    """What a daemon gives its doubts, at a market time that a test sets."""

    def __init__(self) -> None:
        self.now = 10
        self.rows: list[Any] = []
        self.sent: list[Alert] = []
        self.notes: dict[str, str] = {}
        self.alerts = Alerts("router", lambda: self.now, self.sent.append)
        self.doubts = Doubts("router", self.alerts, self.notes, self.rows.extend, lambda: self.now, lambda: None)


def test_resume_ends_every_doubt_and_its_alert() -> None:
    process = Process()
    process.doubts.begin("risk", "UPSTREAM_UNREADABLE", "row 7 is bad")
    process.doubts.end()
    assert not process.doubts.whom and not process.notes and not process.alerts.standing
    assert [(row.whom, row.cleared) for row in process.rows] == [("risk", False), ("risk", True)]


def test_resume_that_came_while_the_process_was_away_ends_what_is_older() -> None:
    """A router that was killed in quarantine read the resume while it started, and stayed in quarantine for good."""
    process = Process()
    process.doubts.keep(Doubted(whom="risk", code="UPSTREAM_UNREADABLE", problem="row 7 is bad", at_ns=10))
    process.now = 30
    process.doubts.begin(OWN, "JOURNAL_TAIL_LOST", "found at this start")
    for doubt in process.doubts.standing:
        process.doubts.say(doubt)
    process.doubts.end(before=20)
    assert process.doubts.whom == {OWN}
    assert [alert.code for alert in process.alerts.standing] == ["JOURNAL_TAIL_LOST"]


def test_resume_from_before_a_doubt_ends_nothing() -> None:
    process = Process()
    process.doubts.begin("risk", "UPSTREAM_UNREADABLE", "row 7 is bad")
    process.doubts.end(before=10)
    assert process.doubts.whom == {"risk"}
