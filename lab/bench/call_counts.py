"""Function calls of the hot paths, counted: with cold caches, after some idle milliseconds, each costs some 2 µs.

A count depends on the code alone and not on the machine, so a path that grew by more than a tenth fails the run. A
figure of `NOTED` may be lowered; one that has to be raised needs its reason here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from types import FrameType
from typing import Any

import zmq
from websocket import ABNF, WebSocket
from zmq.backend import zmq_poll

from lab.bench.results import Figure
from lab.bench.turned_daemons import SHARES, exit_path, quote_path, wait_for
from mytrading.adapters.openalgo.ws.connection import FeedSocket, SocketRules, _Gulps
from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.time import SECOND
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import BrokerStatus, Call, Outcome, Product, Side
from mytrading.messages.market import Quote
from mytrading.messages.orders import CallOutcome, OrderChanged
from mytrading.messages.reports import (
    BooksRead,
    BrokerOrder,
    BrokerPosition,
    BrokerTrades,
    ModeSeen,
    OrderReport,
)
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber

NOTED = {
    "calls_socket_frame": 2,  # a quote in one piece, read past the library's twenty functions
    "calls_bus_send": 4,  # one more each since the four kinds of sockets share the sender's and the receiver's base
    "calls_bus_receive": 3,
    "calls_quote_feed": 60,  # ten put a quote together by field and ask if its price is one
    "calls_quote_risk": 51,  # nine ask what its book and its underlying say of a price, and what was carried
    "calls_quote_engine": 118,  # seven note the last price for strikes, and a look-back for holes in history
    "calls_signal_risk": 497,  # 92 more: margin of hedges, legs changed one by one, blocks of limits, contracts' days
    "calls_breach_risk": 96,  # until the goal is handed over; 15 ask as of a quote, and for what was judged before it
    "calls_exit_router": 197,  # until the request's bytes leave; 42 more ask for bounds by the books, hours, copies
    "calls_exit_after_commit": 11,
    "calls_oms_entry": 131,  # with those of C; 13 ask if its broker takes entries, and whose name it has
    "calls_oms_exit": 228,  # with those of C; 42 more ask for bounds by the books, the session and other copies
}
"""Function calls on CPython 3.11."""
TOLERANCE = 0.10
ROUNDS = 5
_NEVER = 10**18


class CallCounter:
    """Counts calls of Python functions (those of C too with `in_c`) while it is entered.

    Counting ends after a call of the function named `until`, of Python or C; `after` begins a second count, `late`,
    at the first call of that function.
    """

    def __init__(self, until: str = "", after: str = "", in_c: bool = False) -> None:
        self.total = self.late = 0
        self.ended = self._begun = False
        self._until, self._after, self._in_c = until, after, in_c

    def _record(self, frame: FrameType, event: str, arg: Any) -> None:
        if self.ended or frame.f_code.co_filename == __file__:
            return
        if event == "call":
            name = frame.f_code.co_name
            self.total += 1
            self.late += self._begun
        elif event == "c_call":
            name = arg.__name__
            self.total += self._in_c
        else:
            return
        self.ended = bool(self._until) and name == self._until
        self._begun = self._begun or name == self._after

    def __enter__(self) -> CallCounter:
        sys.setprofile(self._record)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


def measure_call_counts(progress: Callable[[str], None]) -> list[Figure]:
    """The least count of some rounds on each path, held against `NOTED`."""
    counts: dict[str, int] = {}
    measures: tuple[tuple[str, Callable[[], dict[str, int]]], ...] = (
        ("socket and bus", _socket_and_bus),
        ("quotes through feed, engine and risk", _quotes),
        ("breaches of a stop that risk holds", _breaches),
        ("exits through the router", _exits),
        ("decisions of the order machine", _order_decisions),
    )
    for text, measure in measures:
        progress(f"function calls: {text}")
        with redirect_stdout(StringIO()):  # the daemons' log lines
            counts |= measure()
    return [counted(name, counts[name]) for name in NOTED]


def counted(name: str, count: int) -> Figure:
    """A count beside the noted one; more than a tenth above it fails the run."""
    noted = NOTED[name]
    most = int(noted * (1 + TOLERANCE))
    why = (
        f"{count} function calls, {noted} noted, at most {most} allowed; shorten the path, or note the new count with "
        "its reason in lab/bench/call_counts.py"
    )
    met = count <= most
    return Figure(
        name=name, value=count, unit="calls", goal=f"≤ {most} ({noted} noted, +{TOLERANCE:.0%})", met=met, n=ROUNDS,
        limit=noted, ratio=round(count / noted, 3), why="" if met else why, binding=True,
    )  # fmt: skip


def _count(work: Callable[[], object]) -> int:
    with CallCounter() as counter:
        work()
    return counter.total


def _socket_and_bus() -> dict[str, int]:
    body = b'{"type": "market_data"}'
    pieces = iter([bytes(ABNF(1, 0, 0, 0, ABNF.OPCODE_TEXT, 0, body).format())] * ROUNDS)
    rules = SocketRules(max_message=1 << 20)
    feed = FeedSocket("ws://127.0.0.1:9", "key", lambda: 0, lambda: None, rules=rules)
    ws: Any = WebSocket(enable_multithread=True, skip_utf8_validation=True)
    feed._gulps = ws.frame_buffer.recv = _Gulps(lambda _: next(pieces), rules.max_message)
    found: dict[str, list[int]] = {"calls_socket_frame": [], "calls_bus_send": [], "calls_bus_receive": []}
    for _ in range(ROUNDS):
        found["calls_socket_frame"].append(_count(partial(feed._receive, ws)))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        publisher = ZMQPublisher(f"ipc://{folder}/market", context=context)
        subscriber = ZMQSubscriber("market", [publisher.endpoint], ("NSE:SBIN",), context=context)
        try:
            send = partial(publisher.send, "NSE:SBIN", Quote("NSE:SBIN", 1, 1, 100.0))
            wait_for(lambda: send() or subscriber.receive() is not None)
            for _ in range(ROUNDS):
                while subscriber.receive() is not None:
                    pass
                found["calls_bus_send"].append(_count(send))
                wait_for(lambda: bool(zmq_poll(subscriber.polled, 0)))
                found["calls_bus_receive"].append(_count(subscriber.receive))
        finally:
            context.destroy(linger=0)
    return {name: min(counts) for name, counts in found.items()}


def _turn(daemon: Daemon, until: str = "") -> int:
    """Functions called in the turn in which a daemon handled a frame; earlier turns count nothing."""
    handled, counter = daemon.handled, CallCounter()
    while daemon.handled == handled:
        with (counter := CallCounter(until)):
            daemon._turn()
    return counter.total


def _quotes() -> dict[str, int]:
    names = ("calls_quote_feed", "calls_quote_risk", "calls_quote_engine", "calls_signal_risk")
    counts = []
    with quote_path() as path:
        path.open()
        path.until_signal()
        for _ in range(ROUNDS):
            path.refresh()
            path.settle()
            path.quote()
            entries = path.risk._counts["entries"]
            counts.append((_count(path.feed._turn), _turn(path.risk), _turn(path.engine), _turn(path.risk)))
            path.settle()
            _expect(path.risk._counts["entries"] == entries + 1, "one entry for each quote")
    return dict(zip(names, map(min, zip(*counts, strict=True)), strict=True))


def _breaches() -> dict[str, int]:
    counts = []
    with quote_path() as path:
        path.open()
        path.until_risk_has_a_quote()
        for number in range(ROUNDS):
            path.refresh()
            path.hold(number)
            path.settle()
            path.quote()
            path.feed._turn()
            exits = path.risk._counts["exits"]
            counts.append(_turn(path.risk, until="encode_frame"))
            path.settle()
            _expect(path.risk._counts["exits"] == exits + 1, "one exit for each breach")
    return {"calls_breach_risk": min(counts)}


def _exits() -> dict[str, int]:
    counts = []
    with exit_path() as path:
        for instrument in SHARES:
            path.hold(instrument)
            path.close(instrument)
            with CallCounter(until="sendall", after="fdatasync") as counter:
                path.router._turn()
            _expect(counter.ended, "the exit's request in one turn")
            counts.append((counter.total, counter.late))
            path.end_exits()
    whole, late = map(min, zip(*counts, strict=True))
    return {"calls_exit_router": whole, "calls_exit_after_commit": late}


class _Orders:
    """An order machine that applies what it decided; time is machine time, ns."""

    def __init__(self) -> None:
        limits = OmsLimits()
        self.machine = OrderMachine(limits, lambda _exchange, _now: True, lambda _exchange, _now: 0)
        self.now = 1000 * SECOND
        if limits.mode_first:
            self.step(ModeSeen(account="main", mode="analyze", expected=True, machine_ns=self.now))

    def step(self, message: Any) -> None:
        self.now += SECOND // 1000
        self.machine.apply(message)
        for row in self.machine.decide(message, self.now):
            self.machine.apply(row)

    def read_books(self, *orders: BrokerOrder) -> None:
        """A read that shows these orders, all filled."""
        trades = tuple(
            BrokerTrades(broker_order_id=order.broker_order_id, instrument=order.instrument, side=order.side,
                         quantity=order.quantity, value=order.quantity * 100.0)
            for order in orders
        )  # fmt: skip
        positions = tuple(
            BrokerPosition(instrument=order.instrument, product=Product.MIS, quantity=order.quantity)
            for order in orders
        )
        began, self.now = self.now, self.now + SECOND // 1000
        self.step(
            BooksRead(account="main", id=f"r{began}", began_machine_ns=began, ended_machine_ns=self.now, orders=orders,
                      trades=trades, positions=positions)
        )  # fmt: skip

    def calls_of(self, message: object) -> int:
        """Calls, of Python and of C, of a decision that sends an order."""
        self.machine.apply(message)
        with CallCounter(in_c=True) as counter:
            rows = self.machine.decide(message, self.now)
        sent = [row.event for row in rows if isinstance(row, OrderChanged)]
        _expect(sent == ["submitted"], f"one order of {type(message).__name__}")
        return counter.total


def _order_decisions() -> dict[str, int]:
    shared: dict[str, Any] = {"account": "main", "instrument": "NSE:SBIN", "product": Product.MIS, "strategy": "s1",
                              "run": "run1", "cause": "signal", "lot": 1}  # fmt: skip
    entry = PlaceEntry(**shared, id="e1", side=Side.BUY, quantity=10, expires_ns=_NEVER, expires_machine_ns=_NEVER)
    before, holding = _Orders(), _Orders()
    before.read_books()
    holding.read_books()
    holding.step(entry)
    (order,) = holding.machine.orders()
    holding.step(
        CallOutcome(client_order_id=order.client_order_id, account="main", call=Call.PLACE, outcome=Outcome.ACCEPTED,
                    began_machine_ns=holding.now, ended_machine_ns=holding.now, broker_order_id="B1")
    )  # fmt: skip
    filled = BrokerOrder(broker_order_id="B1", instrument="NSE:SBIN", side=Side.BUY, quantity=10, filled=10,
                         status=BrokerStatus.COMPLETE, product=Product.MIS, average_price=100.0)  # fmt: skip
    holding.step(OrderReport(account="main", order=filled, received_machine_ns=holding.now))
    holding.read_books(filled)
    holding.now += 2 * SECOND
    close = CloseGoal(**shared, id="g1", reason="exit")
    return {"calls_oms_entry": before.calls_of(entry), "calls_oms_exit": holding.calls_of(close)}


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise RuntimeError(f"call_counts: expected {what}; the path measured is not the one meant")
