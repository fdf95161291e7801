"""The orchestrator: starts a stack, waits until it is ready, talks to it, and stops it without losing anything.

It writes the run file and the clock, then leaves all processes to supervisor, so the stack goes on without it. `stop`
first has resting entries cancelled while everything still runs, and returns those it could not confirm.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mytrading.messages.enums import DaemonState
from mytrading.messages.ops import Command, Query, RestingQuery, StatusQuery, SummaryQuery, WithdrawCommand
from mytrading.messages.run_config import (
    RUN_FILE,
    RunConfig,
    RunConfigError,
    decode_run_config,
    with_config_hash,
    write_run_config,
)
from mytrading.messages.streams import OPTIONAL
from mytrading.runtime.host import paths
from mytrading.runtime.host.run_info import user_name
from mytrading.runtime.host.run_key import new_run_key, seal_keys
from mytrading.runtime.journal.day_files import journal_names
from mytrading.runtime.journal.format import check_state_layout, segments, write_state_layout
from mytrading.runtime.streams.endpoints import name_runtime_dir, runtime_dir
from mytrading.runtime.streams.ops_client import Ops, OpsRefused, OpsTimedOut, new_request_id
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.hang_check import core_wait_ns
from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock, end_forks, holder

if TYPE_CHECKING:
    from mytrading.config.settings import TradingSettings

WITHDRAW_S = 30.0
STOP_S = 60.0
READY_S = 60.0
"""Seconds that `up` waits for all processes, where each of them has a core."""
STRETCH = 4
"""On a machine without a core for them, so many times as long."""
_POLL_S = 0.05
_LOOK_S = 0.5
"""Between two questions to supervisor while a stack starts: it needs the cores itself."""
_PORTS = range(20_000, 30_000)

Progress = Callable[[str], None]
Reply = TypeVar("Reply")


class StackFailed(Exception):
    """The stack did not start or stop; the message says what to do next."""


class NotRunning(Exception):
    """No stack runs, or none was ever started."""


class SeveralRun(Exception):
    """More than one stack runs, and none was named."""


class TimedOut(Exception):
    """The stack did not get there in time."""


class TradingOrchestrator:
    """One stack: a project folder, a profile, a state folder."""

    def __init__(self, settings: TradingSettings | RunConfig) -> None:
        """From validated settings, or from what a run was started with; `ConfigurationError` if they may not start."""
        if isinstance(settings, RunConfig):
            self.config = settings
        else:
            from mytrading.config.run_config import build_run_config

            state = paths.state_dir(settings.profile)
            folders = (paths.project_home(), state, runtime_dir(state))
            self.config = build_run_config(settings, *folders, log_name=paths.stack_name(state))
        self._run_key = ""
        self.stops_left: list[dict[str, Any]] = []
        self.stops_ended: list[dict[str, Any]] = []

    @classmethod
    def find(
        cls, profile: str | None = None, read: Callable[[Path], RunConfig] = decode_run_config
    ) -> TradingOrchestrator:
        """Find the stack that runs, else the one that ran latest; `NotRunning` if there never was one.

        With a profile only that one counts. Raises `SeveralRun` when several run and none is named, and
        `RunConfigError` when the one that runs, or is named, has a run file that cannot be `read`.
        """
        started = paths.started_states()
        stacks = []
        for folder in started if profile is None else {paths.state_dir(profile)}.intersection(started):
            try:
                stacks.append(cls(read(folder / RUN_FILE)))
            except RunConfigError as error:
                if pid := control.supervisor_pid(folder):
                    ends = f"`kill {pid}` ends it, cancels resting entries and keeps its stops at the broker"
                    raise RunConfigError(
                        f"{str(error).partition(';')[0]}; that stack runs: {ends}; then `mytrading up` writes it again"
                    ) from error
                if profile is not None:
                    raise
        running = [stack for stack in stacks if stack.is_running()]
        if len(running) > 1:
            names = ", ".join(stack.config.profile for stack in running)
            raise SeveralRun(f"several stacks run ({names}): name one with --profile")
        if not stacks and profile is not None and started:
            names = ", ".join(sorted(folder.name for folder in started))
            raise NotRunning(f"--profile: expected one that was started ({names}), found {profile}")
        if not stacks:
            raise NotRunning("no stack was started yet; `mytrading up --simulator` starts one")
        return (running or stacks)[0]

    @property
    def pid(self) -> int:
        """The pid of supervisor, or of any process that was left without one; 0 if nothing runs."""
        return control.supervisor_pid(self.config.state) or next(iter(control.running_pids(self.config).values()), 0)

    def is_running(self) -> bool:
        """True while supervisor or any process of this stack lives."""
        return self.pid != 0

    @property
    def start_command(self) -> str:
        """The command that starts this stack again."""
        rules, words = self.config.simulator, ["mytrading up"]
        profile = self.config.profile
        for own in ("-simulated", "-dry-run", "-live", "-simulator"):
            profile = profile.removesuffix(own)
        if rules.replay:
            words.append(f"--replay {shlex.quote(rules.replay)}")
        elif rules.embedded:
            words.append("--simulator")
        elif profile != "default":
            words.append(f"--profile {shlex.quote(profile)}")
        if self.config.profile.endswith("-dry-run"):
            words.append("--dry-run")
        return " ".join(words)

    def check_file_owners(self) -> None:
        """Raise `StackFailed` if another user owns what the stack must write; creates nothing."""
        for path, setting in paths.files_of_others(self.config):
            raise StackFailed(
                f"{path} belongs to {user_name(path.stat().st_uid)}, expected what this user (uid {os.getuid()}) may "
                f"write: set {setting} to a folder of your own, or work in a checkout of your own"
            )

    def start(self, set_clock: Callable[[RunConfig], object] | None = None) -> None:
        """Write the run file, let `set_clock` write the market clock, and start supervisor with all programs.

        Raises `AlreadyRunning` with the pid of what runs or trades these accounts, `SupervisorFailed`, and
        `JournalOfAnotherVersion` where journals have to be upgraded first, or a newer version wrote them.
        """
        self.config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_state_layout(self.config.state)
        for name in journal_names(self.config):
            segments(self.config.journal_dir(name))
        starting = InstanceLock(self.config.lock_dir / "up.lock")
        starting.acquire()
        try:
            if pid := self.pid:
                raise AlreadyRunning(control.lock_path(self.config), str(pid))
            self.config = with_config_hash(with_simulator_ports(self.config))
            for account in self.config.order_accounts:
                lock = paths.account_lock_path(self.config, account)
                if trading := holder(lock):
                    raise AlreadyRunning(lock, trading)
            (self.config.state / control.STOPPING).unlink(missing_ok=True)
            control.log_path(self.config).unlink(missing_ok=True)
            shutil.rmtree(self.config.metrics_dir, ignore_errors=True)
            for left in Path(self.config.runtime_dir).glob("*"):
                left.unlink(missing_ok=True)
            if set_clock is not None:
                set_clock(self.config)
            write_state_layout(self.config.state)
            run = self.config
            if not run.simulator.embedded:  # encrypted API keys: the key is in this process and supervisor alone
                self._run_key = new_run_key()
                run = seal_keys(run, self._run_key)
            write_run_config(self.config.state / RUN_FILE, run)
            name_runtime_dir(self.config)
            try:
                control.revive(self.config, self._run_key)
            except BaseException:  # a command that says it failed leaves nothing trading behind it
                control.shut_down(self.config)
                raise
        finally:
            starting.release()

    def clear_state(self) -> None:
        """Empty the state folder, if a stack ever started from it; `AlreadyRunning` while the stack runs."""
        if pid := self.pid:
            raise AlreadyRunning(control.lock_path(self.config), str(pid))
        if not (self.config.state / RUN_FILE).exists():
            return
        for path in self.config.state.iterdir():
            if path != self.config.lock_dir:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def wait_ready(self, timeout_s: float = 30.0, progress: Progress = lambda _: None) -> dict[str, Any]:
        """Wait until every daemon is ready; returns the gateway's status. `progress` gets texts meanwhile.

        Time in which a daemon had no core does not count, up to `STRETCH` times `timeout_s` in all. Raises
        `TimedOut` naming the daemons that are not ready, `StackFailed` when one of them has given up.
        """
        began = time.monotonic()
        deadline, latest = began + timeout_s, began + STRETCH * timeout_s
        waiting, look = "the gateway", 0.0
        with Ops(self.config) as ops:
            while time.monotonic() < deadline:
                with suppress(OpsTimedOut):
                    status: dict[str, Any] = ops.ask(StatusQuery(), timeout_s=0.5)
                    if status["ready"]:
                        return status
                    waiting = ", ".join(_describe(row) for row in status["daemons"] if not row["ready"])
                    waiting = waiting or status["wrong_mode"]
                if time.monotonic() > look:
                    programs = control.programs(self.config).values()
                    self._check(programs)
                    look = time.monotonic() + _LOOK_S
                    starved_ns = max((core_wait_ns(one.pid) for one in programs if one.pid), default=0)
                    deadline = max(deadline, min(began + timeout_s + starved_ns / 1e9, latest))
                progress(f"waiting for {waiting}")
                time.sleep(2 * _POLL_S)
        took = time.monotonic() - began
        raise TimedOut(f"not ready after {took:.0f} s: {waiting}; see `mytrading logs`")

    def _check(self, programs: Iterable[control.Program]) -> None:
        unstarted = control.start_failures(self.config)
        for program in programs:
            if program.name in OPTIONAL:
                continue
            if program.state in ("BACKOFF", "FATAL") and (problem := unstarted.get(program.name)):
                raise StackFailed(f"{program.name} could not be started: {problem}; see `mytrading logs supervisord`")
            if program.state == "FATAL" or (program.state == "EXITED" and program.exit_code == 78):
                output = control.last_output(self.config, program.name)
                raise StackFailed(
                    f"{program.name} gave up (exit {program.exit_code}): {output or 'no output'}; "
                    f"`mytrading logs {program.name}`"
                )

    def ask(self, request: Query[Reply] | Command[Reply]) -> Reply:
        """Send the gateway a request, return its reply; `NotRunning`, `OpsTimedOut` or `OpsRefused`."""
        if not self.is_running():
            raise NotRunning(f"the {self.config.profile} stack is not running; `{self.start_command}` starts it")
        with Ops(self.config) as ops:
            return ops.ask(request)

    def status(self) -> dict[str, Any]:
        """Return the gateway's status, with supervisor's state, pid and restarts in each daemon's row."""
        body: dict[str, Any] = self.ask(StatusQuery())
        programs, spawned = control.programs(self.config), control.start_counts(self.config)
        simulated = [{"daemon": "simulator"}] if self.config.simulator.runs_simulator else []
        for row in (*simulated, *body["daemons"]):
            _add_process(row, programs.get(row["daemon"]), spawned.get(row["daemon"], 1) - 1)
        body["daemons"] = [*simulated, *body["daemons"]]
        body["system"] = self.config.system_name
        body["supervisor"] = {"pid": control.supervisor_pid(self.config.state)}
        return body

    def summary(self) -> dict[str, Any]:
        """Return this run's totals and each process's state, memory and restarts, as `up --json` ends."""
        body: dict[str, Any] = self.ask(SummaryQuery())
        rows = {row["daemon"]: row for row in self.status()["daemons"]}
        for name, row in rows.items():
            entry = body["daemons"].setdefault(name, {key: row.get(key) for key in ("state", "rss_mb", "cpu_s")})
            entry["restarts"] = row["restarts"]
        return body

    def start_day_export(self) -> int:
        """Start a process that exports closed days, if there are any; returns its pid, or 0."""
        return control.export_days(self.config)

    def restart_supervisor(self) -> int:
        """Start supervisor again if it was killed and the stack is not being stopped; returns its pid, or 0."""
        return control.revive(self.config, self._run_key)

    def stop(
        self, progress: Progress = lambda _: None, withdrawn: Callable[[], None] = lambda: None
    ) -> list[dict[str, Any]]:
        """Cancel resting entries, stop all processes and supervisor; returns entries whose cancel was not confirmed.

        Stops at the broker stay; `stops_left` holds those that the router knew of, `stops_ended` those of the engine,
        which end with the stack.
        `withdrawn` is called after the cancels, while all processes still run. Raises `NotRunning`.
        """
        if not self.is_running():
            raise NotRunning(f"the {self.config.profile} stack is not running")
        unconfirmed = self._withdraw(progress)
        withdrawn()
        control.forbid_starts(self.config)
        progress("stopping the processes")
        control.shut_down(self.config)
        deadline = time.monotonic() + STOP_S
        while control.supervisor_pid(self.config.state) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        left = tuple(control.running_pids(self.config))
        if left:
            progress(f"ending {', '.join(left)}, left without supervisor")
            control.stop_programs(self.config, left)
        for name in control.PROGRAMS:
            end_forks(self.config.lock_dir / f"{name}.lock", f"mytrading.daemons.{name}")
        if pid := self.pid:
            raise StackFailed(f"pid {pid} does not end; look at it, then `mytrading down` again")
        return unconfirmed

    def _withdraw(self, progress: Progress) -> list[dict[str, Any]]:
        if "gateway" not in control.running_pids(self.config):
            progress("the gateway is gone: the router cancels resting entries as it stops")
            return []
        entries: list[dict[str, Any]] = []
        self.stops_left, self.stops_ended = [], []
        deadline = time.monotonic() + WITHDRAW_S
        with Ops(self.config, timeout_s=3.0) as ops:
            try:
                entries = ops.ask(WithdrawCommand(request_id=new_request_id(), reason="down", stopping=True)).entries
                while entries and time.monotonic() < deadline:
                    progress(f"cancelling {len(entries)} resting entries, {deadline - time.monotonic():.0f} s left")
                    time.sleep(0.2)
                    entries = ops.ask(RestingQuery())["entries"]
                resting = ops.ask(RestingQuery())
                self.stops_left, self.stops_ended = resting["stops"], resting["engine_stops"]
            except (OpsTimedOut, OpsRefused) as error:
                progress(f"the cancel of resting entries could not be requested: {error}")
        for line in (*remaining_stop_lines(self.stops_left), *ended_stop_lines(self.stops_ended)):
            progress(line)
        return entries


def remaining_stop_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line of text for each stop order (JSON row) left at the broker, with its account if several."""
    several = len({row["account"] for row in rows}) > 1
    lines = []
    for row in rows:
        units = row["quantity"] - row.get("filled_seen", 0)
        at = f"{row['side']} {units} {row['instrument']} at {row['trigger_price']:g}"
        where = f" in {row['account']}" if several else ""
        lines.append(f"the stop of {row['strategy']}{where} stays at the broker: {at}")
    return lines


def ended_stop_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line of text for each stop (JSON row) that the engine held, with its account if there are several."""
    several = len({row["account"] for row in rows}) > 1
    lines = []
    for row in rows:
        where = f" in {row['account']}" if several else ""
        lines.append(
            f"the stop of {row['strategy']}{where} is held by the engine and ends: {row['quantity']:+d} "
            f"{row['instrument']} has no stop at {row['stop']:g} until the next start"
        )
    return lines


def with_simulator_ports(config: RunConfig) -> RunConfig:
    """Return the configuration with free ports for its simulator, if any, which stay when that restarts."""
    rules = config.simulator
    if not rules.runs_simulator:
        return config
    rest, stream = rules.rest_port or free_port(), rules.ws_port or free_port()
    urls = {"rest_url": f"http://127.0.0.1:{rest}", "ws_url": f"ws://127.0.0.1:{stream}"}
    venue = msgspec.structs.replace(config.venue, **urls)
    simulator = msgspec.structs.replace(rules, rest_port=rest, ws_port=stream)
    return msgspec.structs.replace(config, venue=venue, simulator=simulator)


def free_port() -> int:
    """Return a free loopback port below those of outgoing connections; `StackFailed` if it finds none."""
    for port in random.Random(os.urandom(8)).sample(_PORTS, 100):
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StackFailed(f"expected a free port among {_PORTS.start} to {_PORTS.stop}, found none in a hundred tries")


def _describe(row: dict[str, Any]) -> str:
    notes = "; ".join(row.get("notes") or ())
    return f"{row['daemon']} ({row['state']}{': ' + notes if notes else ''})"


def _add_process(row: dict[str, Any], program: control.Program | None, restarts: int) -> None:
    """Add supervisor's figures of a process; pid, memory and state too until its first heartbeat."""
    row["restarts"] = max(restarts, 0)
    if program is None:
        return
    row["process"] = program.state
    if "pid" not in row:
        starting = row["daemon"] != "simulator" and program.state == "RUNNING"  # a daemon's state comes by heartbeat
        row["state"] = DaemonState.STARTING.value if starting else program.state
        row.update(pid=program.pid, ready=program.state == "RUNNING" and not starting, **_usage(program.pid))


def _usage(pid: int) -> dict[str, float]:
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        times = process.cpu_times()
        return {"rss_mb": round(process.memory_info().rss / 1e6, 1), "cpu_s": round(times.user + times.system, 2)}
    return {"rss_mb": 0.0, "cpu_s": 0.0}
