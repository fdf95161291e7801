"""The report of a backtest: metrics, equity, trades on price, months, costs, events. Written by `backtest --report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.results import output
from mytrading.backtest.results.indicators import IndicatorCurve, by_function, indicator_curves
from mytrading.backtest.results.option_views import EntryPayoff, PositionGreeks, entry_payoffs, position_greeks
from mytrading.backtest.results.output import daily_returns, open_positions, option_prices_text, summary
from mytrading.backtest.results.trade_stats import (
    TradedRun,
    bars_by_instrument,
    benchmark_equity,
    daily_profit,
    run_drawdowns,
    trade_days,
    trade_excursions,
    traded_runs,
    weekday_profit,
)
from mytrading.backtest.run import RunResult
from mytrading.core.engine.contract_selection import RATE
from mytrading.core.options.payoff import profit
from mytrading.core.text.money import rupees
from mytrading.core.time import DAY, IST_OFFSET, MILLISECOND, SECOND, format_ist
from mytrading.reports import charts
from mytrading.reports.charts import FillMark, chart_times, chart_values
from mytrading.reports.document import (
    VERSION,
    Block,
    Cell,
    ChartLine,
    ChartPanel,
    ChartSeries,
    Colour,
    Report,
    ReportCard,
    ReportChart,
    ReportNote,
    ReportSection,
    ReportTable,
    ReportValue,
    TableColumn,
)
from mytrading.reports.page import write_report_files

_TRADES = 5000
_EVENTS = 500
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIRST_CANDLES, _FIRST_TRADES = 150, 4
_INDICATOR_PANELS = 3
_DRAWDOWNS = 10
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CHARGES = {
    "brokerage": "Brokerage", "stt": "STT", "exchange": "Exchange charges", "sebi": "SEBI turnover fee", "gst": "GST",
    "stamp": "Stamp duty",
}  # fmt: skip


def write_report(result: RunResult, notes: Sequence[str], page: Path) -> None:
    """Write the HTML page of a run's report and its `report.json`; on `OSError` existing files stay as they were."""
    write_report_files(build_report(result, notes), page)


def build_report(result: RunResult, notes: Sequence[str]) -> Report:
    """Build the report of a backtest's results."""
    body = summary(result)
    sections: list[ReportSection] = []
    if result.ledger.fills:
        sections += [
            ReportSection("Equity and drawdown", [equity_chart(result)]),
            ReportSection("Trades on price", [price_chart(result, one) for one in result.spec.data]),
            *option_sections(result),
            ReportSection("Days", [daily_chart(result), weekday_table(result), *day_blocks(result)]),
            ReportSection("Months", [monthly_table(result)]),
            ReportSection("Drawdowns", [drawdown_table(result)]),
            ReportSection("Distribution", distribution_charts(result)),
            ReportSection("Excursions of trades", [excursion_chart(result)]),
            ReportSection("Exposure", [exposure_chart(result)]),
            ReportSection("By strategy and instrument", share_tables(result)),
            ReportSection("Costs", [costs_chart(result), costs_table(body["costs_by_kind"])]),
        ]
    metrics = [output.metric_cells(name, value) for name, value in body["metrics"].items()]
    options = body["options"]
    sections += [
        ReportSection("Metrics", [metrics_table(("Metric", "Value", "Meaning"), metrics)]),
        ReportSection("Stops", [stop_table(body["stops"])]),
        ReportSection("Risk events", event_blocks(result)),
        *([ReportSection("Prices of options", option_tables(options))] if options is not None else []),
        ReportSection("Trades", trade_blocks(result)),
    ]
    parameters = ", ".join(f"{key}={value}" for key, value in body["parameters"].items()) or "none"
    return Report(
        version=VERSION,
        kind="backtest",
        title=f"{body['strategy']} {body['from']} to {body['to']}",
        heading=body["strategy"],
        subtitle=f"{', '.join(body['instruments'])}, {body['timeframe']} bars, {body['from']} to {body['to']}, "
        f"capital {rupees(body['capital'])}; parameters: {parameters}; trade hash {body['trade_hash']}",
        cards=report_cards(body),
        notes=_notes(result, body, notes),
        sections=sections,
    )


def report_cards(body: dict[str, Any]) -> list[ReportCard]:
    """Build the figures at the head of the report from the run's `summary`."""
    money, figures = body["pnl"], body["metrics"]
    cards = [
        ReportCard("Net profit", ReportValue(money["net"], "rupees", 0, output.tone_of(money["net"]))),
        ReportCard("Gross", ReportValue(money["gross"], "rupees", 0)),
        ReportCard("Costs", ReportValue(body["costs"], "rupees", 0)),
        ReportCard("Trades", ReportValue(body["trades"], "integer")),
    ]
    named = (
        ("Return", "total_return"),
        ("Max drawdown", "max_drawdown_bars"),
        ("Sharpe", "sharpe"),
        ("Win rate", "win_rate"),
    )
    return cards + [ReportCard(label, output.metric_value(name, figures[name])) for label, name in named]


def _notes(result: RunResult, body: dict[str, Any], notes: Sequence[str]) -> list[str]:
    shown = [*notes, *output.stand_in_notes(result)]
    if body["options"] is not None:
        shown.append(option_prices_text(body["options"]))
    shown += [f"still open at the end: {units:+d} {name}" for name, units in open_positions(result).items()]
    if body["fault"]:
        shown.append(f"the strategy stopped: {body['fault']}")
    return shown


def metrics_table(names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> ReportTable:
    """Build a table of metrics: name, value, meaning."""
    return ReportTable(tuple(map(TableColumn, names)), rows)


def stop_table(stops: Sequence[dict[str, Any]]) -> ReportTable:
    """Build the table of stops: whose, who holds it, and which setting put it where it lies."""
    rows = [[stop["position"], stop["text"]] for stop in stops]
    return ReportTable((TableColumn("Position"), TableColumn("Stop")), rows)


def times_without_bars(data: Sequence[Columns]) -> dict[str, Any]:
    """Return the chart's hours of the day, weekends and other days (`closed_…`) of which no instrument has a bar."""
    starts = np.concatenate([columns.start_ns for columns in data])
    ends = np.concatenate([columns.start_ns + columns.span_ns for columns in data])
    return charts.closed_times(starts, ends)


def equity_chart(result: RunResult) -> ReportChart:
    """Chart the equity, that of buying and holding, and the drawdown."""
    curve = result.curve
    drawdown = output.bar_drawdowns(result)
    deepest = int(np.argmin(drawdown))  # shown however many bars there are: the card names it
    rows = np.union1d(charts.sample_row_numbers(len(curve.equity)), [deepest])
    at = chart_times(curve.end_ns[rows])
    held = benchmark_equity(result.spec.data, result.spec.capital, curve.end_ns[rows])
    series = [
        charts.line_series("equity", at, chart_values(curve.equity[rows], 2), "subject"),
        charts.line_series("buy and hold", at, chart_values(held, 2), "muted", dashed=True, hidden=True),
        charts.line_series("drawdown", at, chart_values(drawdown[rows], 6), "loss", draw="area", panel=1),
    ]
    panels = [ChartPanel("equity", "rupees", 0.65), ChartPanel("drawdown", "percent", 0.35)]
    return ReportChart(panels=panels, series=series, height=520, **times_without_bars(result.spec.data))


def price_chart(result: RunResult, columns: Columns) -> ReportChart:
    """Chart an instrument's candles with the strategy's indicators and its fills, those of contracts on it at the
    instrument's price; exits by a stop are crosses."""
    candles = charts.group_candles(columns.start_ns, columns.span_ns, columns.table)
    panels = [ChartPanel("price", "price", 0.7)]
    if candles.volume.any():
        panels.append(ChartPanel("volume", "integer", 0.12))
    series = charts.candle_series(candles, "price", volume_panel=1)
    curves = indicator_curves(result.spec.run, result.spec.strategy, columns, result.spec.calendar)
    series += [_curve(curve, 0) for curve in curves if curve.on_price]
    for name, mine in list(by_function(curves).items())[:_INDICATOR_PANELS]:
        panels.append(ChartPanel(name, "number", 0.18))
        series += [_curve(curve, len(panels) - 1) for curve in mine]
    ends = columns.start_ns + columns.span_ns
    data = {one.instrument for one in result.spec.data}
    trades = list(zip(result.ledger.trades, result.ledger.exit_words, strict=True))
    own = [pair for pair in trades if pair[0].instrument == columns.instrument]
    contracts = [
        pair for pair in trades if pair[0].instrument not in data and is_contract_on(pair[0].instrument, columns)
    ]
    series += _fill_series("", _marks(own))

    def on_underlying(mark: FillMark) -> FillMark:
        return mark._replace(price=float(columns.close[min(int(np.searchsorted(ends, mark.at_ns)), len(ends) - 1)]))

    marks = {word: [on_underlying(mark) for mark in found] for word, found in _marks(contracts).items()}
    series += _fill_series("contract", marks)
    first = _first_view(candles.start_ns, result.ledger.trades)
    title = f"{columns.instrument}, candles of {candle_text(candles.minutes)}"
    return ReportChart(
        title=title, panels=panels, series=series, height=480 + 80 * len(panels), ranges=True, first=first,
        **times_without_bars(result.spec.data),
    )  # fmt: skip


def _curve(curve: IndicatorCurve, panel: int) -> ChartSeries:
    rows = charts.sample_row_numbers(len(curve.start_ns)) if len(curve.start_ns) else np.empty(0, dtype=np.int64)
    values = chart_values(curve.values[rows], 4)
    return charts.line_series(curve.name, chart_times(curve.start_ns[rows]), values, panel=panel)


def _first_view(start_ns: NDArray[np.int64], trades: Sequence[Trade]) -> tuple[float, float] | None:
    """The newest candles back to a few trades, so that one can be seen; None if that is nearly all."""
    if len(start_ns) <= _FIRST_CANDLES or not trades:
        return None
    last = int(start_ns[-1])
    seen = sorted(trade.entry_ns for trade in trades)[-_FIRST_TRADES:][0]
    begin = min(int(start_ns[-_FIRST_CANDLES]), max(seen, int(start_ns[-4 * _FIRST_CANDLES :][0])))
    return begin / MILLISECOND, last / MILLISECOND


def candle_text(minutes: int) -> str:
    """Return the length of a candle as text, such as `15 minutes`."""
    whole = {60: "an hour", 120: "2 hours", 1440: "a day", 10080: "a week", 1: "a minute"}
    return whole.get(minutes) or f"{minutes} minutes"


def is_contract_on(contract: str, columns: Columns) -> bool:
    """True if the instrument of these columns is the contract's underlying."""
    symbol, name = columns.instrument.rpartition(":")[2], contract.rpartition(":")[2]
    return name.startswith(symbol) and name[len(symbol) : len(symbol) + 1].isdigit()


def _marks(trades: Sequence[tuple[Trade, str]]) -> dict[str, list[FillMark]]:
    """Return the marks of buys, sales and stops, thinned; each trade comes with the ledger's word for its exit."""
    found: dict[str, list[FillMark]] = {"bought": [], "sold": [], "stop": []}
    shown = [trades[row] for row in charts.sample_row_numbers(len(trades), charts.POINTS // 2)] if trades else []
    for trade, word in shown:
        what, long = f"{trade.quantity:,} {trade.instrument}", trade.side == "BUY"
        entry = f"entry of {what} at {trade.entry_price:,.2f}"
        found["bought" if long else "sold"].append(FillMark(trade.entry_ns, trade.entry_price, entry))
        leave = f"{word or 'exit'} of {what} at {trade.exit_price:,.2f}, {rupees(round(trade.net, 2))} net"
        side = "stop" if word == "stop" else "sold" if long else "bought"
        found[side].append(FillMark(trade.exit_ns, trade.exit_price, leave))
    return found


def _fill_series(name: str, marks: dict[str, list[FillMark]]) -> list[ChartSeries]:
    series = charts.fill_series(name, marks["bought"], marks["sold"])
    if stops := marks["stop"]:
        series.append(ChartSeries(
            name=f"{name} stopped".strip(), draw="marks", x=chart_times([mark.at_ns for mark in stops]),
            y=[round(mark.price, 4) for mark in stops], text=[mark.text for mark in stops], colour="warn",
            shape="cross",
        ))  # fmt: skip
    return series


def _midnight_ms(day: int) -> int:
    """Milliseconds since 1970 of the Indian midnight at which a day number begins."""
    return (day * DAY - IST_OFFSET) // MILLISECOND


def daily_chart(result: RunResult) -> ReportChart:
    """Chart the change of equity on each day, gains and losses in their colours."""
    days, profit = daily_profit(result)
    at = [_midnight_ms(day) for day in days.tolist()]
    series = ChartSeries(name="profit", draw="bars", x=at, y=chart_values(profit, 2), signed=True)
    return ReportChart(title="Profit by day", panels=[ChartPanel("", "rupees")], series=[series], height=300)


def day_blocks(result: RunResult) -> list[Block]:
    """Build the table of days on which a trade ended or equity moved."""
    trades = result.ledger.trades
    by_day: dict[int, list[Trade]] = {}
    for trade, day in zip(trades, trade_days(trades).tolist(), strict=True):
        by_day.setdefault(day, []).append(trade)
    days, profit = daily_profit(result)
    rows: list[list[Cell]] = []
    for day, change in zip(days.tolist(), profit.tolist(), strict=True):
        mine = by_day.get(day, [])
        if mine or change:
            won = sum(trade.net > 0 for trade in mine)
            costs = round(sum(trade.costs for trade in mine), 2)
            rows.append(
                [
                    (day * DAY - IST_OFFSET) // MILLISECOND,
                    len(mine),
                    won / len(mine) if mine else None,
                    costs,
                    round(change, 2),
                ]
            )
    columns = (
        TableColumn("Day", "date"), TableColumn("Trades ended", "integer"), TableColumn("Win rate", "percent", 1),
        TableColumn("Their costs", "rupees"), TableColumn("Change of equity", "rupees", signed=True),
    )  # fmt: skip
    return [ReportTable(columns, rows, "Days with a trade or a position")] if rows else []


def weekday_table(result: RunResult) -> ReportTable:
    """Build the table of profit by weekday."""
    rows: list[list[Cell]] = [
        [_WEEKDAYS[number], count, won / count, round(total, 2), round(mean, 2)]
        for number, count, won, total, mean in weekday_profit(result)
    ]
    columns = (
        TableColumn("Weekday"), TableColumn("Days", "integer"), TableColumn("Win days", "percent", 1),
        TableColumn("Profit", "rupees", signed=True), TableColumn("Mean of a day", "rupees", signed=True),
    )  # fmt: skip
    return ReportTable(columns, rows)


def drawdown_table(result: RunResult) -> ReportTable:
    """Build the table of the deepest drawdowns, at closes of bars."""
    rows: list[list[Cell]] = [
        [spell.depth, round(spell.rupees, 2), spell.peak_ns // MILLISECOND, spell.trough_ns // MILLISECOND,
         spell.recovered_ns // MILLISECOND if spell.recovered_ns else "not yet", round(spell.days, 1)]
        for spell in run_drawdowns(result)[:_DRAWDOWNS]
    ]  # fmt: skip
    columns = (
        TableColumn("Depth", "percent", signed=True), TableColumn("Rupees", "rupees", signed=True),
        TableColumn("Peak", "time"), TableColumn("Lowest", "time"), TableColumn("Recovered", "time"),
        TableColumn("Days", "number", 1),
    )  # fmt: skip
    return ReportTable(columns, rows)


def excursion_chart(result: RunResult) -> ReportChart:
    """Chart each trade's result against the worst it had seen (MAE) and, in the panel below, the best (MFE)."""
    trades = result.ledger.trades
    found = trade_excursions(trades, bars_by_instrument(result))
    rows = charts.sample_row_numbers(len(trades)) if trades else np.empty(0, dtype=np.int64)
    net = np.array([trade.net for trade in trades])[rows]
    text = [f"{trades[row].instrument} {rupees(round(trades[row].net, 2))} net" for row in rows.tolist()]
    series = []
    sides: tuple[tuple[str, Any, Colour, int], ...] = (
        ("MAE", found.adverse, "loss", 0), ("MFE", found.favourable, "gain", 1),
    )  # fmt: skip
    for name, values, colour, panel in sides:
        series.append(ChartSeries(
            name=name, draw="marks", x=chart_values(net, 2), y=chart_values(values[rows], 2), text=text,
            colour=colour, panel=panel, shape="circle", size=6,
        ))  # fmt: skip
    panels = [ChartPanel("worst moment (MAE)", "rupees"), ChartPanel("best moment (MFE)", "rupees")]
    return ReportChart(x="number", x_title="₹ net of the trade", panels=panels, series=series, height=460)


def costs_table(by_kind: dict[str, float]) -> ReportTable:
    """Build the table of costs by charge, from `costs_by_kind` of the run's summary."""
    total = sum(by_kind.values())
    rows: list[list[Cell]] = [
        [_CHARGES.get(kind, kind), amount, amount / total if total else None] for kind, amount in by_kind.items()
    ]
    return ReportTable(
        (TableColumn("Charge"), TableColumn("Rupees", "rupees"), TableColumn("Share", "percent", 1)), rows
    )


def option_sections(result: RunResult) -> list[ReportSection]:
    """Build what a run of options and futures adds: its runs, the greeks over time and the payoff at entry."""
    runs = traded_runs(result.ledger.trades)
    if all(len(run.trades) == 1 for run in runs):
        return []
    payoffs = [found for columns in result.spec.data for found in entry_payoffs(columns, result, runs)]
    sections = [ReportSection("Runs", [run_table(runs, payoffs)])]
    greeks = [
        greeks_chart(columns, found) for columns in result.spec.data if (found := position_greeks(columns, result))
    ]
    sections += [ReportSection("Greeks while held", greeks)] if greeks else []
    if payoffs:
        text = "At the first expiry of its legs, by the prices of its entry, before costs."
        sections.append(ReportSection("Payoff at entry", [ReportNote(text), payoff_chart(payoffs)]))
    return sections


def run_table(runs: Sequence[TradedRun], payoffs: Sequence[EntryPayoff]) -> ReportTable:
    """Build the table of runs, newest last, with what their legs could earn at entry."""
    known = {id(found.run): found for found in payoffs}
    rows: list[list[Cell]] = []
    for run in runs[-_TRADES:]:
        found = known.get(id(run))
        bounds = found.bounds if found is not None else None
        evens = ", ".join(f"{price:,.0f}" for price in bounds.breakevens) if bounds is not None else ""
        rows.append([
            run.opened_ns // MILLISECOND, (run.closed_ns - run.opened_ns) // SECOND, len(run.trades),
            found.spot if found is not None else None,
            None if bounds is None else round(-bounds.net, 2),
            *(["", ""] if bounds is None else [_bound(bounds.most), _bound(bounds.least)]), evens,
            round(run.costs, 2), round(run.net, 2),
        ])  # fmt: skip
    columns = (
        TableColumn("Opened", "time"), TableColumn("Held", "duration"), TableColumn("Trades", "integer"),
        TableColumn("Spot", "price"), TableColumn("Premium received", "rupees"), TableColumn("Max profit", "rupees"),
        TableColumn("Max loss", "rupees"), TableColumn("Breakevens"), TableColumn("Costs", "rupees"),
        TableColumn("Net", "rupees", signed=True),
    )  # fmt: skip
    return ReportTable(columns, rows)


def _bound(amount: float | None) -> Cell:
    return "without bound" if amount is None else round(amount, 2)


def greeks_chart(columns: Columns, found: PositionGreeks) -> ReportChart:
    """Chart delta, gamma, theta and vega of all that was held on an instrument; gaps where nothing was."""
    at = chart_times(found.at_ns)
    parts: tuple[tuple[str, Any, Any, int], ...] = (
        ("delta, units", found.delta, "number", 1), ("gamma, units a rupee", found.gamma, "number", 5),
        ("theta, ₹ a day", found.theta, "rupees", 2), ("vega, ₹ a point", found.vega, "rupees", 2),
    )  # fmt: skip
    series = [
        charts.line_series(name, at, chart_values(values, digits), draw="step", panel=panel)
        for panel, (name, values, _, digits) in enumerate(parts)
    ]
    panels = [ChartPanel(name.partition(",")[0], unit) for name, _, unit, _ in parts]
    return ReportChart(
        title=columns.instrument, panels=panels, series=series, height=640, **charts.closed_times(
            columns.start_ns, columns.start_ns + columns.span_ns)
    )  # fmt: skip


def payoff_chart(payoffs: Sequence[EntryPayoff]) -> ReportChart:
    """Chart the payoff of the newest, the best and the worst run by the underlying's move from its entry."""
    chosen = {"newest": payoffs[-1]}
    chosen["best"] = max(payoffs, key=lambda found: found.run.net)
    chosen["worst"] = min(payoffs, key=lambda found: found.run.net)
    series = []
    for name, found in chosen.items():
        strikes = [leg.strike / found.spot - 1 for leg in found.legs if leg.strike]
        reach = max([0.02, *(abs(move) * 1.5 for move in strikes)])
        moves = np.unique(np.concatenate([np.linspace(-reach, reach, 161), strikes]))
        values = [profit(found.legs, found.spot * (1 + move), RATE) for move in moves.tolist()]
        day = format_ist(found.run.opened_ns, "%Y-%m-%d")
        series.append(
            charts.line_series(
                f"{name}, {day}", chart_values(moves, 6), chart_values(values, 2), hidden=name != "newest"
            )
        )
    return ReportChart(
        x="number", x_unit="percent", x_title="move of the underlying", panels=[ChartPanel("profit", "rupees")],
        series=series, lines=[ChartLine("x", 0.0, "spot at entry")], height=380,
    )  # fmt: skip


def distribution_charts(result: RunResult) -> list[Block]:
    """Chart the distributions of trade results and daily results."""
    net = [round(trade.net, 2) for trade in result.ledger.trades]
    found: list[Block] = [charts.histogram_chart(net, "₹ a trade, after costs", "trades")] if net else []
    returns = daily_returns(result)
    return [*found, charts.histogram_chart(returns * 100, "% a day", "days")] if len(returns) else found


def exposure_chart(result: RunResult) -> ReportChart:
    """Chart the rupees of open positions over time."""
    rows = charts.sample_row_numbers(len(result.curve.exposure))
    at, held = chart_times(result.curve.end_ns[rows]), chart_values(result.curve.exposure[rows], 0)
    series = [charts.line_series("held", at, held, "subject", draw="area")]
    panels = [ChartPanel("held", "rupees")]
    return ReportChart(panels=panels, series=series, height=280, **times_without_bars(result.spec.data))


def costs_chart(result: RunResult) -> ReportChart:
    """Chart cumulative gross profit, costs and net profit of the closed trades."""
    trades = result.ledger.trades
    rows = charts.sample_row_numbers(len(trades)) if trades else np.empty(0, dtype=np.int64)
    costs = np.cumsum([trade.costs for trade in trades])
    gross = np.cumsum([trade.gross for trade in trades])
    at = chart_times([trades[row].exit_ns for row in rows])
    curves: tuple[tuple[str, Any, Colour], ...] = (
        ("gross", gross, "gain"), ("costs", costs, "loss"), ("net", gross - costs, "subject"),
    )  # fmt: skip
    series = [charts.line_series(name, at, chart_values(values[rows], 2), colour) for name, values, colour in curves]
    return ReportChart(panels=[ChartPanel("", "rupees")], series=series, height=320)


def monthly_table(result: RunResult) -> ReportTable:
    """Build the table of returns by month and year."""
    days, _ = result.curve.daily()
    months: dict[tuple[int, int], float] = {}
    for day, factor in zip(days.tolist(), (1.0 + daily_returns(result)).tolist(), strict=True):
        date = np.datetime64(day, "D").astype(object)
        key = (date.year, date.month)
        months[key] = months.get(key, 1.0) * factor
    rows: list[list[Cell]] = []
    for year in sorted({year for year, _ in months}):
        cells = [months.get((year, month)) for month in range(1, 13)]
        whole = float(np.prod([cell for cell in cells if cell is not None]))
        rows.append([str(year), *("" if cell is None else cell - 1 for cell in cells), whole - 1])
    heads = (*_MONTHS, "Year")
    return ReportTable((TableColumn("Year"), *(TableColumn(head, "percent", signed=True) for head in heads)), rows)


def option_tables(found: dict[str, Any]) -> list[Block]:
    """Build the tables of price sources and model parameters from the result of `option_price_sources`."""
    fills = found["fills"]
    rows: list[list[Cell]] = [
        [name, ReportValue(share, "percent"), fills.get(name, 0)] for name, share in found["bars"].items()
    ]
    rows += [["settled at expiry", "", fills["settled"]]] if "settled" in fills else []
    rows += [[f"gap in the record of {name}", f"{count:,} bars", ""] for name, count in found["gaps"].items()]
    quotes = found["quotes"]
    if quotes["bars"] or quotes["missing"]:
        rows.append(["with a recorded bid and ask", f"{quotes['bars']:,} bars", quotes["fills"]])
    rows += [[f"no bid and ask of {name}", f"{count:,} bars", ""] for name, count in quotes["missing"].items()]
    surface = [[name, "realised" if value is None else str(value)] for name, value in found["surface"].items()]
    heads = (TableColumn("Prices"), TableColumn("Bars while held or ordered"), TableColumn("Fills", "integer"))
    return [
        ReportTable(heads, rows),
        *_calibration_table(found["calibration"]),
        ReportTable((TableColumn("Of the surface"), TableColumn("Value")), surface),
    ]


def _calibration_table(found: dict[str, Any] | None) -> list[ReportTable]:
    """A table of each day's errors of prices off the underlying; none without bhavcopies of days in the data."""
    rows = []
    for day in found["days"] if found is not None else ():
        cells: list[Cell] = []
        for moment in (day["open"], day["close"]):
            percent = moment and moment["atm_percent"]
            cells += [moment["mean"], moment["median"]] if moment else [None, None]
            cells.append(None if percent is None else percent / 100)
        name = f"{day['day']} {day['underlying']}{', expiry' if day['expiry_day'] else ''}"
        priced = f"{day['priced']}{', in sample' if day['in_sample'] else ''}"
        rows.append([name, priced, day["contracts"], *cells])
    heads = [TableColumn("Day of a bhavcopy"), TableColumn("Priced"), TableColumn("Options", "integer")]
    for moment in ("open", "close"):
        heads += [TableColumn(f"Mean error, {moment}", "rupees"), TableColumn(f"Median, {moment}", "rupees")]
        heads.append(TableColumn(f"Straddle, {moment}", "percent", 1))
    return [ReportTable(tuple(heads), rows)] if rows else []


def share_tables(result: RunResult) -> list[Block]:
    """Build tables of trades, profit and costs by strategy, leg and instrument."""
    trades = sorted(result.ledger.trades, key=lambda one: (one.strategy, one.leg))
    legs = _shares([(f"{one.strategy} · leg {one.leg}", one) for one in trades if one.leg], "Strategy · leg")
    trades.sort(key=lambda one: (one.strategy, one.instrument))
    return [*legs, *_shares([(f"{one.strategy} · {one.instrument}", one) for one in trades], "Strategy · instrument")]


def _shares(trades: list[tuple[str, Trade]], of: str) -> list[ReportTable]:
    """A table of sums by name, in the order of the names; none without trades."""
    sums: dict[str, list[float]] = {}
    for name, trade in trades:
        row = sums.setdefault(name, [0.0, 0.0, 0.0, 0.0])
        for place, value in enumerate((1.0, trade.net > 0, trade.gross, trade.costs)):
            row[place] += value
    rows: list[list[Cell]] = [
        [name, int(count), won / count, round(gross, 2), round(costs, 2), round(gross - costs, 2)]
        for name, (count, won, gross, costs) in sums.items()
    ]
    columns = (
        TableColumn(of), TableColumn("Trades", "integer"), TableColumn("Win rate", "percent", 1),
        TableColumn("Gross", "rupees"), TableColumn("Costs", "rupees"), TableColumn("Net", "rupees", signed=True),
    )  # fmt: skip
    return [ReportTable(columns, rows)] if rows else []


def event_blocks(result: RunResult) -> list[Block]:
    """Build the tables of denials, alerts and faults: the count of each code and the first texts."""
    if not result.ledger.counts:
        return [ReportNote("Nothing was denied, and nothing went wrong.")]
    counts: list[list[Cell]] = [[code, count] for code, count in result.ledger.counts.items()]
    rows: list[list[Cell]] = [
        [one.at_ns // MILLISECOND, one.code, one.subject, one.text] for one in result.ledger.events[:_EVENTS]
    ]
    heads = (TableColumn("When", "time"), TableColumn("Code"), TableColumn("Of"), TableColumn("Why"))
    return [ReportTable((TableColumn("Code"), TableColumn("Count", "integer")), counts), ReportTable(heads, rows)]


TRADE_TABLE = (
    TableColumn("Entry", "time"), TableColumn("Exit", "time"), TableColumn("Held", "duration"),
    TableColumn("Instrument"), TableColumn("Side"), TableColumn("Quantity", "integer"), TableColumn("At", "price"),
    TableColumn("Out at", "price"), TableColumn("Ended by"), TableColumn("MAE", "rupees"), TableColumn("MFE", "rupees"),
    TableColumn("Costs", "rupees"), TableColumn("Net", "rupees", signed=True),
)  # fmt: skip


def trade_blocks(result: RunResult) -> list[Block]:
    """Build the table of the newest trades."""
    ledger = result.ledger
    newest = ledger.trades[-_TRADES:]
    adverse, favourable = trade_excursions(newest, bars_by_instrument(result))
    measured = zip(chart_values(adverse, 2), chart_values(favourable, 2), strict=True)
    rows = [
        [one.entry_ns // MILLISECOND, one.exit_ns // MILLISECOND, (one.exit_ns - one.entry_ns) // SECOND,
         one.instrument, one.side, one.quantity, round(one.entry_price, 4), round(one.exit_price, 4), word, worst, best,
         round(one.costs, 2), round(one.net, 2)]
        for one, word, (worst, best) in zip(newest, ledger.exit_words[-_TRADES:], measured, strict=True)
    ]  # fmt: skip
    table = ReportTable(TRADE_TABLE, rows)
    more = len(ledger.trades) - len(newest)
    return [ReportNote(f"The newest {len(newest):,}; {more:,} more are in trades.csv."), table] if more else [table]
