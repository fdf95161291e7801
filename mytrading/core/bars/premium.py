"""The combined premium of a strategy's legs as bars, from the one-minute bars of each leg.

Highs of legs do not occur together, so a minute's high and low are those of the combined open and close. A minute that
one leg lacks is left out; nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import gcd
from typing import NamedTuple

from mytrading.core.bars.builder import aggregate
from mytrading.core.calendar import Calendar
from mytrading.messages.market import Bar


class HeldLeg(NamedTuple):
    """So many units (signed) of an instrument, entered at a price in rupees."""

    instrument: str
    quantity: int
    price: float


def premium_weights(legs: Iterable[HeldLeg]) -> dict[str, int]:
    """Return how often each instrument's price counts in the combined premium, as small signed whole numbers.

    Twice as many units give twice the weight. The sign makes the premium that was paid or received positive: bought
    legs count above 0 if the legs cost money to enter, sold legs if they brought money.
    """
    units: dict[str, int] = {}
    net = 0.0
    for leg in legs:
        units[leg.instrument] = units.get(leg.instrument, 0) + leg.quantity
        net += leg.quantity * leg.price
    held = {name: count for name, count in units.items() if count}
    size = gcd(*held.values()) if held else 0
    way = 1 if net >= 0 else -1
    return {name: way * count // size for name, count in sorted(held.items())}


def combined_bars(units: Mapping[str, int], minutes: Mapping[str, Sequence[Bar]], name: str) -> list[Bar]:
    """Return one-minute bars of the legs' summed price (`units` by instrument), named `name`.
    Minutes that lack a bar of any leg are left out."""
    by_start = [{bar.start_ns: bar for bar in minutes.get(instrument, ())} for instrument in units]
    if not by_start:
        return []
    common = sorted(set(by_start[0]).intersection(*by_start[1:]))
    counts = list(units.values())
    made = []
    for start in common:
        bars = [bars[start] for bars in by_start]
        begin = sum(count * bar.open for count, bar in zip(counts, bars, strict=True))
        close = sum(count * bar.close for count, bar in zip(counts, bars, strict=True))
        made.append(Bar(name, "1m", start, bars[0].end_ns, begin, max(begin, close), min(begin, close), close, ticks=1))
    return made


def premium_bars(
    units: Mapping[str, int], minutes: Mapping[str, Sequence[Bar]], timeframe: str, calendar: Calendar, now: int
) -> list[Bar]:
    """Return completed bars of the legs' combined premium at market `now` (ns), aligned to the session's open."""
    if not units:
        return []
    exchange = next(iter(units)).partition(":")[0]
    return aggregate(combined_bars(units, minutes, f"{exchange}:PREMIUM"), timeframe, calendar, now)
