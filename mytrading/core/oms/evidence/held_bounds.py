"""What the broker can hold of a key by its newest position book: the ledger's interval, and what of it is missing.

Used by every exit before it leaves, by the comparison of positions, and by what proves the end of an order. An order
under way can add units or take some; a book inside that interval says nothing against the ledger. A book that was not
answered, is empty with nothing to confirm it, or hides a row of the key, bounds nothing. What was carried into the day
counts as missing until a book of today has told of it: the venue may have closed it while nobody looked.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.oms.evidence import carried_units, missing_units, net_positions, unread_rows
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import RESTING, SENT, is_untriggered_stop, unfilled_quantity
from mytrading.messages.account_events import HeldShort
from mytrading.messages.enums import Product
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Goal, Order, Position
from mytrading.messages.reports import BooksRead
from mytrading.messages.run_config import UnknownExit


class UnderWay(NamedTuple):
    """Units that orders of a key, unconfirmed as yet, may have bought and sold."""

    bought: int
    sold: int


def units_under_way(oms: OrderDecision, key: NetKey, but: str = "") -> UnderWay:
    """Return what the orders of a key may have traded unconfirmed, without order `but`. A stop that rests untriggered
    has not: its row says so in the same reads."""
    units = {1: 0, -1: 0}
    for order in oms.open_orders(key):
        if order.client_order_id != but and _may_have_filled(order):
            units[order.side.sign] += unfilled_quantity(order)
    return UnderWay(units[1], units[-1])


def _may_have_filled(order: Order) -> bool:
    rests = is_untriggered_stop(order) and order.state in RESTING and not order.evidence.end
    return order.filled_seen > order.filled or (order.state in SENT and not rests)


def shown_net(oms: OrderDecision, key: NetKey, read: BooksRead) -> int | None:
    """Return the signed units of a key by the position book of a read, with what that need not list; None if the book
    bounds nothing: it is void, from before our last fill, hides a row of the key or may lack it."""
    if read.positions is None or (oms.state.filled_at.get(key) or 0) >= read.began_machine_ns:
        return None
    if unread_rows.hides_position(key.instrument, read) or not _tells(oms, key, read):
        return None
    return net_positions.net_with_unlisted(oms, key, net_positions.broker_net(key, read))


def _tells(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the book says what is held of the key; an empty one does beside live funds, or where it agrees."""
    if missing_units.tells_net(oms, key, read):
        return True
    flat = net_positions.ledger_net(oms.state, key) == 0
    return flat and read.positions == () and missing_units.tells_beside_others(oms, key, read)


def note_missing_units(oms: OrderDecision, read: BooksRead) -> None:
    """Record, for each key of strategies, how many of their units a read lacks that no order under way can have taken;
    an empty or hidden book leaves what is known, and is read again while an exit waits."""
    keys = {key for table in (oms.state.owners, oms.state.short) for key in table if key.account == read.account}
    for key in sorted(keys):
        known = oms.state.short.get(key)
        if (known is not None or is_untold(oms, key)) and _cannot_tell(oms, key, read):
            _record(oms, key, 0, 0, 0, read)  # what is unknown by such a row or book alone holds nothing back
        elif (net := shown_net(oms, key, read)) is not None:
            _record(oms, key, net, *_missing(oms, key, net), read)


def _cannot_tell(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if a book that was answered hides the key, or may lack it by the table of brokers."""
    if read.positions is None:
        return False
    hidden = unread_rows.hides_position(key.instrument, read)
    return hidden or (is_untold(oms, key) and not missing_units.tells_beside_others(oms, key, read))


def is_untold(oms: OrderDecision, key: NetKey) -> bool:
    """True if strategies hold units of a key that the day began with, and no position book of today has told of it;
    delivered shares are in none."""
    if key in oms.state.told or key.product is Product.CNC:
        return False
    return carried_units.is_carried(oms, key)


def unshown_units(oms: OrderDecision, key: NetKey) -> int:
    """Return how many carried units of a key (unsigned) no position book of today has shown: a stop that were placed
    for them could open a position. What a book shows counts as of today as far as orders of today can have added it.

    Delivered shares are in no position book, and are unshown only where that denies them."""
    if key in oms.state.agreed_today or not (units := abs(carried_units.carried_units(oms, key))):
        return 0
    short, mismatch = oms.state.short.get(key), oms.state.mismatches.get(key)
    sign = 1 if missing_units.owned_units(oms, key) > 0 else -1
    if is_untold(oms, key) or (mismatch is not None and mismatch.broker * sign <= 0):
        return units
    return max(0, units - max(0, short.shown * sign - _added_today(oms, key, sign))) if short is not None else 0


def _added_today(oms: OrderDecision, key: NetKey, sign: int) -> int:
    """The most units that orders of today can have added to a key on the side of `sign`, less what they closed."""
    filled = sum(o.filled * o.side.sign for o in net_positions.filled_today(oms, key) if o.net == key)
    moving = units_under_way(oms, key)
    return filled * sign + (moving.bought if sign > 0 else moving.sold)


def unshown_of(oms: OrderDecision, position: Position) -> int:
    """Return how many units (unsigned) of a position are carried ones that no position book of today has shown."""
    if not oms.state.begun or not (units := unshown_units(oms, position.net)):
        return 0
    holders = newest_first(oms, position.net)
    return next(
        (cut for held, cut in zip(holders, _unshown(oms, holders, units), strict=True) if held.owner == position.owner),
        0,
    )


def unguardable_units(oms: OrderDecision, position: Position) -> int:
    """Return how many units (unsigned) of a position no new stop may guard: those that no book of today has shown, and
    of MIS, which ends with its day, what an order of an earlier day was sighted to fill and nothing has confirmed."""
    unshown = unshown_of(oms, position)
    if position.product is not Product.MIS or position.quantity == position.quantity_seen or not oms.state.carried:
        return unshown
    mine = (order for order in oms.open_orders(position.net) if order.owner == position.owner)
    adding = (order for order in mine if order.side.sign * position.quantity_seen > 0)
    return unshown + sum(max(0, o.filled_seen - o.filled) for o in adding if oms.is_of_earlier_day(o))


def newest_first(oms: OrderDecision, key: NetKey) -> list[Position]:
    """Return the positions of a key in the order in which they lose units."""
    return sorted(oms.state.owner_positions(key), key=lambda held: (-held.opened_ns, held.strategy))


def _unshown(oms: OrderDecision, holders: list[Position], units: int) -> list[int]:
    """Share `units` that no book of today has shown among what each of these owners did not buy or sell today."""
    shares = []
    for held in holders:
        todays = (order for order in net_positions.filled_today(oms, held.net) if order.owner == held.owner)
        before = held.quantity - sum(order.filled * order.side.sign for order in todays)
        most = min(abs(before), abs(held.quantity)) if before * held.quantity > 0 else 0
        shares.append(min(units, most))
        units -= shares[-1]
    return shares


def _missing(oms: OrderDecision, key: NetKey, net: int) -> tuple[int, int]:
    """Units of strategies that the broker's net lacks and nothing explains, and all that it lacks; units of nobody are
    the first that are gone."""
    owned = missing_units.owned_units(oms, key)
    sign, ledger = 1 if owned > 0 else -1, net_positions.ledger_net(oms.state, key)
    moving = units_under_way(oms, key)
    lacks = (ledger - net) * sign - max(0, (ledger - owned) * sign)
    taken = moving.sold if sign > 0 else moving.bought
    return min(abs(owned), max(0, lacks - taken)), min(abs(owned), max(0, lacks))


def _record(oms: OrderDecision, key: NetKey, net: int, missing: int, lacks: int, read: BooksRead) -> None:
    """The time counts on while orders of ours explain what lacks, or a stop placed meanwhile would begin it anew; more
    that lacks begins it."""
    known = oms.state.short.get(key)
    same = (known.missing, known.shown, known.lacks) == (missing, net, lacks) if known is not None else not lacks
    if same and not is_untold(oms, key):
        return
    since = known.since_machine_ns if known is not None and lacks <= known.lacks else read.ended_machine_ns
    row = HeldShort(**key._asdict(), missing=missing, shown=net, lacks=lacks, since_machine_ns=since, at_ns=oms.now)
    oms.emit(row)


def missing_of(oms: OrderDecision, position: Position) -> int:
    """Return the units of a position that the newest book lacks, shared among owners as by a correction."""
    if not oms.state.short or (short := oms.state.short.get(position.net)) is None:
        return 0
    units = _missing_by_now(oms, short)
    return next((cut for holder, cut in lost_by_owners(oms, position.net, units) if holder.owner == position.owner), 0)


def _missing_by_now(oms: OrderDecision, short: HeldShort) -> int:
    """Units that the newest book lacks and nothing explains any more: an order that was under way then may have ended
    without a fill. Once the ledger has changed the next read tells."""
    missing, lacks = _missing(oms, short.net, short.shown)
    return missing if lacks == short.lacks else short.missing


def lost_by_owners(oms: OrderDecision, key: NetKey, units: int) -> list[tuple[Position, int]]:
    """Return which positions of a key lose how many of `units` (unsigned) that the broker does not hold: carried ones
    that no book of today has shown, then the newest, but none those that its own orders under way may have taken before
    all others have lost theirs."""
    newest = newest_first(oms, key)
    unshown = _unshown(oms, newest, unshown_units(oms, key))
    free = [max(0, abs(held.quantity) - _taken_by_own(oms, held)) for held in newest]
    cuts = [0] * len(newest)
    for most in (unshown, free, [abs(held.quantity) for held in newest]):
        for place, bound in enumerate(most):
            cut = min(units, max(0, bound - cuts[place]))
            cuts[place] += cut
            units -= cut
    return [(held, cut) for held, cut in zip(newest, cuts, strict=True) if cut]


def _taken_by_own(oms: OrderDecision, held: Position) -> int:
    orders = (order for order in oms.open_orders(held.net) if order.owner == held.owner)
    closing = (order for order in orders if order.side.sign * held.quantity < 0 and _may_have_filled(order))
    return sum(unfilled_quantity(order) for order in closing)


def unproven_units(oms: OrderDecision, position: Position) -> int:
    """Return the units of a position that the newest book lacks, or carried ones that no book of today has shown: an
    order of another owner that may have taken units explains none of those."""
    return max(missing_of(oms, position), unshown_of(oms, position))


def units_held_back(oms: OrderDecision, goal: Goal, position: Position) -> int:
    """Return the units that no exit of a goal may take now, as the broker may not hold them: for `held_back` at most,
    and without end where `unknown_exit` lets an operator decide."""
    if not (units := unproven_units(oms, position)):
        return 0
    short = oms.state.short.get(position.net)
    since = max(short.since_machine_ns if short is not None else 0, goal.opened_machine_ns)
    waits = oms.limits.unknown_exit is UnknownExit.WAIT or oms.machine - since < oms.limits.held_back
    return units if waits else 0


def describe_missing(oms: OrderDecision, goal: Goal) -> str:
    """Return in words what the position book shows of a key that it lacks units of; empty if it lacks none."""
    if (short := oms.state.short.get(goal.net)) is None:
        what = f"{goal.instrument} {goal.product}, which was carried into the day"
        return f"no position book of today has told of {what}" if is_untold(oms, goal.net) else ""
    shown = f"the position book shows {short.shown} of {goal.instrument} {goal.product}"
    return f"{shown}, {short.missing} fewer than are known here, and no order of ours explains it"


def bears_out_end(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if the position book agrees that an ended order filled no more than is known: its net lies in what the
    ledger and the other orders under way explain.

    So it does after `held_back` without an answer, and at once where the book cannot tell: a row of it is unreadable,
    or it may lack the key by the table of brokers."""
    if read.began_machine_ns - order.evidence.seen_machine_ns >= oms.limits.held_back:
        return True
    key = order.net
    if read.positions and (
        unread_rows.hides_position(key.instrument, read) or not missing_units.tells_beside_others(oms, key, read)
    ):
        return True
    if (net := shown_net(oms, key, read)) is None:
        return False
    short = oms.state.short.get(key)
    if short is not None and short.shown == net and short.since_machine_ns <= order.call.began_machine_ns:
        return True  # that was lacking before this order was sent
    moving, ledger = units_under_way(oms, key, order.client_order_id), net_positions.ledger_net(oms.state, key)
    return ledger - moving.sold <= net <= ledger + moving.bought
