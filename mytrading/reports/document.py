"""The content of a report, `report.json`: cards, notes, tables and charts as plain data.

The page and every other reader draw from it alone. A name, once in a released `VERSION`, keeps its meaning; new fields
may come. Times are milliseconds UTC, shares are fractions (0.01 is 1 %), money is rupees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

VERSION = 1
Scalar = str | float | int | None
Unit = Literal["text", "number", "integer", "price", "rupees", "percent", "time", "date", "duration"]
"""The format of a value: `number` with three decimals, `price` and `rupees` with two, `percent` of a fraction (0.01 is
1 %), `time` and `date` of milliseconds UTC in Indian time, `duration` of seconds."""
Tone = Literal["", "good", "bad", "warn"]
Colour = Literal["", "gain", "loss", "subject", "muted", "pale", "warn"]
Drawn = Literal["line", "step", "area", "bars", "candles", "marks", "heat"]


class ReportValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value with a unit or tone of its own, as a cell or a card. `digits` are decimals; None: those of the unit."""

    value: Scalar
    unit: Unit = "text"
    digits: int | None = None
    tone: Tone = ""


Cell = Scalar | ReportValue


class TableColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column's name and the unit of its plain cells; with `signed` numbers above and below 0 are coloured."""

    name: str
    unit: Unit = "text"
    digits: int | None = None
    signed: bool = False


class ReportTable(msgspec.Struct, frozen=True, omit_defaults=True, tag="table"):
    """Rows under named columns; readers may sort them. `title` is a caption, empty: none."""

    columns: tuple[TableColumn, ...]
    rows: Sequence[Sequence[Cell]]
    title: str = ""


class ReportNote(msgspec.Struct, frozen=True, tag="note"):
    """A sentence between tables and charts."""

    text: str


class ChartSeries(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Values of one name in a chart, in the unit of its panel; None is a hole.

    Candles have `open`, `high` and `low` beside `y`, their closes; a heat map has `cells`, a row for each `y`. `text`
    is said when a point is pointed at. Marks are triangles `up` or `down`, a `circle` or a `cross`; bars that are
    `signed` have a colour above 0 and one below.
    """

    name: str
    draw: Drawn
    x: Sequence[Scalar]
    y: Sequence[Scalar]
    open: Sequence[float] = ()
    high: Sequence[float] = ()
    low: Sequence[float] = ()
    cells: Sequence[Sequence[float | None]] = ()
    text: Sequence[str] = ()
    colour: Colour = ""
    panel: int = 0
    shape: Literal["", "up", "down", "circle", "cross"] = ""
    hollow: bool = False
    size: int = 9
    dashed: bool = False
    hidden: bool = False
    signed: bool = False


class ChartPanel(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the panels of a chart, from the top; `share` is its part of the height."""

    title: str = ""
    unit: Unit = "number"
    share: float = 1.0
    log: bool = False


class ChartLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A straight line across a panel at a value of an axis, with a word beside it."""

    axis: Literal["x", "y"]
    value: Scalar
    text: str = ""
    panel: int = 0


class ReportChart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="chart"):
    """Panels over one axis. On a time axis `closed_hours` (from, to, of a day), weekends and `closed_days` (such as
    2026-11-24) may be left out.

    `ranges` shows buttons that zoom to the newest day, week or month, and `first` is the part that is shown at first.
    With `diverging` a heat map turns its colours at 0, with `reverse` low is good.
    """

    title: str = ""
    x: Literal["time", "number", "category"] = "time"
    x_title: str = ""
    x_unit: Unit = "number"
    panels: Sequence[ChartPanel] = (ChartPanel(),)
    series: Sequence[ChartSeries] = ()
    lines: Sequence[ChartLine] = ()
    height: int = 360
    closed_hours: tuple[float, float] | None = None
    closed_weekends: bool = False
    closed_days: Sequence[str] = ()
    ranges: bool = False
    first: tuple[float, float] | None = None
    diverging: bool = False
    reverse: bool = False


class PricedLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg of a payoff: CE, PE, FUT or EQ, signed units at rupees each, years to its end, volatility (0.14 is 14 %).

    Shares and futures have 0 for strike, years and volatility.
    """

    name: str
    kind: str
    units: int
    price: float
    strike: float = 0.0
    years: float = 0.0
    volatility: float = 0.0


class ReportPayoff(msgspec.Struct, frozen=True, kw_only=True, tag="payoff"):
    """Profit of legs by the underlying's price, at the first expiry among them and before; readers may move spot,
    volatility and days. `rate` is yearly interest (0.06 is 6 %), `years` the time to the first expiry."""

    underlying: str
    spot: float
    legs: tuple[PricedLeg, ...]
    years: float
    rate: float
    low: float
    high: float


Block = ReportTable | ReportChart | ReportNote | ReportPayoff


class ReportSection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Blocks under a title."""

    title: str
    blocks: Sequence[Block]


class ReportCard(msgspec.Struct, frozen=True):
    """A figure at the head of a report."""

    name: str
    value: ReportValue


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a report shows. `kind` names what it is of, such as `backtest`; `verdict` is one line in its tone."""

    version: int
    kind: str
    title: str
    heading: str = ""
    subtitle: str = ""
    verdict: ReportValue | None = None
    cards: Sequence[ReportCard] = ()
    notes: Sequence[str] = ()
    sections: Sequence[ReportSection] = ()


def encode_report(report: Report) -> bytes:
    """Return the report as JSON; figures without a value (NaN, infinite) become null."""
    return msgspec.json.encode(report)


def decode_report(data: bytes) -> Report:
    """Return the report of JSON that `encode_report` made; raises `msgspec.ValidationError` where it is no report."""
    found = msgspec.json.decode(data, type=Report)
    if found.version > VERSION:
        raise msgspec.ValidationError(f"expected a report of version {VERSION} or before, found {found.version}")
    return found
