"""Sockets of the streams over real ipc: topics, gaps, and what is no gap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from mytrading.messages.codec import Frame
from mytrading.messages.market import Quote
from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber
from tests.kit.feed_process import runtime_folder
from tests.kit.waiting import eventually

Pair = tuple[ZMQPublisher, ZMQSubscriber]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with runtime_folder() as folder:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        publisher = ZMQPublisher(f"ipc://{folder}/market", context=context)
        subscriber = ZMQSubscriber("market", [publisher.endpoint], ("NSE:NIFTY", "NSE:SBIN"), context=context)
        yield publisher, subscriber
        context.destroy(linger=0)


def quote(instrument: str, number: int = 1) -> Quote:
    return Quote(instrument, number, number, 800.0)


def reach(pair: Pair, instrument: str) -> Frame:
    """Publish until it arrives."""
    publisher, subscriber = pair

    def arrived() -> Frame | None:
        publisher.send(instrument, quote(instrument))
        return subscriber.receive()

    return eventually(arrived)


def drain(subscriber: ZMQSubscriber) -> list[Frame]:
    frames = []
    while (frame := subscriber.receive()) is not None:
        frames.append(frame)
    return frames


def test_topic_does_not_match_a_longer_one(pair: Pair) -> None:
    publisher, subscriber = pair
    reach(pair, "NSE:NIFTY")
    publisher.send("NSE:NIFTYNXT50", quote("NSE:NIFTYNXT50"))
    publisher.send("NSE:NIFTY", quote("NSE:NIFTY", 7))
    last = eventually(lambda: [frame for frame in drain(subscriber) if frame.message.market_ns == 7])
    assert {frame.topic for frame in last} == {"NSE:NIFTY"}


def test_reader_that_is_served_first_gets_its_own_topics_only() -> None:
    with runtime_folder() as folder:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        publisher = ZMQPublisher(f"ipc://{folder}/market", context=context)
        subscriber = ZMQSubscriber("market", [publisher.endpoint], ("NSE:NIFTY",), context=context, first=True)
        reach((publisher, subscriber), "NSE:NIFTY")
        publisher.send("NSE:NIFTYNXT50", quote("NSE:NIFTYNXT50"))
        publisher.send("NSE:NIFTY", quote("NSE:NIFTY", 7))
        found: list[Frame] = []
        eventually(lambda: found.extend(drain(subscriber)) or any(frame.message.market_ns == 7 for frame in found))
        assert {frame.topic for frame in found} == {"NSE:NIFTY"}
        subscriber.unsubscribe("NSE:NIFTY")
        subscriber.subscribe("NSE:NIFTYNXT50")
        assert reach((publisher, subscriber), "NSE:NIFTYNXT50").topic == "NSE:NIFTYNXT50"
        context.destroy(linger=0)


def test_messages_that_were_lost_are_counted(pair: Pair) -> None:
    publisher, subscriber = pair
    reach(pair, "NSE:SBIN")
    drain(subscriber)
    publisher._sequences["NSE:SBIN"] += 5
    publisher.send("NSE:SBIN", quote("NSE:SBIN", 9))
    eventually(lambda: [frame for frame in drain(subscriber) if frame.message.market_ns == 9])
    assert subscriber.gaps == 5


def test_what_went_by_while_a_topic_was_not_wanted_is_no_gap(pair: Pair) -> None:
    publisher, subscriber = pair
    reach(pair, "NSE:SBIN")
    subscriber.unsubscribe("NSE:SBIN")
    for _ in range(50):
        publisher.send("NSE:SBIN", quote("NSE:SBIN"))
        reach(pair, "NSE:NIFTY")
    drain(subscriber)
    subscriber.subscribe("NSE:SBIN")
    reach(pair, "NSE:SBIN")
    assert subscriber.gaps == 0
