"""What a trial has sent, on disk before it is sent: the next trial, or doctor, ends what a killed one left.

One file of JSON lines for each account, synced line by line, removed once nothing is left.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mytrading.messages.enums import OrderType, Side
from mytrading.messages.run_config import AccountRun, RunConfig
from mytrading.runtime.host.paths import account_lock_path, state_base

FOLDER = "broker-checks"


class TrialBegan(msgspec.Struct, frozen=True, kw_only=True, tag="began"):
    """A trial began at wall time `wall_ns` in an instrument of which the account then held `units`; `known` are the ids
    of all orders in the book before the first of ours."""

    wall_ns: int
    broker: str
    instrument: str
    units: int
    known: tuple[str, ...] = ()


class CallBegan(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """A placing call is about to be made at wall time `wall_ns`; rupees, 0 where the type has none."""

    wall_ns: int
    name: str
    tag: str
    side: Side
    order_type: OrderType
    quantity: int = 1
    price: float = 0.0
    trigger: float = 0.0


class IdKnown(msgspec.Struct, frozen=True, kw_only=True, tag="id"):
    """The broker's id of an order: from the answer, or found in the book."""

    name: str
    broker_order_id: str


class PriceChanged(msgspec.Struct, frozen=True, kw_only=True, tag="change"):
    """A change of an order's prices is about to be requested."""

    name: str
    price: float
    trigger: float


class OrderEnded(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """An order has ended, with so many units traded."""

    name: str
    filled: int = 0


Entry = TrialBegan | CallBegan | IdKnown | PriceChanged | OrderEnded
_decoder = msgspec.json.Decoder(Entry)


@dataclass
class TrialOrder:
    """An order of the trial as far as the file knows it; `prices` are all (price, trigger) it may bear."""

    call: CallBegan
    broker_order_id: str = ""
    prices: list[tuple[float, float]] = field(default_factory=list)
    ended: bool = False
    filled: int = 0


class TrialOrders:
    """The file of one account's trial, and the orders in it by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began: TrialBegan | None = None
        self.orders: dict[str, TrialOrder] = {}
        written = path.read_bytes() if path.exists() else b""
        self._torn = bool(written) and not written.endswith(b"\n")
        for line in written.splitlines():
            with suppress(msgspec.MsgspecError):  # the last line of a killed trial: what it tells was not done yet
                self._learn(_decoder.decode(line))

    @property
    def is_open(self) -> bool:
        """True if a trial began and was not ended."""
        return self.began is not None

    def live(self) -> list[TrialOrder]:
        """Return the orders that may still trade, in the order of their calls."""
        return [order for order in self.orders.values() if not order.ended]

    def traded(self, side: Side) -> int:
        """Return the units that ended orders of a side have traded."""
        return sum(order.filled for order in self.orders.values() if order.call.side is side)

    def write(self, entry: Entry) -> None:
        """Write an entry to the disk, then learn it."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (b"\n" if self._torn else b"") + msgspec.json.encode(entry) + b"\n")
            os.fsync(descriptor)
            self._torn = False
        finally:
            os.close(descriptor)
        if isinstance(entry, TrialBegan):
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        self._learn(entry)

    def _learn(self, entry: Entry) -> None:
        match entry:
            case TrialBegan():
                self.began = entry
            case CallBegan():
                self.orders[entry.name] = TrialOrder(entry, prices=[(entry.price, entry.trigger)])
            case IdKnown():
                self.orders[entry.name].broker_order_id = entry.broker_order_id
            case PriceChanged():
                self.orders[entry.name].prices.append((entry.price, entry.trigger))
            case OrderEnded():
                order = self.orders[entry.name]
                order.ended, order.filled = True, entry.filled

    def remove(self) -> None:
        """Remove the file: nothing is left."""
        self.path.unlink(missing_ok=True)
        self.began, self.orders = None, {}


def sent_orders_path(config: RunConfig, account: AccountRun) -> Path:
    """Return the file of an account's trial: by server and key as its lock, whatever profile looks, and kept over a
    restart of the machine."""
    return state_base() / FOLDER / f"{account_lock_path(config, account).stem}.jsonl"
