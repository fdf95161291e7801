"""Dispatch of calls to the broker: which waiting calls are made now, in which order, and how large an exit may be.

A call counts in the rate of its account from when it leaves until a second after its end, since the server counts it at
some moment between. The daemon makes the call of a `submitted`, `cancel_requested` or `modify_requested` row as soon as
the row is committed.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from mytrading.core.oms.evidence import held_bounds
from mytrading.core.oms.placing import entries, modify
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import OmsLimits, backoff
from mytrading.core.oms.state.state import State
from mytrading.core.orders import rate_limit
from mytrading.core.orders.state_machine import LIVE, SENT, UNRESOLVED, unfilled_quantity, with_cancel, with_modify
from mytrading.messages.enums import OrderState, Purpose, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import PendingEnd
from mytrading.messages.orders import Order


def dispatch_calls(oms: OrderDecision) -> None:
    """Emit a row for every waiting broker call that may leave now: for stops and exits first, new entries last."""
    state = oms.state
    ranked = []
    for name in state.waiting:
        order = oms.order(name)
        ranked.append((call_priority(oms, order), order))
    if len(ranked) > 1:
        ranked.sort(key=partial(_turn, state))
    budget: dict[str, int] = {}
    for rank, order in ranked:
        account = order.account
        if state.in_run and account not in state.in_run:
            _withhold(oms, order)
            continue
        if oms.is_venue_square_off(order):  # an entry ends, everything else waits for the venue
            if rank == ENTRIES and not entries.expire_if_late(oms, order):
                what = "the venue closes MIS positions now, nothing is sent; signal again in the next session"
                oms.end_unsent(order, OrderState.DENIED, "denied", f"SQUARE_OFF: {what}")
            continue
        if account not in budget:
            budget[account] = _budget(oms, account)
        room = budget[account] - (oms.limits.calls_kept if rank else 0)
        if rank == ENTRIES and (
            state.baskets
            or state.calling
            or (account in state.sent and state.sent[account][-1] > oms.machine - oms.limits.call_window)
        ):  # otherwise nothing is kept, and an entry has room for its stop
            room = min(room, _unreserved(oms, order, [other for _, other in ranked]))
        make = _place if order.state is OrderState.INITIALIZED else _cancel if order.evidence.cancel.wanted else _modify
        budget[account] -= make(oms, order, room)


def _withhold(oms: OrderDecision, order: Order) -> None:
    """End an order that cannot be sent, since its account is not in this run. One that was sent waits with its cancel
    until the account is back; it was a DAY order, so that one of an earlier day of an owner who is flat has ended."""
    why = oms.why_absent(order.account)
    if order.state is not OrderState.INITIALIZED:
        position = oms.position(order)
        if order.evidence.cancel.wanted and oms.is_of_earlier_day(order) and not position.open_units:
            evidence = with_cancel(order.evidence, wanted=False)
            oms.change(order, "expired", state=OrderState.EXPIRED, message=f"withdrawn: {why}", evidence=evidence)
    elif order.purpose.reduces:
        oms.end_unsent(order, OrderState.CANCELLED, "withdrawn", f"withdrawn: {why}")
    else:
        oms.end_unsent(order, OrderState.DENIED, "denied", f"ACCOUNT_ABSENT: {why}")


def _unreserved(oms: OrderDecision, order: Order, waiting: list[Order]) -> int:
    """Calls that an entry may take: two if it has a stop plan, and none of those kept for stops and legs of baskets."""
    limits, account = oms.limits, order.account
    kept = calls_kept_for_stops(oms.state, limits, account, oms.machine) + (order.plan.stop_trigger > 0)
    if oms.state.baskets:
        baskets, now = oms.state.baskets.items(), oms.machine
        live = {name: calls for name, (calls, until) in baskets if name[0] == account and until > now}
        kept += sum(live.values())
        others = (other.client_order_id for other in waiting if (other.account, other.strategy, other.cause) in live)
        unsent = (name for name in others if oms.order(name).state is OrderState.INITIALIZED)
        kept += sum(name != order.client_order_id for name in unsent)
    most = limits.calls_per_second - limits.calls_kept - 1
    return calls_allowed_now(oms.state, limits, account, oms.machine) - limits.calls_kept - min(kept, most)


def calls_kept_for_stops(state: State, limits: OmsLimits, account: str, machine_ns: int) -> int:
    """Return the calls reserved for the stops of entries just sent: one for each that has a stop plan."""
    since, kept = machine_ns - limits.call_window, 0
    for key, names in state.open_by_key.items():
        for name in names if key.account == account else ():
            order = state.orders.get(name)
            if order is None or not order.plan.stop_trigger or order.state not in LIVE:
                continue
            if order.state is OrderState.SUBMITTED:
                kept += machine_ns - order.call.began_machine_ns < limits.call_counts
            elif order.state is not OrderState.INITIALIZED:
                kept += order.call.ended_machine_ns > since
    return kept


def calls_kept_for_baskets(state: State, account: str, machine_ns: int) -> dict[str, int]:
    """Return the calls reserved for legs of unfinished baskets, by strategy."""
    kept: dict[str, int] = {}
    for (where, strategy, _), (calls, until) in state.baskets.items():
        if where == account and until > machine_ns and calls:
            kept[strategy] = kept.get(strategy, 0) + calls
    return kept


def _turn(state: State, ranked: tuple[int, Order]) -> tuple[int, bool, int, str, int]:
    """Within a rank placings go first: a stop or exit that waits leaves its position bare, a cancel makes one so. Of
    exits the first is that whose goal has waited longest, whichever attempt of it this is."""
    rank, order = ranked
    placed = order.state is not OrderState.INITIALIZED
    goal = state.goals.get(order.links.goal) if order.links.goal else None
    since = goal.created_ns if goal else order.created_ns
    return rank, placed, since, order.links.parent or order.client_order_id, order.links.slice


ENTRIES = 3
"""The rank of entries that have not left."""


def call_priority(oms: OrderDecision, order: Order) -> int:
    """Return the rank of the next call: 0 for stops and exits, 1 cancels of entries, 2 changes, 3 new entries."""
    if order.purpose.reduces:
        return 0
    if order.state is OrderState.INITIALIZED:
        return ENTRIES
    if not order.evidence.cancel.wanted:
        return 2
    return 0 if entries.is_closing(oms, order.net, order.strategy) else 1


def _budget(oms: OrderDecision, account: str) -> int:
    state, limits = oms.state, oms.limits
    if account in state.wrong_mode or (state.paused.get(account) or 0) > oms.machine:
        return 0
    out = len(unanswered_call_times(state, account))
    return min(calls_allowed_now(state, limits, account, oms.machine), limits.calls_at_once - out)


def unanswered_call_times(state: State, account: str) -> list[int]:
    """Return when each unanswered call of an account was sent (machine ns)."""
    return [began for (of, _, _), began in state.calling.items() if of == account] if state.calling else []


def calls_allowed_now(state: State, limits: OmsLimits, account: str, machine_ns: int) -> int:
    """Return how many calls the account's rate limit allows now; a call counts until a second after its answer."""
    stamps = state.sent.get(account) or ()
    if out_since := unanswered_call_times(state, account):
        stamps = (*stamps, *(machine_ns if machine_ns - began < limits.call_counts else began for began in out_since))
    return rate_limit.calls_left(sorted(stamps), machine_ns, limits.calls_per_second, limits.call_window)


def _place(oms: OrderDecision, order: Order, budget: int) -> int:
    key = order.net
    if order.purpose is Purpose.ENTRY:
        if entries.expire_if_late(oms, order):
            return 0
        if reason := entries.denial_reason(oms, order, key):
            oms.end_unsent(order, OrderState.DENIED, "denied", reason)
            return 0
        if _entry_waits(oms, order, key):
            return 0
    else:
        if (fits := closable_quantity(oms, order, key)) == 0:
            oms.end_unsent(order, OrderState.DENIED, "denied", "CLAMPED: nothing is left that this exit may close")
            return 0
        if fits < order.quantity:
            order = oms.change(order, "clamped", quantity=fits)
        if not oms.is_trading(order.instrument):  # made while its exchange traded, and kept waiting until it did not
            if order.purpose is not Purpose.STOP:
                oms.end_unsent(
                    order, OrderState.CANCELLED, "withdrawn", "its exchange closed; its goal waits for the open"
                )
            return 0
        if order.purpose is Purpose.STOP and (
            not oms.broker(order.account).broker_stops
            or fits - held_bounds.unguardable_units(oms, oms.position(order)) < order.quantity
        ):
            return 0  # there it would be no stop: risk holds it; or made in the evening, and it could open a position
    if budget <= 0 or order.call.not_before_machine_ns > oms.machine or _in_flight(oms, order, key):
        return 0
    if oms.limits.mode_first and order.account not in oms.state.modes:
        return 0
    call = replace(
        order.call, attempt=order.call.attempt + 1, began_machine_ns=oms.machine, ended_machine_ns=0, sent_ns=oms.now
    )
    sent = oms.change(order, "submitted", state=OrderState.SUBMITTED, call=call)
    if oms.state.withdrawn:
        entries.count_churn(oms, sent)
    return 1


def _in_flight(oms: OrderDecision, order: Order, key: NetKey) -> bool:
    """True while another call of its key and side is out; slices go together, but never two of one fingerprint."""
    calling = (one for one in oms.open_orders(key) if one.state is OrderState.SUBMITTED and one.side is order.side)
    parent = order.links.parent
    return any(not parent or one.links.parent != parent or one.quantity == order.quantity for one in calling)


def _entry_waits(oms: OrderDecision, order: Order, key: NetKey) -> bool:
    state = oms.state
    if oms.is_unproven(order.instrument.partition(":")[0]):
        return True  # no stop could follow its fill, and a closed day's order may be kept for the next
    if oms.limits.book_first and order.account not in state.books:
        oms.request_read(order.account, "first book")
        return True
    if key in state.mismatches or (state.open_goals and entries.is_closing(oms, key, order.strategy)):
        return True
    for other in oms.open_orders(key):
        if other.state in UNRESOLVED and other.side is order.side:
            return True
        if other.strategy == order.strategy and other.purpose.reduces and other.state in SENT:
            position = oms.position(order)
            if position.quantity == position.quantity_seen == 0:
                return True  # left of a closed trip: both may fill, and what this one opens must have its own stop
    return False


def closable_quantity(oms: OrderDecision, order: Order, key: NetKey) -> int:
    """Return the units an exit may still close, less those of other exits; unconfirmed fills count for a stop alone.

    Stops that guard unconfirmed units stand beside an exit of the confirmed ones."""
    position = oms.position(order)
    stop = order.purpose is Purpose.STOP
    held = position.quantity_seen if stop else position.quantity
    if held * order.side.sign >= 0:
        return 0
    taken = stops = 0
    for other in oms.open_orders(key):
        if (
            other.client_order_id != order.client_order_id
            and other.strategy == order.strategy
            and other.purpose.reduces
            and other.side is order.side
            and other.state in LIVE
            and not _after(order, other)
        ):
            # what was sighted of an exit that a stop stands beside is gone from what is held already
            units = max(0, other.quantity - other.filled_seen) if stop else unfilled_quantity(other)
            if other.purpose is Purpose.STOP:
                stops += units
            else:
                taken += units
    if not stop and stops:
        stops = max(0, stops - max(0, abs(position.quantity_seen) - abs(held)))
    goal = oms.state.goals.get(order.links.goal)
    back = held_bounds.units_held_back(oms, goal, position) + goal.elsewhere if goal else 0
    return max(0, abs(held) - taken - stops - back)


def _after(order: Order, other: Order) -> bool:
    """True for an unsent slice that comes after this one: where not all fit, the last gives way."""
    later = order.links.parent == other.links.parent and other.links.slice > order.links.slice
    return bool(order.links.parent) and later and other.state is OrderState.INITIALIZED


def _cancel(oms: OrderDecision, order: Order, budget: int) -> int:
    cancel, place = order.evidence.cancel, (order.account, order.broker_order_id)
    if oms.state.by_broker.get(place) != order.client_order_id:
        return 0  # its id names an order of today
    if budget <= 0 or cancel.not_before_machine_ns > oms.machine:
        return 0
    end = order.evidence.end
    proven = cancel.calls and isinstance(end, PendingEnd) and not entries.is_end_untrue(oms, order, end.status)
    if (proven and (not cancel.proof or cancel.answered_machine_ns)) or order.filled_seen >= order.quantity:
        return 0  # of what was said to have ended only the proof is missing, and no cancel would bring it
    calls, limits = cancel.calls + 1, oms.limits
    wait = limits.slow if calls >= limits.cancel_calls else backoff(limits.cancel_first, limits.slow, calls)
    evidence = with_cancel(order.evidence, out=True, calls=calls, not_before_machine_ns=oms.machine + wait)
    oms.change(order, "cancel_requested", evidence=evidence)
    if calls == limits.cancel_calls:
        what = f"{calls} cancels of {order.instrument} order {order.broker_order_id} did not end it; look at the broker"
        oms.alert(StateAlert.CANCEL_STUCK, Severity.CRITICAL, order.client_order_id, what)
    return 1


def _modify(oms: OrderDecision, order: Order, budget: int) -> int:
    if oms.is_of_earlier_day(order):
        return 0  # it ended with its day, and what the broker says of it now is no answer to the change
    unseen = oms.limits.mode_first and order.account not in oms.state.modes
    if unseen or (due := modify.prepare_due_modify(oms, order)) is None:
        return 0
    if due.evidence.cancel.wanted:
        return _cancel(oms, due, budget)
    if budget <= 0:
        return 0
    evidence = with_modify(due.evidence, out=True, unproven=True, calls=due.evidence.modify.calls + 1, reads=0)
    oms.change(due, "modify_requested", evidence=evidence)
    return 1
