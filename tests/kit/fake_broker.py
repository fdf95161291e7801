"""A broker that times out, and a bench that runs the order machine against it the way the harness does.

Used by the unit and property tests of the order machine. Nothing here is random: whoever drives it says what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.oms.active_alerts import STATE_ALERTS, Unguarded
from mytrading.core.orders.state_machine import with_wanted_terms
from mytrading.core.time import SECOND
from mytrading.messages.account_events import ContractSizes
from mytrading.messages.commands import CloseGoal, HoldStop, PlaceEntry, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import (
    Alert,
    CancelRequested,
    ModeCleared,
    ModifyRequested,
    StrategySwitch,
    TradingState,
    WithdrawRequested,
)
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Product, Side
from mytrading.messages.orders import CallOutcome, Order, OrderChanged, Position, TimerFired
from mytrading.messages.reports import (
    BooksRead,
    BrokerOrder,
    BrokerPosition,
    BrokerTrades,
    ModeSeen,
    OrderReport,
    ReadRequest,
    UnreadRow,
)
from tests.kit.state_digest import state_digest

MS = 1_000_000
ACCOUNT = "main"
CALL_EVENTS = frozenset(("submitted", "cancel_requested", "modify_requested"))
"""Events of an order that stand for a call at the broker."""
NEVER = 10**18
FOREVER = 2**63 - 1
"""Later than any time, of clocks that count from 1970 too."""

JOURNALED = (
    ContractSizes,
    PlaceEntry,
    CloseGoal,
    WithdrawEntries,
    SignalDenied,
    SignalExpired,
    TradingState,
    StrategySwitch,
    WithdrawRequested,
    ModeCleared,
    CancelRequested,
    ModifyRequested,
    HoldStop,
)


class Words(NamedTuple):
    """What a broker's rows say of a stop that waits, and of one that has triggered and has not filled."""

    waiting: BrokerStatus = BrokerStatus.TRIGGER_PENDING
    triggered: BrokerStatus = BrokerStatus.OPEN
    triggered_type: OrderType | None = None
    """None: it keeps its type."""


USUAL_WORDS = Words()
OPEN_ALL_ALONG = Words(waiting=BrokerStatus.OPEN)
"""Says `open` of a stop from its acceptance on."""
TELLS_TRIGGERED = Words(triggered=BrokerStatus.TRIGGERED)
BECOMES_LIMIT = Words(BrokerStatus.OPEN, BrokerStatus.OPEN, OrderType.LIMIT)


@dataclass
class Placed:
    """One order as the broker has it."""

    id: str
    client_order_id: str
    instrument: str
    side: Side
    quantity: int
    product: Product
    filled: int = 0
    value: float = 0.0
    status: BrokerStatus = BrokerStatus.OPEN
    booked_at: int = 0
    order_type: OrderType = OrderType.MARKET
    price: float = 0.0
    trigger_price: float = 0.0
    modifies: int = 0
    triggered: bool = False
    words: Words = USUAL_WORDS
    gone_at: int = FOREVER
    """Time from which the books no longer show it."""
    placed_at: int = 0
    stranger: bool = False
    """Of a person at the terminal or of the broker itself, with terms that an order of ours may have too."""

    @property
    def open(self) -> bool:
        return self.status in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING)

    def row(
        self,
        names_filled: bool,
        tagged: bool,
        names_price: bool = True,
        word: BrokerStatus | None = None,
        names_time: bool = False,
    ) -> BrokerOrder:
        """Its row in the order book; the stream's update says the same. `word`: a status in place of the true one."""
        words = self.words
        status, kind = self.status, self.order_type
        if status is BrokerStatus.TRIGGER_PENDING:
            status = words.waiting
        elif status is BrokerStatus.OPEN and self.triggered:
            status, kind = words.triggered, words.triggered_type or kind
        return BrokerOrder(
            broker_order_id=self.id,
            instrument=self.instrument,
            side=self.side,
            quantity=self.quantity,
            status=word or status,
            product=self.product,
            filled=self.filled if names_filled else None,
            average_price=self.value / self.filled if self.filled and names_price else None,
            tag=self.client_order_id if tagged else "",
            order_type=kind,
            price=self.price,
            trigger_price=self.trigger_price,
            time_ns=self.placed_at if names_time else 0,
        )


@dataclass
class FakeBroker:
    """Order book, trade book and net positions; placings can be late.

    `words`: what it calls its stops. Where `changes` or `cancels` is false it says success to such a call and does
    nothing. `trade_rows` says what a trade row's quantity is: of the fills, of the whole order, or 0 ("fill", "order",
    "none"); with `exchange_ids` it names the order by the exchange's id. Without `names_price` no row of an order or
    trade has a price; with `averages` position rows have one.
    """

    names_filled: bool = True
    tags: bool = False
    trade_rows: str = "fill"
    exchange_ids: bool = False
    names_price: bool = True
    averages: bool = False
    orders: dict[str, Placed] = field(default_factory=dict)
    net: dict[tuple[str, Product], int] = field(default_factory=dict)
    placements: dict[str, int] = field(default_factory=dict)
    late: list[tuple[int, Order]] = field(default_factory=list)
    late_modifies: list[tuple[int, Order]] = field(default_factory=list)
    past: list[tuple[int, BooksRead]] = field(default_factory=list)
    words: Words = USUAL_WORDS
    changes: bool = True
    cancels: bool = True
    funds_live: bool | None = None
    """The funds of each round are neither empty nor zero; None: in rounds whose position book has rows."""
    untrue: dict[str, BrokerStatus] = field(default_factory=dict)
    """By broker id: the word that the order book says of an order in place of the true one."""
    unreadable: list[UnreadRow] = field(default_factory=list)
    """Rows of nobody that no reader understands, in each read."""
    left_out: set[str] = field(default_factory=set)
    """Broker ids of orders whose rows (order and trade book) name no instrument."""
    unlisted: set[tuple[str, Product]] = field(default_factory=set)
    """Positions that the position book lacks without a word."""
    empty: set[str] = field(default_factory=set)
    """Books (orders, trades, positions) that are answered with success and no rows."""
    products: dict[Product, Product] = field(default_factory=dict)
    """The product under which the position book shows each, where it is another one."""
    names_time: bool = False
    """Rows of orders name the time at which they were placed."""
    archive: list[Placed] = field(default_factory=list)
    """Orders of earlier days whose ids are used again (`begin_day`)."""
    holdings: dict[str, int] = field(default_factory=dict)
    """Delivered units by instrument, which no position book shows."""

    def place(self, order: Order, at: int, booked_at: int = 0) -> Placed:
        number = f"B{len(self.orders) + 1}"
        placed = Placed(
            number,
            order.client_order_id,
            order.instrument,
            order.side,
            order.quantity,
            order.product,
            booked_at=booked_at,
            order_type=order.order_type,
            price=order.price,
            trigger_price=order.trigger_price,
            status=BrokerStatus.TRIGGER_PENDING if order.order_type is OrderType.SL else BrokerStatus.OPEN,
            words=self.words,
            placed_at=at,
        )
        self.orders[number] = placed
        self.placements[order.client_order_id] = self.placements.get(order.client_order_id, 0) + 1
        return placed

    def trade(self, placed: Placed, quantity: int, price: float) -> None:
        quantity = min(quantity, placed.quantity - placed.filled)
        if not placed.open or quantity <= 0:
            return
        placed.status = BrokerStatus.OPEN
        placed.filled += quantity
        placed.value += quantity * price
        key = (placed.instrument, placed.product)
        self.net[key] = self.net.get(key, 0) + quantity * placed.side.sign
        if placed.filled == placed.quantity:
            placed.status = BrokerStatus.COMPLETE

    def by_hand(self, net: int, instrument: str = "NFO:A", product: Product = Product.MIS) -> None:
        """A person trades at the terminal until this is the net: an order and a trade of nobody here."""
        units = net - self.net.get((instrument, product), 0)
        number = f"H{len(self.orders) + 1}"
        side = Side.BUY if units > 0 else Side.SELL
        self.orders[number] = Placed(number, number, instrument, side, abs(units), product)
        self.trade(self.orders[number], abs(units), 100.0)

    def stranger(
        self,
        like: Order | Placed,
        at: int,
        order_type: OrderType = OrderType.MARKET,
        side: Side | None = None,
        quantity: int = 0,
    ) -> Placed:
        """An order of nobody here is placed with the instrument, product, side and quantity of `like`, and rests."""
        number = f"S{len(self.orders) + 1}"
        self.orders[number] = Placed(
            number,
            number,
            like.instrument,
            side or like.side,
            quantity or like.quantity,
            like.product,
            order_type=order_type,
            price=100.0 if order_type is OrderType.LIMIT else 0.0,
            booked_at=at,
            placed_at=at,
            stranger=True,
        )
        return self.orders[number]

    def square_off(self, at: int) -> list[Placed]:
        """The broker ends every order of MIS and closes every position of it; returns the orders that it did so by."""
        for placed in self.orders.values():
            if placed.product is Product.MIS:
                self.drop(placed)
        made = []
        for (instrument, product), net in list(self.net.items()):
            if product is Product.MIS and net:
                side = Side.SELL if net > 0 else Side.BUY
                number = f"A{len(self.orders) + 1}"
                like = Placed(number, number, instrument, side, abs(net), product)
                made.append(self.stranger(like, at))
                self.trade(made[-1], abs(net), 100.0)
        return made

    def begin_day(self, at: int, *, rows_until: int = 0, ids_again: bool = False) -> None:
        """Day orders end, the books begin anew and delivered shares leave the position book.

        Yesterday's rows are shown until `rows_until`. With `ids_again` today's orders begin at the first id again.
        """
        for placed in self.orders.values():
            self.drop(placed, BrokerStatus.EXPIRED)
            placed.gone_at = min(placed.gone_at, max(rows_until, at))
        for instrument, product in [key for key in self.net if key[1] is Product.CNC]:
            units = self.net.pop((instrument, product))
            self.holdings[instrument] = self.holdings.get(instrument, 0) + units
        if ids_again:
            self.archive += self.orders.values()
            self.orders = {}

    def trigger(self, placed: Placed) -> None:
        """The price has come to a stop: it is an open limit order now."""
        if placed.status is BrokerStatus.TRIGGER_PENDING:
            placed.status, placed.triggered = BrokerStatus.OPEN, True

    def drop(self, placed: Placed, status: BrokerStatus = BrokerStatus.CANCELLED) -> None:
        """Exchange or broker end an order on their own."""
        if placed.open:
            placed.status = status

    def cancel(self, broker_order_id: str) -> bool:
        placed = self.orders[broker_order_id]
        if not placed.open:
            return False
        if self.cancels:
            placed.status = BrokerStatus.CANCELLED
        return True

    def modify(self, order: Order) -> bool:
        """Replace an open order's terms by those of `order`; false if it has ended or filled that far."""
        placed = self.orders[order.broker_order_id]
        if not placed.open or order.quantity <= placed.filled:
            return False
        placed.modifies += 1
        if not self.changes:
            return True
        placed.price, placed.trigger_price, placed.quantity = order.price, order.trigger_price, order.quantity
        return True

    def pass_time(self, at: int) -> None:
        for when, order in self.late_modifies:
            if when <= at:
                self.modify(order)
        self.late_modifies = [(when, order) for when, order in self.late_modifies if when > at]
        due = [order for when, order in self.late if when <= at]
        self.late = [(when, order) for when, order in self.late if when > at]
        for order in due:
            self.place(order, at)

    def books(self, at: int) -> BooksRead:
        booked = [placed for placed in self.known() if placed.booked_at <= at < placed.gone_at]
        shown = [placed for placed in booked if placed.id not in self.left_out]
        hidden = [placed for placed in booked if placed.id in self.left_out]
        nameless = [UnreadRow(book="orders", broker_order_id=placed.id) for placed in hidden]
        nameless += [UnreadRow(book="trades", broker_order_id=placed.id) for placed in hidden if placed.filled]
        read = BooksRead(
            account=ACCOUNT,
            id=f"r{at}",
            began_machine_ns=at,
            ended_machine_ns=at,
            orders=tuple(
                placed.row(self.names_filled, self.tags, self.names_price, self.untrue.get(placed.id), self.names_time)
                for placed in shown
            ),
            trades=tuple(self._trades(placed) for placed in shown if placed.filled),
            positions=tuple(
                BrokerPosition(
                    instrument=instrument,
                    product=self.products.get(product, product),
                    quantity=quantity,
                    average_price=self._average(instrument),
                )
                for (instrument, product), quantity in sorted(self.net.items())
                if (instrument, product) not in self.unlisted
            ),
            unread_rows=(*self.unreadable, *nameless),
        )
        read = replace(read, **dict.fromkeys(sorted(self.empty), ()))
        self.past.append((at, read))
        return read

    def known(self) -> list[Placed]:
        """All orders; of those with one id, only today's."""
        return [placed for placed in self.archive if placed.id not in self.orders] + list(self.orders.values())

    def _trades(self, placed: Placed) -> BrokerTrades:
        units = {"fill": placed.filled, "order": placed.quantity, "none": 0}[self.trade_rows]
        price = placed.value / placed.filled if self.names_price else 0.0
        return BrokerTrades(
            broker_order_id=f"X{placed.id}" if self.exchange_ids else placed.id,
            instrument=placed.instrument,
            side=placed.side,
            quantity=units,
            value=placed.value if units == placed.filled and self.names_price else units * price,
        )

    def _average(self, instrument: str) -> float:
        bought = [p for p in self.orders.values() if p.instrument == instrument and p.filled and p.side is Side.BUY]
        units = sum(placed.filled for placed in bought)
        return sum(placed.value for placed in bought) / units if self.averages and units else 0.0


@dataclass
class OpenCall:
    """A call the machine asked for and that has not ended."""

    call: Call
    order: Order
    began: int


def owner_task(name: str) -> dict[str, Any]:
    """Fields that every command of the strategy s1 for NFO:A has; `name` is its id."""
    return {
        "id": name,
        "account": ACCOUNT,
        "instrument": "NFO:A",
        "product": Product.MIS,
        "strategy": "s1",
        "run": "run1",
        "cause": f"signal-{name}",
    }


class OrderBench:
    """The harness in small: apply, decide, journal, apply; calls wait until a test says how they end."""

    def __init__(
        self, limits: OmsLimits | None = None, *, names_filled: bool = True, tags: bool = False, **broker: Any
    ) -> None:
        self.limits = limits or OmsLimits()
        self.session_open = True
        self.provisional = False
        self.squares_off_ns = 0
        self.machine = OrderMachine(self.limits, self._is_open, self._squares_off, self._is_provisional)
        self.broker = FakeBroker(names_filled=names_filled, tags=tags, **broker)
        self.journal: list[Any] = []
        self.calls: list[OpenCall] = []
        self.rows: list[Any] = []
        self.alerts: list[Alert] = []
        self.time = 1000 * SECOND
        self.reads_wanted = 0
        self.check_purity = False
        if self.limits.mode_first:
            self.see_mode()

    @property
    def now(self) -> int:
        return self.time

    def _is_open(self, _exchange: str, _now: int) -> bool:
        return self.session_open

    def _is_provisional(self, _exchange: str, _now: int) -> bool:
        return self.provisional

    def _squares_off(self, _exchange: str, _now: int) -> int:
        return self.squares_off_ns

    def step(self, message: Any) -> list[Any]:
        """One turn of the harness."""
        self.machine.apply(message)
        before = state_digest(self.machine) if self.check_purity else b""
        rows = self.machine.decide(message, self.now)
        if self.check_purity:
            assert state_digest(self.machine) == before, "decide changed the machine"
        if rows or isinstance(message, JOURNALED):
            self.journal.append(message)
        return self._commit(rows)

    def _commit(self, rows: tuple[Any, ...]) -> list[Any]:
        for row in rows:
            self.journal.append(row)
            self.machine.apply(row)
        for row in rows:
            self._effect(row)
        self.rows.extend(rows)
        return list(rows)

    def _effect(self, row: Any) -> None:
        if isinstance(row, Alert):
            self.alerts.append(row)
        elif isinstance(row, ReadRequest):
            self.reads_wanted += 1
        elif isinstance(row, OrderChanged) and row.event == "submitted":
            self.calls.append(OpenCall(Call.PLACE, row.order, self.time))
        elif isinstance(row, OrderChanged) and row.event == "cancel_requested":
            self.calls.append(OpenCall(Call.CANCEL, row.order, self.time))
        elif isinstance(row, OrderChanged) and row.event == "modify_requested":
            self.calls.append(OpenCall(Call.MODIFY, with_wanted_terms(row.order), self.time))

    def see_mode(self) -> list[Any]:
        """The server is seen in the mode that is expected of it."""
        return self.step(ModeSeen(account=ACCOUNT, mode="analyze", expected=True, machine_ns=self.time))

    def tick(self, nanoseconds: int = 100 * MS) -> list[Any]:
        """Machine time passes."""
        self.time += nanoseconds
        self.broker.pass_time(self.time)
        return self.step(TimerFired(name="second", machine_ns=self.time))

    def enter(self, name: str, quantity: int = 50, **fields: Any) -> list[Any]:
        command = {
            **owner_task(name),
            "side": Side.BUY,
            "quantity": quantity,
            "expires_ns": NEVER,
            "expires_machine_ns": NEVER,
        }
        return self.step(PlaceEntry(**{**command, **fields}))

    def close(self, name: str, **fields: Any) -> list[Any]:
        return self.step(CloseGoal(**{**owner_task(name), "reason": "exit", **fields}))

    def end(self, call: OpenCall, outcome: Outcome, broker_order_id: str = "", **fields: Any) -> list[Any]:
        """The machine learns how a call ended."""
        if call in self.calls:
            self.calls.remove(call)
        self.time += MS
        return self.step(
            CallOutcome(
                client_order_id=call.order.client_order_id,
                account=ACCOUNT,
                call=call.call,
                outcome=outcome,
                began_machine_ns=call.began,
                ended_machine_ns=self.time,
                broker_order_id=broker_order_id,
                **fields,
            )
        )

    def accept(self, call: OpenCall | None = None, booked_in: int = 0) -> Placed:
        """The broker takes the (first) open placing call and says so."""
        call = call or next(c for c in self.calls if c.call is Call.PLACE)
        placed = self.broker.place(call.order, self.time, self.time + booked_in)
        self.end(call, Outcome.ACCEPTED, placed.id)
        return placed

    def cancel(self, call: OpenCall | None = None, outcome: Outcome | None = None) -> list[Any]:
        """The broker answers the (first) open cancel call."""
        call = call or next(c for c in self.calls if c.call is Call.CANCEL)
        done = self.broker.cancel(call.order.broker_order_id)
        return self.end(call, outcome or (Outcome.ACCEPTED if done else Outcome.REFUSED))

    def modify(self, call: OpenCall | None = None, outcome: Outcome | None = None) -> list[Any]:
        """The broker answers the (first) open modify call."""
        call = call or next(c for c in self.calls if c.call is Call.MODIFY)
        done = self.broker.modify(call.order)
        return self.end(call, outcome or (Outcome.ACCEPTED if done else Outcome.REFUSED))

    def answer_calls(self) -> None:
        """The broker takes every open call: placed, cancelled and modified as asked."""
        answers = {Call.PLACE: self.accept, Call.CANCEL: self.cancel, Call.MODIFY: self.modify}
        for call in list(self.calls):
            answers[call.call](call)

    def ask_modify(self, name: str, **fields: Any) -> list[Any]:
        """A person wants an order changed; each request has an id of its own."""
        self.time += MS
        return self.step(ModifyRequested(id=f"m{self.time}", order=name, at_ns=self.now, **fields))

    def ask_cancel(self, name: str, **fields: Any) -> list[Any]:
        """A person wants an order cancelled."""
        self.time += MS
        return self.step(CancelRequested(id=f"c{self.time}", order=name, at_ns=self.now, **fields))

    def report(self, placed: Placed, **fields: Any) -> list[Any]:
        """An update of one order on the stream."""
        self.time += MS
        row = replace(placed.row(True, self.broker.tags), **fields)
        return self.step(OrderReport(account=ACCOUNT, order=row, received_machine_ns=self.time))

    def read(self, source: BooksRead | None = None, **fields: Any) -> list[Any]:
        """A read of the books, fresh or (as `source`) with an older content, begun now."""
        self.time += MS
        began = self.time
        content = source or self.broker.books(self.time)
        self.time += MS
        content = replace(content, id=f"r{began}", began_machine_ns=began, ended_machine_ns=self.time)
        content = replace(content, **fields)
        if "funds_live" not in fields:
            live = self.broker.funds_live
            content = replace(content, funds_live=bool(content.positions) if live is None else live)
        return self.step(content)

    def hold(self, name: str = "e1", quantity: int = 50, price: float = 100.0, **fields: Any) -> Placed:
        """Enter and fill, confirmed by two sources."""
        self.read()
        self.enter(name, quantity, **fields)
        placed = self.accept()
        self.broker.trade(placed, quantity, price)
        self.report(placed)
        self.read()
        return placed

    def order(self, name: str) -> Order:
        found = self.machine.state.orders.get(name)
        assert found is not None, f"no order {name}"
        return found

    def position(self, strategy: str = "s1", instrument: str = "NFO:A") -> Position:
        found = self.machine.position(ACCOUNT, instrument, Product.MIS, strategy)
        assert found is not None, f"{strategy} never held {instrument}"
        return found

    def replayed(self) -> OrderMachine:
        """A machine built from the journal alone."""
        machine = OrderMachine(self.limits, self._is_open, self._squares_off, self._is_provisional)
        for row in self.journal:
            machine.apply(row)
        return machine

    def crash(
        self,
        served: tuple[str, ...] = (),
        now: int = 0,
        never_began: Callable[[str, int], bool] = lambda _name, _attempt: False,
        in_run: tuple[str, ...] = (),
    ) -> list[Any]:
        """The process dies with its calls; another one applies the journal and recovers, at market time `now`, and with
        these accounts in its run (none: all)."""
        before = state_digest(self.machine)
        self.machine = self.replayed()
        assert state_digest(self.machine) == before, "the journal does not give the state back"
        self.calls.clear()
        self.time += 10 * MS
        return self._commit(self.machine.recover_rows(self.time, now or self.now, served, never_began, in_run))

    def open_day(self, day: str) -> None:
        """The router opens a later day (ISO date) with what it carries into it."""
        self._commit(self.machine.expire_day(self.now, day))
        opened = self.machine.snapshot(day)
        self.machine = OrderMachine(self.limits, self._is_open, self._squares_off, self._is_provisional)
        self.machine.apply(opened)
        self.journal = [opened]
        self.see_mode()

    def stands(self, code: str, subject: str) -> bool:
        """True while the machine's state keeps a raised alert active."""
        return code not in STATE_ALERTS or (code, subject) in self.machine.active_alerts(
            [(code, subject)], Unguarded(), {}
        )

    def codes(self) -> set[str]:
        """Codes of all alerts so far."""
        return {alert.code for alert in self.alerts}

    def no_waiting_stop_is_taken_for_triggered(self) -> None:
        """Check that each stop that counts as triggered has, or has filled in part."""
        for order in self.machine.state.orders.values():
            if order.state is OrderState.TRIGGERED:
                ours = [p for p in self.broker.archive if p.client_order_id == order.client_order_id]
                placed = ours[0] if ours else self.broker.orders[order.broker_order_id]
                assert placed.triggered or placed.filled, f"{order.client_order_id} waits for its trigger"

    def entry_type(self, name: str) -> OrderType:
        """The type of an order."""
        return self.order(name).order_type


def time_out(bench: OrderBench, *, placed: bool) -> OpenCall:
    """The open call ends without an answer."""
    call = bench.calls[0]
    if placed:
        bench.broker.place(call.order, bench.time)
    bench.tick(1 * SECOND)
    bench.end(call, Outcome.UNKNOWN, message="timed out")
    return call
