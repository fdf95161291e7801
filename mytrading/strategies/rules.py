"""The class that an author's rule inherits from: a filter on the signals that leave the engine, which can only deny.

    class NotOnMondays(SignalRule):
        def deny(self, signal):
            return "it is Monday" if signal.weekday == 0 else ""

It stands in a file of `strategies/rules/` and runs where ENABLED_RULES names it. An exit is never shown to it, and
nothing it does changes a signal.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from mytrading.core.time import IST, SECOND
from mytrading.messages.enums import Action, Product
from mytrading.messages.signals import Leg
from mytrading.strategies.views import PositionView


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A signal that would enter something: what is to be held, why, and what its strategy holds for `watch` now.

    `now_ns` is market time (ns UTC), `price` the last price of what is watched, in rupees. `sent_today` counts the
    signals of the strategy that went out today before this one. `product` is that of the legs that name none.
    """

    strategy: str
    watch: str
    action: Action
    legs: tuple[Leg, ...]
    product: Product
    confidence: float
    reason: str
    price: float
    now_ns: int
    position: PositionView
    sent_today: int = 0

    @property
    def time(self) -> datetime:
        """Market time in India (without a zone)."""
        return datetime.fromtimestamp(self.now_ns // SECOND, IST).replace(tzinfo=None)

    @property
    def minutes_of_day(self) -> int:
        """Whole minutes since midnight in India: 570 is half past nine."""
        return self.time.hour * 60 + self.time.minute

    @property
    def weekday(self) -> int:
        """Day of the week in India; 0 is Monday."""
        return self.time.weekday()

    @property
    def day_code(self) -> str:
        """The day in India as contract symbols spell it: 24MAR26."""
        return self.time.strftime("%d%b%y").upper()


class SignalRule:
    """Inherit from it and write `deny`. One object judges the signals of all strategies, while the engine runs."""

    name: ClassVar[str] = ""
    """Name in ENABLED_RULES; if empty, the class's name. Case and underscores do not count."""

    def deny(self, signal: Outgoing) -> str:  # noqa: ARG002  (the author's signature)
        """Return why the signal must not go out, in a sentence with numbers; empty if it may."""
        return ""
