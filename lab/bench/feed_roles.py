"""The processes beside the feed in its benchmarks: a bare client, and a reader of what the feed publishes.

`python -m lab.bench.feed_roles ROLE ARGUMENTS` is one of them. The bare client does what the limit names and nothing
else: `websocket-client` receive, `msgspec` decode.
"""

from __future__ import annotations

import json
import select
import sys

import msgspec
import zmq

from lab.bench.tick_server import FIRST
from mytrading.messages.market import Bar, Quote
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber

KEPT = 10_000
"""Times are printed one by one up to so many."""


def bare(url: str, count: str, check: str, *symbols: str) -> None:
    """Receive and decode `count` frames after the first; print when each had been decoded."""
    from websocket import create_connection

    decoder = msgspec.json.Decoder()
    socket = create_connection(url, skip_utf8_validation=not check)
    receive = socket.recv if check else lambda: socket.recv_data()[1]
    socket.send(json.dumps({"action": "authenticate", "api_key": "bench"}))
    decoder.decode(receive())
    rows = [{"symbol": symbol, "exchange": "NSE"} for symbol in symbols]
    socket.send(json.dumps({"action": "subscribe", "symbols": rows, "mode": "Quote", "request_id": "1"}))
    for _ in range(len(symbols) + 1):
        decoder.decode(receive())
    print("ready", flush=True)
    times = []
    for _ in range(int(count)):
        decoder.decode(receive())
        times.append(machine_now())
    print(json.dumps(times if len(times) < KEPT else times[-1:]), flush=True)


class _Seen:
    """Messages of the bus as the reader counts them."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.on_bus: dict[int, int] = {}
        self.ticks = self.quotes = 0
        self.at_ns = 0

    def take(self, message: object, sent_ns: int) -> None:
        """Count a decoded message and note when it was put on the bus."""
        if type(message) is Quote:
            number = (message.volume or FIRST) - FIRST
            self.last[message.instrument] = number
            self.quotes += 1
            self.at_ns = machine_now()
            if len(self.on_bus) < KEPT:
                self.on_bus[number] = sent_ns
        elif type(message) is Bar:
            self.ticks += message.ticks


def reader(endpoint: str) -> None:
    """Decode the market stream; a line on standard input is answered with what has been seen, `reset` begins again.

    It says that it is ready once it is connected: what the feed sends before is lost.
    """
    subscriber = ZMQSubscriber("market", [])
    connected = subscriber.socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED)
    subscriber.socket.connect(endpoint)
    connected.recv_multipart()
    poller = zmq.Poller()
    poller.register(subscriber.socket, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    seen = _Seen()
    print("ready", flush=True)
    while True:
        poller.poll()
        for _ in range(1000):
            frame = subscriber.receive()
            if frame is None:
                break
            seen.take(frame.message, frame.header.sent_ns)
        if select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps({**vars(seen), "gaps": subscriber.gaps}), flush=True)
            if line.strip() == "reset":
                seen = _Seen()


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        bare(*sys.argv[2:])
    else:
        reader(sys.argv[2])
