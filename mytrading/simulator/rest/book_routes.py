"""REST handlers that read the books: orders, trades, positions, holdings, funds, and the analyzer switch.

Reading changes nothing.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.instruments.symbology import instrument_id
from mytrading.messages.enums import Product
from mytrading.simulator.faults import hostile
from mytrading.simulator.faults.book_faults import told_rows
from mytrading.simulator.rest.request import Body, Reply, RestCall, error, success, with_mode
from mytrading.simulator.venue.venue import SimulatedVenue

_PNL = ("symbol", "exchange", "product", "quantity", "pnl", "unrealized_pnl", "today_realized_pnl", "total_pnl_today")


async def orderstatus(call: RestCall) -> Reply:
    """One order."""
    venue, fields = call.venue, call.fields
    order = venue.exchange.books.orders.get(fields["orderid"])
    if order is None:
        return with_mode(error(404, f"Order {fields['orderid']} not found"), analyze=venue.analyze)
    row = venue.rows.one_order(order, venue.exchange.books.trades)
    return with_mode(success(data=row), analyze=venue.analyze)


async def openposition(call: RestCall) -> Reply:
    """The signed net quantity of an instrument and product; 0 for what is unknown."""
    venue, fields = call.venue, call.fields
    instrument = instrument_id(fields["exchange"], fields["symbol"])
    position = venue.exchange.books.position(instrument, Product(fields["product"]))
    return with_mode(success(quantity=position.quantity), analyze=venue.analyze)


async def orderbook(call: RestCall) -> Reply:
    """All orders of the day."""
    venue = call.venue
    shapes, orders = venue.rows, list(venue.exchange.books.orders.values())
    nothing = {"orders": [], "statistics": shapes.statistics([])}
    if (spoilt := _spoilt_book(venue, "orderbook", nothing)) is not None:
        return spoilt
    shown = reversed(orders) if shapes.newest_first else orders
    rows = told_rows(venue.faults, [(order, shapes.order(order)) for order in shown], shapes)
    if rows is None:
        return error(500, "An unexpected error occurred")
    rows = _with_hostile(venue, "orderbook", rows)
    return with_mode(success(data={"orders": rows, "statistics": shapes.statistics(orders)}), analyze=venue.analyze)


async def tradebook(call: RestCall) -> Reply:
    """All trades of the day."""
    venue = call.venue
    if (spoilt := _spoilt_book(venue, "tradebook", [])) is not None:
        return spoilt
    shapes, trades = venue.rows, venue.exchange.books.trades
    rows = [shapes.trade(trade) for trade in (reversed(trades) if shapes.newest_first else trades)]
    return with_mode(success(data=_with_hostile(venue, "tradebook", rows)), analyze=venue.analyze)


async def positionbook(call: RestCall) -> Reply:
    """All positions of the day, flat ones included."""
    venue = call.venue
    if (spoilt := _spoilt_book(venue, "positionbook", [])) is not None:
        return spoilt
    shapes = venue.rows
    positions = venue.exchange.books.positions.values()
    rows = [shapes.position(item, _ltp(venue, item.instrument, item.average_price)) for item in positions]
    totals = shapes.position_totals(rows)
    return with_mode(success(data=_with_hostile(venue, "positionbook", rows), **totals), analyze=venue.analyze)


async def pnl_symbols(call: RestCall) -> Reply:
    """The day's profit by position, in analyzer mode only."""
    venue = call.venue
    if not venue.analyze:
        return error(400, "P&L by symbol is there in analyzer mode only")
    shapes = venue.rows
    positions = venue.exchange.books.positions.values()
    rows = [shapes.position(item, _ltp(venue, item.instrument, item.average_price)) for item in positions]
    data = [{name: row[name] for name in _PNL} for row in rows]
    return with_mode(success(data=data, **shapes.position_totals(rows)), analyze=True)


async def holdings(call: RestCall) -> Reply:
    """Delivered shares and their totals."""
    venue = call.venue
    rows, value, invested = [], 0.0, 0.0
    for holding in venue.exchange.books.holdings.values():
        ltp = _ltp(venue, holding.instrument, holding.average_price)
        value, invested = value + holding.quantity * ltp, invested + holding.quantity * holding.average_price
        rows.append(venue.rows.holding(holding, ltp))
    statistics = {
        "totalholdingvalue": round(value, 2),
        "totalinvvalue": round(invested, 2),
        "totalprofitandloss": round(value - invested, 2),
        "totalpnlpercentage": round(100.0 * (value - invested) / invested, 2) if invested else 0.0,
    }
    return with_mode(success(data={"holdings": rows, "statistics": statistics}), analyze=venue.analyze)


async def funds(call: RestCall) -> Reply:
    """Cash: free, blocked, and the profit made."""
    venue = call.venue
    if (spoilt := _spoilt_book(venue, "funds", {})) is not None:
        return spoilt
    books = venue.exchange.books
    unrealised = sum(
        position.unrealised(mark.ltp)
        for position in books.open_positions()
        if (mark := venue.mark(position.instrument)) is not None
    )
    data = venue.rows.funds(books.account, books.available(), books.blocked(), unrealised)
    return with_mode(success(data=data), analyze=venue.analyze)


async def analyzer(call: RestCall) -> Reply:
    """Whether the server analyzes (trades on paper)."""
    venue = call.venue
    return success(data=_analyzer_state(venue))


async def analyzer_toggle(call: RestCall) -> Reply:
    """Switch analyzing on or off for all clients."""
    venue, fields = call.venue, call.fields
    venue.analyze = fields["mode"]
    return success(data={**_analyzer_state(venue), "message": f"Analyzer mode switched to {venue.mode}"})


def _analyzer_state(venue: SimulatedVenue) -> Body:
    return {"analyze_mode": venue.analyze, "mode": venue.mode, "total_logs": 0}


async def ping(call: RestCall) -> Reply:
    """Whether the key is good and the session stands."""
    return success(data={"broker": call.venue.broker, "message": "pong"})


def _ltp(venue: SimulatedVenue, instrument: str, otherwise: float) -> float:
    mark = venue.mark(instrument)
    return mark.ltp if mark is not None else otherwise


def _with_hostile(venue: SimulatedVenue, route: str, rows: list[Body]) -> list[Body]:
    """The rows, with a hostile one like the first before them while that fault is on."""
    if not rows or (odd := venue.faults.take("book_hostile", route=route)) is None:
        return rows
    return [hostile.row(rows[0], odd.acted), *rows]


def _spoilt_book(venue: SimulatedVenue, route: str, nothing: Any) -> Reply | None:
    if venue.faults.take("book_500", route=route) is not None:
        return error(500, "An unexpected error occurred")
    if venue.faults.take("book_empty", route=route) is not None:
        return with_mode(success(data=nothing), analyze=venue.analyze)
    return None
