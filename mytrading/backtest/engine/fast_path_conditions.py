"""When a round trip is plain: what a run must be, and at which bars, for nothing but its bars to decide what it does.

Each term names what could otherwise deny an entry, end a position or move a fill. What is not known here to be harmless
makes a run, or a bar, not plain.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.assumptions import Models
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.time import DAY, IST_OFFSET, MINUTE
from mytrading.messages.enums import Product, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.run_config import (
    Direction,
    RateLimits,
    RiskLimits,
    RollRule,
    SizingRule,
    StopPlan,
    StrategyRun,
    TradeKind,
    TradeRule,
)
from mytrading.strategies.base_strategy import BaseStrategy

_EPOCH = date(1970, 1, 1).toordinal()
_ENDLESS = 1e15
_MOST_TRIPS = 400
"""Counts of a day that a limit must leave room for: more bars of a minute than a day's session has."""
_MOST_ORDERS = 4
"""Orders at once: an entry, its stop, an exit, and one to spare."""
_WIDEST = 0.15
"""A stop further away than this share of the price might lie outside the band in which orders are taken."""
_ROOM_TICKS = 4
_LONG = TradeRule(kind=TradeKind.SAME, side=Side.BUY)


@dataclass(frozen=True)
class FastPathTerms:
    """Of a run whose trips can be plain. `stop` is a share of the price, 0 for none; `units` of each entry."""

    units: int
    product: Product
    capital: float
    stop: float
    tick: float
    calendar: Calendar
    square_off: SquareOff
    first_minutes: int
    last_minutes: int

    def level(self, price: float) -> float:
        """Return an upper bound of the stop trigger of an entry at `price` (rupees); −inf without a stop."""
        return price * (1 - self.stop) + self.tick if self.stop else -float("inf")

    def has_room(self, price: float) -> bool:
        """True if the stop of an entry at `price` (rupees) is more than a few ticks away."""
        return not self.stop or price * self.stop > _ROOM_TICKS * self.tick


def terms_of(
    run: StrategyRun,
    strategy: type[BaseStrategy],
    instrument: Instrument | None,
    limits: RiskLimits,
    rates: RateLimits,
    models: Models,
    capital: float,
    calendar: Calendar,
    square_off: SquareOff,
) -> FastPathTerms | None:
    """Return the constants (units, stop …) for the fast path; None if a run may need more than plain round trips."""
    if instrument is None or not (_is_share(instrument) and _is_simple(run) and _is_unlimited(limits, rates)):
        return None
    if models.at_close or models.latency_ns or models.volume.share or _listens(strategy):
        return None
    stop = (run.stop_loss_pct or limits.default_stop_loss) if run.stop is StopPlan.BROKER else 0.0
    if stop < 0 or stop > _WIDEST or (run.stop is StopPlan.BROKER and not stop):
        return None
    return FastPathTerms(
        run.lots, run.product, capital, stop, instrument.tick_size, calendar, square_off,
        limits.avoid_first_minutes, limits.avoid_last_minutes,
    )  # fmt: skip


def _is_share(instrument: Instrument) -> bool:
    """A share in single units; an index that stands in for its future has lots, which change."""
    return instrument.kind is InstrumentKind.EQ and instrument.lot_size == 1 and not instrument.freeze_qty


def _is_simple(run: StrategyRun) -> bool:
    """Long only, by the market, in one account; only its signal, its stop and the clock end a position."""
    ends = (run.take_profit_pct, run.max_daily_loss, run.max_drawdown, run.daily_stop_r, run.daily_target_r)
    holds = (run.min_confidence, run.signal_cooldown, run.max_position_size)
    plans = run.rules == StrategyRules() and run.roll == RollRule() and run.sizing == SizingRule() and run.plan is None
    long_only = run.long == _LONG and (run.direction is Direction.LONG or run.short is None)
    timed = run.intraday or run.square_off or run.stop not in (StopPlan.NONE, StopPlan.BROKER)
    return (
        long_only and plans and not (any(ends) or any(holds) or timed or run.accounts)
        and run.direction is not Direction.SHORT and run.product in (Product.CNC, Product.MIS) and run.lots > 0
    )  # fmt: skip


def _is_unlimited(limits: RiskLimits, rates: RateLimits) -> bool:
    """No limit that a plain trip, or any number of them, could come to."""
    rupees = min(limits.max_position_size, limits.max_order_size, limits.max_daily_loss) >= _ENDLESS
    counts = min(limits.max_positions_per_symbol, limits.max_total_positions, rates.entries_per_minute) >= 1
    none = (
        limits.min_order_size, limits.max_entries_per_session, limits.max_consecutive_losses,
        limits.daily_stop_r, limits.daily_target_r,
    )  # fmt: skip
    many = limits.max_cancels_per_day >= _MOST_TRIPS and limits.max_active_orders >= _MOST_ORDERS
    return rupees and counts and many and limits.max_drawdown >= 1.0 and not any(none)


def _listens(strategy: type[BaseStrategy]) -> bool:
    """True if the author wants to hear of fills and trades: the rows of them are the machines' to make."""
    return any(getattr(strategy, name) is not getattr(BaseStrategy, name) for name in ("on_fill", "on_trade"))


@dataclass(frozen=True)
class OpenHours:
    """Of the rows of a run: `plain` has a byte for each, 1 where a signal at its end is judged in open hours, and met
    at once by the open of the next bar; `ends` are the rows, ascending, before which the clock closes what is
    intraday."""

    plain: bytes
    firsts: NDArray[np.int64]
    ends: list[int]

    @property
    def never(self) -> int:
        """Return a row number beyond the last bar, which stands for events that do not happen."""
        return len(self.plain) + 1

    def first_row(self, row: int) -> int:
        """Return the first row of the day that a row belongs to."""
        return int(self.firsts[int(self.firsts.searchsorted(row, "right")) - 1])

    def last_row(self, row: int) -> int:
        """Return the row before which square-off closes a position entered at `row`; `never` if none does."""
        at = bisect_left(self.ends, row)
        return self.ends[at] if at < len(self.ends) else self.never


def hours_of(columns: Columns, terms: FastPathTerms) -> OpenHours:
    """Compute for all rows whether the fast path may trade there, a day at a time to save memory."""
    start, count = columns.start_ns, len(columns)
    plain = np.zeros(count, dtype=np.uint8)
    firsts: list[int] = []
    ends: list[int] = []
    row = 0
    while row < count:
        day = (int(start[row]) + IST_OFFSET) // DAY
        after = int(start.searchsorted((day + 1) * DAY - IST_OFFSET))
        firsts.append(row)
        _mark_day(columns, terms, day, row, after, plain, ends)
        row = after
    return OpenHours(plain.tobytes(), np.array(firsts, dtype=np.int64), ends)


def _mark_day(
    columns: Columns, terms: FastPathTerms, day: int, row: int, after: int, plain: NDArray[np.uint8], ends: list[int]
) -> None:
    part, span, exchange = columns.start_ns[row:after], columns.span_ns, columns.instrument.partition(":")[0]
    known = exchange in terms.calendar.exchanges
    session = terms.calendar.session(exchange, date.fromordinal(_EPOCH + day)) if known else None
    begins = terms.square_off.begins_ns(exchange, int(part[0])) if terms.product is Product.MIS else 0
    if begins:
        ends.append(row + int(part.searchsorted(begins)))
    if session is None or (terms.product is Product.MIS and not begins):
        return
    closes = session.close_ns - terms.last_minutes * MINUTE
    last = int(part.searchsorted(min(closes, begins) if begins else closes))
    first = int(part.searchsorted(session.open_ns + terms.first_minutes * MINUTE - span))
    last = max(first, last - 1)
    plain[row + first : row + last] = np.diff(part[first : last + 1]) == span
