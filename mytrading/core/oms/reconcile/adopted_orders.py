"""Stops and exits at the broker that only the lost part of a journal knew: taken over by their shape.

A stop of ours has exactly the trigger and the limit of its protection; an exit is MARKET, or at its goal's price, and
for just what an attempt would close. Only what still rests is taken over, and nothing that was known to be nobody's
before the journal was rebuilt.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mytrading.core.oms.evidence import overnight
from mytrading.core.oms.exits import broker_stops, exit_goals
from mytrading.core.oms.placing import modify
from mytrading.core.oms.reconcile import order_updates
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.slicing import Sizes, closing_slices
from mytrading.core.orders.state_machine import ABSENT, LIVE, UNRESOLVED, remaining, same_fingerprint
from mytrading.messages.enums import OrderState, OrderType, Purpose
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Goal, Order, OrderChanged, Protection
from mytrading.messages.reports import BooksRead, BrokerOrder

_NAMELESS = UNRESOLVED | ABSENT | {OrderState.SUBMITTED}
"""Orders whose row has no name of ours yet: theirs is found by `unknown`, or named by the answer to their call."""


def adopt(oms: OrderDecision, read: BooksRead, unclaimed: Sequence[BrokerOrder]) -> list[BrokerOrder]:
    """Take over what is ours by its shape; returns the rows that are still nobody's."""
    since = oms.state.rebuilt.get("machine_ns")
    left = []
    for row in unclaimed:
        if (read.account, row.broker_order_id) in oms.state.by_broker:
            continue  # it was found in this very read
        candidate = since is not None and _may_be_of_the_lost_part(oms, read, row, since)
        if not (candidate and (_as_stop(oms, read, row) or _as_exit(oms, read, row))):
            left.append(row)
    _let_go(oms, read)
    return left


def _may_be_of_the_lost_part(oms: OrderDecision, read: BooksRead, row: BrokerOrder, since: int) -> bool:
    if row.status.ended or read.began_machine_ns <= since:
        return False
    first_seen = oms.state.foreign.get((read.account, row.broker_order_id))
    return first_seen is None or first_seen > since


def _let_go(oms: OrderDecision, read: BooksRead) -> None:
    """Protections that waited for a look at the book go on: what it shows of theirs is known now.

    Not those of units the day began with that its positions do not show: a stop of the day before may have sold them.
    """
    for owned, _ in oms.state.guarding.sorted_items():
        level = oms.state.protections.get(owned)
        if level is not None and level.account == read.account and 0 < level.waits_machine_ns < read.began_machine_ns:
            carried = (level.account, level.instrument) in oms.state.begun
            if not (carried and overnight.may_be_filled(level.net, oms.state, read)):
                oms.protection(level, waits_machine_ns=0)


def _as_stop(oms: OrderDecision, read: BooksRead, row: BrokerOrder) -> bool:
    if row.order_type is not OrderType.SL:
        return False
    levels = [level for name, _ in oms.state.guarding.sorted_items() if (level := oms.state.protections.get(name))]
    alike = [level for level in levels if level.account == read.account and _is_stop_of(level, row)]
    if not alike or _is_sought(oms, alike[0].net, row):
        return False
    level = max(alike, key=lambda level: broker_stops.missing(oms, level))
    attempt = broker_stops.unused(oms, level)
    order = broker_stops.stop_order(oms, level, row.quantity, attempt)
    oms.protection(level, attempts=attempt, order=order.client_order_id)
    _take_over(oms, read, order, row)
    return True


def _is_stop_of(level: Protection, row: BrokerOrder) -> bool:
    same = (row.instrument, row.side) == (level.instrument, level.side) and row.product in (None, level.product)
    apart = max(abs(row.trigger_price - level.trigger), abs(row.price - level.limit))
    return same and apart < modify.SAME


def _as_exit(oms: OrderDecision, read: BooksRead, row: BrokerOrder) -> bool:
    for name, account in oms.state.open_goals.sorted_items():
        goal = oms.state.goals.get(name) if account == read.account else None
        if goal is None or not (goal.waits_machine_ns or goal.proofs) or not _is_exit_of(oms, goal, row):
            continue
        if _is_sought(oms, goal.net, row):
            return False
        order = exit_goals.exit_order(oms, goal, oms.position(goal), row.quantity)
        oms.goal(goal, attempts=goal.attempts + 1, order=order.client_order_id)
        _take_over(oms, read, order, row)
        return True
    return False


def _is_exit_of(oms: OrderDecision, goal: Goal, row: BrokerOrder) -> bool:
    held = oms.position(goal).quantity
    same = row.instrument == goal.instrument and row.product in (None, goal.product)
    if not same or row.side.sign * held >= 0 or not _has_price_of(goal, row):
        return False
    out = sum(
        remaining(order)
        for order in oms.open_orders(goal.net)
        if order.strategy == goal.strategy and order.purpose.reduces and order.state in LIVE
        if order.purpose is not Purpose.STOP
    )
    sizes = oms.state.sizes.get(goal.instrument) or Sizes()
    return row.quantity in closing_slices(abs(held), sizes) and out + row.quantity <= abs(held)


def _has_price_of(goal: Goal, row: BrokerOrder) -> bool:
    at_limit = row.order_type is OrderType.LIMIT and bool(goal.price) and abs(row.price - goal.price) < modify.SAME
    return row.order_type is OrderType.MARKET or at_limit


def _is_sought(oms: OrderDecision, key: NetKey, row: BrokerOrder) -> bool:
    """True if the row may be that of an order of ours whose name at the broker is not known yet."""
    return any(
        order.state in _NAMELESS and same_fingerprint(order, row.instrument, row.side, row.quantity)
        for order in oms.open_orders(key)
    )


def _take_over(oms: OrderDecision, read: BooksRead, order: Order, row: BrokerOrder) -> None:
    sent = replace(order, state=OrderState.SUBMITTED, call=replace(order.call, attempt=1))
    oms.emit(OrderChanged(event="rebuilt", order=sent, machine_ns=oms.machine))
    bound = order_updates.bind(oms, sent, row.broker_order_id)
    trades = {found.broker_order_id: found for found in read.trades or ()}
    if bound is not None:
        order_updates.on_row(oms, bound, row, trades.get(row.broker_order_id), read)
