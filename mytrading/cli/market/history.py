"""`mytrading history`: past bars of an instrument from the server, with what is missing in them, and the operator's
word that holes in the feed's own are accepted.

The bars go to a file or the screen, never into the store of a feed, which is its own.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from mytrading.cli.research.run_options import parse_day
from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile, Reason, RequestId, Yes
from mytrading.cli.shell.output import print_json, print_note, print_result
from mytrading.core.time import format_ist, ist_date
from mytrading.messages.market import Bar
from mytrading.messages.ops import HistoryAcceptCommand

if TYPE_CHECKING:
    from mytrading.core.bars.gaps import Completeness

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
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Fetch bars that have ended, chunk by chunk, and say which are missing. Exit 1 if a request failed."""
    if out is not None and out.suffix not in (".csv", ".parquet"):
        fail(USAGE, f"--out: expected a file ending in .csv or .parquet, found {out}")
    with exit_on_errors():
        from mytrading.adapters.openalgo.rest.history import interval_ns
        from mytrading.cli.shell.target import fetch_bars, load_calendar, resolve_symbol, running_or_configured_stack
        from mytrading.core.bars.gaps import measure_completeness
        from mytrading.runtime.host.clock import MarketClock

        config = running_or_configured_stack(profile).config
        now, instrument = MarketClock.load(config.clock_path).now(), resolve_symbol(symbol, config.home)
        end = parse_day("--to", last) or ist_date(now)
        start = parse_day("--from", first) or end - timedelta(days=30)
        if start > end:
            fail(USAGE, f"--from {start} lies after --to {end}: expected the earlier day first")
        try:
            span = interval_ns(interval)
        except ValueError as error:
            fail(USAGE, f"--interval: {error}")
        found = fetch_bars(config, instrument, interval, start, end, now, as_json)
        calendar, exchange = load_calendar(config.home), instrument.partition(":")[0]
        known = exchange in calendar.exchanges
        whole = measure_completeness(found.bars, calendar, exchange, span, start, end, now) if known else None
    if out is not None:
        _write(out, found.bars)
    _report(instrument, interval, start, end, found, whole, out, as_json)
    if found.failed:
        text = "\n".join(f"{chunk.first} to {chunk.last}: {chunk.problem}" for chunk in found.failed)
        fail(ERROR, "" if as_json else text)


@app.command()
def accept(
    symbol: str = typer.Argument(..., help="EXCHANGE:SYMBOL, or a short name of config/symbols.toml."),
    reason: Reason = "",
    yes: Yes = False,
    request: RequestId = "",
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Accept holes in past bars for today: entries of strategies that look back over them are allowed. Says so, and
    asks. Audited."""
    from mytrading.cli.shell.target import resolve_symbol
    from mytrading.cli.trading.settling import agree

    with find_stack(profile) as found:
        name = resolve_symbol(symbol, found.config.home)
        agree(
            [f"entries of strategies that look back over holes in the bars of {name} are allowed today"], yes, as_json
        )
        taken = found.ask(HistoryAcceptCommand(request_id=request, instrument=name, reason=reason))
    text = f"entries over holes in the history of {taken.instrument} are allowed on {taken.day}"
    print_result(msgspec.to_builtins(taken), as_json, text)


def _report(
    instrument: str, interval: str, start: date, end: date, found: Any, whole: Completeness | None, out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    gaps = whole.gaps if whole is not None else ()
    if as_json:
        body: dict[str, Any] = {
            "instrument": instrument, "interval": interval, "from": start, "to": end, "bars": len(found.bars),
            "expected": whole.expected if whole else None, "complete": round(whole.found_share, 4) if whole else None,
            "outside": found.outside, "odd_days": [day.isoformat() for day in found.odd],
            "gaps": [gap._asdict() for gap in gaps], "failed": [chunk._asdict() for chunk in found.failed],
            "file": str(out) if out else None,
        }  # fmt: skip
        if out is None:
            body["rows"] = [[getattr(bar, name) for name in _COLUMNS] for bar in found.bars]
        print_json(body)
        return
    share = f", {whole.found_share:.2%} of {whole.expected} expected" if whole is not None else ""
    print(f"{len(found.bars)} bars of {interval} of {instrument}, {start} to {end}{share}")
    if found.outside:
        print(f"{found.outside} bars outside trading hours are left out")
    for day in found.odd[:_SHOWN]:
        print(f"a bar on {day}, on which the calendar has the exchange closed, is kept")
    for gap in gaps[:_SHOWN]:
        print(f"missing {gap.bars:>5} from {format_ist(gap.start_ns)} to {format_ist(gap.end_ns)} IST")
    if len(gaps) > _SHOWN:
        print(f"… and {len(gaps) - _SHOWN} more gaps; --json lists them")
    if out is not None:
        print_note(f"written to {out}")


def _write(out: Path, bars: Sequence[Bar]) -> None:
    rows = [[getattr(bar, name) for name in _COLUMNS] for bar in bars]
    if out.suffix == ".csv":
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(rows)
        return
    from mytrading.operations.journal_verify import write_parquet

    write_parquet(rows, {name: "DOUBLE" if name in _COLUMNS[1:5] else "BIGINT" for name in _COLUMNS}, out)
