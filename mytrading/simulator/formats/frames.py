"""The bodies of WebSocket frames: market data in three modes, and order updates.

Used by `Hub` and `Venue`; shapes as a running OpenAlgo 2.0.2 sends them, with `bid` and `ask` added to quotes and the
day's prices to an index (`served_frames.py` has them as they are). Times are market time in epoch milliseconds.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.exchange import BookOrder
from mytrading.messages.enums import BrokerStatus, OrderType
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.market.depth import draws, unit, units_at
from mytrading.simulator.settings.personality import BrokerProfile

BROKER = "simulator"
USER = "simulator"
LTP, QUOTE, DEPTH = 1, 2, 3
MODE_NAMES = {LTP: "LTP", QUOTE: "Quote", DEPTH: "Depth"}
_PAYLOAD_MODES = {LTP: "ltp", QUOTE: "quote", DEPTH: "full"}

Body = dict[str, Any]


def market_frame(quote: SimulatedQuote, mode: int, broker: str = BROKER) -> Body:
    """One market data frame of the `paper` personality."""
    instrument = quote.instrument
    at = quote.at_ns // 1_000_000
    data: Body = {"ltp": quote.ltp, "ltt": at, "timestamp": at}
    if mode != LTP:
        data.update(_index_fields(quote) if instrument.kind is InstrumentKind.INDEX else _quote_fields(quote, mode))
    return enveloped(instrument, mode, data, broker)


def enveloped(instrument: Instrument, mode: int, data: Body, broker: str) -> Body:
    """A frame of an instrument in a mode, around its data."""
    named = {"symbol": instrument.symbol, "exchange": instrument.exchange}
    data = {**named, "mode": _PAYLOAD_MODES[mode], **data}
    return {"type": "market_data", **named, "mode": mode, "data": data, "broker": broker}


def _index_fields(quote: SimulatedQuote) -> Body:
    change = quote.ltp - quote.prev_close
    fields: Body = {
        "volume": quote.volume,
        "open": quote.open,
        "high": quote.high,
        "low": quote.low,
        "close": quote.prev_close,
        "price_change": round(change, 2),
        "price_change_percent": round(100.0 * change / quote.prev_close, 2) if quote.prev_close else 0,
    }
    if quote.bid and quote.ask:
        fields["bid"], fields["ask"] = quote.bid, quote.ask
    return fields


def day_fields(quote: SimulatedQuote, buy: list[Body], sell: list[Body]) -> Body:
    """What every quote of something that is traded tells of its day; `buy` and `sell` are its levels."""
    return {
        "volume": quote.volume,
        "last_quantity": quote.instrument.lot_size,
        "average_price": average_price(quote),
        "total_buy_quantity": sum(level["quantity"] for level in buy),
        "total_sell_quantity": sum(level["quantity"] for level in sell),
        "open": quote.open,
        "high": quote.high,
        "low": quote.low,
        "close": quote.prev_close,
    }


def _quote_fields(quote: SimulatedQuote, mode: int) -> Body:
    buy, sell = levels(quote)
    fields = day_fields(quote, buy, sell)
    fields["bid"], fields["ask"] = quote.bid, quote.ask
    if quote.instrument.kind.is_derivative:
        fields["oi"] = fields["open_interest"] = quote.oi
    if mode == DEPTH:
        fields["depth"] = {"buy": buy, "sell": sell}
    return fields


def average_price(quote: SimulatedQuote) -> float:
    """The day's average price, taken as the middle of open, high, low and last."""
    return round((quote.open + quote.high + quote.low + quote.ltp) / 4.0, 2)


def levels(quote: SimulatedQuote) -> tuple[list[Body], list[Body]]:
    """Five bids and five asks, quantities varying with the second; zeros where nobody stands."""
    tick, counted = quote.instrument.tick_size, unit(quote.instrument)
    bids, asks = draws(quote)
    return (
        [_level(quote.bid, quote.bid - step * tick, bids >> step, counted) for step in range(5)],
        [_level(quote.ask, quote.ask + step * tick, asks >> step, counted) for step in range(5)],
    )


def _level(best: float, price: float, drawn: int, counted: int) -> Body:
    if best <= 0 or price <= 0:
        return {"price": 0, "quantity": 0, "orders": 0}
    return {"price": round(price, 2), "quantity": units_at(drawn, counted), "orders": 1 + drawn % 9}


def order_frame(order: BookOrder, mode: str) -> Body:
    """One order update; as observed it has no time, no strategy, and pending_quantity 0."""
    request = order.request
    exchange, _, symbol = request.instrument.partition(":")
    return {
        "type": "order_update",
        "user_id": USER,
        "mode": mode,
        "broker": "sandbox",
        "orderid": order.order_id,
        "symbol": symbol,
        "exchange": exchange,
        "action": request.side.value,
        "quantity": request.quantity,
        "price": shown_price(order),
        "trigger_price": request.trigger_price,
        "pricetype": request.order_type.value,
        "product": request.product.value,
        "order_status": order.status.value,
        "filled_quantity": order.filled,
        "pending_quantity": 0,
        "average_price": order.average_price,
        "rejection_reason": order.reason if order.status is BrokerStatus.REJECTED else "",
    }


def live_order_frame(order: BookOrder, broker: BrokerProfile) -> Body:
    """One order update of a live server: the broker's word in lower case, what is pending, no price for MARKET."""
    request = order.request
    return {
        **order_frame(order, "live"),
        "broker": broker.name,
        "price": 0.0 if request.order_type is OrderType.MARKET else request.price,
        "order_status": broker.word(order.status, partly=order.filled > 0).lower(),
        "pending_quantity": order.pending if order.live else 0,
    }


def shown_price(order: BookOrder) -> float:
    """The price in an order update: the fill's once complete, else the limit, else for MARKET the last price."""
    if order.status is BrokerStatus.COMPLETE:
        return order.average_price
    return order.reference_price if order.request.order_type is OrderType.MARKET else order.request.price


_LAST_ORDERS = 65_536
"""One order more at the last level on offer, in the open interest that zerodha's adapter reads there."""


def served_frame(quote: SimulatedQuote, mode: int, broker: str, *, full: bool = False) -> Body:
    """One frame. `full` while someone holds Depth of the instrument: then the lesser modes are cut from its ticks.

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
        data.update(_served_frames_index_fields(quote))
    else:
        data.update(_fields(quote, mode, broker, full=full or mode == DEPTH))
    return enveloped(quote.instrument, mode, data, broker)


def _served_frames_index_fields(quote: SimulatedQuote) -> Body:
    change = quote.ltp - quote.prev_close
    return {
        "volume": 0,
        "price_change": round(change, 2),
        "price_change_percent": round(100.0 * change / quote.prev_close, 2) if quote.prev_close else 0,
    }


def _fields(quote: SimulatedQuote, mode: int, broker: str, *, full: bool) -> Body:
    buy, sell = levels(quote)
    fields = day_fields(quote, buy, sell)
    if not full:
        return fields
    read = sell[-1]["orders"] * _LAST_ORDERS if broker == "zerodha" else quote.oi
    fields["oi"] = fields["open_interest"] = read
    if mode == DEPTH:
        fields["depth"] = {"buy": buy, "sell": sell}
    return fields
