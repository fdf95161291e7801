"""Files of another user in the way: no program is started, or those that were are stopped again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mytrading.cli.shell.start import write_market_clock
from mytrading.messages.run_config import RunConfig
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.supervision import control
from tests.kit.project import ROOT, copy_project
from tests.kit.stack import COMMAND, PROCESSES, Stack
from tests.kit.waiting import PATIENCE, eventually

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.getuid() != 0 or shutil.which("setpriv") is None, reason="files of another user are made by root alone"
    ),
]

NOBODY = 65_534
ORDINARY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Root without the right to pass over modes: to it a file of another user is what it is to any user."""


def ordinary(folder: Path, **environment: str) -> Stack:
    """The stack of a user who may write what is his own and nothing else."""
    stack = Stack(folder, **environment)
    stack.command = [*ORDINARY, COMMAND]
    return stack


def give_away(path: Path, mode: int) -> None:
    """Make a file or folder that of another user."""
    os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("name", "setting"), [("a/logs/paper", "MYTRADING_LOG_DIR"), ("a/state", "MYTRADING_STATE_DIR")]
)
def test_folder_of_another_user_is_refused_before_anything_starts(tmp_path: Path, name: str, setting: str) -> None:
    project = copy_project(tmp_path / "a")
    (tmp_path / name).mkdir(parents=True)
    give_away(tmp_path / name, 0o750)
    stack = ordinary(tmp_path / "a", MYTRADING_HOME=str(project))
    if setting == "MYTRADING_LOG_DIR":
        stack.environment |= {"MYTRADING_STATE_DIR": "", "MYTRADING_LOG_DIR": "logs"}
        stack.environment["XDG_STATE_HOME"] = str(tmp_path / "xdg")
    done = stack.run("up", "--simulator", "--for", "5")
    assert done.returncode == 1, done.stdout
    assert f"{tmp_path / name} belongs to " in done.stderr and f"set {setting} to a folder of your own" in done.stderr
    assert "supervisor pid" not in done.stdout
    assert not (tmp_path / "xdg").exists() and not any((tmp_path / "a" / "logs").glob("*/*.out"))


def test_logs_folder_of_the_project_that_cannot_be_read_costs_no_start(tmp_path: Path) -> None:
    """The link to supervisor's socket lies there: another user's folder is no reason to fail behind a running stack."""
    project = copy_project(tmp_path / "a")
    (project / "logs").mkdir()
    give_away(project / "logs", 0o700)
    with ordinary(tmp_path / "b", MYTRADING_HOME=str(project)) as stack:
        done = stack.run("up", "--simulator", "--for", "3")
        assert done.returncode == 0, done.stderr
        assert stack.pid("supervisord") == 0


def test_start_that_fails_behind_its_launch_ends_what_it_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--simulator")
        assert stack.down().returncode == 0
        found = TradingOrchestrator(stack.config)

        def broken(_: RunConfig) -> None:
            raise PermissionError("the socket's link")

        monkeypatch.setattr(control, "_link_socket", broken)
        with pytest.raises(PermissionError):
            found.start(write_market_clock)
        eventually(lambda: not any(stack.pid(name) for name in PROCESSES), 20)


def test_home_that_cannot_be_written_names_the_setting_of_another_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    stack = ordinary(tmp_path, HOME=str(home), XDG_STATE_HOME="", MYTRADING_STATE_DIR="")
    done = stack.run("up", "--simulator", "--for", "5")
    assert done.returncode == 1
    assert (
        "doctor: permissions: cannot write to" in done.stderr and "set MYTRADING_STATE_DIR to a folder" in done.stderr
    )


def test_up_for_seconds_whose_view_fails_stops_the_stack(tmp_path: Path) -> None:
    """Guards against an error that leaves eight processes trading unasked."""
    with ordinary(tmp_path) as stack:
        process = subprocess.Popen(
            [*stack.command, "up", "--simulator", "--for", "120"],
            env=stack.environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        assert any("ready after" in process.stdout.readline() for _ in range(5))
        log = eventually(lambda: next(iter((tmp_path / "logs").glob("*/main.log")), None), 20)
        give_away(log, 0o600)
        assert process.wait(60 * PATIENCE) == 1
        said = process.stderr.read()
        assert "this view failed: stopping the stack" in said and f"{log}: Permission denied" in said
        assert stack.pid("supervisord") == 0
