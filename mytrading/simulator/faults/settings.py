"""Fault settings from a request body, a file, or `NAME:probability|xCOUNT|key=value,…`.

All forms name the same fields. A field that a fault does not have is refused with those it has, never ignored.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import time
from pathlib import Path
from typing import Any

import msgspec

from mytrading.simulator.faults.registry import FAULTS, FOR_GOOD, ROUTES_OF, FaultKind, Faults
from mytrading.simulator.formats.schema import ACCOUNT, Errors, Field, Schema
from mytrading.simulator.settings.live_files import EditedFile
from mytrading.simulator.settings.options import BadOption, FaultSetting, Value

HOW_TO = "see `mytrading simulator --list-faults`"
_COMMON: Mapping[str, type] = {"count": int, "probability": float, "seed": int}
_TYPE_WORDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_TIMES = re.compile(r"x(\d+)")
_NAMES = ("kind", *_COMMON, *{name: None for fault in FAULTS.values() for name in fault.defaults})
FAULT: Schema = {**ACCOUNT, **{name: Field(lambda value: value, name == "kind") for name in _NAMES}}
"""The fields of `POST /sim/fault`; which of them a fault has, and of what type, is checked in `setting`."""
FAULT_NAME: Schema = {**ACCOUNT, "kind": Field(str, False, "")}
"""The fields of `DELETE /sim/fault`."""


def setting(row: Mapping[str, Any]) -> tuple[FaultSetting | None, Errors]:
    """The setting of a row with `kind`; None and the errors by field if it is no setting."""
    body = dict(row)
    kind = body.pop("kind", None)
    fault = FAULTS.get(kind) if isinstance(kind, str) else None
    if fault is None:
        return None, {"kind": [f"Must be one of: {', '.join((*FAULTS, 'clear'))}."]}
    types = {**_COMMON, **{name: type(default) for name, default in fault.defaults.items()}}
    fields: dict[str, Any] = {}
    errors: Errors = {}
    for name, value in body.items():
        if name not in types:
            errors[name] = [f"Unknown field. {fault.name} has: {', '.join(types)}."]
            continue
        try:
            fields[name] = msgspec.convert(value, types[name], strict=False)
        except msgspec.ValidationError:
            errors[name] = [f"Must be {_TYPE_WORDS[types[name]]}."]
    if errors := errors or _value_errors(fault, fields):
        return None, errors
    probability, seed = fields.pop("probability", None), fields.pop("seed", 1)
    count = fields.pop("count", fault.count if probability is None else FOR_GOOD)
    chance = 1.0 if probability is None else probability
    return FaultSetting(fault.name, count, {**fault.defaults, **fields}, chance, seed), {}


def _value_errors(fault: FaultKind, fields: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    if fields.get("count", 0) < FOR_GOOD:
        errors["count"] = ["Must be -1 (for good), 0 (off) or more."]
    if not 0 < fields.get("probability", 1.0) <= 1:
        errors["probability"] = ["Must be above 0 and at most 1."]
    for name in fault.defaults:
        if name in fields and (problem := _parameter_problem(fault, name, fields[name])):
            errors[name] = [problem]
    return errors


def _parameter_problem(fault: FaultKind, name: str, value: Value) -> str:
    routes = ROUTES_OF.get(fault.target, ())
    if name == "route" and routes and value and value not in routes:
        return f"Must be one of: {', '.join(routes)}."
    if name == "at" and value:
        with suppress(ValueError):
            time.fromisoformat(str(value))
            return ""
        return "Must be a time of day, HH:MM."
    if name == "side" and value not in ("", "BUY", "SELL"):
        return "Must be BUY or SELL."
    if name == "fraction" and not 0 < float(value) < 1:
        return "Must be above 0 and below 1."
    if isinstance(value, int | float) and not 0 <= value < float("inf"):
        return "Must be 0 or more."
    return ""


def route_problem(wanted: FaultSetting, routes: Collection[str]) -> str:
    """Why a setting's route is refused: it is none of the server's `routes`. Empty if it is fine."""
    route = wanted.parameters.get("route", "")
    return f"Must be one of: {', '.join(routes)}." if route and route not in routes else ""


def row_of(text: str) -> dict[str, Any]:
    """The fields of one `NAME[:probability|xCOUNT|key=value,…]`; `BadOption` if it is not of that form."""
    kind, _, rest = text.partition(":")
    row: dict[str, Any] = {"kind": kind}
    for part in (item.strip() for item in rest.split(",") if rest):
        key, equals, value = part.partition("=")
        if equals and key:
            row[key.strip()] = value.strip()
        elif times := _TIMES.fullmatch(part):
            row["count"] = times[1]
        else:
            try:
                float(part)
            except ValueError:
                wanted = "expected a probability, xCOUNT or key=value"
                raise BadOption(f"fault {text}: {wanted}, found {part!r}; {HOW_TO}") from None
            row["probability"] = part
    return row


def from_option(text: str) -> FaultSetting:
    """The setting of one `NAME[:probability|xCOUNT|key=value,…]`; raises `BadOption`."""
    return _usable(row_of(text), f"fault {text}")


def from_file(path: Path) -> tuple[FaultSetting, ...]:
    """The settings of a file: TOML with `[[fault]]` tables, or JSON with a list (bare, or under `fault`).

    Raises `BadOption`.
    """
    try:
        raw = path.read_text(encoding="utf-8")
        found = json.loads(raw) if path.suffix == ".json" else tomllib.loads(raw)
    except (OSError, ValueError) as error:
        raise BadOption(f"--faults {path}: expected a TOML or JSON file, found: {error}; correct the file") from error
    rows = found.get("fault") if isinstance(found, dict) and set(found) == {"fault"} else found
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadOption(f"--faults {path}: expected only [[fault]] tables, found {found!r:.200}; {HOW_TO}")
    return tuple(_usable(row, f"--faults {path}, fault {number}") for number, row in enumerate(rows, 1))


def _usable(row: Mapping[str, Any], where: str) -> FaultSetting:
    made, errors = setting(row)
    if made is None:
        wrong = (f"{name}: {' '.join(texts)} Found: {row.get(name)!r}" for name, texts in errors.items())
        raise BadOption(f"{where}: {'; '.join(wrong)}; {HOW_TO}")
    return made


class FaultFile(EditedFile):
    """A file of faults, followed while it is edited. `problem_of` returns why a setting is refused, or ""."""

    def __init__(self, path: Path, faults: Faults, problem_of: Callable[[FaultSetting], str]) -> None:
        super().__init__(path, "the faults stay as they are")
        self._faults = faults
        self._problem_of = problem_of
        self._known = {setting.name: setting for setting in from_file(path)}

    def read(self) -> None:
        """Set faults that are new or changed, end those that are gone."""
        wanted = {setting.name: setting for setting in from_file(self._path)}
        for setting in wanted.values():
            if problem := self._problem_of(setting):
                raise BadOption(f"--faults {self._path}: fault {setting.name}: {problem}")
        for name in self._known.keys() - wanted.keys():
            self._faults.end(name)
        for name, setting in wanted.items():
            if self._known.get(name) != setting:
                self._faults.set(setting)
        self._known = wanted
