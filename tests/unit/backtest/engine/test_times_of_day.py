"""A strategy's own times close what it holds in a backtest, whether or not prices call anything else."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.backtest.engine.assumptions import Models
from mytrading.backtest.run import MACHINES, run
from mytrading.core.time import MINUTE
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.run_config import Direction
from tests.kit.backtest_specs import OPEN_NS, Script, bars, spec_of


def second(hour: int, minute: int) -> int:
    return hour * 3600 + minute * 60


PLAIN_BARS = bars([(100 + n / 10, 100.5 + n / 10, 99.5 + n / 10, 100.25 + n / 10) for n in range(60)])
"""From 10:00 to 11:00; the bar of minute n opens at 100 + n / 10."""


def fills(rules: StrategyRules, plan: str, **given: Any) -> list[tuple[int, int, float]]:
    """Signed units, minute after 10:00 and price of each fill."""
    fields: dict[str, Any] = {"direction": Direction.LONG, "short": None, "product": Product.CNC, **given}
    result = run(spec_of(Script, PLAIN_BARS, parameters={"plan": plan}, rules=rules, **fields))
    assert result.fault is None and result.engine == MACHINES
    return [(fill.units, (fill.at_ns - OPEN_NS) // MINUTE, round(fill.price, 4)) for fill in result.ledger.fills]


@pytest.mark.parametrize("plain", [False, True], ids=["quick", "plain"])
@pytest.mark.parametrize("product", [Product.CNC, Product.MIS])
def test_exit_time_closes_at_the_first_bar_that_begins_then(product: Product, plain: bool) -> None:
    found = fills(StrategyRules(exit_time=second(10, 30)), "1 BUY", product=product, plain=plain)
    assert found == [(1, 2, 100.2), (-1, 30, 103.0)]


@pytest.mark.parametrize("plain", [False, True], ids=["quick", "plain"])
def test_square_off_time_closes_three_minutes_before_it(plain: bool) -> None:
    found = fills(StrategyRules(square_off_time=second(10, 30)), "1 BUY", plain=plain)
    assert found == [(1, 2, 100.2), (-1, 27, 102.7)]


@pytest.mark.parametrize("plain", [False, True], ids=["quick", "plain"])
def test_entry_that_is_filled_at_the_exit_time_is_closed_with_the_next_bar(plain: bool) -> None:
    found = fills(StrategyRules(exit_time=second(10, 30)), "29 BUY, 40 BUY", plain=plain)
    assert all(units < 0 or minute <= 30 for units, minute, _ in found)
    assert sum(units for units, _, _ in found) == 0


def test_position_held_at_the_close_model_leaves_at_the_price_before_the_exit_time() -> None:
    found = fills(StrategyRules(exit_time=second(10, 30)), "1 BUY", models=Models(at_close=True))
    assert found == [(1, 2, 100.35), (-1, 30, 103.15)]


def test_nothing_is_closed_before_the_time() -> None:
    assert fills(StrategyRules(exit_time=second(11, 30)), "1 BUY") == [(1, 2, 100.2)]
