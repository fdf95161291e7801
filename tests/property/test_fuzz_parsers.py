"""Hostile input to parsers: each gives a value that can be sent on, or says that there is none, and never raises.

`make fuzz CASES=100000` tries that many for each parser; the same SEED= gives the same cases.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from itertools import cycle
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.instruments import fetch_instruments, fetch_prices
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, MaybeSent, OpenAlgoClient, Started
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, ReadFailed, error_text
from mytrading.adapters.openalgo.rest.history import fetch_history
from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT, MOST_PRICE
from mytrading.adapters.openalgo.rest.order_outcomes import classify_answer
from mytrading.adapters.openalgo.ws.connection import SocketFrame
from mytrading.adapters.openalgo.ws.market_frames import FrameParser, Tick, depth_of
from mytrading.config.brokers import load_brokers
from mytrading.core.webhooks.bodies import redact_body
from mytrading.core.webhooks.refusals import STATUSES, AlertRefused
from mytrading.core.webhooks.senders import decode_fields, read_alert
from mytrading.daemons.feed.rest_quotes import quote_of
from mytrading.daemons.reconciler.margin_queries import query_margin
from mytrading.messages.brokers import UNLISTED, BrokerRules
from mytrading.messages.codec import FrameError, StreamDecoder, encode_body, encode_frame
from mytrading.messages.enums import Call, Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.orders import CallOutcome
from mytrading.messages.reports import MarginLine, MarginRequest
from mytrading.messages.run_config import AccountRun, ServerMode, Windows
from mytrading.messages.text import shortened
from mytrading.messages.webhooks import AlertReceived, Sender
from tests.golden.make import example, kinds
from tests.kit.hostile_input import cases
from tests.kit.server_answers import ANSWERS, BOOKS, CASES, FRAMES, SEED, UPDATES

PRICES = {
    "ltp": 1.0,
    "open": 1.0,
    "high": 1.0,
    "low": 1.0,
    "bid": 1.0,
    "ask": 1.0,
    "prev_close": 1.0,
    "volume": 5,
    "oi": 6,
}
CONTRACT = {
    "symbol": "NIFTY30DEC2526000CE", "exchange": "NFO", "instrumenttype": "CE", "name": "NIFTY", "token": 5,
    "expiry": "30-DEC-25", "strike": 26000.0, "lotsize": 65, "tick_size": 0.05, "freeze_qty": 1800,
}  # fmt: skip
CANDLE = {"timestamp": 1795149570, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10}


class Given(NamedTuple):
    """A client whose every call ends with this answer."""

    answer: HttpReply

    def call(self, *_: Any) -> HttpReply:
        return self.answer

    get = call


def each(bases: list[Any]) -> Iterator[bytes]:
    yield from cases(bases, SEED, CASES)


def answered(body: bytes, status: int = 200) -> HttpReply:
    return HttpReply(status, body, 1, 2)


def client(body: bytes, status: int = 200) -> Any:
    return Given(answered(body, status))


def sent(message: Any) -> None:
    """A message that leaves this process: it can be encoded, and is read again as it was."""
    assert type(message).__name__ and encode_body(message)


def assert_possible(quote: Quote) -> None:
    prices = (quote.bid, quote.ask, quote.open, quote.high, quote.low, quote.previous_close)
    assert all(price is None or 0.0 < price <= MOST_PRICE for price in prices), quote
    counts = (quote.bid_quantity, quote.ask_quantity, quote.volume, quote.open_interest)
    assert all(count is None or 0 <= count <= MOST_COUNT for count in counts), quote
    assert abs(quote.ltp) <= MOST_PRICE


def test_frames_of_the_market_socket_become_possible_quotes_or_say_why_not() -> None:
    parser, ticks = FrameParser(10**10), 0
    for body in each(FRAMES):
        parsed = parser.parse(body, 1, 1795149570_000_000_000)
        if isinstance(parsed, Tick):
            ticks += 1
            assert_possible(parsed.quote)
            sent(parsed.quote)
            if (depth := depth_of(parsed, 5)) is not None:
                sent(depth)
    assert ticks > CASES / 20, "most cases spoil only a part"


@pytest.mark.parametrize("name", BOOKS)
def test_books_are_read_or_refused_and_what_was_read_can_be_reported(name: str) -> None:
    parse: Callable[[HttpReply, BrokerRules], Any] = {
        "orderbook": book_parsers.parse_orders,
        "tradebook": book_parsers.parse_trades,
        "positionbook": book_parsers.parse_positions,
        "funds": lambda answer, _rules: book_parsers.parse_funds(answer, "main", 1),
        "analyzer": lambda answer, _rules: book_parsers.parse_analyzer(answer),
    }[name]
    read = 0
    for body, rules in zip(each([BOOKS[name]]), cycle((UNLISTED, *load_brokers().values())), strict=False):
        try:
            book = parse(answered(body), rules)
        except ReadFailed as failed:
            assert len(failed.message) < 1000
            continue
        read += 1
        rows = getattr(book, "rows", ())
        for row in rows if isinstance(rows, tuple) else [rows] if rows else []:
            sent(row)
        sent((getattr(book, "problems", ()), getattr(book, "unread_rows", ()), getattr(book, "odd_words", ())))
    assert read > CASES / 20


def test_order_answer_is_a_verdict_that_can_be_journaled() -> None:
    random = Random(SEED)
    for body in each(ANSWERS):
        status = random.choice((200, 200, 200, 201, 400, 403, 429, 500))
        for call in Call:
            verdict = classify_answer(call, answered(body, status), ServerMode.ANALYZE)
            sent(
                CallOutcome(
                    client_order_id="a", account="main", call=call, outcome=verdict.outcome, began_machine_ns=1,
                    ended_machine_ns=2, broker_order_id=verdict.broker_order_id, message=verdict.message,
                    retry_after_ns=verdict.retry_after_ns,
                )
            )  # fmt: skip
            assert len(verdict.broker_order_id) <= 100 and len(verdict.message) < 1000
        shortened(error_text(body, status)).encode()


def test_prices_asked_for_become_possible_quotes() -> None:
    base = {"status": "success", "results": [{"symbol": "SBIN", "exchange": "NSE", "data": PRICES}]}
    for body in each([base]):
        with suppress(OpenAlgoError):
            for row in endpoints.quotes(client(body), [("SBIN", "NSE")]):
                if row.data is not None:
                    quote = quote_of("NSE:SBIN", row.data, 1, 1)
                    assert_possible(quote)
                    sent(quote)


def test_history_gives_possible_bars() -> None:
    for body in each([{"status": "success", "data": [CANDLE, CANDLE]}]):
        with suppress(ReadFailed):
            for interval in ("1m", "1d"):
                day = date(2026, 11, 20)
                for bar in fetch_history(client(body), "NSE:SBIN", interval, day, day, 1 << 62):
                    assert 0.0 < bar.low <= MOST_PRICE and 0 <= bar.volume <= MOST_COUNT
                    sent(bar)


def test_instruments_margin_and_other_answers_are_read_or_refused() -> None:
    shares = [Instrument(id="NSE:SBIN", exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")]
    line = MarginLine(instrument="NSE:SBIN", side=Side.BUY, quantity=1, product=Product.MIS, price=1.0)
    request = MarginRequest(id="m", account="main", lines=(line,), machine_ns=1)
    for body in each([{"status": "success", "data": [CONTRACT, CONTRACT]}]):
        with suppress(ReadFailed):
            for item in fetch_instruments(client(body), "NFO", date(2025, 1, 1)).instruments:
                sent(item)
    said = {"total_margin_required": 5.0, "mode": "live", "analyze_mode": False, "message": "pong", "broker": "x"}
    for body in each([{"status": "success", "data": {**PRICES, **said}}]):
        sent(query_margin(client(body), request))
        assert all(0.0 < price <= MOST_PRICE for price in fetch_prices(client(body), shares).values())
        for ask in (endpoints.ping, endpoints.analyzer):
            with suppress(OpenAlgoError):
                ask(client(body))


STREAMED = ("market", "reports", "reads", "signals", "commands", "status", "orders", "account", "control")


@pytest.mark.parametrize("stream", STREAMED)
def test_frames_between_daemons_are_read_or_refused(stream: str) -> None:
    random = Random(SEED)
    bodies = [encode_body(example(kind)) for name, kind in kinds().items() if name.startswith(f"{stream}.")]
    whole = [encode_frame("engine", 1, 1, bytes(8), 1, body) for body in bodies]
    read = refused = 0
    decoder = StreamDecoder(stream)
    for _ in range(max(CASES // 5, 1000)):
        frame = bytearray(random.choice(whole))
        for _ in range(random.choice((1, 1, 2, 8))):
            frame[random.randrange(len(frame))] = random.randrange(256)
        if random.random() < 0.2:
            frame = frame[: random.randrange(len(frame))] + bytes([random.choice((0x91, 0x81, 0xC1))]) * 3000
        try:
            sent(decoder.decode_frame(bytes(frame)).message)
            read += 1
        except FrameError:
            refused += 1
    assert read and refused


HEADS = (
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 429 no\r\nRetry-After: %s\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.0 200 OK\r\n",
    b"HTTP/9.9 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 no\r\n", b"HTTP/1.1 99999 no\r\n",
    b"ICY 200 OK\r\n",
)  # fmt: skip
FIELDS = (
    b"Content-Length: 5\r\n", b"Content-Length: -5\r\n", b"Content-Length: %s\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Date: %s\r\n", b"\xff\xfe: \xff\r\n", b": \r\n",
    b"X" * 70_000 + b": y\r\n", b"A: b\r\n" * 150, b"Content-Encoding: gzip\r\n", b" folded\r\n", b"Set-Cookie\r\n",
    b"A: \x00\r\n",
)  # fmt: skip
BODIES = (
    b"12345", b"5\r\n12345\r\n0\r\n\r\n", b"%s\r\n12345\r\n", b"-5\r\n12345\r\n0\r\n\r\n",
    b"5;x=y\r\n12345\r\n0\r\nA: b\r\n\r\n", b"", b"5\r\n123", b"\xff" * 300, b"g\r\n", b"0\r\n" + b"A: b\r\n" * 200,
)  # fmt: skip
NUMBERS = (
    b"5",
    b"9" * 40,
    b"9" * 5000,
    b"0x5",
    b"nan",
    b"1e9",
    b"Mon, 99 Nov 99999 25:61:61 GMT",
    b"Fri, 20 Nov 2026 10:00:00 GMT",
)


def test_answers_of_http_are_complete_or_maybe_sent() -> None:
    random = Random(SEED)
    whole = 0
    for _ in range(max(CASES // 5, 200)):
        parts = [random.choice(HEADS), *(random.choice(FIELDS) for _ in range(random.choice((0, 1, 2)))), b"\r\n",
                 random.choice(BODIES)]  # fmt: skip
        raw = b"".join(part.replace(b"%s", random.choice(NUMBERS)) for part in parts)
        here, there = socket.socketpair()
        with here, there:
            there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            there.sendall(raw)
            there.shutdown(socket.SHUT_WR)
            rest = OpenAlgoClient("http://127.0.0.1:9", "key", time.monotonic_ns, {Deadline.ORDER: 5.0})
            rest._socket = here
            try:
                answer = rest.finish(Started("POST", 5.0, time.monotonic_ns()))
            except MaybeSent:
                continue
            whole += 1
            classify_answer(Call.PLACE, answer, ServerMode.ANALYZE)
    assert whole


class Listened:
    """An account's listener without its server: what comes is put into its queues."""

    def __init__(self) -> None:
        from mytrading.daemons.reconciler.account import AccountListener
        from mytrading.runtime.observability.alerts import Alerts
        from mytrading.runtime.observability.metrics import get_performance_monitor

        self.reported: list[Any] = []
        self.alerts = Alerts("reconciler", lambda: 1, self._tell)
        nowhere = AccountRun(id="main", rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9", api_key="key")
        self.listener = AccountListener(
            nowhere,
            "analyze",
            Windows(),
            self._tell,
            self._tell,
            self.alerts,
            get_performance_monitor(),
            lambda: None,
            lambda: 1,
        )
        self.listener.stream._socket.stop(0.1)

    def _tell(self, message: Any) -> None:
        encode_body(message)
        self.reported = [*self.reported[-5:], message]


def test_edge_of_the_reconciler_takes_whatever_comes() -> None:
    from mytrading.adapters.openalgo.rest.book_reader import BookReader
    from mytrading.core.reconciler.active_alerts import STATE_ALERTS
    from mytrading.core.reconciler.read_plan import ReadJob

    edge = Listened()
    job = ReadJob(id="r", orders=True, trades=True, positions=True, funds=True)
    bodies = {name: each([base]) for name, base in BOOKS.items()}
    client = SimpleNamespace(
        call=lambda name, *_: answered(next(bodies[name])),
        begin=lambda *_: Started("POST", 1.0, 1),
        finish=lambda _: answered(next(bodies["analyzer"])),
    )
    reader = BookReader(cast(Any, client), cast(Any, client), "main", "analyze", lambda: 5)
    try:
        for number, body in enumerate(each(UPDATES)):
            edge.listener.stream._socket.events.put(SocketFrame(body, number))
            edge.listener.handle_results()
            edge.listener._take_visit(reader.read_books(job))
            edge.alerts.set_active(edge.listener.active_alerts(), STATE_ALERTS)
            if not number % 50:
                edge.listener.each_second(number)
    finally:
        edge.listener.stop()
    assert edge.listener.updates > CASES / 20
    assert edge.listener._edge.count == edge.listener._malformed, "what cannot be read is known before it is handled"


ALERTS = [
    {"symbol": "SBIN", "action": "buy", "position_size": "100.0", "quantity": 5, "id": "a", "time": "b", "secret": "c"},
    {"stocks": "SBIN,INFY", "trigger_prices": "1,2", "triggered_at": "2:34 pm", "scan_name": "BUY", "alert_name": "x"},
]


def test_alerts_are_read_or_refused_and_can_be_journaled() -> None:
    read = 0
    for body in each(ALERTS):
        for sender in Sender:
            fields, refused, intents = None, None, ()
            try:
                fields = decode_fields(sender, body)
                intents = read_alert(sender, fields).intents
                read += 1
            except AlertRefused as error:
                refused = error.refusal
                assert STATUSES[refused.code] in (400, 413, 422)
                assert len(refused.text) < 1000
            sent(
                AlertReceived(
                    id="1",
                    status="2",
                    webhook="w",
                    ip="",
                    received_ns=0,
                    body_hash="",
                    refusal=refused,
                    intents=intents,
                    body=redact_body(body, fields),
                )
            )
    assert read > CASES / 20
