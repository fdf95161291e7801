"""The report of a comparison: each instrument's price with the fills of both sides, and every difference.

Used by `mytrading parity --report`. Looks and opens like the report of a backtest. The one rule: a chart shows at most
some thousand points of the price, and every fill.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from plotly import graph_objects as go

from mytrading.backtest.output import ist
from mytrading.backtest.parity.sides import FillSeen
from mytrading.backtest.parity.verdict import Verdict, counted
from mytrading.backtest.report import chart, page_of, section, write_page
from mytrading.messages.market import Quote

FILE = "parity.html"
_POINTS = 4_000
_ROWS = 500
_SIDES = (("stack", "", 11), ("backtest", "-open", 17))


def write_picture(verdict: Verdict, folder: Path) -> Path:
    """Write the report into a folder, which is made if need be; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    write_page(page(verdict), path)
    return path


def page(verdict: Verdict) -> str:
    """The whole file."""
    traded = sorted({fill.instrument for side in (verdict.stack, verdict.backtest) for fill in side.fills.values()})
    parts = [_head(verdict)]
    if traded:
        parts.append(section("Fills on price", "".join(chart(price_figure(verdict, name)) for name in traded)))
    parts.append(section("Differences", _table(verdict)))
    return page_of(f"{verdict.case.config.profile} {verdict.case.record.day}", parts)


def price_figure(verdict: Verdict, instrument: str) -> go.Figure:
    """The price of an instrument with what both sides bought (up) and sold (down): the backtest's marks are hollow."""
    figure = go.Figure()
    quotes = _thinned(verdict.case.facts.quotes.of(instrument))
    figure.add_scatter(
        x=[ist(quote.market_ns)[:19] for quote in quotes], y=[quote.ltp for quote in quotes], name="last price",
        line={"color": "#8a97a6", "width": 1},
    )  # fmt: skip
    for (name, symbol, size), side in zip(_SIDES, (verdict.stack, verdict.backtest), strict=True):
        fills = [fill for fill in side.fills.values() if fill.instrument == instrument]
        for what, colour, shape, some in (
            ("bought", "#1a7f47", "triangle-up", [fill for fill in fills if fill.units > 0]),
            ("sold", "#b3261e", "triangle-down", [fill for fill in fills if fill.units < 0]),
        ):
            figure.add_scatter(
                x=[ist(fill.at_ns)[:19] for fill in some], y=[fill.price for fill in some], name=f"{name} {what}",
                mode="markers", text=[_said(fill) for fill in some],
                marker={"color": colour, "symbol": f"{shape}{symbol}", "size": size},
            )  # fmt: skip
    figure.update_layout(height=440, title=instrument)
    return figure


def _said(fill: FillSeen) -> str:
    return f"{html.escape(fill.strategy)}: {fill.units:+d} at {fill.price:.2f}"


def _thinned(quotes: Sequence[Quote]) -> Sequence[Quote]:
    return quotes[:: max(1, len(quotes) // _POINTS)]


def _head(verdict: Verdict) -> str:
    case = verdict.case
    cards = "".join(
        f"<div class='card'>{name}<b class='{'bad' if name == 'unexplained' and count else ''}'>{count:,}</b></div>"
        for name, count in verdict.causes.items()
    )
    cards += f"<div class='card'>fills cost more by<b>₹{verdict.cost:,.0f}</b></div>"
    rows = "".join(
        f"<tr><td>{kind}</td>{''.join(f'<td>{number:,}</td>' for number in numbers)}</tr>"
        for kind, *numbers in counted(verdict)
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in case.notes)
    return (
        f"<h1>{html.escape(case.config.profile)}, {case.record.day}</h1><p class='note'>"
        f"{html.escape(', '.join(verdict.strategies))}; {html.escape(case.source)}: {case.quotes:,} quotes, "
        f"{case.bars:,} bars</p><div class='cards'>{cards}</div><ul class='note'>{notes}</ul>"
        f"<table><tr><th></th><th>stack</th><th>backtest</th><th>equal</th></tr>{rows}</table>"
    )


def _table(verdict: Verdict) -> str:
    if not verdict.differences:
        return "<p>None: both sides did the same.</p>"
    names = ("time", "what", "cause", "strategy", "instrument", "stack", "backtest", "why")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = []
    for one in verdict.differences[:_ROWS]:
        cells = (ist(one.at_ns)[11:19], one.kind, one.cause.value, one.strategy, one.instrument, one.stack,
                 one.backtest, one.why)  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    left = len(verdict.differences) - _ROWS
    more = f"<p class='note'>and {left:,} more; --json has them all</p>" if left > 0 else ""
    return f"<div class='scroll'><table><tr>{head}</tr>{''.join(rows)}</table></div>{more}"
