"""Readiness for `up` and `status`: every daemon reported it just now, and no account is in the wrong mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.cli.stack.commands import status_headline
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.gateway.stack_queries import LATE_S
from mytrading.messages.account_events import EntriesStopped, RecoveryChanged
from mytrading.messages.control import Alert, Heartbeat, RiskPicture
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.ops import StatusQuery
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import ALL
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.supervision.control import Program
from tests.kit.gateway_queries import ops_server
from tests.kit.run_configs import run_config


def beat(daemon: str, *, ready: bool = True, age_s: float = 0.0) -> Heartbeat:
    at = machine_now() - round(age_s * 1e9)
    return Heartbeat(
        daemon=daemon, pid=1, state=DaemonState.RUNNING, ready=ready, machine_ns=at, market_ns=1, started_machine_ns=1
    )


def wrong_mode(account: str, *, cleared: bool = False) -> Alert:
    return Alert(
        code="WRONG_MODE", severity=Severity.CRITICAL, subject=account, message="the server is in live mode",
        daemon="router", first_ns=1, last_ns=2, cleared=cleared,
    )  # fmt: skip


def status(config: RunConfig, *received: Any) -> Any:
    view, control = StackView(), ControlMachine()
    for message in received:
        view.apply(message)
        control.apply(message)
    return ops_server(config, view, control).answer(StatusQuery())


def test_stack_is_ready_once_every_daemon_has_said_so(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    assert status(config, *(beat(name) for name in ALL))["ready"]
    assert not status(config, *(beat(name) for name in ALL[1:]))["ready"]
    assert not status(config, *(beat(name, ready=name != "router") for name in ALL))["ready"]


def test_daemon_that_was_ready_and_fell_silent_is_ready_no_more(tmp_path: Path) -> None:
    body = status(run_config(tmp_path), *(beat(name, age_s=LATE_S + 1 if name == "feed" else 0.0) for name in ALL))
    assert not body["ready"]
    assert [row["daemon"] for row in body["daemons"] if not row["ready"]] == ["feed"]


def test_stack_is_not_ready_while_the_wrong_mode_stands_whatever_the_daemons_say(tmp_path: Path) -> None:
    """A heartbeat from before the alert, or a server that was switched back, called the stack ready beside it."""
    config = run_config(tmp_path)
    all_ready, account = [beat(name) for name in ALL], config.venue.account
    body = status(config, wrong_mode(account), *all_ready)
    assert (body["ready"], body["wrong_mode"]) == (False, "the server is in live mode")
    assert not status(config, *all_ready, wrong_mode(account))["ready"]
    assert status(config, wrong_mode(account), *all_ready, wrong_mode(account, cleared=True))["ready"]
    assert status(config, *all_ready, wrong_mode("another"))["ready"]


def test_status_says_why_entries_are_closed_instead_of_trading_normal(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    all_ready, account = [beat(name) for name in ALL], config.venue.account
    reported = status(config, wrong_mode(account), *all_ready)["entries_closed"]
    assert reported == "the server is in live mode; `mytrading resume` when the server is in order"
    assert status(config, *all_ready)["entries_closed"] == ""
    assert status(config, *all_ready, wrong_mode("another"))["entries_closed"] == ""
    silent = status(config, *(beat(name, ready=name != "router") for name in ALL))
    assert silent["entries_closed"] == "router not ready"
    began = RecoveryChanged(account=account, done=False, began_machine_ns=1, at_ns=1)
    assert "being compared" in status(config, *all_ready, began)["entries_closed"]
    assert status(config, *all_ready, began, replace(began, done=True))["entries_closed"] == ""
    unread = AccountHealth(account=account, connected=True, right_mode=False, stream_up=True, books_agree=True)
    assert status(config, *all_ready, unread)["entries_closed"].startswith(f"{account}: ")
    full = RiskPicture(at_ns=1, machine_ns=1, closed="less disk is free than MYTRADING_MIN_FREE_BYTES asks for")
    assert status(config, *all_ready, full)["entries_closed"] == full.closed
    assert status(config, *all_ready, full, replace(full, closed=""))["entries_closed"] == ""
    churned = EntriesStopped(account=account, instrument="", stopped=True, reason="9 entries of the account", at_ns=1)
    assert status(config, *all_ready, churned)["entries_closed"].startswith("9 entries of the account; `mytrading res")
    assert status(config, *all_ready, replace(churned, instrument="NSE:SBIN"))["entries_closed"] == ""
    line = status_headline({**silent, "system": "S"})
    assert "entries closed: router not ready" in line and "trading normal" not in line


def test_daemon_of_which_no_heartbeat_came_is_not_called_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`status` took supervisor's word that the process runs for its readiness, also at a server in the wrong mode."""
    config = run_config(tmp_path)
    stack = TradingOrchestrator(config)
    received = [beat(name) for name in ALL if name not in ("router", "reconciler")]
    monkeypatch.setattr(stack, "ask", lambda _verb: status(config, *received))
    running = {name: Program(name, "RUNNING", 1, 0) for name in ("simulator", *ALL)}
    monkeypatch.setattr("mytrading.runtime.supervision.control.programs", lambda _config: running)
    monkeypatch.setattr("mytrading.runtime.supervision.control.start_counts", lambda _config: {})
    monkeypatch.setattr("mytrading.runtime.supervision.control.supervisor_pid", lambda _config: 1)
    rows = {row["daemon"]: row for row in stack.status()["daemons"]}
    assert {name: (row["state"], row["ready"]) for name, row in rows.items() if name in ("router", "reconciler")} == {
        "router": ("STARTING", False),
        "reconciler": ("STARTING", False),
    }
    assert rows["simulator"]["ready"]


def test_alert_comes_behind_the_heartbeat_that_says_no_longer_ready(tmp_path: Path) -> None:
    said: list[msgspec.Struct] = []
    daemon = Daemon("reconciler", run_config(tmp_path))
    daemon.status.send = lambda _topic, message: said.append(message)  # type: ignore[method-assign,assignment]
    well = [True]
    daemon.ready = lambda: well[0]  # type: ignore[method-assign]
    try:
        daemon.state = DaemonState.RUNNING
        daemon.report_readiness()
        well[0] = False
        daemon.alerts.raise_("SERVER_MODE", Severity.CRITICAL, "main", "the server is in live mode")
    finally:
        daemon.context.destroy(linger=0)
    kept = (one for one in said if isinstance(one, Heartbeat | Alert))
    reported = [one.ready if isinstance(one, Heartbeat) else one.code for one in kept]
    assert reported == [True, False, "SERVER_MODE"]
