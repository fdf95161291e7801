"""Charts of the reports as plain data: thinned to some thousand points, candles put together instead of left out.

Colours mean the same everywhere: `gain` for bought, up and profit, `loss` for sold, down and loss, `subject` for what
the chart is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.time import DAY, IST_OFFSET, iso_day_of
from mytrading.reports.document import ChartLine, ChartPanel, ChartSeries, Colour, ReportChart

POINTS = 4000
CANDLES = 2500
_CLOSED_DAYS = 500
"""With more days without bars a chart keeps them."""
_MS = 1_000_000
_MINUTE = 60_000_000_000
_CANDLE_MINUTES = (1, 3, 5, 10, 15, 30, 60, 120, 1440, 10080)
Array = NDArray[Any]


class FillMark(NamedTuple):
    """A fill on a price chart: when (ns UTC), at what price, and what pointing at it says."""

    at_ns: int
    price: float
    text: str = ""


class Candles(NamedTuple):
    """Bars for a chart: starts in ns UTC, and prices and volume of shape (n,)."""

    start_ns: NDArray[np.int64]
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    minutes: int
    """The length of a candle."""


def chart_times(ns: NDArray[np.int64] | Sequence[int]) -> list[int]:
    """Return times (ns UTC) as reports hold them: milliseconds UTC."""
    found: list[int] = (np.asarray(ns, dtype=np.int64) // _MS).tolist()
    return found


def chart_values(values: Array | Sequence[float], digits: int) -> list[float | None]:
    """Return values rounded to `digits` decimals, None for what is no number or endless."""
    array = np.asarray(values, dtype=np.float64)
    return [value if ok else None for value, ok in zip(array.round(digits).tolist(), np.isfinite(array), strict=True)]


def sample_row_numbers(count: int, most: int = POINTS) -> NDArray[np.int64]:
    """Return at most `most` row numbers of `count`, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def closed_times(start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]) -> dict[str, Any]:
    """Return the `closed_hours`, `closed_weekends` and `closed_days` of a chart of bars (times in ns UTC): hours of the
    day, weekends and other days that have none; empty for bars of whole days."""
    starts, ends = start_ns + IST_OFFSET, end_ns + IST_OFFSET
    if not len(starts) or ends.max() - starts.min() <= DAY or (ends - starts).max() >= DAY // 4:
        return {}
    found: dict[str, Any] = {}
    if (starts // DAY == (ends - 1) // DAY).all():
        first, last = (starts % DAY).min(), ((ends - 1) % DAY).max() + 1
        if first > 0 and last < DAY:
            found["closed_hours"] = (float(last / (DAY // 24)), float(first / (DAY // 24)))
    days = np.unique(np.concatenate((starts, ends - 1)) // DAY)
    without = np.setdiff1d(np.arange(days[0], days[-1] + 1), days)
    if not np.isin((days + 3) % 7, (5, 6)).any():
        found["closed_weekends"] = True
        without = without[(without + 3) % 7 < 5]
    if 0 < len(without) <= _CLOSED_DAYS:
        found["closed_days"] = [iso_day_of(day) for day in without.tolist()]
    return found


def group_candles(start_ns: NDArray[np.int64], span_ns: int, table: Array, most: int = CANDLES) -> Candles:
    """Return bars (`table`: open, high, low, close, volume) as at most some `most` candles of an even length: within
    one day and counted from its first bar where that is shorter than a day, else days or weeks from Monday."""
    own = max(span_ns // _MINUTE, 1)
    minutes, starts = own, np.arange(len(start_ns))
    day = (start_ns + IST_OFFSET) // DAY
    begins = start_ns[np.searchsorted(day, day)] if len(day) else day
    for length in _CANDLE_MINUTES:
        if len(starts) <= most:
            break
        if length > own and length % own == 0:
            span, minutes = length * _MINUTE, length
            bucket = day * DAY + (start_ns - begins) // span if span < DAY else (day + 3) // (span // DAY)
            starts = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    if minutes == own:
        return Candles(start_ns, table[0], table[1], table[2], table[3], table[4], int(own))
    lasts = np.append(starts[1:], len(start_ns)) - 1
    high, low = np.maximum.reduceat(table[1], starts), np.minimum.reduceat(table[2], starts)
    volume = np.add.reduceat(table[4], starts)
    return Candles(start_ns[starts], table[0, starts], high, low, table[3, lasts], volume, int(minutes))


def candle_series(candles: Candles, name: str, *, volume_panel: int | None = None) -> list[ChartSeries]:
    """Return candles in the first panel and, where there is any and `volume_panel` names a panel, their volume."""
    at = chart_times(candles.start_ns)
    prices = [[round(value, 4) for value in column.tolist()] for column in candles[1:5]]
    series = [ChartSeries(name=name, draw="candles", x=at, y=prices[3], open=prices[0], high=prices[1], low=prices[2])]
    if volume_panel is not None and candles.volume.any():
        volume = chart_values(candles.volume, 0)
        series.append(ChartSeries(name="volume", draw="bars", x=at, y=volume, colour="pale", panel=volume_panel))
    return series


def line_series(
    name: str, x: Sequence[Any], y: Sequence[float | None], colour: Colour = "", **given: Any
) -> ChartSeries:
    """Return a curve; `given` are other fields of `ChartSeries`."""
    return ChartSeries(name=name, draw=given.pop("draw", "line"), x=list(x), y=list(y), colour=colour, **given)


def fill_series(
    name: str, bought: Sequence[FillMark], sold: Sequence[FillMark], *, hollow: bool = False, size: int = 9
) -> list[ChartSeries]:
    """Return fills as triangles, up for bought and down for sold; none where there are no fills."""
    found = []
    sides: tuple[tuple[str, Sequence[FillMark], Colour, Any], ...] = (
        ("bought", bought, "gain", "up"), ("sold", sold, "loss", "down"),
    )  # fmt: skip
    for word, marks, colour, shape in sides:
        if marks:
            found.append(ChartSeries(
                name=f"{name} {word}".strip(), draw="marks", x=chart_times([mark.at_ns for mark in marks]),
                y=[round(mark.price, 4) for mark in marks], text=[mark.text for mark in marks], colour=colour,
                shape=shape, hollow=hollow, size=size,
            ))  # fmt: skip
    return found


def histogram_chart(
    values: Sequence[float] | Array, title: str, name: str, own: float | None = None, own_name: str = "the strategy"
) -> ReportChart:
    """Draw how often values occurred in 50 equal bins, with a line at the value `own` (None: no line)."""
    array = np.asarray(values, dtype=float)
    counts, edges = np.histogram(array[np.isfinite(array)], bins=50)
    middles = ((edges[:-1] + edges[1:]) / 2).round(6).tolist()
    series = ChartSeries(name=name, draw="bars", x=middles, y=counts.tolist(), colour="subject")
    lines = () if own is None else (ChartLine("x", float(own), own_name),)
    return ReportChart(
        x="number", x_title=title, height=320, series=[series], lines=lines, panels=[ChartPanel(unit="integer")]
    )


def heat_map(
    x: tuple[str, Sequence[str]], y: tuple[str, Sequence[str]], cells: Sequence[Sequence[float | None]], what: str,
    *, reverse: bool, title: str = "",
) -> ReportChart:  # fmt: skip
    """Draw `what` by two parameters, each a name and its values; None: empty cell. High is good, with `reverse` low;
    where any value is below 0, colours turn at 0, so that no loss is drawn as good."""
    below = any(value < 0 for row in cells for value in row if value is not None)
    (across, columns), (up, rows) = x, y
    series = ChartSeries(name=what, draw="heat", x=list(columns), y=list(rows), cells=[list(row) for row in cells])
    return ReportChart(
        x="category", x_title=across, panels=[ChartPanel(up)], series=[series], height=480,
        title=title or f"{what}, best over the other parameters", reverse=reverse, diverging=below and not reverse,
    )  # fmt: skip


def trend_series(rows: Sequence[Mapping[str, Any]], at: Sequence[int]) -> list[ChartSeries]:
    """Return the Supertrend of rows (`line`, `direction` 1, −1 or 0) as two curves with holes, up and down."""
    found = []
    ways: tuple[tuple[int, Colour, str], ...] = ((1, "gain", "Supertrend up"), (-1, "loss", "Supertrend down"))
    for direction, colour, name in ways:
        line = [row["line"] if row["direction"] == direction else None for row in rows]
        found.append(line_series(name, at, line, colour))
    return found
