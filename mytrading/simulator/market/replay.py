"""Reading a recorded file for replay: ticks or bars, CSV (plain or gzip) or Parquet, of one day or of several.

Columns are `timestamp,ltp[,bid,ask,volume]` or `timestamp,open,high,low,close[,volume]`. Used at the simulator's
start. Times without a zone are Indian. The one rule: a bad row stops the start with file, line, what was expected,
what was found and what to do; nothing is skipped silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.calendar import IST, day_of
from mytrading.simulator.market.bar_path import SHORTEST, BarRows, bar_seconds, path
from mytrading.simulator.market.recorded import Unreadable, text_rows

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


class _Row(NamedTuple):
    """A row that was read; for a bar `prices` are open, high, low, close, for a tick the last price alone."""

    at: int
    prices: tuple[float, ...]
    extras: tuple[float, ...]


def read_ticks(file: Path) -> tuple[TickFile, ...]:
    """The ticks of a file, day by day; `BadTickFile` says what is wrong with it."""
    try:
        with text_rows(file) as rows:
            header = [name.strip().lower() for name in next(rows, [])]
            bars = _is_bars(file, header)
            read = list(_rows(file, header, rows, bars=bars))
    except Unreadable as error:
        text = f"{file}: expected a CSV of ticks or bars, plain or .gz, or Parquet, found: {error}; check the path"
        raise BadTickFile(text) from error
    if not read:
        raise BadTickFile(f"{file}: expected at least one tick or bar after the header, found none; check the export")
    days = [(day, list(part)) for day, part in groupby(read, key=lambda row: day_of(row.at))]
    return tuple(_bar_day(file, day, part) if bars else _tick_day(day, part) for day, part in days)


def _is_bars(file: Path, header: list[str]) -> bool:
    for required, extras in ((_TICKS, _TICK_EXTRAS), (_BARS, _BAR_EXTRAS)):
        count = len(required)
        if tuple(header[:count]) == required and all(name in extras for name in header[count:]):
            return required == _BARS
    found = ",".join(header) or "an empty file"
    wanted = "timestamp,ltp[,bid,ask,volume] or timestamp,open,high,low,close[,volume]"
    raise BadTickFile(f"{file}, line 1: expected {wanted}, found {found}; name the columns so")


def _tick_day(day: date, rows: list[_Row]) -> TickFile:
    times = np.array([row.at for row in rows], dtype=np.int64)
    ltp = np.array([row.prices[0] for row in rows])
    table = np.array([row.extras for row in rows])
    bid, ask, volume = (column if not np.isnan(column).any() else None for column in table.T)
    return TickFile(day, times, ltp, bid, ask, None if volume is None else volume.astype(np.int64))


def _bar_day(file: Path, day: date, rows: list[_Row]) -> TickFile:
    start = np.array([row.at for row in rows], dtype=np.int64)
    if bar_seconds(start) < SHORTEST:
        raise BadTickFile(
            f"{file}: expected bars of {SHORTEST} seconds or more, found {bar_seconds(start)} on {day}; use longer ones"
        )
    volumes = np.array([row.extras[0] for row in rows])
    known = not np.isnan(volumes).any()
    prices = np.array([row.prices for row in rows])
    bars = BarRows(start, prices, volumes.astype(np.int64) if known else np.zeros(len(rows), dtype=np.int64))
    times, ltp, volume = path(bars)
    return TickFile(day, times, ltp, None, None, volume if known else None)


def _rows(file: Path, header: list[str], reader: Iterator[list[str]], *, bars: bool) -> Iterator[_Row]:
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
        yield _bar(where, at, fields) if bars else _tick(where, at, fields)


def _tick(where: str, at: int, fields: dict[str, str]) -> _Row:
    extras = tuple(_optional(where, fields, name) for name in _TICK_EXTRAS)
    return _Row(at, (_price(where, fields, "ltp"),), extras)


def _bar(where: str, at: int, fields: dict[str, str]) -> _Row:
    first, high, low, last = (_price(where, fields, name) for name in _BARS[1:])
    if not low <= min(first, last) <= max(first, last) <= high:
        found = ", ".join(f"{name} {fields[name]}" for name in _BARS[1:])
        raise BadTickFile(f"{where}: expected open and close between low and high, found {found}; mend the row")
    return _Row(at, (first, high, low, last), (_optional(where, fields, "volume"),))


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
