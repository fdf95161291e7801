"""Contracts pass over bars at which no level, order or rule can be met, and the run comes out as if they had not."""

from __future__ import annotations

import dataclasses
import math
from datetime import date
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.options.leg_columns import combined_premium, combined_reach, first_bar, price_reach
from mytrading.backtest.options.loop import LegTape, OptionLoop
from mytrading.backtest.run import RunResult, Spec, run
from mytrading.backtest.setup.prepare import prepare
from mytrading.core.time import MINUTE, ist_date
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.run_config import StopPlan
from tests.kit.hypothesis_budget import examples
from tests.kit.option_runs import asked, write_legs
from tests.kit.project import copy_project

CONDOR = (("BUY", "OTM 8", "CE"), ("BUY", "OTM 8", "PE"), ("SELL", "OTM 3", "CE"), ("SELL", "OTM 3", "PE"))
COMBINED = StrategyRules(max_loss=1_500.0, max_profit=2_000.0)
BY_POINTS = StrategyRules(max_loss=900.0, leg_stop_loss=LevelRule(kind=LevelKind.POINTS, value=25.0))
SELDOM = (
    (COMBINED, StopPlan.NONE),
    (StrategyRules(), StopPlan.BROKER),
    (StrategyRules(), StopPlan.ENGINE),
    (StrategyRules(leg_stop_loss=LevelRule(value=30.0), leg_take_profit=LevelRule(value=40.0)), StopPlan.NONE),
    (StrategyRules(trailing=TrailRule(kind=TrailKind.AMOUNT, value=400.0)), StopPlan.NONE),
)


@pytest.fixture(scope="module")
def condor(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    write_legs(folder, "Passing", CONDOR, "15:05", stop="none")
    return prepare(folder, asked("Passing", last=date(2024, 2, 1))).spec


def with_rules(spec: Spec, rules: StrategyRules, stop: StopPlan = StopPlan.NONE, days: int = 4) -> Spec:
    data = spec.data[0].between(int(spec.data[0].start_ns[0]), int(spec.data[0].start_ns[375 * days - 1]) + 1)
    return dataclasses.replace(spec, run=replace(spec.run, rules=rules, stop=stop), data=(data,))


def both_ways(spec: Spec) -> RunResult:
    """The run, which is equal to one that walks every contract at every bar."""
    passing = run(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OptionLoop, "_first_act", lambda _loop, _feed, start: start)
        walking = run(spec)
    assert passing.ledger.fills == walking.ledger.fills
    assert passing.ledger.trades == walking.ledger.trades
    assert passing.ledger.counts == walking.ledger.counts
    assert passing.curve.equity.tolist() == walking.curve.equity.tolist()
    assert passing.priced is not None
    assert walking.priced is not None
    assert passing.priced.bars == walking.priced.bars
    assert passing.priced.fills == walking.priced.fills
    return passing


@pytest.mark.parametrize(
    ("rules", "stop"),
    [(BY_POINTS, StopPlan.BROKER), *(pytest.param(*case, marks=pytest.mark.long) for case in SELDOM)],
)
def test_run_that_passes_bars_over_equals_one_that_walks_them(
    condor: Spec, rules: StrategyRules, stop: StopPlan
) -> None:
    result = both_ways(with_rules(condor, rules, stop))
    assert result.fault is None
    assert len(result.ledger.trades) >= 4 * 3


@settings(max_examples=examples(5), deadline=None)
@given(data=st.data())
def test_random_rules_lead_to_the_same_fills_either_way(condor: Spec, data: st.DataObject) -> None:
    rupees, percent = st.sampled_from([0.0, 150.0, 400.0, 900.0, 2_500.0]), st.sampled_from([0.0, 10.0, 30.0, 80.0])
    rules = StrategyRules(
        max_loss=data.draw(rupees), max_profit=data.draw(rupees), leg_stop_loss=LevelRule(value=data.draw(percent)),
        leg_take_profit=LevelRule(value=data.draw(percent)),
    )  # fmt: skip
    result = both_ways(with_rules(condor, rules, data.draw(st.sampled_from(list(StopPlan))), 2))
    assert result.fault is None


def test_contracts_are_stepped_at_few_bars_only(condor: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = LegTape.step

    def counted(leg: LegTape, start: int) -> bool:
        steps.append(start)
        return step(leg, start)

    monkeypatch.setattr(LegTape, "step", counted)
    spec = with_rules(condor, COMBINED)
    result = run(spec)
    assert result.priced is not None
    walked = sum(result.priced.bars.values())
    assert walked > 3 * 4 * 200
    assert len(steps) < walked / 5


@pytest.mark.parametrize("loss", [600.0, pytest.param(1_500.0, marks=pytest.mark.long)])
def test_run_with_a_combined_stop_equals_the_plain_one(condor: Spec, loss: float) -> None:
    spec = with_rules(condor, StrategyRules(max_loss=loss), StopPlan.BROKER, 2)
    passing, plain = run(spec), run(dataclasses.replace(spec, plain=True))
    assert len(passing.ledger.trades) >= 4
    assert passing.ledger.fills == plain.ledger.fills
    assert passing.ledger.counts == plain.ledger.counts


def test_hedge_gets_its_stop_back_once_the_leg_that_it_covers_was_stopped(condor: Spec) -> None:
    """On 1 February the sold put is stopped at 12:33; the bought one lies below its own stop by then."""
    result = run(with_rules(condor, StrategyRules(max_loss=90_000.0), StopPlan.BROKER))
    sold, bought = (
        next(one for one in result.ledger.trades if one.instrument == f"NFO:NIFTY01FEB24{strike}PE" and one.leg == leg)
        for strike, leg in ((21_700, 4), (21_450, 2))
    )
    assert sold.exit_price == pytest.approx(28.0, abs=1.0)
    assert ist_date(bought.exit_ns) == date(2024, 2, 1)
    assert 0 <= bought.exit_ns - sold.exit_ns <= MINUTE


@cache
def two_bars() -> Columns:
    table = np.array([[10.0, 13.0], [12.0, 14.0], [9.0, 11.5], [11.0, 12.0], [np.inf, np.inf]])
    return Columns("NFO:X", "1m", np.array([0, 60_000_000_000]), table)


def test_reach_of_a_bar_begins_at_the_close_before_it() -> None:
    low, high = price_reach(two_bars(), 0)
    assert (low.tolist(), high.tolist()) == ([9.0, 11.0], [12.0, 14.0])
    low, high = price_reach(two_bars(), 1)
    assert (low.tolist(), high.tolist()) == ([11.0], [14.0])


def test_combined_reach_bounds_what_legs_cost_together() -> None:
    one = price_reach(two_bars(), 0)
    both = combined_reach([one, one], [2, -1])
    assert both.low.tolist() == [2 * 9.0 - 12.0, 2 * 11.0 - 14.0]
    assert both.high.tolist() == [2 * 12.0 - 9.0, 2 * 14.0 - 11.0]
    closes = combined_premium([two_bars().close, two_bars().close], [2, -1])
    assert closes.tolist() == [11.0, 12.0]


def test_first_bar_at_which_a_price_comes_to_a_level() -> None:
    reach = price_reach(two_bars(), 0)
    assert first_bar(reach.bars_outside(8.0, 13.5)) == 1
    assert first_bar(reach.bars_outside(9.0, math.inf)) == 0
    assert first_bar(reach.bars_outside(-math.inf, 20.0)) is None
    assert first_bar(np.zeros(0, dtype=np.bool_)) is None
