"""The rows of a recorded file as text, header first: CSV, plain or gzip, and Parquet.

Used by `replay`, which checks them. The one rule: times keep the zone they have; what has none is left without one.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

PARQUET = (".parquet", ".pq")
_EPOCH = datetime(1970, 1, 1)
_TIME = "timestamp"
# Whole-number times by their size: seconds, milli-, micro- or nanoseconds since 1970.
_UNITS = ((10**11, 10**6), (10**14, 10**3), (10**17, 1))


class Unreadable(Exception):
    """A file that is no CSV, gzip or Parquet."""


@contextmanager
def text_rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """The rows of a file; `Unreadable` says what is wrong with it."""
    try:
        if path.suffix in PARQUET:
            yield _parquet(path)
            return
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as stream:
            yield csv.reader(stream)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error


def _parquet(path: Path) -> Iterator[list[str]]:
    # Only a replay of such a file needs it, and it is large.
    import duckdb

    try:
        with duckdb.connect() as database:
            named = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            types = {str(row[0]): str(row[1]) for row in named}
            picked = ", ".join(_column(name, kind) for name, kind in types.items())
            rows = database.execute(f"SELECT {picked} FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise Unreadable(str(error).splitlines()[0]) from error
    columns = [_written(name, kind) for name, kind in types.items()]
    yield list(types)
    for row in rows:
        yield [write(value) for write, value in zip(columns, row, strict=True)]


def _column(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"epoch_us({quoted})" if kind.startswith("TIMESTAMP") else quoted


def _written(name: str, kind: str) -> Callable[[object], str]:
    """How a column's values are written as text."""
    if kind.startswith("TIMESTAMP"):
        zone = "+00:00" if "ZONE" in kind else ""
        return lambda value: "" if value is None else _moment(int(str(value))) + zone
    if name.strip().lower() == _TIME and kind in ("BIGINT", "UBIGINT", "HUGEINT", "INTEGER"):
        return lambda value: "" if value is None else _moment(_microseconds(int(str(value)))) + "+00:00"
    return lambda value: "" if value is None else str(value)


def _moment(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


def _microseconds(value: int) -> int:
    scale = next((factor for limit, factor in _UNITS if abs(value) < limit), 0)
    return value * scale if scale else value // 1000
