"""How a command line is begun: the command, the module, and `main.py`, which only starts the stack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mytrading
from mytrading.cli.main import run
from mytrading.cli.misplaced import misplaced
from mytrading.messages.runconfig import RUN_FILE, write_run_config
from tests.support import ROOT
from tests.unit.cli.stacks import run_config


def ended(tmp_path: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """What a fresh Python says in a folder that is no project: nothing it refuses may need one."""
    environment = {name: value for name, value in os.environ.items() if name != "MYTRADING_HOME"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )


def test_module_is_the_command(tmp_path: Path) -> None:
    done = ended(tmp_path, "-m", "mytrading", "--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"mytrading {mytrading.__version__}")


def test_main_file_with_a_command_ends_with_2_and_says_what_to_type(tmp_path: Path) -> None:
    done = ended(tmp_path, str(ROOT / "main.py"), "optimize", "SMA_Crossover", "--param", "fast_period=5:50:5")
    assert done.returncode == 2
    assert "type `mytrading optimize SMA_Crossover --param fast_period=5:50:5`" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["up", "backtest", "My Strategy"], "type `mytrading backtest 'My Strategy'`"),
        (["up", "config", "show"], "type `mytrading config show`"),
        (["up", "--dry-run", "--log-level", "DEBUG", "optimize", "-p", "a=1"], "type `mytrading optimize -p a=1`"),
        (["up", "optimise"], "found 'optimise'; see `mytrading up --help`"),
    ],
)
def test_up_with_a_word_is_refused(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        run(line)
    assert ending.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        ["up"],
        ["up", "--simulator", "--for", "5"],
        ["up", "--profile", "history", "--fresh"],
        ["up", "--speed=5", "--simulator"],
        ["up", "--help", "optimize"],
        ["optimize", "SMA_Crossover"],
        [],
    ],
)
def test_line_that_up_or_another_command_takes_is_not_refused(line: list[str]) -> None:
    assert misplaced(line) == ""


def test_what_a_command_makes_is_not_writable_by_others_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a loose one anybody could take the state folder away and put another in its place."""
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    before = os.umask(0)
    try:
        with pytest.raises(SystemExit):
            run(["kill", "halt", "--profile", "paper", "--json"])
        with pytest.raises(SystemExit):
            run(["version"])
        (tmp_path / "made").mkdir()
    finally:
        os.umask(before)
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o022] == []


def test_what_the_machine_refuses_is_said_without_a_traceback(tmp_path: Path) -> None:
    """A full disk behind `>`, and a folder of logs that is a file."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mytrading", "indicators"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "mytrading: cannot write what is to be said: No space left on device\n",
    )
    config = run_config(tmp_path)
    (tmp_path / "logs").touch()
    write_run_config(config.state / RUN_FILE, config)
    environment = {**os.environ, "MYTRADING_HOME": str(ROOT), "MYTRADING_STATE_DIR": str(config.state.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "mytrading", "logs", "--profile", config.state.name],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, f"mytrading: {tmp_path}/logs/main.log: Not a directory\n")
