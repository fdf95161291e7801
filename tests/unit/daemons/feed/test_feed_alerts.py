"""What the feed says of its connections: which alerts rise, how loud, and that each clears."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from mytrading.adapters.openalgo.ws.connection import Disconnected, SocketRefused
from mytrading.core.calendar import Calendar
from mytrading.core.feed.source_failover import Switch, SwitchReason
from mytrading.daemons.feed.alerts import FeedAlerts
from mytrading.daemons.feed.sources import FeedSource, SourceConnections
from mytrading.daemons.feed.staleness import FeedHealth, StalenessLimits
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import DataRules
from mytrading.runtime.observability import audit
from mytrading.runtime.observability.alerts import Alerts


class Desk:
    """Two connections, and what was said about them."""

    def __init__(self, state: Path) -> None:
        hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": []}
        sources = tuple(
            FeedSource(name=name, rest_url="http://x", ws_url=f"ws://{name}:1", api_key="k") for name in ("one", "two")
        )
        self.calendar = Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {}})
        self.connections = SourceConnections(sources, DataRules(watch=()), self.calendar, lambda: None)
        self.notes: dict[str, str] = {}
        self.told: list[Alert] = []
        self.machine_ns = 0
        self.alerts = Alerts("feed", lambda: 0, self.told.append, 60.0, lambda: self.machine_ns)
        self.said = FeedAlerts(self.alerts, self.notes, self.connections, state)

    def newest(self, code: str, subject: str = "feed") -> Alert:
        """The newest alert of a code."""
        return next(alert for alert in reversed(self.told) if (alert.code, alert.subject) == (code, subject))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def test_lost_primary_is_critical_and_clears_when_it_is_connected(desk: Desk) -> None:
    primary, _ = desk.connections
    desk.said.lost(primary, Disconnected("refused", 0, 2.0, failures=1))
    assert desk.newest("FEED_DOWN").severity is Severity.CRITICAL
    assert desk.notes == {"socket": "refused"}
    desk.said.connected(primary, 2, "broker")
    assert desk.newest("FEED_DOWN").cleared and desk.notes == {}


def test_feed_that_flaps_for_minutes_says_so_twice_and_ends_once_it_is_well(desk: Desk) -> None:
    primary, _ = desk.connections
    for number in range(300):
        desk.said.lost(primary, Disconnected("refused", 0, 2.0, failures=1))
        desk.machine_ns += 500_000_000
        desk.said.connected(primary, number, "broker")
        desk.machine_ns += 500_000_000
        desk.alerts.look(desk.machine_ns)
    assert [alert.cleared for alert in desk.told] == [False, True, False]
    desk.machine_ns += 60_000_000_000
    desk.alerts.look(desk.machine_ns)
    assert desk.newest("FEED_DOWN").cleared


def test_lost_backup_is_a_warning_with_a_subject_of_its_own(desk: Desk) -> None:
    _, backup = desk.connections
    desk.said.lost(backup, Disconnected("refused", 0, 2.0, failures=1))
    assert desk.newest("FEED_DOWN", "feed two").severity is Severity.WARNING
    assert desk.notes == {}


def test_tenth_failure_is_said_to_be_given_up_and_a_new_connection_clears_it(desk: Desk) -> None:
    primary, _ = desk.connections
    desk.said.lost(primary, Disconnected("refused", 0, 60.0, failures=9))
    assert [alert.code for alert in desk.told] == ["FEED_DOWN"]
    desk.said.lost(primary, Disconnected("refused", 0, 120.0, failures=10, gave_up=True))
    given_up = desk.newest("FEED_GIVEN_UP")
    assert "10 attempts in a row failed" in given_up.message and "every 120 s" in given_up.message
    desk.said.connected(primary, 1, "broker")
    assert desk.newest("FEED_GIVEN_UP").cleared


def test_deaf_instrument_is_told_with_its_dropped_frames_until_one_is_taken(desk: Desk) -> None:
    health = FeedHealth(desk.calendar, StalenessLimits.of(5.0))
    health.deaf = {"NSE:SBIN": 31}
    desk.said.update_staleness(health)
    told = desk.newest("QUOTES_DROPPED", "NSE:SBIN")
    assert told.message.startswith("31 frames of NSE:SBIN came since its last price and none was taken")
    health.deaf = {}
    desk.said.update_staleness(health)
    assert desk.newest("QUOTES_DROPPED", "NSE:SBIN").cleared


def test_connection_dropped_on_purpose_raises_nothing(desk: Desk) -> None:
    desk.said.lost(next(iter(desk.connections)), Disconnected("mute", 0, 0.0))
    assert (desk.told, desk.notes) == ([], {})


def test_refused_key_names_the_account(desk: Desk) -> None:
    primary, backup = desk.connections
    desk.said.lost(primary, SocketRefused("AUTHENTICATION_ERROR", "Invalid API key", 0, 2.0))
    assert "OPENALGO_API_KEY" in desk.newest("FEED_REFUSED").message
    desk.said.lost(backup, SocketRefused("AUTHENTICATION_ERROR", "Invalid API key", 0, 2.0))
    assert "API key of two" in desk.newest("FEED_REFUSED", "feed two").message


def test_mute_line_is_noted_until_it_gives_quotes(desk: Desk) -> None:
    primary, _ = desk.connections
    reason = desk.said.mute(primary, 14_000_000_000)
    assert "14 s" in reason and desk.newest("FEED_MUTE").severity is Severity.CRITICAL
    desk.said.connected(primary, 2, "broker")
    assert desk.notes == {"mute": reason}
    desk.said.well(primary)
    assert desk.newest("FEED_MUTE").cleared and desk.notes == {}


def test_feed_on_a_backup_is_said_until_the_primary_has_it_again(desk: Desk) -> None:
    desk.said.switched(Switch(0, 1, SwitchReason.TAKEOVER), 1)
    assert "two" in desk.newest("FEED_ON_BACKUP").message
    assert desk.notes["source"] == "market data come from two, one is mute or down"
    desk.said.switched(Switch(1, 0, SwitchReason.FAILBACK), 1)
    assert desk.newest("FEED_ON_BACKUP").cleared and desk.notes == {}


def test_each_change_of_source_is_a_row_of_the_audit_log(desk: Desk, tmp_path: Path) -> None:
    desk.said.switched(Switch(0, 1, SwitchReason.TAKEOVER), 1)
    desk.said.switched(Switch(1, 0, SwitchReason.FAILBACK), 1)
    rows = audit.rows(tmp_path / "state")
    assert [(row["user"], row["action"], row["previous"], row["subject"], row["result"]) for row in rows] == [
        ("feed", "feed.takeover", "one", "two", "done"),
        ("feed", "feed.failback", "two", "one", "done"),
    ]


def test_change_of_source_goes_on_although_the_audit_log_cannot_be_written(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder belongs")
    desk.said.switched(Switch(0, 1, SwitchReason.TAKEOVER), 1)
    assert "two" in desk.newest("FEED_ON_BACKUP").message
