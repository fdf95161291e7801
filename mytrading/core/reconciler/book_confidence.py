"""Confidence of positions and accounts: a position by the last net the broker showed, an account against its reads.

A book that was never read, or not lately, makes everything of its account STALE; only a comparison can make a position
DISPUTED.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.time import SECOND
from mytrading.messages.enums import Confidence
from mytrading.messages.reports import AccountHealth

ORDERS_STALE_NS = 30 * SECOND
POSITIONS_STALE_NS = 150 * SECOND
"""Machine time; positions are read once a minute, so this is two reads missed."""

_DOUBT = {Confidence.CONFIRMED: 0, Confidence.STALE: 1, Confidence.DISPUTED: 2}


def least_confidence(levels: Iterable[Confidence]) -> Confidence:
    """Return the lowest of these confidences; CONFIRMED if there are none."""
    return max(levels, key=_DOUBT.__getitem__, default=Confidence.CONFIRMED)


def lower_confidence(one: Confidence, other: Confidence) -> Confidence:
    """Return the lower of two confidences."""
    return other if _DOUBT[other] > _DOUBT[one] else one


def account_confidence(health: AccountHealth | None, machine_ns: int) -> Confidence:
    """Return the confidence in an account's books: STALE if never read completely or too long ago, else CONFIRMED."""
    if health is None or not health.books_agree:
        return Confidence.STALE
    orders, positions = health.last_orders_machine_ns, health.last_positions_machine_ns
    late = orders and machine_ns - orders > ORDERS_STALE_NS
    late = late or (positions and machine_ns - positions > POSITIONS_STALE_NS)
    return Confidence.STALE if late else Confidence.CONFIRMED
