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

_TYPES = (bool, int, float, str)
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def declared_parameters(strategy: type, base: type) -> dict[str, Parameter]:
    """Name and default of every parameter of a class: public attributes below `base` that hold a plain value."""
    found: dict[str, Parameter] = {}
    for cls in reversed([cls for cls in strategy.__mro__ if issubclass(cls, base) and cls is not base]):
        found |= {name: value for name, value in vars(cls).items() if _is_parameter(strategy, base, name, value)}
    return found


def resolve_parameters(strategy: type, base: type, overrides: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters a strategy runs with; `ParameterError` names what is unknown or of the wrong type."""
    resolved = declared_parameters(strategy, base)
    by_key = {name_key(name): name for name in resolved}
    hints = _hints(strategy)
    for given, value in overrides.items():
        name = by_key.get(name_key(given))
        if name is None:
            raise ParameterError(f"{strategy.__name__} has no parameter {given}{hint(given, resolved)}")
        wanted = hints.get(name, type(resolved[name]))
        resolved[name] = _convert(f"{strategy.__name__}.{name}", wanted, resolved[name], value)
    return resolved


def _is_parameter(strategy: type, base: type, name: str, value: object) -> bool:
    if name.startswith("_") or hasattr(base, name) or not isinstance(value, _TYPES):
        return False
    return get_origin(_hints(strategy).get(name)) is not ClassVar


def _hints(strategy: type) -> dict[str, Any]:
    try:
        return get_type_hints(strategy)
    except (NameError, TypeError):
        return {}


def _convert(label: str, wanted: Any, default: Parameter, value: Parameter) -> Parameter:
    kind = wanted if wanted in _TYPES else type(default)
    try:
        return _CONVERTERS[kind](value)
    except (ValueError, TypeError):
        raise ParameterError(f"{label} must be {_WORDS[kind]}, say {default!r}; found {value!r}") from None


def _to_bool(value: Parameter) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise ValueError(text)
    return text in _TRUE


def _to_int(value: Parameter) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _to_float(value: Parameter) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _to_text(value: Parameter) -> str:
    return str(value)


_CONVERTERS: Mapping[Any, Callable[[Parameter], Parameter]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: _to_text,
}
_WORDS: Mapping[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
