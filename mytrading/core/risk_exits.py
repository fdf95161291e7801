"""Exits that risk decides by itself: a price came to a stop, or the broker's books show a position without one.

Used by `core/risk`. The one rule: an old quote and a single reading end nothing, and a position is closed once for
each reason, by a goal like every other exit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mytrading.core import leg_targets, risk_stops
from mytrading.core.identity import content_id
from mytrading.core.risk_guard import SECOND, Bare, IsOpen
from mytrading.core.risk_state import RiskState
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.reports import ReadRequest
from mytrading.messages.runconfig import RiskLimits

Close = Callable[[Position, str, str, int], list[Any]]
"""Rows that close a position, given a cause, a reason and a trace; none if it is being closed already."""


class RiskExits:
    """Asks the state, changes nothing. `at_price` without a level held here costs one look-up."""

    def __init__(self, state: RiskState, limits: RiskLimits, is_open: IsOpen, close: Close) -> None:
        self._state = state
        self.limits = limits
        self._is_open = is_open
        self._close = close

    def at_price(self, instrument: str, now: int) -> tuple[Any, ...]:
        """A quote came: close the positions whose level, held here, it is at or beyond."""
        targets = self._targets(instrument, now) if self._state.target_levels else ()
        if targets or instrument not in self._state.stop_instruments:
            return targets
        keys = [key for key in self._state.stop_levels if key[1] == instrument]
        found = [position for key in keys if (position := self._state.positions.get(key)) is not None]
        return tuple(row for position in found for row in self._stop(position, now))

    def _targets(self, instrument: str, now: int) -> tuple[Any, ...]:
        """Close the legs whose target, held here, the price has reached."""
        rows: list[Any] = []
        for key, level in self._state.target_levels.items():
            position = self._state.positions.get(key) if key[1] == instrument else None
            if position is None:
                continue
            quote = leg_targets.reached(self._state, position, level, now, self.limits.stale_quote_seconds)
            if quote is not None:
                cause = content_id("target", position.strategy, instrument, f"{level:g}")
                rows += self._close(position, cause, f"target: {quote.ltp:g} has reached {level:g}", quote.received_ns)
        return tuple(rows)

    def on_fill(self, message: Any, now: int) -> tuple[Any, ...]:
        """Close at once what an entry filled while the price was beyond its stop: the exchange would refuse that."""
        if not isinstance(message, PositionChanged) or message.client_order_id not in self._state.issued:
            return ()
        return tuple(self._stop(message.position, now))

    def _stop(self, position: Position, now: int) -> list[Any]:
        level = risk_stops.level_of(self._state, position)
        quote = risk_stops.crossed(self._state, position, level, now, self.limits.stale_quote_seconds)
        if quote is None:
            return []
        cause = content_id("stop", position.strategy, position.instrument, f"{level:g}")
        return self._close(position, cause, f"stop: {quote.ltp:g} is at or beyond {level:g}", quote.received_ns)

    def on_time(self, now: int) -> tuple[Any, ...]:
        """Levels that have ended, books that are due, and positions that the books show without their stop."""
        rows: list[Any] = [*risk_stops.release(self._state, now), *leg_targets.release(self._state, now)]
        guarded = self._state.guarded_positions()
        held = [found for found in guarded.values() if self._is_open(found.instrument.partition(":")[0], now)]
        for account in sorted({position.account for position in held}):
            rows += self._ask(account, [position for position in held if position.account == account])
        for bare in self._state.guard.bare():
            if (position := guarded.get(bare.key)) is not None:
                rows += self._bare(bare, position, now)
        return tuple(rows)

    def _ask(self, account: str, held: list[Position]) -> list[Any]:
        machine = self._state.machine_ns
        if not self._state.guard.wants_read(account, held, self._state.orders.values(), machine):
            return []
        name = f"{account}-risk-{machine}"
        return [ReadRequest(id=name, account=account, positions=True, cause="stops", machine_ns=machine)]

    def _bare(self, bare: Bare, position: Position, now: int) -> list[Any]:
        patience = self.limits.bare_seconds
        seconds = (self._state.machine_ns - bare.since_ns) / SECOND
        if seconds < patience:
            return []
        if not bare.alarmed:
            return [self._alarm(bare, seconds, now)]
        if seconds < 2 * patience:
            return []
        cause = content_id("bare", bare.subject, bare.since_ns)
        return self._close(position, cause, "its stop is not at the broker", 0)

    def _alarm(self, bare: Bare, seconds: float, now: int) -> Alert:
        text = (
            f"{bare.subject}: {bare.owned} units held, {bare.covered} covered by stops at the broker since "
            f"{seconds:.0f} s; it is closed after {2 * self.limits.bare_seconds:g} s (BARE_SECONDS)"
        )
        return Alert(
            code="POSITION_BARE",
            severity=Severity.CRITICAL,
            subject=bare.subject,
            message=text,
            daemon="risk",
            first_ns=now,
            last_ns=now,
        )
