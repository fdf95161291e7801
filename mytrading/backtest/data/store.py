"""The bar store of research as columns: its contents, its gaps, and imports of files.

`mytrading data` fills it (`adapters.storage.bar_archive` holds the files); backtests read it by `--data store`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mytrading.adapters.storage.bar_archive import ArchivedBars, BarArchive, BarArchiveError
from mytrading.backtest.data.columns import SPANS, Columns, DataError, build_columns, timeframe_of
from mytrading.backtest.data.feeds import session_bounds
from mytrading.backtest.data.holes import LEAST_HOLE, holes, missing_days
from mytrading.backtest.data.load import instruments_in, load_bars, load_instruments
from mytrading.backtest.data.stamps import count_outside, describe_shift
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.symbology import DERIVATIVE_EXCHANGES, parse_symbol, split_id
from mytrading.core.time import DAY, ist_date
from mytrading.runtime.host.paths import data_dir

STORE = "store"
"""Name of the store in `--data` and `--options`."""


class StoredSeries(NamedTuple):
    """The bars of one instrument and interval in the store. `holes` are (start, end) in ns inside sessions, `missing`
    trading days without any bar; both None where they are not known (options, exchanges not in the calendar). `shift`
    says how its stamps are proven to be off, empty if they are not."""

    instrument: str
    interval: str
    first: date
    last: date
    bars: int
    holes: list[tuple[int, int]] | None
    missing: list[date] | None
    shift: str = ""


class ImportedSeries(NamedTuple):
    """Import of one instrument from a file: its bars there, how many of them are new in the store, and how many lie
    outside trading hours, which are kept."""

    instrument: str
    interval: str
    bars: int
    added: int
    outside: int = 0


def open_store(home: Path) -> BarArchive:
    """Return the store of a project, in its data folder; nothing is created before the first write."""
    return BarArchive(data_dir(home) / "bars")


def load_stored(
    store: BarArchive, instruments: Sequence[str], timeframe: str, first: date | None = None, last: date | None = None
) -> list[Columns]:
    """Load the finest stored bars that all instruments have and bars of `timeframe` can be made of, days `first` to
    `last` (None: no bound). Raises `DataError`."""
    fitting = {name: _fitting(store, name, timeframe) for name in instruments}
    common = [kind for kind in SPANS if all(kind in kinds for kinds in fitting.values())]
    found = []
    for name, kinds in fitting.items():
        kind = common[0] if common else kinds[0]
        columns = _columns(store, name, kind)
        if columns is None:
            raise DataError(
                f"{STORE}: {name} {kind}: its source had no bars; `mytrading data list` shows what there is"
            )
        begin, end = (ist_date(int(columns.start_ns[place])) for place in (0, -1))
        part = columns.between_days(first, last)
        if not len(part):
            raise DataError(
                f"{STORE}: {name} {kind}: no bars from {first or begin} to {last or end}; it holds {begin} to {end}; "
                f"`mytrading data download {name} --interval {kind}` fetches more"
            )
        found.append(part)
    return found


def _fitting(store: BarArchive, instrument: str, timeframe: str) -> list[str]:
    """The stored intervals of an instrument that longer bars can be made of, finest first; `DataError` if none."""
    found = sorted((name for name in store.intervals(instrument) if name in SPANS), key=SPANS.__getitem__)
    if fitting := [name for name in found if SPANS[timeframe] % SPANS[name] == 0]:
        return fitting
    there = f"it has bars of {', '.join(found)}, which are too long" if found else "it has no bars of it"
    raise DataError(
        f"{STORE}: {instrument}: {there}; `mytrading data download {instrument} --interval {timeframe}` fetches them, "
        "`mytrading data import` takes files"
    )


def _columns(store: BarArchive, instrument: str, interval: str) -> Columns | None:
    """All stored bars of an instrument and interval; None if its source had none."""
    try:
        bars = store.read(instrument, interval)
    except BarArchiveError as error:
        raise DataError(str(error)) from error
    if not len(bars.start_ns):
        return None
    return build_columns(instrument, bars.start_ns, bars.table, str(store.path(instrument, interval)), interval)


def stored_option_files(store: BarArchive, data: Sequence[Columns]) -> list[Path]:
    """Return a pattern of files for each underlying of a run: its stored contracts, in the finest interval that fits.
    Raises `DataError` if there are none of any."""
    found, span = [], data[0].span_ns
    for columns in data:
        exchange, symbol = split_id(columns.instrument)
        patterns = (
            store.contracts_glob(DERIVATIVE_EXCHANGES.get(exchange, exchange), symbol, name)
            for name in sorted(SPANS, key=SPANS.__getitem__)
            if span % SPANS[name] == 0
        )
        found += [path for path in patterns if next(path.parents[1].glob(f"*/{path.name}"), None)][:1]
    if not found:
        names = ", ".join(columns.instrument.partition(":")[2] for columns in data)
        raise DataError(
            f"--options {STORE}: no bars of options on {names} that fit; `mytrading data download --options {names} "
            f"--interval {data[0].timeframe}` fetches them"
        )
    return found


def list_stored(
    store: BarArchive, calendar: Calendar, instruments: Collection[str] = (), interval: str = "",
    least_ns: int = LEAST_HOLE,
) -> Iterator[StoredSeries]:  # fmt: skip
    """Yield what the store has of the instruments (none given: of all) with stretches of `least_ns` and more without
    bars. Raises `DataError` for a file that cannot be read."""
    for instrument, stored in store.entries():
        if (instruments and instrument not in instruments) or (interval and stored != interval) or stored not in SPANS:
            continue
        columns = _columns(store, instrument, stored)
        if columns is None:
            continue
        first, last = (ist_date(int(columns.start_ns[place])) for place in (0, -1))
        exchange, symbol = split_id(instrument)
        known = exchange in calendar.exchanges and not parse_symbol(symbol, exchange).kind.is_option
        inside = holes(columns, calendar, least_ns) if known and columns.span_ns < DAY else [] if known else None
        days = missing_days(columns, calendar) if known else None
        shift = describe_shift(columns, calendar)
        yield StoredSeries(instrument, stored, first, last, len(columns), inside, days, shift)


def import_bars(
    store: BarArchive, calendar: Calendar, path: Path, instrument: str = "", interval: str = "",
    exchange: str = "NSE", *, replace: bool = False,
) -> list[ImportedSeries]:  # fmt: skip
    """Add the bars of a CSV, Parquet or DuckDB file to the store. Without `instrument` the file has a column that names
    them, a bare symbol of which is of `exchange`. An empty `interval` is found by the spacing. Raises `DataError`."""
    if instrument:
        columns = load_bars(path, instrument)
        found = {instrument: ArchivedBars(columns.start_ns, columns.table)}
    else:
        found = {name: ArchivedBars(*rows) for name, rows in _rows_by_instrument(path, exchange).items()}
    imported = []
    for name, (start_ns, table) in sorted(found.items()):
        kind = interval or timeframe_of(start_ns, f"{path}: {name}")
        columns = build_columns(name, start_ns, np.ascontiguousarray(table[:5]), f"{path}: {name}", kind)
        days = ((ist_date(int(start_ns[0])), ist_date(int(start_ns[-1]))),)
        try:
            added = store.add(name, kind, columns.start_ns, columns.table, days, replace=replace)
        except BarArchiveError as error:
            raise DataError(str(error)) from error
        imported.append(ImportedSeries(name, kind, len(columns), added, count_outside(columns, calendar)))
    return imported


def _rows_by_instrument(path: Path, exchange: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not instruments_in(path):
        raise DataError(f"{path}: its columns name no instrument; give it: --instrument NSE:SBIN")
    return load_instruments(path, lambda text: text if ":" in text else f"{exchange}:{text}")


def daily_bars(store: BarArchive, instrument: str, calendar: Calendar) -> Columns | None:
    """Return bars of whole days from the store: stored ones, else made of the finest; None if it has none."""
    stored = store.intervals(instrument)
    if "1d" in stored and (days := _columns(store, instrument, "1d")) is not None:
        return days
    known = sorted((name for name in stored if name in SPANS), key=SPANS.__getitem__)
    columns = _columns(store, instrument, known[0]) if known else None
    if columns is None:
        return None
    opens, _ = session_bounds(columns, calendar)
    firsts = np.flatnonzero(np.concatenate(([True], opens[1:] != opens[:-1])))
    lasts = np.concatenate((firsts[1:], [len(columns)])) - 1
    table = np.vstack([
        columns.table[0, firsts], np.maximum.reduceat(columns.table[1], firsts),
        np.minimum.reduceat(columns.table[2], firsts), columns.table[3, lasts],
        np.add.reduceat(columns.table[4], firsts),
    ])  # fmt: skip
    return Columns(instrument, "1d", opens[firsts], table)
