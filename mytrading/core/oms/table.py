"""A mapping that can be forked: the fork sees everything, keeps its own changes, and leaves the original untouched.

Used by the machine's state, so that a decision of several dependent rows can see its own rows before anybody else
does. The one rule: values are immutable; a change is a new value under the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_GONE = object()


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


class Table(Generic[K, V]):
    """A dict, or a thin layer of changes over one, which must not change meanwhile. Budget: 100 ns per access.

    A fork is never forked again, so that an access looks at two dicts at most.
    """

    __slots__ = ("_own", "_under")

    def __init__(self, under: Table[K, V] | None = None) -> None:
        self._under: dict[K, Any] | None = under._own if under is not None else None
        self._own: dict[K, Any] = {}

    def get(self, key: K) -> V | None:
        """The value, or None."""
        found = self._own.get(key)
        if found is None:
            under = self._under
            return under.get(key) if under is not None else None
        return None if found is _GONE else found

    def set(self, key: K, value: V) -> None:
        """Put a value under the key."""
        self._own[key] = value

    def drop(self, key: K) -> None:
        """Remove the key, if it is there."""
        if self._under is None:
            self._own.pop(key, None)
        else:
            self._own[key] = _GONE

    def clear(self) -> None:
        """Forget everything; only for a table that is no fork."""
        self._own.clear()

    def __contains__(self, key: K) -> bool:
        found = self._own.get(key)
        if found is None:
            under = self._under
            return under is not None and key in under
        return found is not _GONE

    def __bool__(self) -> bool:
        under, own = self._under, self._own
        if under is None or not own:
            return bool(own or under)
        return any(value is not _GONE for value in own.values()) or any(key not in own for key in under)

    def items(self) -> Iterator[tuple[K, V]]:
        """All pairs, in no order that a decision may depend on."""
        under, own = self._under, self._own
        if under is None:
            return iter(own.items())
        return self._both(under) if own else iter(under.items())

    def _both(self, under: dict[K, Any]) -> Iterator[tuple[K, V]]:
        own = self._own
        for key, value in own.items():
            if value is not _GONE:
                yield key, value
        for key, value in under.items():
            if key not in own:
                yield key, value

    def keys(self) -> Iterator[K]:
        """All keys, in no order that a decision may depend on."""
        return (key for key, _ in self.items())

    def sorted_items(self) -> list[tuple[K, V]]:
        """All pairs by key: the order for decisions and digests."""
        if not self:
            return []
        return sorted(self.items(), key=_first)
