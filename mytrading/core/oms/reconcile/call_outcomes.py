"""Ends of calls; a placing call is repeated only when it certainly did not reach the broker."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.exits import broker_stops, exit_goals, odd_lots
from mytrading.core.oms.placing import modify, slices
from mytrading.core.oms.reconcile import order_updates
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import backoff
from mytrading.core.orders.state_machine import ABSENT, RESTING, UNRESOLVED, approval_advice, with_cancel
from mytrading.messages.account_events import AccountModeChanged, ForeignSeen
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Outcome, Severity
from mytrading.messages.order_evidence import PendingEnd
from mytrading.messages.orders import CallOutcome, Order, PlacingCall


def on_outcome(oms: OrderDecision, outcome: CallOutcome) -> None:
    """Update an order by the outcome of its call; one of an earlier attempt or an unknown order is ignored."""
    if (order := oms.state.orders.get(outcome.client_order_id)) is None:
        return
    if outcome.call is Call.PLACE and outcome.began_machine_ns >= order.call.began_machine_ns:
        _placed(oms, order, outcome)
    elif outcome.call is Call.CANCEL and order.evidence.cancel.out:
        _cancelled(oms, order, outcome)
    elif outcome.call is Call.MODIFY and order.evidence.modify.out:
        if outcome.outcome is Outcome.WRONG_MODE:
            stop_wrong_mode_account(oms, order.account, outcome.message)
        modify.on_modify_outcome(oms, order, outcome)


def _placed(oms: OrderDecision, order: Order, outcome: CallOutcome) -> None:
    if outcome.outcome is Outcome.ACCEPTED and outcome.broker_order_id:
        if not order.broker_order_id and order.state in UNRESOLVED | ABSENT | {OrderState.SUBMITTED}:
            _accepted(oms, order, outcome)
        elif outcome.broker_order_id != order.broker_order_id:
            what = f"bound to broker order {order.broker_order_id}, but the call answered {outcome.broker_order_id}"
            oms.record_illegal(order, what)
    elif order.state is OrderState.SUBMITTED:
        _not_accepted(oms, order, outcome)


def _accepted(oms: OrderDecision, order: Order, outcome: CallOutcome) -> None:
    call = replace(order.call, began_machine_ns=outcome.began_machine_ns, ended_machine_ns=outcome.ended_machine_ns)
    if why := _why_no_id(oms, order, outcome.broker_order_id):
        _free_shared_id(oms, order.account, outcome.broker_order_id, outcome.ended_machine_ns)
        if order.state is OrderState.SUBMITTED:
            mark_unknown(oms, order, outcome.ended_machine_ns, why)
        return
    bound, first_seen = None, oms.state.foreign.get((order.account, outcome.broker_order_id))
    known = (order.account, outcome.broker_order_id) in oms.state.earlier  # then it is another order's by its day
    if first_seen is not None and first_seen <= outcome.began_machine_ns and not known:
        what = f"the call answered broker order {outcome.broker_order_id}, which the books showed before it was made"
        oms.record_illegal(order, what)
    else:
        bound = order_updates.bind_broker_order(oms, order, outcome.broker_order_id, call=call)
    if bound is None and order.state is OrderState.SUBMITTED:
        what = "its broker id was another order's before it was sent"
        mark_unknown(oms, oms.order(order.client_order_id), outcome.ended_machine_ns, what)
    elif bound is not None:
        oms.request_read(order.account, "accepted")


def _why_no_id(oms: OrderDecision, order: Order, name: str) -> str:
    """Why a success names no order by this id: the broker gives it to many; empty if it may be the order's own."""
    if name.lower() in oms.broker(order.account).no_ids:
        return f"the broker accepted it, but gave {name} in place of an order id"
    owner = oms.state.by_broker.get((order.account, name))
    if owner is None or owner == order.client_order_id or owner in oms.state.carried:
        return ""
    return f"the broker accepted it, but gave the id {name}, which it gave to order {owner} before"


def _free_shared_id(oms: OrderDecision, account: str, name: str, at_machine_ns: int) -> None:
    """Set back the order that took an id which proves to be several orders', unless a fill is known by it, and note the
    id as a stranger's, so that no later order takes it. Both are then found by what they are, each under its own id."""
    if (owner := oms.state.by_broker.get((account, name))) is None:
        return
    first = oms.order(owner)
    if owner in oms.state.carried:
        return
    if first.state in RESTING and not first.filled_seen:
        unbind_broker_order(oms, first, f"the broker gave its id {name} to another order too")
        oms.emit(ForeignSeen(account=account, ids=(name,), machine_ns=at_machine_ns))


def unbind_broker_order(oms: OrderDecision, order: Order, message: str) -> Order:
    """Take from a resting order without fills an id that is not its own, and mark it UNKNOWN; returns it."""
    change = modify.reset_modify(order.evidence.modify, by_replacement=False)
    evidence = with_cancel(replace(order.evidence, end=None, modify=change), out=False)
    free = oms.change(order, "unbound", broker_order_id="", evidence=evidence)
    mark_unknown(oms, free, order.call.ended_machine_ns, message)
    return oms.order(order.client_order_id)


def _not_accepted(oms: OrderDecision, order: Order, outcome: CallOutcome) -> None:
    ended, kind = outcome.ended_machine_ns, outcome.outcome
    call = replace(order.call, ended_machine_ns=ended)
    if kind in (Outcome.NOT_SENT, Outcome.RATE_LIMITED):
        _again(oms, order, outcome)
    elif kind is Outcome.REFUSED:
        refused = oms.change(
            order, "rejected", state=OrderState.REJECTED, broker_order_id=outcome.broker_order_id, call=call,
            message=outcome.message, evidence=with_cancel(order.evidence, wanted=False),
        )  # fmt: skip
        slices.alert_rejected_slice(oms, order, outcome.message)
        if order.purpose.reduces:
            if not odd_lots.on_refusal(oms, refused):
                exit_goals.on_refusal(oms, refused)
            oms.request_read(order.account, "exit rejected", positions=True)
    elif kind is Outcome.RECORDED:
        change = {"state": OrderState.RECORDED, "call": call, "message": outcome.message}
        oms.change(order, "recorded", **change, evidence=with_cancel(order.evidence, wanted=False))
    elif kind is Outcome.PARKED:
        oms.change(order, "parked", state=OrderState.PARKED, call=call, message=outcome.message)
        what = f"{order.side} {order.quantity} {order.instrument} is held at the server for approval"
        what = f"{what}; {approval_advice(order)}"
        oms.alert(StateAlert.ORDER_PARKED, Severity.CRITICAL, order.client_order_id, what)
    else:
        if kind is Outcome.WRONG_MODE:
            stop_wrong_mode_account(oms, order.account, outcome.message)
        mark_unknown(oms, order, ended, outcome.message)


def _again(oms: OrderDecision, order: Order, outcome: CallOutcome) -> None:
    limits = oms.limits
    wait = max(outcome.retry_after_ns, backoff(limits.retry_first, limits.retry_most, order.call.attempt))
    event = "rate_limited" if outcome.outcome is Outcome.RATE_LIMITED else "not_sent"
    ended = outcome.ended_machine_ns
    call = replace(order.call, ended_machine_ns=ended, not_before_machine_ns=ended + wait)
    requeue_unsent_call(oms, order, call, outcome.message, "its call did not reach the broker", event)


def requeue_unsent_call(
    oms: OrderDecision, order: Order, call: PlacingCall, message: str, why: str, event: str = "not_sent"
) -> None:
    """Set an order back to INITIALIZED, as its call did not reach the broker; end it, for `why`, if it is cancelled."""
    back = oms.change(order, event, state=OrderState.INITIALIZED, call=call, message=message)
    if back.evidence.cancel.wanted:
        oms.end_unsent(back, OrderState.CANCELLED, "withdrawn", f"withdrawn: {why}")


def mark_unknown(oms: OrderDecision, order: Order, ended_machine_ns: int, message: str) -> None:
    """Mark an order UNKNOWN after an unclear placing call, alert (critically for an exit or stop), request a read."""
    oms.change(
        order, "unknown", state=OrderState.UNKNOWN, call=replace(order.call, ended_machine_ns=ended_machine_ns),
        evidence=replace(order.evidence, flapped=False, match=None, seen_machine_ns=0), message=message,
    )  # fmt: skip
    severity = Severity.CRITICAL if order.purpose.reduces else Severity.WARNING
    what = f"fate of {order.purpose} {order.side} {order.quantity} {order.instrument} is unknown: {message}"
    oms.alert(StateAlert.ORDER_UNKNOWN, severity, order.client_order_id, what)
    oms.request_read(order.account, "unknown", positions=order.purpose.reduces)


RIGHT_AGAIN = "the server is in the expected mode again, and only `mytrading resume` is missing"


def note_right_mode(oms: OrderDecision, account: str) -> None:
    """Tell once that a server which was in the wrong mode is in the right one; the account stays stopped."""
    if oms.state.wrong_mode[account].message != RIGHT_AGAIN:
        oms.emit(AccountModeChanged(account=account, wrong_mode=True, message=RIGHT_AGAIN, at_ns=oms.now))
        oms.alert(StateAlert.WRONG_MODE, Severity.CRITICAL, account, f"nothing is sent to {account}: {RIGHT_AGAIN}")


def stop_wrong_mode_account(oms: OrderDecision, account: str, message: str) -> None:
    """Record and alert that an account's server is in the wrong mode: nothing is sent there until that is cleared."""
    level = oms.state.wrong_mode.get(account)
    if level is None or level.message == RIGHT_AGAIN:
        oms.emit(AccountModeChanged(account=account, wrong_mode=True, message=message, at_ns=oms.now))
        what = f"account {account} answers in another mode than configured, nothing is sent there: {message}"
        oms.alert(StateAlert.WRONG_MODE, Severity.CRITICAL, account, what)


def _cancelled(oms: OrderDecision, order: Order, outcome: CallOutcome) -> None:
    kind, ended = outcome.outcome, outcome.ended_machine_ns
    if kind in (Outcome.NOT_SENT, Outcome.RATE_LIMITED):
        wait = max(outcome.retry_after_ns, oms.limits.retry_first)
        event = "rate_limited" if kind is Outcome.RATE_LIMITED else "cancel_not_sent"
        calls = max(0, order.evidence.cancel.calls - 1)
        evidence = with_cancel(order.evidence, out=False, calls=calls, not_before_machine_ns=ended + wait)
        oms.change(order, event, evidence=evidence)
        return
    if kind is Outcome.WRONG_MODE:
        stop_wrong_mode_account(oms, order.account, outcome.message)
    evidence = with_cancel(order.evidence, out=False)
    if kind in (Outcome.ACCEPTED, Outcome.REFUSED):
        evidence = with_cancel(evidence, answered_machine_ns=ended, refused=kind is Outcome.REFUSED)
    if kind is Outcome.ACCEPTED and evidence.cancel.proof:
        broker_stops.on_proof_accepted(oms, order)
    if kind is Outcome.ACCEPTED and order.state in RESTING:
        shown = evidence.end.status if evidence.cancel.proof and isinstance(evidence.end, PendingEnd) else None
        pending = PendingEnd(status=shown or BrokerStatus.CANCELLED)
        evidence = replace(evidence, end=pending, flapped=False, match=None, seen_machine_ns=ended)
        oms.change(order, "cancel_accepted", evidence=evidence)
    else:
        if kind is Outcome.REFUSED:
            until = max(evidence.cancel.not_before_machine_ns, ended + oms.limits.cancel_first)
            evidence = with_cancel(evidence, not_before_machine_ns=until)
        oms.change(order, "cancel_answered", evidence=evidence, message=outcome.message or order.message)
    # the order book of most brokers does not say what had filled, and the trade book may be later: positions tell
    oms.request_read(order.account, "cancel", positions=True, proof=True)
