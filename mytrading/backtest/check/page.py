"""The report of a check: one HTML file with what holds, what does not, where, and the charts of luck and speed.

Used by `mytrading check --report`. The one rule: it shows what the checks said and works nothing out.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plotly import graph_objects as go

from mytrading.backtest.check.chance import Entries, Orders
from mytrading.backtest.check.examine import Examined
from mytrading.backtest.check.findings import Outcome
from mytrading.backtest.report import chart, page_of, section, table, write_page

_OWN = "#b3261e"
_OTHERS = "#1f5fa8"


def write_report(found: Examined, notes: Sequence[str], path: Path) -> None:
    """Write the file; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(page(found, notes), path)


def page(found: Examined, notes: Sequence[str]) -> str:
    """The whole file."""
    name = found.spec.run.name
    parts = [_head(found, notes), section("Checks", _checks(found.outcomes)), section("Findings", _findings(found))]
    if found.whole.took_ns:
        parts.append(section("Microseconds of a call", chart(speed_figure(found.whole.took_ns))))
    if found.entries is not None:
        parts.append(
            section("Entries against random ones", _said(found.entries) + chart(entries_figure(found.entries)))
        )
    if found.orders is not None:
        parts.append(section("Drawdown in other orders", _told(found.orders) + chart(orders_figure(found.orders))))
    return page_of(f"Check of {name}", parts)


def _head(found: Examined, notes: Sequence[str]) -> str:
    word = "everything that must hold does" if found.holds else "something that must hold does not"
    said = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    names = html.escape(", ".join(found.spec.run.symbols))
    colour = "good" if found.holds else "bad"
    return (
        f"<h1>{html.escape(found.spec.run.name)}</h1><p class='note'>{names}, {found.spec.run.timeframes[0]} bars</p>"
        f"<p class='{colour}'>{word}</p><ul class='note'>{said}</ul>"
    )


def word_of(outcome: Outcome) -> str:
    """What became of a check."""
    if outcome.skipped:
        return "not judged"
    if not outcome.holds:
        return "fails"
    return "advice" if outcome.findings else "holds"


def _checks(outcomes: Sequence[Outcome]) -> str:
    rows = [
        [html.escape(one.check), html.escape(one.asks), word_of(one), html.escape(one.skipped or figures_of(one))]
        for one in outcomes
    ]
    return table(("Check", "Question", "Answer", "Figures"), rows, words=(1, 2, 3))


def figures_of(outcome: Outcome) -> str:
    """A check's figures on one line."""
    return "; ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in outcome.figures.items())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return "–" if value is None else str(value)


def _findings(found: Examined) -> str:
    if not found.findings:
        return "<p class='note'>None.</p>"
    rows = [[html.escape(text) for text in (one.check, one.what, one.where, one.cure)] for one in found.findings]
    return table(("Check", "What", "Where", "What to do"), rows, words=(1, 2, 3))


def speed_figure(took_ns: Sequence[int]) -> go.Figure:
    """How long calls took."""
    micros = np.minimum(np.array(took_ns) / 1000, np.percentile(took_ns, 99.5) / 1000)
    counts, edges = np.histogram(micros, bins=60)
    figure = go.Figure()
    figure.add_bar(x=edges[:-1].round(3).tolist(), y=counts.tolist(), name="calls", marker={"color": _OTHERS})
    figure.update_layout(height=300, xaxis={"title": "µs"}, yaxis={"type": "log"})
    return figure


def entries_figure(entries: Entries) -> go.Figure:
    """Mean returns of random entries, and the strategy's own."""
    return _against(entries.random * 100, entries.own * 100, "% a round trip, before costs")


def orders_figure(orders: Orders) -> go.Figure:
    """Drawdowns of shuffled round trips, and the one that was."""
    return _against(orders.shuffled, orders.own, "₹ from the highest to the lowest after it")


def _against(others: np.ndarray[Any, Any], own: float, title: str) -> go.Figure:
    counts, edges = np.histogram(others, bins=50)
    figure = go.Figure()
    figure.add_bar(x=edges[:-1].round(6).tolist(), y=counts.tolist(), name="drawn", marker={"color": _OTHERS})
    figure.add_vline(x=own, line={"color": _OWN, "width": 2}, annotation_text="the strategy")
    figure.update_layout(height=320, xaxis={"title": title})
    return figure


def _said(entries: Entries) -> str:
    return (
        f"<p class='note'>{entries.trips} round trips made {entries.own:.4%} on average; {entries.p:.1%} of "
        f"{len(entries.random)} draws with as many random entries, held as long, did at least as well.</p>"
    )


def _told(orders: Orders) -> str:
    middle, most = np.percentile(orders.shuffled, (50, 95))
    return (
        f"<p class='note'>As they came, {orders.trips} round trips drew down ₹{orders.own:,.0f}; in other orders "
        f"₹{middle:,.0f} in the middle and over ₹{most:,.0f} in one of twenty.</p>"
    )
