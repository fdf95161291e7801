"""The orchestrator: starts the stack, waits until it is ready, talks to it, and stops it without losing anything.

Used by the command line. It writes the run file and the clock, then leaves all processes to supervisor: the
orchestrator may die or hang up and the stack goes on. The one rule: `down` first has resting entries cancelled while
everybody still runs, and says what it could not confirm.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from mytrading.messages.control import OpsReply, OpsRequest
from mytrading.messages.runconfig import RUN_FILE, RunConfig, RunConfigError, decode_run_config, seal, write_run_config
from mytrading.runtime import supervision
from mytrading.runtime.clock import SECOND, MarketClock
from mytrading.runtime.endpoints import endpoint, runtime_dir
from mytrading.runtime.lock import AlreadyRunning

WITHDRAW_S = 30.0
STOPPING = "stopping"

Progress = Callable[[str], None]


class StackError(Exception):
    """The stack did not do what was asked; the message says what to do next."""


class NotRunning(StackError):
    """There is no stack to talk to."""


class TimedOut(StackError):
    """The stack did not get there in time."""


class Ops:
    """The command line's end of `ops`: one question, one answer."""

    def __init__(self, config: RunConfig, timeout_s: float = 5.0) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.connect(endpoint(config.runtime_dir, "ops"))
        self._timeout_s = timeout_s

    def ask(self, verb: str, timeout_s: float | None = None, **arguments: str) -> Any:
        """The body of the gateway's answer; raises `TimedOut`, or `StackError` with what it refused."""
        while self._socket.poll(0):
            self._socket.recv()
        self._socket.send(msgspec.msgpack.encode(OpsRequest(verb=verb, arguments=arguments)))
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        if not self._socket.poll(int(wait_s * 1000)):
            raise TimedOut(f"the gateway did not answer {verb!r} within {wait_s:g} s; see `mytrading logs gateway`")
        reply = msgspec.msgpack.decode(self._socket.recv(), type=OpsReply)
        if not reply.ok:
            error = StackError(reply.error)
            error.code = reply.code  # type: ignore[attr-defined]
            raise error
        return msgspec.json.decode(reply.body)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(0)


class TradingOrchestrator:
    """One stack: a home, a profile, a state folder."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self._supervisord: subprocess.Popen[bytes] | None = None

    @classmethod
    def running(cls, state_dir: Path) -> TradingOrchestrator:
        """The stack that runs from a state folder; raises `NotRunning`."""
        try:
            config = decode_run_config(state_dir / RUN_FILE)
        except RunConfigError as error:
            raise NotRunning(f"nothing runs from {state_dir}; start it with `mytrading up`") from error
        stack = cls(config)
        if not stack.is_running():
            raise NotRunning(f"the stack of {state_dir} is not running; start it with `mytrading up`")
        return stack

    def is_running(self) -> bool:
        """True while a supervisord or any daemon of this state folder lives."""
        return supervision.supervisord_pid(self.config) is not None or bool(supervision.leftovers(self.config))

    def start(self) -> str:
        """Write run file and clock and start supervisord; returns whether the market begins or continues, in words.

        Raises `AlreadyRunning` with the pid of the first.
        """
        pid = supervision.supervisord_pid(self.config)
        left = supervision.leftovers(self.config)
        if pid is not None or left:
            running = pid if pid is not None else next(iter(left.values()))
            raise AlreadyRunning(self.config.lock_dir, str(running))
        self.config = seal(self._with_ports())
        self.config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.config.state / STOPPING).unlink(missing_ok=True)
        shutil.rmtree(self.config.metrics_dir, ignore_errors=True)
        story = self._set_clock()
        write_run_config(self.config.state / RUN_FILE, self.config)
        self._supervisord = supervision.start(self.config)
        return story

    def _with_ports(self) -> RunConfig:
        """Fix the embedded simulator's ports, so that it comes back where it was when it is restarted."""
        rules = self.config.simulator
        runtime = str(runtime_dir(self.config.state))
        config = msgspec.structs.replace(self.config, runtime_dir=runtime)
        if not rules.embedded:
            return config
        rest, stream = (port or free_port() for port in (rules.rest_port, rules.ws_port))
        venue = msgspec.structs.replace(
            config.venue, rest_url=f"http://127.0.0.1:{rest}", ws_url=f"ws://127.0.0.1:{stream}"
        )
        simulator = msgspec.structs.replace(rules, rest_port=rest, ws_port=stream)
        return msgspec.structs.replace(config, venue=venue, simulator=simulator)

    def _set_clock(self) -> str:
        if not self.config.simulator.embedded:
            self.config.clock_path.unlink(missing_ok=True)
            return "the market runs on the wall clock"
        clock = MarketClock.load(self.config.clock_path)
        resume = clock.resume_point()
        if resume is None:
            return "a new market begins"
        clock.append_segment(resume, self.config.simulator.speed)
        shown = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(resume // SECOND + 19_800))
        return f"continues where it stopped: {shown} IST"

    def fresh(self) -> None:
        """Forget the profile's state. Refused while it runs."""
        if self.is_running():
            raise StackError("cannot start afresh while the stack runs; `mytrading down` first")
        shutil.rmtree(self.config.state, ignore_errors=True)

    # watching

    def ops(self) -> Ops:
        """A connection to the gateway."""
        return Ops(self.config)

    def wait_ready(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """The gateway's status once every daemon says it is ready; raises `TimedOut` naming those that are not."""
        deadline = time.monotonic() + timeout_s
        waiting: list[str] = []
        with closing(self.ops()) as ops:
            while time.monotonic() < deadline:
                with suppress(TimedOut):
                    status: dict[str, Any] = ops.ask("status", timeout_s=0.5)
                    if status["ready"]:
                        return status
                    waiting = [
                        f"{row['daemon']} ({row['state']}{': ' + '; '.join(row['notes']) if row.get('notes') else ''})"
                        for row in status["daemons"]
                        if not row["ready"]
                    ]
                self._check_supervisord()
                time.sleep(0.05)
        raise TimedOut(f"not ready after {timeout_s:g} s: {', '.join(waiting) or 'gateway'}; see `mytrading logs`")

    def _check_supervisord(self) -> None:
        if self._supervisord is not None and (code := self._supervisord.poll()) is not None and not self.is_running():
            raise StackError(f"supervisord ended with code {code}; see {self.config.log_dir}/console-supervisord.log")

    def status(self) -> dict[str, Any]:
        """The gateway's status; raises `TimedOut`."""
        with closing(self.ops()) as ops:
            body: dict[str, Any] = ops.ask("status")
            return body

    def summary(self) -> dict[str, Any]:
        """What this run did, with the restarts that supervisor counted."""
        with closing(self.ops()) as ops:
            body: dict[str, Any] = ops.ask("summary")
            return body

    def revive(self) -> bool:
        """Start supervisord again if it was killed; true if it was."""
        if supervision.supervisord_pid(self.config) is not None:
            return False
        return supervision.revive(self.config)

    # stopping

    def down(self, progress: Progress = lambda _: None) -> list[dict[str, Any]]:
        """Cancel resting entries, stop all daemons and supervisord; returns entries that could not be confirmed."""
        (self.config.state / STOPPING).touch()
        unconfirmed = self._withdraw(progress)
        progress("stopping the daemons")
        self._stop_supervisord()
        left = supervision.leftovers(self.config)
        if left:
            progress(f"ending {', '.join(left)}")
            supervision.end(left, self.config)
        return unconfirmed

    def _withdraw(self, progress: Progress) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        deadline = time.monotonic() + WITHDRAW_S
        with closing(self.ops()) as ops:
            try:
                entries = ops.ask("withdraw", timeout_s=3.0, reason="down")["entries"]
                while entries and time.monotonic() < deadline:
                    progress(f"cancelling {len(entries)} resting entries, {deadline - time.monotonic():.0f} s left")
                    time.sleep(0.2)
                    entries = ops.ask("resting", timeout_s=3.0)["entries"]
            except StackError as error:
                progress(f"resting entries could not be asked for: {error}")
        return entries

    def _stop_supervisord(self) -> None:
        pid = supervision.supervisord_pid(self.config)
        if pid is None:
            return
        with suppress(*supervision.RPC_FAILURES):
            supervision.rpc(self.config).supervisor.shutdown()
        deadline = time.monotonic() + 15.0
        while supervision.supervisord_pid(self.config) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._supervisord is not None:
            with suppress(subprocess.TimeoutExpired):
                self._supervisord.wait(5.0)


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


__all__ = ["AlreadyRunning", "NotRunning", "Ops", "StackError", "TimedOut", "TradingOrchestrator"]
