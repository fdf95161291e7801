"""The option chain of one underlying and expiry: quotes by strike, tags, volatility, greeks, put-call ratios, max pain.

A figure that the exchange did not send is None, never derived from another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.options import black76
from mytrading.core.time import SECOND
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote

Floats = NDArray[np.float64]
_GREEKS = ("delta", "gamma", "theta", "vega", "rho")
_QUOTED = ("ltp", "bid", "ask", "bid_quantity", "ask_quantity", "volume", "open_interest", "market_ns")
YEAR_NS = 365 * 24 * 3600 * SECOND
SANE_SPREAD = 0.25
"""A bid and ask further apart than this share of their middle say less than the last price."""


class ChainSide(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One option of a chain. `tag` is ATM, ITM n or OTM n seen from its own side; `price` is what `iv` is taken from.

    Greeks as in `black76.Greeks`: `theta` a day, `vega` and `rho` a percentage point. `why` is that of no `iv`.
    """

    instrument: str
    tag: str
    ltp: float | None = None
    bid: float | None = None
    ask: float | None = None
    bid_quantity: int | None = None
    ask_quantity: int | None = None
    volume: int | None = None
    open_interest: int | None = None
    price: float | None = None
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    rho: float | None = None
    why: str = ""
    market_ns: int = 0


class ChainRow(msgspec.Struct, frozen=True, kw_only=True):
    """Both options at a strike; None where one is not listed."""

    strike: float
    call: ChainSide | None
    put: ChainSide | None


class ChainView(msgspec.Struct, frozen=True, kw_only=True):
    """A chain at a moment. `pcr_*` are puts over calls, None without calls; `max_pain` None without open interest.

    They and the sums are over the `strikes_counted` that have a quote, of the `strikes_listed` of this expiry.
    """

    underlying: str
    expiry: str
    at_ns: int
    years: float
    spot: float | None
    forward: float | None
    atm: float | None
    rows: tuple[ChainRow, ...]
    pcr_open_interest: float | None
    pcr_volume: float | None
    max_pain: float | None
    call_open_interest: int
    put_open_interest: int
    call_volume: int
    put_volume: int
    strikes_counted: int = 0
    strikes_listed: int = 0

    def options_of(self, right: InstrumentKind) -> list[tuple[float, ChainSide]]:
        """Return (strike, option) of the calls or the puts, ascending."""
        found = ((row.strike, row.call if right is InstrumentKind.CE else row.put) for row in self.rows)
        return [(strike, side) for strike, side in found if side is not None]


def at_the_money(strikes: Sequence[float], spot: float) -> int:
    """The index of the listed strike nearest to the spot; of two equally near the lower one."""
    return min(range(len(strikes)), key=lambda index: (abs(strikes[index] - spot), strikes[index]))


def max_pain(strikes: Floats, call_interest: Floats, put_interest: Floats) -> float | None:
    """The strike at which the writers of all open options would pay least; the lower of two; None without interest."""
    if not strikes.size or call_interest.sum() + put_interest.sum() <= 0:
        return None
    apart = strikes[:, None] - strikes[None, :]
    paid = np.maximum(apart, 0.0) @ call_interest + np.maximum(-apart, 0.0) @ put_interest
    return float(strikes[int(np.argmin(paid))])


def fair_price(quote: Quote) -> float | None:
    """The middle of bid and ask unless the spread is too wide, else the last price; None without either."""
    bid, ask = quote.bid, quote.ask
    if bid is not None and ask is not None and 0.0 < bid <= ask and ask - bid <= SANE_SPREAD * 0.5 * (bid + ask):
        return 0.5 * (bid + ask)
    return quote.ltp if quote.ltp > 0.0 else None


class OptionChain:
    """Folds quotes of one chain; `view` works out the rest. `options` are its contracts, `spot` the underlying's id.

    `rate` is the yearly rate at which premiums are discounted, `expiry_ns` the moment at which the options settle.
    """

    def __init__(
        self, underlying: str, expiry: str, options: Iterable[Instrument], spot: str, expiry_ns: int, rate: float
    ) -> None:
        self.underlying = underlying
        self.expiry = expiry
        self.spot = spot
        self._rate = rate
        self._expiry_ns = expiry_ns
        listed: dict[float, dict[InstrumentKind, str]] = {}
        for option in options:
            listed.setdefault(option.strike, {})[option.kind] = option.id
        if not listed:
            raise NoSuchContract(f"no option of {underlying} expires on {expiry}")
        self._strikes = sorted(listed)
        self._listed = listed
        self._ids = {name for pair in listed.values() for name in pair.values()} | {spot}
        self._quotes: dict[str, Quote] = {}

    @property
    def strikes(self) -> tuple[float, ...]:
        """All listed strikes, ascending."""
        return tuple(self._strikes)

    def apply(self, quote: Quote) -> bool:
        """Store a quote of this chain's underlying or options; False for any other, or one older than the stored."""
        if quote.instrument not in self._ids:
            return False
        known = self._quotes.get(quote.instrument)
        if known is not None and quote.market_ns < known.market_ns:
            return False
        self._quotes[quote.instrument] = quote
        return True

    def forget_before(self, at_ns: int) -> None:
        """Forget all quotes from before a market time: nothing is chosen by them."""
        self._quotes = {name: quote for name, quote in self._quotes.items() if quote.market_ns >= at_ns}

    def instruments(self, spot: float | None, around: int) -> tuple[str, ...]:
        """Ids of the underlying and the options within `around` strikes of `spot`; None: of the middle strike."""
        near = self._strikes[self._window(spot, around)]
        return (self.spot, *(name for strike in near for name in self._listed[strike].values()))

    def _window(self, spot: float | None, around: int) -> slice:
        centre = at_the_money(self._strikes, spot) if spot else len(self._strikes) // 2
        return slice(max(centre - around, 0), centre + around + 1)

    def spot_price(self) -> float | None:
        """The underlying's last price in rupees; None before its first quote."""
        quote = self._quotes.get(self.spot)
        return quote.ltp if quote is not None and quote.ltp > 0.0 else None

    def view(self, now: int, around: int = 20) -> ChainView:
        """The chain at `now` (market ns), `around` strikes each side of the money. Sums are over all with quotes."""
        spot, years = self.spot_price(), max(self._expiry_ns - now, 0) / YEAR_NS
        forward = self._forward(years, spot)
        centre = at_the_money(self._strikes, spot) if spot else None
        strikes = self._strikes[self._window(spot, around)]
        sides = [
            self._sides(strikes, right, centre, forward, years) for right in (InstrumentKind.CE, InstrumentKind.PE)
        ]
        rows = (ChainRow(strike=at, call=call, put=put) for at, call, put in zip(strikes, *sides, strict=True))
        call_sums, put_sums = self._sums(InstrumentKind.CE), self._sums(InstrumentKind.PE)
        call_oi, call_volume = (int(column.sum()) for column in call_sums)
        put_oi, put_volume = (int(column.sum()) for column in put_sums)
        return ChainView(
            underlying=self.underlying,
            expiry=self.expiry,
            at_ns=now,
            years=years,
            spot=spot,
            forward=forward,
            atm=None if centre is None else self._strikes[centre],
            rows=tuple(rows),
            pcr_open_interest=put_oi / call_oi if call_oi else None,
            pcr_volume=put_volume / call_volume if call_volume else None,
            max_pain=max_pain(np.array(self._strikes), call_sums[0], put_sums[0]),
            call_open_interest=call_oi,
            put_open_interest=put_oi,
            call_volume=call_volume,
            put_volume=put_volume,
            strikes_counted=sum(any(name in self._quotes for name in pair.values()) for pair in self._listed.values()),
            strikes_listed=len(self._strikes),
        )

    def _quote(self, strike: float, right: InstrumentKind) -> Quote | None:
        return self._quotes.get(self._listed[strike].get(right, ""))

    def _sums(self, right: InstrumentKind) -> tuple[Floats, Floats]:
        quotes = [self._quote(strike, right) for strike in self._strikes]
        interest = np.array([(quote.open_interest or 0) if quote else 0 for quote in quotes], np.float64)
        return interest, np.array([(quote.volume or 0) if quote else 0 for quote in quotes], np.float64)

    def _prices(self, right: InstrumentKind, strikes: Sequence[float]) -> Floats:
        quotes = [self._quote(strike, right) for strike in strikes]
        prices = [fair_price(quote) if quote is not None else None for quote in quotes]
        return np.array([math.nan if price is None else price for price in prices])

    def _forward(self, years: float, spot: float | None) -> float | None:
        """By put-call parity near the money; carried from the spot where no strike has both premiums."""
        strikes = self._strikes[self._window(spot, 10)]
        calls, puts = self._prices(InstrumentKind.CE, strikes), self._prices(InstrumentKind.PE, strikes)
        found = black76.parity_forward(np.array(strikes), calls, puts, years, self._rate, near=spot)
        if math.isnan(found):
            return None if spot is None else float(black76.carried_forward(spot, years, self._rate))
        return found

    def _sides(
        self, strikes: Sequence[float], right: InstrumentKind, centre: int | None, forward: float | None, years: float
    ) -> list[ChainSide | None]:
        """The options of one side by strike; None where none is listed."""
        prices = self._prices(right, strikes)
        ladder, calls = np.array(strikes), np.full(len(strikes), right is InstrumentKind.CE)
        columns, reasons = {"price": prices}, np.zeros(len(strikes), np.int8)
        if forward is not None:
            columns["iv"], reasons = black76.implied_volatilities(prices, forward, ladder, years, self._rate, calls)
            greeks = black76.greeks(forward, ladder, years, columns["iv"], self._rate, calls)
            columns |= {word: getattr(greeks, word) for word in _GREEKS}
        figures_of = {word: column.tolist() for word, column in columns.items()}
        first = self._strikes.index(strikes[0])
        found: list[ChainSide | None] = []
        for index, strike in enumerate(strikes):
            name, tag = self._listed[strike].get(right), ""
            if centre is not None:
                steps = first + index - centre  # above the money calls are out of it, puts in it
                out = (steps > 0) == (right is InstrumentKind.CE)
                tag = f"{'OTM' if out else 'ITM'} {abs(steps)}" if steps else "ATM"
            if name is None:
                found.append(None)
            elif (quote := self._quotes.get(name)) is None:
                found.append(ChainSide(instrument=name, tag=tag, why="no quote"))
            else:
                figures: dict[str, Any] = {
                    word: value for word, column in figures_of.items() if (value := column[index]) == value
                }
                why = "no forward" if forward is None else "" if "iv" in figures else _reason(int(reasons[index]))
                quoted = {word: getattr(quote, word) for word in _QUOTED}
                found.append(ChainSide(instrument=name, tag=tag, **quoted, **figures, why=why))
        return found


def _reason(code: int) -> str:
    """Return why an option has no volatility, as text."""
    return black76.Reason(code).name.lower().replace("_", " ")


def nearest_premium(view: ChainView, right: InstrumentKind, target: float) -> ChainSide:
    """The option whose price is nearest to `target` rupees; of two equally near the one not above it, then the lower
    strike. `NoSuchContract` if no option of that side has a price."""
    priced = [(strike, side, side.price) for strike, side in view.options_of(right) if side.price]
    if not priced:
        raise NoSuchContract(f"premium {target:g}: no {right.value} of {view.underlying} {view.expiry} has a price yet")
    found = min(priced, key=lambda item: (round(abs(item[2] - target), 6), item[2] > target, item[0]))
    return found[1]


def nearest_delta(view: ChainView, right: InstrumentKind, target: float) -> ChainSide:
    """The option whose delta is nearest to `target` in size (0.3 is a 30-delta call or put); the further one out of the
    money of two. `NoSuchContract` if no option of that side has a delta."""
    known = [(abs(side.delta), side) for _, side in view.options_of(right) if side.delta is not None]
    if not known:
        raise NoSuchContract(f"delta {target:g}: no {right.value} of {view.underlying} {view.expiry} has a delta yet")
    return min(known, key=lambda item: (round(abs(item[0] - abs(target)), 9), item[0]))[1]
