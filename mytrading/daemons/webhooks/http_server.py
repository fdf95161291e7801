"""The HTTP side: a thread that reads requests and hands them over, and never decides.

Litestar routes, uvicorn serves, with one worker on 127.0.0.1. Requests wait in a bounded queue for the daemon's loop;
their answers come back to the thread's own event loop. Whatever has not been taken off the queue in time is taken back
and answered 503, so that its sender may send it again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.exceptions import HTTPException

from mytrading.core.webhooks.answers import STATUS_PATH, UNKNOWN, AlertAnswer, refusal_answer
from mytrading.core.webhooks.authentication import AlertRequest
from mytrading.core.webhooks.bodies import BODY_SECONDS, MOST_BYTES
from mytrading.core.webhooks.refusals import refusal
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.http_thread import HttpThread, bind_port

HOST = "127.0.0.1"
MOST_WAITING = 256
"""Requests that wait for the loop; one more is answered 503."""
PATIENCE_S = 2.0
"""A request that the loop has not taken by then is taken back: TradingView gives up after three seconds."""
SIGNATURE = "x-signature"
CERTIFICATE = "x-client-certificate-cn"
"""Header in which a configured proxy names the common name of the certificate that it has checked."""
_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}


class StatusRequest(NamedTuple):
    """A question about an alert: its status name, and who asks when (machine ns)."""

    name: str
    ip: str
    received_ns: int


class WaitingAlert:
    """A request on its way to the loop, and the answer on its way back."""

    def __init__(self, request: AlertRequest | StatusRequest, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        """An alert, or a question about one."""
        self._loop = loop
        self.answered: asyncio.Future[AlertAnswer] = loop.create_future()
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Take the request, as the loop to decide on it or as the thread to give it up; true for the first alone."""
        return self._claim.acquire(blocking=False)

    def answer(self, found: AlertAnswer) -> None:
        """Send the answer back; from the daemon's loop."""
        try:
            self._loop.call_soon_threadsafe(self._set, found)
        except RuntimeError:  # the server has stopped meanwhile: its sender sees a closed connection
            return

    def _set(self, found: AlertAnswer) -> None:
        if not self.answered.done():
            self.answered.set_result(found)


class HttpServer:
    """Serves until `stop`. `wake` tells the daemon that `take` has something for it."""

    def __init__(self, port: int, proxies: tuple[str, ...], wake: Callable[[], None], *, next_free: bool) -> None:
        listening = bind_port(HOST, port, next_free=next_free, setting="WEBHOOK_PORT")
        self.ready = False
        """The daemon takes requests; before that they are answered 503."""
        self._proxies = frozenset(proxies)
        self._wake = wake
        self._waiting: deque[WaitingAlert] = deque()
        self.turned_away = 0
        """Requests answered 503 since the start."""
        self._served = HttpThread(
            self._application(),
            listening,
            "webhooks.http",
            lifespan="off",
            limit_concurrency=2 * MOST_WAITING,
            ws="none",
        )
        self.port = self._served.port

    def start(self) -> None:
        """Begin to listen."""
        self._served.start()

    @property
    def is_alive(self) -> bool:
        """True while the thread serves."""
        return self._served.is_alive

    @property
    def depth(self) -> int:
        """Number of requests that wait for the loop."""
        return len(self._waiting)

    def take(self) -> WaitingAlert | None:
        """Return the next request that was not given up, the oldest first; None if none waits."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.claim():
                return waiting
        return None

    def stop(self) -> None:
        """Stop listening; what waits is answered 503."""
        self.ready = False
        while (waiting := self.take()) is not None:
            waiting.answer(_turned_away("the receiver stops"))
        self._served.stop()

    def _application(self) -> Litestar:
        @post(["/strategy/webhook/{token:str}", "/chartink/webhook/{token:str}"], media_type=MediaType.JSON)
        async def receive(request: Request[Any, Any, Any]) -> Response[bytes]:
            received_ns, wall_ns = machine_now(), time.time_ns()
            body, is_cut = await _read_body(request)
            proxied = self._peer(request) in self._proxies
            alert = AlertRequest(
                token=request.path_params["token"],
                body=body,
                ip=self._sender(request, proxied=proxied),
                received_ns=received_ns,
                wall_ns=wall_ns,
                signature=request.headers.get(SIGNATURE, ""),
                certificate=request.headers.get(CERTIFICATE, "") if proxied else "",
                is_cut=is_cut,
            )
            return _response(await self._hand_over(alert), close=is_cut)

        @get(f"{STATUS_PATH}/{{name:str}}", media_type=MediaType.JSON)
        async def status(request: Request[Any, Any, Any]) -> Response[bytes]:
            proxied = self._peer(request) in self._proxies
            asked = StatusRequest(request.path_params["name"], self._sender(request, proxied=proxied), machine_now())
            return _response(await self._hand_over(asked))

        return Litestar(
            [receive, status],
            openapi_config=None,
            logging_config=None,
            debug=False,
            csrf_config=None,
            exception_handlers={HTTPException: _refuse, Exception: _fail},
        )

    def _peer(self, request: Request[Any, Any, Any]) -> str:
        return request.client.host if request.client is not None else ""

    def _sender(self, request: Request[Any, Any, Any], *, proxied: bool) -> str:
        """The address that the request came from: that of the connection, or as the last proxy of ours says."""
        names = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
        outside = [name for name in names if name not in self._proxies]
        return outside[-1][:64] if proxied and outside else self._peer(request)

    async def _hand_over(self, request: AlertRequest | StatusRequest) -> AlertAnswer:
        if not self.ready or len(self._waiting) >= MOST_WAITING:
            self.turned_away += 1
            return _turned_away("the queue is full" if self.ready else "the receiver starts")
        waiting = WaitingAlert(request, asyncio.get_running_loop())
        self._waiting.append(waiting)
        self._wake()
        done, _ = await asyncio.wait({waiting.answered}, timeout=PATIENCE_S)
        if not done and waiting.claim():
            self.turned_away += 1
            return _turned_away("the receiver is busy")
        return await waiting.answered  # it is being journaled: only its own verdict may be told


async def _read_body(request: Request[Any, Any, Any]) -> tuple[bytes, bool]:
    """The body, and true if it is only the beginning of one that is too large or too slow; of those no more than the
    limit is ever held."""
    body = bytearray()
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length[:12]) > MOST_BYTES:
        return b"", True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    return bytes(body[:MOST_BYTES]), True
    except TimeoutError:
        return bytes(body), True
    return bytes(body), False


def _turned_away(why: str) -> AlertAnswer:
    return refusal_answer(refusal("NOT_READY", f"nothing was done: {why}; send it again", None, 5))


def _response(found: AlertAnswer, *, close: bool = False) -> Response[bytes]:
    headers = dict(_HEADERS)
    if found.retry_after:
        headers["retry-after"] = str(found.retry_after)
    if close:
        headers["connection"] = "close"
    return Response(
        msgspec.json.encode(found.body), status_code=found.status, media_type=MediaType.JSON, headers=headers
    )


def _refuse(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Other paths are no webhooks either; other methods and what cannot be read have answers of their own."""
    if error.status_code in (400, 405, 413):
        body = {"verdict": "refused", "code": "BAD_REQUEST", "message": f"expected POST with a body: {error.detail}"}
        return _response(AlertAnswer(error.status_code, body))
    return _response(UNKNOWN)


def _fail(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:  # noqa: ARG001
    """Before the journal, so it may be sent again: never 500."""
    return _response(_turned_away("the request could not be read"))
