"""When closing of intraday positions begins, and from when on the venue closes them itself.

Pure. Used by risk, which closes, and by the router, which then keeps still. The one rule: done before the venue does
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time

from mytrading.core.calendar import Calendar, Session, to_ns

SECOND = 1_000_000_000
LEAD_NS = 180 * SECOND
MACHINE_LEAD_NS = 10 * SECOND
BEFORE_CLOSE_NS = 300 * SECOND
SILENCE_NS = 30 * SECOND
"""Market time before the venue's own square-off from which nothing is sent: what crosses it would open anew."""
LATE_NS = 180 * SECOND
"""Market time after it by which the books should show it flat."""


class SquareOff:
    """`venue` holds the venue's own times by exchange. At a market speed above 1 the lead has a machine-time floor."""

    def __init__(self, calendar: Calendar, venue: Mapping[str, time], speed: float = 1.0) -> None:
        self._calendar = calendar
        self._venue = dict(venue)
        self.speed = speed
        self._known: dict[tuple[str, str, int], int] = {}

    def deadline(self, exchange: str, now: int) -> int:
        """Market time by which MIS must be flat today; 0 on a day without a session."""
        if exchange not in self._calendar.exchanges:
            return 0
        day = self._calendar.trading_day(now)
        key = (exchange, day.isoformat(), self._calendar.edition)
        if key not in self._known:
            session = self._calendar.session(exchange, day)
            times = [session.close_ns - BEFORE_CLOSE_NS] if session else []
            if venue := self.venue_ns(exchange, now):
                times.append(venue)
            self._known[key] = min(times, default=0)
        return self._known[key]

    def begins(self, exchange: str, now: int, own: time | None = None, *, intraday: bool = True) -> int:
        """Market time at which closing begins; 0 on a day without a session.

        `own` is the strategy's own time, which counts for every product; the others only for what is `intraday` (MIS).
        One before the session's open means nothing: an evening session begins after it.
        """
        deadlines = [self.deadline(exchange, now)] if intraday else []
        session = self._session(exchange, now)
        if own is not None and session is not None:
            named = to_ns(self._calendar.trading_day(now), own)
            deadlines += [named] if named > session.open_ns else []
        deadline = min((each for each in deadlines if each), default=0)
        return deadline - max(LEAD_NS, int(MACHINE_LEAD_NS * self.speed)) if deadline else 0

    def venue_ns(self, exchange: str, now: int) -> int:
        """Market time at which the venue itself closes MIS today; 0 if it does not: an evening session begins after."""
        session = self._session(exchange, now)
        if session is None or exchange not in self._venue:
            return 0
        venue = to_ns(self._calendar.trading_day(now), self._venue[exchange])
        return venue if venue > session.open_ns else 0

    def _session(self, exchange: str, now: int) -> Session | None:
        known = exchange in self._calendar.exchanges
        return self._calendar.session(exchange, self._calendar.trading_day(now)) if known else None
