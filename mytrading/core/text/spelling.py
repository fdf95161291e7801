"""Spelling: names compared without case and separators, suggestions for unknown ones, and unknown keys of files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")


def name_key(word: str) -> str:
    """Return a name reduced for comparison: without case, underscores, hyphens and blanks."""
    return word.replace("_", "").replace("-", "").replace(" ", "").lower()


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known word most like `word`, "" if none is; `cutoff`: least likeness, 0 to 1."""
    by_key = {name_key(name): name for name in known}
    near = difflib.get_close_matches(name_key(word), by_key, n=1, cutoff=cutoff)
    return by_key[near[0]] if near else ""


def hint(word: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown word: `; did you mean X?`, or `; known: …` if none is near and the
    known words are few, else ""."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        return f"; did you mean {near}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 16 else ""


@cache
def _type_of(kind: type) -> inspect.Type:
    return inspect.type_info(kind)


def _unknown(found: object, kind: inspect.Type, place: str) -> Iterator[str]:
    """`PLACE: no such key; did you mean X? allowed: A, B` for each key of a parsed file that type `kind` has not.

    Places are as TOML writes them: `underlyings.NIFTY.lots`, and `margin[2].solt` in the second table of a list.
    """
    if isinstance(kind, inspect.UnionType):
        structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
        if isinstance(found, Mapping) and len(structs) == 1:
            yield from _unknown(found, structs[0], place)
    elif isinstance(kind, inspect.StructType) and isinstance(found, Mapping):
        allowed = {field.encode_name: field.type for field in kind.fields}
        for key, value in found.items():
            if key in allowed:
                if isinstance(value, Mapping | list):  # else it holds no key
                    yield from _unknown(value, allowed[key], _below(place, key))
            else:
                near = nearest(str(key), allowed)
                meant = f"did you mean {near}? " if near else ""
                yield f"{_below(place, key)}: no such key; {meant}allowed: {', '.join(allowed)}"
    elif isinstance(kind, inspect.DictType) and isinstance(found, Mapping):
        for key, value in found.items():
            yield from _unknown(value, kind.value_type, _below(place, key))
    elif isinstance(kind, inspect.VarTupleType) and isinstance(found, list):
        for number, value in enumerate(found, 1):
            yield from _unknown(value, kind.item_type, f"{place}[{number}]")


def _below(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def convert_parsed_file(parsed: Mapping[str, object], kind: type[T], source: str) -> T:
    """Convert a parsed file to a `kind`; `ValueError` names the file, each unknown key, or what was expected."""
    plain: type = kind
    if unknown := list(_unknown(parsed, _type_of(plain), "")):
        raise ValueError("\n".join(f"{source}: {problem}" for problem in unknown))
    try:
        return msgspec.convert(parsed, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{source}: {error}; see the comments at the top of that file") from error
