"""Shares held for delivery, which leave the broker's position book overnight and stand in its holdings.

Of what was held as CNC when the day began, as much is taken as still there as explains the difference, and never more;
a sale of today shows as a net below it.
"""

from __future__ import annotations

from mytrading.core.oms.state.state import State
from mytrading.messages.keys import NetKey


def shown(state: State, key: NetKey, net: int) -> int:
    """The net of a position book, with what may have gone into the holdings: signed units, at most what is ours."""
    delivered = state.delivered.get(key) or 0
    return net + min(delivered, max(ours(state, key) - net, 0))


def ours(state: State, key: NetKey) -> int:
    """What strategies own of a key, and what is there unmanaged."""
    unmanaged = state.unmanaged.get(key)
    return sum(position.quantity for position in state.holders(key)) + (unmanaged.quantity if unmanaged else 0)


def is_untouched(state: State, key: NetKey) -> bool:
    """True of shares delivered overnight of which nothing moved today by our books; a sale would be a row."""
    delivered = state.delivered.get(key) or 0
    return 0 < delivered == ours(state, key)
