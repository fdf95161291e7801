"""The report of a check: one HTML file with what holds, what does not, where, and charts of luck and speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mytrading.backtest.checks.run_all import CheckResults
from mytrading.reports import charts
from mytrading.reports.document import (
    VERSION,
    Block,
    ChartPanel,
    ChartSeries,
    Report,
    ReportChart,
    ReportNote,
    ReportSection,
    ReportTable,
    ReportValue,
    TableColumn,
)
from mytrading.reports.page import write_report_files


def write_report(found: CheckResults, notes: Sequence[str], path: Path) -> None:
    """Write the HTML page of the checks to `path` and its data beside it; the folder is created if missing."""
    write_report_files(build_report(found, notes), path)


def build_report(found: CheckResults, notes: Sequence[str]) -> Report:
    """Build the report of all check results."""
    run = found.spec.run
    answers = [[one.check, one.asks, one.verdict, one.details] for one in found.outcomes]
    findings = [[one.check, one.what, one.where, one.cure] for one in found.findings]
    finding_table = _text_table(("Check", "What", "Where", "What to do"), findings)
    sections = [
        ReportSection("Checks", [_text_table(("Check", "Question", "Answer", "Figures"), answers)]),
        ReportSection("Findings", [finding_table if findings else ReportNote("None.")]),
    ]
    if found.whole.took_ns:
        sections.append(ReportSection("Microseconds of a call", [_call_chart(found.whole.took_ns)]))
    if (entries := found.entries) is not None:
        note = (
            f"{entries.trades} trades made {entries.own:.4%} on average; {entries.p_value:.1%} of {len(entries.drawn)} "
            "draws with as many random entries, held as long, did at least as well."
        )
        chart = charts.histogram_chart(entries.drawn * 100, "% a trade, before costs", "drawn", own=entries.own * 100)
        sections.append(ReportSection("Entries against random ones", [ReportNote(note), chart]))
    if (orders := found.orders) is not None:
        middle, most = np.percentile(orders.drawn, (50, 95))
        note = (
            f"As they came, {orders.trades} trades drew down ₹{orders.own:,.0f}; in other orders ₹{middle:,.0f} in the "
            f"middle and over ₹{most:,.0f} in one of twenty."
        )
        title = "₹ from the highest to the lowest after it"
        chart = charts.histogram_chart(orders.drawn, title, "drawn", own=orders.own)
        sections.append(ReportSection("Drawdown in other orders", [ReportNote(note), chart]))
    holds = "everything that must hold does" if found.passes else "something that must hold does not"
    return Report(
        version=VERSION,
        kind="check",
        title=f"Check of {run.name}",
        heading=run.name,
        subtitle=f"{', '.join(run.symbols)}, {run.timeframes[0]} bars",
        verdict=ReportValue(holds, tone="good" if found.passes else "bad"),
        notes=notes,
        sections=sections,
    )


def _text_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Block:
    return ReportTable(tuple(map(TableColumn, names)), rows)


def _call_chart(took_ns: Sequence[int]) -> ReportChart:
    micros = np.array(took_ns) / 1000
    counts, edges = np.histogram(np.minimum(micros, np.percentile(micros, 99.5)), bins=60)
    series = ChartSeries(name="calls", draw="bars", x=edges[:-1].round(3).tolist(), y=counts.tolist(), colour="subject")
    panels = [ChartPanel("", "integer", log=True)]
    return ReportChart(x="number", x_title="µs", panels=panels, series=[series], height=300)
