"""What a strategy sees of its own trading: what it holds, and what is on its way. Made by the host, read by authors."""

from __future__ import annotations

from typing import NamedTuple

from mytrading.messages.enums import OrderType


class PositionView(NamedTuple):
    """A strategy's own position for one watched instrument.

    `quantity` is signed units of what is traded, `average_price` its entry price in rupees. `side` is +1 while the
    strategy is in its long position, which may be a bought call or a sold put, −1 in its short one.
    """

    quantity: int = 0
    average_price: float = 0.0
    side: int = 0

    @property
    def is_long(self) -> bool:
        """True while the strategy holds the position that BUY signals."""
        return self.side == 1

    @property
    def is_short(self) -> bool:
        """True while the strategy holds the position that SELL signals."""
        return self.side == -1

    @property
    def is_flat(self) -> bool:
        """True while the strategy holds no position."""
        return self.side == 0


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
