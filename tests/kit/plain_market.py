"""Trips, costs and figures calculated by other code than the project's, for tests that hold both against each other.

Plain Python on the shipped files: nothing of the package is imported here, so that no error can be in both.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

SQUARE_OFF = 15 * 60 + 12
"""Minute of the day at which intraday positions are closed: three before the exchange does."""
DATA = Path(__file__).resolve().parents[1] / "data"


class PlainBar(NamedTuple):
    """A bar of one minute: its day (ISO), the minute of the day at which it begins, and its prices."""

    day: str
    minute: int
    open: float
    high: float
    low: float
    close: float


def read_minutes(name: str) -> list[PlainBar]:
    """Read a shipped file of one-minute bars by its name without `.csv.gz`."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        day, _, clock = row["timestamp"].partition(" ")
        hour, minute = int(clock[:2]), int(clock[3:5])
        prices = (float(row[key]) for key in ("open", "high", "low", "close"))
        found.append(PlainBar(day, hour * 60 + minute, *prices))
    return found


class PlainTrip(NamedTuple):
    """From flat to flat: side 1 (long) or -1, the bars' numbers at which it began and ended, and its prices."""

    side: int
    began: int
    ended: int
    entry: float
    exit: float


Decide = Callable[[int], str]
"""BUY, SELL, EXIT or nothing, from the number of the bar that has just ended."""


def plain_trips(bars: Sequence[PlainBar], decide: Decide, stop: float = 0.0, tick: float = 0.05) -> list[PlainTrip]:
    """Return the round trips of a rule that may be long or short within a day.

    A decision at a bar's end is carried out at the next bar's open, if that is of the same day; from 15:12 on nothing
    is begun, and what is held is closed at that bar's open. With `stop` (a share of the price at the decision) the
    level is rounded away from the position to a tick, and is met at its own price, or at an open beyond it. What was
    stopped out begins again only after a bar without the same decision, after the other one, or on another day.
    """
    trips: list[PlainTrip] = []
    side, entry, began, level = 0, 0.0, 0, 0.0
    waiting, wanted_level = 0, 0.0
    spent = 0

    def leave(number: int, price: float) -> None:
        nonlocal side
        trips.append(PlainTrip(side, began, number, entry, price))
        side = 0

    for number, bar in enumerate(bars):
        if not number or bar.day != bars[number - 1].day:
            waiting = spent = 0
        if bar.minute >= SQUARE_OFF:
            if side:
                leave(number, bar.open)
            waiting = 0
        if waiting == 2:
            if side:
                leave(number, bar.open)
        elif waiting:
            if side:
                leave(number, bar.open)
            side, entry, began, level = waiting, bar.open, number, wanted_level
        waiting = 0
        stopped = False
        if side and stop:
            if (bar.open - level) * side <= 0:
                leave(number, bar.open)
                stopped = True
            elif (bar.low if side > 0 else bar.high) * side <= level * side:
                leave(number, level)
                stopped = True
            if stopped:
                spent = trips[-1].side
        word = decide(number)
        side_of_signal = {"BUY": 1, "SELL": -1}.get(word, 0)
        if spent and side_of_signal != spent:
            spent = 0
        if bar.minute + 1 >= SQUARE_OFF:
            continue
        if word == "EXIT" and side:
            waiting = 2
        elif side_of_signal and side_of_signal != side and side_of_signal != spent:
            waiting = side_of_signal
            raw = bar.close * (1 - side_of_signal * stop) / tick
            steps = math.floor(round(raw, 6)) if side_of_signal > 0 else math.ceil(round(raw, 6))
            wanted_level = round(steps * tick, 6)
    if side:
        raise ValueError("something is held at the end of the data; give whole days")
    return trips


def donchian(bars: Sequence[PlainBar], period: int) -> Decide:
    """Long above the highest high of the bars before, short below their lowest low."""

    def decide(number: int) -> str:
        if number < period:
            return ""
        before = bars[number - period : number]
        if bars[number].close > max(bar.high for bar in before):
            return "BUY"
        return "SELL" if bars[number].close < min(bar.low for bar in before) else ""

    return decide


def average_cross(bars: Sequence[PlainBar], fast: int, slow: int) -> Decide:
    """Long while the mean of the last `fast` closes is above that of the last `slow`, else short."""

    def decide(number: int) -> str:
        if number + 1 < slow:
            return ""
        closes = [bar.close for bar in bars[number + 1 - slow : number + 1]]
        return "BUY" if math.fsum(closes[-fast:]) / fast > math.fsum(closes) / slow else "SELL"

    return decide


# costs


class PlainRates(NamedTuple):
    """Charges of an execution, as shares of its turnover; `brokerage` at most `most` rupees, 0 for `most` flat."""

    brokerage: float
    most: float
    stt_buy: float
    stt_sell: float
    exchange: float
    stamp: float


SEBI, GST = 10 / 10_000_000, 0.18
"""₹10 a crore of turnover; 18 % of brokerage, exchange charges and SEBI's fee. Since April 2021."""
RATES = {
    "intraday, March 2024": PlainRates(0.0003, 20.0, 0.0, 0.00025, 0.0000335, 0.00003),
    "delivery, 2026": PlainRates(0.0, 0.0, 0.001, 0.001, 0.0000307, 0.00015),
    "future, February 2024": PlainRates(0.0003, 20.0, 0.0, 0.000125, 0.00002, 0.00002),
    "future, January 2026": PlainRates(0.0003, 20.0, 0.0, 0.0002, 0.0000183, 0.00002),
    "future, May 2026": PlainRates(0.0003, 20.0, 0.0, 0.0005, 0.0000183, 0.00002),
    "option, February 2024": PlainRates(0.0, 20.0, 0.0, 0.000625, 0.000505, 0.00003),
    "option, January 2026": PlainRates(0.0, 20.0, 0.0, 0.001, 0.0003553, 0.00003),
    "option, May 2026": PlainRates(0.0, 20.0, 0.0, 0.0015, 0.0003553, 0.00003),
}
"""NSE, by segment and time, as brokers' public lists of charges have them."""


def execution_cost(rates: PlainRates, units: int, price: float) -> float:
    """Return what one execution of signed units costs in rupees."""
    turnover = abs(units) * price
    brokerage = min(rates.brokerage * turnover, rates.most) if rates.brokerage else rates.most
    exchange, sebi = rates.exchange * turnover, SEBI * turnover
    taxes = (rates.stt_buy + rates.stamp) * turnover if units > 0 else rates.stt_sell * turnover
    return brokerage + exchange + sebi + GST * (brokerage + exchange + sebi) + taxes


# figures of returns


def return_statistics(returns: Sequence[float], periods: int = 252) -> dict[str, float]:
    """Return the common figures of simple returns by their definitions; `periods` of them make a year."""
    count = len(returns)
    mean = math.fsum(returns) / count
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (count - 1))
    downside = math.sqrt(math.fsum(min(one, 0.0) ** 2 for one in returns) / count)
    equity = peak = 1.0
    deepest = 0.0
    for one in returns:
        equity *= 1 + one
        peak = max(peak, equity)
        deepest = min(deepest, equity / peak - 1)
    annual = equity ** (periods / count) - 1
    return {
        "total_return": equity - 1,
        "annual_return": annual,
        "annual_volatility": deviation * math.sqrt(periods),
        "sharpe": mean / deviation * math.sqrt(periods),
        "sortino": mean * periods / (downside * math.sqrt(periods)),
        "downside_risk": downside * math.sqrt(periods),
        "max_drawdown": deepest,
        "calmar": annual / -deepest,
        "omega": math.fsum(max(one, 0.0) for one in returns) / math.fsum(max(-one, 0.0) for one in returns),
    }


def deflated_sharpe_ratio(best: Sequence[float], ratios: Sequence[float]) -> float:
    """Return the probability that a strategy's Sharpe ratio is above what the best of as many worthless ones shows.

    `best` are its returns, `ratios` the Sharpe ratios by period of all trials. Source: Bailey and López de Prado, The
    Deflated Sharpe Ratio (2014), equations 1 and 9.
    """
    normal, count, trials = NormalDist(), len(best), len(ratios)
    mean = math.fsum(best) / count
    moments = [math.fsum((one - mean) ** power for one in best) / count for power in (2, 3, 4)]
    skew, kurtosis = moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2
    sharpe = mean / math.sqrt(moments[0] * count / (count - 1))
    middle = math.fsum(ratios) / trials
    spread = math.sqrt(math.fsum((one - middle) ** 2 for one in ratios) / (trials - 1))
    gamma = 0.57721566490153286
    luck = spread * ((1 - gamma) * normal.inv_cdf(1 - 1 / trials) + gamma * normal.inv_cdf(1 - 1 / (trials * math.e)))
    error = math.sqrt((1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (count - 1))
    return normal.cdf((sharpe - luck) / error)


# options


class PlainGreeks(NamedTuple):
    """Of one option on a forward: its premium, and derivatives by forward, forward twice, a year, volatility, rate."""

    premium: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def black(forward: float, strike: float, years: float, volatility: float, rate: float, call: bool) -> PlainGreeks:
    """Return premium and greeks by Black's formula of 1976, as textbooks write it."""
    root = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / root + root / 2
    d2, sign, discount = d1 - root, 1 if call else -1, math.exp(-rate * years)

    def cdf(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    premium = discount * sign * (forward * cdf(sign * d1) - strike * cdf(sign * d2))
    return PlainGreeks(
        premium,
        sign * discount * cdf(sign * d1),
        discount * density / (forward * root),
        rate * premium - discount * forward * density * volatility / (2 * math.sqrt(years)),
        discount * forward * density * math.sqrt(years),
        -years * premium,
    )


def implied_by_bisection(premium: float, forward: float, strike: float, years: float, rate: float, call: bool) -> float:
    """Return the volatility at which Black's premium is this one, by halving 0.001 to 20 until nothing changes.

    Of an option in the money the one out of it at the same strike is searched: parity gives its premium.
    """
    if (forward > strike) == call:
        premium -= (1 if call else -1) * math.exp(-rate * years) * (forward - strike)
        call = not call
    low, high = 0.001, 20.0
    for _ in range(200):
        middle = (low + high) / 2
        if black(forward, strike, years, middle, rate, call).premium < premium:
            low = middle
        else:
            high = middle
    return (low + high) / 2
