"""The compiled walk of a screening: signals of one instrument to fills, round trips and daily equity.

It follows the event engine where both can say the same: a signal fills at the next bar's open, a turn closes and enters
at one open, what was wanted at the last bar of a session enters nothing, an exit that was wanted then goes out after
the next session's first bar, and intraday positions are closed at the square-off. It knows no stops, no margin and no
limits: those are the event engine's. A bar's numbers are read at or after its own time only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import FloatArray
from mytrading.core.numba_cache import kernel

ENTRY_OK, BEGINS, SQUARE_OFF, LATE = 1, 2, 4, 8
"""Marks of a bar: its close may lead to an entry; a session begins with it; intraday positions are closed at its open;
it comes so long after the bar before that an entry which waits for an exit has expired."""

FIGURES = ("net", "trades", "wins", "gained", "lost", "best", "worst", "bars_held", "costs")


_NET, _COUNT, _WINS, _GAINED, _LOST, _BEST, _WORST, _BARS, _COSTS = range(len(FIGURES))


@kernel(nogil=True)
def walk(
    signals: FloatArray,
    opens: FloatArray,
    closes: FloatArray,
    marks: NDArray[np.uint8],
    ends: NDArray[np.int64],
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
    """The `FIGURES` of one array of signals (1, −1, 0, NaN for none).

    `ends` counts the bars up to the end of each day; `units` are those of an entry by day; without `longs` or `shorts`
    such a signal is one to be flat. `slip` is rupees a unit, rates are fractions of turnover, `fixed` rupees a fill.
    Fills `equity` (profit so far at each day's end, rupees) and `trips` (rows of entry bar, exit bar, signed units,
    entry price, exit price) as far as it has rows. Most bars signal nothing and find nothing waiting: they are passed
    over at once.
    """
    book = np.zeros(len(FIGURES))
    held, price, paid, since = 0.0, 0.0, 0.0, 0
    leaving, entering = False, 0.0
    bar = 0
    for day in range(len(ends)):
        while bar < ends[day]:
            if not leaving and entering == 0.0:
                bar = _next(signals, marks, bar, ends[day], SQUARE_OFF if held != 0.0 else 0)
                if bar == ends[day]:
                    break
            signal, mark = signals[bar], marks[bar]
            leaving, entering = _due(mark, held, leaving, entering)
            waits = leaving and mark & BEGINS != 0
            if leaving and held != 0.0 and not waits:
                at = opens[bar] - (slip if held > 0.0 else -slip)
                cost = fixed + abs(held) * at * (sell_rate if held > 0.0 else buy_rate)
                _close(book, trips, bar, since, held, price, at, cost, paid)
                held = 0.0
            leaving = waits and held != 0.0
            if entering != 0.0 and held == 0.0:
                held, price, since = entering * units[day], opens[bar] + entering * slip, bar
                paid = fixed + abs(held) * price * (buy_rate if entering > 0.0 else sell_rate)
                book[_NET] -= paid
                book[_COSTS] += paid
            leaving, entering = _signalled(signal, mark, held, leaving, longs, shorts)
            bar += 1
        equity[day] = book[_NET] + held * (closes[bar - 1] - price)
    if held != 0.0:
        book[_BARS] += bar - since
    book[_NET] = equity[-1] if len(ends) else 0.0
    return book


@kernel(nogil=True)
def _next(signals: FloatArray, marks: NDArray[np.uint8], bar: int, end: int, watched: int) -> int:
    """The first bar from `bar` on that wants something or has a watched mark; `end` if there is none before it."""
    for at in range(np.uint64(bar), np.uint64(end)):
        if signals[at] == signals[at] or marks[at] & watched:
            return int(np.int64(at))
    return end


@kernel(nogil=True)
def _due(mark: int, held: float, leaving: bool, entering: float) -> tuple[bool, float]:
    """What a bar does to what waits for its open: it may be over, and the clock may close what is held."""
    if mark & BEGINS or (mark & LATE and held != 0.0):
        entering = 0.0
    if mark & SQUARE_OFF and held != 0.0:
        return True, 0.0
    return leaving, entering


@kernel(nogil=True)
def _signalled(signal: float, mark: int, held: float, leaving: bool, longs: bool, shorts: bool) -> tuple[bool, float]:
    """What is to happen at the next open: whether it leaves, and the side it enters on (0: none)."""
    if signal != signal:
        return leaving, 0.0
    if (signal > 0.0 and not longs) or (signal < 0.0 and not shorts):
        signal = 0.0
    if signal * held > 0.0:
        return leaving, 0.0
    entering = 0.0
    if signal != 0.0 and mark & ENTRY_OK:
        entering = 1.0 if signal > 0.0 else -1.0
    return leaving or held != 0.0, entering


@kernel(nogil=True)
def _close(
    book: FloatArray,
    trips: FloatArray,
    bar: int,
    since: int,
    held: float,
    price: float,
    at: float,
    cost: float,
    paid: float,
) -> None:
    """Book the exit of what is held at `at` (rupees); `cost` is the exit's, `paid` was the entry's."""
    made = held * (at - price)
    net, count = made - cost - paid, int(book[_COUNT])
    book[_NET] += made - cost
    book[_COSTS] += cost
    if count < len(trips):
        trips[count, 0], trips[count, 1], trips[count, 2] = since, bar, held
        trips[count, 3], trips[count, 4] = price, at
    book[_COUNT] += 1
    if net > 0:
        book[_WINS] += 1
        book[_GAINED] += net
    else:
        book[_LOST] -= net
    book[_BEST], book[_WORST] = max(book[_BEST], net), min(book[_WORST], net)
    book[_BARS] += bar - since
