"""A server that sends anything: the real feed and the real reconciler go on, say so, and read the books instead."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web

from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.market import Quote
from mytrading.messages.reports import BooksRead, OrderReport
from mytrading.runtime.host.clock import machine_now
from tests.kit.feed_process import SBIN, feed_config, runtime_folder, start_feed
from tests.kit.hostile_input import cases
from tests.kit.reconciler_process import reconciler
from tests.kit.server_answers import BOOKS, FRAMES, HEAD, ROW, UPDATES

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

COUNT = 1500
GOOD: dict[str, Any] = {
    "orderbook": {**HEAD, "data": {"orders": []}}, "tradebook": {**HEAD, "data": []},
    "positionbook": {**HEAD, "data": []}, "funds": BOOKS["funds"], "analyzer": BOOKS["analyzer"],
}  # fmt: skip


class Hostile:
    """Lets everybody in and acknowledges; frames are sent on request, books are spoilt as long as `spoils`."""

    def __init__(self) -> None:
        self.spoils = False
        self.reads = 0
        self.sockets: list[web.WebSocketResponse] = []
        self._spoilt = {name: cases([body], 7, 1 << 30) for name, body in BOOKS.items()}
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(20)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        started.set()
        self._loop.run_forever()

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_route("*", "/api/v1/{name:.*}", self._rest)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.rest, self.ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws"

    async def _rest(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.reads += name == "orderbook"
        if name not in GOOD:
            return web.Response(body=b'{"status":"error","message":"not here"}', status=404)
        body = next(self._spoilt[name]) if self.spoils else json.dumps(GOOD[name]).encode()
        return web.Response(body=body, content_type="application/json")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            asked = json.loads(message.data)
            if asked["action"] == "authenticate":
                await socket.send_json({"type": "auth", "status": "success", "broker": "zerodha"})
            elif asked["action"].startswith("subscribe"):
                given = [{**one, "status": "success"} for one in asked.get("symbols", ())]
                answer = {"type": asked["action"], "status": "success", "request_id": asked.get("request_id", "")}
                await socket.send_json({**answer, "subscriptions": given})
        return socket

    def send(self, *frames: bytes) -> None:
        """To all who listen, as text frames whatever they hold."""

        async def out() -> None:
            for socket in [one for one in self.sockets if not one.closed]:
                for frame in frames:
                    await socket._writer.send_frame(frame, WSMsgType.TEXT)  # type: ignore[union-attr]

        asyncio.run_coroutine_threadsafe(out(), self._loop).result(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Hostile]:
    found = Hostile()
    yield found
    found.stop()


@pytest.fixture
def runtime() -> Iterator[Path]:
    with runtime_folder() as folder:
        yield folder


def frame(ltp: float, **data: Any) -> bytes:
    body = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 3, "broker": "zerodha"}
    return json.dumps({**body, "data": {"ltp": ltp, "open": 800.0, "volume": 5, "depth": {}, **data}}).encode()


def test_feed_lives_through_any_frame_and_passes_no_impossible_number_on(
    server: Hostile, tmp_path: Path, runtime: Path
) -> None:
    """One frame with a volume of 1e300 on a subscribed symbol ended the feed."""
    config = feed_config(tmp_path, runtime, server.rest, server.ws, (SBIN,), depth_data=True)
    with start_feed(config) as feed:
        feed.wait(lambda now: server.sockets and now.beats)
        feed.wait(lambda now: now.quotes or server.send(frame(800.0, bid=799.0, ask=801.0)))
        server.send(frame(800.5, volume=1e300, bid="nan", ask=1e300, oi="inf"))
        feed.wait(lambda now: now.quotes[-1].ltp == 800.5)
        # an impossible field is not known, so what the frame before had of it stands for its while
        assert (feed.quotes[-1].volume, feed.quotes[-1].bid, feed.quotes[-1].ask) == (5, 799.0, 801.0)
        server.send(*cases([FRAMES[0], FRAMES[1]], 3, COUNT))
        ended = machine_now()
        feed.wait(lambda now: server.send(frame(801.5, bid=801.0, ask=802.0)) or now.quotes[-1].ltp == 801.5)
        feed.wait(lambda now: now.beats[-1].machine_ns > ended and now.beats[-1].figures["malformed"] > COUNT / 4)
        assert feed.process.poll() is None
        reported = [quote for quote in feed.quotes if isinstance(quote, Quote)]
        assert all(0.0 < price <= 1e9 for one in reported for price in (one.bid, one.ask) if price is not None)
        assert len({beat.pid for beat in feed.beats}) == 1


def test_reconciler_lives_through_any_update_and_any_book_and_reads_the_books_again(
    server: Hostile, tmp_path: Path, runtime: Path
) -> None:
    """A frame that is not UTF-8, or a quantity of 1e300, ended the reconciler; five of them for good."""
    config = feed_config(tmp_path, runtime, server.rest, server.ws, (SBIN,))
    windows = msgspec.structs.replace(config.windows, orders_every=60.0, positions_every=60.0)
    with reconciler(msgspec.structs.replace(config, windows=windows)) as running:
        running.wait(BooksRead, lambda read: read.positions is not None)
        running.wait(Heartbeat, lambda beat: beat.ready)
        reads = server.reads
        server.send(b'{"type":"order_update","orderid":"\xff\xfe"}')
        alert = running.wait(Alert, lambda one: one.code == "MESSAGE_DROPPED")
        assert "the books are read instead" in alert.message
        running.wait(Heartbeat, lambda _: server.reads > reads)
        server.spoils = True
        server.send(*cases(UPDATES[:1], 5, COUNT))
        running.wait(Heartbeat, lambda beat: beat.figures["malformed"] > COUNT / 4, 30)
        server.spoils = False
        good = {"type": "order_update", "mode": "analyze", **ROW, "orderid": "after-all"}
        server.send(json.dumps(good).encode())
        running.wait(OrderReport, lambda report: report.order.broker_order_id == "after-all")
        ended = machine_now()
        running.wait(BooksRead, lambda read: read.began_machine_ns > ended and read.positions is not None, 30)
        assert running.process.poll() is None
        assert len({beat.pid for beat in running.all(Heartbeat)}) == 1
