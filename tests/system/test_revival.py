"""Revival of what was ended: supervisor killed or frozen, an engine that ends as if asked, and forks of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mytrading.runtime.supervision.control import PROGRAMS
from mytrading.runtime.supervision.instance_lock import holder
from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, RICH, WIDE, make_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

CODE = (
    HEAD
    + '''
import ctypes
import multiprocessing
import os
import subprocess
import time
from pathlib import Path

FOLDER = Path(os.environ["MYTRADING_HOME"])


def note(line: str) -> None:
    with (FOLDER / "noted").open("a") as file:
        file.write(line + "\\n")


class Forks(BaseStrategy):
    """Makes copies of its process at its first bar, and starts a program."""

    made = False

    def on_data(self, data: Bar) -> Signal | None:
        if self.made:
            return None
        self.made = True
        child = os.fork()
        if child:
            note(f"fork {os.waitpid(child, 0)[1] >> 8}")
        started = multiprocessing.get_context("fork").Process(target=note, args=("ran in a copy",))
        started.start()
        started.join()
        note(f"multiprocessing {started.exitcode}")
        note(f"program {subprocess.run(['true'], preexec_fn=lambda: None).returncode}")
        return None


class Splits(BaseStrategy):
    """Forks once in a way that Python does not see; the copy stays in its handler."""

    def on_data(self, data: Bar) -> Signal | None:
        if (FOLDER / "split").exists():
            (FOLDER / "split").unlink()
            child = ctypes.CDLL(None).fork()
            if not child:
                time.sleep(3600)
            note(f"split {child}")
        return None


class Leaves(BaseStrategy):
    """Ends the engine with code 0, once."""

    def on_data(self, data: Bar) -> Signal | None:
        if (FOLDER / "leave").exists():
            (FOLDER / "leave").unlink()
            os._exit(0)
        return None
'''
)
SETTINGS = 'name = "{name}"\nsymbols = ["SBIN"]\ntimeframes = ["1m"]\n'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("revival")
    settings = {name: SETTINGS.format(name=name) for name in ("Forks", "Leaves", "Splits")}
    command = f"sh -c 'echo $ALERT_CODE $ALERT_SUBJECT $ALERT_STATE >> {folder / 'reported'}'"
    home = make_project(folder / "home", CODE, settings, WIDE, ALERT_COMMAND=command, **RICH)
    with Stack(folder, **home) as running:
        running.up("--simulator", "--speed", "30")
        yield running


def noted(stack: Stack) -> list[str]:
    path = Path(stack.environment["MYTRADING_HOME"]) / "noted"
    return path.read_text().splitlines() if path.exists() else []


def reported(stack: Stack) -> str:
    path = stack.base.parent / "reported"
    return path.read_text() if path.exists() else ""


def engines(stack: Stack) -> list[int]:
    """All processes that run the code of this stack's engine."""
    found: list[Any] = [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if "mytrading.daemons.engine" in (process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("MYTRADING_RUN", "").startswith(str(stack.base))
    ]
    return found


def test_fork_of_a_strategy_ends_at_once_and_a_program_that_it_starts_runs(stack: Stack) -> None:
    """Each copy ran the whole engine: it wrote to its journal, and held its lock when the stack was stopped."""
    lines = eventually(lambda: len(found := noted(stack)) >= 3 and found, 60)
    assert lines == ["fork 70", "multiprocessing 70", "program 0"]
    assert engines(stack) == [stack.pid("engine")]


def test_engine_that_ends_with_code_0_is_started_again_and_alerted(stack: Stack) -> None:
    """A strategy that called `os._exit(0)` stopped all strategies for good, and there was no alert."""
    before = stack.pid("engine")
    (Path(stack.environment["MYTRADING_HOME"]) / "leave").touch()
    eventually(lambda: stack.pid("engine") not in (0, before), 30)
    assert eventually(lambda: "DAEMON_RESTARTED engine raised" in reported(stack), 30)


def test_engine_starts_again_beside_a_fork_made_past_python_and_ends_it(stack: Stack) -> None:
    """The fork held the lock of the engine that was killed, and its connections: no engine could start."""
    (Path(stack.environment["MYTRADING_HOME"]) / "split").touch()
    line = eventually(lambda: next((line for line in noted(stack) if line.startswith("split ")), ""), 60)
    fork, before = int(line.split()[1]), stack.pid("engine")
    assert psutil.Process(fork).ppid() == before
    os.kill(before, signal.SIGKILL)
    eventually(lambda: stack.pid("engine") not in (0, before, fork) and stack.is_ready(), 40)
    assert eventually(lambda: not psutil.pid_exists(fork) or psutil.Process(fork).status() == psutil.STATUS_ZOMBIE)
    assert engines(stack) == [stack.pid("engine")]


def test_supervisor_and_watchdog_killed_together_are_started_again_and_alerted(stack: Stack) -> None:
    """Every daemon ended, and nothing started or said anything."""
    old = {name: pid for name in (*PROGRAMS, "supervisord") if (pid := stack.pid(name))}
    for name in ("watchdog", "supervisord"):
        os.kill(old[name], signal.SIGKILL)
    locks = stack.config.lock_dir
    eventually(lambda: all(holder(locks / f"{name}.lock") not in (None, str(pid)) for name, pid in old.items()), 30)
    eventually(stack.is_ready, 40)
    assert eventually(lambda: "SUPERVISOR_LOST supervisor raised" in reported(stack), 10)


def test_frozen_supervisor_is_ended_and_a_new_one_starts_what_died_meanwhile(stack: Stack) -> None:
    """An engine that was killed while supervisor was stopped stayed away for good."""
    eventually(stack.is_ready, 40)
    old = {name: stack.pid(name) for name in ("engine", "supervisord")}
    os.kill(old["supervisord"], signal.SIGSTOP)
    os.kill(old["engine"], signal.SIGKILL)
    eventually(lambda: stack.pid("supervisord") not in (0, old["supervisord"]), 20)
    eventually(lambda: stack.pid("engine") not in (0, old["engine"]) and stack.is_ready(), 40)
    assert "supervisor.hung" in "".join(path.read_text() for path in Path(stack.config.log_dir).glob("*.log"))


@pytest.mark.long
def test_gateway_that_is_left_without_anyone_to_start_supervisor_calls_the_operator(stack: Stack) -> None:
    before = reported(stack).count("SUPERVISOR_LOST supervisor raised")
    eventually(lambda: reported(stack).count("SUPERVISOR_LOST supervisor cleared") == before, 100)
    pids = [stack.pid(name) for name in ("watchdog", "feed", "router", "reconciler", "supervisord")]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    assert eventually(lambda: reported(stack).count("SUPERVISOR_LOST supervisor raised") > before, 20)
    assert eventually(lambda: not stack.pid("gateway"), 20) is True
