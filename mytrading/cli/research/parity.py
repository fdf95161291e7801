"""`mytrading parity`: a day of a stack against a backtest of the very quotes it saw; each difference with its cause.

The state folder is only read, whether the stack runs or not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer import Argument, Option

from mytrading.cli.research.run_options import parse_day
from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_write_error, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile, journal_days, strategy_names
from mytrading.cli.shell.output import print_json, print_note, print_notes, print_rows, progress_bar
from mytrading.core.text.spelling import name_key
from mytrading.core.time import format_ist
from mytrading.messages.run_config import RunConfig

if TYPE_CHECKING:
    from mytrading.backtest.data.columns import Columns
    from mytrading.backtest.parity.compare import ParityCase, ParityVerdict

_COUNTS = ("", "stack", "backtest", "equal")
_SHOWN = 40


def parity(
    names: list[str] = Argument(  # noqa: B008
        None, metavar="[NAME]...", help="Only these strategies.", autocompletion=strategy_names
    ),
    day: str = Option("", "--date", metavar="DAY", help="Default: the newest.", autocompletion=journal_days),
    data: list[str] = Option(  # noqa: B008
        [], "--data", "-d", help="Bars instead of recorded ones: a file, `openalgo`, or INSTRUMENT=FILE; repeatable."
    ),
    within_ms: float = Option(
        1000.0, "--within-ms", min=0.0, help="Fills at one price that are no further apart in time are equal."
    ),
    report: Path | None = Option(None, help="Write parity.html and report.json here."),  # noqa: B008
    every: bool = Option(False, "--all", help="Show equal rows too."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Compare a day of a stack with a backtest of the quotes it saw: signals, orders, fills. Exit 1 if a difference
    is not explained by latency, the fill model, data, a denial or an operator."""
    wanted = parse_day("--date", day)
    with find_stack(profile) as found:
        from mytrading.backtest.parity.compare import compare, summary

        config = found.config
        case = _prepared(config, wanted.isoformat() if wanted else "", data, within_ms, profile)
        known = _known(config, names or [])
        with progress_bar("quotes", len(case.moments), as_json) as update:
            verdict = compare(case, known, lambda done: update(completed=done))
    written = None
    if report is not None:
        from mytrading.backtest.parity.report import write_report

        with exit_on_write_error(report):
            written = write_report(verdict, report)
    if as_json:
        print_json({**summary(verdict), "report": str(written) if written is not None else None})
    else:
        _show(verdict, every)
        if written is not None:
            print_note(f"written to {written}")
    if verdict.unexplained:
        fail(ERROR, "" if as_json else f"{verdict.unexplained} unexplained difference(s); `mytrading why ID` shows how "
             "the stack came to an order, `journal show --trace ID` all rows")  # fmt: skip


def _known(config: RunConfig, names: list[str]) -> tuple[str, ...]:
    """Strategies by the names they run under; ends the command for one that does not run."""
    from mytrading.strategies.errors import hint

    known = {name_key(run.name): run.name for run in config.strategies}
    for name in names:
        if name_key(name) not in known:
            fail(USAGE, f"no strategy of {config.profile} is called {name}{hint(name, list(known.values()))}")
    return tuple(known[name_key(name)] for name in names)


def _prepared(config: RunConfig, day: str, data: list[str], within_ms: float, profile: str) -> ParityCase:
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.parity.compare import NothingThere, prepare
    from mytrading.daemons.engine.strategy_files import find_rules, find_strategies

    given = _given(config, data, profile) if data else None
    try:
        classes = find_strategies(Path(config.home), config.strategies)
        return prepare(config, day, classes, find_rules(config), given, round(within_ms * 1e6))
    except (NothingThere, DataError) as error:
        fail(USAGE, str(error))


def _given(config: RunConfig, data: list[str], profile: str) -> Callable[[str], Columns]:
    sources: dict[str, str] = {}
    watched = [symbol for run in config.strategies for symbol in run.symbols]
    for text in data:
        name, _, source = text.rpartition("=")
        by_symbol = (one for one in watched if name.upper() in (one, one.partition(":")[2]))
        sources[next(by_symbol, name) if name else ""] = source

    def load(instrument: str) -> Columns:
        from mytrading.backtest.data.load import load_bars as read
        from mytrading.backtest.setup.prepare import OPENALGO
        from mytrading.cli.research.backtest import fetch_columns

        source = sources.get(instrument, sources.get("", ""))
        if not source:
            fail(USAGE, f"--data: expected bars of {instrument}, which a strategy watched; add {instrument}=FILE")
        return (
            fetch_columns(profile, instrument, "1m", None, None)
            if source == OPENALGO
            else read(Path(source), instrument)
        )

    return load


def _show(verdict: ParityVerdict, every: bool) -> None:
    case = verdict.case
    print(f"{case.config.profile}, {case.record.day}: {', '.join(verdict.strategies)}")
    print(f"{case.source}: {case.quote_count:,} quotes, {case.bars:,} bars")
    counts = [dict(zip(_COUNTS, row, strict=True)) for row in verdict.counts]
    print_rows(counts, _COUNTS, False, "")
    shown = verdict.differences if every else verdict.differences[:_SHOWN]
    rows: list[tuple[Any, ...]] = [(one, one.cause.value, one.stack, one.backtest, one.why) for one in shown]
    rows += [(one, "equal", one.what, one.what, "") for one in (verdict.agreed if every else ())]
    rows.sort(key=lambda row: row[0].at_ns)
    table = [
        {"time": format_ist(one.at_ns, "%H:%M:%S"), "what": one.kind, "cause": cause, "strategy": one.strategy,
         "instrument": one.instrument, "stack": stack, "backtest": backtest, "why": why}
        for one, cause, stack, backtest, why in rows
    ]  # fmt: skip
    if table:
        print_rows(table, tuple(table[0]), False, "")
    left = len(verdict.differences) - len(shown)
    if left > 0:
        print(f"and {left:,} more; --all or --json shows them")
    differences = ", ".join(f"{count} {cause}" for cause, count in verdict.causes.items() if count)
    print(f"differences: {differences or 'none'}")
    if verdict.cost:
        print(f"fills cost ₹{verdict.cost:,.2f} more than in the backtest")
    print_notes(case.notes)
