"""Schedule of reads of the books, fills by order updates, and an account's health by its series of reads.

Pure: machine time comes in as an argument. A request never waits for the schedule, and the schedule never bursts after
a failure.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.orders.state_machine import TERMINAL
from mytrading.core.time import SECOND
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.order_evidence import PendingEnd
from mytrading.messages.orders import Order
from mytrading.messages.reports import (
    AccountHealth,
    BooksRead,
    BrokerHeld,
    BrokerOrder,
    LiveOrder,
    OrderReport,
    ReadRequest,
)

KEEP = 60 * SECOND
_LONG_AGO = -(1 << 62)
POSITIONS = "positions"
"""Name of the position book in `UnreadRow`."""


class ReadRules(NamedTuple):
    """Machine ns. `spacing` is the least time between two reads, `stale` when health doubts its last one.

    After failures the wait grows to `retry_most`, to `urgent_most` while someone waits, and to `refused_most` at a
    server that refuses the key. `orders_every_offline` counts while no order updates come.
    """

    orders_every: int = 10 * SECOND
    orders_every_offline: int = 2 * SECOND
    positions_every: int = 60 * SECOND
    funds_every: int = 10 * SECOND
    spacing: int = SECOND // 10
    retry_first: int = SECOND
    retry_most: int = 30 * SECOND
    urgent_most: int = 2 * SECOND
    refused_most: int = 10 * SECOND
    stale: int = 30 * SECOND
    funds_stale: int = 120 * SECOND


class ReadJob(NamedTuple):
    """One visit to the server: which books, and the requests it answers; `beside` another that is under way."""

    id: str
    orders: bool
    trades: bool
    positions: bool
    funds: bool
    asked_by: str = ""
    beside: bool = False
    order_ids: tuple[str, ...] = ()
    """Orders to ask for one by one, in place of the order book."""
    proof: bool = False
    """An exit may wait for it: its calls go side by side where that proves as much."""


class ReadPlan:
    """Decides on the next read: one at a time, and beside it at most one that proves what an exit waits for."""

    def __init__(self, account: str, rules: ReadRules | None = None) -> None:
        self._account = account
        self._rules = rules = rules or ReadRules()
        self._number = self._failures = self._backoff = 0
        self._busy = self._beside = self._refused = False
        self._wanted: list[ReadRequest] = []
        self._named: ReadRequest | None = None
        self._newest = self._quiet_until = self._last = _LONG_AGO
        self._read_at = dict.fromkeys(("orders", "positions", "funds"), _LONG_AGO)
        self._streaming, self._hidden = True, False

    def set_stream_up(self, up: bool) -> None:
        """Record whether the order update stream is up; without it only the order book shows a fill."""
        self._streaming = up

    def add_request(self, request: ReadRequest) -> None:
        """Add a request, which the next read answers; of those for single orders the newest counts."""
        if request.order_ids:
            self._named = request
        else:
            self._wanted.append(request)

    def take_next_job(self, machine_ns: int) -> ReadJob | None:
        """Return the read to make now and count it as running until `on_read_ended`; None if none is due."""
        proof = not self._failures and any(request.proof for request in self._wanted)
        if machine_ns < self._quiet_until:
            return None
        if self._busy:
            return self._job_beside(machine_ns) if proof and not self._beside else None
        rules, wait = self._rules, self._backoff if self._failures else self._rules.spacing
        if self._failures and self._wanted:
            wait = min(wait, rules.refused_most if self._refused else rules.urgent_most)
        if not proof and machine_ns - self._last < wait:
            return None
        every = rules.orders_every if self._streaming else min(rules.orders_every, rules.orders_every_offline)
        positions_every = min(every, rules.positions_every) if self._hidden else rules.positions_every
        intervals = zip(self._read_at.values(), (every, positions_every, rules.funds_every), strict=True)
        orders, positions, funds = (machine_ns - read_at >= interval for read_at, interval in intervals)
        if self._named is not None and not proof:
            return self._job_by_id(self._named, machine_ns)
        if not (orders or positions or funds or self._wanted):
            return None
        wanted, self._wanted = self._wanted, []
        self._number, self._busy = self._number + 1, True
        return ReadJob(
            id=f"{self._account}-read-{machine_ns}-{self._number}",
            orders=orders or positions or any(request.orders for request in wanted),
            trades=orders or positions or any(request.trades for request in wanted),
            positions=positions or any(request.positions for request in wanted),
            funds=funds,
            asked_by=wanted[-1].id if wanted else "",
            proof=any(request.proof for request in wanted),
        )

    def _job_by_id(self, request: ReadRequest, machine_ns: int) -> ReadJob:
        """Single orders, with the trades and positions that say how much of them has filled."""
        self._number, self._busy, self._named = self._number + 1, True, None
        name = f"{self._account}-read-{machine_ns}-{self._number}"
        return ReadJob(name, False, True, True, False, request.id, order_ids=request.order_ids)

    def _job_beside(self, machine_ns: int) -> ReadJob:
        """Order, trade and position book, for the proofs that are waited for."""
        proofs = [request for request in self._wanted if request.proof]
        self._wanted = [request for request in self._wanted if not request.proof]
        self._number, self._beside = self._number + 1, True
        name = f"{self._account}-read-{machine_ns}-{self._number}"
        positions = any(request.positions for request in proofs)
        return ReadJob(name, True, True, positions, False, proofs[-1].id, beside=True, proof=True)

    def on_read_ended(
        self, job: ReadJob, machine_ns: int, ok: bool, jitter: float = 1.0, patience: int = 0, refused: bool = False
    ) -> None:
        """Record that a read ended: if not `ok`, reads wait for a back-off, shorter for requests the server `refused`;
        `jitter` (0 to 1) scales half of it. In any case none begins for `patience` (ns)."""
        self._beside, self._busy = self._beside and not job.beside, self._busy and job.beside
        self._refused, self._last, self._quiet_until = refused, machine_ns, machine_ns + patience
        if ok:
            self._failures = 0
        else:
            grown = min(self._rules.retry_most, self._rules.retry_first << min(self._failures, 10))
            self._backoff = int(grown * (0.5 + 0.5 * jitter))
            self._failures += 1
        read = set() if job.order_ids else {book for book in self._read_at if getattr(job, book)}
        self._read_at |= dict.fromkeys(read, machine_ns if ok else _LONG_AGO)

    def void_if_outdated(self, books: BooksRead) -> BooksRead:
        """Return the books and record them as newest; with all contents None if one begun later was passed before.

        While a row hides whose units the position book shows, entries wait, so that book is read as often as orders.
        """
        if books.positions is not None:
            self._hidden = any(row.book == POSITIONS and not row.instrument for row in books.unread_rows)
        if books.began_machine_ns < self._newest:
            return replace(books, orders=None, trades=None, positions=None)
        if books.orders is not None and not books.single:
            self._newest = books.began_machine_ns
        return books

    def make_all_due(self) -> None:
        """Make every book due at once and end the back-off: the server is back, or updates may have been missed."""
        self._failures, self._read_at = 0, dict.fromkeys(self._read_at, _LONG_AGO)

    def on_unreadable_update(self) -> None:
        """Make the order and position books due, since an order update was unreadable."""
        self._read_at |= {"orders": _LONG_AGO, "positions": _LONG_AGO}

    @property
    def is_busy(self) -> bool:
        """True while a read runs, is requested, or is due because nothing was read yet or updates were missed."""
        waiting = bool(self._wanted) or self._named is not None
        return self._busy or self._beside or waiting or self._read_at["orders"] == _LONG_AGO

    @property
    def requests_waiting(self) -> int:
        """Requests that no read has answered yet."""
        return len(self._wanted)


class OrderLevels:
    """The newest level of each order by the update stream, kept until the router shows it; a level never goes back."""

    def __init__(self) -> None:
        self._levels: dict[str, OrderReport] = {}

    def on_update(self, report: OrderReport) -> OrderReport | None:
        """Keep an order update of the stream and return it; None, and nothing kept, if it says nothing new."""
        name = report.order.broker_order_id
        if (known := self._levels.get(name)) is not None:
            before, update = known.order, report.order  # by content, since nothing carries a time
            behind = _filled(update) < _filled(before) or (before.status.is_final and not update.status.is_final)
            if behind or update == before:
                return None
        self._levels[name] = report
        return report

    def on_router_order(self, order: Order) -> OrderReport | None:
        """Return the kept update of the router's `order` if it tells more than that; else drop it and return None."""
        known = self._levels.get(order.broker_order_id)
        if known is None or known.account != order.account:
            return None
        if not _shows(order, known.order):
            return known
        del self._levels[order.broker_order_id]
        return None

    def __len__(self) -> int:
        return len(self._levels)

    def drop_shown_by(self, books: BooksRead) -> None:
        """Drop the kept updates of those orders that `books`, a read begun after the update, contain."""
        for name in {row.broker_order_id for row in books.orders or ()} & self._levels.keys():
            if self._levels[name].received_machine_ns < books.began_machine_ns:
                del self._levels[name]

    def updates_to_repeat(self, machine_ns: int) -> tuple[OrderReport, ...]:
        """Return the kept updates, to be sent again, after dropping those older than a minute."""
        for name, report in list(self._levels.items()):
            if machine_ns - report.received_machine_ns > KEEP:
                del self._levels[name]
        return tuple(self._levels.values())


def merge_order_rows(rows: tuple[BrokerOrder, ...]) -> tuple[BrokerOrder, ...]:
    """Return one row for each order: the latest, where a broker lists its states one by one."""
    found: dict[tuple[str, str, str], BrokerOrder] = {}
    for row in rows:
        key = (row.broker_order_id, row.instrument, row.side)
        known = found.get(key)
        found[key] = row if known is None else max(known, row, key=_progress)
    return rows if len(found) == len(rows) else tuple(found.values())


def _progress(row: BrokerOrder) -> tuple[int, bool, int, int]:
    """By what was filled, then by an end, then by its time; what is open, or triggered, comes after what waits."""
    words = (BrokerStatus.OPEN, BrokerStatus.TRIGGERED)
    return _filled(row), row.status.is_final, row.time_ns, words.index(row.status) + 1 if row.status in words else 0


def _filled(order: BrokerOrder) -> int:
    return order.quantity if order.status is BrokerStatus.COMPLETE else (order.filled or 0)


def _shows(order: Order, row: BrokerOrder) -> bool:
    if order.evidence.fills.stream < _filled(row):
        return False
    end = order.evidence.end
    ending = end.status if isinstance(end, PendingEnd) else None
    return not row.status.is_final or order.state in TERMINAL or ending == row.status


class HiddenOrders:
    """Live orders of one account that answers by their ids have shown, as the order book may not list them."""

    def __init__(self) -> None:
        self._rows: dict[str, BrokerOrder] = {}

    def on_books(self, books: BooksRead) -> None:
        """Take in a read: of single orders what lives, of a whole order book that it lists them now."""
        rows = {row.broker_order_id: row for row in books.orders or ()}
        for name in (*books.asked, *(rows if not books.single else ())):
            self._rows.pop(name, None)
        if books.single:
            self._rows |= {name: row for name, row in rows.items() if not row.status.is_final}

    def on_router_order(self, order: Order) -> None:
        """Forget an order that the router saw end."""
        if order.state in TERMINAL:
            self._rows.pop(order.broker_order_id, None)

    @property
    def rows(self) -> tuple[BrokerOrder, ...]:
        """The rows of these orders, by their ids."""
        return tuple(self._rows[name] for name in sorted(self._rows))


def broker_held(books: BooksRead, at_ns: int, hidden: tuple[BrokerOrder, ...] = ()) -> BrokerHeld | None:
    """Return the live orders and positions of a read, at market time `at_ns`; None unless both books were read.
    `hidden` are live orders that the order book does not list."""
    if books.orders is None or books.positions is None or books.single:
        return None
    traded = {row.broker_order_id: row.quantity for row in books.trades or ()}
    live = [row for row in (*books.orders, *hidden) if not row.status.is_final]
    orders = tuple(
        LiveOrder(
            broker_order_id=row.broker_order_id, instrument=row.instrument, side=row.side,
            quantity=max(0, row.quantity - max(row.filled or 0, traded.get(row.broker_order_id, 0))),
        )
        for row in live
    )  # fmt: skip
    return BrokerHeld(
        account=books.account, began_machine_ns=books.began_machine_ns, ended_machine_ns=books.ended_machine_ns,
        at_ns=at_ns, orders=orders, positions=tuple(row for row in books.positions if row.quantity),
        unread=books.unread, unread_rows=books.unread_rows, no_orders=not books.orders and not hidden,
    )  # fmt: skip


class HealthTracker:
    """The account's health, by its reads."""

    def __init__(self, account: str, rules: ReadRules | None = None) -> None:
        self._rules = rules or ReadRules()
        self._health = AccountHealth(
            account=account, connected=False, right_mode=False, stream_up=False, books_agree=False
        )
        self._read_at = 0
        self._nameless = False
        """A row that may be of any instrument of ours was unreadable when the positions were last read."""
        self._funds_at = 0
        """Time of the last read of funds; before one, of the first health query."""
        self._funds_problem = ""

    def set_stream_up(self, up: bool) -> None:
        """Record that the order stream connected or was lost."""
        self._health = replace(self._health, stream_up=up)

    def on_read(
        self, job: ReadJob, books: BooksRead, expected_mode: bool | None, broker: str, problem: str = ""
    ) -> None:
        """Record a read of the books; `expected_mode`: True if the server is in the configured mode (None: not shown),
        `problem`: why a book is missing, `broker`: its name as reported, or ""."""
        right = self._health.right_mode if expected_mode is None else expected_mode
        old = replace(self._health, connected=True, right_mode=right, reads=self._health.reads + 1)
        whole, at = books.orders is not None and books.trades is not None, books.ended_machine_ns
        self._read_at, self._health = at, old
        if not job.orders:
            return
        nameless = any(not row.instrument and (row.book == POSITIONS or not row.broker_order_id)
                       for row in books.unread_rows)  # fmt: skip
        self._nameless = nameless or (self._nameless and not job.positions)
        known = books.positions is not None or old.last_positions_machine_ns > 0
        self._health = replace(
            old, books_agree=whole and known and not self._nameless,
            last_orders_machine_ns=at if whole else old.last_orders_machine_ns,
            last_positions_machine_ns=at if books.positions is not None else old.last_positions_machine_ns,
            message="" if whole else problem or old.message,
            unread=books.unread if job.positions else tuple(sorted({*old.unread, *books.unread})),
            broker=broker or old.broker,
        )  # fmt: skip

    def set_session_lost(self, lost: bool, message: str = "") -> None:
        """Record that the login session is lost (all books refused, `message`: the error), or not (one answered)."""
        if lost or self._health.session_lost:
            text = message if lost else self._health.message
            self._health = replace(self._health, session_lost=lost, message=text)

    def on_funds_read(self, machine_ns: int, problem: str = "") -> None:
        """Record that funds were read at this machine time (ns); with a `problem`, that they could not be."""
        self._funds_problem = problem
        if not problem:
            self._funds_at = machine_ns

    def on_failed_read(self, message: str) -> None:
        """Record a failed read, which gave nothing usable: the account counts as not connected."""
        self._health = replace(self._health, connected=False, failures=self._health.failures + 1, message=message)

    def health_at(self, machine_ns: int) -> AccountHealth:
        """Return the account's health at this machine time; not connected if no read is recent, funds unread if old."""
        health, rules = self._health, self._rules
        self._funds_at = self._funds_at or machine_ns
        unread = ""
        if machine_ns - self._funds_at > rules.funds_stale:
            why = f" ({self._funds_problem})" if self._funds_problem else ""
            unread = f"its funds were not read for {rules.funds_stale / SECOND:.0f} seconds{why}"
        if unread != health.funds_unread:
            self._health = health = replace(health, funds_unread=unread)
        if health.connected and machine_ns - self._read_at > rules.stale:
            return replace(health, connected=False, message="the last read is too old")
        return health
