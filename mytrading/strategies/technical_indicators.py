"""What authors need to add an indicator of their own.

    def midpoint(high, low, period):
        ...                                             # one value per bar, NaN where there is none yet

    class Mine(BaseStrategy):
        indicators = (Indicator("MIDPOINT", midpoint, lambda period: period - 1, ("high", "low"), {"period": 10}),)

A kernel is causal; its value at a bar may not depend on later bars.
"""

from mytrading.core.indicators import BUILT_IN, FloatArray, Indicator
from mytrading.core.indicators.kernels import ema, rsi, sma

__all__ = ["BUILT_IN", "FloatArray", "Indicator", "ema", "rsi", "sma"]
