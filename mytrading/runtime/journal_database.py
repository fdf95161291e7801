"""The SQLite side of a day file that is being written: commits, which of them wait for the disk, and checkpoints.

Used by `runtime/journal` alone, which knows what is to be written. The one rule: a commit that is to be durable returns
when the disk has it, and all that was committed before it.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from mytrading.runtime.journal_format import INSERT, JournalDamaged, Row, connect

COMMITS_KEPT = 400
"""Commits in the write-ahead log, some 10 KB each, before it is moved into the file."""


class JournalDatabase:
    """One connection, of one thread. `connection` is for reading, and for what is written once in a journal's life."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path)
        self._path = path
        self._durable = False
        self._commits = 0

    def commit(self, rows: list[Row], durable: bool, sealed_for: str = "") -> None:
        """Write rows in one transaction, or none of them; with `sealed_for` the last one seals the file.

        Raises `sqlite3.Error`.
        """
        self._sync(durable)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            self.connection.executemany(INSERT, rows)
            if sealed_for:
                value = f"{rows[-1].seq}:{sealed_for}"
                self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('sealed', ?)", (value,))
            self.connection.execute("COMMIT")
            self._commits += 1
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")
            raise

    def _sync(self, durable: bool) -> None:
        if durable is not self._durable:
            self.connection.execute("PRAGMA synchronous=FULL" if durable else "PRAGMA synchronous=NORMAL")
            self._durable = durable

    def settle(self, seq: int) -> None:
        """See that the disk has all that was committed: a commit that waits for it takes the earlier ones along."""
        self._sync(True)
        self._commit_nothing(seq)

    def _commit_nothing(self, seq: int) -> None:
        """A commit for its own sake; the row that it writes is read by nobody."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('moved', ?)", (str(seq),))

    def tend(self, seq: int) -> None:
        """Checkpoint if the write-ahead log has become long; to be called about once a second.

        The first commit after a checkpoint syncs the disk (0.3 ms), so one is made here, off the path. Raises
        `JournalDamaged` when the file is no longer where it was made: nobody would find what is written from now on.
        """
        if not self._path.exists():
            raise JournalDamaged(f"{self._path}: the file was removed while it was being written")
        if self._commits < COMMITS_KEPT:
            return
        self._commits = 0
        self.checkpoint()
        with suppress(sqlite3.OperationalError):
            self._commit_nothing(seq)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file; to be called when nothing is waiting."""
        with suppress(sqlite3.OperationalError):
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Nothing more is written to this file ever; its log goes."""
        self.connection.close()

    def leave(self) -> None:
        """This process writes no more; the next one finds the log where it is if the disk is low."""
        self.connection.leave()
