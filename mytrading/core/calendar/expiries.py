"""The expiry that a rule names at a moment: this week's, next week's, this month's, next month's.

An expiry is past from the close of its own session on, not from midnight: at 15:45 on the day of an expiry the nearest
contract is the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, time, timedelta

from mytrading.core.calendar import Calendar
from mytrading.core.time import to_ns
from mytrading.messages.run_config import ExpiryRule

Ends = Callable[[str, str], int]
"""From exchange and expiry (ISO date) to the moment (market ns) from which the contract is past."""


class NoSuchExpiry(ValueError):
    """A rule that leads past the listed expiries."""


def end_of_day(_exchange: str, expiry: str) -> int:
    """Return market ns at which the day of `expiry` (ISO date) ends in India: for contracts without a calendar."""
    return to_ns(date.fromisoformat(expiry) + timedelta(days=1), time.min)


def session_ends(calendar: Calendar) -> Ends:
    """Return a function of (exchange, ISO expiry) to market ns at which a contract has expired: its session's close.
    Where the calendar has no session that day, it is the end of the day."""

    def ends(exchange: str, expiry: str) -> int:
        known = exchange in calendar.exchanges
        session = calendar.session(exchange, date.fromisoformat(expiry)) if known else None
        return session.close_ns if session is not None else end_of_day(exchange, expiry)

    return ends


def monthly_of(expiries: Iterable[str]) -> list[str]:
    """Return the monthly expiries (ISO dates) among these: the last of each calendar month."""
    return list({expiry[:7]: expiry for expiry in sorted(expiries)}.values())


def select_expiry(rule: ExpiryRule, expiries: Sequence[str]) -> str:
    """Return the expiry (ISO date) that a rule selects; `NoSuchExpiry` if too few are listed.
    `expiries` must not contain past ones."""
    monthly = rule in (ExpiryRule.MONTHLY, ExpiryRule.NEXT_MONTHLY)
    candidates = monthly_of(expiries) if monthly else sorted(expiries)
    index = 1 if rule in (ExpiryRule.NEXT, ExpiryRule.NEXT_MONTHLY) else 0
    if index >= len(candidates):
        raise NoSuchExpiry(f"expected a {rule.value} expiry, listed and not past are {', '.join(expiries) or 'none'}")
    return candidates[index]
