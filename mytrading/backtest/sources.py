"""Where the bars of a run come from: files, bhavcopies, or the history of a stack's server.

Used by `backtest/setup` for every command that walks through history. The one rule: what is read is what was named; a
source that does not have it is refused with what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from mytrading.backtest.asked import AskedWrongly
from mytrading.backtest.columns import Columns
from mytrading.backtest.daily_files import are_daily_files, load_days
from mytrading.backtest.data import load
from mytrading.config.symbols import SymbolConfig
from mytrading.core.calendar import day_of

OPENALGO = "openalgo"
Fetch = Callable[[str, str, date | None, date | None], Columns]
"""Bars of an instrument and timeframe from the server."""


class Wanted(NamedTuple):
    """`sources` as they were given, each perhaps INSTRUMENT=SOURCE; `names` are ids of what the others are of."""

    sources: tuple[str, ...]
    names: tuple[str, ...]
    timeframe: str
    first: date | None = None
    last: date | None = None


def data_of(wanted: Wanted, symbols: SymbolConfig, fetch: Fetch | None) -> list[Columns]:
    """The bars of each source, for each instrument that it is asked for; `AskedWrongly` and `DataError` say why not."""
    found = []
    for text in wanted.sources:
        before, equals, after = text.partition("=")
        name, source = (symbols.resolve(before), after) if equals else ("", text)
        names = [name] if name else list(wanted.names) or [_guess(source)]
        found += [_one(wanted, source, one, fetch) for one in names]
    if not found:
        raise AskedWrongly("--data: expected a file, a folder of bhavcopies or `openalgo`, found nothing")
    return found


def notes_on(wanted: Wanted, data: Sequence[Columns]) -> Iterator[str]:
    """What a person should know of these sources."""
    sources = [text.partition("=")[2] or text for text in wanted.sources]
    if OPENALGO in sources and wanted.first is None:
        yield f"the server was asked for the 30 days before {day_of(int(data[0].start_ns[-1]))} (--from asks for more)"
    if any(source != OPENALGO and are_daily_files(Path(source)) for source in sources):
        yield "prices of bhavcopies are those of the day: splits and bonuses are not taken out of them"


def _guess(source: str) -> str:
    """What a file is of that nobody named: a share called like the file."""
    stem = Path(source).name.partition(".")[0].upper()
    return f"NSE:{stem}"


def _one(wanted: Wanted, source: str, name: str, fetch: Fetch | None) -> Columns:
    if source != OPENALGO:
        read = load_days if are_daily_files(Path(source)) else load
        return read(Path(source), name, wanted.first, wanted.last)
    if fetch is None:
        raise AskedWrongly("--data openalgo: expected a server; start the stack, or name a file")
    return fetch(name, wanted.timeframe, wanted.first, wanted.last)
