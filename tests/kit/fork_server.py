"""Processes of the package, forked from one that has loaded its modules: loading takes ten times as long as most tests
keep a process busy.

`start` and `run` are used like `subprocess.Popen` and `subprocess.run`. A run of the tests has one fork server, made
with the first process, or at once where several workers share it (`tests.kit.side_by_side`), and ended with the run.
What a stack starts itself (supervisor, its programs, their successors) is forked there too, and what the modules given
to `fork_in` start. A command that is not ours is started as usual. Rule: a forked process has arguments, environment,
session, niceness, signals and streams of its own, as `/proc` shows them; that a start from nothing leads to the same is
tested without this module (`tests/system/test_cli.py`, `test_supervisord.py`).
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, Any

import msgspec
import typer.main
from supervisor.options import ServerOptions

from tests.kit import parse_cache

PACKAGES = ("mytrading.daemons", "mytrading.runtime", "mytrading.simulator", "mytrading.config")
"""Loaded before the first fork, with what `_load` names: nothing here may load pandas, DuckDB or Numba."""

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("mytrading"))
PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
_PR_SET_PDEATHSIG = 1
_ROOM = 4096, 16_384
"""Bytes that `/proc/PID/cmdline` and `/proc/PID/environ` of a forked process can show."""


# the side of the tests


def start(arguments: Sequence[str | os.PathLike[str]], **options: Any) -> Process:
    """Start a process as `subprocess.Popen` does: forked, if it is one of the package's."""
    words = [os.fspath(word) for word in arguments]
    niceness, words = (int(words[2]), words[3:]) if words[:2] == ["nice", "-n"] else (0, words)
    path = (options.get("env") or os.environ).get("PYTHONPATH")  # of other code than this process has
    plain = not {"preexec_fn", "shell", "pass_fds", "bufsize"} & options.keys()
    if _is_ours(words) and plain and path == os.environ.get("PYTHONPATH"):
        return Forked(words, niceness=niceness, **options)
    return subprocess.Popen(arguments, **options)


def run(
    arguments: Sequence[str | os.PathLike[str]], *, timeout: float | None = None, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Start a process, with its output captured, and wait for its end as `subprocess.run` does."""
    given = options.pop("input", None)
    check = options.pop("check", False)
    options.pop("capture_output", None)  # it always is
    streams = {"stdin": None if given is None else PIPE, "stdout": PIPE, "stderr": PIPE}
    with start(arguments, **{**streams, **options}) as process:
        try:
            out, errors = process.communicate(given, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(arguments, process.returncode, out, errors)
    if check:
        done.check_returncode()
    return done


_FORKING = SimpleNamespace(
    **{**{name: getattr(subprocess, name) for name in dir(subprocess) if not name.startswith("__")},
       "Popen": start, "run": run}
)  # fmt: skip


def fork_in(*modules: ModuleType, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Fork what these modules start of the package with `subprocess`; `put` as in `parse_cache.remember`."""
    for module in modules:
        put(module, "subprocess", _FORKING)


def _is_ours(words: list[str]) -> bool:
    if words[0] == COMMAND:
        return True
    if words[0] != sys.executable or len(words) < 2:
        return False
    if words[1] == "-m":
        return words[2].partition(".")[0] == "mytrading"
    if words[1] == "-c":
        return "from mytrading." in words[2]
    return words[1].startswith(str(ROOT / "tests")) and words[1].endswith(".py")


class Forked:
    """A forked process: what tests use of `subprocess.Popen`. Without a session of its own it ends with the worker."""

    def __init__(
        self, arguments: list[str], *, env: Mapping[str, str] | None = None, cwd: str | os.PathLike[str] | None = None,
        stdin: Any = None, stdout: Any = None, stderr: Any = None, text: bool = False, umask: int = -1,
        start_new_session: bool = False, niceness: int = 0,
    ) -> None:  # fmt: skip
        self.args = arguments
        self.returncode: int | None = None
        self._mutex = threading.Lock()
        request = {
            "arguments": arguments, "environment": dict(os.environ if env is None else env), "umask": umask,
            "folder": os.fspath(cwd or Path.cwd()), "session": start_new_session, "niceness": niceness,
        }  # fmt: skip
        given: list[int] = []
        ours: list[int] = []
        self.stdin = self._stream(stdin, 0, "w", text, given, ours)
        self.stdout = self._stream(stdout, 1, "r", text, given, ours)
        if stderr == STDOUT:
            self.stderr = None
            given.append(given[1])
        else:
            self.stderr = self._stream(stderr, 2, "r", text, given, ours)
        try:
            self._channel, self.pid = _ask(request, given)
        finally:
            for descriptor in ours:
                os.close(descriptor)

    @staticmethod
    def _stream(wanted: Any, number: int, mode: str, text: bool, given: list[int], ours: list[int]) -> IO[Any] | None:
        """Our end of a pipe, if one is wanted; the process's end is added to `given`, to be closed here if `ours`."""
        if wanted == PIPE:
            reading, writing = os.pipe()
            theirs, mine = (reading, writing) if number == 0 else (writing, reading)
            given.append(theirs)
            ours.append(theirs)
            return os.fdopen(mine, mode if text else mode + "b", encoding="utf-8" if text else None)
        if wanted == DEVNULL:
            ours.append(os.open(os.devnull, os.O_RDWR))
            given.append(ours[-1])
        else:
            given.append(number if wanted is None else wanted if isinstance(wanted, int) else wanted.fileno())
        return None

    def poll(self) -> int | None:
        """The exit code, minus the number of the signal that ended the process; None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once the process has ended; `subprocess.TimeoutExpired` if it has not in so many seconds."""
        if (code := self._ended(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        with self._mutex:
            if self.returncode is None:
                self._channel.settimeout(timeout)
                try:
                    word = self._channel.recv(64)
                except (BlockingIOError, TimeoutError):
                    return None
                self.returncode = int(word or -signal.SIGKILL)  # without a word the fork server itself was ended
                self._channel.close()
        return self.returncode

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """Give the input, read both streams to their end and wait; the streams read are closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found: dict[int, Any] = {}
        readers = [
            threading.Thread(target=lambda n=number, s=stream: found.update({n: s.read()}), daemon=True)
            for number, stream in ((1, self.stdout), (2, self.stderr))
            if stream is not None and not stream.closed
        ]
        for reader in readers:
            reader.start()
        if self.stdin is not None:
            with suppress(BrokenPipeError):
                if input is not None:
                    self.stdin.write(input)
                self.stdin.close()
        for reader in readers:
            reader.join(None if deadline is None else max(deadline - time.monotonic(), 0.0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if deadline is None else max(deadline - time.monotonic(), 0.0))
        self._close()
        return found.get(1), found.get(2)

    def send_signal(self, number: int) -> None:
        """Send a signal; to a process that has ended, nothing."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill it, wait for its end and close its streams."""
        self.kill()
        self.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()


Process = Forked | subprocess.Popen[Any]


def _ask(request: dict[str, Any], descriptors: list[int]) -> tuple[socket.socket, int]:
    """The channel on which the end of a new process will be told, and its pid."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.connect(_address())
    data = json.dumps(request).encode()
    socket.send_fds(channel, [len(data).to_bytes(8, "little")], descriptors)
    channel.sendall(data)
    pid = int.from_bytes(channel.recv(8, socket.MSG_WAITALL), "little")
    return channel, pid


_known = {"address": ""}
"""Of a forked process: the socket of the fork server that it comes from."""


def _address() -> str:
    return _known["address"] or _launched(os.getpid())


def be_there() -> None:
    """Start the fork server, if there is none. Linux ends it with the thread that did: whose threads start processes
    calls this first, in a thread that stays."""
    _address()


def share(address: str) -> None:
    """Use the fork server at this socket, as processes forked from this one do."""
    _known["address"] = address


@cache
def _launched(_pid: int) -> str:
    """The socket of this process's own fork server."""
    return launch()()


def launch() -> Callable[[], str]:
    """Start a fork server, which ends when this process does; what is returned waits for it and tells its socket."""
    folder = tempfile.mkdtemp(prefix="mt-fork-")
    address = f"{folder}/socket"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "_ROOM": "x" * _ROOM[1]}
    ready, reported = os.pipe()
    server = subprocess.Popen(
        [sys.executable, "-c", "from tests.kit.fork_server import serve; serve()", address, str(reported),
         "x" * _ROOM[0]],
        stdin=PIPE, env=environment, cwd=ROOT, pass_fds=(reported,),
    )  # fmt: skip
    os.close(reported)

    def await_it() -> str:
        if os.read(ready, 1) != b"!":
            raise AssertionError(f"the fork server ended with code {server.wait()}")
        os.close(ready)
        return address

    def end() -> None:
        server.kill()
        server.wait()
        shutil.rmtree(folder)

    atexit.register(end)
    return await_it


# the side of the fork server


def serve() -> None:
    """Load the modules, then fork a keeper for each request until the worker ends."""
    address, reported = sys.argv[1], int(sys.argv[2])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the worker ends, and so does this
    sys.path.insert(0, str(ROOT))
    _load()
    _known["address"] = address
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(64)
    os.write(reported, b"!")
    os.close(reported)
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        channel, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _keep(channel)
        channel.close()


def _reap(*_: object) -> None:
    """Wait for keepers that have ended, so that what their processes took of the cores is known."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _load() -> None:
    import mytrading.cli.app
    import mytrading.cli.doctor.probes
    import mytrading.cli.main
    import mytrading.cli.shell.start
    import mytrading.cli.stack.viewer
    import mytrading.operations.journal_verify
    import mytrading.orchestrator  # noqa: F401
    from mytrading.daemons.feed import instruments
    from mytrading.runtime.supervision import control

    for name in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            importlib.import_module(found.name)
    fork_in(control, instruments)  # they start processes of the package
    ServerOptions.execve = _play_in_place
    _prepare()
    gc.collect()
    gc.freeze()


def _prepare() -> None:
    """Do what each process does at its start and what follows from the code and the shipped files alone."""
    from mytrading.cli.app import app

    parse_cache.remember(setattr)
    typer.main.get_command(app)
    for path in (ROOT / "config").rglob("*.toml"):
        with suppress(ValueError):
            tomllib.loads(path.read_text(encoding="utf-8"))
    waiting = [msgspec.Struct]
    while waiting:  # a type is looked through, its annotations included, for the first decoder that reads it
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        with suppress(TypeError, NameError):
            msgspec.msgpack.Decoder(kind)


def _play_in_place(_options: ServerOptions, program: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Become the program, as supervisor does in a fork of itself."""
    if not _is_ours(arguments):
        os.execve(program, arguments, environment)
    code = 70
    try:
        _dress(arguments, environment)
        code = _play(arguments)
    finally:
        os._exit(code)


def _keep(channel: socket.socket) -> None:
    """The keeper: parent of one process, tells its pid and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    head, descriptors, _, _ = socket.recv_fds(channel, 8, 3)
    request = json.loads(channel.recv(int.from_bytes(head, "little"), socket.MSG_WAITALL))
    if request["session"]:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)
    if not (pid := os.fork()):
        code = 70
        try:
            channel.close()
            _settle(request, descriptors)
            _dress(request["arguments"], request["environment"])
            code = _play(request["arguments"])
        finally:
            os._exit(code)
    for descriptor in (*descriptors, 0, 1, 2):
        os.close(descriptor)
    with suppress(OSError):
        channel.sendall(pid.to_bytes(8, "little"))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):
        channel.sendall(str(code).encode())
    os._exit(0)


def _settle(request: dict[str, Any], descriptors: list[int]) -> None:
    """Give a fork the session, niceness, descriptors and folder that were asked for."""
    os.nice(request["niceness"])
    if request["session"]:
        os.setsid()
    else:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, max(*descriptors, 64) + 1)
    os.chdir(request["folder"])
    if request["umask"] != -1:
        os.umask(request["umask"])


def _dress(arguments: list[str], environment: dict[str, str]) -> None:
    """Give a fork the environment, arguments, signals and streams of a process that was just started."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _show(arguments, [f"{name}={value}" for name, value in environment.items()])
    sys.argv, sys.orig_argv = arguments[1:], list(arguments)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.freeze()  # no object of before may close a descriptor that has become another's
    at_once = bool(environment.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _writing(1, line_buffering=os.isatty(1), write_through=at_once)
    sys.stderr = sys.__stderr__ = _writing(2, "backslashreplace", line_buffering=True, write_through=at_once)


def _writing(descriptor: int, errors: str = "strict", **buffering: bool) -> io.TextIOWrapper:
    stream = open(descriptor, "wb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(stream, encoding="utf-8", errors=errors, **buffering)


def _show(arguments: list[str], environment: list[str]) -> None:
    """Write arguments and environment where `/proc` reads them."""
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    begin, end, environment_begin, environment_end = (int(field) for field in fields[45:49])
    for words, first, last in ((arguments, begin, end), (environment, environment_begin, environment_end)):
        data = b"".join(os.fsencode(word) + b"\0" for word in words)[: last - first]
        ctypes.memmove(first, data.ljust(last - first, b"\0"), last - first)


def _play(arguments: list[str]) -> int:
    """Run the program of a command line as the interpreter does, with all that follows on its end."""
    try:
        code = _status(_main(arguments))
    except SystemExit as end:
        code = _status(end.code)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:  # noqa: BLE001  (as the interpreter does)
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 120
    if sys.__stdout__ is not None:  # a program may have put another in its place; Python is silent about this one
        with suppress(OSError, ValueError):
            sys.__stdout__.flush()
    return code & 0xFF


def _main(arguments: list[str]) -> object:
    if arguments[0] == COMMAND:
        sys.argv = list(arguments)
        from mytrading.cli.main import run as command

        command()
    elif arguments[1] == "-m":
        sys.argv = arguments[2:]
        sys.path[0] = str(Path.cwd())
        sys.modules.pop(f"{arguments[2]}.__main__", None)  # run as the program, not as the module that was loaded
        runpy.run_module(arguments[2], run_name="__main__", alter_sys=True)
    elif arguments[1] == "-c":
        sys.argv = ["-c", *arguments[3:]]
        sys.path[0] = ""
        exec(arguments[2], {"__name__": "__main__"})
    else:
        sys.path[0] = str(Path(arguments[1]).parent)
        runpy.run_path(arguments[1], run_name="__main__")
    return None


def _status(code: object) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1
