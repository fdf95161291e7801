"""Entry points of the command line: the command, the module, and `main.py`, which only starts the stack."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperGroup
from typer.main import get_command

import mytrading
from mytrading.cli.app import app, app_of
from mytrading.cli.main import misplaced_argument, run
from mytrading.messages.run_config import RUN_FILE, write_run_config
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config


def ended(tmp_path: Path, *line: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh Python in a folder that is no project: no refusal may need one."""
    environment = {name: value for name, value in os.environ.items() if name != "MYTRADING_HOME"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )


def test_module_is_the_command(tmp_path: Path) -> None:
    done = ended(tmp_path, "-m", "mytrading", "--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"mytrading {mytrading.__version__}")


def test_command_asked_for_alone_is_the_one_of_the_whole_program() -> None:
    whole = get_command(app)
    assert isinstance(whole, TyperGroup)
    for word, command in whole.commands.items():
        alone = get_command(app_of(word))
        assert isinstance(alone, TyperGroup), word
        said = [one.get_help(Context(one, info_name=word)) for one in (alone.commands[word], command)]
        assert said[0] == said[1]
    assert app_of("statu") is app


@pytest.mark.slow
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
    assert misplaced_argument(line) == ""


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


NOTHING_WRITTEN = (
    "mytrading: No space left on device: free some MB where state, logs and this output go, and try again\n"
)


def test_full_disk_behind_the_output_ends_the_process_with_1_and_a_line() -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # so that it is met when all has been said
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mytrading", "version"], cwd=ROOT, env=environment,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, NOTHING_WRITTEN)


@pytest.mark.parametrize(
    ("line", "at_once"),
    [("version", True), ("version", False), ("indicators", True), ("simulator --help", False), ("calendar", False)],
)
def test_full_disk_behind_the_output_is_said_whoever_prints(
    line: str, at_once: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    with Path("/dev/full").open("wb", buffering=0) as raw:
        full = io.TextIOWrapper(io.BufferedWriter(raw), write_through=at_once)
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ending:
            run(line.split())
        full.flush()  # as Python does at its end
    assert (ending.value.code, capsys.readouterr().err) == (1, NOTHING_WRITTEN)


def test_file_that_the_machine_refuses_is_named_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of logs that is a file."""
    config = run_config(tmp_path)
    (tmp_path / "logs").touch()
    write_run_config(config.state / RUN_FILE, config)
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(config.state.parent))
    with pytest.raises(SystemExit) as ending:
        run(["logs", "--profile", config.state.name])
    said = f"mytrading: {tmp_path}/logs/main.log: Not a directory\n"
    assert (ending.value.code, capsys.readouterr().err) == (1, said)
