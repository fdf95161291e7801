"""Rebuilding of a journal that lost rows: its first rows, with entries that may have been sent as of unknown fate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from mytrading.core.oms.evidence import missing_units, net_positions, other_copies
from mytrading.core.oms.exits import broker_stops, exit_goals, flatten
from mytrading.core.oms.placing import entries, modify, slices
from mytrading.core.oms.reconcile import call_outcomes, order_identity, order_updates
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.slicing import Sizes, closing_slice_quantities
from mytrading.core.orders.state_machine import (
    ABSENT,
    LIVE,
    UNRESOLVED,
    order_from_command,
    same_fingerprint,
    unfilled_quantity,
)
from mytrading.core.time import ist_date
from mytrading.messages import orders
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import OrderState, OrderType, Purpose
from mytrading.messages.journal_rows import ControlOpened, DayOpened, RiskOpened
from mytrading.messages.keys import NetKey
from mytrading.messages.reports import BooksRead, BrokerOrder

PROOFS = 2
"""Whole reads before an exit that may have been sent already is begun."""


def opening_rows(records: Sequence[Any]) -> tuple[DayOpened, ...]:
    """Rebuild the opening row of a day whose journal was lost from rows of risk and the gateway; () without either."""
    risk = next((row for row in records if isinstance(row, RiskOpened)), None)
    control = next((row for row in records if isinstance(row, ControlOpened)), None)
    if risk is None and control is None:
        return ()
    opened = risk or RiskOpened(day=control.day if control else "")
    return (
        DayOpened(
            day=opened.day, orders=opened.orders, positions=opened.positions, halted=opened.halted,
            wrong_mode=opened.wrong_mode, goals=opened.goals, protections=opened.protections,
            sizes=risk.sizes if risk else {}, trading=control.trading if control else opened.trading,
            switches=control.switches if control else opened.switches,
        ),
    )  # fmt: skip


def decide_missed_messages(oms: OrderDecision, missed: Sequence[Any]) -> None:
    """Decide on messages undecided in a lost journal, make exits wait for book reads, emit all orders and positions."""
    for message in missed:
        if isinstance(message, PlaceEntry):
            _doubt_entry(oms, message)
        elif isinstance(message, CloseGoal):
            exit_goals.on_close_goal(oms, message)
        elif isinstance(message, WithdrawEntries):
            entries.on_withdraw(oms, message)
        elif isinstance(message, FlattenRequested):
            flatten.on_request(oms, message)
    # protections whose rows were lost while those of the fills were not begin as the newest entry wants them
    for order in sorted(oms.state.orders.sorted_values(), key=lambda o: -o.created_ns):
        position = oms.position(order)
        if position.quantity_seen * order.side.sign > 0 and position.run == order.run:
            broker_stops.start_protection(oms, order)
    # exits, and those of open flattens, that may have been sent in the lost part wait for two reads, stops for one
    for goal in oms.state.unfinished_goals():
        oms.change_goal(goal, waits_machine_ns=max(oms.machine, 1), proofs=0, elsewhere=0)
    for guarding in oms.state.open_protections():
        oms.change_protection(guarding, waits_machine_ns=max(oms.machine, 1))
    for name in sorted(oms.state.open_flattens):
        oms.change_flatten(oms.state.flattens[name], wary=True)
    _show(oms)


def _doubt_entry(oms: OrderDecision, command: PlaceEntry) -> None:
    """Look for what the command became: one order, or those of its slices that no reader of ours remembers."""
    if oms.state.is_known_id(command.id) and command.id not in oms.state.parts:
        return
    for order in slices.preview_entry_orders(oms, order_from_command(command, oms.now)):
        if order.client_order_id not in oms.state.orders:
            sent = replace(order, state=OrderState.SUBMITTED)
            oms.emit(orders.OrderChanged(event="rebuilt", order=sent, machine_ns=oms.machine))
            why = "the journal that would tell whether it was sent was lost"
            call_outcomes.mark_unknown(oms, sent, oms.machine, why)


def on_books(oms: OrderDecision, read: BooksRead, unclaimed: Sequence[BrokerOrder]) -> None:
    """Release exits held back since the journal was lost, once two complete reads show what is left to close.

    `unclaimed` are live broker orders that are not ours: units that they would close are not closed a second time.
    """
    if read.orders is None or read.trades is None or read.positions is None:
        return
    for goal in _held_back_goals(oms, read.account):
        _look(oms, goal, read, unclaimed)


def _held_back_goals(oms: OrderDecision, account: str) -> list[orders.Goal]:
    goals = oms.state.unfinished_goals()
    return [goal for goal in goals if goal.account == account and (goal.waits_machine_ns or goal.proofs)]


def _look(oms: OrderDecision, goal: orders.Goal, read: BooksRead, unclaimed: Sequence[BrokerOrder]) -> None:
    position = oms.position(goal)
    if goal.beside_copy:
        elsewhere = other_copies.units_elsewhere(oms, goal)
    else:
        elsewhere = _elsewhere(position, read, [row for row in unclaimed if _may_be_ours(oms, goal, row)])
    if elsewhere != goal.elsewhere:
        goal = oms.change_goal(goal, elsewhere=elsewhere)
    apart = oms.limits.mismatch_gap if goal.proofs else 1
    if not goal.waits_machine_ns or read.began_machine_ns - goal.waits_machine_ns < apart:
        return
    if goal.proofs + 1 < PROOFS:
        oms.change_goal(goal, proofs=goal.proofs + 1, waits_machine_ns=read.ended_machine_ns)
        return
    # positions may differ from ours unnoted: beside an order of unknown fate they are not compared
    disputed = _differs(oms, goal.net, read)
    if elsewhere < max(1, abs(position.quantity)) and not disputed:
        oms.change_goal(goal, proofs=PROOFS, waits_machine_ns=0)


def _differs(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the broker may hold less than the ledger. After a lost journal the order book tells where the position
    book cannot: an exit that was sent stands there."""
    if oms.state.rebuilt and not missing_units.tells_net(oms, key, read):
        return missing_units.net_by_orders(oms, key, read) != net_positions.ledger_net(oms.state, key)
    return key in oms.state.mismatches or net_positions.broker_net_may_differ(oms, key, read)


def _may_be_ours(oms: OrderDecision, goal: orders.Goal, row: BrokerOrder) -> bool:
    """True if a row without owner may be an exit or stop of ours: any may be after a lost journal, else one that fits
    an order which was never found."""
    if oms.state.rebuilt:
        return True
    lost = (o for o in oms.state.orders.values() if o.net == goal.net and o.purpose.reduces and not o.broker_order_id)
    lost = (order for order in lost if order.call.attempt and order.state in ABSENT | {OrderState.EXPIRED})
    return any(order_identity.may_be_same_order(oms, order, row) for order in lost)


def _elsewhere(held: orders.Position, read: BooksRead, unclaimed: Sequence[BrokerOrder]) -> int:
    """Units that live orders without owner may still take off a position."""
    traded = {row.broker_order_id: row.quantity for row in read.trades or ()}
    return sum(
        max(0, row.quantity - max(row.filled or 0, traded.get(row.broker_order_id, 0)))
        for row in unclaimed
        if row.instrument == held.instrument
        and row.product in (None, held.product)
        and row.side.sign * held.quantity < 0
        and not row.status.is_final
    )


def _show(oms: OrderDecision) -> None:
    state, today = oms.state, ist_date(oms.now)
    for order in state.orders.sorted_values():
        oms.emit(orders.OrderChanged(event="restored", order=order, machine_ns=oms.machine))
    for position in state.positions.sorted_values():
        fresh = ist_date(position.updated_ns) == today
        oms.emit_position(position if fresh else replace(position, realised=0.0, bought=0, sold=0))
    for goal in state.goals.sorted_values():
        oms.emit(orders.GoalChanged(goal=goal, at_ns=oms.now))
    for guarding in state.protections.sorted_values():
        oms.emit(orders.ProtectionChanged(protection=guarding, at_ns=oms.now))
    for table in (state.unmanaged, state.halted, state.wrong_mode):
        for row in table.sorted_values():
            oms.emit(row)


_NAMELESS = UNRESOLVED | ABSENT | {OrderState.SUBMITTED}
"""Orders whose row has no name of ours yet: theirs is found by `unknown`, or named by the answer to their call."""


def adopt_matching_orders(oms: OrderDecision, read: BooksRead, unclaimed: Sequence[BrokerOrder]) -> list[BrokerOrder]:
    """Adopt live broker orders that look like our lost stops and exits, and let waiting stops be placed; returns the
    rows still unclaimed."""
    since = oms.state.rebuilt.get("machine_ns")
    left = []
    for row in unclaimed:
        if (read.account, row.broker_order_id) in oms.state.by_broker:
            continue  # it was found in this very read
        first_seen = oms.state.foreign.get((read.account, row.broker_order_id))
        lost = since is not None and read.began_machine_ns > since and (first_seen is None or first_seen > since)
        if not (lost and not row.status.is_final and (_as_stop(oms, read, row) or _as_exit(oms, read, row))):
            left.append(row)
    # stops that waited for a read are placed, unless positions lack units that the day began with
    for level in oms.state.open_protections():
        if level.account == read.account and 0 < level.waits_machine_ns < read.began_machine_ns:
            carried = (level.account, level.instrument) in oms.state.begun
            if not (carried and net_positions.broker_net_may_differ(oms, level.net, read)):
                oms.change_protection(level, waits_machine_ns=0)
    return left


def _as_stop(oms: OrderDecision, read: BooksRead, row: BrokerOrder) -> bool:
    if row.order_type is not OrderType.SL:
        return False
    place = (read.account, row.instrument, row.side)
    levels = (one for one in oms.state.open_protections() if (one.account, one.instrument, one.side) == place)
    same = (level for level in levels if row.product in (None, level.product))
    alike = [level for level in same if _has_prices(row, level) or (level.moving and _has_prices(row, level.moving))]
    if not alike or _is_sought(oms, alike[0].net, row):
        return False
    level = max(alike, key=lambda level: broker_stops.uncovered_units(oms, level))
    attempt = broker_stops.next_unused_attempt(oms, level)
    order = broker_stops.build_stop_order(oms, level, row.quantity, attempt)
    order = replace(order, price=row.price, trigger_price=row.trigger_price)
    oms.change_protection(level, attempts=attempt, order=order.client_order_id)
    _take_over(oms, read, order, row)
    return True


def _has_prices(row: BrokerOrder, level: orders.Protection | orders.StopMove) -> bool:
    return max(abs(row.trigger_price - level.trigger), abs(row.price - level.limit)) < modify.SAME


def _as_exit(oms: OrderDecision, read: BooksRead, row: BrokerOrder) -> bool:
    for goal in _held_back_goals(oms, read.account):
        if not _is_exit_of(oms, goal, row):
            continue
        if _is_sought(oms, goal.net, row):
            return False
        order = exit_goals.build_exit_order(oms, goal, oms.position(goal), row.quantity)
        oms.change_goal(goal, attempts=goal.attempts + 1, order=order.client_order_id)
        _take_over(oms, read, order, row)
        return True
    return False


def _is_exit_of(oms: OrderDecision, goal: orders.Goal, row: BrokerOrder) -> bool:
    held = oms.position(goal).quantity
    same = row.instrument == goal.instrument and row.product in (None, goal.product)
    at_limit = row.order_type is OrderType.LIMIT and bool(goal.price) and abs(row.price - goal.price) < modify.SAME
    if not same or row.side.sign * held >= 0 or not (row.order_type is OrderType.MARKET or at_limit):
        return False
    mine = (order for order in oms.open_orders(goal.net) if order.strategy == goal.strategy and order.state in LIVE)
    out = sum(unfilled_quantity(order) for order in mine if order.purpose.reduces and order.purpose is not Purpose.STOP)
    sizes = oms.state.sizes.get(goal.instrument) or Sizes()
    return row.quantity in closing_slice_quantities(abs(held), sizes) and out + row.quantity <= abs(held)


def _is_sought(oms: OrderDecision, key: NetKey, row: BrokerOrder) -> bool:
    """True if the row may be that of an order of ours whose name at the broker is not known yet."""
    return any(
        same_fingerprint(order, row.instrument, row.side, row.quantity)
        if order.state is OrderState.SUBMITTED
        else order_identity.may_be_same_order(oms, order, row)
        for order in oms.open_orders(key)
        if order.state in _NAMELESS
    )


def _take_over(oms: OrderDecision, read: BooksRead, order: orders.Order, row: BrokerOrder) -> None:
    sent = replace(order, state=OrderState.SUBMITTED, call=replace(order.call, attempt=1))
    oms.emit(orders.OrderChanged(event="rebuilt", order=sent, machine_ns=oms.machine))
    bound = order_updates.bind_broker_order(oms, sent, row.broker_order_id)
    trades = {found.broker_order_id: found for found in read.trades or ()}
    if bound is not None:
        order_updates.on_order_row(oms, bound, row, trades.get(row.broker_order_id), read)
