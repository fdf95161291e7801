"""The variance clock: how much of a year's variance passes in an hour of a session, a night, a weekend and a holiday.

Backtests measure the time to an expiry with it, both when they read volatilities off prices and when they price with
them. A volatility belongs to the clock that it was measured with: never mix one with years of the calendar.
"""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from mytrading.core.calendar.sessions import Calendar
from mytrading.core.time import SECOND

DAYS_A_YEAR = 252.0
"""Ordinary days (a night and the session after it) in a year of the clock."""
_HOUR = 3600 * SECOND
_SATURDAY = 5
_ORDINARY_HOURS = 6.25
"""Of the session that weights are shares of: 9:15 to 15:30."""
_MOST = 5.0
"""Ordinary days of variance that a night, a weekend or an hour can be worth at most: more is a mistake of units."""
_ROUNDING = 0.005


class ClockWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares of the variance of an ordinary day; night and hours of an ordinary session make 1.

    `hours` are of a session's hours from its open, the last one of every later hour too. `night`, `weekend` and
    `holiday` are of the time from a close to the next open: with no closed day between them, with a Saturday or Sunday,
    and with a closed weekday.
    """

    hours: tuple[float, ...] = (0.245, 0.107, 0.072, 0.070, 0.087, 0.119, 0.080)
    night: float = 0.28
    weekend: float = 0.40
    holiday: float = 0.40

    def __post_init__(self) -> None:
        named = {"hours": self.hours, "night": (self.night,), "weekend": (self.weekend,), "holiday": (self.holiday,)}
        for name, weights in named.items():
            if not all(0 <= weight <= _MOST for weight in weights):
                raise ValueError(f"{name}: expected shares of an ordinary day from 0 to {_MOST:g}, found {weights}")
        if not self.hours or not sum(self.hours):
            raise ValueError(f"hours: expected one hour above 0 at least, found {self.hours}")
        whole = self.night + self.session_share
        if abs(whole - 1) > _ROUNDING:
            raise ValueError(
                f"night and hours: expected 1 together over an ordinary session of {_ORDINARY_HOURS} hours, found "
                f"{self.night:g} + {self.session_share:.4g} = {whole:.4g}; divide all weights by {whole:.4g}"
            )

    @property
    def session_share(self) -> float:
        """The share of an ordinary day's variance that passes in its session."""
        count = int(_ORDINARY_HOURS)
        hours = [self.hours[min(number, len(self.hours) - 1)] for number in range(count + 1)]
        return sum(hours[:count]) + (_ORDINARY_HOURS - count) * hours[count]


class VarianceClock:
    """The time to the close of an expiry's last session on one exchange, in years of the variance clock."""

    def __init__(self, weights: ClockWeights, calendar: Calendar, exchange: str) -> None:
        self._weights = weights
        self._calendar = calendar
        self._exchange = exchange
        self._days: dict[date, float] = {}

    def years_to(self, expiry: date, day: date, moments: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the years from moments (market ns) of one day to the expiry's close, float64 of the moments' shape.

        Before the day's open its whole session is left, after its close nothing of it.
        """
        if expiry < day:
            return np.zeros(np.shape(moments))
        later = sum(self._day(day + timedelta(days=number)) for number in range(1, (expiry - day).days + 1))
        return np.asarray((self._session_left(day, moments) + later) / DAYS_A_YEAR)

    def _session_left(self, day: date, moments: NDArray[np.int64]) -> NDArray[np.float64]:
        session = self._calendar.session(self._exchange, day)
        if session is None:
            return np.zeros(np.shape(moments))
        hours = self._weights.hours
        count = -(-(session.close_ns - session.open_ns) // _HOUR)
        ends = np.minimum(session.open_ns + _HOUR * np.arange(count + 1), session.close_ns)
        rates = np.array([hours[min(number, len(hours) - 1)] for number in range(count)])
        passed = np.concatenate(([0.0], np.cumsum(rates * np.diff(ends) / _HOUR)))
        return np.asarray(passed[-1] - np.interp(moments - session.open_ns, ends - session.open_ns, passed))

    def _day(self, day: date) -> float:
        """The weight of a day's session with the time since the close before it; 0 without a session."""
        if (known := self._days.get(day)) is None:
            session = self._calendar.session(self._exchange, day)
            known = 0.0
            if session is not None:
                known = self._closed_before(day) + float(self._session_left(day, np.array(session.open_ns)))
            self._days[day] = known
        return known

    def _closed_before(self, day: date) -> float:
        before = self._calendar.previous_trading_day(self._exchange, day)
        closed = [day - timedelta(days=number) for number in range(1, (day - before).days)]
        if any(item.weekday() < _SATURDAY for item in closed):
            return self._weights.holiday
        return self._weights.weekend if closed else self._weights.night
