"""Rows of order, trade and position books, holdings and funds, as OpenAlgo's analyzer answers them.

A live server gives a part of these keys, with the words and times of the broker behind it (`live_rows.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mytrading.core.exchange.model import Account, BookOrder, BookPosition, BookTrade, Holding
from mytrading.core.time import format_ist
from mytrading.messages.enums import BrokerStatus, Side
from mytrading.simulator.formats.frames import Body, order_fields

LtpOf = Callable[[str, float], float]
"""The last price of an instrument; the second argument where there is none."""


class AnalyzerRows:
    """The analyzer's rows, newest first."""

    newest_first = True

    def status_word(self, status: BrokerStatus) -> str:
        """Return the analyzer's order book word for an order status."""
        return status.value

    def word_of(self, raw: str) -> str:
        """Return the word for a broker's own word `raw`: itself, and unknown without one, as the analyzer has none."""
        return raw or "unknown"

    def order(self, order: BookOrder) -> Body:
        """Build a row of the order book."""
        row = order_fields(order)
        row["pending_quantity"] = 0 if order.status is BrokerStatus.REJECTED else order.pending_units
        row.update(strategy=order.request.strategy, timestamp=format_ist(order.placed_ns))
        return dict(sorted(row.items()))

    def one_order(self, row: Body, _order: BookOrder, _trades: Iterable[BookTrade]) -> Body:
        """Build the answer about a single order (`orderstatus`) from its row."""
        row["price_type"] = row.pop("pricetype")
        del row["rejection_reason"]
        return row

    def statistics(self, orders: list[BookOrder]) -> Body:
        """Return counts of orders by side and status, for the order book's answer."""
        waiting = sum(order.status is BrokerStatus.TRIGGER_PENDING for order in orders)
        return {**counts(orders), "total_trigger_pending_orders": waiting}

    def trades(self, _orders: Mapping[str, BookOrder], trades: Sequence[BookTrade]) -> list[Body]:
        """Build the rows of the trade book."""
        return [trade_fields(trade) for trade in reversed(trades)]

    def positions(self, positions: Iterable[BookPosition], _trades: Iterable[BookTrade], ltp_of: LtpOf) -> list[Body]:
        """Build the rows of the position book, their profit at the last price."""
        return [position_fields(one, ltp_of(one.instrument, one.average_price)) for one in positions]

    def or_nothing(self, _route: str, rows: list[Body]) -> list[Body]:
        """Return a book's rows, none if there are none."""
        return rows

    def odd_product(self, product: str, _above: list[Body]) -> str:
        """Return how a position row below others shows a `product` that is none of ours: as it is."""
        return product

    def missed(self, row: Body, _route: str) -> Body:
        """Return a book's row as one whose instrument is not in the master contract: without a symbol."""
        return {**row, "symbol": None}

    def position_totals(self, rows: list[Body]) -> Body:
        """Return totals of the position book's `rows` in rupees, for its answer."""
        realised = round(sum(row["today_realized_pnl"] for row in rows), 2)
        unrealised = round(sum(row["unrealized_pnl"] for row in rows if row["quantity"]), 2)
        return {
            "total_pnl": round(realised + unrealised, 2),
            "total_pnl_today": round(realised + unrealised, 2),
            "total_today_realized_pnl": realised,
            "total_unrealized_pnl": unrealised,
        }

    def holding(self, holding: Holding, ltp: float) -> Body:
        """Build a row of holdings: delivered shares of an instrument, with the last price `ltp`."""
        return {**holding_row(holding, ltp), "ltp": ltp}

    def funds(self, account: Account, available: float, blocked: float, unrealised: float) -> Body:
        """Build the funds answer in rupees: cash `available` and `blocked`, realised and `unrealised` profit."""
        return {
            "availablecash": round(available, 2),
            "collateral": 0.0,
            "grossexposure": round(blocked, 2),
            "last_reset": f"{account.day} 00:00:00",
            "m2mrealized": round(account.realised_today, 2),
            "m2munrealized": round(unrealised, 2),
            "reset_count": 0,
            "today_realized_pnl": round(account.realised_today, 2),
            "total_realized_pnl": round(account.realised, 2),
            "totalpnl": round(account.realised + unrealised, 2),
            "utiliseddebits": round(blocked, 2),
        }


def trade_fields(trade: BookTrade) -> Body:
    """Build the fields of a row of the trade book."""
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
        "timestamp": format_ist(trade.at_ns),
        "trade_value": round(trade.price * trade.quantity, 2),
        "tradeid": trade.trade_id,
    }


def position_fields(position: BookPosition, ltp: float) -> Body:
    """Build the fields of a row of the position book, its profit at the last price `ltp`."""
    exchange, _, symbol = position.instrument.partition(":")
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


def counts(orders: list[BookOrder]) -> Body:
    """Return counts of orders by side and status."""
    statuses = [order.status for order in orders]
    buys = sum(order.request.side is Side.BUY for order in orders)
    return {
        "total_buy_orders": buys,
        "total_completed_orders": statuses.count(BrokerStatus.COMPLETE),
        "total_open_orders": statuses.count(BrokerStatus.OPEN),
        "total_rejected_orders": statuses.count(BrokerStatus.REJECTED),
        "total_sell_orders": len(orders) - buys,
    }


def holding_row(holding: Holding, ltp: float) -> Body:
    """Build the row of delivered shares, their profit at the last price `ltp`."""
    cost = holding.quantity * holding.average_price
    pnl = holding.quantity * ltp - cost
    exchange, _, symbol = holding.instrument.partition(":")
    return {
        "symbol": symbol,
        "exchange": exchange,
        "product": "CNC",
        "quantity": holding.quantity,
        "average_price": round(holding.average_price, 2),
        "pnl": round(pnl, 2),
        "pnlpercent": round(100.0 * pnl / cost, 2) if cost else 0.0,
    }
