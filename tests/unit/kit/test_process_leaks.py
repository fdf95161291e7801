"""The plugin that fails a run whose tests leave processes behind, tried on a run that does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.kit.project import ROOT

LEAVES = """
import subprocess, sys

def test_that_leaves_a_process_behind():
    program = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); sys.stdin.read(); signal.pause()"
    subprocess.Popen([sys.executable, "-c", program, "mytrading.daemons.pretended"], start_new_session=True)
"""
IS_ENDED = (
    LEAVES
    + """
    import os, signal
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
"""
)


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    test = folder / "test_inner.py"
    test.write_text(program)
    options = (
        "-q",
        "-p",
        "tests.kit.process_leaks",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(test)],
        env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.slow
def test_run_that_leaves_a_process_behind_fails_names_it_and_ends_it(tmp_path: Path) -> None:
    done = run(tmp_path, LEAVES)
    assert (done.returncode, "1 passed" in done.stdout) == (1, True), done.stdout + done.stderr
    (pid,) = re.findall(r"left running by the tests: pid (\d+): .*mytrading\.daemons\.pretended", done.stdout)
    assert not psutil.pid_exists(int(pid))


@pytest.mark.slow
def test_run_that_is_ended_by_sigterm_leaves_no_process_behind(tmp_path: Path) -> None:
    """One that a time limit had ended left stacks trading on, which slowed down all that came after it."""
    done = run(tmp_path, IS_ENDED)
    (pid,) = re.findall(r"left running by the tests: pid (\d+): .*mytrading\.daemons\.pretended", done.stdout)
    assert not psutil.pid_exists(int(pid))
