"""REST handlers that read the books: orders, trades, positions, holdings, funds, and the analyzer switch."""

from __future__ import annotations

from functools import partial
from typing import Any

from mytrading.core.instruments.symbology import instrument_id
from mytrading.messages.enums import Product
from mytrading.simulator.faults.effects import (
    faulty_order_rows,
    hostile_row,
    odd_product,
    stranger_order,
    stranger_position,
    stranger_trade,
    without_late_trades,
    without_lost_orders,
    without_lost_positions,
)
from mytrading.simulator.faults.registry import ActiveFault
from mytrading.simulator.formats.answers import failed_read
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.formats.rows import AnalyzerRows
from mytrading.simulator.rest.request import Reply, RestCall, error, success
from mytrading.simulator.venue.venue import SimulatedVenue

_PNL = ("symbol", "exchange", "product", "quantity", "pnl", "unrealized_pnl", "today_realized_pnl", "total_pnl_today")


async def orderstatus(call: RestCall) -> Reply:
    """Answer one order of the day by the request's `orderid`; 404 for an unknown one."""
    books, order_id = call.venue.exchange.books, call.fields["orderid"]
    if (order := books.orders.get(order_id)) is None:
        return call.error(404, f"Order {order_id} not found")
    return call.success(data=call.venue.rows.one_order(call.venue.order_row(order), order, books.trades))


async def openposition(call: RestCall) -> Reply:
    """Answer the signed net quantity of an instrument and product; 0 for an unknown position."""
    instrument = instrument_id(call.fields["exchange"], call.fields["symbol"])
    position = call.venue.exchange.books.position(instrument, Product(call.fields["product"]))
    return call.success(quantity=position.quantity)


async def orderbook(call: RestCall) -> Reply:
    """Answer the orders of the day and their counts, as the active faults of the order book alter them."""
    venue = call.venue
    shapes = venue.rows
    orders = [order for order in venue.exchange.books.orders.values() if not venue.is_hidden(order)]
    if (spoilt := _spoilt_book(call, "orderbook", {"orders": [], "statistics": shapes.statistics([])})) is not None:
        return spoilt
    orders = without_lost_orders(venue.faults, orders)
    shown = reversed(orders) if shapes.newest_first else orders
    rows = faulty_order_rows(venue.faults, [(order, venue.order_row(order)) for order in shown], shapes)
    if rows is None:
        return error(500, "An unexpected error occurred")
    if (odd := venue.faults.fire("foreign_row", route="orderbook")) is not None:
        rows = _with_foreign(shapes, odd, "orderbook", rows, [shapes.order(stranger_order(odd, venue.clock.now()))])
    rows = _altered(venue, "orderbook", rows)
    return call.success(data={"orders": rows, "statistics": shapes.statistics(orders)})


async def tradebook(call: RestCall) -> Reply:
    """Answer the trades (fills) of the day."""
    if (spoilt := _spoilt_book(call, "tradebook", [])) is not None:
        return spoilt
    venue, shapes, books = call.venue, call.venue.rows, call.venue.exchange.books
    rows = shapes.trades(books.orders, without_late_trades(venue.faults, books.trades, venue.clock.now()))
    if (odd := venue.faults.fire("foreign_row", route="tradebook")) is not None:
        order = stranger_order(odd, venue.clock.now())
        shown = shapes.trades({order.order_id: order}, [stranger_trade(order)])
        rows = _with_foreign(shapes, odd, "tradebook", rows, shown)
    return call.success(data=_altered(venue, "tradebook", rows))


async def positionbook(call: RestCall) -> Reply:
    """Answer all positions of the day, flat ones included."""
    if (spoilt := _spoilt_book(call, "positionbook", [])) is not None:
        return spoilt
    venue, shapes = call.venue, call.venue.rows
    rows = _positions(venue)
    totals = shapes.position_totals(rows)
    if (odd := venue.faults.fire("foreign_row", route="positionbook")) is not None:
        held, trade = stranger_position(odd, venue.clock.now())
        shown = shapes.positions([held], [trade], partial(_ltp, venue))
        if (own := odd_product(odd)) and not shapes.odd_product(own, rows):
            return error(500, "An unexpected error occurred")
        rows = _with_foreign(shapes, odd, "positionbook", rows, shown)
    return call.success(data=_altered(venue, "positionbook", rows), **totals)


async def pnl_symbols(call: RestCall) -> Reply:
    """Answer the day's profit by position, in analyzer mode only."""
    if not call.venue.analyze:
        return error(400, "P&L by symbol is there in analyzer mode only")
    rows = _positions(call.venue)
    data = [{name: row[name] for name in _PNL} for row in rows]
    return call.success(data=data, **call.venue.rows.position_totals(rows))


def _positions(venue: SimulatedVenue) -> list[Body]:
    books = venue.exchange.books
    held = without_lost_positions(venue.faults, list(books.positions.values()))
    return venue.rows.positions(held, books.trades, partial(_ltp, venue))


async def holdings(call: RestCall) -> Reply:
    """Answer delivered shares and their totals."""
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
    return call.success(data={"holdings": rows, "statistics": statistics})


async def funds(call: RestCall) -> Reply:
    """Answer cash: free, blocked, and the profit made."""
    venue, books = call.venue, call.venue.exchange.books
    if (spoilt := _spoilt_book(call, "funds", {})) is not None:
        return spoilt
    unrealised = sum(
        position.unrealised(mark.ltp)
        for position in books.open_positions()
        if (mark := venue.mark(position.instrument)) is not None
    )
    return call.success(data=venue.rows.funds(books.account, books.available_cash(), books.blocked_cash(), unrealised))


async def analyzer(call: RestCall) -> Reply:
    """Answer whether the server is in analyze mode (paper trading)."""
    venue = call.venue
    return success(data={"analyze_mode": venue.analyze, "mode": venue.mode, "total_logs": 0})


async def analyzer_toggle(call: RestCall) -> Reply:
    """Switch analyze mode on or off for all clients."""
    call.venue.analyze = call.fields["mode"]
    state = (await analyzer(call)).body["data"]
    return success(data={**state, "message": f"Analyzer mode switched to {call.venue.mode}"})


async def ping(call: RestCall) -> Reply:
    """Answer whether the API key is right and the broker session alive."""
    return success(data={"broker": call.venue.broker, "message": "pong"})


def _ltp(venue: SimulatedVenue, instrument: str, otherwise: float) -> float:
    mark = venue.mark(instrument)
    return mark.ltp if mark is not None else otherwise


def _with_foreign(
    shapes: AnalyzerRows, odd: ActiveFault, route: str, rows: list[Body], foreign: list[Body]
) -> list[Body]:
    """The rows of a book and a stranger's below them, as of an instrument that the master contract lacks if the fault
    says so, and under the broker's own product if it is none of ours."""
    if not odd.flag("listed"):
        foreign = [shapes.missed(row, route) for row in foreign]
    if own := odd_product(odd):
        shown = shapes.odd_product(own, rows) if route == "positionbook" else own
        foreign = [{**row, "product": shown} for row in foreign]
    return [*rows, *foreign]


def _altered(venue: SimulatedVenue, route: str, rows: list[Body]) -> list[Body]:
    """The rows of a book as the active faults of rows alter them; what the broker shows where there are none."""
    if rows and (odd := venue.faults.fire("master_miss", route=route)) is not None:
        rows = [venue.rows.missed(row, route) if odd.text("symbol") in ("", row["symbol"]) else row for row in rows]
    if rows and (hostile := venue.faults.fire("book_hostile", route=route)) is not None:
        return [hostile_row(rows[0], hostile.acted), *rows]
    return venue.rows.or_nothing(route, rows)


def _spoilt_book(call: RestCall, route: str, nothing: Any) -> Reply | None:
    if not call.venue.analyze and (broken := call.venue.faults.fire("broker_failure", route=route)) is not None:
        return Reply(*failed_read(call.venue.behind, route, broken.text("failure")))
    if call.venue.faults.fire("book_500", route=route) is not None:
        return error(500, "An unexpected error occurred")
    if call.venue.session.is_missing() or call.venue.faults.fire("book_empty", route=route) is not None:
        return call.success(data=nothing)
    return None
