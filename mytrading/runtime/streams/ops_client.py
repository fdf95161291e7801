"""Client of the gateway: one request, one reply, over the `ops` socket."""

from __future__ import annotations

import os
import re
import uuid
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import zmq

from mytrading.messages.codec import UNREADABLE
from mytrading.messages.ops import Command, ErrorReply, JsonReply, OpsReply, Query, verb_of
from mytrading.messages.run_config import RunConfig
from mytrading.messages.text import plain
from mytrading.runtime.host.run_info import user_name
from mytrading.runtime.streams.endpoints import endpoint_of

COMMAND_TRIES = 2
"""Times that a command is sent at most: a gateway that restarts in between has journaled it, or has not executed it."""
_CONTROL = re.compile(rb"\\u00|\x7f|\xc2[\x80-\x9f]")
"""A control character in JSON."""

Reply = TypeVar("Reply")


class OpsRefused(Exception):
    """The gateway refused the request; the message says what it expected."""


class OpsTimedOut(Exception):
    """The gateway did not answer in time."""


def new_request_id() -> str:
    """Return a new id for one command of an operator; a retry of the command uses the same id."""
    return uuid.uuid4().hex


class Ops:
    """A connection to the gateway of one stack; use it in a `with` block. `timeout_s` 0 is the configured one."""

    def __init__(self, config: RunConfig, timeout_s: float = 0.0) -> None:
        self._address = endpoint_of(config, "ops")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._timeout_s = timeout_s or config.messaging.message_timeout / 1000
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        connected = self._context.socket(zmq.DEALER)
        connected.set(zmq.LINGER, 0)
        connected.connect(self._address)
        return connected

    def ask(self, request: Query[Reply] | Command[Reply], timeout_s: float | None = None) -> Reply:
        """Send a request and return its reply, a view as lists and dicts; raises `OpsTimedOut` or `OpsRefused`. A
        command that times out is sent once more under its request id; its `by` is this process's user unless it is set.
        """
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        tries = 1
        if isinstance(request, Command):
            tries = COMMAND_TRIES
            request = request if request.by else msgspec.structs.replace(request, by=user_name(os.getuid())[:64])
        data = msgspec.msgpack.encode(request)
        for _ in range(tries):
            self._socket.send(data)
            if self._socket.poll(int(wait_s * 1000)):
                return _body(self._socket.recv())  # type: ignore[no-any-return]
            self._socket.close(0)  # a late reply is never taken for that to a later request
            self._socket = self._connect()
        problem = f"the gateway did not answer {verb_of(request)!r} within {wait_s * tries:g} s"
        text = f"{problem}; see `mytrading logs gateway`"
        if isinstance(request, Command):
            text += f"; it may have been executed: with `--request-id {request.request_id}` it is never executed twice"
        raise OpsTimedOut(text)

    def close(self) -> None:
        """Close the connection to the gateway."""
        self._context.destroy(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _body(data: bytes) -> Any:
    """The content of a reply, all texts fit to be shown; raises `OpsRefused`."""
    try:
        reply = msgspec.msgpack.decode(data, type=OpsReply)
    except UNREADABLE as error:
        raise OpsRefused(
            f"expected a reply of this version, found another ({error}): the stack runs another version of MyTrading; "
            "restart it, or use the command line it was started with"
        ) from None
    if isinstance(reply, ErrorReply):
        raise OpsRefused(plain(reply.error))
    if isinstance(reply, JsonReply):
        body = msgspec.json.decode(reply.body)
        return _plain(body) if _CONTROL.search(reply.body) else body
    return msgspec.convert(_plain(msgspec.to_builtins(reply)), type(reply))


def _plain(body: Any) -> Any:
    """The same with control characters removed from all texts."""
    if isinstance(body, str):
        return plain(body)
    if isinstance(body, dict):
        return {plain(key): _plain(value) for key, value in body.items()}
    return [_plain(item) for item in body] if isinstance(body, list | tuple) else body
