"""Age of a quote: when it is too old to trade on."""

from __future__ import annotations

from mytrading.core.time import SECOND
from mytrading.messages.market import Quote

QUOTE_FLOOR_NS = 2 * SECOND
"""Machine time within which a quote is never stale: at a high market speed its market age says nothing."""


def is_stale(quote: Quote, now: int, machine_ns: int, limit_seconds: float) -> bool:
    """True if a quote is too old to trade on: in market time beyond the limit, and in machine time beyond 2 s."""
    return now - quote.market_ns > limit_seconds * SECOND and machine_ns - quote.received_ns > QUOTE_FLOOR_NS
