"""Names as people write them: compared without case and separators, and the known one that is most like a word.

Used by the configuration, and by the gateway for names that commands give. The one rule: a near word is offered, never
taken for the one that was meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def plain(word: str) -> str:
    """A name as it is compared: without case, underscores, hyphens and blanks."""
    return word.replace("_", "").replace("-", "").replace(" ", "").lower()


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like this one, empty when none is near."""
    by_plain = {plain(name): name for name in known}
    near = difflib.get_close_matches(plain(word), by_plain, n=1, cutoff=cutoff)
    return by_plain[near[0]] if near else ""
