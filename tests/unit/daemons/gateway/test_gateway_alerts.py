"""An alert that its daemon says no more ends; one whose daemon is away, young, or said it last, stands."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.time import SECOND
from mytrading.daemons.gateway.daemon import Gateway, StaleAlerts
from mytrading.daemons.gateway.request_context import RequestRefused
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.ops import AcknowledgeCommand, AlertsQuery
from tests.kit.feed_process import runtime_folder
from tests.kit.gateway_queries import ops_server
from tests.kit.run_configs import run_config


def alert(daemon: str = "router", code: str = "ENTRIES_UNGUARDED") -> Alert:
    return Alert(
        code=code, severity=Severity.CRITICAL, subject="s", message="m", daemon=daemon, first_ns=0, last_ns=0
    )  # fmt: skip


def beat(at: int, started: int = 0, state: DaemonState = DaemonState.RUNNING) -> dict[str, Heartbeat]:
    return {
        name: Heartbeat(
            daemon=name, pid=1, state=state, ready=True, machine_ns=at, market_ns=0, started_machine_ns=started
        )
        for name in ("router", "engine", "console")
    }


def test_alert_of_a_killed_router_ends_when_its_successor_does_not_say_it() -> None:
    stale = StaleAlerts(0)
    stale.record_alert(alert(), 10 * SECOND)
    assert stale.abandoned_alerts([alert()], beat(40 * SECOND, started=12 * SECOND), 40 * SECOND) == []
    assert stale.abandoned_alerts([alert()], beat(48 * SECOND, started=12 * SECOND), 48 * SECOND) == [alert()]


def test_alert_of_a_port_ends_when_the_console_has_one_after_its_restart() -> None:
    """A public host that was mended, or a port that is free again, stood as an alert for good."""
    taken = alert("console", "CONSOLE_PORT_TAKEN")
    found = StaleAlerts(0).abandoned_alerts([taken], beat(48 * SECOND, started=12 * SECOND), 48 * SECOND)
    assert found == [taken]


def test_refused_edit_of_an_engine_ends_when_its_successor_does_not_say_it() -> None:
    """The file was mended while the stack was down: the alert stood for good."""
    refused, fault = alert("engine", "EDIT_REFUSED"), alert("engine", "STRATEGY_FAULTED")
    assert StaleAlerts(0).abandoned_alerts([refused, fault], beat(48 * SECOND, started=12 * SECOND), 48 * SECOND) == [
        refused
    ]


def test_alert_that_grows_worse_is_reported_to_a_person_again_and_one_that_repeats_is_not() -> None:
    kept, warning = ControlMachine(), msgspec.structs.replace(alert(), severity=Severity.WARNING)
    kept.apply(warning)
    assert not kept.is_worth_telling(msgspec.structs.replace(warning, count=2, message="other words"))
    assert kept.is_worth_telling(msgspec.structs.replace(alert(), count=2))
    kept.apply(alert())
    assert not kept.is_worth_telling(alert()) and not kept.is_worth_telling(warning)


def test_alert_is_shown_with_the_words_it_was_reported_with_last() -> None:
    control = ControlMachine()
    control.apply(alert())
    control.record_repetition(msgspec.structs.replace(alert(), count=2, message="nothing was kept", last_ns=5))
    (shown,) = control.shown_alerts()
    assert (shown.message, shown.count, shown.last_ns) == ("nothing was kept", 2, 5)
    assert control.alerts["router", "ENTRIES_UNGUARDED", "s"].message == "m", "what is journaled is not changed by it"
    control.apply(msgspec.structs.replace(alert(), cleared=True, count=3))
    assert [one.cleared for one in control.shown_alerts()] == [True], "an older repetition does not raise it again"
    control.apply(msgspec.structs.replace(alert(), first_ns=9))
    assert [(one.first_ns, one.message) for one in control.shown_alerts()] == [(9, "m")]


def test_repetition_reaches_the_screens_without_a_row(tmp_path: Path) -> None:
    with runtime_folder() as runtime:
        gateway = Gateway(msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime)))
        gateway.setup()
        gateway.on_alert(alert())
        rows = gateway.journal.size
        gateway.on_alert(msgspec.structs.replace(alert(), count=2, message="other words"))
        shown = gateway.server.answer(AlertsQuery())
        found = [row["message"] for row in shown if row["code"] == alert().code]
        kept = gateway.journal.size
        gateway.teardown()
        gateway.context.destroy(linger=0)
    assert (found, kept) == (["other words"], rows)


def test_alert_that_is_repeated_stands() -> None:
    stale = StaleAlerts(0)
    for at in range(0, 100, 10):
        stale.record_alert(alert(), at * SECOND)
    assert stale.abandoned_alerts([alert()], beat(100 * SECOND), 100 * SECOND) == []


def test_alert_of_a_router_that_is_away_or_starting_stands() -> None:
    stale = StaleAlerts(0)
    assert stale.abandoned_alerts([alert()], {}, 100 * SECOND) == []
    assert stale.abandoned_alerts([alert()], beat(90 * SECOND), 100 * SECOND) == []
    assert stale.abandoned_alerts([alert()], beat(100 * SECOND, state=DaemonState.STARTING), 100 * SECOND) == []


def test_faults_of_strategies_and_last_words_stand() -> None:
    stale = StaleAlerts(0)
    kept = [alert("engine", "STRATEGY_FAULTED"), alert(code="ENTRY_LEFT")]
    assert stale.abandoned_alerts(kept, beat(100 * SECOND), 100 * SECOND) == []


def test_command_is_run_once_for_a_rise_and_once_for_an_end_however_often_it_was_said(tmp_path: Path) -> None:
    """COVERAGE_LOW, which is raised each second, was handed over again after ten of them."""
    low = alert("feed", "COVERAGE_LOW")
    handed: list[tuple[int, bool]] = []

    class Command:
        def hand_over(self, alert: Alert) -> None:
            handed.append((alert.count, alert.cleared))

        def stop(self) -> None:
            """No-op: there is no process."""

    with runtime_folder() as runtime:
        gateway = Gateway(msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime)))
        gateway.setup()
        gateway._command = Command()  # type: ignore[assignment]
        for count in (1, 5, 10, 100):
            gateway.on_alert(msgspec.structs.replace(low, count=count))
        gateway.on_alert(msgspec.structs.replace(low, count=100, cleared=True))
        gateway.on_alert(msgspec.structs.replace(low, count=100, cleared=True))
        gateway.on_alert(msgspec.structs.replace(low, first_ns=9))
        kept = gateway.control.alerts["feed", "COVERAGE_LOW", "s"]
        gateway.teardown()
        gateway.context.destroy(linger=0)
    assert handed == [(1, False), (100, True), (1, False)]
    assert kept.first_ns == 9


def test_acknowledged_alert_stays_active_with_a_name_until_it_is_raised_anew_or_grows_worse(tmp_path: Path) -> None:
    control = ControlMachine()
    warning = msgspec.structs.replace(alert(), severity=Severity.WARNING)
    control.apply(warning)

    def applied(rows: tuple[msgspec.Struct, ...]) -> None:
        for row in rows:
            control.apply(row)

    server = ops_server(run_config(tmp_path), control=control, record=applied)
    asked = AcknowledgeCommand(request_id="a", by="asha", daemon="router", code=warning.code, subject="s")
    server.answer(asked)
    (row,) = server.answer(AlertsQuery())
    assert (row["acknowledged_by"], row.get("cleared", False)) == ("asha", False)
    tomorrow = ControlMachine()
    tomorrow.apply(control.snapshot("2026-03-19"))
    assert tomorrow.acknowledgement_of(warning) is not None, "it holds over the day"
    assert tomorrow.acknowledgement_of(alert()) is None, "it grew worse"
    control.apply(msgspec.structs.replace(warning, cleared=True))
    with pytest.raises(RequestRefused, match="may have ended"):
        server.answer(msgspec.structs.replace(asked, request_id="b"))
    control.apply(msgspec.structs.replace(warning, first_ns=9))
    assert "acknowledged_by" not in server.answer(AlertsQuery())[0]


def test_no_active_alert_is_left_out_however_many_there_are_and_only_old_cleared_ones_are(tmp_path: Path) -> None:
    control = ControlMachine()
    for number in range(300):
        one = msgspec.structs.replace(alert(), subject=f"active {number}", first_ns=number)
        control.apply(one)
        ended = msgspec.structs.replace(one, subject=f"ended {number}")
        control.apply(ended)
        control.apply(msgspec.structs.replace(ended, cleared=True))
    server = ops_server(run_config(tmp_path), control=control)
    assert len(server.answer(AlertsQuery())) == 300
    assert len(server.answer(AlertsQuery(limit=5))) == 300
    rows = server.answer(AlertsQuery(all=True, limit=5))
    assert [row["subject"] for row in rows if row.get("cleared")] == [f"ended {number}" for number in range(295, 300)]
    assert len(rows) == 305
    assert len(server.answer(AlertsQuery(all=True, limit=0))) == 600
