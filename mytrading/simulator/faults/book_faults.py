"""What the order book tells of orders while faults of the book are on: outdated or leaked states.

The faults change what is told, never what is kept.
"""

from __future__ import annotations

import msgspec

from mytrading.core.exchange import BookOrder
from mytrading.messages.enums import BrokerStatus
from mytrading.simulator.faults.registry import ActiveFault, Faults
from mytrading.simulator.formats.analyzer_rows import Rows
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.market.day import SimulatedQuote


class QuoteFaults:
    """The feed's faults, and what a stalled feed stands at."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._stall: ActiveFault | None = None
        self._stalled: dict[str, SimulatedQuote] = {}

    def shown(self, quote: SimulatedQuote) -> SimulatedQuote | None:
        """The quote to send in place of a true one; None to send nothing."""
        instrument = quote.instrument.id
        if self._faults.take("ws_mute", instrument=instrument) is not None:
            return None
        quote = self._standing(quote)
        if (wrong := self._faults.take("price_wrong", instrument=instrument)) is not None:
            quote = _scaled(quote, wrong.number("factor"))
        if self._faults.take("price_zero", instrument=instrument) is not None:
            quote = _scaled(quote, 0.0)
        return quote

    def _standing(self, quote: SimulatedQuote) -> SimulatedQuote:
        stall = self._faults.take("ws_stall", instrument=quote.instrument.id)
        if stall is None:
            return quote
        if stall is not self._stall:
            self._stall, self._stalled = stall, {}
        old = self._stalled.setdefault(quote.instrument.id, quote)
        return msgspec.structs.replace(old, at_ns=quote.at_ns) if stall.flag("restamp") else old


def _scaled(quote: SimulatedQuote, factor: float) -> SimulatedQuote:
    return msgspec.structs.replace(
        quote, ltp=round(quote.ltp * factor, 2), bid=round(quote.bid * factor, 2), ask=round(quote.ask * factor, 2)
    )


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
