"""The live socket: to each viewer what changed of the topics that it watches, and a beat a second.

A viewer that reads slowly gets fewer and larger deltas, never a queue; one that reads nothing is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect, WebSocketException

from mytrading.core.time import SECOND
from mytrading.daemons.console.authentication import Viewer
from mytrading.daemons.console.topics import TopicBook, TopicState
from mytrading.daemons.console.user_store import UserStore
from mytrading.messages import console_api as api
from mytrading.messages.console_rows import CHAIN_TOPICS, TOPICS
from mytrading.runtime.host.clock import machine_now

BEAT_S = 1.0
DEAF_S = 10.0
"""A viewer that takes nothing for so long is cut off."""
MOST_OF_USER = 10
MOST_BYTES = 8192
SILENT_NS = 300 * SECOND
"""A page that has said nothing for so long leases no quotes of chains."""
SESSION_ENDED, NOT_ALLOWED, TOO_SLOW, TOO_MANY = 4401, 4403, 4408, 4429
CHECK_S = 5.0
"""Between two looks at whether a viewer's session still lives."""
PROTOCOL = 1
_request = msgspec.json.Decoder(api.LiveRequest)
_encode = msgspec.json.encode
Watched = Callable[[str], Awaitable[str]]
"""Makes a chain topic known; returns why it cannot be, empty if it can."""


class LiveViewer:
    """An open socket: its topics, and the state of each that was sent last."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.topics: dict[str, TopicState | None] = {}
        self.changed = asyncio.Event()
        self.last_request_ns = machine_now()
        self.end_code = 0
        """Close code of the socket, 0 while it stays open."""

    def close_with(self, code: int) -> None:
        """Have the socket closed with a code."""
        self.end_code = code
        self.changed.set()


class LiveHub:
    """All open sockets. `beat` gives the message of each second, `chain_problem` makes a chain topic known."""

    def __init__(
        self, book: TopicBook, store: UserStore, beat: Callable[[], api.LiveBeat], chain_problem: Watched, build: str
    ) -> None:
        self.book, self.store, self.build = book, store, build
        self.viewers: set[LiveViewer] = set()
        self._beat, self._chain_problem = beat, chain_problem
        self._beaten = (0, "")
        self.now = machine_now
        """The clock by which a silent page gives up its chains."""

    def wake(self, topics: Iterable[str]) -> None:
        """Have those look who watch one of these topics, which have changed; in the event loop."""
        changed = frozenset(topics)
        for viewer in self.viewers:
            if not changed.isdisjoint(viewer.topics):
                viewer.changed.set()

    def wanted(self) -> frozenset[str]:
        """Return the topics that somebody watches, chains left out."""
        return frozenset(name for viewer in self.viewers for name in viewer.topics if name in TOPICS)

    def wanted_chains(self) -> frozenset[str]:
        """Return the chains (UNDERLYING:EXPIRY) of viewers that sent a request lately."""
        oldest = self.now() - SILENT_NS
        recent = (viewer for viewer in self.viewers if viewer.last_request_ns >= oldest)
        return frozenset(name.partition(":")[2] for viewer in recent for name in viewer.topics if name not in TOPICS)

    def count_of(self, session_digest: str) -> int:
        """Return how many sockets a session has open."""
        return sum(viewer.viewer.required_session.digest == session_digest for viewer in self.viewers)

    def end_sessions(self, *digests: str) -> None:
        """Close the sockets of sessions that have ended."""
        for viewer in self.viewers:
            if viewer.viewer.required_session.digest in digests:
                viewer.close_with(SESSION_ENDED)

    def end_all(self) -> None:
        """Close all sockets: the console stops, pages connect again."""
        for viewer in self.viewers:
            viewer.close_with(1012)

    async def serve(self, socket: WebSocket[Viewer, Any, Any]) -> None:
        """Serve one viewer until either side ends it."""
        await socket.accept()
        mine = LiveViewer(socket.user)
        if sum(one.viewer.name == mine.viewer.name for one in self.viewers) >= MOST_OF_USER:
            await socket.close(TOO_MANY, f"more than {MOST_OF_USER} open pages of one user")
            return
        self.viewers.add(mine)
        reader = asyncio.create_task(self._listen(socket, mine))
        try:
            await self._send(socket, self._hello(mine))
            await self._send_changes(socket, mine)
        except (WebSocketDisconnect, WebSocketException, OSError, TimeoutError):
            mine.end_code = mine.end_code or TOO_SLOW
        finally:
            self.viewers.discard(mine)
            reader.cancel()
            with suppress(Exception):
                await socket.close(mine.end_code or 1000)

    def _hello(self, mine: LiveViewer) -> str:
        beat, session = self._beat(), mine.viewer.required_session
        return _encode(
            api.LiveHello(
                build=self.build,
                protocol=PROTOCOL,
                user=session.name,
                role=session.role,
                wall_ms=beat.wall_ms,
                market_ms=beat.market_ms,
                topics=[*TOPICS, *CHAIN_TOPICS],
            )
        ).decode()

    async def _send_changes(self, socket: WebSocket[Viewer, Any, Any], mine: LiveViewer) -> None:
        """Send beats and changes until the viewer is to end."""
        beat_at = check_at = machine_now()
        while not mine.end_code:
            now = machine_now()
            if now >= check_at:
                check_at = now + int(CHECK_S * 1e9)
                if not self._is_alive(mine):
                    mine.end_code = SESSION_ENDED
                    return
            due = []
            if now >= beat_at:
                beat_at = now + int(BEAT_S * 1e9)
                due.append(self._encoded_beat())
            for topic, known in mine.topics.items():
                newest = self.book.get(topic)
                if newest is not None and newest is not known:
                    mine.topics[topic] = newest
                    due.append(newest.snapshot() if known is None else newest.delta(known))
            await self._send(socket, *due)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(beat_at - machine_now(), 0) / 1e9):
                    await mine.changed.wait()
            mine.changed.clear()

    def _is_alive(self, mine: LiveViewer) -> bool:
        session = mine.viewer.required_session
        now = self.store.session(session.digest)
        return now is not None and now.role == session.role

    def _encoded_beat(self) -> str:
        beat = self._beat()
        if beat.wall_ms - self._beaten[0] > 200:
            self._beaten = beat.wall_ms, _encode(beat).decode()
        return self._beaten[1]

    async def _send(self, socket: WebSocket[Viewer, Any, Any], *messages: str) -> None:
        if not messages:
            return
        async with asyncio.timeout(DEAF_S):
            for message in messages:
                await socket.send_data(message)

    async def _listen(self, socket: WebSocket[Viewer, Any, Any], mine: LiveViewer) -> None:
        """Take messages of the page until it is gone."""
        try:
            while True:
                data = await socket.receive_data(mode="text")
                await self._take(socket, mine, data)
        except (WebSocketDisconnect, WebSocketException, OSError, TimeoutError, RuntimeError, KeyError):
            mine.close_with(mine.end_code or 1000)

    async def _take(self, socket: WebSocket[Viewer, Any, Any], mine: LiveViewer, data: str) -> None:
        try:
            message = _request.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
            await self._refuse(socket, "", f"expected watch, again or alive: {error}")
            return
        mine.last_request_ns = self.now()
        match message:
            case api.LiveAlive():
                if (session := self.store.session(mine.viewer.required_session.digest)) is not None:
                    self.store.touch_session(session)
            case api.LiveAgain(topic=topic):
                if topic in mine.topics:
                    mine.topics[topic] = None
                    mine.changed.set()
            case api.LiveWatch(topics=topics):
                known: dict[str, TopicState | None] = {}
                for topic in dict.fromkeys(topics):
                    if problem := await self._problem(topic):
                        await self._refuse(socket, topic, problem)
                    else:
                        known[topic] = mine.topics.get(topic)
                mine.topics = known
                mine.changed.set()

    async def _problem(self, topic: str) -> str:
        """Return the reason for which a topic cannot be watched; empty if it can."""
        if topic in TOPICS:
            return ""
        kind, _, chain = topic.partition(":")
        if kind in CHAIN_TOPICS and chain.count(":") == 1:
            return await self._chain_problem(chain)
        return f"expected one of {', '.join(TOPICS)}, or chain:UNDERLYING:EXPIRY; found {topic[:40]!r}"

    async def _refuse(self, socket: WebSocket[Viewer, Any, Any], topic: str, error: str) -> None:
        await self._send(socket, _encode(api.LiveRefused(topic=topic[:80], error=error[:300])).decode())
