"""Prices of an underlying's options and futures at each of its bars, and the contracts listed on a day.

A price is the recorded one where there is one, else follows from the underlying by volatilities that were read off
prices, else by the surface's shape. A bar's prices follow from that bar of the underlying and from what was before it,
from nothing later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns, DataError
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import Ends, session_ends
from mytrading.core.calendar.variance_clock import VarianceClock
from mytrading.core.indicators import FloatArray
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    Underlying,
    make_derivative,
    make_options,
    monthly_expiries,
    weekly_expiries,
)
from mytrading.core.instruments.symbology import DERIVATIVE_EXCHANGES, split_id
from mytrading.core.options import black76
from mytrading.core.options.surface import Floats, Shape, Smile, atm_levels, daily_variance, round_to_ticks
from mytrading.core.time import DAY, IST_OFFSET, MINUTE
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.signals import Leg

Key = TypeVar("Key")
Kept = TypeVar("Kept")
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
    return sides_around(price, math.ceil((sides[1] - sides[0]) / 2 / tick - _EPSILON) * tick, tick)


def sides_around(price: float, half: float, tick: float) -> Sides:
    """Return bid and ask half a spread (rupees) either side of a price; the bid is a tick at least, where the price is.

    The ask keeps its whole half spread however cheap the contract is.
    """
    return max(price - half, min(price, tick)), price + half


SHAPE_SETTINGS = ("skew", "smile", "near", "near_days", "carry", "rate", "spread_ticks", "wing_ticks")
"""Settings of a `Shape` that a run may change."""
MODELLED, CALIBRATED, RECORDED = 0, 1, 2
"""Source of a price: the surface's own shape, volatilities read off prices, or a price that was made."""
SOURCES = ("modelled", "calibrated", "recorded")


@dataclass(frozen=True, eq=False)
class ListedDay:
    """The contracts of one underlying on one day, as its exchange listed them, and what they say at its close.

    `smiles` by expiry (ISO date); `spot` is the underlying's close, 0 where the file has none. `traded` holds the
    opening and closing price, rupees, of the options that traded.
    """

    day: date
    underlying: str
    contracts: tuple[Instrument, ...]
    smiles: Mapping[str, Smile] = field(default_factory=dict)
    spot: float = 0.0
    traded: Mapping[str, tuple[float, float]] = field(default_factory=dict)


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
        option for expiry in expiries for right in _RIGHTS
        for option in make_options(name, facts, right, expiry, strikes, day)
    ]  # fmt: skip


_YEAR = 365 * DAY
_EPOCH = date(1970, 1, 1).toordinal()
_KEPT_DAYS = 5
"""So many days after it a file's volatilities still say something."""
_KEPT_PRICES, _KEPT_MOMENTS, _KEPT_BOOKS = 4096, 2048, 256
"""Days of contracts, moments of chains, and lists of days that a market keeps: some 80, 20 and 30 MB of them."""


class DayPrices(NamedTuple):
    """The bars of a contract on one day, where each price is from, half of bid to ask in rupees, holes, and quotes.

    The arrays are shared by all runs on one market and cannot be written to.
    """

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
    """A contract's price, bid and ask at a moment, rupees, and whether those two were recorded."""

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


class Horizon(NamedTuple):
    """Inputs of the pricing of one expiry at some moments: arrays of one shape, and the volatilities that hold then."""

    clock: Floats
    """Years to the expiry on the variance clock."""
    forward: Floats
    discount: Floats
    level: float
    smile: Smile | None


class OptionMarket:
    """Prices and listings over the bars of the underlyings in `data`. What it gives depends on nothing but its inputs,
    so that all runs on the same inputs can share one, and with it the prices that it has made (`shared_market`)."""

    def __init__(self, terms: OptionTerms, data: Sequence[Columns], calendar: Calendar, facts: ContractFacts) -> None:
        self.terms = terms
        self._calendar = calendar
        self._facts = facts
        self.ends: Ends = session_ends(calendar)
        self._tapes: dict[str, OptionTape] = {}
        self._clocks: dict[str, VarianceClock] = {}
        self._contracts: dict[str, Instrument] = {}
        self._lists: dict[date, tuple[Instrument, ...]] = {}
        self._books: dict[tuple[date, tuple[Instrument, ...]], tuple[dict[str, Instrument], InstrumentBook]] = {}
        self.chosen: dict[tuple[int, str, tuple[LegRule, ...]], tuple[Leg, ...]] = {}
        """The legs that rules led to at the end of a bar, by its row in the bars of a watched instrument."""
        self._days: dict[tuple[str, float, date], DayPrices] = {}
        self._moments: dict[tuple[str, str, InstrumentKind, int], dict[str, OptionMoment]] = {}
        for columns in data:
            exchange, name = split_id(columns.instrument)
            underlying = facts.underlyings.get(name)
            if exchange in DERIVATIVE_EXCHANGES and underlying is not None and underlying.lot:
                first = underlying.volatility
                self._tapes[name] = OptionTape(columns, terms.sessions, terms.least, first, terms.level, terms.factor)
                traded_on = DERIVATIVE_EXCHANGES[exchange]
                self._clocks[name] = VarianceClock(facts.variance_clock, calendar, traded_on)
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

    def listed_days(self) -> Iterable[tuple[ListedDay, Columns]]:
        """Yield the days of files that the underlying has bars of, with those bars."""
        for name, days in self._files.items():
            tape = self._tapes.get(name)
            for listed in days:
                if tape is not None and len(bars := tape.columns.on_day(listed.day)):
                    yield listed, bars

    def contracts_on(self, day: date) -> Sequence[Instrument]:
        """Return a day's listed contracts: those in its bhavcopy, else by expiry and strike rules around the last
        price."""
        if (known := self._lists.get(day)) is None:
            listed = {item.id: item for name, tape in self._tapes.items() for item in self._listed(name, tape, day)}
            known = self._lists[day] = tuple(map(self._known, listed.values()))
        return known

    def book_of(
        self, day: date, own: tuple[Instrument, ...], held: tuple[Instrument, ...]
    ) -> tuple[dict[str, Instrument], InstrumentBook]:
        """Return a day's listed contracts by id, and their book: those of the data (`own`) and those still held too."""
        if (known := self._books.get((day, own))) is None or held:
            listed = {item.id: item for item in (*own, *self.contracts_on(day), *held)}
            known = listed, InstrumentBook(listed.values(), self.ends)
            if not held:
                _keep(self._books, (day, own), known, _KEPT_BOOKS)
        return known

    def _listed(self, name: str, tape: OptionTape, day: date) -> Sequence[Instrument]:
        file = next((item for item in self._files.get(name, ()) if item.day == day), None)
        if file is not None:
            return file.contracts
        first = tape.rows(day).start
        before = float(tape.columns.close[first - 1]) if first else float(tape.columns.table[0, 0])
        return list_contracts(name, self._facts.underlyings[name], self._calendar, day, before)

    def _known(self, contract: Instrument) -> Instrument:
        """The same contract of an earlier day where nothing of it changed, for the sake of memory."""
        known = self._contracts.setdefault(contract.id, contract)
        if known != contract:
            known = self._contracts[contract.id] = contract
        return known

    def prices(self, contract: Instrument, day: date) -> DayPrices | None:
        """Return a contract's prices on a day, a bar for each of its underlying's: recorded, else modelled. None if the
        underlying has no bars on that day."""
        return self.prices_of((contract,), day)[0]

    def prices_of(self, contracts: Sequence[Instrument], day: date) -> list[DayPrices | None]:
        """Return the bars of each contract on a day, those of one expiry priced in one call; see `prices`."""
        found: dict[str, DayPrices | None] = {}
        groups: dict[tuple[str, str, bool, float], list[Instrument]] = {}
        for contract in contracts:
            known = self._days.get((contract.id, contract.tick_size, day))
            if known is None:
                key = (contract.underlying, contract.expiry, contract.kind.is_option, contract.tick_size)
                groups.setdefault(key, []).append(contract)
            else:
                found[contract.id] = known
        for group in groups.values():
            for contract, made in zip(group, self._price_day(group, day), strict=True):
                found[contract.id] = made
                _keep(self._days, (contract.id, contract.tick_size, day), made, _KEPT_PRICES)
        return [found[contract.id] for contract in contracts]

    def _price_day(self, group: Sequence[Instrument], day: date) -> Iterable[DayPrices | None]:
        """The bars of contracts of one expiry, and all options or all futures."""
        tape = self._tapes[group[0].underlying]
        rows = tape.rows(day)
        start, count = tape.columns.start_ns[rows], rows.stop - rows.start
        if not count:
            return [None] * len(group)
        middle = start + tape.columns.span_ns // 2
        at = np.stack([start, middle, middle, start + tape.columns.span_ns])
        horizon = self._horizon(group[0], day, tape.columns.table[:4, rows], at)
        worth = self._worth(horizon, group)
        table = np.full((len(group), 5, count), np.inf)
        table[:, 0], table[:, 3] = worth[:, 0], worth[:, 3]
        table[:, 1], table[:, 2] = worth.max(axis=1), worth.min(axis=1)
        table[:, :4] = round_to_ticks(table[:, :4], group[0].tick_size)
        half = self._half(horizon._replace(clock=horizon.clock[0], forward=horizon.forward[0]), group)
        source = MODELLED if horizon.smile is None else CALIBRATED
        timeframe = tape.columns.timeframe
        return [
            self._finish(Columns(contract.id, timeframe, start, table[index]), source, half[index])
            for index, contract in enumerate(group)
        ]

    def _finish(self, columns: Columns, source: int, half: Floats) -> DayPrices:
        """Put recorded bars in the place of those that start with them, and the bid and ask at the end of each."""
        sources, start = np.full(len(columns), source, dtype=np.int8), columns.start_ns
        gaps = np.zeros(len(columns), dtype=np.bool_)
        quotes = before = np.broadcast_to(np.float64(np.nan), (2, len(columns)))
        recorded = self.terms.recorded.get(columns.instrument)
        if recorded is not None and len(recorded):
            at = np.minimum(np.searchsorted(recorded.start_ns, start), len(recorded) - 1)
            same = recorded.start_ns[at] == start
            columns.table[:, same] = recorded.table[:, at[same]]
            sources[same] = RECORDED
            gaps = ~same & (start > recorded.start_ns[0]) & (start < recorded.start_ns[-1])
            if (known := self.terms.quotes.get(columns.instrument)) is not None:
                quotes = no_quotes(len(columns))
                quotes[:, same] = known[:, at[same]]
                before = quotes_before(start, columns.span_ns, quotes)
        made = DayPrices(columns, sources, half, gaps, quotes, before)
        for array in (columns.table, *made[1:]):
            array.flags.writeable = False
        return made

    def prices_at(self, contracts: Sequence[Instrument], now: int) -> dict[str, OptionMoment]:
        """Return price, bid and ask (rupees) by contract id at the end of their underlying's last bar by `now` (ns);
        none before its first."""
        found: dict[str, OptionMoment] = {}
        groups: dict[tuple[str, str, InstrumentKind], list[Instrument]] = {}
        for contract in contracts:
            groups.setdefault((contract.underlying, contract.expiry, contract.kind), []).append(contract)
        for key, group in groups.items():
            if (row := self._tapes[key[0]].row_at(now)) >= 0:
                known = self._moments.get((*key, row), {})
                missing = [contract for contract in group if contract.id not in known]
                if missing:
                    known = {**known, **self._moment(missing, row)}
                    _keep(self._moments, (*key, row), known, _KEPT_MOMENTS)
                found.update((contract.id, known[contract.id]) for contract in group)
        return found

    def _moment(self, group: Sequence[Instrument], row: int) -> dict[str, OptionMoment]:
        tape = self._tapes[group[0].underlying]
        start = int(tape.columns.start_ns[row])
        day, at = date.fromordinal(_EPOCH + int(tape.days[row])), start + tape.columns.span_ns
        prices, halves = self.modelled_prices(group, day, float(tape.columns.close[row]), at)
        found = {}
        for contract, price, half in zip(group, prices.tolist(), halves.tolist(), strict=True):
            made = self._recorded(contract, start, half)
            found[contract.id] = made or OptionMoment(price, *sides_around(price, half, contract.tick_size))
        return found

    def modelled_prices(self, group: Sequence[Instrument], day: date, spot: float, now: int) -> tuple[Floats, Floats]:
        """Return what contracts of one expiry and kind cost off the underlying's price at a moment of a day, and half
        of bid to ask: rupees, float64 of shape (contracts,)."""
        horizon = self._horizon(group[0], day, np.array([spot]), np.array([now]))
        prices = round_to_ticks(self._worth(horizon, group), group[0].tick_size)[:, 0]
        return np.asarray(prices), self._half(horizon, group)[:, 0]

    def _recorded(self, contract: Instrument, start: int, half: float) -> OptionMoment | None:
        recorded, quotes = self.terms.recorded.get(contract.id), self.terms.quotes.get(contract.id)
        if recorded is None:
            return None
        at = int(np.searchsorted(recorded.start_ns, start))
        if at >= len(recorded) or int(recorded.start_ns[at]) != start:
            return None
        price = float(recorded.close[at])
        if quotes is None or np.isnan(quotes[0, at]):
            return OptionMoment(price, *sides_around(price, half, contract.tick_size))
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

    def smile_on(self, contract: Instrument, day: date) -> Smile | None:
        """Return the newest volatilities of a contract's expiry that were known on a day; None without any."""
        oldest = day - timedelta(days=_KEPT_DAYS)
        for listed in reversed(self._files.get(contract.underlying, ())):
            known = listed.day < day or (listed.day == day and self.terms.same_day)
            if known and listed.day >= oldest and (smile := listed.smiles.get(contract.expiry)) is not None:
                return smile
        return None

    def _horizon(self, contract: Instrument, day: date, spot: Floats, at: NDArray[np.int64]) -> Horizon:
        """Return the pricing inputs of a contract's expiry for prices of the underlying at moments of a day."""
        tape, shape, smile = self._tapes[contract.underlying], self.terms.shape, self.smile_on(contract, day)
        years = np.maximum(self.ends(contract.exchange, contract.expiry) - at, 0) / _YEAR
        clock = self._clocks[contract.underlying].years_to(date.fromisoformat(contract.expiry), day, at)
        forward = black76.carried_forward(spot, years, shape.carry if smile is None else smile.basis)
        return Horizon(clock, forward, np.exp(-shape.rate * years), tape.atm_volatility(day), smile)

    def _worth(self, horizon: Horizon, group: Sequence[Instrument]) -> Floats:
        """Unrounded prices of contracts of one expiry, all options or all futures: (contracts, *moments)."""
        shape = (len(group), *horizon.forward.shape)
        if group[0].kind is InstrumentKind.FUT:
            return np.broadcast_to(horizon.forward, shape)
        strikes, calls = _columns_of(group, horizon.forward.ndim)
        volatility = (
            self.terms.shape.volatility(horizon.level, horizon.forward, strikes, horizon.clock)
            if horizon.smile is None
            else horizon.smile.volatility_at(strikes)
        )
        premiums = black76.prices(horizon.forward, strikes, horizon.clock, volatility, 0.0, calls)
        return np.asarray(horizon.discount * premiums)

    def _half(self, horizon: Horizon, group: Sequence[Instrument]) -> Floats:
        """Half of bid to ask in rupees: (contracts, *moments)."""
        shape, tick = self.terms.shape, group[0].tick_size
        if group[0].kind is InstrumentKind.FUT:
            return np.full((len(group), *horizon.forward.shape), round(shape.spread_ticks) * tick)
        strikes, _ = _columns_of(group, horizon.forward.ndim)
        return np.asarray(shape.half_spread(horizon.level, horizon.forward, strikes, horizon.clock) * tick)


def _columns_of(group: Sequence[Instrument], axes: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Strikes of contracts and which are calls, to be broadcast against so many axes of moments."""
    shape = (len(group), *[1] * axes)
    strikes = np.array([contract.strike for contract in group])
    calls = np.array([contract.kind is InstrumentKind.CE for contract in group])
    return strikes.reshape(shape), calls.reshape(shape)


def _keep(kept: dict[Key, Kept], key: Key, value: Kept | None, most: int) -> None:
    """Remember a value, and forget the oldest beyond so many."""
    if value is not None:
        kept[key] = value
        if len(kept) > most:
            del kept[next(iter(kept))]


class _Inputs(tuple[Any, ...]):
    """Objects that are the same if each is the very same object."""

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Inputs) and tuple(map(id, self)) == tuple(map(id, other))


@lru_cache(maxsize=2)
def _market_of(inputs: _Inputs) -> OptionMarket:
    terms, calendar, facts, *data = inputs
    return OptionMarket(terms, data, calendar, facts)


def shared_market(
    terms: OptionTerms, data: Sequence[Columns], calendar: Calendar, facts: ContractFacts
) -> OptionMarket:
    """Return the market over these inputs; trials of one process that differ in parameters alone share it."""
    return _market_of(_Inputs((terms, calendar, facts, *data)))
