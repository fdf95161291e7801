"""Bhavcopies, the exchanges' end-of-day files: all futures and options of a day, or the bar of one instrument.

Two forms are read: UDiFF (since July 2024) and the one before; files may be plain, gzipped or zipped. The first wrong
line refuses the whole file, with the expected and the found value. A contract that did not trade has no bar.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from mytrading.core.instruments.symbology import ParsedSymbol, parse_symbol, split_id
from mytrading.messages.instruments import InstrumentKind

_NEW = (
    "TradDt", "Sgmt", "Src", "FinInstrmTp", "TckrSymb", "XpryDt", "StrkPric", "OptnTp", "OpnPric", "HghPric", "LwPric",
    "ClsPric", "SttlmPric", "OpnIntrst", "TtlTradgVol",
)  # fmt: skip
_OLD = {
    "INSTRUMENT": "FinInstrmTp", "SYMBOL": "TckrSymb", "EXPIRY_DT": "XpryDt", "STRIKE_PR": "StrkPric",
    "OPTION_TYP": "OptnTp", "OPEN": "OpnPric", "HIGH": "HghPric", "LOW": "LwPric", "CLOSE": "ClsPric",
    "SETTLE_PR": "SttlmPric", "CONTRACTS": "TtlTradgVol", "OPEN_INT": "OpnIntrst", "TIMESTAMP": "TradDt",
}  # fmt: skip
"""Columns of the form before July 2024 by what they are called since; those of shares add two."""
_OLD_NAMES = {present: old for old, present in _OLD.items()}
_PRESENT_NAMES = {**_OLD, "SERIES": "SctySrs", "TOTTRDQTY": "TtlTradgVol"}
_FUTURES = ("IDF", "STF", "FUTIDX", "FUTSTK", "FUTIVX")
_OPTIONS = ("IDO", "STO", "OPTIDX", "OPTSTK")
_EXCHANGES = {"NSE": "NFO", "BSE": "BFO"}
SUFFIXES = (".csv", ".csv.gz", ".zip", ".csv.zip")
_OLD_SHARES = ("SYMBOL", "SERIES", "OPEN", "HIGH", "LOW", "CLOSE", "TOTTRDQTY", "TIMESTAMP")
_SERIES = ("EQ", "BE", "BZ")
"""NSE's series of shares; a name is in one of them on a day, and may be in others that are no shares."""
_SOURCES = {"NSE": "NSE", "NFO": "NSE", "BSE": "BSE", "BFO": "BSE"}
_NO_INDEX = "a bhavcopy holds shares and contracts, no index; name a file with the index's bars, or a future of it"
_FORMS = "the exchange's F&O bhavcopy, as BhavCopy_NSE_FO_…csv or fo…bhav.csv"


class BhavcopyError(ValueError):
    """A file that cannot be used; the message says where, what was expected and what was found."""


class BhavRow(NamedTuple):
    """A contract's day. `contracts` counts lots that were traded; without any, prices but the settlement's are stale.

    `lot` and `spot` (the underlying's close) are 0 where the file does not tell them.
    """

    underlying: str
    kind: InstrumentKind
    expiry: date
    strike: float
    open: float
    high: float
    low: float
    close: float
    settle: float
    contracts: int
    open_interest: int
    lot: int = 0
    spot: float = 0.0

    @property
    def price(self) -> float:
        """Return the closing price in rupees, 0 where the contract did not trade."""
        return self.close if self.contracts > 0 else 0.0


class Bhavcopy(NamedTuple):
    """A day of an exchange's contracts: NFO or BFO."""

    path: str
    day: date
    exchange: str
    rows: tuple[BhavRow, ...]

    def contracts_of(self, underlying: str) -> tuple[BhavRow, ...]:
        """Return the contract rows of an underlying; `BhavcopyError` lists the underlyings of the file."""
        if not (found := tuple(row for row in self.rows if row.underlying == underlying)):
            names = self.underlyings()
            shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
            raise BhavcopyError(f"{self.path}: no contracts of {underlying}; it holds {shown}")
        return found

    def underlyings(self) -> tuple[str, ...]:
        """Return the names of all underlyings in the file, sorted."""
        return tuple(sorted({row.underlying for row in self.rows}))


def is_bhavcopy(path: Path, *, shares: bool = False) -> bool:
    """True if a file's header is that of a bhavcopy (an exchange's daily price file), False also if it cannot be read.
    `shares` also admits the older format of shares."""
    try:
        with open_text(path) as file:
            head = set(parse_header(file.readline()))
    except (OSError, BhavcopyError, UnicodeDecodeError, EOFError):
        return False
    forms = ({"TckrSymb", "FinInstrmTp"}, {"INSTRUMENT", "OPTION_TYP"}, *([set(_OLD_SHARES)] if shares else []))
    return any(form <= head for form in forms)


def read_bhavcopy(path: Path) -> Bhavcopy:
    """Read the futures and options of one day's NSE or BSE bhavcopy (daily price file). Raises `BhavcopyError`."""
    try:
        with open_text(path) as file:
            text = file.read()
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise BhavcopyError(f"{path}: cannot be read: {error}; expected {_FORMS}") from error
    lines = text.splitlines()
    head = parse_header(lines[0]) if lines else []
    new = {"TckrSymb", "FinInstrmTp"} <= set(head)
    if missing := [name for name in (_NEW if new else _OLD) if name not in head]:
        raise BhavcopyError(f"{path}: {', '.join(missing[:6])} missing from its first line; expected {_FORMS}")
    days: set[date] = set()
    sources: set[str] = set()
    rows = [row for row in _rows(path, lines, head, days, sources, new=new) if row is not None]
    if len(days) != 1:
        found = ", ".join(sorted(str(day) for day in days)) or "none"
        raise BhavcopyError(f"{path}: expected one trading day, found {found}; split the file")
    if not rows:
        raise BhavcopyError(f"{path}: no future and no option in it; expected {_FORMS}")
    exchange = _EXCHANGES.get(next(iter(sources)) if sources else "NSE", "NFO")
    return Bhavcopy(str(path), days.pop(), exchange, tuple(rows))


def _rows(
    path: Path, lines: list[str], head: list[str], days: set[date], sources: set[str], *, new: bool
) -> Iterator[BhavRow | None]:
    for number, cells in enumerate(csv.reader(lines[1:]), 2):
        if not any(cell.strip() for cell in cells):
            continue
        cell = _cells(head, cells)
        try:
            days.add(parse_day(cell["TradDt"]))
            if new:
                sources.add(cell["Src"])
                if cell["Sgmt"] != "FO":
                    raise ValueError(f"Sgmt is {cell['Sgmt']!r}, not FO: this is another segment's file")
            yield _row(cell, new=new)
        except (KeyError, ValueError) as error:
            name = error.args[0] if new else _OLD_NAMES.get(error.args[0], error.args[0])
            problem = f"{name!r} is missing" if isinstance(error, KeyError) else str(error)
            raise BhavcopyError(f"{path}: line {number}: {problem}; expected {_FORMS}") from error


def _kind(kind: str, right: str) -> InstrumentKind | None:
    if kind in _FUTURES:
        return InstrumentKind.FUT
    if kind not in _OPTIONS:
        return None
    if right not in ("CE", "PE"):
        raise ValueError(f"an option's right is CE or PE, found {right!r}")
    return InstrumentKind(right)


def _cells(head: list[str], row: list[str]) -> dict[str, str]:
    """The cells of a row by the present names of their columns."""
    names = (_PRESENT_NAMES.get(name, name) for name in head)
    return dict(zip(names, (text.strip() for text in row), strict=False))


def _row(cell: Mapping[str, str], *, new: bool) -> BhavRow | None:
    if (kind := _kind(cell["FinInstrmTp"], cell["OptnTp"])) is None:
        return None
    strike = to_number(cell["StrkPric"]) if new or kind.is_option else 0.0
    return BhavRow(
        cell["TckrSymb"], kind, parse_day(cell["XpryDt"]), strike, to_number(cell["OpnPric"]),
        to_number(cell["HghPric"]), to_number(cell["LwPric"]), to_number(cell["ClsPric"]), to_number(cell["SttlmPric"]),
        int(to_number(cell["TtlTradgVol"])), int(to_number(cell["OpnIntrst"])),
        int(to_number(cell.get("NewBrdLotQty", ""))), to_number(cell.get("UndrlygPric", "")),
    )  # fmt: skip


def to_number(text: str) -> float:
    """Parse a cell as a number of 0 or more; an empty cell or `-` is 0. Raises `ValueError` for anything else."""
    if text in ("", "-"):
        return 0.0
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"expected a number, found {text!r}") from None
    if not 0.0 <= value < 1e15:
        raise ValueError(f"expected a number of 0 or more, found {text!r}")
    return value


def parse_day(text: str) -> date:
    """Parse a cell as a date: 2024-07-08, 05-Jul-2024 or 05-Jul-24. Raises `ValueError` for anything else."""
    for form in ("%Y-%m-%d", "%d-%b-%Y", "%d-%b-%y"):
        with suppress(ValueError):
            return datetime.strptime(text.title() if form != "%Y-%m-%d" else text, form).date()
    raise ValueError(f"expected a day such as 2024-07-08 or 05-Jul-2024, found {text!r}")


def parse_header(line: str) -> list[str]:
    """Split a header line into its column names."""
    return [name.strip().strip('"') for name in line.lstrip("\ufeff").strip().split(",")]


def open_text(path: Path) -> io.TextIOBase:
    """Open a bhavcopy for reading text: plain, .gz, or the one .csv in a .zip (`BhavcopyError` if there is not one)."""
    name = path.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as packed:
            inside = [item for item in packed.namelist() if item.lower().endswith(".csv")]
            if len(inside) != 1:
                raise BhavcopyError(f"{path}: expected one .csv in it, found {', '.join(packed.namelist()) or 'none'}")
            return io.TextIOWrapper(io.BytesIO(packed.read(inside[0])), encoding="utf-8")
    if name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8")
    return path.open(encoding="utf-8")


class DayBar(NamedTuple):
    """A day's prices in rupees; `volume` counts units, of contracts too where the file tells the lot."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: float


def read_day_bar(path: Path, instrument: str) -> DayBar | None:
    """Read an instrument's daily bar from a bhavcopy; None if it did not trade that day. Raises `BhavcopyError`."""
    exchange, symbol = split_id(instrument)
    if exchange not in _SOURCES:
        raise BhavcopyError(f"{instrument}: {_NO_INDEX}")
    parts = parse_symbol(symbol, exchange)
    try:
        with open_text(path) as file:
            head = parse_header(file.readline())
            # Other lines, most of a file, are not taken apart.
            lines = csv.reader(line for line in file if parts.underlying in line)
            rows = (_cells(head, row) for row in lines)
            # A share may be in several series on a day.
            best = min((row for row in rows if _is_it(row, exchange, parts)), key=_rank, default=None)
            return _bar(best) if best is not None else None
    except (OSError, EOFError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise BhavcopyError(f"{path}: {instrument}: cannot be read: {error}") from error


def _is_it(cells: Mapping[str, str], exchange: str, parts: ParsedSymbol) -> bool:
    if cells.get("TckrSymb") != parts.underlying or cells.get("Src", "NSE") != _SOURCES[exchange]:
        return False
    if not parts.kind.is_derivative:
        shares = cells["Sgmt"] == "CM" if "Sgmt" in cells else "SctySrs" in cells
        return shares and (exchange == "BSE" or cells.get("SctySrs") in _SERIES)
    ends, right = cells.get("XpryDt", ""), cells.get("OptnTp", "")
    if not ends or parse_day(ends) != parts.expiry:
        return False
    if parts.kind is InstrumentKind.FUT:
        return right not in ("CE", "PE")
    return right == parts.kind.value and abs(to_number(cells.get("StrkPric", "")) - parts.strike) < 1e-6


def _rank(cells: Mapping[str, str]) -> int:
    series = cells.get("SctySrs")
    return _SERIES.index(series) if series in _SERIES else len(_SERIES)


def _bar(cells: Mapping[str, str]) -> DayBar | None:
    first, high, low, last = (to_number(cells[name]) for name in ("OpnPric", "HghPric", "LwPric", "ClsPric"))
    traded = to_number(cells.get("TtlTradgVol", ""))
    if traded <= 0 or min(first, high, low, last) <= 0:
        return None
    lot = to_number(cells.get("NewBrdLotQty", "")) if cells.get("Sgmt") == "FO" else 1.0
    return DayBar(parse_day(cells["TradDt"]), first, high, low, last, traded * (lot or 1.0))
