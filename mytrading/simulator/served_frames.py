"""Market data as a running OpenAlgo 2.0.2 was seen to send it: bid and ask in the book alone, no day of an index.

Used by the hub of the `sandbox` and `live` personalities; `frames.py` has the fuller ones of `paper`. The one rule: a
frame has the keys that were recorded for its mode, and no more.
"""

from __future__ import annotations

from mytrading.messages.instruments import InstrumentKind
from mytrading.simulator.frames import DEPTH, LTP, Body, day_fields, enveloped, levels
from mytrading.simulator.market.day import Quote

_LAST_ORDERS = 65_536
"""One order more at the last level on offer, in the open interest that zerodha's adapter reads there."""


def served_frame(quote: Quote, mode: int, broker: str, *, full: bool = False) -> Body:
    """One frame. `full` while somebody holds Depth of the instrument: then the lesser modes are cut from its ticks.

    A full tick has the time of trade in seconds; what is cut from it for Quote keeps open interest, for LTP no time
    of trade at all.
    """
    index = quote.instrument.kind is InstrumentKind.INDEX
    at = quote.at_ns // 1_000_000
    full = full and not index
    data: Body = {"ltp": quote.ltp, "ltt": at // 1000 if full else at, "timestamp": at}
    if mode == LTP:
        if full:
            del data["ltt"]
    elif index:
        data.update(_index_fields(quote))
    else:
        data.update(_fields(quote, mode, broker, full=full or mode == DEPTH))
    return enveloped(quote.instrument, mode, data, broker)


def _index_fields(quote: Quote) -> Body:
    change = quote.ltp - quote.prev_close
    return {
        "volume": 0,
        "price_change": round(change, 2),
        "price_change_percent": round(100.0 * change / quote.prev_close, 2) if quote.prev_close else 0,
    }


def _fields(quote: Quote, mode: int, broker: str, *, full: bool) -> Body:
    buy, sell = levels(quote)
    fields = day_fields(quote, buy, sell)
    if not full:
        return fields
    read = sell[-1]["orders"] * _LAST_ORDERS if broker == "zerodha" else quote.oi
    fields["oi"] = fields["open_interest"] = read
    if mode == DEPTH:
        fields["depth"] = {"buy": buy, "sell": sell}
    return fields
