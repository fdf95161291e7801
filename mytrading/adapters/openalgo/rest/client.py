"""REST calls to an OpenAlgo server over one keep-alive connection.

It sends and returns bytes: what an answer means is decided elsewhere. It never repeats a request, and every failure
says whether the request may have reached the server.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from mytrading.core.time import SECOND

CONNECT_S = 5.0
SEND_S = 2.0
"""An idle connection takes a request of some 500 bytes at once; one that does not is broken."""
_BUFFER = 65_536
MAX_BODY = 64 << 20
"""Bytes; a whole exchange's instruments are some 30 MB."""


class Deadline(Enum):
    """Seconds in which an answer must come: order calls were seen to take 12 s, instruments are large."""

    ORDER = 30.0
    DATA = 5.0
    BOOK = 10.0
    BULK = 60.0


SECONDS: Mapping[Deadline, float] = {deadline: deadline.value for deadline in Deadline}


class TransportFailed(Exception):
    """No complete answer came. `began_ns` and `ended_ns` are machine time."""

    def __init__(self, detail: str, began_ns: int, ended_ns: int) -> None:
        super().__init__(detail)
        self.began_ns, self.ended_ns = began_ns, ended_ns


class NotSent(TransportFailed):
    """Not one byte of the request left: refused connection, unknown host, connect time-out."""


class MaybeSent(TransportFailed):
    """A part of the request was written; its effect is unknown."""


class HttpReply(NamedTuple):
    """A complete answer. Times are machine ns around it; `retry_after_ns` is its Retry-After header, 0 without one."""

    status: int
    body: bytes
    began_ns: int
    ended_ns: int
    retry_after_ns: int = 0


class Started(NamedTuple):
    """A request that was handed to the connection; `error` if that failed half-way. `finish` reads its answer."""

    method: str
    seconds: float
    began_ns: int
    error: OSError | None = None


class _ReplyReader(io.RawIOBase):
    """Bytes of an answer until `until` (machine ns): no read of it, be it of the head, waits beyond that."""

    def __init__(self, connection: socket.socket, until: int, now: Callable[[], int]) -> None:
        self._connection, self._until, self._now = connection, until, now

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - self._now()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left / 1e9)
        return self._connection.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader of the bytes; `http.client` calls this of a socket."""
        return io.BufferedReader(self, _BUFFER)


class BadServerUrl(ValueError):
    """The server's address cannot be used; the message says what one looks like."""


class OpenAlgoClient:
    """One connection to one server. Not thread-safe: every thread makes its own.

    `machine_now` gives machine time in ns. `opened` counts TCP connections. Budget of a call beside the server: within
    1.3 times a bare `http.client` round trip.
    """

    def __init__(
        self, rest_url: str, api_key: str, machine_now: Callable[[], int], deadlines: Mapping[Deadline, float] = SECONDS
    ) -> None:
        parts = urlsplit(rest_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadServerUrl(f"server address {rest_url!r}: expected http://host:port, say http://127.0.0.1:5000")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._secure else 80)
        self.opened = 0
        self._api_key, self._now, self._deadlines = api_key, machine_now, deadlines
        self._path = f"{parts.path.rstrip('/')}/api/v1/"
        authority = self._host if self._port in (80, 443) else f"{self._host}:{self._port}"
        self._post_head = (
            f" HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n"
            "Accept-Encoding: identity\r\nConnection: keep-alive\r\nContent-Length: "
        ).encode()
        self._get_head = (
            f" HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n\r\n"
        ).encode()
        self._encoder = msgspec.json.Encoder()
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        """Of the present connection."""

    def call(self, endpoint: str, payload: Mapping[str, Any], deadline: Deadline) -> HttpReply:
        """POST `payload` and API key to `/api/v1/<endpoint>`; return the answer. Raises `NotSent` or `MaybeSent`."""
        return self.finish(self.begin(endpoint, payload, deadline))

    def encode_request(self, endpoint: str, payload: Mapping[str, Any]) -> bytes:
        """Encode a POST request as bytes, for `start` of any client of the same server and key."""
        body = self._encoder.encode({"apikey": self._api_key, **payload})
        head = f"POST {self._path}{endpoint}".encode() + self._post_head
        return head + str(len(body)).encode() + b"\r\n\r\n" + body

    def start(self, request: bytes, deadline: Deadline) -> Started | None:
        """Send an encoded request, whose answer `finish` reads; returns None, with nothing sent, if no connection is
        open and idle."""
        if not self.is_reusable():
            return None
        assert self._socket is not None
        return self._send(self._socket, request, "POST", self._now(), self._deadlines[deadline])

    def begin(self, endpoint: str, payload: Mapping[str, Any], deadline: Deadline) -> Started:
        """Send a POST request, connecting if need be; `finish` must read its answer next. Raises `NotSent`."""
        return self._begin(self.encode_request(endpoint, payload), "POST", deadline)

    def is_reusable(self) -> bool:
        """True if the connection is open at both ends with no unread answer on it."""
        connection = self._socket
        if connection is None or (self._secure and isinstance(connection, ssl.SSLSocket) and connection.pending()):
            return False
        return not self._poll.poll(0)

    def get(self, endpoint: str, query: Mapping[str, str], deadline: Deadline) -> HttpReply:
        """GET `/api/v1/<endpoint>` with `query` and the API key; return the answer. Raises `NotSent` or `MaybeSent`."""
        path = f"GET {self._path}{endpoint}?{urlencode({'apikey': self._api_key, **query})}"
        return self.finish(self._begin(path.encode() + self._get_head, "GET", deadline))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self, request: bytes, method: str, deadline: Deadline) -> Started:
        began = self._now()
        seconds = self._deadlines[deadline]
        return self._send(self._connection(min(CONNECT_S, seconds), began), request, method, began, seconds)

    def _send(self, connection: socket.socket, request: bytes, method: str, began: int, seconds: float) -> Started:
        try:
            connection.settimeout(min(SEND_S, seconds))
            connection.sendall(request)
            return Started(method, seconds, began)
        except OSError as error:
            return Started(method, seconds, began, error)

    def finish(self, started: Started) -> HttpReply:
        """Wait for and return the answer to a started request. Raises `MaybeSent`, with the connection closed."""
        assert self._socket is not None
        began, seconds = started.began_ns, started.seconds
        try:
            if started.error is not None:
                raise started.error
            reader = _ReplyReader(self._socket, began + int(seconds * 1e9), self._now)
            status, body, keep, after = self._read(reader, started.method)
        except TimeoutError as error:
            self.close()
            raise MaybeSent(f"no answer within {seconds:g} s", began, self._now()) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise MaybeSent(f"connection lost: {error or type(error).__name__}", began, self._now()) from error
        ended = self._now()
        if not keep:
            self.close()
        return HttpReply(status, body, began, ended, after)

    def _connection(self, timeout_s: float, began: int) -> socket.socket:
        if self._socket is not None and not self.is_reusable():  # its end, or bytes that belong to no request of ours
            self.close()
        if self._socket is None:
            try:
                self._socket = self._open(timeout_s)
                self._poll = select.poll()
                self._poll.register(self._socket, select.POLLIN | select.POLLERR | select.POLLHUP)
            except (OSError, ValueError) as error:
                reason = "no connection in time" if isinstance(error, TimeoutError) else str(error)
                detail = f"cannot connect to {self._host}:{self._port}: {reason}; is the server running?"
                raise NotSent(detail, began, self._now()) from error
        return self._socket

    def _open(self, timeout_s: float) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.opened += 1
        if not self._secure:
            return plain
        try:
            return ssl.create_default_context().wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise

    def _read(self, reader: _ReplyReader, method: str) -> tuple[int, bytes, bool, int]:
        """Status, body, whether the connection may be used again, and Retry-After in nanoseconds."""
        response = http.client.HTTPResponse(reader, method=method)  # type: ignore[arg-type]
        try:
            response.begin()
            # A body that the end of the connection ends has to be announced.
            closes = "close" in (response.getheader("Connection") or "").lower()
            if response.version == 11 and response.length is None and not response.chunked and not closes:
                raise ValueError("the head of the answer was cut short")
            body = _body(response)
            after = _retry_after_ns(response) if response.status in (429, 503) else 0
            return response.status, body, not response.will_close, after
        finally:
            response.close()


def _body(response: http.client.HTTPResponse) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(1 << 20):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise ValueError(f"an answer of more than {MAX_BODY} bytes")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _retry_after_ns(response: http.client.HTTPResponse) -> int:
    """A date is taken against the answer's own, since the two clocks need not agree."""
    text = (response.getheader("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * SECOND
    if not text:
        return 0
    from email.utils import parsedate_to_datetime

    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(response.getheader("Date") or "")
    except (ValueError, TypeError, OverflowError):
        return 0
    return max(0, int(wait.total_seconds())) * SECOND
