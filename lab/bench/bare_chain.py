"""The bare chain: the same hops as a quote takes to an order, and nothing else. It is the limit that we are held to.

A WebSocket frame, three pyzmq hops over ipc with msgspec in between, one SQLite commit with a full sync, one POST over
a keep-alive connection, each in the process in which the stack has it. `python -m lab.bench.bare_chain ROLE DIR`
is one of these processes.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import zmq

from lab.bench.results import Figure, below, percentile
from mytrading.messages.codec import NO_HASH, StreamDecoder, encode_body, encode_frame
from mytrading.messages.market import Quote
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Entry, Journal

HOP_S = 0.002
QUIET_S = 0.05
"""A quote is sent so long after it was asked for: who asked is quiet again, and takes no core from what is measured."""
_BARE = "bare"
"""The topic of a message that nobody journals."""


class BareChain:
    """The chain as running processes: `send` starts a quote on its way, `times` says how long each took."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self) -> None:
        """One quote, in `QUIET_S`."""
        _get(self._port, "send")

    def times(self) -> list[float]:
        """Milliseconds from before the frame was sent to the request's arrival, one value a quote, oldest first."""
        return [(received - sent) / 1e6 for sent, received in _get(self._port, "pairs")]


@contextmanager
def bare_chain() -> Iterator[BareChain]:
    """The processes of the chain, connected; they end with the context."""
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        exchange = _spawn("exchange", folder)
        assert exchange.stdout is not None
        port = int(exchange.stdout.readline())
        processes = [exchange, *(_spawn(role, folder, str(port)) for role in ("router", "risk", "engine", "feed"))]
        try:
            _await(lambda: _get(port, "listeners") == 1)
            yield BareChain(port)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def measure_hop(progress: Callable[[str], None]) -> list[Figure]:
    """A journaled hop as daemons make it: append and push here, receive and append in another; beside a bare hop."""
    count = 400
    progress(f"journaled hop, {count} messages")
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        back: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        back.bind(f"ipc://{folder}/back")
        reader = _spawn("hop", folder)
        out: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        out.connect(f"ipc://{folder}/hop")
        journal = Journal(Path(folder, "writer"), "writer", "2026-01-01")
        values, bare = [], []
        for number in range(count):
            sent = machine_now()
            body = encode_body(Quote("NSE:SBIN", sent, sent, 800.0 + number))
            row = journal.append([Entry(OUTPUT, "signals", body)], sent, sent)[0]
            out.send(encode_frame("writer", row.epoch, row.stream_seq, row.hash, sent, row.body))
            values.append((int(back.recv()) - sent) / 1e6)
            time.sleep(HOP_S)
            sent = machine_now()
            out.send(encode_frame(_BARE, 1, 1, NO_HASH, sent, encode_body(Quote("NSE:SBIN", sent, sent, 800.0))))
            bare.append((int(back.recv()) - sent) / 1e6)
            time.sleep(HOP_S)
        reader.kill()
        reader.wait()
        journal.close()
        out.close(0)
        back.close(0)
    return [below("journaled_hop", percentile(values, 0.5), "ms", 0.5, count, percentile(bare, 0.5))]


def _spawn(role: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lab.bench.bare_chain", role, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _get(port: int, path: str) -> Any:
    with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
        return json.load(answer)


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the bare chain did not answer within 20 s")
        time.sleep(0.02)


# the processes


def _exchange() -> None:
    """A WebSocket that sends a quote on demand, and a POST that notes when it came."""
    from aiohttp import WSMsgType, web

    listeners: list[web.WebSocketResponse] = []
    shown: list[asyncio.Task[None]] = []
    sent: list[int] = []
    received: list[int] = []

    async def market(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        listeners.append(socket)
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                break
        return socket

    async def show() -> None:
        await asyncio.sleep(QUIET_S)
        frame = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 2, "data": {"ltp": 800.0}}
        sent.append(machine_now())
        for socket in listeners:
            await socket.send_str(json.dumps(frame))

    async def send(_: web.Request) -> web.Response:
        shown.append(asyncio.create_task(show()))
        return web.json_response(len(shown))

    async def order(request: web.Request) -> web.Response:
        received.append(machine_now())
        await request.read()
        return web.json_response({"status": "success", "orderid": str(len(received))})

    async def pairs(_: web.Request) -> web.Response:
        return web.json_response(list(zip(sent, received, strict=False)))

    async def count(_: web.Request) -> web.Response:
        return web.json_response(len(listeners))

    async def serve() -> None:
        app = web.Application()
        app.add_routes([web.get("/ws", market), web.get("/send", send), web.post("/order", order)])
        app.add_routes([web.get("/pairs", pairs), web.get("/listeners", count)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


def _feed(folder: str, port: str) -> None:
    from websocket import create_connection

    out = _push(f"{folder}/market")
    decoder = msgspec.json.Decoder()
    socket = create_connection(f"ws://127.0.0.1:{port}/ws", skip_utf8_validation=True)
    while True:
        frame = decoder.decode(socket.recv())
        now = machine_now()
        quote = Quote(f"{frame['exchange']}:{frame['symbol']}", now, now, frame["data"]["ltp"])
        out.send(encode_frame(quote.instrument, 1, 1, NO_HASH, now, encode_body(quote)))


def _relay(source: str, target: str) -> None:
    pull, out, decoder = _pull(source), _push(target), StreamDecoder("market")
    while True:
        quote = decoder.decode_frame(pull.recv()).message
        out.send(encode_frame(quote.instrument, 1, 1, NO_HASH, machine_now(), encode_body(quote)))


def _router(folder: str, port: str) -> None:
    pull, decoder = _pull(f"{folder}/commands"), StreamDecoder("market")
    db = sqlite3.connect(f"{folder}/bare.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE rows (body BLOB)")
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    while True:
        quote = decoder.decode_frame(pull.recv()).message
        db.execute("INSERT INTO rows VALUES (?)", (encode_body(quote),))
        connection.request("POST", "/order", msgspec.json.encode(quote), {"Content-Type": "application/json"})
        connection.getresponse().read()


def _hop(folder: str) -> None:
    pull, back, decoder = _pull(f"{folder}/hop"), _push(f"{folder}/back"), StreamDecoder("market")
    journal = Journal(Path(folder, "reader"), "reader", "2026-01-01")
    while True:
        frame = decoder.decode_frame(pull.recv())
        if frame.topic == _BARE:
            back.send(str(machine_now()).encode())
            continue
        now = machine_now()
        header = frame.header
        place = (header.epoch, header.sequence, header.hash)
        journal.append([Entry(INPUT, "signals", frame.body, "writer", *place)], now, now)
        back.send(str(machine_now()).encode())


def _push(path: str) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
    socket.connect(f"ipc://{path}")
    return socket


def _pull(path: str) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
    socket.bind(f"ipc://{path}")
    return socket


def _main(role: str, folder: str, port: str = "") -> None:
    roles: dict[str, Callable[[], None]] = {
        "exchange": _exchange,
        "feed": lambda: _feed(folder, port),
        "engine": lambda: _relay(f"{folder}/market", f"{folder}/signals"),
        "risk": lambda: _relay(f"{folder}/signals", f"{folder}/commands"),
        "router": lambda: _router(folder, port),
        "hop": lambda: _hop(folder),
    }
    roles[role]()


if __name__ == "__main__":
    _main(*sys.argv[1:])
