"""Alerts of a daemon: said once, repeated while they stand, counted, cleared once, and restored without a word."""

from __future__ import annotations

from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.runtime.alerts import Alerts


class Said:
    def __init__(self) -> None:
        self.now = 0
        self.sent: list[Alert] = []
        self.alerts = Alerts("feed", lambda: self.now, self.sent.append)

    def raise_at(self, now: int, message: str = "mute", subject: str = "NSE:SBIN") -> None:
        self.now = now
        self.alerts.raise_("FEED_MUTE", Severity.WARNING, subject, message)


def test_rise_is_sent_once_and_counts_while_it_stands() -> None:
    said = Said()
    for now in (1, 2, 3):
        said.raise_at(now, f"mute since {now}")
    assert [(alert.first_ns, alert.count) for alert in said.sent] == [(1, 1)]
    (standing,) = said.alerts.standing
    assert (standing.first_ns, standing.last_ns, standing.count, standing.message) == (1, 3, 3, "mute since 3")


def test_subjects_stand_apart() -> None:
    said = Said()
    said.raise_at(1)
    said.raise_at(2, subject="NSE:INFY")
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    assert [alert.subject for alert in said.alerts.standing] == ["NSE:INFY"]


def test_repeat_sends_what_stands_with_its_count() -> None:
    said = Said()
    said.raise_at(1)
    said.raise_at(2)
    said.alerts.repeat()
    assert [alert.count for alert in said.sent] == [1, 2]


def test_clear_is_sent_once_and_a_later_rise_is_new() -> None:
    said = Said()
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    assert said.sent == []
    said.raise_at(1)
    said.now = 5
    for _ in range(2):
        said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    said.raise_at(7)
    assert [(alert.cleared, alert.first_ns, alert.last_ns) for alert in said.sent] == [
        (False, 1, 1), (True, 1, 5), (False, 7, 7)]  # fmt: skip


def test_restored_alert_stands_and_is_not_said_again() -> None:
    before, after = Said(), Said()
    before.raise_at(1)
    after.alerts.restore(before.sent[0])
    after.raise_at(9)
    assert after.sent == []
    assert after.alerts.standing[0].count == 2


def test_end_is_said_a_few_times_more_and_then_no_more() -> None:
    """A gateway that had not joined the new router's stream yet kept the alert of the old one for good."""
    said = Said()
    said.raise_at(1)
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    for _ in range(5):
        said.alerts.repeat()
    assert [alert.cleared for alert in said.sent] == [False, True, True, True, True]


def test_end_is_not_repeated_once_it_rose_again() -> None:
    said = Said()
    said.raise_at(1)
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    said.raise_at(2)
    said.alerts.repeat()
    assert [alert.cleared for alert in said.sent] == [False, True, False, False]
