"""Numbers of a server as prices and counts: what lies beyond anything traded is not known.

Servers send text, sentinels of empty book sides (21474836.47), and, when broken, `"nan"` or 1e300. What leaves here is
finite, and an integer fits every encoding.
"""

from __future__ import annotations

MOST_PRICE = 1e9
"""Rupees: a thousand times the dearest unit of anything that is traded."""
MOST_COUNT = 1 << 53
"""Units, either way: beyond it a float no longer holds every integer."""
MOST_ID = 100
"""Characters of an order's or an instrument's name."""
_LAST_NS = 1 << 62


def price_of(value: float | None) -> float | None:
    """Return a server's price in rupees, None if missing, not above 0 or impossibly high. Budget: 100 ns."""
    return value if value is not None and 0.0 < value <= MOST_PRICE else None


def count_of(value: float | None) -> int | None:
    """Return a server's count of units, None if missing, below 0 or impossibly high. Budget: 150 ns."""
    return int(value) if value is not None and 0.0 <= value <= MOST_COUNT else None


def time_of(nanoseconds: int) -> int | None:
    """Return a server's ns since 1970 unchanged; None if 0, negative or beyond the year 2116."""
    return nanoseconds if 0 < nanoseconds < _LAST_NS else None
