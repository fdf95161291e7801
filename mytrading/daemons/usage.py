"""What arguments of a request to the gateway mean, and the error of one that cannot be answered as it stands.

Raised by the gateway's answers. The one rule: the message says what was expected, what was found, and what to do.
"""

from __future__ import annotations

_DIGITS = 9
"""More have no number of rows or units."""


class UsageError(Exception):
    """The request cannot be answered as it stands; the message says what would."""


def whole(name: str, text: str) -> int:
    """The whole number from 0 that an argument is; raises `UsageError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise UsageError(f"{name}: expected a whole number of at most {_DIGITS} digits, found {_shown(text)}")
    return int(text)


def number(arguments: dict[str, str], name: str, most: float = 1e12) -> float:
    """The number of at most so much that an argument is, 0 if it is missing; raises `UsageError`."""
    text = arguments.get(name) or "0"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < most or (name == "quantity" and value != int(value)):
        wanted = "a whole number of units" if name == "quantity" else f"a number above 0, below {most:g}"
        raise UsageError(f"{name}: expected {wanted}, found {_shown(text)}")
    return value


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
