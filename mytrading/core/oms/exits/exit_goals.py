"""Exit goals: one owner's quantity of one instrument is brought to zero by as many orders as it takes."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.ids import client_order_id
from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.placing import dispatch, entries, modify, slices
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import backoff
from mytrading.core.orders.state_machine import LIVE, RESTING, UNRESOLVED, describe_order
from mytrading.messages.commands import CloseGoal
from mytrading.messages.enums import OrderState, OrderType, Purpose, Severity, Side
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import NO_CALL, Goal, GoalChanged, Order, OrderLinks, PlacingCall, Position, Protection


class _Out(NamedTuple):
    """Live orders of an owner in the goal's key."""

    entries: list[Order]
    exits: list[Order]
    unproven: bool
    """Of what an entry was sighted to fill; an exit is out until its own is proven."""


_NOTHING_OUT = _Out([], [], False)


def on_close_goal(oms: OrderDecision, command: CloseGoal) -> None:
    """Handle an exit command: cancel the owner's entries and open its exit goal, unless its id is known."""
    if oms.state.is_known_id(command.id):
        return
    goal = Goal(
        id=command.id, account=command.account, instrument=command.instrument, product=command.product,
        strategy=command.strategy, run=command.run, cause=command.cause, reason=command.reason,
        purpose=command.purpose if command.purpose.reduces else Purpose.EXIT, trace_ns=command.trace_ns,
        price=command.price, price_step=command.price_step, created_ns=oms.now, opened_machine_ns=oms.machine,
    )  # fmt: skip
    _begin(oms, goal)


def start_goal(
    oms: OrderDecision, goal_id: str, owner: Order | Position | Protection, cause: str, reason: str, wary: bool = False
) -> None:
    """Open a goal that closes the position of `owner`, unless the id was used; `wary`: exits wait for two reads."""
    if not oms.state.is_known_id(goal_id):
        goal = Goal(
            id=goal_id, account=owner.account, instrument=owner.instrument, product=owner.product,
            strategy=owner.strategy, run=owner.run, cause=cause, reason=reason, purpose=Purpose.EXIT,
            waits_machine_ns=max(oms.machine, 1) if wary else 0, created_ns=oms.now, opened_machine_ns=oms.machine,
        )  # fmt: skip
        _begin(oms, goal)


def _begin(oms: OrderDecision, goal: Goal) -> None:
    key = goal.net
    beside = _beside_others(oms, goal, key) if oms.state.open_goals else goal
    if oms.state.guarding and not beside.waits_machine_ns:
        level = oms.state.protections.get(goal.owner)
        if level is not None and level.state != "done" and net_positions.stop_waits_for_books(oms, level):
            # the owner's stop waits for the books, and so does this: what was out of sight may have closed it all
            beside = replace(beside, waits_machine_ns=max(oms.machine, 1), proofs=0)
    oms.emit(GoalChanged(goal=beside, at_ns=oms.now))
    for order in oms.open_orders(key):
        if order.strategy == goal.strategy and order.purpose is Purpose.ENTRY and order.state in LIVE:
            entries.cancel_order(oms, order, f"withdrawn: {goal.reason}")


def _beside_others(oms: OrderDecision, goal: Goal, key: NetKey) -> Goal:
    """The goal, which waits for the books like others of its owner, and leaves what foreign orders may close."""
    wary = max(
        (other for other in entries.open_exit_goals(oms, key, goal.strategy) if other.waits_machine_ns or other.proofs),
        key=lambda other: (other.waits_machine_ns > 0, -other.proofs, other.elsewhere),
        default=None,
    )
    if wary is None or goal.waits_machine_ns:
        return goal
    return replace(goal, waits_machine_ns=wary.waits_machine_ns, proofs=wary.proofs, elsewhere=wary.elsewhere)


def advance_goals(oms: OrderDecision) -> None:
    """Send, re-price or finish the exit of every open goal, the oldest goal first."""
    goals = []
    for name in oms.state.open_goals:
        if goal := oms.state.goals.get(name):
            goals.append(goal)  # noqa: PERF401 - no frame of a comprehension on the way of an exit
    if len(goals) > 1:
        goals.sort(key=lambda goal: (goal.created_ns, goal.id))
    for goal in goals:
        _advance(oms, goal)


def _advance(oms: OrderDecision, goal: Goal) -> None:
    position, key = oms.position(goal), goal.net
    out = _out(oms, goal, key)
    if position.quantity == 0 and not out.unproven and not out.entries and not out.exits:
        oms.change_goal(goal, state="done")
        return
    if goal.waits_machine_ns:
        _overdue(oms, goal, out.exits)
        return
    if oms.is_venue_square_off(goal):
        return
    books_lost = bool(oms.state.flags) and oms.state.books_lost(goal.account)
    if out.exits and not books_lost:
        for order in out.exits:
            goal = _hurry(oms, goal, order)
    goal = _overdue(oms, goal, out.exits)
    if books_lost and entries.must_keep_stops(oms, key, goal.strategy):
        return
    if out.exits or position.quantity == 0:
        return
    # entries that will end soon, and unproven fills, delay an exit; not for ever: what is owned must get out
    if oms.machine - goal.opened_machine_ns < oms.limits.exit_patience and (
        out.unproven or any(order.state is not OrderState.UNKNOWN for order in out.entries)
    ):
        return
    if goal.order and oms.machine < _not_before(oms, goal):
        return
    order = build_exit_order(oms, goal, position, abs(position.quantity))
    if out is _NOTHING_OUT and goal.purpose is not Purpose.STOP:
        fits = order.quantity - goal.elsewhere
    else:
        fits = dispatch.closable_quantity(oms, order, key)
    if fits <= 0:
        return
    oms.change_goal(goal, attempts=goal.attempts + 1, order=order.client_order_id)
    slices.create_closing_orders(oms, order, fits)


def _out(oms: OrderDecision, goal: Goal, key: NetKey) -> _Out:
    if not (orders := oms.open_orders(key)):
        return _NOTHING_OUT
    orders = [order for order in orders if order.strategy == goal.strategy]
    return _Out(
        [o for o in orders if not o.purpose.reduces and o.state in LIVE and o.state is not OrderState.INITIALIZED],
        [o for o in orders if o.purpose.reduces and (o.state in LIVE or o.filled_seen > o.filled)],
        any(o.filled_seen > o.filled for o in orders if not o.purpose.reduces),
    )


def _hurry(oms: OrderDecision, goal: Goal, order: Order) -> Goal:
    """Move an exit with a price that rests too long; cancel any other, so that the next attempt can replace it."""
    rests = order.state in RESTING and order.filled_seen < order.quantity and not order.evidence.cancel.wanted
    since = max(order.call.ended_machine_ns, order.evidence.modify.answered_machine_ns)
    if not rests or oms.machine - since < oms.limits.exit_patience:
        return goal
    if not (order.links.goal == goal.id and order.order_type is OrderType.LIMIT and goal.price):
        entries.cancel_order(oms, order, "replaced: rested too long for an exit")
        return goal
    if modify.did_nothing(order):
        entries.cancel_order(oms, order, "replaced: a change of its price did nothing")
        return goal
    if order.evidence.modify.wanted or order.evidence.modify.not_before_machine_ns > oms.machine:
        return goal
    price = goal.price + goal.price_step * order.side.sign
    last = goal.reprices >= oms.limits.exit_reprices or goal.price_step <= 0 or price <= 0  # then MARKET is next
    goal = oms.change_goal(goal, price=0.0 if last else round(price, 4), reprices=goal.reprices + 1)
    if goal.price:
        modify.request_terms(oms, order, OrderTerms(goal.price, 0.0, order.quantity))
    else:
        entries.cancel_order(oms, order, "replaced: rested too long for an exit with a price")
    return goal


def _not_before(oms: OrderDecision, goal: Goal) -> int:
    ended = (OrderState.REJECTED, OrderState.DENIED, OrderState.RECORDED)
    failed = [order for order in slices.orders_by_id(oms, goal.order) if order.state in ended]
    if not failed:
        return 0
    limits = oms.limits
    wait = limits.slow if goal.state == "stuck" else backoff(limits.exit_retry_first, limits.slow, goal.attempts)
    return max(max(order.call.ended_machine_ns, order.evidence.seen_machine_ns) for order in failed) + wait


def build_exit_order(oms: OrderDecision, goal: Goal, position: Position, quantity: int) -> Order:
    """Build the order of a goal's next attempt for `quantity` units of a position; nothing is emitted."""
    attempt = goal.attempts + 1
    # MARKET as soon as another goal of the same owner has no price
    hurried = goal.price and any(not other.price for other in entries.open_exit_goals(oms, goal.net, goal.strategy))
    price = 0.0 if hurried else goal.price
    return Order(
        client_order_id=client_order_id(goal.account, goal.id, goal.purpose, goal.instrument, 0, attempt),
        account=goal.account, instrument=goal.instrument, product=goal.product, strategy=goal.strategy,
        run=position.run or goal.run, cause=goal.cause, purpose=goal.purpose,
        side=Side.SELL if position.quantity > 0 else Side.BUY, quantity=quantity,
        order_type=OrderType.LIMIT if price else OrderType.MARKET, price=price, state=OrderState.INITIALIZED,
        created_ns=goal.created_ns, updated_ns=oms.now,
        call=PlacingCall(trace_ns=goal.trace_ns) if attempt == 1 and goal.trace_ns else NO_CALL,
        links=OrderLinks(goal=goal.id),
    )  # fmt: skip


def _overdue(oms: OrderDecision, goal: Goal, out: list[Order]) -> Goal:
    late = oms.machine - goal.opened_machine_ns >= oms.limits.exit_deadline
    if goal.state == "open" and (late or goal.attempts >= oms.limits.exit_attempts):
        why = f"not flat after {goal.attempts} attempts; it is still being tried"
        if goal.elsewhere:
            why = f"orders without owner may close {goal.elsewhere} of it; cancel unwanted ones at the broker"
        elif entries.must_keep_stops(oms, goal.net, goal.strategy):
            why = f"the books of {goal.account} cannot be read, so its stop stays until they can; look at the broker"
        elif (doubt := next((order for order in out if order.state in UNRESOLVED), None)) is not None:
            cure = f"look at the broker, then `mytrading orders resolve {doubt.client_order_id}`"
            why = f"{describe_order(doubt)}, and no other is sent beside it; {cure}"
        return mark_stuck(oms, goal, why)
    return goal


def mark_stuck(oms: OrderDecision, goal: Goal, what: str) -> Goal:
    """Mark an exit goal stuck and alert once that an operator is needed; returns the goal, still retried slowly."""
    if goal.state == "stuck":
        return goal
    text = f"exit of {goal.strategy} in {goal.instrument}: {what}"
    oms.alert(StateAlert.GOAL_STUCK, Severity.CRITICAL, goal.id, text)
    return oms.change_goal(goal, state="stuck", message=what)
