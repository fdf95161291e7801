"""The rows of an option chain and of the greeks endpoints.

Used by the option routes. Greeks as the real server gives them: Black's 1976 formula on the forward, volatility in
percent, theta a day, vega a point of volatility. The one rule: a price without time value has no volatility, and its
greeks are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time

import numpy as np

from mytrading.core.calendar import to_ns
from mytrading.core.options.greeks import greeks, implied_volatility
from mytrading.messages.instruments import InstrumentKind
from mytrading.simulator.frames import levels
from mytrading.simulator.market.day import Quote
from mytrading.simulator.reply import Body

_YEAR_SECONDS = 365 * 86_400
_SHORTEST_YEARS = 0.0001
# Stands in for the volatility of a price that has none; what is made of it is not shown.
_LOWEST_VOLATILITY = 1e-4
# The server dates an expiry's end at 15:30 even where trading goes on until 15:40.
_EXPIRY_TIME = time(15, 30)


def expiry_seconds(expiry: date, at: time = _EXPIRY_TIME) -> int:
    """The end of an expiry, in epoch seconds."""
    return to_ns(expiry, at) // 1_000_000_000


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
        years = years_left(seconds_left)
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


def years_left(seconds: float) -> float:
    """Years of a time to expiry, as the server counts them: calendar seconds, with a floor."""
    return max(seconds / _YEAR_SECONDS, _SHORTEST_YEARS)


def _greeks(quotes: Sequence[Quote], forward: float, years: float, rate: float) -> list[Body]:
    """Volatility and greeks of options of one kind and expiry."""
    if not quotes:
        return []
    is_call = quotes[0].instrument.kind is InstrumentKind.CE
    strikes = np.array([quote.instrument.strike for quote in quotes])
    prices = np.array([quote.ltp for quote in quotes])
    ahead, left = np.full_like(strikes, forward), np.full_like(strikes, years)
    sigma = implied_volatility(prices, ahead, strikes, left, rate, is_call)
    found = greeks(ahead, strikes, left, np.maximum(sigma, _LOWEST_VOLATILITY), rate, is_call)
    columns = {
        "implied_volatility": np.round(sigma * 100.0, 2),
        "delta": np.round(found.delta, 4),
        "gamma": np.round(found.gamma, 6),
        "theta": np.round(found.theta, 4),
        "vega": np.round(found.vega, 4),
    }
    return [
        {name: float(column[i]) if sigma[i] else 0.0 for name, column in columns.items()} for i in range(len(quotes))
    ]


def greeks_row(quote: Quote, forward: float, seconds_left: float, rate: float) -> Body:
    """What the greeks endpoints say of one option; without time value its delta is whole and the rest is 0."""
    instrument = quote.instrument
    is_call = instrument.kind is InstrumentKind.CE
    years = np.array([years_left(seconds_left)])
    ahead, strike, price = np.array([forward]), np.array([instrument.strike]), np.array([quote.ltp])
    sigma = implied_volatility(price, ahead, strike, years, rate / 100.0, is_call)
    row: Body = {
        "symbol": instrument.symbol,
        "exchange": instrument.exchange,
        "underlying": instrument.underlying,
        "strike": instrument.strike,
        "option_type": instrument.kind.value,
        "expiry_date": date.fromisoformat(instrument.expiry).strftime("%d-%b-%Y"),
        "days_to_expiry": round(seconds_left / 86_400, 4),
        "spot_price": round(forward, 2),
        "option_price": quote.ltp,
        "interest_rate": rate,
        "implied_volatility": round(float(sigma[0]) * 100.0, 2),
    }
    if not sigma[0]:
        inside = max((forward - instrument.strike) * (1.0 if is_call else -1.0), 0.0)
        none = {"delta": 1.0 if is_call else -1.0, "gamma": 0.0, "theta": 0.0, "vega": 0.0, "rho": 0.0}
        value = {"intrinsic_value": round(inside, 2), "time_value": round(quote.ltp - inside, 2)}
        return {**row, "greeks": none, **value, "note": "No time value: the volatility cannot be found"}
    found = greeks(ahead, strike, years, sigma, rate / 100.0, is_call)
    row["greeks"] = {
        "delta": round(float(found.delta[0]), 4),
        "gamma": round(float(found.gamma[0]), 6),
        "theta": round(float(found.theta[0]), 4),
        "vega": round(float(found.vega[0]), 4),
        "rho": round(float(found.rho[0]), 6),
    }
    return row
