"""A journal that lost rows: setting the damaged file aside, and finding elsewhere what it held.

Every reader of a stream keeps a copy of what it read, and what we read stands with those who wrote it. Used by
`runtime/recovering` at a start. The one rule: a damaged file is moved, never deleted or written to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from mytrading.adapters.shared_database import open_to_read
from mytrading.messages.codec import NO_HASH
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import STREAMS
from mytrading.runtime.journal_format import (
    INPUT,
    INSERT,
    OUTPUT,
    RECORD,
    Cursor,
    Entry,
    JournalDamaged,
    Row,
    connect,
    segments,
)
from mytrading.runtime.journal_reader import read_segment

LOST = ".lost"
ASIDE = "damaged"


class JournalSetAside(Exception):
    """Our own journal could not be read and was moved: the process begins again, on what is left of it."""


class Lost(msgspec.Struct, frozen=True):
    """What stands in the file `.lost` from the moment a journal was found damaged until that is journaled."""

    problem: str
    aside: str = ""


class Found(NamedTuple):
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
    for suffix in ("", "-wal", "-shm", "-front"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
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
    while (target := folder / f"{path.stem}-{number}.sqlite").exists():
        number += 1
    return target


def _salvage(path: Path) -> Path | None:
    """The rows before the first bad one, in a file that nobody reads yet; None if there are none."""
    try:
        with closing(open_to_read(path)) as database:
            meta = database.execute("SELECT key, value FROM meta WHERE key != 'sealed'").fetchall()
    except sqlite3.DatabaseError:
        return None
    rows = list(_readable(path))
    if not rows:
        return None
    made = path.with_name(f".{path.name}")
    for suffix in ("", "-wal", "-shm"):
        made.with_name(made.name + suffix).unlink(missing_ok=True)
    db = connect(made)
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)
    db.executemany(INSERT, rows)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return made


def _readable(path: Path) -> Iterator[Row]:
    with suppress(JournalDamaged):
        yield from read_segment(path)


# what others hold


def gather(
    config: RunConfig, daemon: str, day: str, kept: dict[str, int], cursors: dict[tuple[str, str], Cursor]
) -> Found:
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
    return Found(sorted([*copies, *read], key=lambda entry: entry.machine_ns), len(copies), ends)


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
