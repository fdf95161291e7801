"""The sockets of one daemon for the streams it reads and writes: where they are, what went through them, their end.

What is made here is counted and closed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import zmq

from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import STREAMS, Pattern
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.streams.zmq_streams import PullSocket, PushSocket, ZMQPublisher, ZMQSubscriber

Receiver = ZMQSubscriber | PullSocket


class Traffic(NamedTuple):
    """What went through all sockets since they were made."""

    bytes_in: int
    bytes_out: int
    bad_frames: int
    """Frames that were no message."""
    dropped: int
    """Messages that a full pipe did not take, or that a fan-out's reader missed."""


class Sockets:
    """Makes the sockets of the daemon `name`, for this stack's transport."""

    def __init__(self, name: str, config: RunConfig) -> None:
        self._name = name
        self._config = config
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._senders: list[ZMQPublisher | PushSocket] = []
        self._receivers: list[Receiver] = []

    def publisher(self, stream: str, *, bound: bool = True) -> ZMQPublisher:
        """The PUB end of a fan-out stream."""
        endpoint = endpoint_of(self._config, stream, self._name)
        made = ZMQPublisher(endpoint, self._config.messaging.high_water_mark, self.context, bound=bound)
        self._senders.append(made)
        return made

    def push(self, stream: str) -> PushSocket:
        """The writing end of a pipe, connected to its reader."""
        made = PushSocket(endpoint_of(self._config, stream), self.context)
        self._senders.append(made)
        return made

    def subscriber(
        self, stream: str, topics: Iterable[str], writers: Iterable[str] | None, *, first: bool
    ) -> ZMQSubscriber:
        """The SUB end of a fan-out stream, connected to its writers (all, unless named) other than this daemon."""
        names = writers if writers is not None else STREAMS[stream].writers
        endpoints = sorted({endpoint_of(self._config, stream, writer) for writer in names if writer != self._name})
        most = self._config.messaging.high_water_mark
        made = ZMQSubscriber(stream, endpoints, topics, most, self.context, first=first)
        self._receivers.append(made)
        return made

    def pull(self, stream: str) -> PullSocket:
        """The reading end of a pipe, bound."""
        assert STREAMS[stream].pattern is Pattern.PIPE, f"{stream} is not a pipe"
        made = PullSocket(stream, endpoint_of(self._config, stream), self.context)
        self._receivers.append(made)
        return made

    def traffic(self) -> Traffic:
        """What went through them so far."""
        refused = sum(sender.dropped for sender in self._senders if isinstance(sender, PushSocket))
        missed = sum(receiver.gaps for receiver in self._receivers if isinstance(receiver, ZMQSubscriber))
        return Traffic(
            bytes_in=sum(receiver.bytes_in for receiver in self._receivers),
            bytes_out=sum(sender.bytes_out for sender in self._senders),
            bad_frames=sum(receiver.bad.count for receiver in self._receivers),
            dropped=refused + missed,
        )

    def close(self) -> None:
        """Close them all, once what was sent has had a tenth of a second to leave."""
        for socket in (*self._receivers, *self._senders):
            socket.close()
        self.context.destroy(linger=100)
