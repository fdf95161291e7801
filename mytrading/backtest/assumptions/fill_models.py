"""How orders meet the market in a backtest, as objects that can be mixed: when, at what price, how much.

A model sees the present bar and nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

_UNKNOWN = float("inf")


class Slippage(Protocol):
    """What a market order, or a stop that triggered, pays beyond the price."""

    def of(self, price: float, tick: float) -> float:
        """Rupees a unit at this price, of an instrument with this tick."""
        ...


@dataclass(frozen=True)
class SlippageTicks:
    """A number of ticks."""

    ticks: float = 0.0

    def of(self, price: float, tick: float) -> float:  # noqa: ARG002
        """Rupees a unit."""
        return self.ticks * tick


@dataclass(frozen=True)
class SlippageFraction:
    """A fraction of the price: 0.0005 is five basis points."""

    fraction: float

    def of(self, price: float, tick: float) -> float:
        """Rupees a unit, in whole ticks, rounded up."""
        return -(-price * self.fraction // tick) * tick


@dataclass(frozen=True)
class VolumeCap:
    """A bar fills at most `share` of its volume, for all orders together; the rest waits. 0: no cap."""

    share: float = 0.0

    def units(self, volume: float, lot: int) -> int | None:
        """Units in whole lots that a bar of this volume fills; None without a cap, or where no volume is known."""
        if not self.share or volume == _UNKNOWN:
            return None
        return int(volume * self.share) // lot * lot


@dataclass(frozen=True)
class FillLimits:
    """A resting limit fills when the price touches it (`through_ticks` 0) or goes so many ticks through it."""

    through_ticks: int = 0


@dataclass(frozen=True)
class Models:
    """All of them. `at_close` fills what a bar's close led to at that close, else it is filled at the next bar's open.

    `latency_ns` is the way of a call to the exchange: the price it meets lies that far on the straight line from the
    open of its bar to the close. Inside a bar a call arrives at once if its way is shorter than a third of the bar.
    """

    at_close: bool = False
    latency_ns: int = 0
    slippage: Slippage = SlippageTicks()
    volume: VolumeCap = VolumeCap()
    limits: FillLimits = FillLimits()
