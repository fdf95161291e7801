"""The compiled walk of a screening: wishes of one instrument to fills, round trips and daily equity.

Used by `screen` and `mytrading check`. It follows the event engine where both can say the same: a wish fills at the
next bar's open, a turn closes and enters at one open, what was wished for at the last bar of a session enters nothing,
an exit that was wished for then goes out after the next session's first bar, and intraday positions are closed at the
square-off. It knows no stops, no margin and no limits: those are the event engine's. The one rule: a bar's numbers are
read at or after its own time only.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import FloatArray

ENTRY_OK, BEGINS, SQUARE_OFF, LATE = 1, 2, 4, 8
"""Marks of a bar: its close may lead to an entry; a session begins with it; intraday positions are closed at its open;
it comes so long after the bar before that an entry which waits for an exit has expired."""

FIGURES = ("net", "trades", "wins", "gained", "lost", "best", "worst", "bars_held", "costs")


@numba.njit(cache=True, nogil=True)
def walk(
    wishes: FloatArray,
    opens: FloatArray,
    closes: FloatArray,
    marks: NDArray[np.uint8],
    days: NDArray[np.int64],
    units: FloatArray,
    longs: bool,
    shorts: bool,
    slip: float,
    buy_rate: float,
    sell_rate: float,
    fixed: float,
    equity: FloatArray,
    trips: FloatArray,
) -> FloatArray:
    """The `FIGURES` of one array of wishes (1, −1, 0, NaN for none).

    `days` numbers each bar's day from 0; `units` are those of an entry by day; without `longs` or `shorts` such a wish
    is one to be flat. `slip` is rupees a unit, rates are fractions of turnover, `fixed` rupees a fill. Fills `equity`
    (profit so far at each day's end, rupees) and `trips` (rows of entry bar, exit bar, signed units, entry price, exit
    price) as far as it has rows.
    """
    held, price, since = 0.0, 0.0, 0
    banked, costs, count, wins, gained, lost = 0.0, 0.0, 0, 0, 0.0, 0.0
    best, worst, bars_held = 0.0, 0.0, 0
    paid = 0.0
    leaving, entering = False, 0.0
    for bar in range(len(wishes)):
        mark = marks[bar]
        if mark & 2 or (mark & 8 and held != 0.0):
            entering = 0.0
        if mark & 4 and held != 0.0:
            leaving, entering = True, 0.0
        waits = leaving and mark & 2
        if leaving and held != 0.0 and not waits:
            sign = 1.0 if held > 0 else -1.0
            at = opens[bar] - sign * slip
            cost = fixed + abs(held) * at * (sell_rate if sign > 0 else buy_rate)
            made = held * (at - price)
            net = made - cost - paid
            banked += made - cost
            costs += cost
            if count < len(trips):
                trips[count, 0], trips[count, 1], trips[count, 2] = since, bar, held
                trips[count, 3], trips[count, 4] = price, at
            count += 1
            if net > 0:
                wins += 1
                gained += net
            else:
                lost -= net
            best, worst = max(best, net), min(worst, net)
            held = 0.0
        leaving = bool(waits) and held != 0.0
        if entering != 0.0 and held == 0.0:
            held = entering * units[days[bar]]
            price = opens[bar] + entering * slip
            paid = fixed + abs(held) * price * (buy_rate if entering > 0 else sell_rate)
            banked -= paid
            costs += paid
            since = bar
        entering = 0.0
        if held != 0.0:
            bars_held += 1
        wish = wishes[bar]
        if wish == wish:
            if (wish > 0.0 and not longs) or (wish < 0.0 and not shorts):
                wish = 0.0
            same = (wish > 0 and held > 0) or (wish < 0 and held < 0)
            if held != 0.0 and not same:
                leaving = True
            if wish != 0.0 and not same and mark & 1:
                entering = 1.0 if wish > 0 else -1.0
        equity[days[bar]] = banked + held * (closes[bar] - price)
    figures = np.empty(9)
    figures[0] = equity[days[len(wishes) - 1]] if len(wishes) else 0.0
    figures[1], figures[2], figures[3], figures[4] = count, wins, gained, lost
    figures[5], figures[6], figures[7], figures[8] = best, worst, bars_held, costs
    return figures
