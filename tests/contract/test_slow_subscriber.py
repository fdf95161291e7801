"""A reader of `market` that stops reading: the feed goes on, nothing grows without bound, and the loss is counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
import zmq

from mytrading.messages.market import Quote
from mytrading.runtime.clock import machine_now
from mytrading.runtime.streams import ZMQPublisher, ZMQSubscriber
from tests.feed_support import runtime_folder
from tests.support import eventually

HIGH_WATER_MARK = 1000
BURST = 60_000
READER = """
import sys
from mytrading.runtime.streams import ZMQSubscriber
reader = ZMQSubscriber("market", [sys.argv[1]], high_water_mark=int(sys.argv[2]))
read = 0
print("up", flush=True)
while True:
    reader.socket.poll(1000)
    while reader.receive() is not None:
        read += 1
        if read % 100 == 0:
            print(read, reader.gaps, flush=True)
"""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with runtime_folder() as folder:
        yield f"ipc://{folder}/market"


@pytest.fixture
def reader(endpoint: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", READER, endpoint, str(HIGH_WATER_MARK)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def quote(number: int) -> Quote:
    return Quote("NSE:SBIN", number, machine_now(), 985.0 + number % 10, 984.95, 985.05, volume=number)


def counts(process: subprocess.Popen[str]) -> tuple[int, int]:
    assert process.stdout is not None
    read, gaps = process.stdout.readline().split()
    return int(read), int(gaps)


def test_stalled_reader_neither_blocks_the_publisher_nor_grows_it_and_learns_of_the_gap(
    endpoint: str, reader: subprocess.Popen[str], context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    publisher = ZMQPublisher(endpoint, HIGH_WATER_MARK, context)
    lively = ZMQSubscriber("market", [endpoint], high_water_mark=BURST * 2, context=context)
    assert reader.stdout is not None and reader.stdout.readline() == "up\n"
    sent = 0
    while sent < 500 or lively.receive() is None:
        publisher.send("NSE:SBIN", quote(sent))
        sent += 1
    counts(reader)
    os.kill(reader.pid, signal.SIGSTOP)
    eventually(lambda: psutil.Process(reader.pid).status() == psutil.STATUS_STOPPED)
    before = psutil.Process().memory_info().rss
    took = []
    received = [0]
    for number in range(BURST):
        began = machine_now()
        publisher.send("NSE:SBIN", quote(number))
        took.append(machine_now() - began)
        received.append(_drain(lively))
    grown = psutil.Process().memory_info().rss - before
    os.kill(reader.pid, signal.SIGCONT)
    assert sorted(took)[BURST * 99 // 100] < 1_000_000_000, "a pause of the machine is not the publisher's"
    assert grown < 32 << 20

    def half_arrived() -> bool:
        received.append(_drain(lively))
        return sum(received) > BURST // 2

    eventually(half_arrived, 5)

    def gap_is_seen() -> bool:
        for number in range(100):
            publisher.send("NSE:SBIN", quote(number))
        return counts(reader)[1] > BURST // 2

    eventually(gap_is_seen, 20)
    publisher.close()
    lively.close()


def _drain(subscriber: ZMQSubscriber) -> int:
    count = 0
    while subscriber.receive() is not None:
        count += 1
    return count


def test_reader_that_keeps_up_loses_nothing_while_another_is_stalled(
    endpoint: str, reader: subprocess.Popen[str], context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    publisher = ZMQPublisher(endpoint, HIGH_WATER_MARK, context)
    lively = ZMQSubscriber("market", [endpoint], high_water_mark=HIGH_WATER_MARK, context=context)
    assert reader.stdout is not None and reader.stdout.readline() == "up\n"

    def both_connected() -> bool:
        publisher.send("NSE:SBIN", quote(0))
        return _drain(lively) > 0

    eventually(both_connected)
    os.kill(reader.pid, signal.SIGSTOP)
    for number in range(20):
        for step in range(200):
            publisher.send("NSE:SBIN", quote(number * 200 + step))
        total = [0]

        def all_of_the_batch(total: list[int] = total) -> bool:
            total[0] += _drain(lively)
            return total[0] >= 200

        eventually(all_of_the_batch)
    assert lively.gaps == 0
    publisher.close()
    lively.close()
