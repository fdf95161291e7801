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
from tests.support import ROOT


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
