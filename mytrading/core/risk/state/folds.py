"""Updates of risk's state: `fold` applies each row that concerns it; `core/risk/runs` keeps the runs besides."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from mytrading.core.accounting.pnl import drop_implausible_book
from mytrading.core.no_price import contradicts_book, stand_in
from mytrading.core.orders.state_machine import TERMINAL, order_from_command, with_modify
from mytrading.core.risk.pnl.day_pnl import ACCOUNT, STRATEGY
from mytrading.core.risk.protection.hedges import hedging_units
from mytrading.core.risk.state import gone_units, level_copies, lost_covers, orphan_hedges
from mytrading.core.risk.state.environment import UNKNOWN_WATCH, watched_instrument_of
from mytrading.core.risk.state.indexed_dict import IndexedDict
from mytrading.core.risk.state.inputs import JournalDoubt
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import BasketReserve, RiskState, is_stale
from mytrading.core.time import DAY, IST_OFFSET, day_number_of, iso_day
from mytrading.messages import control
from mytrading.messages.account_events import AccountModeChanged, InstrumentHalted, RecoveryChanged
from mytrading.messages.commands import (
    ADJUSTMENT_BROKEN,
    CloseGoal,
    HoldStop,
    PlaceEntry,
    PriceUnits,
    RiskLevels,
    SignalDenied,
    SignalExpired,
    WithdrawEntries,
)
from mytrading.messages.enums import OrderState, Product, Side
from mytrading.messages.journal_rows import IntentSized, LevelMoved, RiskOpened, Rolled, RunStarted
from mytrading.messages.keys import OwnerKey
from mytrading.messages.level_names import ACTION_PREFIX, PASSED_PREFIX, STOP_PREFIX, TARGET_PREFIX, owner_of_level
from mytrading.messages.market import Quote
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    ProtectionChanged,
    TimerFired,
    TradeClosed,
)
from mytrading.messages.reports import AccountHealth, BrokerHeld, Funds, MarginAnswer, MarginRequest, ReadRequest
from mytrading.messages.signals import Leg, Signal

REMEMBERED = 4000
SETTLES_NOTHING = frozenset((
    OrderChanged, Quote, control.Heartbeat, AccountHealth, TimerFired, LevelMoved, ProtectionChanged, Funds, BrokerHeld,
    ReadRequest, control.Alert, MarginRequest, MarginAnswer, TradeClosed,
))  # fmt: skip
"""Rows that change no position, exit under way or intent. An order's change is looked at for `_settling_facts`."""
_NEAR = 0.002
"""The share of a last price within which bid and ask lie in any collar."""


def fold(state: RiskState, row: Any) -> None:
    """Apply a row to the state of risk in place; rows that do not concern risk change nothing."""
    kind = type(row)
    learn = _LEARN.get(kind)
    if learn is not None:
        learn(state, row)
        if kind not in SETTLES_NOTHING:
            state.looked_at.clear()


def _remember(table: dict[str, Any], name: str, value: Any) -> None:
    table[name] = value
    while len(table) > REMEMBERED:
        del table[next(iter(table))]


def _signal(state: RiskState, signal: Signal) -> None:
    key = (signal.strategy, signal.watch)
    _remember(state.watch_of_signal, signal.id, key)
    _bind_unbound(state, signal)
    known = state.intents.get(key)
    if known is not None and known.signal.id == signal.id and (known.settled or signal.changes):
        return
    if signal.changes:
        if known is not None:
            _settle_if_satisfied(state, known)
            state.reset_awaited_instruments()
        if not adjustment_problem(state, signal):  # else it is denied, and what stands goes on
            _adjust(state, signal, known)
        return
    moved = _moved_contracts(state, signal.strategy) if state.rolls else {}
    intent = state.intents[key] = Intent(signal=signal, since_ns=signal.created_ns, moved=moved)
    same = known is not None and intent.wants_same_position(known)
    if not same and state.baskets:
        state.baskets = {name: kept for name, kept in state.baskets.items() if name[:2] != key}
    if known is not None:
        _take_over(state, intent, known, same=same)
    _settle_if_satisfied(state, intent)
    state.reset_awaited_instruments()


def adjustment_problem(state: RiskState, signal: Signal) -> str:
    """Return why an adjustment cannot replace the present intent; empty if it can."""
    known = state.intents.get((signal.strategy, signal.watch))
    if known is not None and known.signal.id == signal.id:
        return ""
    if known is not None and not known.settled:
        what = "the last adjustment" if known.signal.changes else f"the last signal ({known.signal.action.value})"
        return f"{what} is not carried out yet; change the legs once it is"
    if closing := sorted(state.closing_accounts(signal.strategy, signal.watch)):
        return f"a leg is being closed in {', '.join(closing)}; change the legs once it is flat"
    return ""


def _adjust(state: RiskState, signal: Signal, known: Intent | None) -> None:
    """Make an adjustment the intent. Until it is admitted in an account, what is held there is what is wanted there."""
    key = (signal.strategy, signal.watch)
    intent = Intent(signal=signal, since_ns=signal.created_ns)
    held = state.positions_for(*key)
    for account in {*state.environment.accounts_of(signal.strategy), *(position.account for position in held)}:
        mine = [position for position in held if position.account == account]
        if mine:
            intent.before[account] = legs_as_held(state, known, mine)
        else:
            intent.ended.add(account)
    if known is not None:
        intent.given_up |= known.given_up
        intent.ended |= known.given_up
        if state.baskets:
            state.baskets = {name: kept for name, kept in state.baskets.items() if name[:2] != key}
    intent.moved = _moved_contracts(state, signal.strategy) if state.rolls else {}
    state.intents[key] = intent
    state.reset_awaited_instruments()


def legs_as_held(state: RiskState, known: Intent | None, held: list[Position]) -> tuple[Leg, ...]:
    """Return the legs that stand for positions of one account, with the terms of those of the intent `known`."""
    here = known.for_account(held[0].account) if known is not None else None
    terms = {leg.instrument: leg for leg in here.signal.legs} if here is not None else {}
    legs = []
    for position in held:
        units = position.open_units
        lots = max(abs(units) // max(state.lot_of(position.instrument), 1), 1)
        leg = terms.get(position.instrument) or Leg(instrument=position.instrument, lots=1)
        legs.append(replace(leg, lots=lots if units > 0 else -lots, profile="", product=position.product))
    return tuple(legs)


def _take_over(state: RiskState, intent: Intent, known: Intent, *, same: bool) -> None:
    """State that a new intent keeps of the last one; `same`: both want the same position."""
    signal, today = intent.signal, iso_day(intent.signal.created_ns)
    if same and (iso_day(known.since_ns) == today or state.positions_for(signal.strategy, signal.watch)):
        intent.sized = known.sized  # a repeated intent is not sized again on the same day, or while it is held
    if known.signal.id == signal.id:
        intent.ended, intent.given_up, intent.entered = known.ended, known.given_up, known.entered
    if same and intent.inherits_spent(known):
        intent.since_ns, intent.spent, intent.spent_ns = known.since_ns, known.spent, known.spent_ns
        intent.lost = known.lost  # what was given up of the same position, and is held still, stays given up
        lost = {account for account, _, _ in known.lost} & known.ended
        alone = {account for account in lost if orphan_hedges.only_hedges_left(state, intent, account)}
        intent.ended |= alone
        intent.given_up |= known.given_up & alone
        if known.given_up:  # it stays given up in the repeat as long as a closing of it is not done
            over = known.given_up & state.closing_accounts(signal.strategy, signal.watch)
            intent.given_up |= over
            intent.ended |= over
    if same and known.entry_terms == intent.entry_terms:
        intent.kin = known.kin | {known.signal.id} - {signal.id}
        if len(intent.legs) > 1 and not known.settled:
            # a basket that is repeated while its first legs fill is the one that began, and broken if that broke
            intent.entered |= known.entered
            intent.begun_as |= known.begun_as
            intent.given_up |= known.given_up
            intent.ended |= known.ended & known.given_up
            if known.entered and known.signal.id != signal.id:
                intent.begun_as.add(known.signal.id)


def _bind_unbound(state: RiskState, signal: Signal) -> None:
    """Bind a position that an intent wants just as it is to it, if nobody knows what the position is held for."""
    for position in state.positions.of_strategy(signal.strategy):
        place = (signal.strategy, position.instrument)
        held = position.open_units
        if not held or state.bound.get(place) != UNKNOWN_WATCH:
            continue
        if any(leg.instrument == position.instrument and leg.lots * held > 0 for leg in signal.legs):
            state.bound[place] = signal.watch


def _bind(state: RiskState, position: Position) -> None:
    """Bind a position that no entry was bound with: by its strategy's rules, or to nothing."""
    place = (position.strategy, position.instrument)
    if not position.open_units:
        if state.bound.get(place) == UNKNOWN_WATCH and not state.owns(*place):
            del state.bound[place]
    elif place not in state.bound:
        watch = watched_instrument_of(state.environment.strategies.get(position.strategy), position.instrument)
        if watch is not None:
            state.bound[place] = watch


def _intent_of(state: RiskState, signal: str) -> Intent | None:
    """The current intent made from a signal; None if another signal has taken its place."""
    key = state.watch_of_signal.get(signal)
    intent = state.intents.get(key) if key else None
    return intent if intent is not None and intent.signal.id == signal else None


def _sized(state: RiskState, row: IntentSized) -> None:
    if (intent := _intent_of(state, row.signal)) is not None:
        intent.sized = {row.account: row.lots, **intent.sized}


def _refused(state: RiskState, row: SignalDenied | SignalExpired) -> None:
    if (intent := _intent_of(state, row.signal)) is not None:
        if isinstance(row, SignalDenied) and row.account:
            intent.ended.add(row.account)
            if row.unwinds and row.code == ADJUSTMENT_BROKEN:
                _take_back(state, intent, row.account)
            elif row.unwinds:
                intent.given_up.add(row.account)
        intent.settled |= isinstance(row, SignalExpired) or not row.account
        _settle_if_satisfied(state, intent)
    state.reset_awaited_instruments()


def _take_back(state: RiskState, intent: Intent, account: str) -> None:
    """An adjustment failed in an account: wanted there is what is held, but what was opened and covers nothing now.

    What was to be closed stays where that has not begun, except for bought legs that cover nothing.
    """
    signal, units = intent.signal, state.units_held(account, intent.signal.strategy)
    there = [p for p in state.positions_for(signal.strategy, signal.watch) if p.account == account]
    kept = []
    for position in sorted(
        there, key=lambda one: one.instrument not in signal.opened_instruments
    ):  # the new cover goes first
        name = position.instrument
        ours = name not in signal.opened_instruments and (
            name not in signal.closed_instruments or position.open_units < 0
        )
        if position.owner in state.closing or not (ours or state.sold_legs_needing(units, name)):
            units.pop(name, None)
        else:
            kept.append(position)
    intent.before[account] = legs_as_held(state, intent, kept) if kept else ()
    intent.sized = {name: lots for name, lots in intent.sized.items() if name != account}


def _settle_adjustment(state: RiskState, intent: Intent) -> None:
    """An adjustment is settled when it was admitted or refused everywhere, all that it opens is held, and all that it
    closes is gone."""
    signal = intent.signal
    strategy, watch = signal.strategy, signal.watch
    if any(intent.is_unwanted(one, one.open_units) for one in state.positions_for(strategy, watch)):
        return
    if state.pending_entries(strategy, watch) or (state.closing and state.closing_accounts(strategy, watch)):
        return
    for account in state.environment.accounts_of(strategy):
        if intent.awaits_admission(account):
            return
        if account in intent.ended:
            continue
        here = intent.for_account(account)
        for leg in here.legs:
            stopped = orphan_hedges.stop_out_count(state, intent, account, leg.instrument)
            held = state.units_of(strategy, watch, leg.instrument, account)
            target = here.lots(leg, account) * state.lot_of(leg.instrument)
            if stopped or (here.orders_leg(leg, account) and held != target):
                return
    intent.settled = True


def _settle_if_satisfied(state: RiskState, intent: Intent) -> None:
    """An intent is settled when all its legs were ordered and nothing that it does not want is held or coming."""
    if intent.settled:
        return
    if intent.signal.changes:
        _settle_adjustment(state, intent)
        return
    signal = intent.signal
    strategy, watch = signal.strategy, signal.watch
    accounts = state.environment.accounts_of(strategy)
    held = () if signal.keeps else state.positions_for(strategy, watch)
    there = (*held, *state.pending_entries(strategy, watch))
    if there:
        wanted = {leg.instrument for account in accounts for leg in intent.for_account(account).legs}
        if any(thing.instrument not in wanted for thing in there):
            return
    if state.closing and state.closing_accounts(strategy, watch):
        return
    for account in accounts:
        if account in intent.ended:
            continue
        here = intent.for_account(account)
        for leg in here.legs:
            if not _is_leg_satisfied(state, here, leg, account):
                return
    intent.settled = True


def _is_leg_satisfied(state: RiskState, intent: Intent, leg: Leg, account: str) -> bool:
    """True if the leg was ordered for this intent, or what is held and coming is what it wants.

    A leg of several must be held: until then it may have to be tried again, or the others be given up. Whatever this
    reads of an order must be among `_settling_facts`.
    """
    signal = intent.signal
    target = intent.lots(leg, account) * state.lot_of(leg.instrument)
    there = state.units_of(signal.strategy, signal.watch, leg.instrument, account)
    if len(intent.legs) > 1:
        return there == target
    orders = state.orders.of_instrument(leg.instrument)
    if not orders:
        return there == target
    if any((order.cause, order.account) == (signal.id, account) for order in orders):
        return True
    if state.is_withdrawing(signal.strategy, leg.instrument):
        return False
    if any(
        not intent.accepts_entry(order)
        for order in state.live_entries(signal.strategy, signal.watch)
        if (order.instrument, order.account) == (leg.instrument, account)
    ):
        return False
    return there + state.pending_units(signal.strategy, leg.instrument, account) == target


def _entry(state: RiskState, entry: PlaceEntry) -> None:
    _remember(state.issued, entry.id, None)
    state.margin.allocate(entry.account, entry.id, entry.margin, entry.quantity, entry.strategy, entry.instrument)
    state.runs[entry.strategy] = entry.run
    key = state.watch_of_signal.get(entry.cause)
    level = entry.stop_trigger or entry.held_stop
    if not entry.stop_trigger and entry.held_stop and entry.side is Side.BUY and key is not None:
        covers = state.hedge_covers(entry.account, entry.strategy, key[1])
        if hedging_units(covers, entry.instrument) >= entry.quantity:
            level = 0.0  # it risks what the sold legs do, and its level is for the time after them
    state.memory.money.set_entry_stop(entry.owner, level)
    if key is None:
        if any(roll.cause == entry.cause for roll in state.rolls.values()):
            state.orders.setdefault(entry.id, order_from_command(entry, 0))
        return
    state.bound[entry.strategy, entry.instrument] = key[1]
    state.baskets.pop((*key, entry.account), None)
    if entry.basket_margin or entry.basket_legs:
        state.baskets[*key, entry.account] = BasketReserve(entry.basket_margin, entry.basket_legs)
    intent = state.intents.get(key)
    if intent is None or intent.signal.id != entry.cause:
        return
    if not intent.entered:  # one entry, however many legs and accounts it has
        count_entry(state.entry_times.setdefault(entry.strategy, []), intent.signal.created_ns)
    intent.entered = True
    state.last_entry[key] = intent.signal.created_ns
    state.orders.setdefault(entry.id, order_from_command(entry, 0))
    _settle_if_satisfied(state, intent)
    state.reset_awaited_instruments()


def count_entry(times: list[int], market_ns: int) -> None:
    """Insert an entry's signal time (ns) into the sorted `times`, and drop those before the newest one's day."""
    insort(times, market_ns)
    begun = (times[-1] + IST_OFFSET) // DAY * DAY - IST_OFFSET
    if times[0] < begun:
        del times[: bisect_left(times, begun)]


def _close(state: RiskState, goal: CloseGoal) -> None:
    _remember(state.issued, goal.id, None)
    state.closing.add(goal.owner)


def _order(state: RiskState, row: OrderChanged) -> None:
    order = row.order
    before = state.orders.get(order.client_order_id)
    state.guard.on_order_event(order, row.machine_ns)
    state.margin.record_order(order, row.machine_ns)
    state.is_repeat = (  # it ended and is booked, and no other order stands for it
        before is None
        and row.event in ("contradicted", "observed")
        and order.state in TERMINAL
        and order.links.parent not in state.orders
        and order.links.replaces not in state.orders
        and not state.unbooked_units(order)
    )
    if state.is_repeat:
        return
    if row.event == "cancel_requested":
        state.counters.cancels[order.account] = state.counters.cancels.get(order.account, 0) + 1
    _take_from_parent(state, order)
    replaced = state.orders.get(order.links.replaces) if order.links.replaces else None
    if replaced is not None and replaced.evidence.modify.by_replacement:  # it stood for the next until that is known
        replaced = replace(replaced, evidence=with_modify(replaced.evidence, by_replacement=False))
        state.orders[replaced.client_order_id] = replaced
        _forget_booked(state, replaced)
    state.orders[order.client_order_id] = order
    _forget_booked(state, order)
    if state.uncovered:
        _forget_uncovered(state, order.strategy)
    if before is None or _settling_facts(before) != _settling_facts(order):
        state.looked_at.discard(order.strategy)
    settle_satisfied_intents(state, order.strategy)


def _settling_facts(order: Order) -> tuple[Any, ...]:
    """All of an order's level that can settle an intent; what else there is of it never changes."""
    change = order.evidence.modify
    return (
        order.state in TERMINAL, order.state is OrderState.CANCELLED and change.by_replacement, order.filled,
        order.quantity, change.wanted.quantity if change.wanted is not None else 0, order.order_type,
        order.links.replaces,
    )  # fmt: skip


def settle_satisfied_intents(state: RiskState, strategy: str) -> None:
    """Mark a strategy's satisfied intents as settled; does nothing if it was checked since the last relevant change."""
    if strategy in state.looked_at:
        return
    for intent in state.open_intents():
        if intent.signal.strategy == strategy:
            _settle_if_satisfied(state, intent)
    state.reset_awaited_instruments()
    state.looked_at.add(strategy)


def _take_from_parent(state: RiskState, order: Order) -> None:
    """An entry counts for its slices until each of them is known, so that together they never count for less."""
    parent = state.orders.get(order.links.parent) if order.links.parent and not order.links.replaces else None
    if parent is None or order.client_order_id in state.orders:
        return
    if parent.quantity > order.quantity:
        state.orders[order.links.parent] = replace(parent, quantity=parent.quantity - order.quantity)
    else:
        del state.orders[order.links.parent]


def _forget_booked(state: RiskState, order: Order) -> None:
    """Forget an ended order once all it filled is in its position; `booked` stays, since it may fill further, late."""
    if not state.unbooked_units(order):
        state.orders.pop(order.client_order_id, None)


def _position(state: RiskState, row: PositionChanged | PositionAdjusted) -> None:
    if isinstance(row, PositionAdjusted) and row.source is not None:
        _converted(state, row.position, row.source)
        return
    position = row.position
    key = position.owner
    if isinstance(row, PositionAdjusted) and row.gone is not None:
        gone_units.fold_adjusted(state, row)
    total = state.memory.money.total_of(key)
    before = _put_position(state, position)
    if key in state.corporate or _is_corporate(row):
        _settle_corporate(state, row, before, total)
    closer = None
    if isinstance(row, PositionChanged):
        name = row.client_order_id
        closer = state.orders.get(name)
        if row.fill_quantity:
            _remember(state.booked, name, state.booked.get(name, 0) + abs(row.fill_quantity))
            if closer is not None:
                _forget_booked(state, closer)
    elif row.cause == "claim":
        state.claimed.add(key)
    _forget_flat(state, position)
    if before is not None and before.quantity and not position.quantity:
        protected = orphan_hedges.is_protective_exit(state, closer)
        beside = orphan_hedges.sold_instruments(state, before.account, before.strategy) if protected else set()
        if beside and before.quantity > 0:  # it may be covered by nothing now
            state.uncovered[key] = (before, tuple(sorted(beside)))
        _spend(state, before, row.at_ns, protected=protected)
        state.margin.drop_closed(position.account, position.strategy, position.instrument)
    if state.uncovered:
        _forget_uncovered(state, position.strategy)
    if before is not None:
        lost_covers.record_change(state, before, position, row.at_ns)
    _settle_intents(state, position.strategy)


def _is_corporate(row: PositionChanged | PositionAdjusted) -> bool:
    return isinstance(row, PositionAdjusted) and row.cause == "corporate_action"


def _settle_corporate(
    state: RiskState, row: PositionChanged | PositionAdjusted, before: Position | None, total: float
) -> None:
    """An operator decided on a corporate action, or the position is flat: prices count as they are. New units and a
    new average are the same worth, so that the day's profit stays; where he left the average, the price fell."""
    position, corporate = row.position, _is_corporate(row)
    if not corporate and position.open_units:
        return
    state.corporate.pop(position.owner, None)
    state.memory.money.set_ratio(position.owner, 1.0)
    moved = before is None or (before.average_price, before.quantity) != (position.average_price, position.quantity)
    if corporate and moved:
        state.memory.keep_total(position.owner, total)


def _price_units(state: RiskState, row: PriceUnits) -> None:
    _remember(state.issued, row.id, None)
    gone_units.fold_price(state, row)


def _put_position(state: RiskState, position: Position) -> Position | None:
    """Store the newest level of a position; returns the one before."""
    before = state.positions.get(position.owner)
    state.positions[position.owner] = position
    _bind(state, position)
    memory = state.memory
    memory.set_first_day(position.updated_ns)
    memory.money.update_position(position)
    memory.raise_peaks([(ACCOUNT, position.account), (STRATEGY, position.strategy)], position.updated_ns)
    return before


def _forget_flat(state: RiskState, position: Position) -> None:
    if not position.open_units:
        state.claimed.discard(position.owner)
        state.guard.forget_position(position.owner)


def _settle_intents(state: RiskState, strategy: str) -> None:
    for intent in state.intents.values():
        if intent.signal.strategy == strategy:
            _settle_if_satisfied(state, intent)
    state.reset_awaited_instruments()


def _converted(state: RiskState, position: Position, source: Position) -> None:
    """Units of an owner stand under another product: nothing was closed, so that no intent is spent by it."""
    _put_position(state, source)
    _put_position(state, position)
    if source.owner in state.claimed:
        state.claimed.add(position.owner)
    _forget_flat(state, source)
    _settle_intents(state, position.strategy)


def _spend(state: RiskState, closed: Position, at_ns: int, *, protected: bool) -> None:
    """A position that an intent had opened, and still wants, was closed: by the clock, an operator, the venue.

    Or (`protected`) by its stop. One that is older than the intent was closed to make way for it.
    """
    for intent in state.intents.values():
        if intent.signal.strategy != closed.strategy:
            continue
        if intent.still_wants(closed):
            if not (intent.signal.changes and not intent.settled):  # the legs beside it go on being changed
                intent.mark_closed_elsewhere(closed.account, at_ns)
            if protected and closed.quantity < 0 and orphan_hedges.only_hedges_left(state, intent, closed.account):
                # the stop of a sold leg left bought ones alone: the basket is taken up again
                intent.lost.add((closed.account, closed.instrument, closed.opened_ns))
                intent.ended.discard(closed.account)
                intent.settled = False


def _forget_uncovered(state: RiskState, strategy: str) -> None:
    """Forget what was sold beside a position that a stop closed as it goes; sold again, it is another decision."""
    for key, (closed, names) in list(state.uncovered.items()):
        if closed.strategy != strategy:
            continue
        now, beside = state.positions.get(key), orphan_hedges.sold_instruments(state, closed.account, strategy)
        left = tuple(name for name in names if name in beside)
        if not left or (now is not None and now.quantity_seen > 0):
            del state.uncovered[key]
        else:
            state.uncovered[key] = (closed, left)


def _moved_contracts(state: RiskState, strategy: str) -> dict[str, dict[str, str]]:
    """By account, the contracts to which a strategy's positions were rolled over, by those they came from."""
    found: dict[str, dict[str, str]] = {}
    for roll in state.rolls.values():
        if roll.strategy == strategy and roll.phase != "given_up":
            found.setdefault(roll.account, {})[roll.near] = roll.far
    return found


def _rolled(state: RiskState, row: Rolled) -> None:
    known = state.rolls.get(row.near_owner)
    state.rolls[row.near_owner] = row
    given_up = row.phase == "given_up"
    if not given_up:
        state.bound[row.strategy, row.far] = row.watch
    for intent in state.intents.values():
        if intent.signal.strategy == row.strategy:
            intent.moved = _moved_contracts(state, row.strategy)
    if given_up and known is not None:
        # what was closed by something else while it was rolled is not opened again by the same intent
        spent, near = state.intents.get((row.strategy, row.watch)), state.positions.get(row.near_owner)
        if spent is not None and near is not None and not near.quantity:
            spent.mark_closed_elsewhere(row.account, row.at_ns)
    state.reset_awaited_instruments()


def _goal(state: RiskState, row: GoalChanged) -> None:
    goal = row.goal
    if goal.state == "done":
        state.closing.discard(goal.owner)
        state.goals.pop(goal.id, None)
    else:
        state.closing.add(goal.owner)
        state.goals[goal.id] = goal


def _level(state: RiskState, row: LevelMoved) -> None:
    """Keep a level under its name: of a limit, a target, a stop, a passed stop or, by any other name, as it is."""
    if state.memory.apply_level(row):
        return
    if (owner := owner_of_level(row.name, TARGET_PREFIX)) is not None:
        state.target_levels[owner] = row.value
        if not row.value:
            del state.target_levels[owner]
    elif (owner := owner_of_level(row.name, STOP_PREFIX)) is not None:
        _stop_level(state, owner, row.value)
    elif (owner := owner_of_level(row.name, ACTION_PREFIX)) is not None:
        state.corporate[owner] = row.value
        state.memory.money.set_ratio(owner, row.value or 1.0)
        if not row.value:
            del state.corporate[owner]
    elif (owner := owner_of_level(row.name, PASSED_PREFIX)) is not None:
        state.passed_since[owner] = int(row.value)
        if not row.value:
            del state.passed_since[owner]
    else:
        state.levels[row.name] = row.value


def _stop_level(state: RiskState, owner: OwnerKey, level: float) -> None:
    there, instrument = state.stop_instruments, owner.instrument
    if level:
        if owner not in state.stop_levels:
            there[instrument] = [*there.get(instrument, ()), owner]
        state.stop_levels[owner] = level
    elif owner in state.stop_levels:
        del state.stop_levels[owner]
        there[instrument] = [key for key in there[instrument] if key != owner]
        if not there[instrument]:
            del there[instrument]


def _timer(state: RiskState, row: TimerFired) -> None:
    state.machine_ns = max(state.machine_ns, row.machine_ns)
    state.memory.money.recompute_sums()
    if row.name in ("disk_low", "disk_ok"):
        state.disk_low = row.name == "disk_low"


def _beat(state: RiskState, row: control.Heartbeat) -> None:
    state.beats[row.daemon] = row
    if row.daemon == "feed":
        state.feed_ready_ns = row.machine_ns if row.ready else state.feed_ready_ns
        state.counters.record_coverage(row)
    state.machine_ns = max(state.machine_ns, row.machine_ns)


def _quote(state: RiskState, row: Quote) -> None:
    """Take a quote that is not older; what is held is valued within a collar of its last price, or of the middle of its
    book where the last price is none."""
    name = row.instrument
    known = state.valued.get(name)
    if not 0.0 <= row.ltp < math.inf or (known is not None and row.market_ns < known.market_ns):
        return
    near = row.ltp * _NEAR
    close = (row.bid is None or abs(row.bid - row.ltp) <= near) and (row.ask is None or abs(row.ask - row.ltp) <= near)
    if (
        row.ltp <= 0.0
        or (not close and contradicts_book(row, state.environment.tick_of(name)))
        or _above_spot(state, row)
    ):
        _without_price(state, row)
        return
    if state.unpriced:
        state.unpriced.pop(name, None)
    state.quotes[name] = row
    valued = row if close else drop_implausible_book(row, state.environment.collar_rupees(name, row.ltp))
    _value(state, valued)


def _without_price(state: RiskState, row: Quote) -> None:
    """Take a quote whose last price is none: the middle of a narrow book stands in, else nothing does. The book may be
    the wrong one of the two: it counts only beside a last price of before that it does not contradict."""
    if row.bid is None and row.ask is None:
        return  # it says nothing at all
    name, environment = row.instrument, state.environment
    known, middle = state.quotes.get(name), stand_in(row, environment.is_option(name))
    sure = known is not None and not contradicts_book(replace(row, ltp=known.ltp), environment.tick_of(name))
    if middle > 0 and sure and (row.ask or 0.0) - (row.bid or 0.0) <= environment.collar_rupees(name, middle):
        state.unpriced[name] = 0
        _value(state, replace(row, ltp=middle))
        return
    state.machine_ns = max(state.machine_ns, row.received_ns)
    state.unpriced[name] = state.unpriced.get(name) or max(row.received_ns, 1)


def _above_spot(state: RiskState, row: Quote) -> bool:
    """True of a call that would cost more than what it is a call on, by a fresh last price of that."""
    spot = state.quotes.get(state.environment.spot_of_call(row.instrument))
    if spot is None or row.ltp <= spot.ltp or spot.instrument in state.unpriced:
        return False
    limit = state.environment.limits.stale_quote_seconds
    return not is_stale(spot, row.market_ns, max(row.received_ns, state.machine_ns), limit)


def _value(state: RiskState, valued: Quote) -> None:
    name = valued.instrument
    state.valued[name] = valued
    if valued.received_ns > state.machine_ns:
        state.machine_ns = valued.received_ns
    memory = state.memory
    if memory.began < 0:
        memory.set_first_day(valued.market_ns)
    stands = bool(state.unpriced) and name in state.unpriced
    taken = memory.money.update_quote(valued, state.machine_ns, stands=stands)
    if taken and memory.awaits_carried:
        memory.carry_by_quote(valued)
    if taken and (touched := memory.money.scopes_of(name)):
        if state.unpriced and (doubtful := state.unpriced_scopes()):
            touched = tuple(scope for scope in touched if scope not in doubtful)
        memory.raise_peaks(touched, valued.market_ns)


def _funds(state: RiskState, row: Funds) -> None:
    state.margin.record_funds(row)
    state.memory.funds[row.account] = row.available + row.used + row.collateral


def _put_if(table: dict[Any, str], key: Any, value: str, present: bool) -> None:
    if present:
        table[key] = value
    else:
        table.pop(key, None)


def _opened(state: RiskState, row: RiskOpened) -> None:
    """Take over the state that `core/risk/state/day_carry` put into the row, with nothing of what was there before."""
    state.intents = {
        (signal.strategy, signal.watch): Intent(
            signal=signal,
            settled=signal.id in row.settled,
            spent={account for name, account in row.spent if name == signal.id},
            since_ns=signal.created_ns,
            ended={account for name, account in row.ended if name == signal.id},
            given_up={account for name, account in row.given_up if name == signal.id},
            lost={(account, leg, opened) for name, account, leg, opened in row.lost if name == signal.id},
            sized={size.account: size.lots for size in row.sized if size.signal == signal.id},
            before={account: legs for name, account, legs in row.before if name == signal.id},
        )
        for signal in row.intents
    }
    state.watch_of_signal = {signal.id: (signal.strategy, signal.watch) for signal in row.intents}
    state.bound = {(strategy, instrument): watch for strategy, instrument, watch in row.bound}
    state.rolls = {roll.near_owner: roll for roll in row.rolls}
    state.issued = dict.fromkeys(row.issued)
    state.positions = IndexedDict((p.owner, p) for p in row.positions)
    state.orders = IndexedDict((order.client_order_id, order) for order in row.orders)
    state.booked = dict(row.booked)
    state.closing = {OwnerKey(a, i, Product(p), s) for a, i, p, s in row.closing}
    state.goals = {goal.id: goal for goal in row.goals}
    state.claimed = {OwnerKey(a, i, Product(p), s) for a, i, p, s in row.claimed}
    state.uncovered = {p.owner: (p, sold) for p, sold in row.uncovered}
    lost_covers.restore(state, row.lost_covers)
    state.baskets = {}
    state.gone, state.corporate, state.first_priced = {}, {}, set()
    state.run_ns = state.stopped_run_ns = 0
    state.last_entry = {(strategy, watch): at_ns for strategy, watch, at_ns in row.entered}
    state.runs = dict(row.runs)
    state.counters.open_day()
    state.memory.open_day(day_number_of(row.day))
    state.levels, state.stop_levels, state.stop_instruments, state.target_levels = {}, {}, {}, {}
    for name, value in row.levels.items():
        _level(state, LevelMoved(name=name, value=value, at_ns=0))
    state.copied = None
    triggers = {p.owner: p.trigger for p in row.protections}
    for position in row.positions:
        owner = position.owner
        held = 0.0 if state.is_hedge(position) else position.held_stop
        state.memory.money.set_entry_stop(owner, held or state.stop_levels.get(owner, 0.0) or triggers.get(owner, 0.0))
        state.memory.money.update_position(position, carried=True)
        if iso_day(position.opened_ns) < row.day:
            state.memory.await_carried(owner)
    state.protections = {p.owner: p for p in row.protections}
    state.passed_since = {}
    state.trading = {level.account: level for level in row.trading}
    state.switches = {switch.strategy: switch for switch in row.switches}
    state.halted = {halt.net: halt.reason for halt in row.halted}
    state.wrong_mode = {mode.account: mode.message for mode in row.wrong_mode}
    for intent in state.intents.values():
        intent.moved = _moved_contracts(state, intent.signal.strategy)
    state.guard.open_day(row.positions)
    for position in row.positions:
        _bind(state, position)
    state.reset_awaited_instruments()


def _run_started(state: RiskState, row: RunStarted) -> None:
    state.memory.restart_pricing(row.market_ns)
    state.run_ns = row.run_ns


def _withdraw_requested(state: RiskState, row: control.WithdrawRequested) -> None:
    state.stopped_run_ns = row.stops_run_ns or state.stopped_run_ns


def _bars(state: RiskState, row: control.BarGaps) -> None:
    state.bars = row


def _entries_closed(state: RiskState, row: control.EntriesClosed) -> None:
    state.closed = row.reasons


def _history_accepted(state: RiskState, row: control.HistoryAccepted) -> None:
    state.accepted_history[row.instrument] = row.day


def _day_confirmed(state: RiskState, row: control.DayConfirmed) -> None:
    state.confirmed_days.update(dict.fromkeys(row.exchanges, row.day))


def _day_traded(state: RiskState, row: control.DayTraded) -> None:
    state.traded_days.update(dict.fromkeys(row.exchanges, row.day))


def _doubt(state: RiskState, row: JournalDoubt) -> None:
    state.doubted = row.active


_LEARN: dict[type, Callable[[RiskState, Any], None]] = {
    Signal: _signal,
    IntentSized: _sized,
    Rolled: _rolled,
    Funds: _funds,
    MarginRequest: lambda state, row: _remember(state.margin_requests, row.id, row.machine_ns),
    MarginAnswer: lambda state, row: _remember(state.margin_answers, row.id, row.total or 0.0),
    PlaceEntry: _entry,
    CloseGoal: _close,
    WithdrawEntries: lambda state, row: _remember(state.issued, row.id, None),
    PriceUnits: _price_units,
    HoldStop: lambda state, row: state.first_priced.add(row.owner),
    RiskLevels: level_copies.fold_copy,
    SignalDenied: _refused,
    SignalExpired: _refused,
    OrderChanged: _order,
    PositionChanged: _position,
    PositionAdjusted: _position,
    TradeClosed: lambda state, row: state.counters.count_losses(row),
    BrokerHeld: lambda state, row: state.guard.apply_broker_books(
        row, state.guarded_positions(), state.orders.values()
    ),
    ReadRequest: lambda state, row: state.guard.record_request(row.account, row.machine_ns),
    control.Alert: lambda state, row: state.guard.record_alert(row.code, row.subject),
    GoalChanged: _goal,
    LevelMoved: _level,
    TimerFired: _timer,
    control.Heartbeat: _beat,
    control.BarGaps: _bars,
    control.EntriesClosed: _entries_closed,
    control.HistoryAccepted: _history_accepted,
    control.DayConfirmed: _day_confirmed,
    control.DayTraded: _day_traded,
    JournalDoubt: _doubt,
    AccountHealth: lambda state, row: state.health.update({row.account: row}),
    ProtectionChanged: lambda state, row: state.protections.update({row.protection.owner: row.protection}),
    Quote: _quote,
    RunStarted: _run_started,
    control.WithdrawRequested: _withdraw_requested,
    control.TradingState: lambda state, row: state.trading.update({row.account: row}),
    control.StrategySwitch: lambda state, row: state.switches.update({row.strategy: row}),
    InstrumentHalted: lambda state, row: _put_if(state.halted, row.net, row.reason, row.halted),
    RecoveryChanged: lambda state, row: (state.recovering.discard if row.done else state.recovering.add)(row.account),
    AccountModeChanged: lambda state, row: _put_if(state.wrong_mode, row.account, row.message, row.wrong_mode),
    control.ModeCleared: lambda state, row: _put_if(state.wrong_mode, row.account, "", False),
    RiskOpened: _opened,
}
"""Functions that apply a row, by its type."""
