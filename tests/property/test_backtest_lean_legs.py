"""The lean engine makes every day of a file of legs as the machines make it: fills, trades, events and money."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from datetime import date, time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.backtest.data.columns import Columns, build_columns
from mytrading.backtest.engine.assumptions import Models, Slippage, SlippageFraction, SlippageTicks
from mytrading.backtest.run import LEAN, MACHINES, RunResult, Spec, run
from mytrading.backtest.setup.prepare import prepare
from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules
from mytrading.messages.leg_plan import Comparison, DayKind, LegPlan, LegRule, LegStop, Operand, StopKind
from mytrading.messages.run_config import OrphanLegs, StopPlan
from tests.kit.hypothesis_budget import examples
from tests.kit.option_runs import asked, write_legs
from tests.kit.project import copy_project

NIFTY = "NSE_INDEX:NIFTY"
DAYS = (date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2))
"""The third is an expiry."""
COUNT = int(os.environ.get("ENGINES_EXAMPLES") or examples(40))
ENTRY, EXIT, LAST = 9 * 3600 + 30 * 60, 10 * 3600 + 20 * 60, time(10, 30)
OWN, UNRULED, EXACT = LegStop(), StrategyRules(), SlippageTicks()
POINTS = LegStop(kind=StopKind.POINTS, value=9.0)
CONDOR = ((1, "OTM 8", "CE"), (1, "OTM 8", "PE"), (-1, "OTM 3", "CE"), (-1, "OTM 3", "PE"))
SHAPES = (
    CONDOR,
    ((1, "OTM 10", "CE"), (1, "OTM 10", "PE"), (-1, "DELTA 0.25", "CE"), (-1, "DELTA 0.25", "PE")),
    ((-1, "ATM", "CE"), (-1, "ATM", "PE")),
    ((1, "ATM", "CE"), (-1, "OTM 3", "CE")),
    ((1, "ATM", "PE"), (1, "ATM", "CE"), (1, "OTM 2", "CE")),
    ((1, "OTM 6", "PE"), (-2, "OTM 2", "PE"), (-1, "OTM 4", "CE")),
    ((2, "OTM 5", "CE"), (-1, "ATM", "CE")),
    ((-1, "PREMIUM 60", "PE"),),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    write_legs(folder, "Lean_Legs", (("SELL", "ATM", "CE"),), "15:05")
    return prepare(folder, asked("Lean_Legs", last=date(2024, 1, 30))).spec


@cache
def bars(seed: int, wild: float, hole: int, count: int = len(DAYS)) -> Columns:
    """Mornings of an index, with `hole` minutes missing on the second day."""
    random = np.random.default_rng(seed)
    parts = [np.arange(to_ns(day, time(9, 15)), to_ns(day, LAST), MINUTE) for day in DAYS[:count]]
    if hole:
        at = int(random.integers(5, 70))
        parts[1] = np.delete(parts[1], slice(at, at + hole))
    start = np.concatenate(parts)
    close = np.round(21_700.0 * np.exp(np.cumsum(random.normal(0.0, wild, len(start)))) / 0.05) * 0.05
    opens = np.concatenate((close[:1], close[:-1]))
    reach = np.abs(random.normal(0.0, wild / 2, (2, len(start)))) * close
    table = np.vstack((opens, np.maximum(opens, close) + reach[0], np.minimum(opens, close) - reach[1], close))
    return build_columns(NIFTY, start, np.vstack((table, np.zeros(len(start)))), "made")


def plan_of(
    shape: tuple[tuple[int, str, str], ...], stop: LegStop = OWN, target: LegStop = OWN, *,
    minutes: int = 15, days: DayKind = DayKind.ANY, when: tuple[Comparison, ...] = (),
) -> LegPlan:  # fmt: skip
    legs = tuple(
        LegRule(lots=lots, strike=strike, right=right, stop=stop if lots < 0 else OWN, target=target)
        for lots, strike, right in shape
    )
    return LegPlan(legs=legs, entry_time=ENTRY, entry_minutes=minutes, exit_time=EXIT, days=days, when=when)


def spec_with(
    base: Spec, plan: LegPlan, data: Columns, rules: StrategyRules = UNRULED, stop: StopPlan = StopPlan.NONE, *,
    capital: float = 1_000_000.0, slips: Slippage = EXACT, orphans: OrphanLegs = OrphanLegs.UNWIND,
) -> Spec:  # fmt: skip
    rules = replace(rules, exit_time=plan.exit_time)  # as of a file: risk closes by it too
    changed = replace(base.run, plan=plan, rules=rules, stop=stop, orphan_legs=orphans)
    return dataclasses.replace(
        base, run=changed, strategy=leg_strategy(plan), data=(data,), capital=capital, models=Models(slippage=slips)
    )


def assert_same(spec: Spec) -> RunResult:
    """Run by both, compare all that a reader can see, and return the lean result."""
    quick, slow = run(spec), run(dataclasses.replace(spec, lean=False))
    assert slow.engine == MACHINES
    assert quick.ledger.fills == slow.ledger.fills
    assert quick.ledger.trades == slow.ledger.trades
    assert quick.ledger.exit_words == slow.ledger.exit_words
    assert quick.ledger.events == slow.ledger.events
    assert quick.ledger.counts == slow.ledger.counts
    assert quick.ledger.stops_given == slow.ledger.stops_given
    assert quick.fault == slow.fault
    assert quick.curve.equity.tolist() == slow.curve.equity.tolist()
    assert quick.priced is not None
    assert slow.priced is not None
    assert quick.priced.bars == slow.priced.bars
    assert quick.priced.fills == slow.priced.fills
    assert [found.instrument for found in quick.priced.columns] == [found.instrument for found in slow.priced.columns]
    return quick


RUPEES = st.sampled_from((0.0, 0.0, 200.0, 700.0, 2_000.0, 6_000.0))


@pytest.mark.slow
@settings(max_examples=COUNT, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    wild=st.sampled_from((0.0002, 0.0004, 0.001)),
    hole=st.sampled_from((0, 0, 0, 1, 3, 20)),
    shape=st.sampled_from(SHAPES),
    stop=st.sampled_from(list(StopPlan)),
    leg_stop=st.sampled_from((OWN, LegStop(value=40.0), LegStop(value=100.0), POINTS)),
    target=st.sampled_from((OWN, OWN, OWN, LegStop(value=60.0))),
    loss=RUPEES,
    gain=RUPEES,
    leg_loss=st.sampled_from((0.0, 0.0, 0.0, 25.0)),
    leg_gain=st.sampled_from((0.0, 0.0, 0.0, 50.0)),
    days=st.sampled_from((DayKind.ANY, DayKind.ANY, DayKind.EXPIRY, DayKind.NON_EXPIRY)),
    minutes=st.sampled_from((1, 15)),
    above=st.sampled_from((0.0, 0.0, 21_690.0)),
    capital=st.sampled_from((1_000_000.0, 1_000_000.0, 120_000.0, 30_000.0)),
    slips=st.sampled_from((EXACT, SlippageTicks(1), SlippageFraction(0.002))),
    orphans=st.sampled_from((OrphanLegs.UNWIND, OrphanLegs.REPORT)),
)  # fmt: skip
def test_days_of_legs_are_those_of_the_machines(
    base: Spec, seed: int, wild: float, hole: int, shape: tuple[tuple[int, str, str], ...], stop: StopPlan,
    leg_stop: LegStop, target: LegStop, loss: float, gain: float, leg_loss: float, leg_gain: float, days: DayKind,
    minutes: int, above: float, capital: float, slips: Slippage, orphans: OrphanLegs,
) -> None:  # fmt: skip
    rules = StrategyRules(
        max_loss=loss, max_profit=gain, leg_stop_loss=LevelRule(value=leg_loss),
        leg_take_profit=LevelRule(kind=LevelKind.PERCENTAGE, value=leg_gain),
    )  # fmt: skip
    when = (Comparison(left=Operand(word="close"), above=True, right=Operand(number=above)),) if above else ()
    plan = plan_of(shape, leg_stop, target, minutes=minutes, days=days, when=when)
    assert_same(
        spec_with(base, plan, bars(seed, wild, hole), rules, stop, capital=capital, slips=slips, orphans=orphans)
    )


def test_condor_with_a_combined_stop_is_made_without_the_machines(base: Spec) -> None:
    result = assert_same(spec_with(base, plan_of(CONDOR), bars(7, 0.001, 0), StrategyRules(max_loss=700.0)))
    assert (result.engine, result.note) == (LEAN, "")
    assert len(result.ledger.trades) == len(DAYS) * len(CONDOR)
    assert result.ledger.counts["STRATEGY_RISK"] > 0


def test_legs_that_their_stops_close_are_made_without_the_machines(base: Spec) -> None:
    plan = plan_of(CONDOR, LegStop(value=40.0))
    result = assert_same(spec_with(base, plan, bars(10, 0.0007, 0), stop=StopPlan.ENGINE))
    assert (result.engine, result.note) == (LEAN, "")
    ended = Counter(zip((trade.side for trade in result.ledger.trades), result.ledger.exit_words, strict=True))
    assert ended["SELL", "stop"] > 1
    assert ended["BUY", "stop"], "a hedge that has nothing to hedge any more is stopped too"


def test_day_whose_sold_legs_are_all_stopped_is_made_by_the_machines(base: Spec) -> None:
    plan = plan_of(CONDOR, LegStop(value=25.0))
    result = assert_same(spec_with(base, plan, bars(9, 0.0005, 0), stop=StopPlan.ENGINE))
    assert "hedges whose sold legs were stopped" in result.note


def test_day_without_the_bar_that_ends_with_the_exit_time_is_closed_by_risk(base: Spec) -> None:
    data = bars(7, 0.0004, 0, 2)
    missing = int(np.searchsorted(data.start_ns, to_ns(DAYS[0], time(10, 19))))
    kept = Columns(NIFTY, "1m", np.delete(data.start_ns, missing), np.delete(data.table, missing, axis=1))
    result = assert_same(spec_with(base, plan_of(CONDOR), kept))
    assert result.note == "1 of 2 days by the machines: no bar that ends with the exit time (1)"


def test_plan_that_the_lean_engine_does_not_know_is_made_by_the_machines(base: Spec) -> None:
    plan = plan_of(((-1, "OTM 3", "CE"), (1, "OTM 8", "CE")))
    result = assert_same(spec_with(base, plan, bars(7, 0.0004, 0, 2)))
    assert (result.engine, result.note) == (MACHINES, "a sold leg that is named before a bought one")
