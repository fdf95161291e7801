"""`mytrading backtest`: a strategy walked through history by the live machines.

What a run prints last is the same for an operator and, with `--json`, for a program.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.research.bundles import spread
from mytrading.cli.research.run_options import Parameters, RunOptions, read_parameters
from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, failures, print_json, say
from mytrading.cli.shell.terminal import screen_of

if TYPE_CHECKING:
    from mytrading.backtest.data.columns import Columns
    from mytrading.backtest.run import RunResult
    from mytrading.backtest.setup.prepare import Prepared, RunRequest


@spread
def backtest(
    asked: RunOptions,
    slippage: float = typer.Option(
        0.0, min=0.0, max=0.5, help="Instead of ticks: a fraction of the price, say 0.0005."
    ),
    latency_ms: float = typer.Option(0.0, "--latency-ms", min=0.0, help="The way of an order to the exchange."),
    volume_share: float = typer.Option(0.0, "--volume-share", min=0.0, max=1.0, help="Of a bar's volume; 0: all."),
    limits_through: int = typer.Option(0, "--limits-through", min=0, help="Ticks beyond a limit before it fills."),
    at_close: bool = typer.Option(False, "--at-close", help="Fill at the bar's close, not at the next bar's open."),
    param: Parameters = [],  # noqa: B006
    report: Path | None = typer.Option(None, help="Write report.html, trades.csv and metrics.json here."),  # noqa: B008
    plain: bool = typer.Option(False, "--plain", help="Call every machine at every bar: slow, for comparison."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Walk a strategy through history with the live machines, and say what became of it. Exit 1 if it faulted."""
    run = asked.asked(
        slippage=slippage, latency_ms=latency_ms, volume_share=volume_share, limits_through=limits_through,
        at_close=at_close, parameters=read_parameters(param), plain=plain,
    )  # fmt: skip
    prepared = prepare_run(run, profile)
    result = _run(prepared, as_json)
    if report is not None:
        _write(result, prepared, report)
    _show(result, prepared, report, as_json)
    if result.fault is not None:
        fail(ERROR, "" if as_json else f"{result.fault.where}: {result.fault.error}")


def prepare_run(asked: RunRequest, profile: str) -> Prepared:
    """The run that is asked for; ends the command where it cannot be had."""
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.setup.prepare import AskedWrongly, prepare
    from mytrading.config.symbols import UnknownSymbol
    from mytrading.runtime.host.paths import project_home
    from mytrading.strategies.errors import StrategyError

    with failures():
        try:
            return prepare(project_home(), asked, lambda *what: fetched(profile, *what))
        except (AskedWrongly, DataError, StrategyError, UnknownSymbol) as error:
            fail(USAGE, str(error))


def fetched(profile: str, instrument: str, timeframe: str, first: date | None, last: date | None) -> Columns:
    """Bars from the server of a stack."""
    import time
    from datetime import timedelta

    from mytrading.adapters.openalgo.rest.history import HistoryGate, fetch_range
    from mytrading.adapters.openalgo.rest.retry import Retries
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.data.load import from_bars
    from mytrading.cli.market.history import fetching
    from mytrading.cli.shell.target import client_of, stack_of
    from mytrading.core.time import ist_date
    from mytrading.runtime.host.clock import MarketClock, machine_now

    config = stack_of(profile).config
    now = MarketClock.load(config.clock_path).now()
    end = last or ist_date(now)
    gate = HistoryGate(machine_now, lambda ns: time.sleep(ns / 1e9))
    start = first or end - timedelta(days=30)
    retries = Retries(config.venue.max_retries, config.venue.retry_delay)
    with fetching(instrument, not sys.stderr.isatty()) as progress:
        found = fetch_range(client_of(config), instrument, timeframe, start, end, now, gate, progress, retries)
    if found.failed:
        raise DataError(f"openalgo: {instrument} {found.failed[0].first}: {found.failed[0].problem}")
    return from_bars(found.bars, instrument, f"openalgo {instrument}")


def _run(prepared: Prepared, as_json: bool) -> RunResult:
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.run import run

    try:
        with _progress(sum(len(columns) for columns in prepared.spec.data), as_json) as progress:
            return run(prepared.spec, progress)
    except DataError as error:
        fail(USAGE, str(error))


@contextmanager
def _progress(bars: int, as_json: bool) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, if there is one to look at."""
    if as_json or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=screen_of(sys.stderr)), transient=True) as shown:
        task = shown.add_task("bars", total=bars)
        yield lambda done: shown.update(task, completed=done)


def _write(result: RunResult, prepared: Prepared, folder: Path) -> None:
    from mytrading.backtest.results.output import write_files
    from mytrading.backtest.results.report import write_report

    try:
        write_files(result, folder)
        write_report(result, prepared.notes, folder / "report.html")
    except OSError as error:
        fail(ERROR, f"--report {folder}: cannot be written: {error.strerror}")


def _show(result: RunResult, prepared: Prepared, report: Path | None, as_json: bool) -> None:
    from mytrading.backtest.results.output import summary

    body = summary(result)
    notes = [*prepared.notes, *(f"{name} stands in for its future, at the index's price" for name in result.stand_ins)]
    if as_json:
        print_json({**body, "notes": notes, "report": str(report / "report.html") if report is not None else None})
        return
    for line in (*_lines(body), *_denials(result)):
        print(line)
    for note in notes:
        say(f"note: {note}")
    if report is not None:
        say(f"written to {report}: report.html, trades.csv, metrics.json")


def _lines(body: dict[str, Any]) -> Iterator[str]:
    from mytrading.backtest.results import output

    found, money = body["metrics"], body["pnl"]
    yield f"{body['strategy']} on {', '.join(body['instruments'])} {body['timeframe']}, {body['from']} to {body['to']}"
    yield f"bars        {body['bars']:,} in {body['seconds']:.2f} s ({body['bars_per_second']:,} a second)"
    yield f"trades      {body['trades']:,} (hash {body['trade_hash']})"
    yield f"profit      ₹{money['net']:,.2f} after costs of ₹{body['costs']:,.2f}; gross ₹{money['gross']:,.2f}"
    for name, value in found.items():
        if value is not None:
            yield f"{name.replace('_', ' '):<30}{output.shown(name, value):<16}{output.meaning(name)}"
    if body["options"] is not None:
        from mytrading.backtest.results.output import options_line

        yield options_line(body["options"])
    for instrument, units in body["open"].items():
        yield f"still open: {units:+d} {instrument}, valued at the last close"


def _denials(result: RunResult) -> Iterator[str]:
    """How often something was denied or went wrong, and the first time of each kind in words."""
    from mytrading.backtest.results.output import ist

    first = {event.code: event for event in reversed(result.ledger.events)}
    for code, count in sorted(result.ledger.counts.items()):
        said = f", first at {ist(first[code].at_ns)[:16]}: {first[code].text}" if code in first else ""
        yield f"{code:<30}{count:,}{said}"
    if not result.ledger.trades and not result.ledger.counts:
        yield "no round trip: the strategy wanted none, and nothing was denied"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(backtest)
