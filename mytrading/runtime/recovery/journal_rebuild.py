"""A journal at a start: replayed, or set aside where it is damaged and its rows found in the journals of others.

Every reader of a stream keeps a copy of the rows it read, and rows we read stand with their writers. A damaged file is
moved, never deleted or written to.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from mytrading import __version__
from mytrading.messages.codec import NO_HASH, FrameError
from mytrading.messages.control import Alert
from mytrading.messages.journal_rows import Doubted, JournalRebuilt, JournalRelearned, RunStarted
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import OLDEST_SCHEMA, SCHEMA_VERSION, STREAMS
from mytrading.runtime.journal.format import INPUT, OUTPUT, RECORD, SUFFIX, Cursor, Entry, Row, SegmentHead, segments
from mytrading.runtime.journal.journal import Journal, JournalDamaged, JournalOfAnotherVersion
from mytrading.runtime.journal.reader import all_heads, last_inputs, read_segment
from mytrading.runtime.journal.segment import write_new_segment

LOST = ".lost"
ASIDE = "damaged"
_SALVAGED = 500
"""Rows of a frame, where rows are written to a new file."""


class JournalSetAside(Exception):
    """Our own journal could not be read and was moved: the process begins again, on what is left of it."""


class Lost(msgspec.Struct, frozen=True):
    """The content of the file `.lost`, which exists from the discovery of a damaged journal until that is journaled."""

    problem: str
    aside: str = ""


class FoundRows(NamedTuple):
    """Rows in the journals of others by machine time: `copies` of ours, and rows we read, which end at `cursors`."""

    entries: list[Entry]
    copies: int
    cursors: dict[tuple[str, str], Cursor]


def set_aside(folder: Path, problem: str) -> JournalSetAside:
    """Move a damaged journal's newest day file to `damaged/`, keep its readable rows in its place, and return the error
    to raise, which begins with the text `problem`."""
    if not (known := segments(folder)):
        _note_lost(folder, Lost(problem))
        return JournalSetAside(f"{problem}; what others know of it is read at the next start")
    path = known[-1]
    (folder / ASIDE).mkdir(exist_ok=True)
    names = (folder / ASIDE / f"{path.stem}-{number}{SUFFIX}" for number in itertools.count(1))
    target = next(name for name in names if not name.exists())
    _note_lost(folder, Lost(problem, str(target)))
    kept = _salvage(path)
    with suppress(FileNotFoundError):
        path.rename(target)
    if kept is not None:
        kept.replace(path)
    left = "its readable beginning stays in use" if kept else "nothing of it could be read"
    return JournalSetAside(f"{problem}; moved to {target}, {left}")


def lost_journal_note(folder: Path) -> Lost | None:
    """Return the note on the damaged journal that `set_aside` moved out of `folder`; None if no journal was lost."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode((folder / LOST).read_bytes(), type=Lost)
    return None


def delete_lost_note(folder: Path) -> None:
    """Delete the note of `set_aside`, once the loss itself is journaled."""
    (folder / LOST).unlink(missing_ok=True)


def _note_lost(folder: Path, note: Lost) -> None:
    temporary = folder / f"{LOST}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(note))
    temporary.replace(folder / LOST)


def _salvage(path: Path) -> Path | None:
    """The rows before the first bad one, in a file that nobody reads yet; None if there are none."""
    heads: list[SegmentHead] = []
    with suppress(JournalDamaged, JournalOfAnotherVersion, msgspec.DecodeError):
        heads = all_heads(path)
    rows = list(_readable(path)) if heads else []
    if not rows:
        return None
    head = replace(heads[-1], seq=heads[0].seq, hash=heads[0].hash, cursors=heads[0].cursors)
    return write_new_segment(path, head, [rows[at : at + _SALVAGED] for at in range(0, len(rows), _SALVAGED)])[0]


def _readable(path: Path) -> Iterator[Row]:
    with suppress(JournalDamaged):
        yield from read_segment(path)


def find_lost_rows(
    config: RunConfig, daemon: str, day: str, kept: dict[str, int], cursors: dict[tuple[str, str], Cursor]
) -> FoundRows:
    """Return what a damaged journal of `daemon` lost from `day` on, by machine time: its own rows above `kept`
    (sequence by stream) as readers' journals hold them, and other writers' rows above `cursors`."""
    copies: list[Entry] = []
    read: list[Entry] = []
    ends: dict[tuple[str, str], Cursor] = {}
    for name, stream in STREAMS.items():
        if stream.is_journaled and daemon in stream.writers:
            copies += _copies(config, daemon, name, day, kept.get(name, 0))
        if not stream.is_journaled or daemon not in stream.readers:
            continue
        for writer in stream.writers:
            after = cursors.get((writer, name), Cursor()).seq
            for row in _rows_of(config, writer, day):
                if row.kind == OUTPUT and row.stream == name and row.stream_seq > after:
                    place = ends[writer, name] = Cursor(row.epoch, row.stream_seq, row.hash)
                    read.append(Entry(INPUT, name, row.body, writer, *place, row.market_ns, row.machine_ns))
    return FoundRows(sorted([*copies, *read], key=lambda entry: entry.machine_ns), len(copies), ends)


def carried_records(config: RunConfig, daemon: str, day: str) -> list[Row]:
    """Return the rows of carried-over state that begin a daemon's first day file from `day` on, else its newest."""
    rows: list[Row] = []
    for path in _days(config.journal_dir(daemon), day)[:1]:
        for row in _readable(path):
            if row.kind != RECORD:
                break
            rows.append(row)
    return rows


def rows_read_by(config: RunConfig, reader: str, stream: str, writer: str, day: str) -> Iterator[Row]:
    """Yield a writer's rows of a stream as the journal of the daemon `reader` holds them, from `day` on; for streams
    that their writer does not journal (alerts, reports), and for lost journals."""
    for row in _rows_of(config, reader, day):
        if row.kind == INPUT and (row.stream, row.source) == (stream, writer):
            yield row


def _days(folder: Path, day: str) -> list[Path]:
    known = segments(folder)
    return [path for path in known if path.stem >= day] or known[-1:]


def _rows_of(config: RunConfig, daemon: str, day: str) -> Iterator[Row]:
    for path in _days(config.journal_dir(daemon), day):
        yield from _readable(path)


def _copies(config: RunConfig, daemon: str, stream: str, day: str, after: int) -> list[Entry]:
    """Our rows of a stream above a sequence, as the reader that came furthest holds them."""
    best: list[Row] = []
    for reader in STREAMS[stream].readers:
        rows = {
            row.source_seq: row
            for row in rows_read_by(config, reader, stream, daemon, day)
            if row.source_seq > after and row.source_hash != NO_HASH
        }
        if rows and (not best or max(rows) > best[-1].source_seq):
            best = [rows[seq] for seq in sorted(rows)]
    return [Entry(RECORD, stream, row.body, market_ns=row.market_ns, machine_ns=row.machine_ns) for row in best]


class Replayed(NamedTuple):
    """The result of a replay for the daemon; `rebuilt` if the journal lost rows that are not recovered yet."""

    cursors: dict[tuple[str, str], Cursor]
    alerts: list[Alert]
    quarantines: list[Doubted]
    rebuilt: JournalRebuilt | None


def replay(journal: Journal, decode: Callable[[Row], Any], learn: Callable[[Any], None]) -> Replayed:
    """Decode all messages of the present day file and hand each to `learn`, which sets state and decides nothing.
    Raises `JournalDamaged` for a changed row, `JournalOfAnotherVersion` for one that this version cannot decode or
    apply."""
    wrote = "an unknown version"
    newest: dict[tuple[str, str], Row] = {}
    alerts: list[Alert] = []
    quarantines: list[Doubted] = []
    rebuilt: JournalRebuilt | None = None
    collects = gc.isenabled()
    gc.disable()  # hundreds of thousands of small objects and no cycles: to look for some costs a tenth of the replay
    try:
        for row in journal.rows():
            try:
                message = decode(row)
            except FrameError as error:
                raise JournalOfAnotherVersion(
                    f"{journal.path}: row {row.seq} ({row.stream}) was written by {wrote}; version {__version__} "
                    f"(schema {SCHEMA_VERSION}) cannot apply it: {error}; start that version, or "
                    "`mytrading state upgrade`"
                ) from error
            if isinstance(message, RunStarted):
                wrote = f"version {message.version} (schema {message.schema})"
                _judge_schema(journal.path, message)
            learn(message)
            if row.kind == INPUT:
                if row.source_hash != NO_HASH:
                    newest[row.source, row.stream] = row
            elif row.kind == RECORD:
                if isinstance(message, Alert):
                    alerts.append(message)
                elif isinstance(message, Doubted):
                    quarantines.append(message)
                elif isinstance(message, JournalRebuilt | JournalRelearned):
                    rebuilt = message if isinstance(message, JournalRebuilt) else None
    finally:
        if collects:
            gc.enable()
    read = {place: Cursor(row.source_epoch, row.source_seq, row.source_hash) for place, row in newest.items()}
    return Replayed(journal.carried_cursors | read, alerts, quarantines, rebuilt)


def _judge_schema(path: Path, run: RunStarted) -> None:
    """Raises `JournalOfAnotherVersion` unless rows of this run can be applied."""
    if OLDEST_SCHEMA <= run.schema <= SCHEMA_VERSION:
        return
    cure = "start that version" if run.schema > SCHEMA_VERSION else "`mytrading state upgrade`"
    raise JournalOfAnotherVersion(
        f"{path}: expected schema {OLDEST_SCHEMA} to {SCHEMA_VERSION} (version {__version__}), found schema "
        f"{run.schema} of version {run.version}; {cure}"
    )


def readers_ahead(config: RunConfig, daemon: str, written: dict[str, int]) -> dict[str, int]:
    """Return {stream: newest sequence in a reader's journal} where above the daemon's own, `written`; {} if nowhere."""
    ahead: dict[str, int] = {}
    for name, seq in written.items():
        for reader in STREAMS[name].readers:
            for read, _ in last_inputs(config.journal_dir(reader), daemon, name, 1):
                if read > max(seq, ahead.get(name, 0)):
                    ahead[name] = read
    return ahead
