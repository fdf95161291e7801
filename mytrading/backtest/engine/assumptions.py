"""Assumptions of a backtest: how orders meet the market (as objects that can be mixed), sessions, contracts, lots.

A fill model sees the present bar and nothing after it. An index cannot be traded; where a strategy trades "the same" as
an index it watches, the index stands in for its nearest future: at its own price, in the future's lots of the day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from mytrading.core.calendar import Calendar, Session
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    Underlying,
    lot_size,
    nearest_expiry,
    value_on,
)
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import DAY, IST_OFFSET
from mytrading.messages.instruments import Instrument, InstrumentKind

ACCOUNT = "backtest"
"""Account id of every run."""
_NO_FACTS = Underlying(exchange="NSE", reference_price=0.0)
_UNKNOWN_VOLUME = float("inf")


class Slippage(Protocol):
    """Price beyond the quote that a market order, or a triggered stop, pays, in rupees a unit."""

    def per_unit(self, price: float, tick: float) -> float:
        """Return the slippage in rupees a unit at this price for an instrument with this tick size."""


@dataclass(frozen=True)
class SlippageTicks:
    """A number of ticks."""

    ticks: float = 0.0

    def per_unit(self, price: float, tick: float) -> float:  # noqa: ARG002
        """Return the slippage in rupees a unit: the configured number of ticks."""
        return self.ticks * tick


@dataclass(frozen=True)
class SlippageFraction:
    """A fraction of the price: 0.0005 is five basis points."""

    fraction: float

    def per_unit(self, price: float, tick: float) -> float:
        """Return the slippage in rupees a unit: a fraction of the price, rounded up to whole ticks."""
        return -(-price * self.fraction // tick) * tick


@dataclass(frozen=True)
class VolumeCap:
    """A bar fills at most `share` of its volume, for all orders together; the rest waits. 0: no cap."""

    share: float = 0.0

    def fillable_units(self, volume: float, lot: int) -> int | None:
        """Return how many units a bar of this volume may fill, in whole lots; None without a cap or known volume."""
        if not self.share or volume == _UNKNOWN_VOLUME:
            return None
        return int(volume * self.share) // lot * lot


@dataclass(frozen=True)
class FillLimits:
    """A resting limit fills when the price touches it (`through_ticks` 0) or goes so many ticks through it."""

    through_ticks: int = 0


@dataclass(frozen=True)
class Models:
    """Models of a run. With `at_close` orders of a bar's close are filled at that close, else at the next bar's open.

    `latency_ns` is the way of a call to the exchange: the price it meets lies that far on the straight line from the
    open of its bar to the close. Inside a bar a call arrives at once if its way is shorter than a third of the bar.
    """

    at_close: bool = False
    latency_ns: int = 0
    slippage: Slippage = SlippageTicks()
    volume: VolumeCap = VolumeCap()
    limits: FillLimits = FillLimits()


class EveryDay(Calendar):
    """For data of no exchange's hours: every day is a session from midnight to midnight, in India."""

    def _session(self, exchange: str, number: int) -> Session | None:  # noqa: ARG002
        begins = number * DAY - IST_OFFSET
        return Session(begins, begins + DAY, begins + DAY, "")


class MarketContext:
    """Calendar and contract facts, for the instruments that a run trades."""

    def __init__(self, calendar: Calendar, facts: ContractFacts, traded: Iterable[str]) -> None:
        self.calendar = calendar
        self.facts = facts
        self._traded = tuple(dict.fromkeys(traded))
        self._listed: dict[str, Instrument] = {}
        self._own: dict[str, Instrument] = {}
        self._book = InstrumentBook(())
        self.same_until = date.min
        """The first day on which a lot, a tick or a freeze quantity may be another than on the present one."""
        self.stand_ins: set[str] = set()
        self._since = date.max

    def open_day(self, day: date) -> InstrumentBook:
        """Begin a trading day and return its contracts, which `instrument` looks up from then on."""
        if not (self._since <= day < self.same_until):
            self._own = {name: self._list(name, day) for name in self._traded}
            self._book = InstrumentBook(self._own.values())
            self._since = day
            self.same_until = day + timedelta(1) if any(map(self._is_dated, self._traded)) else date.max
        self._listed = self._own
        return self._book

    def _is_dated(self, name: str) -> bool:
        """True if lot, tick or freeze quantity of a contract follow from the day."""
        exchange, symbol = split_id(name)
        return bool(self.facts.underlyings.get(parse_symbol(symbol, exchange).underlying, _NO_FACTS).lot)

    def instrument(self, name: str) -> Instrument | None:
        """Return the contract of the current day by instrument id; None if it is not listed."""
        return self._listed.get(name)

    def square_off(self) -> SquareOff:
        """Return the square-off times of intraday positions; an index has those of its futures."""
        times = dict(self.facts.square_off)
        for index, derivatives in (("NSE_INDEX", "NFO"), ("BSE_INDEX", "BFO")):
            if derivatives in times:
                times.setdefault(index, times[derivatives])
        return SquareOff(self.calendar, times)

    def _list(self, name: str, day: date) -> Instrument:
        exchange, symbol = split_id(name)
        parts = parse_symbol(symbol, exchange)
        facts = self.facts.underlyings.get(parts.underlying, _NO_FACTS)
        kind, tick = parts.kind, facts.tick
        lots = bool(facts.lot) and (kind.is_derivative or kind is InstrumentKind.INDEX)
        # what is traded for an index is its nearest future, whose lot it has
        expiry = parts.expiry or (nearest_expiry(self.calendar, facts, InstrumentKind.FUT, day) if lots else day)
        if kind is InstrumentKind.INDEX:
            self.stand_ins.add(name)
            kind = InstrumentKind.EQ
        elif kind.is_derivative and facts.lot:
            tick = value_on(facts.option_tick if kind.is_option else facts.future_tick, day)
        return Instrument(
            id=name, exchange=exchange, symbol=symbol, kind=kind, underlying=parts.underlying,
            expiry=parts.expiry.isoformat() if parts.expiry is not None else "", strike=parts.strike,
            lot_size=lot_size(facts, expiry, day) if lots else 1, tick_size=tick,
            freeze_qty=int(value_on(facts.freeze, day)) if lots else 0, name=facts.name or symbol,
        )  # fmt: skip
