"""Frames of every stream survive the wire, and nothing that comes over it breaks a reader."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.messages.codec import MAX_FRAME, FrameError, Header, StreamDecoder, encode_body, encode_frame
from mytrading.messages.streams import SCHEMA_VERSION, STREAMS, unions
from tests.golden.make import example
from tests.kit.hypothesis_budget import examples

topics = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
counts = st.integers(min_value=0, max_value=2**31)


@pytest.mark.parametrize("stream", sorted(STREAMS))
@settings(max_examples=examples(15), deadline=None)
@given(topic=topics, epoch=counts, sequence=counts, row_hash=st.binary(min_size=8, max_size=8), sent=counts)
def test_frame_round_trips(stream: str, topic: str, epoch: int, sequence: int, row_hash: bytes, sent: int) -> None:
    for kind in get_args(unions()[stream]) or (unions()[stream],):
        message = example(kind)
        frame = StreamDecoder(stream).decode_frame(
            encode_frame(topic, epoch, sequence, row_hash, sent, encode_body(message))
        )
        assert frame.topic == topic
        assert frame.header == Header(SCHEMA_VERSION, epoch, sequence, row_hash, sent)
        assert frame.message == message


@pytest.mark.parametrize("stream", sorted(STREAMS))
@settings(max_examples=examples(25), deadline=None)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_a_frame_error(stream: str, data: bytes) -> None:
    with pytest.raises(FrameError):
        StreamDecoder(stream).decode_frame(data + b"\xc1")


@settings(max_examples=examples(80), deadline=None)
@given(data=st.data(), stream=st.sampled_from(sorted(STREAMS)))
def test_damaged_frame_decodes_or_raises_a_frame_error(data: st.DataObject, stream: str) -> None:
    kind = data.draw(st.sampled_from(get_args(unions()[stream]) or (unions()[stream],)))
    whole = bytearray(encode_frame("topic", 1, 2, bytes(8), 3, encode_body(example(kind))))
    place = data.draw(st.integers(min_value=0, max_value=len(whole) - 1))
    whole[place] ^= data.draw(st.integers(min_value=1, max_value=255))
    cut = data.draw(st.integers(min_value=0, max_value=len(whole)))
    try:
        frame = StreamDecoder(stream).decode_frame(bytes(whole[:cut]))
    except FrameError as error:
        assert error.kind in ("malformed", "truncated", "version", "oversized")
    else:
        assert frame.message is not None


def test_other_version_is_refused_by_name() -> None:
    frame = bytearray(encode_frame("t", 1, 2, bytes(8), 3, b""))
    frame[2] = SCHEMA_VERSION + 1
    with pytest.raises(FrameError, match="version"):
        StreamDecoder("orders").decode_frame(bytes(frame))


def test_oversized_frame_is_refused_unread() -> None:
    with pytest.raises(FrameError, match="oversized"):
        StreamDecoder("orders").decode_frame(bytes(MAX_FRAME + 1))
