"""`mytrading new-strategy`: what it writes works, and nothing is overwritten."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.shell.failures import ERROR, USAGE, Failure
from tests.kit.project import ROOT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "supervisord.conf").touch()
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_written_strategy_passes_its_test_and_is_linted(home: Path) -> None:
    found = CliRunner().invoke(app, ["new-strategy", "Opening_Range", "--json"])
    assert found.exit_code == 0, found.output
    files = json.loads(found.stdout)["files"]
    assert files == [
        "strategies/opening_range.py", "config/strategies/opening_range.toml", "tests/strategies/test_opening_range.py"
    ]  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(home / files[2])]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 passed" in ran.stdout, ran.stdout
    lint = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(home / files[0])]
    assert subprocess.run(lint, capture_output=True, check=False).returncode == 0


def test_second_time_is_refused_and_nothing_changes(home: Path) -> None:
    runner = CliRunner()
    runner.invoke(app, ["new-strategy", "Opening_Range"])
    written = (home / "strategies" / "opening_range.py").read_text()
    for name in ("Opening_Range", "openingrange"):
        again = runner.invoke(app, ["new-strategy", name])
        assert isinstance(again.exception, Failure)
        assert again.exception.code == ERROR
        assert "holds a strategy Opening_Range already" in str(again.exception)
    assert (home / "strategies" / "opening_range.py").read_text() == written


@pytest.mark.parametrize("name", ["9lives", "with space", "../up", ""])
def test_unusable_name_is_refused(home: Path, name: str) -> None:
    found = CliRunner().invoke(app, ["new-strategy", name])
    assert isinstance(found.exception, Failure)
    assert found.exception.code == USAGE
    assert not (home / "strategies").exists()
