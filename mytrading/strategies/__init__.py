"""What an author of a strategy imports, and nothing else of the project.

from mytrading.strategies import Bar, BaseStrategy, Signal
"""

from mytrading.messages.market import Bar, Quote
from mytrading.messages.signals import Leg
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.desk import IndicatorHandle
from mytrading.strategies.errors import ParameterError, StrategyError
from mytrading.strategies.leg_words import future, option
from mytrading.strategies.technical_indicators import Indicator
from mytrading.strategies.views import EntryView, PositionView
from mytrading.strategies.whole_bars import WholeBars, Wishes, crosses_above, crosses_below
from mytrading.strategies.wish_rules import Outgoing, WishRule
from mytrading.strategies.wishes import Wish

Signal = Wish
"""What `create_signal` returns, as authors call it."""

__all__ = [
    "Bar",
    "BaseStrategy",
    "EntryView",
    "Indicator",
    "IndicatorHandle",
    "Leg",
    "Outgoing",
    "ParameterError",
    "PositionView",
    "Quote",
    "Signal",
    "StrategyError",
    "WholeBars",
    "Wish",
    "WishRule",
    "Wishes",
    "crosses_above",
    "crosses_below",
    "future",
    "option",
]
