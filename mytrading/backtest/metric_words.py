"""Metrics as a person reads them: each with its unit, and what it is of.

Used by `mytrading backtest`, by its report and that of a walk-forward. The one rule: a value is never shown without its
unit; what stands in `metrics.json` stays a plain number (a share of 1, rupees, a ratio).
"""

from __future__ import annotations

_OF = {
    "total_return": ("%", "of the capital, over all days"),
    "annual_return": ("%", "a year, compounded"),
    "annual_volatility": ("%", "a year"),
    "sharpe": ("", "ratio, of a year"),
    "sortino": ("", "ratio, of a year"),
    "max_drawdown": ("%", "below the highest equity before"),
    "calmar": ("", "ratio: annual return to deepest drawdown"),
    "omega": ("", "ratio: gains to losses, of days"),
    "tail_ratio": ("", "ratio: 95th percentile of days to the 5th"),
    "value_at_risk": ("%", "of a day: one of twenty was worse"),
    "conditional_value_at_risk": ("%", "of a day: mean of the worst of twenty"),
    "downside_risk": ("%", "a year"),
    "stability": ("", "0 to 1: how straight equity grew or fell"),
    "win_rate": ("%", "of round trips"),
    "profit_factor": ("", "ratio: what was won to what was lost"),
    "average_trade": ("₹", "a round trip, after costs"),
    "average_win": ("₹", "a round trip that won"),
    "average_loss": ("₹", "a round trip that lost"),
    "best_trade": ("₹", "after costs"),
    "worst_trade": ("₹", "after costs"),
    "exposure": ("%", "of bars with a position"),
    "days": ("days", "with bars"),
}
"""By name: the unit (empty of a ratio), and what the figure is of."""
NAMES = tuple(_OF)


def shown(name: str, value: float | None) -> str:
    """The value with its unit: `-2.68%`, `₹-85.20`, `0.233`, `79`; a dash where there is none."""
    unit, _ = _OF[name]
    if value is None or value != value:
        return "–"
    if unit == "%":
        return f"{value:.2%}"
    if unit == "₹":
        return f"₹{value:,.2f}"
    return f"{value:,.0f}" if unit == "days" else f"{value:,.3f}"


def meaning(name: str) -> str:
    """What the figure is of, in a few words."""
    return _OF[name][1]


def row(name: str, value: float | None) -> list[str]:
    """Name, value with its unit, and what it is of: a line of a table."""
    return [name.replace("_", " "), shown(name, value), meaning(name)]
