"""Exits that risk decides by itself: a price came to a stop it holds, or the books show a position without one.

An old quote and a single reading end nothing, and a position is closed once for each reason. Functions only read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.instruments.symbology import kind_of
from mytrading.core.orders.marketable_price import marketable_price
from mytrading.core.orders.price_band import exit_edge, price_band
from mytrading.core.risk.exits import passed_stops
from mytrading.core.risk.exits.passed_stops import STOP_FAILED
from mytrading.core.risk.exits.price_levels import arm_stops, arm_targets, quote_beyond, release_levels, stop_level
from mytrading.core.risk.protection.stop_coverage import (
    STOP_UNCERTAIN,
    STOP_UNCOVERED,
    UncoveredPosition,
    resting_units,
)
from mytrading.core.risk.runs.run_events import with_close_event
from mytrading.core.risk.state.decision_rows import buy_back, close_after_covered, close_position, risk_alert
from mytrading.core.risk.state.orphan_hedges import protective_exit_cause
from mytrading.core.risk.state.state import RiskState, is_stale
from mytrading.core.time import SECOND
from mytrading.messages.commands import PriceGoal
from mytrading.messages.enums import Severity, Side
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, Position, PositionChanged
from mytrading.messages.reports import ReadRequest
from mytrading.messages.risk_events import RiskKind

COMMON_TICK = 0.05
"""Rupees: prices of an instrument that is not listed any more are multiples of it."""


def on_quote(state: RiskState, instrument: str, now: int) -> tuple[Any, ...]:
    """Return rows that close positions whose stop or target the instrument's latest quote has reached; () if none."""
    guard = state.guard
    targets = _targets(state, instrument, now) if state.target_levels else ()
    if targets or (instrument not in state.stop_instruments and instrument not in guard.doubtful):
        return targets
    keys: Iterable[OwnerKey] = state.stop_instruments.get(instrument, ())
    if instrument in guard.doubtful:
        keys = dict.fromkeys((*keys, *(key for key in guard.owners_missing_stop() if key[1] == instrument)))
    latest = state.valued.get(instrument)
    if latest is None:
        return ()
    rows: list[Any] = []
    positions, armed, corporate = state.positions, state.stop_levels, state.corporate
    for key in keys:
        position = positions.get(key)
        if position is None or (corporate and key in corporate):
            continue
        held = armed.get(key)
        level = (position.held_stop or held) if held else stop_level(state, key)
        if latest.ltp <= level if position.open_units > 0 else latest.ltp >= level:
            quote = quote_beyond(state, position, level, now)
            rows += _stop(state, key, position, level, quote, now) if quote is not None else ()
    return tuple(rows)


def _targets(state: RiskState, instrument: str, now: int) -> tuple[Any, ...]:
    """Close the legs whose target, held here, the price has reached."""
    rows: list[Any] = []
    for key, level in state.target_levels.items():
        position = state.positions.get(key) if key[1] == instrument else None
        if position is None or key in state.corporate:
            continue
        level = position.held_target or level
        quote = quote_beyond(state, position, level, now, target=True)
        if quote is not None:
            cause = content_id("target", position.strategy, instrument, f"{level:g}")
            text = f"target: {quote.ltp:g} has reached {level:g}"
            closed = close_after_covered(state, position, cause, text, quote.received_ns, now)
            rows += with_close_event(RiskKind.TARGET, position, closed, level, quote.ltp, now)
    return tuple(rows)


def on_goals(state: RiskState, now: int) -> tuple[Any, ...]:
    """Return the price of a marketable limit for each exit that waits for one, from a fresh quote; without one the edge
    of the band, once for each wait, whereupon the router asks its server."""
    rows: list[Any] = []
    for goal in state.goals.values():
        position = state.positions.get(goal.owner)
        if (
            (goal.limit_only or goal.unpriced_machine_ns)
            and not goal.price
            and position is not None
            and position.open_units
        ):
            rows += _price_of(state, goal, position, now)
    return tuple(rows)


def _price_of(state: RiskState, goal: Goal, position: Position, now: int) -> list[PriceGoal]:
    quote, listed = state.exit_quote(goal.instrument), state.environment.instruments.get(goal.instrument)
    kind = listed.kind if listed is not None else kind_of(goal.instrument)
    tick, side = listed.tick_size if listed is not None else 0.0, Side.SELL if position.open_units > 0 else Side.BUY
    close = quote.previous_close if quote is not None else None
    stale_seconds = state.environment.limits.stale_quote_seconds
    fresh = state.is_priced(goal.instrument) and not (
        quote is None or is_stale(quote, now, state.machine_ns, stale_seconds)
    )
    if fresh and quote is not None:
        if best := _best_of_locked(quote, side):
            name = content_id("locked", goal.id, goal.unpriced_machine_ns)
            return [PriceGoal(id=name, goal=goal.id, account=goal.account, price=best, locked=True)]
        band = price_band(kind, quote.ltp, close)
        if price := marketable_price(quote, side, tick or COMMON_TICK, band):
            name = content_id("price", goal.id, goal.unpriced_machine_ns)
            return [PriceGoal(id=name, goal=goal.id, account=goal.account, price=price)]
    if goal.asked_machine_ns >= goal.unpriced_machine_ns or not goal.limit_only:
        return []
    last = quote.ltp if quote is not None else 0.0
    edge = exit_edge(kind, side, last, close, tick or COMMON_TICK) if last > 0 else 0.0
    if (goal.edge or goal.tick) and (goal.edge, goal.tick) == (edge, tick):
        return []  # told already, to a router that asks no server
    name = content_id("edge", goal.id, goal.unpriced_machine_ns)
    return [PriceGoal(id=name, goal=goal.id, account=goal.account, price=0.0, edge=edge, tick=tick)]


def _best_of_locked(quote: Quote, side: Side) -> float:
    """The best price of an exit's own side where nobody stands on the other one (rupees); 0.0 where somebody does, or
    the book does not say."""
    own, other = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
    return own if own is not None and own > 0 and other is not None and other <= 0 else 0.0


def on_fill(state: RiskState, message: Any, now: int) -> tuple[Any, ...]:
    """Return rows that close at once an entry filled beyond its stop, whose stop order the exchange would reject. Not
    if a stop order covers all its units. Also rows that buy back sold options whose bought cover was stopped out at the
    broker."""
    if not isinstance(message, PositionChanged):
        return ()
    if bought_back := _uncovered(state, now):
        return tuple(bought_back)
    if message.client_order_id not in state.issued or message.position.owner in state.corporate:
        return ()
    position = message.position
    level = position.held_stop or stop_level(state, position.owner)
    quote = quote_beyond(state, position, level, now)
    if quote is None or resting_units(position, state.orders.values()) >= abs(position.quantity_seen):
        return ()
    return tuple(_stop(state, position.owner, position, level, quote, now))


def _uncovered(state: RiskState, now: int) -> list[Any]:
    """Buy back what is left of what bought positions covered that were stopped out, whenever that was learnt."""
    rows: list[Any] = []
    for closed, sold in state.uncovered.values():
        if state.environment.is_open(closed.instrument.partition(":")[0], now):
            cause = protective_exit_cause("cover", closed.strategy, closed.instrument, closed.opened_ns)
            rows += buy_back(state, closed, sold, cause, f"the stop of {closed.instrument} fired at the broker", now)
    return rows


def _stop(state: RiskState, key: OwnerKey, position: Position, level: float, quote: Quote, now: int) -> list[Any]:
    cause = protective_exit_cause("stop", position.strategy, position.instrument, f"{level:g}")
    text = f"stop: {quote.ltp:g} is at or beyond {level:g}"
    if not state.owner_is_short(position):
        closed = close_position(state, position, cause, text, quote.received_ns)
    elif state.is_hedge(position):
        return []
    else:
        closed = close_after_covered(state, position, cause, text, quote.received_ns, now)
    rows = with_close_event(RiskKind.STOP, position, closed, level, quote.ltp, now)
    guard = state.protections.get(key) if closed and key not in state.stop_levels else None
    if guard is not None:
        what = f"{position.strategy} in {position.instrument}: {text}, and the broker has no stop for all of it"
        rows.append(risk_alert(STOP_FAILED, Severity.CRITICAL, guard.id, f"{what}; it is being closed", now))
    return rows


def on_time(state: RiskState, now: int) -> tuple[Any, ...]:
    """Return the rows due by the clock: levels armed or removed, book reads, alerts, closes for missing stops and for
    stops at the broker that the price has passed."""
    rows: list[Any] = [
        *release_levels(state, now),
        *arm_stops(state, now),
        *arm_targets(state, now),
        *_uncovered(state, now),
        *passed_stops.on_time(state, now),
    ]
    guarded = state.guarded_positions()
    is_open = state.environment.is_open
    held = [found for found in guarded.values() if is_open(found.instrument.partition(":")[0], now)]
    machine_ns = state.machine_ns
    for account in sorted({position.account for position in held}):
        mine = [position for position in held if position.account == account]
        if state.guard.is_read_due(account, mine, state.orders.values(), machine_ns):
            name = f"{account}-risk-{machine_ns}"
            rows.append(ReadRequest(id=name, account=account, positions=True, cause="stops", machine_ns=machine_ns))
    for kind, found in (
        (STOP_UNCOVERED, state.guard.uncovered_positions()),
        (STOP_UNCERTAIN, state.guard.doubted_positions()),
    ):
        for bare in found:
            if (position := guarded.get(bare.key)) is not None:
                rows += _bare(state, kind, bare, position, now)
    return tuple(rows)


def _bare(state: RiskState, kind: str, bare: UncoveredPosition, position: Position, now: int) -> list[Any]:
    """Alert after the patience that is due, close after twice that; the router waits for unknown stops."""
    uncovered, limits = kind == STOP_UNCOVERED, state.environment.limits
    patience = limits.bare_seconds if uncovered else limits.doubt_seconds
    seconds = (state.machine_ns - bare.since_ns) / SECOND
    if seconds < patience:
        return []
    if not bare.alerted_already:
        text = f"{bare.subject}: {bare.owned} units held, {bare.covered} covered by stops at the broker since "
        if uncovered:
            text += f"{seconds:.0f} s; it is closed after {2 * patience:g} s (BARE_SECONDS)"
        else:
            text += (
                f"{seconds:.0f} s, and the router says a stop or exit is on its way or of unknown fate; look at the "
                f"broker; it is closed after {2 * patience:g} s (DOUBT_SECONDS) if that is safe"
            )
        return [risk_alert(kind, Severity.CRITICAL, bare.subject, text, now)]
    if seconds < 2 * patience:
        return []
    cause = protective_exit_cause("bare" if uncovered else "doubt", bare.subject, bare.since_ns)
    reason = "its stop is not at the broker" if uncovered else "its stop was on its way or in doubt for too long"
    closed = close_after_covered(state, position, cause, reason, 0, now)
    return with_close_event(RiskKind.BARE, position, closed, float(bare.owned), float(bare.covered), now)
