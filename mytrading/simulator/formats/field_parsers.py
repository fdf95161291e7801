"""How the fields of requests are read: one function per kind of value, answering it typed or raising `Bad`.

Texts follow OpenAlgo 2.0.2 as observed. A parser looks at one value only; what fields say together is the handler's to
judge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from mytrading.core.time import IST

_TRUE = {"t", "T", "true", "True", "TRUE", "on", "On", "ON", "y", "Y", "yes", "Yes", "YES", "1", 1}
_FALSE = {"f", "F", "false", "False", "FALSE", "off", "Off", "OFF", "n", "N", "no", "No", "NO", "0", 0}
_OFFSET = re.compile(r"ATM|(?:ITM|OTM)(?:[1-9]|[1-4]\d|50)")


class Bad(Exception):
    """The text for a field that does not pass."""


def text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Bad("Not a valid string.")
    return value


def number(value: object) -> float:
    """A finite number, also as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Bad("Not a valid number.")
    try:
        given = float(value)
    except (ValueError, OverflowError):
        raise Bad("Not a valid number.") from None
    if not math.isfinite(given):
        raise Bad("Special numeric values (nan or infinity) are not permitted.")
    return given


def integer(value: object) -> int:
    """A whole number, also as text, but not as "1.0"."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return int(value)
    except (ValueError, OverflowError):
        raise Bad("Not a valid integer.") from None


def boolean(value: object) -> bool:
    """True or false in any of the usual spellings."""
    if isinstance(value, str | int | float) and value in _TRUE:
        return True
    if isinstance(value, str | int | float) and value in _FALSE:
        return False
    raise Bad("Not a valid boolean.")


def day(value: object) -> date:
    """A date, YYYY-MM-DD."""
    try:
        return date.fromisoformat(text(value))
    except ValueError:
        raise Bad("Not a valid date.") from None


def rows(value: object) -> list[Any]:
    """A list of anything."""
    if not isinstance(value, list):
        raise Bad("Not a valid list.")
    return value


def api_key(value: object) -> str:
    """A key of 1 to 256 characters."""
    given = text(value)
    if not 1 <= len(given) <= 256:
        raise Bad("Length must be between 1 and 256.")
    return given


def quantity(value: object) -> int:
    """Units of an order: whole and above 0."""
    units = number(value)
    if units <= 0:
        raise Bad("Quantity must be a positive number.")
    if not units.is_integer():
        raise Bad(f"Fractional quantity ({units}) is not allowed for non-crypto exchanges.")
    return int(units)


def non_negative(label: str) -> Callable[[object], float]:
    """Rupees of 0 or more; `label` names them in the refusal."""

    def parse(value: object) -> float:
        rupees = number(value)
        if rupees < 0:
            raise Bad(f"{label} must be a non-negative number.")
        return rupees

    return parse


def one_of(*choices: str) -> Callable[[object], str]:
    """One of these words."""

    def parse(value: object) -> str:
        given = text(value)
        if given not in choices:
            raise Bad(f"Must be one of: {', '.join(choices)}.")
        return given

    return parse


def split_size(value: object) -> int:
    """Units of a slice."""
    size = integer(value)
    if size < 1:
        raise Bad("Split size must be a positive integer.")
    return size


def whole(label: str, lowest: float = -math.inf) -> Callable[[object], int]:
    """Units: a whole number, `lowest` or more."""

    def parse(value: object) -> int:
        units = number(value)
        if units < lowest:
            raise Bad(f"{label} must be a non-negative number.")
        if not units.is_integer():
            raise Bad(f"Fractional {label.lower()} ({units}) is not allowed for non-crypto exchanges.")
        return int(units)

    return parse


def between(lowest: int, highest: int) -> Callable[[object], int]:
    """A whole number within bounds."""

    def parse(value: object) -> int:
        given = integer(value)
        if not lowest <= given <= highest:
            raise Bad(f"Must be greater than or equal to {lowest} and less than or equal to {highest}.")
        return given

    return parse


def offset(value: object) -> str:
    """A strike rule such as ATM or OTM2, upper case."""
    given = text(value).upper()
    if not _OFFSET.fullmatch(given):
        raise Bad("Offset must be ATM, ITM1-ITM50, or OTM1-OTM50")
    return given


def clock(value: object) -> time:
    """A time of day, HH:MM."""
    try:
        return time.fromisoformat(text(value))
    except ValueError:
        raise Bad("Invalid time format. Use HH:MM") from None


def moment(value: object) -> datetime:
    """A date or a date with a time, Indian unless it names a zone."""
    try:
        given = datetime.fromisoformat(text(value))
    except ValueError:
        raise Bad("Not a valid datetime.") from None
    return given if given.tzinfo else given.replace(tzinfo=IST)
