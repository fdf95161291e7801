"""`mytrading strategies save`: parameters changed by a program, tried as a start would, the rest of the file kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.shell.failures import Failure
from mytrading.cli.stack.strategy_parameters import merge_parameters
from tests.kit.project import copy_project

FILE = "config/strategies/sma_crossover.toml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy_project(tmp_path)
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def save(values: Any, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["strategies", "save", "sma_crossover", *words, "--json"], input=json.dumps(values))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def test_parameter_is_changed_in_its_line_alone_and_taken_back_by_version(home: Path) -> None:
    before = (home / FILE).read_text(encoding="utf-8")
    made = save({"fast_period": 15}, "--check")
    assert not made["saved"] and (home / FILE).read_text(encoding="utf-8") == before
    saved = save({"fast_period": 15}, "--expected", made["digest"])
    assert saved["saved"] and (home / FILE).read_text(encoding="utf-8") == before.replace(
        "fast_period = 20", "fast_period = 15"
    )
    with pytest.raises(Failure, match="MOVED"):
        save({"fast_period": 16}, "--expected", made["digest"])
    (version,) = saved["versions"]
    assert save({}, "--version", version)["saved"] and (home / FILE).read_text(encoding="utf-8") == before


def test_comment_above_the_next_table_stays_with_it_when_a_parameter_is_added() -> None:
    text = 'name = "SMA_Crossover"\n\n[parameters]\nfast_period = 20\n\n# the stop of each trade\n[stop]\npercent = 1\n'
    made = merge_parameters(text, "SMA_Crossover", {"slow_period": 50})
    assert made == text.replace("fast_period = 20\n", "fast_period = 20\nslow_period = 50\n")


def test_value_that_the_strategy_would_not_start_with_is_named_and_not_written(home: Path) -> None:
    before = (home / FILE).read_text(encoding="utf-8")
    (row,) = save({"fast_period": "soon"})["problems"]
    assert row["field"] == "parameters.fast_period" and "a whole number" in row["text"]
    (row,) = save({"no_such": 1})["problems"]
    assert "no_such" in row["text"]
    refused = save({"fast_period": 0})
    assert refused["problems"] and not refused["saved"]
    with pytest.raises(Failure, match="expected a number, a text, true or false"):
        save({"fast_period": [1]})
    with pytest.raises(Failure, match="expected a JSON object of parameters"):
        save(3)
    assert (home / FILE).read_text(encoding="utf-8") == before


def test_table_of_parameters_is_made_where_there_is_none_and_null_takes_one_out() -> None:
    assert merge_parameters("# kept\nlots = 1\n", "S", {"a": 1.5}) == "# kept\nlots = 1\n\n[parameters]\na = 1.5\n"
    assert merge_parameters("[parameters]\na = 1\nb = 2 # kept\n", "S", {"a": None}) == "[parameters]\nb = 2 # kept\n"
    assert merge_parameters("", "S", {"a": True}) == 'name = "S"\n\n[parameters]\na = true\n'
    with pytest.raises(ValueError, match="no TOML"):
        merge_parameters("[", "S", {"a": 1})
