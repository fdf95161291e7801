"""`mytrading strategies` beside a stack that runs: which strategy is meant, and what keeps one from being removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.shell.failures import ERROR, Failure
from mytrading.cli.stack import strategies
from mytrading.messages.control import StrategySwitch
from mytrading.messages.ops import (
    OpsRequest,
    PositionsQuery,
    StrategiesQuery,
    StrategyQuery,
    SwitchCommand,
    SwitchSet,
)
from tests.kit.project import copy_project

NAME = "SMA_Crossover"


@dataclass
class Running:
    """A stack that runs one strategy; `held` are its units, `on_switch` is what happens with its switch."""

    home: Path
    held: int = 0
    on_switch: Callable[[Running], None] = lambda _running: None
    switched: list[SwitchCommand] = field(default_factory=list)

    @property
    def config(self) -> Any:
        return SimpleNamespace(home=str(self.home), strategies=[SimpleNamespace(name=NAME)])

    def is_running(self) -> bool:
        return True

    def ask(self, request: OpsRequest) -> Any:
        if isinstance(request, StrategiesQuery):
            return [{"name": NAME}]
        if isinstance(request, PositionsQuery):
            return []
        if isinstance(request, StrategyQuery):
            assert request.strategy == NAME
            row = {"quantity": self.held, "quantity_seen": self.held, "instrument": "NSE:SBIN", "account": "paper"}
            return {"positions": [row], "live": []}
        assert isinstance(request, SwitchCommand)
        self.switched.append(request)
        self.on_switch(self)
        return SwitchSet(switch=StrategySwitch(strategy=NAME, enabled=request.enabled, generation=1, at_ns=1))


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    copy_project(tmp_path)
    found = Running(tmp_path)

    @contextmanager
    def stack(_profile: str = "") -> Iterator[Running]:
        yield found

    monkeypatch.setattr(strategies, "find_stack", stack)
    monkeypatch.setattr(strategies, "_SETTLES_S", 0.0)
    return found


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["strategies", *words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.mark.parametrize("word", [NAME, "sma_crossover", "sma-crossover"])
def test_remove_of_a_strategy_that_holds_is_refused_however_its_name_is_written(running: Running, word: str) -> None:
    running.held = 65
    with pytest.raises(Failure, match=r"SMA_Crossover holds \+65 NSE:SBIN in paper") as caught:
        run("remove", word)
    assert caught.value.code == ERROR
    assert running.switched == []
    assert (running.home / "strategies" / "sma_crossover.py").exists()


def test_remove_by_another_spelling_switches_the_strategy_off(running: Running) -> None:
    assert "SMA_Crossover enters nothing more" in run("remove", "sma_crossover")
    (request,) = running.switched
    assert (request.strategy, request.enabled, request.reason) == (NAME, False, "removed")


def test_remove_works_beside_a_settings_file_that_cannot_be_parsed(running: Running) -> None:
    (running.home / "config" / "strategies" / "broken.toml").write_text("name = [")
    assert "SMA_Crossover enters nothing more" in run("remove", NAME)


def test_remove_is_refused_when_an_entry_came_just_before_the_switch(running: Running) -> None:
    def enters(found: Running) -> None:
        found.held = 65

    running.on_switch = enters
    with pytest.raises(Failure, match=r"has just entered .*its entries are off now"):
        run("remove", NAME)
    assert (running.home / "strategies" / "sma_crossover.py").exists()


def test_second_remove_says_where_the_files_are(running: Running) -> None:
    run("remove", NAME)
    with pytest.raises(Failure, match=r"was removed already: config/strategies/removed/sma_crossover\.toml"):
        run("remove", NAME)


def test_enable_of_a_removed_strategy_is_refused_until_its_files_are_back(running: Running) -> None:
    run("remove", NAME)
    with pytest.raises(Failure, match=r"was removed: move .*strategies/removed/sma_crossover\.py back"):
        run("enable", "sma_crossover")
    assert [request.enabled for request in running.switched] == [False]
    for folder in (running.home / "config" / "strategies", running.home / "strategies"):
        for file in list((folder / "removed").iterdir()):
            file.rename(folder / file.name)
    assert "entries of SMA_Crossover are allowed" in run("enable", "sma_crossover")


def test_unknown_name_is_answered_with_each_known_one_once(running: Running) -> None:
    with pytest.raises(Failure) as caught:
        run("remove", "NoSuchThing")
    assert str(caught.value).count("MACD_Momentum") <= 1
