"""The rate budget: how many calls fit now, within any rolling window and any calendar second.

Both limits hold, so a burst at the end of one second and another at the start of the next never reach the exchange
together.
"""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.core.time import SECOND


def room(stamps: Sequence[int], now: int, limit: int, window: int = SECOND) -> int:
    """How many calls may be made at `now`; `stamps` are the ascending times (ns) of those already made."""
    second = now // SECOND
    rolling = calendar = 0
    for stamp in reversed(stamps):
        if stamp <= now - window and stamp // SECOND < second:
            break
        rolling += stamp > now - window
        calendar += stamp // SECOND >= second
    return max(0, limit - max(rolling, calendar))


def remember(stamps: tuple[int, ...], now: int, keep: int) -> tuple[int, ...]:
    """The stamps with one more call; only the newest `keep` can ever matter."""
    return (*stamps, now)[-keep:]
