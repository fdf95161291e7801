"""The watchdog: kills a daemon that no longer beats, tells of one that keeps dying, brings a lost supervisor back.

A daemon that hangs (stopped, spinning, blocked) sends no heartbeat; after five seconds it is killed with SIGKILL and
supervisor starts it anew, until it has ended five times in a minute. The one rule: it never judges after its own
stall, when everybody would look late.
"""

from __future__ import annotations

import os
import signal

from mytrading.messages.codec import Frame
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import ALL
from mytrading.runtime import supervision
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import Daemon
from mytrading.runtime.lock import holder
from mytrading.runtime.process import main
from mytrading.runtime.savepoint_keeper import Keeper

SILENCE_NS = 5_000_000_000
UNHEARD_NS = 30_000_000_000
"""A process that was never heard may still be starting: it has this long from when it was first seen."""
LOOK_S = 0.5
EXPORT_S = 300.0
"""How often to see whether a day is over and to be exported."""

SAVEPOINT_S = 10.0
"""How often to see whether a journal has grown so much that a start should not read all of it."""
STALL_NS = 1_500_000_000
WINDOW_NS = 60_000_000_000


class Watchdog(Daemon):
    """The watchdog process."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("watchdog", config)
        self._beats: dict[str, tuple[int, int]] = {}
        self._unheard: dict[str, tuple[str, int]] = {}
        self._restarted: dict[str, int] = {}
        self._last_look = machine_now()
        self._killed = 0
        self._supervisor = supervision.GivenUp(config)
        self._given_up: set[str] = set()
        self._savepoints = Keeper(config)

    def setup(self) -> None:
        """Listen to everybody's status and look twice a second."""
        self.subscribe("status", self._on_status, topics=ALL, every_s=LOOK_S / 2)
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

    def _on_status(self, frame: Frame) -> None:
        beat = frame.message
        if not isinstance(beat, Heartbeat):
            return
        known = self._beats.get(beat.daemon)
        if known is not None and known[0] != beat.pid:
            self._restarted[beat.daemon] = beat.machine_ns
            text = f"{beat.daemon} died and was started again"
            self.alerts.raise_("DAEMON_RESTARTED", Severity.WARNING, beat.daemon, text)
        self._unheard.pop(beat.daemon, None)
        if beat.state is DaemonState.STOPPING:
            self._beats.pop(beat.daemon, None)
        else:
            patience = UNHEARD_NS - SILENCE_NS if beat.state is DaemonState.STARTING else 0
            self._beats[beat.daemon] = (beat.pid, beat.machine_ns + patience)
        self.alerts.clear("DAEMON_HUNG", beat.daemon)

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
            self._beats = {name: (pid, machine_ns) for name, (pid, _) in self._beats.items()}
            self._unheard.clear()
            return
        for name, (pid, seen) in list(self._beats.items()):
            if name != self.name and machine_ns - seen > SILENCE_NS:
                self._kill(name, pid, SILENCE_NS)
        for name in ALL:
            if name not in (self.name, *self._beats):
                self._look_for(name, machine_ns)
        self._clear_old_restarts(machine_ns)

    def _look_for(self, name: str, machine_ns: int) -> None:
        """One that hangs since before its first heartbeat, or since before ours, is known by its lock alone."""
        pid = holder(self.config.lock_dir / f"{name}.lock")
        known, since = self._unheard.get(name, ("", 0))
        if pid is None or not pid.isdigit():
            self._unheard.pop(name, None)
        elif pid != known:
            self._unheard[name] = (pid, machine_ns)
        elif machine_ns - since > UNHEARD_NS:
            del self._unheard[name]
            self._kill(name, int(pid), UNHEARD_NS)

    def _kill(self, name: str, pid: int, silent_ns: int) -> None:
        """Kill by the pid that was heard or seen, if that process still holds the daemon's lock."""
        self._beats.pop(name, None)
        if holder(self.config.lock_dir / f"{name}.lock") != str(pid):
            return
        self._killed += 1
        self.alerts.raise_(
            "DAEMON_HUNG",
            Severity.CRITICAL,
            name,
            f"{name} (pid {pid}) sent no heartbeat for {silent_ns // 1_000_000_000} s: killed, starts anew",
        )
        os.kill(pid, signal.SIGKILL)
        self._beats[name] = (pid, machine_now() + SILENCE_NS)

    def _clear_old_restarts(self, machine_ns: int) -> None:
        for name, at_ns in list(self._restarted.items()):
            if machine_ns - at_ns > WINDOW_NS:
                del self._restarted[name]
                self.alerts.clear("DAEMON_RESTARTED", name)

    def orphaned(self) -> None:
        """Supervisor was killed: a new one takes over, which starts all daemons, this one too."""
        self.log.error("supervisor.lost", next_step="starting a new one")
        supervision.revive(self.config)

    def figures(self) -> dict[str, float]:
        """How many were killed for hanging and given up."""
        return {"killed": float(self._killed), "given_up": float(len(self._given_up))}


if __name__ == "__main__":
    raise SystemExit(main(Watchdog, "watchdog"))
