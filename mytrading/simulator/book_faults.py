"""What the order book tells of orders while faults of the book are on: outdated or leaked states.

Used by the order book's route. The one rule: the faults change what is told, never what is kept.
"""

from __future__ import annotations

from mytrading.core.matching import BookOrder
from mytrading.messages.enums import BrokerStatus
from mytrading.simulator.faults import Faults
from mytrading.simulator.frames import Body
from mytrading.simulator.rows import Rows

Row = tuple[BookOrder, Body]


def told_rows(faults: Faults, rows: list[Row], words: Rows) -> list[Body] | None:
    """The rows to answer, in the order given; None where the whole book fails. `words` are the broker's."""
    flap = faults.take("status_flap")
    if flap is not None and flap.acted % 2:
        rows = [(order, _outdated(order, body, words.word(BrokerStatus.OPEN))) for order, body in rows]
    odd = faults.take("status_word")
    if odd is not None:
        word = odd.text("word") or words.passing()
        rows = [(order, {**body, "order_status": word} if order.live else body) for order, body in rows]
    if faults.take("status_leak") is not None:
        return _leaked(rows)
    return [body for _, body in rows]


def _outdated(order: BookOrder, body: Body, open_word: str) -> Body:
    """An order as the book showed it before it ended."""
    if order.live:
        return body
    before = {
        "order_status": open_word,
        "filled_quantity": 0,
        "average_price": 0.0,
        "pending_quantity": order.request.quantity,
        "rejection_reason": "",
    }
    return {name: before.get(name, value) for name, value in body.items()}


def _leaked(rows: list[Row]) -> list[Body] | None:
    """As Zerodha's adapter did: a state on its way leaves the last row's word standing, and fails as the first row."""
    told: list[Body] = []
    for order, body in rows:
        if order.live:
            if not told:
                return None
            body = {**body, "order_status": told[-1]["order_status"]}
        told.append(body)
    return told
