"""The report of a check: one HTML file with what holds, what does not, where, and charts of luck and speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plotly import graph_objects as go

from mytrading.backtest.checks.findings import CheckOutcome
from mytrading.backtest.checks.monte_carlo import RandomEntries, ShuffledOrders
from mytrading.backtest.checks.run_all import Examined
from mytrading.reports import charts
from mytrading.reports.charts import BLUE, embed
from mytrading.reports.page import Cell, Page, PageSection, PageTable, render, write_page


def write_report(found: Examined, notes: Sequence[str], path: Path) -> None:
    """Write the file; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(render(page(found, notes)), path)


def page(found: Examined, notes: Sequence[str]) -> Page:
    """The whole report."""
    run = found.spec.run
    sections = [PageSection("Checks", [_checks(found.outcomes)]), PageSection("Findings", [_findings(found)])]
    if found.whole.took_ns:
        sections.append(PageSection("Microseconds of a call", [embed(speed_figure(found.whole.took_ns))]))
    if found.entries is not None:
        blocks = [_entries_note(found.entries), embed(entries_figure(found.entries))]
        sections.append(PageSection("Entries against random ones", blocks))
    if found.orders is not None:
        blocks = [_orders_note(found.orders), embed(orders_figure(found.orders))]
        sections.append(PageSection("Drawdown in other orders", blocks))
    holds = "everything that must hold does" if found.holds else "something that must hold does not"
    return Page(
        title=f"Check of {run.name}",
        heading=run.name,
        subtitle=f"{', '.join(run.symbols)}, {run.timeframes[0]} bars",
        verdict=Cell(holds, "good" if found.holds else "bad"),
        notes=notes,
        sections=sections,
    )


def word_of(outcome: CheckOutcome) -> str:
    """What became of a check."""
    if outcome.skipped:
        return "not judged"
    if not outcome.holds:
        return "fails"
    return "advice" if outcome.findings else "holds"


def _checks(outcomes: Sequence[CheckOutcome]) -> PageTable:
    rows = [[one.check, one.asks, word_of(one), one.skipped or figures_of(one)] for one in outcomes]
    return PageTable(("Check", "Question", "Answer", "Figures"), rows, words=(1, 2, 3))


def figures_of(outcome: CheckOutcome) -> str:
    """A check's figures on one line."""
    return "; ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in outcome.figures.items())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return "–" if value is None else str(value)


def _findings(found: Examined) -> PageTable | str:
    if not found.findings:
        return "None."
    rows = [[one.check, one.what, one.where, one.cure] for one in found.findings]
    return PageTable(("Check", "What", "Where", "What to do"), rows, words=(1, 2, 3))


def speed_figure(took_ns: Sequence[int]) -> go.Figure:
    """How long calls took."""
    micros = np.minimum(np.array(took_ns) / 1000, np.percentile(took_ns, 99.5) / 1000)
    counts, edges = np.histogram(micros, bins=60)
    figure = go.Figure(layout={"height": 300, "xaxis": {"title": "µs"}, "yaxis": {"type": "log"}})
    figure.add_bar(x=edges[:-1].round(3).tolist(), y=counts.tolist(), name="calls", marker={"color": BLUE})
    return figure


def entries_figure(entries: RandomEntries) -> go.Figure:
    """Mean returns of random entries, and the strategy's own."""
    return charts.histogram(entries.random * 100, "% a trade, before costs", "drawn", own=entries.own * 100)


def orders_figure(orders: ShuffledOrders) -> go.Figure:
    """Drawdowns of shuffled trades, and the one that was."""
    return charts.histogram(orders.shuffled, "₹ from the highest to the lowest after it", "drawn", own=orders.own)


def _entries_note(entries: RandomEntries) -> str:
    return (
        f"{entries.trips} trades made {entries.own:.4%} on average; {entries.p:.1%} of {len(entries.random)} draws "
        "with as many random entries, held as long, did at least as well."
    )


def _orders_note(orders: ShuffledOrders) -> str:
    middle, most = np.percentile(orders.shuffled, (50, 95))
    return (
        f"As they came, {orders.trips} trades drew down ₹{orders.own:,.0f}; in other orders ₹{middle:,.0f} in the "
        f"middle and over ₹{most:,.0f} in one of twenty."
    )
