"""Queue of a client that lags: the newest market data, and every order update."""

from __future__ import annotations

import asyncio
import random
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from mytrading.simulator.ws.hub import CONFLATE_ABOVE, Client
from tests.kit.waiting import PATIENCE

SMALL = 131_072
"""Bytes that a socket of the connection may hold."""
LARGE = 400_000
"""Bytes of a frame of which the transport has to keep more than it likes to."""


class Socket:
    """Takes frames as a connection does."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send_frame(self, frame: bytes, _opcode: object) -> None:
        self.sent.append(frame)


def sent_to(client: Client, socket: Socket) -> list[bytes]:
    async def drain() -> None:
        writing = asyncio.create_task(client.write())
        while not socket.sent or client.waiting:
            await asyncio.sleep(0)
        writing.cancel()

    asyncio.run(drain())
    return socket.sent


def test_lagging_client_gets_the_newest_of_each_symbol_and_all_updates() -> None:
    socket = Socket()
    client = Client(cast(Any, socket), None)
    client.put(None, b"update 1")
    for number in range(CONFLATE_ABOVE):
        client.put(("NSE:SBIN", 2, 1 + number % 2), b"%d" % number)
    client.put(None, b"update 2")
    sent = sent_to(client, socket)
    assert b"update 1" in sent
    assert b"update 2" in sent
    assert b"%d" % (CONFLATE_ABOVE - 1) in sent
    assert len(sent) < 10


def test_client_that_keeps_up_gets_every_frame_in_order() -> None:
    socket = Socket()
    client = Client(cast(Any, socket), None)
    for number in range(500):
        client.put(("NSE:SBIN", 1, 1), b"%d" % number)
    assert sent_to(client, socket) == [b"%d" % number for number in range(500)]


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[Client, ClientWebSocketResponse]]:
    """Both ends of a connection whose buffers are small: a client of the hub, and the reader."""
    joined: asyncio.Queue[Client] = asyncio.Queue()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        assert request.transport is not None
        shrink(request.transport.get_extra_info("socket"), sockets.SO_SNDBUF)
        client = Client(socket, request.transport)
        joined.put_nowait(client)
        writing = asyncio.create_task(client.write())
        async for _ in socket:
            pass
        writing.cancel()
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with ClientSession() as session, session.ws_connect(f"http://{host}:{port}/", max_msg_size=0) as reader:
        shrink(reader.get_extra_info("socket"), sockets.SO_RCVBUF)
        yield await joined.get(), reader
    await runner.cleanup()


def shrink(socket: sockets.socket, which: int) -> None:
    """Let a connection's end hold little."""
    socket.setsockopt(sockets.SOL_SOCKET, which, SMALL)


def frame_of(number: int, size: int) -> bytes:
    """A frame that says which it is."""
    return (b"%d " % number).ljust(size, b".")


def test_connection_whose_writer_fails_is_cut() -> None:
    class Broken(Socket):
        async def send_frame(self, frame: bytes, _opcode: object) -> None:
            raise RuntimeError("cannot be written")

    class Transport:
        cut = False

        def get_write_buffer_limits(self) -> tuple[int, int]:
            return (0, 0)

        def abort(self) -> None:
            self.cut = True

    transport = Transport()
    client = Client(cast(Any, Broken()), cast(Any, transport))
    client.put(None, b"update")
    asyncio.run(client.write())
    assert transport.cut


def test_frame_for_a_reader_that_keeps_up_leaves_before_the_writer_has_its_turn() -> None:
    async def one() -> tuple[int, bytes]:
        async with connection() as (client, reader):
            client.put(("NSE:SBIN", 1, 1), b"at once")
            left = client.waiting
            return left, (await reader.receive()).data.encode()

    assert asyncio.run(one()) == (0, b"at once")


@pytest.mark.parametrize("seed", range(4))
def test_slow_reader_gets_every_frame_in_order_and_none_twice(seed: int) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice((40, 3_000, 70_000, LARGE)) for _ in range(150)]

    async def all_of_them() -> tuple[int, int, list[int]]:
        at_once = waited = 0
        got: list[int] = []
        async with connection() as (client, reader):

            async def read() -> None:
                got.append(int((await reader.receive()).data.split(" ", 1)[0]))

            for number, size in enumerate(sizes):
                before = client.waiting
                client.put(None, frame_of(number, size))
                at_once += client.waiting == before == 0
                waited += client.waiting > 0
                for _ in range(chance.choice((0, 0, 1, 3))):
                    await asyncio.sleep(0)
                if chance.random() < 0.2:
                    while len(got) <= number:
                        await read()
            client.put(None, frame_of(len(sizes), 40))
            while got[-1:] != [len(sizes)]:
                await read()
        return at_once, waited, got

    at_once, waited, got = asyncio.run(asyncio.wait_for(all_of_them(), 10 * PATIENCE))
    assert got == list(range(len(sizes) + 1))
    assert at_once > 5  # both ways were gone
    assert waited > 5
