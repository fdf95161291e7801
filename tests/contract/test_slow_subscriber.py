"""A reader of `market` that stops reading: the feed goes on, nothing grows without bound, and the loss is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import psutil
import pytest
import zmq

from mytrading.messages.market import Quote
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber
from tests.kit.feed_process import runtime_folder
from tests.kit.waiting import eventually

HIGH_WATER_MARK = 1000
BURST = 60_000
BATCH = 500
"""Fewer than the mark: who reads each batch before the next loses nothing."""
READER = """
import sys
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber
reader = ZMQSubscriber("market", [sys.argv[1]], high_water_mark=int(sys.argv[2]))
read = 0
while True:
    reader.socket.poll(1000)
    while reader.receive() is not None:
        read += 1
        if read % 100 == 0:
            print(read, reader.gaps, flush=True)
"""


class Reader:
    """A process that reads; a thread takes what it prints, so that nobody waits for a line that does not come."""

    def __init__(self, endpoint: str) -> None:
        command = [sys.executable, "-c", READER, endpoint, str(HIGH_WATER_MARK)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.read = 0
        self.gaps = 0
        self._thread = Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.read, self.gaps = (int(word) for word in line.split())

    def stall(self) -> None:
        """Stop the reader; on return it has stopped."""
        os.kill(self.process.pid, signal.SIGSTOP)
        eventually(lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    def close(self) -> None:
        """End the process, and with it the thread."""
        self.process.kill()
        self.process.wait()
        self._thread.join()


@pytest.fixture
def endpoint() -> Iterator[str]:
    with runtime_folder() as folder:
        yield f"ipc://{folder}/market"


@pytest.fixture
def reader(endpoint: str) -> Iterator[Reader]:
    made = Reader(endpoint)
    try:
        yield made
    finally:
        made.close()


def quote(number: int) -> Quote:
    return Quote("NSE:SBIN", number, machine_now(), 985.0 + number % 10, 984.95, 985.05, volume=number)


def _drain(subscriber: ZMQSubscriber) -> int:
    count = 0
    while subscriber.receive() is not None:
        count += 1
    return count


def send(publisher: ZMQPublisher, count: int) -> list[int]:
    """Publish so many quotes; returns the nanoseconds that each took."""
    took = []
    for number in range(count):
        began = machine_now()
        publisher.send("NSE:SBIN", quote(number))
        took.append(machine_now() - began)
    return took


LAST = quote(-1)
"""After this one has arrived nothing of before is under way."""


def both_read(publisher: ZMQPublisher, lively: ZMQSubscriber, reader: Reader) -> None:
    """Publish until both have something: what is sent before a subscription has arrived goes to nobody."""

    def is_so() -> bool:
        send(publisher, 100)
        return _drain(lively) > 0 and reader.read > 0

    eventually(is_so, 30)
    publisher.send("NSE:SBIN", LAST)
    eventually(lambda: LAST in (frame.message for frame in iter(lively.receive, None)))


def drained(lively: ZMQSubscriber, count: int) -> None:
    """Wait until a reader has so many more."""
    total = [0]

    def all_of_them() -> bool:
        total[0] += _drain(lively)
        return total[0] >= count

    eventually(all_of_them)


@pytest.mark.slow
def test_stalled_reader_neither_blocks_the_publisher_nor_grows_it_and_learns_of_the_gap(
    endpoint: str, reader: Reader, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    publisher = ZMQPublisher(endpoint, HIGH_WATER_MARK, context)
    lively = ZMQSubscriber("market", [endpoint], high_water_mark=BURST * 2, context=context)
    both_read(publisher, lively, reader)
    reader.stall()
    before = psutil.Process().memory_info().rss
    took: list[int] = []
    while len(took) < BURST:
        took += send(publisher, BATCH)
        drained(lively, BATCH)
    grown = psutil.Process().memory_info().rss - before
    os.kill(reader.process.pid, signal.SIGCONT)
    assert sorted(took)[BURST * 99 // 100] < 1_000_000_000, "a pause of the machine is not the publisher's"
    assert grown < 32 << 20

    def gap_is_seen() -> bool:
        send(publisher, 100)
        return reader.gaps > BURST // 2

    eventually(gap_is_seen, 20)
    publisher.close()
    lively.close()


def test_reader_that_keeps_up_loses_nothing_while_another_is_stalled(
    endpoint: str, reader: Reader, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    publisher = ZMQPublisher(endpoint, HIGH_WATER_MARK, context)
    lively = ZMQSubscriber("market", [endpoint], high_water_mark=HIGH_WATER_MARK, context=context)
    both_read(publisher, lively, reader)
    lost = lively.gaps
    reader.stall()
    for _ in range(20):
        send(publisher, 200)
        drained(lively, 200)
    assert lively.gaps == lost
    publisher.close()
    lively.close()
