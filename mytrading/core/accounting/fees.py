"""Charges of a fill in India: brokerage, STT, exchange and SEBI charges, GST and stamp duty, by the rates of its day.

The rates stand in `config/fees.toml`, by segment and date.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import msgspec

from mytrading.core.text.spelling import convert_parsed_file
from mytrading.core.time import day_number
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument

_EPOCH = date(1970, 1, 1).toordinal()
_BSE = frozenset(("BSE", "BFO", "BSE_INDEX"))
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

    @property
    def dated(self) -> tuple[tuple[Rate, ...], ...]:
        """All rates that change from a date on, by charge."""
        return self.stt_buy, self.stt_sell, self.stt_exercise, self.exchange, self.exchange_bse, self.stamp_buy


class Charges(NamedTuple):
    """Rupees of one fill, by charge."""

    brokerage: float = 0.0
    stt: float = 0.0
    exchange: float = 0.0
    sebi: float = 0.0
    gst: float = 0.0
    stamp: float = 0.0

    @property
    def total(self) -> float:
        """All charges of the fill, in rupees."""
        return sum(self)


class DayRates(NamedTuple):
    """The rates of a segment on a day: shares of turnover, but `brokerage_most` in rupees an order."""

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
        self._rates = lru_cache(maxsize=256)(self._rates_on)
        groups = [file.sebi, file.gst, *(group for segment in file.segments.values() for group in segment.dated)]
        self._changes = [1, *sorted({rate.since.toordinal() for group in groups for rate in group})]
        """Days (proleptic ordinals) from which on any rate is another than before."""

    def __reduce__(self) -> tuple[type[FeeSchedule], tuple[FeeFile]]:
        return FeeSchedule, (self.file,)

    @classmethod
    def from_dict(cls, parsed: Mapping[str, object], source: str = "config/fees.toml") -> FeeSchedule:
        """Build the schedule from a parsed TOML file; `ValueError` names `source`, key and what was expected."""
        file = convert_parsed_file(parsed, FeeFile, source)
        if missing := [name for name in SEGMENTS if name not in file.segments]:
            raise ValueError(f"{source}: expected [segments.{missing[0]}]; add it with its rates")
        return cls(file)

    def rates(self, segment: str, bse: bool, day: int) -> DayRates:
        """Return the rates of a segment, at the BSE or not, on a day (proleptic ordinal)."""
        return self._rates(segment, bse, self._changes[bisect_right(self._changes, day) - 1])

    def _rates_on(self, segment: str, bse: bool, day: int) -> DayRates:
        found, on = self.file.segments[segment], date.fromordinal(day)
        exchange = found.exchange_bse if bse and found.exchange_bse else found.exchange
        stt = (found.stt_buy, found.stt_sell, found.stt_exercise)
        dated = (*stt, exchange, self.file.sebi, self.file.gst, found.stamp_buy)
        # the rate that holds on a day is the last that began; 0 before the first
        figures = [next((rate.rate for rate in reversed(rates) if rate.since <= on), 0.0) for rates in dated]
        return DayRates(found.brokerage, found.brokerage_most, *figures)

    def fill_charges(
        self, instrument: Instrument, product: Product, units: int, price: float, at_ns: int, as_future: bool = False
    ) -> Charges:
        """Return the charges in rupees of a fill of signed `units` at `price`, by the rates at market `at_ns`.
        `as_future` charges an index like its future."""
        kind = instrument.kind
        if as_future or (kind.is_derivative and not kind.is_option):
            segment = "future"
        elif kind.is_option:
            segment = "option"
        else:
            segment = "equity_delivery" if product is Product.CNC else "equity_intraday"
        rates = self.rates(segment, instrument.exchange in _BSE, _EPOCH + day_number(at_ns))
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

    def exercise_stt(self, intrinsic: float, at_ns: int) -> float:
        """Return the STT in rupees on bought options that expire worth `intrinsic` rupees in all."""
        return self.rates("option", False, _EPOCH + day_number(at_ns)).stt_exercise * max(0.0, intrinsic)
