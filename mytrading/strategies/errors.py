"""Errors that strategies cause: what was expected, what was found and what to do.

The host turns them into `StrategyFaulted` with file and line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mytrading.core.text.spelling import nearest


class StrategyError(Exception):
    """An author's mistake: fix the strategy's file or its configuration."""


class ParameterError(StrategyError):
    """A parameter that the strategy does not have, or a value of the wrong type."""


def hint(name: str, known: Iterable[str]) -> str:
    """End of an error text about an unknown `name`: `; did you mean X?` if a known one is near, else the list."""
    names = list(known)
    if near := nearest(name, names):
        return f"; did you mean {near}?"
    return f"; there is {', '.join(sorted(names))}" if names else "; there are none"


def is_number(value: Any) -> bool:
    """True for a finite int or float; False for a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
