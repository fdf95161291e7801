"""The corpus of bad strategies: each is caught by the check that is meant for it; the shipped ones raise no alarm.

`make test` takes one strategy for each check and one that is shipped; `make test-all` takes them all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.checks.determinism import OtherProcess
from mytrading.backtest.checks.run_all import CheckRequest, run_checks
from mytrading.backtest.data.columns import Columns
from mytrading.messages.run_config import Direction, StopPlan
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies.base_strategy import BaseStrategy
from tests.kit.backtest_specs import bars_of, begin_of, shipped, spec_of
from tests.kit.project import ROOT

CORPUS = ROOT / "tests" / "corpus"
FILES = sorted(CORPUS.glob("bad_*.py"))
BARS = {"recursion": 1125, "restart": 500}
"""Of the data, by check; as few as it needs."""
FEWER = 400
BUDGET_US = 500.0


def _bad() -> list[tuple[Path, type[BaseStrategy]]]:
    found = []
    for file in FILES:
        loaded = load_file(file, BaseStrategy)
        assert loaded.fault is None, loaded.fault
        found += [(file, item) for item in loaded.classes if item.__name__.startswith("Bad")]
    return found


BAD = _bad()
FIRST = {strategy.caught_by: strategy for _, strategy in reversed(BAD)}  # type: ignore[attr-defined]
"""The first bad strategy of each check."""


@pytest.fixture(scope="module")
def other() -> Iterator[OtherProcess]:
    with OtherProcess() as process:
        yield process


def test_corpus_holds_enough_bad_strategies() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize(
    ("file", "strategy"),
    [
        pytest.param(file, item, id=item.__name__, marks=() if item in FIRST.values() else pytest.mark.long)
        for file, item in BAD
    ],
)
def test_bad_strategy_is_caught_by_its_check(file: Path, strategy: type[BaseStrategy], other: OtherProcess) -> None:
    wanted: str = strategy.caught_by  # type: ignore[attr-defined]
    spec = spec_of(strategy, begin_of(bars_of("wild"), getattr(strategy, "needs", BARS.get(wanted, FEWER))))
    found = run_checks(spec, CheckRequest(file, (wanted,), BUDGET_US), other)
    fails: bool = getattr(strategy, "fails", True)
    caught = [one for one in found.findings if one.check == wanted and one.must is fails]
    assert caught, [outcome.json_body() for outcome in found.outcomes]
    assert found.passes is not fails
    assert all(one.what and one.cure for one in caught)
    lines = {int(one.where.rpartition(":")[2]) for one in caught if one.where.startswith(f"corpus/{file.name}:")}
    assert lines & set(lines_of(file, strategy.__name__)) if wanted == "source" else lines


def lines_of(file: Path, name: str) -> range:
    """The lines of a class: the text of the whole file is read, and every other class has its own mistake."""
    (found,) = (
        node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef) and node.name == name
    )
    return range(found.lineno, (found.end_lineno or found.lineno) + 1)


SELDOM = ("rsi_mean_reversion", "macd_momentum", "bollinger_breakout", "scalping_quick", "supertrend_trend",
          "options_straddle")  # fmt: skip


@pytest.mark.parametrize("name", ["sma_crossover", *(pytest.param(name, marks=pytest.mark.long) for name in SELDOM)])
def test_shipped_strategy_raises_no_alarm(name: str, other: OtherProcess) -> None:
    spec = spec_of(shipped(name), begin_of(bars_of("wild"), 1125))
    found = run_checks(spec, CheckRequest(ROOT / "strategies" / f"{name}.py", budget_us=20_000.0), other)
    assert found.findings == []
    assert found.passes


def priced(name: str, temper: str, first: float) -> Columns:
    """An option whose price begins at `first` and moves eight times as far as the bars do."""
    columns = begin_of(bars_of(temper), 1125)
    table = columns.table.copy()
    table[:4] = np.round(first * (table[:4] / table[3, 0]) ** 8 / 0.05) * 0.05
    return Columns(name, columns.timeframe, columns.start_ns, table)


@pytest.mark.long
def test_seller_of_many_options_raises_no_alarm(other: OtherProcess) -> None:
    options = (
        priced("NFO:NIFTY14MAR2422000CE", "wild", 180.0),
        priced("NFO:NIFTY14MAR2422150CE", "wild", 130.0),
        priced("NFO:NIFTY14MAR2422000PE", "trend", 150.0),
    )
    seller = shipped("swing_break_seller")
    spec = spec_of(seller, *options, direction=Direction.SHORT, stop=StopPlan.BROKER, capital=5_000_000.0)
    found = run_checks(spec, CheckRequest(ROOT / "strategies" / "swing_break_seller.py", budget_us=20_000.0), other)
    assert found.findings == []
    assert not [one.check for one in found.outcomes if one.skipped and one.check not in ("agreement", "engines")]
    assert found.whole.result is not None and len(found.whole.result.ledger.trades) > 4
    assert len(found.whole.decisions) > 50


def test_pair_that_agrees_trade_by_trade_raises_no_alarm() -> None:
    file = CORPUS / "bad_pairs.py"
    (fine,) = (item for item in load_file(file, BaseStrategy).classes if item.__name__ == "FinePair")
    found = run_checks(spec_of(fine, begin_of(bars_of("wild"), 1125)), CheckRequest(file, ("agreement",)), None)
    (_, agreement) = found.outcomes
    assert agreement.findings == []
    assert agreement.figures["engine"] == agreement.figures["screening"] > 20
