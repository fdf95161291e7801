"""Has the Supertrend turned against a run? Judged on confirmed bars alone.

A bar that had ended before the entry ends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mytrading.core.indicators.supertrend import supertrend, warm
from mytrading.messages.exit_rules import TrendExit, TrendRule
from mytrading.messages.market import Bar

__all__ = ["TrendTurn", "turned", "warm"]


class TrendTurn(NamedTuple):
    """The close of the last bar, and the Supertrend's line there; rupees."""

    close: float
    line: float


def turned(bars: Sequence[Bar], rule: TrendRule, opened_ns: int) -> TrendTurn | None:
    """The turn that ends a run opened at market time `opened_ns`, None if there is none. Bars in the order of time."""
    if len(bars) < rule.period or bars[-1].end_ns <= opened_ns:
        return None
    table = np.array([(bar.high, bar.low, bar.close) for bar in bars])
    high, low, close = (np.ascontiguousarray(column) for column in table.T)
    line, direction = supertrend(high, low, close, rule.period, rule.multiplier)
    wanted = 1 if rule.exit is TrendExit.BREAKOUT else -1
    if direction[-1] != wanted or (rule.require_cross and not _crossed(bars, direction.tolist(), wanted, opened_ns)):
        return None
    return TrendTurn(float(close[-1]), float(line[-1]))


def _crossed(bars: Sequence[Bar], direction: list[int], wanted: int, opened_ns: int) -> bool:
    """True if the direction became `wanted` with a bar that ended after the entry."""
    return any(
        direction[at] == wanted and direction[at - 1] == -wanted and bars[at].end_ns > opened_ns
        for at in range(1, len(bars))
    )
