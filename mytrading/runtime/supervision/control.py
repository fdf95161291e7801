"""Starting and reaching supervisor, the parent of every process of a stack."""

from __future__ import annotations

import http.client
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.runtime.host.run_key import VARIABLE as RUN_KEY
from mytrading.runtime.journal.day_files import is_anything_to_export
from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock, holder

PROGRAMS = ("simulator", "feed", "gateway", "reconciler", "router", "risk", "engine", "webhooks", "console", "watchdog")
"""Every program of supervisord.conf, in the order in which they start."""

LINK = "logs/supervisor.sock"
"""In the project folder: a link to the control socket, which `supervisord.conf` names for `supervisorctl`."""

STOPPING = "stopping"
"""A file in the state folder: the stack is being stopped on purpose, nobody revives it."""

EXITS, WINDOW_S = 5, 60.0
"""A program that ends so often within so many seconds, unexpectedly, is not started again."""

EXIT_FULL, FULL_WAIT_S = 74, 5.0
"""The disk took nothing: a program that ends so is tried again after so many seconds, however long there is no room."""

GAVE_UP, NOT_STARTED = "gave up: ", "not started: "
"""Lines of supervisor's log about a program that ended too often, or could not be started: its name, a colon, why."""
_SPAWNED, _BEGAN = "spawned: '", "supervisord started"
_STOPPED, _EXITED, _EXPECTED = "stopped: ", "exited: ", "; expected)"
_FULL = f"exit status {EXIT_FULL};"
_NO_ANSWER = (OSError, http.client.HTTPException, xmlrpc.client.Error)
"""Errors of a call to a supervisor that does not take requests."""
OPEN_FILES = 256
"""Open files that supervisor needs (`minfds` of `supervisord.conf`); it raises the limit itself where it may."""
START_SECONDS = 10.0
_COMMAND = "from mytrading.cli.main import run; run()"
_POLL = 0.02
_PRIVATE = ("KEY", "PASSWORD", "SECRET", "TOKEN")


class SupervisorFailed(Exception):
    """Supervisor did not start or does not answer; the message says where to look."""


class Program(NamedTuple):
    """A process as supervisor reports it: its state (RUNNING, BACKOFF, EXITED, FATAL, …), pid and last exit code."""

    name: str
    state: str
    pid: int
    exit_code: int


def socket_path(config: RunConfig) -> Path:
    """Return the path of supervisor's control socket."""
    return Path(config.runtime_dir) / "supervisor.sock"


def log_path(config: RunConfig) -> Path:
    """Return the path of supervisor's own log of this run."""
    return config.state / "supervisord.log"


def lock_path(config: RunConfig) -> Path:
    """Return the path of the lock that supervisor holds while it lives."""
    return config.lock_dir / "supervisord.lock"


def supervisor_pid(state: Path) -> int:
    """The pid of the supervisor whose stack has this state folder, 0 if none runs; needs no run file."""
    pid = holder(state / "lock" / "supervisord.lock")
    return int(pid) if pid is not None and pid.isdigit() else 0


def running_pids(config: RunConfig) -> dict[str, int]:
    """Return the pid of every live process of the stack, by program, whether supervisor lives or not."""
    pids = {name: holder(config.lock_dir / f"{name}.lock") for name in PROGRAMS}
    return {name: int(pid) for name, pid in pids.items() if pid is not None and pid.isdigit()}


def environment(config: RunConfig, run_key: str = "") -> dict[str, str]:
    """Return the environment of supervisor and its programs: no secrets but `run_key` (it opens the run file's API
    keys), and the run's folders."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OPENALGO_") and not any(word in name.upper() for word in _PRIVATE)
    }
    return kept | {
        RUN_KEY: run_key,
        "MYTRADING_PYTHON": shlex.quote(sys.executable),  # supervisor takes commands apart as a shell does
        "MYTRADING_HOME": config.home,
        "MYTRADING_RUN": str(config.state / RUN_FILE),
        "MYTRADING_STACK_DIR": config.state_dir,
        "MYTRADING_RUNTIME": config.runtime_dir,
        "MYTRADING_LOG_DIR": config.log_dir,
        "MYTRADING_SIMULATOR": "true" if config.simulator.runs_simulator else "false",
        "MYTRADING_WEBHOOKS": "true" if any(config.webhooks_dir.glob("*.toml")) else "false",
        "MYTRADING_CONSOLE": "true" if config.console.enabled else "false",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def forbid_starts(config: RunConfig) -> None:
    """Mark the stack as being stopped, so that `revive` does nothing; first waits for a start in progress."""
    lock = InstanceLock(config.lock_dir / "start.lock")
    with suppress(AlreadyRunning):
        lock.acquire(wait_s=START_SECONDS)
    (config.state / STOPPING).touch()
    lock.release()


def revive(config: RunConfig, run_key: str = "") -> int:
    """Start supervisor unless it runs or the stack is being stopped; returns its pid, or 0. `run_key` opens the run
    file's API keys. Safe from several processes at once. Raises `SupervisorFailed` if it does not answer within ten
    seconds."""
    lock = InstanceLock(config.lock_dir / "start.lock")
    try:
        lock.acquire(wait_s=START_SECONDS)
    except AlreadyRunning as error:
        raise SupervisorFailed(f"another process is starting the stack since {START_SECONDS:.0f} s: {error}") from error
    try:
        if pid := supervisor_pid(config.state):
            return pid
        if is_stopping(config.state):
            return 0
        socket_path(config).unlink(missing_ok=True)
        pid = _launch(config, run_key)
        _link_socket(config)
        return pid
    finally:
        lock.release()


def _link_socket(config: RunConfig) -> None:
    """Have `supervisorctl -c supervisord.conf` in the project folder reach this stack.

    The file names a link, since only the environment of a stack's processes knows the socket. A stack of the default
    profile takes the link; any other takes it where no other stack answers behind it.
    """
    link, own = Path(config.home) / LINK, socket_path(config)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    with suppress(OSError):  # a project folder that is not ours, to read or to write: the stack runs without
        if not config.profile.startswith("default") and link.exists() and link.resolve() != own:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
                probe.connect(str(link.resolve()))
                return
        link.parent.mkdir(exist_ok=True)
        temporary.symlink_to(own)
        temporary.replace(link)


def _launch(config: RunConfig, run_key: str) -> int:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < OPEN_FILES:
        raise SupervisorFailed(
            f"this shell allows {most} open files, expected {OPEN_FILES} or more: raise it (`ulimit -n 1024`; in a "
            "service LimitNOFILE=) and start again"
        )
    consoles = config.log_dir  # or the state folder, where a folder of logs cannot be made
    try:
        Path(consoles).mkdir(parents=True, exist_ok=True)
    except OSError:
        consoles = config.state_dir
    mask = os.umask(0o077)
    os.umask(mask)
    errors = config.state / "supervisord.err"
    command = [sys.executable, "-m", "mytrading.runtime.supervision.supervisord"]
    with open_output(errors) as sink:
        process = subprocess.Popen(
            [*command, str(Path(config.home) / "supervisord.conf")],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=config.home,
            # supervisor expands the names of these files twice
            env=environment(config, run_key) | {"MYTRADING_LOG_DIR": consoles.replace("%", "%%")},
            start_new_session=True,
            umask=mask | 0o027,  # the operator's, with others shut out of the stack's files
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = errors.read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "no word"
            raise SupervisorFailed(f"supervisor ended with code {process.returncode}: {last}")
        if supervisor_pid(config.state) == process.pid and is_answering(config):
            return process.pid
        time.sleep(_POLL)
    if supervisor_pid(config.state) != process.pid:
        process.terminate()  # it never came to run this stack, and nobody could stop it later
    raise SupervisorFailed(f"supervisor (pid {process.pid}) does not answer; see {log_path(config)}")


def open_output(path: Path) -> IO[bytes]:
    """Open a file for a process's output, emptied; /dev/null where the disk takes no file."""
    try:
        return path.open("wb")
    except OSError:
        return Path(os.devnull).open("wb")


def is_answering(config: RunConfig) -> bool:
    """Return true if supervisor answers requests."""
    with suppress(*_NO_ANSWER):
        connect(config).supervisor.getState()
        return True
    return False


def programs(config: RunConfig) -> dict[str, Program]:
    """Return all programs as supervisor reports them, by name; empty if it does not answer."""
    with suppress(*_NO_ANSWER):
        found: Any = connect(config).supervisor.getAllProcessInfo()
        return {row["name"]: Program(row["name"], row["statename"], row["pid"], row["exitstatus"]) for row in found}
    return {}


def start_program(config: RunConfig, name: str) -> None:
    """Ask supervisor to start a program that it does not run; nothing happens if it does, or does not answer."""
    with suppress(*_NO_ANSWER):
        connect(config).supervisor.startProcess(name, False)


def shut_down(config: RunConfig) -> None:
    """Ask supervisor to stop all programs, the last started first, and then itself; returns at once. If it does not
    answer it gets SIGTERM, which means the same to it."""
    try:
        connect(config).supervisor.shutdown()
    except _NO_ANSWER:
        if pid := supervisor_pid(config.state):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def stop_programs(config: RunConfig, names: tuple[str, ...], wait_s: float = 6.0) -> None:
    """Stop the running ones of these programs: SIGTERM, and SIGKILL for those left after `wait_s` seconds."""
    _signal(config, names, signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and set(names) & set(running_pids(config)):
        time.sleep(_POLL)
    _signal(config, names, signal.SIGKILL)


def _signal(config: RunConfig, names: tuple[str, ...], number: signal.Signals) -> None:
    for name, pid in running_pids(config).items():
        if name in names:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def start_counts(config: RunConfig) -> dict[str, int]:
    """Return how often each program was started since `up`, from supervisor's log."""
    return dict(Counter(_spawned(line) for line in _log_lines(config) if _SPAWNED in line))


def start_failures(config: RunConfig) -> dict[str, str]:
    """Return, by program, why supervisor could not start it, from supervisor's log; without programs started since."""
    found: dict[str, str] = {}
    for line in _log_lines(config):
        if _SPAWNED in line:
            found.pop(_spawned(line), None)
        elif NOT_STARTED in line:
            name, _, why = line.partition(NOT_STARTED)[2].partition(": ")
            found[name] = why
    return found


def _log_lines(config: RunConfig) -> list[str]:
    with suppress(OSError):
        return log_path(config).read_text(errors="replace").splitlines()
    return []


def _spawned(line: str) -> str:
    return line.partition(_SPAWNED)[2].partition("'")[0]


def is_stopping(state: Path) -> bool:
    """Return true while the stack of this state folder is being stopped on purpose, or is stopped."""
    return (state / STOPPING).exists()


class EndedPrograms:
    """Programs that supervisor does not start any more, followed in its log.

    `stopped` are those with an expected end, or stopped by an operator; `began` counts the starts of supervisor since
    `up`. `full` are those that last ended for want of room on the disk; a caller takes off those that run again.
    """

    def __init__(self, config: RunConfig) -> None:
        self._path = log_path(config)
        self._position = 0
        self._given_up: set[str] = set()
        self.stopped: set[str] = set()
        self.full: set[str] = set()
        self.began = 0

    def poll(self) -> set[str]:
        """Read on in supervisor's log, updating `stopped`, `full` and `began`; return the programs that supervisor has
        given up and that were not started again since."""
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._position += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                self._take(line)
        return set(self._given_up)

    def _take(self, line: str) -> None:
        if _EXITED in line:
            kept = self.full.add if _FULL in line else self.full.discard
            kept(line.partition(_EXITED)[2].split(maxsplit=1)[0])
        if _BEGAN in line:
            self.began += 1
            self._given_up.clear()
            self.stopped.clear()
            self.full.clear()
        elif _SPAWNED in line:
            self._given_up.discard(_spawned(line))
            self.stopped.discard(_spawned(line))
        elif GAVE_UP in line:
            self._given_up.add(line.partition(GAVE_UP)[2].split(maxsplit=1)[0].rstrip(":"))
        elif _STOPPED in line or (_EXITED in line and line.endswith(_EXPECTED)):
            self.stopped.add(line.partition(_STOPPED if _STOPPED in line else _EXITED)[2].split(maxsplit=1)[0])


def was_revived(config: RunConfig, within_s: float) -> bool:
    """Return true if supervisor was started again (not its first start since `up`) in the last `within_s` seconds."""
    ended = EndedPrograms(config)
    ended.poll()
    with suppress(OSError):
        return ended.began > 1 and time.time() - lock_path(config).stat().st_mtime < within_s
    return False


def export_days(config: RunConfig) -> int:
    """Start `mytrading day export`, at the lowest priority, if a day is over and not archived; its pid, else 0."""
    if not is_anything_to_export(config):
        return 0
    profile = ["--profile", config.profile]
    with open_output(config.state / "export.log") as sink:
        process = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, "-c", _COMMAND, "day", "export", "--json", *profile],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=config.home,
            env={**os.environ, "MYTRADING_HOME": config.home, "MYTRADING_STATE_DIR": str(config.state.parent)},
            start_new_session=True,
        )
    return process.pid


def last_output(config: RunConfig, name: str) -> str:
    """Return the last line that a process wrote on its console, "" if there is none."""
    with suppress(OSError):
        lines = (Path(config.log_dir) / f"{name}.out").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""


def connect(config: RunConfig) -> xmlrpc.client.ServerProxy:
    """Return a proxy for supervisor's XML-RPC; calls raise `OSError` when nobody listens."""
    return xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(str(socket_path(config))))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("supervisor", timeout=10.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002
        return _UnixConnection(self._path)
