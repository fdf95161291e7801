"""Garbage at the reading end of each fan-out stream: counted, with a sample, and what comes after it is read."""

from __future__ import annotations

import pytest
import zmq

from mytrading.messages.streams import STREAMS, Pattern
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber
from tests.kit.bad_frames import bad_frames
from tests.kit.feed_process import runtime_folder
from tests.kit.waiting import eventually

FAN_OUT = [name for name, stream in STREAMS.items() if stream.pattern is Pattern.FAN_OUT]


@pytest.mark.parametrize("stream", FAN_OUT)
def test_bad_frames_of_a_fan_out_stream_are_counted_and_none_is_handed_on(
    stream: str, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    frames = list(bad_frames(stream))
    with runtime_folder() as folder:
        publisher = context.socket(zmq.PUB)
        publisher.set(zmq.SNDHWM, 1000)
        publisher.bind(f"ipc://{folder}/{stream}")
        subscriber = ZMQSubscriber(stream, [f"ipc://{folder}/{stream}"], context=context)

        def joined() -> bool:
            publisher.send(b"hello")
            return subscriber.receive() is None and subscriber.bad.count > 0

        eventually(joined)
        eventually(lambda: subscriber.receive() is None and not subscriber.socket.poll(100))
        before = subscriber.bad.count
        for frame in frames:
            publisher.send(frame)
        eventually(lambda: subscriber.receive() is None and subscriber.bad.count >= before + len(frames))
        assert subscriber.bad.count == before + len(frames)
