"""The author files of an engine: what was removed by a person is gone, what is missing otherwise is a fault."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.core.view import StackView
from mytrading.daemons.engine_files import find_strategies
from mytrading.messages.signals import StrategyFaulted
from mytrading.strategies.hosted import Fault
from tests.unit.cli.stacks import run_config
from tests.unit.daemons.test_answers_strategies import NAME, ask


@pytest.mark.parametrize("moved", ["sma_crossover.py", "sma_crossover-2.py"])
def test_removed_strategy_is_gone_after_a_restart_and_no_fault(tmp_path: Path, moved: str) -> None:
    config = run_config(tmp_path)
    run = config.strategies[0]
    assert run.name == NAME
    config = msgspec.structs.replace(config, home=tmp_path, strategies=(run,))
    folder = (tmp_path / run.file).parent
    (folder / "removed").mkdir(parents=True)
    missing = find_strategies(config)[NAME]
    assert isinstance(missing, Fault) and not missing.gone
    (folder / "removed" / moved).write_text("")
    found = find_strategies(config)[NAME]
    assert isinstance(found, Fault) and found.gone and moved in found.error
    view = StackView()
    view.apply(StrategyFaulted(strategy=NAME, at_ns=1, **found._asdict()))
    body = ask(view, tmp_path / "state", "strategy", strategy=NAME, limit="0")
    assert (body["state"], moved in body["problem"]) == ("GONE", True)
