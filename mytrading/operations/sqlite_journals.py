"""Day files of layouts 0 and 1: SQLite databases, each with a short log (`-front`) of rows that were not moved into it.

Used by `mytrading state upgrade` alone. Nothing is written to such a file; one that belonged to a killed process has
rows in its write-ahead log and in its front, and all of them count.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from mytrading.adapters.storage.shared_database import open_to_read
from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal.format import OUTPUT, Cursor, JournalDamaged, Row, SegmentHead, chain_hash

_COLUMNS = (
    "seq, epoch, kind, stream, stream_seq, source, source_epoch, source_seq, source_hash, "
    "market_ns, machine_ns, body, hash"
)
_RECORD = struct.Struct("<II")
"""Before each record of a front: its length and its CRC-32."""
_decode = msgspec.msgpack.Decoder(list[Row]).decode


def read_layout(path: Path) -> int:
    """Return the layout number of an SQLite day file; raises `JournalDamaged`."""
    with _opened(path) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def read_head(path: Path) -> SegmentHead:
    """Return the sequence, hash and cursors a file continues from, and its newest epoch; raises `JournalDamaged`."""
    meta = _meta(path)
    cursors = []
    for key, value in meta.items():
        if key.startswith("cursor:"):
            _, writer, stream = key.split(":")
            epoch, seq, row_hash = value.split(":")
            cursors.append((writer, stream, Cursor(int(epoch), int(seq), bytes.fromhex(row_hash))))
    return SegmentHead(
        seq=int(meta.get("seq", 0)),
        hash=bytes.fromhex(meta["hash"]) if "hash" in meta else NO_HASH,
        epoch=int(meta.get("epoch", 1)),
        written={key[8:]: int(value) for key, value in meta.items() if key.startswith("written:")},
        floors={key[6:]: int(value) for key, value in meta.items() if key.startswith("above:")},
        cursors=tuple(cursors),
    )


def sealed_for(path: Path) -> str:
    """Return the next day (ISO date), if the last row of a file is its seal, which ends it; else an empty text."""
    at, _, following = _meta(path).get("sealed", "").partition(":")
    last = 0
    for row in read_rows(path):
        last = row.seq
    return following if at == str(last) else ""


def read_rows(path: Path) -> Iterator[Row]:
    """Yield all rows of a file and of its `-front` log, oldest first; raises `JournalDamaged` naming the row."""
    begun = read_head(path)
    seq, previous = begun.seq, begun.hash
    written: dict[str, int] = {}
    with _opened(path) as db:
        for raw in db.execute(f"SELECT {_COLUMNS} FROM rows ORDER BY seq"):
            row = Row._make(raw)
            if row.seq != seq + 1:
                raise JournalDamaged(f"{path}: expected row {seq + 1}, found row {row.seq}: rows were removed")
            if row.kind == OUTPUT and row.stream_seq <= written.get(row.stream, 0):
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) repeats sequence {row.stream_seq}")
            if row.hash != chain_hash(previous, row.seq, row.stream, row.body):
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) does not match its hash: it was changed")
            seq, previous = row.seq, row.hash
            written |= {row.stream: row.stream_seq} if row.kind == OUTPUT else {}
            yield row
    for row in _front(path):
        if row.seq <= seq:
            continue
        if row.seq != seq + 1 or row.hash != chain_hash(previous, row.seq, row.stream, row.body):
            return  # of an earlier round of the front, or of another past of the journal
        seq, previous = row.seq, row.hash
        yield row


def remove_files(path: Path) -> None:
    """Remove a converted SQLite file, then its `-front` log and its `-wal` and `-shm` files."""
    for suffix in ("", "-front", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(open_to_read(path)) as db:
            yield db
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(f"{path}: {error}; move the file aside, or restore it from a backup") from error


def _meta(path: Path) -> dict[str, str]:
    with _opened(path) as db:
        return dict(db.execute("SELECT key, value FROM meta").fetchall())


def _front(path: Path) -> Iterator[Row]:
    """Every row from the front's first record to its first that is not whole."""
    data = b""
    with suppress(FileNotFoundError):
        data = path.with_name(f"{path.name}-front").read_bytes()
    at = 0
    while at + _RECORD.size < len(data):
        length, check = _RECORD.unpack_from(data, at)
        body = data[at + _RECORD.size : at + _RECORD.size + length]
        if not length or zlib.crc32(body) != check:
            return
        try:
            yield from _decode(body)
        except msgspec.DecodeError:
            return
        at += _RECORD.size + length
