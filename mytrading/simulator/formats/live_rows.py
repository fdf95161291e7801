"""Rows and order updates of a live OpenAlgo server, as its broker's profile makes them from the exchange's books.

All is pure: a profile and facts of our orders in, rows out. The order, trade and position books are built whole, since
a row may depend on what else is there (fills of an order, trades of the day). Used by the REST handlers, the venue, and
tests that hold parsers against every broker without a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from mytrading.core.exchange.model import Account, BookOrder, BookPosition, BookTrade, Holding
from mytrading.core.time import format_ist
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.simulator.formats.frames import Body, order_frame
from mytrading.simulator.formats.rows import AnalyzerRows, LtpOf, counts, holding_row, position_fields, trade_fields
from mytrading.simulator.settings.broker_profile import BrokerProfile, PositionForm, state_of, state_of_status

_COMPLETE = BrokerStatus.COMPLETE.value
_ORDER = (
    "action", "exchange", "order_status", "orderid", "price", "pricetype",
    "product", "quantity", "symbol", "timestamp", "trigger_price",
)  # fmt: skip
_TRADE = (
    "action", "average_price", "exchange", "orderid", "product", "quantity", "symbol", "timestamp", "trade_value",
)  # fmt: skip
_POSITION = ("average_price", "exchange", "ltp", "pnl", "product", "quantity", "symbol")
_BOOK_OF_ROUTE = {"orderbook": "orders", "tradebook": "trades", "positionbook": "positions"}


@dataclass
class _Day:
    """What was traded today of one position: units and rupees of both sides."""

    bought: int = 0
    sold: int = 0
    paid: float = 0.0
    received: float = 0.0

    @property
    def net(self) -> int:
        return self.bought - self.sold

    def average(self, *, buys: bool) -> float:
        units, rupees = (self.bought, self.paid) if buys else (self.sold, self.received)
        return rupees / units if units else 0.0


class LiveRows(AnalyzerRows):
    """A live server's rows in the words of one broker, oldest first."""

    newest_first = False

    def __init__(self, broker: BrokerProfile) -> None:
        self._broker = broker

    def status_word(self, status: BrokerStatus) -> str:
        """Return the broker's order book word for an order status."""
        return self._broker.orders.words[state_of_status(status)]

    def word_of(self, raw: str) -> str:
        """Return the order book's word for the broker's own word `raw` ("": one of an order on its way); "" if the row
        above gives it."""
        form = self._broker.orders
        raw = raw or form.passing
        if raw in form.row_above:
            return ""
        return form.raw.get(raw, raw or "unknown")

    def orders(self, orders: Iterable[BookOrder]) -> list[Body]:
        """Build the rows of the order book, oldest first."""
        return [self.order(order) for order in orders]

    def order(self, order: BookOrder, *, changed: bool = False, change_refused: bool = False) -> Body:
        """Build a row of the order book; `changed`: the order was changed, `change_refused`: the broker has refused to
        change or cancel it."""
        form, request, state = self._broker.orders, order.request, state_of(order)
        row = super().order(order)
        row["order_status"] = form.words[state]
        if changed and state in ("waiting", "open"):
            row["order_status"] = form.words.get("changed", form.words[state])
        if change_refused and order.is_live and form.refused_change:
            row["order_status"] = form.refused_change
        row["price"] = request.price
        row["timestamp"] = format_ist(order.updated_ns if form.last_update else order.placed_ns, form.stamp)
        row["product"] = form.products.get(request.product, row["product"])
        row["pricetype"] = form.types.get(request.order_type, row["pricetype"])
        row["reason"] = row["rejection_reason"]
        if any(part in row["symbol"] for part in form.nfo_if):
            row["exchange"] = "NFO"
        row = _with_texts({name: row[name] for name in (*_ORDER, *form.extra)}, form.text)
        # the server itself writes this price, whatever form the broker's has
        return row | ({"price": 0.0} if request.order_type is OrderType.MARKET else {})

    def one_order(self, row: Body, order: BookOrder, trades: Iterable[BookTrade]) -> Body:
        """Build an order's row with its first trade's price, 0 unless its status word is exactly `complete`."""
        prices = (trade.price for trade in trades if trade.order_id == order.order_id)
        return {**row, "average_price": next(prices, 0.0) if row["order_status"] == _COMPLETE else 0.0}

    def statistics(self, orders: list[BookOrder]) -> Body:
        """Return counts of orders by side and status; a live server does not count waiting stops."""
        return counts(orders)

    def trades(self, orders: Mapping[str, BookOrder], trades: Sequence[BookTrade]) -> list[Body]:
        """Build the rows of the trade book, oldest first; `orders` are by id."""
        counted = self._broker.trades.counts
        if counted == "order book":
            return [self._order_as_trade(order, order.request.quantity) for order in orders.values()]
        if counted == "filled, one row":
            return [self._order_as_trade(order, order.filled) for order in orders.values() if order.filled]
        return [self._trade(trade, orders.get(trade.order_id)) for trade in trades]

    def _order_as_trade(self, order: BookOrder, units: int) -> Body:
        request = order.request
        trade = BookTrade(
            trade_id=order.order_id, order_id=order.order_id, instrument=request.instrument, side=request.side,
            product=request.product, quantity=units, price=order.average_price, day=order.day, at_ns=order.updated_ns,
        )  # fmt: skip
        return self._trade_row(trade, units, order.placed_ns)

    def _trade(self, trade: BookTrade, order: BookOrder | None) -> Body:
        units, at = trade.quantity, order.placed_ns if order is not None else trade.at_ns
        if order is not None:
            units = {"order": order.request.quantity, "filled": order.filled}.get(self._broker.trades.counts, units)
        return self._trade_row(trade, 0 if self._broker.trades.counts == "nothing" else units, at)

    def _trade_row(self, trade: BookTrade, units: int, ordered_ns: int) -> Body:
        form = self._broker.trades
        price = trade.price / 100.0 if 0.0 < form.hundredth_above < trade.price else trade.price
        row = trade_fields(replace(trade, quantity=units, price=round(price, 2)))
        row["timestamp"] = format_ist(ordered_ns if form.order_time else trade.at_ns, form.stamp)
        row["product"] = self._broker.orders.products.get(trade.product, row["product"])
        row["trade_id"] = trade.trade_id
        if form.exchange_id:
            row["orderid"] = exchange_order_id(trade.order_id)
        row["exchange"] = _by_letters(row, form.nfo_if)
        return _with_texts({name: row[name] for name in (*_TRADE, *form.extra)}, form.text)

    def positions(self, positions: Iterable[BookPosition], trades: Iterable[BookTrade], ltp_of: LtpOf) -> list[Body]:
        """Build the rows of the position book; `trades` are the day's, which tell what was carried."""
        form, days, held = self._broker.positions, _days(trades), list(positions)
        of_day = [
            self._position(replace(one, quantity=day.net, average_price=day.average(buys=day.net > 0)), day, ltp_of)
            for one in held
            if (day := days.get(one.key)) is not None
        ]
        if form.day_only:
            return of_day
        net = [self._position(one, days.get(one.key), ltp_of) for one in held]
        return net + of_day if form.joins_day_list else net

    def _position(self, held: BookPosition, day: _Day | None, ltp_of: LtpOf) -> Body:
        form = self._broker.positions
        shown = replace(held, average_price=_average(form, held, day or _Day()) if held.quantity else 0.0)
        row = position_fields(held, ltp_of(held.instrument, held.average_price))
        row["average_price"] = round(shown.average_price, 2)
        if "ltp" in form.fixed:  # profit counted by a price that is not there
            row["pnl"] = round(held.realised_today + shown.unrealised(0.0), 2)
        row.update(form.fixed)
        row["product"] = form.products.get(held.product, row["product"])
        row["exchange"] = _by_letters(row, form.nfo_if)
        made = {name: row[name] for name in _POSITION if name not in form.missing}
        return _with_texts(made, form.text, form.average_decimals)

    def position_totals(self, _rows: list[Body]) -> Body:
        """Return no totals: a live server has none."""
        return {}

    def or_nothing(self, route: str, rows: list[Body]) -> list[Body]:
        """Return a book's rows, or what the broker shows where there are none: nothing, or one blank row."""
        return rows or self.nothing(self._broker.nothing[route])

    def nothing(self, shows: str) -> list[Body]:
        """Return the rows of a book that shows nothing: none, or with "blank row" an order row without values."""
        blank: Body = {**dict.fromkeys(_ORDER, ""), "orderid": None, "price": 0.0, "trigger_price": 0.0, "quantity": 0}
        return [blank] if shows == "blank row" else []

    def odd_product(self, product: str, above: list[Body]) -> str:
        """Return how a position row below others shows a `product` that is none of ours: as it is, or behind some
        brokers as that of the row above; "" where there is none, and the server fails."""
        if not self._broker.positions.odd_product_follows:
            return product
        return str(above[-1]["product"]) if above else ""

    def missed(self, row: Body, route: str) -> Body:
        """Return a book's row as the broker shows one whose instrument is not in the server's master contract."""
        form, book = self._broker.misses, _BOOK_OF_ROUTE[route]
        raw = f"{row['symbol']}{form.ending if row['exchange'] in ('NSE', 'BSE') else ''}"
        keeps = book == "orders" and form.orders_keep_product
        return {
            **row,
            "symbol": {"null": None, "blank": ""}.get(form.symbols[book], raw),
            "product": row["product"] if keeps else form.products.get(row["product"], row["product"]),
            "exchange": form.exchanges.get(row["exchange"], row["exchange"]),
        }

    def holding(self, holding: Holding, ltp: float) -> Body:
        """Build a row of holdings: delivered shares with their profit at the price `ltp`, which the row lacks."""
        return holding_row(holding, ltp)

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


def _with_texts(row: Body, fields: Sequence[str], decimals: int = 2) -> Body:
    """The row with these numbers as text: whole units, prices with two decimals, an average with its own."""
    for name in fields:
        if name in row:
            places = 0 if name == "quantity" else decimals if name == "average_price" else 2
            row[name] = f"{row[name]:.{places}f}"
    return row


def _by_letters(row: Body, contract: Sequence[str]) -> str:
    """The exchange of a row whose server guesses it by parts of the name: NFO, else the NSE for the BSE's shares."""
    if any(part in row["symbol"] for part in contract):
        return "NFO"
    return "NSE" if contract and row["exchange"] == "BSE" else str(row["exchange"])


def _days(trades: Iterable[BookTrade]) -> dict[tuple[str, Product], _Day]:
    days: dict[tuple[str, Product], _Day] = {}
    for trade in trades:
        day = days.setdefault((trade.instrument, trade.product), _Day())
        if trade.side is Side.BUY:
            day.bought, day.paid = day.bought + trade.quantity, day.paid + trade.quantity * trade.price
        else:
            day.sold, day.received = day.sold + trade.quantity, day.received + trade.quantity * trade.price
    return days


def _average(form: PositionForm, held: BookPosition, day: _Day) -> float:
    if form.average == "buys today" or (form.average == "buys if short" and held.quantity < 0):
        return day.average(buys=True)
    return day.average(buys=held.quantity > 0) if form.average == "today" else held.average_price


def exchange_order_id(order_id: str) -> str:
    """Return the id that the exchange gave an order, which is none of the order book's."""
    return f"1100{order_id}"


def live_order_frame(order: BookOrder, broker: BrokerProfile) -> Body:
    """Build one live server's order update: pending units, no price for MARKET, the broker's words for updates. A
    broker without an order stream (`broker.updates.on`) has none to be sent."""
    request, form = order.request, broker.updates
    frame = order_frame(order, "live")
    return {
        **frame,
        "broker": broker.name,
        "price": 0.0 if request.order_type is OrderType.MARKET else request.price,
        "product": form.products.get(request.product, frame["product"]),
        "order_status": form.words[state_of(order)],
        "pending_quantity": order.pending_units if order.is_live else 0,
    }
