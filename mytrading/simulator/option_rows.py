"""The rows of an option chain, and the greeks in them.

Used by the option routes. Greeks as the real server gives them: Black's 1976 formula on the forward, volatility in
percent, theta a day, vega a point of volatility. The one rule: a price without time value has no volatility, and its
greeks are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time

import numpy as np
from numpy.typing import NDArray

from mytrading.core import black76
from mytrading.core.calendar import to_ns
from mytrading.messages.instruments import InstrumentKind
from mytrading.simulator.frames import levels
from mytrading.simulator.market.day import Quote
from mytrading.simulator.reply import Body

Array = NDArray[np.float64]

_YEAR_SECONDS = 365 * 86_400
_SHORTEST_YEARS = 0.0001
_HIGHEST_VOLATILITY = 5.0
_HALVINGS = 50
_LEAST_TIME_VALUE = 0.01
# The server dates an expiry's end at 15:30 even where trading goes on until 15:40.
_EXPIRY_TIME = time(15, 30)


def expiry_seconds(expiry: date) -> int:
    """The end of an expiry, in epoch seconds."""
    return to_ns(expiry, _EXPIRY_TIME) // 1_000_000_000


def parity_forward(quotes: Sequence[Quote], strike: float, spot: float) -> float:
    """The forward that call and put at a strike agree on; the spot where one of them is missing."""
    pair = {quote.instrument.kind: quote.ltp for quote in quotes if quote.instrument.strike == strike}
    if InstrumentKind.CE not in pair or InstrumentKind.PE not in pair:
        return spot
    return round(strike + pair[InstrumentKind.CE] - pair[InstrumentKind.PE], 2)


def chain_rows(
    quotes: Sequence[Quote], atm: float, count: int | None, forward: float | None, seconds_left: int, rate: float
) -> list[Body]:
    """A row per strike, `count` on each side of `atm` (all if None); with a `forward`, greeks at `rate` percent."""
    strikes = sorted({quote.instrument.strike for quote in quotes if quote.instrument.kind is InstrumentKind.CE})
    middle = strikes.index(atm)
    first = 0 if count is None else max(middle - count, 0)
    rows: list[Body] = []
    for place, strike in enumerate(strikes[first : None if count is None else middle + count + 1], start=first):
        rows.append({"strike": strike, "ce": None, "pe": None, "steps": place - middle})
    by_strike = {row["strike"]: row for row in rows}
    shown = [quote for quote in quotes if quote.instrument.strike in by_strike]
    for quote in shown:
        row = by_strike[quote.instrument.strike]
        row[quote.instrument.kind.value.lower()] = _side(quote, row["steps"])
    if forward is not None:
        years = max(seconds_left / _YEAR_SECONDS, _SHORTEST_YEARS)
        for kind in (InstrumentKind.CE, InstrumentKind.PE):
            side = [quote for quote in shown if quote.instrument.kind is kind]
            for quote, values in zip(side, _greeks(side, forward, years, rate / 100.0), strict=True):
                by_strike[quote.instrument.strike][kind.value.lower()].update(values)
    return [{name: value for name, value in row.items() if name != "steps"} for row in rows]


def _side(quote: Quote, steps: int) -> Body:
    instrument = quote.instrument
    buy, sell = levels(quote)
    out = (steps > 0) == (instrument.kind is InstrumentKind.CE)
    return {
        "symbol": instrument.symbol,
        "label": f"{'OTM' if out else 'ITM'}{abs(steps)}" if steps else "ATM",
        "ltp": quote.ltp,
        "bid": quote.bid,
        "ask": quote.ask,
        "bid_qty": buy[0]["quantity"],
        "ask_qty": sell[0]["quantity"],
        "open": quote.open,
        "high": quote.high,
        "low": quote.low,
        "prev_close": quote.prev_close,
        "volume": quote.volume,
        "oi": quote.oi,
        "lotsize": instrument.lot_size,
        "tick_size": instrument.tick_size,
    }


def _greeks(quotes: Sequence[Quote], forward: float, years: float, rate: float) -> list[Body]:
    """Volatility and greeks of options of one kind and expiry."""
    if not quotes:
        return []
    is_call = quotes[0].instrument.kind is InstrumentKind.CE
    strikes = np.array([quote.instrument.strike for quote in quotes])
    prices = np.array([quote.ltp for quote in quotes])
    ahead, left = np.full_like(strikes, forward), np.full_like(strikes, years)
    sigma = _implied(prices, ahead, strikes, left, rate, is_call)
    discount, root = np.exp(-rate * left), np.sqrt(left)
    d1 = np.log(ahead / strikes) / (sigma * root) + 0.5 * sigma * root
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    theory = black76.price(ahead, strikes, left, sigma, rate, is_call)
    columns = {
        "implied_volatility": np.round(sigma * 100.0, 2),
        "delta": np.round(discount * (black76.normal_cdf(d1) - (0.0 if is_call else 1.0)), 4),
        "gamma": np.round(discount * density / (ahead * sigma * root), 6),
        "theta": np.round((rate * theory - discount * ahead * density * sigma / (2.0 * root)) / 365.0, 4),
        "vega": np.round(discount * ahead * density * root / 100.0, 4),
    }
    intrinsic = discount * np.maximum((ahead - strikes) * (1.0 if is_call else -1.0), 0.0)
    worth = prices - intrinsic > _LEAST_TIME_VALUE
    return [
        {name: float(column[i]) if worth[i] else 0.0 for name, column in columns.items()} for i in range(len(quotes))
    ]


def _implied(prices: Array, forward: Array, strikes: Array, years: Array, rate: float, is_call: bool) -> Array:
    """The volatility at which the formula gives each price, by halving the span it lies in."""
    low, high = np.full_like(prices, 1e-4), np.full_like(prices, _HIGHEST_VOLATILITY)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = black76.price(forward, strikes, years, middle, rate, is_call) < prices
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))
