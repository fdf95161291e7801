"""The REST client over real sockets: which failures are certain, and that a dropped keep-alive is none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import pytest

from mytrading.adapters.openalgo.instruments import fetch_instruments
from mytrading.adapters.openalgo.rest.client import BadServerUrl, Deadline, MaybeSent, NotSent, OpenAlgoClient
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.retry import Retries, read_with_retries
from mytrading.adapters.venues import OpenAlgoVenue
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.orders import Order
from mytrading.messages.run_config import ServerMode
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

BODY = b'{"status":"success","orderid":"1","mode":"analyze"}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
DEADLINES = {Deadline.ORDER: 0.5, Deadline.BOOK: 0.5, Deadline.DATA: 0.5, Deadline.BULK: 0.5}


class Server:
    """Answers each connection with `behave(connection, number)`; keeps what it was sent."""

    def __init__(self, behave: Callable[[socket.socket, int], None]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted = 0
        self.requests: list[bytes] = []
        self._behave = behave
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._behave, args=(connection, self.accepted), daemon=True).start()

    def read_request(self, connection: socket.socket) -> bytes:
        """One request as it arrived in one piece, empty at the end of the connection."""
        data = connection.recv(65_536)
        if data:
            self.requests.append(data)
        return data


@contextmanager
def serving(behave: Callable[[Server, socket.socket, int], None]) -> Iterator[Server]:
    server = Server(lambda connection, number: behave(server, connection, number))
    try:
        yield server
    finally:
        server.listener.close()


def client_of(server: Server | str) -> OpenAlgoClient:
    url = server if isinstance(server, str) else server.url
    return OpenAlgoClient(url, "key", time.monotonic_ns, DEADLINES)


def place(client: OpenAlgoClient) -> int:
    return client.call("placeorder", {"symbol": "SBIN"}, Deadline.ORDER).status


def answer_all(server: Server, connection: socket.socket, _number: int) -> None:
    while server.read_request(connection):
        connection.sendall(REPLY)


def test_request_is_one_segment_with_the_key_and_connection_is_kept() -> None:
    with serving(answer_all) as server:
        client = client_of(server)
        for _ in range(3):
            answer = client.call("placeorder", {"symbol": "SBIN"}, Deadline.ORDER)
        assert (answer.status, answer.body) == (200, BODY)
        assert answer.began_ns < answer.ended_ns
        assert (server.accepted, client.opened, len(server.requests)) == (1, 1, 3)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /api/v1/placeorder HTTP/1.1\r\n")
        assert body == b'{"apikey":"key","symbol":"SBIN"}'


def test_refused_connection_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent, match="is the server running"):
        place(client_of(f"http://127.0.0.1:{port}"))


def test_unknown_host_is_not_sent() -> None:
    with pytest.raises(NotSent):
        place(client_of("http://no-such-host.invalid:5000"))


def test_no_connection_in_time_is_not_sent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        try:
            with pytest.raises(NotSent, match="no connection in time"):
                place(client_of(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        finally:
            for filler in fillers:
                filler.close()


def test_reset_after_the_request_is_maybe_sent() -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    with serving(behave) as server, pytest.raises(MaybeSent):
        place(client_of(server))


@pytest.mark.parametrize("reply", [b"", REPLY[:20], REPLY[:-5], b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
def test_half_reply_is_maybe_sent(reply: bytes) -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.sendall(reply)
        connection.close()

    with serving(behave) as server, pytest.raises(MaybeSent):
        place(client_of(server))


def test_broken_chunks_are_maybe_sent() -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nhalf a chunk")
        connection.close()

    with serving(behave) as server, pytest.raises(MaybeSent):
        place(client_of(server))


def test_silence_after_the_request_is_maybe_sent_by_the_deadline() -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.recv(1)

    with serving(behave) as server, pytest.raises(MaybeSent, match=r"no answer within 0\.5 s"):
        place(client_of(server))


def test_body_that_drips_ends_at_the_deadline() -> None:
    done, dripped = threading.Event(), list[int]()

    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not done.wait(0.1):
            connection.sendall(b"x")
            dripped.append(1)

    with serving(behave) as server:
        with pytest.raises(MaybeSent):
            place(client_of(server))
        done.set()
        assert 0 < len(dripped) < 500


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    ],
    ids=["status line", "head", "continue", "chunk size", "chunks", "trailer"],
)
def test_answer_that_drips_anywhere_ends_at_the_deadline_of_the_call(begin: bytes, drop: bytes) -> None:
    """A head or a chunk header that dripped held a call, and its worker, for as long as the server went on."""
    done = threading.Event()

    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        with suppress(OSError):
            connection.sendall(begin)
            for _ in range(60):
                if done.wait(0.1):
                    return
                connection.sendall(drop)

    with serving(behave) as server:
        began = time.monotonic()
        with pytest.raises(MaybeSent):
            place(client_of(server))
        done.set()
        assert time.monotonic() - began < 3.0, "the deadline is 0.5 s, the server drips for 6"


def test_keep_alive_closed_by_the_peer_is_opened_anew_without_doubt() -> None:
    closed = threading.Event()

    def behave(server: Server, connection: socket.socket, number: int) -> None:
        if number > 1:
            answer_all(server, connection, number)
            return
        server.read_request(connection)
        connection.sendall(REPLY)
        connection.close()
        closed.set()

    with serving(behave) as server:
        client = client_of(server)
        assert place(client) == 200
        assert closed.wait(20)
        eventually(lambda: _readable(client), 2)
        assert place(client) == 200
        assert (client.opened, len(server.requests)) == (2, 2)


def _readable(client: OpenAlgoClient) -> bool:
    held = client._socket
    if held is None:
        return False
    held.setblocking(False)
    try:
        return held.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def test_connection_close_is_honoured() -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY)
        connection.close()

    with serving(behave) as server:
        client = client_of(server)
        assert client.call("ping", {}, Deadline.DATA).body == BODY
        assert place(client) == 200
        assert client.opened == 2


def test_chunked_reply_is_read_whole() -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        while server.read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in (BODY[:10], BODY[10:]):
                connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            connection.sendall(b"0\r\n\r\n")

    with serving(behave) as server:
        client = client_of(server)
        assert [client.call("ping", {}, Deadline.DATA).body for _ in range(2)] == [BODY, BODY]
        assert client.opened == 1


def test_failed_call_is_never_repeated() -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.close()

    with serving(behave) as server:
        with pytest.raises(MaybeSent):
            place(client_of(server))
        assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["127.0.0.1:5000", "ftp://host", "http://", ""])
def test_unusable_address_says_what_one_looks_like(url: str) -> None:
    with pytest.raises(BadServerUrl, match="http://host:port"):
        client_of(url)


# against the simulator


def order(**fields: object) -> Order:
    given: dict[str, object] = {
        "client_order_id": "our-own-id",
        "account": "main",
        "instrument": "NSE:SBIN",
        "product": Product.MIS,
        "strategy": "s",
        "run": "r",
        "cause": "x",
        "purpose": Purpose.ENTRY,
        "side": Side.BUY,
        "quantity": 10,
        "order_type": OrderType.MARKET,
        "state": OrderState.SUBMITTED,
        "created_ns": 1,
        "updated_ns": 1,
    }
    return Order(**{**given, **fields})  # type: ignore[arg-type]


def test_orders_at_the_simulator_end_as_the_policy_says(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as simulator:
        client = OpenAlgoClient(simulator.rest, simulator.api_key, time.monotonic_ns)
        venue = OpenAlgoVenue(client, ServerMode.ANALYZE)
        resting = order(order_type=OrderType.LIMIT, price=900.0)
        placed = venue.send(Call.PLACE, resting)
        assert (placed.outcome, bool(placed.broker_order_id)) == (Outcome.ACCEPTED, True)
        known = order(order_type=OrderType.LIMIT, price=901.0, broker_order_id=placed.broker_order_id)
        assert venue.send(Call.MODIFY, known).outcome is Outcome.ACCEPTED
        assert venue.send(Call.CANCEL, known).outcome is Outcome.ACCEPTED
        assert venue.send(Call.CANCEL, known).outcome is Outcome.REFUSED
        assert venue.send(Call.PLACE, order(instrument="NSE:NOSUCH")).outcome is Outcome.REFUSED
        live = OpenAlgoVenue(client, ServerMode.LIVE).send(Call.PLACE, order())
        assert live.outcome is Outcome.WRONG_MODE
        wrong_key = OpenAlgoClient(simulator.rest, "wrong", time.monotonic_ns)
        assert OpenAlgoVenue(wrong_key, ServerMode.ANALYZE).send(Call.PLACE, order()).outcome is Outcome.REFUSED
        assert client.opened == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "place_500_but_placed"}, Outcome.UNKNOWN),
        ({"kind": "place_201"}, Outcome.UNKNOWN),
        ({"kind": "place_no_id"}, Outcome.UNKNOWN),
        ({"kind": "place_timeout", "drop": True, "seconds": 0}, Outcome.UNKNOWN),
        ({"kind": "place_lost"}, Outcome.UNKNOWN),
        ({"kind": "reject", "reason": "no margin"}, Outcome.REFUSED),
        ({"kind": "semi_auto"}, Outcome.PARKED),
        ({"kind": "session_lost"}, Outcome.REFUSED),
    ],
)
def test_faults_of_the_simulator_have_their_outcome(
    shared_simulator: RunningSimulator, fault: dict[str, object], outcome: Outcome
) -> None:
    status, body = shared_simulator.call("/sim/fault", count=1, **fault)
    assert status == 200, body
    client = OpenAlgoClient(shared_simulator.rest, shared_simulator.api_key, time.monotonic_ns)
    assert OpenAlgoVenue(client, ServerMode.ANALYZE).send(Call.PLACE, order()).outcome is outcome


@pytest.fixture(scope="module")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator")) as simulator:
        yield simulator


def test_instruments_of_the_simulator_are_ours(shared_simulator: RunningSimulator) -> None:
    client = OpenAlgoClient(shared_simulator.rest, shared_simulator.api_key, time.monotonic_ns)
    today = date(2026, 11, 20)
    options = fetch_instruments(client, "NFO", today, lambda found: found.kind.is_option)
    assert options.bad == 0
    assert {found.kind for found in options.instruments} == {InstrumentKind.CE, InstrumentKind.PE}
    assert all(found.lot_size > 1 and found.expiry >= today.isoformat() for found in options.instruments)
    index = fetch_instruments(client, "NSE_INDEX", today).instruments[0]
    assert (index.id, index.kind, index.lot_size) == ("NSE_INDEX:NIFTY", InstrumentKind.INDEX, 1)


def test_instrument_rows_that_make_no_sense_are_left_out_and_counted() -> None:
    good = (
        '{"symbol":"NIFTY30DEC2526000CE","exchange":"NFO","instrumenttype":"CE","expiry":"30-DEC-25","strike":"26000",'
        '"lotsize":65,"tick_size":0.05,"token":7,"freeze_qty":1800}'
    )
    expired = good.replace("30DEC25", "02DEC25").replace("30-DEC-25", "02-DEC-25")
    rows = [good, expired, good.replace('"lotsize":65', '"lotsize":0'), '{"symbol":"X"}', '"row"',
            good.replace("30-DEC-25", "31-DEC-25")]  # fmt: skip
    body = f'{{"status":"success","data":[{",".join(rows)}]}}'.encode()

    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with serving(behave) as server:
        listing = fetch_instruments(client_of(server), "NFO", date(2025, 12, 20))
        assert server.requests[0].startswith(
            b"GET /api/v1/instruments?apikey=key&exchange=NFO&format=json HTTP/1.1\r\n"
        )
    (option,) = listing.instruments
    assert (option.id, option.underlying, option.expiry) == ("NFO:NIFTY30DEC2526000CE", "NIFTY", "2025-12-30")
    assert (option.strike, option.lot_size, option.freeze_qty, option.token) == (26_000.0, 65, 1800, "7")
    assert listing.bad == 4
    assert "lot size" in listing.left_out[0].reason and listing.left_out[0].symbol == option.symbol


@pytest.mark.parametrize(
    ("head", "body", "kind"),
    [
        (b"403 Forbidden", b'{"message":"Invalid openalgo apikey","status":"error"}', "refused"),
        (b"429 Slow", b'{"message":"50 per 1 second"}', "rate_limited"),
        (b"500 Oops", b"oops", "server"),
        (b"200 OK", b"<html>", "malformed"),
        (b"200 OK", b'{"status":"success"}', "server"),
    ],
)
def test_instruments_that_cannot_be_read_say_what_to_look_at(head: bytes, body: bytes, kind: str) -> None:
    def behave(server: Server, connection: socket.socket, _: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (head, len(body)) + body)

    with serving(behave) as server, pytest.raises(ReadFailed) as caught:
        fetch_instruments(client_of(server), "NFO", date(2025, 12, 20))
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (b"Retry-After: 7\r\n", 7),
        (b"Retry-After: Sat, 21 Nov 2026 10:02:00 GMT\r\nDate: Sat, 21 Nov 2026 10:00:30 GMT\r\n", 90),
        (b"Retry-After: Sat, 21 Nov 2026 10:02:00 GMT\r\n", 0),
        (b"Retry-After: soon\r\nDate: Sat, 21 Nov 2026 10:00:30 GMT\r\n", 0),
        (b"", 0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers: bytes, seconds: int) -> None:
    def answer(server: Server, connection: socket.socket, _number: int) -> None:
        while server.read_request(connection):
            connection.sendall(b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n" + headers + b"\r\n{}")

    with serving(answer) as server:
        assert client_of(server).call("funds", {}, Deadline.DATA).retry_after_ns == seconds * 1_000_000_000


def test_read_that_failed_in_the_server_is_asked_again_over_the_wire() -> None:
    def answer(server: Server, connection: socket.socket, _number: int) -> None:
        while server.read_request(connection):
            head = b"HTTP/1.1 500 Oops" if len(server.requests) < 3 else b"HTTP/1.1 200 OK"
            connection.sendall(head + b"\r\nContent-Length: 2\r\n\r\n{}")

    with serving(answer) as server:
        client, pauses = client_of(server), list[float]()
        assert read_with_retries(client, "funds", {}, Deadline.DATA, Retries(3, 2.0, pauses.append)).status == 200
        assert (len(server.requests), pauses) == (3, [2.0, 2.0])
