"""Targets that risk holds, in a backtest: met at their level, after the stop, and no longer than their position."""

from __future__ import annotations

import pytest

from mytrading.backtest.run import RunResult, run
from mytrading.core.time import MINUTE
from mytrading.messages.run_config import StopPlan
from mytrading.strategies import Bar, BaseStrategy, StrategySignal
from tests.kit.backtest_specs import OPEN_NS, Script, bars, flat, spec_of

PLANS = [StopPlan.BROKER, StopPlan.ENGINE]
Row = tuple[float, float, float, float]


class Aims(BaseStrategy):
    """Enters on its second bar with a stop and a target, and once more on its ninth with a stop alone."""

    side: str = "BUY"
    stop: float = 98.0
    target: float = 104.0
    again: bool = False

    def initialize(self) -> None:
        self.count = 0

    def on_data(self, data: Bar) -> StrategySignal | None:
        self.count += 1
        if self.count == 2:
            return self.create_signal(self.side, stop_price=self.stop, target_price=self.target)
        return self.create_signal("BUY", stop_price=97.0) if self.again and self.count == 9 else None


def fills(rows: list[Row], plan: StopPlan, plain: bool = False, **parameters: float | str) -> list[tuple[int, float]]:
    spec = spec_of(Aims, bars(rows), stop=plan, parameters=parameters, plain=plain)
    return [(fill.units, fill.price) for fill in run(spec).ledger.fills]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("row", "exit_price"),
    [
        ((100.0, 106.0, 99.0, 101.0), 104.0),
        ((100.0, 106.0, 97.0, 101.0), 98.0),
        ((105.0, 106.0, 99.0, 101.0), 105.0),
    ],
)
def test_target_fills_at_its_level_or_the_open_beyond_it_and_after_the_stop(
    row: Row, exit_price: float, plan: StopPlan, plain: bool
) -> None:
    assert fills([*flat(100.0, 4), row, *flat(101.0, 3)], plan, plain) == [(1, 100.0), (-1, exit_price)]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("high", "exit_price"), [(101.0, 96.0), (103.0, 102.0)])
def test_target_of_a_sold_position_lies_below(plan: StopPlan, high: float, exit_price: float) -> None:
    rows = [*flat(100.0, 4), (100.0, high, 94.0, 99.0), *flat(99.0, 3)]
    assert fills(rows, plan, side="SELL", stop=102.0, target=96.0) == [(-1, 100.0), (1, exit_price)]


@pytest.mark.parametrize("plan", PLANS)
def test_target_of_a_position_that_was_stopped_ends_with_it(plan: StopPlan) -> None:
    stopped, beyond = (100.0, 101.0, 97.5, 99.0), (99.0, 106.0, 99.0, 101.0)
    rows = [*flat(100.0, 4), stopped, *flat(99.0, 6), beyond, *flat(101.0, 3)]
    assert fills(rows, plan, again=True) == [(1, 100.0), (-1, 98.0), (1, 99.0)]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("plan", [*PLANS, StopPlan.NONE])
@pytest.mark.parametrize(("action", "profit", "exit_price"), [("BUY", 0.04, 104.0), ("SELL", 0.03333, 96.65)])
def test_profit_that_a_strategy_is_set_to_take_is_taken_at_the_first_tick_there(
    action: str, profit: float, exit_price: float, plan: StopPlan, plain: bool
) -> None:
    rows = [*flat(100.0, 4), (100.0, 106.0, 95.0, 101.0), *flat(101.0, 3)]
    given = {"stop": plan, "stop_loss_pct": 0.1, "take_profit_pct": profit, "plain": plain}
    result = run(spec_of(Script, bars(rows), parameters={"plan": f"1 {action}"}, **given))
    assert [fill.price for fill in result.ledger.fills] == [100.0, exit_price]


TAKEN = (100.0, 106.0, 94.0, 100.0)
"""A bar that comes to the profit of a long and of a short position entered at 100."""


def entries(result: RunResult) -> list[tuple[int, int]]:
    """The bar at whose open each entry filled, and its signed units."""
    return [((fill.at_ns - OPEN_NS) // MINUTE, fill.units) for fill in result.ledger.fills[::2]]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("plan", [*PLANS, StopPlan.NONE])
@pytest.mark.parametrize(
    ("words", "entered", "denied"),
    [
        ("1 BUY, 4 BUY, 5 BUY, 6 BUY, 7 BUY", [(2, 1)], 4),
        ("1 BUY, 4 BUY, 5 BUY, 7 BUY", [(2, 1), (8, 1)], 2),
        ("1 BUY, 5 BUY", [(2, 1), (6, 1)], 0),
        ("1 SELL, 4 SELL, 6 SELL", [(2, -1), (7, -1)], 1),
    ],
)
def test_same_signal_after_a_target_enters_once_a_bar_has_passed_without_it(
    words: str, entered: list[tuple[int, int]], denied: int, plan: StopPlan, plain: bool
) -> None:
    """The bar of the target is the fourth; that the same signal was denied on it takes nothing from the bars after."""
    rows = [*flat(100.0, 4), TAKEN, *flat(100.0, 6)]
    given = {"stop": plan, "stop_loss_pct": 0.2, "take_profit_pct": 0.04, "plain": plain}
    result = run(spec_of(Script, bars(rows), parameters={"plan": words}, **given))
    assert (entries(result), result.ledger.counts["SIGNAL_SPENT"]) == (entered, denied)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("plan", [*PLANS, StopPlan.NONE])
@pytest.mark.parametrize(
    ("words", "entered"),
    [
        ("1 BUY, 3 SELL, 8 SELL", [(2, 1), (4, -1)]),
        ("1 BUY, 3 SELL, 6 SELL, 8 SELL", [(2, 1), (4, -1)]),
        ("1 BUY, 3 SELL, 8 SELL, 10 SELL", [(2, 1), (4, -1), (11, -1)]),
        ("1 SELL, 3 BUY, 8 BUY, 9 BUY, 11 BUY", [(2, -1), (4, 1), (12, 1)]),
        ("1 SELL, 3 BUY, 8 SELL", [(2, -1), (4, 1), (9, -1)]),
    ],
)
def test_bars_between_a_reversal_and_its_target_do_not_count_for_the_same_signal(
    words: str, entered: list[tuple[int, int]], plan: StopPlan, plain: bool
) -> None:
    rows = [*flat(100.0, 8), TAKEN, *flat(100.0, 6)]
    given = {"stop": plan, "stop_loss_pct": 0.2, "take_profit_pct": 0.04, "plain": plain}
    result = run(spec_of(Script, bars(rows), parameters={"plan": words}, **given))
    assert entries(result) == entered
