"""The shapes of book rows as OpenAlgo's analyzer answers them, and what any shape must offer.

A row shows what the books hold and computes nothing that someone could trade on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mytrading.core.exchange import BookOrder, BookPosition, BookTrade, Holding
from mytrading.core.exchange.model import Account
from mytrading.core.time import format_ist
from mytrading.messages.enums import BrokerStatus, OrderType, Side
from mytrading.simulator.formats.frames import Body


class Rows(Protocol):
    """One way to show the books. `newest_first` orders order and trade book."""

    newest_first: bool

    def word(self, status: BrokerStatus) -> str:
        """The word for a status."""

    def passing(self) -> str:
        """The word for a state on its way."""

    def order(self, order: BookOrder) -> Body:
        """A row of the order book."""

    def one_order(self, order: BookOrder, trades: Iterable[BookTrade], /) -> Body:
        """The answer about a single order."""

    def statistics(self, orders: list[BookOrder]) -> Body:
        """What stands beside the order book's rows."""

    def trade(self, trade: BookTrade) -> Body:
        """A row of the trade book."""

    def position(self, position: BookPosition, ltp: float) -> Body:
        """A row of the position book."""

    def position_totals(self, rows: list[Body], /) -> Body:
        """What stands beside the position book's rows."""

    def holding(self, holding: Holding, ltp: float) -> Body:
        """A row of the holdings."""

    def funds(self, account: Account, available: float, blocked: float, unrealised: float) -> Body:
        """The account's money."""


class AnalyzerRows:
    """The analyzer's shapes."""

    newest_first = True

    def word(self, status: BrokerStatus) -> str:
        """Ours are the analyzer's."""
        return status.value

    def passing(self) -> str:
        """The analyzer has no such state."""
        return "unknown"

    def order(self, order: BookOrder) -> Body:
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
            "pending_quantity": 0 if rejected else order.pending,
            "price": order.reference_price if market else request.price,
            "pricetype": request.order_type.value,
            "product": request.product.value,
            "quantity": request.quantity,
            "rejection_reason": order.reason if rejected else "",
            "strategy": request.strategy,
            "symbol": symbol,
            "timestamp": format_ist(order.placed_ns),
            "trigger_price": request.trigger_price,
        }

    def one_order(self, order: BookOrder, _trades: Iterable[BookTrade]) -> Body:
        """An order by itself."""
        row = self.order(order)
        row["price_type"] = row.pop("pricetype")
        del row["rejection_reason"]
        return row

    def statistics(self, orders: list[BookOrder]) -> Body:
        """Counts by side and status."""
        return {
            **counts(orders),
            "total_trigger_pending_orders": sum(order.status is BrokerStatus.TRIGGER_PENDING for order in orders),
        }

    def trade(self, trade: BookTrade) -> Body:
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
            "timestamp": format_ist(trade.at_ns),
            "trade_value": round(trade.price * trade.quantity, 2),
            "tradeid": trade.trade_id,
        }

    def position(self, position: BookPosition, ltp: float) -> Body:
        """A position as the position book shows it."""
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
        """Sums of the rows."""
        realised = round(sum(row["today_realized_pnl"] for row in rows), 2)
        unrealised = round(sum(row["unrealized_pnl"] for row in rows if row["quantity"]), 2)
        return {
            "total_pnl": round(realised + unrealised, 2),
            "total_pnl_today": round(realised + unrealised, 2),
            "total_today_realized_pnl": realised,
            "total_unrealized_pnl": unrealised,
        }

    def holding(self, holding: Holding, ltp: float) -> Body:
        """Delivered shares of an instrument."""
        return {**holding_row(holding, ltp), "ltp": ltp}

    def funds(self, account: Account, available: float, blocked: float, unrealised: float) -> Body:
        """Cash: free, blocked, and the profit made."""
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


def counts(orders: list[BookOrder]) -> Body:
    """Orders by side and by the statuses that every server counts."""

    def count(status: BrokerStatus) -> int:
        return sum(order.status is status for order in orders)

    buys = sum(order.request.side is Side.BUY for order in orders)
    return {
        "total_buy_orders": buys,
        "total_completed_orders": count(BrokerStatus.COMPLETE),
        "total_open_orders": count(BrokerStatus.OPEN),
        "total_rejected_orders": count(BrokerStatus.REJECTED),
        "total_sell_orders": len(orders) - buys,
    }


def holding_row(holding: Holding, ltp: float) -> Body:
    """What every server tells of delivered shares."""
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
