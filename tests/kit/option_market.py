"""Quotes of an option chain."""

from __future__ import annotations

import numpy as np

from mytrading.core.options import black76
from mytrading.core.options.chain import YEAR_NS, OptionChain
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote

CE, PE = InstrumentKind.CE, InstrumentKind.PE
SPOT = "NSE_INDEX:NIFTY"
NOW = 1_700_000_000 * 1_000_000_000
WEEK = YEAR_NS * 7 // 365
RATE = 0.065


def name(strike: float, right: InstrumentKind) -> str:
    return f"NFO:NIFTY30DEC25{strike:.0f}{right.value}"


def option(strike: float, right: InstrumentKind) -> Instrument:
    return Instrument(
        id=name(strike, right), exchange="NFO", symbol=name(strike, right)[4:], kind=right, underlying="NIFTY",
        expiry="2025-12-30", strike=strike, lot_size=75,
    )  # fmt: skip


class Market:
    """NIFTY with strikes 23,000 to 25,000 each 50 points."""

    def __init__(self, spot: float = 24_037.0) -> None:
        self.strikes = [float(strike) for strike in range(23_000, 25_050, 50)]
        options = [option(strike, right) for strike in self.strikes for right in (CE, PE)]
        self.chain = OptionChain("NIFTY", "2025-12-30", options, SPOT, NOW + WEEK, RATE)
        self.clock = NOW
        self.move(spot)

    def quote(self, instrument: str, ltp: float, **fields: float | int) -> bool:
        self.clock += 1
        return self.chain.apply(
            Quote(instrument=instrument, market_ns=self.clock, received_ns=0, ltp=ltp, **fields)  # type: ignore[arg-type]
        )

    def move(self, spot: float) -> None:
        self.quote(SPOT, spot)

    def priced(self, forward: float, iv: float) -> None:
        ladder = np.array(self.strikes)
        for right in (CE, PE):
            flat, side = np.full(ladder.size, iv), np.full(ladder.size, right is CE)
            prices = black76.prices(forward, ladder, WEEK / YEAR_NS, flat, RATE, side)
            for strike, price in zip(self.strikes, prices, strict=True):
                self.quote(name(strike, right), float(price), bid=float(price) * 0.999, ask=float(price) * 1.001)
