"""Reads a recorded file for replay: ticks or bars, CSV (plain or gzip) or Parquet, of one day or of several.

Columns are `timestamp,ltp[,bid,ask,volume]` or `timestamp,open,high,low,close[,volume]`. Times without a zone are
Indian. A bad row stops the start; none is skipped silently.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.time import IST, SECOND, ist_date

PARQUET = (".parquet", ".pq")
_RECORDED_ROWS_EPOCH = datetime(1970, 1, 1)
_TIME = "timestamp"
# Whole-number times by their size: seconds, milli-, micro- or nanoseconds since 1970.
_UNITS = ((10**11, 10**6), (10**14, 10**3), (10**17, 1))


@contextmanager
def _text_rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """The rows of a file; `OSError`, `EOFError` or `UnicodeDecodeError` if it is no CSV, gzip or Parquet."""
    if path.suffix in PARQUET:
        yield _parquet(path)
        return
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as stream:
        yield csv.reader(stream)


def _parquet(path: Path) -> Iterator[list[str]]:
    # Only a replay of such a file needs it, and it is large.
    import duckdb

    try:
        with duckdb.connect() as database:
            named = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            types = {str(row[0]): str(row[1]) for row in named}
            quoted = {name: '"' + name.replace('"', '""') + '"' for name in types}
            picked = ", ".join(
                f"epoch_us({quoted[n]})" if t.startswith("TIMESTAMP") else quoted[n] for n, t in types.items()
            )
            rows = database.execute(f"SELECT {picked} FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise OSError(str(error).splitlines()[0]) from error
    columns = [_written(name, kind) for name, kind in types.items()]
    yield list(types)
    for row in rows:
        yield [write(value) for write, value in zip(columns, row, strict=True)]


def _written(name: str, kind: str) -> Callable[[object], str]:
    """Return the function that writes a column's values as text."""
    if kind.startswith("TIMESTAMP"):
        zone = "+00:00" if "ZONE" in kind else ""
        return lambda value: "" if value is None else _moment(int(str(value))) + zone
    if name.strip().lower() == _TIME and kind in ("BIGINT", "UBIGINT", "HUGEINT", "INTEGER"):
        return lambda value: "" if value is None else _moment(_microseconds(int(str(value)))) + "+00:00"
    return lambda value: "" if value is None else str(value)


def _moment(microseconds: int) -> str:
    return (_RECORDED_ROWS_EPOCH + timedelta(microseconds=microseconds)).isoformat()


def _microseconds(value: int) -> int:
    scale = next((factor for limit, factor in _UNITS if abs(value) < limit), 0)
    return value * scale if scale else value // 1000


_MINUTE = 60
SHORTEST = 4
_LONGEST = 3600
_TICKS, _TICK_EXTRAS = ("timestamp", "ltp"), ("bid", "ask", "volume")
_BARS, _BAR_EXTRAS = ("timestamp", "open", "high", "low", "close"), ("volume",)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadTickFile(ValueError):
    """A file that cannot be replayed."""


class TickFile(NamedTuple):
    """The ticks of one day, ascending: times in ns UTC, prices in rupees, `volume` of the day so far."""

    day: date
    times: NDArray[np.int64]
    ltp: NDArray[np.float64]
    bid: NDArray[np.float64] | None
    ask: NDArray[np.float64] | None
    volume: NDArray[np.int64] | None


class _ReplayRow(NamedTuple):
    """A row that was read; for a bar `prices` are open, high, low, close, for a tick the last price alone."""

    at: int
    prices: tuple[float, ...]
    extras: tuple[float, ...]


def read_ticks(file: Path) -> tuple[TickFile, ...]:
    """Read a recorded file into the ticks of each day; `BadTickFile` says what is wrong with it."""
    try:
        with _text_rows(file) as rows:
            header = [name.strip().lower() for name in next(rows, [])]
            bars = _is_bars(file, header)
            read = list(_rows(file, header, rows, bars=bars))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        text = f"{file}: expected a CSV of ticks or bars, plain or .gz, or Parquet, found: {error}; check the path"
        raise BadTickFile(text) from error
    if not read:
        raise BadTickFile(f"{file}: expected at least one tick or bar after the header, found none; check the export")
    days = [(day, list(part)) for day, part in groupby(read, key=lambda row: ist_date(row.at))]
    return tuple(_bar_day(file, day, part) if bars else _tick_day(day, part) for day, part in days)


def _is_bars(file: Path, header: list[str]) -> bool:
    for required, extras in ((_TICKS, _TICK_EXTRAS), (_BARS, _BAR_EXTRAS)):
        count = len(required)
        if tuple(header[:count]) == required and all(name in extras for name in header[count:]):
            return required == _BARS
    found = ",".join(header) or "an empty file"
    wanted = "timestamp,ltp[,bid,ask,volume] or timestamp,open,high,low,close[,volume]"
    raise BadTickFile(f"{file}, line 1: expected {wanted}, found {found}; name the columns so")


def _tick_day(day: date, rows: list[_ReplayRow]) -> TickFile:
    times = np.array([row.at for row in rows], dtype=np.int64)
    ltp = np.array([row.prices[0] for row in rows])
    table = np.array([row.extras for row in rows])
    bid, ask, volume = (column if not np.isnan(column).any() else None for column in table.T)
    return TickFile(day, times, ltp, bid, ask, None if volume is None else volume.astype(np.int64))


def _bar_day(file: Path, day: date, rows: list[_ReplayRow]) -> TickFile:
    """A tick a second: open at the start, high and low a third and two thirds on, close at the end."""
    start = np.array([row.at for row in rows], dtype=np.int64)
    seconds = int(np.diff(start).min()) // SECOND if len(start) > 1 else _MINUTE
    if seconds < SHORTEST:
        raise BadTickFile(
            f"{file}: expected bars of {SHORTEST} seconds or more, found {seconds} on {day}; use longer ones"
        )
    length = min(seconds, _LONGEST)
    at = np.arange(length)
    corners = np.array([0, length // 3, 2 * length // 3, length - 1])
    times = (start[:, None] + at * SECOND).ravel()
    ltp = np.concatenate([np.interp(at, corners, row.prices) for row in rows])
    volumes = np.array([row.extras[0] for row in rows])
    if np.isnan(volumes).any():
        return TickFile(day, times, ltp, None, None, None)
    volume = volumes.astype(np.int64)
    before = np.cumsum(volume) - volume
    return TickFile(day, times, ltp, None, None, (before[:, None] + volume[:, None] * (at + 1) // length).ravel())


def _rows(file: Path, header: list[str], reader: Iterator[list[str]], *, bars: bool) -> Iterator[_ReplayRow]:
    before = 0
    for number, row in enumerate(reader, start=2):
        if not row:
            continue
        where = f"{file}, line {number}"
        if len(row) != len(header):
            raise BadTickFile(f"{where}: expected {len(header)} columns, found {len(row)}; mend or remove the row")
        at = _time(where, row[0])
        if at < before:
            raise BadTickFile(
                f"{where}: expected times in ascending order, found {row[0]} after a later one; sort the file"
            )
        before = at
        fields = dict(zip(header, row, strict=True))
        if bars:
            yield _bar(where, at, fields)
        else:
            extras = tuple(_optional(where, fields, name) for name in _TICK_EXTRAS)
            yield _ReplayRow(at, (_price(where, fields, "ltp"),), extras)


def _bar(where: str, at: int, fields: dict[str, str]) -> _ReplayRow:
    first, high, low, last = (_price(where, fields, name) for name in _BARS[1:])
    if not low <= min(first, last) <= max(first, last) <= high:
        found = ", ".join(f"{name} {fields[name]}" for name in _BARS[1:])
        raise BadTickFile(f"{where}: expected open and close between low and high, found {found}; mend the row")
    return _ReplayRow(at, (first, high, low, last), (_optional(where, fields, "volume"),))


def _time(where: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadTickFile(
            f"{where}: expected a timestamp like 2022-11-23 09:15:00 (Indian time), found {text!r}; mend the row"
        ) from None
    span = (moment if moment.tzinfo else moment.replace(tzinfo=IST)) - _EPOCH
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds * 1000


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _price(where: str, fields: dict[str, str], name: str) -> float:
    if not 0 < (value := _number(fields[name])) < math.inf:
        raise BadTickFile(f"{where}: expected {name} above 0, found {fields[name]!r}; mend or remove the row")
    return value


def _optional(where: str, fields: dict[str, str], name: str) -> float:
    if name not in fields:
        return math.nan
    text = fields[name].strip()
    if not 0 <= (value := _number(text)) < math.inf:
        raise BadTickFile(f"{where}: expected {name} of 0 or more, found {text!r}; mend the row or drop the column")
    return value
