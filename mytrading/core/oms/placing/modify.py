"""Changes of resting orders: a modify call and the read that proves it, or a cancel and a new order."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict, replace

from mytrading.core.ids import client_order_id
from mytrading.core.oms.evidence.judge import OPEN
from mytrading.core.oms.placing import entries
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import backoff
from mytrading.core.orders.state_machine import STOP_TYPES, is_live, with_cancel, with_modify
from mytrading.core.time import SECOND
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Outcome, Purpose, Severity
from mytrading.messages.order_evidence import ModifyState, OrderEvidence, OrderTerms
from mytrading.messages.orders import CallOutcome, Order, OrderChanged, Protection, StopMove
from mytrading.messages.reports import BooksRead, BrokerOrder

SAME = 1e-4
"""Rupees: prices that differ by less are one price; the finest tick is 0.0025."""
VALID_NS = 30 * SECOND


def reset_modify(state: ModifyState, **fields: Any) -> ModifyState:
    """Return a modify state without a pending change, as the order ended or the broker refused; sets `fields` too."""
    return replace(state, wanted=None, unproven=False, reads=0, out=False, **fields)


def _drop(order: Order) -> OrderEvidence:
    return with_modify(order.evidence, wanted=None, unproven=False, reads=0)


def current_terms(order: Order) -> OrderTerms:
    """Return the price, trigger and quantity an order has now."""
    return OrderTerms(order.price, order.trigger_price, order.quantity)


def wanted_terms(order: Order) -> OrderTerms:
    """Return the terms an order is to have: those of its pending change, else its current ones."""
    return order.evidence.modify.wanted or current_terms(order)


def is_modify_pending(order: Order) -> bool:
    """True while a modify call of the order is unanswered or its effect unproven; no other change may start."""
    return order.evidence.modify.out or order.evidence.modify.unproven


def request_terms(oms: OrderDecision, order: Order, wanted: OrderTerms) -> Order:
    """Request other terms for a live order: changed at once if unsent; ignored while another change is pending, and for
    terms that a change did not bring (`was_refused`)."""
    if (
        not is_live(order)
        or order.evidence.cancel.wanted
        or is_modify_pending(order)
        or was_refused(order, wanted)
        or _equal(wanted, wanted_terms(order))
    ):
        return order
    if order.state is OrderState.INITIALIZED:
        return oms.change(order, "changed", **asdict(wanted))
    if _equal(wanted, current_terms(order)):
        return oms.change(order, "modify_dropped", evidence=_drop(order))
    return oms.change(order, "modify_wanted", evidence=with_modify(order.evidence, wanted=wanted, refused=None))


def was_refused(order: Order, wanted: OrderTerms) -> bool:
    """True if the newest change to these terms was answered with success, and the order book never showed it."""
    refused = order.evidence.modify.refused
    return refused is not None and _equal(wanted, refused)


def did_nothing(order: Order) -> bool:
    """True if the broker called a change of the order done, and a read since shows it as before."""
    state = order.evidence.modify
    return state.refused is not None or (state.accepted and state.unproven and state.reads > 0)


def without_wait(oms: OrderDecision, order: Order) -> Order:
    """Let the next modify call of an order go at once, whatever was refused before: a person wants it."""
    if order.evidence.modify.not_before_machine_ns <= oms.machine and order.evidence.modify.refused is None:
        return order
    return oms.change(order, "modify_due", evidence=with_modify(order.evidence, not_before_machine_ns=0, refused=None))


def can_modify_now(oms: OrderDecision, order: Order) -> bool:
    """True if a modify call may be made now: the broker allows it, and the order has calls left."""
    return not _refusal(oms, order) and order.evidence.modify.not_before_machine_ns <= oms.machine


def is_modify_in_doubt(oms: OrderDecision, order: Order) -> bool:
    """True while a modify call given up without answer may still take effect and undo a later one."""
    since = order.evidence.modify.doubt_machine_ns
    return bool(since) and oms.machine - since < oms.limits.lost_after


def _refusal(oms: OrderDecision, order: Order) -> str:
    rules, calls = oms.modify_rules(order.account), order.evidence.modify.calls
    if not rules.in_place:
        return "its broker changes no order in place"
    if calls >= rules.most:
        return f"it was modified {calls} times"
    return "its broker changes no order that has filled in part" if order.filled_seen and not rules.after_fill else ""


def prepare_due_modify(oms: OrderDecision, order: Order) -> Order | None:
    """Return the order to modify now, or to cancel instead (then `cancel.wanted` is set); None if it must wait."""
    if order.evidence.modify.not_before_machine_ns > oms.machine:
        return None
    if wanted_terms(order).quantity <= order.filled_seen:
        done = oms.change(order, "modify_dropped", evidence=_drop(order))
        entries.cancel_order(oms, done, "withdrawn: as much as is still wanted has filled")
        return oms.order(order.client_order_id)
    if not (why := _refusal(oms, order)):
        return order
    if order.purpose.reduces:  # its goal or protection places the next one, by its own levels
        evidence = with_cancel(_drop(order), wanted=True)
        return oms.change(order, "replacing", evidence=evidence, message=f"withdrawn: replaced, {why}")
    evidence = with_cancel(with_modify(order.evidence, by_replacement=True), wanted=True)
    return oms.change(order, "replacing", evidence=evidence, message=f"replaced: {why}")


def place_replacement(oms: OrderDecision, gone: Order) -> None:
    """Emit an order for the unfilled rest of the replaced entry `gone`, once its cancel is proven; none if no rest."""
    wanted = gone.evidence.modify.wanted or OrderTerms()
    left = wanted.quantity - gone.filled
    if left <= 0:
        return
    order = Order(
        client_order_id=_successor(gone), account=gone.account, instrument=gone.instrument, product=gone.product,
        strategy=gone.strategy, run=gone.run, cause=gone.cause, purpose=gone.purpose, side=gone.side, quantity=left,
        order_type=gone.order_type, state=OrderState.INITIALIZED, created_ns=oms.now, updated_ns=oms.now,
        price=wanted.price, trigger_price=wanted.trigger_price,
        plan=replace(gone.plan, expires_ns=oms.now + VALID_NS, expires_machine_ns=oms.machine + VALID_NS),
        links=replace(gone.links, goal="", replaces=gone.client_order_id, replaced=gone.links.replaced + 1),
    )  # fmt: skip
    oms.emit(OrderChanged(event="initialized", order=order, machine_ns=oms.machine))
    state = reset_modify(gone.evidence.modify, by_replacement=False)
    oms.change(gone, "replaced", evidence=replace(gone.evidence, modify=state))


def _successor(gone: Order) -> str:
    return client_order_id(gone.account, gone.cause, gone.purpose, gone.client_order_id, 0, gone.links.replaced + 1)


def reduce_replacement(oms: OrderDecision, gone: Order, more: int) -> None:
    """Reduce a replacement order by `more` units that the replaced entry filled after its proven end."""
    order = oms.state.orders.get(_successor(gone)) if gone.purpose is Purpose.ENTRY else None
    if order is None or not is_live(order) or order.evidence.cancel.wanted:
        return
    wanted = wanted_terms(order)
    if is_modify_pending(order) or wanted.quantity - more <= order.filled_seen:
        entries.cancel_order(oms, order, f"withdrawn: the order it replaces filled {more} late")
    else:
        request_terms(oms, order, replace(wanted, quantity=wanted.quantity - more))


def on_modify_outcome(oms: OrderDecision, order: Order, outcome: CallOutcome) -> None:
    """Update an order by its modify call: not made, refused, or unproven until the order book shows the change."""
    kind, at = outcome.outcome, outcome.ended_machine_ns
    if kind in (Outcome.NOT_SENT, Outcome.RATE_LIMITED):
        event = "rate_limited" if kind is Outcome.RATE_LIMITED else "modify_not_sent"
        wait = max(outcome.retry_after_ns, oms.limits.retry_first)
        calls = max(0, order.evidence.modify.calls - 1)
        evidence = with_modify(order.evidence, out=False, unproven=False, calls=calls, not_before_machine_ns=at + wait)
        oms.change(order, event, evidence=evidence)
        return
    if kind is Outcome.REFUSED:
        until = at + backoff(oms.limits.retry_most, oms.limits.slow, order.evidence.modify.calls)
        _refuse(oms, order, outcome.message, "it is tried again", not_before_machine_ns=until)
    elif kind is Outcome.ACCEPTED and outcome.broker_order_id not in ("", order.broker_order_id):
        what = f"bound to broker order {order.broker_order_id}, but its modify answered {outcome.broker_order_id}"
        oms.record_illegal(order, what, evidence=with_modify(order.evidence, out=False, answered_machine_ns=at))
    else:
        # at some brokers a refusal cannot be told from a call of unknown fate: it counts as one that says success
        said = kind is Outcome.ACCEPTED or "modify" in oms.broker(order.account).refusal_unclear
        evidence = with_modify(order.evidence, out=False, answered_machine_ns=at, accepted=said)
        message = "" if order.evidence.cancel.wanted else outcome.message
        oms.change(order, "modify_answered", evidence=evidence, message=message or order.message)
    oms.request_read(order.account, "modify", positions=order.purpose.reduces)


def _refuse(oms: OrderDecision, order: Order, why: str, follows: str, **fields: Any) -> Order:
    """End the pending change of an order as refused, for `why`; `follows` says of a stop what comes of it now."""
    wanted, message = wanted_terms(order), f"refused: {why}"
    if order.evidence.cancel.wanted:  # why it is cancelled is the answer to both requests
        message = f"{order.message}; a change of it was refused: {why}"
    evidence = replace(order.evidence, modify=reset_modify(order.evidence.modify, **fields))
    refused = oms.change(order, "modify_refused", message=message, evidence=evidence)
    if order.purpose is Purpose.STOP:
        _stop_refused(oms, refused, wanted, why, follows)
    return refused


def _stop_refused(oms: OrderDecision, order: Order, wanted: OrderTerms, why: str, follows: str) -> None:
    level = oms.state.protections.get(order.owner)
    if level is not None and level.moving is not None and matches_stop_move(wanted, level.moving):
        refuse_move(oms, level, order, why)
        return
    if order.evidence.cancel.wanted:
        return
    what = f"stop {order.broker_order_id} of {order.instrument} stays as it is, {order.quantity} at {_prices(order)}"
    what += f"; the broker refused {wanted.quantity} at {_prices(wanted)} and {follows}: {why}"
    oms.alert(StateAlert.STOP_NOT_MOVED, Severity.WARNING, order.client_order_id, what)


def refuse_move(oms: OrderDecision, level: Protection, refused: Order, why: str) -> Protection:
    """End an operator's change of a stop that the broker refused for the order `refused`: an alert, and the reply.

    In force is then what still rests there; where the stop had been taken away to be replaced, what rested before.
    A stop that is being cancelled says so itself, and needs no alert.
    """
    if (move := level.moving) is None:
        return level
    ending = refused.evidence.cancel.wanted
    rests = is_live(refused) and not ending
    trigger, limit = (refused.trigger_price, refused.price) if rests else (level.trigger, level.limit)
    kept, wanted = _prices(OrderTerms(limit, trigger)), _prices(OrderTerms(move.limit, move.trigger))
    stays = "stays in force" if is_live(refused) else "is placed again"
    said = f"the broker refused {wanted}; {kept} {stays}, and nothing more is tried: {why}"
    if not ending:
        what = f"stop of {level.strategy} in {level.instrument}: {said}"
        oms.alert(StateAlert.STOP_NOT_MOVED, Severity.WARNING, refused.client_order_id, what)
    if (asked := oms.state.orders.get(move.order)) is not None and not asked.evidence.cancel.wanted:
        oms.change(asked, "request_refused", message=f"refused: {said}")
        oms.answer(asked.links.request, said, "")  # lasts, whatever becomes of the order
    return oms.change_protection(level, trigger=trigger, limit=limit, moving=None)


def matches_stop_move(terms: OrderTerms, move: StopMove) -> bool:
    """True if the prices of these terms are those that an operator requested for a stop."""
    return abs(terms.trigger_price - move.trigger) < SAME and abs(terms.price - move.limit) < SAME


def describe_change(wanted: OrderTerms, now: OrderTerms) -> str:
    """Return in words what `wanted` has other than `now`."""
    parts = [_prices(wanted)] if wanted.trigger_price != now.trigger_price else []
    if not parts and wanted.price != now.price:
        parts = [f"price {wanted.price:g}"]
    return ", ".join([*parts, f"{wanted.quantity} units"] if wanted.quantity != now.quantity else parts)


def _prices(terms: Order | OrderTerms) -> str:
    return f"trigger {terms.trigger_price:g} (limit {terms.price:g})"


def record_unanswered_modify(oms: OrderDecision, order: Order) -> None:
    """Record that a modify call had no answer when the process died; reads from now on prove its outcome."""
    evidence = with_modify(order.evidence, out=False, answered_machine_ns=oms.machine, accepted=False)
    oms.change(order, "modify_unanswered", evidence=evidence)


def compare_with_book(oms: OrderDecision, order: Order, row: BrokerOrder, read: BooksRead) -> Order:
    """Compare a resting order's terms with its order book row; returns the order with the terms the broker has."""
    state = order.evidence.modify
    if state.out or read.began_machine_ns <= state.answered_machine_ns:
        return order
    if row.status is BrokerStatus.COMPLETE:
        # it filled as far as it goes, which may be less than is known here: someone made it smaller before
        if not max(order.filled_seen, 1) <= row.quantity < order.quantity:
            return order
        if not state.calls:
            _alert_change(oms, order, row)
        return oms.change(order, "modified", quantity=row.quantity)
    if row.status not in OPEN:
        return order
    if not state.unproven:
        return _drift(oms, order, row, read)
    if _shows(order, row, wanted_terms(order)):
        message = order.message if order.evidence.cancel.wanted else ""
        return oms.change(order, "modified", **asdict(wanted_terms(order)), message=message, evidence=_drop(order))
    # the book does not show the change: at the second read, some time later, a call of unclear answer may be made again
    gap = oms.limits.ghost_gap if state.accepted else oms.limits.modify_gap
    if (waiting := _counted(oms, order, read, "unmodified", gap)) is not None:
        return waiting
    if state.accepted:
        return _refuse(oms, order, _UNDONE, "these terms are not tried again", refused=wanted_terms(order))
    evidence = with_modify(order.evidence, unproven=False, reads=0, doubt_machine_ns=oms.machine)
    return oms.change(order, "modify_again", evidence=evidence)


_UNDONE = "it answered with success, or with an error that says nothing, but its order book shows no change"


def _shows(order: Order, row: BrokerOrder, wanted: OrderTerms) -> bool:
    """True if a row has the wanted terms, as far as they are others than the order's and a broker shows them."""
    price = min(abs(wanted.price - order.price), abs(row.price - wanted.price)) < SAME
    apart = min(abs(wanted.trigger_price - order.trigger_price), abs(row.trigger_price - wanted.trigger_price))
    trigger = apart < SAME or _has_triggered(order, row)
    return price and trigger and row.quantity == wanted.quantity


def _has_triggered(order: Order, row: BrokerOrder) -> bool:
    """True if an order's trigger is over, so that it does not matter what a row shows of it."""
    return order.state is OrderState.TRIGGERED or row.status is BrokerStatus.TRIGGERED


def _counted(oms: OrderDecision, order: Order, read: BooksRead, event: str, gap: int) -> Order | None:
    """The order with this read counted; None if it is the second one, at least `gap` (ns) after the first."""
    state = order.evidence.modify
    if not state.reads:
        evidence = with_modify(order.evidence, reads=1, answered_machine_ns=read.ended_machine_ns)
        return oms.change(order, event, evidence=evidence)
    return order if read.began_machine_ns - state.answered_machine_ns < gap else None


def _drift(oms: OrderDecision, order: Order, row: BrokerOrder, read: BooksRead) -> Order:
    """A late modify or someone else changed the order: proven by two reads, sooner where no call of ours was made."""
    state = order.evidence.modify
    alike = all(abs(getattr(order, name) - value) < SAME for name, value in _shown(order, row).items())
    if alike and row.quantity == order.quantity:
        return oms.change(order, "agrees", evidence=with_modify(order.evidence, reads=0)) if state.reads else order
    gap = oms.limits.ghost_gap if state.calls else oms.limits.modify_gap
    if (waiting := _counted(oms, order, read, "differs", gap)) is not None:
        return waiting
    _alert_change(oms, order, row)
    ours = is_modify_in_doubt(oms, order)
    evidence = with_modify(order.evidence, reads=0) if ours else _drop(order)
    changed = oms.change(order, "drifted", evidence=evidence, **_shown(order, row))
    level = oms.state.protections.get(order.owner)
    moved = level is not None and (level.trigger, level.limit) != (changed.trigger_price, changed.price)
    if not ours and order.purpose is Purpose.STOP and level is not None and level.state == "open" and moved:
        # a stop that someone moved at the broker lies where its protection is now: it is not moved back
        oms.change_protection(level, trigger=changed.trigger_price, limit=changed.price)
    return changed


def _shown(order: Order, row: BrokerOrder) -> dict[str, float]:
    """Terms of an order as a row shows them; a price of 0 shows none."""
    shown: dict[str, float] = {"quantity": row.quantity} if row.quantity > order.filled_seen else {}
    if order.order_type in (OrderType.LIMIT, OrderType.SL) and row.price > 0:
        shown |= {"price": row.price}
    waits = order.order_type in STOP_TYPES and not _has_triggered(order, row)
    if waits and row.trigger_price > 0:
        shown |= {"trigger_price": row.trigger_price}
    return shown


def _alert_change(oms: OrderDecision, order: Order, row: BrokerOrder) -> None:
    what = f"order {order.broker_order_id} of {order.instrument} shows {row.quantity} at {row.price:g}"
    what = f"{what} (trigger {row.trigger_price:g}), ours was {order.quantity} at {order.price:g}"
    oms.alert(EventAlert.ORDER_CHANGED, Severity.WARNING, order.client_order_id, f"{what}; the broker's is taken over")


def _equal(one: OrderTerms, other: OrderTerms) -> bool:
    close = abs(one.price - other.price) < SAME and abs(one.trigger_price - other.trigger_price) < SAME
    return close and one.quantity == other.quantity
