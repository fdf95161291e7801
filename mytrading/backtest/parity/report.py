"""The report of a comparison: each instrument's price with the fills of both sides, and every difference.

Written by `mytrading parity --report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plotly import graph_objects as go

from mytrading.backtest.parity.compare import ParityVerdict
from mytrading.backtest.parity.facts import OrderFill
from mytrading.backtest.results.output import iso_ist
from mytrading.reports import charts
from mytrading.reports.charts import FillMark, figure_html
from mytrading.reports.page import Cell, Page, PageSection, PageTable, render_page, write_page

FILE = "parity.html"
_ROWS = 500
_SIDES = (("stack", "", 11), ("backtest", "-open", 17))


def write_report(verdict: ParityVerdict, folder: Path) -> Path:
    """Write the HTML report into `folder`, which is created if missing; return the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    write_page(render_page(build_page(verdict)), path)
    return path


def build_page(verdict: ParityVerdict) -> Page:
    """Build the HTML page of the comparison."""
    case = verdict.case
    traded = sorted({fill.instrument for side in (verdict.stack, verdict.backtest) for fill in side.fills.values()})
    counts = [[kind, *(f"{number:,}" for number in numbers)] for kind, *numbers in verdict.counts]
    sections = [PageSection("", [PageTable(("", "stack", "backtest", "equal"), counts)])]
    if traded:
        sections.append(PageSection("Fills on price", [figure_html(price_figure(verdict, name)) for name in traded]))
    sections.append(PageSection("Differences", _differences(verdict)))
    cards = [
        (name, Cell(f"{count:,}", "bad" if name == "unexplained" and count else ""))
        for name, count in verdict.causes.items()
    ]
    return Page(
        title=f"{case.config.profile} {case.record.day}",
        heading=f"{case.config.profile}, {case.record.day}",
        subtitle=f"{', '.join(verdict.strategies)}; {case.source}: {case.quote_count:,} quotes, {case.bars:,} bars",
        cards=[*cards, ("fills cost more by", Cell(f"₹{verdict.cost:,.0f}"))],
        notes=case.notes,
        sections=sections,
    )


def price_figure(verdict: ParityVerdict, instrument: str) -> go.Figure:
    """Chart an instrument's price with buys (up) and sells (down) of both sides; the backtest's are hollow."""
    quotes = verdict.case.facts.quotes.for_instrument(instrument)
    quotes = quotes[:: max(1, len(quotes) // charts.POINTS)]
    at = [iso_ist(quote.market_ns)[:19] for quote in quotes]
    figure = charts.price_chart(at, [quote.ltp for quote in quotes], "last price", instrument)
    for (name, shape, size), side in zip(_SIDES, (verdict.stack, verdict.backtest), strict=True):
        fills = [fill for fill in side.fills.values() if fill.instrument == instrument]
        bought, sold = _marks([f for f in fills if f.units > 0]), _marks([f for f in fills if f.units < 0])
        charts.add_fills(figure, name, bought, sold, shape, size)
    return figure


def _marks(fills: Sequence[OrderFill]) -> list[FillMark]:
    return [FillMark(iso_ist(f.at_ns)[:19], f.price, f"{f.strategy}: {f.units:+d} at {f.price:.2f}") for f in fills]


def _differences(verdict: ParityVerdict) -> list[PageTable | str]:
    if not verdict.differences:
        return ["None: both sides did the same."]
    names = ("time", "what", "cause", "strategy", "instrument", "stack", "backtest", "why")
    rows = [
        [
            iso_ist(one.at_ns)[11:19], one.kind, one.cause.value, one.strategy, one.instrument, one.stack, one.backtest,
            one.why,
        ]
        for one in verdict.differences[:_ROWS]
    ]  # fmt: skip
    left = len(verdict.differences) - _ROWS
    table = PageTable(names, rows, words=range(1, len(names)))
    return [table, f"and {left:,} more; --json has them all"] if left > 0 else [table]
