"""Supervisor from code: its environment, its start, its XML-RPC over the unix socket, and its revival.

Used by the orchestrator and, when supervisord itself was killed, by the watchdog, so it loads nothing heavy. The one
rule: processes are ended through supervisor, or by a pid that provably is ours (it holds the lock of our state folder).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Error as RpcError
from xmlrpc.client import ServerProxy

from mytrading.messages.runconfig import RUN_FILE, RunConfig
from mytrading.messages.streams import ALL
from mytrading.runtime.lock import InstanceLock, holder

SIMULATOR = "simulator"
RPC_FAILURES = (OSError, RpcError, HTTPException)


class SupervisorGone(Exception):
    """Supervisord does not answer: the stack is not running."""


def environment(config: RunConfig) -> dict[str, str]:
    """The environment in which supervisord.conf makes sense."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")},
        "MYTRADING_HOME": config.home,
        "MYTRADING_PYTHON": sys.executable,
        "MYTRADING_STATE_DIR": config.state_dir,
        "MYTRADING_RUNTIME": config.runtime_dir,
        "MYTRADING_LOGS": config.log_dir,
        "MYTRADING_RUN": str(config.state / RUN_FILE),
        "MYTRADING_SIMULATOR": "true" if config.simulator.embedded else "false",
        "MYTRADING_SIMULATOR_ARGS": shlex.join(simulator_arguments(config)),
        "PYTHONUNBUFFERED": "1",
    }


def simulator_arguments(config: RunConfig) -> list[str]:
    """The embedded simulator's command line; its ports are fixed, so that it comes back where it was."""
    rules = config.simulator
    arguments = [
        "--rest-port", str(rules.rest_port),
        "--ws-port", str(rules.ws_port),
        "--api-key", config.venue.api_key,
        "--seed", str(rules.seed),
        "--speed", str(rules.speed),
        "--state-dir", str(config.state / SIMULATOR),
        "--clock", str(config.clock_path),
        "--config-dir", str(Path(config.home) / "config"),
    ]  # fmt: skip
    return [*arguments, "--replay", rules.replay] if rules.replay else arguments


def programs(config: RunConfig) -> tuple[str, ...]:
    """The programs of this run, in the order in which they start."""
    return (SIMULATOR, *ALL) if config.simulator.embedded else ALL


def start(config: RunConfig) -> subprocess.Popen[bytes]:
    """Start supervisord in a session of its own, so that it outlives the terminal."""
    socket = Path(config.runtime_dir, "supervisor.sock")
    socket.unlink(missing_ok=True)
    config.lock_dir.mkdir(parents=True, exist_ok=True)
    Path(config.log_dir).mkdir(parents=True, exist_ok=True)
    console = Path(config.log_dir, "console-supervisord.log")
    with console.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", _SUPERVISORD, "-n", "-c", str(Path(config.home, "supervisord.conf"))],
            env=environment(config),
            cwd=config.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


_SUPERVISORD = "import warnings; warnings.simplefilter('ignore'); from supervisor.supervisord import main; main()"


def rpc(config: RunConfig) -> Any:
    """Supervisor's XML-RPC proxy over the unix socket (`.supervisor.getAllProcessInfo()` and so on)."""
    from supervisor.xmlrpc import SupervisorTransport  # loads late: the watchdog needs it once in a blue moon

    socket = f"unix://{config.runtime_dir}/supervisor.sock"
    return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, serverurl=socket))


def process_info(config: RunConfig) -> dict[str, dict[str, Any]]:
    """What supervisor says of each program, by name; raises `SupervisorGone`."""
    try:
        return {row["name"]: row for row in rpc(config).supervisor.getAllProcessInfo()}
    except RPC_FAILURES as error:
        raise SupervisorGone(f"supervisord does not answer on {config.runtime_dir}/supervisor.sock: {error}") from error


def supervisord_pid(config: RunConfig) -> int | None:
    """The pid of the running supervisord of this state folder, None if there is none."""
    try:
        return int(rpc(config).supervisor.getPID())
    except RPC_FAILURES:
        return None


def stop_program(config: RunConfig, name: str) -> bool:
    """Stop one program for good; false if supervisor does not answer or it was stopped already."""
    try:
        return bool(rpc(config).supervisor.stopProcess(name, False))
    except RPC_FAILURES:
        return False


def revive(config: RunConfig) -> bool:
    """Start a new supervisord if the old one was killed; true if this call did. Safe to call from several places."""
    lock = InstanceLock(config.lock_dir / "revive.lock")
    lock.acquire(wait_s=10.0)
    try:
        if supervisord_pid(config) is not None or (config.state / "stopping").exists():
            return False
        start(config)
        deadline = time.monotonic() + 10.0
        while supervisord_pid(config) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return True
    finally:
        lock.release()


def leftovers(config: RunConfig) -> dict[str, int]:
    """Daemons that still hold their lock, by name: what a killed supervisord left behind."""
    held = {name: holder(config.lock_dir / f"{name}.lock") for name in (*ALL, SIMULATOR)}
    return {name: int(pid) for name, pid in held.items() if pid and pid.isdigit()}


def end(pids: dict[str, int], config: RunConfig, wait_s: float = 6.0) -> None:
    """SIGTERM these daemons, and SIGKILL those that still hold their lock after `wait_s`."""
    for pid in pids.values():
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    while (left := leftovers(config)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for name, pid in left.items():
        if name in pids:
            _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
