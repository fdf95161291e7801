"""Trading times of exchanges: dated sessions, holidays and special sessions, as `config/calendar.toml` lists them.

Days are IST dates, moments are ns UTC. Nothing here asks what time it is; the caller passes market ns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

from mytrading.core.calendar.calendar_file import CalendarSpec, ExchangeSpec, read_calendar
from mytrading.core.time import DAY, IST_OFFSET, day_number, ist_date, to_ns

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_HORIZON_DAYS = 400
_CACHE_LIMIT = 4096


class UnknownExchange(ValueError):
    """An exchange that `config/calendar.toml` does not list."""


class Session(NamedTuple):
    """One exchange's trading on one day, in ns UTC: open ≤ t < close is continuous trading.

    `final_ns` is the end of what follows continuous trading (the closing auction), and equals `close_ns` where
    nothing follows. `name` is empty for an ordinary day.
    """

    open_ns: int
    close_ns: int
    final_ns: int
    name: str = ""


class Calendar:
    """Sessions and holidays of all exchanges. `is_open` of a day seen before costs one look-up (about 1 µs)."""

    def __init__(self, spec: CalendarSpec) -> None:
        self._spec = spec
        self._cache: dict[tuple[str, int], Session | None] = {}
        self._provisional: dict[tuple[str, int], bool] = {}
        self._day: tuple[int, date] = (0, ist_date(0))
        self.edition = 0
        """Counts how often another calendar was taken over; what is derived from this one is stale after that."""

    @classmethod
    def from_dict(cls, parsed: Mapping[str, object], source: str = "config/calendar.toml") -> Calendar:
        """Build the calendar from a parsed TOML file; `CalendarError` lists every problem with its key."""
        return cls(read_calendar(parsed, source))

    def replace_with(self, other: Calendar) -> None:
        """Take over another calendar's sessions and holidays in place, and increment `edition`."""
        self._spec = other._spec
        self._cache.clear()
        self._provisional.clear()
        self.edition += 1

    @property
    def content(self) -> str:
        """All sessions and holidays as one text, for comparing calendars."""
        return repr(self._spec.exchanges)

    @property
    def exchanges(self) -> tuple[str, ...]:
        """The exchanges that this calendar lists, in the file's order."""
        return tuple(self._spec.exchanges)

    def has_exchange(self, exchange: str) -> bool:
        """True if this calendar lists the exchange."""
        return exchange in self._spec.exchanges

    def session(self, exchange: str, day: date) -> Session | None:
        """Return the session of `day`; None if the exchange does not trade that day."""
        return self._session(exchange, day.toordinal() - _EPOCH_ORDINAL)

    def is_open(self, exchange: str, ns: int) -> bool:
        """True if the exchange trades continuously at market time `ns`; `UnknownExchange` if it is not listed."""
        session = self._session(exchange, (ns + IST_OFFSET) // DAY)
        return session is not None and session.open_ns <= ns < session.close_ns

    def trading_day(self, ns: int) -> date:
        """Return the IST date of market time `ns` (no session needed), by which journals and limits are kept."""
        number = (ns + IST_OFFSET) // DAY
        known = self._day
        if number != known[0]:
            self._day = known = (number, ist_date(ns))
        return known[1]

    def is_trading_day(self, exchange: str, day: date) -> bool:
        """True if the exchange has any session on `day`."""
        return self.session(exchange, day) is not None

    def holiday_name(self, exchange: str, day: date) -> str:
        """Return the name of the holiday on `day`, "Name (provisional)" if it stands in an empty year; else ""."""
        return self._exchange(exchange).holiday(day)

    def is_provisional(self, exchange: str, day: date) -> bool:
        """True if nobody has said which days of its year are holidays: a list of the exchange has none of that year.
        What is derived from such a day, an expiry too, may be wrong."""
        key = (exchange, day.year)
        if (known := self._provisional.get(key)) is None:
            known = self._provisional[key] = bool(self._exchange(exchange).empty_lists(day.year))
        return known

    def empty_lists(self, year: int) -> dict[str, tuple[str, ...]]:
        """Return the holiday lists without any day of `year`, and the exchanges of each, in the file's order."""
        found: dict[str, list[str]] = {}
        for name, exchange in self._spec.exchanges.items():
            for empty in exchange.empty_lists(year):
                found.setdefault(empty, []).append(name)
        return {empty: tuple(names) for empty, names in found.items()}

    def sharing_holidays(self, exchange: str) -> tuple[str, ...]:
        """Return the exchanges that trade whenever `exchange` does, by the lists: theirs are all among its own."""
        mine = {one.name for one in self._exchange(exchange).lists}
        every = self._spec.exchanges.items()
        return tuple(name for name, other in every if mine.issuperset(one.name for one in other.lists))

    def holidays(self, exchange: str) -> dict[date, str]:
        """Return the names of all listed holidays of the exchange by date."""
        return dict(self._exchange(exchange).holidays)

    def listed_until(self, exchange: str) -> date:
        """Return the last day of the last year with listed holidays; 1970-12-31 if there are none."""
        return date(max((day.year for day in self._exchange(exchange).holidays), default=1970), 12, 31)

    def next_session(self, exchange: str, day: date) -> Session:
        """Return the first session after `day`; `ValueError` if there is none for a long time."""
        first = day.toordinal() - _EPOCH_ORDINAL + 1
        for number in range(first, first + _HORIZON_DAYS):
            if (session := self._session(exchange, number)) is not None:
                return session
        raise ValueError(f"{exchange}: no session within {_HORIZON_DAYS} days after {day}; see config/calendar.toml")

    def next_open(self, exchange: str, ns: int) -> int:
        """Return the exchange's first open strictly after market time `ns`, in ns UTC."""
        today = self._session(exchange, day_number(ns))
        if today is not None and today.open_ns > ns:
            return today.open_ns
        return self.next_session(exchange, ist_date(ns)).open_ns

    def previous_trading_day(self, exchange: str, day: date) -> date:
        """Return the last day before `day` on which the exchange trades."""
        for back in range(1, _HORIZON_DAYS):
            if self.is_trading_day(exchange, day - timedelta(days=back)):
                return day - timedelta(days=back)
        raise ValueError(f"{exchange}: no session within {_HORIZON_DAYS} days before {day}; see config/calendar.toml")

    def next_trading_day(self, exchange: str, day: date) -> date:
        """Return the first day after `day` on which the exchange trades."""
        return ist_date(self.next_session(exchange, day).open_ns)

    def _session(self, exchange: str, number: int) -> Session | None:
        """`number` counts days from 1970-01-01."""
        key = (exchange, number)
        try:
            return self._cache[key]
        except KeyError:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            found = _find_session(self._exchange(exchange), date.fromordinal(_EPOCH_ORDINAL + number))
            self._cache[key] = found
            return found

    def _exchange(self, exchange: str) -> ExchangeSpec:
        try:
            return self._spec.exchanges[exchange]
        except KeyError:
            known = ", ".join(self._spec.exchanges)
            raise UnknownExchange(
                f"exchange {exchange!r} has no sessions in {self._spec.source}: expected one of {known}; "
                f"add [exchanges.{exchange}] there"
            ) from None


def _find_session(exchange: ExchangeSpec, day: date) -> Session | None:
    if (special := exchange.special.get(day)) is not None:
        closes = to_ns(day, special.close)
        return Session(to_ns(day, special.open), closes, closes, special.name)
    if exchange.holiday(day):
        return None
    begun = exchange.sessions[: bisect_right(exchange.sessions, day, key=lambda hours: hours.since)]
    hours = next((hours for hours in reversed(begun) if day.weekday() in hours.weekdays), None)
    if hours is None:
        return None
    return Session(to_ns(day, hours.open), to_ns(day, hours.close), to_ns(day, hours.final))
