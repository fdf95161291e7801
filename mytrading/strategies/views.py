"""A strategy's own trading as authors read it: positions, legs and pending entries. The host makes these views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument


@dataclass(frozen=True, slots=True)
class PositionView:
    """A strategy's own position for one watched instrument.

    `quantity` is signed units of what is traded, `average_price` its entry price in rupees. `side` is +1 while the
    strategy is in its long position, which may be a bought call or a sold put, −1 in its short one. `is_long`,
    `is_short` and `is_flat` say the same; they are kept, since strategies ask at every bar.
    """

    quantity: int = 0
    average_price: float = 0.0
    side: int = 0
    is_long: bool = field(init=False, compare=False, repr=False)
    is_short: bool = field(init=False, compare=False, repr=False)
    is_flat: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, side in (("is_long", 1), ("is_short", -1), ("is_flat", 0)):
            object.__setattr__(self, name, self.side == side)


FLAT = PositionView()


class EntryView(NamedTuple):
    """An entry that may still fill: signed `lots` as wanted, signed `units` not yet filled (0 while only wanted).

    Prices in rupees, 0 where it has none. It `rests` once the broker has it.
    """

    instrument: str
    lots: int
    units: int
    order_type: OrderType
    limit_price: float
    trigger_price: float
    stop_price: float
    rests: bool


class LegGreeks(NamedTuple):
    """Implied volatility (0.13 is 13 % a year) and greeks of one bought unit of an option.

    `delta` is a rupee of the forward, `gamma` a rupee of the forward of delta, `theta` a calendar day, `vega` a
    percentage point of volatility, in rupees of premium. Those of a position are `quantity` times as much.
    """

    iv: float
    delta: float
    gamma: float
    theta: float
    vega: float


@dataclass(frozen=True)
class LegView:
    """One contract that a strategy holds, over all its accounts.

    `quantity` is in signed units, below 0 sold, and `lots` the same in lots. `entry_price` is the average in rupees,
    `last_price` None before the first price. `contract` gives strike, right and expiry; None if it is not listed today.
    """

    instrument: str
    quantity: int
    lots: int
    entry_price: float
    last_price: float | None
    contract: Instrument | None = None
    valuation: Callable[[], LegGreeks | None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def side(self) -> Side:
        """BUY of a leg that is held long, SELL of one that is sold."""
        return Side.BUY if self.quantity > 0 else Side.SELL

    @property
    def is_sold(self) -> bool:
        """True of a leg that is held short."""
        return self.quantity < 0

    @property
    def pnl(self) -> float | None:
        """Open profit in rupees, before costs; None without a last price."""
        return None if self.last_price is None else (self.last_price - self.entry_price) * self.quantity

    @property
    def greeks(self) -> LegGreeks | None:
        """Volatility and greeks at the last price; None of what is no option, or where the price has no volatility."""
        return self.valuation()
