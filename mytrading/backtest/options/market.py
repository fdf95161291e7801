"""What options and futures of an underlying cost at each of its bars, and which of them are listed on a day.

A price is the recorded one where there is one, else follows from the underlying by volatilities that were read off
prices, else by the surface's shape. A bar's prices follow from that bar of the underlying and from what was before it,
from nothing later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns, DataError
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import Ends, session_ends
from mytrading.core.indicators import FloatArray
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    Underlying,
    make_derivative,
    monthly_expiries,
    weekly_expiries,
)
from mytrading.core.instruments.symbology import DERIVATIVE_EXCHANGES, split_id
from mytrading.core.options import black76
from mytrading.core.options.surface import Floats, Shape, Smile, atm_levels, daily_variance, round_to_ticks
from mytrading.core.time import DAY, IST_OFFSET, MINUTE
from mytrading.messages.instruments import Instrument, InstrumentKind

Sides = tuple[float, float]
"""Bid and ask, rupees."""
_EPSILON = 1e-6


def sane_quotes(quotes: FloatArray) -> FloatArray:
    """Return bid and ask (2, n) with NaN for both where one is missing, not above 0, or bid exceeds ask."""
    bid, ask = quotes
    good = np.isfinite(bid) & np.isfinite(ask) & (bid > 0) & (ask >= bid)
    return np.where(good, quotes, np.nan)


def no_quotes(count: int) -> FloatArray:
    """Return an array (2, `count`) of NaN: no recorded bid and ask."""
    return np.full((2, count), np.nan)


@dataclass(frozen=True)
class Recorded:
    """Bars by contract, and bid and ask at the end of each where they were recorded; grows by `add`."""

    columns: dict[str, Columns]
    quotes: dict[str, FloatArray]

    def add(self, new: Columns, quotes: FloatArray | None) -> None:
        """Add bars and their quotes; where two bars start together the existing one stays."""
        name = new.instrument
        before = self.columns.get(name)
        if before is None:
            self.columns[name] = new
            if quotes is not None:
                self.quotes[name] = quotes
            return
        start = np.concatenate([before.start_ns, new.start_ns])
        order = np.argsort(start, kind="stable")
        keep = order[np.concatenate(([True], np.diff(start[order]) > 0))]
        table = np.concatenate([before.table, new.table], axis=1)
        self.columns[name] = Columns(name, new.timeframe, start[keep], table[:, keep])
        known = self.quotes.get(name)
        if known is not None or quotes is not None:
            known = no_quotes(len(before)) if known is None else known
            quotes = no_quotes(len(new)) if quotes is None else quotes
            self.quotes[name] = np.concatenate((known, quotes), axis=1)[:, keep]


def quotes_before(start_ns: NDArray[np.int64], span_ns: int, quotes: FloatArray) -> FloatArray:
    """Return the quotes at the start of each bar of a day: those at the end of the bar directly before it."""
    found = no_quotes(len(start_ns))
    found[:, 1:] = np.where(np.diff(start_ns) == span_ns, quotes[:, :-1], np.nan)
    return found


def spread_around(price: float, sides: Sides, tick: float) -> Sides:
    """Return bid and ask around a price with the last recorded spread, each half rounded up to whole ticks."""
    half = math.ceil((sides[1] - sides[0]) / 2 / tick - _EPSILON) * tick
    return max(price - half, min(price, tick)), price + half


SHAPE_SETTINGS = ("skew", "smile", "near", "near_days", "carry", "rate", "spread_ticks", "wing_ticks")
"""Settings of a `Shape` that a run may change."""
MODELLED, CALIBRATED, RECORDED = 0, 1, 2
"""Where a price came from: the surface's own shape, volatilities read off prices, or a price that was made."""
SOURCES = ("modelled", "calibrated", "recorded")


@dataclass(frozen=True, eq=False)
class ListedDay:
    """The contracts of one underlying on one day, as its exchange listed them, and what they say at its close.

    `smiles` by expiry (ISO date); `spot` is the underlying's close, 0 where the file has none.
    """

    day: date
    underlying: str
    contracts: tuple[Instrument, ...]
    smiles: Mapping[str, Smile] = field(default_factory=dict)
    spot: float = 0.0


@dataclass(frozen=True, eq=False)
class OptionTerms:
    """`level` is the volatility at the money; 0 for `factor` times the realised one of the last `sessions` days.

    Until `least` days are over it is that of `config/instruments.toml`. `recorded` are bars by contract, and `quotes`
    the bid and ask at the end of each, of shape (2, n), NaN where there was none; a contract that nobody recorded them
    of is not in it. With `same_day` a day's file shapes the prices of its own day: it knows the close. Without
    `legs_only` an index that is watched may stand in for its future. `tables` hold the margin of sold options.
    """

    shape: Shape = field(default_factory=Shape)
    level: float = 0.0
    sessions: int = 20
    factor: float = 1.0
    least: int = 5
    settle_minutes: int = 30
    recorded: Mapping[str, Columns] = field(default_factory=dict)
    quotes: Mapping[str, FloatArray] = field(default_factory=dict)
    days: tuple[ListedDay, ...] = ()
    same_day: bool = False
    legs_only: bool = True
    tables: RiskTables = field(default_factory=RiskTables)

    def describe(self) -> str:
        """Describe in one sentence how modelled prices are made."""
        shape = self.shape
        realised = f"{self.factor:g} times the realised volatility of the {self.sessions} days before"
        return (
            f"unrecorded options are priced off the underlying (docs/options-backtest.md): "
            f"{f'volatility {self.level:g}' if self.level else realised} at the money, skew {shape.skew:g}, "
            f"smile {shape.smile:g}, near {shape.near:g} over {shape.near_days:g} days, carry {shape.carry:g}, "
            f"half a spread of {shape.spread_ticks:g} ticks and {shape.wing_ticks:g} more a deviation"
        )

    def figures(self) -> dict[str, Any]:
        """Return the pricing parameters as a dictionary; `iv` is None for realised volatility."""
        return {
            "iv": self.level or None,
            "iv_sessions": self.sessions,
            "iv_factor": self.factor,
            **{name: getattr(self.shape, name) for name in SHAPE_SETTINGS},
            "settle_minutes": self.settle_minutes,
            "bhavcopy": "same_day" if self.same_day else "before",
        }


WEEKS, MONTHS, EACH = 2, 3, 40
"""Weekly and monthly expiries, and strikes each side of the money."""
_RIGHTS = (InstrumentKind.CE, InstrumentKind.PE)


def list_contracts(name: str, facts: Underlying, calendar: Calendar, day: date, price: float) -> list[Instrument]:
    """Return the futures and options on underlying `name` that `facts` (expiry and strike rules) list that day, with
    strikes around `price` (rupees)."""
    months = list(islice(monthly_expiries(calendar, facts, day), MONTHS))
    expiries = sorted({*islice(weekly_expiries(calendar, facts, day), WEEKS), *months})
    step = facts.strike_step
    middle = round(price / step)
    strikes = [number * step for number in range(max(middle - EACH, 1), middle + EACH + 1)]
    futures = [make_derivative(name, facts, InstrumentKind.FUT, month, 0.0, day) for month in months]
    return futures + [
        make_derivative(name, facts, right, expiry, strike, day)
        for expiry in expiries
        for right in _RIGHTS
        for strike in strikes
    ]


_YEAR = 365 * DAY
_EPOCH = date(1970, 1, 1).toordinal()
_KEPT_DAYS = 5
"""So many days after it a file's volatilities still say something."""


class DayPrices(NamedTuple):
    """The bars of a contract on one day, where each price is from, half of bid to ask in rupees, holes, and quotes."""

    columns: Columns
    source: NDArray[np.int8]
    half: Floats
    gap: NDArray[np.bool_]
    """Bars that nobody recorded, after the first recorded one of the contract and before its last."""
    quotes: Floats
    """Recorded bid and ask at each bar's end, of shape (2, n), NaN where there are none."""
    before: Floats
    """The same as each bar begins."""


class OptionMoment(NamedTuple):
    """What a contract costs at a moment, its bid and its ask, rupees, and whether those two were recorded."""

    price: float
    bid: float
    ask: float
    quoted: bool = False


@dataclass(frozen=True, eq=False)
class OptionTape:
    """The bars of an underlying, and by day (since 1970, India) their rows and the level of volatility."""

    columns: Columns
    sessions: int
    least: int
    first: float
    fixed: float
    factor: float

    @cached_property
    def days(self) -> NDArray[np.int64]:
        """Return the day (since 1970, India) of each bar."""
        return np.asarray((self.columns.start_ns + IST_OFFSET) // DAY)

    @cached_property
    def atm_volatility_by_day(self) -> dict[int, float]:
        """Return the yearly at-the-money volatility (0.15) by day since 1970, known before the day's first bar."""
        days, variance = daily_variance(self.days, self.columns.table[0], self.columns.close)
        if self.fixed:
            found = np.full(len(days), self.fixed)
        else:
            found = atm_levels(variance, self.sessions, self.least, self.first, self.factor)
        return dict(zip(days.tolist(), found.tolist(), strict=True))

    def rows(self, day: date) -> slice:
        """Return the slice of rows of a day, empty where the data has none."""
        number = day.toordinal() - _EPOCH
        begin, end = np.searchsorted(self.days, [number, number + 1])
        return slice(int(begin), int(end))

    def atm_volatility(self, day: date) -> float:
        """Return the yearly at-the-money volatility (0.15) on a day; `KeyError` if the data lacks the day."""
        return self.atm_volatility_by_day[day.toordinal() - _EPOCH]

    def row_at(self, now: int) -> int:
        """Return the row of the last bar that ended by `now` (ns), -1 if none did."""
        return int(np.searchsorted(self.columns.start_ns, now - self.columns.span_ns, side="right")) - 1


class OptionMarket:
    """Prices and listings over the bars of the underlyings in `data`."""

    def __init__(self, terms: OptionTerms, data: Sequence[Columns], calendar: Calendar, facts: ContractFacts) -> None:
        self.terms = terms
        self._calendar = calendar
        self._facts = facts
        self.ends: Ends = session_ends(calendar)
        self._tapes: dict[str, OptionTape] = {}
        for columns in data:
            exchange, name = split_id(columns.instrument)
            underlying = facts.underlyings.get(name)
            if exchange in DERIVATIVE_EXCHANGES and underlying is not None and underlying.lot:
                first = underlying.volatility
                self._tapes[name] = OptionTape(columns, terms.sessions, terms.least, first, terms.level, terms.factor)
        if not self._tapes:
            names = ", ".join(columns.instrument for columns in data)
            raise DataError(f"no options are known of {names}; give the underlying's bars, say --data NIFTY=FILE")
        self._files: dict[str, list[ListedDay]] = {}
        for listed in sorted(terms.days, key=lambda item: item.day):
            self._files.setdefault(listed.underlying, []).append(listed)

    def underlying(self, contract: Instrument) -> str:
        """Return the underlying's id (EXCHANGE:SYMBOL), whose bars price a contract; empty if there are none."""
        tape = self._tapes.get(contract.underlying)
        return tape.columns.instrument if tape is not None and contract.kind.is_derivative else ""

    def contracts_on(self, day: date) -> list[Instrument]:
        """Return a day's listed contracts: those in its bhavcopy, else by expiry and strike rules around the last
        price."""
        found: dict[str, Instrument] = {}
        for name, tape in self._tapes.items():
            file = next((item for item in self._files.get(name, ()) if item.day == day), None)
            contracts: Sequence[Instrument] = file.contracts if file is not None else ()
            if file is None:
                first = tape.rows(day).start
                before = float(tape.columns.close[first - 1]) if first else float(tape.columns.table[0, 0])
                contracts = list_contracts(name, self._facts.underlyings[name], self._calendar, day, before)
            found.update((item.id, item) for item in contracts)
        return list(found.values())

    def prices(self, contract: Instrument, day: date) -> DayPrices | None:
        """Return a contract's prices on a day, a bar for each of its underlying's: recorded, else modelled. None if the
        underlying has no bars on that day."""
        tape = self._tapes[contract.underlying]
        rows = tape.rows(day)
        start = tape.columns.start_ns[rows]
        if not len(start):
            return None
        opens, high, low, close, _ = tape.columns.table[:, rows]
        span = tape.columns.span_ns
        table = np.empty((5, len(start)))
        table[0] = self._worth(contract, tape, day, opens, start)
        table[3] = self._worth(contract, tape, day, close, start + span)
        sides = [self._worth(contract, tape, day, price, start + span // 2) for price in (high, low)]
        table[1] = np.maximum.reduce([table[0], table[3], *sides])
        table[2] = np.minimum.reduce([table[0], table[3], *sides])
        table[4] = np.inf
        table[:4] = round_to_ticks(table[:4], contract.tick_size)
        source = np.full(len(start), MODELLED if self._smile(contract, day) is None else CALIBRATED, dtype=np.int8)
        half = self._half(contract, tape, day, opens, start, table[0])
        columns = Columns(contract.id, tape.columns.timeframe, start, table)
        quotes = self._overlay(contract, columns, source)
        gaps = np.zeros(len(start), dtype=np.bool_)
        recorded = self.terms.recorded.get(contract.id)
        if recorded is not None and len(recorded):
            gaps = (source != RECORDED) & (start > recorded.start_ns[0]) & (start < recorded.start_ns[-1])
        return DayPrices(columns, source, half, gaps, quotes, quotes_before(start, span, quotes))

    def _overlay(self, contract: Instrument, columns: Columns, source: NDArray[np.int8]) -> Floats:
        """Put recorded bars in the place of those that start with them; the bid and ask at the end of each."""
        recorded, found = self.terms.recorded.get(contract.id), no_quotes(len(columns))
        if recorded is None or not len(recorded):
            return found
        at = np.searchsorted(recorded.start_ns, columns.start_ns)
        at = np.minimum(at, len(recorded) - 1)
        same = recorded.start_ns[at] == columns.start_ns
        columns.table[:, same] = recorded.table[:, at[same]]
        source[same] = RECORDED
        if (quotes := self.terms.quotes.get(contract.id)) is not None:
            found[:, same] = quotes[:, at[same]]
        return found

    def prices_at(self, contracts: Sequence[Instrument], now: int) -> dict[str, OptionMoment]:
        """Return price, bid and ask (rupees) by contract id at the end of their underlying's last bar by `now` (ns);
        none before its first."""
        found: dict[str, OptionMoment] = {}
        groups: dict[tuple[str, str, InstrumentKind], list[Instrument]] = {}
        for contract in contracts:
            groups.setdefault((contract.underlying, contract.expiry, contract.kind), []).append(contract)
        for (name, _, _), group in groups.items():
            found.update(self._group(self._tapes[name], group, now))
        return found

    def _group(self, tape: OptionTape, group: Sequence[Instrument], now: int) -> dict[str, OptionMoment]:
        row = tape.row_at(now)
        if row < 0:
            return {}
        day = date.fromordinal(_EPOCH + int(tape.days[row]))
        at = np.array([int(tape.columns.start_ns[row]) + tape.columns.span_ns])
        spot = tape.columns.close[row : row + 1]
        strikes = np.array([contract.strike for contract in group])
        worth = round_to_ticks(self._worth(group[0], tape, day, spot, at, strikes), group[0].tick_size)
        half = self._half(group[0], tape, day, spot, at, worth, strikes)
        found = {}
        for contract, price, spread in zip(group, worth.tolist(), half.tolist(), strict=True):
            made = self._recorded(contract, int(tape.columns.start_ns[row]), spread)
            found[contract.id] = OptionMoment(price, price - spread, price + spread) if made is None else made
        return found

    def _recorded(self, contract: Instrument, start: int, half: float) -> OptionMoment | None:
        recorded, quotes = self.terms.recorded.get(contract.id), self.terms.quotes.get(contract.id)
        if recorded is None:
            return None
        at = int(np.searchsorted(recorded.start_ns, start))
        if at >= len(recorded) or int(recorded.start_ns[at]) != start:
            return None
        price = float(recorded.close[at])
        if quotes is None or np.isnan(quotes[0, at]):
            return OptionMoment(price, price - half, price + half)
        return OptionMoment(price, float(quotes[0, at]), float(quotes[1, at]), quoted=True)

    def settlement(self, contract: Instrument) -> float:
        """Return a contract's settlement price in rupees: of a future the underlying's close, or the mean of its last
        closes (as exchanges settle by an index's last half hour), of an option what it is worth at that."""
        tape = self._tapes[contract.underlying]
        day = date.fromisoformat(contract.expiry)
        end = self.ends(contract.exchange, contract.expiry)
        file = next((item for item in self._files.get(contract.underlying, ()) if item.day == day and item.spot), None)
        price = file.spot if file is not None else self._last_mean(tape, end)
        if contract.kind is InstrumentKind.FUT:
            return price
        return max(price - contract.strike if contract.kind is InstrumentKind.CE else contract.strike - price, 0.0)

    def _last_mean(self, tape: OptionTape, end: int) -> float:
        last = tape.row_at(end)
        if last < 0:
            return 0.0
        ends = tape.columns.start_ns + tape.columns.span_ns
        newest = min(int(ends[last]), end)
        first = int(np.searchsorted(ends, newest - self.terms.settle_minutes * MINUTE, side="right"))
        return round(float(np.mean(tape.columns.close[min(first, last) : last + 1])), 2)

    def _smile(self, contract: Instrument, day: date) -> Smile | None:
        """The newest volatilities of this expiry that were known on a day."""
        oldest = day - timedelta(days=_KEPT_DAYS)
        for listed in reversed(self._files.get(contract.underlying, ())):
            known = listed.day < day or (listed.day == day and self.terms.same_day)
            if known and listed.day >= oldest and (smile := listed.smiles.get(contract.expiry)) is not None:
                return smile
        return None

    def _forward(
        self, contract: Instrument, smile: Smile | None, spot: Floats, at: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Years to the expiry, and the forward."""
        years = np.asarray(np.maximum(self.ends(contract.exchange, contract.expiry) - at, 0) / _YEAR)
        return years, black76.carried_forward(spot, years, self.terms.shape.carry if smile is None else smile.basis)

    def _worth(
        self, contract: Instrument, tape: OptionTape, day: date, spot: Floats, at: NDArray[np.int64],
        strikes: Floats | None = None,
    ) -> Floats:  # fmt: skip
        """Unrounded prices, elementwise over moments or over strikes."""
        shape, smile = self.terms.shape, self._smile(contract, day)
        years, forward = self._forward(contract, smile, spot, at)
        if contract.kind is InstrumentKind.FUT:
            return forward
        strike = contract.strike if strikes is None else strikes
        volatility = (
            shape.volatility(tape.atm_volatility(day), forward, strike, years)
            if smile is None
            else smile.volatility_at(strike)
        )
        return black76.prices(forward, strike, years, volatility, shape.rate, contract.kind is InstrumentKind.CE)

    def _half(
        self, contract: Instrument, tape: OptionTape, day: date, spot: Floats, at: NDArray[np.int64], prices: Floats,
        strikes: Floats | None = None,
    ) -> Floats:  # fmt: skip
        """Half of bid to ask in rupees; the bid is a tick at least."""
        shape, tick = self.terms.shape, contract.tick_size
        if contract.kind is InstrumentKind.FUT:
            return np.full(len(prices), round(shape.spread_ticks) * tick)
        years, forward = self._forward(contract, self._smile(contract, day), spot, at)
        ticks = shape.half_spread(
            tape.atm_volatility(day), forward, contract.strike if strikes is None else strikes, years
        )
        return np.asarray(np.maximum(np.minimum(ticks * tick, prices - tick), 0.0))
