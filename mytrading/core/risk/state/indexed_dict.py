"""A dict of orders or positions that also keeps them, in its order, by strategy and by instrument."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Protocol, TypeVar


class IndexedItem(Protocol):
    """An item never changes its strategy or instrument."""

    @property
    def strategy(self) -> str: ...
    @property
    def instrument(self) -> str: ...


K = TypeVar("K")
V = TypeVar("V", bound=IndexedItem)


class IndexedDict(dict[K, V]):
    """To be changed by `[]`, `del`, `pop` and `setdefault` alone. Budget of a change: 1 µs beside the dict's own."""

    __slots__ = ("_instruments", "_strategies")

    def __init__(self, things: Iterable[tuple[K, V]] = ()) -> None:
        super().__init__()
        self._strategies: dict[str, dict[K, V]] = {}
        self._instruments: dict[str, dict[K, V]] = {}
        for key, thing in things:
            self[key] = thing

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has its groups in their order, as they grew."""
        return _restored, (dict(self), self._strategies, self._instruments)

    def of_strategy(self, strategy: str) -> Collection[V]:
        """The items of a strategy; empty if there are none."""
        found = self._strategies.get(strategy)
        return found.values() if found else ()

    def of_instrument(self, instrument: str) -> Collection[V]:
        """The items in an instrument; empty if there are none."""
        found = self._instruments.get(instrument)
        return found.values() if found else ()

    def __setitem__(self, key: K, thing: V) -> None:
        before, strategy, instrument = self.get(key), thing.strategy, thing.instrument
        if before is not None and before.strategy == strategy and before.instrument == instrument:
            self._strategies[strategy][key] = self._instruments[instrument][key] = thing
        else:
            if before is not None:
                del self[key]
            self._strategies.setdefault(strategy, {})[key] = thing
            self._instruments.setdefault(instrument, {})[key] = thing
        dict.__setitem__(self, key, thing)

    def __delitem__(self, key: K) -> None:
        thing = self[key]
        dict.__delitem__(self, key)
        for groups, name in ((self._strategies, thing.strategy), (self._instruments, thing.instrument)):
            del groups[name][key]
            if not groups[name]:
                del groups[name]

    def pop(self, key: K, default: V | None = None) -> V | None:  # type: ignore[override]
        """Like `dict.pop`, but returns `default` (None) instead of raising `KeyError`."""
        thing = self.get(key)
        if thing is None:
            return default
        del self[key]
        return thing

    def setdefault(self, key: K, default: V) -> V:
        """Like `dict.setdefault`."""
        thing = self.get(key)
        if thing is None:
            self[key] = thing = default
        return thing


def _restored(
    things: dict[K, V], strategies: dict[str, dict[K, V]], instruments: dict[str, dict[K, V]]
) -> IndexedDict[K, V]:
    made: IndexedDict[K, V] = IndexedDict()
    dict.update(made, things)
    made._strategies, made._instruments = strategies, instruments
    return made
