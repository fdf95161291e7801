"""Corrections of positions that two reads prove: newest owners lose what is gone, the rest is unmanaged."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import carried_units, held_bounds, missing_units, net_positions
from mytrading.core.oms.reconcile import expiries, gone_units, short_delivery, startup
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.account_events import MismatchSeen, UnmanagedChanged
from mytrading.messages.enums import Confidence, Product, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Position
from mytrading.messages.reports import BooksRead


def correct_positions(oms: OrderDecision, key: NetKey, net: int, read: BooksRead, unknown: int = 0) -> None:
    """Correct the positions of a key to the broker's `net` (signed units); units no strategy owns become unmanaged,
    of which the day began with `unknown` (signed) that nothing told of before."""
    carried = abs(carried_units.carried_units(oms, key))
    ended_with_its_day = carried > 0 and key.product is Product.MIS
    left = missing_units.net_left_by_orders(oms, key, net, read)
    traded = abs(net_positions.ledger_net(oms.state, key) - left)
    cuts = cuts_of_owners(oms, key, net)
    signed = -1 if sum(position.quantity for position, _ in cuts) > 0 else 1
    lost = sum(cut for _, cut in cuts)
    by_trades = lost - min(carried, max(0, lost - traded))
    told = gone_units.explain(oms, key, signed * by_trades, read) if by_trades else gone_units.Explained()
    for position, cut in cuts:
        sign = -1 if position.quantity > 0 else 1
        untraded = min(carried, max(0, cut - traded))
        carried, traded = carried - untraded, max(0, traded - cut)
        found = gone_units.Explained() if untraded else told
        untraded = 0 if unknown else untraded  # what the day began with is put right by those units alone
        if net_positions.is_settled_by_now(oms, key.instrument):
            expiries.book(oms, position, sign * cut, sign * untraded, read)
        elif ended_with_its_day or oms.is_venue_square_off(key):
            _book_venue_square_off(oms, position, sign * cut, sign * untraded, found)
        else:
            _reduce(oms, position, sign * cut, sign * untraded, found)
    owned = missing_units.owned_units(oms, key)
    covered = min(owned, max(net, 0)) if owned >= 0 else max(owned, min(net, 0))
    average_price = 0.0 if covered else net_positions.broker_average_price(oms, key, read)
    record_unmanaged(oms, key, net - covered, average_price, unknown)


def end_mismatch(oms: OrderDecision, mismatch: MismatchSeen) -> None:
    """End a dispute between position book and ledger: what strategies hold of the key is certain again."""
    oms.emit(replace(mismatch, cleared=True, contradicted=False, unproven=False))
    mark_positions(oms, mismatch.net, Confidence.CONFIRMED)


def mark_positions(oms: OrderDecision, key: NetKey, confidence: Confidence) -> None:
    """Give all positions of a key this confidence."""
    for position in oms.state.owner_positions(key):
        if position.confidence is not confidence:
            oms.emit_position(replace(position, confidence=confidence, updated_ns=oms.now))


def cuts_of_owners(oms: OrderDecision, key: NetKey, net: int) -> list[tuple[Position, int]]:
    """Return the positions of a key that lose units where the broker's net is `net` (signed), each with how many
    (unsigned)."""
    holders = oms.state.owner_positions(key)
    owned = sum(position.quantity for position in holders)
    excess = abs(owned) - (min(abs(owned), abs(net)) if owned * net > 0 else 0)
    return held_bounds.lost_by_owners(oms, key, excess)


def record_unmanaged(oms: OrderDecision, key: NetKey, quantity: int, average_price: float, carried: int = 0) -> None:
    """Record the unmanaged quantity (signed units) of a key, if it changed; units that are sold are alerted, since the
    price may rise without end. `carried`: those added that the day began with."""
    known = oms.state.unmanaged.get(key)
    before = known.quantity if known else 0
    if quantity == before:
        return
    since = (known.since_ns or known.at_ns) if known is not None and before * quantity > 0 else oms.now
    row = UnmanagedChanged(**key._asdict(), quantity=quantity, average_price=average_price, at_ns=oms.now)
    oms.emit(replace(row, since_ns=since, carried=carried))
    if quantity < before:
        short_delivery.alert_sold_beyond_held(oms, key, quantity, is_bought_back=False)
    if quantity < min(before, 0):
        _alert_short(oms, key, quantity)


def _alert_short(oms: OrderDecision, key: NetKey, quantity: int) -> None:
    traded = net_positions.filled_today(oms, key)
    what = f"{quantity} of {key.instrument} {key.product} in {key.account} belong to no owner and have no stop"
    if traded:
        what = f"{what}; orders of ours filled there today, so compare the trades at the broker"
    cure = f"buy them back with `mytrading positions close {key.instrument} --unmanaged`"
    if absent := short_delivery.held_under_other_name(oms, key, quantity):
        cure = f"account {absent} is not in this run and holds them: if it was renamed to {key.account}, buy nothing"
        cure = f"{cure} back, and `mytrading positions settle {key.instrument} --account {absent}`"
    text = f"{what}; {cure}, or give them to a strategy (`mytrading positions claim`)"
    oms.alert(StateAlert.UNMANAGED_SHORT, Severity.CRITICAL if traded else Severity.WARNING, alert_subject(key), text)


def alert_subject(key: NetKey) -> str:
    """Return the subject of an alert about a net position key."""
    return f"{key.account} {key.instrument} {key.product}"


def _reduce(oms: OrderDecision, position: Position, units: int, untraded: int, found: gone_units.Explained) -> None:
    gone_units.take_off(oms, position, units, found, "correction", untraded)
    what = f"{position.strategy} held {position.quantity} of {position.instrument}, the broker shows {abs(units)} fewer"
    oms.alert(EventAlert.POSITION_CORRECTED, Severity.CRITICAL, position.strategy, f"{what}; {_priced(found)}")
    startup.record_difference(oms, position.account, "corrected", what)


def _priced(found: gone_units.Explained) -> str:
    if found.price:
        return f"trades that are not ours closed them at {found.price:g}, which counts for the day"
    return "no trade tells their price: the last one judged counts for the day, marked as a guess"


CAUSE = "venue_square_off"


def _book_venue_square_off(
    oms: OrderDecision, position: Position, units: int, untraded: int, found: gone_units.Explained
) -> None:
    """Book that the venue moved a position by `units` (signed), with their profit: by its trades, else estimated."""
    what = f"the venue squared off {abs(units)} units of {position.strategy} in {position.instrument}"
    text = f"{what} at {found.price:g}; our own square-off had not closed them"
    if not found.price:
        text = f"{what}, at a price that the trade book does not tell: the last one judged counts, marked as a guess"
    gone_units.take_off(oms, position, units, found, CAUSE, untraded)
    oms.alert(EventAlert.VENUE_SQUARE_OFF, Severity.WARNING, f"{position.strategy} {position.instrument}", text)
    startup.record_difference(oms, position.account, "corrected", what)
