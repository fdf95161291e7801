"""How configuration says no: every problem at once, each with what was found, what was expected and a near word.

Used by everything in `mytrading.config`. The one rule: a wrong setting stops the start; it is never dropped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ConfigurationError(Exception):
    """Mend these settings and start again; `problems` lists all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def plain(word: str) -> str:
    """A name as it is compared: without case, underscores, hyphens and blanks."""
    return word.replace("_", "").replace("-", "").replace(" ", "").lower()


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like this one, empty when none is near."""
    by_plain = {plain(name): name for name in known}
    near = difflib.get_close_matches(plain(word), by_plain, n=1, cutoff=cutoff)
    return by_plain[near[0]] if near else ""


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the known words when none is near and they are few."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        return f"; did you mean {near}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 16 else ""
