"""How much stands on either side of a quote, and between which prices a day's orders may lie.

What is shown is what fills: both take `units_at` of the same `draws`.
"""

from __future__ import annotations

from mytrading.core.time import SECOND
from mytrading.messages.enums import Side
from mytrading.messages.instruments import Instrument
from mytrading.simulator.market.day import SimulatedQuote

_LEAST, _SPREAD = 20, 37
_SHARES = 100
_ASKS = 7
_SHARE_BAND, _CONTRACT_BAND = 0.2, 0.1


def draws(quote: SimulatedQuote) -> tuple[int, int]:
    """Numbers that change with the second, for bids and asks; a level `n` away takes them shifted by `n`."""
    noise = (quote.at_ns // SECOND) * 2654435761 & 0xFFFFFFFF
    return noise, noise >> _ASKS


def unit(instrument: Instrument) -> int:
    """What depth is counted in: a lot, or a hundred of a share."""
    return instrument.lot_size if instrument.kind.is_derivative else _SHARES


def units_at(drawn: int, unit: int) -> int:
    """Units at a level: 20 to 56 lots."""
    return (_LEAST + drawn % _SPREAD) * unit


def standing(quote: SimulatedQuote, side: Side) -> int:
    """Units that stand at the best price of a side; 0 where nobody does."""
    if (quote.bid if side is Side.BUY else quote.ask) <= 0:
        return 0
    return units_at(draws(quote)[0 if side is Side.BUY else 1], unit(quote.instrument))


def price_band(instrument: Instrument, close: float, underlying_close: float) -> tuple[float, float]:
    """The lowest and highest price of a day, in rupees on the tick; zeros where the last close is not known.

    A share may move by a fifth of the last close; a contract by a tenth of its underlying's, since an option moves at
    most as far as what it is written on.
    """
    derivative = instrument.kind.is_derivative
    reach = underlying_close * _CONTRACT_BAND if derivative else close * _SHARE_BAND
    if reach <= 0.0 or close <= 0.0:
        return 0.0, 0.0
    tick = instrument.tick_size
    lower = max(round((close - reach) / tick), 1) * tick
    return round(lower, 2), round(round((close + reach) / tick) * tick, 2)
