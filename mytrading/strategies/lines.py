"""Indicator values that several strategies share: the same function of the same bars is computed once.

Made by the engine's machine, used by every strategy's lines. The one rule: values are shared only where function,
inputs, parameters, instrument, timeframe and the very bars are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mytrading.core.indicators import FloatArray

Mark = tuple[int, int, int]
"""Which bars: start of the first one, how many, end of the last one."""


class LineKey(NamedTuple):
    """What values are of. `days` is how much history is kept, on which the first bar depends."""

    kernel: Callable[..., FloatArray]
    inputs: tuple[str, ...]
    parameters: tuple[tuple[str, float], ...]
    instrument: str
    timeframe: str
    days: int


class Computed(NamedTuple):
    """Values at each filled bar, and the same as a view that gives plain floats."""

    values: FloatArray
    view: memoryview[float]


class SharedLines:
    """The newest values by key. `computed` counts kernel calls, `shared` those that were spared."""

    def __init__(self) -> None:
        self._found: dict[LineKey, tuple[Mark, Computed]] = {}
        self.computed = 0
        self.shared = 0

    def get(self, key: LineKey, mark: Mark) -> Computed | None:
        """The values over these bars, if somebody has computed them."""
        known = self._found.get(key)
        if known is None or known[0] != mark:
            return None
        self.shared += 1
        return known[1]

    def clear(self) -> None:
        """Forget all values."""
        self._found.clear()

    def put(self, key: LineKey, mark: Mark, computed: Computed) -> None:
        """Values were computed."""
        self.computed += 1
        self._found[key] = (mark, computed)


def line_key(
    kernel: Callable[..., FloatArray],
    inputs: tuple[str, ...],
    parameters: Mapping[str, float],
    instrument: str,
    timeframe: str,
    days: int,
) -> LineKey:
    """The key of a line."""
    return LineKey(kernel, inputs, tuple(sorted(parameters.items())), instrument, timeframe, days)
