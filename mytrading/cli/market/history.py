"""`mytrading history fetch`: past bars of an instrument from the server, with what is missing in them.

The bars go to the file or screen that was asked for, never into the store of a feed, which is its own.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, failures, print_json, say
from mytrading.cli.shell.terminal import screen_of
from mytrading.core.time import format_ist

if TYPE_CHECKING:
    from mytrading.core.bars.gaps import Completeness
    from mytrading.messages.market import Bar

app = typer.Typer(help="Past bars of an instrument.", no_args_is_help=True)
_COLUMNS = ("start_ns", "open", "high", "low", "close", "volume")
_SHOWN = 20


@app.callback()
def _group() -> None:
    """Past bars of an instrument."""


@app.command()
def fetch(
    symbol: str = typer.Argument(..., help="EXCHANGE:SYMBOL, or a short name of config/symbols.toml."),
    first: str = typer.Option("", "--from", metavar="DAY", help="2026-11-01; default: 30 days before the end."),
    last: str = typer.Option("", "--to", metavar="DAY", help="Default: today, by the market's clock."),
    interval: str = typer.Option("1m", "--interval", "-i", help="1m, 3m, 5m, 10m, 15m, 30m, 1h or 1d."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Write the bars to a .csv or .parquet file."),  # noqa: B008
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Fetch bars that have ended, chunk by chunk, and say which are missing. Exit 1 if a request failed."""
    if out is not None and out.suffix not in (".csv", ".parquet"):
        fail(USAGE, f"--out: expected a file ending in .csv or .parquet, found {out}")
    with failures():
        from mytrading.adapters.openalgo.rest.history import HistoryGate, fetch_range, span_ns
        from mytrading.adapters.openalgo.rest.retry import Retries
        from mytrading.cli.shell.target import client_of, stack_of
        from mytrading.core.time import ist_date
        from mytrading.runtime.host.clock import MarketClock, machine_now

        config = stack_of(profile).config
        client = client_of(config)
    now = MarketClock.load(config.clock_path).now()
    instrument = resolved(symbol, config.home)
    end = _day("--to", last) or ist_date(now)
    start = _day("--from", first) or end - timedelta(days=30)
    if start > end:
        fail(USAGE, f"--from {start} lies after --to {end}: expected the earlier day first")
    try:
        span = span_ns(interval)
    except ValueError as error:
        fail(USAGE, f"--interval: {error}")
    retries = Retries(config.venue.max_retries, config.venue.retry_delay)
    gate = HistoryGate(machine_now, lambda ns: time.sleep(ns / 1e9))
    with fetching(instrument, as_json) as progress:
        found = fetch_range(client, instrument, interval, start, end, now, gate, progress, retries)
    whole = _completeness(config.calendar_path, found.bars, instrument, span, start, end, now)
    if out is not None:
        _write(out, found.bars)
    _report(instrument, interval, start, end, found, whole, out, as_json)
    if found.failed:
        text = "\n".join(f"{chunk.first} to {chunk.last}: {chunk.problem}" for chunk in found.failed)
        fail(ERROR, "" if as_json else text)


def resolved(symbol: str, home: str) -> str:
    """The instrument of this name, by the names of the project's symbols; ends the command if there is none."""
    import tomllib

    from mytrading.config.symbols import SymbolConfig

    path = Path(home) / "config" / "symbols.toml"
    names = tomllib.loads(path.read_text(encoding="utf-8")).get("names", {}) if path.exists() else {}
    try:
        return SymbolConfig(names={**SymbolConfig().names, **names}).resolve(symbol)
    except ValueError as error:
        fail(USAGE, str(error))


def _day(option: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        fail(USAGE, f"{option}: expected a day like {datetime.now().date()}, found {text!r}")


@contextmanager
def fetching(instrument: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, if there is one to look at: it is told how many requests are done, of how many."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=screen_of(sys.stderr)), transient=True) as shown:
        task = shown.add_task(instrument)
        yield lambda done, count: shown.update(task, completed=done, total=count)


def _completeness(
    calendar_path: Path, bars: Sequence[Bar], instrument: str, span: int, start: date, end: date, now: int
) -> Completeness | None:
    import tomllib

    from mytrading.core.bars.gaps import completeness
    from mytrading.core.calendar import Calendar

    calendar = Calendar.from_dict(tomllib.loads(calendar_path.read_text(encoding="utf-8")))
    exchange = instrument.partition(":")[0]
    if exchange not in calendar.exchanges:
        return None
    return completeness(bars, calendar, exchange, span, start, end, now)


def _report(
    instrument: str, interval: str, start: date, end: date, found: Any, whole: Completeness | None, out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    gaps = whole.gaps if whole is not None else ()
    if as_json:
        body: dict[str, Any] = {
            "instrument": instrument, "interval": interval, "from": start, "to": end, "bars": len(found.bars),
            "expected": whole.expected if whole else None, "complete": round(whole.share, 4) if whole else None,
            "gaps": [gap._asdict() for gap in gaps], "failed": [chunk._asdict() for chunk in found.failed],
            "file": str(out) if out else None,
        }  # fmt: skip
        if out is None:
            body["rows"] = [[getattr(bar, name) for name in _COLUMNS] for bar in found.bars]
        print_json(body)
        return
    share = f", {whole.share:.2%} of {whole.expected} expected" if whole is not None else ""
    print(f"{len(found.bars)} bars of {interval} of {instrument}, {start} to {end}{share}")
    for gap in gaps[:_SHOWN]:
        print(f"missing {gap.bars:>5} from {format_ist(gap.start_ns)} to {format_ist(gap.end_ns)} IST")
    if len(gaps) > _SHOWN:
        print(f"… and {len(gaps) - _SHOWN} more gaps; --json lists them")
    if out is not None:
        say(f"written to {out}")


def _write(out: Path, bars: Sequence[Bar]) -> None:
    rows = [[getattr(bar, name) for name in _COLUMNS] for bar in bars]
    if out.suffix == ".csv":
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(rows)
        return
    import tempfile

    import duckdb

    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(dict(zip(_COLUMNS, row, strict=True))) + "\n")
        lines.flush()
        kinds = {name: "DOUBLE" if name in _COLUMNS[1:5] else "BIGINT" for name in _COLUMNS}
        columns = "{" + ", ".join(f"{name}: '{kind}'" for name, kind in kinds.items()) + "}"
        target = str(out).replace("'", "''")
        duckdb.connect().execute(
            f"COPY (SELECT * FROM read_json(?, format='newline_delimited', columns={columns})) "
            f"TO '{target}' (FORMAT parquet, COMPRESSION zstd)",
            [lines.name],
        )
