"""Ratios of returns, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mytrading.core.accounting import performance


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
    found = performance.return_figures(np.full(count, 0.01))
    assert math.isnan(found["sharpe"])
    assert math.isnan(found["annual_volatility"])


def test_round_trips_give_win_rate_and_profit_factor() -> None:
    found = performance.trade_figures(np.array([10.0, -5.0, 20.0, -5.0]))
    assert found["win_rate"] == 0.5
    assert found["profit_factor"] == 3.0
    assert found["average_loss"] == -5.0


def test_figures_of_a_year_compound_its_days() -> None:
    returns = np.array([0.001, 0.002])
    assert performance.annual_return(returns) == pytest.approx((1.001 * 1.002) ** 126 - 1)
    assert performance.annual_volatility(returns) == pytest.approx(math.sqrt(0.0000005 * 252))
    assert math.isnan(performance.annual_return(np.array([-1.0, 0.5]))), "nothing is left that could grow"


def test_calmar_is_the_annual_return_over_the_deepest_drawdown() -> None:
    returns = np.array([0.1, -0.5, 0.2])
    assert performance.calmar(returns) == pytest.approx(((1.1 * 0.5 * 1.2) ** 84 - 1) / 0.5)
    assert math.isnan(performance.calmar(np.array([0.1, 0.2])))


def test_omega_is_the_gains_over_the_losses() -> None:
    assert performance.omega(np.array([0.03, -0.01, 0.0, 0.01, -0.01])) == pytest.approx(2.0)
    assert math.isnan(performance.omega(np.array([0.01, 0.02])))


def test_tails_are_the_percentiles_of_the_worst_and_best_periods() -> None:
    returns = np.arange(-50, 51) / 1000
    assert performance.value_at_risk(returns) == pytest.approx(-0.045)
    assert performance.conditional_value_at_risk(returns) == pytest.approx(np.mean(np.arange(-50, -44)) / 1000)
    assert performance.tail_ratio(returns) == pytest.approx(1.0)
    assert performance.tail_ratio(np.concatenate([returns, [0.2] * 20])) > 2.0


def test_equity_that_grows_evenly_is_stable_and_one_that_turns_is_not() -> None:
    assert performance.stability(np.full(10, 0.01)) == pytest.approx(1.0)
    assert performance.stability(np.array([0.01] * 5 + [-0.01] * 5)) < 0.1
    assert math.isnan(performance.stability(np.zeros(10)))
