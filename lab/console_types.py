"""TypeScript of the web console, made from its structs and the schema of files of legs.

`python -m lab.console_types` writes it. A build of the pages fails where the files are others, or where a page expects
of a route what that does not answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from lab.console_pages import ROOT
from mytrading.config.leg_plan import schema
from mytrading.daemons.console import application
from mytrading.messages.console_api import REST_TYPES, LiveMessage, LiveRequest
from mytrading.messages.console_rows import CHAIN_TOPICS, TOPICS
from mytrading.reports import document

FILE = ROOT / "console" / "src" / "generated" / "api.ts"
KEYS_FILE = FILE.with_name("leg_keys.ts")
_HEAD = "// Written by `python -m lab.console_types` from mytrading/messages/console_*.py. Do not edit.\n"
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


_KEYS_HEAD = """// Written by `python -m lab.console_types` from the schema of files of legs. Do not edit.

import type { NumberRule } from "../ui/typed";

/** A key of a file of legs: what it holds, and what counts where it is left out. */
export interface FileKey {
  kind: "text" | "time" | "number" | "yes" | "list" | "choice";
  /** What it is for, with its unit. */
  note: string;
  /** What counts where it is left out; empty for nothing. */
  usual: string;
  choices?: readonly string[];
  /** Of a number. */
  rule?: NumberRule;
}
"""
_BOUNDS = {"minimum": "least", "maximum": "most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
_STRUCTURE = ("legs", "risk")
"""Keys of a file that hold tables: keys of `[risk]` are spelt `risk_…` here."""


def leg_keys() -> str:
    """Return the file with the keys of a file of legs, and of a leg, as it should be."""
    made = schema()
    kinds = made["$defs"]
    tables = {"FILE_KEYS": made["properties"], "LEG_KEYS": kinds["LegConfig"]["properties"]}
    parts = [_KEYS_HEAD]
    for name, keys in tables.items():
        rows = [f"  {key}: {_file_key(key, found, kinds)}," for key, found in keys.items() if key not in _STRUCTURE]
        word = name.title().replace("_Keys", "KeyName")
        parts.append("\n".join([f"export const {name} = {{", *rows, "} as const satisfies Record<string, FileKey>;"]))
        parts.append(f"export type {word} = keyof typeof {name};\n")
    return "\n".join(parts)


def _file_key(key: str, found: dict[str, Any], kinds: dict[str, Any]) -> str:
    real = kinds[_named(found["$ref"])] if "$ref" in found else found
    kind = (real.get("anyOf") or [real])[0].get("type")
    words = {"number": "number", "integer": "number", "boolean": "yes", "array": "list"}
    usual = "" if "default:" in found["description"] else found.get("default")
    made: dict[str, Any] = {
        "kind": "choice" if "enum" in real else "time" if key.endswith("_time") else words.get(kind, "text"),
        "note": found["description"].replace("`", ""),
        "usual": _usual(usual),
    }
    if "enum" in real:
        made["choices"] = [word for word in real["enum"] if word]
    if made["kind"] == "number":
        whole = {"whole": True} if kind == "integer" else {}
        made["rule"] = whole | {_BOUNDS[name]: real[name] for name in _BOUNDS if name in real}
    return _literal(made)


def _literal(value: Any) -> str:
    """A value as TypeScript writes it, keys without quotes."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name}: {_literal(one)}" for name, one in value.items()) + " }" if value else "{}"
    return json.dumps(value, ensure_ascii=False)


def _usual(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)


_CALL = re.compile(r"\b(useAnswer|get|post)<([\w\[\]]+)>\([^;\n\"`]*?(?:\"(/api[^\"]*)\"|`(/api[^`]*)`)")
"""A question of a page: how it asks, the type that it expects, and the address."""
_FILLED = re.compile(r"\$\{(?:[^{}]|\{[^{}]*\})*\}|\{[^{}]*\}")


def answers() -> dict[tuple[str, tuple[str, ...]], str]:
    """Return the TypeScript type that each route answers, by method and parts of its address; empty for bytes."""
    found = {}
    for handler in application.HANDLERS:
        if not isinstance(handler, HTTPRouteHandler):
            continue
        kind = get_type_hints(handler.fn)["return"]
        kind = get_args(kind)[0] if get_origin(kind) is Response else kind
        many = get_origin(kind) is list
        kind = get_args(kind)[0] if many else kind
        named = f"{kind.__name__}{'[]' if many else ''}" if hasattr(kind, "__struct_fields__") else ""
        for path in handler.paths:
            for method in handler.http_methods:
                found[str(method), _parts(path)] = named
    return found


def _parts(address: str) -> tuple[str, ...]:
    return tuple(_FILLED.sub("*", address).split("/"))


def wrong_calls(pages: Iterable[tuple[str, str]]) -> list[str]:
    """Return what pages (name and text) expect of routes that answer something else, or that there are not."""
    routes, wrong = answers(), []
    for name, text in pages:
        for how, expected, *literals in _CALL.findall(text):
            method, parts = "POST" if how == "post" else "GET", _parts(next(filter(None, literals)))
            fitting = [route for verb, route in routes if verb == method and _fits(route, parts)]
            found = {routes[method, route] for route in ([parts] if parts in fitting else fitting)}
            if not found or found - {expected, ""}:
                text = " or ".join(sorted(found)) or "no route"
                wrong.append(f"{name}: {method} {'/'.join(parts)}: expected {expected}, found {text}")
    return wrong


def _fits(route: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    same = len(route) == len(asked)
    return same and all(one == other or "*" in (one, other) for one, other in zip(route, asked, strict=True))


def drift() -> list[str]:
    """Return what of the pages' types differs from the program's; none if nothing does."""
    files = ((FILE, typescript()), (KEYS_FILE, leg_keys()))
    stale = [path.name for path, made in files if path.read_text(encoding="utf-8") != made]
    pages = ((path.name, path.read_text(encoding="utf-8")) for path in FILE.parents[1].rglob("*.ts*"))
    return [f"{name} is not of this program: run `python -m lab.console_types`" for name in stale] + wrong_calls(pages)


def main() -> None:
    """Write the files."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(typescript(), encoding="utf-8")
    KEYS_FILE.write_text(leg_keys(), encoding="utf-8")


if __name__ == "__main__":
    main()
