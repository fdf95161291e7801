"""Following the journals of other daemons: each row once and in order, or its writer is in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from mytrading.core.time import MINUTE
from mytrading.messages.codec import Frame, FrameError, StreamDecoder
from mytrading.messages.control import KILL, TradingState
from mytrading.messages.enums import DaemonState, TradingLevel
from mytrading.messages.streams import STREAMS, Pattern, unions
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import Cursor, JournalDamaged, JournalReader, last_inputs

if TYPE_CHECKING:
    from mytrading.runtime.daemon.machine_daemon import MachineDaemon

CATCH_UP_S = 0.5
STILL_HERE_ROWS = 100
"""A recovery of thousands of rows looks so often whether a heartbeat is due."""
MOST_COMPARED = 1_000_000
"""Rows looked back over for the last one that a reader and a writer who lost rows have in common."""
UNEXPECTED_NS = MINUTE
_START = Cursor()


class UnexpectedFrames:
    """Frames of writers that are not followed, counted; `log(stream, writer, count)` at most once a minute for each."""

    def __init__(self, log: Callable[[str, str, int], None]) -> None:
        self._log = log
        self._count: dict[tuple[str, str], int] = {}
        self._next_ns: dict[tuple[str, str], int] = {}

    def add(self, stream: str, writer: str, machine_ns: int) -> None:
        """Count one frame of a writer that is not followed, and log the count at most once a minute."""
        key = (stream, writer)
        self._count[key] = self._count.get(key, 0) + 1
        if machine_ns >= self._next_ns.get(key, 0):
            self._next_ns[key] = machine_ns + UNEXPECTED_NS
            self._log(stream, writer, self._count.pop(key))


class JournalFollower:
    """Cursors of the journaled streams that a machine daemon reads, and the way of their rows to its `step`."""

    def __init__(self, daemon: MachineDaemon) -> None:
        self.cursors: dict[tuple[str, str], Cursor] = {}
        """The last row read, by (writer, stream)."""
        self.decoders = {stream: StreamDecoder(stream) for stream in unions()}
        self._daemon = daemon
        self._quarantine = daemon.quarantine
        self._followed: dict[tuple[str, str], JournalReader] = {}
        """By (writer, stream)."""
        self._waits: dict[str, Callable[[], bool]] = {}
        warn = partial(daemon.log.warning, "frame.unexpected")
        self._unexpected = UnexpectedFrames(
            lambda stream, writer, count: warn(stream=stream, writer=writer, count=count)
        )

    def follow(
        self,
        stream: str,
        writers: Iterable[str] | None = None,
        downstream: bool = False,
        waits: Callable[[], bool] | None = None,
    ) -> None:
        """Read a journaled stream without loss: frames as the fast path, the writers' journals for gaps.

        `downstream`: the writers obey this daemon; their rows since it last ran are applied before it decides anything.
        While `waits()` is True rows stay in the writers' journals, unread; `catch_up` reads them later.
        """
        names = tuple(writers) if writers is not None else STREAMS[stream].writers
        if waits is not None:
            self._waits[stream] = waits
        for writer in names:
            self.open(writer, stream)
            self._check_cursor((writer, stream))
        for writer in names:
            self._catch_up_with((writer, stream), decide=not downstream)
        if STREAMS[stream].pattern is Pattern.PIPE:
            self._daemon.pull(stream, partial(self.receive, stream))
        else:
            self._daemon.subscribe(stream, partial(self.receive, stream), writers=names)

    def open(self, writer: str, stream: str) -> None:
        """Open the journal that a writer keeps of a stream, for reading."""
        self._followed[writer, stream] = JournalReader(self._daemon.config.journal_dir(writer), stream)

    def receive(self, stream: str, frame: Frame) -> None:
        """Step the daemon with a frame of a followed stream; read a gap before it, skip what was read already."""
        key = (frame.topic, stream)
        if key not in self._followed:
            self._unexpected.add(stream, frame.topic, machine_now())
            return
        cursor = self.cursors.get(key, _START)
        header = frame.header
        if self._quarantine.writers:
            self.resume_after(frame.message)  # also from a writer in quarantine: an operator may mean that very one
        if self._is_waiting(stream):
            return
        if header.sequence != cursor.seq + 1 or (cursor.seq and header.epoch != cursor.epoch):
            same_place = (header.epoch, header.sequence) == (cursor.epoch, cursor.seq)
            if cursor.seq and (header.epoch > cursor.epoch or (same_place and header.hash != cursor.hash)):
                self._check_cursor(key)  # the writer's journal is another one: its sequences say nothing
            elif header.sequence <= cursor.seq:
                return
            self._catch_up_with(key, decide=True)
            return
        place = Cursor(header.epoch, header.sequence, header.hash)
        self._daemon.step(stream, frame.message, source=frame.topic, place=place, body=frame.body)

    def _is_waiting(self, stream: str) -> bool:
        return stream in self._waits and self._waits[stream]()

    def catch_up(self) -> None:
        """Read rows that came in no frame from the journals of all followed writers, and step the daemon with them."""
        for key in self._followed:
            self._catch_up_with(key, decide=True)

    def _catch_up_with(self, key: tuple[str, str], decide: bool) -> None:
        writer, reader = key[0], self._followed[key]
        if writer in self._quarantine.writers or self._is_waiting(key[1]):
            return
        while True:
            try:
                rows = reader.read(self.cursors.get(key, Cursor()).seq)
            except JournalDamaged as error:
                self._quarantine.begin(writer, "UPSTREAM_UNREADABLE", str(error))
                return
            if not rows:
                return
            if rows[0].epoch != self.cursors.get(key, Cursor()).epoch and self._check_cursor(key):
                continue
            for row in rows:
                try:
                    message = self.decoders[row.stream].decode_body(row.body)
                except FrameError as error:
                    problem = f"row {row.stream_seq} of {row.stream} is unreadable: {error}"
                    self._quarantine.begin(writer, "UPSTREAM_UNREADABLE", problem)
                    return
                place = Cursor(row.epoch, row.stream_seq, row.hash)
                self._daemon.step(row.stream, message, source=writer, place=place, decide=decide, body=row.body)
                self._daemon.beat_if_due()  # after each row: one may take long where much is held

    def _check_cursor(self, key: tuple[str, str]) -> bool:
        """Compare our cursor with the writer's journal. If that lost the row, quarantine its stream and go on after
        the last common row; true if the cursor moved."""
        (writer, stream), reader = key, self._followed[key]
        cursor = self.cursors.get(key, Cursor())
        try:
            if reader.matches(cursor) or reader.last() == 0:
                return False
            self._daemon.flush_inputs()
            common = reader.newest_of(dict(last_inputs(self._daemon.journal.folder, writer, stream, MOST_COMPARED)))
        except JournalDamaged as error:
            self._quarantine.begin(writer, "UPSTREAM_UNREADABLE", str(error))
            return False
        problem = f"read up to {cursor.seq}, but the journal agrees only up to {common.seq}: its tail was lost"
        self._quarantine.begin(f"{writer}/{stream}", "UPSTREAM_LOST_ROWS", problem)
        self.cursors[key] = common
        return common != cursor

    def resume_after(self, message: Any) -> None:
        """End all quarantines if `message` is an operator's resume; while starting, only those older than it."""
        if isinstance(message, TradingState) and message.level is TradingLevel.NORMAL and message.account != KILL:
            self._quarantine.release(None if self._daemon.state is DaemonState.RUNNING else message.at_ns)

    def close(self) -> None:
        """Close the journals of all followed writers."""
        for reader in self._followed.values():
            reader.close()
