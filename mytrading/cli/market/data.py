"""`mytrading data`: the bar store of research: download and import bars, list them and what is missing.

The store is below the project's `data` folder (`MYTRADING_DATA_DIR`); the feed of a stack has its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from mytrading.cli.research.run_options import parse_day, require_choice
from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note, print_rows, progress_bar
from mytrading.core.time import MINUTE, format_ist, ist_date
from mytrading.runtime.host.paths import project_home

if TYPE_CHECKING:
    from mytrading.backtest.data.download import DownloadedSeries, DownloadOutcome, Wanted
    from mytrading.messages.run_config import RunConfig

app = typer.Typer(help="The bar store of research: download, import, list.", no_args_is_help=True)
_SHOWN = 20
Symbols = Annotated[
    list[str] | None, typer.Argument(metavar="SYMBOL", help="EXCHANGE:SYMBOL, or a short name of config/symbols.toml.")
]
UniverseName = Annotated[
    str, Option("--universe", "-u", metavar="NAME|FILE", help="Of config/universes.toml, such as NIFTY50, or a file.")
]
Interval = Annotated[str, Option("--interval", "-i", help="1m, 3m, 5m, 10m, 15m, 30m, 1h or 1d.")]
FirstDay = Annotated[str, Option("--from", metavar="DAY", help="First day, such as 2024-01-01.")]
LastDay = Annotated[str, Option("--to", metavar="DAY", help="Last day, included; default: today.")]


@app.callback()
def _group() -> None:
    """The bar store of research: download, import, list."""


@app.command()
def download(
    symbols: Symbols = None,
    universe: UniverseName = "",
    interval: Interval = "1m",
    first: FirstDay = "",
    last: LastDay = "",
    options: str = Option("", "--options", metavar="UNDERLYING", help="Options by rule, such as those of NIFTY."),
    strikes: int = Option(5, min=0, help="Strikes beyond the lowest and highest price, of --options."),
    expiries: str = Option("weekly", help="Expiries of --options: weekly, monthly or all."),
    again: bool = Option(False, "--again", help="Fetch covered days again; new bars replace stored ones."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Fetch bars from the server into the store. Repeated, it goes on where it stopped. Exit 1 if a request failed."""
    from mytrading.backtest.data.download import EXPIRIES

    _check_interval(interval)
    require_choice("--expiries", expiries, EXPIRIES)
    if not first:
        fail(USAGE, "--from: expected the first day, say --from 2024-01-01")
    with exit_on_errors():
        from mytrading.cli.shell.target import running_or_configured_stack
        from mytrading.runtime.host.clock import MarketClock

        config = running_or_configured_stack(profile).config
        now = MarketClock.load(config.clock_path).now()
        begin, end = parse_day("--from", first) or date.min, parse_day("--to", last) or ist_date(now)
        if begin > end:
            fail(USAGE, f"--from {begin} lies after --to {end}: expected the earlier day first")
        with _refusals():
            wanted = _wanted(symbols or [], universe, begin, end)
            if options:
                wanted += _option_contracts(config, options, begin, end, strikes, expiries, now)
            if not wanted:
                fail(USAGE, "expected symbols, --universe or --options, found none of them")
            outcome = _download(config, wanted, interval, now, again, as_json)
    _report_download(outcome, interval, begin, end, as_json)


def _download(
    config: RunConfig, wanted: Sequence[Wanted], interval: str, now: int, again: bool, quiet: bool
) -> DownloadOutcome:
    from mytrading.backtest.data import download
    from mytrading.backtest.data.store import open_store
    from mytrading.cli.shell.target import history_source, load_calendar

    store = open_store(project_home())
    plan = download.plan_download(store, wanted, interval, load_calendar(project_home()), again=again)
    history = history_source(config, *(one.instrument for one in wanted))
    with progress_bar("requests", sum(len(one.requests) for one in plan), quiet) as update:
        return download.download(
            store, plan, interval, history, now, lambda done, name: update(completed=done, note=name), again=again
        )


def _instruments(symbols: Sequence[str], universe: str, first: date | None, last: date | None) -> list[str]:
    from mytrading.backtest.data.universe import universe_members
    from mytrading.cli.shell.target import load_symbols

    home = project_home()
    known = load_symbols(home)
    found = [known.resolve(symbol) for symbol in symbols]
    found += universe_members(home, universe, known, first, last) if universe else ()
    return list(dict.fromkeys(found))


def _wanted(symbols: Sequence[str], universe: str, first: date, last: date) -> list[Wanted]:
    from mytrading.backtest.data.download import Wanted

    return [Wanted(name, first, last) for name in _instruments(symbols, universe, first, last)]


def _option_contracts(
    config: RunConfig, underlying: str, first: date, last: date, strikes: int, expiries: str, now: int
) -> list[Wanted]:
    """The contracts that the rule names, by the underlying's daily bars, which are fetched first."""
    from mytrading.backtest.data.download import Wanted, download, option_contracts, plan_download
    from mytrading.backtest.data.store import load_stored, open_store
    from mytrading.cli.shell.target import history_source, load_calendar, load_contract_facts, load_symbols

    home = project_home()
    facts, calendar = load_contract_facts(home), load_calendar(home)
    spot = load_symbols(home).resolve(underlying)
    store = open_store(home)
    plan = plan_download(store, [Wanted(spot, first, last)], "1d", calendar)
    found = download(store, plan, "1d", history_source(config, spot), now)
    if failed := found.series[0].failed:
        fail(ERROR, f"{spot}: {failed[0].problem}")
    (bars,) = load_stored(store, [spot], "1d", first, last)
    name = spot.partition(":")[2]
    return option_contracts(name, facts, calendar, bars, first, last, strikes=strikes, expiries=expiries)


def _report_download(outcome: DownloadOutcome, interval: str, first: date, last: date, as_json: bool) -> None:
    from mytrading.backtest.data.store import open_store

    failed = [one for one in outcome.series if one.failed]
    if as_json:
        print_json({
            "interval": interval, "from": first, "to": last, "folder": str(open_store(project_home()).folder),
            "requests": sum(one.requests for one in outcome.series), "bars": sum(one.bars for one in outcome.series),
            "added": sum(one.added for one in outcome.series), "stopped": outcome.stopped,
            "instruments": [_series_body(one) for one in outcome.series],
        })  # fmt: skip
    else:
        requests, added = sum(one.requests for one in outcome.series), sum(one.added for one in outcome.series)
        print(f"{added:,} new bars of {interval} of {len(outcome.series)} instruments, {requests} requests")
        for one in failed[:_SHOWN]:
            chunk = one.failed[0]
            count = len(one.failed)
            failures = "a request failed," if count == 1 else f"{count} requests failed, the first"
            print(f"{one.instrument}: {failures} {chunk.first}: {chunk.problem}")
        for one in outcome.series:
            _report_stamps(one)
        if len(failed) > _SHOWN:
            print(f"… and {len(failed) - _SHOWN} more instruments with failed requests; --json lists them")
    if outcome.stopped:
        fail(ERROR, f"{outcome.stopped}; what came is stored: repeat the command to go on")
    if failed:
        raise typer.Exit(ERROR)


def _report_stamps(one: DownloadedSeries) -> None:
    if one.outside:
        print(f"{one.instrument}: {one.outside} bars outside trading hours are left out")
    for day in one.odd[:_SHOWN]:
        print(f"{one.instrument}: a bar on {day}, on which the calendar has the exchange closed, is kept")


def _series_body(one: DownloadedSeries) -> dict[str, Any]:
    failed = [chunk._asdict() for chunk in one.failed]
    return {
        "instrument": one.instrument, "requests": one.requests, "bars": one.bars, "added": one.added, "failed": failed,
        "outside": one.outside, "odd_days": [day.isoformat() for day in one.odd],
    }  # fmt: skip


@app.command("list")
def list_(
    symbols: Symbols = None, universe: UniverseName = "", interval: Interval = "", as_json: AsJson = False
) -> None:
    """List the stored instruments and intervals with first day, last day, bars and holes."""
    rows = [
        {
            "instrument": one.instrument,
            "interval": one.interval,
            "first": one.first.isoformat(),
            "last": one.last.isoformat(),
            "bars": one.bars,
            "gaps": None if one.holes is None else len(one.holes),
            "missing_days": None if one.missing is None else len(one.missing),
            "shift": one.shift,
        }
        for one in _stored(symbols or [], universe, interval, 15, as_json)
    ]
    columns = ("instrument", "interval", "first", "last", "bars", "gaps", "missing_days")
    print_rows(rows, columns, as_json, "no bars are stored; `mytrading data download` fetches some")
    for row in rows:
        if row["shift"]:
            print_note(f"{row['shift']}; move its file aside and download it again")


@app.command()
def gaps(
    symbols: Symbols = None,
    universe: UniverseName = "",
    interval: Interval = "",
    least: int = Option(15, "--least", min=1, metavar="MINUTES", help="Shortest stretch without bars that counts."),
    as_json: AsJson = False,
) -> None:
    """List stretches of sessions and trading days without bars, where the calendar tells which there should be."""
    rows: list[dict[str, Any]] = []
    for one in _stored(symbols or [], universe, interval, least, as_json):
        name = {"instrument": one.instrument, "interval": one.interval}
        rows += [{**name, "day": day.isoformat(), "from": None, "to": None} for day in one.missing or ()]
        for start, end in one.holes or ():
            begins, ends = format_ist(start), format_ist(end)
            rows.append({**name, "day": begins[:10], "from": begins[11:16], "to": ends[11:16]})
    rows.sort(key=lambda row: (row["instrument"], row["interval"], row["day"], row["from"] or ""))
    print_rows(rows, ("instrument", "interval", "day", "from", "to"), as_json, "no gaps")


def _stored(symbols: Sequence[str], universe: str, interval: str, least: int, quiet: bool) -> list[Any]:
    from mytrading.backtest.data.store import list_stored, open_store
    from mytrading.cli.shell.target import load_calendar

    if interval:
        _check_interval(interval)
    with exit_on_errors(), _refusals():
        home = project_home()
        names = _instruments(symbols, universe, _earliest(universe), None)
        store, found = open_store(home), []
        with progress_bar("files", len(store.entries()), quiet) as update:
            for one in list_stored(store, load_calendar(home), names, interval, least * MINUTE):
                found.append(one)
                update(advance=1, note=f"{one.instrument} {one.interval}")
        return found


def _earliest(universe: str) -> date | None:
    """The first day for which a named universe is listed."""
    from mytrading.backtest.data.universe import load_universes

    known = load_universes(project_home()).get(universe.upper())
    return known.changes[0].since if known is not None else None


@app.command("import")
def import_(
    files: list[Path] = typer.Argument(..., help="CSV, Parquet or DuckDB files."),  # noqa: B008
    instrument: str = Option("", "--instrument", help="What the bars are of; default: the file's column of names."),
    interval: str = Option("", "--interval", "-i", help="Of the bars; default: by their spacing."),
    exchange: str = Option("NSE", "--exchange", help="Exchange of names without one."),
    replace: bool = Option(False, "--replace", help="New bars replace stored ones that start together."),
    as_json: AsJson = False,
) -> None:
    """Add the bars of files to the store. Stored bars stay where both have one, unless --replace."""
    from mytrading.backtest.data.store import import_bars, open_store
    from mytrading.cli.shell.target import load_calendar

    if interval:
        _check_interval(interval)
    rows: list[dict[str, Any]] = []
    with exit_on_errors(), _refusals():
        home = project_home()
        calendar = load_calendar(home)
        (name,) = _instruments([instrument], "", None, None) if instrument else ("",)
        with progress_bar("files", len(files), as_json) as update:
            for number, file in enumerate(files):
                update(completed=number, note=file.name)
                found = import_bars(open_store(home), calendar, file, name, interval, exchange, replace=replace)
                rows += [{"file": str(file), **one._asdict()} for one in found]
    print_rows(rows, ("file", "instrument", "interval", "bars", "added", "outside"), as_json, "no bars in the files")


@app.command("filter")
def filter_(
    symbols: Symbols = None,
    universe: UniverseName = "",
    before: str = Option("", "--before", metavar="DAY", help="By bars of the days before this one; default: today."),
    days: int = Option(20, min=1, help="Daily bars that are measured."),
    min_volume: float = Option(0.0, min=0.0, help="Shares a day."),
    min_turnover: float = Option(0.0, min=0.0, help="Rupees a day."),
    min_price: float = Option(0.0, min=0.0, help="Last close in rupees."),
    max_price: float = Option(0.0, min=0.0, help="Last close in rupees."),
    min_volatility: float = Option(0.0, min=0.0, help="Of daily closes, a year; 0.2 is 20 %."),
    max_volatility: float = Option(0.0, min=0.0, help="Of daily closes, a year; 0.2 is 20 %."),
    top: int = Option(0, min=0, help="Keep so many of the highest turnover; 0: all."),
    out: Path | None = Option(None, "--out", "-o", help="Write the kept ones to a file for --universe."),  # noqa: B008
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Filter a universe by volume, price and volatility of stored bars, as known on the morning of a day."""
    from mytrading.backtest.data.store import open_store
    from mytrading.backtest.data.universe import UniverseFilter, filter_universe, write_symbols
    from mytrading.cli.shell.target import load_calendar, market_now

    rule = UniverseFilter(
        min_volume, min_turnover, min_price, max_price, min_volatility, max_volatility, top, days
    )  # fmt: skip
    with exit_on_errors(), _refusals():
        home, day = project_home(), parse_day("--before", before) or ist_date(market_now(profile))
        names = _instruments(symbols or [], universe, day - timedelta(days=1), day - timedelta(days=1))
        if not names:
            fail(USAGE, "expected symbols or --universe, found neither")
        with progress_bar(f"measuring {len(names)} instruments", None, as_json):
            found = filter_universe(open_store(home), load_calendar(home), names, rule, day)
    if out is not None:
        try:
            write_symbols(out, [one.instrument for one in found.kept])
        except OSError as error:
            fail(ERROR, f"--out {out}: cannot be written: {error.strerror}")
    kept = [
        {name: None if value != value else value for name, value in one._asdict().items()}  # of one day no volatility
        for one in found.kept
    ]
    if as_json:
        print_json({"before": day, "kept": kept, "refused": found.refused})
        return
    columns = ("instrument", "days", "price", "volume", "turnover", "volatility")
    print_rows(kept, columns, False, "no instrument is left")
    for name, reason in found.refused.items():
        print_note(f"left out: {name}: {reason}")
    if out is not None:
        print_note(f"written to {out}")


def _check_interval(interval: str) -> None:
    from mytrading.backtest.data.columns import SPANS

    require_choice("--interval", interval, tuple(SPANS))


@contextmanager
def _refusals() -> Iterator[None]:
    """End the command on what is wrong with symbols, universes, data and the store."""
    from mytrading.adapters.storage.bar_archive import BarArchiveError

    try:
        yield
    except BarArchiveError as error:
        fail(ERROR, str(error))
    except ValueError as error:  # RequestError, DataError, UnknownSymbol
        fail(USAGE, str(error))
