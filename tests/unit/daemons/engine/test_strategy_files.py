"""The author files of an engine: what was removed by a person is gone, what is missing otherwise is a fault."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.core.engine.strategy_host import Fault
from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.engine.strategy_files import find_strategies
from mytrading.messages.ops import StrategyQuery
from mytrading.messages.signals import StrategyFaulted
from tests.kit.gateway_queries import NAME, ask
from tests.kit.run_configs import run_config


@pytest.mark.parametrize("moved", ["sma_crossover.py", "sma_crossover-2.py"])
def test_removed_strategy_is_gone_after_a_restart_and_no_fault(tmp_path: Path, moved: str) -> None:
    config = run_config(tmp_path)
    run = config.strategies[0]
    assert run.name == NAME
    config = msgspec.structs.replace(config, home=tmp_path, strategies=(run,))
    folder = (tmp_path / run.file).parent
    (folder / "removed").mkdir(parents=True)
    missing = find_strategies(Path(config.home), config.strategies)[NAME]
    assert isinstance(missing, Fault) and not missing.gone
    (folder / "removed" / moved).write_text("")
    found = find_strategies(Path(config.home), config.strategies)[NAME]
    assert isinstance(found, Fault) and found.gone and moved in found.error
    view = StackView()
    view.apply(StrategyFaulted(strategy=NAME, at_ns=1, **found._asdict()))
    body = ask(view, tmp_path / "state", StrategyQuery(strategy=NAME, limit=0))
    assert (body["state"], moved in body["problem"]) == ("GONE", True)
