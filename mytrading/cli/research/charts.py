"""`mytrading chart` of an instrument, `mytrading strategies chart` of a strategy: pages of candles.

They are drawn, with volume, Supertrend, and the indicators, fills and stops of strategies, from the bars that the feed
stored; there is no stand-in for a missing one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from msgspec.structs import replace

from mytrading.cli.shell.failures import ERROR, USAGE, fail, find_stack
from mytrading.cli.shell.options import AsJson, OwnerName, Profile
from mytrading.cli.shell.output import print_json
from mytrading.core.bars.builder import aggregate, timeframe_name
from mytrading.core.bars.premium import HeldLeg, premium_bars, premium_weights
from mytrading.core.text.money import rupees
from mytrading.core.time import format_ist
from mytrading.messages.exit_rules import TrendRule
from mytrading.messages.market import Bar
from mytrading.messages.ops import StatusQuery, StrategyQuery
from mytrading.messages.run_config import RunConfig, StrategyRun

if TYPE_CHECKING:
    from mytrading.backtest.results.indicators import IndicatorCurve
    from mytrading.cli.research.stop_history import StopSteps
    from mytrading.core.calendar import Calendar
    from mytrading.orchestrator import TradingOrchestrator
    from mytrading.reports.charts import FillMark
    from mytrading.reports.document import ChartLine, ChartSeries, Report, ReportChart

TIMEFRAMES = ("1m", "3m", "5m", "10m", "15m", "30m", "1h")
_SIGNALS = {1: "BUY", -1: "SELL", 0: "NEUTRAL"}
_ROWS = 2000
_FIRST = 150
"""Candles of the first view."""
_MS = 1_000_000
STOP = "stop"
FOLDER = Path("runs") / "charts"


def strategy_chart(
    name: OwnerName,
    timeframe: str = typer.Option("", "--timeframe", "-t", help=f"{', '.join(TIMEFRAMES)}; default: its own."),
    period: int = typer.Option(0, "--period", min=0, help="Of a Supertrend; default: as its exit's, else none."),
    multiplier: float = typer.Option(0.0, "--multiplier", min=0.0, help="Likewise; 3 for a period alone."),
    out: str = typer.Option("", "--out", "-o", metavar="FILE", help="The page; default: runs/charts/NAME.html."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Draw what a strategy watches with its indicators, fills and stops, the premium of its legs with Supertrend, and
    each leg that has a stop.

    Of a flat strategy the legs are those of its last run. Bars are those of its Supertrend exit, else of its first
    timeframe; without that exit no Supertrend is drawn unless one is asked for.
    """
    from mytrading.cli.research.stop_history import stop_history
    from mytrading.cli.shell.target import load_calendar

    if timeframe:
        _check_timeframe(timeframe)
    with find_stack(profile) as found:
        body = found.ask(StrategyQuery(strategy=name, limit=0))
        now = int(found.ask(StatusQuery())["market_ns"])
        legs, is_open = premium_legs(body)
        run, calendar = found.config.strategy(body["name"]), load_calendar(found.config.home)
        rule = chart_rule(run, "", timeframe, period, multiplier)
        watched = body["watches"] if run is not None else []
        if not legs and not watched:
            fail(ERROR, f"{body['name']} holds nothing and has no trade yet: there is no premium to draw")
        units = premium_weights(legs)
        minutes = _stored_minutes(found.config, {*units, *watched})
        bars = premium_bars(units, minutes, rule["timeframe"], calendar, now)
        stops = stop_history(found.config, body["name"])
        overlays = {name: strategy_overlay(found.config, run, body, name, minutes[name], stops) for name in watched}
    rows = supertrend_rows(bars, rule["period"], rule["multiplier"])
    entered = min((leg["opened_ns"] for leg in _entered(body)), default=0)
    content = {"strategy": body["name"], **rule, "open": is_open, "legs": [leg._asdict() for leg in legs],
            "entered_ns": entered, "bars": rows}  # fmt: skip
    if as_json:
        print_json(content)
        return
    charts = []
    for name in watched:
        candles = aggregate(minutes[name], rule["timeframe"], calendar, now)
        own = chart_rule(run, name, timeframe, period, multiplier)
        drawn = {"instrument": name, **own, "bars": supertrend_rows(candles, own["period"], own["multiplier"])}
        if own["period"]:
            content |= own  # for the line that names it
        if candles:
            charts.append(symbol_chart(drawn, [overlays[name]]))
    if not rows and not charts:
        fail(ERROR, f"no completed {rule['timeframe']} bar that all legs have is stored yet; try --timeframe 1m")
    single: list[ChartSeries] = []
    if len(units) == 1 and bars:
        (leg,) = units
        of_leg = aggregate(minutes[leg], rule["timeframe"], calendar, now)
        single, content = _trading_series(body, leg, bars, stops), {**content, "bars": with_own_range(rows, of_leg)}
    else:
        candles_of = {leg: aggregate(minutes[leg], rule["timeframe"], calendar, now) for leg in units}
        charts += leg_charts(body, candles_of, rule["timeframe"], stops)
    path = _written(strategy_report(content, charts, single), out, body["name"])
    if not rows:
        print(f"{path}: {', '.join(watched)}")
        return
    last = rows[-1]
    signal = f", {last['signal']}" if rule["period"] else ""
    print(f"{path}: {len(rows)} bars, premium {last['close']:,.2f}{signal}{'' if is_open else ', closed'}")


def leg_charts(
    body: dict[str, Any], candles: Mapping[str, list[Bar]], timeframe: str, stops: StopSteps
) -> list[ReportChart]:
    """Return candles with fills and stop of each leg that has, or had, a stop; `candles` by instrument."""
    made = []
    for leg, bars in candles.items():
        trading = _trading_series(body, leg, bars, stops)
        if any(one.name == STOP for one in trading):
            drawn = {"instrument": leg, "timeframe": timeframe, "bars": supertrend_rows(bars, 0, 0.0)}
            made.append(symbol_chart(drawn, [StrategyOverlay(body["name"], [], {}, trading)]))
    return made


def with_own_range(rows: Sequence[Mapping[str, Any]], bars: Iterable[Bar]) -> list[dict[str, Any]]:
    """Return rows of a premium with highs, lows and volume of the only leg's own bars; those of several legs together
    are not known."""
    own = {bar.start_ns: bar for bar in bars}
    return [
        {**row, "high": bar.high, "low": bar.low, "volume": bar.volume}
        if (bar := own.get(row["start_ns"]))
        else {**row}
        for row in rows
    ]


def _written(report: Report, out: str, name: str) -> Path:
    from mytrading.reports.page import write_report_files

    path = Path(out) if out else FOLDER / f"{name}.html"
    try:
        return write_report_files(report, path)
    except OSError as error:
        fail(ERROR, f"{path}: cannot be written: {error.strerror}; name another file with --out")


def _check_timeframe(timeframe: str) -> None:
    if timeframe not in TIMEFRAMES:
        fail(USAGE, f"--timeframe: expected one of {', '.join(TIMEFRAMES)}, found {timeframe!r}")


def chart_rule(
    run: StrategyRun | None, instrument: str, timeframe: str = "", period: int = 0, multiplier: float = 0.0
) -> dict[str, Any]:
    """Return `timeframe`, `period` and `multiplier` of a chart of an instrument (empty: of the premium): those given,
    else the strategy's own. A period of 0 is no Supertrend: its exit has none on these bars, and none is given."""
    own = run.rules.trend if run is not None and run.rules.trend.exit is not None else None
    bars = timeframe or (timeframe_name(own.minutes) if own else run.timeframes[0] if run is not None else "1m")
    if not (period or multiplier or (own is not None and own.instrument == instrument)):
        return {"timeframe": bars, "period": 0, "multiplier": 0.0}
    usual = own or TrendRule()
    return {"timeframe": bars, "period": period or usual.period, "multiplier": multiplier or usual.multiplier}


def _entered(body: dict[str, Any]) -> list[dict[str, Any]]:
    held = [row for row in body["positions"] if row["quantity"]]
    if held or not body["trades"]:
        return held
    last = max(body["trades"], key=lambda trade: trade["closed_ns"])["run"]
    return [trade for trade in body["trades"] if trade["run"] == last]


def premium_legs(body: dict[str, Any]) -> tuple[list[HeldLeg], bool]:
    """Return a strategy's open legs over all accounts and True, or those of its last run and False.
    `body` is the gateway's reply to a `StrategyQuery`; the list is empty if the strategy never traded."""
    rows = _entered(body)
    is_open = any(row["quantity"] for row in body["positions"])
    if is_open:
        return [HeldLeg(row["instrument"], row["quantity"], row["average_price"]) for row in rows], True
    signs = {"BUY": 1, "SELL": -1}
    return [HeldLeg(row["instrument"], signs[row["side"]] * row["quantity"], row["entry_price"]) for row in rows], False


def _stored_minutes(config: RunConfig, instruments: Iterable[str]) -> dict[str, list[Bar]]:
    from mytrading.adapters.storage.bar_store import BarReader

    with closing(BarReader(config.bars_dir)) as reader:
        return {name: reader.bars(name, limit=_ROWS) for name in instruments}


def supertrend_rows(bars: list[Bar], period: int, multiplier: float) -> list[dict[str, Any]]:
    """Return a row per bar with its Supertrend: `line` (None at first), `signal` BUY, SELL or NEUTRAL; of a period of 0
    each row has none."""
    import numpy as np

    from mytrading.core.indicators.supertrend import supertrend

    high, low, close = (np.array([getattr(bar, name) for bar in bars]) for name in ("high", "low", "close"))
    lines, directions = np.full(len(bars), np.nan), np.zeros(len(bars), np.int8)
    if period:
        trend = supertrend(high, low, close, period, multiplier)
        lines, directions = trend.line, trend.direction
    rows = []
    for bar, line, direction in zip(bars, lines, map(int, directions), strict=True):
        prices = {name: round(getattr(bar, name), 2) for name in ("open", "high", "low", "close")}
        level = None if np.isnan(line) else round(float(line), 2)
        moment = {"start_ns": bar.start_ns, "at": format_ist(bar.start_ns)}
        rows.append({**moment, **prices, "volume": bar.volume, "line": level, "direction": direction,
                     "signal": _SIGNALS[direction]})  # fmt: skip
    return rows


class StrategyOverlay(NamedTuple):
    """A strategy's overlay on a chart of an instrument: curves over the price, others by panel, fills and its stop."""

    strategy: str
    on_price: Sequence[ChartSeries]
    panels: Mapping[str, Sequence[ChartSeries]]
    trading: Sequence[ChartSeries]


def strategy_overlay(
    config: RunConfig, run: StrategyRun | None, body: dict[str, Any], instrument: str, minutes: Sequence[Bar],
    stops: StopSteps,
) -> StrategyOverlay:  # fmt: skip
    """Return a strategy's indicators over stored one-minute bars, its fills and its stops in an instrument.
    `body` is the gateway's reply to a `StrategyQuery`."""
    from mytrading.cli.shell.target import load_calendar

    home = Path(config.home)
    on_price, panels = _indicator_series(run, home, instrument, minutes, load_calendar(home)) if run else ([], {})
    contracts = _contract_fills(body, instrument, minutes) if run else []
    return StrategyOverlay(
        body["name"], on_price, panels, [*_trading_series(body, instrument, minutes, stops), *contracts]
    )


def _indicator_series(
    run: StrategyRun, home: Path, instrument: str, minutes: Sequence[Bar], calendar: Calendar
) -> tuple[list[ChartSeries], dict[str, list[ChartSeries]]]:
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.data.load import columns_from_bars
    from mytrading.backtest.results.indicators import by_function, indicator_curves
    from mytrading.core.text.spelling import name_key
    from mytrading.reports.charts import chart_times, chart_values, line_series
    from mytrading.runtime.host.author_files import load_file
    from mytrading.strategies.base_strategy import BaseStrategy, strategy_name

    file = home / run.file
    if not minutes or run.plan is not None or not file.is_file():
        return [], {}
    classes = load_file(file, BaseStrategy).classes
    mine = [one for one in classes if name_key(strategy_name(one)) == name_key(run.name)]
    if not mine:
        return [], {}
    try:
        columns = columns_from_bars(minutes, instrument, "stored bars")
    except DataError:  # candles can be drawn of prices that are missing or wrong, indicators cannot
        return [], {}
    curves = indicator_curves(run, mine[0], columns, calendar)

    def drawn(curve: IndicatorCurve, panel: int) -> ChartSeries:
        at, values = chart_times(curve.start_ns), chart_values(curve.values, 4)
        return line_series(curve.name, at, values, panel=panel)

    own = by_function(curves)
    return (
        [drawn(curve, 0) for curve in curves if curve.on_price],
        {name: [drawn(curve, 1) for curve in mine] for name, mine in own.items()},
    )


def _fills(body: dict[str, Any], is_drawn: Callable[[str], bool]) -> dict[int, list[FillMark]]:
    """The entries and exits of a strategy in the instruments that are drawn: bought 1, sold -1."""
    from mytrading.reports.charts import FillMark

    sides: dict[int, list[FillMark]] = {1: [], -1: []}
    for trade in body["trades"]:
        if is_drawn(trade["instrument"]):
            way = 1 if trade["side"] == "BUY" else -1
            word = f"{trade['quantity']:,} {trade['instrument']}"
            entry, leave = trade["entry_price"], trade["exit_price"]
            sides[way].append(FillMark(trade["opened_ns"], entry, f"entry of {word} at {entry:,.2f}"))
            text = f"exit of {word} at {leave:,.2f}, {rupees(round(trade.get('realised', 0.0), 2))} before costs"
            sides[-way].append(FillMark(trade["closed_ns"], leave, text))
    for row in body["positions"]:
        if is_drawn(row["instrument"]) and row["quantity"] and row["opened_ns"]:
            price = row["average_price"]
            text = f"holds {row['quantity']:+,} {row['instrument']} at {price:,.2f}"
            sides[1 if row["quantity"] > 0 else -1].append(FillMark(row["opened_ns"], price, text))
    return sides


def _contract_fills(body: dict[str, Any], watched: str, minutes: Sequence[Bar]) -> list[ChartSeries]:
    """Fills in contracts of the watched instrument, at its own price in that minute; none before the stored bars."""
    from mytrading.core.instruments.symbology import parse_symbol, split_id
    from mytrading.reports.charts import fill_series

    name, starts = split_id(watched)[1], [bar.start_ns for bar in minutes]

    def at_own_price(mark: FillMark) -> FillMark | None:
        place = bisect_right(starts, mark.at_ns) - 1
        return mark._replace(price=minutes[place].close) if place >= 0 else None

    sides = _fills(body, lambda one: one != watched and parse_symbol(split_id(one)[1]).underlying == name)
    bought, sold = ([made for mark in sides[way] if (made := at_own_price(mark))] for way in (1, -1))
    return fill_series("contracts", bought, sold, hollow=True)


def _trading_series(body: dict[str, Any], instrument: str, bars: Sequence[Bar], stops: StopSteps) -> list[ChartSeries]:
    """A strategy's fills in an instrument and its stop over time, as far as `bars` go."""
    from mytrading.cli.research.stop_history import stop_curve
    from mytrading.reports.charts import chart_times, fill_series, line_series

    sides = _fills(body, lambda one: one == instrument)
    found = fill_series("", sides[1], sides[-1])
    if bars:
        held = [row for row in body["positions"] if row["instrument"] == instrument and row["quantity"]]
        times, prices = stop_curve(stops.get(instrument, ()), held, bars[0].start_ns, bars[-1].end_ns)
        if times:
            found.append(line_series(STOP, chart_times(times), prices, "warn", dashed=True))
    return found


def strategy_report(
    content: dict[str, Any], charts: Sequence[ReportChart] = (), trading: Sequence[ChartSeries] = ()
) -> Report:
    """Return the report: `charts` of what the strategy watches, then candles of its premium with its Supertrend in two
    colours, the moment of entry and, of a single leg, `trading`: its fills and its stop."""
    from mytrading.reports.document import VERSION, ChartLine, Report, ReportSection

    name, rows = content["strategy"], content["bars"]
    sections = [ReportSection("", list(charts))] if charts else []
    if rows:
        before = [row["start_ns"] // _MS for row in rows if row["start_ns"] <= content["entered_ns"]]
        entered = before[-1] if before else None
        lines = [] if entered is None else [ChartLine("x", entered, "entry")]
        what = "combined premium" if len(content["legs"]) > 1 else content["legs"][0]["instrument"]
        chart = candle_chart(rows, "premium", lines)
        sections.append(ReportSection(what, [replace(chart, series=[*chart.series, *trading])]))
    legs = ", ".join(f"{leg['quantity']:+d} {leg['instrument']} at {leg['price']:,.2f}" for leg in content["legs"])
    trend = f", Supertrend {content['period']}, {content['multiplier']:g}" if content["period"] else ""
    rule = f"{content['timeframe']} bars{trend}"
    closed = "" if content["open"] or not legs else "; closed"
    subtitle = f"{legs}{'; ' if legs else ''}{rule}{closed}. Minutes without a bar of every leg are left out."
    return Report(version=VERSION, kind="chart", title=name, subtitle=subtitle, sections=sections)


def candle_chart(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    lines: Sequence[ChartLine] = (),
    overlays: Sequence[StrategyOverlay] = (),
) -> ReportChart:
    """Return candles of rows (as of `supertrend_rows`) with volume, Supertrend and what strategies add; the first view
    shows the newest candles."""
    import numpy as np

    from mytrading.reports import charts
    from mytrading.reports.document import ChartPanel, ReportChart

    starts = np.array([row["start_ns"] for row in rows], dtype=np.int64)
    table = np.array([[row[key] for row in rows] for key in ("open", "high", "low", "close", "volume")], dtype=float)
    at = charts.chart_times(starts)
    candles = charts.Candles(starts, table[0], table[1], table[2], table[3], table[4], 0)
    panels = [ChartPanel("price", "price", 0.75)]
    series = charts.candle_series(candles, name)
    if any(row["line"] is not None for row in rows):
        series += charts.trend_series(rows, at)
    if table[4].any():
        panels.append(ChartPanel("volume", "integer", 0.15))
        series += charts.candle_series(candles, name, volume_panel=1)[1:]
    span = int(np.min(np.diff(starts))) if len(starts) > 1 else 0
    for overlay in overlays:
        series += [*overlay.on_price, *overlay.trading]
        for title, curves in overlay.panels.items():
            panels.append(ChartPanel(title, "number", 0.2))
            series += [replace(one, panel=len(panels) - 1) for one in curves]
    first = (float(at[-_FIRST]), float(at[-1] + span // _MS)) if len(at) > _FIRST else None
    return ReportChart(
        panels=panels, series=series, lines=lines, height=560 + 90 * (len(panels) - 1), ranges=True, first=first,
        **charts.closed_times(starts, starts + span),
    )  # fmt: skip


# of an instrument
def chart(
    symbol: str = typer.Argument(..., help="EXCHANGE:SYMBOL, or a short name of config/symbols.toml."),
    timeframe: str = typer.Option("1m", "--timeframe", "-t", help=", ".join(TIMEFRAMES)),
    period: int = typer.Option(7, "--period", min=1, help="Setting of the Supertrend."),
    multiplier: float = typer.Option(3.0, "--multiplier", min=0.1, help="Setting of the Supertrend."),
    out: str = typer.Option("", "--out", "-o", metavar="FILE", help="The page; default: runs/charts/SYMBOL.html."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Draw the newest bars of an index, share, future or option: candles, volume, Supertrend, and strategies' views.

    Strategies that watch it add their indicators, those that trade it their fills and stops.
    """
    _check_timeframe(timeframe)
    from mytrading.cli.shell.target import resolve_symbol

    with find_stack(profile) as found:
        instrument = resolve_symbol(symbol, found.config.home)
        now = int(found.ask(StatusQuery())["market_ns"])
        bars = stored_bars(found.config, instrument, timeframe, now)
        overlays = [] if as_json else _overlays(found, instrument)
    if not bars:
        cure = f"by a strategy or by ENABLED_SYMBOLS; past bars come by `mytrading history fetch {symbol}`"
        fail(USAGE, f"expected stored {timeframe} bars of {instrument}, found none: it must be watched, {cure}")
    rows = supertrend_rows(bars, period, multiplier)
    rule = {"timeframe": timeframe, "period": period, "multiplier": multiplier}
    content = {"instrument": instrument, **rule, "bars": rows}
    if as_json:
        print_json(content)
        return
    path = _written(symbol_report(content, overlays), out, instrument.partition(":")[2])
    print(f"{path}: {len(rows)} bars, last {rows[-1]['close']:,.2f}, Supertrend {rows[-1]['signal']}")


def _overlays(stack: TradingOrchestrator, instrument: str) -> list[StrategyOverlay]:
    """Return the additions of all strategies that watch or trade an instrument."""
    from mytrading.cli.research.stop_history import stop_history

    config, found = stack.config, []
    minutes = _stored_minutes(config, (instrument,))[instrument]
    for run in config.strategies:
        body = stack.ask(StrategyQuery(strategy=run.name, limit=0))
        watched = instrument in run.symbols
        if watched or any(row["instrument"] == instrument for row in (*body["positions"], *body["trades"])):
            stops = stop_history(config, run.name)
            drawn = run if watched else None  # its indicators are of what it watches
            found.append(strategy_overlay(config, drawn, body, instrument, minutes, stops))
    return found


def stored_bars(config: RunConfig, instrument: str, timeframe: str, now: int) -> list[Bar]:
    """Return the newest stored bars of an instrument, oldest first, aggregated from minutes; `now` is market ns."""
    from mytrading.cli.shell.target import load_calendar

    minutes = _stored_minutes(config, (instrument,))[instrument]
    return aggregate(minutes, timeframe, load_calendar(config.home), now)


def symbol_chart(content: dict[str, Any], overlays: Sequence[StrategyOverlay] = ()) -> ReportChart:
    """Return candles of an instrument with volume, the Supertrend in two colours, and what strategies add."""
    return replace(candle_chart(content["bars"], "price", (), overlays), title=content["instrument"])


def symbol_report(content: dict[str, Any], overlays: Sequence[StrategyOverlay] = ()) -> Report:
    """Return the report of an instrument's bars; `content` is what `chart --json` prints."""
    from mytrading.reports.document import VERSION, Report, ReportSection

    rule = f"{content['timeframe']} bars as the feed stored them, Supertrend {content['period']}"
    with_strategies = f"; with {', '.join(one.strategy for one in overlays)}" if overlays else ""
    subtitle = f"{rule}, {content['multiplier']:g}{with_strategies}. Minutes without a stored bar are left out."
    sections = [ReportSection("", [symbol_chart(content, overlays)])]
    return Report(version=VERSION, kind="chart", title=content["instrument"], subtitle=subtitle, sections=sections)
