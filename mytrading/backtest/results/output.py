"""Results as files and numbers: metrics, `trades.csv`, `metrics.json`, and the object that `--json` ends with.

Every figure comes from the ledger or the equity curve.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mytrading.backtest.options import calibration
from mytrading.backtest.results.trade_stats import activity_figures
from mytrading.backtest.run import RunResult
from mytrading.core.accounting import performance
from mytrading.core.risk.pretrade.planned_stops import PlannedStop, planned_stops, stop_rules, stops_of_signals
from mytrading.core.time import format_ist, ist_date
from mytrading.reports.document import Cell, ReportValue, Tone, Unit

_OF = {
    "total_return": ("%", "of the capital, over all days"),
    "annual_return": ("%", "a year, compounded"),
    "annual_volatility": ("%", "a year"),
    "sharpe": ("", "ratio, of a year"),
    "sortino": ("", "ratio, of a year"),
    "max_drawdown_bars": ("%", "below the highest equity before, at closes of bars"),
    "max_drawdown": ("%", "below the highest equity before, at closes of days"),
    "calmar": ("", "ratio: annual return to max drawdown of daily closes"),
    "omega": ("", "ratio: gains to losses, of days"),
    "tail_ratio": ("", "ratio: 95th percentile of days to the 5th"),
    "value_at_risk": ("%", "of a day: one of twenty was worse"),
    "conditional_value_at_risk": ("%", "of a day: mean of the worst of twenty"),
    "downside_risk": ("%", "a year"),
    "stability": ("", "0 to 1: how straight equity grew or fell"),
    "win_rate": ("%", "of trades"),
    "profit_factor": ("", "ratio: gross profit to gross loss"),
    "average_trade": ("₹", "a trade, after costs"),
    "average_win": ("₹", "a winning trade"),
    "average_loss": ("₹", "a losing trade"),
    "best_trade": ("₹", "after costs"),
    "worst_trade": ("₹", "after costs"),
    "expectancy": ("", "ratio: average trade to the average loss"),
    "sqn": ("", "system quality number: √trades · mean of trades / their deviation"),
    "average_holding": ("min", "of a trade, nights included"),
    "longest_holding": ("min", "of a trade, nights included"),
    "longest_winning_streak": ("trades", "in a row with a profit"),
    "longest_losing_streak": ("trades", "in a row with a loss"),
    "average_mae": ("₹", "maximum adverse excursion: worst moment of a trade, before costs"),
    "average_mfe": ("₹", "maximum favourable excursion: best moment of a trade, before costs"),
    "longest_drawdown": ("days", "from a peak of equity to the next higher one"),
    "runs": ("trades", "from flat to flat over all legs of a strategy"),
    "run_win_rate": ("%", "of runs with a profit"),
    "win_days": ("%", "of days on which equity moved"),
    "best_day": ("₹", "change of equity on a day"),
    "worst_day": ("₹", "change of equity on a day"),
    "benchmark_return": ("%", "of buying at the first open and holding, before costs"),
    "benchmark_max_drawdown": ("%", "of the same, at closes of bars"),
    "exposure": ("%", "of bars with a position"),
    "days": ("days", "with bars"),
}
"""By name: the unit (empty of a ratio), and what the figure is of."""
NAMES = tuple(_OF)
_LABELS = {
    "max_drawdown_bars": "max drawdown", "max_drawdown": "max drawdown, daily closes", "sqn": "SQN",
    "average_mae": "average MAE", "average_mfe": "average MFE",
}  # fmt: skip


def format_metric(name: str, value: float | None) -> str:
    """Format a metric with its unit: `-2.68%`, `₹-85.20`, `0.233`, `79`; a dash where there is none."""
    unit, _ = _OF[name]
    if value is None or value != value:
        return "–"
    if unit == "%":
        return f"{value:.2%}"
    if unit == "₹":
        return f"₹{value:,.2f}"
    if unit == "min":
        hours, minutes = divmod(round(value), 60)
        return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min"
    return f"{value:,.0f}" if unit in ("days", "trades") else f"{value:,.3f}"


def describe_metric(name: str) -> str:
    """Return a short explanation of the metric with this name."""
    return _OF[name][1]


def metric_label(name: str) -> str:
    """Return a metric's name as people read it; the two drawdowns tell whether of bars' or days' closes."""
    return _LABELS.get(name) or name.replace("_", " ")


METRIC_COLUMNS = ("metric", "value", "meaning")
"""Columns of a table of metrics."""


def metric_rows(metrics: Mapping[str, float | None]) -> list[dict[str, str]]:
    """Return table rows (`METRIC_COLUMNS`) of the metrics that have a value: name, value with unit, explanation."""
    return [
        dict(zip(METRIC_COLUMNS, (metric_label(name), format_metric(name, value), describe_metric(name)), strict=True))
        for name, value in metrics.items()
        if value is not None
    ]


_UNITS: dict[str, Unit] = {
    "%": "percent", "₹": "rupees", "days": "integer", "trades": "integer", "min": "duration",
}  # fmt: skip


def metric_value(name: str, value: float | None) -> ReportValue:
    """Return a metric as a report holds it, with its unit."""
    unit = _UNITS.get(_OF[name][0], "number")
    return ReportValue(value * 60 if unit == "duration" and value is not None else value, unit)


def metric_cells(name: str, value: float | None) -> list[Cell]:
    """Return a report's row of a metric: its name, its value with unit, its explanation."""
    return [metric_label(name), metric_value(name, value), describe_metric(name)]


def tone_of(value: float) -> Tone:
    """Return the tone of a signed figure: good above 0, bad below, none at 0."""
    return "good" if value > 0 else "bad" if value < 0 else ""


TRADE_COLUMNS = (
    "entry_time", "exit_time", "instrument", "strategy", "side", "quantity", "entry_price", "exit_price", "gross",
    "costs", "net", "leg", "ended_by",
)  # fmt: skip


def iso_ist(ns: int) -> str:
    """Format a time (ns) as ISO in Indian time with its zone."""
    return format_ist(ns) + "+05:30"


def daily_returns(result: RunResult) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each day's simple return of equity (share of 1, not %), for days with data."""
    equity = np.concatenate(([result.spec.capital], result.curve.daily()[1]))
    return np.asarray(np.diff(equity) / equity[:-1])


def bar_drawdowns(result: RunResult) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the drawdown from the highest equity so far at the close of each bar (0 to −1)."""
    equity = result.curve.equity
    peak = np.maximum.accumulate(np.maximum(equity, result.spec.capital))
    return np.asarray(equity / peak - 1.0)


def metrics(result: RunResult) -> dict[str, float]:
    """Return the run's metrics by name: ratios of daily returns, trade figures, drawdown and exposure of bars."""
    net = np.array([trade.net for trade in result.ledger.trades])
    exposure = result.curve.exposure
    return {
        "max_drawdown_bars": float(np.min(bar_drawdowns(result))) if len(result.curve.equity) else math.nan,
        **performance.return_figures(daily_returns(result)),
        **performance.trade_figures(net),
        **activity_figures(result),
        "exposure": float(np.mean(exposure > 0)) if len(exposure) else math.nan,
        "days": float(len(result.curve.daily()[0])),
    }


def open_positions(result: RunResult) -> dict[str, int]:
    """Return the signed units by instrument that are held at the end of the run."""
    units: dict[str, int] = {}
    for fill in result.ledger.fills:
        units[fill.instrument] = units.get(fill.instrument, 0) + fill.units
    return {name: held for name, held in units.items() if held}


def summary(result: RunResult) -> dict[str, Any]:
    """Return the run's results as the object that `--json` prints last."""
    ledger, spec = result.ledger, result.spec
    net = result.gross - ledger.costs
    spans = [(int(columns.start_ns[0]), int(columns.start_ns[-1])) for columns in spec.data]
    return {
        "strategy": spec.run.name,
        "instruments": list(spec.run.symbols),
        "timeframe": spec.run.timeframes[0],
        "from": ist_date(min(span[0] for span in spans)).isoformat(),
        "to": ist_date(max(span[1] for span in spans)).isoformat(),
        "bars": result.bars,
        "seconds": round(result.seconds, 6),
        "bars_per_second": round(result.bars / result.seconds) if result.seconds else 0,
        "engine": result.engine,
        "engine_note": result.note,
        "trades": len(ledger.trades),
        "fills": len(ledger.fills),
        "trade_hash": ledger.trade_hash(),
        "capital": spec.capital,
        "pnl": {"gross": round(result.gross, 2), "net": round(net, 2)},
        "costs": round(ledger.costs, 2),
        "costs_by_kind": {kind: round(rupees, 2) for kind, rupees in ledger.costs_by_kind.items()},
        "metrics": {
            name: round(value, 10) if math.isfinite(value) else None for name, value in metrics(result).items()
        },
        "events": dict(sorted(ledger.counts.items())),
        "open": open_positions(result),
        "parameters": dict(spec.run.parameters),
        "stops": [
            {
                "position": stop.position,
                "holder": stop.holder,
                "level": stop.level,
                "origin": stop.origin,
                "text": stop.text,
            }
            for stop in stops_in_force(result)
        ],
        "fault": f"{result.fault.error} ({result.fault.where})" if result.fault is not None else "",
        "options": option_price_sources(result),
    }


_IS_OPTION = re.compile(r"\d(?:CE|PE)")


def stops_in_force(result: RunResult) -> list[PlannedStop]:
    """Return the stop of each leg of a plan, or of each kind of position that a class opened."""
    spec, ledger = result.spec, result.ledger
    rules = stop_rules(spec.run, spec.limits)
    if spec.run.plan is not None:
        return planned_stops(spec.run.plan, rules)
    given: dict[bool, set[bool]] = {}
    for name in {fill.instrument for fill in ledger.fills}:
        given.setdefault(_IS_OPTION.fullmatch(name[-3:]) is not None, set()).update(ledger.stops_given.get(name, ()))
    hedges = any(trade.leg and trade.side == "BUY" for trade in ledger.trades) and any(
        trade.leg and trade.side == "SELL" for trade in ledger.trades
    )
    options, others = (frozenset(given[kind]) if kind in given else None for kind in (True, False))
    return list(stops_of_signals(rules, options=options, others=others, hedges=hedges))


def option_price_sources(result: RunResult) -> dict[str, Any] | None:
    """Return where option prices came from, by name (shares of bars, fills, gaps …); None if the run trades none."""
    if result.priced is None or result.spec.options is None:
        return None
    counts = result.priced.quotes
    return {
        "bars": {name: round(share, 6) for name, share in result.priced.source_fractions().items()},
        "fills": result.priced.fills,
        "gaps": dict(sorted(result.priced.gaps.items())),
        "quotes": {"bars": counts.bars, "fills": counts.fills, "missing": dict(sorted(counts.missing.items()))},
        "contracts": len(result.priced.columns),
        "surface": result.spec.options.figures(),
        "calibration": calibration.summarize(result.priced.calibration),
    }


def stand_in_notes(result: RunResult) -> list[str]:
    """Return a note for each index that was traded as its future."""
    traded = {fill.instrument for fill in result.ledger.fills}
    return [
        f"{name} is traded as its nearest future, at the price of the index"
        for name in result.stand_ins
        if name in traded
    ]


def option_prices_text(found: dict[str, Any]) -> str:
    """Describe in a sentence where option prices came from; `found` is the result of `option_price_sources`."""
    shares = ", ".join(f"{share:.1%} {name}" for name, share in found["bars"].items())
    fills = ", ".join(f"{count} {name}" for name, count in sorted(found["fills"].items())) or "none"
    text = f"prices of {found['contracts']} contracts while held or ordered: {shares}; fills: {fills}"
    if gaps := found["gaps"]:
        worst = max(gaps, key=lambda name: gaps[name])
        text += (
            f"; {sum(gaps.values()):,} of these bars lie in gaps of what was recorded and were not, most of {worst} "
            f"({gaps[worst]:,})"
        )
    quotes, total = found["quotes"], sum(found["fills"].values())
    if quotes["bars"] or quotes["missing"]:
        text += f"; {quotes['fills']} of {total} fills met a recorded bid and ask"
    if missing := quotes["missing"]:
        worst = max(missing, key=lambda name: missing[name])
        text += (
            f"; {sum(missing.values()):,} recorded bars had none that could be believed (missing, 0 or crossed), most "
            f"of {worst} ({missing[worst]:,})"
        )
    return text if found["calibration"] is None else f"{text}; {calibration.describe(found['calibration'])}"


def write_files(result: RunResult, folder: Path) -> None:
    """Write `trades.csv` and `metrics.json` into `folder`, which is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "trades.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(TRADE_COLUMNS)
        for one, ended_by in zip(result.ledger.trades, result.ledger.exit_words, strict=True):
            prices = (f"{one.entry_price:.4f}", f"{one.exit_price:.4f}")
            money = (f"{value:.2f}" for value in (one.gross, one.costs, one.net))
            place = (one.instrument, one.strategy, one.side, one.quantity)
            rest = (*place, *prices, *money, one.leg or "", ended_by)
            writer.writerow([iso_ist(one.entry_ns), iso_ist(one.exit_ns), *rest])
    body = json.dumps(summary(result), indent=2, ensure_ascii=False)
    (folder / "metrics.json").write_text(body + "\n", encoding="utf-8")
