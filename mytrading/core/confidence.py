"""How sure we are of what is held: a position against the last net the broker showed, an account against its reads.

Used by risk, which admits no entry on doubt, and by the gateway, which shows it. The one rule: a book that was never
read, or not lately, makes everything of its account STALE; only a comparison can make a position DISPUTED.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.messages.enums import Confidence
from mytrading.messages.reports import AccountHealth

SECOND = 1_000_000_000
ORDERS_STALE_NS = 30 * SECOND
POSITIONS_STALE_NS = 150 * SECOND
"""Machine time; positions are read once a minute, so this is two reads missed."""

_DOUBT = {Confidence.CONFIRMED: 0, Confidence.STALE: 1, Confidence.DISPUTED: 2}


def least(levels: Iterable[Confidence]) -> Confidence:
    """The least sure of these; CONFIRMED if there are none."""
    return max(levels, key=_DOUBT.__getitem__, default=Confidence.CONFIRMED)


def of_account(health: AccountHealth | None, machine_ns: int) -> Confidence:
    """STALE if the books of an account were never read whole, or too long ago. A dry run has none that could age."""
    if health is None or not health.books_agree:
        return Confidence.STALE
    reads = ((health.last_orders_machine_ns, ORDERS_STALE_NS), (health.last_positions_machine_ns, POSITIONS_STALE_NS))
    late = any(at and machine_ns - at > limit for at, limit in reads)
    return Confidence.STALE if late else Confidence.CONFIRMED
