"""Universes: lists of instruments that change with time, and filters by their volume, price and volatility.

Named lists are those of `config/universes.toml`; any file of symbols is one too. Over a period a universe is all that
were members on any of its days: a list of today would leave out who has failed since.
"""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from mytrading.adapters.storage.bar_archive import BarArchive
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.load import RequestError
from mytrading.backtest.data.store import daily_bars
from mytrading.config.symbols import SymbolConfig
from mytrading.core.calendar import Calendar

FILE = "universes.toml"
_NAMES = ("instrument", "symbol")
_TRADING_DAYS = 252


class UniverseChange(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """Members that come and go on a day."""

    since: date
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Universe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dated list of symbols of NSE, or ids EXCHANGE:SYMBOL."""

    source: str
    changes: tuple[UniverseChange, ...]

    def members_on(self, day: date) -> tuple[str, ...]:
        """Return the members on a day, sorted; () before the list begins."""
        members: set[str] = set()
        for change in self.changes:
            if change.since <= day:
                members = (members - set(change.removed)) | set(change.added)
        return tuple(sorted(members))

    def members_between(self, first: date, last: date) -> tuple[str, ...]:
        """Return all that are members on any day from `first` to `last`, sorted."""
        turns = [change.since for change in self.changes if first < change.since <= last]
        return tuple(sorted({name for day in (first, *turns) for name in self.members_on(day)}))


def load_universes(home: Path) -> dict[str, Universe]:
    """Load config/universes.toml; {} if there is no such file. Raises `RequestError`."""
    path = home / "config" / FILE
    if not path.exists():
        return {}
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, Universe])
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"config/{FILE}: {error}; mend the file") from error


def universe_members(
    home: Path, name_or_file: str, symbols: SymbolConfig, first: date | None, last: date | None
) -> tuple[str, ...]:
    """Return the ids of a universe, by name or file, that were members between two days (`last` None: ever since);
    a file has no dates. Raises `RequestError`."""
    known = load_universes(home)
    universe = known.get(name_or_file.upper())
    if universe is not None:
        if first is None:
            raise RequestError(f"--universe {name_or_file}: its members change; give the first day with --from")
        members = universe.members_between(first, last or date.max)
        if not members or first < universe.changes[0].since:
            begins = universe.changes[0].since
            raise RequestError(
                f"--universe {name_or_file}: its members are listed from {begins} on, found --from {first}; begin "
                "later, or give a file of symbols"
            )
        return tuple(f"NSE:{name}" if ":" not in name else name for name in members)
    path = Path(name_or_file)
    if not path.is_file():
        raise RequestError(
            f"--universe {name_or_file}: expected one of {', '.join(sorted(known)) or 'config/' + FILE}, or a file of "
            "symbols, one a line or in a CSV column `symbol`"
        )
    names = _read_symbols(path)
    if not names:
        raise RequestError(f"--universe {path}: no symbols in it; expected one a line, or a CSV column `symbol`")
    return tuple(dict.fromkeys(_resolved(symbols, name) for name in names))


def _resolved(symbols: SymbolConfig, name: str) -> str:
    """A short name of config/symbols.toml, an id, or a share of NSE."""
    return symbols.resolve(name) if ":" in name or name.upper() in symbols.names else f"NSE:{name.upper()}"


def _read_symbols(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise RequestError(f"--universe {path}: expected a text file of symbols, found other bytes") from error
    rows = list(csv.reader(line for line in lines if not line.lstrip().startswith("#")))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((head.index(name) for name in _NAMES if name in head), None)
    if column is None:
        return [row[0].strip() for row in rows]
    return [row[column].strip() for row in rows[1:] if len(row) > column and row[column].strip()]


class InstrumentMeasures(NamedTuple):
    """Figures of an instrument over its last `days` daily bars: shares and rupees a day, the last close in rupees, and
    the volatility of daily closes a year (a share of 1; NaN for fewer than three days)."""

    instrument: str
    days: int
    volume: float
    turnover: float
    price: float
    volatility: float


@dataclass(frozen=True)
class UniverseFilter:
    """Terms of an instrument for staying in a universe, over `days` daily bars; 0 is no term. `top` keeps so
    many of the highest turnover. Volatilities are shares of 1 a year."""

    min_volume: float = 0.0
    min_turnover: float = 0.0
    min_price: float = 0.0
    max_price: float = 0.0
    min_volatility: float = 0.0
    max_volatility: float = 0.0
    top: int = 0
    days: int = 20

    def refusal(self, found: InstrumentMeasures) -> str:
        """Return why an instrument is left out; empty if it stays."""
        checks = (
            ("volume", found.volume, self.min_volume, 0.0),
            ("turnover", found.turnover, self.min_turnover, 0.0),
            ("price", found.price, self.min_price, self.max_price),
            ("volatility", found.volatility, self.min_volatility, self.max_volatility),
        )
        for name, value, least, most in checks:
            if (least or most) and math.isnan(value):
                return f"no {name}: {found.days} days of bars"
            if least and value < least:
                return f"{name} {value:,.4g} is below {least:,.4g}"
            if most and value > most:
                return f"{name} {value:,.4g} is above {most:,.4g}"
        return ""


class FilteredUniverse(NamedTuple):
    """The instruments that stay, by turnover, highest first, and why each other one was left out."""

    kept: tuple[InstrumentMeasures, ...]
    refused: dict[str, str]


def filter_universe(
    store: BarArchive, calendar: Calendar, instruments: Iterable[str], rule: UniverseFilter, before: date
) -> FilteredUniverse:
    """Filter instruments by their stored bars of the days before `before`: what a trader could know that morning."""
    kept: list[InstrumentMeasures] = []
    refused: dict[str, str] = {}
    for name in instruments:
        bars = daily_bars(store, name, calendar)
        found = measure(bars, before, rule.days) if bars is not None else None
        if found is None:
            refused[name] = f"no stored bars before {before}: `mytrading data download {name} --interval 1d`"
        elif reason := rule.refusal(found):
            refused[name] = reason
        else:
            kept.append(found)
    kept.sort(key=lambda one: (-one.turnover, one.instrument))
    if rule.top:
        refused |= {one.instrument: f"not among the first {rule.top} by turnover" for one in kept[rule.top :]}
        kept = kept[: rule.top]
    return FilteredUniverse(tuple(kept), refused)


def measure(bars: Columns, before: date, days: int) -> InstrumentMeasures | None:
    """Measure the last `days` daily bars before a day; None if there are none."""
    past = bars.between_days(None, date.fromordinal(before.toordinal() - 1))
    if not len(past):
        return None
    close, volume = past.close[-days:], past.table[4, -days:]
    steps = np.diff(np.log(close))
    volatility = float(np.std(steps, ddof=1)) * math.sqrt(_TRADING_DAYS) if len(steps) > 1 else math.nan
    turnover = float(np.mean(close * volume))
    return InstrumentMeasures(
        bars.instrument, len(close), float(np.mean(volume)), turnover, float(close[-1]), volatility
    )


def write_symbols(path: Path, instruments: Sequence[str]) -> None:
    """Write a file that `--universe` takes: one id a line."""
    path.write_text("".join(f"{name}\n" for name in instruments), encoding="utf-8")
