"""Spelling: names compared without case and separators, and suggestions for unknown ones.

A near name is suggested, never taken.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def name_key(word: str) -> str:
    """A name as it is compared: without case, underscores, hyphens and blanks."""
    return word.replace("_", "").replace("-", "").replace(" ", "").lower()


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like this one, empty when none is near."""
    by_key = {name_key(name): name for name in known}
    near = difflib.get_close_matches(name_key(word), by_key, n=1, cutoff=cutoff)
    return by_key[near[0]] if near else ""


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the known words when none is near and they are few."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        return f"; did you mean {near}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 16 else ""
