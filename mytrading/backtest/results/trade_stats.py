"""Figures of trades, runs and days: excursions, streaks, holding times, drawdowns, benchmark, profit by day.

Money is rupees, times are ns UTC, days are numbers since 1970-01-01 in India. A figure that a run cannot give is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.run import RunResult
from mytrading.core.time import DAY, IST_OFFSET, SECOND

Floats = NDArray[np.float64]
_NAN = float("nan")


class DrawdownSpell(NamedTuple):
    """A time below an earlier peak of equity. `depth` is −0.02 for 2 %; `recovered_ns` is 0 if it never recovered."""

    peak_ns: int
    trough_ns: int
    recovered_ns: int
    end_ns: int
    """The recovery, or the end of the data."""
    depth: float
    rupees: float

    @property
    def days(self) -> float:
        """Calendar days from the peak to the recovery, or to the end of the data."""
        return (self.end_ns - self.peak_ns) / DAY


class TradedRun(NamedTuple):
    """A strategy from its first entry after flat until flat: trades whose times overlap, by entry."""

    strategy: str
    opened_ns: int
    closed_ns: int
    trades: tuple[Trade, ...]

    @property
    def net(self) -> float:
        """Profit in rupees after costs."""
        return sum(trade.net for trade in self.trades)

    @property
    def costs(self) -> float:
        """Costs in rupees."""
        return sum(trade.costs for trade in self.trades)


class Excursions(NamedTuple):
    """By trade: the worst (0 or less) and best (0 or more) profit in rupees before costs while it was held."""

    adverse: Floats
    favourable: Floats


def trade_excursions(trades: Sequence[Trade], data: Mapping[str, Columns]) -> Excursions:
    """Return maximum adverse and favourable excursions by bars wholly between entry and exit, and by both prices; NaN
    of an instrument without bars. `data` are bars by instrument."""
    adverse, favourable = np.full(len(trades), _NAN), np.full(len(trades), _NAN)
    rows: dict[str, list[int]] = {}
    for number, trade in enumerate(trades):
        rows.setdefault(trade.instrument, []).append(number)
    for name, numbers in rows.items():
        columns = data.get(name)
        if columns is None or not len(columns):
            continue
        mine = [trades[number] for number in numbers]
        low, high = _price_range(mine, columns)
        entry = np.array([trade.entry_price for trade in mine])
        size = np.array([trade.quantity for trade in mine], dtype=np.float64)
        long = np.array([trade.side == "BUY" for trade in mine])
        adverse[numbers] = size * np.where(long, low - entry, entry - high)
        favourable[numbers] = size * np.where(long, high - entry, entry - low)
    return Excursions(adverse, favourable)


def _price_range(trades: Sequence[Trade], columns: Columns) -> tuple[Floats, Floats]:
    """The lowest and highest price of each trade's time."""
    first = np.searchsorted(columns.start_ns, [trade.entry_ns for trade in trades])
    after = np.searchsorted(columns.start_ns, [trade.exit_ns - columns.span_ns for trade in trades], side="right")
    prices = np.array([(trade.entry_price, trade.exit_price) for trade in trades])
    low, high = prices.min(axis=1), prices.max(axis=1)
    some = np.flatnonzero(after > first)
    if len(some):
        pairs = np.stack([first[some], after[some]], axis=1).ravel()
        # a last column, so that a trade may end with the data
        lows, highs = np.append(columns.table[2], math.inf), np.append(columns.table[1], -math.inf)
        low[some] = np.minimum(low[some], np.minimum.reduceat(lows, pairs)[::2])
        high[some] = np.maximum(high[some], np.maximum.reduceat(highs, pairs)[::2])
    return low, high


def bars_by_instrument(result: RunResult) -> dict[str, Columns]:
    """Return the bars of everything the run could trade: its data, and the contracts that were priced."""
    priced = result.priced.columns if result.priced is not None else ()
    return {columns.instrument: columns for columns in (*priced, *result.spec.data)}


def traded_runs(trades: Sequence[Trade]) -> list[TradedRun]:
    """Return the runs of trades, by their ends."""
    found: list[TradedRun] = []
    for strategy in dict.fromkeys(trade.strategy for trade in trades):
        mine = sorted((one for one in trades if one.strategy == strategy), key=lambda one: (one.entry_ns, one.exit_ns))
        group: list[Trade] = []
        end = 0
        for trade in mine:
            if group and trade.entry_ns >= end and trade.entry_ns > group[-1].entry_ns:
                found.append(TradedRun(strategy, group[0].entry_ns, end, tuple(group)))
                group = []
            group.append(trade)
            end = max(end, trade.exit_ns) if len(group) > 1 else trade.exit_ns
        if group:
            found.append(TradedRun(strategy, group[0].entry_ns, end, tuple(group)))
    return sorted(found, key=lambda run: (run.closed_ns, run.opened_ns))


def longest_streaks(net: Floats) -> tuple[int, int]:
    """Return the longest series of winning and of losing trades, in the order given; one of 0 ends both."""
    most = {1: 0, -1: 0}
    length, before = 0, 0
    for sign in np.sign(net).astype(int).tolist():
        length = length + 1 if sign == before else 1
        before = sign
        if sign:
            most[sign] = max(most[sign], length)
    return most[1], most[-1]


def drawdown_spells(end_ns: NDArray[np.int64], equity: Floats, capital: float, start_ns: int) -> list[DrawdownSpell]:
    """Return every time below the highest equity before, deepest first. The first peak is `capital` at `start_ns`."""
    if not len(equity):
        return []
    values = np.concatenate(([capital], equity))
    at = np.concatenate(([start_ns], end_ns))
    peak = np.maximum.accumulate(values)
    below = values < peak
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    found = []
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        low = first + int(np.argmin(values[first:after]))
        recovered = int(at[after]) if after < len(at) else 0
        top = float(peak[first])
        fall = float(values[low]) - top
        found.append(
            DrawdownSpell(int(at[first - 1]), int(at[low]), recovered, recovered or int(at[-1]), fall / top, fall)
        )
    return sorted(found, key=lambda spell: spell.depth)


def run_drawdowns(result: RunResult) -> list[DrawdownSpell]:
    """Return the drawdowns of a run at closes of bars, deepest first."""
    curve = result.curve
    start = int(curve.start_ns[0]) if len(curve.start_ns) else 0
    return drawdown_spells(curve.end_ns, curve.equity, result.spec.capital, start)


def daily_profit(result: RunResult) -> tuple[NDArray[np.int64], Floats]:
    """Return the days with bars, and the change of equity in rupees on each."""
    days, equity = result.curve.daily()
    return days, np.diff(np.concatenate(([result.spec.capital], equity)))


def benchmark_equity(data: Sequence[Columns], capital: float, end_ns: NDArray[np.int64]) -> Floats:
    """Return the equity of buying every instrument for an equal part of the capital at its first open and holding it,
    without costs, at each of the times."""
    total = np.zeros(len(end_ns))
    for columns in data:
        row = np.searchsorted(columns.start_ns + columns.span_ns, end_ns, side="right") - 1
        first = float(columns.table[0, 0])
        worth = np.where(row >= 0, columns.close[np.maximum(row, 0)], first)
        total += worth / first / len(data)
    return np.asarray(capital * total)


def weekday_profit(result: RunResult) -> list[tuple[int, int, int, float, float]]:
    """Return a row for each weekday (0 is Monday) with bars: weekday, days, days with a profit, rupees, mean rupees."""
    days, profit = daily_profit(result)
    weekday = (days + 3) % 7
    return [
        (number, int(np.sum(mine)), int(np.sum(profit[mine] > 0)), float(np.sum(profit[mine])),
         float(np.mean(profit[mine])))
        for number in range(7)
        if (mine := weekday == number).any()
    ]  # fmt: skip


def trade_days(trades: Sequence[Trade]) -> NDArray[np.int64]:
    """Return the day in India on which each trade ended."""
    return (np.array([trade.exit_ns for trade in trades], dtype=np.int64) + IST_OFFSET - 1) // DAY


def activity_figures(result: RunResult) -> dict[str, float]:
    """Return figures of trades, runs and days by name, such as expectancy, SQN, streaks and excursions."""
    trades = result.ledger.trades
    net = np.array([trade.net for trade in trades])
    held = np.array([(trade.exit_ns - trade.entry_ns) / SECOND / 60 for trade in trades])
    runs = np.array([run.net for run in traded_runs(trades)])
    losses = net[net < 0]
    deviation = float(np.std(net, ddof=1)) if len(net) > 1 else 0.0
    wins_in_row, losses_in_row = longest_streaks(net)
    excursions = trade_excursions(trades, bars_by_instrument(result))
    spells = run_drawdowns(result)
    _, days = daily_profit(result)
    moved = days[days != 0]
    held_on = benchmark_equity(result.spec.data, 1.0, result.curve.end_ns)
    return {
        "expectancy": float(np.mean(net)) / -float(np.mean(losses)) if len(losses) else _NAN,
        "sqn": math.sqrt(len(net)) * float(np.mean(net)) / deviation if deviation else _NAN,
        "average_holding": float(np.mean(held)) if len(held) else _NAN,
        "longest_holding": float(np.max(held)) if len(held) else _NAN,
        "longest_winning_streak": float(wins_in_row),
        "longest_losing_streak": float(losses_in_row),
        "average_mae": _mean(excursions.adverse),
        "average_mfe": _mean(excursions.favourable),
        "longest_drawdown": max((spell.days for spell in spells), default=0.0),
        "runs": float(len(runs)),
        "run_win_rate": float(np.mean(runs > 0)) if len(runs) else _NAN,
        "win_days": float(np.mean(moved > 0)) if len(moved) else _NAN,
        "best_day": float(np.max(days)) if len(days) else _NAN,
        "worst_day": float(np.min(days)) if len(days) else _NAN,
        "benchmark_return": float(held_on[-1]) - 1.0 if len(held_on) else _NAN,
        "benchmark_max_drawdown": (
            float(np.min(held_on / np.maximum.accumulate(np.maximum(held_on, 1.0)) - 1.0)) if len(held_on) else _NAN
        ),
    }


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.mean(known)) if len(known) else _NAN
