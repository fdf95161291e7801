"""A mapping that can be forked: the fork sees everything, keeps its own changes, and leaves the original untouched.

Used by the machine's state, so that a decision of several dependent rows can see its own rows before anybody else
does. The one rule: values are immutable; a change is a new value under the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_GONE: Any = object()


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


class Table(dict[K, V]):
    """A dict whose changes have names of their own, so that a `Layer` can stand in its place."""

    __slots__ = ()

    if TYPE_CHECKING:

        def set(self, key: K, value: V) -> None:
            """Put a value under the key."""
    else:
        set = dict.__setitem__

    def drop(self, key: K) -> None:
        """Remove the key, if it is there."""
        self.pop(key, None)

    def sorted_items(self) -> list[tuple[K, V]]:
        """All pairs by key: the order for decisions and digests."""
        return sorted(self.items(), key=_first) if self else []


class Layer(Table[K, V]):
    """Changes over a table, which must not change meanwhile. Budget: 200 ns per access.

    It is never laid over another layer, so that an access looks at two dicts at most. Its own dict holds the changes:
    `set` and `drop` are the only ways to make one.
    """

    __slots__ = ("_under",)

    def __init__(self, under: Table[K, V]) -> None:
        super().__init__()
        self._under = under

    def get(self, key: K, default: Any = None) -> Any:
        """The value, or the default."""
        found = dict.get(self, key)
        if found is None:
            return self._under.get(key, default)
        return default if found is _GONE else found

    def drop(self, key: K) -> None:
        """Remove the key, if it is there."""
        self[key] = _GONE

    def __contains__(self, key: object) -> bool:
        found = dict.get(self, cast("K", key))
        return key in self._under if found is None else found is not _GONE

    def __getitem__(self, key: K) -> V:
        if (found := self.get(key)) is None:
            raise KeyError(key)
        return cast("V", found)

    def __bool__(self) -> bool:
        return next(iter(self._pairs()), None) is not None

    def __len__(self) -> int:
        return sum(1 for _ in self._pairs())

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self._pairs())

    def items(self) -> Any:
        """All pairs, in no order that a decision may depend on."""
        return iter(self._pairs())

    def keys(self) -> Any:
        """All keys, in no order that a decision may depend on."""
        return iter(self)

    def values(self) -> Any:
        """All values, in no order that a decision may depend on."""
        return (value for _, value in self._pairs())

    def clear(self) -> None:
        """Forget everything: only a table that is no layer can."""
        raise TypeError("a layer cannot be cleared: clear the table beneath it")

    def _pairs(self) -> Iterable[tuple[K, V]]:
        return self._both() if dict.__len__(self) else self._under.items()

    def _both(self) -> Iterator[tuple[K, V]]:
        for key, value in dict.items(self):
            if value is not _GONE:
                yield key, value
        for key, value in self._under.items():
            if not dict.__contains__(self, key):
                yield key, value
