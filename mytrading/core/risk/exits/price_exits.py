"""Exits that risk decides by itself: a price came to a stop, or the broker's books show a position without one.

An old quote and a single reading end nothing, and a position is closed once for each reason, by a goal like every other
exit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.risk.books.orphan_hedges import guard_cause
from mytrading.core.risk.protection import engine_stops, take_profits
from mytrading.core.risk.protection.stop_coverage import (
    STOP_UNCERTAIN,
    STOP_UNCOVERED,
    IsOpen,
    UncoveredPosition,
    resting,
)
from mytrading.core.risk.runs.exit_events import with_event
from mytrading.core.risk.state.close_commands import CloseCommands
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import SECOND
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.reports import ReadRequest
from mytrading.messages.risk_events import RiskKind
from mytrading.messages.run_config import RiskLimits

STOP_FAILED = "STOP_FAILED"
"""A stop that was to rest at the broker could not do its work; over when what it guards is flat."""


class PriceExits:
    """Asks the state, changes nothing. `at_price` without a level held here costs one look-up."""

    def __init__(self, state: RiskState, limits: RiskLimits, is_open: IsOpen, closing: CloseCommands) -> None:
        self._state = state
        self.limits = limits
        self._is_open = is_open
        self._closing = closing

    def at_price(self, instrument: str, now: int) -> tuple[Any, ...]:
        """A quote came: close those whose level it is at or beyond, where that is held here or the stop in doubt."""
        state, guard = self._state, self._state.guard
        targets = self._targets(instrument, now) if state.target_levels else ()
        if targets or (instrument not in state.stop_instruments and instrument not in guard.doubtful):
            return targets
        keys: Iterable[OwnerKey] = state.stop_instruments.get(instrument, ())
        if instrument in guard.doubtful:
            keys = dict.fromkeys((*keys, *(key for key in guard.missed() if key[1] == instrument)))
        latest = state.quotes.get(instrument)
        if latest is None:
            return ()
        rows: list[Any] = []
        for key in keys:
            position = state.positions.get(key)
            if position is None:
                continue
            armed = key in state.stop_levels and position.held_stop
            level = armed or engine_stops.level_at(state, key)
            held = position.quantity or position.quantity_seen
            if latest.ltp <= level if held > 0 else latest.ltp >= level:
                quote = engine_stops.crossed(state, position, level, now, self.limits.stale_quote_seconds)
                rows += self._stop(key, position, level, quote, now) if quote is not None else ()
        return tuple(rows)

    def _targets(self, instrument: str, now: int) -> tuple[Any, ...]:
        """Close the legs whose target, held here, the price has reached."""
        rows: list[Any] = []
        for key, level in self._state.target_levels.items():
            position = self._state.positions.get(key) if key[1] == instrument else None
            if position is None:
                continue
            level = position.held_target or level
            quote = take_profits.reached(self._state, position, level, now, self.limits.stale_quote_seconds)
            if quote is not None:
                cause = content_id("target", position.strategy, instrument, f"{level:g}")
                text = f"target: {quote.ltp:g} has reached {level:g}"
                closed = self._closing.close_covering(position, cause, text, quote.received_ns, now)
                rows += with_event(RiskKind.TARGET, position, closed, level, quote.ltp, now)
        return tuple(rows)

    def on_fill(self, message: Any, now: int) -> tuple[Any, ...]:
        """Close at once what an entry filled while the price was beyond its stop: the exchange would refuse that.

        What its stop covers there already, or is seen to have closed, when only the fill is confirmed, is left to it.
        What a bought position covered that was stopped out at the broker is bought back.
        """
        if not isinstance(message, PositionChanged):
            return ()
        if bought_back := self._uncovered(now):
            return tuple(bought_back)
        if message.client_order_id not in self._state.issued:
            return ()
        state, position = self._state, message.position
        level = position.held_stop or engine_stops.level_of(state, position)
        quote = engine_stops.crossed(state, position, level, now, self.limits.stale_quote_seconds)
        if quote is None or resting(position, state.orders.values()) >= abs(position.quantity_seen):
            return ()
        return tuple(self._stop(position.owner, position, level, quote, now))

    def _uncovered(self, now: int) -> list[Any]:
        """Buy back what is left of what bought positions covered that were stopped out, whenever that was learnt."""
        rows: list[Any] = []
        for closed, sold in self._state.uncovered.values():
            if not self._is_open(closed.instrument.partition(":")[0], now):
                continue
            cause = guard_cause("cover", closed.strategy, closed.instrument, closed.opened_ns)
            text = f"the stop of {closed.instrument} fired at the broker"
            rows += self._closing.buy_back(closed, sold, cause, text, now)
        return rows

    def _stop(self, key: OwnerKey, position: Position, level: float, quote: Quote, now: int) -> list[Any]:
        cause = guard_cause("stop", position.strategy, position.instrument, f"{level:g}")
        text = f"stop: {quote.ltp:g} is at or beyond {level:g}"
        if not self._state.sells_beside(position):
            closed = self._closing.close(position, cause, text, quote.received_ns)
        elif self._state.is_hedge(position):
            return []
        else:
            closed = self._closing.close_covering(position, cause, text, quote.received_ns, now)
        rows = with_event(RiskKind.STOP, position, closed, level, quote.ltp, now)
        if closed and key not in self._state.stop_levels:
            rows += self._stop_failed(key, position, text, now)
        return rows

    def _stop_failed(self, key: OwnerKey, position: Position, text: str, now: int) -> list[Alert]:
        """Alert of a stop that was to rest at the broker and did not close all of its position."""
        guard = self._state.protections.get(key)
        if guard is None:
            return []
        what = f"{position.strategy} in {position.instrument}: {text}, and the broker has no stop for all of it"
        return [_critical(STOP_FAILED, guard.id, f"{what}; it is being closed", now)]

    def on_time(self, now: int) -> tuple[Any, ...]:
        """Levels that have ended, books that are due, and positions that the books show without their stop."""
        rows: list[Any] = [*engine_stops.release(self._state, now), *take_profits.release(self._state, now)]
        rows += [*engine_stops.arm(self._state, now), *take_profits.arm(self._state, now), *self._uncovered(now)]
        guarded = self._state.guarded_positions()
        held = [found for found in guarded.values() if self._is_open(found.instrument.partition(":")[0], now)]
        for account in sorted({position.account for position in held}):
            rows += self._ask(account, [position for position in held if position.account == account])
        for kind, found in ((STOP_UNCOVERED, self._state.guard.bare()), (STOP_UNCERTAIN, self._state.guard.doubts())):
            for bare in found:
                if (position := guarded.get(bare.key)) is not None:
                    rows += self._bare(kind, bare, position, now)
        return tuple(rows)

    def _ask(self, account: str, held: list[Position]) -> list[Any]:
        machine = self._state.machine_ns
        if not self._state.guard.wants_read(account, held, self._state.orders.values(), machine):
            return []
        name = f"{account}-risk-{machine}"
        return [ReadRequest(id=name, account=account, positions=True, cause="stops", machine_ns=machine)]

    def _bare(self, kind: str, bare: UncoveredPosition, position: Position, now: int) -> list[Any]:
        """Alarm after the patience that is due, close after twice that.

        The exit is the router's to send: while the fate of a stop is unknown it waits there for the rule of ghosts.
        """
        patience = self.limits.bare_seconds if kind == STOP_UNCOVERED else self.limits.doubt_seconds
        seconds = (self._state.machine_ns - bare.since_ns) / SECOND
        if seconds < patience:
            return []
        if not bare.alarmed:
            return [self._alarm(kind, bare, seconds, now)]
        if seconds < 2 * patience:
            return []
        cause = guard_cause("bare" if kind == STOP_UNCOVERED else "doubt", bare.subject, bare.since_ns)
        reason = (
            "its stop is not at the broker"
            if kind == STOP_UNCOVERED
            else "its stop was on its way or in doubt for too long"
        )
        closed = self._closing.close_covering(position, cause, reason, 0, now)
        return with_event(RiskKind.BARE, position, closed, float(bare.owned), float(bare.covered), now)

    def _alarm(self, kind: str, bare: UncoveredPosition, seconds: float, now: int) -> Alert:
        text = f"{bare.subject}: {bare.owned} units held, {bare.covered} covered by stops at the broker since "
        if kind == STOP_UNCOVERED:
            text += f"{seconds:.0f} s; it is closed after {2 * self.limits.bare_seconds:g} s (BARE_SECONDS)"
        else:
            text += (
                f"{seconds:.0f} s, and the router says a stop or exit is on its way or of unknown fate; look at the "
            )
            text += f"broker; it is closed after {2 * self.limits.doubt_seconds:g} s (DOUBT_SECONDS) if that is safe"
        return _critical(kind, bare.subject, text, now)


def _critical(code: str, subject: str, text: str, now: int) -> Alert:
    return Alert(
        code=code, severity=Severity.CRITICAL, subject=subject, message=text, daemon="risk", first_ns=now, last_ns=now
    )
