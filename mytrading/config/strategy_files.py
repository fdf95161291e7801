"""Strategies that the files in `strategies/` declare, read from their syntax: the command line runs no author code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mytrading.config.problems import name_key

Parameter = int | float | str | bool

_KINDS = {"int": int, "float": float, "str": str, "bool": bool}
_RESERVED = ("name", "subscribe_quotes", "indicators")


@dataclass(frozen=True, slots=True)
class KnownStrategy:
    """A strategy class as its file declares it: `parameters` with their types, plain `defaults`, or a `fault`."""

    name: str
    file: str
    parameters: dict[str, type] = field(default_factory=dict)
    defaults: dict[str, Parameter] = field(default_factory=dict)
    fault: str = ""


def discover_strategies(folder: Path) -> tuple[KnownStrategy, ...]:
    """Return the strategies declared in `folder`, without importing its files; unusable ones have a `fault`."""
    files = (path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_"))
    return tuple(item for path in files for item in _scan(path))


def duplicate_names(known: Iterable[KnownStrategy]) -> dict[str, str]:
    """Return a problem for each name that several usable files declare, by the name in plain form; empty if none."""
    files: dict[str, dict[str, str]] = {}
    for item in known:
        if not item.fault:
            files.setdefault(name_key(item.name), {})[item.file] = item.name
    return {
        key: f"{' and '.join(mine)} both declare a strategy {next(iter(mine.values()))}; give one another `name`"
        for key, mine in files.items()
        if len(mine) > 1
    }


def _scan(path: Path) -> list[KnownStrategy]:
    try:
        source = path.read_bytes()
    except OSError as error:
        return _broken(path, b"", f": cannot be read: {error.strerror}")
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError) as error:
        line, text = getattr(error, "lineno", None) or 1, (getattr(error, "text", None) or "").strip()
        return _broken(path, source, f":{line}: {getattr(error, 'msg', error)}{f' ({text})' if text else ''}")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    public = [node for node in classes.values() if not node.name.startswith("_") and _is_strategy(node, classes)]
    if not public:
        fault = ": no strategy in it: expected a class that inherits from BaseStrategy; a helper's name begins with _"
        return _broken(path, source, fault)
    for node in public:
        if own := next((item for item in node.body if getattr(item, "name", "") == "__init__"), None):
            return _broken(path, source, f":{own.lineno}: {node.name} defines __init__: write initialize(self) instead")
    return [_describe(node, classes, path) for node in public]


def _broken(path: Path, source: bytes, fault: str) -> list[KnownStrategy]:
    """A file that cannot be used, under each name its strategy may have: those of its classes, and its own."""
    names = re.findall(r"^class\s+([A-Za-z]\w*)", source.decode("utf-8", "replace"), re.MULTILINE)
    file = f"{path.parent.name}/{path.name}"
    return [KnownStrategy(name=name, file=file, fault=f"{file}{fault}") for name in dict.fromkeys((*names, path.stem))]


def _is_strategy(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    """True if a base is called BaseStrategy, here or through a class of the same file."""
    names = _base_names(node)
    return "BaseStrategy" in names or any(
        name in classes and classes[name] is not node and _is_strategy(classes[name], classes) for name in names
    )


def _base_names(node: ast.ClassDef) -> list[str]:
    return [base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases]


def _describe(node: ast.ClassDef, classes: dict[str, ast.ClassDef], path: Path) -> KnownStrategy:
    parameters: dict[str, type] = {}
    defaults: dict[str, Parameter] = {}
    name = node.name
    for owner in (*(classes[base] for base in _base_names(node) if base in classes), node):
        for attribute, annotation, value in _attributes(owner):
            if attribute == "name" and owner is node and isinstance(value, str) and value:
                name = value
            kind = _KINDS.get(annotation) or (type(value) if annotation == "" and value is not None else None)
            if attribute.startswith("_") or attribute in _RESERVED or kind is None:
                continue
            parameters[attribute] = kind
            if value is not None:
                defaults[attribute] = value
    return KnownStrategy(name=name, file=f"{path.parent.name}/{path.name}", parameters=parameters, defaults=defaults)


def _attributes(node: ast.ClassDef) -> list[tuple[str, str, Parameter | None]]:
    """(name, annotation or "", plain value or None) of each class attribute."""
    found: list[tuple[str, str, Parameter | None]] = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.value is not None:
            found.append((item.target.id, ast.unparse(item.annotation), _plain_value(item.value)))
        elif isinstance(item, ast.Assign) and len(item.targets) == 1 and isinstance(item.targets[0], ast.Name):
            found.append((item.targets[0].id, "", _plain_value(item.value)))
    return found


def _plain_value(node: ast.expr) -> Parameter | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None
    return value if isinstance(value, int | float | str | bool) else None
