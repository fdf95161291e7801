"""Errors that strategies cause, and the hint that goes with a misspelt word.

Raised by the desk and by parameter parsing; the host turns them into `StrategyFaulted` with file and line. The one
rule: the text says what was expected, what was found and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StrategyError(Exception):
    """An author's mistake: fix the strategy's file or its configuration."""


class ParameterError(StrategyError):
    """A parameter that the strategy does not have, or a value of the wrong type."""


def plain(word: str) -> str:
    """A name as it is compared: without case, underscores, hyphens and blanks."""
    return word.replace("_", "").replace("-", "").replace(" ", "").lower()


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` when a known word is near, else the list of known words."""
    names = list(known)
    by_plain = {plain(name): name for name in names}
    near = difflib.get_close_matches(plain(word), by_plain, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {by_plain[near[0]]}?"
    return f"; there is {', '.join(sorted(names))}" if names else "; there are none"
