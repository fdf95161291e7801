"""One WebSocket to an OpenAlgo server: connect, authenticate, hand over raw frames, come back after a loss.

A thread of its own reads; the poll loop empties `events` when `wake` rang. The reader thread only enqueues, because the
server waits for its slowest client and one that does not read stalls all others.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple

import msgspec
from websocket import ABNF, WebSocket, WebSocketException, WebSocketTimeoutException

from mytrading.core.time import SECOND
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.text import shown


class Connected(NamedTuple):
    """Authenticated: subscribe now. `number` counts connections from 1; nothing is subscribed on a new one."""

    number: int
    machine_ns: int
    broker: str


class SocketFrame(NamedTuple):
    """A message of the server, unparsed, and the machine time at which it was read."""

    data: bytes
    received_ns: int


class Disconnected(NamedTuple):
    """No connection; the next attempt is in `retry_s`. `gave_up` is true from the last quick one in a row on."""

    reason: str
    machine_ns: int
    retry_s: float
    failures: int = 0
    gave_up: bool = False


class SocketRefused(NamedTuple):
    """The server answered and did not let us in (`code` AUTHENTICATION_ERROR: the key, or no broker session)."""

    code: str
    message: str
    machine_ns: int
    retry_s: float


SocketEvent = Connected | SocketFrame | Disconnected | SocketRefused


class SocketRules(NamedTuple):
    """Machine seconds and bytes. A server was seen to freeze for 10 s, so silence counts only after 30.

    Attempts follow a loss after `first_delay_s`, then twice as long each time up to `longest_delay_s`; from the
    `most_tries`-th failure in a row on (0: never) after `slow_delay_s`. A connection that had lasted and is dropped on
    purpose is rebuilt at once. A server that starts together with us is not there yet: attempts that fail within
    `early_s` and before the first connection are repeated sooner, after `early_delay_s` and a third longer each time,
    and count as no failures.
    """

    connect_s: float = 5.0
    authenticate_s: float = 10.0
    ping_after_s: float = 10.0
    silent_after_s: float = 30.0
    steady_after_s: float = 10.0
    early_s: float = 6.0
    early_delay_s: float = 0.1
    first_delay_s: float = 2.0
    refused_delay_s: float = 2.0
    longest_delay_s: float = 60.0
    most_tries: int = 10
    slow_delay_s: float = 120.0
    max_message: int = 4 << 20


class _SocketReply(msgspec.Struct):
    type: str = ""
    status: str = ""
    code: str = ""
    message: Any = ""
    broker: str = ""


class _Lost(Exception):
    """The connection is of no more use; the text says why."""


class _NotAdmitted(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


_RULES = SocketRules()
_BROKEN = (WebSocketException, OSError, ValueError, _Lost)
_DRIPPED_S = 15.0
"""Beyond the limit of silence: by then the reader thread itself would have ended it, unless a message keeps it."""
_PLAIN = frozenset({0x80 | ABNF.OPCODE_TEXT, 0x80 | ABNF.OPCODE_BINARY})
"""First bytes of a frame that is a whole message, neither control nor compressed (RFC 6455, 5.2)."""
_TWO_BYTES = 126
"""A length that says that the length stands in the next two bytes."""
_PING = msgspec.json.encode({"action": "ping"})


class _Gulps:
    """Reads the TCP socket in large pieces and refuses a message that grows beyond `most` bytes."""

    def __init__(self, receive: Callable[[int], bytes], most: int) -> None:
        self._receive = receive
        self._most = most
        self._held = b""
        self._at = 0
        self.taken = 0
        """Bytes of the message that is not complete yet."""

    def __call__(self, size: int) -> bytes:
        if self._at == len(self._held):
            self._held = self._receive(65_536)
            self._at = 0
        piece = self._held[self._at : self._at + size]
        self._at += len(piece)
        self.taken += len(piece)
        if self.taken > self._most:
            raise _Lost(f"a message of more than {self._most} bytes")
        return piece

    def whole(self) -> bytes | None:
        """The next message if it is one plain frame that is all here, as quotes are; else None, with nothing taken."""
        if self._at == len(self._held):
            self._held = self._receive(65_536)
            self._at = 0
        held, at = self._held, self._at
        if len(held) < at + 2 or held[at] not in _PLAIN:
            return None
        length, begin = held[at + 1], at + 2
        if length == _TWO_BYTES:
            length, begin = int.from_bytes(held[begin : begin + 2], "big"), begin + 2
        elif length > _TWO_BYTES:  # longer still, or masked, which a server must not
            return None
        end = begin + length
        if end > len(held) or end - at > self._most:
            return None
        self._at, self.taken = end, 0
        return held[begin:end]


class FeedSocket:
    """The connection and its reader thread. `start` once, `stop` once; `send` and `reconnect` from one other thread.

    `frames`, `connections` and `failures` are counts for the heartbeat. `wake` is called after every event and must
    be safe from any thread.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        machine_now: Callable[[], int],
        wake: Callable[[], None],
        name: str = "feed-socket",
        rules: SocketRules = _RULES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.events: SimpleQueue[SocketEvent] = SimpleQueue()
        self.frames = self.connections = self.failures = 0
        self.connected = False
        self._early = self._started = self._received_ns = 0
        self._url, self._api_key = url, api_key
        self._now, self._wake, self._rules, self._jitter = machine_now, wake, rules, jitter
        self._ws: WebSocket | None = None
        self._gulps: _Gulps | None = None
        self._midway = False
        self._drop_reason = ""
        self._on_purpose = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the reader thread, which connects, and reconnects until `stop`."""
        self._started = self._now()
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Close the connection and wait at most `timeout_s` for the reader thread to end."""
        self._stopping.set()
        self._break("stopped")
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def send(self, message: Mapping[str, Any]) -> bool:
        """Send one JSON message; False if there is no connection or it just broke."""
        if (ws := self._ws) is None or not self.connected:
            return False
        try:
            ws.send(msgspec.json.encode(message))
        except _BROKEN as error:
            self._break(f"sending failed: {error}")
            return False
        return True

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one, for a `reason` that is logged."""
        self._on_purpose = True
        self._break(reason)

    def drop_if_stalled(self, machine_ns: int) -> None:
        """Drop a connection on which no whole message has come for too long; to be called once a second."""
        limit = self._rules.silent_after_s + _DRIPPED_S
        if self.connected and machine_ns - self._received_ns > limit * SECOND:
            self._break(f"no whole message for {limit:g} s")

    def retry_delay_s(self, refused: bool = False) -> float:
        """Return the jittered back-off in seconds before the next connection attempt; `refused`: the server refused the
        last one, which sets a first delay of its own."""
        rules = self._rules
        if not self.failures:
            early = self._early if not self.connections else 0
            return rules.early_delay_s * 1.3 ** (early - 1) * (0.75 + 0.25 * self._jitter()) if early else 0.0
        first = rules.refused_delay_s if refused else rules.first_delay_s
        grown = min(rules.longest_delay_s, first * 2.0 ** min(self.failures - 1, 20))
        if self._gave_up:
            grown = max(grown, rules.slow_delay_s)
        return grown * (0.75 + 0.25 * self._jitter())

    @property
    def _gave_up(self) -> bool:
        return 0 < self._rules.most_tries <= self.failures

    def drain(self, limit: int = 10_000) -> list[SocketEvent]:
        """Remove and return the queued events, oldest first, at most `limit`."""
        return [self.events.get_nowait() for _ in range(min(limit, self.events.qsize()))]

    def _break(self, reason: str) -> None:
        ws = self._ws
        sock = ws.sock if ws is not None else None  # looked at once: the reader thread may take it away meanwhile
        if sock is not None:
            self._drop_reason = self._drop_reason or reason
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _put(self, event: SocketEvent) -> None:
        self.events.put(event)
        self._wake()

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = self._now()
            try:
                self._live()
            except _NotAdmitted as refusal:
                self._settle(began, refused=True)
                delay = self.retry_delay_s(refused=True)
                self._put(SocketRefused(refusal.code, refusal.message, self._now(), delay))
            except Exception as error:  # noqa: BLE001 - whatever a server sends, this thread goes on
                self._settle(began)
                delay = self.retry_delay_s()
                reason = self._drop_reason or str(error) or type(error).__name__
                self._put(Disconnected(reason, self._now(), delay, self.failures, self._gave_up))
            self._stopping.wait(delay)

    def _live(self) -> None:
        """Connect, authenticate and read until the connection ends, which is always an exception."""
        self._drop_reason, self._on_purpose = "", False
        limit = self._rules.connect_s + self._rules.authenticate_s
        late = threading.Timer(limit, self._break, (f"no handshake and admission within {limit:g} s",))
        late.daemon = True
        late.start()
        try:
            ws = self._open()
            broker = self._authenticate(ws)
        finally:
            late.cancel()
        self.connections += 1
        self._received_ns = self._now()
        self.connected = True
        self._put(Connected(self.connections, self._now(), broker))
        self._pump(ws)

    def _settle(self, began: int, refused: bool = False) -> None:
        """Close what is left; a connection that had lasted makes the next attempts quick again."""
        steady = self.connected and self._now() - began > self._rules.steady_after_s * SECOND
        if not self.connections and not refused and self._now() < self._started + self._rules.early_s * SECOND:
            self._early += 1
        else:
            self.failures = int(not self._on_purpose) if steady else self.failures + 1
        self._on_purpose = False
        self.connected = False
        ws, self._ws = self._ws, None
        if ws is not None:
            ws.shutdown()  # type: ignore[no-untyped-call]

    def _open(self) -> WebSocket:
        ws = WebSocket(
            sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)], enable_multithread=True, skip_utf8_validation=True
        )
        self._ws = ws
        ws.connect(self._url, timeout=self._rules.connect_s)  # type: ignore[no-untyped-call]
        ws.settimeout(1.0)
        self._gulps = _Gulps(ws.frame_buffer.recv, self._rules.max_message)
        ws.frame_buffer.recv = self._gulps
        self._midway = False
        return ws

    def _authenticate(self, ws: WebSocket) -> str:
        """Present the key; returns the broker's name, raises `_NotAdmitted` with the server's words."""
        ws.send(msgspec.json.encode({"action": "authenticate", "api_key": self._api_key}))
        deadline = self._now() + int(self._rules.authenticate_s * SECOND)
        while self._now() < deadline and not self._stopping.is_set():
            if (data := self._receive(ws)) is None:
                continue
            try:
                reply = msgspec.json.decode(data, type=_SocketReply)
            except UNREADABLE:
                continue
            if reply.status == "error":
                raise _NotAdmitted(shown(reply.code) or "REFUSED", shown(reply.message, 300))
            if reply.type == "auth":
                return reply.broker
        raise _Lost(f"no answer to authenticate within {self._rules.authenticate_s:g} s")

    def _pump(self, ws: WebSocket) -> None:
        pinged = self._now()
        while not self._stopping.is_set():
            data = self._receive(ws)
            now = self._now()
            if data is not None:
                self._received_ns = now
                self.frames += 1
                self._put(SocketFrame(data, now))
            elif now - self._received_ns > self._rules.silent_after_s * SECOND:
                raise _Lost(f"nothing received for {self._rules.silent_after_s:g} s")
            elif now - max(self._received_ns, pinged) > self._rules.ping_after_s * SECOND:
                pinged = now
                ws.send(_PING)
        raise _Lost("stopped")

    def _receive(self, ws: WebSocket) -> bytes | None:
        gulps = self._gulps
        assert gulps is not None, "no connection was opened"
        try:
            if not self._midway:
                whole = gulps.whole()
                if whole is not None:
                    return whole
                self._midway = True  # until the library has a message: it may hold a part of one over a time-out
            opcode, data = ws.recv_data()
        except WebSocketTimeoutException:
            return None
        self._midway = False
        gulps.taken = 0
        if opcode == ABNF.OPCODE_CLOSE:
            code = f": {int.from_bytes(data[:2], 'big')} {data[2:].decode(errors='replace')}" if len(data) >= 2 else ""
            raise _Lost(f"closed by the server{code}".rstrip())
        return bytes(data)
