"""A strategy's parameters: its class attributes, typed by annotation or default, overridden from configuration.

An override that is unknown or of the wrong type stops the strategy, it is never dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, get_origin, get_type_hints

from mytrading.core.text.spelling import name_key
from mytrading.strategies.errors import ParameterError, hint

Parameter = int | float | str | bool

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def declared_parameters(strategy: type, base: type) -> dict[str, Parameter]:
    """Name and default of every parameter of a class: public attributes below `base` that hold a plain value."""
    hints = _hints(strategy)
    return {
        name: value
        for cls in reversed(strategy.__mro__)
        if issubclass(cls, base) and cls is not base
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and not hasattr(base, name)
        and isinstance(value, int | float | str | bool)
        and get_origin(hints.get(name)) is not ClassVar
    }


def resolve_parameters(strategy: type, base: type, overrides: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters of a strategy, `overrides` before defaults; `ParameterError` for an unknown or ill-typed one."""
    resolved = declared_parameters(strategy, base)
    by_key = {name_key(name): name for name in resolved}
    hints = _hints(strategy)
    for override, value in overrides.items():
        name = by_key.get(name_key(override))
        if name is None:
            raise ParameterError(f"{strategy.__name__} has no parameter {override}{hint(override, resolved)}")
        default = resolved[name]
        annotated = hints.get(name)
        convert, what = _KINDS[annotated if annotated in tuple(_KINDS) else type(default)]
        try:
            resolved[name] = convert(value)
        except (ValueError, TypeError, KeyError):
            label = f"{strategy.__name__}.{name}"
            raise ParameterError(f"{label} must be {what}, say {default!r}; found {value!r}") from None
    return resolved


def _hints(strategy: type) -> dict[str, Any]:
    try:
        return get_type_hints(strategy)
    except (NameError, TypeError):
        return {}


def _to_int(value: Parameter) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _to_float(value: Parameter) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


_KINDS: Mapping[Any, tuple[Callable[[Parameter], Parameter], str]] = {
    bool: (lambda value: _BOOLEANS[str(value).strip().lower()], "true or false"),
    int: (_to_int, "a whole number"),
    float: (_to_float, "a number"),
    str: (str, "text"),
}
