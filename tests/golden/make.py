"""Writes the golden file: `python -m tests.golden.make`. Run it only when a layout is meant to change."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from mytrading.messages.codec import encode_body
from mytrading.messages.streams import unions

FILE = Path(__file__).with_name("messages.json")


def kinds() -> dict[str, type]:
    """Every message type of every union, by `stream.Type`."""
    return {
        f"{stream}.{kind.__name__}": kind
        for stream, union in unions().items()
        for kind in (get_args(union) or (union,))
    }


def example(kind: Any, depth: int = 0) -> Any:
    """A value of a type with every field filled, the same at every run."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return example(next(item for item in arguments if item is not type(None)), depth)
    if origin is tuple:
        return (example(arguments[0], depth + 1),) if arguments[-1] is ... else tuple(map(example, arguments))
    if origin is dict:
        return {example(arguments[0]): example(arguments[1])}
    if origin is Literal:
        return arguments[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return kind(**{name: example(hints[name], depth + 1) for name in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    return {int: 7, float: 1.5, str: "text", bool: True, bytes: b"bytes"}[kind]


def golden() -> dict[str, dict[str, Any]]:
    """For each message: its bytes with every field filled, and its fields in order."""
    return {
        name: {"hex": encode_body(example(kind)).hex(), "fields": list(kind.__struct_fields__)}
        for name, kind in sorted(kinds().items())
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n", encoding="utf-8")
