"""Every indicator by its name: our own, and TA-Lib's whole catalogue under TA-Lib's names.

One that has several outputs is asked for by output: `MACD.macdsignal`, `BBANDS.upperband`. TA-Lib's parameters keep
their names, but `timeperiod`, which is `period` here. Each is looked up when someone asks for it. What stands here is
causal; a test computes every one of them on the beginnings of a series and on the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from mytrading.core.indicators.kernels import OWN, FloatArray, Indicator
from mytrading.core.indicators.own import MORE
from mytrading.core.indicators.talib_only import description, talib

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
        """The outputs among which `name` leaves the choice; none if it has but one, or is unknown."""
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
    ours = {name.partition(".")[0] for name in (*OWN, *MORE)}
    return frozenset(talib.get_functions()) - _LEFT_OUT - ours


@cache
def _find(name: str) -> Indicator | Outputs | None:
    if name in OWN or name in MORE:
        return OWN[name] if name in OWN else MORE[name]
    ours = tuple(key.partition(".")[2] for key in MORE if key.startswith(f"{name}."))
    if ours:
        return Outputs(name, ours)
    function, _, output = name.partition(".")
    if function not in _functions():
        return None
    return _from_talib(function, output)


def _from_talib(function: str, output: str) -> Indicator | Outputs | None:
    info = description(function).info
    outputs = tuple(info["output_names"])
    if len(outputs) > 1 and not output:
        return Outputs(function, outputs)
    if output and (len(outputs) == 1 or output not in outputs):
        return None
    defaults = {_ours(name): value for name, value in info["parameters"].items()}
    kernel = partial(_run, getattr(talib, function), function, outputs.index(output) if output else 0, defaults)
    return Indicator(
        name=f"{function}.{output}" if output else function,
        kernel=kernel,
        lookback=partial(_lookback, function, defaults),
        inputs=_columns(info["input_names"]),
        parameters=MappingProxyType(defaults),
        about=info["display_name"] or function.capitalize(),
        group=info["group"],
    )


def _columns(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for names in inputs.values():
        found += [names] if isinstance(names, str) else list(names)
    return tuple(found)


def _ours(parameter: str) -> str:
    return "period" if parameter == "timeperiod" else parameter


def _theirs(given: Mapping[str, float], defaults: Mapping[str, float], function: str) -> dict[str, float]:
    """Parameters under TA-Lib's names; whole numbers where it takes nothing else."""
    found: dict[str, float] = {}
    for name, value in given.items():
        whole = isinstance(defaults[name], int)
        if whole and not float(value).is_integer():
            raise ValueError(f"{function}: {name} must be a whole number, found {value:g}")
        found["timeperiod" if name == "period" else name] = int(value) if whole else float(value)
    return found


def _run(
    function: Callable[..., Any], name: str, index: int, defaults: Mapping[str, float], *columns: FloatArray,
    **parameters: float,
) -> FloatArray:  # fmt: skip
    arguments = _theirs(parameters, defaults, name)
    if len(columns[0]) == 0:
        return np.empty(0)
    try:
        found = function(*columns, **arguments)
    except Exception as error:
        given = ", ".join(f"{key}={value:g}" for key, value in parameters.items())
        raise ValueError(f"{name}({given}): {error}") from error
    chosen = found[index] if isinstance(found, tuple) else found
    return np.asarray(chosen, np.float64)


def _lookback(name: str, defaults: Mapping[str, float], **parameters: float) -> int:
    return int(description(name, **_theirs(parameters, defaults, name)).lookback)


BUILT_IN = Catalogue()
