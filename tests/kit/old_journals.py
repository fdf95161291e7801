"""Day files as versions before layout 2 wrote them: an SQLite database, and a front of rows not yet moved into it."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal.format import OUTPUT, Entry, Row, chain_hash

_SCHEMA = """
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind INTEGER NOT NULL, stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL, source TEXT NOT NULL, source_epoch INTEGER NOT NULL, source_seq INTEGER NOT NULL,
    source_hash BLOB NOT NULL, market_ns INTEGER NOT NULL, machine_ns INTEGER NOT NULL, body BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class OldJournal:
    """The writer's side of one day file; `noted` rows go to the front, which holds what a killed process left."""

    def __init__(self, path: Path, meta: Mapping[str, str] = {}, layout: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.seq, self.hash = int(meta.get("seq", 0)), bytes.fromhex(meta.get("hash", "")) or NO_HASH
        self.epoch = int(meta.get("epoch", 1))
        self.written = {key[8:]: int(value) for key, value in meta.items() if key.startswith("written:")}
        self._front = b""
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={layout}")
            db.executemany("INSERT INTO meta VALUES (?, ?)", {"epoch": "1", **meta}.items())

    def append(self, *entries: Entry, at: int = 1) -> list[Row]:
        """Rows in the database, of one transaction."""
        rows = self._rows(entries, at)
        with closing(sqlite3.connect(self.path)) as db, db:
            db.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(Row._fields))})", rows)
        return rows

    def note(self, *entries: Entry, at: int = 1) -> list[Row]:
        """Rows in the front."""
        rows = self._rows(entries, at)
        body = msgspec.msgpack.encode(rows)
        self._front += struct.pack("<II", len(body), zlib.crc32(body)) + body
        self.path.with_name(f"{self.path.name}-front").write_bytes(self._front + bytes(4096))
        return rows

    def seal(self, following: str) -> None:
        """Its last row was the seal."""
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('sealed', ?)", (f"{self.seq}:{following}",))

    def _rows(self, entries: Sequence[Entry], at: int) -> list[Row]:
        rows = []
        for entry in entries:
            self.seq += 1
            if entry.kind == OUTPUT:
                self.written[entry.stream] = self.written.get(entry.stream, 0) + 1
            self.hash = chain_hash(self.hash, self.seq, entry.stream, entry.body)
            stream_seq = self.written[entry.stream] if entry.kind == OUTPUT else 0
            place = (entry.source, entry.source_epoch, entry.source_seq, entry.source_hash)
            rows.append(Row(self.seq, self.epoch, entry.kind, entry.stream, stream_seq, *place, at, at, entry.body,
                            self.hash))  # fmt: skip
        return rows
