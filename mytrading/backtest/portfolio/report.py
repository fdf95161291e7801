"""The report of several strategies over one capital: the page of the whole, and a folder with that of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from mytrading.backtest.portfolio.runs import PortfolioResult, portfolio_summary
from mytrading.backtest.results import output
from mytrading.backtest.results.report import build_report, times_without_bars, write_report
from mytrading.reports import charts
from mytrading.reports.charts import chart_times, chart_values
from mytrading.reports.document import Cell, ChartPanel, ReportChart, ReportSection, ReportTable, TableColumn
from mytrading.reports.page import write_report_files


def write_portfolio(found: PortfolioResult, notes: Sequence[str], folder: Path) -> None:
    """Write the report, `trades.csv` and `metrics.json` of the whole, and a folder with those of each strategy."""
    output.write_files(found.whole, folder)
    for part in found.parts:
        inner = folder / part.spec.run.name
        output.write_files(part, inner)
        write_report(part, notes, inner / "report.html")
    whole = build_report(found.whole, notes)
    sections = [
        ReportSection("Strategies", [strategy_table(found), profit_chart(found)]),
        ReportSection("Correlations of daily profits", [correlation_table(found)]),
        *whole.sections,
    ]
    write_report_files(replace(whole, sections=sections), folder / "report.html")


def profit_chart(found: PortfolioResult) -> ReportChart:
    """Chart each strategy's profit over time."""
    rows = charts.sample_row_numbers(len(found.whole.curve.end_ns))
    at = chart_times(found.whole.curve.end_ns[rows])
    series = [
        charts.line_series(part.spec.run.name, at, chart_values(part.curve.equity[rows] - part.spec.capital, 2))
        for part in found.parts
    ]
    panels = [ChartPanel("profit", "rupees")]
    return ReportChart(panels=panels, series=series, height=360, **times_without_bars(found.whole.spec.data))


def strategy_table(found: PortfolioResult) -> ReportTable:
    """Build the table of strategies with their shares of profit and risk."""
    rows: list[list[Cell]] = [
        [
            one["strategy"], one["trades"], one["pnl"]["net"], one["costs"], one["profit_share"], one["risk_share"],
            one["metrics"]["sharpe"], one["metrics"]["max_drawdown_bars"],
        ]
        for one in portfolio_summary(found)["strategies"]
    ]  # fmt: skip
    columns = (
        TableColumn("Strategy"), TableColumn("Trades", "integer"), TableColumn("Net", "rupees", signed=True),
        TableColumn("Costs", "rupees"), TableColumn("Of profit", "percent", 1), TableColumn("Of risk", "percent", 1),
        TableColumn("Sharpe", "number", 2), TableColumn("Max drawdown", "percent", signed=True),
    )  # fmt: skip
    return ReportTable(columns, rows)


def correlation_table(found: PortfolioResult) -> ReportTable:
    """Build the table of correlations of the strategies' daily profits."""
    names = [part.spec.run.name for part in found.parts]
    rows: list[list[Cell]] = [
        [name, *("–" if math.isnan(value) else round(value, 4) for value in row.tolist())]
        for name, row in zip(names, found.correlations, strict=True)
    ]
    return ReportTable((TableColumn("Strategy"), *(TableColumn(name, "number", 2) for name in names)), rows)
