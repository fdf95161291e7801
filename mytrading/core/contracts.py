"""Dated contract facts: which contracts of an underlying exist on a day, with the lot, freeze and tick of that day.

Read from `config/instruments.toml`; used by the simulator and backtests to list a market day. The one rule: every
fact is asked for a date, so that a replay of 2022 trades lots of 50 and Thursday expiries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from itertools import islice

import msgspec

from mytrading.core.calendar import Calendar
from mytrading.core.symbology import DERIVATIVE_EXCHANGES, future_symbol, instrument_id, option_symbol
from mytrading.core.unknown_keys import made_of
from mytrading.messages.instruments import Instrument, InstrumentKind

_FUTURES = 3
_OF_A_LOT = ("strike_step", "future_tick", "option_tick", "freeze", "monthly")
_RIGHTS = (InstrumentKind.CE, InstrumentKind.PE)


class Dated(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """A number that holds from a date on."""

    since: date
    value: float


class DatedWeekday(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """The weekday of expiries (Monday is 0, -1 is none) from a date on."""

    since: date
    weekday: int


class Underlying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts of one index or share and of the contracts on it; without `lot` it has none."""

    exchange: str
    reference_price: float
    name: str = ""
    volatility: float = 0.2
    tick: float = 0.05
    future_tick: tuple[Dated, ...] = ()
    option_tick: tuple[Dated, ...] = ()
    strike_step: float = 0.0
    lot: tuple[Dated, ...] = ()
    freeze: tuple[Dated, ...] = ()
    weekly: tuple[DatedWeekday, ...] = ()
    monthly: tuple[DatedWeekday, ...] = ()


class MarginRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the paper exchange blocks: shares of value; for sold options a share of strike times quantity."""

    equity_intraday: float = 0.2
    equity_delivery: float = 1.0
    future: float = 0.12
    option_sold: float = 0.12


class ContractFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `config/instruments.toml`."""

    underlyings: dict[str, Underlying]
    square_off: dict[str, time] = {}
    margin: MarginRates = MarginRates()

    @classmethod
    def from_dict(cls, parsed: Mapping[str, object], source: str = "config/instruments.toml") -> ContractFacts:
        """The facts of a parsed TOML file; `ValueError` names the file, the key and what was expected."""
        facts = made_of(parsed, cls, source)
        for name, underlying in facts.underlyings.items():
            missing = [key for key in _OF_A_LOT if underlying.lot and not getattr(underlying, key)]
            if missing:
                raise ValueError(f"{source}: underlyings.{name} has a lot; expected {', '.join(missing)} too")
        return facts


def dated(facts: tuple[Dated, ...], day: date) -> float:
    """The value that holds on `day`: of the newest entry not after it, or of the oldest for days before all."""
    if not facts:
        raise ValueError(f"no dated value listed for {day}; add one to config/instruments.toml")
    return next((fact.value for fact in reversed(facts) if fact.since <= day), facts[0].value)


def _weekday(facts: tuple[DatedWeekday, ...], day: date) -> int:
    return next((fact.weekday for fact in reversed(facts) if fact.since <= day), facts[0].weekday)


def weekly_expiries(calendar: Calendar, facts: Underlying, day: date) -> Iterator[date]:
    """Weekly expiries on or after `day`, each moved back over holidays; empty if there are none."""
    if not facts.weekly:
        return
    exchange = DERIVATIVE_EXCHANGES[facts.exchange]
    for offset in range(-7, 400):
        nominal = day + timedelta(days=offset)
        if nominal.weekday() == _weekday(facts.weekly, nominal):
            expiry = _trading_day_at_or_before(calendar, exchange, nominal)
            if expiry >= day:
                yield expiry


def monthly_expiries(calendar: Calendar, facts: Underlying, day: date) -> Iterator[date]:
    """Monthly expiries on or after `day`, each moved back over holidays."""
    exchange = DERIVATIVE_EXCHANGES[facts.exchange]
    for month in range(day.month - 1, day.month + 14):
        first_of_next = date(day.year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
        last = first_of_next - timedelta(days=1)
        nominal = last - timedelta(days=(last.weekday() - _weekday(facts.monthly, last)) % 7)
        expiry = _trading_day_at_or_before(calendar, exchange, nominal)
        if expiry >= day:
            yield expiry


def _trading_day_at_or_before(calendar: Calendar, exchange: str, day: date) -> date:
    return day if calendar.is_trading_day(exchange, day) else calendar.previous_trading_day(exchange, day)


def option_expiries(calendar: Calendar, facts: Underlying, day: date) -> list[date]:
    """What a simulated market lists: two weekly expiries and the next monthly one; two monthly where none is weekly."""
    weekly = list(islice(weekly_expiries(calendar, facts, day), 2))
    monthly = [expiry for expiry in islice(monthly_expiries(calendar, facts, day), 3) if expiry not in weekly]
    return sorted(weekly + monthly[: 1 if weekly else 2])


def make_spot(name: str, facts: Underlying) -> Instrument:
    """The index or share itself."""
    kind = InstrumentKind.INDEX if facts.exchange.endswith("_INDEX") else InstrumentKind.EQ
    return Instrument(
        id=instrument_id(facts.exchange, name),
        exchange=facts.exchange,
        symbol=name,
        kind=kind,
        underlying=name,
        tick_size=facts.tick,
        name=facts.name or name,
    )


def make_derivative(
    name: str, facts: Underlying, kind: InstrumentKind, expiry: date, strike: float, day: date
) -> Instrument:
    """A future (`strike` 0) or option on `name`, as it is listed on `day`."""
    exchange = DERIVATIVE_EXCHANGES[facts.exchange]
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
        lot_size=int(dated(facts.lot, day)),
        tick_size=dated(facts.future_tick if is_future else facts.option_tick, day),
        freeze_qty=int(dated(facts.freeze, day)),
        name=name,
    )


def list_instruments(
    facts: ContractFacts, calendar: Calendar, day: date, prices: Mapping[str, float], strikes_each: int = 20
) -> list[Instrument]:
    """What is listed on `day`: all underlyings, and per underlying with lots three futures and the option expiries.

    Strikes lie `strikes_each` on either side of the one nearest to the underlying's price in `prices`; an underlying
    that has none there is listed without contracts.
    """
    listed = [make_spot(name, underlying) for name, underlying in facts.underlyings.items()]
    for name, underlying in facts.underlyings.items():
        if underlying.lot and name in prices:
            listed += _contracts(name, underlying, calendar, day, prices[name], strikes_each)
    return listed


def _contracts(
    name: str, underlying: Underlying, calendar: Calendar, day: date, price: float, strikes_each: int
) -> list[Instrument]:
    months = islice(monthly_expiries(calendar, underlying, day), _FUTURES)
    step = underlying.strike_step
    atm = round(price / step)
    strikes = [k * step for k in range(atm - strikes_each, atm + strikes_each + 1) if k > 0]
    return [make_derivative(name, underlying, InstrumentKind.FUT, month, 0.0, day) for month in months] + [
        make_derivative(name, underlying, right, expiry, strike, day)
        for expiry in option_expiries(calendar, underlying, day)
        for right in _RIGHTS
        for strike in strikes
    ]
