"""What two reads have proven of a position is booked: owners lose what is gone, and what is nobody's is unmanaged.

Used by `books`, and by `unknown` where a stranger's trades explain what an order of unknown fate left open. The one
rule: the broker's net is met in full, newest owner first, and every unit that is taken off is told.
"""

from __future__ import annotations

from mytrading.core.money import positions
from mytrading.core.oms import claims, overnight, recovery, venue
from mytrading.core.oms.draft import Draft
from mytrading.core.oms.state import Key
from mytrading.messages.enums import Severity
from mytrading.messages.orders import Position
from mytrading.messages.reports import BooksRead


def correct(draft: Draft, key: Key, net: int, read: BooksRead) -> None:
    """Make owned and unmanaged units of a key add up to the broker's net (signed units)."""
    holders = draft.state.holders(key)
    owned = sum(position.quantity for position in holders)
    covered = min(owned, max(net, 0)) if owned >= 0 else max(owned, min(net, 0))
    excess = abs(owned) - abs(covered)
    for position in sorted(holders, key=lambda p: (-p.opened_ns, p.strategy)):
        cut = min(excess, abs(position.quantity))
        if cut:
            excess -= cut
            if draft.hushed(key):
                venue.closed(draft, position, cut, read)
            else:
                _reduce(draft, position, cut)
    claims.leave_unmanaged(draft, key, net - covered, 0.0 if covered else overnight.average(key, read))


def _reduce(draft: Draft, position: Position, cut: int) -> None:
    units = -cut if position.quantity > 0 else cut
    corrected = positions.correct(position, position.quantity + units, draft.now)
    draft.adjusted(corrected, "correction", units)
    what = f"{position.strategy} held {position.quantity} of {position.instrument}, the broker shows {cut} fewer"
    draft.alert("POSITION_CORRECTED", Severity.CRITICAL, position.strategy, what)
    recovery.note(draft, position.account, "corrected", what)
