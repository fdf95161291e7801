"""Metrics equal those of empyrical on the same returns."""

from __future__ import annotations

import numpy as np
import pytest

from mytrading.core import performance

empyrical = pytest.importorskip("empyrical")

NAMES = {
    "total_return": "cum_returns_final",
    "annual_return": "annual_return",
    "annual_volatility": "annual_volatility",
    "sharpe": "sharpe_ratio",
    "sortino": "sortino_ratio",
    "max_drawdown": "max_drawdown",
    "calmar": "calmar_ratio",
    "omega": "omega_ratio",
    "tail_ratio": "tail_ratio",
    "value_at_risk": "value_at_risk",
    "conditional_value_at_risk": "conditional_value_at_risk",
    "downside_risk": "downside_risk",
    "stability": "stability_of_timeseries",
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", sorted(NAMES))
def test_metric_of_random_returns_equals_empyricals(name: str, seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0.0004, 0.012, 300)
    wanted = getattr(empyrical, NAMES[name])(returns)
    assert performance.of_returns(returns)[name] == pytest.approx(wanted, rel=1e-9, abs=1e-12)
