"""Frames that nobody of ours sends, for the tests of every socket that reads frames."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mytrading.messages.codec import MAX_FRAME, NO_HASH, encode_body, encode_frame
from mytrading.messages.market import Quote
from mytrading.runtime.host.clock import machine_now


def bad_frames(stream: str = "") -> Iterator[bytes]:
    """Malformed, truncated, oversized, of another version, and of a type that does not belong on the stream."""
    quote = encode_body(Quote("NSE:SBIN", 1, 1, 800.0))
    good = encode_frame("engine", 1, 1, NO_HASH, machine_now(), quote)
    nul = good.index(b"\0")
    yield b""
    yield b"\0"
    yield b"no header at all"
    yield good[: nul + 10]
    yield good[: nul + 1] + bytes([250]) + good[nul + 2 :]
    yield encode_frame("engine", 1, 1, NO_HASH, machine_now(), b"\xc1\xff\x00 not msgpack")
    yield encode_frame("engine", 1, 1, NO_HASH, machine_now(), quote[:-3])
    if stream != "market":
        yield good
    yield os.urandom(4096)
    yield b"\xff\xfe\0" + good[nul + 1 :]
    yield good + bytes(MAX_FRAME + 1)
