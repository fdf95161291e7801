"""Ratios of returns, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mytrading.core.money import performance


def test_returns_that_compound_give_total_and_drawdown() -> None:
    returns = np.array([0.1, -0.5, 0.2])
    assert performance.total_return(returns) == pytest.approx(1.1 * 0.5 * 1.2 - 1)
    assert performance.max_drawdown(returns) == pytest.approx(-0.5)
    assert performance.drawdowns(returns).tolist() == pytest.approx([0.0, -0.5, -0.4])


def test_sharpe_and_sortino_of_known_returns() -> None:
    returns = np.array([0.01, -0.01, 0.02])
    mean, deviation = returns.mean(), returns.std(ddof=1)
    assert performance.sharpe(returns) == pytest.approx(mean / deviation * math.sqrt(252))
    assert performance.sortino(returns) == pytest.approx(mean * 252 / (math.sqrt(1e-4 / 3) * math.sqrt(252)))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_returns_give_nan_and_never_zero(count: int) -> None:
    found = performance.of_returns(np.full(count, 0.01))
    assert math.isnan(found["sharpe"])
    assert math.isnan(found["annual_volatility"])


def test_round_trips_give_win_rate_and_profit_factor() -> None:
    found = performance.of_trades(np.array([10.0, -5.0, 20.0, -5.0]))
    assert found["win_rate"] == 0.5
    assert found["profit_factor"] == 3.0
    assert found["average_loss"] == -5.0
