"""HTTP in a daemon: a port of this machine, and a thread that serves an application on it until the daemon stops."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

_NEXT_PORTS = 50
_STOP_S = 3.0


class PortTaken(Exception):
    """Another program listens on the port; the message says what to do."""


def bind_port(host: str, port: int, *, next_free: bool, setting: str, other: int = 0, before: int = 0) -> socket.socket:
    """Return a socket that listens on a port, 0 for any. `next_free`: one of the next fifty will do, but for that of an
    `other` process. Of those that will do that of `before` is tried first. Raises `PortTaken` with the `setting` that
    names another."""
    last: OSError | None = None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    numbers = list(range(port, min(port + (_NEXT_PORTS if next_free and port else 1), 65536)))
    if before in numbers or (before and not port):
        numbers.insert(0, before)
    for number in numbers:
        if port != number == other:
            continue
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What it accepts inherits this, which asyncio sets only where a protocol is named: else each body waits 40 ms.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            made.bind((host, number))
            made.listen(128)
        except OSError as error:
            made.close()
            last = error
        else:
            made.setblocking(False)
            return made
    raise PortTaken(
        f"port {port} of {host} cannot be had ({last}): set {setting} to another one, or to 0 for any, or end the "
        "program that listens there; all other processes run without it"
    ) from last


class HttpThread:
    """Serves an ASGI application on a socket, in a thread with an event loop of its own. `options` are uvicorn's."""

    def __init__(self, application: Any, listening: socket.socket, name: str, **options: Any) -> None:
        self._socket = listening
        self.port: int = listening.getsockname()[1]
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=15,
            h11_max_incomplete_event_size=16 * 1024,
            **options,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while the thread serves."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop serving, and listening."""
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
