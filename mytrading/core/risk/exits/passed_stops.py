"""Stops at the broker that the price has passed and that have not filled: triggered, whatever the broker's books say.

Most brokers show a stop that waits and one that rests beyond its limit by the same word, so the price decides: fresh
last prices at or beyond the trigger for `exit_patience` have the position closed. What a fill, a type or a word of the
broker's has proven is the router's to hand over. Without fresh prices nothing is closed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mytrading.core.calendar.square_off import SILENCE_NS
from mytrading.core.orders.state_machine import TRIGGERED, is_untriggered_stop
from mytrading.core.risk.pretrade.readiness import BLIND_NS, is_quote_stale
from mytrading.core.risk.runs.run_events import with_close_event
from mytrading.core.risk.state.decision_rows import close_after_covered, risk_alert
from mytrading.core.risk.state.orphan_hedges import protective_exit_cause
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import SECOND
from mytrading.messages.enums import Product, Purpose, Severity
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.level_names import passed_stop_name
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, Position, Protection
from mytrading.messages.risk_events import RiskKind

STOP_FAILED = "STOP_FAILED"
"""A stop that was to rest at the broker could not do its work; over when what it guards is flat."""
MAY_HAVE_TRIGGERED = "STOP_MAY_HAVE_TRIGGERED"
"""The order book took back that a stop waits, and there is no fresh price to tell; over when there is, or the stop
moves."""


class _Passed(NamedTuple):
    """A position whose stops the last price has passed: the trigger (rupees) furthest from the price, and the quote."""

    position: Position
    level: Protection
    trigger: float
    quote: Quote


def on_time(state: RiskState, now: int) -> list[Any]:
    """Return rows that begin or end the time of passed stops, and close the positions where it has lasted."""
    found_now = (_passed(state, position, now) for position in _open(state))
    passed = {found.position.owner: found for found in found_now if found is not None}
    rows: list[Any] = [_time_row(key, 0, now) for key in state.passed_since if key not in passed]
    for key, found in passed.items():
        since = state.passed_since.get(key, 0)
        if not since:
            rows.append(_time_row(key, _clock(state, now), now))
        elif _has_lasted(state, found.quote, since, now):
            rows += _close(state, found, since, now)
    return rows


def unsure_stops(state: RiskState, now: int) -> dict[str, str]:
    """Return the alert text, by order id, of each stop that may have triggered, without a fresh price to tell."""
    found: dict[str, str] = {}
    for position in _open(state):
        if not _is_traded(state, position, now) or _fresh_quote(state, position, now) is not None:
            continue
        for order in _resting(state, position):
            if is_untriggered_stop(order) and order.evidence.shown_open_machine_ns:
                found[order.client_order_id] = (
                    f"{position.strategy} in {position.instrument}: the order book no longer shows the stop "
                    f"{order.broker_order_id} (trigger {order.trigger_price:g}) as waiting, so it may have triggered "
                    "without filling, and there is no fresh price to tell; nothing is closed, look at the broker"
                )
    return found


def _open(state: RiskState) -> list[Position]:
    busy = state.closing | state.corporate.keys()
    return [position for position in state.open_positions() if position.owner not in busy]


def _passed(state: RiskState, position: Position, now: int) -> _Passed | None:
    level = state.protections.get(position.owner)
    if level is None or level.state != "open" or position.open_units * level.side.sign >= 0:
        return None
    if not _is_traded(state, position, now) or (quote := _fresh_quote(state, position, now)) is None:
        return None
    stops = [order for order in _resting(state, position) if order.side is level.side]
    if not stops or any(order.state in TRIGGERED for order in stops):
        return None
    triggers = [trigger for order in stops for trigger in _triggers(order, level)]
    falls = position.open_units > 0
    trigger = min(triggers) if falls else max(triggers)
    beyond = quote.ltp <= trigger if falls else quote.ltp >= trigger
    return _Passed(position, level, trigger, quote) if beyond and trigger > 0 else None


def _resting(state: RiskState, position: Position) -> list[Order]:
    """The owner's stops that are known to be at the broker."""
    there = state.orders.of_instrument(position.instrument)
    stops = (order for order in there if order.purpose is Purpose.STOP and order.owner == position.owner)
    return [order for order in stops if is_untriggered_stop(order) or order.state in TRIGGERED]


def _triggers(order: Order, level: Protection) -> list[float]:
    """Where a stop may rest: a change of it that is under way may have been made or not."""
    wanted = order.evidence.modify.wanted
    moving = [level.moving.trigger] if level.moving is not None else []
    return [order.trigger_price, *moving, *([wanted.trigger_price] if wanted is not None else [])]


def _is_traded(state: RiskState, position: Position, now: int) -> bool:
    """True while its exchange trades continuously, and before the venue's own square-off of what it would close."""
    exchange = position.instrument.partition(":")[0]
    if not state.environment.is_open(exchange, now):
        return False
    venue = state.environment.square_off.venue_square_off_ns(exchange, now) if position.product is Product.MIS else 0
    return not (venue and now >= venue - SILENCE_NS)


def _fresh_quote(state: RiskState, position: Position, now: int) -> Quote | None:
    """The instrument's last quote, unless it is old, the feed is silent, or risk has just begun to get quotes."""
    quote, environment = state.valued.get(position.instrument), state.environment
    if quote is None or is_quote_stale(state, quote, now):
        return None
    if environment.lock_step:
        return quote
    starts = state.machine_ns < environment.patient_until
    # a feed that is not ready may still bring this instrument's prices, as one does whose disk is full
    heard = max(state.feed_ready_ns, quote.received_ns)
    return None if starts or state.machine_ns - heard >= BLIND_NS else quote


def _clock(state: RiskState, now: int) -> int:
    """The clock that the patience is counted by: machine time; in lock-step, where that means nothing, the market's."""
    return now if state.environment.lock_step else state.machine_ns


def _has_lasted(state: RiskState, quote: Quote, since: int, now: int) -> bool:
    """True if the price was beyond for long enough, and not by a single quote."""
    seen = quote.market_ns if state.environment.lock_step else quote.received_ns
    return seen > since and _clock(state, now) - since >= state.environment.exit_patience_ns


def _time_row(key: OwnerKey, since: int, now: int) -> LevelMoved:
    return LevelMoved(name=passed_stop_name(key), value=float(since), at_ns=now)


def _close(state: RiskState, found: _Passed, since: int, now: int) -> list[Any]:
    position, quote = found.position, found.quote
    seconds = state.environment.exit_patience_ns / SECOND
    cause = protective_exit_cause("passed", position.strategy, position.instrument, found.level.id, since)
    text = (
        f"its stop at {found.trigger:g} has not filled, and the price ({quote.ltp:g}) has been beyond for {seconds:g} s"
    )
    closed = close_after_covered(state, position, cause, text, quote.received_ns, now)
    if not closed:
        return []
    what = f"{position.strategy} in {position.instrument}: {text}; it is being closed"
    rows = with_close_event(RiskKind.STOP, position, closed, found.trigger, quote.ltp, now)
    return [*rows, risk_alert(STOP_FAILED, Severity.CRITICAL, found.level.id, what, now)]
