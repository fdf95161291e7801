"""The variance clock: how much of a year's variance passes in an hour of a session, a night, a weekend and a holiday.

Backtests measure the time to an expiry with it, both when they read volatilities off prices and when they price with
them. A volatility belongs to the clock that it was measured with: never mix one with years of the calendar.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from mytrading.core.calendar.clock_weights import ClockWeights
from mytrading.core.calendar.sessions import Calendar
from mytrading.core.time import SECOND

DAYS_A_YEAR = 252.0
"""Ordinary days (a night and the session after it) in a year of the clock."""
_HOUR = 3600 * SECOND
_SATURDAY = 5


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
