"""When closing of intraday positions begins: a lead before the earliest of all the times that end a day for MIS.

Pure. Used by risk. The one rule: done before the venue does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time

from mytrading.core.calendar import Calendar, to_ns

SECOND = 1_000_000_000
LEAD_NS = 180 * SECOND
MACHINE_LEAD_NS = 10 * SECOND
BEFORE_CLOSE_NS = 300 * SECOND


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
            if session and exchange in self._venue:
                venue = to_ns(day, self._venue[exchange])
                times += [venue] if venue > session.open_ns else []  # an evening session begins after it
            self._known[key] = min(times, default=0)
        return self._known[key]

    def begins(self, exchange: str, now: int) -> int:
        """Market time at which closing begins; 0 on a day without a session."""
        deadline = self.deadline(exchange, now)
        return deadline - max(LEAD_NS, int(MACHINE_LEAD_NS * self.speed)) if deadline else 0
