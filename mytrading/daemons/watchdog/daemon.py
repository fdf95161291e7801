"""The watchdog: kills a daemon that no longer beats, tells of one that keeps dying or does not run, and brings a lost
supervisor back.

A daemon that hangs (stopped, spinning, blocked) sends no heartbeat; after five seconds, in which waiting for a core
does not count, it is killed with SIGKILL and supervisor starts it again, until it has ended five times in a minute. The
one rule: it never judges after its own stall, when everybody would look late.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NamedTuple

from mytrading.daemons.hung_supervisor import SupervisorGuard
from mytrading.messages.codec import Frame
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import ALL
from mytrading.runtime import free_space, supervision
from mytrading.runtime.alert_command import AlertCommand
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.daemon import Daemon
from mytrading.runtime.hung import SILENCE_NS, STALL_NS, Silence
from mytrading.runtime.lock import holder
from mytrading.runtime.process import main
from mytrading.runtime.savepoint_keeper import Keeper

UNHEARD_NS = 30_000_000_000
"""A process without a heartbeat may still be starting: it has this long from when it was first seen, and twice as long
after each time that this was not enough: another start is more work for a machine that is slow because of its work."""
DOUBLED = 3
"""So often at most."""
LOOK_S = 0.5
EXPORT_S = 300.0
"""How often to see whether a day is over and to be exported."""

SAVEPOINT_S = 10.0
"""How often to see whether a journal has grown so much that a start should not read all of it."""
WINDOW_NS = 60_000_000_000
DOWN = ("DAEMON_STOPPED", "DAEMON_GIVEN_UP")


class _Heard(NamedTuple):
    """When the last heartbeat of a process came, or it was seen first, and for how long it may be silent."""

    pid: int
    at_ns: int
    limit_ns: int


class Watchdog(Daemon):
    """The watchdog process."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("watchdog", config)
        self._heard: dict[str, _Heard] = {}
        self._silences = {name: Silence() for name in ALL}
        self._slow: dict[str, int] = {}
        self._absent: dict[str, int] = {}
        self._told: set[str] = set()
        self._restarted: dict[str, int] = {}
        self._last_look = machine_now()
        self._killed = 0
        self._supervisor = supervision.Ended(config)
        self._guard = SupervisorGuard(config, SILENCE_NS)
        self._given_up: set[str] = set()
        self._savepoints = Keeper(config)
        self._command: AlertCommand | None = None
        self._handed: set[str] = set()

    def setup(self) -> None:
        """Listen to everybody's status and look twice a second."""
        if self.config.alert_command:
            self._command = AlertCommand(self.config.alert_command, self.wake)
            self.on_wake(self._command.look)
        self.subscribe("status", self._on_status, topics=ALL, every_s=LOOK_S / 2)
        self.every(LOOK_S, self._guard.look, "supervisor")
        self.every(LOOK_S, self.monitor.timer(self.name, "look")(self._look), "look")
        self.every(EXPORT_S, self._export, "export")
        self.every(SAVEPOINT_S, self._keep_savepoints, "savepoints")

    def _export(self, _machine_ns: int) -> None:
        if pid := supervision.export_days(self.config):
            self.log.info("export.started", pid=pid)

    def _keep_savepoints(self, machine_ns: int) -> None:
        if name := self._savepoints.look(machine_ns):
            self.log.info("savepoint.started", daemon=name)

    def teardown(self) -> None:
        """What is only begun is left undone."""
        self._savepoints.stop()
        if self._command is not None:
            self._command.stop()

    def on_alert(self, alert: Alert) -> None:
        """The gateway hands alerts to the operator's command, all but the one that there is no gateway."""
        known = alert.code in self._handed
        if self._command is None or alert.subject != "gateway" or alert.code not in DOWN or known is not alert.cleared:
            return
        (self._handed.discard if known else self._handed.add)(alert.code)
        self._command.hand_over(alert)

    def _on_status(self, frame: Frame) -> None:
        beat = frame.message
        if not isinstance(beat, Heartbeat):
            return
        known = self._heard.get(beat.daemon)
        if known is not None and known.pid != beat.pid:
            self._restarted[beat.daemon] = beat.machine_ns
            text = f"{beat.daemon} died and was started again"
            self.alerts.raise_("DAEMON_RESTARTED", Severity.WARNING, beat.daemon, text)
        if beat.state is DaemonState.STOPPING:
            self._heard.pop(beat.daemon, None)
            return
        starting = beat.state is DaemonState.STARTING
        if not starting:
            self._slow.pop(beat.daemon, None)
            self._supervisor.full.discard(beat.daemon)
        limit = self._time_to_start(beat.daemon) if starting else SILENCE_NS
        self._heard[beat.daemon] = _Heard(beat.pid, beat.machine_ns, limit)
        self.alerts.clear("DAEMON_HUNG", beat.daemon)

    def _time_to_start(self, name: str) -> int:
        return UNHEARD_NS << min(self._slow.get(name, 0), DOUBLED)

    def _tell_given_up(self) -> None:
        """A program that supervisor gave up stays an alert until it is started again."""
        given_up = self._supervisor.look()
        for name in given_up - self._given_up:
            said = supervision.last_words(self.config, name) or "no word"
            text = (
                f"{name} ended {supervision.EXITS} times within a minute and stays stopped; its last words: {said}; "
                f"see `mytrading logs {name}`, mend the cause, then `mytrading down` and `up`"
            )
            self.alerts.raise_("DAEMON_GIVEN_UP", Severity.CRITICAL, name, text)
        for name in self._given_up - given_up:
            self.alerts.clear("DAEMON_GIVEN_UP", name)
        self._given_up = given_up

    def _look(self, machine_ns: int) -> None:
        self._tell_given_up()
        stalled = machine_ns - self._last_look > STALL_NS
        self._last_look = machine_ns
        if stalled:
            self._heard = {name: heard._replace(at_ns=machine_ns) for name, heard in self._heard.items()}
            self._absent.clear()
            return
        for name in ALL:
            if name != self.name:
                self._look_at(name, machine_ns)
        self._clear_old_restarts(machine_ns)

    def _look_at(self, name: str, machine_ns: int) -> None:
        """One that hangs since before its first heartbeat, or since before ours, is known by its lock alone."""
        heard = self._heard.get(name)
        if heard is None or heard.limit_ns != SILENCE_NS:
            heard = self._by_its_lock(name, heard, machine_ns)
        if heard is not None and self._silences[name].of(heard.pid, heard.at_ns, machine_ns) > heard.limit_ns:
            self._kill(name, heard, machine_ns)
        self._tell_absent(name, heard is None, machine_ns)

    def _by_its_lock(self, name: str, heard: _Heard | None, machine_ns: int) -> _Heard | None:
        pid = holder(self.config.lock_dir / f"{name}.lock")
        if pid is None or not pid.isdigit():
            self._heard.pop(name, None)
            return None
        if heard is None or heard.pid != int(pid):
            heard = self._heard[name] = _Heard(int(pid), machine_ns, self._time_to_start(name))
        return heard

    def _tell_absent(self, name: str, absent: bool, machine_ns: int) -> None:
        """One that should run and does not is an alert, at once where supervisor says that it will not start it."""
        full = name in self._supervisor.full
        if not absent and not full:
            self._absent.pop(name, None)
            self._told.discard(name)
            self.alerts.clear("DAEMON_STOPPED", name)
            return
        since = self._absent.setdefault(name, machine_ns)
        stopped = name in self._supervisor.stopped
        late = full or stopped or machine_ns - since > UNHEARD_NS
        if not late or name in (*self._told, *self._given_up) or supervision.is_stopping(self.config.state):
            return
        self._told.add(name)
        text = f"{name} has no room on the disk: free space; it is tried again every {supervision.FULL_WAIT_S:.0f} s"
        if stopped or not (full or free_space.is_used_up(self.config)):
            said = supervision.last_words(self.config, name) or "no word"
            text = (
                f"{name} does not run and is not started again; its last words: {said}; see `mytrading logs {name}`, "
                "mend the cause, then `mytrading down` and `up`"
            )
        self.alerts.raise_("DAEMON_STOPPED", Severity.CRITICAL, name, text)

    def _kill(self, name: str, heard: _Heard, machine_ns: int) -> None:
        """Kill by the pid of the heartbeat or the lock, if that process still holds the daemon's lock."""
        del self._heard[name]
        if holder(self.config.lock_dir / f"{name}.lock") != str(heard.pid):
            return
        self._killed += 1
        if heard.limit_ns != SILENCE_NS:
            self._slow[name] = self._slow.get(name, 0) + 1
        self.alerts.raise_(
            "DAEMON_HUNG",
            Severity.CRITICAL,
            name,
            f"{name} (pid {heard.pid}) sent no heartbeat for {heard.limit_ns // SECOND} s: killed, starts again",
        )
        with suppress(ProcessLookupError):
            os.kill(heard.pid, signal.SIGKILL)
        self._heard[name] = _Heard(heard.pid, machine_ns, 2 * SILENCE_NS)

    def _clear_old_restarts(self, machine_ns: int) -> None:
        for name, at_ns in list(self._restarted.items()):
            if machine_ns - at_ns > WINDOW_NS:
                del self._restarted[name]
                self.alerts.clear("DAEMON_RESTARTED", name)

    def figures(self) -> dict[str, float]:
        """How many were killed for hanging and given up."""
        return {"killed": float(self._killed), "given_up": float(len(self._given_up))}


if __name__ == "__main__":
    raise SystemExit(main(Watchdog, "watchdog"))
