"""The report of a run: one HTML file with interactive charts that opens without a network.

Used by `mytrading backtest --report`. Plotly's script stands in the file itself. The one rule: a chart shows at most
some thousand points, so that ten years open as quickly as a day, and what was thinned out says so.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs

from mytrading.backtest import metric_words
from mytrading.backtest.columns import Columns
from mytrading.backtest.ledger import Trade
from mytrading.backtest.output import daily_returns, ist, open_positions, options_line, summary
from mytrading.backtest.runner import Result

_POINTS = 4000
_ROWS = 500
_IST_NS = 19_800_000_000_000
_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1200px; padding: 24px; color: #1b2733; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 32px 0 8px; border-bottom: 1px solid #d8dee6; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 3px 12px; text-align: right; }
td:first-child, th:first-child, .words { text-align: left; } tr:nth-child(even) { background: #f5f7fa; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; } .card { background: #f5f7fa; padding: 10px 16px; }
.card b { display: block; font-size: 20px; } .note { color: #5b6b7b; }
.bad { color: #b3261e; } .good { color: #1a7f47; }
.scroll { overflow-x: auto; max-height: 640px; overflow-y: auto; }
@media (max-width: 700px) { body { padding: 12px; } td, th { padding: 3px 6px; } }
@media screen and (prefers-color-scheme: dark) {
body { background: #14181d; color: #dde3ea; } h2 { border-color: #2b3440; } .note { color: #93a1b0; }
tr:nth-child(even), .card { background: #1c232b; } .bad { color: #ff8a80; } .good { color: #6fd195; }
}
"""
_DARK = """
if (window.matchMedia("(prefers-color-scheme: dark)").matches) {
  for (const one of document.querySelectorAll(".plotly-graph-div")) {
    const change = {paper_bgcolor: "#14181d", plot_bgcolor: "#14181d", "font.color": "#dde3ea"};
    const keys = ["xaxis", "yaxis", ...Object.keys(one.layout || {})];
    for (const axis of keys.filter(key => /^[xy]axis[0-9]*$/.test(key))) {
      for (const line of ["gridcolor", "zerolinecolor", "linecolor"]) change[axis + "." + line] = "#2b3440";
    }
    Plotly.relayout(one, change);
  }
}
"""
"""Charts are drawn light; where the reader's screen is dark they follow the page."""


def write_report(result: Result, notes: Sequence[str], path: Path) -> None:
    """Write the report of a run; `OSError` leaves the file as it was."""
    write_page(page(result, notes), path)


def write_page(text: str, path: Path) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def page(result: Result, notes: Sequence[str]) -> str:
    """The whole file."""
    body = summary(result)
    parts = [_head(result, body, notes)]
    if result.ledger.fills:
        closed = hours_without_bars(result.spec.data)
        on_price = (chart(price_figure(result, one), closed) for one in result.spec.data)
        parts += [
            section("Equity and drawdown", chart(equity_figure(result), closed)),
            section("Trades on price", "".join(on_price)),
            section("Months", monthly_table(result)),
            section("Distribution", chart(distribution_figure(result))),
            section("Exposure", chart(exposure_figure(result), closed)),
            section("By strategy and instrument", shares_table(result)),
            section("Costs", chart(costs_figure(result))),
        ]
    parts += [
        section("Metrics", _metrics_table(body["metrics"])),
        section("Risk events", events_table(result)),
        *([section("Prices of options", options_table(body["options"]))] if body["options"] is not None else []),
        section("Round trips", trades_table(result)),
    ]
    return page_of(f"{body['strategy']} {body['from']} to {body['to']}", parts)


def page_of(title: str, parts: Sequence[str]) -> str:
    """A file that opens without a network, of its parts; for screens large and small, light and dark."""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body>{''.join(parts)}<script>{_DARK}</script></body></html>"
    )


def _head(result: Result, body: dict[str, Any], notes: Sequence[str]) -> str:
    money = body["pnl"]
    found = body["metrics"]
    cards = (
        ("Net profit", f"₹{money['net']:,.0f}"),
        ("Gross", f"₹{money['gross']:,.0f}"),
        ("Costs", f"₹{body['costs']:,.0f}"),
        ("Round trips", f"{body['trades']:,}"),
        ("Return", _share(found["total_return"])),
        ("Deepest drawdown", _share(found["max_drawdown"])),
        ("Sharpe", _number(found["sharpe"])),
        ("Won", _share(found["win_rate"])),
    )
    shown = "".join(f"<div class='card'>{name}<b>{value}</b></div>" for name, value in cards)
    said = [*notes, *(f"{name} stands in for its future, at the index's price" for name in result.stand_ins)]
    if body["options"] is not None:
        said.append(options_line(body["options"]))
    said += [f"still open at the end: {units:+d} {name}" for name, units in open_positions(result).items()]
    if body["fault"]:
        said.append(f"the strategy stopped: {body['fault']}")
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in said)
    instruments = html.escape(", ".join(body["instruments"]))
    parameters = html.escape(", ".join(f"{key}={value}" for key, value in body["parameters"].items()) or "none")
    return (
        f"<h1>{html.escape(body['strategy'])}</h1><p class='note'>{instruments}, {body['timeframe']} bars, "
        f"{body['from']} to {body['to']}, capital ₹{body['capital']:,.0f}; parameters: {parameters}; "
        f"trade hash {body['trade_hash']}</p><div class='cards'>{shown}</div><ul class='note'>{listed}</ul>"
    )


def section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}"


def chart(figure: go.Figure, closed: Sequence[dict[str, Any]] = ()) -> str:
    """A figure as a part of a page; spans in which the market was closed are cut out of its time axis."""
    if closed:
        figure.update_xaxes(rangebreaks=list(closed))
    figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 40, "b": 40}, hovermode="x unified")
    text: str = figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
    return text


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3f}"


# figures


def _times(ns: NDArray[np.int64]) -> list[str]:
    """Indian wall-clock times as text: a chart reads the same wherever it is opened."""
    return [str(text) for text in np.datetime_as_string((ns + _IST_NS).astype("datetime64[ns]"), unit="s")]


def thinned(count: int, most: int = _POINTS) -> NDArray[np.int64]:
    """At most so many rows of `count`, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def hours_without_bars(data: Sequence[Columns]) -> list[dict[str, Any]]:
    """Plotly's breaks of the time axis: the hours of a day, and the weekends, in which none of these bars lies."""
    starts = np.concatenate([columns.start_ns for columns in data]) + _IST_NS
    ends = np.concatenate([columns.start_ns + columns.span_ns for columns in data]) + _IST_NS
    if ends.max() - starts.min() <= _DAY_NS or any(columns.span_ns >= _DAY_NS // 4 for columns in data):
        return []
    breaks: list[dict[str, Any]] = []
    if (starts // _DAY_NS == (ends - 1) // _DAY_NS).all():
        first, last = (starts % _DAY_NS).min(), ((ends - 1) % _DAY_NS).max() + 1
        if first > 0 and last < _DAY_NS:
            breaks.append({"bounds": [float(last / _HOUR_NS), float(first / _HOUR_NS)], "pattern": "hour"})
    if not np.isin((starts // _DAY_NS + 3) % 7, (5, 6)).any():
        breaks.append({"bounds": ["sat", "mon"]})
    return breaks


def equity_figure(result: Result) -> go.Figure:
    """Equity, and how far it lies below its highest so far."""
    curve = result.curve
    below = curve.equity / np.maximum.accumulate(np.maximum(curve.equity, 1e-9)) - 1.0
    rows = thinned(len(curve.equity))
    times = _times(curve.end_ns[rows])
    figure = go.Figure()
    figure.add_scatter(x=times, y=curve.equity[rows].round(2).tolist(), name="equity ₹", line={"color": "#1f5fa8"})
    figure.add_scatter(
        x=times, y=(below[rows] * 100).round(4).tolist(), name="drawdown %", yaxis="y2", fill="tozeroy",
        line={"color": "#b3261e", "width": 1},
    )  # fmt: skip
    figure.update_layout(
        height=520, yaxis={"domain": [0.35, 1], "title": "₹"}, yaxis2={"domain": [0, 0.28], "title": "%"}
    )
    return figure


def price_figure(result: Result, columns: Columns) -> go.Figure:
    """Closes with entries and exits of one instrument, and above them those of contracts on it, at its own price."""
    rows = thinned(len(columns))
    figure = go.Figure()
    figure.add_scatter(
        x=_times(columns.start_ns[rows] + columns.span_ns), y=columns.close[rows].tolist(), name="close",
        line={"color": "#8a97a6", "width": 1},
    )  # fmt: skip
    own = [trade for trade in result.ledger.trades if trade.instrument == columns.instrument]
    data = {one.instrument for one in result.spec.data}
    others = [one for one in result.ledger.trades if one.instrument not in data and is_on(one.instrument, columns)]
    ends = columns.start_ns + columns.span_ns
    for kind, trades in (("", own), ("contract ", others)):
        shown = [trades[row] for row in thinned(len(trades), _POINTS // 2)] if trades else []
        for name, colour, symbol, points in (
            ("bought", "#1a7f47", "triangle-up", _points(shown, "BUY")),
            ("sold", "#b3261e", "triangle-down", _points(shown, "SELL")),
        ):
            if not points:
                continue
            at = np.array([point[0] for point in points], dtype=np.int64)
            there = columns.close[np.minimum(np.searchsorted(ends, at), len(ends) - 1)].tolist()
            figure.add_scatter(
                x=_times(at), y=there if kind else [point[1] for point in points],
                text=[f"{point[2]} at {point[1]:,.2f}" for point in points] if kind else None,
                name=kind + name, mode="markers", marker={"color": colour, "symbol": symbol, "size": 8},
            )  # fmt: skip
    figure.update_layout(height=440, title=columns.instrument)
    return figure


def is_on(contract: str, columns: Columns) -> bool:
    """True if the data is of what this contract is on: its symbol, and then an expiry."""
    symbol, name = columns.instrument.rpartition(":")[2], contract.rpartition(":")[2]
    return name.startswith(symbol) and name[len(symbol) : len(symbol) + 1].isdigit()


def _points(trades: Sequence[Any], side: str) -> list[tuple[int, float, str]]:
    """Time, price and instrument of what was bought or sold."""
    entries = [(trade.entry_ns, trade.entry_price, trade.instrument) for trade in trades if trade.side == side]
    return entries + [(trade.exit_ns, trade.exit_price, trade.instrument) for trade in trades if trade.side != side]


def distribution_figure(result: Result) -> go.Figure:
    """How round trips and days ended."""
    figure = go.Figure()
    net = [round(trade.net, 2) for trade in result.ledger.trades]
    figure.add_histogram(x=net, nbinsx=60, name="round trips, ₹", marker={"color": "#1f5fa8"})
    returns = (daily_returns(result) * 100).round(4).tolist()
    figure.add_histogram(x=returns, nbinsx=60, name="days, %", marker={"color": "#8a97a6"}, xaxis="x2", yaxis="y2")
    figure.update_layout(
        height=360,
        xaxis={"domain": [0, 0.47], "title": "₹ a round trip, after costs"},
        xaxis2={"domain": [0.53, 1], "title": "% a day", "anchor": "y2"},
        yaxis2={"anchor": "x2"},
    )
    return figure


def exposure_figure(result: Result) -> go.Figure:
    """Rupees of what was held."""
    rows = thinned(len(result.curve.exposure))
    figure = go.Figure()
    figure.add_scatter(
        x=_times(result.curve.end_ns[rows]), y=result.curve.exposure[rows].round(0).tolist(), name="held ₹",
        fill="tozeroy", line={"color": "#1f5fa8", "width": 1},
    )  # fmt: skip
    figure.update_layout(height=280)
    return figure


def costs_figure(result: Result) -> go.Figure:
    """Costs, and what they left of the gross profit, as they grew."""
    trades = result.ledger.trades
    rows = thinned(len(trades)) if trades else np.empty(0, dtype=np.int64)
    costs = np.cumsum([trade.costs for trade in trades])
    gross = np.cumsum([trade.gross for trade in trades])
    times = _times(np.array([trades[row].exit_ns for row in rows], dtype=np.int64))
    figure = go.Figure()
    for name, values, colour in (
        ("gross ₹", gross, "#1a7f47"), ("costs ₹", costs, "#b3261e"), ("net ₹", gross - costs, "#1f5fa8")
    ):  # fmt: skip
        figure.add_scatter(x=times, y=values[rows].round(2).tolist(), name=name, line={"color": colour})
    figure.update_layout(height=320)
    return figure


# tables


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int] = ()) -> str:
    """A table; cells are HTML already. The columns of `words` (from 0) and the first hold text, the others numbers."""
    side = ["class='words'" if number in words else "" for number in range(len(head))]
    top = "".join(f"<th {side[at]}>{html.escape(name)}</th>" for at, name in enumerate(head))
    lines = "".join(
        "<tr>" + "".join(f"<td {side[at]}>{cell}</td>" for at, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f"<div class='scroll'><table><tr>{top}</tr>{lines}</table></div>"


def _coloured(value: float, text: str) -> str:
    return f"<span class='{'good' if value >= 0 else 'bad'}'>{text}</span>"


def monthly_table(result: Result) -> str:
    """The return of each month and year."""
    days, _ = result.curve.daily()
    growth = 1.0 + daily_returns(result)
    months: dict[tuple[int, int], float] = {}
    for day, factor in zip(days.tolist(), growth.tolist(), strict=True):
        date = np.datetime64(day, "D").astype(object)
        key = (date.year, date.month)
        months[key] = months.get(key, 1.0) * factor
    rows = []
    for year in sorted({year for year, _ in months}):
        cells = [months.get((year, month)) for month in range(1, 13)]
        whole = float(np.prod([cell for cell in cells if cell is not None]))
        shown = [_coloured(cell - 1, f"{cell - 1:.2%}") if cell is not None else "" for cell in cells]
        rows.append([str(year), *shown, _coloured(whole - 1, f"{whole - 1:.2%}")])
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return table(("Year", *names, "Year"), rows)


def options_table(found: dict[str, Any]) -> str:
    """Where the prices of contracts are from, and what the modelled ones are made of."""
    fills = found["fills"]
    rows = [[name, f"{share:.2%}", str(fills.get(name, 0))] for name, share in found["bars"].items()]
    rows += [["settled at expiry", "", str(fills["settled"])]] if "settled" in fills else []
    rows += [[f"gap in the record of {name}", f"{count:,} bars", ""] for name, count in found["gaps"].items()]
    quotes = found["quotes"]
    if quotes["bars"] or quotes["missing"]:
        rows.append(["with a recorded bid and ask", f"{quotes['bars']:,} bars", str(quotes["fills"])])
    rows += [[f"no bid and ask of {name}", f"{count:,} bars", ""] for name, count in quotes["missing"].items()]
    made = [[name, "realised" if value is None else str(value)] for name, value in found["surface"].items()]
    return table(("Prices", "Bars while held or ordered", "Fills"), rows) + table(("Of the surface", ""), made)


def shares_table(result: Result) -> str:
    """Round trips, profit and costs of each strategy and leg, where wishes have several, and of each instrument."""
    trades = sorted(result.ledger.trades, key=lambda one: (one.strategy, one.leg))
    legs = _shares([(f"{one.strategy} · leg {one.leg}", one) for one in trades if one.leg], "Strategy · leg")
    trades.sort(key=lambda one: (one.strategy, one.instrument))
    return legs + _shares([(f"{one.strategy} · {one.instrument}", one) for one in trades], "Strategy · instrument")


def _shares(trades: list[tuple[str, Trade]], of: str) -> str:
    """A table of sums by name, in the order in which the names come; empty without trades."""
    sums: dict[str, list[float]] = {}
    for name, trade in trades:
        row = sums.setdefault(name, [0.0, 0.0, 0.0, 0.0])
        for place, value in enumerate((1.0, trade.net > 0, trade.gross, trade.costs)):
            row[place] += value
    rows = [
        [html.escape(name), f"{count:.0f}", f"{won / count:.1%}", f"{gross:,.2f}", f"{costs:,.2f}",
         _coloured(gross - costs, f"{gross - costs:,.2f}")]
        for name, (count, won, gross, costs) in sums.items()
    ]  # fmt: skip
    return table((of, "Round trips", "Won", "Gross ₹", "Costs ₹", "Net ₹"), rows) if rows else ""


def _metrics_table(found: dict[str, float | None]) -> str:
    return table(
        ("Metric", "Value", "Of"), [metric_words.row(name, value) for name, value in found.items()], words=(2,)
    )


def events_table(result: Result) -> str:
    """Denials, alerts and faults: how many of each, and the first of them in words."""
    counts = table(("Code", "Count"), [[html.escape(code), f"{n:,}"] for code, n in result.ledger.counts.items()])
    if not result.ledger.counts:
        return "<p class='note'>Nothing was denied, and nothing went wrong.</p>"
    shown = result.ledger.events[:_ROWS]
    rows = [[ist(one.at_ns), *(html.escape(text) for text in (one.code, one.subject, one.text))] for one in shown]
    return counts + table(("When", "Code", "Of", "Why"), rows, words=(1, 2, 3))


def trades_table(result: Result) -> str:
    """The newest round trips; all of them stand in trades.csv."""
    newest = result.ledger.trades[-_ROWS:]
    rows = [
        [ist(one.entry_ns), ist(one.exit_ns), html.escape(one.instrument), one.side, f"{one.quantity:,}",
         f"{one.entry_price:,.2f}", f"{one.exit_price:,.2f}", _coloured(one.net, f"{one.net:,.2f}")]
        for one in newest
    ]  # fmt: skip
    more = len(result.ledger.trades) - len(newest)
    said = f"<p class='note'>The newest {len(newest)}; {more} more stand in trades.csv.</p>" if more else ""
    head = ("Entry", "Exit", "Instrument", "Side", "Quantity", "At", "Out at", "Net ₹")
    return said + table(head, rows)
