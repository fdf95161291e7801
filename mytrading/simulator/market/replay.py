"""Reading a file of ticks for replay: CSV, plain or gzip, `timestamp,ltp[,bid,ask,volume]`.

Used at the simulator's start. Times without a zone are Indian. The one rule: a bad row stops the start with file,
line, what was expected, what was found and what to do; nothing is skipped silently.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.calendar import IST, day_of

_REQUIRED = ("timestamp", "ltp")
_OPTIONAL = ("bid", "ask", "volume")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadTickFile(ValueError):
    """A tick file that cannot be replayed."""


class TickFile(NamedTuple):
    """The ticks of one day, ascending: times in ns UTC, prices in rupees, `volume` of the day so far."""

    day: date
    times: NDArray[np.int64]
    ltp: NDArray[np.float64]
    bid: NDArray[np.float64] | None
    ask: NDArray[np.float64] | None
    volume: NDArray[np.int64] | None


def read_ticks(path: Path) -> TickFile:
    """The ticks of a file; `BadTickFile` says what is wrong with it."""
    try:
        with _open_text(path) as stream:
            rows = list(_rows(path, csv.reader(stream)))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadTickFile(f"{path}: expected a CSV of ticks, plain or .gz, found: {error}; check the path") from error
    if not rows:
        raise BadTickFile(f"{path}: expected at least one tick after the header, found none; check the export")
    table = np.array([row[1:] for row in rows], dtype=np.float64)
    columns = [column if not np.isnan(column).any() else None for column in table.T[1:]]
    volume = None if columns[2] is None else columns[2].astype(np.int64)
    times = np.array([row[0] for row in rows], dtype=np.int64)
    return TickFile(day_of(rows[0][0]), times, table[:, 0], columns[0], columns[1], volume)


def _open_text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, float, float, float, float]]:
    header = [name.strip().lower() for name in next(reader, [])]
    if tuple(header[:2]) != _REQUIRED or any(name not in _OPTIONAL for name in header[2:]):
        found = ",".join(header) or "an empty file"
        raise BadTickFile(
            f"{path}, line 1: expected timestamp,ltp[,bid,ask,volume], found {found}; name the columns so"
        )
    before, first_day = 0, None
    for number, row in enumerate(reader, start=2):
        if not row:
            continue
        where = f"{path}, line {number}"
        if len(row) != len(header):
            raise BadTickFile(f"{where}: expected {len(header)} columns, found {len(row)}; mend or remove the row")
        at = _time(where, row[0])
        first_day = first_day or day_of(at)
        if at < before:
            raise BadTickFile(
                f"{where}: expected times in ascending order, found {row[0]} after a later one; sort the file"
            )
        if day_of(at) != first_day:
            raise BadTickFile(f"{where}: expected ticks of {first_day} only, found {row[0]}; split the file by day")
        before = at
        fields = dict(zip(header, row, strict=True))
        bid, ask, volume = (_optional(where, fields, name) for name in _OPTIONAL)
        yield at, _price(where, fields, "ltp"), bid, ask, volume


def _time(where: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadTickFile(
            f"{where}: expected a timestamp like 2022-11-23 09:15:00 (Indian time), found {text!r}; mend the row"
        ) from None
    span = (moment if moment.tzinfo else moment.replace(tzinfo=IST)) - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000_000 + span.microseconds * 1000


def _price(where: str, fields: dict[str, str], name: str) -> float:
    try:
        value = float(fields[name])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadTickFile(f"{where}: expected {name} above 0, found {fields[name]!r}; mend or remove the row")
    return value


def _optional(where: str, fields: dict[str, str], name: str) -> float:
    if name not in fields:
        return math.nan
    text = fields[name].strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise BadTickFile(f"{where}: expected {name} of 0 or more, found {text!r}; mend the row or drop the column")
    return value
