"""How a call to an OpenAlgo server can fail on the way, and the words its error answers carry.

Raised by the client, judged by `outcomes` and by whoever reads books. Whether a request may have reached the server is
a type, because nothing else tells a safe repeat from a doubled order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mytrading.messages.codec import UNREADABLE
from mytrading.messages.text import plain, shown


class TransportFailed(Exception):
    """No complete answer came. `began_ns` and `ended_ns` are machine time."""

    def __init__(self, detail: str, began_ns: int, ended_ns: int) -> None:
        super().__init__(detail)
        self.began_ns = began_ns
        self.ended_ns = ended_ns


class NotSent(TransportFailed):
    """Not one byte of the request left: refused connection, unknown host, connect time-out."""


class MaybeSent(TransportFailed):
    """Some of the request was written; what became of it is unknown."""


class ReadFailed(Exception):
    """A read gave nothing usable. `status` is the HTTP status, 0 without an answer; `kind` says what to look at.

    Kinds: unreachable, refused (403: wrong key, or the server has no broker session), rate_limited, server, malformed.
    """

    def __init__(self, kind: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


class _ErrorBody(msgspec.Struct):
    message: Any = ""
    errors: Any = None
    error: Any = None
    code: Any = None


_decoder = msgspec.json.Decoder(_ErrorBody)
_MOST_READ = 4096


def error_text(body: bytes, status: int) -> str:
    """What an error answer says, as one line of at most 300 characters.

    `message` may be text, the Python form of a dictionary as text, or an object; some endpoints put the reasons in
    `errors`; bans and proxies answer in plain text. `error` with a `code` in words is what some front ends make of it.
    """
    try:
        return _line(_told(_decoder.decode(body))) or f"HTTP {status} without a message"
    except UNREADABLE:
        return _line(body[:_MOST_READ].decode(errors="replace")) or f"HTTP {status} without a text"


def _told(parsed: _ErrorBody) -> str:
    text = _flat(parsed.message) or _flat(parsed.error)
    if isinstance(parsed.code, str) and parsed.code:
        text = f"{text} ({parsed.code})" if text else parsed.code
    if parsed.errors:
        text = f"{text}: {_flat(parsed.errors)}" if text else _flat(parsed.errors)
    return text


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else shown(value, _MOST_READ)


def _line(text: str) -> str:
    return plain(" ".join(text[:_MOST_READ].split())[:300])
