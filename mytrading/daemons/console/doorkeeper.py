"""Before and after every request: host, rates of requests, and the headers of every answer.

It wraps the whole application, so what no route takes is limited and answered with the same headers too. Each rate has
a counter of its own: a burst of one kind uses up no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar.types import ASGIApp, Message, Receive, Send

from mytrading.core.request_counter import RequestCounter
from mytrading.messages.console_api import ApiError
from mytrading.messages.run_settings import ConsoleRules
from mytrading.runtime.host.clock import machine_now

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
"""Of every answer. One that names its own caching keeps it; all others are not stored."""
TLS_HEADER = (b"strict-transport-security", b"max-age=31536000")
_OURS = frozenset(name.encode() for name in HEADERS)
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
MOST_ALL, MOST_AUTH, MOST_API, MOST_HEAVY = 1000, 10, 100, 20
"""Requests a minute of one address: all together, logins, of the API, and those that cost much."""
MOST_EMERGENCY = 100
"""Halts and the like a minute of one address. Nothing else counts with them: a page that asked much must still halt."""
AUTH_PATHS = frozenset({"/api/login", "/api/first-user", "/api/password", "/api/confirm", "/api/totp/confirm"})
EMERGENCY_PATHS = frozenset(f"/api/actions/{name}" for name in ("halt", "reduce", "flatten", "kill", "switch"))
HEAVY_PATHS = (
    "/api/why",
    "/api/logs",
    "/api/settings",
    "/api/scenario",
    "/api/risk",
    "/api/legs/",
    "/api/strategies/",
    "/api/doctor",
    "/api/setup",
    "/api/margin/",
    "/api/books/",
    "/api/webhooks",
    "/api/audit.csv",
)
_NAMES_OF_THIS = ("127.0.0.1", "localhost", "[::1]")


class Doorkeeper:
    """The ASGI application around that of the console. `port` is set once it listens."""

    def __init__(self, inner: ASGIApp, rules: ConsoleRules) -> None:
        self._inner = inner
        self._public = urlsplit(rules.public_url)
        self._host = rules.host
        self._proxies = frozenset(rules.proxies)
        self._tls = self._public.scheme == "https"
        self._all = RequestCounter(MOST_ALL)
        self._auth = RequestCounter(MOST_AUTH)
        self._api = RequestCounter(MOST_API)
        self._heavy = RequestCounter(MOST_HEAVY)
        self._emergency = RequestCounter(MOST_EMERGENCY)
        self._hosts: frozenset[str] = frozenset()
        self.origins: frozenset[str] = frozenset()
        """Origins of pages that may act and open sockets."""

    def listen_on(self, port: int) -> None:
        """Take the port that is listened on, by which hosts and origins are known."""
        hosts = {f"{name}:{port}" for name in (*_NAMES_OF_THIS, self._host)}
        origins = {f"http://{host}" for host in hosts}
        if self._public.netloc:
            hosts.add(self._public.netloc)
            origins.add(f"{self._public.scheme}://{self._public.netloc}")
        self._hosts, self.origins = frozenset(hosts), frozenset(origins)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve a request or a socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""
        scope.setdefault("state", {})["ip"] = ip = self._sender(peer, headers.get(b"x-forwarded-for", b""))
        if refused := self._refusal(scope, headers, ip):
            await _refuse(scope, send, *refused, self._tls)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(message["headers"], self._tls)
            await send(message)

        await self._inner(scope, receive, send_with_headers)

    def _sender(self, peer: str, forwarded: bytes) -> str:
        """The address that a request came from: of the connection, or as the last proxy of ours says."""
        names = [part.strip() for part in forwarded.decode("latin-1").split(",") if part.strip()]
        outside = [name for name in names if name not in self._proxies]
        return outside[-1][:64] if peer in self._proxies and outside else peer

    def _refusal(self, scope: Any, headers: dict[bytes, bytes], ip: str) -> tuple[int, ApiError] | None:
        if headers.get(b"host", b"").decode("latin-1").lower() not in self._hosts:
            text = "expected the address of this console in the header Host; open it by the address that it prints"
            return 421, ApiError(code="ORIGIN", error=text)
        path = str(scope["path"])
        for counter, what in self._counters(path):
            if seconds := counter.count_if_allowed(ip, machine_now()):
                text = f"expected at most {counter.most} {what} a minute from one address; wait {seconds} s"
                return 429, ApiError(code="TOO_MANY", error=text, retry_after_s=seconds)
        if "//" in path or (path.endswith("/") and path != "/"):
            # Litestar takes it for the plain one, which has a counter and a name in the audit
            return 404, ApiError(code="NOT_FOUND", error="expected an address without empty parts")
        return None

    def _counters(self, path: str) -> Iterable[tuple[RequestCounter, str]]:
        if path in EMERGENCY_PATHS:
            yield self._emergency, "of these requests"
            return
        yield self._all, "requests"
        if path in AUTH_PATHS:
            yield self._auth, "logins"
        elif path.startswith(HEAVY_PATHS):
            yield self._heavy, "of these requests"
        elif path.startswith("/api/"):
            yield self._api, "requests of the API"


def _with_headers(headers: Iterable[tuple[bytes, bytes]], tls: bool) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() not in _OURS]
    if not any(name.lower() == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return [*kept, *_HEADERS, *([TLS_HEADER] if tls else [])]


async def _refuse(scope: Any, send: Send, status: int, error: ApiError, tls: bool) -> None:
    if scope["type"] == "websocket":
        closed: Any = {"type": "websocket.close", "code": 4429 if status == 429 else 4403, "reason": error.code}
        await send(closed)
        return
    headers = [(b"content-type", b"application/json")]
    if error.retry_after_s:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    start: Any = {"type": "http.response.start", "status": status, "headers": _with_headers(headers, tls)}
    await send(start)
    body: Any = {"type": "http.response.body", "body": msgspec.json.encode(error), "more_body": False}
    await send(body)
