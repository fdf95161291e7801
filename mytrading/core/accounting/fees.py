"""What a fill costs in India: brokerage, STT, exchange and SEBI charges, GST and stamp duty, as they were on its day.

Read from `config/fees.toml`; used by backtests and by whoever explains a contract note. Every rate is asked for a date
and a segment, never written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import msgspec

from mytrading.core.text.unknown_keys import made_of
from mytrading.core.time import day_number
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument, InstrumentKind

_EPOCH = date(1970, 1, 1).toordinal()
SEGMENTS = ("equity_delivery", "equity_intraday", "future", "option")


class Rate(msgspec.Struct, frozen=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """A share of turnover (of premium for options) from a date on."""

    since: date
    rate: float


class Segment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rates of one segment. Brokerage is `brokerage` of turnover, at most `brokerage_most` rupees an order."""

    brokerage: float = 0.0
    brokerage_most: float = 0.0
    stt_buy: tuple[Rate, ...] = ()
    stt_sell: tuple[Rate, ...] = ()
    stt_exercise: tuple[Rate, ...] = ()
    exchange: tuple[Rate, ...] = ()
    exchange_bse: tuple[Rate, ...] = ()
    stamp_buy: tuple[Rate, ...] = ()


class Charges(NamedTuple):
    """Rupees of one fill, by who takes them."""

    brokerage: float = 0.0
    stt: float = 0.0
    exchange: float = 0.0
    sebi: float = 0.0
    gst: float = 0.0
    stamp: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.brokerage + self.stt + self.exchange + self.sebi + self.gst + self.stamp


class DayRates(NamedTuple):
    """The rates of a segment on a day, as shares of turnover but for the most that brokerage is."""

    brokerage: float
    brokerage_most: float
    stt_buy: float
    stt_sell: float
    stt_exercise: float
    exchange: float
    sebi: float
    gst: float
    stamp: float


class FeeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `config/fees.toml`."""

    segments: dict[str, Segment]
    sebi: tuple[Rate, ...] = ()
    gst: tuple[Rate, ...] = ()


class FeeSchedule:
    """Charges by segment and day."""

    def __init__(self, file: FeeFile) -> None:
        self.file = file
        self._rates = lru_cache(maxsize=256)(self._find)

    def __reduce__(self) -> tuple[type[FeeSchedule], tuple[FeeFile]]:
        return FeeSchedule, (self.file,)

    @classmethod
    def from_dict(cls, parsed: Mapping[str, object], source: str = "config/fees.toml") -> FeeSchedule:
        """The schedule a parsed TOML file describes; `ValueError` names the file, the key and what was expected."""
        file = made_of(parsed, FeeFile, source)
        if missing := [name for name in SEGMENTS if name not in file.segments]:
            raise ValueError(f"{source}: expected [segments.{missing[0]}]; add it with its rates")
        return cls(file)

    def rates(self, segment: str, bse: bool, day: int) -> DayRates:
        """The rates of a segment on a day (proleptic ordinal)."""
        return self._rates(segment, bse, day)

    def _find(self, segment: str, bse: bool, day: int) -> DayRates:
        found, on = self.file.segments[segment], date.fromordinal(day)
        exchange = found.exchange_bse if bse and found.exchange_bse else found.exchange
        return DayRates(
            found.brokerage,
            found.brokerage_most,
            _on(found.stt_buy, on),
            _on(found.stt_sell, on),
            _on(found.stt_exercise, on),
            _on(exchange, on),
            _on(self.file.sebi, on),
            _on(self.file.gst, on),
            _on(found.stamp_buy, on),
        )

    def of(
        self, instrument: Instrument, product: Product, units: int, price: float, at_ns: int, as_future: bool = False
    ) -> Charges:
        """Rupees of a fill of signed `units` at a price; an index that stands in for its future costs like one."""
        segment = "future" if as_future else segment_of(instrument, product)
        rates = self._rates(segment, instrument.exchange in ("BSE", "BFO", "BSE_INDEX"), _ordinal(at_ns))
        turnover = abs(units) * price
        brokerage = rates.brokerage * turnover if rates.brokerage else rates.brokerage_most
        if rates.brokerage_most and brokerage > rates.brokerage_most:
            brokerage = rates.brokerage_most
        exchange, sebi = rates.exchange * turnover, rates.sebi * turnover
        return Charges(
            brokerage,
            (rates.stt_buy if units > 0 else rates.stt_sell) * turnover,
            exchange,
            sebi,
            rates.gst * (brokerage + exchange + sebi),
            rates.stamp * turnover if units > 0 else 0.0,
        )

    def exercise(self, intrinsic: float, at_ns: int) -> float:
        """STT in rupees on bought options that expire in the money by so many rupees."""
        return self._rates("option", False, _ordinal(at_ns)).stt_exercise * max(0.0, intrinsic)


def segment_of(instrument: Instrument, product: Product) -> str:
    """The segment by which a fill is charged."""
    if instrument.kind.is_option:
        return "option"
    if instrument.kind is InstrumentKind.FUT:
        return "future"
    return "equity_delivery" if product is Product.CNC else "equity_intraday"


def _ordinal(at_ns: int) -> int:
    """The proleptic ordinal of a moment's day in India."""
    return _EPOCH + day_number(at_ns)


def _on(rates: tuple[Rate, ...], day: date) -> float:
    """The rate that holds on a day; 0 before the first."""
    return next((rate.rate for rate in reversed(rates) if rate.since <= day), 0.0)
