"""The contracts of an underlying on a day of the past, by the dated facts of `config/instruments.toml`.

Used by `option_market` for days of which there is no file of the exchange. The one rule: only what was known before the
day began goes in.
"""

from __future__ import annotations

from datetime import date
from itertools import islice

from mytrading.core.calendar import Calendar
from mytrading.core.contracts import Underlying, make_derivative, monthly_expiries, weekly_expiries
from mytrading.messages.instruments import Instrument, InstrumentKind

WEEKS, MONTHS, EACH = 2, 3, 40
"""Weekly and monthly expiries, and strikes each side of the money."""
_RIGHTS = (InstrumentKind.CE, InstrumentKind.PE)


def expiries_on(calendar: Calendar, facts: Underlying, day: date) -> tuple[list[date], list[date]]:
    """The expiries of options and of futures that are listed on a day, ascending."""
    months = list(islice(monthly_expiries(calendar, facts, day), MONTHS))
    weeks = list(islice(weekly_expiries(calendar, facts, day), WEEKS))
    return sorted({*weeks, *months}), months


def contracts_on(name: str, facts: Underlying, calendar: Calendar, day: date, price: float) -> list[Instrument]:
    """Futures and options on `name`, strikes around a price in rupees."""
    expiries, months = expiries_on(calendar, facts, day)
    step = facts.strike_step
    middle = round(price / step)
    strikes = [number * step for number in range(max(middle - EACH, 1), middle + EACH + 1)]
    futures = [make_derivative(name, facts, InstrumentKind.FUT, month, 0.0, day) for month in months]
    return futures + [
        make_derivative(name, facts, right, expiry, strike, day)
        for expiry in expiries
        for right in _RIGHTS
        for strike in strikes
    ]
