"""What is queued for a client that lags: the newest market data, and every order update."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from mytrading.simulator.hub import CONFLATE_ABOVE, Client


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
        client.put(("NSE:SBIN", 1 + number % 2), b"%d" % number)
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
        client.put(("NSE:SBIN", 1), b"%d" % number)
    assert sent_to(client, socket) == [b"%d" % number for number in range(500)]
