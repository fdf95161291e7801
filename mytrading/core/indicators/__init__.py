"""Indicators: one causal kernel each, over whole arrays, used live and in backtests alike.

`f(x[:k + 1])[k] == f(x)[k]` holds bit for bit for every kernel, so a backtest computes an indicator once and live
trading recomputes it from the same first bar. A kernel never looks ahead and never keeps state.
"""

from mytrading.core.indicators.catalogue import BUILT_IN
from mytrading.core.indicators.kernels import FloatArray, Indicator

__all__ = ["BUILT_IN", "FloatArray", "Indicator"]
