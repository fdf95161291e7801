"""Every indicator by its name: our own, and TA-Lib's whole catalogue under TA-Lib's names.

Our own are those TA-Lib lacks or has differently: session and anchored VWAP, Supertrend as Pine draws it, swings. One
that has several outputs is asked for by output: `MACD.macdsignal`, `BBANDS.upperband`. TA-Lib's parameters keep their
names, but `timeperiod`, which is `period` here. Compiled kernels are imported when they are first called, so that a
process without them does not load numba. All are causal: a value belongs to the bar on which it was known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators.kernels import OWN, FloatArray, Indicator, description, talib


def vwap(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, day: FloatArray) -> FloatArray:
    """Volume-weighted average of (high + low + close) / 3 since the first bar of the day; NaN before any volume."""
    return _weighted(high, low, close, volume, np.flatnonzero(np.diff(day, prepend=np.nan) != 0.0))


def anchored_vwap(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, start_s: FloatArray, anchor: float
) -> FloatArray:
    """Volume-weighted average price since the first bar at or after `anchor` (seconds UTC); NaN before."""
    first = int(np.searchsorted(start_s, anchor))
    found = np.full(len(close), np.nan)
    found[first:] = _weighted(high[first:], low[first:], close[first:], volume[first:], np.array([0]))
    return found


def _weighted(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, firsts: NDArray[np.intp]
) -> FloatArray:
    """Running averages that begin again at `firsts`; each piece is summed by itself, so that none depends on others."""
    found = np.full(len(close), np.nan)
    typical = (high + low + close) / 3.0
    for begin, end in zip(firsts, np.append(firsts[1:], len(close)), strict=False):
        traded = np.cumsum(volume[begin:end])
        with np.errstate(invalid="ignore", divide="ignore"):
            average = np.cumsum(typical[begin:end] * volume[begin:end]) / traded
        found[begin:end] = np.where(traded > 0.0, average, np.nan)
    return found


def _supertrend(
    output: int, high: FloatArray, low: FloatArray, close: FloatArray, period: float, multiplier: float
) -> FloatArray:
    from mytrading.core.indicators.supertrend import supertrend

    if not float(period).is_integer():
        raise ValueError(f"SUPERTREND: period must be a whole number, found {period:g}")
    found = supertrend(high, low, close, int(period), multiplier)
    return found.line if output == 0 else np.where(np.isnan(found.line), np.nan, found.direction.astype(np.float64))


def _swing(output: str, high: FloatArray, low: FloatArray, close: FloatArray, day: FloatArray) -> FloatArray:
    from mytrading.core.indicators.swings import swings

    found: FloatArray = getattr(swings(high, low, close, day), output)
    return found


def _none(**_: float) -> int:
    return 0


def _before_supertrend(period: float, multiplier: float) -> int:  # noqa: ARG001 - every parameter is handed over
    return int(period) - 1


def _own(
    name: str, kernel: Callable[..., FloatArray], inputs: tuple[str, ...], about: str,
    parameters: Mapping[str, float] = MappingProxyType({}), lookback: Callable[..., int] = _none,
) -> Indicator:  # fmt: skip
    return Indicator(name, kernel, lookback, inputs, parameters, about, "Own")


_BARS = ("high", "low", "close")
_TREND = MappingProxyType({"period": 7, "multiplier": 3.0})
_SWING_ABOUT = {
    "low": "Price of the newest confirmed swing low of the day",
    "high": "Price of the newest confirmed swing high of the day",
    "side": "1 if the newest swing is a high, −1 if it is a low",
    "event": "On this bar: 1 new low, 2 new high, 3 lower low of the same swing, 4 higher high of it, else 0",
    "age": "Bars since the extreme of the newest swing",
}
_ANCHOR = MappingProxyType({"anchor": 0.0})
MORE: Mapping[str, Indicator] = MappingProxyType({
    item.name: item
    for item in (
        _own("VWAP", vwap, (*_BARS, "volume", "day"), "Volume-weighted average price of the session"),
        _own("AVWAP", anchored_vwap, (*_BARS, "volume", "start_s"),
             "Volume-weighted average price since a moment (seconds UTC)", _ANCHOR),
        _own("SUPERTREND.line", partial(_supertrend, 0), _BARS, "Supertrend as Pine draws it", _TREND,
             _before_supertrend),
        _own("SUPERTREND.direction", partial(_supertrend, 1), _BARS, "1 bullish, −1 bearish", _TREND,
             _before_supertrend),
        *(_own(f"SWING.{name}", partial(_swing, name), (*_BARS, "day"), about)
          for name, about in _SWING_ABOUT.items()),
    )
})  # fmt: skip
"""By name. A lookback of 0 says that NaN is a value of it: there may be no volume, or no swing yet."""


_LEFT_OUT = frozenset({"MAVP"})
"""Takes a column of periods, which no bar has."""


class Outputs(NamedTuple):
    """A TA-Lib function that gives more than one column."""

    name: str
    outputs: tuple[str, ...]


class Catalogue(Mapping[str, Indicator]):
    """Indicators by name, upper case before the dot. Iterates over every name that can be asked for."""

    def __getitem__(self, name: str) -> Indicator:
        found = _find(name)
        if isinstance(found, Indicator):
            return found
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    def __len__(self) -> int:
        return len(_names())

    def outputs(self, name: str) -> tuple[str, ...]:
        """Return the output names to choose from for an indicator name; empty if it has only one or is unknown."""
        found = _find(name)
        return found.outputs if isinstance(found, Outputs) else ()


@cache
def _names() -> tuple[str, ...]:
    plain = [name for name in _functions() if not isinstance(_find(name), Outputs)]
    several = [
        f"{name}.{output}"
        for name in _functions()
        if isinstance(found := _find(name), Outputs)
        for output in found.outputs
    ]
    return tuple(sorted({*OWN, *MORE, *plain, *several}))


@cache
def _functions() -> frozenset[str]:
    return frozenset(talib.get_functions()) - _LEFT_OUT - {name.partition(".")[0] for name in (*OWN, *MORE)}


@cache
def _find(name: str) -> Indicator | Outputs | None:
    if name in OWN or name in MORE:
        return OWN[name] if name in OWN else MORE[name]
    ours = tuple(key.partition(".")[2] for key in MORE if key.startswith(f"{name}."))
    if ours:
        return Outputs(name, ours)
    function, _, output = name.partition(".")
    return None if function not in _functions() else _from_talib(function, output)


def _from_talib(function: str, output: str) -> Indicator | Outputs | None:
    info = description(function).info
    outputs = tuple(info["output_names"])
    if len(outputs) > 1 and not output:
        return Outputs(function, outputs)
    if output and (len(outputs) == 1 or output not in outputs):
        return None
    defaults = {"period" if name == "timeperiod" else name: value for name, value in info["parameters"].items()}
    kernel = partial(_run_talib, getattr(talib, function), function, outputs.index(output) if output else 0, defaults)
    return Indicator(
        name=f"{function}.{output}" if output else function,
        kernel=kernel,
        lookback=partial(_lookback, function, defaults),
        inputs=tuple(
            name for names in info["input_names"].values() for name in ([names] if isinstance(names, str) else names)
        ),
        parameters=MappingProxyType(defaults),
        about=info["display_name"] or function.capitalize(),
        group=info["group"],
    )


def _theirs(parameters: Mapping[str, float], defaults: Mapping[str, float], function: str) -> dict[str, float]:
    """Parameters under TA-Lib's names; whole numbers where it takes nothing else."""
    found: dict[str, float] = {}
    for name, value in parameters.items():
        whole = isinstance(defaults[name], int)
        if whole and not float(value).is_integer():
            raise ValueError(f"{function}: {name} must be a whole number, found {value:g}")
        found["timeperiod" if name == "period" else name] = int(value) if whole else float(value)
    return found


def _run_talib(
    function: Callable[..., Any], name: str, index: int, defaults: Mapping[str, float], *columns: FloatArray,
    **parameters: float,
) -> FloatArray:  # fmt: skip
    arguments = _theirs(parameters, defaults, name)
    if len(columns[0]) == 0:
        return np.empty(0)
    try:
        found = function(*columns, **arguments)
    except Exception as error:
        shown = ", ".join(f"{key}={value:g}" for key, value in parameters.items())
        raise ValueError(f"{name}({shown}): {error}") from error
    chosen = found[index] if isinstance(found, tuple) else found
    return np.asarray(chosen, np.float64)


def _lookback(name: str, defaults: Mapping[str, float], **parameters: float) -> int:
    return int(description(name, **_theirs(parameters, defaults, name)).lookback)


BUILT_IN = Catalogue()
