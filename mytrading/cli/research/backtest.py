"""`mytrading backtest`: a strategy run over history by the live machines; `mytrading check`: faults that this hides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from mytrading.cli.research.run_options import (
    Parameters,
    RunOptions,
    StrategyName,
    expand_options,
    read_parameters,
    require_choice,
)
from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, exit_on_write_error, fail
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note, print_notes, print_rows, progress_bar
from mytrading.core.time import ist_date
from mytrading.runtime.host.paths import project_home

if TYPE_CHECKING:
    from mytrading.backtest.checks.run_all import CheckResults
    from mytrading.backtest.data.columns import Columns
    from mytrading.backtest.run import RunResult
    from mytrading.backtest.setup.prepare import Prepared, RunRequest
Report = Annotated[Path | None, Option(help="Write report.html, report.json, trades.csv and metrics.json here.")]
Others = Annotated[
    list[str] | None, typer.Argument(metavar="MORE", help="Further strategies, which trade the same capital.")
]
Portfolio = Annotated[
    Path | None, Option("--portfolio", metavar="FILE", help="A file of strategies that trade one capital.")
]
WRITING = "writing the report"
_MUCH = 0.3
"""The share of the gross profit from which costs are worth a word."""
CheckReport = Annotated[Path | None, Option(help="Write report.html and report.json here.")]


@dataclass(frozen=True, kw_only=True)
class BacktestOptions(RunOptions):
    """Options of every run; the strategy may be named by a portfolio's file instead."""

    name: StrategyName = ""


@expand_options
def backtest(
    settings: BacktestOptions,
    others: Others = None,
    portfolio: Portfolio = None,
    slippage: float = Option(0.0, min=0.0, max=0.5, help="Slippage as a fraction of the price, such as 0.0005."),
    latency_ms: float = Option(0.0, "--latency-ms", min=0.0, help="Delay of an order to the exchange."),
    volume_share: float = Option(0.0, "--volume-share", min=0.0, max=1.0, help="Part of a bar's volume; 0: all."),
    limits_through: int = Option(0, "--limits-through", min=0, help="Ticks beyond a limit before it fills."),
    at_close: bool = Option(False, "--at-close", help="Fill at the bar's close, not at the next bar's open."),
    param: Parameters = [],  # noqa: B006
    report: Report = None,
    machines: bool = Option(False, "--machines", help="Run by the live machines, also where the lean engine could."),
    plain: bool = Option(False, "--plain", help="Call every machine at every bar: slow, for comparison."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Run a strategy, or several over one capital, over history by the code that trades live. Exit 1 if one faulted."""
    request = settings.run_request(
        slippage=slippage, latency_ms=latency_ms, volume_share=volume_share, limits_through=limits_through,
        at_close=at_close, parameters=read_parameters(param), machines=machines, plain=plain,
    )  # fmt: skip
    named = [name for name in (settings.name, *(others or ())) if name]
    if bool(named) == (portfolio is not None):
        found = "both" if named else "neither"
        fail(USAGE, f"expected the name of a strategy, several names, or --portfolio FILE; found {found}")
    if portfolio is not None or others:
        _portfolio(portfolio or named, request, report, profile, as_json)
        return
    prepared = prepare_run(request, profile)
    result = _run(prepared, as_json)
    if report is not None:
        from mytrading.backtest.results.output import write_files
        from mytrading.backtest.results.report import write_report

        with exit_on_write_error(report), progress_bar(WRITING, None, as_json):
            write_files(result, report)
            write_report(result, prepared.notes, report / "report.html")
    _show(result, prepared, report, as_json)
    if result.fault is not None:
        raise typer.Exit(ERROR)


def _run(prepared: Prepared, quiet: bool) -> RunResult:
    """Run a prepared backtest with progress on stderr."""
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.run import run

    try:
        with progress_bar("bars", sum(len(columns) for columns in prepared.spec.data), quiet) as update:
            return run(prepared.spec, lambda done: update(completed=done))
    except DataError as error:
        fail(USAGE, str(error))


def prepare_run(request: RunRequest, profile: str, several: Path | Sequence[str] = ()) -> Prepared:
    """Build the backtest that these options request, of `several` strategies if a file or names of them are given; a
    usage error ends the command if it cannot be run."""
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.data.load import RequestError
    from mytrading.backtest.portfolio.runs import prepare_portfolio, read_portfolio
    from mytrading.backtest.setup.prepare import OPENALGO, prepare
    from mytrading.config.symbols import UnknownSymbol
    from mytrading.strategies.errors import StrategyError

    def fetch(*what: Any) -> Columns:
        return fetch_columns(profile, *what)

    reading = progress_bar("reading the data", None) if OPENALGO not in str(request.data) else nullcontext()
    with exit_on_errors(), reading:
        try:
            if several:
                members = read_portfolio(several) if isinstance(several, Path) else several
                return prepare_portfolio(project_home(), members, request, fetch)
            return prepare(project_home(), request, fetch)
        except (RequestError, DataError, StrategyError, UnknownSymbol) as error:
            fail(USAGE, str(error))


def _portfolio(
    several: Path | Sequence[str], request: RunRequest, report: Path | None, profile: str, as_json: bool
) -> None:
    """Run several strategies over one capital and show the whole and each."""
    from mytrading.backtest.portfolio.runs import portfolio_summary, split_result
    from mytrading.backtest.results.output import stand_in_notes

    prepared = prepare_run(request, profile, several)
    found = split_result(_run(prepared, as_json))
    if report is not None:
        from mytrading.backtest.portfolio.report import write_portfolio

        with exit_on_write_error(report), progress_bar(WRITING, None, as_json):
            write_portfolio(found, prepared.notes, report)
    body, notes = portfolio_summary(found), [*prepared.notes, *stand_in_notes(found.whole)]
    if as_json:
        print_json({**body, "notes": notes, "report": str(report / "report.html") if report else None})
    else:
        _show_portfolio(body)
        _show_denials(found.whole)
        print_notes(notes)
        if report is not None:
            print_note(f"written to {report}: report.html, and a folder for each strategy")
    if body["faults"]:
        raise typer.Exit(ERROR)


def _show_portfolio(body: dict[str, Any]) -> None:
    from mytrading.backtest.results.output import format_metric

    for name, fault in body["faults"].items():
        print(f"mytrading: {name} stopped: {fault}")
    _show_summary({**body, "stops": []})
    rows = [
        {
            "strategy": one["strategy"],
            "trades": one["trades"],
            "net": one["pnl"]["net"],
            "max drawdown": format_metric("max_drawdown_bars", one["metrics"]["max_drawdown_bars"]),
            "Sharpe": format_metric("sharpe", one["metrics"]["sharpe"]),
            "share of risk": "" if one["risk_share"] is None else f"{one['risk_share']:.0%}",
        }
        for one in body["strategies"]
    ]
    print()
    print_rows(rows, tuple(rows[0]), False, "")
    names = list(body["correlations"])
    for number, name in enumerate(names):
        for other in names[number + 1 :]:
            value = body["correlations"][name][other]
            print(f"correlation of daily profits, {name} and {other}: {'–' if value is None else format(value, '.2f')}")
    for one in body["strategies"]:
        for stop in one["stops"]:
            print(f"stop of {one['strategy']}, {stop['position']}: {stop['text']}")


def fetch_columns(profile: str, instrument: str, timeframe: str, first: date | None, last: date | None) -> Columns:
    """Fetch bars from the server of the profile's stack; `first` defaults to 30 days before `last`, `last` to today."""
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.data.load import columns_from_bars
    from mytrading.cli.shell.target import fetch_bars, running_or_configured_stack
    from mytrading.runtime.host.clock import MarketClock

    config = running_or_configured_stack(profile).config
    now = MarketClock.load(config.clock_path).now()
    end = last or ist_date(now)
    found = fetch_bars(config, instrument, timeframe, first or end - timedelta(days=30), end, now, False)
    # Days that are missing beside others are named by the holes of the run.
    if failed := [chunk for chunk in found.failed if not chunk.bars]:
        raise DataError(f"openalgo: {instrument} {failed[0].first}: {failed[0].problem}")
    if found.outside:
        print_note(f"openalgo: {instrument}: {found.outside} bars outside trading hours are left out")
    return columns_from_bars(found.bars, instrument, f"openalgo {instrument}")


def _show(result: RunResult, prepared: Prepared, report: Path | None, as_json: bool) -> None:
    from mytrading.backtest.results.output import stand_in_notes, summary

    body = summary(result)
    notes = [*prepared.notes, *stand_in_notes(result)]
    if as_json:
        print_json({**body, "notes": notes, "report": str(report / "report.html") if report is not None else None})
        return
    if result.fault is not None:
        print_note(f"mytrading: the strategy stopped at {result.fault.where}: {result.fault.error}")
    if result.fault is None or result.ledger.fills:
        _show_summary(body)
        _show_denials(result)
    print_notes(notes)
    if report is not None:
        print_note(f"written to {report}: report.html, report.json, trades.csv, metrics.json")


def _show_summary(body: dict[str, Any]) -> None:
    from mytrading.backtest.results import output

    print(*_run_lines(body), "", sep="\n")
    print_rows(output.metric_rows(body["metrics"]), output.METRIC_COLUMNS, False, "no metrics")
    if body["options"] is not None:
        print(output.option_prices_text(body["options"]))
    for instrument, units in body["open"].items():
        print(f"still open: {units:+d} {instrument}, valued at the last close")


def _run_lines(body: dict[str, Any]) -> Iterator[str]:
    money = body["pnl"]
    yield f"{body['strategy']} on {', '.join(body['instruments'])} {body['timeframe']}, {body['from']} to {body['to']}"
    yield f"bars: {body['bars']:,} in {body['seconds']:.2f} s ({body['bars_per_second']:,} a second)"
    yield f"engine: {body['engine']}" + (f": {body['engine_note']}" if body["engine_note"] else "")
    yield f"trades: {body['trades']:,} (hash {body['trade_hash']})"
    share = body["costs"] / money["gross"] if money["gross"] > 0 else 0.0
    eaten = f" ({share:.0%} of it went to costs)" if share > _MUCH else ""
    yield f"profit: ₹{money['net']:,.2f} after costs of ₹{body['costs']:,.2f}; gross ₹{money['gross']:,.2f}{eaten}"
    for stop in body["stops"]:
        yield f"stop of {stop['position']}: {stop['text']}"


def _show_denials(result: RunResult) -> None:
    """Print the counts of denials and faults, each kind with its first one."""
    first = {event.code: event for event in reversed(result.ledger.events)}
    rows: list[dict[str, Any]] = []
    for code, count in sorted(result.ledger.counts.items()):
        event = first.get(code)
        rows.append(
            {"event": code, "count": count, "first_ns": event and event.at_ns, "text": event.text if event else ""}
        )
    if rows:
        print()
        print_rows(rows, ("event", "count", "first_ns", "text"), False, "")
    elif not result.ledger.trades:
        print("no trade: the strategy wanted none, and nothing was denied")


# check
@expand_options
def check(
    settings: RunOptions,
    param: Parameters = [],  # noqa: B006
    only: list[str] = Option([], "--only", metavar="CHECK", help="Run only this check; repeatable."),  # noqa: B008
    budget_us: float = Option(
        500.0, "--budget-us", min=1.0, envvar="CHECK_BUDGET_US", help="Microseconds a call of on_data may take (p99)."
    ),
    report: CheckReport = None, as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Look for what a backtest hides: look-ahead, memory of the past, chance, restarts, slowness, idle parameters."""
    from mytrading.backtest.checks.run_all import CHECKS

    for one in only:
        require_choice("--only", one, CHECKS)
    prepared = prepare_run(settings.run_request(parameters=read_parameters(param)), profile)
    found = _examine(prepared, settings.name, tuple(only) or CHECKS, budget_us, as_json)
    if report is not None:
        from mytrading.backtest.checks.report import write_report

        with exit_on_write_error(report):
            write_report(found, prepared.notes, report / "report.html")
    _show_checks(found, prepared.notes, report, as_json)
    if not found.passes:
        raise typer.Exit(ERROR)


def _examine(prepared: Prepared, name: str, only: tuple[str, ...], budget_us: float, quiet: bool) -> CheckResults:
    from mytrading.backtest.checks.determinism import OtherProcess
    from mytrading.backtest.checks.run_all import CheckRequest, run_checks
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.setup.prepare import strategy_file

    with exit_on_errors():
        file = strategy_file(project_home(), name)
        try:
            with OtherProcess() as other, progress_bar("checks", len(only) + 1, quiet) as update:
                steps = itertools.count()  # the first step are the runs that all checks compare
                request = CheckRequest(file, only, budget_us)
                return run_checks(prepared.spec, request, other, lambda name: update(completed=next(steps), note=name))
        except DataError as error:
            fail(USAGE, str(error))


def _show_checks(found: CheckResults, notes: Sequence[str], report: Path | None, as_json: bool) -> None:
    from mytrading.backtest.checks.run_all import json_body

    if as_json:
        written = str(report / "report.html") if report else None
        print_json({**json_body(found), "notes": list(notes), "report": written})
        return
    print_rows(
        [
            {"check": outcome.check, "verdict": outcome.verdict, "details": outcome.details}
            for outcome in found.outcomes
        ],
        ("check", "verdict", "details"),
        False,
        "no checks",
    )
    findings = [
        {"check": outcome.check, "severity": "fails" if finding.must else "hint", **vars(finding)}
        for outcome in found.outcomes
        for finding in outcome.findings
    ]
    if findings:
        print()
        print_rows(findings, ("check", "severity", "where", "what", "cure"), False, "")
    print_notes(notes)
    if report is not None:
        print_note(f"written to {report}: report.html, report.json")
