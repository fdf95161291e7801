"""The WebSocket connection against the simulator and against servers that misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any, TypeVar

from mytrading.adapters.openalgo.ws.connection import (
    Connected,
    Disconnected,
    FeedSocket,
    SocketFrame,
    SocketRefused,
    SocketRules,
)
from mytrading.adapters.openalgo.ws.order_updates import OrderUpdates
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.reports import OrderReport
from tests.kit.simulator_process import API_KEY, start_simulator
from tests.kit.waiting import eventually

E = TypeVar("E")
QUICK = SocketRules(early_s=0.0, first_delay_s=0.02, refused_delay_s=0.05, longest_delay_s=0.2, authenticate_s=1.0)


def expect(feed: FeedSocket, kind: type[E], seconds: float = 10.0) -> E:
    """The next event, which must be of this kind."""
    try:
        event = feed.events.get(timeout=seconds)
    except Empty:
        raise AssertionError(f"no {kind.__name__} within {seconds} s") from None
    assert isinstance(event, kind), event
    return event


@contextmanager
def connecting(url: str, key: str = API_KEY, rules: SocketRules = QUICK) -> Iterator[FeedSocket]:
    feed = FeedSocket(url, key, time.monotonic_ns, lambda: None, rules=rules, jitter=lambda: 1.0)
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()


class BareServer:
    """A WebSocket server that is a few lines, so that it can break every rule."""

    def __init__(self, behave: Callable[[BareServer, socket.socket], None]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}"
        self.behave = behave
        self.over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._live, args=(connection,), daemon=True).start()

    def _live(self, connection: socket.socket) -> None:
        head = connection.recv(65_536).decode()
        key = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")).split(": ")[1]
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        connection.recv(65_536)
        self.behave(self, connection)


def frame(payload: bytes, opcode: int = 1, final: bool = True) -> bytes:
    size = len(payload)
    length = (
        bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 65_536 else b"\x7f" + size.to_bytes(8)
    )
    return bytes([opcode | (0x80 if final else 0)]) + length + payload


ADMITTED = frame(json.dumps({"type": "auth", "status": "success", "broker": "sandbox"}).encode())


@contextmanager
def bare(behave: Callable[[BareServer, socket.socket], None]) -> Iterator[BareServer]:
    server = BareServer(behave)
    try:
        yield server
    finally:
        server.over.set()
        server.listener.close()


def test_simulator_admits_answers_and_a_dropped_connection_comes_back(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as simulator, connecting(simulator.ws) as feed:
        first = expect(feed, Connected)
        assert (first.number, feed.connected) == (1, True)
        assert feed.send({"action": "ping", "timestamp": 5})
        assert json.loads(expect(feed, SocketFrame).data)["type"] == "pong"
        feed.reconnect("no ticks")
        assert expect(feed, Disconnected).reason == "no ticks"
        assert expect(feed, Connected).number == 2
        simulator.call("/sim/fault", kind="ws_drop", count=1)
        assert "lost" in expect(feed, Disconnected).reason
        assert expect(feed, Connected).number == 3


def test_wrong_key_is_refused_with_the_servers_words_and_growing_delays(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as simulator, connecting(simulator.ws, "wrong") as feed:
        refusals = [expect(feed, SocketRefused) for _ in range(4)]
        assert refusals[0].code == "AUTHENTICATION_ERROR"
        assert [round(found.retry_s, 3) for found in refusals] == [0.05, 0.1, 0.2, 0.2]
        assert not feed.send({"action": "ping"})


def test_unreachable_server_is_tried_again_with_growing_delays() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with connecting(f"ws://127.0.0.1:{port}") as feed:
        losses = [expect(feed, Disconnected) for _ in range(5)]
    assert "refused" in losses[0].reason
    assert [round(found.retry_s, 3) for found in losses] == [0.02, 0.04, 0.08, 0.16, 0.2]


def test_default_delays_are_two_four_eight_and_so_on_capped_and_slow_after_ten_failures() -> None:
    feed = FeedSocket("ws://127.0.0.1:1", API_KEY, time.monotonic_ns, lambda: None, jitter=lambda: 1.0)
    low = FeedSocket("ws://127.0.0.1:1", API_KEY, time.monotonic_ns, lambda: None, jitter=lambda: 0.0)
    delays = []
    for feed.failures in range(1, 13):
        low.failures = feed.failures
        delays.append(feed.retry_delay_s())
        assert low.retry_delay_s() == 0.75 * delays[-1]
    assert delays == [2, 4, 8, 16, 32, 60, 60, 60, 60, 120, 120, 120]


def test_server_that_starts_together_with_us_is_tried_for_soon_and_that_is_no_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    rules = QUICK._replace(early_s=0.5, early_delay_s=0.1)
    with connecting(f"ws://127.0.0.1:{port}", rules=rules) as feed:
        losses = [expect(feed, Disconnected) for _ in range(7)]
    early = [loss for loss in losses if not loss.failures]
    assert 2 <= len(early) <= 4
    assert [round(loss.retry_s, 3) for loss in early] == [0.1, 0.13, 0.169, 0.22][: len(early)]
    assert [(loss.failures, loss.retry_s) for loss in losses[len(early) :]][:2] == [(1, 0.02), (2, 0.04)]


def test_early_tries_are_those_before_the_first_connection(tmp_path: Path) -> None:
    rules = QUICK._replace(early_s=0.5, early_delay_s=0.1)
    with start_simulator(tmp_path) as simulator, connecting(simulator.ws, rules=rules) as feed:
        expect(feed, Connected)
        simulator.call("/sim/fault", kind="ws_drop", count=1)
        loss = expect(feed, Disconnected)
        assert (loss.failures, round(loss.retry_s, 2)) == (1, QUICK.first_delay_s)


def test_attempts_that_keep_failing_are_given_up_and_go_on_slowly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    rules = QUICK._replace(most_tries=3, slow_delay_s=0.3)
    with connecting(f"ws://127.0.0.1:{port}", rules=rules) as feed:
        losses = [expect(feed, Disconnected) for _ in range(4)]
    assert [(loss.failures, loss.gave_up) for loss in losses] == [(1, False), (2, False), (3, True), (4, True)]
    assert [round(loss.retry_s, 2) for loss in losses] == [0.02, 0.04, 0.3, 0.3]


def test_connection_that_had_lasted_and_is_dropped_on_purpose_is_made_anew_at_once(tmp_path: Path) -> None:
    rules = QUICK._replace(steady_after_s=0.0, first_delay_s=9.0)
    with start_simulator(tmp_path) as simulator, connecting(simulator.ws, rules=rules) as feed:
        expect(feed, Connected)
        feed.reconnect("it is mute")
        loss = expect(feed, Disconnected)
        assert (loss.retry_s, loss.failures) == (0.0, 0)
        expect(feed, Connected)
        simulator.call("/sim/fault", kind="ws_drop", count=1)
        assert expect(feed, Disconnected).retry_s == QUICK.longest_delay_s


def test_server_that_never_answers_authentication_is_left() -> None:
    def behave(server: BareServer, connection: socket.socket) -> None:
        server.over.wait(10)
        connection.close()

    with bare(behave) as server, connecting(server.url) as feed:
        assert "no answer to authenticate" in expect(feed, Disconnected).reason


def test_oversized_message_drops_the_connection_before_it_takes_memory() -> None:
    def behave(server: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED + b"\x81\x7f" + (1 << 40).to_bytes(8) + bytes(3000))
        server.over.wait(10)
        connection.close()

    with bare(behave) as server, connecting(server.url, rules=QUICK._replace(max_message=2000)) as feed:
        expect(feed, Connected)
        assert expect(feed, Disconnected).reason == "a message of more than 2000 bytes"


def test_endless_fragments_drop_the_connection() -> None:
    def behave(server: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED + frame(b"x" * 100, final=False))
        for _ in range(50):
            connection.sendall(frame(b"x" * 100, opcode=0, final=False))
        server.over.wait(10)
        connection.close()

    with bare(behave) as server, connecting(server.url, rules=QUICK._replace(max_message=2000)) as feed:
        expect(feed, Connected)
        assert "more than 2000 bytes" in expect(feed, Disconnected).reason


def test_fragmented_message_arrives_whole_and_bad_utf8_is_passed_on() -> None:
    def behave(server: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED + frame(b"one ", final=False) + frame(b"two", opcode=0) + frame(b"\xff\xfe"))
        server.over.wait(10)
        connection.close()

    with bare(behave) as server, connecting(server.url) as feed:
        expect(feed, Connected)
        assert expect(feed, SocketFrame).data == b"one two"
        assert expect(feed, SocketFrame).data == b"\xff\xfe"


def test_nonsense_on_the_wire_is_a_lost_connection() -> None:
    def behave(_: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED + b"\xf7\x00 what is this")
        connection.close()

    with bare(behave) as server, connecting(server.url) as feed:
        assert expect(feed, Connected).number == 1
        assert expect(feed, Disconnected).failures == 1
        assert expect(feed, Connected).number == 2


def test_close_code_of_the_server_is_reported() -> None:
    def behave(_: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED + frame((4401).to_bytes(2) + b"auth timeout", opcode=8))
        connection.recv(100)
        connection.close()

    with bare(behave) as server, connecting(server.url) as feed:
        expect(feed, Connected)
        assert expect(feed, Disconnected).reason == "closed by the server: 4401 auth timeout"


def test_silent_server_is_asked_and_then_left() -> None:
    asked: list[bytes] = []

    def behave(_: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED)
        while data := connection.recv(1000):
            asked.append(data)

    rules = QUICK._replace(ping_after_s=0.5, silent_after_s=2.0)
    with bare(behave) as server, connecting(server.url, rules=rules) as feed:
        expect(feed, Connected)
        assert expect(feed, Disconnected).reason == "nothing received for 2 s"
        assert asked


def test_stop_ends_the_connection_and_the_thread() -> None:
    def behave(server: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED)
        server.over.wait(10)
        connection.close()

    with bare(behave) as server, connecting(server.url) as feed:
        expect(feed, Connected)
        feed.stop(timeout_s=30.0)
        assert feed.drain()[-1].reason == "stopped"  # type: ignore[union-attr]
        assert not feed._thread.is_alive()


# order updates


def updates_of(url: str, mode: str = "analyze") -> OrderUpdates:
    return OrderUpdates(url, API_KEY, "main", mode, time.monotonic_ns, lambda: None)


def test_order_updates_of_the_simulator_become_reports(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as simulator:
        updates = updates_of(simulator.ws)
        updates.start()
        seen: list[OrderReport] = []

        def taken() -> list[OrderReport]:
            seen.extend(updates.drain())
            return seen

        eventually(lambda: taken() is seen and updates.connected)
        _, body = simulator.place()
        eventually(lambda: [found for found in taken() if found.order.status is BrokerStatus.COMPLETE])
        assert {found.order.broker_order_id for found in seen} == {body["orderid"]}
        assert all(found.received_machine_ns > 0 for found in seen)
        updates.stop()


def test_update_that_is_malformed_doubled_or_of_another_mode_is_counted_not_passed() -> None:
    row: dict[str, Any] = {
        "type": "order_update", "mode": "analyze", "orderid": "7", "symbol": "SBIN", "exchange": "NSE",
        "action": "BUY", "quantity": 10, "order_status": "open", "filled_quantity": 0, "product": "MIS",
    }  # fmt: skip
    sent = [row, row, row | {"mode": "live"}, row | {"quantity": "x"}, row | {"order_status": "complete"}]

    def behave(server: BareServer, connection: socket.socket) -> None:
        connection.sendall(ADMITTED)
        connection.recv(1000)
        connection.sendall(frame(b'{"type":"subscribe_orders","status":"success"}') + frame(b"not json"))
        for message in sent:
            connection.sendall(frame(json.dumps(message).encode()))
        server.over.wait(10)
        connection.close()

    with bare(behave) as server:
        updates = updates_of(server.url)
        updates.start()
        seen: list[OrderReport] = []
        eventually(lambda: seen.extend(updates.drain()) or len(seen) == 2)
        assert [found.order.status for found in seen] == [BrokerStatus.OPEN, BrokerStatus.COMPLETE]
        assert (updates.connected, updates.malformed, updates.other_mode) == (True, 2, 1)
        updates.stop()


class Vanishing:
    """A connection whose socket the reader thread takes away as soon as anybody has looked at it."""

    def __init__(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self._left: list[socket.socket] = [self.ours]

    @property
    def sock(self) -> socket.socket | None:
        return self._left.pop() if self._left else None


def test_connection_that_ends_while_it_is_dropped_is_no_crash() -> None:
    """The feed's process died of it: the reader thread had taken the socket away between two looks."""
    feed = FeedSocket("ws://127.0.0.1:1", API_KEY, time.monotonic_ns, lambda: None)
    dying = Vanishing()
    feed._ws = dying  # type: ignore[assignment]
    feed.reconnect("silent")
    assert dying.peer.recv(1) == b"", "the socket that was there is shut"
    feed.reconnect("silent again")
    dying.ours.close()
    dying.peer.close()
