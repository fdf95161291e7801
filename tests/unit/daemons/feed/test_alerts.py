"""Alerts of the feed on its connections: their causes and severities, and that each clears."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from unittest.mock import Mock

import pytest

from mytrading.adapters.openalgo.ws.connection import Connected, Disconnected, SocketEvent, SocketRefused
from mytrading.core.calendar import Calendar
from mytrading.core.feed.source_failover import Switch, SwitchReason
from mytrading.core.feed.staleness import FeedHealth, StalenessLimits
from mytrading.daemons.feed.alerts import FeedAlerts
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.instruments import InstrumentLoader
from mytrading.daemons.feed.quotes import MarketSteps, QuoteIntake
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.daemons.feed.supervisor import SourceSupervisor
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import AccountRun, DataRules
from mytrading.runtime.observability import audit
from mytrading.runtime.observability.alerts import Alerts


class Bench:
    """Two connections under supervision, and the alerts about them. Nothing else of the feed is here."""

    def __init__(self, state: Path) -> None:
        hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": []}
        sources = tuple(
            AccountRun(id=name, rest_url="http://x", ws_url=f"ws://{name}:1", api_key="k") for name in ("one", "two")
        )
        self.calendar = Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {}})
        self.connections = SourceConnections(sources, DataRules(watch=()), self.calendar, lambda: None)
        self.notes: dict[str, str] = {}
        self.reported: list[Alert] = []
        self.machine_ns = 0
        self.alerts = Alerts("feed", lambda: 0, self.reported.append, 60.0, lambda: self.machine_ns)
        self.health = FeedHealth(self.calendar, StalenessLimits.of(5.0))
        self.feed_alerts = FeedAlerts(self.alerts, self.notes, self.connections, self.health)
        rest = Mock(BarPublisher), Mock(QuoteIntake), Mock(InstrumentLoader), Mock(MarketSteps)
        self.supervisor = SourceSupervisor(self.connections, self.health, *rest, self.feed_alerts, state)

    def event(self, connection: SourceConnection, event: SocketEvent) -> None:
        self.supervisor.on_connection_event(connection, event)

    def fail_over(self, switch: Switch) -> None:
        self.connections.active = self.connections.all[switch.to]
        self.supervisor.fail_over(switch, 1)

    def newest(self, code: str, subject: str = "feed") -> Alert:
        """The newest alert of a code."""
        return next(alert for alert in reversed(self.reported) if (alert.code, alert.subject) == (code, subject))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "state")


def test_lost_primary_is_critical_and_clears_when_it_is_connected(bench: Bench) -> None:
    primary, _ = bench.connections.all
    bench.event(primary, Disconnected("refused", 0, 2.0, failures=1))
    assert bench.newest("FEED_DOWN").severity is Severity.CRITICAL
    assert bench.notes == {"socket": "refused"}
    bench.event(primary, Connected(2, 0, "broker"))
    assert bench.newest("FEED_DOWN").cleared and bench.notes == {}


def test_feed_that_flaps_for_minutes_says_so_twice_and_ends_once_it_is_well(bench: Bench) -> None:
    primary, _ = bench.connections.all
    for number in range(300):
        bench.event(primary, Disconnected("refused", 0, 2.0, failures=1))
        bench.machine_ns += 500_000_000
        bench.event(primary, Connected(number, 0, "broker"))
        bench.machine_ns += 500_000_000
        bench.alerts.end_flapping(bench.machine_ns)
    assert [alert.cleared for alert in bench.reported] == [False, True, False]
    bench.machine_ns += 60_000_000_000
    bench.alerts.end_flapping(bench.machine_ns)
    assert bench.newest("FEED_DOWN").cleared


def test_lost_backup_is_a_warning_with_a_subject_of_its_own(bench: Bench) -> None:
    _, backup = bench.connections.all
    bench.event(backup, Disconnected("refused", 0, 2.0, failures=1))
    assert bench.newest("FEED_DOWN", "feed two").severity is Severity.WARNING
    assert bench.notes == {}


def test_tenth_failure_is_said_to_be_given_up_and_a_new_connection_clears_it(bench: Bench) -> None:
    primary, _ = bench.connections.all
    bench.event(primary, Disconnected("refused", 0, 60.0, failures=9))
    assert [alert.code for alert in bench.reported] == ["FEED_DOWN"]
    bench.event(primary, Disconnected("refused", 0, 120.0, failures=10, gave_up=True))
    given_up = bench.newest("FEED_GIVEN_UP")
    assert "10 attempts in a row failed" in given_up.message and "every 120 s" in given_up.message
    bench.event(primary, Connected(1, 0, "broker"))
    assert bench.newest("FEED_GIVEN_UP").cleared


def test_deaf_instrument_is_reported_with_its_dropped_frames_until_one_is_taken(bench: Bench) -> None:
    bench.health.deaf = {"NSE:SBIN": 31}
    bench.feed_alerts.update()
    reported = bench.newest("QUOTES_DROPPED", "NSE:SBIN")
    assert reported.message.startswith(
        "31 frames of NSE:SBIN came since its last price and none had one that is believed"
    )
    bench.health.deaf = {}
    bench.feed_alerts.update()
    assert bench.newest("QUOTES_DROPPED", "NSE:SBIN").cleared


def test_connection_dropped_on_purpose_raises_nothing(bench: Bench) -> None:
    bench.event(bench.connections.all[0], Disconnected("mute", 0, 0.0))
    assert (bench.reported, bench.notes) == ([], {})


def test_refused_key_names_the_account(bench: Bench) -> None:
    primary, backup = bench.connections.all
    bench.event(primary, SocketRefused("AUTHENTICATION_ERROR", "Invalid API key", 0, 2.0))
    assert "OPENALGO_API_KEY" in bench.newest("FEED_REFUSED").message
    bench.event(backup, SocketRefused("AUTHENTICATION_ERROR", "Invalid API key", 0, 2.0))
    assert "API key of two" in bench.newest("FEED_REFUSED", "feed two").message


def test_mute_line_is_noted_until_it_gives_quotes(bench: Bench) -> None:
    primary, _ = bench.connections.all
    primary.reconnect_mute(14_000_000_000)
    bench.feed_alerts.update()
    reason = bench.notes["mute"]
    assert "14 s" in reason and bench.newest("FEED_MUTE").severity is Severity.CRITICAL
    bench.event(primary, Connected(2, 0, "broker"))
    assert bench.notes == {"mute": reason}
    primary.clear_mute()
    bench.feed_alerts.update()
    assert bench.newest("FEED_MUTE").cleared and bench.notes == {}


def test_feed_on_a_backup_is_said_until_the_primary_has_it_again(bench: Bench) -> None:
    bench.fail_over(Switch(0, 1, SwitchReason.TAKEOVER))
    assert "two" in bench.newest("FEED_ON_BACKUP").message
    assert bench.notes["source"] == "market data come from two, one has no connection: none was made yet"
    bench.fail_over(Switch(1, 0, SwitchReason.FAILBACK))
    assert bench.newest("FEED_ON_BACKUP").cleared and bench.notes == {}


def test_each_change_of_source_is_a_row_of_the_audit_log(bench: Bench, tmp_path: Path) -> None:
    bench.fail_over(Switch(0, 1, SwitchReason.TAKEOVER))
    bench.fail_over(Switch(1, 0, SwitchReason.FAILBACK))
    rows = audit.rows(tmp_path / "state")
    assert [(row["user"], row["action"], row["previous"], row["subject"], row["result"]) for row in rows] == [
        ("feed", "feed.takeover", "one", "two", "done"),
        ("feed", "feed.failback", "two", "one", "done"),
    ]


def test_change_of_source_goes_on_although_the_audit_log_cannot_be_written(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder belongs")
    bench.fail_over(Switch(0, 1, SwitchReason.TAKEOVER))
    assert "two" in bench.newest("FEED_ON_BACKUP").message
