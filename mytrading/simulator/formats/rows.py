"""Rows of order, trade and position books, holdings and funds, as OpenAlgo's analyzer and a live server answer them.

A live server gives a part of the analyzer's keys, with the words and times of the broker behind it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.exchange.model import Account, BookOrder, BookPosition, BookTrade, Holding
from mytrading.core.time import format_ist
from mytrading.messages.enums import BrokerStatus, OrderType, Side
from mytrading.simulator.formats.frames import Body, order_fields
from mytrading.simulator.settings.personality import BrokerProfile

_COMPLETE = BrokerStatus.COMPLETE.value
_LIVE_ORDER = (
    "action", "exchange", "order_status", "orderid", "price", "pricetype",
    "product", "quantity", "symbol", "timestamp", "trigger_price",
)  # fmt: skip
_LIVE_TRADE = (
    "action", "average_price", "exchange", "orderid", "product", "quantity", "symbol", "timestamp", "trade_value",
)  # fmt: skip
_LIVE_POSITION = ("average_price", "exchange", "ltp", "pnl", "product", "quantity", "symbol")


class AnalyzerRows:
    """The analyzer's rows, newest first."""

    newest_first = True

    def status_word(self, status: BrokerStatus) -> str:
        """Return the analyzer's order book word for an order status."""
        return status.value

    def transient_word(self) -> str:
        """Return the status word of an order in transition: unknown, as the analyzer has none."""
        return "unknown"

    def order(self, order: BookOrder) -> Body:
        """Build a row of the order book."""
        row = order_fields(order)
        row["pending_quantity"] = 0 if order.status is BrokerStatus.REJECTED else order.pending_units
        row.update(strategy=order.request.strategy, timestamp=format_ist(order.placed_ns))
        return dict(sorted(row.items()))

    def one_order(self, order: BookOrder, _trades: Iterable[BookTrade]) -> Body:
        """Build the answer about a single order (`orderstatus`)."""
        row = self.order(order)
        row["price_type"] = row.pop("pricetype")
        del row["rejection_reason"]
        return row

    def statistics(self, orders: list[BookOrder]) -> Body:
        """Return counts of orders by side and status, for the order book's answer."""
        waiting = sum(order.status is BrokerStatus.TRIGGER_PENDING for order in orders)
        return {**_counts(orders), "total_trigger_pending_orders": waiting}

    def trade(self, trade: BookTrade) -> Body:
        """Build a row of the trade book."""
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

    def position(self, position: BookPosition, ltp: float) -> Body:
        """Build a row of the position book, its profit at the last price `ltp`."""
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
        return {**_holding(holding, ltp), "ltp": ltp}

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


class LiveRows(AnalyzerRows):
    """A live server's rows, oldest first: no strategy, no fill quantities, no price of a fill."""

    newest_first = False

    def __init__(self, broker: BrokerProfile) -> None:
        self._broker = broker

    def status_word(self, status: BrokerStatus) -> str:
        """Return the broker's order book word for an order status."""
        return self._broker.status_word(status, partly=False)

    def transient_word(self) -> str:
        """Return the broker's status word of an order in transition."""
        return self._broker.passing

    def order(self, order: BookOrder) -> Body:
        """Build a row of the order book in the broker's words."""
        broker = self._broker
        at = order.updated_ns if broker.last_update else order.placed_ns
        row = super().order(order)
        row["order_status"] = broker.status_word(order.status, partly=order.filled > 0)
        row["price"] = 0.0 if order.request.order_type is OrderType.MARKET else order.request.price
        row["timestamp"] = format_ist(at, broker.stamp)
        return {name: row[name] for name in _LIVE_ORDER}

    def one_order(self, order: BookOrder, trades: Iterable[BookTrade]) -> Body:
        """Build an order's row with its first trade's price, 0 unless its status word is exactly `complete`."""
        row = self.order(order)
        prices = (trade.price for trade in trades if trade.order_id == order.order_id)
        return {**row, "average_price": next(prices, 0.0) if row["order_status"] == _COMPLETE else 0.0}

    def statistics(self, orders: list[BookOrder]) -> Body:
        """Return counts of orders by side and status; a live server does not count waiting stops."""
        return _counts(orders)

    def trade(self, trade: BookTrade) -> Body:
        """Build a row of the trade book: a time of day, and no id."""
        row = {**super().trade(trade), "timestamp": format_ist(trade.at_ns, "%H:%M:%S")}
        return {name: row[name] for name in _LIVE_TRADE}

    def position(self, position: BookPosition, ltp: float) -> Body:
        """Build a row of the position book, whose average price is a text."""
        average = position.average_price if position.quantity else 0.0
        row = {**super().position(position, ltp), "average_price": f"{average:.2f}"}
        return {name: row[name] for name in _LIVE_POSITION}

    def position_totals(self, _rows: list[Body]) -> Body:
        """Return no totals: a live server has none."""
        return {}

    def holding(self, holding: Holding, ltp: float) -> Body:
        """Build a row of holdings: delivered shares with their profit at the price `ltp`, which the row lacks."""
        return _holding(holding, ltp)

    def funds(self, account: Account, available: float, blocked: float, unrealised: float) -> Body:
        """Build the funds answer of a live server: five amounts in rupees as text."""
        figures = {
            "availablecash": available,
            "collateral": 0.0,
            "m2mrealized": account.realised_today,
            "m2munrealized": unrealised,
            "utiliseddebits": blocked,
        }
        return {name: f"{value:.2f}" for name, value in figures.items()}


def _counts(orders: list[BookOrder]) -> Body:
    statuses = [order.status for order in orders]
    buys = sum(order.request.side is Side.BUY for order in orders)
    return {
        "total_buy_orders": buys,
        "total_completed_orders": statuses.count(BrokerStatus.COMPLETE),
        "total_open_orders": statuses.count(BrokerStatus.OPEN),
        "total_rejected_orders": statuses.count(BrokerStatus.REJECTED),
        "total_sell_orders": len(orders) - buys,
    }


def _holding(holding: Holding, ltp: float) -> Body:
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
