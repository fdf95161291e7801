"""Proof that an exchange trades today, on days of a year whose holidays nobody has listed.

A broker may keep an order of a closed day for the next, so stops and exits wait there until a price of the day was
traded: one whose last price or day's volume changed between two frames of the day's session, or that bears the
exchange's own time of it. The feed looks, and sends the level `DayTraded`; risk and the router wait for it.
"""

from __future__ import annotations

from datetime import date

from mytrading.core.calendar import Calendar
from mytrading.core.time import ist_date
from mytrading.messages.brokers import FeedRules, FrameKind, StampSource
from mytrading.messages.control import DayTraded
from mytrading.messages.market import Quote

_KINDS = {1: FrameKind.LTP, 2: FrameKind.QUOTE, 3: FrameKind.DEPTH}
REST = 0
"""The kind of a price that was asked for over REST."""


class DayProof:
    """Compares frames of one kind of an instrument; those of two kinds may hold different prices and prove nothing."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._day = date.min
        self._opened: dict[str, int] = {}
        """Exchanges that wait for a proof, with the open (market ns) of their session."""
        self._seen: dict[tuple[str, int], tuple[float, int | None]] = {}
        self._proven: dict[str, str] = {}
        self._news = False

    @property
    def waits(self) -> bool:
        """True while an exchange is in session by the calendar and nothing shows that it trades: look at each frame."""
        return bool(self._opened)

    def follow(self, market_ns: int) -> None:
        """Update at market time which exchanges wait; a new day forgets the one before."""
        if (day := ist_date(market_ns)) != self._day:
            self._day, self._seen, self._proven = day, {}, {}
        calendar, self._opened = self._calendar, {}
        for name in calendar.exchanges:
            if name not in self._proven and calendar.is_provisional(name, day) and calendar.is_open(name, market_ns):
                session = calendar.session(name, day)
                self._opened[name] = session.open_ns if session is not None else market_ns
        if not self._opened:
            self._seen.clear()

    def on_frame(self, frame: Quote, kind: int, market_ns: int, rules: FeedRules) -> None:
        """Look at a frame with a good price; `kind` as on the wire, or `REST`."""
        exchange = frame.instrument.partition(":")[0]
        if (opened := self._opened.get(exchange)) is None or market_ns < opened:
            return
        counts = rules.has_volume and (rules.volume_frame in (None, _KINDS.get(kind)) or kind == REST)
        volume = frame.volume if counts else None
        key = (frame.instrument, kind)
        before, self._seen[key] = self._seen.get(key), (frame.ltp, volume)
        stamped = rules.stamps is StampSource.EXCHANGE and opened <= (frame.exchange_ns or 0) <= market_ns
        if not stamped and (before is None or not _has_traded(before, frame.ltp, volume)):
            return
        for name in self._calendar.sharing_holidays(exchange):
            self._proven.setdefault(name, frame.instrument)
            self._opened.pop(name, None)
        self._news = True

    def news(self) -> DayTraded | None:
        """Return what is proven of today, if something was proven since the last call; else None."""
        new, self._news = self._news, False
        return self.level() if new else None

    def level(self) -> DayTraded | None:
        """Return what is proven of today; None if nothing is."""
        return (
            DayTraded(daemon="feed", day=self._day.isoformat(), exchanges=dict(self._proven)) if self._proven else None
        )


def _has_traded(before: tuple[float, int | None], price: float, volume: int | None) -> bool:
    """True if a last price changed, or a day's volume grew: one that fell began anew."""
    last, counted = before
    return (price > 0 < last and price != last) or (volume is not None and counted is not None and volume > counted)
