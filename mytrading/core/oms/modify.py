"""Changes of orders that rest: a wish, a modify call, and the read that proves it; or cancel, confirm, place.

Used by protection, goals and people's requests, which wish, and by `sending`, `outcomes` and `reality`, which carry a
wish on. The one rule: a change is done when the order book shows it, and never because a call said so.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.identity import client_order_id
from mytrading.core.oms import entries
from mytrading.core.oms.draft import Draft
from mytrading.core.oms.limits import SECOND, growing
from mytrading.core.oms.state import Owned, key_of
from mytrading.core.order import live
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Outcome, Purpose, Severity
from mytrading.messages.orders import CallOutcome, Order, OrderChanged
from mytrading.messages.reports import BooksRead, BrokerOrder

SAME = 1e-4
"""Rupees: prices that differ by less are one price; the finest tick is 0.0025."""
REPLACEMENT_VALID = 30 * SECOND
_NO_WISH = {
    "pending_modify": False,
    "wanted_price": 0.0,
    "wanted_trigger": 0.0,
    "wanted_quantity": 0,
    "modify_asked": False,
    "modify_reads": 0,
}
ENDED = {**_NO_WISH, "modifying": False}
"""What the end of an order makes of a change that was wanted."""


class Terms(NamedTuple):
    """What can be changed of an order: prices in rupees, units in all (filled ones included)."""

    price: float
    trigger: float
    quantity: int


def terms(order: Order) -> Terms:
    """The terms an order has, or is wished to have."""
    if order.pending_modify:
        return Terms(order.wanted_price, order.wanted_trigger, order.wanted_quantity)
    return Terms(order.price, order.trigger_price, order.quantity)


def under_way(order: Order) -> bool:
    """True while a call is out or unproven: until that is known nothing else can be wished."""
    return order.modifying or order.modify_asked


def wish(draft: Draft, order: Order, wanted: Terms) -> Order:
    """Want other terms for a live order; without effect while a change is under way.

    An order that has not left is changed at once, any other when it is known to rest: of that units are only taken.
    """
    if not live(order) or order.pending_cancel or under_way(order) or _equal(wanted, terms(order)):
        return order
    if order.state is OrderState.INITIALIZED:
        change = {"price": wanted.price, "trigger_price": wanted.trigger, "quantity": wanted.quantity}
        return draft.change(order, "changed", **change)
    if _equal(wanted, Terms(order.price, order.trigger_price, order.quantity)):
        return draft.change(order, "modify_dropped", **_NO_WISH)
    return draft.change(
        order,
        "modify_wanted",
        pending_modify=True,
        wanted_price=wanted.price,
        wanted_trigger=wanted.trigger,
        wanted_quantity=wanted.quantity,
    )


def can_be_made(draft: Draft, order: Order) -> bool:
    """True if a modify call may be made for the order now: its broker takes one, some are left, none was refused."""
    return _refusal(draft, order) == "" and order.modify_wait_ns <= draft.machine


def in_doubt(draft: Draft, order: Order) -> bool:
    """True while a call that was given up may still take effect, and undo a later one that asks for something else."""
    return bool(order.modify_doubt_ns) and draft.machine - order.modify_doubt_ns < draft.limits.lost_after


def _refusal(draft: Draft, order: Order) -> str:
    rules = draft.limits.modify_rules(order.account)
    if not rules.in_place:
        return "its broker changes no order in place"
    if order.modify_calls >= rules.most:
        return f"it was modified {order.modify_calls} times"
    if order.filled_seen and not rules.after_fill:
        return "its broker changes no order that has filled in part"
    return ""


def due(draft: Draft, order: Order) -> Order | None:
    """The order whose modify call is to be made, or (`pending_cancel`) that is cancelled instead; None if neither yet.

    What was to be left may have filled meanwhile; and where a call cannot be made the order is replaced.
    """
    if order.modify_wait_ns > draft.machine:
        return None
    if order.wanted_quantity <= order.filled_seen:
        done = draft.change(order, "modify_dropped", **_NO_WISH)
        entries.withdraw_one(draft, done, "withdrawn: as much as is still wanted has filled")
        return draft.order(order.client_order_id)
    why = _refusal(draft, order)
    if not why:
        return order
    if order.purpose.reduces:  # its goal or protection places the next one, by its own levels
        return draft.change(order, "replacing", pending_cancel=True, message=f"withdrawn: replaced, {why}", **_NO_WISH)
    return draft.change(order, "replacing", pending_cancel=True, replacing=True, message=f"replaced: {why}")


def succeed(draft: Draft, gone: Order) -> None:
    """An entry that was to be replaced is proven to be cancelled: place what of it was not filled."""
    wanted = Terms(gone.wanted_price, gone.wanted_trigger, gone.wanted_quantity)
    left = wanted.quantity - gone.filled
    if left <= 0:
        return
    number = gone.replaced + 1
    order = Order(
        client_order_id=_successor(gone),
        account=gone.account,
        instrument=gone.instrument,
        product=gone.product,
        strategy=gone.strategy,
        run=gone.run,
        cause=gone.cause,
        purpose=gone.purpose,
        side=gone.side,
        quantity=left,
        order_type=gone.order_type,
        state=OrderState.INITIALIZED,
        created_ns=draft.now,
        updated_ns=draft.now,
        price=wanted.price,
        trigger_price=wanted.trigger,
        reference_price=gone.reference_price,
        expires_ns=draft.now + REPLACEMENT_VALID,
        expires_machine_ns=draft.machine + REPLACEMENT_VALID,
        stop_trigger=gone.stop_trigger,
        stop_limit=gone.stop_limit,
        held_stop=gone.held_stop,
        held_target=gone.held_target,
        rests_until_ns=gone.rests_until_ns,
        parent=gone.parent,
        slice=gone.slice,
        replaces=gone.client_order_id,
        replaced=number,
        request=gone.request,
    )
    draft.emit(OrderChanged(event="initialized", order=order, machine_ns=draft.machine))
    draft.change(gone, "replaced", replacing=False, **ENDED)


def _successor(gone: Order) -> str:
    """The id of the order that takes the place of a replaced one."""
    return client_order_id(gone.account, gone.cause, gone.purpose, gone.client_order_id, 0, gone.replaced + 1)


def filled_late(draft: Draft, gone: Order, more: int) -> None:
    """A replaced entry filled further although its end was proven: what took its place asks for so much less."""
    order = draft.state.orders.get(_successor(gone)) if gone.purpose is Purpose.ENTRY else None
    if order is None or not live(order) or order.pending_cancel:
        return
    wanted = terms(order)
    if under_way(order) or wanted.quantity - more <= order.filled_seen:
        entries.withdraw_one(draft, order, f"withdrawn: the order it replaces filled {more} late")
    else:
        wish(draft, order, wanted._replace(quantity=wanted.quantity - more))


def answered(draft: Draft, order: Order, outcome: CallOutcome) -> None:
    """How a modify call ended: not made, refused, or something that only the order book can tell."""
    kind, ended = outcome.outcome, outcome.ended_machine_ns
    if kind in (Outcome.NOT_SENT, Outcome.RATE_LIMITED):
        event = "rate_limited" if kind is Outcome.RATE_LIMITED else "modify_not_sent"
        wait = max(outcome.retry_after_ns, draft.limits.retry_first)
        calls = max(0, order.modify_calls - 1)
        again = {"modifying": False, "modify_asked": False, "modify_calls": calls, "modify_wait_ns": ended + wait}
        draft.change(order, event, **again)
        return
    if kind is Outcome.REFUSED:
        _refused(draft, order, outcome)
    elif kind is Outcome.ACCEPTED and outcome.broker_order_id not in ("", order.broker_order_id):
        what = f"bound to broker order {order.broker_order_id}, but its modify answered {outcome.broker_order_id}"
        draft.illegal(order, what, modifying=False, modify_machine_ns=ended)
    else:
        message = outcome.message or order.message
        draft.change(order, "modify_answered", modifying=False, modify_machine_ns=ended, message=message)
    draft.read(order.account, "modify", positions=order.purpose.reduces)


def _refused(draft: Draft, order: Order, outcome: CallOutcome) -> None:
    limits = draft.limits
    wait = growing(limits.retry_most, limits.slow, order.modify_calls)
    until = outcome.ended_machine_ns + wait
    told = f"refused: {outcome.message}"
    draft.change(order, "modify_refused", message=told, modify_wait_ns=until, **ENDED)
    if order.purpose is Purpose.STOP:
        what = f"stop {order.broker_order_id} of {order.instrument} stays as it is: {outcome.message}"
        draft.alert("STOP_NOT_MOVED", Severity.WARNING, order.client_order_id, what)


def unanswered(draft: Draft, order: Order) -> None:
    """The process died while a modify call was out: reads begun from now on tell what became of it."""
    draft.change(order, "modify_unanswered", modifying=False, modify_machine_ns=draft.machine)


def read_back(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead) -> Order:
    """Compare a resting order with its row of an order book; what the book shows is what the order is."""
    if order.modifying or read.began_machine_ns <= order.modify_machine_ns:
        return order
    if row.status is BrokerStatus.COMPLETE:
        return _complete(draft, order, row)
    if row.status not in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING):
        return order
    if not order.modify_asked:
        return _drift(draft, order, row, read)
    if _shows(order, row, terms(order)):
        shown = terms(order)
        now = {"price": shown.price, "trigger_price": shown.trigger, "quantity": shown.quantity, "message": ""}
        return draft.change(order, "modified", **now, **_NO_WISH)
    return _unproven(draft, order, read)


def _complete(draft: Draft, order: Order, row: BrokerOrder) -> Order:
    """It filled as far as it goes, which may be less than is known here: somebody made it smaller before."""
    if not max(order.filled_seen, 1) <= row.quantity < order.quantity:
        return order
    if not order.modify_calls:
        _tell(draft, order, row)
    return draft.change(order, "modified", quantity=row.quantity)


def _shows(order: Order, row: BrokerOrder, wanted: Terms) -> bool:
    """True if a row has the wanted terms, as far as they are others than the order's and a broker shows them."""
    price = abs(wanted.price - order.price) < SAME or abs(row.price - wanted.price) < SAME
    triggered = row.status is not BrokerStatus.TRIGGER_PENDING
    trigger = triggered or abs(wanted.trigger - order.trigger_price) < SAME
    trigger = trigger or abs(row.trigger_price - wanted.trigger) < SAME
    return price and trigger and row.quantity == wanted.quantity


def _unproven(draft: Draft, order: Order, read: BooksRead) -> Order:
    """The book does not show the change: at the second read, some time later, the call may be made again."""
    if not order.modify_reads:
        return draft.change(order, "unmodified", modify_reads=1, modify_machine_ns=read.ended_machine_ns)
    if read.began_machine_ns - order.modify_machine_ns < draft.limits.modify_gap:
        return order
    return draft.change(order, "modify_again", modify_asked=False, modify_reads=0, modify_doubt_ns=draft.machine)


def _drift(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead) -> Order:
    """An earlier call took effect after all, or a person changed the order at the broker: two reads, some time apart.

    Where no call of ours was ever made the second read comes soon: what a stop no longer covers is bare.
    """
    if _agrees(order, row):
        return draft.change(order, "agrees", modify_reads=0) if order.modify_reads else order
    if not order.modify_reads:
        return draft.change(order, "differs", modify_reads=1, modify_machine_ns=read.ended_machine_ns)
    gap = draft.limits.ghost_gap if order.modify_calls else draft.limits.modify_gap
    if read.began_machine_ns - order.modify_machine_ns < gap:
        return order
    _tell(draft, order, row)
    ours = in_doubt(draft, order)
    shown = {"modify_reads": 0, **({} if ours else _NO_WISH), **_shown(order, row)}
    changed = draft.change(order, "drifted", **shown)
    if not ours:
        _follow(draft, changed)
    return changed


def _shown(order: Order, row: BrokerOrder) -> dict[str, float]:
    """What a row says of an order's terms; a price of 0 says nothing."""
    shown: dict[str, float] = {"quantity": row.quantity} if row.quantity > order.filled_seen else {}
    if order.order_type in (OrderType.LIMIT, OrderType.SL) and row.price:
        shown |= {"price": row.price}
    if _shows_trigger(order, row):
        shown |= {"trigger_price": row.trigger_price}
    return shown


def _tell(draft: Draft, order: Order, row: BrokerOrder) -> None:
    what = f"order {order.broker_order_id} of {order.instrument} shows {row.quantity} at {row.price:g}"
    what = f"{what} (trigger {row.trigger_price:g}), ours was {order.quantity} at {order.price:g}"
    draft.alert("ORDER_CHANGED", Severity.WARNING, order.client_order_id, f"{what}; the broker's is taken over")


def _follow(draft: Draft, stop: Order) -> None:
    """A stop that somebody moved at the broker lies where its protection is now: it is not moved back."""
    level = draft.state.protections.get(Owned(*key_of(stop), stop.strategy))
    moved = level is not None and (level.trigger, level.limit) != (stop.trigger_price, stop.price)
    if stop.purpose is Purpose.STOP and level is not None and level.state == "open" and moved:
        draft.protection(level, trigger=stop.trigger_price, limit=stop.price)


def _agrees(order: Order, row: BrokerOrder) -> bool:
    priced = order.order_type in (OrderType.LIMIT, OrderType.SL) and row.price > 0
    if row.quantity != order.quantity or (priced and abs(row.price - order.price) >= SAME):
        return False
    return not _shows_trigger(order, row) or abs(row.trigger_price - order.trigger_price) < SAME


def _shows_trigger(order: Order, row: BrokerOrder) -> bool:
    waits = order.order_type in (OrderType.SL, OrderType.SL_M) and row.status is BrokerStatus.TRIGGER_PENDING
    return waits and row.trigger_price > 0


def _equal(one: Terms, other: Terms) -> bool:
    close = abs(one.price - other.price) < SAME and abs(one.trigger - other.trigger) < SAME
    return close and one.quantity == other.quantity
