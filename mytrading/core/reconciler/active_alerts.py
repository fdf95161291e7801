"""Alerts of the reconciler about an account, as they follow from what its last reads showed."""

from __future__ import annotations

from dataclasses import dataclass

from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.messages.enums import Severity

STATE_ALERTS = frozenset((
    "ORDER_STREAM_DOWN", "FUNDS_UNREAD", "SERVER_BUSY", "BOOKS_UNREAD", "BOOKS_ODD", "SERVER_MODE",
    "STANDBY_DOWN", "ACCOUNT_DOWN",
))  # fmt: skip
"""Codes of the alerts that stand exactly as long as they are among the active ones."""


@dataclass(slots=True)
class AccountProblems:
    """Problems of an account at its server, as texts; empty where there are none."""

    stream: str = ""
    funds: str = ""
    funds_late: bool = False
    """The funds were not read for so long that entries wait."""
    busy_s: float = 0.0
    """Seconds for which the server wants no call, where that is long."""
    unread: str = ""
    """Reason that a book could not be read."""
    odd: str = ""
    """Oddities in books that were read."""
    odd_rows: bool = False
    """Rows of the books could not be read, and may be of ours."""
    unread_rows: int = 0
    """Rows of the books that could not be read, ours or not."""
    mode: str = ""


def active_alerts(account: str, found: AccountProblems) -> dict[Subject, ActiveAlert]:
    """Return the active alerts of an account that has these problems, by subject (alert code, name)."""
    warning, critical = Severity.WARNING, Severity.CRITICAL
    active = {}
    if found.stream:
        text = f"{found.stream}; the books are read instead; it is tried again"
        active["ORDER_STREAM_DOWN", account] = ActiveAlert(warning, text)
    if found.funds:
        then = "entries wait until they are" if found.funds_late else "entries wait if that lasts"
        text = f"{found.funds}; {then}, exits go on; see `mytrading doctor`, and the funds page at the broker"
        active["FUNDS_UNREAD", account] = ActiveAlert(critical if found.funds_late else warning, text)
    if found.busy_s:
        text = f"the server answered 429 and wants no call for {found.busy_s:.0f} s: no book is read"
        text = f"{text} until then, entries wait; look at what else calls the server"
        active["SERVER_BUSY", account] = ActiveAlert(critical, text)
    if found.unread:
        text = f"{found.unread}; entries wait, stops stay, exits close once the books are read; see `mytrading doctor`"
        active["BOOKS_UNREAD", account] = ActiveAlert(critical, text)
    if found.odd:
        text = found.odd
        if found.odd_rows:
            text = f"{text}; what these rows hide is unknown: entries and corrections wait, exits go on"
        elif found.unread_rows:
            text = f"{text}; none of them is of an order of ours: all goes on"
        active["BOOKS_ODD", account] = ActiveAlert(critical if found.odd_rows else warning, text)
    if found.mode:
        active["SERVER_MODE", account] = ActiveAlert(critical, found.mode)
    return active
