"""One instrument's day in an exchange's end-of-day file: a share of the cash segment, a contract of the other.

Read by backtests that take bhavcopies as their data. The form used since July 2024 is known, and the one before. What
did not trade that day has no bar; no price of another day stands in for it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from mytrading.adapters.nse.bhavcopy import BhavcopyError, day_in, is_bhavcopy, names_in, number_in, opened
from mytrading.core.instruments.symbology import ParsedSymbol, parse_symbol, split_id
from mytrading.messages.instruments import InstrumentKind

_OLD_SHARES = ("SYMBOL", "SERIES", "OPEN", "HIGH", "LOW", "CLOSE", "TOTTRDQTY", "TIMESTAMP")
_SERIES = ("EQ", "BE", "BZ")
"""NSE's series of shares; a name is in one of them on a day, and may be in others that are no shares."""
_SOURCES = {"NSE": "NSE", "NFO": "NSE", "BSE": "BSE", "BFO": "BSE"}
_NO_INDEX = "a bhavcopy holds shares and contracts, no index; name a file with the index's bars, or a future of it"


class DayBar(NamedTuple):
    """A day's prices in rupees; `volume` counts units, of contracts too where the file tells the lot."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: float


def is_daily_file(path: Path) -> bool:
    """True of a bhavcopy of the cash segment or of futures and options, by its first line."""
    if is_bhavcopy(path):
        return True
    try:
        with opened(path) as file:
            return set(_OLD_SHARES) <= set(names_in(file.readline()))
    except (OSError, BhavcopyError, UnicodeDecodeError, EOFError):
        return False


def day_bar(path: Path, instrument: str) -> DayBar | None:
    """The bar of an instrument in a file, None if it did not trade or is not of this file's segment.

    `BhavcopyError` says what is wrong with the file, or that no such file has the instrument.
    """
    exchange, symbol = split_id(instrument)
    if exchange not in _SOURCES:
        raise BhavcopyError(f"{instrument}: {_NO_INDEX}")
    parts = parse_symbol(symbol, exchange)
    try:
        with opened(path) as file:
            head = names_in(file.readline())
            found = [cells for cells in _rows(file, head, parts) if _is_it(cells, exchange, parts)]
            best = min(found, key=_rank, default=None)
            return _bar(best) if best is not None else None
    except (OSError, EOFError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise BhavcopyError(f"{path}: {instrument}: cannot be read: {error}") from error


def _rows(lines: Iterable[str], head: list[str], parts: ParsedSymbol) -> Iterator[dict[str, str]]:
    """The lines that name the underlying or the share, as tables; the others, most of a file, are not taken apart."""
    for cells in csv.reader(line for line in lines if parts.underlying in line):
        yield dict(zip(head, (text.strip() for text in cells), strict=False))


def _is_it(cells: Mapping[str, str], exchange: str, parts: ParsedSymbol) -> bool:
    if cells.get("TckrSymb", cells.get("SYMBOL")) != parts.underlying:
        return False
    if cells.get("Src", "NSE") != _SOURCES[exchange]:
        return False
    if not parts.kind.is_derivative:
        shares = "SERIES" in cells or cells.get("Sgmt") == "CM"
        return shares and (exchange == "BSE" or _series(cells) in _SERIES)
    ends = cells.get("XpryDt") or cells.get("EXPIRY_DT", "")
    return bool(ends) and day_in(ends) == parts.expiry and _is_right(cells, parts)


def _is_right(cells: Mapping[str, str], parts: ParsedSymbol) -> bool:
    right = cells.get("OptnTp", cells.get("OPTION_TYP", ""))
    if parts.kind is InstrumentKind.FUT:
        return right not in ("CE", "PE")
    strike = number_in(cells.get("StrkPric", cells.get("STRIKE_PR", "")))
    return right == parts.kind.value and abs(strike - parts.strike) < 1e-6


def _series(cells: Mapping[str, str]) -> str:
    return cells.get("SctySrs", cells.get("SERIES", ""))


def _rank(cells: Mapping[str, str]) -> int:
    """Which of a share's series counts on a day on which it is in several."""
    series = _series(cells)
    return _SERIES.index(series) if series in _SERIES else len(_SERIES)


def _bar(cells: Mapping[str, str]) -> DayBar | None:
    names = ("OpnPric", "HghPric", "LwPric", "ClsPric") if "OpnPric" in cells else ("OPEN", "HIGH", "LOW", "CLOSE")
    prices = [number_in(cells[name]) for name in names]
    traded = number_in(cells.get("TtlTradgVol") or cells.get("TOTTRDQTY") or cells.get("CONTRACTS") or "")
    if traded <= 0 or min(prices) <= 0:
        return None
    lot = number_in(cells.get("NewBrdLotQty", "")) if cells.get("Sgmt") == "FO" else 1.0
    day = day_in(cells.get("TradDt") or cells["TIMESTAMP"])
    return DayBar(day, prices[0], prices[1], prices[2], prices[3], traded * (lot or 1.0))
