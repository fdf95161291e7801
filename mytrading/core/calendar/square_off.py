"""Square-off times: when closing of intraday positions begins, and when the venue closes them itself.

Pure. Done before the venue does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import NamedTuple

from mytrading.core.calendar import Calendar, Session
from mytrading.core.time import SECOND, day_number, to_ns

LEAD_NS = 180 * SECOND
MACHINE_LEAD_NS = 10 * SECOND
BEFORE_CLOSE_NS = 300 * SECOND
SILENCE_NS = 30 * SECOND
"""Market time before the venue's own square-off from which nothing is sent: what crosses it would open anew."""
LATE_NS = 180 * SECOND
"""Market time after it by which the books should show it flat."""


class _Times(NamedTuple):
    """Of one exchange and day, 0 where there is none: the venue's own closing, and by when MIS must be flat."""

    venue_ns: int
    deadline_ns: int


class SquareOff:
    """`venue` holds the venue's own times by exchange. At a market speed above 1 the lead has a machine-time floor."""

    def __init__(self, calendar: Calendar, venue: Mapping[str, time], speed: float = 1.0) -> None:
        self._calendar = calendar
        self._venue = dict(venue)
        self.speed = speed
        self._known: dict[tuple[str, int, int], _Times] = {}

    def mis_deadline_ns(self, exchange: str, now: int) -> int:
        """Return market ns by which MIS positions must be flat on the day of `now`; 0 without a session."""
        return self._times(exchange, now).deadline_ns

    def closing_begins_ns(self, exchange: str, now: int, own: time | None = None, *, intraday: bool = True) -> int:
        """Return market ns at which closing begins for a position to be flat by `flat_by_ns`, which explains `own` (the
        strategy's square-off time) and `intraday` (MIS); 0 if it may stay open."""
        deadline = self.flat_by_ns(exchange, now, own, intraday=intraday)
        return deadline - max(LEAD_NS, int(MACHINE_LEAD_NS * self.speed)) if deadline else 0

    def flat_by_ns(self, exchange: str, now: int, own: time | None = None, *, intraday: bool = True) -> int:
        """Return market ns by which a position must be flat today; 0 if it need not be, or without a session.
        `own`, the strategy's square-off time, counts for every product unless before the session's open (an evening
        session); the MIS deadline counts only if `intraday`."""
        deadline = self._times(exchange, now).deadline_ns if intraday else 0
        session = self._session(exchange, now) if own is not None else None
        if own is not None and session is not None:
            named = to_ns(self._calendar.trading_day(now), own)
            if named > session.open_ns:
                deadline = min(named, deadline or named)
        return deadline

    def venue_square_off_ns(self, exchange: str, now: int) -> int:
        """Return market ns at which the venue itself closes MIS on the day of `now`; 0 if it does not."""
        return self._times(exchange, now).venue_ns

    def _times(self, exchange: str, now: int) -> _Times:
        """The times of a day: needed with every call to the broker, hence worked out once."""
        key = (exchange, day_number(now), self._calendar.edition)
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = self._find_times(exchange, now)
            return found

    def _find_times(self, exchange: str, now: int) -> _Times:
        session = self._session(exchange, now)
        if session is None:
            return _Times(0, 0)
        named = self._venue.get(exchange)
        venue = to_ns(self._calendar.trading_day(now), named) if named is not None else 0
        venue = venue if venue > session.open_ns else 0
        ends = session.close_ns - BEFORE_CLOSE_NS
        return _Times(venue, min(ends, venue) if venue else ends)

    def _session(self, exchange: str, now: int) -> Session | None:
        known = exchange in self._calendar.exchanges
        return self._calendar.session(exchange, self._calendar.trading_day(now)) if known else None
