"""Fills that nobody made: one source told them once, and the books show the order without them, ended or still open.

Used by `reality`. One sighting of a fill is believed at once, since a position must be guarded; this is the way back.
The one rule: a sighting is withdrawn only by two whole reads, begun after it and apart, that show the order and no
trade of it; what two sources confirmed is never touched. Of an order that goes on the reads must lie further apart, and
the position book must lack the units as well, since a book that lags shows it open too.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.oms.draft import Draft
from mytrading.core.oms.state import key_of
from mytrading.core.order import TERMINAL, weigh
from mytrading.messages.enums import BrokerStatus, Severity
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades

ALIVE = "alive"
"""What stands for an end where the books show an order open, against what is known of it."""
_STREAM = "stream"


def sighting(received_machine_ns: int) -> dict[str, Any]:
    """What a first sighting does to an order: evidence of an end from before it counts no more."""
    return {"ending": "", "evidence": 0, "evidence_machine_ns": received_machine_ns, "candidate": ""}


def weighs(
    order: Order, row: BrokerOrder, trades: BrokerTrades | None, read: BooksRead, fields: dict[str, Any]
) -> bool:
    """True if the read speaks against what one source alone has told: it holds both books, and neither shows it now.

    `fields` are the levels with this read: a book that showed the order complete, and takes that back, tells no more.
    """
    shown = max(row.filled or 0, row.quantity if row.status is BrokerStatus.COMPLETE else 0)
    traded = trades.quantity if trades else 0
    seen = weigh(replace(order, **fields), 0.0).seen
    return seen > order.filled and max(shown, traded) <= order.filled and read.trades is not None


def judge(
    draft: Draft, order: Order, row: BrokerOrder, read: BooksRead, fields: dict[str, Any]
) -> tuple[Order, dict[str, Any]]:
    """The order and what is learnt of it: a first sign of the end, or, at the second, the sighting withdrawn."""
    if read.began_machine_ns <= order.evidence_machine_ns:
        return order, fields
    if order.ending != row.status or order.candidate == _STREAM:
        sign = {"ending": row.status.value, "evidence": 1, "evidence_machine_ns": read.ended_machine_ns}
        return order, {**fields, **sign, "candidate": ""}
    if read.began_machine_ns - order.evidence_machine_ns < draft.limits.mismatch_gap:
        return order, fields
    return withdraw(draft, order, _two_reads(order, row)), {**fields, **_shown_now(order, fields)}


def judge_open(
    draft: Draft, order: Order, row: BrokerOrder, read: BooksRead, fields: dict[str, Any]
) -> tuple[Order, dict[str, Any]]:
    """The same of an order that the read shows open."""
    sign = {name: getattr(order, name) for name in ("ending", "evidence", "evidence_machine_ns")}
    if read.began_machine_ns <= order.evidence_machine_ns or read.positions is None:
        return order, {**fields, **sign}
    if not _net_lacks_it(draft, order, read):  # the books contradict one another: what spoke against it counts no more
        return order, {**fields, **sign, **({"ending": "", "evidence": 0} if order.ending == ALIVE else {})}
    if order.ending != ALIVE:
        sign = {"ending": ALIVE, "evidence": 1, "evidence_machine_ns": read.ended_machine_ns}
        return order, {**fields, **sign, "candidate": ""}
    if read.began_machine_ns - order.evidence_machine_ns < draft.limits.ghost_gap:
        return order, {**fields, **sign}
    changed = withdraw(draft, order, _two_reads(order, row))
    return changed, {**fields, **_shown_now(order, fields), "ending": "", "evidence": 0}


def _net_lacks_it(draft: Draft, order: Order, read: BooksRead) -> bool:
    """True if the position book shows nothing of the order's side beyond what is known without the sighting."""
    key = key_of(order)
    net = sum(
        row.quantity for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product)
    )
    unmanaged = draft.state.unmanaged.get(key)
    known = sum(position.quantity for position in draft.state.holders(key)) + (unmanaged.quantity if unmanaged else 0)
    return (net - known) * order.side.sign <= 0


def _shown_now(order: Order, fields: dict[str, Any]) -> dict[str, Any]:
    """What an earlier read told of the book is withdrawn with the rest."""
    return {"book_filled": min(fields.get("book_filled", order.book_filled), order.filled)}


def _two_reads(order: Order, row: BrokerOrder) -> str:
    return f"two reads show it {row.status} with {order.filled}"


def withdraw(draft: Draft, order: Order, why: str) -> Order:
    """Take back what one source alone told of an order's fill."""
    gone, traded = order.filled_seen - order.filled, min(order.trade_filled, order.filled)
    told = f"one source told {order.filled_seen} of {order.quantity} {order.instrument} filled"
    what = f"{told}; {why}"
    ended = {"ending": "", "evidence": 0} if order.state in TERMINAL else {}
    changed = draft.change(
        order,
        "sighting_withdrawn",
        stream_void=order.stream_filled,
        book_filled=min(order.book_filled, order.filled),
        trade_filled=traded,
        trade_value=order.trade_value * traded / order.trade_filled if order.trade_filled else 0.0,
        filled_seen=order.filled,
        message=what,
        **ended,
    )
    draft.sight(changed)
    text = f"{what}: {gone} units are taken back, and the stop that was placed for them"
    draft.alert("FILL_WITHDRAWN", Severity.WARNING, order.client_order_id, text)
    return changed
