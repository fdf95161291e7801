"""A mapping that gives its pairs in the order for decisions and digests.

Used by the machine's state, which alone puts and drops, so that it can take back what a decision changed. The one rule:
values are immutable and never None; a change is a new value under the key.
"""

from __future__ import annotations

from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


class Table(dict[K, V]):
    """A dict; its own order, that of its changes, is none that a decision may depend on."""

    __slots__ = ()

    def sorted_items(self) -> list[tuple[K, V]]:
        """All pairs by key: the order for decisions and digests."""
        return sorted(self.items(), key=_first) if self else []
