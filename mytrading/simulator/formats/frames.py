"""Bodies of WebSocket frames: market data in three modes, and order updates. Times are market time in epoch ms.

`market_frame` is the frame of the `paper` personality: that of a running OpenAlgo 2.0.2 (`served_frame`) with bid and
ask added to quotes, and the day's prices to an index.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.exchange.model import BookOrder
from mytrading.core.time import SECOND
from mytrading.messages.enums import BrokerStatus, OrderType
from mytrading.messages.instruments import InstrumentKind
from mytrading.simulator.market.day import SimulatedQuote

BROKER = "simulator"
USER = "simulator"
LTP, QUOTE, DEPTH = 1, 2, 3
MODE_NAMES = {LTP: "LTP", QUOTE: "Quote", DEPTH: "Depth"}
_PAYLOAD_MODES = {LTP: "ltp", QUOTE: "quote", DEPTH: "full"}
_LAST_ORDERS = 65_536
"""One order more at the last level on offer, in the open interest that zerodha's adapter reads there."""

Body = dict[str, Any]


def market_frame(quote: SimulatedQuote, mode: int, broker: str = BROKER) -> Body:
    """Build one market data frame (`mode`: LTP, Quote or Depth) as the `paper` personality sends it."""
    at = quote.at_ns // 1_000_000
    data: Body = {"ltp": quote.ltp, "ltt": at, "timestamp": at}
    if mode == LTP:
        return _enveloped(quote, mode, data, broker)
    if quote.instrument.kind is InstrumentKind.INDEX:
        day = {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.prev_close}
        data |= {"volume": quote.volume, **day, **_change(quote)}
        if quote.bid and quote.ask:
            data |= {"bid": quote.bid, "ask": quote.ask}
        return _enveloped(quote, mode, data, broker)
    buy, sell = depth_levels(quote)
    data |= {**_day_fields(quote, buy, sell), "bid": quote.bid, "ask": quote.ask}
    if quote.instrument.kind.is_derivative:
        data |= {"oi": quote.oi, "open_interest": quote.oi}
    if mode == DEPTH:
        data["depth"] = {"buy": buy, "sell": sell}
    return _enveloped(quote, mode, data, broker)


def served_frame(quote: SimulatedQuote, mode: int, broker: str, *, full: bool = False) -> Body:
    """Build one market data frame as a real server sends it. `full`, while a client holds Depth of the instrument:
    `ltt` in seconds, open interest in Quote frames, no `ltt` in LTP frames."""
    index = quote.instrument.kind is InstrumentKind.INDEX
    at = quote.at_ns // 1_000_000
    full = full and not index
    data: Body = {"ltp": quote.ltp, "ltt": at // 1000 if full else at, "timestamp": at}
    if mode == LTP:
        if full:
            del data["ltt"]
    elif index:
        data |= {"volume": 0, **_change(quote)}
    else:
        buy, sell = depth_levels(quote)
        data |= _day_fields(quote, buy, sell)
        if full or mode == DEPTH:
            interest = sell[-1]["orders"] * _LAST_ORDERS if broker == "zerodha" else quote.oi
            data |= {"oi": interest, "open_interest": interest}
        if mode == DEPTH:
            data["depth"] = {"buy": buy, "sell": sell}
    return _enveloped(quote, mode, data, broker)


def _enveloped(quote: SimulatedQuote, mode: int, data: Body, broker: str) -> Body:
    named = {"symbol": quote.instrument.symbol, "exchange": quote.instrument.exchange}
    data = {**named, "mode": _PAYLOAD_MODES[mode], **data}
    return {"type": "market_data", **named, "mode": mode, "data": data, "broker": broker}


def _change(quote: SimulatedQuote) -> Body:
    change = quote.ltp - quote.prev_close
    percent = round(100.0 * change / quote.prev_close, 2) if quote.prev_close else 0
    return {"price_change": round(change, 2), "price_change_percent": percent}


def _day_fields(quote: SimulatedQuote, buy: list[Body], sell: list[Body]) -> Body:
    return {
        "volume": quote.volume,
        "last_quantity": quote.instrument.lot_size,
        "average_price": round((quote.open + quote.high + quote.low + quote.ltp) / 4.0, 2),
        "total_buy_quantity": sum(level["quantity"] for level in buy),
        "total_sell_quantity": sum(level["quantity"] for level in sell),
        "open": quote.open,
        "high": quote.high,
        "low": quote.low,
        "close": quote.prev_close,
    }


def depth_levels(quote: SimulatedQuote) -> tuple[list[Body], list[Body]]:
    """Return five bids and five asks, best first, with quantities that vary by the second; zeros on an empty side."""
    instrument, bids = quote.instrument, (quote.at_ns // SECOND) * 2654435761 & 0xFFFFFFFF
    tick, unit, asks = instrument.tick_size, instrument.lot_size if instrument.kind.is_derivative else 100, bids >> 7
    return (
        [_level(quote.bid, quote.bid - step * tick, bids >> step, unit) for step in range(5)],
        [_level(quote.ask, quote.ask + step * tick, asks >> step, unit) for step in range(5)],
    )


def _level(best: float, price: float, drawn: int, unit: int) -> Body:
    if best <= 0 or price <= 0:
        return {"price": 0, "quantity": 0, "orders": 0}
    return {"price": round(price, 2), "quantity": (20 + drawn % 37) * unit, "orders": 1 + drawn % 9}


def order_frame(order: BookOrder, mode: str) -> Body:
    """Build one order update of the analyzer (`mode`: analyze or live): no time, no strategy, pending_quantity 0; its
    price is the fill's once complete, else the limit, else for MARKET the last price."""
    frame = {"type": "order_update", "user_id": USER, "mode": mode, "broker": "sandbox", **order_fields(order)}
    if order.status is BrokerStatus.COMPLETE:
        frame["price"] = order.average_price
    return frame


def order_fields(order: BookOrder) -> Body:
    """Build the fields that the analyzer's order updates and order book rows have in common."""
    request = order.request
    exchange, _, symbol = request.instrument.partition(":")
    return {
        "orderid": order.order_id,
        "symbol": symbol,
        "exchange": exchange,
        "action": request.side.value,
        "quantity": request.quantity,
        "price": order.reference_price if request.order_type is OrderType.MARKET else request.price,
        "trigger_price": request.trigger_price,
        "pricetype": request.order_type.value,
        "product": request.product.value,
        "order_status": order.status.value,
        "filled_quantity": order.filled,
        "pending_quantity": 0,
        "average_price": order.average_price,
        "rejection_reason": order.reason if order.status is BrokerStatus.REJECTED else "",
    }
