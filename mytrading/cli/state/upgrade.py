"""Bringing the journals of an older version to this one: every row rewritten, chains and cursors made anew.

Used by `mytrading state upgrade`, after a backup and with the stack stopped. The one rule: all files are written
under other names first and take their places at the end, so that an upgrade that is cut short has changed nothing
that a second one would not change again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from mytrading.adapters.shared_database import open_to_read
from mytrading.messages.codec import NO_HASH, FrameError, StreamDecoder, encode_body
from mytrading.messages.records import RunStarted
from mytrading.messages.streams import OLDEST_SCHEMA, SCHEMA_VERSION
from mytrading.runtime.day_files import DayFile
from mytrading.runtime.journal_format import INSERT, LAYOUT, OUTPUT, Row, chain, connect
from mytrading.runtime.journal_reader import read_segment

Progress = Callable[[str], None]
Step = Callable[[str, bytes], bytes]
"""From a row's stream and body in one schema to its body in the next."""

UPGRADES: Mapping[int, Step] = MappingProxyType({})
"""By schema, how its rows become those of the next. Layouts that only grew by fields with a default need no step."""

_Hashes = dict[tuple[str, str, int], bytes]
"""The new hash of a row by writer, stream and sequence in it."""


def outdated(files: Sequence[DayFile], oldest: int = OLDEST_SCHEMA) -> list[DayFile]:
    """Files that this version would refuse, or whose layout is older than what it writes."""
    return [file for file in files if file.layout < LAYOUT or (file.version and file.schema < oldest)]


def newer(files: Sequence[DayFile]) -> list[DayFile]:
    """Files that only a newer version can read."""
    return [file for file in files if file.layout > LAYOUT or file.schema > SCHEMA_VERSION]


def upgrade(files: Sequence[DayFile], progress: Progress, steps: Mapping[int, Step] = UPGRADES) -> int:
    """Rewrite all files of all journals for this version; returns how many rows changed.

    Raises `JournalDamaged` before anything is replaced.
    """
    hashes: _Hashes = {}
    made: list[tuple[Path, Path]] = []
    changed = 0
    ends: dict[str, bytes] = {}
    for number, file in enumerate(files, start=1):
        progress(f"{number} of {len(files)}: {file.daemon} {file.day}, {file.rows} rows")
        rows = [row._replace(body=_raised(row, file.schema, steps)) for row in read_segment(file.path)]
        changed += sum(new.body != old.body for new, old in zip(rows, read_segment(file.path), strict=True))
        start = ends.get(file.daemon) or _start(file.path)
        chained = _chained(rows, start)
        ends[file.daemon] = chained[-1].hash if chained else start
        hashes |= {(file.daemon, row.stream, row.stream_seq): row.hash for row in chained if row.kind == OUTPUT}
        made.append((_write(file, chained, start), file.path))
    for new, _ in made:
        _point_at(new, hashes)
    for new, path in made:
        for suffix in ("-wal", "-shm", "-front"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        new.replace(path)
    return changed


def _raised(row: Row, schema: int, steps: Mapping[int, Step]) -> bytes:
    body = row.body
    for number in range(schema, SCHEMA_VERSION):
        if number in steps:
            body = steps[number](row.stream, body)
    if row.stream != "records":
        return body
    try:
        message = StreamDecoder("records").body(body)
    except FrameError:
        return body
    if isinstance(message, RunStarted) and message.schema < SCHEMA_VERSION:
        return encode_body(replace(message, schema=SCHEMA_VERSION))
    return body


def _start(path: Path) -> bytes:
    with closing(open_to_read(path)) as db:
        found = db.execute("SELECT value FROM meta WHERE key = 'hash'").fetchone()
    return bytes.fromhex(found[0]) if found else NO_HASH


def _chained(rows: list[Row], previous: bytes) -> list[Row]:
    done = []
    for row in rows:
        previous = chain(previous, row.seq, row.stream, row.body)
        done.append(row._replace(hash=previous))
    return done


def _write(file: DayFile, rows: list[Row], start: bytes) -> Path:
    made = file.path.with_name(f".{file.path.name}")
    for suffix in ("", "-wal", "-shm"):
        made.with_name(made.name + suffix).unlink(missing_ok=True)
    with closing(open_to_read(file.path)) as old:
        meta = dict(old.execute("SELECT key, value FROM meta").fetchall())
    meta |= {"hash": start.hex()} if "hash" in meta else {}
    with closing(connect(made)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
        db.executemany(INSERT, rows)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def _point_at(path: Path, hashes: _Hashes) -> None:
    """Make inputs and cursors name the rows of the writers as they are now."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        inputs = db.execute("SELECT seq, source, stream, source_seq FROM rows WHERE kind = 0").fetchall()
        for seq, source, stream, source_seq in inputs:
            if (found := hashes.get((source, stream, source_seq))) is not None:
                db.execute("UPDATE rows SET source_hash = ? WHERE seq = ?", (found, seq))
        for key, value in db.execute("SELECT key, value FROM meta WHERE key LIKE 'cursor:%'").fetchall():
            _, writer, stream = key.split(":")
            epoch, at, _ = value.split(":")
            if (found := hashes.get((writer, stream, int(at)))) is not None:
                db.execute("UPDATE meta SET value = ? WHERE key = ?", (f"{epoch}:{at}:{found.hex()}", key))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
