"""Reading other daemons' journals for show: streams folded from a point in time on, no cursor kept.

For screens and summaries, which begin again with their process; daemons that decide use `MachineDaemon.follow`. A start
reads the rows of its own stream and no others, and checks no chain: a day has hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.journal_rows import DayOpened
from mytrading.runtime.journal.journal import JournalDamaged, JournalReader, Row, segments
from mytrading.runtime.journal.reader import begun_ns, opening_rows, written_rows


class JournalTail:
    """Hands each message of one writer's stream to `handler(row, message)`: first the past, then what is new.

    With `carried`, what the writer carried into a day (`DayOpened`) comes before the rows of that day of the past.
    """

    def __init__(
        self, folder: Path, stream: str, handler: Callable[[Row, Any], None], *, carried: bool = False
    ) -> None:
        self._folder = folder
        self._stream = stream
        self._handler = handler
        self._decoder = StreamDecoder(stream)
        self._carried = StreamDecoder("records") if carried else None
        self._reader = JournalReader(folder, stream)
        self._after = 0

    def start(self, since_machine_ns: int) -> None:
        """Hand over the day files that reach back to `since_machine_ns` (the newest one in any case)."""
        chosen: list[Path] = []
        for path in reversed(segments(self._folder)):
            chosen.insert(0, path)
            if begun_ns(path) < since_machine_ns:
                break
        for path in chosen:
            with suppress(JournalDamaged):  # a screen shows what there is, the writer itself complains
                self._open(path)
                for row in written_rows(path, self._stream):
                    self._hand_over(row)

    def _open(self, path: Path) -> None:
        if self._carried is None:
            return
        for row in opening_rows(path):
            with suppress(FrameError):
                message = self._carried.body(row.body)
                if isinstance(message, DayOpened):
                    self._handler(row, message)

    def poll(self) -> int:
        """Hand over what has been written since; returns how many messages that was."""
        count = 0
        while rows := self._reader.read(self._after):
            for row in rows:
                self._hand_over(row)
            count += len(rows)
        return count

    def _hand_over(self, row: Row) -> None:
        self._after = row.stream_seq
        try:
            message = self._decoder.body(row.body)
        except FrameError:
            return
        self._handler(row, message)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()
