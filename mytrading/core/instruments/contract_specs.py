"""Dated contract facts: which contracts of an underlying exist on a day, with the lot, freeze and tick of that day.

Read from `config/instruments.toml`; used by the simulator and backtests to list a market day. Every fact is asked for a
date, so that a replay of 2022 trades lots of 50 and Thursday expiries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from functools import lru_cache
from itertools import islice

import msgspec

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.clock_weights import ClockWeights
from mytrading.core.instruments.symbology import DERIVATIVE_EXCHANGES, future_symbol, instrument_id, option_symbol
from mytrading.core.text.spelling import convert_parsed_file
from mytrading.messages.instruments import Instrument, InstrumentKind

_FUTURES = 3
_OF_A_LOT = ("future_tick", "freeze")
_OF_OPTIONS = ("strike_step", "option_tick")
_QUOTED = (*DERIVATIVE_EXCHANGES, "MCX")
STRIKES_EACH = 30
"""Strikes listed on either side of the money at the open."""
STRIKES_BEYOND = 25
"""Nearer than so many to the last strike, more are listed."""
_RIGHTS = (InstrumentKind.CE, InstrumentKind.PE)


class Dated(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """A number that holds from a date on."""

    since: date
    value: float


class DatedLot(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """Units of a lot from a trading day on, of contracts that expire from `expiry_from` to `expiry_until` (None: all).

    A change of lot leaves contracts that exist at it as they are, mostly until they expire.
    """

    since: date
    value: int
    expiry_from: date | None = None
    expiry_until: date | None = None

    def holds(self, day: date, expiry: date) -> bool:
        """True for a contract with this expiry on a trading day."""
        begins, ends = self.expiry_from or expiry, self.expiry_until or expiry
        return self.since <= day and begins <= expiry <= ends


class DatedWeekday(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """The weekday of expiries (Monday is 0, -1 is none) from a date on."""

    since: date
    weekday: int


class Underlying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts of one index, share or commodity and of the contracts on it; without `lot` it has none.

    Without `strike_step` these are futures only. A commodity is not quoted itself, only its contracts are.
    """

    exchange: str
    reference_price: float
    name: str = ""
    volatility: float = 0.2
    tick: float = 0.05
    future_tick: tuple[Dated, ...] = ()
    option_tick: tuple[Dated, ...] = ()
    strike_step: float = 0.0
    lot: tuple[DatedLot, ...] = ()
    freeze: tuple[Dated, ...] = ()
    weekly: tuple[DatedWeekday, ...] = ()
    monthly: tuple[DatedWeekday, ...] = ()
    expiry_day: int = 0
    also: tuple[str, ...] = ()

    @property
    def traded_on(self) -> str:
        """The exchange that lists its futures and options, such as NFO for NSE."""
        return DERIVATIVE_EXCHANGES.get(self.exchange, self.exchange)

    @property
    def is_quoted(self) -> bool:
        """True if the underlying has a price of its own."""
        return self.exchange in DERIVATIVE_EXCHANGES


class MarginRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin that the paper exchange blocks: shares of value; for sold options a share of strike times quantity.

    The `exposure` shares are of sold options that bought ones hedge, beside the most that both can lose: on an index,
    on an index at the day of the expiry from a date on, and on a share.
    """

    equity_intraday: float = 0.2
    equity_delivery: float = 1.0
    future: float = 0.12
    option_sold: float = 0.12
    exposure: float = 0.02
    exposure_expiry_day: tuple[Dated, ...] = (Dated(date(2024, 11, 20), 0.04),)
    exposure_share: float = 0.05


class ContractFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `config/instruments.toml`."""

    underlyings: dict[str, Underlying]
    square_off: dict[str, time] = {}
    margin: MarginRates = MarginRates()
    variance_clock: ClockWeights = ClockWeights()

    def exposure_of(self, underlying: str, expiry: str, day: str) -> float:
        """Return the share of the sold value that hedged options on an underlying are charged on a day (ISO dates)."""
        known, rates = self.underlyings.get(underlying), self.margin
        if known is None or not known.exchange.endswith("_INDEX"):
            return rates.exposure_share
        dated = [row.value for row in rates.exposure_expiry_day if expiry == day and row.since.isoformat() <= day]
        return dated[-1] if dated else rates.exposure

    @classmethod
    def from_dict(cls, parsed: Mapping[str, object], source: str = "config/instruments.toml") -> ContractFacts:
        """Convert a parsed TOML file to facts; `ValueError` names `source` (the file), key and what was expected."""
        facts = convert_parsed_file(parsed, cls, source)
        for name, underlying in facts.underlyings.items():
            if problem := _problem(underlying):
                raise ValueError(f"{source}: underlyings.{name}: {problem}")
        return facts


def _problem(underlying: Underlying) -> str:
    """Return the problem of an underlying's facts, or an empty string."""
    if underlying.exchange not in _QUOTED:
        return f"exchange: expected one of {', '.join(_QUOTED)}, found {underlying.exchange!r}"
    if not underlying.is_quoted and underlying.strike_step:
        return "options on commodities are not listed; leave strike_step out"
    if not underlying.lot:
        return "" if underlying.is_quoted else "a commodity is traded in contracts only; expected its lot too"
    needed = [*_OF_A_LOT, *(_OF_OPTIONS if any(getattr(underlying, key) for key in _OF_OPTIONS) else ())]
    missing = [key for key in needed if not getattr(underlying, key)]
    for lot in underlying.lot:
        if lot.value < 1 or (lot.expiry_from or date.min) > (lot.expiry_until or date.max):
            return f"lot from {lot.since}: expected units of 1 or more, and expiry_from not after expiry_until"
    missing += [] if underlying.monthly or underlying.expiry_day else ["monthly or expiry_day"]
    return f"it has a lot; expected {', '.join(missing)} too" if missing else ""


def value_on(facts: tuple[Dated, ...], day: date) -> float:
    """Return the value valid on `day`: of the newest entry not after it, else of the oldest; `ValueError` if none."""
    if not facts:
        raise ValueError(f"no dated value listed for {day}; add one to config/instruments.toml")
    return next((fact.value for fact in reversed(facts) if fact.since <= day), facts[0].value)


def lot_size(facts: Underlying, expiry: date, day: date) -> int:
    """Return the lot (units) of the contract with this expiry on a trading day: of the last entry that holds for it.

    Before the first entry that holds, the first one counts. `ValueError` where the underlying has no lot.
    """
    if not facts.lot:
        raise ValueError(f"no lot is listed for {day}; add one to config/instruments.toml")
    return next((lot.value for lot in reversed(facts.lot) if lot.holds(day, expiry)), facts.lot[0].value)


def first_lot(facts: Underlying) -> DatedLot | None:
    """Return the earliest lot on record of an underlying; None where it has none."""
    return min(facts.lot, key=lambda lot: lot.since, default=None)


def nearest_expiry(calendar: Calendar, facts: Underlying, kind: InstrumentKind, day: date) -> date:
    """Return the first expiry on or after a day: of the futures (`FUT`), else of the options."""
    month = next(monthly_expiries(calendar, facts, day))
    if kind is InstrumentKind.FUT:
        return month
    return min(month, next(weekly_expiries(calendar, facts, day), month))


def _weekday(facts: tuple[DatedWeekday, ...], day: date) -> int:
    return next((fact.weekday for fact in reversed(facts) if fact.since <= day), facts[0].weekday)


def weekly_expiries(calendar: Calendar, facts: Underlying, day: date) -> Iterator[date]:
    """Yield weekly expiries on or after `day`, each moved back over holidays; empty if there are none."""
    if not facts.weekly:
        return
    exchange = facts.traded_on
    for offset in range(-7, 400):
        nominal = day + timedelta(days=offset)
        if nominal.weekday() == _weekday(facts.weekly, nominal):
            expiry = _trading_day_at_or_before(calendar, exchange, nominal)
            if expiry >= day:
                yield expiry


def monthly_expiries(calendar: Calendar, facts: Underlying, day: date) -> Iterator[date]:
    """Yield monthly expiries on or after `day`, each moved back over holidays."""
    exchange = facts.traded_on
    for month in range(day.month - 1, day.month + 14):
        last = date(day.year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)
        back = (last.weekday() - _weekday(facts.monthly, last)) % 7 if facts.monthly else last.day - facts.expiry_day
        expiry = _trading_day_at_or_before(calendar, exchange, last - timedelta(days=back))
        if expiry >= day:
            yield expiry


def _trading_day_at_or_before(calendar: Calendar, exchange: str, day: date) -> date:
    return day if calendar.is_trading_day(exchange, day) else calendar.previous_trading_day(exchange, day)


def option_expiries(calendar: Calendar, facts: Underlying, day: date) -> list[date]:
    """Return the option expiries a simulated market lists: two weekly and a monthly, or two monthly."""
    weekly = list(islice(weekly_expiries(calendar, facts, day), 2))
    monthly = [expiry for expiry in islice(monthly_expiries(calendar, facts, day), 3) if expiry not in weekly]
    return sorted(weekly + monthly[: 1 if weekly else 2])


def make_spot(name: str, facts: Underlying, exchange: str = "") -> Instrument:
    """Build the instrument of the index or share itself, on its exchange or on another that lists it."""
    exchange = exchange or facts.exchange
    kind = InstrumentKind.INDEX if facts.exchange.endswith("_INDEX") else InstrumentKind.EQ
    return Instrument(
        id=instrument_id(exchange, name),
        exchange=exchange,
        symbol=name,
        kind=kind,
        underlying=name,
        tick_size=facts.tick,
        name=facts.name or name,
    )


def make_derivative(
    name: str, facts: Underlying, kind: InstrumentKind, expiry: date, strike: float, day: date
) -> Instrument:
    """Build the future (`strike` 0) or option on `name` with the contract facts of `day`."""
    tick = value_on(facts.future_tick if kind is InstrumentKind.FUT else facts.option_tick, day)
    lot, freeze = lot_size(facts, expiry, day), int(value_on(facts.freeze, day))
    return _contract(name, facts.traded_on, kind, expiry, strike, lot, tick, freeze)


def make_options(
    name: str, facts: Underlying, kind: InstrumentKind, expiry: date, strikes: Iterable[float], day: date
) -> list[Instrument]:
    """Build the options (`kind` CE or PE) of one expiry, a strike each, with the contract facts of `day`."""
    lot, tick = lot_size(facts, expiry, day), value_on(facts.option_tick, day)
    exchange, freeze = facts.traded_on, int(value_on(facts.freeze, day))
    return [_contract(name, exchange, kind, expiry, strike, lot, tick, freeze) for strike in strikes]


@lru_cache(maxsize=65_536, typed=True)
def _contract(
    name: str, exchange: str, kind: InstrumentKind, expiry: date, strike: float, lot: int, tick: float, freeze: int
) -> Instrument:
    """A contract, the same object for the same facts: most are listed again the day after."""
    is_future = kind is InstrumentKind.FUT
    symbol = future_symbol(name, expiry) if is_future else option_symbol(name, expiry, strike, kind)
    return Instrument(
        id=instrument_id(exchange, symbol),
        exchange=exchange,
        symbol=symbol,
        kind=kind,
        underlying=name,
        expiry=expiry.isoformat(),
        strike=strike,
        lot_size=lot,
        tick_size=tick,
        freeze_qty=freeze,
        name=name,
    )


def list_instruments(
    facts: ContractFacts, calendar: Calendar, day: date, prices: Mapping[str, float]
) -> list[Instrument]:
    """List the instruments of `day`: all underlyings, three futures each and the options by expiry.

    Strikes lie `STRIKES_EACH` on either side of the one nearest to the underlying's price in `prices`; an underlying
    that has none there is listed without contracts.
    """
    listed = [
        make_spot(name, underlying, exchange)
        for name, underlying in facts.underlyings.items()
        if underlying.is_quoted
        for exchange in (underlying.exchange, *underlying.also)
    ]
    for name, underlying in facts.underlyings.items():
        if underlying.lot and name in prices:
            months = islice(monthly_expiries(calendar, underlying, day), _FUTURES)
            listed += [make_derivative(name, underlying, InstrumentKind.FUT, month, 0.0, day) for month in months]
            listed += list_options(name, underlying, calendar, day, (prices[name], prices[name]))
    return listed


def list_options(
    name: str, underlying: Underlying, calendar: Calendar, day: date, span: tuple[float, float]
) -> list[Instrument]:
    """List the options on `name`: strikes over the day's price `span` and `STRIKES_EACH` beyond either side."""
    step = underlying.strike_step
    if not step:
        return []
    first, last = round(span[0] / step) - STRIKES_EACH, round(span[1] / step) + STRIKES_EACH
    strikes = [k * step for k in range(max(first, 1), last + 1)]
    return [
        make_derivative(name, underlying, right, expiry, strike, day)
        for expiry in option_expiries(calendar, underlying, day)
        for right in _RIGHTS
        for strike in strikes
    ]
