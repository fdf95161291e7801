"""The report of a comparison: each instrument's price with the fills of both sides, and every difference.

Written by `mytrading parity --report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mytrading.backtest.parity.compare import ParityVerdict
from mytrading.backtest.parity.facts import OrderFill
from mytrading.reports import charts
from mytrading.reports.charts import FillMark, chart_times
from mytrading.reports.document import (
    VERSION,
    Block,
    Cell,
    ChartPanel,
    Report,
    ReportCard,
    ReportChart,
    ReportNote,
    ReportSection,
    ReportTable,
    ReportValue,
    TableColumn,
)
from mytrading.reports.page import write_report_files

FILE = "parity.html"
DATA = "report.json"
_ROWS = 500
_SIDES = (("stack", False, 9), ("backtest", True, 15))
_MS = 1_000_000


def write_report(verdict: ParityVerdict, folder: Path) -> Path:
    """Write the HTML page and its data into `folder`, which is created if missing; return the page's path."""
    return write_report_files(build_report(verdict), folder / FILE, DATA)


def build_report(verdict: ParityVerdict) -> Report:
    """Build the report of the comparison."""
    case = verdict.case
    traded = sorted({fill.instrument for side in (verdict.stack, verdict.backtest) for fill in side.fills.values()})
    counts: list[list[Cell]] = [list(row) for row in verdict.counts]
    heads = (TableColumn("What"), *(TableColumn(name, "integer") for name in ("stack", "backtest", "equal")))
    sections = [ReportSection("", [ReportTable(heads, counts)])]
    if traded:
        sections.append(ReportSection("Fills on price", [price_chart(verdict, name) for name in traded]))
    sections.append(ReportSection("Differences", _differences(verdict)))
    cards = [
        ReportCard(name, ReportValue(count, "integer", None, "bad" if name == "unexplained" and count else ""))
        for name, count in verdict.causes.items()
    ]
    return Report(
        version=VERSION,
        kind="parity",
        title=f"{case.config.profile} {case.record.day}",
        heading=f"{case.config.profile}, {case.record.day}",
        subtitle=f"{', '.join(verdict.strategies)}; {case.source}: {case.quote_count:,} quotes, {case.bars:,} bars",
        cards=[*cards, ReportCard("fills cost more by", ReportValue(verdict.cost, "rupees", 0))],
        notes=case.notes,
        sections=sections,
    )


def price_chart(verdict: ParityVerdict, instrument: str) -> ReportChart:
    """Chart an instrument's price with buys (up) and sells (down) of both sides; the backtest's are hollow."""
    quotes = verdict.case.facts.quotes.for_instrument(instrument)
    quotes = quotes[:: max(1, len(quotes) // charts.POINTS)]
    at = chart_times([quote.market_ns for quote in quotes])
    series = [charts.line_series("last price", at, [quote.ltp for quote in quotes], "muted")]
    for (name, hollow, size), side in zip(_SIDES, (verdict.stack, verdict.backtest), strict=True):
        fills = [fill for fill in side.fills.values() if fill.instrument == instrument]
        bought, sold = _marks([f for f in fills if f.units > 0]), _marks([f for f in fills if f.units < 0])
        series += charts.fill_series(name, bought, sold, hollow=hollow, size=size)
    return ReportChart(title=instrument, panels=[ChartPanel("price", "price")], series=series, height=440)


def _marks(fills: Sequence[OrderFill]) -> list[FillMark]:
    return [FillMark(f.at_ns, f.price, f"{f.strategy}: {f.units:+d} at {f.price:.2f}") for f in fills]


def _differences(verdict: ParityVerdict) -> list[Block]:
    if not verdict.differences:
        return [ReportNote("None: both sides did the same.")]
    names = ("what", "cause", "strategy", "instrument", "stack", "backtest", "why")
    rows = [
        [
            one.at_ns // _MS, one.kind, one.cause.value, one.strategy, one.instrument, one.stack, one.backtest,
            one.why,
        ]
        for one in verdict.differences[:_ROWS]
    ]  # fmt: skip
    left = len(verdict.differences) - _ROWS
    table = ReportTable((TableColumn("time", "time"), *map(TableColumn, names)), rows)
    return [table, ReportNote(f"and {left:,} more; --json has them all")] if left > 0 else [table]
