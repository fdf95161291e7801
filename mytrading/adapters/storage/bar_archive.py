"""Bars for research: one Parquet file for each instrument and interval, below one folder.

`NSE/SBIN/1m.parquet` holds the one-minute bars of NSE:SBIN and, in its metadata, the days for which a source answered
with bars or with a believed empty answer; contracts lie one folder deeper, below their underlying. A file is replaced
as a whole: no reader sees half of one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.instruments.symbology import parse_symbol, split_id

if TYPE_CHECKING:
    import duckdb

_ANSWERED = "answered"
_UNPROVEN = "covered"
"""Key of files written before empty answers were judged: days for which there was any answer."""
_PRICES = ("open", "high", "low", "close")
_DAY = timedelta(days=1)
DayRange = tuple[date, date]
"""First and last day, both included."""


class BarArchiveError(Exception):
    """A file of the archive that cannot be read or written; the message names it and says what to do."""


class ArchivedBars(NamedTuple):
    """Bars of one file: `start_ns` int64 (n,), ascending; `table` float64 (5, n): open, high, low, close, volume."""

    start_ns: NDArray[np.int64]
    table: NDArray[np.float64]


_NONE = ArchivedBars(np.empty(0, np.int64), np.empty((5, 0)))


class BarArchive:
    """The archive below a folder, which the first write creates. Any number of processes may read and write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, instrument: str, interval: str) -> Path:
        """Return the file of an instrument's bars, whether it exists or not; `ValueError` for a name that is none."""
        exchange, symbol = split_id(instrument)
        if any(mark in instrument for mark in ("/", "\\", "\0")) or instrument.startswith(".") or symbol[0] == ".":
            raise ValueError(f"instrument {instrument!r}: expected EXCHANGE:SYMBOL without / and leading dots")
        parts = parse_symbol(symbol, exchange)
        inner = (parts.underlying, symbol) if parts.kind.is_derivative else (symbol,)
        return self.folder.joinpath(exchange, *inner, f"{interval}.parquet")

    def contracts_glob(self, exchange: str, underlying: str, interval: str) -> Path:
        """Return the pattern of all files with bars of contracts on an underlying."""
        return self.folder / exchange / underlying / "*" / f"{interval}.parquet"

    def entries(self) -> list[tuple[str, str]]:
        """Return (instrument, interval) of every file, sorted; empty if there is no archive."""
        files = self.folder.rglob("*.parquet") if self.folder.is_dir() else ()
        relative = (path.relative_to(self.folder) for path in files)
        return sorted((f"{path.parts[0]}:{path.parts[-2]}", path.stem) for path in relative if len(path.parts) > 2)

    def intervals(self, instrument: str) -> tuple[str, ...]:
        """Return the intervals of which there are bars of an instrument, in no order."""
        folder = self.path(instrument, "1m").parent
        return tuple(path.stem for path in folder.glob("*.parquet")) if folder.is_dir() else ()

    def read(self, instrument: str, interval: str) -> ArchivedBars:
        """Return all bars of an instrument and interval, none if there is no file. Raises `BarArchiveError`."""
        path = self.path(instrument, interval)
        if not path.exists():
            return _NONE
        with _database(path) as database:
            query = f"SELECT start_ns, {', '.join(_PRICES)}, volume::DOUBLE AS volume FROM read_parquet(?) ORDER BY 1"
            got = database.execute(query, [str(path)]).fetchnumpy()
        table = np.empty((5, len(got["start_ns"])))
        for number, name in enumerate((*_PRICES, "volume")):
            table[number] = got[name]
        return ArchivedBars(np.ascontiguousarray(got["start_ns"], dtype=np.int64), table)

    def covered(self, instrument: str, interval: str) -> tuple[DayRange, ...]:
        """Return the ranges of days for which a source has answered, sorted and apart; () if none."""
        return self._days(instrument, interval, _ANSWERED)

    def unproven(self, instrument: str, interval: str) -> tuple[DayRange, ...]:
        """Return the ranges of days for which an older program took any answer, an empty one too."""
        return self._days(instrument, interval, _UNPROVEN)

    def _days(self, instrument: str, interval: str, key: str) -> tuple[DayRange, ...]:
        path = self.path(instrument, interval)
        if not path.exists():
            return ()
        with _database(path) as database:
            query = "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = ?"
            row = database.execute(query, [str(path), key]).fetchone()
        pairs = json.loads(row[0]) if row else []
        return tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in pairs)

    def add(
        self, instrument: str, interval: str, start_ns: NDArray[np.int64], table: NDArray[np.float64],
        covered: Iterable[DayRange] = (), *, replace: bool = False,
    ) -> int:  # fmt: skip
        """Add bars, and days for which the source answered; return how many bars are new. Of two bars that start
        together the stored one stays, or the new one with `replace`. Raises `BarArchiveError`."""
        path = self.path(instrument, interval)
        with self._locked():
            old = self.read(instrument, interval)
            known = {
                _ANSWERED: join_ranges([*self.covered(instrument, interval), *covered]),
                _UNPROVEN: self.unproven(instrument, interval),
            }
            both = [(start_ns, table), old] if replace else [old, (start_ns, table)]
            starts = np.concatenate([part[0] for part in both])
            starts, rows = np.unique(starts, return_index=True)
            _write(path, instrument, starts, np.concatenate([part[1] for part in both], axis=1)[:, rows], known)
        return len(starts) - len(old.start_ns)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time: what two programs add is not lost."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def join_ranges(ranges: Iterable[DayRange]) -> tuple[DayRange, ...]:
    """Return the ranges of days sorted, with those that overlap or follow each other joined."""
    joined: list[DayRange] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + _DAY:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def uncovered_ranges(covered: Sequence[DayRange], first: date, last: date) -> tuple[DayRange, ...]:
    """Return the ranges of days from `first` to `last` that no range of `covered` (sorted, apart) has."""
    found, begin = [], first
    for start, end in covered:
        if start > begin:
            found.append((begin, min(start - _DAY, last)))
        begin = max(begin, end + _DAY)
        if begin > last:
            break
    else:
        found.append((begin, last))
    return tuple((start, end) for start, end in found if start <= end)


@contextmanager
def _database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with duckdb.connect() as database:
        try:
            yield database
        except duckdb.Error as error:
            raise BarArchiveError(f"{path}: {str(error).splitlines()[0]}; move the file aside") from error


def _write(
    path: Path, instrument: str, start_ns: NDArray[np.int64], table: NDArray[np.float64],
    covered: Mapping[str, Sequence[DayRange]],
) -> None:  # fmt: skip
    columns = {name: np.ascontiguousarray(table[number]) for number, name in enumerate(_PRICES)}
    rows = {"start_ns": start_ns, **columns, "volume": table[4].astype(np.int64)}
    days = ", ".join(
        f"{key}: {_quoted(json.dumps([[first.isoformat(), last.isoformat()] for first, last in ranges]))}"
        for key, ranges in covered.items()
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _database(path) as database:
            database.register("rows", rows)
            database.execute(
                f"COPY (SELECT {_quoted(instrument)} AS instrument, * FROM rows) TO {_quoted(str(temporary))} "
                f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{days}}})"
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
