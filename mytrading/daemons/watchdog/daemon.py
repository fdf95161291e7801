"""The watchdog daemon: kills daemons without a heartbeat, reports stopped ones, and restores a lost supervisor.

A daemon that hangs (stopped, spinning, blocked) sends no heartbeat; after five seconds, in which waiting for a core
does not count, it is killed with SIGKILL and supervisor starts it again, until it has ended five times in a minute. The
watchdog never judges after its own stall, when all heartbeats look late.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.codec import Frame
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import ALL, OPTIONAL
from mytrading.runtime.daemon import disk_space
from mytrading.runtime.daemon.alert_command import AlertCommand
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.hang_check import SILENCE_NS, STALL_NS, Silence, SupervisorGuard
from mytrading.runtime.supervision.instance_lock import holder

FIRST_HEARTBEAT_NS = 30 * SECOND
"""Time for a process without a heartbeat to start, from its first sight; doubled after each time it was too short."""
MAX_DOUBLINGS = 3
LOOK_S = 0.5
EXPORT_S = 300.0
"""Seconds between checks whether a day is over and to be exported."""
RESTARTED_NS = MINUTE
"""Nanoseconds for which the restart of a daemon is an alert."""
DOWN = ("DAEMON_STOPPED", "DAEMON_GIVEN_UP")
STATE_ALERTS = frozenset({*DOWN, "DAEMON_HUNG", "DAEMON_RESTARTED"})


def active_alerts(
    restarted: Mapping[str, tuple[int, int]], hung: Mapping[str, str], stopped: Mapping[str, str],
    given_up: Mapping[str, str],
) -> dict[Subject, ActiveAlert]:  # fmt: skip
    """Return alerts by code and daemon; `restarted` has machine time and new pid by daemon, the others texts."""
    active = {
        ("DAEMON_RESTARTED", name): ActiveAlert(Severity.WARNING, f"{name} died and was started again as pid {pid}")
        for name, (_, pid) in restarted.items()
    }
    for code, texts in (("DAEMON_HUNG", hung), ("DAEMON_STOPPED", stopped), ("DAEMON_GIVEN_UP", given_up)):
        active |= {(code, name): ActiveAlert(Severity.CRITICAL, text) for name, text in texts.items()}
    return active


class _LastBeat(NamedTuple):
    """Time of a process's last heartbeat or first sight, and how long it may be silent."""

    pid: int
    at_ns: int
    limit_ns: int


class Watchdog(Daemon):
    """The watchdog process."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("watchdog", config)
        self._beats: dict[str, _LastBeat] = {}
        self._silences = {name: Silence() for name in (*ALL, *OPTIONAL)}
        self._has_webhooks = self._webhooks_exist()
        self._slow: dict[str, int] = {}
        self._absent: dict[str, int] = {}
        self._restarted: dict[str, tuple[int, int]] = {}
        self._hung: dict[str, str] = {}
        self._stopped: dict[str, str] = {}
        self._given_up: dict[str, str] = {}
        self._last_look = machine_now()
        self._killed = 0
        self._supervisor = control.EndedPrograms(config)
        self._guard = SupervisorGuard(config, SILENCE_NS)
        self._command: AlertCommand | None = None
        self._handed: set[str] = set()

    def setup(self) -> None:
        """Subscribe to the status of all daemons; check them twice a second."""
        if self.config.alert_command:
            self._command = AlertCommand(self.config.alert_command, self.wake)
            self.on_wake(self._command.log_failures)
        self.subscribe("status", self._on_status, topics=(*ALL, *OPTIONAL), every_s=LOOK_S / 2)
        self.every(LOOK_S, self._guard.check)
        self.every(LOOK_S, self.monitor.timer(self.name, "look")(self._look))
        self.every(EXPORT_S, self._export)

    def teardown(self) -> None:
        """Stop the thread of the operator's command."""
        if self._command is not None:
            self._command.stop()

    def figures(self) -> dict[str, float]:
        """Return how many daemons it has killed, and how many it has given up."""
        return {"killed": float(self._killed), "given_up": float(len(self._given_up))}

    def _export(self, _machine_ns: int) -> None:
        if pid := control.export_days(self.config):
            self.log.info("export.started", pid=pid)

    def on_alert(self, alert: Alert) -> None:
        """Run the operator's command on an alert that the gateway is down; the gateway runs it on all others."""
        known = alert.code in self._handed
        if self._command is None or alert.subject != "gateway" or alert.code not in DOWN or known is not alert.cleared:
            return
        (self._handed.discard if known else self._handed.add)(alert.code)
        self._command.hand_over(alert)

    def _update_alerts(self) -> None:
        self.alerts.set_active(active_alerts(self._restarted, self._hung, self._stopped, self._given_up), STATE_ALERTS)

    def _on_status(self, frame: Frame) -> None:
        beat = frame.message
        if not isinstance(beat, Heartbeat):
            return
        name, known = beat.daemon, self._beats.get(beat.daemon)
        if known is not None and known.pid != beat.pid:
            self._restarted[name] = (beat.machine_ns, beat.pid)
        if beat.state is DaemonState.STOPPING:
            self._beats.pop(name, None)
        else:
            starting = beat.state is DaemonState.STARTING
            if not starting:
                self._slow.pop(name, None)
                self._supervisor.full.discard(name)
            limit = self._time_to_start(name) if starting else SILENCE_NS
            self._beats[name] = _LastBeat(beat.pid, beat.machine_ns, limit)
            self._hung.pop(name, None)
        self._update_alerts()

    def _time_to_start(self, name: str) -> int:
        return FIRST_HEARTBEAT_NS << min(self._slow.get(name, 0), MAX_DOUBLINGS)

    def _look(self, machine_ns: int) -> None:
        given_up = self._supervisor.poll()
        why = f"ended {control.EXITS} times within a minute and stays stopped"
        self._given_up = {name: self._given_up.get(name) or self._with_last_words(name, why) for name in given_up}
        stalled = machine_ns - self._last_look > STALL_NS
        self._last_look = machine_ns
        if stalled:
            self._beats = {name: beat._replace(at_ns=machine_ns) for name, beat in self._beats.items()}
            self._absent.clear()
        else:
            for name in (*ALL, *self._optional()):
                if name != self.name:
                    self._look_at(name, machine_ns)
            restarts = self._restarted.items()
            self._restarted = {name: new for name, new in restarts if machine_ns - new[0] <= RESTARTED_NS}
        self._update_alerts()

    def _webhooks_exist(self) -> bool:
        return any(self.config.webhooks_dir.glob("*.toml"))

    def _optional(self) -> list[str]:
        """The optional daemons that should run."""
        wanted = {"webhooks": self._start_webhooks(), "console": self.config.console.enabled}
        return [name for name in OPTIONAL if wanted[name]]

    def _start_webhooks(self) -> bool:
        """True if there are webhooks; when the first one appears in a running stack, their process is started."""
        had, self._has_webhooks = self._has_webhooks, self._webhooks_exist()
        if self._has_webhooks and not had:
            self.log.info("webhooks.appeared", next_step="their process is started")
            control.start_program(self.config, "webhooks")
        return self._has_webhooks

    def _with_last_words(self, name: str, what: str) -> str:
        words = control.last_output(self.config, name) or "no word"
        cure = f"see `mytrading logs {name}`, mend the cause, then `mytrading down` and `up`"
        return f"{name} {what}; its last words: {words}; {cure}"

    def _look_at(self, name: str, machine_ns: int) -> None:
        """Check one daemon; one that hung before its first heartbeat, or before ours, is known by its lock alone."""
        if (beat := self._beats.get(name)) is None or beat.limit_ns != SILENCE_NS:
            pid = holder(self.config.lock_dir / f"{name}.lock")
            if pid is None or not pid.isdigit():
                self._beats.pop(name, None)
                beat = None
            elif beat is None or beat.pid != int(pid):
                beat = self._beats[name] = _LastBeat(int(pid), machine_ns, self._time_to_start(name))
        if beat is not None and self._silences[name].silent_ns(beat.pid, beat.at_ns, machine_ns) > beat.limit_ns:
            self._kill(name, beat, machine_ns)
        full, stopped = name in self._supervisor.full, name in self._supervisor.stopped
        if beat is not None and not full:
            self._absent.pop(name, None)
            self._stopped.pop(name, None)
            return
        since = self._absent.setdefault(name, machine_ns)
        late = full or stopped or machine_ns - since > FIRST_HEARTBEAT_NS
        if not late or name in self._stopped or name in self._given_up or control.is_stopping(self.config.state):
            return
        text = f"{name} has no room on the disk: free space; it is tried again every {control.FULL_WAIT_S:.0f} s"
        if stopped or not (full or disk_space.is_used_up(self.config)):
            text = self._with_last_words(name, "does not run and is not started again")
        self._stopped[name] = text

    def _kill(self, name: str, beat: _LastBeat, machine_ns: int) -> None:
        """Kill by the pid of the heartbeat or the lock, if that process still holds the daemon's lock."""
        del self._beats[name]
        if holder(self.config.lock_dir / f"{name}.lock") != str(beat.pid):
            return
        self._killed += 1
        if beat.limit_ns != SILENCE_NS:
            self._slow[name] = self._slow.get(name, 0) + 1
        seconds = beat.limit_ns // SECOND
        self._hung[name] = f"{name} (pid {beat.pid}) sent no heartbeat for {seconds} s: killed, starts again"
        self._update_alerts()
        with suppress(ProcessLookupError):
            os.kill(beat.pid, signal.SIGKILL)
        self._beats[name] = _LastBeat(beat.pid, machine_ns, 2 * SILENCE_NS)
