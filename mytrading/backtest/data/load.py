"""History from where it lies: CSV, Parquet, DuckDB files, or the server's history endpoint.

Times without a zone are Indian ones; whole numbers are seconds, milliseconds, microseconds or nanoseconds since 1970,
by their size. A file is read as it is or refused with what was expected, found and to be done; nothing is guessed into
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mytrading.adapters.nse.bhavcopy import SUFFIXES, BhavcopyError, DayBar, is_bhavcopy, read_day_bar
from mytrading.backtest.data.columns import Columns, DataError, build_columns
from mytrading.core.indicators import FloatArray
from mytrading.core.time import IST_OFFSET, SECOND, ist_date, to_ns

if TYPE_CHECKING:
    import duckdb


class RequestError(ValueError):
    """An option that cannot be met; the message says what was expected, what was found and what to do."""


def are_bhavcopies(path: Path) -> bool:
    """True if the path is a folder or a single bhavcopy, which hold bars of whole days."""
    return path.is_dir() or (path.name.lower().endswith(SUFFIXES) and is_bhavcopy(path, shares=True))


def load_bhavcopy_bars(path: Path, instrument: str, first: date | None = None, last: date | None = None) -> Columns:
    """Load an instrument's daily bars from a bhavcopy or a folder of them, days `first` to `last` included (None: no
    bound). Raises `DataError`."""
    files = _files(path)
    found: dict[date, tuple[DayBar, Path]] = {}
    try:
        for file in files:
            bar = read_day_bar(file, instrument)
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
    return build_columns(instrument, start, table, str(path), "1d")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [item for item in sorted(path.rglob("*")) if item.is_file() and item.name.lower().endswith(SUFFIXES)]
    if files := [item for item in found if is_bhavcopy(item, shares=True)]:
        return files
    raise DataError(f"{path}: no bhavcopy in this folder; --data takes a folder of them, or one file of bars")


_TIMES = ("timestamp", "datetime", "start_ns", "time", "date", "ts")
_NAMES = ("instrument", "symbol")
_PRICES = ("open", "high", "low", "close")
_EXPECTED = f"a time ({', '.join(_TIMES)}), {', '.join(_PRICES)}, and if there is one volume"
_SUFFIXES = ".csv, .csv.gz, .parquet, .duckdb or .db"
_ZONE = r"\d:\d\d(:\d\d([.]\d+)?)? ?(Z|z|[+-]\d\d(:?\d\d)?)$"
"""End of a text with a time of day that names its zone."""
Rows = dict[str, tuple[NDArray[np.int64], FloatArray]]
"""By instrument, when its bars start (ns UTC) and a table of shape (5, n) as in `Columns`.

Where the bid and the ask at each bar's end were recorded too it has shape (7, n), the last two rows as they were found.
"""
_BIDS, _ASKS = (("bid", "bid_price", "best_bid", "bidprice"), ("ask", "ask_price", "best_ask", "askprice"))
NameOf = Callable[[str], str]
"""The id of what a file calls so; empty of what is not wanted."""
_UNITS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0.0, SECOND))
_SMALL = 1 << 19
"""Bytes of a file that Python reads itself sooner than DuckDB loads: some 8,000 bars."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")
_PLAIN = b"0123456789.,:-T \r\n"
"""The characters of rows of numbers and times without a zone."""


def load_bars(path: Path, instrument: str, first: date | None = None, last: date | None = None) -> Columns:
    """Load the bars of `instrument` from a file, `first` to `last` (days in India, both included). Raises `DataError`.
    With a column `instrument` or `symbol` only its rows are taken; without one all rows are."""
    if not path.exists():
        raise DataError(f"{path}: no such file; name a {_SUFFIXES} file, a bhavcopy or a folder of them, or `openalgo`")
    start, table = _plain_bars(path) or _queried_bars(path, instrument)
    columns = build_columns(instrument, start, table, str(path))
    part = columns.between_days(first, last)
    if not len(part):
        begin, end = (ist_date(int(columns.start_ns[place])) for place in (0, -1))
        raise DataError(f"{path}: no bars from {first or begin} to {last or end}; it holds {begin} to {end}")
    return part


def _queried_bars(path: Path, instrument: str) -> tuple[NDArray[np.int64], FloatArray]:
    with _opened(path) as (database, source, stamp, found):
        where = _where(database, source, path, found, instrument)
        got = database.execute(f"SELECT {_picked(_bar_columns(stamp, found))} FROM {source} {where}").fetchnumpy()
    start = _ns(got["c0"], found[stamp][1], path, stamp)
    table = np.empty((5, len(start)))
    for number in range(5):
        table[number] = np.ma.filled(got.pop(f"c{number + 1}"), np.nan)
    return start, table


def _plain_bars(path: Path) -> tuple[NDArray[np.int64], FloatArray] | None:
    """The bars of a small CSV file that cannot be read in two ways: names, then rows of numbers and a time; None of any
    other, which DuckDB reads or refuses."""
    if not path.name.lower().endswith(".csv") or not path.is_file() or path.stat().st_size > _SMALL:
        return None
    head, _, body = path.read_bytes().partition(b"\n")
    names = head.decode("utf-8", "replace").strip().lower().split(",")
    stamp = next((name for name in _TIMES if name in names), "")
    wanted = [*_PRICES, *(name for name in ("volume",) if name in names)]
    known = stamp and set(_PRICES) <= set(names) and len(set(names)) == len(names) and not set(_NAMES) & set(names)
    if not known or body.translate(None, _PLAIN):
        return None
    rows = [line.split(",") for line in body.decode("ascii").splitlines()]
    if not rows or any(len(row) != len(names) for row in rows):
        return None
    times, prices = [row[names.index(stamp)] for row in rows], np.zeros((5, len(rows)))
    try:
        for number, name in enumerate(wanted):
            place = names.index(name)
            prices[number] = [float(row[place]) for row in rows]
        if _STAMP.fullmatch(times[0]) and len({len(text) for text in times}) == 1:
            return np.array(times, "datetime64[ns]").astype(np.int64) - IST_OFFSET, prices
        if len(times[0]) > 8 and times[0][0] != "0" and all(map(str.isdigit, times)):
            return _ns(np.array(list(map(int, times)), np.int64), "BIGINT", path, stamp), prices
    except (ValueError, OverflowError):
        return None
    return None


def instruments_in(path: Path) -> list[str]:
    """Return the names in a file's column `instrument` or `symbol`; [] without such a column. Raises `DataError`."""
    if not path.exists():
        raise DataError(f"{path}: no such file; name a {_SUFFIXES} file")
    with _opened(path) as (database, source, _, found):
        column = next((found[name][0] for name in _NAMES if name in found), "")
        rows = database.execute(f'SELECT DISTINCT "{column}" FROM {source}').fetchall() if column else []
    return sorted(str(row[0]) for row in rows)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, str, str, dict[str, tuple[str, str]]]]:
    """A database, what is behind FROM in it, the column of times, and all columns with their own names and types."""
    import duckdb

    with duckdb.connect() as database:
        try:
            yield database, *_described(database, _source(database, path), path)
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            if "lock on file" in message:
                holder = re.search(r"PID \d+", message)
                by = holder[0] if holder else message
                raise DataError(f"{path}: another program writes to it ({by}); end it, or give a copy") from error
            raise DataError(f"{path}: cannot be read as bars: {message}; expected {_EXPECTED}") from error


def load_instruments(path: Path, name_of: NameOf) -> Rows:
    """Load bars by instrument id, each in order of time, from a file of many: `name_of` maps a name in the file to its
    id, or to "" to skip it. Gaps are allowed, for contracts do not trade every minute. Raises `DataError`."""
    with _opened(path) as (database, source, stamp, found):
        column = next((found[name][0] for name in _NAMES if name in found), "")
        if not column:
            raise DataError(f"{path}: found columns {', '.join(found)}; expected one with contracts: instrument")
        distinct = database.execute(f'SELECT DISTINCT "{column}" FROM {source}').fetchall()
        if (None,) in distinct:
            raise DataError(f"{path}: a row has no name in {column}; mend or drop it")
        called = [str(row[0]) for row in distinct]
        wanted = {text: name for text in called if (name := name_of(text))}
        if not wanted:
            return {}
        listed = ", ".join("'" + text.replace("'", "''") + "'" for text in wanted)
        sides = [next((found[name] for name in names if name in found), None) for names in (_BIDS, _ASKS)]
        quotes = [_price(*side) for side in sides if side is not None] if all(sides) else []
        got = database.execute(
            f'SELECT "{column}" AS name, {_picked([*_bar_columns(stamp, found), *quotes])} FROM {source} '
            f'WHERE "{column}" IN ({listed}) ORDER BY name, c0'
        ).fetchnumpy()
    names: Any = got["name"]
    if not len(names):
        return {}
    start = _ns(got["c0"], found[stamp][1], path, stamp)
    table = np.vstack([np.ma.filled(got[f"c{n}"], np.nan) for n in range(1, 6 + len(quotes))])
    prices_ok = np.all(np.isfinite(table[:4]) & (table[:4] > 0), axis=0) & (table[1] >= table[2])
    cuts = np.flatnonzero(np.concatenate(([True], names[1:] != names[:-1])))
    rows: Rows = {}
    for begin, end in zip(cuts.tolist(), [*cuts[1:].tolist(), len(names)], strict=True):
        mine = np.arange(begin, end)[prices_ok[begin:end]]
        if len(mine) and np.any(np.diff(start[mine]) <= 0):
            raise DataError(f"{path}: two bars of {names[begin]} start at the same time; drop the repeats")
        if len(mine):
            rows[wanted[str(names[begin])]] = (start[mine], table[:, mine])
    return rows


def _bar_columns(stamp: str, found: dict[str, tuple[str, str]]) -> list[str]:
    """Time, prices and volume in SQL."""
    volume = f'coalesce("{found["volume"][0]}", 0)::DOUBLE' if "volume" in found else "0::DOUBLE"
    return [_time(*found[stamp]), *(_price(*found[name]) for name in _PRICES), volume]


def _picked(columns: Sequence[str]) -> str:
    return ", ".join(f"{text} AS c{number}" for number, text in enumerate(columns))


def _price(column: str, kind: str) -> str:
    """A price of single precision is what it was written as: 21666.6, not 21666.599609375."""
    return f'"{column}"::VARCHAR::DOUBLE' if kind == "FLOAT" else f'"{column}"::DOUBLE'


def columns_from_bars(bars: Sequence[Any], instrument: str, source: str) -> Columns:
    """Convert bar messages of one instrument and timeframe to columns; `DataError`, naming `source`, if they are
    wrong."""
    start = np.array([bar.start_ns for bar in bars], dtype=np.int64)
    rows = [(bar.open, bar.high, bar.low, bar.close, float(bar.volume)) for bar in bars]
    table = np.array(rows, dtype=np.float64).reshape(len(bars), 5).T.copy()
    return build_columns(instrument, start, table, source, bars[0].timeframe if bars else "")


def _source(database: duckdb.DuckDBPyConnection, path: Path) -> str:
    name = path.name.lower()
    text = str(path).replace("'", "''")
    if name.endswith((".csv", ".csv.gz", ".txt")):
        return f"read_csv('{text}')"
    if name.endswith((".parquet", ".pq")):
        return f"read_parquet('{text}')"
    if name.endswith((".duckdb", ".db")):
        database.execute(f"ATTACH '{text}' AS given (READ_ONLY)")
        tables = database.execute(
            "SELECT schema_name, table_name FROM duckdb_columns() WHERE database_name = 'given' "
            "GROUP BY schema_name, table_name "
            "HAVING count(*) FILTER (lower(column_name) IN ('open', 'high', 'low', 'close')) = 4 "
            "ORDER BY lower(table_name) != 'bars', schema_name, table_name"
        ).fetchall()
        if not tables:
            raise DataError(f"{path}: no table with {', '.join(_PRICES)} in it; expected {_EXPECTED}")
        return "given." + ".".join('"' + name.replace('"', '""') + '"' for name in tables[0])
    raise DataError(f"{path}: expected a {_SUFFIXES} file, or a bhavcopy")


def _described(
    database: duckdb.DuckDBPyConnection, source: str, path: Path
) -> tuple[str, str, dict[str, tuple[str, str]]]:
    """The source, the column of times, and all columns with their own names and types. A day and a time of day in two
    columns become one."""
    described = database.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    found = {row[0].lower(): (row[0], row[1]) for row in described}
    clock = next((name for name in _TIMES if name in found and found[name][1] == "TIME"), "")
    if clock and "date" not in found:
        raise DataError(f"{path}: {clock} has times of day; expected days with them, or in a column date")
    if clock:
        (day, kind), (hour, _) = found["date"], found.pop(clock)
        date_of = f"""strptime("{day}"::VARCHAR, '%Y%m%d')""" if "INT" in kind else f'"{day}"'
        whole = f'{date_of}::DATE + "{hour}" AS "{day}"'
        source = f'(SELECT * EXCLUDE ("{day}", "{hour}"), {whole} FROM {source})'
        found["date"] = (day, "TIMESTAMP")
    missing = [name for name in _PRICES if name not in found]
    stamp = next((name for name in _TIMES if name in found), "")
    if missing or not stamp:
        absent = ", ".join(missing) or "a time"
        raise DataError(f"{path}: found columns {', '.join(found)}; {absent} is missing; expected {_EXPECTED}")
    return source, stamp, found


def _where(
    database: duckdb.DuckDBPyConnection, source: str, path: Path, found: dict[str, tuple[str, str]], instrument: str
) -> str:
    column = next((found[name][0] for name in _NAMES if name in found), "")
    if not column:
        return ""
    names = [str(row[0]) for row in database.execute(f'SELECT DISTINCT "{column}" FROM {source} LIMIT 200').fetchall()]
    symbol = instrument.partition(":")[2]
    chosen = next((name for name in (instrument, symbol) if name in names), "")
    if not chosen:
        raise DataError(f"{path}: no rows of {instrument}; it holds {', '.join(sorted(names)[:8])}; use --instrument")
    quoted = chosen.replace("'", "''")
    return f"WHERE \"{column}\" = '{quoted}'"


def _time(column: str, kind: str) -> str:
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f'epoch_ns("{column}"::{"TIMESTAMPTZ" if "ZONE" in kind else "TIMESTAMP"})'
    if kind == "VARCHAR":  # a time with a zone is made Indian, which texts are taken for
        zoned = f"""regexp_matches("{column}", '{_ZONE}')"""
        epoch = f'epoch_ns("{column}"::TIMESTAMPTZ) + {IST_OFFSET}'
        return f'CASE WHEN {zoned} THEN {epoch} ELSE epoch_ns("{column}"::TIMESTAMP) END'
    return f'"{column}"::BIGINT'


def _ns(times: Any, kind: str, path: Path, stamp: str) -> NDArray[np.int64]:
    """Times as ns UTC; `DataError` if one is missing."""
    if np.any(np.ma.getmaskarray(times)):
        raise DataError(f"{path}: a row has no time in {stamp}; mend or drop it")
    values: NDArray[np.int64] = np.ma.getdata(times).astype(np.int64, copy=False)
    if "ZONE" in kind or not len(values):
        return values
    if kind.startswith(("TIMESTAMP", "DATE", "VARCHAR")):
        return values - IST_OFFSET
    unit = next(scale for least, scale in _UNITS if float(values[0]) > least or not least)
    return values * unit
