"""Instruments of each day, kept for years in one DuckDB file. As a program (`python -m`, STATE) it adds new days.

The feed runs it as a child whenever it has fetched a day's list, since no daemon loads DuckDB; `mytrading instruments
save` calls `archive_days`. A day is replaced as a whole, so that importing it twice changes nothing.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mytrading.adapters.storage.instrument_store import KEPT, InstrumentFile
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot

if TYPE_CHECKING:
    import duckdb

FILE = "warehouse.duckdb"
_COLUMNS = (
    "id", "exchange", "symbol", "kind", "underlying", "expiry", "strike", "lot_size", "tick_size", "freeze_qty",
    "token", "name",
)  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS instruments (
    day DATE NOT NULL, id VARCHAR NOT NULL, exchange VARCHAR NOT NULL, symbol VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    underlying VARCHAR NOT NULL, expiry VARCHAR NOT NULL, strike DOUBLE NOT NULL, lot_size BIGINT NOT NULL,
    tick_size DOUBLE NOT NULL, freeze_qty BIGINT NOT NULL, token VARCHAR NOT NULL, name VARCHAR NOT NULL,
    PRIMARY KEY (day, id)
)
"""
_TYPES = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in _COLUMNS) + "}"


class WarehouseBusy(Exception):
    """The file cannot be opened; the message names it and what to do."""


class Warehouse:
    """The file in a state folder, made by the first write. One process at a time has it, others wait a moment."""

    def __init__(self, state: Path, patience_s: float = 3.0) -> None:
        self.path = state / FILE
        self._patience_s = patience_s

    def add_instruments(self, *snapshots: Snapshot) -> None:
        """Archive the instruments of whole days, replacing what the archive had of each."""
        with self._open() as database, tempfile.TemporaryDirectory() as folder:
            for snapshot in snapshots:
                table = Path(folder) / f"{snapshot.day}.csv"
                with table.open("w", encoding="utf-8", newline="") as file:
                    rows = ([getattr(item, name) for name in _COLUMNS] for item in snapshot.instruments)
                    csv.writer(file).writerows(rows)
                _replace(database, snapshot, table)

    def instrument_days(self) -> list[str]:
        """Return the archived days (ISO) of instruments, oldest first."""
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute("SELECT DISTINCT day FROM instruments ORDER BY day").fetchall()
        return [str(row[0]) for row in rows]

    def instruments(self, day: str) -> list[Instrument]:
        """Return the archived instruments of a day (ISO) by id; empty if the day is missing."""
        if not self.path.exists():
            return []
        with self._open() as database:
            query = f"SELECT {', '.join(_COLUMNS)} FROM instruments WHERE day = ? ORDER BY id"
            rows = database.execute(query, [day]).fetchall()
        fields = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        return [Instrument(**{**row, "kind": InstrumentKind(row["kind"])}) for row in fields]

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connected() as database:
            database.execute(_SCHEMA)
            yield database

    def _connected(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        until = time.monotonic() + self._patience_s
        while True:
            try:
                return duckdb.connect(str(self.path))
            except (duckdb.IOException, duckdb.InvalidInputException) as error:
                locked = isinstance(error, duckdb.IOException) and "lock" in str(error).lower()
                if not locked or time.monotonic() >= until:
                    text = f"{self.path}: {error}; close what uses it, or move the file aside"
                    raise WarehouseBusy(text) from error
                time.sleep(0.05)


def _replace(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Path) -> None:
    database.execute("BEGIN")
    database.execute("DELETE FROM instruments WHERE day = ?", [snapshot.day])
    if snapshot.instruments:
        database.execute(
            f"INSERT INTO instruments SELECT ?::DATE, {', '.join(_COLUMNS)} FROM read_csv(?, header=false, "
            f"columns={_TYPES}, quote='\"', escape='\"', delim=',', nullstr='\\N')",
            [snapshot.day, str(table)],
        )
    database.execute("COMMIT")


def archive_days(state: Path, *, everything: bool = False) -> dict[str, int]:
    """Archive instrument days that the warehouse lacks, and the newest again (`everything`: all); returns rows saved by
    day. Files older than the newest ten are deleted once archived. Raises `WarehouseBusy`, or at the end `ValueError`
    with the files that do not decode."""
    files, warehouse = InstrumentFile(state), Warehouse(state)
    days = files.days()
    there = () if everything else warehouse.instrument_days()
    due: list[Snapshot] = []
    spoilt = {}
    for day in [day for day in days if day not in there or day == days[-1]]:
        try:
            snapshot = files.of_day(day)
        except ValueError as error:
            spoilt[day] = str(error)
            continue
        if snapshot is not None:
            due.append(snapshot)
    warehouse.add_instruments(*due)
    for day in set(days[:-KEPT]).difference(spoilt):
        files.delete_day(day)
    if spoilt:
        raise ValueError("; ".join(spoilt.values()))
    return {snapshot.day: len(snapshot.instruments) for snapshot in due}


def main(state: Path) -> int:
    """Run `archive_days` at lowest CPU priority; returns 0, or 1 with the error on stderr."""
    os.nice(19)
    try:
        archive_days(state)
    except (WarehouseBusy, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
