"""Following the journals of other daemons: frames as the fast path, the writers' files for what is missing.

The lower half of a machine daemon: cursors, what they are compared with, and the doubts that a broken upstream leaves.
The one rule: a row is handed on once and in its writer's order, or its writer is in quarantine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from mytrading.messages.codec import Frame, FrameError, Header, StreamDecoder
from mytrading.messages.control import KILL, TradingState
from mytrading.messages.enums import DaemonState, TradingLevel
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import STREAMS, Pattern, unions
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import Daemon
from mytrading.runtime.doubts import Doubts
from mytrading.runtime.journal import Cursor, Journal, JournalDamaged, JournalReader, Row, last_inputs
from mytrading.runtime.strangers import Strangers

CATCH_UP_S = 0.5
STILL_HERE_ROWS = 100
"""A recovery of thousands of rows looks so often whether a heartbeat is due."""
MOST_COMPARED = 1_000_000
"""Rows looked back over for the last one that a reader and a writer who lost rows have in common."""
_START = Cursor()


class _Followed(NamedTuple):
    writer: str
    stream: str
    reader: JournalReader
    downstream: bool


class FollowingDaemon(Daemon, ABC):
    """A daemon that reads journaled streams without loss, and has a journal of its own in which it notes how far."""

    def __init__(self, name: str, config: RunConfig) -> None:
        super().__init__(name, config)
        self.journal: Journal
        self._doubts = Doubts(name, self.alerts, self.notes, self.record, self.clock.now, self.tell_readiness)
        self.quarantined = self._doubts.whom
        self._followed: dict[tuple[str, str], _Followed] = {}
        self._cursors: dict[tuple[str, str], Cursor] = {}
        self._decoders = {stream: StreamDecoder(stream) for stream in unions()}
        self._strangers = Strangers(self._say_unexpected)

    @abstractmethod
    def record(self, rows: Sequence[Any]) -> None:
        """Journal rows that no message led to."""

    def _say_unexpected(self, stream: str, writer: str, count: int) -> None:
        self.log.warning("frame.unexpected", stream=stream, writer=writer, count=count)

    @abstractmethod
    def write_down(self) -> None:
        """Journal what was read and led to nothing, so that our journal holds all that we know."""

    @abstractmethod
    def step(
        self,
        stream: str,
        message: Any,
        source: str = "",
        place: Cursor | None = None,
        decide: bool = True,
        keep: bool = False,
        body: bytes = b"",
    ) -> tuple[Any, ...]:
        """Take one message in, and decide on it unless told not to."""

    def follow(self, stream: str, writers: Iterable[str] | None = None, downstream: bool = False) -> None:
        """Read a journaled stream without loss: frames as the fast path, the writers' journals for what is missing.

        What a `downstream` wrote while we were away is learnt before anything is decided.
        """
        names = tuple(writers) if writers is not None else STREAMS[stream].writers
        for writer in names:
            reader = JournalReader(self.config.journal_dir(writer), stream)
            followed = self._followed[writer, stream] = _Followed(writer, stream, reader, downstream)
            self._check_cursor(followed)
        for writer in names:
            self._catch_up_with(self._followed[writer, stream], decide=not downstream)
        if STREAMS[stream].pattern is Pattern.PIPE:
            self.pull(stream, partial(self._on_followed, stream))
        else:
            self.subscribe(stream, partial(self._on_followed, stream), writers=names)

    def _on_followed(self, stream: str, frame: Frame) -> None:
        key = (frame.topic, stream)
        followed = self._followed.get(key)
        if followed is None:
            self._strangers.add(stream, frame.topic, machine_now())
            return
        cursor = self._cursors.get(key, _START)
        header = frame.header
        if self.quarantined:
            self._heed(frame.message)  # also from a writer whose journal is not read: a person may mean that very one
        if header.sequence != cursor.seq + 1 or (cursor.seq and header.epoch != cursor.epoch):
            self._on_other(followed, header, cursor)
            return
        place = Cursor(header.epoch, header.sequence, header.hash)
        self.step(stream, frame.message, source=frame.topic, place=place, body=frame.body)

    def _on_other(self, followed: _Followed, header: Header, cursor: Cursor) -> None:
        """A frame that is not the next one: of another past of its writer, known, or beyond what was missed."""
        if cursor.seq and _other_past(header, cursor):
            self._check_cursor(followed)
        elif header.sequence <= cursor.seq:
            return
        self._catch_up_with(followed, decide=True)

    def catch_up(self) -> None:
        """Read what frames did not bring, from the journals of all writers followed."""
        for followed in self._followed.values():
            self._catch_up_with(followed, decide=True)

    def _catch_up_with(self, followed: _Followed, decide: bool) -> None:
        key = (followed.writer, followed.stream)
        if followed.writer in self.quarantined:
            return
        while rows := self._read(followed, self._cursors.get(key, Cursor()).seq):
            if rows[0].epoch != self._cursors.get(key, Cursor()).epoch and self._check_cursor(followed):
                continue
            for row in rows:
                try:
                    message = self._decoders[row.stream].body(row.body)
                except FrameError as error:
                    problem = f"row {row.stream_seq} of {row.stream} is unreadable: {error}"
                    self._doubts.begin(followed.writer, "UPSTREAM_UNREADABLE", problem)
                    return
                place = Cursor(row.epoch, row.stream_seq, row.hash)
                self.step(row.stream, message, source=followed.writer, place=place, decide=decide, body=row.body)
                self.still_here()  # after each row: one may take long where much is held

    def _read(self, followed: _Followed, after: int) -> list[Row]:
        """The next rows of a writer; none, and the writer in doubt, when its file cannot be read."""
        try:
            return followed.reader.read(after)
        except JournalDamaged as error:
            self._doubts.begin(followed.writer, "UPSTREAM_UNREADABLE", str(error))
            return []

    def _check_cursor(self, followed: _Followed) -> bool:
        """If the writer's journal no longer holds the row we stand on, say so and halt entries; go on after the last
        common one: true if we stand elsewhere now."""
        try:
            return self._compare_cursor(followed)
        except JournalDamaged as error:
            self._doubts.begin(followed.writer, "UPSTREAM_UNREADABLE", str(error))
            return False

    def _compare_cursor(self, followed: _Followed) -> bool:
        key = (followed.writer, followed.stream)
        cursor = self._cursors.get(key, Cursor())
        if followed.reader.last() == 0 or followed.reader.matches(cursor):
            return False
        self.write_down()
        read = dict(last_inputs(self.journal.folder, followed.writer, followed.stream, MOST_COMPARED))
        common = followed.reader.newest_of(read)
        problem = f"read up to {cursor.seq}, but the journal agrees only up to {common.seq}: its tail was lost"
        self._doubts.begin(f"{followed.writer}/{followed.stream}", "UPSTREAM_LOST_ROWS", problem)
        self._cursors[key] = common
        return common != cursor

    def _heed(self, message: Any) -> None:
        """A `resume` ends the quarantine; one that is read while starting, the doubts that are older than it."""
        normal = isinstance(message, TradingState) and message.level is TradingLevel.NORMAL and message.account != KILL
        if normal:
            self.release_quarantine(None if self.state is DaemonState.RUNNING else message.at_ns)

    def release_quarantine(self, before: int | None = None) -> None:
        """A person looked and said `resume`: follow everybody again, or those whom we doubted before a market time."""
        self._doubts.end(before)


def _other_past(header: Header, cursor: Cursor) -> bool:
    """True for a frame of a writer whose journal is no longer the one we read: its sequences say nothing then."""
    same_place = (header.epoch, header.sequence) == (cursor.epoch, cursor.seq)
    return header.epoch > cursor.epoch or (same_place and header.hash != cursor.hash)
