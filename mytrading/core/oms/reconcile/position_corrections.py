"""What two reads have proven of a position is booked: owners lose what is gone, and what is nobody's is unmanaged.

The broker's net is met in full, newest owner first, and every unit that is taken off is told.
"""

from __future__ import annotations

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.evidence import overnight, venue_square_off
from mytrading.core.oms.operator import claims
from mytrading.core.oms.recovery import startup
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Position
from mytrading.messages.reports import BooksRead


def correct(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    """Make owned and unmanaged units of a key add up to the broker's net (signed units)."""
    holders = oms.state.holders(key)
    owned = sum(position.quantity for position in holders)
    covered = min(owned, max(net, 0)) if owned >= 0 else max(owned, min(net, 0))
    excess = abs(owned) - abs(covered)
    for position in sorted(holders, key=lambda p: (-p.opened_ns, p.strategy)):
        cut = min(excess, abs(position.quantity))
        if cut:
            excess -= cut
            if oms.in_venue_square_off(key):
                venue_square_off.closed(oms, position, cut, read)
            else:
                _reduce(oms, position, cut)
    claims.leave_unmanaged(oms, key, net - covered, 0.0 if covered else overnight.average(key, read))


def _reduce(oms: OrderDecision, position: Position, cut: int) -> None:
    units = -cut if position.quantity > 0 else cut
    corrected = position_ledger.correct(position, position.quantity + units, oms.now)
    oms.adjusted(corrected, "correction", units)
    what = f"{position.strategy} held {position.quantity} of {position.instrument}, the broker shows {cut} fewer"
    oms.alert("POSITION_CORRECTED", Severity.CRITICAL, position.strategy, what)
    startup.note(oms, position.account, "corrected", what)
