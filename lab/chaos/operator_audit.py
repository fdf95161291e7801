"""The fate of an operator's requests for single orders: each ended in what was asked, or in a recorded refusal.

The rows of an order tell it: they name the request that they take up, answer or turn down; a request that meets another
one is answered by itself. A request that no row answers is a finding, whatever became of its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lab.chaos.records import Moved, Ours
from mytrading.core.oms.operator_requests import new_terms
from mytrading.core.orders.state_machine import is_live
from mytrading.messages.control import CancelRequested, ModifyRequested
from mytrading.messages.orders import Order

_REFUSED = frozenset({"request_refused", "modify_refused", "modify_dropped", "drifted"})
"""Rows that say why an order stays, or is, something else than what was asked."""
_SAME = 1e-4


def unanswered(ours: Ours) -> list[str]:
    """A line for each request that nobody took up, or that was taken up and forgotten."""
    return [line for asked in ours.requests if (line := _judged(asked, ours))]


def counted(ours: Ours) -> Counter[str]:
    """Count the requests for orders of this account, and those of them that were refused."""
    found = Counter[str]()
    for asked in ours.requests:
        if asked.order in ours.orders:
            found["cancel" if isinstance(asked, CancelRequested) else "modify"] += 1
            found["refused"] += asked.id in ours.answered or any(
                row.event == "request_refused" and row.order.links.request == asked.id for row in ours.moves
            )
    return found


def _judged(asked: CancelRequested | ModifyRequested, ours: Ours) -> str:
    if asked.order not in ours.orders or asked.order in ours.unknown_orders:
        return ""  # of another account, or not in the router's memory any more, which it said
    if asked.id in ours.answered:
        return ""
    rows = [row for row in ours.moves if row.order.client_order_id == asked.order]
    begin = next((place for place, row in enumerate(rows) if row.order.links.request == asked.id), None)
    what = f"{asked.id} of the operator for order {asked.order}"
    if begin is None:
        return f"{what} was never answered"
    if rows[begin].event == "request_refused":
        return ""
    met = _is_cancelling if isinstance(asked, CancelRequested) else _TermsReached(asked, rows[begin].order)
    if not any(met(row) for row in _until_the_next(asked.id, rows[begin:])):
        return f"{what} was taken up and nothing followed"
    last = ours.orders[asked.order]
    if is_live(last) and (
        last.evidence.modify.wanted or last.evidence.cancel.wanted or isinstance(asked, CancelRequested)
    ):
        return f"{what} has not come to an end: the order is {last.state}"
    return ""


def _until_the_next(request: str, rows: Sequence[Moved]) -> list[Moved]:
    """The rows of an order until the one that takes up a later request, that one included: it is over then."""
    place = next((at for at, row in enumerate(rows) if row.order.links.request != request), len(rows))
    return list(rows[: place + 1])


def _is_cancelling(row: Moved) -> bool:
    return row.order.evidence.cancel.wanted or not is_live(row.order)


class _TermsReached:
    """True for a row that shows what was asked, wants it, tells why not, or of an order that ends."""

    def __init__(self, asked: ModifyRequested, order: Order) -> None:
        self._request = asked.id
        wanted = new_terms(order, asked.price, asked.trigger_price, asked.quantity)
        self._wanted = (wanted.price, wanted.trigger_price, wanted.quantity)

    def __call__(self, row: Moved) -> bool:
        order = row.order
        if order.links.request != self._request or row.event in _REFUSED or _is_cancelling(row):
            return True
        has = (order.price, order.trigger_price, order.quantity)
        wants = order.evidence.modify.wanted
        return self._is(has) or (wants is not None and self._is((wants.price, wants.trigger_price, wants.quantity)))

    def _is(self, terms: tuple[float, float, int]) -> bool:
        return all(abs(one - other) < _SAME for one, other in zip(terms, self._wanted, strict=True))
