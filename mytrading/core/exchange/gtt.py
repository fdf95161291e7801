"""Orders that wait for a price for days (GTT): the triggers, and those that a price makes due.

A trigger is over before its order is placed, so that no restart places it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from zlib import crc32

import msgspec
from msgspec.structs import replace

from mytrading.core.exchange.model import OrderRequest
from mytrading.messages.enums import OrderType


class TriggerStatus(StrEnum):
    """State of a trigger."""

    ACTIVE = "active"
    TRIGGERED = "triggered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class TriggerLeg(msgspec.Struct, frozen=True):
    """One price that is waited for: at or below it if `falls`, else at or above; and the limit of its order."""

    at: float
    falls: bool
    price: float

    def is_reached(self, ltp: float) -> bool:
        """True if the price has reached this leg's trigger price."""
        return ltp <= self.at if self.falls else ltp >= self.at


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """An order in waiting, with one leg or with two of which one fires; times are market ns."""

    trigger_id: str
    request: OrderRequest
    legs: tuple[TriggerLeg, ...]
    created_ns: int
    updated_ns: int
    expires_ns: int
    last_price: float
    status: TriggerStatus = TriggerStatus.ACTIVE
    reason: str = ""

    @property
    def is_active(self) -> bool:
        """True while the trigger can still fire."""
        return self.status is TriggerStatus.ACTIVE

    def order_request(self, leg: TriggerLeg) -> OrderRequest:
        """Return the order request that a leg places when it fires."""
        price = 0.0 if self.request.order_type is OrderType.MARKET else leg.price
        return replace(self.request, price=price)


class TriggerBook:
    """All triggers of the account. `due_triggers` for an instrument without any costs one look-up."""

    def __init__(self, triggers: Iterable[Trigger] = ()) -> None:
        self._triggers: dict[str, Trigger] = {}
        self._waiting: dict[str, dict[str, None]] = {}
        for trigger in triggers:
            self.store(trigger)

    def __iter__(self) -> Iterator[Trigger]:
        return iter(self._triggers.values())

    def store(self, trigger: Trigger) -> None:
        """Store a new trigger, or a new state of one."""
        self._triggers[trigger.trigger_id] = trigger
        waiting = self._waiting.setdefault(trigger.request.instrument, {})
        if trigger.is_active:
            waiting[trigger.trigger_id] = None
        else:
            waiting.pop(trigger.trigger_id, None)
        if not waiting:
            del self._waiting[trigger.request.instrument]

    def get_active(self, trigger_id: str) -> Trigger | None:
        """Return the active trigger with this id; None if there is none."""
        found = self._triggers.get(trigger_id)
        return found if found is not None and found.is_active else None

    def instruments(self) -> Iterable[str]:
        """Return the instruments that have active triggers."""
        return self._waiting.keys()

    def new_id(self, day: date) -> str:
        """Return the id for the next new trigger of `day`; the same until one is stored."""
        number = len(self._triggers) + 1
        return f"GTT-{day:%y%m%d}-{crc32(f'{day}:{number}'.encode()):08x}"

    def due_triggers(self, instrument: str, ltp: float, now: int) -> list[tuple[Trigger, OrderRequest | None]]:
        """Return triggers that `ltp` fires (with the order) or that expired (None), in new state; stores nothing."""
        ended: list[tuple[Trigger, OrderRequest | None]] = []
        for trigger_id in self._waiting.get(instrument, ()):
            trigger = self._triggers[trigger_id]
            if now >= trigger.expires_ns:
                ended.append((replace(trigger, status=TriggerStatus.EXPIRED, updated_ns=now), None))
                continue
            leg = next((leg for leg in trigger.legs if leg.is_reached(ltp)), None)
            if leg is not None:
                fired = replace(trigger, status=TriggerStatus.TRIGGERED, updated_ns=now, last_price=ltp)
                ended.append((fired, trigger.order_request(leg)))
        return ended
