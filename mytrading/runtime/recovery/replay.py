"""Reading one's own journal at a start: every row applied, nothing decided.

Rows of a version that this one cannot apply stop the start; they are never guessed at, skipped or taken for damage.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mytrading import __version__
from mytrading.messages.codec import NO_HASH, FrameError
from mytrading.messages.control import Alert
from mytrading.messages.journal_rows import Doubted, JournalRebuilt, JournalRelearned, RunStarted
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import OLDEST_SCHEMA, SCHEMA_VERSION, STREAMS
from mytrading.runtime.journal.journal import (
    INPUT,
    RECORD,
    Cursor,
    Journal,
    JournalOfAnotherVersion,
    Row,
    last_inputs,
)


class Replayed(NamedTuple):
    """What the harness itself learns from a journal; `rebuilt` if it lost rows and they are not learnt again yet."""

    cursors: dict[tuple[str, str], Cursor]
    alerts: list[Alert]
    quarantines: list[Doubted]
    rebuilt: JournalRebuilt | None


def replay(journal: Journal, decode: Callable[[Row], Any], learn: Callable[[Any], None]) -> Replayed:
    """Hand all messages of the present day file to `learn`.

    Raises `JournalDamaged` for a row that is not what was written, `JournalOfAnotherVersion` for one that is.
    """
    learning = Learning(journal.path, decode, learn)
    with without_collections():
        learning.take(journal.rows())
    return learning.found(journal.carried_cursors())


@contextmanager
def without_collections() -> Iterator[None]:
    """A replay makes hundreds of thousands of small objects and no cycles: to look for some costs a tenth of it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Learning:
    """Rows learnt one after the other, and what the harness itself learns of them."""

    def __init__(self, path: Path, decode: Callable[[Row], Any], learn: Callable[[Any], None]) -> None:
        self._path = path
        self._decode = decode
        self._learn = learn
        self._wrote = "an unknown version"
        self._cursors: dict[tuple[str, str], Cursor] = {}
        self._alerts: list[Alert] = []
        self._quarantines: list[Doubted] = []
        self._rebuilt: JournalRebuilt | None = None

    def take(self, rows: Iterable[Row]) -> None:
        """Learn these rows; raises `JournalOfAnotherVersion` for one that this version cannot apply."""
        newest: dict[tuple[str, str], Row] = {}
        for row in rows:
            message = self._message(row)
            self._learn(message)
            if row.kind == INPUT:
                if row.source_hash != NO_HASH:
                    newest[row.source, row.stream] = row
            elif row.kind == RECORD:
                self._note(message)
        for place, row in newest.items():
            self._cursors[place] = Cursor(row.source_epoch, row.source_seq, row.source_hash)

    def _message(self, row: Row) -> Any:
        try:
            message = self._decode(row)
        except FrameError as error:
            raise JournalOfAnotherVersion(
                f"{self._path}: row {row.seq} ({row.stream}) was written by {self._wrote}; version {__version__} "
                f"(schema {SCHEMA_VERSION}) cannot apply it: {error}; start that version, or `mytrading state upgrade`"
            ) from error
        if isinstance(message, RunStarted):
            self._wrote = f"version {message.version} (schema {message.schema})"
            judge_schema(self._path, message)
        return message

    def _note(self, message: Any) -> None:
        if isinstance(message, Alert):
            self._alerts.append(message)
        elif isinstance(message, Doubted):
            self._quarantines.append(message)
        elif isinstance(message, JournalRebuilt):
            self._rebuilt = message
        elif isinstance(message, JournalRelearned):
            self._rebuilt = None

    def found(self, carried: dict[tuple[str, str], Cursor]) -> Replayed:
        """What was learnt so far; the day began with the cursors `carried`."""
        return Replayed({**carried, **self._cursors}, list(self._alerts), list(self._quarantines), self._rebuilt)


def judge_schema(path: Path, run: RunStarted) -> None:
    """Raises `JournalOfAnotherVersion` unless rows of this run can be applied."""
    if OLDEST_SCHEMA <= run.schema <= SCHEMA_VERSION:
        return
    cure = "start that version" if run.schema > SCHEMA_VERSION else "`mytrading state upgrade`"
    raise JournalOfAnotherVersion(
        f"{path}: expected schema {OLDEST_SCHEMA} to {SCHEMA_VERSION} (version {__version__}), found schema "
        f"{run.schema} of version {run.version}; {cure}"
    )


def readers_ahead(config: RunConfig, daemon: str, written: dict[str, int]) -> dict[str, int]:
    """For each stream a daemon writes the newest sequence that a reader holds, where that is beyond its own."""
    ahead: dict[str, int] = {}
    for name, seq in written.items():
        for reader in STREAMS[name].readers:
            for read, _ in last_inputs(config.journal_dir(reader), daemon, name, 1):
                if read > max(seq, ahead.get(name, 0)):
                    ahead[name] = read
    return ahead
