"""Alerts of a daemon: said once, repeated while they stand, counted, cleared once, and restored without a word.

What comes and goes is reported twice and stands until it has been well for the cool-down.
"""

from __future__ import annotations

import msgspec

from mytrading.core.active_alerts import STAYS, ActiveAlert
from mytrading.core.time import SECOND
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import AlertRules, RunConfig
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.observability.alerts import END_REPEATS, Alerts


class Said:
    def __init__(self) -> None:
        self.now = 0
        self.machine_ns = 0
        self.sent: list[Alert] = []
        self.alerts = Alerts("feed", lambda: self.now, self.sent.append, 60.0, lambda: self.machine_ns)

    def raise_at(self, now: int, message: str = "mute", subject: str = "NSE:SBIN") -> None:
        self.now = now
        self.alerts.raise_("FEED_MUTE", Severity.WARNING, subject, message)


def test_rise_is_sent_once_and_counts_while_it_stands() -> None:
    said = Said()
    for now in (1, 2, 3):
        said.raise_at(now, f"mute since {now}")
    assert [(alert.first_ns, alert.count) for alert in said.sent] == [(1, 1)]
    (active,) = said.alerts.active
    assert (active.first_ns, active.last_ns, active.count, active.message) == (1, 3, 3, "mute since 3")


def test_warning_that_grows_critical_is_sent_at_once_and_stays_critical() -> None:
    said = Said()
    said.raise_at(1, "it waits")
    said.now = 2
    said.alerts.raise_("FEED_MUTE", Severity.CRITICAL, "NSE:SBIN", "it was given up")
    said.raise_at(3, "it waits")
    assert [(alert.severity, alert.message) for alert in said.sent] == [
        (Severity.WARNING, "it waits"),
        (Severity.CRITICAL, "it was given up"),
    ]
    (active,) = said.alerts.active
    assert (active.severity, active.first_ns, active.count) == (Severity.CRITICAL, 1, 3)


def test_subjects_stand_apart() -> None:
    said = Said()
    said.raise_at(1)
    said.raise_at(2, subject="NSE:INFY")
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    assert [alert.subject for alert in said.alerts.active] == ["NSE:INFY"]


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


def test_end_is_reported_again_for_a_while_to_whoever_was_away() -> None:
    said = Said()
    said.raise_at(1)
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    del said.sent[:]
    for _ in range(END_REPEATS + 3):
        said.alerts.repeat()
    assert [alert.cleared for alert in said.sent] == [True] * END_REPEATS


def test_end_is_reported_no_more_once_it_rose_again() -> None:
    said = Said()
    said.raise_at(1)
    said.alerts.clear("FEED_MUTE", "NSE:SBIN")
    said.raise_at(3)
    del said.sent[:]
    said.alerts.repeat()
    assert [(alert.cleared, alert.first_ns) for alert in said.sent] == [(False, 3)]


def test_restored_alert_stands_and_is_not_said_again() -> None:
    before, after = Said(), Said()
    before.raise_at(1)
    after.alerts.restore(before.sent[0])
    after.raise_at(9)
    assert after.sent == []
    assert after.alerts.active[0].count == 2


def flap(said: Said, seconds: int, by_operator: bool = False) -> None:
    """Down and up again within each second."""
    for _ in range(seconds):
        said.raise_at(said.now)
        said.machine_ns += SECOND // 2
        said.alerts.clear("FEED_MUTE", "NSE:SBIN", by_operator)
        said.machine_ns += SECOND // 2
        said.alerts.end_flapping(said.machine_ns)


def test_what_comes_and_goes_for_minutes_is_reported_twice_and_stays_active_meanwhile() -> None:
    said = Said()
    flap(said, 300)
    assert [alert.cleared for alert in said.sent] == [False, True, False]
    said.machine_ns += 59 * SECOND
    said.alerts.end_flapping(said.machine_ns)
    assert len(said.sent) == 3
    said.machine_ns += SECOND
    said.alerts.end_flapping(said.machine_ns)
    assert (said.sent[-1].cleared, said.sent[-1].count) == (True, 299)


def test_what_flapped_and_is_wrong_once_more_does_not_end() -> None:
    said = Said()
    flap(said, 2)
    assert said.alerts.active == ()
    said.raise_at(9)
    said.machine_ns += 600 * SECOND
    said.alerts.end_flapping(said.machine_ns)
    assert [alert.count for alert in said.alerts.active] == [2] and not said.sent[-1].cleared


def test_rise_after_the_cool_down_is_no_flapping() -> None:
    said = Said()
    for _ in range(3):
        flap(said, 1)
        said.machine_ns += 60 * SECOND
        said.alerts.end_flapping(said.machine_ns)
    assert [alert.cleared for alert in said.sent] == [False, True] * 3


def test_what_a_person_ends_ends_at_once_however_often() -> None:
    said = Said()
    flap(said, 3, by_operator=True)
    assert [alert.cleared for alert in said.sent] == [False, True] * 3


class Flapping(Daemon):
    """Its feed is down and up again at the start, three times; notes what is news of it, and stops with the second end.

    An active alert is sent again every ten seconds of the machine's clock, and these may come at any moment of a run.
    """

    reported: list[bool]

    def setup(self) -> None:
        self.reported = []
        for _ in range(3):
            self.alerts.raise_("FEED_DOWN", Severity.CRITICAL, "feed", "no market data")
            self.alerts.clear("FEED_DOWN", "feed")

    def on_alert(self, alert: Alert) -> None:
        if self.reported[-1:] != [alert.cleared]:
            self.reported.append(alert.cleared)
        if len(self.reported) == 4:
            self.stop()


def test_daemon_ends_what_flapped_after_the_cool_down_of_the_settings(config: RunConfig) -> None:
    rules = AlertRules(cooldown_seconds=0.2)
    daemon = Flapping("watchdog", msgspec.structs.replace(config, alert_rules=rules))
    daemon.run()
    assert daemon.reported == [False, True, False, True]


def test_followed_alerts_are_raised_when_they_change_and_cleared_when_they_are_gone() -> None:
    said = Said()
    key = ("FEED_MUTE", "NSE:SBIN")
    codes = {"FEED_MUTE"}
    said.raise_at(1, subject="NSE:INFY")
    for _ in range(3):
        said.alerts.set_active({key: ActiveAlert(Severity.WARNING, "mute"), ("FEED_MUTE", "NSE:INFY"): STAYS}, codes)
    said.alerts.set_active({key: ActiveAlert(Severity.CRITICAL, "dead"), ("OTHER", "x"): STAYS}, codes)
    assert [(alert.subject, alert.message, alert.cleared) for alert in said.sent] == [
        ("NSE:INFY", "mute", False),
        ("NSE:SBIN", "mute", False),
        ("NSE:SBIN", "dead", False),
        ("NSE:INFY", "mute", True),
    ]
    said.alerts.set_active({key: ActiveAlert(Severity.CRITICAL, "gone", once=True)}, codes)
    (active,) = said.alerts.active
    assert (active.message, active.count) == ("dead", 2)


def test_followed_alert_that_came_back_stands_again_though_it_is_to_be_raised_once() -> None:
    said = Said()
    active = {("FEED_MUTE", "NSE:SBIN"): ActiveAlert(Severity.WARNING, "mute", once=True)}
    for found in (active, {}, active, {}):
        said.alerts.set_active(found, {"FEED_MUTE"})
    assert said.alerts.active == ()
    said.alerts.set_active(active, {"FEED_MUTE"})
    said.machine_ns = 120 * SECOND
    said.alerts.end_flapping(said.machine_ns)
    assert [alert.message for alert in said.alerts.active] == ["mute"]
