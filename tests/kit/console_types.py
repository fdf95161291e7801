"""TypeScript types of the web console, made from its structs: `python -m tests.kit.console_types` writes them."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, get_args

import msgspec

from mytrading.messages.console_api import REST_TYPES, LiveMessage, LiveRequest
from mytrading.messages.console_rows import CHAIN_TOPICS, TOPICS
from mytrading.reports import document
from tests.kit.project import ROOT

FILE = ROOT / "console" / "src" / "generated" / "api.ts"
_HEAD = "// Written by `python -m tests.kit.console_types` from mytrading/messages/console_*.py. Do not edit.\n"
REPORT = [kind for kind in vars(document).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
"""Types of a `report.json`; it leaves out fields that have their default."""


def _named(reference: str) -> str:
    return reference.rpartition("/")[2]


def _written(schema: dict[str, Any]) -> str:
    """The TypeScript type of a JSON schema."""
    if "$ref" in schema:
        return _named(schema["$ref"])
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(map(_written, schema["anyOf"])))
    match schema.get("type"):
        case "array":
            inner = _written(schema.get("items") or {})
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        case "object":
            return f"Record<string, {_written(schema.get('additionalProperties') or {})}>"
        case "string":
            return "string"
        case "integer" | "number":
            return "number"
        case "boolean":
            return "boolean"
        case "null":
            return "null"
    return "unknown"


def _interface(name: str, schema: dict[str, Any], sent: bool) -> str:
    """An interface; what has a default may be left out where the page sends it."""
    needed = set(schema.get("required", ()))
    lines = [f"/** {schema['description'].splitlines()[0]} */"] if schema.get("description") else []
    lines.append(f"export interface {name} {{")
    for field, found in schema["properties"].items():
        mark = "?" if sent and field not in needed else ""
        lines.append(f"  {field}{mark}: {_written(found)};")
    return "\n".join([*lines, "}\n"])


def _union(name: str, kinds: UnionType) -> str:
    return f"export type {name} = {' | '.join(kind.__name__ for kind in get_args(kinds))};\n"


def _topics(name: str, topics: dict[str, type[msgspec.Struct]]) -> str:
    rows = [f"  {topic}: {row.__name__};" for topic, row in topics.items()]
    return "\n".join([f"export interface {name} {{", *rows, "}\n"])


def typescript() -> str:
    """Return the file of types as it should be."""
    kinds = [*TOPICS.values(), *CHAIN_TOPICS.values(), *get_args(LiveMessage), *get_args(LiveRequest), *REST_TYPES]
    kinds += REPORT
    _, components = msgspec.json.schema_components(kinds, ref_template="#/{name}")
    strict = {kind.__name__ for kind in kinds if kind.__struct_config__.forbid_unknown_fields}
    strict |= {kind.__name__ for kind in REPORT}
    parts = [_interface(name, schema, name in strict) for name, schema in sorted(components.items())]
    parts += [_union("LiveMessage", LiveMessage), _union("LiveRequest", LiveRequest)]
    parts += [_topics("Topics", TOPICS), _topics("ChainTopics", CHAIN_TOPICS)]
    return "\n".join([_HEAD, *parts])


def main(path: Path = FILE) -> None:
    """Write the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(typescript(), encoding="utf-8")


if __name__ == "__main__":
    main()
