"""Asking the gateway: one question, one answer, over the `ops` socket.

Used by the command line and the orchestrator. The one rule: an answer that came too late is never taken for the answer
to a later question.
"""

from __future__ import annotations

import os
import re
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from mytrading.messages.control import OpsReply, OpsRequest
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.text import plain
from mytrading.runtime.endpoints import endpoint_of
from mytrading.runtime.users import user_name

_CONTROL = re.compile(rb"\\u00|\x7f|\xc2[\x80-\x9f]")
"""What the JSON of a control character holds."""


class OpsRefused(Exception):
    """The gateway would not; the message says what it expected."""


class OpsTimedOut(Exception):
    """The gateway did not answer in time."""


class Ops:
    """A connection to the gateway of one stack; use it in a `with` block. Waits as configured unless told otherwise."""

    def __init__(self, config: RunConfig, timeout_s: float = 0.0) -> None:
        self._address = endpoint_of(config, "ops")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._timeout_s = timeout_s or config.messaging.message_timeout
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        connected = self._context.socket(zmq.DEALER)
        connected.set(zmq.LINGER, 0)
        connected.connect(self._address)
        return connected

    def ask(self, verb: str, timeout_s: float | None = None, **arguments: str) -> Any:
        """The body of the answer as plain lists and dicts; raises `OpsTimedOut` or `OpsRefused`.

        The gateway is told who asks, `by`: the user whose process this is.
        """
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        request = OpsRequest(verb=verb, arguments={"by": user_name(os.getuid()), **arguments})
        self._socket.send(msgspec.msgpack.encode(request))
        if not self._socket.poll(int(wait_s * 1000)):
            self._socket.close(0)
            self._socket = self._connect()
            raise OpsTimedOut(f"the gateway did not answer {verb!r} within {wait_s:g} s; see `mytrading logs gateway`")
        reply = msgspec.msgpack.decode(self._socket.recv(), type=OpsReply)
        if not reply.ok:
            raise OpsRefused(plain(reply.error))
        body = msgspec.json.decode(reply.body)
        return _plain(body) if _CONTROL.search(reply.body) else body

    def close(self) -> None:
        """Close the connection."""
        self._context.destroy(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain(body: Any) -> Any:
    """The same with all texts of servers fit to be shown."""
    if isinstance(body, str):
        return plain(body)
    if isinstance(body, dict):
        return {plain(key): _plain(value) for key, value in body.items()}
    return [_plain(item) for item in body] if isinstance(body, list) else body
