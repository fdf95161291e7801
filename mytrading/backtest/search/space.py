"""The space of a search: which parameters are tried, and with which values.

An axis is written `fast=5:50:5` (both ends included) or `side=long,short`. Every value is one that the strategy itself
takes, and what is not is said before the first trial.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mytrading.backtest.run import RunChanges
from mytrading.core.text.spelling import name_key
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.parameters import Parameter, resolve_parameters

MOST_VALUES = 10_000
_WORDS = re.compile(r"([A-Za-z]+\s+)?(-?\d+(?:\.\d+)?)(\s*[A-Za-z%]+)?")
Parameters = dict[str, Parameter]


class SpaceError(ValueError):
    """A space that cannot be searched; the message says what was expected."""


@dataclass(frozen=True)
class Axis:
    """One parameter and the values it takes, in ascending or in the given order."""

    name: str
    values: tuple[Parameter, ...]


@dataclass(frozen=True)
class Space:
    """The axes that are searched, and the parameters that stay as given."""

    axes: tuple[Axis, ...]
    fixed: Mapping[str, Parameter]

    def __len__(self) -> int:
        return math.prod(len(axis.values) for axis in self.axes)

    def points(self) -> Iterator[Parameters]:
        """Yield every combination of parameter values, the last axis varying fastest."""
        names = [axis.name for axis in self.axes]
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield {**self.fixed, **dict(zip(names, values, strict=True))}

    def contains(self, point: Mapping[str, Parameter]) -> bool:
        """True if the point has exactly this space's parameters, each with one of its values."""
        axes = {axis.name: axis.values for axis in self.axes}
        fixed = all(point.get(name) == value for name, value in self.fixed.items())
        return fixed and set(point) == {*self.fixed, *axes} and all(point[name] in axes[name] for name in axes)

    def index_of(self, point: Mapping[str, Parameter]) -> tuple[int, ...]:
        """Return the point's index on each axis."""
        return tuple(axis.values.index(point[axis.name]) for axis in self.axes)


def parse_space(strategy: type[BaseStrategy], texts: Sequence[str]) -> Space:
    """Parse `NAME=VALUES` texts (`fast=5:20:5`) to a search space. Raises `SpaceError` or `ParameterError`."""
    return _parsed(
        texts, lambda given, text, values: [_resolved(strategy, given, one) for one in _expanded(values, text)]
    )


def parse_leg_space(legs: RunChanges, texts: Sequence[str]) -> Space:
    """Parse the search space of a file of legs: `leg1.stop=20%:40%:10%`, `entry_time=09:20,09:45`. Raises `SpaceError`
    or `RequestError` for what cannot be met."""

    def found(given: str, text: str, values: str) -> list[tuple[str, Parameter]]:
        name = legs.canonical_key(given)
        expanded = values.split(",") if name.endswith("_time") or name == "when" else _with_words(values, text)
        read = [_number_or_text(value.strip()) for value in expanded]
        legs.check_values(name, read)
        return [(name, value) for value in read]

    return _parsed(texts, found)


def _parsed(texts: Sequence[str], read: Callable[[str, str, str], list[tuple[str, Parameter]]]) -> Space:
    """The space of texts, of each of which `read` gives the name and the values."""
    axes: list[Axis] = []
    fixed: Parameters = {}
    for text in texts:
        given, equals, values = text.partition("=")
        if not equals or not given or not values:
            raise SpaceError(f"--param: expected NAME=LOW:HIGH:STEP, NAME=A,B,C or NAME=VALUE; found {text!r}")
        found = read(given, text, values)
        name = found[0][0]
        if name in fixed or any(axis.name == name for axis in axes):
            raise SpaceError(f"--param {name}: expected once, found again as {text!r}; leave one of them out")
        if len(found) == 1:
            fixed[name] = found[0][1]
        else:
            axes.append(Axis(name, tuple(dict.fromkeys(value for _, value in found))))
    if not axes:
        raise SpaceError("--param: expected a range to search, say fast_period=5:50:5; found none")
    return Space(tuple(axes), fixed)


def _resolved(strategy: type[BaseStrategy], given: str, value: str) -> tuple[str, Parameter]:
    """The parameter's own name, and the value as the strategy takes it."""
    defaults = resolve_parameters(strategy, BaseStrategy, {})
    taken = resolve_parameters(strategy, BaseStrategy, {given: value})
    name = next(key for key in defaults if name_key(key) == name_key(given))
    return name, taken[name]


def _with_words(values: str, text: str) -> list[str]:
    """Values of a range whose numbers stand among words: `OTM 1:3`, `20%:40%:10%`, `20 points:40 points:10`."""
    parts = [_WORDS.fullmatch(part.strip()) for part in values.split(":")]
    if len(parts) < 2 or "," in values:
        return _expanded(values, text) if len(parts) < 2 else [one.strip() for one in values.split(",")]
    if not all(parts):
        raise SpaceError(f"--param: expected a range such as 20%:40%:10% or OTM 1:5, found {text!r}")
    before = {part[1] for part in parts if part and part[1]}
    after = {part[3] for part in parts if part and part[3]}
    if len(before) > 1 or len(after) > 1:
        raise SpaceError(f"--param: expected the same words at both ends of a range, found {text!r}")
    numbers = _expanded(":".join(part[2] for part in parts if part), text)
    return [f"{''.join(before)}{number}{''.join(after)}" for number in numbers]


def _number_or_text(text: str) -> Parameter:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _expanded(values: str, text: str) -> list[str]:
    if ":" not in values:
        return [value.strip() for value in values.split(",")]
    parts = values.split(":")
    try:
        low, high = float(parts[0]), float(parts[1])
        step = float(parts[2]) if len(parts) > 2 else 1.0
    except (ValueError, IndexError):
        raise SpaceError(f"--param: expected NAME=LOW:HIGH:STEP in numbers, found {text!r}") from None
    if len(parts) > 3 or not step > 0 or not high >= low or not math.isfinite(high - low):
        raise SpaceError(f"--param: expected LOW ≤ HIGH and a STEP above 0, found {text!r}")
    count = math.floor((high - low) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise SpaceError(f"--param: {text} has {count:,} values, at most {MOST_VALUES:,} are tried; take a longer step")
    return [f"{round(low + number * step, 10):g}" for number in range(count)]
