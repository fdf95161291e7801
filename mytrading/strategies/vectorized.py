"""Whole columns of bars for a strategy that can say all its signals at once, for a quick screening of parameters.

Handed to `positions(self, bars)` by `mytrading optimize --screen` and `mytrading check`. A strategy may read any column
at any bar, and nothing here says whether it looks ahead; `mytrading check` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import BUILT_IN, FloatArray
from mytrading.core.time import DAY_SECONDS, IST_OFFSET_SECONDS
from mytrading.strategies.errors import StrategyError, hint

Mask = NDArray[np.bool_]
VectorSignals = FloatArray
"""One signal a bar: 1 long, −1 short, 0 out, NaN for none (what is held stays)."""
NO_SIGNAL = float("nan")


@dataclass(frozen=True)
class WholeBars:
    """Bars of one instrument, float64 of shape (n,) each; `start_s` are seconds UTC at which they begin."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    start_s: FloatArray
    _known: dict[tuple[object, ...], FloatArray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.close)

    def indicator(self, name: str, **parameters: float) -> FloatArray:
        """A built-in indicator over all bars, NaN where it has no value yet; equal ones are computed once."""
        key = (name, *sorted(parameters.items()))
        if key in self._known:
            return self._known[key]
        try:
            found = BUILT_IN[name]
        except KeyError:
            raise StrategyError(f"no indicator is called {name}{hint(name, BUILT_IN)}") from None
        unknown = parameters.keys() - found.parameters.keys()
        if unknown:
            raise StrategyError(
                f"{name} has no parameter {sorted(unknown)[0]}{hint(sorted(unknown)[0], found.parameters)}"
            )
        days = np.floor((self.start_s + IST_OFFSET_SECONDS) / DAY_SECONDS) if "day" in found.inputs else None
        columns = (days if column == "day" else getattr(self, column) for column in found.inputs)
        values = found.kernel(*columns, **{**found.parameters, **parameters})
        values.setflags(write=False)
        self._known[key] = values
        return values

    def signals(self, long: Mask | None = None, short: Mask | None = None, out: Mask | None = None) -> VectorSignals:
        """An array of signals: 1 where `long`, −1 where `short`, 0 where `out`, NaN (what is held stays) elsewhere."""
        found = np.full(len(self), NO_SIGNAL)
        for mask, value in ((out, 0.0), (short, -1.0), (long, 1.0)):
            if mask is not None:
                np.copyto(found, value, where=mask)
        return found

    wishes = signals
    """Name of `signals` in version 0.1, for one release."""


def crosses_above(values: FloatArray, level: FloatArray | float = 0.0) -> Mask:
    """True at bars at which `values` come to lie above `level`, at or below which they lay one bar before."""
    return _turns(values > level, values <= level)


def crosses_below(values: FloatArray, level: FloatArray | float = 0.0) -> Mask:
    """True at bars at which `values` come to lie below `level`, at or above which they lay one bar before."""
    return _turns(values < level, values >= level)


def _turns(now: Mask, before: Mask) -> Mask:
    """True where `now` holds, and one bar earlier `before` did."""
    found = np.empty(len(now), dtype=np.bool_)
    found[:1] = False
    np.logical_and(now[1:], before[:-1], out=found[1:])
    return found
