"""Screening: a strategy's signals for all bars at once, walked by a compiled loop.

A strategy takes part by `positions(self, bars)`. Costs are a fraction of turnover taken from the fee schedule at the
middle price and first lot, slippage is in ticks. A screening only chooses what the event engine then runs; its own
figures are never the result.

The loop follows the event engine where both can say the same: a signal fills at the next bar's open, a turn closes and
enters at one open, a signal at the last bar of a session enters nothing, an exit then goes out at the next session's
open, and intraday positions are closed at the square-off. A stop lies the strategy's share of the price away from
the close of its signal's bar. It knows no other stops, no margin and no limits. A bar's numbers are read at or after
its own time only.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns, DataError
from mytrading.backtest.data.feeds import BarFrame, frame_ends, frame_of, session_bounds
from mytrading.backtest.engine.assumptions import MarketContext, SlippageTicks
from mytrading.backtest.run import Spec
from mytrading.backtest.search.trials import NET, Trial, failed_trial, objective_value
from mytrading.core.accounting import performance
from mytrading.core.indicators import FloatArray
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.numba_cache import kernel
from mytrading.core.risk.pretrade.rules_order import product_refusal
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import DAY, IST_OFFSET, MINUTE, ist_date
from mytrading.messages.instruments import Instrument
from mytrading.messages.run_config import Direction, StopPlan
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.parameters import Parameter
from mytrading.strategies.vectorized import WholeBars

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
ENTRY_OK, BEGINS, SQUARE_OFF, LATE = 1, 2, 4, 8
"""Marks of a bar: its close may lead to an entry; a session begins with it; intraday positions are closed at its open;
it comes so long after the bar before that an entry which waits for an exit has expired."""

FIGURES = ("net", "trades", "wins", "gained", "lost", "best", "worst", "bars_held", "costs")
_EPSILON = 1e-6
_NET, _COUNT, _WINS, _GAINED, _LOST, _BEST, _WORST, _BARS, _COSTS = range(len(FIGURES))


class ScreenError(ValueError):
    """A strategy or data that cannot be screened; the message says why."""


@dataclass(frozen=True)
class ScreenData:
    """Data that all trials share: the bars, what may happen at each, and what a fill costs.

    Signals are one a bar of `bars`, in the strategy's timeframe. What is walked are the bars of the data, from which
    those are made: `marks`, `opens` and `closes` are theirs.
    """

    bars: WholeBars
    ends_ns: NDArray[np.int64]
    """Market ns at which each of `bars` is complete."""
    lasts: NDArray[np.int64] | None
    """The walked bar that completes each of `bars`; None if they are the same bars."""
    opens: FloatArray
    closes: FloatArray
    marks: NDArray[np.uint8]
    ends: NDArray[np.int64]
    """Number of bars up to the end of each day."""
    units: FloatArray
    slip: float
    buy_rate: float
    sell_rate: float
    capital: float
    longs: bool
    shorts: bool
    lows: FloatArray
    highs: FloatArray
    stop: float
    """Stop distance of a position as a share of its price; 0 without a stop."""
    tick: float


def can_screen(strategy: type[BaseStrategy]) -> bool:
    """True if the strategy is vectorized: it can compute its signals for all bars at once."""
    return callable(getattr(strategy, "positions", None))


def screen_data(spec: Spec) -> ScreenData:
    """Prepare a spec's bars and fill costs for screening; `ScreenError` if it cannot be screened."""
    if not can_screen(spec.strategy):
        raise ScreenError(
            f"{spec.run.name} has no `positions(self, bars)`; write one that returns a signal for every bar, or leave "
            "--screen out"
        )
    columns, frame = _frame(spec)
    ends = frame_ends(columns, frame, spec.calendar)
    world = MarketContext(spec.calendar, spec.facts, (columns.instrument,))
    days, firsts = np.unique((columns.start_ns + IST_OFFSET) // DAY, return_index=True)
    units = np.empty(len(days))
    for number, start in enumerate(columns.start_ns[firsts].tolist()):
        world.open_day(ist_date(start))
        listed = world.instrument(columns.instrument)
        units[number] = spec.run.lots * (listed.lot_size if listed is not None else 1)
    shown = columns.start_ns + columns.span_ns  # when the signal of each bar comes: one that completes a longer
    if frame.lasts is not None:  # bar may end before that one
        shown[frame.lasts] = ends
    slippage = spec.models.slippage
    traded = world.instrument(columns.instrument)
    per_unit = slippage.ticks * (traded.tick_size if traded else 0.0) if isinstance(slippage, SlippageTicks) else 0.0
    opens, high, low, close, volume = frame.columns.table
    buy, sell = _rates(spec, world, columns, float(units[0]))
    return ScreenData(
        bars=WholeBars(opens, high, low, close, volume, frame.columns.start_ns / 1e9), ends_ns=ends, lasts=frame.lasts,
        opens=columns.table[0], closes=columns.close, marks=_marks(spec, world, columns, shown),
        ends=np.append(firsts[1:], len(columns)).astype(np.int64), units=units, slip=per_unit, buy_rate=buy,
        sell_rate=sell, capital=spec.capital, longs=_may(spec, traded, sold=False),
        shorts=_may(spec, traded, sold=True), lows=columns.table[2], highs=columns.table[1],
        stop=_stop_share(spec, traded), tick=traded.tick_size if traded else 0.05,
    )  # fmt: skip


def _stop_share(spec: Spec, instrument: Instrument | None) -> float:
    """Return the stop distance of every position as a share of its price; 0 without a stop."""
    if spec.run.stop is StopPlan.NONE:
        return 0.0
    option = instrument is not None and instrument.kind.is_option
    default = spec.limits.default_stop_loss_options if option else spec.limits.default_stop_loss
    return spec.run.stop_loss_pct or default


def _frame(spec: Spec) -> tuple[Columns, BarFrame]:
    """The bars of the data, and those of the strategy's timeframe that the event engine would make of them."""
    names, timeframes = [one.instrument for one in spec.data], spec.run.timeframes
    if len(names) != 1 or len(timeframes) != 1:
        raise ScreenError(
            f"--screen: expected one instrument and one timeframe, found {', '.join(names)} in "
            f"{', '.join(timeframes)}; name one of each with --instrument and --timeframe, or leave --screen out"
        )
    try:
        return spec.data[0], frame_of(spec.data[0], timeframes[0], spec.calendar)
    except DataError as error:
        raise ScreenError(f"--screen: {error}, or name their timeframe with --timeframe") from error


def _rates(spec: Spec, world: MarketContext, columns: Columns, units: float) -> tuple[float, float]:
    """Return the charges of a buy and of a sale as fractions of turnover."""
    instrument = world.instrument(columns.instrument)
    if spec.fees is None or instrument is None:
        return 0.0, 0.0
    price, at_ns = float(np.median(columns.close)), int(columns.start_ns[len(columns) // 2])
    stands_in = columns.instrument in world.stand_ins
    found = [
        spec.fees.fill_charges(instrument, spec.run.product, round(sign * units), price, at_ns, as_future=stands_in)
        for sign in (1, -1)
    ]
    turnover = units * price
    return found[0].total / turnover, found[1].total / turnover


def _marks(spec: Spec, world: MarketContext, columns: Columns, end: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The marks of the walked bars, of which each leads to what is wanted at `end`."""
    opens, closes = session_bounds(columns, spec.calendar)
    start = columns.start_ns
    limits = spec.limits
    entry = (start >= opens) & (end < closes)
    known = columns.instrument.partition(":")[0] in spec.calendar.exchanges
    if known:
        entry &= end - opens >= limits.avoid_first_minutes * MINUTE
        entry &= closes - end > limits.avoid_last_minutes * MINUTE
    marks = np.zeros(len(start), dtype=np.uint8)
    begins = np.concatenate(([True], opens[1:] != opens[:-1]))
    patience = int(min(limits.signal_validity_seconds, limits.stale_quote_seconds) * 1e9)
    stale = np.concatenate(([True], start[1:] - end[:-1] > patience))
    square_off = _square_off(spec, world, columns, begins)
    entry &= ~((square_off > 0) & (end >= square_off))
    marks[(square_off > 0) & (start >= square_off)] |= SQUARE_OFF
    marks[entry] |= ENTRY_OK
    marks[begins] |= BEGINS
    marks[stale] |= LATE
    return marks


def _square_off(spec: Spec, world: MarketContext, columns: Columns, begins: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the market ns at which closing begins on each bar's day; 0 where the clock closes nothing."""
    run, name = spec.run, columns.instrument
    environment = RiskEnvironment(
        spec.limits, spec.rates, [run], "", spec.calendar, InstrumentBook(()), world.square_off()
    )
    firsts = np.flatnonzero(begins)
    found = [
        environment.square_off_begins(run.name, name, run.product, int(columns.start_ns[place])) for place in firsts
    ]
    return np.repeat(np.array(found, dtype=np.int64), np.diff(np.append(firsts, len(columns))))


def _may(spec: Spec, instrument: Instrument | None, sold: bool) -> bool:
    """True if the strategy's signals to be long, or short, lead to an entry."""
    run = spec.run
    if instrument is None or (run.short if sold else run.long) is None:
        return False
    if run.direction is (Direction.LONG if sold else Direction.SHORT):
        return False
    return not product_refusal(instrument.id, run.product, instrument.kind.is_derivative, sold=sold)


def compute_signals(strategy: type[BaseStrategy], parameters: Mapping[str, Parameter], on: ScreenData) -> FloatArray:
    """Compute the strategy's signal a bar: 1 long, −1 short, 0 flat, NaN keep; `ScreenError` for a wrong shape."""
    instance = strategy.__new__(strategy)
    for name, value in parameters.items():
        setattr(instance, name, value)
    positions: Callable[[WholeBars], Any] = getattr(instance, "positions")  # noqa: B009  (optional by design)
    found = np.asarray(positions(on.bars), dtype=np.float64)
    if found.shape != (len(on.bars),):
        raise ScreenError(
            f"{strategy.__name__}.positions: expected {len(on.bars)} signals, one a bar; found shape {found.shape}"
        )
    return found


def simulate(on: ScreenData, signalled: FloatArray, trips: int = 0) -> tuple[dict[str, float], FloatArray, FloatArray]:
    """Simulate a signal array; returns figures by name, cumulative profit (rupees) at each day's end, and up to `trips`
    trades: rows of entry bar, exit bar, signed units, entry price, exit price."""
    equity, rows = np.zeros(len(on.units)), np.empty((trips, 5))
    placed = signalled
    if on.lasts is not None:  # a signal at the bar that completes a longer one, none inside of that
        placed = np.full(len(on.opens), np.nan)
        placed[on.lasts] = signalled
    figures = walk_bars(
        placed, on.opens, on.closes, on.marks, on.ends, on.units, on.longs, on.shorts,
        on.slip, on.buy_rate, on.sell_rate, on.lows, on.highs, on.stop, on.tick, equity, rows,
    )  # fmt: skip
    found = dict(zip(FIGURES, figures.tolist(), strict=True))
    return found, equity, rows[: int(found["trades"])]


def screen_trial(
    spec: Spec, on: ScreenData, number: int, parameters: Mapping[str, Parameter], objective: str, least: int
) -> Trial:
    """Estimate one set of parameters on the data of `screen_data`, for ranking only, as trial `number`; it has no
    objective value with fewer than `least` trades."""
    try:
        figures, profit, _ = simulate(on, compute_signals(spec.strategy, {**spec.run.parameters, **parameters}, on))
    except ScreenError:
        raise
    except Exception as error:  # noqa: BLE001  (an author's method may raise anything)
        return failed_trial(number, parameters, f"{type(error).__name__}: {error}")
    equity = np.concatenate(([on.capital], on.capital + profit))
    returns = np.diff(equity) / equity[:-1] if (equity > 0).all() else np.empty(0)
    count = int(figures["trades"])
    value, problem = objective_value(_objective(objective, figures, returns), count, least, objective)
    return Trial(
        number=number, parameters=dict(parameters), objective=value, net=figures["net"], trades=count,
        returns=tuple(returns.tolist()), problem=problem,
    )  # fmt: skip


def _objective(name: str, figures: Mapping[str, float], returns: FloatArray) -> float:
    count = figures["trades"]
    plain = {
        NET: figures["net"],
        "win_rate": figures["wins"] / count if count else math.nan,
        "profit_factor": figures["gained"] / figures["lost"] if figures["lost"] else math.nan,
        "average_trade": (figures["gained"] - figures["lost"]) / count if count else math.nan,
    }
    if name in plain:
        return plain[name]
    measure: Callable[[FloatArray], float] = getattr(performance, name)
    return measure(returns)


def screen_all(
    spec: Spec, points: Iterable[Mapping[str, Parameter]], objective: str, least: int, threads: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[Trial]:  # fmt: skip
    """Estimate every parameter set as `screen_trial` does, on several threads; returns trials in input order.
    `progress` gets the number of trials done."""
    _keep_freed_memory()
    on = screen_data(spec)
    simulate(on, np.full(len(on.bars), np.nan))
    found: list[Trial] = []
    with ThreadPoolExecutor(threads) as pool:
        numbered = enumerate(points)
        for trial in pool.map(lambda item: screen_trial(spec, on, item[0], item[1], objective, least), numbered):
            found.append(trial)
            progress(len(found))
    return found


def _keep_freed_memory() -> None:
    """Let the C library reuse what a trial has freed for the next one.

    By default glibc hands arrays of this size back to the kernel, which then clears each page again: a third of the
    time of a screening. Elsewhere nothing is changed.
    """
    with suppress(OSError, AttributeError):
        tune = ctypes.CDLL(None).mallopt
        tune(_M_MMAP_THRESHOLD, 1 << 25)
        tune(_M_TRIM_THRESHOLD, 1 << 28)


@kernel(nogil=True)
def walk_bars(
    signals: FloatArray, opens: FloatArray, closes: FloatArray, marks: NDArray[np.uint8], ends: NDArray[np.int64],
    units: FloatArray, longs: bool, shorts: bool, slip: float, buy_rate: float, sell_rate: float, lows: FloatArray,
    highs: FloatArray, stop: float, tick: float, equity: FloatArray, trips: FloatArray,
) -> FloatArray:  # fmt: skip
    """Compiled loop: simulate the trades of one signal array (1, −1, 0, NaN for none) and return its `FIGURES`. `marks`
    has flags a bar (`SQUARE_OFF` …); `ends` counts bars up to each day's end; `units` is an entry's size by day. Where
    `longs` or `shorts` is false, such a signal means flat. `slip` is rupees a unit, rates are fractions of turnover. A
    position is stopped the share `stop` away from the close of its signal's bar, on the `tick` beyond; 0: nowhere.
    Fills `equity` (profit so far at each day's end, rupees) and `trips` (rows of entry bar, exit bar, signed units,
    entry price, exit price) as far as it has rows. Bars without a signal, a pending order or a stop that they reach are
    skipped at once."""
    book = np.zeros(len(FIGURES))
    held, price, paid, since = 0.0, 0.0, 0.0, 0
    leaving, entering, seen = False, 0.0, 0.0
    level, rests = 0.0, False
    bar = 0
    for day in range(len(ends)):
        while bar < ends[day]:
            if not leaving and entering == 0.0:
                watched = SQUARE_OFF if held != 0.0 else 0
                if stop > 0.0 and held != 0.0:
                    bar = _next_or_stop(signals, marks, bar, ends[day], watched, lows, highs, held, level, rests)
                else:
                    bar = _next(signals, marks, bar, ends[day], watched)
                if bar == ends[day]:
                    break
            signal, mark = signals[bar], marks[bar]
            leaving, entering = _due(mark, held, leaving, entering)
            if leaving and held != 0.0:
                at = opens[bar] - (slip if held > 0.0 else -slip)
                cost = abs(held) * at * (sell_rate if held > 0.0 else buy_rate)
                _close(book, trips, bar, since, held, price, at, cost, paid)
                held = 0.0
            leaving = False
            if entering != 0.0 and held == 0.0:
                held, price, since = entering * units[day], opens[bar] + entering * slip, bar
                paid = abs(held) * price * (buy_rate if entering > 0.0 else sell_rate)
                book[_NET] -= paid
                book[_COSTS] += paid
                level, rests = _stop_level(seen, entering, stop, tick), True
            if stop > 0.0 and held != 0.0:
                rests = rests and (mark & BEGINS == 0 or since == bar)
                if rests and (lows[bar] <= level if held > 0.0 else highs[bar] >= level):
                    at = min(opens[bar], level) - slip if held > 0.0 else max(opens[bar], level) + slip
                    cost = abs(held) * at * (sell_rate if held > 0.0 else buy_rate)
                    _close(book, trips, bar, since, held, price, at, cost, paid)
                    held, leaving = 0.0, False
                rests = (
                    True  # a stop at the broker ends with the day, and is placed again after the next one's first bar
                )
            leaving, entering = _signalled(signal, mark, held, leaving, longs, shorts)
            seen = closes[bar]
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
def _next_or_stop(
    signals: FloatArray, marks: NDArray[np.uint8], bar: int, end: int, watched: int, lows: FloatArray,
    highs: FloatArray, held: float, level: float, rests: bool,
) -> int:  # fmt: skip
    """The same, or the first bar that comes to the stop of what is held, or with which a session begins."""
    for at in range(np.uint64(bar), np.uint64(end)):
        reached = lows[at] <= level if held > 0.0 else highs[at] >= level
        if signals[at] == signals[at] or marks[at] & (watched | BEGINS) or (reached and rests):
            return int(np.int64(at))
    return end


@kernel(nogil=True)
def _stop_level(price: float, side: float, stop: float, tick: float) -> float:
    """Return the stop price of an entry, rounded to the tick that triggers later, never earlier."""
    ticks = price * (1.0 - side * stop) / tick
    whole = math.floor(ticks + _EPSILON) if side > 0.0 else math.ceil(ticks - _EPSILON)
    return math.floor(max(whole * tick, tick) * 1e4 + 0.5) / 1e4


@kernel(nogil=True)
def _due(mark: int, held: float, leaving: bool, entering: float) -> tuple[bool, float]:
    """Return (leaving, entering) at a bar's open: a pending entry may be over, the clock may close the position."""
    if mark & BEGINS or (mark & LATE and held != 0.0):
        entering = 0.0
    if mark & SQUARE_OFF and held != 0.0:
        return True, 0.0
    return leaving, entering


@kernel(nogil=True)
def _signalled(signal: float, mark: int, held: float, leaving: bool, longs: bool, shorts: bool) -> tuple[bool, float]:
    """Return (leaving, entering) for the next open: whether the position is closed, and the side entered (0: none)."""
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
    book: FloatArray, trips: FloatArray, bar: int, since: int, held: float, price: float, at: float, cost: float,
    paid: float,
) -> None:  # fmt: skip
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
