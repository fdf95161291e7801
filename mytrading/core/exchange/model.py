"""Values of the paper exchange: requests, book entries, changes and refusals. All are frozen."""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side


class Mark(msgspec.Struct, frozen=True, gc=False):
    """An instrument's prices at a moment, rupees; `bid` or `ask` is 0 where that side is empty.

    `lower` and `upper` are the day's price band, 0 where there is none.
    """

    ltp: float
    bid: float = 0.0
    ask: float = 0.0
    lower: float = 0.0
    upper: float = 0.0

    def execution_price(self, side: Side) -> float:
        """Return the price at which a market order of `side` fills: ask for a buy, bid for a sell, LTP without one."""
        return (self.ask if side is Side.BUY else self.bid) or self.ltp


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its client wants it: `quantity` in units, prices in rupees, 0 where the type has none."""

    instrument: str
    side: Side
    quantity: int
    order_type: OrderType = OrderType.MARKET
    product: Product = Product.MIS
    price: float = 0.0
    trigger_price: float = 0.0
    strategy: str = ""


class BookOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the exchange keeps it; times are market ns, `blocked` the rupees held for its open part."""

    order_id: str
    request: OrderRequest
    status: BrokerStatus
    day: str
    placed_ns: int
    updated_ns: int
    filled: int = 0
    average_price: float = 0.0
    reference_price: float = 0.0
    blocked: float = 0.0
    triggered: bool = False
    reason: str = ""

    @property
    def is_live(self) -> bool:
        """True while the order can still fill."""
        return self.status in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING)

    @property
    def pending_units(self) -> int:
        """Return the units not filled yet."""
        return self.request.quantity - self.filled


class BookTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One execution."""

    trade_id: str
    order_id: str
    instrument: str
    side: Side
    product: Product
    quantity: int
    price: float
    day: str
    at_ns: int
    strategy: str = ""


class BookPosition(msgspec.Struct, frozen=True, kw_only=True):
    """The net of one instrument and product; `quantity` signed, `realised_today` reset each day."""

    instrument: str
    product: Product
    quantity: int = 0
    average_price: float = 0.0
    realised_today: float = 0.0
    blocked: float = 0.0

    @property
    def key(self) -> tuple[str, Product]:
        """Return the position's key in the books: instrument and product."""
        return self.instrument, self.product

    def unrealised(self, ltp: float) -> float:
        """Return the unrealised profit in rupees at the price `ltp`."""
        return (ltp - self.average_price) * self.quantity if self.quantity else 0.0


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Delivered shares."""

    instrument: str
    quantity: int
    average_price: float


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Cash and the day the books stand on; `realised` is of all time.

    `settled`: what expires that day has been settled. `kept`: ids of orders that outlived an earlier day.
    """

    capital: float
    realised: float = 0.0
    realised_today: float = 0.0
    day: str = ""
    next_order: int = 1
    next_trade: int = 1
    squared_off: bool = False
    closed: bool = False
    settled: bool = False
    kept: tuple[str, ...] = ()


class BooksSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All of the exchange's books at a moment, as a restart loads them."""

    account: Account
    orders: tuple[BookOrder, ...] = ()
    trades: tuple[BookTrade, ...] = ()
    positions: tuple[BookPosition, ...] = ()
    holdings: tuple[Holding, ...] = ()


class ExchangeChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of the books by one call, stored in one transaction: new values in order, keys of removed positions."""

    orders: tuple[BookOrder, ...] = ()
    trades: tuple[BookTrade, ...] = ()
    positions: tuple[BookPosition, ...] = ()
    gone: tuple[tuple[str, Product], ...] = ()
    holdings: tuple[Holding, ...] = ()
    account: Account

    @property
    def is_empty(self) -> bool:
        """True if the call changed nothing in the books."""
        return not (self.orders or self.trades or self.positions or self.gone or self.holdings)


class ExchangeRefusal(msgspec.Struct, frozen=True):
    """A definitive refusal. `order_id` is set where the books keep a rejected row of it."""

    reason: str
    order_id: str = ""
    not_found: bool = False
