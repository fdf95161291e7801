"""The rate budget: calls that fit now, within any rolling window and within the calendar second."""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.core.time import SECOND


def calls_left(stamps: Sequence[int], now: int, limit: int, window: int = SECOND) -> int:
    """Return how many calls the limit allows at `now`; `stamps`: ascending times of earlier calls, all in ns."""
    second = now // SECOND
    rolling = calendar = 0
    for stamp in reversed(stamps):
        if stamp <= now - window and stamp // SECOND < second:
            break
        rolling += stamp > now - window
        calendar += stamp // SECOND >= second
    return max(0, limit - max(rolling, calendar))
