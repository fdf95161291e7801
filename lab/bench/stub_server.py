"""A server that answers every order call at once with the same success, so that what is measured is the client.

`python -m lab.bench.stub_server` prints its port and serves until it is ended. It does nothing but read a request and
answer it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

BODY = b'{"mode":"analyze","orderid":"26112015007725","status":"success"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


@contextmanager
def canned() -> Iterator[str]:
    """The address of such a server in a process of its own."""
    command = [sys.executable, "-m", "lab.bench.stub_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = b""
    while data := connection.recv(65_536):
        waiting += data
        while (rest := _after_request(waiting)) is not None:
            waiting = rest
            connection.sendall(ANSWER)


def _after_request(data: bytes) -> bytes | None:
    """Return the bytes after the first request; None while that is not whole."""
    head, end, body = data.partition(b"\r\n\r\n")
    fields = (line.partition(b":") for line in head.lower().split(b"\r\n")[1:])
    length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
    return body[length:] if end and len(body) >= length else None


def _main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    _main()
