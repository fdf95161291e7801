"""The HTTP side of webhooks with a loop of a test's own in the daemon's place, over real sockets."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

from mytrading.core.webhooks.answers import AlertAnswer
from mytrading.core.webhooks.authentication import AlertRequest
from mytrading.daemons.webhooks.http_server import HttpServer, StatusRequest


class Loop:
    """Takes requests off a server's queue on a thread of its own, as the daemon does, and keeps them."""

    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        self.requests: list[AlertRequest | StatusRequest] = []
        self.answer: Callable[[AlertRequest | StatusRequest], AlertAnswer] = lambda _: AlertAnswer(
            202, {"verdict": "accepted"}
        )
        self.holds = threading.Event()
        self.holds.set()
        self._bell = threading.Event()
        self._ends = False
        self.server = HttpServer(0, proxies, self._bell.set, next_free=False)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Loop:
        self.server.start()
        self.server.ready = True
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self.holds.set()
        self._bell.set()
        self._thread.join()
        self.server.stop()

    def _run(self) -> None:
        while not self._ends:
            self._bell.wait(0.2)
            self._bell.clear()
            self.holds.wait()
            while (waiting := self.server.take()) is not None:
                self.requests.append(waiting.request)
                waiting.answer(self.answer(waiting.request))

    def call(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, JSON and headers of the answer to a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            found = connection.getresponse()
            text = found.read()
            return (
                found.status,
                json.loads(text) if text else {},
                {key.lower(): value for key, value in found.getheaders()},
            )
        finally:
            connection.close()
