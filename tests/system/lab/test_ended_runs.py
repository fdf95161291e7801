"""A benchmark or a run of chaos that is ended leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mytrading.messages.run_config import decode_run_config
from mytrading.runtime.supervision.instance_lock import holder
from tests.kit.project import ROOT
from tests.kit.stack import COMMAND
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="be", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


def holders(lock_dir: Path) -> set[int]:
    """The processes that hold locks there."""
    return {int(found) for path in lock_dir.glob("*.lock") if (found := holder(path))}


@pytest.mark.parametrize(
    ("arguments", "run_files"),
    [
        (("bench", "start"), "mtb*/state/paper/run.msgpack"),
        (("chaos", "--minutes", "2", "--seed", "3"), "mtc-*/state/chaos/run.msgpack"),
    ],
    ids=["bench", "chaos"],
)
def test_command_ended_while_its_stack_runs_takes_the_stack_down(
    folder: Path, arguments: tuple[str, ...], run_files: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MYTRADING_", "OPENALGO_"))}
    environment |= {"MYTRADING_HOME": str(ROOT), "TMPDIR": str(folder)}
    command = subprocess.Popen(
        [COMMAND, *arguments], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    (run_file,) = eventually(lambda: list(folder.glob(run_files)), 30)
    lock_dir = decode_run_config(run_file).lock_dir
    running = eventually(lambda: found if len(found := holders(lock_dir)) > 1 else None, 30)
    try:
        command.send_signal(signal.SIGTERM)
        said = command.communicate(timeout=240)[1].decode()
        assert command.returncode == 128 + signal.SIGTERM, said
        with suppress(AssertionError):
            eventually(lambda: not _alive(running), 20)
        assert _alive(running) == {}, said + (run_file.parent / "supervisord.log").read_text()
        assert not holders(lock_dir) and not _processes_in(folder), said
    finally:
        for pid in {*holders(lock_dir), *_processes_in(folder)}:
            os.kill(pid, signal.SIGKILL)


def _alive(pids: set[int]) -> dict[int, str]:
    """The command lines of those processes that have not ended; one that nobody has waited for yet has none."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return {pid: line for pid, line in found.items() if line}


def _processes_in(folder: Path) -> list[int]:
    """Processes that were started with anything below a folder: the simulator and supervisor of a run among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


_HELD = """
import signal, sys, time
from lab.unwind_on_signal import unwound_by_signals
with unwound_by_signals():
    try:
        print("begun", flush=True)
        while True:
            time.sleep(1)
    finally:
        print("stopping", flush=True)
        sys.stdin.readline()
        print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_does_not_stop_the_stopping(number: signal.Signals) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _HELD], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.stdin.write("go on\n")
        process.stdin.close()
        assert process.stdout.read() == "stopped\n"
        assert process.wait(30) == 128 + number
