"""The bar store: completed one-minute bars in SQLite, written by the feed, read by engines and screens.

Live bars and fetched history meet here. A bar that is in the store is never replaced, so whoever saw it will always
find the same one again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mytrading.adapters.storage.shared_database import open_to_read, open_to_write
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar

FILE = "bars.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bars (
    instrument TEXT NOT NULL, timeframe TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
    volume INTEGER NOT NULL, ticks INTEGER NOT NULL, received_ns INTEGER NOT NULL,
    PRIMARY KEY (instrument, timeframe, start_ns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sampled (
    instrument TEXT NOT NULL, start_ns INTEGER NOT NULL, PRIMARY KEY (instrument, start_ns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filled (instrument TEXT PRIMARY KEY, until_ns INTEGER NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "instrument, timeframe, start_ns, end_ns, open, high, low, close, volume, ticks, received_ns"
_INSERT = f"INSERT OR IGNORE INTO bars ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_FILLED = (
    "INSERT INTO filled VALUES (?, ?) "
    "ON CONFLICT (instrument) DO UPDATE SET until_ns = max(until_ns, excluded.until_ns)"
)
_SAMPLED = "INSERT OR IGNORE INTO sampled VALUES (?, ?)"
_BUSY_MS = 5000


class BarStoreDamaged(Exception):
    """The store cannot be opened or written; the message names the file and what to do."""


class BarStore:
    """The writer's side. Each thread that writes opens its own; budget of `add` with one bar: 50 µs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        try:
            self._db = open_to_write(self.path)
            self._db.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            text = f"{self.path}: {error}; move the file aside, it is filled again from history"
            raise BarStoreDamaged(text) from error

    def add(self, bars: Iterable[Bar], sampled: Collection[str] = ()) -> list[Bar]:
        """Store bars in one transaction; returns those that were not stored before, in the order received. Those of
        instruments in `sampled` are noted as made of prices that were asked for once a second."""
        with self._transaction():
            new = [bar for bar in bars if self._db.execute(_INSERT, _row(bar)).rowcount]
            if sampled:
                marks = [(bar.instrument, bar.start_ns) for bar in new if bar.instrument in sampled]
                self._db.executemany(_SAMPLED, marks)
            return new

    def filled_until(self, instrument: str) -> int:
        """Return the market ns up to which history is recorded as complete (`mark_filled`); 0 if never."""
        row = self._db.execute("SELECT until_ns FROM filled WHERE instrument = ?", (instrument,)).fetchone()
        return int(row[0]) if row else 0

    def add_history(self, instrument: str, bars: Iterable[Bar], until_ns: int) -> list[Bar]:
        """Store fetched bars and record them as complete up to market ns `until_ns`; returns the new bars."""
        added = self.add(bars)
        self.mark_filled((instrument,), until_ns)
        return added

    def mark_filled(self, instruments: Iterable[str], until_ns: int) -> None:
        """Record bars as complete up to market ns `until_ns`, never less than before. Raises `BarStoreDamaged`."""
        with self._transaction():
            self._db.executemany(_FILLED, [(instrument, until_ns) for instrument in instruments])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise BarStoreDamaged(f"{self.path}: {error}; free disk space or move the file aside") from error

    def delete_after(self, ns: int) -> int:
        """Delete bars that end after market ns `ns`, and let history count as complete only up to there; returns how
        many bars were deleted."""
        with self._db:
            removed = self._db.execute("DELETE FROM bars WHERE end_ns > ?", (ns,)).rowcount
            self._db.execute("DELETE FROM sampled WHERE start_ns > ?", (ns - MINUTE,))
            self._db.execute("UPDATE filled SET until_ns = ? WHERE until_ns > ?", (ns, ns))
        return removed

    def close(self) -> None:
        self._db.close_keeping_log()


class BarReader:
    """A reader's side, read-only; a store that does not exist yet has no bars."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._db: sqlite3.Connection | None = None

    def bars(
        self, instrument: str, timeframe: str = "1m", since: int = 0, until: int | None = None, limit: int = 0
    ) -> list[Bar]:
        """Return bars in time order with `since` ≤ start < `until` (market ns, None: no end); `limit` above 0 keeps the
        newest so many. Empty if there is no file."""
        if (db := self._connection()) is None:
            return []
        sql = f"SELECT {_COLUMNS} FROM bars WHERE instrument = ? AND timeframe = ? AND start_ns >= ? AND start_ns < ?"
        parameters = (instrument, timeframe, since, (1 << 63) - 1 if until is None else until)
        if not limit:
            return [Bar(*row) for row in db.execute(f"{sql} ORDER BY start_ns", parameters)]
        newest = db.execute(f"{sql} ORDER BY start_ns DESC LIMIT ?", (*parameters, limit))
        return [Bar(*row) for row in newest.fetchall()[::-1]]

    def sampled_bars(self, since: int, until: int) -> dict[str, int]:
        """Return how many minute bars with `since` ≤ start < `until` (market ns) were made of prices that were asked
        for, by instrument. None in a store that an earlier version wrote alone."""
        if (db := self._connection()) is None or not _has_table(db, "sampled"):
            return {}
        sql = "SELECT instrument, count(*) FROM sampled WHERE start_ns >= ? AND start_ns < ? GROUP BY instrument"
        return {str(name): int(count) for name, count in db.execute(sql, (since, until))}

    def last_end(self, instrument: str) -> int:
        """Return the end (market ns) of the newest minute bar, 0 if there is none."""
        if (db := self._connection()) is None:
            return 0
        sql = "SELECT end_ns FROM bars WHERE instrument = ? AND timeframe = '1m' ORDER BY start_ns DESC LIMIT 1"
        row = db.execute(sql, (instrument,)).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection | None:
        if self._db is None and self._path.exists():
            db = open_to_read(self._path)
            db.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            # The file may exist for a moment before its table does.
            if _has_table(db, "bars"):
                self._db = db
            else:
                db.close()
        return self._db


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0])


def _row(bar: Bar) -> tuple[str, str, int, int, float, float, float, float, int, int, int]:
    return (
        bar.instrument, bar.timeframe, bar.start_ns, bar.end_ns,
        bar.open, bar.high, bar.low, bar.close, bar.volume, bar.ticks, bar.received_ns,
    )  # fmt: skip
