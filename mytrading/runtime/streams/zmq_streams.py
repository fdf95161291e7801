"""ZeroMQ ends of the streams: PUB and SUB, PUSH and PULL, one frame a message, never blocking.

A socket is used by the thread that made it. Messages that a full queue refuses are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import zmq

from mytrading.messages import codec
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import STREAMS, Pattern
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import Row
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.streams.endpoints import endpoint_of

HIGH_WATER_MARK = 10_000
REPORT_EVERY_S = 60.0
Context = zmq.Context[zmq.Socket[bytes]]


class BadFrames:
    """Counts frames that do not decode and logs a sample at most once a minute."""

    def __init__(self, stream: str) -> None:
        self.count = 0
        self._stream = stream
        self._unreported = 0
        self._next_report = 0.0
        self._log = get_logger("streams")

    def add(self, error: codec.FrameError, data: bytes) -> None:
        """Count one frame (`data`) that does not decode; log the count and a sample at most once a minute."""
        self.count += 1
        self._unreported += 1
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_EVERY_S
            about = {"stream": self._stream, "kind": error.kind, "problem": str(error), "sample": data[:64].hex()}
            self._log.warning("frame.refused", count=self._unreported, **about)
            self._unreported = 0


class _Sender:
    """The writing end of a stream; `bytes_out` counts what its queue took."""

    def __init__(self, kind: int, high_water_mark: int, context: Context | None) -> None:
        self._socket = (context or zmq.Context.instance()).socket(kind)
        self._socket.set(zmq.SNDHWM, high_water_mark)
        self._socket.set(zmq.LINGER, 100)
        self._hand: Callable[[bytes, int], object] = super(zmq.Socket, self._socket).send
        """The socket's own `send`, without what pyzmq offers besides: it is on the way of each message."""
        self.bytes_out = 0
        self._epoch = int(time.time())

    def close(self) -> None:
        """Close the socket; queued frames have a tenth of a second to leave."""
        self._socket.close()


class _Receiver:
    """The reading end of a stream."""

    def __init__(self, kind: int, stream: str, high_water_mark: int, context: Context | None) -> None:
        self.socket = (context or zmq.Context.instance()).socket(kind)
        self.polled = [(self.socket, zmq.POLLIN)]
        """The argument of `zmq_poll` that tells whether a frame waits."""
        self.socket.set(zmq.RCVHWM, high_water_mark)
        # no frame that no daemon of ours would send takes memory; four times, so that the codec can name some
        self.socket.set(zmq.MAXMSGSIZE, codec.MAX_FRAME * 4)
        self.decoder = codec.StreamDecoder(stream)
        self.bad = BadFrames(stream)
        self.bytes_in = 0

    def receive(self) -> codec.Frame | None:
        """The next frame that decodes, or None when nothing waits."""
        while True:
            try:
                data = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return None
            self.bytes_in += len(data)
            try:
                return self.decoder.decode_frame(data)
            except codec.FrameError as error:
                self.bad.add(error, data)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)


class ZMQPublisher(_Sender):
    """The PUB end of a fan-out stream: binds, numbers messages per topic, drops for readers that do not keep up."""

    def __init__(
        self,
        endpoint: str,
        high_water_mark: int = HIGH_WATER_MARK,
        context: Context | None = None,
        *,
        bound: bool = True,
    ) -> None:
        super().__init__(zmq.PUB, high_water_mark, context)
        self.endpoint = endpoint
        if bound:
            self.bind()
        self._sequences: dict[str, int] = {}

    def bind(self) -> None:
        """Bind the endpoint, taking it over from another process that has it."""
        _bind(self._socket, self.endpoint)

    def send(self, topic: str, message: msgspec.Struct) -> None:
        """Publish a message under the next sequence of its topic; a reader whose queue is full misses it."""
        sequence = self._sequences.get(topic, 0) + 1
        self._sequences[topic] = sequence
        self._send(
            codec.encode_frame(topic, self._epoch, sequence, codec.NO_HASH, machine_now(), codec.encode_body(message))
        )

    def send_row(self, topic: str, row: Row) -> None:
        """Publish the message of a journal row, with the row's own sequence and hash."""
        self._send(codec.encode_frame(topic, row.epoch, row.stream_seq, row.hash, machine_now(), row.body))

    def _send(self, frame: bytes) -> None:
        self._hand(frame, zmq.NOBLOCK)
        self.bytes_out += len(frame)


class ZMQSubscriber(_Receiver):
    """The SUB end: connects to any number of writers, whether they run yet or not; `gaps` counts lost messages.

    A publisher serves shorter subscriptions first: with `first` ours lack the NUL, so that this reader is woken before
    others of the same topics, and topics that only begin like them are dropped here.
    """

    def __init__(
        self,
        stream: str,
        endpoints: Iterable[str],
        topics: Iterable[str] = ("",),
        high_water_mark: int = HIGH_WATER_MARK,
        context: Context | None = None,
        *,
        first: bool = False,
    ) -> None:
        super().__init__(zmq.SUB, stream, high_water_mark, context)
        self._first = first
        self._wanted: set[str] = set()
        self.gaps = 0
        self._seen: dict[str, tuple[int, int]] = {}
        for topic in topics:
            self.subscribe(topic)
        for endpoint in endpoints:
            self.socket.connect(endpoint)

    def subscribe(self, topic: str) -> None:
        """Receive exactly this topic from now on ("" is all topics); messages missed before do not count as `gaps`."""
        self._seen.pop(topic, None)
        self._wanted.add(topic)
        self.socket.setsockopt(zmq.SUBSCRIBE, self._prefix(topic))

    def unsubscribe(self, topic: str) -> None:
        """Receive this topic no longer."""
        self._wanted.discard(topic)
        self.socket.setsockopt(zmq.UNSUBSCRIBE, self._prefix(topic))

    def _prefix(self, topic: str) -> bytes:
        return topic.encode() if self._first else codec.topic_prefix(topic)

    def receive(self) -> codec.Frame | None:
        """Return the next frame of a subscribed topic that decodes, None when nothing waits; counts `gaps`."""
        while (frame := super().receive()) is not None:
            topic, header = frame.topic, frame.header
            if self._first and topic not in self._wanted and "" not in self._wanted:
                continue
            if header.hash == codec.NO_HASH:
                last = self._seen.get(topic)
                if last and last[0] == header.epoch and header.sequence > last[1] + 1:
                    self.gaps += header.sequence - last[1] - 1
                self._seen[topic] = (header.epoch, header.sequence)
            return frame
        return None


class PushSocket(_Sender):
    """The PUSH end of a pipe: connects to the one reader; `dropped` counts what its queue refused."""

    def __init__(self, endpoint: str, context: Context | None = None) -> None:
        super().__init__(zmq.PUSH, HIGH_WATER_MARK, context)
        self._socket.connect(endpoint)
        self.dropped = 0
        self._sequence = 0

    @property
    def last_place(self) -> int:
        """Place of the last message sent in the pipe, as `lockstep.pipe_place` of its header; 0 before the first."""
        return self._epoch << 32 | self._sequence if self._sequence else 0

    def send(self, topic: str, message: msgspec.Struct) -> None:
        """Push a message that is not journaled; if a full queue drops it, the next one states the same again."""
        self._sequence += 1
        self._send(
            codec.encode_frame(
                topic, self._epoch, self._sequence, codec.NO_HASH, machine_now(), codec.encode_body(message)
            )
        )

    def send_row(self, topic: str, row: Row) -> None:
        """Push a journaled message; if it is dropped, the reader finds it in the journal."""
        self._send(codec.encode_frame(topic, row.epoch, row.stream_seq, row.hash, machine_now(), row.body))

    def _send(self, frame: bytes) -> None:
        try:
            self._hand(frame, zmq.NOBLOCK)
            self.bytes_out += len(frame)
        except zmq.Again:
            self.dropped += 1


class PullSocket(_Receiver):
    """The PULL end of a pipe: the one reader, which binds."""

    def __init__(self, stream: str, endpoint: str, context: Context | None = None) -> None:
        super().__init__(zmq.PULL, stream, HIGH_WATER_MARK, context)
        _bind(self.socket, endpoint)


Receiver = ZMQSubscriber | PullSocket


class Traffic(NamedTuple):
    """Frames and bytes through all sockets since they were made."""

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
        self.context: Context = zmq.Context()
        self._senders: list[ZMQPublisher | PushSocket] = []
        self._receivers: list[Receiver] = []

    def publisher(self, stream: str, *, bound: bool = True) -> ZMQPublisher:
        """Make the PUB end of a fan-out stream; without `bound` the caller binds it later."""
        endpoint = endpoint_of(self._config, stream, self._name)
        made = ZMQPublisher(endpoint, self._config.messaging.high_water_mark, self.context, bound=bound)
        self._senders.append(made)
        return made

    def push(self, stream: str) -> PushSocket:
        """Make the writing end of a pipe, connected to its reader."""
        made = PushSocket(endpoint_of(self._config, stream), self.context)
        self._senders.append(made)
        return made

    def subscriber(
        self, stream: str, topics: Iterable[str], writers: Iterable[str] | None, *, first: bool
    ) -> ZMQSubscriber:
        """Make the SUB end of a fan-out stream, connected to `writers` (None: all) but this daemon; with `first` it is
        served before other readers."""
        names = writers if writers is not None else STREAMS[stream].writers
        endpoints = sorted({endpoint_of(self._config, stream, writer) for writer in names if writer != self._name})
        most = self._config.messaging.high_water_mark
        made = ZMQSubscriber(stream, endpoints, topics, most, self.context, first=first)
        self._receivers.append(made)
        return made

    def pull(self, stream: str) -> PullSocket:
        """Make the reading end of a pipe, bound."""
        assert STREAMS[stream].pattern is Pattern.PIPE, f"{stream} is not a pipe"
        made = PullSocket(stream, endpoint_of(self._config, stream), self.context)
        self._receivers.append(made)
        return made

    def traffic(self) -> Traffic:
        """Return the bytes, bad frames and dropped messages of all sockets so far."""
        refused = sum(sender.dropped for sender in self._senders if isinstance(sender, PushSocket))
        missed = sum(receiver.gaps for receiver in self._receivers if isinstance(receiver, ZMQSubscriber))
        return Traffic(
            bytes_in=sum(receiver.bytes_in for receiver in self._receivers),
            bytes_out=sum(sender.bytes_out for sender in self._senders),
            bad_frames=sum(receiver.bad.count for receiver in self._receivers),
            dropped=refused + missed,
        )

    def close(self) -> None:
        """Close all sockets, once what was sent has had a tenth of a second to leave."""
        for socket in (*self._receivers, *self._senders):
            socket.close()
        self.context.destroy(linger=100)


def drain(receive: Callable[[], codec.Frame | None], limit: int) -> Iterable[codec.Frame]:
    """Yield frames from `receive` until it has none, at most `limit`, so that no socket starves the others."""
    for _ in range(limit):
        if (frame := receive()) is None:
            return
        yield frame


def _bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Bind, replacing the socket file a killed process left behind."""
    if endpoint.startswith("ipc://"):
        Path(endpoint[6:]).unlink(missing_ok=True)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise OSError(f"cannot bind {endpoint}: {error}; another program uses it, or the path is too long") from error
