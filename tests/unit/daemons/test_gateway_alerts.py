"""An alert that its daemon says no more ends; one whose daemon is away, young, or said it last, stands."""

from __future__ import annotations

from mytrading.daemons.gateway_alerts import Silences
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState, Severity

SECOND = 1_000_000_000


def alert(daemon: str = "router", code: str = "ENTRIES_UNGUARDED") -> Alert:
    return Alert(
        code=code, severity=Severity.CRITICAL, subject="s", message="m", daemon=daemon, first_ns=0, last_ns=0
    )  # fmt: skip


def beat(at: int, started: int = 0, state: DaemonState = DaemonState.RUNNING) -> dict[str, Heartbeat]:
    return {
        name: Heartbeat(
            daemon=name, pid=1, state=state, ready=True, machine_ns=at, market_ns=0, started_machine_ns=started
        )
        for name in ("router", "engine")
    }


def test_alert_of_a_killed_router_ends_when_its_successor_does_not_say_it() -> None:
    silences = Silences(0)
    silences.heard(alert(), 10 * SECOND)
    assert silences.over([alert()], beat(40 * SECOND, started=12 * SECOND), 40 * SECOND) == []
    assert silences.over([alert()], beat(48 * SECOND, started=12 * SECOND), 48 * SECOND) == [alert()]


def test_alert_that_is_repeated_stands() -> None:
    silences = Silences(0)
    for at in range(0, 100, 10):
        silences.heard(alert(), at * SECOND)
    assert silences.over([alert()], beat(100 * SECOND), 100 * SECOND) == []


def test_alert_of_a_router_that_is_away_or_starting_stands() -> None:
    silences = Silences(0)
    assert silences.over([alert()], {}, 100 * SECOND) == []
    assert silences.over([alert()], beat(90 * SECOND), 100 * SECOND) == []
    assert silences.over([alert()], beat(100 * SECOND, state=DaemonState.STARTING), 100 * SECOND) == []


def test_faults_of_strategies_and_last_words_stand() -> None:
    silences = Silences(0)
    kept = [alert("engine", "STRATEGY_FAULTED"), alert(code="ENTRY_LEFT")]
    assert silences.over(kept, beat(100 * SECOND), 100 * SECOND) == []
