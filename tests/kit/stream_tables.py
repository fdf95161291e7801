"""The tables of docs/streams.md, from the structs themselves: `python -m tests.kit.stream_tables` writes them.

A test holds the document against them. Rule: nobody edits by hand what stands between the marks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from inspect import getdoc
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import FieldInfo, fields

from mytrading.messages import codec
from mytrading.messages.streams import SCHEMA_VERSION, STREAMS
from tests.kit.project import ROOT

DOCUMENT = ROOT / "docs" / "streams.md"
BEGIN, END = "<!-- written by tests.kit.stream_tables: {} -->", "<!-- end -->"
SHOWN = ("market", "status", "orders", "account", "control", "signals")
"""Streams that a program of others can read: by subscription, or in a journal."""

HEADER = (
    ("version", f"layout, {SCHEMA_VERSION} now; a frame of another is refused before its body is looked at"),
    ("epoch", "changes when a writer began to count from the start, or its journal was rebuilt"),
    (
        "sequence",
        "counts by topic, so that a gap shows what was missed; of a journaled message its place in the journal",
    ),
    ("hash", "of the journal row, zeros where the message is not journaled"),
    ("sent_ns", "machine time of sending, ns"),
)
SIZES = {
    "B": "unsigned 8 bits",
    "I": "unsigned 32 bits",
    "Q": "unsigned 64 bits",
    "8s": "8 bytes",
    "q": "signed 64 bits",
}


def header() -> str:
    """The bytes between the NUL and the body."""
    codes = codec._HEADER.format.removeprefix("<").replace("8s", "s")
    rows, offset = ["| offset | bytes | field | type | meaning |", "| --- | --- | --- | --- | --- |"], 0
    for code, (name, meaning) in zip(codes, HEADER, strict=True):
        code = "8s" if code == "s" else code
        size = codec.struct.calcsize(f"<{code}")
        rows.append(f"| {offset} | {size} | `{name}` | {SIZES[code]} | {meaning} |")
        offset += size
    return "\n".join([*rows, "", f"{offset} bytes, little-endian (`{codec._HEADER.format}` of Python's `struct`)."])


def structs_of(union: Any) -> list[type[msgspec.Struct]]:
    """The members of a stream's union."""
    return list(get_args(union)) if get_origin(union) in (Union, UnionType) else [union]


def messages(stream: str) -> str:
    """Every message of a stream, with its fields in the order of the wire."""
    return "\n\n".join(table(struct) for struct in structs_of(STREAMS[stream].union))


def table(struct: type[msgspec.Struct]) -> str:
    """One struct."""
    config = struct.__struct_config__
    shape = "an array" if config.array_like else "a map"
    tag = f"`{config.tag}`: " if config.tag is not None else ""
    said = " ".join((getdoc(struct) or "").split())
    rows = [
        f"### {struct.__name__}",
        "",
        f"{tag}{shape}. {said}",
        "",
        "| field | type | default |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*rows, *(row(field, struct) for field in fields(struct))])


def row(field: FieldInfo, struct: type[msgspec.Struct]) -> str:
    """One field: its type as it is written in the source."""
    written = str(struct.__annotations__.get(field.name) or inherited(struct, field.name)).replace("|", "or")
    default = "needed"
    if field.default is not msgspec.NODEFAULT:
        value = field.default.value if isinstance(field.default, Enum) else field.default
        default = "none" if value is None else f"`{value!r}`"
    elif field.default_factory is not msgspec.NODEFAULT:
        default = f"`{field.default_factory()!r}`"
    return f"| `{field.name}` | {written} | {default} |"


def inherited(struct: type[msgspec.Struct], name: str) -> object:
    """The type of a field that a base declares."""
    return next(base.__annotations__[name] for base in struct.__mro__ if name in getattr(base, "__annotations__", {}))


def parts() -> tuple[list[type[msgspec.Struct]], list[type[Enum]]]:
    """Structs and words that fields of the messages are made of, each once."""
    top = [struct for stream in SHOWN for struct in structs_of(STREAMS[stream].union)]
    found: dict[str, Any] = {}
    pending: list[Any] = list(top)
    while pending:
        for kind in used(pending.pop()):
            if kind not in top and kind.__name__ not in found:
                found[kind.__name__] = kind
                pending.append(kind)
    kinds = [found[name] for name in sorted(found)]
    words = [kind for kind in kinds if issubclass(kind, Enum)]
    return [kind for kind in kinds if not issubclass(kind, Enum)], words


def used(kind: Any) -> Iterator[Any]:
    """Structs and enums among the types of a struct's fields."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        pending = list(get_type_hints(kind, vars(sys.modules[kind.__module__])).values())
        while pending:
            one = pending.pop()
            pending += get_args(one)
            if isinstance(one, type) and issubclass(one, (msgspec.Struct, Enum)):
                yield one


def words() -> str:
    """The closed sets of words, as they stand on the wire."""
    rows = ["| type | words |", "| --- | --- |"]
    return "\n".join(
        [*rows, *(f"| {kind.__name__} | {', '.join(f'`{one.value}`' for one in kind)} |" for kind in parts()[1])]
    )


def tables() -> dict[str, str]:
    """All that is written, by the name in its mark."""
    own = {stream: messages(stream) for stream in SHOWN}
    return {"header": header(), **own, "parts": "\n\n".join(map(table, parts()[0])), "words": words()}


def updated(text: str) -> str:
    """The document with every table written again."""
    for name, content in tables().items():
        begin = BEGIN.format(name)
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{content}\n{END}{rest.partition(END)[2]}"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
