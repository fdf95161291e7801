"""Reading one's own journal at a start: every row applied, nothing decided.

Used by `runtime/machine`. The one rule: rows of a version that this one cannot apply stop the start; they are never
guessed at, skipped or taken for damage.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from mytrading import __version__
from mytrading.messages.codec import NO_HASH, FrameError
from mytrading.messages.control import Alert
from mytrading.messages.records import Doubted, JournalRebuilt, JournalRelearned, RunStarted
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import OLDEST_SCHEMA, SCHEMA_VERSION, STREAMS
from mytrading.runtime.journal import INPUT, RECORD, Cursor, Journal, JournalOfAnotherVersion, Row, last_inputs


class Replayed(NamedTuple):
    """What the harness itself learns from a journal; `rebuilt` if it lost rows and they are not learnt again yet."""

    cursors: dict[tuple[str, str], Cursor]
    alerts: list[Alert]
    doubts: list[Doubted]
    rebuilt: JournalRebuilt | None


def replay(journal: Journal, decode: Callable[[Row], Any], learn: Callable[[Any], None]) -> Replayed:
    """Hand every message of the present day file to `learn`.

    Raises `JournalDamaged` for a row that is not what was written, `JournalOfAnotherVersion` for one that is.
    """
    with _without_collections():
        return _replay(journal, decode, learn)


@contextmanager
def _without_collections() -> Iterator[None]:
    """A replay makes hundreds of thousands of small objects and no cycles: to look for some costs a tenth of it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _replay(journal: Journal, decode: Callable[[Row], Any], learn: Callable[[Any], None]) -> Replayed:
    found = Replayed(journal.carried_cursors(), [], [], None)
    newest: dict[tuple[str, str], Row] = {}
    wrote = "an unknown version"
    for row in journal.rows():
        try:
            message = decode(row)
        except FrameError as error:
            raise JournalOfAnotherVersion(
                f"{journal.path}: row {row.seq} ({row.stream}) was written by {wrote}; version {__version__} (schema "
                f"{SCHEMA_VERSION}) cannot apply it: {error}; start that version, or `mytrading state upgrade`"
            ) from error
        if isinstance(message, RunStarted):
            wrote = f"version {message.version} (schema {message.schema})"
            judge_schema(journal, message)
        learn(message)
        if row.kind == INPUT:
            if row.source_hash != NO_HASH:
                newest[row.source, row.stream] = row
        elif row.kind == RECORD:
            found = _noted(found, message)
    for place, row in newest.items():
        found.cursors[place] = Cursor(row.source_epoch, row.source_seq, row.source_hash)
    return found


def judge_schema(journal: Journal, run: RunStarted) -> None:
    """Raises `JournalOfAnotherVersion` unless rows of this run can be applied."""
    if OLDEST_SCHEMA <= run.schema <= SCHEMA_VERSION:
        return
    cure = "start that version" if run.schema > SCHEMA_VERSION else "`mytrading state upgrade`"
    raise JournalOfAnotherVersion(
        f"{journal.path}: expected schema {OLDEST_SCHEMA} to {SCHEMA_VERSION} (version {__version__}), found schema "
        f"{run.schema} of version {run.version}; {cure}"
    )


def _noted(found: Replayed, message: Any) -> Replayed:
    if isinstance(message, Alert):
        found.alerts.append(message)
    elif isinstance(message, Doubted):
        found.doubts.append(message)
    elif isinstance(message, JournalRebuilt):
        return found._replace(rebuilt=message)
    elif isinstance(message, JournalRelearned):
        return found._replace(rebuilt=None)
    return found


def readers_ahead(config: RunConfig, daemon: str, written: dict[str, int]) -> dict[str, int]:
    """For each stream a daemon writes the newest sequence that a reader holds, where that is beyond its own."""
    ahead: dict[str, int] = {}
    for name, seq in written.items():
        for reader in STREAMS[name].readers:
            for read, _ in last_inputs(config.journal_dir(reader), daemon, name, 1):
                if read > max(seq, ahead.get(name, 0)):
                    ahead[name] = read
    return ahead
