"""Charts of the reports: plotly figures of a few kinds, thinned to some thousand points, in Indian time.

Colours mean the same everywhere: green for bought, up and gain, red for sold, down and loss, blue for the subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from plotly import graph_objects as go

from mytrading.core.time import DAY, IST_OFFSET

GREEN, RED, BLUE, GREY, PALE = "#1a7f47", "#b3261e", "#1f5fa8", "#8a97a6", "#d8dee6"
POINTS = 4000
_OHLC = ("open", "high", "low", "close")


class FillMark(NamedTuple):
    """A fill on a price chart: when, at what price, and what hovering over it says."""

    at: str
    price: float
    text: str = ""


def figure_html(figure: go.Figure, closed: Sequence[dict[str, Any]] = ()) -> Markup:
    """Return a figure as an HTML block, with the spans `closed` (of `closed_hour_breaks`) cut out of its time axis."""
    if closed:
        figure.update_xaxes(rangebreaks=list(closed))
    figure.update_layout(template="plotly_white", margin={"l": 60, "r": 20, "t": 40, "b": 40}, hovermode="x unified")
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False}))


def ist_labels(ns: NDArray[np.int64]) -> list[str]:
    """Return times (ns UTC) as Indian wall-clock text, so that a chart reads the same wherever it is opened."""
    return [str(text) for text in np.datetime_as_string((ns + IST_OFFSET).astype("datetime64[ns]"), unit="s")]


def sample_row_numbers(count: int, most: int = POINTS) -> NDArray[np.int64]:
    """Return at most `most` row numbers of `count`, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def closed_hour_breaks(start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return plotly's axis breaks for hours and weekends without a bar (times in ns UTC); none for daily bars."""
    starts, ends = start_ns + IST_OFFSET, end_ns + IST_OFFSET
    if ends.max() - starts.min() <= DAY or (ends - starts).max() >= DAY // 4:
        return []
    breaks: list[dict[str, Any]] = []
    if (starts // DAY == (ends - 1) // DAY).all():
        first, last = (starts % DAY).min(), ((ends - 1) % DAY).max() + 1
        if first > 0 and last < DAY:
            breaks.append({"bounds": [float(last / (DAY // 24)), float(first / (DAY // 24))], "pattern": "hour"})
    if not np.isin((starts // DAY + 3) % 7, (5, 6)).any():
        breaks.append({"bounds": ["sat", "mon"]})
    return breaks


def line_chart(x: Sequence[Any] | None, curves: Mapping[str, tuple[Sequence[Any], str]], height: int) -> go.Figure:
    """Draw curves by name, each with values and colour ("": plotly's next), over `x` (None: their numbers)."""
    figure = go.Figure()
    for name, (values, colour) in curves.items():
        figure.add_scatter(x=x, y=list(values), name=name, mode="lines", line={"color": colour} if colour else None)
    figure.update_layout(height=height)
    return figure


def add_filled_area(
    figure: go.Figure, x: Sequence[Any], y: Sequence[float], name: str, colour: str, axis: str = "y"
) -> None:
    """Add to a figure a curve whose area down to zero is filled; `axis` is plotly's y-axis for it, such as "y2"."""
    figure.add_scatter(x=x, y=list(y), name=name, yaxis=axis, fill="tozeroy", line={"color": colour, "width": 1})


def price_chart(x: Sequence[str], y: Sequence[float], name: str, title: str) -> go.Figure:
    """Return a chart with a price as a thin line, to which `add_fills` adds fills."""
    figure = go.Figure()
    figure.add_scatter(x=x, y=list(y), name=name, line={"color": GREY, "width": 1})
    figure.update_layout(height=440, title=title)
    return figure


def add_fills(
    figure: go.Figure, name: str, bought: Sequence[FillMark], sold: Sequence[FillMark], shape: str = "", size: int = 8
) -> None:
    """Add fills to a figure: triangles up for bought, down for sold; `shape` "-open" makes them hollow."""
    for what, marks, colour, symbol in (("bought", bought, GREEN, "up"), ("sold", sold, RED, "down")):
        if marks:
            figure.add_scatter(
                x=[mark.at for mark in marks], y=[mark.price for mark in marks], name=f"{name} {what}".strip(),
                text=[mark.text for mark in marks] if any(mark.text for mark in marks) else None, mode="markers",
                marker={"color": colour, "symbol": f"triangle-{symbol}{shape}", "size": size},
            )  # fmt: skip


def histogram(values: Sequence[float] | NDArray[Any], title: str, name: str, own: float | None = None) -> go.Figure:
    """Draw how often values occurred in 50 equal bins, with a line at the strategy's value `own` (None: no line)."""
    counts, edges = np.histogram(np.asarray(values, dtype=float), bins=50)
    figure = go.Figure()
    figure.add_bar(x=edges[:-1].round(6).tolist(), y=counts.tolist(), name=name, marker={"color": BLUE})
    if own is not None:
        figure.add_vline(x=own, line={"color": RED, "width": 2}, annotation_text="the strategy")
    figure.update_layout(height=320, xaxis={"title": title})
    return figure


def heat_map(
    x: Sequence[str], y: Sequence[str], cells: Sequence[Sequence[float | None]], what: str, reverse: bool
) -> go.Figure:
    """Draw `what` by two parameters; None: empty cell. High is green, with `reverse` low; mixed signs turn at 0."""
    signs = {value > 0 for row in cells for value in row if value is not None}
    figure = go.Figure(
        go.Heatmap(
            x=list(x), y=list(y), z=[list(row) for row in cells], colorscale="RdYlGn", reversescale=reverse,
            colorbar={"title": what}, hoverongaps=False, zmid=0.0 if len(signs) == 2 else None,
        )
    )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category")
    figure.update_layout(height=480, title=f"{what}, best over the other parameters")
    return figure


def candle_chart(rows: Sequence[Mapping[str, Any]], name: str) -> go.Figure:
    """Draw bars (`at`, `open` to `close`) as candles, with their Supertrend (`line`, `direction`) in two colours."""
    at = [row["at"] for row in rows]
    figure = go.Figure(
        go.Candlestick(x=at, name=name, **{key: [row[key] for row in rows] for key in _OHLC}),
        layout={"height": 560, "xaxis": {"rangeslider": {"visible": False}, "type": "category", "nticks": 12}},
    )
    for direction, colour, what in ((1, GREEN, "Supertrend up"), (-1, RED, "Supertrend down")):
        line = [row["line"] if row["direction"] == direction else None for row in rows]
        figure.add_scatter(x=at, y=line, mode="lines", name=what, line={"color": colour})
    return figure
