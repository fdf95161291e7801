"""The watchdog: kills a daemon that no longer beats, stops one that keeps dying, and brings a lost supervisor back.

A daemon that hangs (stopped, spinning, blocked) sends no heartbeat; after five seconds it is killed with SIGKILL and
supervisor starts it anew. The one rule: it never judges after its own stall, when everybody would look late.
"""

from __future__ import annotations

import os
import signal
from collections import deque

from mytrading.messages.codec import Frame
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import ALL
from mytrading.runtime import supervision
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import Daemon, main
from mytrading.runtime.lock import holder

SILENCE_NS = 5_000_000_000
LOOK_S = 0.5
STALL_NS = 1_500_000_000
EXITS, WINDOW_NS = 5, 60_000_000_000


class Watchdog(Daemon):
    """The watchdog process."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("watchdog", config)
        self._beats: dict[str, tuple[int, int]] = {}
        self._exits: dict[str, deque[int]] = {name: deque(maxlen=EXITS) for name in ALL}
        self._last_look = machine_now()
        self._killed = 0
        self._stopped: set[str] = set()

    def setup(self) -> None:
        """Listen to everybody's status and look twice a second."""
        self.subscribe("status", self._on_status, every_s=LOOK_S / 2)
        self.every(LOOK_S, self._look, "look")

    def _on_status(self, frame: Frame) -> None:
        beat = frame.message
        if not isinstance(beat, Heartbeat):
            return
        known = self._beats.get(beat.daemon)
        if known is not None and known[0] != beat.pid:
            self._note_exit(beat.daemon, beat.machine_ns)
        if beat.state is DaemonState.STOPPING:
            self._beats.pop(beat.daemon, None)
        else:
            self._beats[beat.daemon] = (beat.pid, beat.machine_ns)
        self.alerts.clear("DAEMON_HUNG", beat.daemon)

    def _note_exit(self, name: str, machine_ns: int) -> None:
        exits = self._exits[name]
        exits.append(machine_ns)
        self.alerts.raise_("DAEMON_RESTARTED", Severity.WARNING, name, f"{name} died and was started again")
        if len(exits) == EXITS and exits[-1] - exits[0] < WINDOW_NS and name not in self._stopped:
            self._stopped.add(name)
            supervision.stop_program(self.config, name)
            self.alerts.raise_(
                "DAEMON_GIVEN_UP",
                Severity.CRITICAL,
                name,
                f"{name} ended {EXITS} times within a minute and was stopped; see `mytrading logs {name}`, "
                "mend the cause, then `mytrading down` and `up`",
            )

    def _look(self, machine_ns: int) -> None:
        stalled = machine_ns - self._last_look > STALL_NS
        self._last_look = machine_ns
        if stalled:
            self._beats = {name: (pid, machine_ns) for name, (pid, _) in self._beats.items()}
            return
        for name, (pid, seen) in list(self._beats.items()):
            if name != self.name and machine_ns - seen > SILENCE_NS:
                self._kill(name, pid)
        self._clear_old_restarts(machine_ns)

    def _kill(self, name: str, pid: int) -> None:
        """Kill by the pid in the heartbeat, if that process still holds the daemon's lock."""
        self._beats.pop(name)
        if holder(self.config.lock_dir / f"{name}.lock") != str(pid):
            return
        self._killed += 1
        self.alerts.raise_(
            "DAEMON_HUNG", Severity.CRITICAL, name, f"{name} (pid {pid}) sent no heartbeat for 5 s: killed, starts anew"
        )
        os.kill(pid, signal.SIGKILL)
        self._beats[name] = (pid, machine_now() + SILENCE_NS)

    def _clear_old_restarts(self, machine_ns: int) -> None:
        for name, exits in self._exits.items():
            if exits and machine_ns - exits[-1] > WINDOW_NS:
                self.alerts.clear("DAEMON_RESTARTED", name)

    def orphaned(self) -> None:
        """Supervisor was killed: a new one takes over, which starts all daemons, this one too."""
        self.log.error("supervisor.lost", next_step="starting a new one")
        supervision.revive(self.config)

    def figures(self) -> dict[str, float]:
        """How many were killed for hanging and given up."""
        return {"killed": float(self._killed), "given_up": float(len(self._stopped))}


if __name__ == "__main__":
    raise SystemExit(main(Watchdog, "watchdog"))
