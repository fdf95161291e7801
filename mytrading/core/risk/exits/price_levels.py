"""Stops and targets that risk holds itself: their levels as journaled rows, and when a price has come to one.

A level is fixed when the first entry of a position is admitted; neither later fills nor a restart move it. A hedge has
no target: closing it would leave what it covers bare.
"""

from __future__ import annotations

from mytrading.core.risk.state.state import RiskState, is_stale
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.level_names import stop_level_name, target_level_name
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position


def fix_levels(state: RiskState, entry: PlaceEntry, stop: float, now: int) -> list[LevelMoved]:
    """Return rows that set an entry's target and `stop` (rupees, 0: none) as its position's; [] if it adds to one."""
    key = entry.owner
    rows = []
    for levels, name, level in (
        (state.target_levels, target_level_name, entry.held_target),
        (state.stop_levels, stop_level_name, stop),
    ):
        if key in levels:  # whatever exit is under way: the router lets it end first
            position = state.positions.get(key)
            held = position.open_units if position is not None else 0
            if held * entry.side.sign <= 0:
                rows.append(LevelMoved(name=name(key), value=level, at_ns=now))
        elif level:
            rows.append(LevelMoved(name=name(key), value=level, at_ns=now))
    return rows


def restore_stops(state: RiskState, now: int) -> list[LevelMoved]:
    """Return rows that record stop levels again after a lost journal: those of pending entries and open positions."""
    found: dict[OwnerKey, float] = {
        order.owner: order.plan.held_stop
        for order in state.orders.values()
        if order.plan.held_stop and state.pending_fill(order)
    }
    missing = sorted((key, level) for key, level in found.items() if key not in state.stop_levels)
    rows = {
        stop_level_name(key): LevelMoved(name=stop_level_name(key), value=level, at_ns=now) for key, level in missing
    }
    return list((rows | {row.name: row for row in arm_stops(state, now)}).values())


def arm_stops(state: RiskState, now: int) -> list[LevelMoved]:
    """Return rows that arm the stops which open positions carry, long or short, and disarm those of pure hedges; and
    those meant for a broker that takes no stop orders, whose level follows the router's.
    Positions being closed are skipped: the level of their owner is by then that of the next position."""
    rows = []
    for position in state.open_positions():
        key = position.owner
        armed = key in state.stop_levels
        meant = 0.0 if position.held_stop else _level_without_broker(state, key)
        level = position.held_stop or meant
        if key in state.closing or not position.quantity_seen or not (armed or level):
            continue
        hedge = state.is_hedge(position)
        if (armed is hedge and (hedge or level)) or (meant and not hedge and state.stop_levels.get(key) != meant):
            rows.append(LevelMoved(name=stop_level_name(key), value=0.0 if hedge else level, at_ns=now))
    return rows


def _level_without_broker(state: RiskState, key: OwnerKey) -> float:
    """The level of an owner's stop order where the account's broker takes none; else 0."""
    guarded = state.protections.get(key)
    return 0.0 if guarded is None or state.broker_of(key.account).broker_stops else _order_level(state, key)


def arm_targets(state: RiskState, now: int) -> list[LevelMoved]:
    """Return rows that arm the targets of open positions that have none armed, as when a cancelled entry fills."""
    return [
        LevelMoved(name=target_level_name(key), value=position.held_target, at_ns=now)
        for position in state.open_positions()
        if position.held_target and position.quantity_seen
        if (key := position.owner) not in state.target_levels and key not in state.closing
        if not state.is_hedge(position)
    ]


def release_levels(state: RiskState, now: int) -> list[LevelMoved]:
    """Return rows that remove stop and target levels of flat positions without working entries or exits."""
    levels = [(stop_level_name(key), key) for key in state.stop_levels]
    levels += [(target_level_name(key), key) for key in state.target_levels]
    return [LevelMoved(name=name, value=0.0, at_ns=now) for name, key in levels if not _is_in_use(state, key)]


def _is_in_use(state: RiskState, key: OwnerKey) -> bool:
    held = (position := state.positions.get(key)) is not None and position.open_units
    return bool(held or state.pending_units(key[3], key[1], key[0])) or key in state.closing


def stop_level(state: RiskState, key: OwnerKey) -> float:
    """The rupee price at which an owner's position is to be closed, by risk or a stop at the broker; 0 if none is
    known. A level that the position carries is preferred to that recorded for its owner."""
    held, position = state.stop_levels.get(key, 0.0), state.positions.get(key)
    if held:
        return (position.held_stop or held) if position is not None else held
    return _order_level(state, key)


def _order_level(state: RiskState, key: OwnerKey) -> float:
    """The trigger of the stop order that the router keeps for an owner's position; 0 without one."""
    guarded, position = state.protections.get(key), state.positions.get(key)
    if guarded is None or guarded.state != "open" or position is None:
        return 0.0
    return guarded.trigger if position.open_units * guarded.side.sign < 0 else 0.0


def quote_beyond(state: RiskState, position: Position, level: float, now: int, *, target: bool = False) -> Quote | None:
    """Return the latest quote if it is fresh and has reached a position's stop (or `target`) `level`; else None."""
    quote = state.valued.get(position.instrument)
    held = position.open_units
    if quote is None or not level or not held or quote.ltp <= 0:
        return None
    beyond = quote.ltp >= level if (held > 0) is target else quote.ltp <= level
    stale_seconds = state.environment.limits.stale_quote_seconds
    return quote if beyond and not is_stale(quote, now, state.machine_ns, stale_seconds) else None
