"""Clients of the WebSocket side, their subscriptions, and the frames that go out to them.

Each client has its own queue and writer, so that a slow one delays nobody. Order updates and replies are never dropped;
market data of a client that lags is reduced to the newest frame per symbol and mode.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, KeysView

import msgspec
from aiohttp import ClientConnectionResetError, WSMsgType, web
from msgspec.structs import replace

from mytrading.core.instruments.symbology import split_id
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.formats.broker_frames import BrokerFrames
from mytrading.simulator.formats.frames import BROKER, DEPTH, QUOTE, Body, market_frame, served_frame
from mytrading.simulator.market.day import SimulatedQuote

Altered = Callable[[bytes], bytes]
"""Makes a hostile or torn frame of a sound one."""

LATE_QUOTES = 2
"""Quotes that still come in the fuller mode after the broker was asked for a lesser one."""


class _Stream:
    """The mode that the broker sends, and the modes that its adapter holds for subscribed."""

    __slots__ = ("kept", "late", "mode", "sends")

    def __init__(self) -> None:
        self.kept: set[int] = set()
        self.mode = self.sends = self.late = 0

    def ask(self, mode: int) -> None:
        """The adapter asks for a mode: a fuller one is there at once, a lesser one after some quotes."""
        self.kept.add(mode)
        self.mode, self.late = mode, LATE_QUOTES if mode < self.sends else 0
        if not self.late:
            self.sends = mode


class BrokerSubscriptions:
    """OpenAlgo's pool of subscriptions at the broker, by instrument; it lives as long as the server.

    The leak: a mode that is given up while a fuller one is held stays with the adapter, and keeps the broker sending
    the fuller one after that was given up as well.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def add(self, instrument: str, mode: int, held: Collection[int]) -> None:
        """Subscribe at the broker when a mode (LTP, Quote, Depth) gets its first client; `held`: modes taken before."""
        stream = self._streams.setdefault(instrument, _Stream())
        if mode > max(held, default=0):
            stream.ask(mode)
        stream.kept.add(mode)

    def remove(self, instrument: str, mode: int, left: Collection[int]) -> None:
        """End a mode's subscription at the broker after its last client left; `left`: modes clients still have."""
        stream = self._streams[instrument]
        if mode < max(left, default=0):
            return
        stream.kept.discard(mode)
        if left:
            stream.ask(max(left))
        elif not stream.kept:
            del self._streams[instrument]

    def frame_modes(self, instrument: str) -> list[int]:
        """Return the modes (LTP, Quote, Depth) of the frames that one quote becomes, fullest first."""
        stream = self._streams[instrument]
        return sorted({mode for mode in stream.kept if mode < stream.sends} | {stream.sends}, reverse=True)

    def sends_depth(self, instrument: str) -> bool:
        """Return whether the broker now sends Depth for the instrument."""
        return self._streams[instrument].sends == DEPTH

    def count_quote(self, instrument: str) -> None:
        """Count one quote: a lesser mode is applied by the broker only some quotes after it was asked for."""
        stream = self._streams[instrument]
        if stream.late:
            stream.late -= 1
            if not stream.late:
                stream.sends = stream.mode


_encode = msgspec.json.Encoder().encode

# A client this many frames behind gets only the newest of each kind; one that still lags by the second is cut off.
CONFLATE_ABOVE = 4_000
HOPELESS_ABOVE = 20_000
_HEADER = 14
"""Bytes before a frame, at most."""

Key = tuple[str, int, int]
"""An instrument, the mode of its frame, and the mode under which a client gets it."""


def _is_for(held: Collection[int], kind: int, mode: int) -> bool:
    """True if a client that holds these modes gets a frame of this kind under this mode: no fuller one fits."""
    return len(held) == 1 or not any(mode < other <= kind for other in held)


def _under_modes(instrument: str, kind: int, body: Body, modes: Iterable[int]) -> list[tuple[Key, Body]]:
    """A frame of a kind under each of the modes that may get it."""
    return [
        ((instrument, kind, mode), body if mode == kind else {**body, "mode": mode}) for mode in modes if mode <= kind
    ]


def _under_name(other: str, key: Key, body: Body) -> tuple[Key, Body]:
    """A frame under the name of another instrument."""
    exchange, symbol = split_id(other)
    named = {"symbol": symbol, "exchange": exchange}
    return (other, *key[1:]), {**body, **named, "data": {**body["data"], **named}}


class Client:
    """One connection: its subscriptions and what still has to be sent."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket = socket
        self._transport = transport
        self._never_waits = transport.get_write_buffer_limits()[1] - _HEADER if transport is not None else -1
        """Bytes of a frame that an empty transport takes without holding up who writes it."""
        self.authenticated = self.wants_orders = False
        self.admitted_ns = 0
        self.modes: dict[str, list[int]] = {}
        self.on_put: Callable[[], None] = lambda: None
        self._queue: deque[tuple[Key | None, bytes]] = deque()
        self._wake = asyncio.Event()
        self._writes = self._hopeless = False

    @property
    def waiting(self) -> int:
        """Return how many frames are queued."""
        return len(self._queue)

    def send(self, body: object) -> None:
        """Queue a reply or an order update, as JSON, which is never dropped."""
        self.put(None, _encode(body))

    def put(self, key: Key | None, frame: bytes, *, counted: bool = True) -> None:
        """Queue an encoded frame; while the client lags, a newer one of its `key` replaces it (None: never). `counted`:
        the hub is told."""
        queue = self._queue
        if counted:
            self.on_put()
        idle = len(frame) <= self._never_waits and not (queue or self._writes or self._hopeless)
        if idle and self._transport is not None and not self._transport.get_write_buffer_size() and self._sent(frame):
            return
        queue.append((key, frame))
        if len(queue) > CONFLATE_ABOVE and key is not None:
            self._conflate()
        if len(queue) > HOPELESS_ABOVE:
            self._hopeless = True
        self._wake.set()

    def _sent(self, frame: bytes) -> bool:
        """Write a frame that the transport has room for without the writer; false if the writer has to send it."""
        sending = self.socket.send_frame(frame, WSMsgType.TEXT)
        try:
            sending.send(None)
        except StopIteration:
            return True
        except (ClientConnectionResetError, ConnectionError, RuntimeError):
            return False
        raise AssertionError("a frame that the transport had room for was held up")

    def _conflate(self) -> None:
        newest: dict[Key, bytes] = {}
        for key, frame in self._queue:
            if key is not None:
                newest.pop(key, None)
                newest[key] = frame
        self._queue = deque((key, frame) for key, frame in self._queue if key is None)
        self._queue.extend(newest.items())

    async def write(self) -> None:
        """Send queued frames until the connection ends."""
        try:
            while not self._hopeless:
                while self._queue and not self._hopeless:
                    _, frame = self._queue.popleft()
                    self._writes = True
                    await self.socket.send_frame(frame, WSMsgType.TEXT)
                    self._writes = False
                self._wake.clear()
                if not self._queue:
                    await self._wake.wait()
        except (ClientConnectionResetError, ConnectionError, RuntimeError):
            pass
        self.abort()

    def abort(self) -> None:
        """Cut the connection without a closing frame."""
        if self._transport is not None:
            self._transport.abort()


class Hub:
    """All connections by subscription. `sent` counts frames; `on_send` is called after each.

    With `as_served` quotes have the fields of a running server's and no more; with `frames` those of a broker's
    adapter, and its ways: `token_of` gives an instrument's token, by which some of them find subscriptions.
    """

    def __init__(
        self,
        broker: str = BROKER,
        *,
        as_served: bool = False,
        frames: BrokerFrames | None = None,
        token_of: Callable[[str], str] = str,
    ) -> None:
        self._broker, self._as_served = broker, as_served
        self.frames, self._token_of = frames, token_of
        self._by_token: dict[str, list[str]] = {}
        """Watched instruments by token, in the order of their subscription; only where the token alone is looked at."""
        self._newest: dict[str, SimulatedQuote] = {}
        self.clients: set[Client] = set()
        self._listeners: dict[str, dict[int, list[Client]]] = {}
        self._pool = BrokerSubscriptions()
        self.frames_sent = 0
        self.published_ns = 0
        """Machine time at which the last quote's frame was about to be encoded and written."""
        self.sent = 0
        self.on_send: Callable[[], None] = lambda: None

    def add_client(self, client: Client) -> None:
        """Add a connection, which gets nothing before it subscribes."""
        client.on_put = self._count
        self.clients.add(client)
        self._count()

    def _count(self) -> None:
        self.sent += 1
        self.on_send()

    def send_step_mark(self, mark: int, *, orders_alone: bool = False) -> None:
        """Queue the lock-step mark (a step's number) for all authenticated clients, after the step's other frames;
        `orders_alone`: for those of order updates, before the step's quotes."""
        frame = _encode({"type": "step", "mark": mark})
        for client in self.clients:
            if client.authenticated and (client.wants_orders or not orders_alone):
                client.put(None, frame, counted=False)

    @property
    def watched_instruments(self) -> KeysView[str]:
        """Return the instruments with at least one subscriber."""
        return self._listeners.keys()

    def subscribe(self, client: Client, instrument: str, mode: int) -> None:
        """Subscribe a client to an instrument's quotes in a mode (LTP, Quote or Depth); no effect if it has that."""
        if self.frames is not None and self.frames.form.token and instrument not in self._listeners:
            self._by_token.setdefault(self._token_of(instrument), []).append(instrument)
        modes = client.modes.setdefault(instrument, [])
        if mode in modes:
            return
        modes.append(mode)
        listeners = self._listeners.setdefault(instrument, {})
        if mode not in listeners:
            self._pool.add(instrument, mode, listeners)
        listeners.setdefault(mode, []).append(client)

    def unsubscribe(self, client: Client, instrument: str, mode: int) -> None:
        """End a client's subscription to an instrument's quotes in a mode (LTP, Quote or Depth), if it has that."""
        modes = client.modes.get(instrument, [])
        if mode not in modes:
            return
        modes.remove(mode)
        if not modes:
            del client.modes[instrument]
        listeners = self._listeners[instrument]
        listeners[mode].remove(client)
        if not listeners[mode]:
            del listeners[mode]
            self._pool.remove(instrument, mode, listeners)
        if not listeners:
            del self._listeners[instrument]
            self._newest.pop(instrument, None)
            if instrument in (watched := self._by_token.get(self._token_of(instrument), [])):
                watched.remove(instrument)

    def remove_client(self, client: Client) -> None:
        """Remove a connection and end its subscriptions."""
        self.clients.discard(client)
        for instrument, modes in list(client.modes.items()):
            for mode in list(modes):
                self.unsubscribe(client, instrument, mode)

    def publish(self, quote: SimulatedQuote, altered: Altered | None = None) -> None:
        """Queue a quote's frames for all subscribers of its instrument; `altered` changes each frame's bytes."""
        instrument = quote.instrument.id
        if not (listeners := self._listeners.get(instrument)):
            return
        bodies = self._bodies(quote, listeners)
        self._pool.count_quote(instrument)
        self.published_ns = machine_now()
        self._queue(instrument, bodies, altered)
        if self.frames is not None and self.frames.form.repeat_seconds:
            self._newest[instrument] = quote

    def _queue(self, instrument: str, bodies: list[tuple[Key, Body]], altered: Altered | None) -> None:
        """Queue the frames of a message for the subscribers whom it reaches."""
        for reached in self._reached(instrument):
            listeners = self._listeners[reached]
            for key, body in bodies if reached == instrument else [_under_name(reached, *one) for one in bodies]:
                _, kind, mode = key
                clients = [client for client in listeners.get(mode, ()) if _is_for(client.modes[reached], kind, mode)]
                frame = _encode(body) if clients else b""
                if altered is not None:
                    frame = altered(frame)
                self.frames_sent += len(clients)
                for client in clients:
                    client.put(key, frame)

    def _reached(self, instrument: str) -> list[str]:
        """Return the subscribed instruments that a message of `instrument` is taken for: itself, or, where the adapter
        looks at the token alone, all of that token or the one that was subscribed last."""
        if not self._by_token:
            return [instrument]
        sharing = self._by_token[self._token_of(instrument)]
        assert self.frames is not None
        return sharing[-1:] if self.frames.form.token == "last" else list(sharing)

    def repeat(self, now: int) -> None:
        """Send what was sent last of each instrument again, with the stamp of `now` (market ns)."""
        for instrument, quote in list(self._newest.items()):
            self._queue(instrument, self._bodies(replace(quote, at_ns=now), self._listeners[instrument]), None)

    def send_current_quote(self, client: Client, quote: SimulatedQuote, mode: int) -> None:
        """Queue the present quote in `mode` for a client that has just subscribed to it."""
        if quote.instrument.id not in self._reached(quote.instrument.id):
            return
        for key, body in self._bodies(quote, (mode,)):
            if _is_for(client.modes[quote.instrument.id], key[1], mode):
                client.put(key, _encode(body))

    def _bodies(self, quote: SimulatedQuote, modes: Collection[int]) -> list[tuple[Key, Body]]:
        """The frames of a quote, fullest first, each under every mode that may get it."""
        instrument = quote.instrument.id
        if self.frames is not None:
            return self._broker_bodies(self.frames, quote, modes)
        full, found = self._pool.sends_depth(instrument), []
        for kind in self._pool.frame_modes(instrument):
            if self._as_served:
                body = served_frame(quote, kind, self._broker, full=full)
            else:
                body = market_frame(quote, kind, self._broker)
            found += _under_modes(instrument, kind, body, modes)
        return found

    def _broker_bodies(
        self, frames: BrokerFrames, quote: SimulatedQuote, modes: Collection[int]
    ) -> list[tuple[Key, Body]]:
        instrument, found = quote.instrument.id, list[tuple[Key, Body]]()
        full, held = self._pool.sends_depth(instrument), self._listeners[instrument]
        quote = frames.begin_quote(quote)
        for kind in self._pool.frame_modes(instrument):
            for body in frames.frames(quote, kind, held, full=full):
                if frames.form.sent_as:
                    under = modes if frames.form.sent_as == "all" else (next(iter(held)),)
                    found += [((instrument, mode, mode), {**body, "mode": mode}) for mode in under if mode in modes]
                    continue
                found += _under_modes(instrument, kind, body, modes)
                if QUOTE in modes and (again := frames.after_depth(quote, body)) is not None:
                    found.append(((instrument, QUOTE, QUOTE), again))
        return found

    def publish_order(self, body: object, altered: Altered | None = None) -> None:
        """Queue an order update for all who subscribed to order updates; `altered` changes the frame's bytes."""
        frame = _encode(body) if altered is None else altered(_encode(body))
        for client in self.clients:
            if client.wants_orders:
                client.put(None, frame)

    def disconnect_all(self) -> None:
        """Cut all connections without closing frames."""
        for client in list(self.clients):
            client.abort()
