"""A journal that lost rows: setting the damaged file aside, and finding elsewhere what it held.

Every reader of a stream keeps a copy of what it read, and what we read stands with those who wrote it. A damaged file
is moved, never deleted or written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from mytrading.messages.codec import NO_HASH
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import STREAMS
from mytrading.runtime.journal.format import (
    INPUT,
    OUTPUT,
    RECORD,
    SUFFIX,
    Cursor,
    Entry,
    JournalDamaged,
    JournalOfAnotherVersion,
    Row,
    SegmentHead,
    segments,
)
from mytrading.runtime.journal.reader import heads_of, read_segment
from mytrading.runtime.journal.segment import make

LOST = ".lost"
ASIDE = "damaged"
_SALVAGED = 500
"""Rows of a frame, where rows are written to a new file."""


class JournalSetAside(Exception):
    """Our own journal could not be read and was moved: the process begins again, on what is left of it."""


class Lost(msgspec.Struct, frozen=True):
    """What stands in the file `.lost` from the moment a journal was found damaged until that is journaled."""

    problem: str
    aside: str = ""


class FoundRows(NamedTuple):
    """What the journals of others hold, in the order of machine time: `copies` of our rows, and rows of those we read.

    `cursors` say where the streams that we read end.
    """

    entries: list[Entry]
    copies: int
    cursors: dict[tuple[str, str], Cursor]


def set_aside(folder: Path, problem: str) -> JournalSetAside:
    """Move the newest day file to `damaged/` and leave what can be read of it in its place; to be raised."""
    known = segments(folder)
    if not known:
        _note_lost(folder, Lost(problem))
        return JournalSetAside(f"{problem}; what others know of it is read at the next start")
    path = known[-1]
    target = _free_name(folder / ASIDE, path)
    _note_lost(folder, Lost(problem, str(target)))
    kept = _salvage(path)
    with suppress(FileNotFoundError):
        path.rename(target)
    if kept is not None:
        kept.replace(path)
    left = "its readable beginning stays in use" if kept else "nothing of it could be read"
    return JournalSetAside(f"{problem}; moved to {target}, {left}")


def lost(folder: Path) -> Lost | None:
    """What `set_aside` noted and nobody has journaled yet."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode((folder / LOST).read_bytes(), type=Lost)
    return None


def forget_lost(folder: Path) -> None:
    """It is journaled now."""
    (folder / LOST).unlink(missing_ok=True)


def _note_lost(folder: Path, note: Lost) -> None:
    temporary = folder / f"{LOST}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(note))
    temporary.replace(folder / LOST)


def _free_name(folder: Path, path: Path) -> Path:
    folder.mkdir(exist_ok=True)
    number = 1
    while (target := folder / f"{path.stem}-{number}{SUFFIX}").exists():
        number += 1
    return target


def _salvage(path: Path) -> Path | None:
    """The rows before the first bad one, in a file that nobody reads yet; None if there are none."""
    heads: list[SegmentHead] = []
    with suppress(JournalDamaged, JournalOfAnotherVersion, msgspec.DecodeError):
        heads = heads_of(path)
    rows = list(_readable(path)) if heads else []
    if not rows:
        return None
    head = replace(heads[-1], seq=heads[0].seq, hash=heads[0].hash, cursors=heads[0].cursors)
    return make(path, head, [rows[at : at + _SALVAGED] for at in range(0, len(rows), _SALVAGED)])[0]


def _readable(path: Path) -> Iterator[Row]:
    with suppress(JournalDamaged):
        yield from read_segment(path)


# what others hold


def gather(
    config: RunConfig, daemon: str, day: str, kept: dict[str, int], cursors: dict[tuple[str, str], Cursor]
) -> FoundRows:
    """Rows of ours above `kept` as their readers hold them, and rows above `cursors` of those we read.

    Of earlier days than `day` nothing is looked at: what mattered of them was carried over by whoever kept it.
    """
    copies = [entry for stream in _written_by(daemon) for entry in _copies(config, daemon, stream, day, kept)]
    read: list[Entry] = []
    ends: dict[tuple[str, str], Cursor] = {}
    for name, stream in STREAMS.items():
        if not stream.journaled or daemon not in stream.readers:
            continue
        for writer in stream.writers:
            after = cursors.get((writer, name), Cursor()).seq
            rows = [row for row in _outputs(config, writer, name, day) if row.stream_seq > after]
            read += [_as_input(writer, row) for row in rows]
            if rows:
                ends[writer, name] = Cursor(rows[-1].epoch, rows[-1].stream_seq, rows[-1].hash)
    return FoundRows(sorted([*copies, *read], key=lambda entry: entry.machine_ns), len(copies), ends)


def first_records(config: RunConfig, daemon: str, day: str) -> list[Row]:
    """The records with which another daemon's newest day file begins."""
    rows: list[Row] = []
    for path in _days(config.journal_dir(daemon), day)[:1]:
        for row in _readable(path):
            if row.kind != RECORD:
                break
            rows.append(row)
    return rows


def rows_read(config: RunConfig, reader: str, stream: str, writer: str, day: str) -> Iterator[Row]:
    """What a daemon's journal of `day` holds of a stream that nobody writes into a journal (alerts, reports)."""
    for path in _days(config.journal_dir(reader), day):
        for row in _readable(path):
            if row.kind == INPUT and (row.stream, row.source) == (stream, writer):
                yield row


def _written_by(daemon: str) -> list[str]:
    return [name for name, stream in STREAMS.items() if stream.journaled and daemon in stream.writers]


def _days(folder: Path, day: str) -> list[Path]:
    known = segments(folder)
    return [path for path in known if path.stem >= day] or known[-1:]


def _copies(config: RunConfig, daemon: str, stream: str, day: str, kept: dict[str, int]) -> list[Entry]:
    """Our rows of a stream as the reader that came furthest holds them."""
    best: list[Row] = []
    for reader in STREAMS[stream].readers:
        rows = {
            row.source_seq: row
            for path in _days(config.journal_dir(reader), day)
            for row in _inputs(path, daemon, stream, kept.get(stream, 0))
        }
        if rows and (not best or max(rows) > best[-1].source_seq):
            best = [rows[seq] for seq in sorted(rows)]
    return [Entry(RECORD, stream, row.body, market_ns=row.market_ns, machine_ns=row.machine_ns) for row in best]


def _inputs(path: Path, writer: str, stream: str, after: int) -> Iterator[Row]:
    for row in _readable(path):
        mine = row.kind == INPUT and (row.source, row.stream) == (writer, stream)
        if mine and row.source_seq > after and row.source_hash != NO_HASH:
            yield row


def _outputs(config: RunConfig, writer: str, stream: str, day: str) -> Iterator[Row]:
    for path in _days(config.journal_dir(writer), day):
        for row in _readable(path):
            if row.kind == OUTPUT and row.stream == stream:
                yield row


def _as_input(writer: str, row: Row) -> Entry:
    place = (row.epoch, row.stream_seq, row.hash)
    return Entry(INPUT, row.stream, row.body, writer, *place, row.market_ns, row.machine_ns)
