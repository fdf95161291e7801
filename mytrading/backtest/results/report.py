"""The report of a backtest: metrics, equity, trades on price, months, costs, events. Written by `backtest --report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plotly import graph_objects as go

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.results import output
from mytrading.backtest.results.output import daily_returns, iso_ist, open_positions, option_prices_text, summary
from mytrading.backtest.run import RunResult
from mytrading.reports import charts
from mytrading.reports.charts import BLUE, GREEN, GREY, RED, FillMark, figure_html
from mytrading.reports.page import Cell, Page, PageSection, PageTable, render_page, signed_cell, write_page

_ROWS = 500
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_report(result: RunResult, notes: Sequence[str], path: Path) -> None:
    """Write the HTML report of a run; on `OSError` an existing file stays as it was."""
    write_page(render_page(build_page(result, notes)), path)


def build_page(result: RunResult, notes: Sequence[str]) -> Page:
    """Build the HTML page of a backtest's results."""
    body = summary(result)
    sections = []
    if result.ledger.fills:
        closed = hours_without_bars(result.spec.data)
        prices = [figure_html(price_figure(result, one), closed) for one in result.spec.data]
        sections += [
            PageSection("Equity and drawdown", [figure_html(equity_figure(result), closed)]),
            PageSection("Trades on price", prices),
            PageSection("Months", [monthly_table(result)]),
            PageSection("Distribution", [figure_html(distribution_figure(result))]),
            PageSection("Exposure", [figure_html(exposure_figure(result), closed)]),
            PageSection("By strategy and instrument", share_tables(result)),
            PageSection("Costs", [figure_html(costs_figure(result))]),
        ]
    metrics = [output.metric_row(name, value) for name, value in body["metrics"].items()]
    sections += [
        PageSection("Metrics", [PageTable(("Metric", "Value", "Of"), metrics, words=(2,))]),
        PageSection("Stops", [stop_table(body["stops"])]),
        PageSection("Risk events", event_blocks(result)),
        *([PageSection("Prices of options", option_tables(body["options"]))] if body["options"] is not None else []),
        PageSection("Trades", trade_blocks(result)),
    ]
    money, figures = body["pnl"], body["metrics"]
    cards = {
        "Net profit": f"₹{money['net']:,.0f}",
        "Gross": f"₹{money['gross']:,.0f}",
        "Costs": f"₹{body['costs']:,.0f}",
        "Trades": f"{body['trades']:,}",
        "Return": output.format_metric("total_return", figures["total_return"]),
        "Max drawdown": output.format_metric("max_drawdown_bars", figures["max_drawdown_bars"]),
        "Sharpe": output.format_metric("sharpe", figures["sharpe"]),
        "Win rate": output.format_metric("win_rate", figures["win_rate"]),
    }
    parameters = ", ".join(f"{key}={value}" for key, value in body["parameters"].items()) or "none"
    return Page(
        title=f"{body['strategy']} {body['from']} to {body['to']}",
        heading=body["strategy"],
        subtitle=f"{', '.join(body['instruments'])}, {body['timeframe']} bars, {body['from']} to {body['to']}, "
        f"capital ₹{body['capital']:,.0f}; parameters: {parameters}; trade hash {body['trade_hash']}",
        cards=[(name, Cell(value)) for name, value in cards.items()],
        notes=_notes(result, body, notes),
        sections=sections,
    )


def _notes(result: RunResult, body: dict[str, Any], notes: Sequence[str]) -> list[str]:
    shown = [*notes, *output.stand_in_notes(result)]
    if body["options"] is not None:
        shown.append(option_prices_text(body["options"]))
    shown += [f"still open at the end: {units:+d} {name}" for name, units in open_positions(result).items()]
    if body["fault"]:
        shown.append(f"the strategy stopped: {body['fault']}")
    return shown


def stop_table(stops: Sequence[dict[str, Any]]) -> PageTable:
    """Return the table of stops: whose, who holds it, and which setting put it where it lies."""
    rows = [[stop["position"], stop["text"]] for stop in stops]
    return PageTable(("Position", "Stop"), rows, words=(0, 1))


def hours_without_bars(data: Sequence[Columns]) -> list[dict[str, Any]]:
    """Return Plotly's range breaks for the hours and weekends without any bars."""
    starts = np.concatenate([columns.start_ns for columns in data])
    ends = np.concatenate([columns.start_ns + columns.span_ns for columns in data])
    return charts.closed_hour_breaks(starts, ends)


def equity_figure(result: RunResult) -> go.Figure:
    """Chart the equity and its drawdown."""
    curve = result.curve
    drawdown = output.bar_drawdowns(result)
    deepest = int(np.argmin(drawdown))  # shown however many bars there are: the card names it
    rows = np.union1d(charts.sample_row_numbers(len(curve.equity)), [deepest])
    at = charts.ist_labels(curve.end_ns[rows])
    figure = charts.line_chart(at, {"equity ₹": (curve.equity[rows].round(2).tolist(), BLUE)}, height=520)
    charts.add_filled_area(figure, at, (drawdown[rows] * 100).round(4).tolist(), "drawdown %", RED, axis="y2")
    figure.update_layout(yaxis={"domain": [0.35, 1], "title": "₹"}, yaxis2={"domain": [0, 0.28], "title": "%"})
    return figure


def price_figure(result: RunResult, columns: Columns) -> go.Figure:
    """Chart an instrument's closes with its fills, and the fills of contracts on it at the instrument's price."""
    rows = charts.sample_row_numbers(len(columns))
    ends = columns.start_ns + columns.span_ns
    closes = columns.close[rows].tolist()
    figure = charts.price_chart(charts.ist_labels(ends[rows]), closes, "close", columns.instrument)
    data = {one.instrument for one in result.spec.data}
    own = [trade for trade in result.ledger.trades if trade.instrument == columns.instrument]
    contracts = [
        one for one in result.ledger.trades if one.instrument not in data and is_contract_on(one.instrument, columns)
    ]
    bought, sold = ([FillMark(at, price) for at, price, _, _ in _fills(own, side)] for side in ("BUY", "SELL"))
    charts.add_fills(figure, "", bought, sold)
    bought, sold = (
        [
            FillMark(
                at, float(columns.close[min(int(np.searchsorted(ends, ns)), len(ends) - 1)]), f"{name} at {price:,.2f}"
            )
            for at, price, name, ns in _fills(contracts, side)
        ]
        for side in ("BUY", "SELL")
    )
    charts.add_fills(figure, "contract", bought, sold)
    return figure


def is_contract_on(contract: str, columns: Columns) -> bool:
    """True if the instrument of these columns is the contract's underlying."""
    symbol, name = columns.instrument.rpartition(":")[2], contract.rpartition(":")[2]
    return name.startswith(symbol) and name[len(symbol) : len(symbol) + 1].isdigit()


def _fills(trades: Sequence[Trade], side: str) -> list[tuple[str, float, str, int]]:
    """Time (text), price, instrument and time (ns) of what was bought or sold, thinned."""
    shown = [trades[row] for row in charts.sample_row_numbers(len(trades), charts.POINTS // 2)] if trades else []
    found = [(trade.entry_ns, trade.entry_price, trade.instrument) for trade in shown if trade.side == side]
    found += [(trade.exit_ns, trade.exit_price, trade.instrument) for trade in shown if trade.side != side]
    at = charts.ist_labels(np.array([ns for ns, _, _ in found], dtype=np.int64))
    return [(text, price, name, ns) for text, (ns, price, name) in zip(at, found, strict=True)]


def distribution_figure(result: RunResult) -> go.Figure:
    """Chart the distributions of trade results and daily results."""
    figure = go.Figure()
    net = [round(trade.net, 2) for trade in result.ledger.trades]
    figure.add_histogram(x=net, nbinsx=60, name="trades, ₹", marker={"color": BLUE})
    returns = (daily_returns(result) * 100).round(4).tolist()
    figure.add_histogram(x=returns, nbinsx=60, name="days, %", marker={"color": GREY}, xaxis="x2", yaxis="y2")
    figure.update_layout(
        height=360,
        xaxis={"domain": [0, 0.47], "title": "₹ a trade, after costs"},
        xaxis2={"domain": [0.53, 1], "title": "% a day", "anchor": "y2"},
        yaxis2={"anchor": "x2"},
    )
    return figure


def exposure_figure(result: RunResult) -> go.Figure:
    """Chart the rupees of open positions over time."""
    rows = charts.sample_row_numbers(len(result.curve.exposure))
    figure = go.Figure(layout={"height": 280})
    at = charts.ist_labels(result.curve.end_ns[rows])
    charts.add_filled_area(figure, at, result.curve.exposure[rows].round(0).tolist(), "held ₹", BLUE)
    return figure


def costs_figure(result: RunResult) -> go.Figure:
    """Chart cumulative gross profit, costs and net profit of the closed trades."""
    trades = result.ledger.trades
    rows = charts.sample_row_numbers(len(trades)) if trades else np.empty(0, dtype=np.int64)
    costs = np.cumsum([trade.costs for trade in trades])
    gross = np.cumsum([trade.gross for trade in trades])
    at = charts.ist_labels(np.array([trades[row].exit_ns for row in rows], dtype=np.int64))
    curves = {"gross ₹": (gross, GREEN), "costs ₹": (costs, RED), "net ₹": (gross - costs, BLUE)}
    return charts.line_chart(
        at, {name: (values[rows].round(2).tolist(), colour) for name, (values, colour) in curves.items()}, height=320
    )


def monthly_table(result: RunResult) -> PageTable:
    """Build the table of returns by month and year."""
    days, _ = result.curve.daily()
    months: dict[tuple[int, int], float] = {}
    for day, factor in zip(days.tolist(), (1.0 + daily_returns(result)).tolist(), strict=True):
        date = np.datetime64(day, "D").astype(object)
        key = (date.year, date.month)
        months[key] = months.get(key, 1.0) * factor
    rows: list[list[str | Cell]] = []
    for year in sorted({year for year, _ in months}):
        cells = [months.get((year, month)) for month in range(1, 13)]
        whole = float(np.prod([cell for cell in cells if cell is not None]))
        shown = [signed_cell(cell - 1, f"{cell - 1:.2%}") if cell is not None else "" for cell in cells]
        rows.append([str(year), *shown, signed_cell(whole - 1, f"{whole - 1:.2%}")])
    return PageTable(("Year", *_MONTHS, "Year"), rows)


def option_tables(found: dict[str, Any]) -> list[PageTable | str]:
    """Build the tables of price sources and model parameters from the result of `option_price_sources`."""
    fills = found["fills"]
    rows = [[name, f"{share:.2%}", str(fills.get(name, 0))] for name, share in found["bars"].items()]
    rows += [["settled at expiry", "", str(fills["settled"])]] if "settled" in fills else []
    rows += [[f"gap in the record of {name}", f"{count:,} bars", ""] for name, count in found["gaps"].items()]
    quotes = found["quotes"]
    if quotes["bars"] or quotes["missing"]:
        rows.append(["with a recorded bid and ask", f"{quotes['bars']:,} bars", str(quotes["fills"])])
    rows += [[f"no bid and ask of {name}", f"{count:,} bars", ""] for name, count in quotes["missing"].items()]
    surface = [[name, "realised" if value is None else str(value)] for name, value in found["surface"].items()]
    return [
        PageTable(("Prices", "Bars while held or ordered", "Fills"), rows),
        *_calibration_table(found["calibration"]),
        PageTable(("Of the surface", ""), surface),
    ]


def _calibration_table(found: dict[str, Any] | None) -> list[PageTable]:
    """A table of each day's errors of prices off the underlying; none without bhavcopies of days in the data."""
    rows = []
    for day in found["days"] if found is not None else ():
        cells = []
        for moment in (day["open"], day["close"]):
            percent = moment and moment["atm_percent"]
            cells += [f"{moment['mean']:,.2f}", f"{moment['median']:,.2f}"] if moment else ["–", "–"]
            cells.append("–" if percent is None else f"{percent:+.1f}%")
        name = f"{day['day']} {day['underlying']}{', expiry' if day['expiry_day'] else ''}"
        rows.append(
            [name, f"{day['priced']}{', in sample' if day['in_sample'] else ''}", str(day["contracts"]), *cells]
        )
    heads = [f"{what}, {moment}" for moment in ("open", "close") for what in ("Mean error ₹", "Median ₹", "Straddle")]
    return [PageTable(("Day of a bhavcopy", "Priced", "Options", *heads), rows)] if rows else []


def share_tables(result: RunResult) -> list[PageTable]:
    """Build tables of trades, profit and costs by strategy, leg and instrument."""
    trades = sorted(result.ledger.trades, key=lambda one: (one.strategy, one.leg))
    legs = _shares([(f"{one.strategy} · leg {one.leg}", one) for one in trades if one.leg], "Strategy · leg")
    trades.sort(key=lambda one: (one.strategy, one.instrument))
    return legs + _shares([(f"{one.strategy} · {one.instrument}", one) for one in trades], "Strategy · instrument")


def _shares(trades: list[tuple[str, Trade]], of: str) -> list[PageTable]:
    """A table of sums by name, in the order of the names; none without trades."""
    sums: dict[str, list[float]] = {}
    for name, trade in trades:
        row = sums.setdefault(name, [0.0, 0.0, 0.0, 0.0])
        for place, value in enumerate((1.0, trade.net > 0, trade.gross, trade.costs)):
            row[place] += value
    rows: list[list[str | Cell]] = [
        [name, f"{count:.0f}", f"{won / count:.1%}", f"{gross:,.2f}", f"{costs:,.2f}",
         signed_cell(gross - costs, f"{gross - costs:,.2f}")]
        for name, (count, won, gross, costs) in sums.items()
    ]  # fmt: skip
    return [PageTable((of, "Trades", "Win rate", "Gross ₹", "Costs ₹", "Net ₹"), rows)] if rows else []


def event_blocks(result: RunResult) -> list[PageTable | str]:
    """Build the tables of denials, alerts and faults: the count of each code and the first texts."""
    if not result.ledger.counts:
        return ["Nothing was denied, and nothing went wrong."]
    counts = [[code, f"{count:,}"] for code, count in result.ledger.counts.items()]
    rows = [[iso_ist(one.at_ns), one.code, one.subject, one.text] for one in result.ledger.events[:_ROWS]]
    return [PageTable(("Code", "Count"), counts), PageTable(("When", "Code", "Of", "Why"), rows, words=(1, 2, 3))]


def trade_blocks(result: RunResult) -> list[PageTable | str]:
    """Build the table of the newest trades."""
    newest = result.ledger.trades[-_ROWS:]
    rows: list[list[str | Cell]] = [
        [iso_ist(one.entry_ns), iso_ist(one.exit_ns), one.instrument, one.side, f"{one.quantity:,}",
         f"{one.entry_price:,.2f}", f"{one.exit_price:,.2f}", signed_cell(one.net, f"{one.net:,.2f}")]
        for one in newest
    ]  # fmt: skip
    table = PageTable(("Entry", "Exit", "Instrument", "Side", "Quantity", "At", "Out at", "Net ₹"), rows)
    more = len(result.ledger.trades) - len(newest)
    return [f"The newest {len(newest)}; {more} more are in trades.csv.", table] if more else [table]
