"""The decision table: from the mode of a webhook and the words of an alert to the position that it wants.

An exit is the target 0. An entry without a size wants the quantity of the mapping, not that much more: the same alert
twice is one position.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mytrading.core.webhooks.refusals import refusal
from mytrading.messages.run_config import Direction
from mytrading.messages.webhooks import AlertAction, AlertIntent, AlertRefusal, Sender


class WantedPosition(Enum):
    """Target of a cell of the table. A `size` is the position_size of the alert, `mapped` the mapping's quantity."""

    FLAT = "target 0"
    LONG_MAPPED = "long, quantity of the mapping"
    SHORT_MAPPED = "short, quantity of the mapping"
    LONG_SIZE = "long, position_size without its sign"
    SHORT_SIZE = "short, position_size without its sign"
    SIZE = "position_size as it is"
    MISSING = "MISSING_FIELD"
    WRONG_SIDE = "WRONG_SIDE"
    BAD_ACTION = "BAD_ACTION"


FLAT, LONG_MAPPED, SHORT_MAPPED, LONG_SIZE, SHORT_SIZE, SIZE, MISSING, WRONG_SIDE, BAD_ACTION = WantedPosition
LONG, SHORT, BOTH = Direction
BUY, SELL, SHORT_SELL, COVER = AlertAction


class DecisionRow(NamedTuple):
    """One row of the table: what an action means without a position_size, and with one that is 0, above or below."""

    absent: WantedPosition
    zero: WantedPosition
    positive: WantedPosition
    negative: WantedPosition


_FLAT, _BAD = DecisionRow(FLAT, FLAT, FLAT, FLAT), DecisionRow(BAD_ACTION, BAD_ACTION, BAD_ACTION, BAD_ACTION)
_GO_LONG = DecisionRow(LONG_MAPPED, LONG_MAPPED, LONG_SIZE, LONG_SIZE)
_GO_SHORT = DecisionRow(SHORT_MAPPED, SHORT_MAPPED, SHORT_SIZE, SHORT_SIZE)

DECISIONS: dict[tuple[Direction, AlertAction], DecisionRow] = {
    (LONG, BUY): _GO_LONG,
    (LONG, SELL): _FLAT,
    (LONG, SHORT_SELL): _BAD,
    (LONG, COVER): _BAD,
    (SHORT, SELL): _GO_SHORT,
    (SHORT, BUY): _FLAT,
    (SHORT, SHORT_SELL): _GO_SHORT,
    (SHORT, COVER): _FLAT,
    (BOTH, BUY): DecisionRow(MISSING, FLAT, SIZE, WRONG_SIDE),
    (BOTH, SELL): DecisionRow(MISSING, FLAT, WRONG_SIDE, SIZE),
    (BOTH, SHORT_SELL): DecisionRow(MISSING, FLAT, WRONG_SIDE, SIZE),
    (BOTH, COVER): DecisionRow(MISSING, FLAT, WRONG_SIDE, WRONG_SIDE),
}
"""Alerts that name an action and may name a size: all senders but ChartInk."""

_SCAN_LONG = DecisionRow(LONG_MAPPED, LONG_MAPPED, LONG_MAPPED, LONG_MAPPED)
_SCAN_SHORT = DecisionRow(SHORT_MAPPED, SHORT_MAPPED, SHORT_MAPPED, SHORT_MAPPED)

SCAN_DECISIONS: dict[tuple[Direction, AlertAction], DecisionRow] = {
    (LONG, BUY): _SCAN_LONG,
    (LONG, SELL): _FLAT,
    (LONG, SHORT_SELL): _BAD,
    (LONG, COVER): _BAD,
    (SHORT, BUY): _BAD,
    (SHORT, SELL): _BAD,
    (SHORT, SHORT_SELL): _SCAN_SHORT,
    (SHORT, COVER): _FLAT,
    (BOTH, BUY): _SCAN_LONG,
    (BOTH, SELL): _FLAT,
    (BOTH, SHORT_SELL): _SCAN_SHORT,
    (BOTH, COVER): _FLAT,
}
"""Scans of ChartInk, which have no sizes: the keyword alone decides, as far as the mode lets it."""


def wanted_units(
    sender: Sender, mode: Direction, intent: AlertIntent, quantity: int, most: int = 0
) -> int | AlertRefusal:
    """Return the position in signed units that an alert wants, or why it means none.

    `quantity` is the mapping's; `most` (0: never) lets the alert's own quantity count in its place, up to so much.
    """
    row = (SCAN_DECISIONS if sender is Sender.CHARTINK else DECISIONS)[mode, intent.action]
    meaning, size = row[_column(intent.position_size)], intent.position_size or 0
    mapped = min(intent.quantity, most) if intent.quantity is not None and most else quantity
    match meaning:
        case WantedPosition.FLAT:
            return 0
        case WantedPosition.LONG_MAPPED | WantedPosition.SHORT_MAPPED:
            return mapped if meaning is LONG_MAPPED else -mapped
        case WantedPosition.LONG_SIZE | WantedPosition.SHORT_SIZE:
            return abs(size) if meaning is LONG_SIZE else -abs(size)
        case WantedPosition.SIZE:
            return size
        case WantedPosition.MISSING:
            return refusal(
                "MISSING_FIELD", "expected position_size, the position after the order, since the mode is BOTH"
            )
        case WantedPosition.WRONG_SIDE:
            sides = {BUY: "0 or more with buy", SELL: "0 or less with sell", SHORT_SELL: "0 or less with short"}
            side = sides.get(intent.action, "0 with cover")
            return refusal("WRONG_SIDE", f"expected a position_size of {side}", size)
        case WantedPosition.BAD_ACTION:
            fits = " or ".join(action.lower() for action in AlertAction if _fits(sender, mode, action))
            return refusal("BAD_ACTION", f"expected {fits}, since the mode is {mode.upper()}", intent.action.value)


def _fits(sender: Sender, mode: Direction, action: AlertAction) -> bool:
    return (SCAN_DECISIONS if sender is Sender.CHARTINK else DECISIONS)[mode, action] is not _BAD


def _column(size: int | None) -> int:
    return 0 if size is None else 1 if size == 0 else 2 if size > 0 else 3
