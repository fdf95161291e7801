"""The shapes of book rows as a live OpenAlgo server answers them, for the broker behind it.

Eleven keys for an order: no strategy, no fill quantities, no price of a fill. What a live server does not know, this
does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.exchange import BookOrder, BookPosition, BookTrade, Holding
from mytrading.core.exchange.model import Account
from mytrading.core.time import format_ist
from mytrading.messages.enums import BrokerStatus, OrderType
from mytrading.simulator.formats.analyzer_rows import counts, holding_row
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.settings.personality import BrokerProfile

_COMPLETE = BrokerStatus.COMPLETE.value


class LiveRows:
    """A live server's shapes, oldest first."""

    newest_first = False

    def __init__(self, broker: BrokerProfile) -> None:
        self._broker = broker

    def word(self, status: BrokerStatus) -> str:
        """The broker's word."""
        return self._broker.word(status, partly=False)

    def passing(self) -> str:
        """The broker's word for a state on its way."""
        return self._broker.passing

    def order(self, order: BookOrder) -> Body:
        """An order as the order book shows it."""
        request, broker = order.request, self._broker
        exchange, _, symbol = request.instrument.partition(":")
        market = request.order_type is OrderType.MARKET
        return {
            "action": request.side.value,
            "exchange": exchange,
            "order_status": broker.word(order.status, partly=order.filled > 0),
            "orderid": order.order_id,
            "price": 0.0 if market else request.price,
            "pricetype": request.order_type.value,
            "product": request.product.value,
            "quantity": request.quantity,
            "symbol": symbol,
            "timestamp": format_ist(order.updated_ns if broker.last_update else order.placed_ns, broker.stamp),
            "trigger_price": request.trigger_price,
        }

    def one_order(self, order: BookOrder, trades: Iterable[BookTrade]) -> Body:
        """The order's row with the price of its first trade, 0 unless the broker's word is exactly `complete`."""
        row = self.order(order)
        prices = (trade.price for trade in trades if trade.order_id == order.order_id)
        return {**row, "average_price": next(prices, 0.0) if row["order_status"] == _COMPLETE else 0.0}

    def statistics(self, orders: list[BookOrder]) -> Body:
        """Counts by side and status."""
        return counts(orders)

    def trade(self, trade: BookTrade) -> Body:
        """A trade as the trade book shows it: a time of day, and no id."""
        exchange, _, symbol = trade.instrument.partition(":")
        return {
            "action": trade.side.value,
            "average_price": trade.price,
            "exchange": exchange,
            "orderid": trade.order_id,
            "product": trade.product.value,
            "quantity": trade.quantity,
            "symbol": symbol,
            "timestamp": format_ist(trade.at_ns, "%H:%M:%S"),
            "trade_value": round(trade.price * trade.quantity, 2),
        }

    def position(self, position: BookPosition, ltp: float) -> Body:
        """A position as the position book shows it: the average price is a text."""
        exchange, _, symbol = position.instrument.partition(":")
        return {
            "average_price": f"{position.average_price if position.quantity else 0.0:.2f}",
            "exchange": exchange,
            "ltp": ltp,
            "pnl": round(position.realised_today + position.unrealised(ltp), 2),
            "product": position.product.value,
            "quantity": position.quantity,
            "symbol": symbol,
        }

    def position_totals(self, _rows: list[Body]) -> Body:
        """A live server gives none."""
        return {}

    def holding(self, holding: Holding, ltp: float) -> Body:
        """Delivered shares of an instrument."""
        return holding_row(holding, ltp)

    def funds(self, account: Account, available: float, blocked: float, unrealised: float) -> Body:
        """Five texts."""
        figures = {
            "availablecash": available,
            "collateral": 0.0,
            "m2mrealized": account.realised_today,
            "m2munrealized": unrealised,
            "utiliseddebits": blocked,
        }
        return {name: f"{value:.2f}" for name, value in figures.items()}
