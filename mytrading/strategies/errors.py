"""Errors that strategies cause, and the hint that goes with a misspelt word.

Raised by the workspace and by parameter parsing; the host turns them into `StrategyFaulted` with file and line. The
text says what was expected, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.text.spelling import nearest


class StrategyError(Exception):
    """An author's mistake: fix the strategy's file or its configuration."""


class ParameterError(StrategyError):
    """A parameter that the strategy does not have, or a value of the wrong type."""


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` when a known word is near, else the list of known words."""
    names = list(known)
    if near := nearest(word, names):
        return f"; did you mean {near}?"
    return f"; there is {', '.join(sorted(names))}" if names else "; there are none"
