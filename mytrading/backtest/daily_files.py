"""Bhavcopies as data: the daily bars of one share or contract, put together of the exchange's end-of-day files.

Used by `mytrading backtest --data`. The one rule: a folder holds each day once; two files that tell of the same day are
refused, since they may tell differently.
"""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import numpy as np

from mytrading.adapters.bhavcopy import SUFFIXES, BhavcopyError
from mytrading.adapters.bhavcopy_days import DayBar, day_bar, is_daily_file
from mytrading.backtest.columns import Columns, DataError, checked
from mytrading.core.calendar import to_ns


def are_daily_files(path: Path) -> bool:
    """True of a folder, which can be nothing else, and of a single bhavcopy."""
    return path.is_dir() or (path.name.lower().endswith(SUFFIXES) and is_daily_file(path))


def load_days(path: Path, instrument: str, first: date | None = None, last: date | None = None) -> Columns:
    """The days of an instrument in a bhavcopy or a folder of them, from `first` to `last`, as bars of whole days."""
    files = _files(path)
    found: dict[date, tuple[DayBar, Path]] = {}
    try:
        for file in files:
            bar = day_bar(file, instrument)
            if bar is None:
                continue
            if bar.day in found:
                raise DataError(f"{found[bar.day][1]} and {file} both tell of {bar.day}; keep one of them")
            found[bar.day] = bar, file
    except BhavcopyError as error:
        raise DataError(str(error)) from error
    if not found:
        raise DataError(
            f"{path}: {instrument} did not trade in any of its {len(files)} bhavcopies; shares stand in those of the "
            "cash segment (…CM…), futures and options in those of F&O (…FO…)"
        )
    days = [day for day in sorted(found) if (first is None or day >= first) and (last is None or day <= last)]
    if not days:
        raise DataError(f"{path}: no days from {first} to {last}; it holds {min(found)} to {max(found)}")
    start = np.array([to_ns(day, time.min) for day in days], dtype=np.int64)
    table = np.array([found[day][0][1:] for day in days], dtype=np.float64).T.copy()
    return checked(instrument, start, table, str(path), "1d")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [item for item in sorted(path.rglob("*")) if item.is_file() and item.name.lower().endswith(SUFFIXES)]
    if files := [item for item in found if is_daily_file(item)]:
        return files
    raise DataError(f"{path}: no bhavcopy in this folder; --data takes a folder of them, or one file of bars")
