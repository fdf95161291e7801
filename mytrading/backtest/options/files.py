"""Recorded prices and listings of options: bhavcopies, files of bars, and what a stack has kept.

A source that holds nothing of the underlyings of the run is refused, since a result must not be taken for one on
recorded prices when it is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mytrading.adapters.nse.bhavcopy import SUFFIXES, Bhavcopy, BhavcopyError, BhavRow, is_bhavcopy, read_bhavcopy
from mytrading.adapters.storage.bar_store import FILE as BARS
from mytrading.adapters.storage.warehouse import FILE as WAREHOUSE
from mytrading.adapters.storage.warehouse import Warehouse
from mytrading.backtest.data.columns import SPANS, Columns, DataError, resample
from mytrading.backtest.data.load import NameOf, RequestError, Rows, load_instruments
from mytrading.backtest.options.market import ListedDay, Recorded, sane_quotes
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.calendar.variance_clock import VarianceClock
from mytrading.core.indicators import FloatArray
from mytrading.core.instruments.contract_specs import ContractFacts, Underlying, lot_size, value_on
from mytrading.core.instruments.symbology import future_symbol, instrument_id, option_symbol, parse_symbol
from mytrading.core.options.surface import Pair, Smile, fit_smile
from mytrading.core.time import DAY, IST_OFFSET, MINUTE
from mytrading.messages.instruments import Instrument, InstrumentKind

_YEAR = 365 * DAY
_DEFAULT_TICK = 0.05


class FoundOptionFiles(NamedTuple):
    """Bars by contract, the bid and ask at their ends, days by file, and notes on what was read."""

    recorded: dict[str, Columns]
    quotes: dict[str, FloatArray]
    days: tuple[ListedDay, ...]
    notes: tuple[str, ...]


class OptionRecords(NamedTuple):
    """Facts of a run for readers of sources: the days in question, and the bars of its underlyings."""

    data: Sequence[Columns]
    calendar: Calendar
    facts: ContractFacts
    rate: float

    def underlyings(self) -> dict[str, Columns]:
        """Return the bars by the underlying's name, say NIFTY."""
        return {columns.instrument.partition(":")[2]: columns for columns in self.data}


def read_sources(sources: Iterable[str], run: OptionRecords) -> FoundOptionFiles:
    """Read option data of the run's underlyings from `sources`, files or folders of bhavcopies and bars. Raises
    `RequestError` or `DataError`."""
    bars = Recorded({}, {})
    recorded = bars.columns
    days: list[ListedDay] = []
    notes: list[str] = []
    for source in sources:
        path = Path(source)
        if "*" not in path.parts and not path.exists():
            raise RequestError(f"--options {source}: no such file or folder; expected model, a bhavcopy, or bars")
        before = (len(recorded), len(days), len(bars.quotes))
        for file in _files(path):
            _read(file, run, bars, days)
        more, listed, quoted = len(recorded) - before[0], len(days) - before[1], len(bars.quotes) - before[2]
        if not more and not listed:
            names = ", ".join(run.underlyings())
            raise RequestError(f"--options {source}: nothing of options on {names} in it")
        asked = f" ({quoted} of them with bid and ask)" if quoted else ""
        what = [f"bars of {more} contracts{asked}"] * bool(more) + [f"the contracts of {listed} days"] * bool(listed)
        notes.append(f"{' and '.join(what)} from {source}")
    return FoundOptionFiles(recorded, bars.quotes, tuple(days), tuple(notes))


def _files(path: Path) -> list[Path]:
    """The files of a folder that may be read; a stack's own are taken as such, a pattern of files as one."""
    if path.is_file() or "*" in path.parts:
        return [path]
    known = (*SUFFIXES, ".parquet", ".pq", BARS, WAREHOUSE)
    found = [item for item in sorted(path.rglob("*")) if item.is_file() and item.name.lower().endswith(known)]
    if not found:
        raise RequestError(f"--options {path}: no file in it that holds bars or is a bhavcopy")
    return found


def _read(path: Path, run: OptionRecords, recorded: Recorded, days: list[ListedDay]) -> None:
    if path.name == BARS:
        _take(_of_stack(path, run), run, recorded, str(path))
    elif path.name == WAREHOUSE:
        days += _of_warehouse(path, run)
    elif path.suffix.lower() == ".zip" or is_bhavcopy(path):
        try:
            file = read_bhavcopy(path)
        except BhavcopyError as error:
            raise RequestError(str(error)) from error
        days += _listed_days(file, run)
        _take(_as_bars(file, run), run, recorded, str(path))
    else:
        _take(load_instruments(path, _names(run)), run, recorded, str(path))


def _names(run: OptionRecords) -> NameOf:
    """The id of a contract of one of the run's underlyings, by the name that a file has of it; else empty."""
    known = run.underlyings()

    def name_of(text: str) -> str:
        exchange, colon, symbol = text.partition(":")
        parts = parse_symbol(symbol if colon else exchange)
        if not parts.kind.is_derivative or parts.underlying not in known:
            return ""
        of_bse = known[parts.underlying].instrument.startswith("BSE")
        return text if colon else instrument_id("BFO" if of_bse else "NFO", text)

    return name_of


def _take(found: Rows, run: OptionRecords, recorded: Recorded, source: str) -> None:
    """Put bars beside those there are, in the timeframe of the run's data."""
    wanted = run.data[0]
    spans = np.concatenate([np.diff(start) for start, _ in found.values() if len(start) > 1] or [np.zeros(0, np.int64)])
    steps, counts = np.unique(spans, return_counts=True)
    span = int(steps[np.argmax(counts)]) if len(steps) else wanted.span_ns
    timeframe = next((name for name, known in SPANS.items() if known == span), "")
    if wanted.span_ns % max(span, 1) or not timeframe:
        raise DataError(
            f"{source}: options are recorded every {span / 1e9:g} s, the underlying in {wanted.timeframe} bars; "
            "give them in that timeframe, or finer"
        )
    for name, (start, table) in found.items():
        columns, quotes = Columns(name, timeframe, start, table[:5]), sane_quotes(table[5:]) if len(table) > 5 else None
        if timeframe != wanted.timeframe:
            begins = 0 if wanted.span_ns >= DAY else 555 * MINUTE  # longer bars begin at 09:15, days at midnight
            opens = (start + IST_OFFSET) // DAY * DAY - IST_OFFSET + begins
            columns, lasts = resample(columns, wanted.timeframe, opens)
            quotes = quotes[:, lasts] if quotes is not None else None
        recorded.add(columns, quotes)


def _of_stack(path: Path, run: OptionRecords) -> Rows:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
            rows = store.execute(
                "SELECT instrument, start_ns, open, high, low, close, volume FROM bars WHERE timeframe = '1m' "
                "ORDER BY instrument, start_ns"
            ).fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{path}: cannot be read: {error}; expected the bars of a stack") from error
    name_of = _names(run)
    groups: dict[str, list[tuple[float, ...]]] = {}
    for row in rows:
        if name := name_of(row[0]):
            groups.setdefault(name, []).append(row[1:])
    return {
        name: (np.array([row[0] for row in mine], np.int64), np.array([row[1:] for row in mine], np.float64).T.copy())
        for name, mine in groups.items()
    }


def _of_warehouse(path: Path, run: OptionRecords) -> list[ListedDay]:
    """The lists of contracts that a stack has kept by day."""
    kept, names = Warehouse(path.parent), run.underlyings()
    found = []
    for day in kept.instrument_days():
        contracts = [item for item in kept.instruments(day) if item.kind.is_derivative and item.underlying in names]
        for name in sorted({item.underlying for item in contracts}):
            mine = tuple(item for item in contracts if item.underlying == name)
            found.append(ListedDay(date.fromisoformat(day), name, mine))
    return found


def _listed_days(file: Bhavcopy, run: OptionRecords) -> Iterator[ListedDay]:
    """The contracts of the run's underlyings in a file, with the volatilities that its prices hold."""
    known = file.underlyings()
    for name, columns in run.underlyings().items():
        if name in known:
            rows, facts = file.contracts_of(name), run.facts.underlyings.get(name)
            contracts = tuple(contract_of(row, file.exchange, file.day, facts) for row in rows)
            spot = next((row.spot for row in rows if row.spot), 0.0)
            day = columns.on_day(file.day)
            smiles = smiles_of(file, name, run, spot or (float(day.close[-1]) if len(day) else 0.0))
            traded = {
                contract.id: (row.open, row.close)
                for contract, row in zip(contracts, rows, strict=True)
                if row.kind.is_option and row.contracts > 0 and min(row.open, row.close) > 0
            }
            yield ListedDay(file.day, name, contracts, smiles, spot, traded)


def contract_of(row: BhavRow, exchange: str, day: date, facts: Underlying | None) -> Instrument:
    """Return the contract of a bhavcopy row; lot and tick come from the day's facts where the row lacks them."""
    is_future = row.kind is InstrumentKind.FUT
    symbol = (
        future_symbol(row.underlying, row.expiry)
        if is_future
        else option_symbol(row.underlying, row.expiry, row.strike, row.kind)
    )
    ticks = () if facts is None else facts.future_tick if is_future else facts.option_tick
    lot = row.lot or (lot_size(facts, row.expiry, day) if facts is not None and facts.lot else 1)
    return Instrument(
        id=instrument_id(exchange, symbol), exchange=exchange, symbol=symbol, kind=row.kind, underlying=row.underlying,
        expiry=row.expiry.isoformat(), strike=row.strike, lot_size=lot,
        tick_size=value_on(ticks, day) if ticks else _DEFAULT_TICK,
        freeze_qty=int(value_on(facts.freeze, day)) if facts is not None and facts.freeze else 0, name=row.underlying,
    )  # fmt: skip


def smiles_of(file: Bhavcopy, name: str, run: OptionRecords, spot: float) -> dict[str, Smile]:
    """Return the volatility smile of underlying `name` by later expiry (ISO), from closing prices; `spot` in rupees.
    Expiries without enough prices are left out."""
    ends = session_ends(run.calendar)
    clock = VarianceClock(run.facts.variance_clock, run.calendar, file.exchange)
    now = ends(file.exchange, file.day.isoformat())
    found: dict[str, Smile] = {}
    for expiry in sorted({row.expiry for row in file.contracts_of(name) if row.expiry > file.day}):
        years = (ends(file.exchange, expiry.isoformat()) - now) / _YEAR
        left = float(clock.years_to(expiry, file.day, np.array(now)))
        smile = fit_smile(pairs_of(file.contracts_of(name), expiry), years, left, run.rate, spot)
        if smile is not None:
            found[expiry.isoformat()] = smile
    return found


def pairs_of(rows: Iterable[BhavRow], expiry: date) -> list[Pair]:
    """Return the call and put closing prices by strike of one expiry, 0 for one that did not trade."""
    by_strike: dict[float, dict[InstrumentKind, float]] = {}
    for row in rows:
        if row.expiry == expiry and row.kind.is_option:
            by_strike.setdefault(row.strike, {})[row.kind] = row.price
    return [
        Pair(strike, sides.get(InstrumentKind.CE, 0.0), sides.get(InstrumentKind.PE, 0.0))
        for strike, sides in sorted(by_strike.items())
    ]


def _as_bars(file: Bhavcopy, run: OptionRecords) -> Rows:
    """Return a file's open, high, low and close as recorded bars by contract; none unless the run's bars are daily."""
    if run.data[0].timeframe != "1d":
        return {}
    found: Rows = {}
    known = run.underlyings()
    for row in file.rows:
        if row.underlying in known and row.contracts > 0 and min(row.open, row.high, row.low, row.close) > 0:
            contract = contract_of(row, file.exchange, file.day, run.facts.underlyings.get(row.underlying))
            table = np.array([[row.open], [row.high], [row.low], [row.close], [row.contracts * contract.lot_size]])
            if len(day := known[row.underlying].on_day(file.day)):
                found[contract.id] = (day.start_ns[:1], table.astype(np.float64))
    return found
