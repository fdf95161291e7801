"""The simulated world: price levels over the days, the market day of any date, and its listing.

Days follow each other from an anchor (the first market day and its opening prices), forwards and backwards, each close
leading to the next open by a gap. A day depends on seed, anchor and date only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple
from zlib import crc32

import numpy as np
from msgspec.structs import replace

from mytrading.core.calendar import Calendar, Session
from mytrading.core.instruments import contract_specs as specs
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import SECOND
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.market.day import Ints, MarketDay, Prices, SharedPath, SharedPrices
from mytrading.simulator.market.replay import TickFile
from mytrading.simulator.market.surface import Array, ExpiryTerms, expiry_terms, theoretical_prices

MOST = 20_000
_FAMILIES = 16
_PREFIX = "GEN"
_LOWEST, _STEP, _PRICES = 80.0, 37.5, 97
_VOLATILITY = 0.24


def with_generated_shares(facts: specs.ContractFacts, count: int) -> specs.ContractFacts:
    """Return the contract facts with `count` generated shares added."""
    shares = {}
    for number in range(1, count + 1):
        price = _LOWEST + _STEP * (number * 31 % _PRICES)
        shares[f"{_PREFIX}{number:05d}"] = specs.Underlying(
            exchange="NSE",
            reference_price=price,
            name=f"GENERATED SHARE {number}",
            volatility=_VOLATILITY,
            tick=0.05 if price < 1000.0 else 0.1,
        )
    return replace(facts, underlyings={**facts.underlyings, **shares})


def path_family(name: str) -> str:
    """Return the name that seeds an underlying's price path: generated shares share one per family."""
    number = name.removeprefix(_PREFIX)
    if name == number or len(number) != 5 or not number.isdigit():
        return name
    return f"{_PREFIX} family {int(number) % _FAMILIES}"


# Swings about the day's path: (half-life in seconds, size as a share of the price). They make averages cross.
_SWINGS = ((240.0, 0.0005), (1500.0, 0.0011))
_TRADING_DAYS = 250.0


class Shapes:
    """Draws of one seed; `volatility` is of a year, 0.13 for 13 %."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._busy: dict[int, Array] = {}

    def rng(self, name: str, day: date, purpose: int) -> np.random.Generator:
        """Return the random generator seeded by a name, a day and a number for what is drawn."""
        return np.random.default_rng([self._seed, crc32(name.encode()), day.toordinal(), purpose])

    def gap_and_move(self, name: str, day: date, volatility: float) -> tuple[float, float]:
        """Draw the log change from last close to open, and from open to close, at a `volatility` per year."""
        draws = self.rng(name, day, 0).normal(size=2)
        daily = volatility / np.sqrt(_TRADING_DAYS)
        return float(0.35 * daily * draws[0]), float(0.8 * daily * draws[1])

    def high_low_distances(self, name: str, day: date, volatility: float) -> tuple[float, float]:
        """Draw the log distances of a day's high above, and low below, its open and close; `volatility` is per year."""
        draws = np.abs(self.rng(name, day, 4).normal(size=2)) * 0.35 * volatility / np.sqrt(_TRADING_DAYS)
        return float(draws[0]), float(draws[1])

    def path(self, name: str, day: date, volatility: float, seconds: int) -> Array:
        """Draw the log price against the open for each second; `seconds + 1` values from 0 to the day's move."""
        rng = self.rng(name, day, 1)
        t = np.arange(seconds, dtype=np.float64)
        pattern = 1.0 + 1.6 * np.exp(-t / 1200.0) + 0.7 * np.exp((t - seconds) / 1500.0)
        scale = 0.75 * volatility / np.sqrt(_TRADING_DAYS) * np.sqrt(pattern / pattern.sum())
        walk = _bridge(np.concatenate(([0.0], np.cumsum(rng.normal(size=seconds) * scale))))
        for half_life, size in _SWINGS:
            walk += _bridge(_swing(rng, seconds + 1, half_life, size))
        _, move = self.gap_and_move(name, day, volatility)
        return np.asarray(walk + move * np.linspace(0.0, 1.0, seconds + 1))

    def activity(self, name: str, day: date, seconds: int) -> Array:
        """Draw the traded share of the day's volume by each second; `seconds + 1` values from 0 to 1."""
        if seconds not in self._busy:
            t = np.arange(seconds + 1, dtype=np.float64)
            self._busy[seconds] = 0.6 + 1.8 * np.exp(-t / 1800.0) + 1.2 * np.exp((t - seconds) / 2400.0)
        traded = np.cumsum(self._busy[seconds] * self.rng(name, day, 2).exponential(size=seconds + 1))
        return np.asarray(traded / traded[-1])


def _bridge(path: Array) -> Array:
    """The path with its end pulled back to zero along a straight line."""
    return np.asarray(path - path[0] - (path[-1] - path[0]) * np.linspace(0.0, 1.0, len(path)))


def _swing(rng: np.random.Generator, length: int, half_life: float, size: float) -> Array:
    """A mean-reverting path (first-order autoregression) with stationary deviation `size`."""
    decay = 0.5 ** (1.0 / half_life)
    noise = rng.normal(size=length) * size * np.sqrt(1.0 - decay * decay)
    block = int(half_life * 200)
    out = np.empty(length)
    last = 0.0
    for start in range(0, length, block):
        part = noise[start : start + block]
        powers = decay ** np.arange(1, len(part) + 1)
        out[start : start + block] = powers * (last + np.cumsum(part / powers))
        last = out[start + len(part) - 1]
    return out


TICK = 0.05
"""Rupees, where a list has no tick."""
_DAYS_KEPT = 4
_EXPIRIES_KEPT = 6  # Of one day: about 1 MB each. Contracts that are priced together are of one or two.
_EXCHANGES = ("NSE", "NSE_INDEX", "NFO")  # A day of trading has at least these.
SHARES_A_DAY = 8_000_000
TICK_DAYS = 370
"""Days of ticks before the first market day, so that history has minutes of a year."""
_FUTURE_LOTS_A_DAY = 180_000


class DayRange(NamedTuple):
    """A day in four prices."""

    day: date
    open: float
    high: float
    low: float
    close: float


class SimulatedWorld:
    """All market days of a seed; for `replayed`, the days of `files` are recorded ones and the rest grows from them.

    A day that is not recorded has a tick every `tick_seconds`, at the price that a tick each second has then.
    """

    silent = False

    def __init__(
        self,
        calendar: Calendar,
        facts: specs.ContractFacts,
        seed: int,
        anchor: date,
        files: tuple[TickFile, ...] = (),
        replayed: str = "NIFTY",
        *,
        tick_seconds: int = 1,
    ) -> None:
        self.calendar = calendar
        self.facts = facts
        self.shapes = Shapes(seed)
        self._anchor = anchor
        self._files = {file.day: file for file in files}
        self._replayed = replayed
        self._tick_ns = tick_seconds * SECOND
        self._days: dict[date, MarketDay] = {}
        self._opens: dict[tuple[str, date], float] = {}
        self._closes: dict[tuple[str, date], float] = {}
        self._draws: dict[tuple[str, date], tuple[float, float]] = {}
        quoted = [underlying for underlying in facts.underlyings.values() if underlying.is_quoted]
        traded = {underlying.traded_on for underlying in quoted if underlying.lot}
        listed = {exchange for underlying in quoted for exchange in (underlying.exchange, *underlying.also)}
        self._exchanges = tuple(dict.fromkeys((*_EXCHANGES, *sorted(listed | traded))))
        self._beside = {name.exchange for name in facts.underlyings.values() if not name.is_quoted}

    def _recorded(self, name: str, day: date) -> TickFile | None:
        return self._files.get(day) if name == self._replayed else None

    def _recorded_open(self, name: str, day: date) -> float | None:
        if (file := self._recorded(name, day)) is None:
            return None
        session = self.calendar.session(self.facts.underlyings[name].exchange, day)
        first = 0 if session is None else int(np.searchsorted(file.times, session.open_ns))
        return float(file.ltp[min(first, len(file.ltp) - 1)])

    @property
    def listing_changed(self) -> bool:
        """True if today's list of contracts has changed since it was built. Always False here; overridden where a live
        market is followed."""
        return False

    def find_instrument(self, instrument: str, day: date) -> Instrument | None:
        """Build an instrument from its id, as listed on a day; None for a derivative whose lot size is not known."""
        exchange, symbol = split_id(instrument)
        parsed = parse_symbol(symbol, exchange)
        underlying = self.facts.underlyings.get(parsed.underlying)
        if parsed.expiry is not None:
            if underlying is None or not underlying.lot:
                return None
            return specs.make_derivative(parsed.underlying, underlying, parsed.kind, parsed.expiry, parsed.strike, day)
        if underlying is not None and exchange in (underlying.exchange, *underlying.also):
            return specs.make_spot(symbol, underlying, exchange)
        kind = InstrumentKind.INDEX if exchange.endswith("_INDEX") else InstrumentKind.EQ
        return Instrument(
            id=instrument, exchange=exchange, symbol=symbol, kind=kind, underlying=symbol, tick_size=TICK, name=symbol
        )

    @property
    def is_replay(self) -> bool:
        """Return whether the market replays recorded days."""
        return bool(self._files)

    def next_open(self, now: int) -> int | None:
        """Return the derivatives' next opening after `now` (ns UTC), also during a session; None after the last
        recorded day."""
        if not self._files:
            return self.calendar.next_open("NFO", now)
        sessions = (self.calendar.session("NFO", day) for day in sorted(self._files))
        return next((session.open_ns for session in sessions if session is not None and session.open_ns > now), None)

    def sessions(self, day: date) -> dict[str, Session] | None:
        """Return each exchange's session of a day, None on a day without trading. Commodities trade as long as shares
        and their contracts do, and not at all on a day on which they open later."""
        found = {name: self.calendar.session(name, day) for name in self._exchanges}
        sessions = {name: session for name, session in found.items() if session is not None}
        if len(sessions) < len(self._exchanges):
            return None
        opens = min(session.open_ns for session in sessions.values())
        closes = max(session.close_ns for session in sessions.values())
        for name in self._beside:
            session = self.calendar.session(name, day)
            if session is not None and session.open_ns <= opens:
                end = min(session.close_ns, closes)
                sessions[name] = session._replace(open_ns=opens, close_ns=end, final_ns=end)
        return sessions

    def listing(self, day: date) -> InstrumentBook:
        """Return the instruments listed on a day, strikes about that day's open."""
        prices = {name: self.opening_price(name, day) for name, facts in self.facts.underlyings.items() if facts.lot}
        return InstrumentBook(specs.list_instruments(self.facts, self.calendar, day, prices))

    def more_options(self, listed: InstrumentBook, name: str, day: date, span: tuple[float, float]) -> list[Instrument]:
        """Return options to list besides `listed` once `name` traded within `span` (low, high) on a day; [] for
        none."""
        facts = self.facts.underlyings[name]
        step = facts.strike_step
        lowest = max(round(span[0] / step) - specs.STRIKES_BEYOND, 1) * step
        highest = (round(span[1] / step) + specs.STRIKES_BEYOND) * step
        expiry = next(iter(listed.expiries(name, InstrumentKind.CE)), "")
        there = sum(
            lowest <= item.strike <= highest for item in listed.options(name, expiry) if item.kind is InstrumentKind.CE
        )
        if not expiry or there > (highest - lowest) / step:
            return []
        return [item for item in specs.list_options(name, facts, self.calendar, day, span) if item.id not in listed]

    def opening_price(self, name: str, day: date) -> float:
        """Return an underlying's opening price in rupees on a trading day."""
        if (name, day) in self._opens:
            return self._opens[name, day]
        if (name, self._anchor) not in self._opens:
            first = self.facts.underlyings[name].reference_price
            if path_family(name) == name:
                first = float(first * np.exp(self.shapes.rng(name, self._anchor, 9).normal() * 0.004))
            self._opens[name, self._anchor] = self._recorded_open(name, self._anchor) or first
        if day > self._anchor:
            for step in self._trading_days(self._anchor, day):
                before = self.calendar.previous_trading_day("NSE", step)
                grown = self.closing_price(name, before) * float(np.exp(self._gap_and_move(name, step)[0]))
                self._opens[name, step] = self._recorded_open(name, step) or grown
        else:
            for step in reversed(self._trading_days(day, self._anchor)):
                before = self.calendar.previous_trading_day("NSE", step)
                self._closes[name, before] = self._opens[name, step] / float(np.exp(self._gap_and_move(name, step)[0]))
                move = self._gap_and_move(name, before)[1]
                self._opens[name, before] = self._closes[name, before] / float(np.exp(move))
        return self._opens[name, day]

    def closing_price(self, name: str, day: date) -> float:
        """Return an underlying's closing price in rupees on a trading day."""
        if (name, day) not in self._closes:
            if (file := self._recorded(name, day)) is not None:
                self._closes[name, day] = float(file.ltp[-1])
            else:
                move = float(np.exp(self._gap_and_move(name, day)[1]))
                self._closes[name, day] = self.opening_price(name, day) * move
        return self._closes[name, day]

    def day(self, day: date) -> MarketDay:
        """Return the market of a trading day; `ValueError` on a day without trading."""
        if day not in self._days:
            while len(self._days) >= _DAYS_KEPT:
                self._days.pop(min(self._days))  # the present day stays, whatever of the past is asked for
            self._days[day] = self._make(day)
        return self._days[day]

    @property
    def ticks_since(self) -> date:
        """Return the first day that has ticks; earlier days have daily bars alone."""
        return self._anchor - timedelta(days=TICK_DAYS)

    def days_before_ticks(self, name: str, first: date) -> list[DayRange]:
        """Return an underlying's daily bars from `first` up to the day before `ticks_since`, oldest first."""
        volatility, draws = self.facts.underlyings[name].volatility, self.shapes
        step = self.calendar.next_trading_day("NSE", self.ticks_since - timedelta(days=1))
        opened, found = self.opening_price(name, step), []
        gap = self._gap_and_move(name, step)[0]
        while (before := self.calendar.previous_trading_day("NSE", step)) >= first:
            closed = opened / float(np.exp(gap))
            gap, move = draws.gap_and_move(path_family(name), before, volatility)
            opened = closed / float(np.exp(move))
            up, down = draws.high_low_distances(path_family(name), before, volatility)
            high, low = max(opened, closed) * float(np.exp(up)), min(opened, closed) / float(np.exp(down))
            found.append(DayRange(before, opened, high, low, closed))
            step = before
        return found[::-1]

    def _trading_days(self, first: date, last: date) -> list[date]:
        days = [first]
        while days[-1] < last:
            days.append(self.calendar.next_trading_day("NSE", days[-1]))
        return days[1:]

    def _gap_and_move(self, name: str, day: date) -> tuple[float, float]:
        """Gap and move of a day, drawn once for all that share them."""
        shape = path_family(name)
        if (shape, day) not in self._draws:
            self._draws[shape, day] = self.shapes.gap_and_move(shape, day, self.facts.underlyings[name].volatility)
        return self._draws[shape, day]

    def sessions_of_trading_day(self, day: date) -> dict[str, Session]:
        """Return each exchange's session of a day; `ValueError` on a day without trading."""
        sessions = self.sessions(day)
        if sessions is None:
            raise ValueError(f"{day}: expected a trading day of NSE and NFO, found none in config/calendar.toml")
        return sessions

    def _make(self, day: date) -> MarketDay:
        sessions = self.sessions_of_trading_day(day)
        opens = min(session.open_ns for session in sessions.values())
        closes = max(session.close_ns for session in sessions.values())
        ticks = self._files.get(day)
        times = np.arange(opens, closes + 1, self._tick_ns, dtype=np.int64) if ticks is None else ticks.times
        span = (closes - opens) // SECOND
        seconds = np.clip((times - opens) // SECOND, 0, span)
        pricer = _Pricer(self, day, times, seconds, span, ticks, self._replayed, opens)
        return MarketDay(day, times, sessions, pricer, replayed=ticks is not None, spots=pricer.spot_of)


@dataclass
class _Pricer:
    """Prices any instrument over one day's ticks; `seconds` are their indices among the `span` seconds of the day."""

    world: SimulatedWorld
    day: date
    times: Ints
    seconds: Ints
    span: int
    ticks: TickFile | None
    replayed: str
    open_ns: int
    _spot: dict[str, Array] = field(default_factory=dict)
    _families: dict[str, SharedPath] = field(default_factory=dict)
    _expiries: dict[tuple[str, int], ExpiryTerms] = field(default_factory=dict)

    def __call__(self, instrument: Instrument) -> Prices | SharedPrices:
        if instrument.kind.is_derivative:
            return self._derivative(instrument)
        if path_family(instrument.symbol) != instrument.symbol:
            return self._member(instrument)
        return self._underlying(instrument)

    def _member(self, instrument: Instrument) -> SharedPrices:
        """A generated share: the day of its family, times its own opening price."""
        name = path_family(instrument.symbol)
        if name not in self._families:
            path = self._relative_path(instrument.symbol)
            activity = self.world.shapes.activity(name, self.day, self.span)[self.seconds]
            first = int(np.searchsorted(self.times, self.open_ns))
            self._families[name] = SharedPath.of(path, np.floor(activity * SHARES_A_DAY).astype(np.int64), first)
        opening = self.world.opening_price(instrument.symbol, self.day)
        return SharedPrices(self._families[name], opening, self._share_close(instrument))

    def _share_close(self, instrument: Instrument) -> float:
        before = self.world.calendar.previous_trading_day("NSE", self.day)
        return to_tick(self.world.closing_price(instrument.symbol, before), instrument.tick_size)

    def spot_of(self, name: str) -> Array:
        """An underlying's price at each tick of the day."""
        if name not in self._spot:
            if self.ticks is not None and name == self.replayed:
                self._spot[name] = self.ticks.ltp
            else:
                self._spot[name] = self.world.opening_price(name, self.day) * self._relative_path(name)
        return self._spot[name]

    def _relative_path(self, name: str) -> Array:
        """The price as a multiple of the day's opening one; a generated share moves as its family does."""
        volatility = self.world.facts.underlyings[name].volatility
        path = self.world.shapes.path(path_family(name), self.day, volatility, self.span)
        return np.asarray(np.exp(path[self.seconds]))

    def _underlying(self, instrument: Instrument) -> Prices:
        close = self._share_close(instrument)
        spot = self.spot_of(instrument.symbol)
        ticks, nothing = self.ticks, np.zeros(len(spot), dtype=np.int64)
        if ticks is not None and instrument.symbol == self.replayed:
            return Prices(spot, nothing if ticks.volume is None else ticks.volume, close, 0, ticks.bid, ticks.ask)
        is_index = instrument.kind is InstrumentKind.INDEX
        return Prices(spot, nothing if is_index else self._volume(instrument, SHARES_A_DAY), close, 0)

    def _derivative(self, instrument: Instrument) -> Prices:
        session = self.world.calendar.session(instrument.exchange, date.fromisoformat(instrument.expiry))
        assert session is not None
        expiry, name = session.close_ns, instrument.underlying
        if (name, expiry) not in self._expiries:
            while len(self._expiries) >= _EXPIRIES_KEPT:
                self._expiries.pop(next(iter(self._expiries)))
            self._expiries[name, expiry] = expiry_terms(self.spot_of(name), expiry, self.times)
        level = self._level(name, self.day)
        ltp = theoretical_prices(instrument.kind, instrument.strike, self._expiries[name, expiry], level)
        lots = _FUTURE_LOTS_A_DAY
        if instrument.kind is not InstrumentKind.FUT:
            distance = abs(instrument.strike / self.world.opening_price(name, self.day) - 1.0)
            lots = int(400_000 * np.exp(-distance * 90.0)) + 50
        return Prices(
            ltp, self._volume(instrument, lots), self._close_before(instrument, expiry), lots // 3 * instrument.lot_size
        )

    def _close_before(self, instrument: Instrument, expiry: int) -> float:
        calendar = self.world.calendar
        before = calendar.previous_trading_day("NSE", self.day)
        session = calendar.session("NFO" if instrument.exchange == "MCX" else instrument.exchange, before)
        assert session is not None
        spot = np.array([self.world.closing_price(instrument.underlying, before)])
        terms = expiry_terms(spot, expiry, np.array([session.close_ns]))
        level = self._level(instrument.underlying, before)
        value = theoretical_prices(instrument.kind, instrument.strike, terms, level)
        return to_tick(float(value[0]), instrument.tick_size)

    def _level(self, name: str, day: date) -> float:
        drift = float(self.world.shapes.rng(name, day, 3).normal()) * 0.05
        return self.world.facts.underlyings[name].volatility * float(np.exp(drift))

    def _volume(self, instrument: Instrument, lots: int) -> Ints:
        shape = self.world.shapes.activity(instrument.id, self.day, self.span)[self.seconds]
        return np.asarray(np.floor(shape * lots).astype(np.int64) * instrument.lot_size)


def settlement_value(instrument: Instrument, spot: float) -> float:
    """Return the settlement price in rupees of a contract that expires with its underlying at `spot`."""
    if instrument.kind is InstrumentKind.FUT:
        return round(spot, 2)
    sign = 1.0 if instrument.kind is InstrumentKind.CE else -1.0
    return round(max(sign * (spot - instrument.strike), 0.0), 2)


def to_tick(price: float, tick: float) -> float:
    """Round a price to the tick grid, to at least one tick."""
    return round(max(round(price / tick), 1) * tick, 2)
