"""The class that a rule of one's own is written as: a filter on the wishes that leave the engine, which can only deny.

    class NotOnMondays(WishRule):
        def deny(self, wish):
            return "it is Monday" if wish.weekday == 0 else ""

It stands in a file of `strategies/rules/` and runs where ENABLED_RULES names it. The one rule: an exit is never shown
to it, and nothing it does changes a wish.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import msgspec

from mytrading.messages.enums import Action, Product
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.views import PositionView

_IST = timedelta(hours=5, minutes=30)
_SECOND = 1_000_000_000


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that would enter something: what is to be held, why, and what its strategy holds for `watch` now.

    `now_ns` is market time (ns UTC), `price` the last price of what is watched, in rupees. `sent_today` counts the
    wishes of the strategy that went out today before this one. `product` is that of the legs that name none.
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
        return datetime.fromtimestamp(self.now_ns // _SECOND, UTC).replace(tzinfo=None) + _IST

    @property
    def minutes_of_day(self) -> int:
        """Whole minutes since midnight in India: 570 is half past nine."""
        return self.time.hour * 60 + self.time.minute

    @property
    def weekday(self) -> int:
        """0 is Monday."""
        return self.time.weekday()

    @property
    def day_code(self) -> str:
        """The day as it stands in symbols: 24MAR26."""
        return self.time.strftime("%d%b%y").upper()


class WishRule:
    """Inherit from it and write `deny`. One object judges the wishes of all strategies, for the life of the engine."""

    name: ClassVar[str] = ""
    """What ENABLED_RULES calls it; the class's name without one. Case and underscores do not count."""

    def deny(self, wish: Outgoing) -> str:  # noqa: ARG002  (the author's signature)
        """Why the wish must not go out, in a sentence with numbers; empty if it may."""
        return ""


def rule_name(rule: type[WishRule]) -> str:
    """The `name` attribute, else the class name."""
    return rule.name or rule.__name__


def outgoing(signal: Signal, position: PositionView, sent_today: int, now: int) -> Outgoing:
    """A signal as rules see it."""
    return Outgoing(
        strategy=signal.strategy,
        watch=signal.watch,
        action=signal.action,
        legs=signal.legs,
        product=signal.product,
        confidence=signal.confidence,
        reason=signal.reason,
        price=signal.price,
        now_ns=now,
        position=position,
        sent_today=sent_today,
    )
