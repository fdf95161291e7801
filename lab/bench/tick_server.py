"""A market-data server that is as fast as a socket: what the feed's benchmarks send from, in a process of its own.

It speaks the WebSocket frames of OpenAlgo's proxy over plain sockets. Commands come as JSON lines on standard input,
each answered by one on standard output. A frame is complete before the clock is read, so that building it is nobody's
time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from mytrading.runtime.host.clock import machine_now

FIRST = 100_000_000
"""Frames are numbered from here in their volume, so that every number has nine digits."""
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TURN_S = 0.002


def framed(payload: bytes) -> bytes:
    """An unmasked text frame."""
    size = len(payload)
    head = struct.pack("!BB", 0x81, size) if size < 126 else struct.pack("!BBH", 0x81, 126, size)
    return (head if size < 65_536 else struct.pack("!BBQ", 0x81, 127, size)) + payload


class Template:
    """A quote's frame of one symbol, as the feed gets it from a real broker, with a hole for its number."""

    def __init__(self, symbol: str) -> None:
        data = {
            "mode": "quote", "ltp": 985.4, "ltt": 1795149570645, "timestamp": 1795149570645, "volume": FIRST,
            "last_quantity": 1, "average_price": 981.25, "total_buy_quantity": 107, "total_sell_quantity": 121,
            "open": 984.85, "high": 988.5, "low": 974.0, "close": 986.65, "bid": 985.35, "ask": 985.45,
        }  # fmt: skip
        frame = {"type": "market_data", "symbol": symbol, "exchange": "NSE", "mode": 2, "data": data, "broker": "bench"}
        self._before, self._after = framed(json.dumps(frame).encode()).split(str(FIRST).encode())

    def frame(self, number: int) -> bytes:
        """Frame number so and so."""
        return b"%b%d%b" % (self._before, FIRST + number, self._after)


class Client:
    """One connection: admitted, subscribed, sent to."""

    def __init__(self, connection: socket.socket, admission: threading.Event) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self._admission = admission
        self.admitted_ns = 0
        self.symbols: list[str] = []
        self._file = connection.makefile("rb")
        self._lock = threading.Lock()

    def send(self, frames: bytes) -> None:
        """Send all bytes, as fast as the peer takes them."""
        with self._lock:
            self.connection.sendall(frames)

    def live(self) -> None:
        """Answer until the peer leaves."""
        key = ""
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(": ")
            key = value if name.lower() == "sec-websocket-key" else key
        accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
        self.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        while (message := self._receive()) is not None:
            self._answer(message)

    def _receive(self) -> dict[str, Any] | None:
        """The next message of the peer; its frames are masked and short."""
        while head := self._file.read(2):
            size = head[1] & 0x7F
            size = int.from_bytes(self._file.read(2 if size == 126 else 8)) if size > 125 else size
            mask, body = self._file.read(4), self._file.read(size)
            if head[0] & 0x0F == 8:
                return None
            if head[0] & 0x0F == 1:
                plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
                return dict(json.loads(plain))
        return None

    def _answer(self, message: dict[str, Any]) -> None:
        if message.get("action") == "authenticate":
            self._admission.wait()
            self.admitted_ns = machine_now()
            self._reply(type="auth", status="success", broker="bench")
        elif message.get("action") == "subscribe":
            rows = [{**row, "status": "success", "mode": message["mode"]} for row in message["symbols"]]
            self._reply(type="subscribe", status="success", subscriptions=rows, request_id=message["request_id"])
            symbols = [row["symbol"] for row in rows]
            self.symbols += symbols
            self.send(b"".join(Template(symbol).frame(0) for symbol in symbols))

    def _reply(self, **body: Any) -> None:
        self.send(framed(json.dumps(body).encode()))


class TickServer:
    """Accepts clients and follows commands: `admit`, `frames`, `burst`, `state`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self._listener.getsockname()[1]
        self._clients: list[Client] = []
        self._admission = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client = Client(self._listener.accept()[0], self._admission)
            self._clients.append(client)
            threading.Thread(target=client.live, daemon=True).start()

    def admit(self, _: dict[str, Any]) -> Any:
        """Answer those who have presented a key, and whoever comes later; before, everybody waits."""
        self._admission.set()

    def state(self, _: dict[str, Any]) -> Any:
        """Return each client's time of admission and number of symbols."""
        return [{"admitted_ns": client.admitted_ns, "symbols": len(client.symbols)} for client in self._clients]

    def frames(self, command: dict[str, Any]) -> Any:
        """`count` single frames to each client in turns, `pace_s` apart; the times at which each was sent."""
        sent: list[list[int]] = [[] for _ in self._clients]
        for number in range(1, command["count"] + 1):
            for client, times in zip(self._clients, sent, strict=True):
                frame = Template(client.symbols[0]).frame(number)
                time.sleep(command["pace_s"])
                times.append(machine_now())
                client.send(frame)
        return sent

    def burst(self, command: dict[str, Any]) -> Any:
        """`count` frames over all symbols of client `to`, `rate` a second (0: as fast as it takes them).

        They are numbered on from `after`: a day's volume that falls is an old frame, which a feed refuses."""
        client = self._clients[command["to"]]
        templates = [Template(symbol) for symbol in client.symbols]
        rate, count, after = command["rate"], command["count"], command.get("after", 0)
        began, number = machine_now(), 0
        while number < count:
            due = min(count, int((machine_now() - began) / 1e9 * rate)) if rate else min(count, number + 200)
            width = len(templates)
            client.send(b"".join(templates[at % width].frame(at + 1) for at in range(after + number, after + due)))
            number = due
            if rate:
                time.sleep(_TURN_S)
        return {"began_ns": began, "ended_ns": machine_now(), "sent": number}


def serve() -> None:
    """Print the port, then one answer a command, until standard input ends."""
    server = TickServer()
    doing: dict[str, Callable[[dict[str, Any]], Any]] = {
        "admit": server.admit,
        "state": server.state,
        "frames": server.frames,
        "burst": server.burst,
    }
    print(server.port, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(doing[command["do"]](command)), flush=True)


if __name__ == "__main__":
    serve()
