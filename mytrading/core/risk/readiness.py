"""What keeps entries waiting: a daemon or a server that is not well, a journal in doubt, bars that are missing.

Used where entries are judged, and by the risk daemon, which shows it. The one rule: the answer is in words for a
person, and empty where nothing keeps them.
"""

from __future__ import annotations

from mytrading.core.risk.books import RiskBooks
from mytrading.core.risk.times import SECOND
from mytrading.messages.signals import Leg, Signal

SILENT_NS = 3 * SECOND
NEEDED = ("feed", "router", "reconciler")
DOUBTED = "quarantine "
"""How a note of a heartbeat begins that says which journal is in doubt."""


def not_ready(books: RiskBooks, account: str) -> str:
    """Which daemon or account keeps entries waiting, in words; empty if none.

    What ails the account is told before that the reconciler is not ready for it: it names the cause.
    """
    if books.doubted:
        return "a journal that risk reads is in doubt: see `mytrading alerts`, then `mytrading resume`"
    for name in NEEDED:
        beat = books.beats.get(name)
        if beat is None or books.machine_ns - beat.machine_ns > SILENT_NS:
            return f"{name} is silent"
    health = books.health.get(account)
    if health is not None and not health.healthy:
        return f"account {account}: {health.message or 'its books are not read yet'}"
    if account in books.recovering:
        return f"account {account}: its books are being compared with the journal since the router's start"
    for beat in books.beats.values():
        doubted = beat.notes and any(note.startswith(DOUBTED) for note in beat.notes)
        needed = beat.daemon in NEEDED and (beat.daemon != "reconciler" or health is None)  # health tells, by account
        if doubted or (not beat.ready and needed):
            return f"{beat.daemon} is not ready ({'; '.join(beat.notes) or beat.state.value})"
    return "" if health is not None else f"account {account} has not reported yet"


def bars_lacking(books: RiskBooks, signal: Signal, leg: Leg) -> str:
    """Which bars that a wish may have been decided on are missing, in words; empty if none."""
    bars = books.bars
    if not (bars.behind or bars.holes):
        return ""
    for name in (signal.watch, leg.instrument):
        if name in bars.holes:
            return f"bars of {name} have a hole that history has not filled yet"
        if name in bars.behind:
            return f"bars of {name} are waited for: the feed was away from it for a while"
    return ""


def funds_unread(books: RiskBooks, account: str, stale_ns: int) -> str:
    """Why it is not known what an account has free, empty if it is.

    What was read more than `stale_ns` of machine time ago is not known, whatever a reconciler says that has begun anew;
    0: it never ages.
    """
    funds = books.margin.funds.get(account)
    if funds is None:
        return "the broker has not reported its funds"
    health = books.health.get(account)
    if health is not None and health.funds_unread:
        return health.funds_unread
    if stale_ns and books.machine_ns - funds.machine_ns > stale_ns:
        return f"its funds were not read for {stale_ns / SECOND:.0f} seconds"
    return ""


def session_lost(books: RiskBooks, account: str) -> str:
    """What the server of an account said when it refused to read books, empty while it reads them."""
    health = books.health.get(account)
    return (health.message or "every read is refused") if health is not None and health.session_lost else ""
