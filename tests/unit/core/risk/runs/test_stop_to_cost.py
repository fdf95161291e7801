"""Stops moved to the entry price, after the stop of another leg or at a profit of the run; they survive restarts."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.messages.control import Alert
from mytrading.messages.exit_rules import LevelRule, StrategyRules
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from tests.kit.risk_bench import CALL, NEAR, PUT
from tests.kit.risk_run_bench import RunBench, events, goals

AFTER_STOP = StrategyRules(stop_to_cost=True, leg_stop_loss=LevelRule(value=30), leg_take_profit=LevelRule(value=60))
AT_PROFIT = StrategyRules(stop_to_cost_profit=1300)


def straddle(rules: StrategyRules, **options: Any) -> RunBench:
    """A call and a put sold at 100 each: a rupee less of one is a profit of 65."""
    bench = RunBench(rules, **options)
    for account in options.get("accounts", ("main",)):
        bench.take(CALL, -65, 100.0, account)
        bench.take(PUT, -65, 100.0, account)
    bench.at(CALL, 100.0)
    bench.at(PUT, 80.0)
    return bench


def costs(bench: RunBench) -> list[tuple[str, str, float | None]]:
    """Account and instrument of each leg, and the price of its stop at cost."""
    (run,) = risk_snapshot(bench.machine, bench.now).runs
    return [(leg.account, leg.instrument, leg.cost) for leg in run.legs]


@pytest.mark.parametrize("way", ["on", "killed", "next day"])
def test_stop_of_one_leg_moves_that_of_the_other_to_its_entry_price(way: str) -> None:
    bench = straddle(AFTER_STOP)
    assert [event.kind for event in events(bench.at(CALL, 130.0))] == ["leg_stop_loss"]
    bench.take(CALL, 0, 0.0, realised=-1950.0)
    bench.machine.state.closing.clear()
    if way == "killed":
        bench.again(bench.rows)
    elif way == "next day":
        bench.next_day()
    assert costs(bench) == [("main", PUT, 100.0)]
    assert events(bench.at(PUT, 99.95)) == []
    rows = bench.at(PUT, 100.0)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.action, event.threshold) == ("leg_at_cost", "close_leg", 100.0)
    assert goal.instrument == PUT
    assert events(bench.at(PUT, 101.0)) == [], "once a round trip"


@pytest.mark.parametrize("kind", [RiskKind.STOP, RiskKind.BROKER_STOP, RiskKind.LEG_TRAILING])
def test_any_kind_of_stop_moves_the_others_and_a_target_or_an_alert_does_not(kind: RiskKind) -> None:
    def reported(word: RiskKind, action: RiskAction) -> list[float | None]:
        bench = straddle(StrategyRules(stop_to_cost=True))
        bench.machine.apply(
            RiskEventRecorded(
                id="e", strategy="S", run="r", kind=word, action=action, at_ns=bench.now, accounts=("main",),
                instruments=(CALL,), leg="trip", cause="e",
            )
        )  # fmt: skip
        return [cost for _, _, cost in costs(bench)]

    assert reported(kind, RiskAction.CLOSE_LEG) == [None, 100.0]
    assert reported(kind, RiskAction.ALERT_ONLY) == [None, None]
    assert reported(RiskKind.TARGET, RiskAction.CLOSE_LEG) == [None, None]


def test_legs_of_another_account_and_legs_that_come_later_keep_their_own_stops() -> None:
    bench = straddle(AFTER_STOP, accounts=("main", "second"))
    bench.take(CALL, -65, 95.0, "second")  # stopped at 123.5, the other at 130
    bench.at(CALL, 124.0)
    bench.take(CALL, 0, 0.0, "second", realised=-1885.0)
    assert costs(bench) == [("main", CALL, None), ("main", PUT, None), ("second", PUT, 100.0)]
    bench.machine.state.closing.clear()
    bench.pass_time(5)
    bench.take(CALL, -65, 124.0, "second")
    assert ("second", CALL, None) in costs(bench)


@pytest.mark.parametrize("sold_is_gone", [False, True])
def test_bought_legs_that_hedge_have_no_stop_to_move(sold_is_gone: bool) -> None:
    """The sold call may be entered again, which its hedge is to cover then."""
    bench = RunBench(StrategyRules(stop_to_cost=True))
    bench.take(CALL, 65, 20.0)
    bench.take(NEAR, -65, 100.0)
    bench.take(PUT, -65, 100.0)
    if sold_is_gone:
        bench.take(NEAR, 0, 0.0, realised=-1950.0)
    bench.machine.apply(
        RiskEventRecorded(
            id="e", strategy="S", run="r", kind=RiskKind.BROKER_STOP, action=RiskAction.CLOSE_LEG, at_ns=bench.now,
            accounts=("main",), instruments=(NEAR,), leg="trip", cause="e",
        )
    )  # fmt: skip
    assert ("main", CALL, None) in costs(bench)
    assert ("main", PUT, 100.0) in costs(bench)


@pytest.mark.parametrize("killed", [False, True])
def test_profit_of_the_run_moves_all_stops_once_and_closes_nothing(killed: bool) -> None:
    bench = straddle(AT_PROFIT)
    (moved,) = [row for row in bench.rows if isinstance(row, RiskEventRecorded)]
    assert (moved.kind, moved.action, moved.threshold) == ("stops_to_cost", "move_stops", 1300)
    (alert,) = [row for row in bench.rows if isinstance(row, Alert) and row.code == "STRATEGY_RISK"]
    assert (alert.severity, "entry prices" in alert.message) == ("info", True)
    assert not goals(bench.rows)
    if killed:
        bench.again(bench.rows)
    assert costs(bench) == [("main", CALL, 100.0), ("main", PUT, 100.0)]
    assert [goal.instrument for goal in goals(bench.at(CALL, 100.0))] == [CALL]
    assert events(bench.at(PUT, 70.0)) == [], "moved once in a run"


def test_profit_that_one_quote_alone_shows_moves_nothing() -> None:
    bench = RunBench(AT_PROFIT)
    bench.take(CALL, -65, 100.0)
    bench.at(CALL, 99.0)
    assert events(bench.once(CALL, 60.0, seconds=0.05)) == []
    assert costs(bench) == [("main", CALL, None)]
