"""The churn breaker: entries that are cancelled and placed again and again are stopped, stops and exits never.

What counts is journaled as rows and goes by market time, so that a restart forgets nothing and a fast market is not
judged by the wall clock.
"""

from __future__ import annotations

from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.time import SECOND
from mytrading.messages.account_events import EntriesStopped, EntryChurned
from mytrading.messages.enums import Purpose, Severity
from mytrading.messages.orders import Order


def reason(oms: OrderDecision, order: Order) -> str:
    """Why an entry may not leave now, empty if it may."""
    for instrument in (order.instrument, ""):
        stopped = oms.state.stopped.get((order.account, instrument))
        if stopped is not None and (not stopped.until_ns or oms.now < stopped.until_ns):
            return f"CHURN: {stopped.reason}; resume to allow entries"
    return ""


def count(oms: OrderDecision, order: Order) -> None:
    """Judge an entry that leaves for the first time: the one before it may have been cancelled a moment ago.

    What an operator asked for (an order that replaces another) is not counted, and of slices only the first.
    """
    limits = oms.limits
    gone = oms.state.withdrawn.get((order.account, order.instrument))
    if (
        gone is None
        or order.purpose is not Purpose.ENTRY
        or order.call.attempt > 1
        or order.links.replaces
        or order.links.slice > 1
    ):
        return
    if oms.now - gone > limits.churn_within:
        return
    oms.emit(EntryChurned(account=order.account, instrument=order.instrument, at_ns=oms.now))
    since = oms.now - limits.churn_window
    marks = [mark for mark in oms.state.churned.get(order.account) or () if mark[1] > since]
    if len(marks) >= limits.churn_account:
        _stop(oms, order.account, "", len(marks), 0)
    if sum(instrument == order.instrument for instrument, _ in marks) >= limits.churn_instrument:
        _stop(oms, order.account, order.instrument, limits.churn_instrument, oms.now + limits.churn_window)


def _stop(oms: OrderDecision, account: str, instrument: str, times: int, until_ns: int) -> None:
    if (account, instrument) in oms.state.stopped:
        return
    limits = oms.limits
    what = f"{times} entries of {instrument or 'the account'} were placed within {limits.churn_within // SECOND} s of"
    what = f"{what} cancelling one, in {limits.churn_window // SECOND} s"
    stopped = EntriesStopped(
        account=account, instrument=instrument, stopped=True, reason=what, at_ns=oms.now, until_ns=until_ns
    )
    oms.emit(stopped)
    code, severity = ("CHURN_BLOCKED", Severity.WARNING) if instrument else ("CHURN_PAUSED", Severity.CRITICAL)
    ends = "for as long again, or until you resume" if instrument else "until you resume"
    oms.alert(code, severity, subject_of(stopped), f"{what}: no entries there {ends}")


def subject_of(row: EntriesStopped) -> str:
    """What the alert about a stop is filed under."""
    return f"{row.account} {row.instrument}".rstrip()


def lift(oms: OrderDecision, account: str = "", *, resumed: bool = False) -> None:
    """Allow entries again: where the time is over, or everywhere (in an account) because an operator resumed."""
    for (of, instrument), row in oms.state.stopped.sorted_items():
        over = bool(row.until_ns) and oms.now >= row.until_ns
        if over or (resumed and account in ("", of)):
            oms.emit(
                EntriesStopped(
                    account=of,
                    instrument=instrument,
                    stopped=False,
                    reason="resumed" if resumed else "its time is over",
                    at_ns=oms.now,
                )
            )
