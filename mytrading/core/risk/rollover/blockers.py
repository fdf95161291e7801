"""What keeps a roll-over that is due from beginning, in words for an operator.

Nothing keeps a roll without a word of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.risk.limits.limits import Limits
from mytrading.core.risk.pretrade.readiness import not_ready
from mytrading.core.risk.state.state import RiskState
from mytrading.messages.enums import Confidence, TradingLevel
from mytrading.messages.orders import Position

LEVEL, LIMIT, READINESS, POSITION = KINDS = ("level", "limit", "readiness", "position")


class RollBlocker(NamedTuple):
    """Its kind, and its words. One that `passes` by itself is news only once it lasts."""

    kind: str
    why: str
    passes: bool = False


class RollBlockers:
    """Asks the state, changes nothing."""

    def __init__(self, state: RiskState, limits: Limits) -> None:
        self._state = state
        self._limits = limits

    def of(self, position: Position) -> RollBlocker | None:
        """None if nothing keeps it; what an operator or the next day must end is told before what passes."""
        level, why = self._state.level(position.account)
        if level is not TradingLevel.NORMAL:
            return RollBlocker(LEVEL, f"trading is at {level}{f', {why}' if why else ''}; resume to let it begin")
        if limit := self.limited(position.account, position.strategy):
            return RollBlocker(LIMIT, limit)
        if unready := not_ready(self._state, position.account):
            return RollBlocker(READINESS, f"not ready: {unready}; it begins as soon as that is well", passes=True)
        if doubt := self._unsettled(position):
            return RollBlocker(POSITION, f"{doubt}; it begins as soon as that is settled", passes=True)
        return None

    def limited(self, account: str, strategy: str) -> str:
        """Which limit of the day was reached, empty if none: what is brought again after it would be new risk."""
        return "; ".join(self._limits.reached(account, strategy).values())

    def is_told(self, position: Position, today: str) -> bool:
        """True while a roll is kept from beginning by what was told today."""
        if all(name_of(position, kind, today) not in self._state.levels for kind in KINDS):
            return False
        found = self.of(position)
        return found is not None and name_of(position, found.kind, today) in self._state.levels

    def _unsettled(self, position: Position) -> str:
        """Why it is not known what is to be moved, empty if it is."""
        if position.confidence is not Confidence.CONFIRMED:
            return f"the position is {position.confidence}"
        if position.quantity != position.quantity_seen:
            return f"{position.quantity} units are booked and {position.quantity_seen} were seen"
        coming = self._state.coming_units(position.strategy, position.instrument, position.account)
        return f"an order may still bring {coming} units" if coming else ""


def name_of(position: Position, kind: str, day: str) -> str:
    """The level that says that a hindrance of this kind was told on a day."""
    return f"roll_due {kind} {position.strategy}/{position.account}/{position.instrument} {position.opened_ns}:{day}"
