"""Could it have been luck: entries against random ones, and drawdowns of the same trades in other orders.

Figures for a report, nothing here fails a check. Both draw from a generator with a fixed seed. Random entries are as
many, as long and on the same side as the strategy's own, and inside a day where those were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.run import RunResult
from mytrading.core.indicators import FloatArray
from mytrading.core.time import DAY, IST_OFFSET

_SEED = 20_240_101
DRAWS = 1000
MOST_TRADES = 1000
LEAST_TRADES = 5


class Draws(NamedTuple):
    """A figure over so many trades: the strategy's own, and that of each draw."""

    trades: int
    own: float
    drawn: FloatArray

    @property
    def p_value(self) -> float:
        """Return the p-value: the share of random draws whose figure is at least the strategy's own."""
        return float((np.sum(self.drawn >= self.own) + 1) / (len(self.drawn) + 1))


def compare_random_entries(result: RunResult) -> Draws | None:
    """Compare the mean return of a trade (share of price, before costs) with that of random entries; None if too few
    trades are of instruments with bars."""
    data = {columns.instrument: columns for columns in result.spec.data}
    known = [trade for trade in result.ledger.trades if trade.entry_price > 0 and trade.instrument in data]
    trades = known[:MOST_TRADES]
    if len(trades) < LEAST_TRADES:
        return None
    draw = np.random.default_rng(_SEED)
    total, own = np.zeros(DRAWS), 0.0
    for trade in trades:
        columns = data[trade.instrument]
        sign = 1.0 if trade.side == "BUY" else -1.0
        own += sign * (trade.exit_price / trade.entry_price - 1.0)
        total += sign * _drawn(columns, trade, draw)
    return Draws(len(trades), own / len(trades), total / len(trades))


def _drawn(columns: Columns, trade: Trade, draw: np.random.Generator) -> FloatArray:
    """Returns of positions of the same length that begin at the open of random bars."""
    start, opens = columns.start_ns, columns.table[0]
    first, last = (int(np.searchsorted(start, at, "right")) - 1 for at in (trade.entry_ns, trade.exit_ns))
    held = max(1, last - first)
    room = len(start) - held
    if room <= 0:
        return np.zeros(DRAWS)
    rows: NDArray[np.int64] = np.arange(room)
    days = (start + IST_OFFSET) // DAY
    if days[first] == days[min(last, len(days) - 1)]:
        inside = rows[days[:room] == days[held:]]
        rows = inside if len(inside) else rows
    begin = rows[draw.integers(0, len(rows), DRAWS)]
    found: FloatArray = opens[begin + held] / opens[begin] - 1.0
    return found


def compare_reshuffled_trades(trades: Sequence[Trade]) -> Draws | None:
    """Compare the deepest drawdown (rupees) with that of the same trades reshuffled; None if there are too few."""
    net = np.array([trade.net for trade in trades])[-MOST_TRADES:]
    if len(net) < LEAST_TRADES:
        return None
    draw = np.random.default_rng(_SEED)
    return Draws(len(net), max_drawdown(net), np.array([max_drawdown(draw.permutation(net)) for _ in range(DRAWS)]))


def max_drawdown(net: FloatArray) -> float:
    """Return the deepest drawdown in rupees of a series of net results."""
    sums = np.concatenate(([0.0], np.cumsum(net)))
    return float(np.max(np.maximum.accumulate(sums) - sums))
