"""Corrections of positions that two reads prove: newest owners lose what is gone, the rest is unmanaged."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.reconcile import gone_units, startup
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Position
from mytrading.messages.reports import BooksRead


def correct_positions(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    """Correct the positions of a key to the broker's `net` (signed units); units no strategy owns become unmanaged."""
    holders = oms.state.owner_positions(key)
    owned = sum(position.quantity for position in holders)
    covered = min(owned, max(net, 0)) if owned >= 0 else max(owned, min(net, 0))
    excess = abs(owned) - abs(covered)
    found = gone_units.explain(oms, key, covered - owned, read) if excess else gone_units.Explained()
    book = _book_venue_square_off if oms.is_venue_square_off(key) else _reduce
    for position in sorted(holders, key=lambda p: (-p.opened_ns, p.strategy)):
        if cut := min(excess, abs(position.quantity)):
            excess -= cut
            book(oms, position, cut, found)
    record_unmanaged(oms, key, net - covered, 0.0 if covered else net_positions.broker_average_price(oms, key, read))


def record_unmanaged(oms: OrderDecision, key: NetKey, quantity: int, average_price: float) -> None:
    """Record the unmanaged quantity (signed units) of a key, if it changed."""
    known = oms.state.unmanaged.get(key)
    before = known.quantity if known else 0
    if quantity == before:
        return
    since = (known.since_ns or known.at_ns) if known is not None and before * quantity > 0 else oms.now
    row = UnmanagedChanged(**key._asdict(), quantity=quantity, average_price=average_price, at_ns=oms.now)
    oms.emit(replace(row, since_ns=since))


def _reduce(oms: OrderDecision, position: Position, cut: int, found: gone_units.Explained) -> None:
    units = -cut if position.quantity > 0 else cut
    gone_units.take_off(oms, position, units, found, "correction")
    what = f"{position.strategy} held {position.quantity} of {position.instrument}, the broker shows {cut} fewer"
    oms.alert(EventAlert.POSITION_CORRECTED, Severity.CRITICAL, position.strategy, f"{what}; {_priced(found)}")
    startup.record_difference(oms, position.account, "corrected", what)


def _priced(found: gone_units.Explained) -> str:
    if found.price:
        return f"trades that are not ours closed them at {found.price:g}, which counts for the day"
    return "no trade tells their price: the last one judged counts for the day, marked as a guess"


CAUSE = "venue_square_off"


def _book_venue_square_off(oms: OrderDecision, position: Position, cut: int, found: gone_units.Explained) -> None:
    """Book that the venue took `cut` units off a position, with their profit: by its trades, else estimated."""
    units = -cut if position.quantity > 0 else cut
    what = f"the venue squared off {cut} units of {position.strategy} in {position.instrument}"
    text = f"{what} at {found.price:g}; our own square-off had not closed them"
    if not found.price:
        text = f"{what}, at a price that the trade book does not tell: the last one judged counts, marked as a guess"
    gone_units.take_off(oms, position, units, found, CAUSE)
    oms.alert(EventAlert.VENUE_SQUARE_OFF, Severity.WARNING, f"{position.strategy} {position.instrument}", text)
    startup.record_difference(oms, position.account, "corrected", what)
