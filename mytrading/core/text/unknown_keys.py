"""Keys of an edited file that nobody reads, each with what may stand in its place and the known key most like it.

The type that the file is made into says which keys there are, so that the answer cannot differ from what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from mytrading.core.text.spelling import nearest

T = TypeVar("T")


def unknown_keys(parsed: Mapping[str, object], kind: type) -> Iterator[str]:
    """`PLACE: no such key; did you mean X? allowed: A, B` for each key of a parsed file that type `kind` has not.

    Places are as TOML writes them: `underlyings.NIFTY.lots`, and `margin[2].solt` in the second table of a list.
    """
    return _unknown(parsed, _type_of(kind), "")


@cache
def _type_of(kind: type) -> inspect.Type:
    """What a type is made of; it takes milliseconds to find out."""
    return inspect.type_info(kind)


def _unknown(found: object, kind: inspect.Type, place: str) -> Iterator[str]:
    if isinstance(kind, inspect.UnionType):
        structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
        if isinstance(found, Mapping) and len(structs) == 1:
            yield from _unknown(found, structs[0], place)
    elif isinstance(kind, inspect.StructType) and isinstance(found, Mapping):
        yield from _of_table(found, kind, place)
    elif isinstance(kind, inspect.DictType) and isinstance(found, Mapping):
        for key, value in found.items():
            yield from _unknown(value, kind.value_type, _below(place, key))
    elif isinstance(kind, inspect.VarTupleType) and isinstance(found, list):
        for number, value in enumerate(found, 1):
            yield from _unknown(value, kind.item_type, f"{place}[{number}]")


def _of_table(found: Mapping[Any, object], kind: inspect.StructType, place: str) -> Iterator[str]:
    allowed = {field.encode_name: field.type for field in kind.fields}
    for key, value in found.items():
        if key in allowed:
            yield from _unknown(value, allowed[key], _below(place, key))
        else:
            near = nearest(str(key), allowed)
            meant = f"did you mean {near}? " if near else ""
            yield f"{_below(place, key)}: no such key; {meant}allowed: {', '.join(allowed)}"


def _below(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def made_of(parsed: Mapping[str, object], kind: type[T], source: str) -> T:
    """What a parsed file says, as a `kind`; `ValueError` names the file, each unknown key, or what was expected."""
    if unknown := list(unknown_keys(parsed, kind)):
        raise ValueError("\n".join(f"{source}: {problem}" for problem in unknown))
    try:
        return msgspec.convert(parsed, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{source}: {error}; see the comments at the top of that file") from error
