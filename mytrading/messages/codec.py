"""Frames: one ZeroMQ frame per message, `topic NUL header body`.

The NUL keeps a subscription to NIFTY from matching NIFTYNXT50. A frame of another layout version is refused before its
body is decoded. A bad frame raises `FrameError` and nothing else.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from mytrading.messages.streams import SCHEMA_VERSION, unions

MAX_FRAME = 4 << 20
"""Bytes; a whole order book of a busy day stays far below."""

NO_HASH = bytes(8)
_HEADER = struct.Struct("<BIQ8sq")
_NUL = b"\0"
UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""Errors of decoding foreign bytes: another shape, no UTF-8, numbers and nesting beyond any bound."""


class FrameError(Exception):
    """A frame that is malformed, truncated, too large or of another version; `kind` says which."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Header(msgspec.Struct, frozen=True, gc=False):
    """`epoch` and `sequence` place a message in its writer's stream, `hash` is its journal row's, `sent_ns` machine."""

    version: int
    epoch: int
    sequence: int
    hash: bytes
    sent_ns: int


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A decoded frame; `body` is the message as it came, which journals keep."""

    topic: str
    header: Header
    message: Any
    body: bytes


encode_body = msgspec.msgpack.Encoder().encode
"""The message alone, as journals keep it."""


def encode_frame(topic: str, epoch: int, sequence: int, row_hash: bytes, sent_ns: int, body: bytes) -> bytes:
    """Return a frame: topic, header (`row_hash`: journal row's; `sent_ns`: machine time) and body. Budget: 1 µs."""
    return topic.encode() + _NUL + _HEADER.pack(SCHEMA_VERSION, epoch, sequence, row_hash, sent_ns) + body


def topic_prefix(topic: str) -> bytes:
    """Return the ZeroMQ prefix that subscribes to exactly this topic; an empty topic subscribes to all."""
    return topic.encode() + _NUL if topic else b""


class StreamDecoder:
    """The typed decoder of a stream; building one costs far more than decoding. A narrower `union` skips fields."""

    def __init__(self, stream: str, union: Any = None) -> None:
        self.stream = stream
        self._decode = msgspec.msgpack.Decoder(union or unions()[stream]).decode

    def decode_body(self, body: bytes) -> Any:
        """Decode a message from its encoded body; raises `FrameError`."""
        try:
            return self._decode(body)
        except UNREADABLE as error:
            raise FrameError("malformed", f"{self.stream}: {error}") from error

    def decode_frame(self, data: bytes) -> Frame:
        """Decode topic, header and message of a frame; raises `FrameError`. Budget: 2 µs beside the body."""
        if len(data) > MAX_FRAME:
            raise FrameError("oversized", f"{self.stream}: {len(data)} bytes, at most {MAX_FRAME}")
        end = data.find(_NUL) + 1
        if not end or len(data) < end + _HEADER.size:
            raise FrameError("truncated", f"{self.stream}: {len(data)} bytes without a whole header")
        version, epoch, sequence, row_hash, sent_ns = _HEADER.unpack_from(data, end)
        if version != SCHEMA_VERSION:
            raise FrameError(
                "version",
                f"{self.stream}: expected layout {SCHEMA_VERSION}, found {version}; run one version everywhere",
            )
        body = data[end + _HEADER.size :]
        try:
            topic = data[: end - 1].decode()
            message = self._decode(body)
        except UNREADABLE as error:
            raise FrameError("malformed", f"{self.stream}: {error}") from error
        return Frame(topic, Header(version, epoch, sequence, row_hash, sent_ns), message, body)
