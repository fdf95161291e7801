"""Updates of the order machine's state: each kind of row, and what it changes.

`FOLDS` is the only place where a row becomes knowledge, and it decides nothing, so that the same rows always lead to
the same state.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mytrading.core.oms.state.broker_ids import is_younger, midnight_of
from mytrading.core.oms.state.state import BOOKS_BACK, BOOKS_LOST, TABLES, State, Table
from mytrading.core.orders.slicing import Sizes
from mytrading.core.orders.state_machine import TERMINAL, is_of_day
from mytrading.messages import account_events, orders
from mytrading.messages.commands import CloseGoal, HoldStop, PlaceEntry, WithdrawEntries
from mytrading.messages.control import (
    ClaimRequested,
    DayTraded,
    FlattenRequested,
    StrategySwitch,
    TradingState,
    WithdrawRequested,
)
from mytrading.messages.enums import Call, OrderState, Product, Purpose, TradingLevel
from mytrading.messages.journal_rows import DayOpened, JournalRelearned, RunStarted
from mytrading.messages.keys import NetKey
from mytrading.messages.reports import BooksRead, ModeSeen, OrderReport, ReadRequest
from mytrading.messages.settlements import SettlementOpened, UnitsAwaited

KEPT_STAMPS = 64
KEPT_READS = 8
_PLACING: tuple[Call, ...] = (Call.PLACE,)
_MOVED = ("claim", "conversion", "settled", "corporate_action")
"""Causes of an adjustment by which an owner gets, or loses, units that no order bought or sold."""
BASKET_NS = 30_000_000_000
"""Time after the first leg in which calls are kept for the others: as long as risk may still order them."""


class BooksEnded(msgspec.Struct, frozen=True, kw_only=True, tag="books_read"):
    """A `BooksRead` whose books were judged before."""

    ended_machine_ns: int


class OrderReported(msgspec.Struct, frozen=True, kw_only=True, tag="order_report"):
    """An `OrderReport` that was judged before."""

    received_machine_ns: int


ReplayedReport = BooksEnded | OrderReported | ModeSeen


def _kinds_out(order: orders.Order) -> tuple[Call, ...]:
    """The calls of the order that are on their way: a cancel may leave while a change has no answer yet."""
    kinds = _PLACING if order.state is OrderState.SUBMITTED else ()
    if order.evidence.cancel.out:
        kinds = (*kinds, Call.CANCEL)
    return (*kinds, Call.MODIFY) if order.evidence.modify.out else kinds


def _order(state: State, row: orders.OrderChanged) -> None:
    order, machine_ns = row.order, row.machine_ns
    if machine_ns > state.machine_ns:
        state.machine_ns = machine_ns
    key = order.net
    before = state.put_order(order, key)
    if state.touched.get(key) != machine_ns:
        state.put(state.touched, key, machine_ns)
    filled = order.filled - (before.filled if before is not None else 0)
    if filled:
        state.put(state.filled_at, key, machine_ns)
    if row.event == "filled_earlier" and order.client_order_id in state.carried:
        _begin_with(state, key, filled * order.side.sign)
        state.put(state.filled_before, order.client_order_id, order.filled)
    evidence = order.evidence
    if before is not None or order.state is OrderState.SUBMITTED or evidence.cancel.out or evidence.modify.out:
        _count_call(state, before, row)
    if state.baskets and order.state in TERMINAL and not order.filled_seen:
        # a leg that nothing came of: whoever tries it again says what is to come
        state.drop(state.baskets, (order.account, order.strategy, order.cause))
    if row.event == "cancelled" and order.purpose is Purpose.ENTRY and order.evidence.cancel.calls:
        state.put(state.withdrawn, (order.account, order.instrument), order.updated_ns)
    elif row.event == "submitted":
        state.put(state.placed, order.account, (state.placed.get(order.account) or 0) + 1)
        if state.carried:
            state.drop(state.carried, order.client_order_id)  # made on an earlier day, sent today: an order of today
    elif row.event == "rate_limited":
        waits = (order.call, evidence.cancel, evidence.modify)
        state.put(state.paused, order.account, max(each.not_before_machine_ns for each in waits))


def _count_call(state: State, before: orders.Order | None, row: orders.OrderChanged) -> None:
    order, earlier = row.order, _kinds_out(before) if before is not None else ()
    present = _kinds_out(order)
    if present == earlier:
        return
    for kind in present:
        if kind not in earlier:
            state.put(state.calling, (order.account, order.client_order_id, kind), row.machine_ns)
    for kind in earlier:
        if kind not in present:
            state.drop(state.calling, (order.account, order.client_order_id, kind))
            _append(state, state.sent, order.account, row.machine_ns, KEPT_STAMPS)


def _goal(state: State, row: orders.GoalChanged) -> None:
    goal = row.goal
    name, is_open = goal.id, goal.state != "done"
    state.put(state.goals, name, goal)
    if is_open != (name in state.open_goals):
        state.put_or_drop(state.open_goals, name, goal.account, is_open)


def _protection(state: State, row: orders.ProtectionChanged) -> None:
    level = row.protection
    state.put(state.protections, level.owner, level)
    state.put_or_drop(state.guarding, level.owner, level.id, level.state != "done")


def _mode(state: State, row: account_events.AccountModeChanged) -> None:
    state.put_or_drop(state.modes, row.account, row.mode, row.mode)
    if not row.mode:
        state.put_or_drop(state.wrong_mode, row.account, row, row.wrong_mode)


def _timer(state: State, row: orders.TimerFired) -> None:
    state.advance_machine_time(row.machine_ns)
    if row.name in ("disk_low", "disk_ok"):
        state.put_or_drop(state.flags, "disk_low", 1, row.name == "disk_low")
    elif row.name.startswith(BOOKS_LOST):
        state.put(state.flags, row.name, 1)
    elif row.name.startswith(BOOKS_BACK) and state.books_lost(row.name.removeprefix(BOOKS_BACK)):
        state.drop(state.flags, BOOKS_LOST + row.name.removeprefix(BOOKS_BACK))


def _run_started(state: State, row: RunStarted) -> None:
    state.clear(state.modes)
    state.put(state.flags, "run", row.run_ns)


def _withdraw_requested(state: State, row: WithdrawRequested) -> None:
    if row.stops_run_ns:
        state.put(state.flags, "stopped_run", row.stops_run_ns)


def _traded(state: State, row: DayTraded) -> None:
    for exchange in row.exchanges:
        state.put(state.traded_days, exchange, row.day)


def _relearned(state: State, row: JournalRelearned) -> None:
    if row.machine_ns:  # rows of older versions do not say: nothing is taken over by its shape then
        state.put(state.rebuilt, "machine_ns", row.machine_ns)
    state.put(state.rebuilt, "market_ns", row.at_ns)


def _foreign(state: State, row: account_events.ForeignSeen) -> None:
    state.put(state.books, row.account, 1)
    for name in row.gone:
        state.drop(state.earlier, (row.account, name))
        state.drop(state.foreign, (row.account, name))
        state.drop(state.foreign_orders, (row.account, name))
    if row.positions:
        state.put(state.compared, row.account, 1)
    for name in row.ids:
        state.put(state.foreign, (row.account, name), row.machine_ns)
    for foreign in row.rows:
        place = (row.account, foreign.broker_order_id)
        state.put(state.foreign_orders, place, foreign)
        if (before := state.earlier.get(place)) is not None and is_younger(foreign, before):
            state.drop(state.earlier, place)  # the broker uses the id again


def _flatten(state: State, row: orders.FlattenChanged) -> None:
    level = row.flatten
    state.put(state.flattens, level.id, level)
    state.put_or_drop(state.open_flattens, level.id, level.account, level.state != "done")


def _answered(state: State, row: orders.RequestAnswered) -> None:
    state.put(state.answered, row.id, row)
    state.drop(state.settlements, row.id)


def _stopped(state: State, row: account_events.EntriesStopped) -> None:
    """Counts behind a stop of entries end with it."""
    if row.stopped:
        state.put(state.stopped, (row.account, row.instrument), row)
        return
    state.drop(state.stopped, (row.account, row.instrument))
    marks = state.churned.get(row.account) or ()
    state.put(state.churned, row.account, tuple(mark for mark in marks if row.instrument not in ("", mark[0])))


def _newest(state: State, table: Table[str, Any], key: str, row: TradingState | StrategySwitch) -> None:
    known = table.get(key)
    if known is None or row.generation >= known.generation:
        state.put(table, key, row)


def _day(state: State, row: DayOpened) -> None:
    recovering = state.recovering.sorted_items()
    for name in TABLES:
        state.clear(getattr(state, name))
    for account, recovery in recovering:
        state.put(state.recovering, account, recovery)
    for order in row.orders:
        state.put_order(order, order.net)
        for kind in _kinds_out(order):
            state.put(state.calling, (order.account, order.client_order_id, kind), order.call.began_machine_ns)
        if not is_of_day(order, row.day):
            state.put(state.carried, order.client_order_id, row.day)
            state.put_or_drop(state.filled_before, order.client_order_id, order.filled, bool(order.filled))
    held = [(position.net, position.quantity) for position in row.positions]
    held += [(level.net, level.quantity) for level in row.unmanaged]
    for key, units in held:
        state.put(state.begun, key[:2], (state.begun.get(key[:2]) or 0) + units)
        _explain(state, key, units)
    for position in row.positions:
        state.put_position(position)
        if position.product is Product.CNC and position.quantity > 0:
            key = position.net
            state.put(state.delivered, key, (state.delivered.get(key) or 0) + position.quantity)
    for protection in row.protections:
        _protection(state, orders.ProtectionChanged(protection=protection, at_ns=0))
    for goal in row.goals:
        _goal(state, orders.GoalChanged(goal=goal, at_ns=0))
    for flatten in row.flattens:
        _flatten(state, orders.FlattenChanged(flatten=flatten, at_ns=0))
    levels = (row.unmanaged, row.halted, row.wrong_mode, row.mismatches, row.trading, row.switches, row.stopped)
    for part in (*levels, row.agreed, row.names, row.awaited, row.odd_lots):
        for kept in part:
            FOLDS[type(kept)](state, kept)
    for text in row.used_ids:
        day, _, name = text.partition(" ")
        state.put(state.used, name, day)
    for text, ids in row.broker_ids.items():
        day, _, account = text.partition(" ")
        for name in ids:
            state.put(state.earlier, (account, name), midnight_of(day))
    for hold in row.held_stops:
        _hold_stop(state, hold)
    _many_sizes(state, row)
    for account, stamps in row.calls.items():
        state.put(state.sent, account, stamps)
    for account in row.accounts:
        state.put(state.in_run, account, 1)
    for account, broker in row.brokers.items():
        state.put(state.brokers, account, broker)


def _accounts(state: State, row: account_events.AccountsInRun) -> None:
    for account in list(state.in_run):
        state.drop(state.in_run, account)
    for account in row.accounts:
        state.put(state.in_run, account, 1)
    for account in row.returned:
        state.put(state.returned, account, 1)


def _recovering(state: State, row: account_events.RecoveryChanged) -> None:
    state.put(state.recovering, row.account, row)
    if row.done:
        state.drop(state.returned, row.account)


def _adjusted(state: State, row: orders.PositionAdjusted) -> None:
    for level in row.levels:
        state.put_position(level)
    if row.cause in _MOVED:
        _explain(state, row.position.net, row.quantity)
    if row.cause == "corporate_action" and row.position.product is Product.CNC:  # it comes into the holdings
        key = row.position.net
        state.put(state.delivered, key, max(0, (state.delivered.get(key) or 0) + row.quantity))
    if row.source is not None:
        _explain(state, row.source.net, -row.quantity)
    if row.cause == "expiry":
        state.put_or_drop(state.estimated_expiries, row.position.owner, row, row.estimated)
    if row.untraded:
        _explain(state, row.position.net, row.untraded)
    if gone := row.quantity if row.cause == "settled" else row.untraded:
        _let_go(state, row.position.net, gone)
    if row.cause == "corporate_action" or not row.position.open_units:
        state.drop(state.held_stops, row.position.owner)
    if row.gone is not None:
        state.put(state.gone, row.gone.id, row)
    for name in row.trades:
        state.put(state.explaining, (row.position.account, name), row.position.instrument)


def _let_go(state: State, key: NetKey, units: int) -> None:
    """Units (signed change) that the day began with are gone: sums of its trades must not wait for one of theirs."""
    begun, place = state.begun.get(key[:2]) or 0, key[:2]
    if begun * units >= 0:
        return
    left = begun + (units if abs(units) < abs(begun) else -begun)
    shown = state.begun_shown.get(place) or 0
    state.put(state.begun, place, left)
    bounded = max(min(shown, left), 0) if left >= 0 else min(max(shown, left), 0)
    state.put_or_drop(state.begun_shown, place, bounded, bounded)


def _agreed(state: State, row: account_events.NetAgreed) -> None:
    """Rows that were carried into the day have no time."""
    state.put_or_drop(state.agreed, row.net, row.quantity, row.quantity)
    if row.at_ns:
        state.put(state.agreed_today, row.net, row.at_ns)


def _held_short(state: State, row: account_events.HeldShort) -> None:
    state.put_or_drop(state.short, row.net, row, row.lacks)
    state.put(state.told, row.net, row.at_ns)


def _hold_stop(state: State, row: HoldStop) -> None:
    """A stop that is held stays so until an operator decided, whatever a risk without memory says later."""
    state.put(state.first_priced, row.owner, row.id)
    if row.ratio:
        state.put(state.held_stops, row.owner, row)


def _unmanaged(state: State, row: account_events.UnmanagedChanged) -> None:
    state.put_or_drop(state.unmanaged, row.net, row, row.quantity)
    if row.carried:
        _begin_with(state, row.net, row.carried)
        state.put(state.told, row.net, row.at_ns)  # by a position book of today


def _begin_with(state: State, key: NetKey, units: int) -> None:
    """Units (signed change) that nobody knew of: the day began with them."""
    state.put(state.begun, key[:2], (state.begun.get(key[:2]) or 0) + units)
    _explain(state, key, units)


def _explain(state: State, key: NetKey, units: int) -> None:
    state.put(state.unexplained, key, (state.unexplained.get(key) or 0) + units)


def _entered(state: State, row: PlaceEntry) -> None:
    _sizes(state, row)
    basket = (row.account, row.strategy, row.cause)
    if row.basket_calls or basket in state.baskets:
        state.put(state.baskets, basket, (row.basket_calls, row.expires_machine_ns + BASKET_NS))


def _end_baskets(state: State, row: CloseGoal | WithdrawEntries) -> None:
    """A closed or withdrawn basket waits for no legs; an empty field means all."""
    for basket in sorted(state.baskets):
        if row.account in ("", basket[0]) and row.strategy in ("", basket[1]):
            state.drop(state.baskets, basket)
    if isinstance(row, CloseGoal):
        _sizes(state, row)


def _sizes(state: State, row: PlaceEntry | CloseGoal | ClaimRequested) -> None:
    if row.lot and state.sizes.get(row.instrument) != (row.lot, row.freeze):
        state.put(state.sizes, row.instrument, Sizes(row.lot, row.freeze))


def _copies(state: State, row: account_events.OtherCopySeen) -> None:
    for name, like in row.orders.items():
        state.put(state.copies, (row.account, name), like)
    for name in row.before:
        state.put(state.copies, (row.account, name), "")


def _named(state: State, row: account_events.ProductNamed) -> None:
    if row.first:
        state.put(state.shown_first, row.net, row.shown)
    else:
        state.put(state.names, row.net, row)


def _append(state: State, table: Table[str, Any], account: str, value: object, keep: int) -> None:
    """Add a value to those of an account, and keep the newest ones."""
    state.put(table, account, (*(table.get(account) or ()), value)[-keep:])


def _trading(state: State, row: TradingState) -> None:
    known = state.trading.get(row.account)
    if row.level is TradingLevel.NORMAL and (known is None or row.generation > known.generation):
        for owner in list(state.odd_lots):  # an operator resumes: what was refused is tried once more
            if row.account in ("", owner.account):
                state.drop(state.odd_lots, owner)
    _newest(state, state.trading, row.account, row)


def _many_sizes(state: State, row: FlattenRequested | DayOpened | account_events.ContractSizes) -> None:
    for instrument, sizes in row.sizes.items():
        state.put(state.sizes, instrument, Sizes(*sizes))


FOLDS: dict[type, Any] = {
    PlaceEntry: _entered,
    HoldStop: _hold_stop,
    CloseGoal: _end_baskets,
    WithdrawEntries: _end_baskets,
    ClaimRequested: _sizes,
    FlattenRequested: _many_sizes,
    orders.OrderChanged: _order,
    orders.PositionChanged: lambda state, row: state.put_position(row.position),
    orders.PositionAdjusted: _adjusted,
    orders.GoalChanged: _goal,
    orders.ProtectionChanged: _protection,
    account_events.UnmanagedChanged: _unmanaged,
    account_events.ClaimWaits: lambda state, row: state.put_or_drop(state.claims, row.request.id, row, not row.over),
    account_events.InstrumentHalted: lambda state, row: state.put_or_drop(state.halted, row.net, row, row.halted),
    account_events.AccountModeChanged: _mode,
    account_events.AccountBrokerChanged: lambda state, row: state.put(state.brokers, row.account, row.broker),
    account_events.MismatchSeen: lambda state, row: state.put_or_drop(state.mismatches, row.net, row, not row.cleared),
    account_events.AccountsInRun: _accounts,
    account_events.RecoveryChanged: _recovering,
    account_events.CarriedShown: lambda state, row: state.put_or_drop(
        state.begun_shown, (row.account, row.instrument), row.quantity, row.quantity
    ),
    account_events.NetAgreed: _agreed,
    account_events.LastPriceSeen: lambda state, row: state.put(
        state.last_prices, (row.account, row.instrument), row.price
    ),
    account_events.HeldShort: _held_short,
    account_events.OtherCopySeen: _copies,
    account_events.OutsideClosing: lambda state, row: state.put_or_drop(state.outside, row.net, row, row.units),
    account_events.ProductNamed: _named,
    account_events.ContractSizes: _many_sizes,
    account_events.OddUnitsRefused: lambda state, row: state.put(state.odd_lots, row.owner, row),
    account_events.EmptyBooksSeen: lambda state, row: state.put_or_drop(
        state.emptied, row.account, row, not row.cleared
    ),
    account_events.ForeignSeen: _foreign,
    account_events.EntryChurned: lambda state, row: _append(
        state, state.churned, row.account, (row.instrument, row.at_ns), KEPT_STAMPS
    ),
    account_events.EntriesStopped: _stopped,
    orders.FlattenChanged: _flatten,
    orders.RequestAnswered: _answered,
    SettlementOpened: lambda state, row: state.put(state.settlements, row.request.id, row),
    UnitsAwaited: lambda state, row: state.put(state.awaited, row.owner, row),
    TradingState: _trading,
    StrategySwitch: lambda state, row: _newest(state, state.switches, row.strategy, row),
    DayOpened: _day,
    RunStarted: _run_started,
    WithdrawRequested: _withdraw_requested,
    DayTraded: _traded,
    ReadRequest: lambda state, row: _append(state, state.reads, row.account, row.machine_ns, KEPT_READS),
    orders.TimerFired: _timer,
    JournalRelearned: _relearned,
    orders.CallOutcome: lambda state, row: state.advance_machine_time(row.ended_machine_ns),
    orders.ExitQuote: lambda state, row: state.advance_machine_time(row.ended_machine_ns),
    BooksRead: lambda state, row: state.advance_machine_time(row.ended_machine_ns),
    BooksEnded: lambda state, row: state.advance_machine_time(row.ended_machine_ns),
    OrderReport: lambda state, row: state.advance_machine_time(row.received_machine_ns),
    OrderReported: lambda state, row: state.advance_machine_time(row.received_machine_ns),
    ModeSeen: lambda state, row: state.advance_machine_time(row.machine_ns),
}
