"""REST handlers that read the books: orders, trades, positions, holdings, funds, and the analyzer switch.

Used by the dispatcher; rows have the shapes of OpenAlgo's sandbox. The one rule: reading changes nothing.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.matching import BookOrder, BookPosition, BookTrade
from mytrading.core.symbology import instrument_id
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.simulator.book_faults import told_rows
from mytrading.simulator.call import Call
from mytrading.simulator.frames import BROKER
from mytrading.simulator.reply import Body, Reply, error, success, with_mode
from mytrading.simulator.times import stamp
from mytrading.simulator.venue import Venue


async def orderstatus(call: Call) -> Reply:
    """One order."""
    venue, fields = call.venue, call.fields
    order = venue.exchange.desk.orders.get(fields["orderid"])
    if order is None:
        return with_mode(error(404, f"Order {fields['orderid']} not found"), analyze=venue.analyze)
    row = order_row(order)
    row["price_type"] = row.pop("pricetype")
    del row["rejection_reason"]
    return with_mode(success(data=row), analyze=venue.analyze)


async def openposition(call: Call) -> Reply:
    """The signed net quantity of an instrument and product; 0 for what is unknown."""
    venue, fields = call.venue, call.fields
    instrument = instrument_id(fields["exchange"], fields["symbol"])
    position = venue.exchange.desk.position(instrument, Product(fields["product"]))
    return with_mode(success(quantity=position.quantity), analyze=venue.analyze)


async def orderbook(call: Call) -> Reply:
    """All orders of the day, newest first."""
    venue = call.venue
    orders = list(venue.exchange.desk.orders.values())
    nothing = {"orders": [], "statistics": _statistics([])}
    if (spoilt := _spoilt_book(venue, "orderbook", nothing)) is not None:
        return spoilt
    rows = told_rows(venue.faults, [(order, order_row(order)) for order in reversed(orders)])
    if rows is None:
        return error(500, "An unexpected error occurred")
    return with_mode(success(data={"orders": rows, "statistics": _statistics(orders)}), analyze=venue.analyze)


async def tradebook(call: Call) -> Reply:
    """All trades of the day, newest first."""
    venue = call.venue
    if (spoilt := _spoilt_book(venue, "tradebook", [])) is not None:
        return spoilt
    rows = [trade_row(trade) for trade in reversed(venue.exchange.desk.trades)]
    return with_mode(success(data=rows), analyze=venue.analyze)


async def positionbook(call: Call) -> Reply:
    """All positions of the day, flat ones included."""
    venue = call.venue
    if (spoilt := _spoilt_book(venue, "positionbook", [])) is not None:
        return spoilt
    rows = [position_row(venue, position) for position in venue.exchange.desk.positions.values()]
    realised = round(sum(row["today_realized_pnl"] for row in rows), 2)
    open_rows = [row for row in rows if row["quantity"]]
    unrealised = round(sum(row["unrealized_pnl"] for row in open_rows), 2)
    reply = success(
        data=rows,
        total_pnl=round(realised + unrealised, 2),
        total_pnl_today=round(realised + unrealised, 2),
        total_today_realized_pnl=realised,
        total_unrealized_pnl=unrealised,
    )
    return with_mode(reply, analyze=venue.analyze)


async def holdings(call: Call) -> Reply:
    """Delivered shares and their totals."""
    venue = call.venue
    rows, value, invested = [], 0.0, 0.0
    for holding in venue.exchange.desk.holdings.values():
        mark = venue.mark(holding.instrument)
        ltp = mark.ltp if mark is not None else holding.average_price
        cost = holding.quantity * holding.average_price
        pnl = holding.quantity * ltp - cost
        exchange, _, symbol = holding.instrument.partition(":")
        value, invested = value + holding.quantity * ltp, invested + cost
        rows.append(
            {
                "symbol": symbol,
                "exchange": exchange,
                "product": "CNC",
                "quantity": holding.quantity,
                "average_price": round(holding.average_price, 2),
                "ltp": ltp,
                "pnl": round(pnl, 2),
                "pnlpercent": round(100.0 * pnl / cost, 2) if cost else 0.0,
            }
        )
    statistics = {
        "totalholdingvalue": round(value, 2),
        "totalinvvalue": round(invested, 2),
        "totalprofitandloss": round(value - invested, 2),
        "totalpnlpercentage": round(100.0 * (value - invested) / invested, 2) if invested else 0.0,
    }
    return with_mode(success(data={"holdings": rows, "statistics": statistics}), analyze=venue.analyze)


async def funds(call: Call) -> Reply:
    """Cash: free, blocked, and the profit made."""
    venue = call.venue
    if (spoilt := _spoilt_book(venue, "funds", {})) is not None:
        return spoilt
    desk = venue.exchange.desk
    account = desk.account
    unrealised = sum(
        position.unrealised(mark.ltp)
        for position in desk.open_positions()
        if (mark := venue.mark(position.instrument)) is not None
    )
    blocked = round(desk.blocked(), 2)
    data = {
        "availablecash": round(desk.available(), 2),
        "collateral": 0.0,
        "grossexposure": blocked,
        "last_reset": f"{account.day} 00:00:00",
        "m2mrealized": round(account.realised_today, 2),
        "m2munrealized": round(unrealised, 2),
        "reset_count": 0,
        "today_realized_pnl": round(account.realised_today, 2),
        "total_realized_pnl": round(account.realised, 2),
        "totalpnl": round(account.realised + unrealised, 2),
        "utiliseddebits": blocked,
    }
    return with_mode(success(data=data), analyze=venue.analyze)


async def analyzer(call: Call) -> Reply:
    """Whether the server analyzes (trades on paper)."""
    venue = call.venue
    return success(data=_analyzer_state(venue))


async def analyzer_toggle(call: Call) -> Reply:
    """Switch analyzing on or off for all clients."""
    venue, fields = call.venue, call.fields
    venue.analyze = fields["mode"]
    return success(data={**_analyzer_state(venue), "message": f"Analyzer mode switched to {venue.mode}"})


def _analyzer_state(venue: Venue) -> Body:
    return {"analyze_mode": venue.analyze, "mode": venue.mode, "total_logs": 0}


async def ping(_call: Call) -> Reply:
    """Whether the key is good and the session stands."""
    return success(data={"broker": BROKER, "message": "pong"})


def _spoilt_book(venue: Venue, route: str, nothing: Any) -> Reply | None:
    if venue.faults.take("book_500", route=route) is not None:
        return error(500, "An unexpected error occurred")
    if venue.faults.take("book_empty", route=route) is not None:
        return with_mode(success(data=nothing), analyze=venue.analyze)
    return None


def order_row(order: BookOrder) -> Body:
    """An order as the order book shows it."""
    request = order.request
    exchange, _, symbol = request.instrument.partition(":")
    market = request.order_type is OrderType.MARKET
    rejected = order.status is BrokerStatus.REJECTED
    return {
        "action": request.side.value,
        "average_price": order.average_price,
        "exchange": exchange,
        "filled_quantity": order.filled,
        "order_status": order.status.value,
        "orderid": order.order_id,
        "pending_quantity": 0 if rejected else request.quantity - order.filled,
        "price": order.reference_price if market else request.price,
        "pricetype": request.order_type.value,
        "product": request.product.value,
        "quantity": request.quantity,
        "rejection_reason": order.reason if rejected else "",
        "strategy": request.strategy,
        "symbol": symbol,
        "timestamp": stamp(order.placed_ns),
        "trigger_price": request.trigger_price,
    }


def _statistics(orders: list[BookOrder]) -> Body:
    def count(status: BrokerStatus) -> int:
        return sum(order.status is status for order in orders)

    buys = sum(order.request.side is Side.BUY for order in orders)
    return {
        "total_buy_orders": buys,
        "total_completed_orders": count(BrokerStatus.COMPLETE),
        "total_open_orders": count(BrokerStatus.OPEN),
        "total_rejected_orders": count(BrokerStatus.REJECTED),
        "total_sell_orders": len(orders) - buys,
        "total_trigger_pending_orders": count(BrokerStatus.TRIGGER_PENDING),
    }


def trade_row(trade: BookTrade) -> Body:
    """A trade as the trade book shows it."""
    exchange, _, symbol = trade.instrument.partition(":")
    return {
        "action": trade.side.value,
        "average_price": trade.price,
        "exchange": exchange,
        "orderid": trade.order_id,
        "price": trade.price,
        "product": trade.product.value,
        "quantity": trade.quantity,
        "strategy": trade.strategy,
        "symbol": symbol,
        "timestamp": stamp(trade.at_ns),
        "trade_value": round(trade.price * trade.quantity, 2),
        "tradeid": trade.trade_id,
    }


def position_row(venue: Venue, position: BookPosition) -> Body:
    """A position as the position book shows it."""
    exchange, _, symbol = position.instrument.partition(":")
    mark = venue.mark(position.instrument)
    ltp = mark.ltp if mark is not None else position.average_price
    unrealised = position.unrealised(ltp)
    pnl = round(position.realised_today + unrealised, 2)
    cost = abs(position.quantity) * position.average_price
    return {
        "average_price": round(position.average_price, 2),
        "exchange": exchange,
        "lot_size": 1.0,
        "ltp": ltp,
        "pnl": pnl,
        "pnlpercent": 100.0 * pnl / cost if cost else 0.0,
        "product": position.product.value,
        "quantity": position.quantity,
        "symbol": symbol,
        "today_realized_pnl": round(position.realised_today, 2),
        "total_pnl_today": pnl,
        "unrealized_pnl": round(unrealised, 2) if position.quantity else round(position.realised_today, 2),
    }
