"""Messages of the market socket, however the network cuts them up: each comes once, whole and in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from websocket import ABNF, WebSocket, WebSocketTimeoutException

from mytrading.adapters.openalgo.ws.connection import FeedSocket, SocketRules, _Gulps, _Lost


def frame(data: bytes, opcode: int = ABNF.OPCODE_TEXT, fin: int = 1) -> bytes:
    """As a server sends it, without a mask."""
    return bytes(ABNF(fin, 0, 0, 0, opcode, 0, data).format())


class Cut:
    """A reader whose network brings these pieces; between two of them, where one is empty, it times out."""

    def __init__(self, *pieces: bytes, most: int = 1 << 20) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self.socket = FeedSocket(
            "ws://127.0.0.1:9", "key", lambda: 0, lambda: None, rules=SocketRules(max_message=most)
        )
        self.ws: Any = WebSocket(enable_multithread=True, skip_utf8_validation=True)
        self.socket._gulps = self.ws.frame_buffer.recv = _Gulps(self._bring, most)
        self.pongs: list[bytes] = []
        self.ws.pong = self.pongs.append
        self.ws.send_close = lambda: None

    def _bring(self, _size: int) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            raise WebSocketTimeoutException("nothing came")
        return piece

    def messages(self, count: int) -> list[bytes]:
        """The next so many; with more time-outs between them than there are pieces they never come."""
        found = []
        for _ in range(50):
            data = self.socket._receive(self.ws)
            if data is not None:
                found.append(data)
            if len(found) == count:
                return found
        raise AssertionError(f"only {found} came")


QUOTE, LONG = b'{"type": "market_data"}', bytes(range(256))
STREAM = frame(QUOTE) + frame(LONG, ABNF.OPCODE_BINARY) + frame(b"ping", ABNF.OPCODE_PING) + frame(b"") + frame(QUOTE)
SAID = [QUOTE, LONG, b"", QUOTE]


@pytest.mark.parametrize("waits", [False, True])
def test_stream_that_is_cut_anywhere_gives_the_same_messages(waits: bool) -> None:
    for at in range(1, len(STREAM)):
        cut = Cut(STREAM[:at], *([b""] if waits else []), STREAM[at:])
        assert cut.messages(len(SAID)) == SAID, at
        assert cut.pongs == [b"ping"]


def test_message_in_several_frames_and_one_of_many_bytes_are_whole() -> None:
    parts = frame(b"first ", fin=0) + frame(b"second", ABNF.OPCODE_CONT)
    huge = bytes(70_000)
    stream = parts + frame(QUOTE) + frame(huge) + frame(QUOTE)
    pieces = [stream[at : at + 30_000] for at in range(0, len(stream), 30_000)]
    assert Cut(*pieces).messages(4) == [b"first second", QUOTE, huge, QUOTE]


def test_end_of_the_connection_and_a_message_beyond_the_most_are_losses_at_the_same_place() -> None:
    closing = Cut(frame(QUOTE) + frame(b"\x03\xe8bye", ABNF.OPCODE_CLOSE))
    assert closing.messages(1) == [QUOTE]
    with pytest.raises(_Lost, match="1000 bye"):
        closing.messages(1)
    large = Cut(frame(QUOTE) + frame(LONG), most=100)
    assert large.messages(1) == [QUOTE]
    with pytest.raises(_Lost, match="more than 100 bytes"):
        large.messages(1)
