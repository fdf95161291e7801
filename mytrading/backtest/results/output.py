"""Results as files and numbers: metrics, `trades.csv`, `metrics.json`, and the object that `--json` ends with.

Used by `mytrading backtest` and the report. The one rule: every figure comes from the ledger or the equity curve.
"""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mytrading.backtest.option_loop import Priced
from mytrading.backtest.option_setup import described
from mytrading.backtest.runner import Result
from mytrading.core.calendar import day_of
from mytrading.core.money import performance

TRADE_COLUMNS = (
    "entry_time", "exit_time", "instrument", "strategy", "side", "quantity", "entry_price", "exit_price", "gross",
    "costs", "net", "leg",
)  # fmt: skip


def ist(ns: int) -> str:
    """A time in India, ISO with its zone."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)
    return (moment + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%d %H:%M:%S") + "+05:30"


def daily_returns(result: Result) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The simple return of each day with data."""
    equity = np.concatenate(([result.spec.capital], result.curve.daily()[1]))
    return np.asarray(np.diff(equity) / equity[:-1])


def metrics(result: Result) -> dict[str, float]:
    """Ratios of daily returns, figures of the round trips, and the share of bars with a position."""
    net = np.array([trade.net for trade in result.ledger.trades])
    exposure = result.curve.exposure
    return {
        **performance.of_returns(daily_returns(result)),
        **performance.of_trades(net),
        "exposure": float(np.mean(exposure > 0)) if len(exposure) else math.nan,
        "days": float(len(result.curve.daily()[0])),
    }


def open_positions(result: Result) -> dict[str, int]:
    """Signed units by instrument that are held at the end."""
    units: dict[str, int] = {}
    for fill in result.ledger.fills:
        units[fill.instrument] = units.get(fill.instrument, 0) + fill.units
    return {name: held for name, held in units.items() if held}


def summary(result: Result) -> dict[str, Any]:
    """The object that `--json` ends with."""
    ledger, spec = result.ledger, result.spec
    net = result.gross - ledger.costs
    spans = [(int(columns.start_ns[0]), int(columns.start_ns[-1])) for columns in spec.data]
    return {
        "strategy": spec.run.name,
        "instruments": list(spec.run.symbols),
        "timeframe": spec.run.timeframes[0],
        "from": day_of(min(span[0] for span in spans)).isoformat(),
        "to": day_of(max(span[1] for span in spans)).isoformat(),
        "bars": result.bars,
        "seconds": round(result.seconds, 6),
        "bars_per_second": round(result.bars / result.seconds) if result.seconds else 0,
        "trades": len(ledger.trades),
        "fills": len(ledger.fills),
        "trade_hash": ledger.hash(),
        "capital": spec.capital,
        "pnl": {"gross": round(result.gross, 2), "net": round(net, 2)},
        "costs": round(ledger.costs, 2),
        "metrics": {name: _plain(value) for name, value in metrics(result).items()},
        "events": dict(sorted(ledger.counts.items())),
        "open": open_positions(result),
        "parameters": dict(spec.run.parameters),
        "fault": f"{result.fault.error} ({result.fault.where})" if result.fault is not None else "",
        "options": options_of(result),
    }


def options_of(result: Result) -> dict[str, Any] | None:
    """Where the prices of contracts are from, None of a run that trades none."""
    if result.priced is None or result.spec.options is None:
        return None
    return {
        "bars": {name: round(share, 6) for name, share in result.priced.shares().items()},
        "fills": result.priced.fills,
        "gaps": dict(sorted(result.priced.gaps.items())),
        "quotes": _quotes_of(result.priced),
        "contracts": len(result.priced.columns),
        "surface": described(result.spec.options),
    }


def _quotes_of(priced: Priced) -> dict[str, Any]:
    """How many bars and fills met a recorded bid and ask, and bars without one of contracts that have them."""
    counts = priced.quotes
    return {"bars": counts.bars, "fills": counts.fills, "missing": dict(sorted(counts.missing.items()))}


def options_line(found: dict[str, Any]) -> str:
    """The same in one sentence."""
    shares = ", ".join(f"{share:.1%} {name}" for name, share in found["bars"].items())
    fills = ", ".join(f"{count} {name}" for name, count in sorted(found["fills"].items())) or "none"
    said = f"prices of {found['contracts']} contracts while held or ordered: {shares}; fills: {fills}"
    if gaps := found["gaps"]:
        worst = max(gaps, key=lambda name: gaps[name])
        said += (
            f"; {sum(gaps.values()):,} of these bars lie in gaps of what was recorded and were not, most of {worst} "
            f"({gaps[worst]:,})"
        )
    quotes, total = found["quotes"], sum(found["fills"].values())
    if quotes["bars"] or quotes["missing"]:
        said += f"; {quotes['fills']} of {total} fills met a recorded bid and ask"
    if missing := quotes["missing"]:
        worst = max(missing, key=lambda name: missing[name])
        said += (
            f"; {sum(missing.values()):,} recorded bars had none that could be believed (missing, 0 or crossed), most "
            f"of {worst} ({missing[worst]:,})"
        )
    return said


def _plain(value: float) -> float | None:
    return round(value, 10) if math.isfinite(value) else None


def write_files(result: Result, folder: Path) -> None:
    """`trades.csv` and `metrics.json` in a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "trades.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(TRADE_COLUMNS)
        writer.writerows(_row(trade) for trade in result.ledger.trades)
    body = json.dumps(summary(result), indent=2, ensure_ascii=False)
    (folder / "metrics.json").write_text(body + "\n", encoding="utf-8")


def _row(trade: Any) -> list[Any]:
    prices = (f"{trade.entry_price:.4f}", f"{trade.exit_price:.4f}")
    money = (f"{value:.2f}" for value in (trade.gross, trade.costs, trade.net))
    where = (trade.instrument, trade.strategy, trade.side, trade.quantity)
    return [ist(trade.entry_ns), ist(trade.exit_ns), *where, *prices, *money, trade.leg or ""]
