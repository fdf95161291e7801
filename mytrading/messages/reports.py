"""Streams `reports`, `account` and `reads`: reports of the broker's books, and requests for them."""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side


class BrokerOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the order book or one order update; None, or a time of 0, where the broker sent nothing."""

    broker_order_id: str
    instrument: str
    side: Side
    quantity: int
    status: BrokerStatus
    product: Product | None = None
    filled: int | None = None
    average_price: float | None = None
    order_type: OrderType | None = None
    price: float = 0.0
    trigger_price: float = 0.0
    status_text: str = ""
    message: str = ""
    time_ns: int = 0
    tag: str = ""


class BrokerTrades(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All rows of the trade book for one order, summed: units and rupees; `price` (rupees) is that of the last row, for
    rows that count no units. `tag` is our own id of the order, where rows bear it."""

    broker_order_id: str
    instrument: str
    side: Side
    quantity: int
    value: float
    price: float = 0.0
    tag: str = ""


class BrokerPosition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the position book: signed net units; `last_price` (rupees) of the contract, 0 if not named."""

    instrument: str
    product: Product
    quantity: int
    average_price: float = 0.0
    pnl: float | None = None
    last_price: float = 0.0


class OrderReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order_report"):
    """One order, from the broker's stream of order updates."""

    account: str
    order: BrokerOrder
    received_machine_ns: int


class UnreadRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of a book ("orders", "trades", "positions") that could not be read, with what could: id, instrument."""

    book: str
    broker_order_id: str = ""
    instrument: str = ""
    problem: str = ""


class BooksRead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="books_read"):
    """One reading of the books. A book that was not asked for, failed or made no sense is None, never empty.

    A `single` reading asked for some orders by their ids: it says nothing of the orders it does not show, but that the
    server does not know those of the `asked` ids (the broker's, each with an answer) that it has no row of.

    `began_machine_ns` is before the first byte was sent: a fact that must be newer than an event is newer only if the
    read began after it. `unread` are instruments that a row could not be read of: nothing that the books do not show
    of them is proven, flat least of all. `unread_rows` are those rows, each also one without a readable instrument.

    `funds_live`: the funds were read in the same round and were neither empty nor all zero, so that the server has a
    session at the broker.
    """

    account: str
    id: str
    began_machine_ns: int
    ended_machine_ns: int
    orders: tuple[BrokerOrder, ...] | None = None
    trades: tuple[BrokerTrades, ...] | None = None
    positions: tuple[BrokerPosition, ...] | None = None
    asked_by: str = ""
    unread: tuple[str, ...] = ()
    single: bool = False
    unread_rows: tuple[UnreadRow, ...] = ()
    funds_live: bool = False
    asked: tuple[str, ...] = ()


class ModeSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mode_seen"):
    """The server answered in this mode; `expected` says whether it is the one the account is configured for.

    `broker` is OpenAlgo's name of the broker by the server's last ping; empty before the first.
    """

    account: str
    mode: str
    expected: bool
    machine_ns: int
    message: str = ""
    broker: str = ""


ReportMessage = OrderReport | BooksRead | ModeSeen


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="read_request"):
    """Read these books soon: answered by a BooksRead with this id in `asked_by`. `proof`: an exit waits for it.

    With `order_ids` (the broker's) these orders are asked for one by one, in place of the order book.
    """

    id: str
    account: str
    orders: bool = True
    trades: bool = True
    positions: bool = False
    cause: str = ""
    machine_ns: int = 0
    proof: bool = False
    order_ids: tuple[str, ...] = ()


class MarginLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leg of a question for margin: a MARKET order of so many units (unsigned), at about this price."""

    instrument: str
    side: Side
    quantity: int
    product: Product
    price: float = 0.0


class MarginRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="margin_request"):
    """Ask the broker what these orders need together: the reconciler answers with a MarginAnswer of this `id`."""

    id: str
    account: str
    lines: tuple[MarginLine, ...]
    machine_ns: int


ReadMessage = ReadRequest | MarginRequest


class Funds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="funds"):
    """Rupees as the broker reports them. `began_machine_ns`, if not 0, is before the report was asked for."""

    account: str
    available: float
    used: float
    collateral: float = 0.0
    realised: float = 0.0
    unrealised: float = 0.0
    machine_ns: int = 0
    began_machine_ns: int = 0


class AccountHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="account_health"):
    """The reconciler's view of an account: reachable, in the right mode, books read and agreeing.

    `ping_down` says that as many pings in a row failed as are allowed, `session_lost` that the server refuses every
    read with 403: it has no session at the broker, or does not know the key. `unread` as in `BooksRead`.
    `funds_unread` says why the funds as last reported no longer tell what is free; empty if they do.
    """

    account: str
    connected: bool
    right_mode: bool
    stream_up: bool
    books_agree: bool
    last_orders_machine_ns: int = 0
    last_positions_machine_ns: int = 0
    reads: int = 0
    failures: int = 0
    message: str = ""
    broker: str = ""
    ping_down: bool = False
    session_lost: bool = False
    unread: tuple[str, ...] = ()
    funds_unread: str = ""

    @property
    def status(self) -> str:
        """The account's state as one word: connected, not connected, or failed (too many pings failed in a row)."""
        if self.ping_down:
            return "failed"
        return "connected" if self.connected else "not connected"

    @property
    def is_healthy(self) -> bool:
        """True if connected, in the right mode, and our books agree with the broker's."""
        return self.connected and self.right_mode and self.books_agree


class LiveOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order that the broker's order book shows as live: `quantity` is what it may still trade."""

    broker_order_id: str
    instrument: str
    side: Side
    quantity: int


class BrokerHeld(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="broker_held"):
    """One reading of an account's order and position books: live orders, and positions that are not flat.

    Both books were read, and both readings began after `began_machine_ns`; `at_ns` is the market time of their end.
    `unread` and `unread_rows` as in `BooksRead`. `no_orders`: the order book had no row at all.
    """

    account: str
    began_machine_ns: int
    ended_machine_ns: int
    at_ns: int
    orders: tuple[LiveOrder, ...] = ()
    positions: tuple[BrokerPosition, ...] = ()
    unread: tuple[str, ...] = ()
    unread_rows: tuple[UnreadRow, ...] = ()
    no_orders: bool = False


class MarginAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="margin_answer"):
    """Margin of orders together by the broker, in rupees; None where it gave no figure, with the reason."""

    id: str
    account: str
    machine_ns: int
    total: float | None = None
    problem: str = ""


AccountMessage = Funds | AccountHealth | BrokerHeld | MarginAnswer
