"""Requests by which an operator settles what the ledger cannot settle by itself, and the plan that is shown before.

Requests go over `control`, plans come back in the answer to one. A request that only asks for its plan changes nothing;
one that is to be done names the plan that its author saw, and another plan is not carried out.
"""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import Product
from mytrading.messages.keys import NetKeyed, OwnerKeyed


class PlannedUnits(NetKeyed, frozen=True, kw_only=True, omit_defaults=True):
    """Signed units of a key: what the broker's position book holds (None: it was not read, or cannot say), what the
    ledger holds and will hold, owners and unmanaged units together. `does` says in words what becomes of them;
    `changes`: they, or their owners, change."""

    account: str
    instrument: str
    product: Product
    broker: int | None
    ledger: int
    after: int
    does: str = ""
    changes: bool = False

    @property
    def difference(self) -> int | None:
        """Units that the broker holds more than the ledger; None where the broker's are not known."""
        return None if self.broker is None else self.broker - self.ledger


class SettlementPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request will do. `mark` names the plan by its content: another read of the books may lead to another."""

    mark: str
    rows: tuple[PlannedUnits, ...] = ()
    steps: tuple[str, ...] = ()


class SettleRequested(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="settle_requested"):
    """Units that an owner carried into the day are gone, says an operator; at `price` rupees, 0 if that is not known.

    `preview`: only the plan is asked for. `plan` is the mark of the plan that the author saw, empty for any. The same
    in the requests below.
    """

    id: str
    account: str
    instrument: str
    product: Product
    strategy: str
    at_ns: int
    price: float = 0.0
    reason: str = ""
    by: str = ""
    preview: bool = False
    plan: str = ""


class AdjustRequested(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="adjust_requested"):
    """A corporate action made `new` shares of each `old` ones of an owner: the average price, the stop and the levels
    that risk holds move with it, and the units that come are the owner's.

    `units` is what the owner holds at the broker now (unsigned), where that is known from the holdings; 0: as many as
    before, and those that the position book shows beyond. `tick` (rupees) is that of the instrument.
    """

    id: str
    account: str
    instrument: str
    product: Product
    strategy: str
    at_ns: int
    new: int
    old: int = 1
    units: int = 0
    tick: float = 0.05
    reason: str = ""
    by: str = ""
    preview: bool = False
    plan: str = ""


class RebuildRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="rebuild_requested"):
    """Make the ledger of an account what the broker's books show; entries were halted before."""

    id: str
    account: str
    at_ns: int
    reason: str = ""
    by: str = ""
    preview: bool = False
    plan: str = ""


SettlementRequest = SettleRequested | AdjustRequested | RebuildRequested


class SettlementOpened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="settlement"):
    """A request waits for a read of the books that begins after `opened_machine_ns`; its answer ends it."""

    request: SettlementRequest
    opened_machine_ns: int


class UnitsAwaited(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="units_awaited"):
    """After a corporate action of `new` for `old` shares: `units` (signed) are still to come, at `price` rupees each.

    0: all have come; the row then says that the action was booked on this day.
    """

    account: str
    instrument: str
    product: Product
    strategy: str
    new: int
    old: int
    units: int
    price: float
    at_ns: int
