"""The names that authors of strategies import; they need no other module of the project.

from mytrading.strategies import Bar, BaseStrategy, Signal
"""

from mytrading.core.indicators import Indicator
from mytrading.messages.market import Bar, Quote
from mytrading.messages.signals import Leg
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.errors import ParameterError, StrategyError
from mytrading.strategies.rules import Outgoing, SignalRule
from mytrading.strategies.signals import StrategySignal, future, option
from mytrading.strategies.vectorized import VectorSignals, WholeBars, crosses_above, crosses_below
from mytrading.strategies.views import EntryView, LegGreeks, LegView, PositionView
from mytrading.strategies.workspace import IndicatorHandle

Signal = StrategySignal
"""The authors' name for the result of `create_signal`."""
Wish, WishRule, Wishes = StrategySignal, SignalRule, VectorSignals
"""Names of version 0.1, for one release."""

__all__ = [
    "Bar", "BaseStrategy", "EntryView", "Indicator", "IndicatorHandle", "Leg", "LegGreeks", "LegView", "Outgoing",
    "ParameterError", "PositionView", "Quote", "Signal", "SignalRule", "StrategyError", "StrategySignal",
    "VectorSignals", "WholeBars", "Wish", "WishRule", "Wishes", "crosses_above", "crosses_below", "future", "option",
]  # fmt: skip
