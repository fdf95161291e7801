"""Return, risk and their ratios of a series of returns, as empyrical defines them, and figures of round trips.

Returns are simple returns of trading days (0.01 is 1 %). A figure that the returns cannot give is NaN, never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DAYS_A_YEAR = 252
_NAN = float("nan")


def total_return(returns: Array) -> float:
    """Return the compounded total return, from per-period returns (0.01 is 1 %); NaN if there are none."""
    return float(np.prod(1.0 + returns) - 1.0) if len(returns) else _NAN


def annual_return(returns: Array) -> float:
    """Return the annualised compound return; NaN without returns, or if equity falls to 0 or less."""
    if not len(returns):
        return _NAN
    end = 1.0 + total_return(returns)
    return float(end ** (DAYS_A_YEAR / len(returns)) - 1.0) if end > 0 else _NAN


def annual_volatility(returns: Array) -> float:
    """Return the annualised standard deviation (sample) of returns; NaN of fewer than two."""
    return float(np.std(returns, ddof=1) * np.sqrt(DAYS_A_YEAR)) if len(returns) > 1 else _NAN


def sharpe(returns: Array) -> float:
    """Return the annualised Sharpe ratio with a risk-free rate of 0; NaN if returns do not vary."""
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns) / deviation * np.sqrt(DAYS_A_YEAR)) if deviation else _NAN


def downside_risk(returns: Array) -> float:
    """Return the annualised root mean square of negative returns; NaN of fewer than two returns."""
    if len(returns) < 2:
        return _NAN
    return float(np.sqrt(np.mean(np.square(np.minimum(returns, 0.0)))) * np.sqrt(DAYS_A_YEAR))


def sortino(returns: Array) -> float:
    """Return the annualised Sortino ratio, mean over downside risk; NaN without downside risk."""
    risk = downside_risk(returns)
    return float(np.mean(returns) * DAYS_A_YEAR / risk) if risk > 0 else _NAN


def drawdowns(returns: Array) -> Array:
    """Return the drawdown after each period from the highest equity so far, as fractions from 0 to −1."""
    equity = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    return np.asarray(equity / np.maximum.accumulate(equity) - 1.0)[1:]


def max_drawdown(returns: Array) -> float:
    """Return the deepest drawdown as a fraction from 0 to −1; NaN without returns."""
    return float(np.min(drawdowns(returns))) if len(returns) else _NAN


def calmar(returns: Array) -> float:
    """Return the Calmar ratio, annual return over the deepest drawdown; NaN without a drawdown."""
    deepest = max_drawdown(returns)
    return annual_return(returns) / abs(deepest) if deepest < 0 else _NAN


def omega(returns: Array) -> float:
    """Return the omega ratio, sum of gains over sum of losses; NaN without losses or with fewer than two returns."""
    losses = -float(np.sum(returns[returns < 0]))
    return float(np.sum(returns[returns > 0])) / losses if len(returns) > 1 and losses else _NAN


def tail_ratio(returns: Array) -> float:
    """Return the 95th percentile of returns over the 5th, in absolute values; NaN if that is 0."""
    if not len(returns):
        return _NAN
    low = abs(float(np.percentile(returns, 5)))
    return abs(float(np.percentile(returns, 95))) / low if low else _NAN


def value_at_risk(returns: Array) -> float:
    """Return the 5 % quantile of returns, negative for a loss; NaN without returns."""
    return float(np.percentile(returns, 5)) if len(returns) else _NAN


def conditional_value_at_risk(returns: Array) -> float:
    """Return the mean of the worst 5 % of returns; NaN without returns."""
    if not len(returns):
        return _NAN
    index = int((len(returns) - 1) * 0.05)
    return float(np.mean(np.partition(returns, index)[: index + 1]))


def stability(returns: Array) -> float:
    """Return the R² of a straight line through the logarithm of equity; NaN of fewer than two returns."""
    if len(returns) < 2:
        return _NAN
    path = np.cumsum(np.log1p(returns))
    return float(np.corrcoef(np.arange(len(path)), path)[0, 1] ** 2) if float(np.std(path)) else _NAN


def return_figures(returns: Array) -> dict[str, float]:
    """Return every figure of this module by name for a series of daily returns."""
    return {
        "total_return": total_return(returns),
        "annual_return": annual_return(returns),
        "annual_volatility": annual_volatility(returns),
        "sharpe": sharpe(returns),
        "sortino": sortino(returns),
        "max_drawdown": max_drawdown(returns),
        "calmar": calmar(returns),
        "omega": omega(returns),
        "tail_ratio": tail_ratio(returns),
        "value_at_risk": value_at_risk(returns),
        "conditional_value_at_risk": conditional_value_at_risk(returns),
        "downside_risk": downside_risk(returns),
        "stability": stability(returns),
    }


def missing_reason(name: str, returns: Array) -> str:
    """Return why returns do not give the figure `name` of `return_figures`; empty where they give it."""
    if len(returns) < 2:
        return f"too few days: {len(returns)}"
    lost_all = 1.0 + total_return(returns) <= 0
    reasons = {
        "annual_return": (lost_all, "all of the capital was lost"),
        "sharpe": (not float(np.std(returns)), "the returns do not vary"),
        "sortino": (not (returns < 0).any(), "no day lost"),
        "omega": (not (returns < 0).any(), "no day lost"),
        "calmar": (lost_all or not max_drawdown(returns) < 0, "there was no drawdown, or all of the capital was lost"),
        "tail_ratio": (not float(np.percentile(returns, 5)), "the 5th percentile of days is 0"),
        "stability": (lost_all or not returns[1:].any(), "equity did not move, or all of the capital was lost"),
    }
    missing, why = reasons.get(name, (False, ""))
    return why if missing else ""


def trade_figures(net: Array) -> dict[str, float]:
    """Return win rate, profit factor and the like by name, from the net profits of trades in rupees."""
    wins, losses = net[net > 0], net[net < 0]
    lost = -float(np.sum(losses))
    return {
        "win_rate": len(wins) / len(net) if len(net) else _NAN,
        "profit_factor": float(np.sum(wins)) / lost if lost else _NAN,
        "average_trade": float(np.mean(net)) if len(net) else _NAN,
        "average_win": float(np.mean(wins)) if len(wins) else _NAN,
        "average_loss": float(np.mean(losses)) if len(losses) else _NAN,
        "best_trade": float(np.max(net)) if len(net) else _NAN,
        "worst_trade": float(np.min(net)) if len(net) else _NAN,
    }
