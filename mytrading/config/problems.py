"""How configuration says no: every problem at once, each with what was found, what was expected and a near word.

Used by everything in `mytrading.config`. The one rule: a wrong setting stops the start; it is never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mytrading.core.spelling import nearest, plain

__all__ = ["ConfigurationError", "hint", "nearest", "plain"]


class ConfigurationError(Exception):
    """Mend these settings and start again; `problems` lists all of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))  # one value may set two things
        super().__init__("\n".join(self.problems))


def hint(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or the known words when none is near and they are few."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        return f"; did you mean {near}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 16 else ""
