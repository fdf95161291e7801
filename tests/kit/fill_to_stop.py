"""Time of filled units without a stop: from the first sighting of a fill to the acceptance of the stop that covers it.

Times are those of the journal's rows (machine ns), so the figure is what the router knew and when, not what a clock
elsewhere says.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order, OrderChanged, PositionAdjusted, PositionChanged, ProtectionChanged

_RESTS = frozenset((OrderState.ACCEPTED, OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED))


class Covered(NamedTuple):
    """A stretch in which more had been seen filled than stops at the broker covered.

    `after` what it began: a fill, or a stop that ended; `how` it ended: with a stop (or exit) that covers, or flat.
    """

    account: str
    instrument: str
    strategy: str
    began_ns: int
    ended_ns: int
    after: str
    how: str

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.ended_ns - self.began_ns) / 1e9


class FillToStop:
    """Fold the rows of the stream `orders` in their order; `covered` are the stretches that ended, `open` those not.

    A position that nobody was to guard at the broker (no protection was begun for it) is not measured, and from the
    moment an exit of its own is out it is being closed, which ends the stretch.
    """

    def __init__(self) -> None:
        self.covered: list[Covered] = []
        self._orders: dict[OwnerKey, dict[str, Order]] = {}
        self._seen: dict[OwnerKey, int] = {}
        self._guarded: set[OwnerKey] = set()
        self._since: dict[OwnerKey, tuple[int, str]] = {}

    def fold(self, machine_ns: int, message: Any) -> None:
        """Learn one row, written at this machine time."""
        if isinstance(message, OrderChanged):
            order = message.order
            owner = order.owner
            if order.purpose.reduces:
                self._orders.setdefault(owner, {})[order.client_order_id] = order
        elif isinstance(message, PositionChanged | PositionAdjusted):
            position = message.position
            owner = position.owner
            self._seen[owner] = abs(position.quantity_seen)
        elif isinstance(message, ProtectionChanged):
            level = message.protection
            owner = level.owner
            (self._guarded.discard if level.state == "done" else self._guarded.add)(owner)
        else:
            return
        self._measure(owner, machine_ns, "fill" if isinstance(message, PositionChanged) else "stop ended")

    def _measure(self, owner: OwnerKey, machine_ns: int, after: str) -> None:
        seen = self._seen.get(owner, 0)
        bare = owner in self._guarded and self._live(owner) < seen
        if bare:
            self._since.setdefault(owner, (machine_ns, after))
        elif (found := self._since.pop(owner, None)) is not None:
            account, instrument, _, strategy = owner
            how = "stop" if seen else "flat"
            self.covered.append(Covered(account, instrument, strategy, found[0], machine_ns, found[1], how))

    def _live(self, owner: OwnerKey) -> int:
        """Units that are covered: by stops that rest, or by an exit that has begun to close them."""
        orders = self._orders.get(owner, {}).values()
        return sum(
            order.quantity - order.filled_seen
            for order in orders
            if order.state in _RESTS or (order.purpose is not Purpose.STOP and order.state is OrderState.SUBMITTED)
        )

    def seconds(self) -> list[float]:
        """The lengths of the stretches that a fill began and a stop ended, sorted."""
        return sorted(found.seconds for found in self.covered if (found.after, found.how) == ("fill", "stop"))

    def open(self, machine_ns: int) -> list[tuple[OwnerKey, float]]:
        """Return the owners that are uncovered still, with their seconds."""
        return [(owner, (machine_ns - began) / 1e9) for owner, (began, _) in sorted(self._since.items())]
