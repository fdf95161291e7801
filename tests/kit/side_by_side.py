"""A pytest plugin: tests are collected once, then run by several processes forked from the one that collected them.

`make` asks for it (`-p tests.kit.side_by_side`). Stacks, which wait more than they compute, run six at a time, those
that may take longest first; fast tests, many of which wait for a simulator, run five at a time, and two beside stacks
with less of the cores; what starves the machine on purpose comes when the stacks have ended. Rule: what shares a
stack never starts two of them, and a test of which nobody has reported has failed.
"""

from __future__ import annotations

import ast
import atexit
import ctypes
import os
import pickle
import signal
import sys
import time
import types
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from tests.kit import fork_server, parse_cache, shared_fixtures
from tests.kit.project import ROOT

FAST = ("tests/property/", "tests/contract/", "tests/unit/")
WAITING = "tests/contract/"
ALONE = "tests/system/lab/test_chaos.py"
_BY_FILE = (*FAST, ALONE, "tests/test_", "tests/independent/")
"""Their files share what they have read or made among all their tests."""
_DEFAULT_S = {"system": 200}
"""The longest time that a test of such a folder of `tests/` may take; elsewhere they are quick."""
_PR_SET_PDEATHSIG = 1

Chunk = list[pytest.Item]


class Lane(NamedTuple):
    """Pieces of work that so many processes share, and how nice these are to all others."""

    chunks: list[Chunk]
    workers: int
    niceness: int = 0


class Worker(NamedTuple):
    """A forked process and the end of the pipe on which it reports."""

    pid: int
    lane: Lane
    reports: Connection


# which tests a process runs


def lanes(items: list[pytest.Item]) -> tuple[Lane, Lane, Lane]:
    """Stacks, fast tests beside them, and what runs when the stacks have ended; each may be empty."""
    fast = [item for item in items if item.nodeid.startswith(FAST)]
    alone = [item for item in items if item.nodeid.startswith(ALONE)]
    stacks = [item for item in items if not item.nodeid.startswith((*FAST, ALONE))]
    return (
        Lane(chunks(sorted(stacks, key=_longest_first)), 6),
        Lane(mixed(chunks(fast)), 2, 10) if stacks or alone else Lane(mixed(chunks(fast)), 5),
        Lane(chunks(alone), 1),
    )


def chunks(items: list[pytest.Item]) -> list[Chunk]:
    """The pieces of work: tests that share a fixture of their file, or what it has read; every other test by itself."""
    found: dict[str, Chunk] = {}
    for item in items:
        path, _, name = item.nodeid.partition("::")
        together = path.startswith(_BY_FILE) or name.partition("[")[0] in sharing(item.path)
        found.setdefault(path if together else item.nodeid, []).append(item)
    return list(found.values())


def mixed(found: list[Chunk]) -> list[Chunk]:
    """The same pieces, those that wait for simulators spread among those that compute, four to one."""
    waiting = [chunk for chunk in found if chunk[0].nodeid.startswith(WAITING)]
    computing = [chunk for chunk in found if not chunk[0].nodeid.startswith(WAITING)]
    for number, chunk in enumerate(waiting):
        computing.insert(5 * number, chunk)
    return computing


@cache
def sharing(path: Path) -> set[str]:
    """The tests of a file that use a fixture which lives longer than one test."""
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    uses = {node.name: {argument.arg for argument in node.args.args} for node in functions}
    shared = {node.name for node in functions if any(_is_shared(mark) for mark in node.decorator_list)}
    if shared:  # a fixture that asks for others by name may ask for any
        shared |= {node.name for node in functions if "getfixturevalue" in ast.unparse(node)}
    while more := {name for name, used in uses.items() if used & shared} - shared:
        shared |= more
    return shared


def _is_shared(decorator: ast.expr) -> bool:
    text = ast.unparse(decorator)
    return "fixture" in text and ("scope='module'" in text or "scope='session'" in text)


def _longest_first(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    layer = item.nodeid.split("/")[1]
    return -float(marker.args[0] if marker is not None else _DEFAULT_S.get(layer, 0))


# the process that collects and reports

_ready: pytest.StashKey[Any] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Start the fork server that all processes share; it loads the package while tests are collected."""
    if config.rootpath == ROOT and not config.option.collectonly:
        config.stash[_ready] = fork_server.launch()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """In place of the loop that runs one test after the other."""
    if session.testsfailed or session.config.option.collectonly:
        return None  # it says what could not be collected
    if (ready := session.config.stash.get(_ready, None)) is not None:
        fork_server.share(ready())
        _build_commands()
    _Run(session).to_the_end()
    return True


def _build_commands() -> None:
    """Here, so that no worker does."""
    from mytrading.cli.app import app

    parse_cache.remember(setattr)
    typer.main.get_command(app)


class _Run:
    """The tests of a session, from their collection to the last report."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._workers: dict[int, Worker] = {}
        self._started = 0
        self._missing = {item.nodeid: item for item in session.items}
        self._failed: list[str] = []

    def to_the_end(self) -> None:
        """Start the processes and pass on what they report."""
        stacks, fast, alone = lanes(self._session.items)
        try:
            self._begin(stacks)
            self._begin(fast)
            while self._are_left(stacks):
                self._listen()
            self._begin(alone)
            while self._workers:
                self._listen()
        finally:
            self._end()
        for item in self._missing.values():
            self._lament(item)
        if self._failed:
            raise self._session.Failed("; ".join(self._failed))

    def _are_left(self, lane: Lane) -> bool:
        return any(worker.lane is lane for worker in self._workers.values())

    def _begin(self, lane: Lane) -> None:
        """Fork the processes of a lane."""
        queue, writing = os.pipe()
        for number in range(len(lane.chunks)):
            os.write(writing, number.to_bytes(4, "little"))
        os.close(writing)
        for _ in range(min(lane.workers, len(lane.chunks))):
            self._started += 1
            ours, theirs = Pipe(duplex=False)
            if not (pid := os.fork()):
                _work(self._session, lane, queue, theirs, self._started)
            theirs.close()
            self._workers[os.pidfd_open(pid)] = Worker(pid, lane, ours)
        os.close(queue)

    def _listen(self) -> None:
        """Wait for news of any process, and pass them on."""
        ready = wait([*(worker.reports for worker in self._workers.values()), *self._workers])
        for end, worker in list(self._workers.items()):
            if worker.reports in ready:
                try:
                    for hook, arguments in worker.reports.recv():
                        self._pass_on(hook, arguments)
                except EOFError:
                    self._forget(end)
            elif end in ready:
                self._forget(end)

    def _pass_on(self, hook: str, arguments: dict[str, Any]) -> None:
        config = self._session.config
        if hook == "pytest_runtest_logreport":
            report = config.hook.pytest_report_from_serializable(config=config, data=arguments)
            if report.when == "teardown":
                self._missing.pop(report.nodeid, None)
            arguments = {"report": report}
        if hook == "pytest_warning_recorded":  # what is registered later hears of it too
            config.hook.pytest_warning_recorded.call_historic(kwargs=arguments)
        else:
            getattr(config.hook, hook)(**arguments)
        if hook == "pytest_runtest_logreport" and report.failed:  # a run that is cut off has named what failed
            terminal = config.pluginmanager.get_plugin("terminalreporter")
            terminal.line("")
            terminal.line(f"failed at {report.when}: {report.nodeid}", red=True)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)

    def _forget(self, end: int) -> None:
        worker = self._workers.pop(end)
        if code := os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1]):
            self._failed.append(f"process {worker.pid}, which ran tests, ended with code {code}")
        os.close(end)
        worker.reports.close()

    def _end(self) -> None:
        """Have processes that still run take down what they started; none is left in two minutes."""
        for worker in self._workers.values():
            worker.reports.close()  # whoever waits to report ends too
            os.kill(worker.pid, signal.SIGINT)
        deadline = time.monotonic() + 120
        for end, worker in list(self._workers.items()):
            if not wait([end], max(deadline - time.monotonic(), 0)):
                os.kill(worker.pid, signal.SIGKILL)
            self._forget(end)

    def _lament(self, item: pytest.Item) -> None:
        said = "not reported: the process that was to run it ended before"
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", said, "call")
        item.config.hook.pytest_runtest_logreport(report=report)


# a process that runs tests


def _work(session: pytest.Session, lane: Lane, queue: int, reports: Connection, number: int) -> None:
    """Run pieces of work until none is left, and end."""
    code = 70
    try:
        _settle(session.config, lane.niceness, number)
        reporter = _Reporter(session.config, reports)
        session.config.pluginmanager.register(reporter)
        reporter.begun = True
        try:
            while taken := os.read(queue, 4):
                _run(session, lane.chunks[int.from_bytes(taken, "little")])
        finally:
            session._setupstate.teardown_exact(None)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001  (the end of the process, with what is known of it)
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        os._exit(code)


def _run(session: pytest.Session, chunk: Chunk) -> None:
    """Run tests; what they share of their file is undone after the last, what lives longer stays."""
    whole: Any = types.SimpleNamespace(listchain=lambda: [session])
    for item, following in zip(chunk, [*chunk[1:], whole], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _settle(config: Any, niceness: int, number: int) -> None:
    """Give a fork what must not be that of its parent."""
    atexit._clear()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()  # the parent passes the keyboard's interrupt on, once
    os.nice(niceness)
    with suppress(OSError):  # where the kernel shares the cores out by sessions
        Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
    sys.modules["__main__"] = types.ModuleType("__main__")  # what multiprocessing would load in each of its processes
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    config.pluginmanager.get_plugin("terminalreporter")._tw._file = nowhere
    capture = config.pluginmanager.get_plugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    folders = config._tmp_path_factory
    shared_fixtures.share(folders.getbasetemp())
    folders._basetemp = folders.getbasetemp() / f"w{number}"
    folders._basetemp.mkdir()


class _Reporter:
    """Sends on what the terminal of the run shows, once a test; not which test begins, as several do at a time."""

    def __init__(self, config: pytest.Config, pipe: Connection) -> None:
        self._config = config
        self._pipe = pipe
        self._said: list[tuple[str, Any]] = []
        self.begun = False  # before, it hears of the warnings so far

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._said.append(("pytest_runtest_logreport", data))

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        self._said.append(("pytest_runtest_logfinish", {"nodeid": nodeid, "location": location}))
        self._pipe.send(self._said)
        self._said = []

    def pytest_warning_recorded(self, warning_message: Any, when: str, nodeid: str, location: Any) -> None:
        if not self.begun:
            return
        given = {"warning_message": warning_message, "when": when, "nodeid": nodeid, "location": location}
        with suppress(pickle.PicklingError, TypeError, AttributeError):  # of a class that only its test knows
            self._pipe.send([("pytest_warning_recorded", given)])
