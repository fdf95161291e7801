"""A strategy's memory as JSON text and back; the engine journals it with the signals of the same step.

A value that would not decode equal is refused when it is stored.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mytrading.strategies.errors import StrategyError

EMPTY = "{}"
MAX_BYTES = 65_536
"""Memory is written whole whenever it changes."""


def encode_memory(memory: Any) -> str:
    """Memory as JSON; `StrategyError` names a value that is not allowed."""
    if not isinstance(memory, dict):
        raise StrategyError(f"memory: expected a dict, found {type(memory).__name__}; write self.memory[name] = value")
    _check(memory, "memory")
    text = msgspec.json.encode(memory, enc_hook=float).decode()
    if len(text) > MAX_BYTES:
        raise StrategyError(
            f"memory holds {len(text):,} bytes as JSON, at most {MAX_BYTES:,} may be kept; keep less, and work "
            "out of bars what can be"
        )
    return text


def decode_memory(text: str) -> dict[str, Any]:
    """The memory of a JSON text."""
    return msgspec.json.decode(text, type=dict[str, Any])


def _check(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise StrategyError(f"{place}: names must be texts, found {name!r}; write str({name!r})")
            _check(item, f"{place}[{name!r}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise StrategyError(f"{place}: {value} cannot be kept; use None")
    elif not (value is None or isinstance(value, bool | int | str)):
        raise StrategyError(
            f"{place}: found {type(value).__name__}; expected numbers, texts, True, False, None, lists and dicts of "
            "these; float(x) makes a number of numpy's"
        )
