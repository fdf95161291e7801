"""The report of a check: one HTML file with what holds, what does not, where, and charts of luck and speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from plotly import graph_objects as go

from mytrading.backtest.checks.run_all import CheckResults
from mytrading.reports import charts
from mytrading.reports.charts import BLUE, figure_html
from mytrading.reports.page import Cell, Page, PageSection, PageTable, render_page, write_page


def write_report(found: CheckResults, notes: Sequence[str], path: Path) -> None:
    """Write the HTML report of the checks to `path`; its folder is created if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(render_page(build_page(found, notes)), path)


def build_page(found: CheckResults, notes: Sequence[str]) -> Page:
    """Build the HTML page of all check results."""
    run = found.spec.run
    answers = [[one.check, one.asks, one.verdict, one.details] for one in found.outcomes]
    findings = [[one.check, one.what, one.where, one.cure] for one in found.findings]
    finding_table = PageTable(("Check", "What", "Where", "What to do"), findings, words=(1, 2, 3))
    sections = [
        PageSection("Checks", [PageTable(("Check", "Question", "Answer", "Figures"), answers, words=(1, 2, 3))]),
        PageSection("Findings", [finding_table if findings else "None."]),
    ]
    if found.whole.took_ns:
        micros = np.array(found.whole.took_ns) / 1000
        counts, edges = np.histogram(np.minimum(micros, np.percentile(micros, 99.5)), bins=60)
        figure = go.Figure(layout={"height": 300, "xaxis": {"title": "µs"}, "yaxis": {"type": "log"}})
        figure.add_bar(x=edges[:-1].round(3).tolist(), y=counts.tolist(), name="calls", marker={"color": BLUE})
        sections.append(PageSection("Microseconds of a call", [figure_html(figure)]))
    if (entries := found.entries) is not None:
        note = (
            f"{entries.trades} trades made {entries.own:.4%} on average; {entries.p_value:.1%} of {len(entries.drawn)} "
            "draws with as many random entries, held as long, did at least as well."
        )
        figure = charts.histogram(entries.drawn * 100, "% a trade, before costs", "drawn", own=entries.own * 100)
        sections.append(PageSection("Entries against random ones", [note, figure_html(figure)]))
    if (orders := found.orders) is not None:
        middle, most = np.percentile(orders.drawn, (50, 95))
        note = (
            f"As they came, {orders.trades} trades drew down ₹{orders.own:,.0f}; in other orders ₹{middle:,.0f} in the "
            f"middle and over ₹{most:,.0f} in one of twenty."
        )
        figure = charts.histogram(orders.drawn, "₹ from the highest to the lowest after it", "drawn", own=orders.own)
        sections.append(PageSection("Drawdown in other orders", [note, figure_html(figure)]))
    holds = "everything that must hold does" if found.passes else "something that must hold does not"
    return Page(
        title=f"Check of {run.name}",
        heading=run.name,
        subtitle=f"{', '.join(run.symbols)}, {run.timeframes[0]} bars",
        verdict=Cell(holds, "good" if found.passes else "bad"),
        notes=notes,
        sections=sections,
    )
