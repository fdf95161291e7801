"""Files of legs changed by a program: merged into the file that is there, so that comments and other keys stay.

Nothing is written here: `runtime.host.file_versions` keeps what was there before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, AoT, Comment, Null, Table, Whitespace

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.settings import TradingSettings
from mytrading.runtime.host.file_versions import VERSIONS

FROM = "from"
HEAD = "#:schema ../../docs/legs.schema.json\n"
_PLACE = re.compile(r"^[^:\s]+:(?P<line>\d+): (?P<field>[A-Za-z_]+(?:\[\d+\])?(?:\.[a-z_]+)?)(?P<rest>.*)$", re.DOTALL)
_SETTING = re.compile(r"^(?P<field>[a-z_]+\.\w+) \([^:\s]+:(?P<line>\d+)\)(?P<rest>.*)$", re.DOTALL)


def merge_legs(text: str, name: str, values: Mapping[str, Any]) -> str:
    """Return a file's `text` with these `values`: keys of the file, and `legs`, a table each, in their order.

    None takes a key out. Keys that are not named stay, comments too. A leg changes the one at its place; or, where legs
    say `from`, the one of the file that it was, counted from 1 (None: a new one): so legs change places, and go. Raises
    `ValueError` if the text is no TOML or a value is none of TOML's.
    """
    try:
        document = tomlkit.parse(text or HEAD)
        known = _tables(document)
        _keep_comments(document, known)
        document["name"] = name
        for key, value in values.items():
            if key != "legs":
                _put(document, key, value)
        if "legs" in values:
            _merge_tables(document, known, values["legs"])
        return tomlkit.dumps(document).rstrip("\n") + "\n"
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise ValueError(f"expected keys with plain values, and `legs` as a list of tables: {error}") from error


def _put(place: Any, key: str, value: Any) -> None:
    if key.startswith("risk_") and isinstance(place.get("risk"), AbstractTable):  # a key of the table [risk]
        place, key = place["risk"], key.removeprefix("risk_")
    if value is None:
        place.pop(key, None)
    elif key not in place or place[key] != value:  # an equal value keeps its spelling
        place[key] = value


def _tables(document: tomlkit.TOMLDocument) -> list[Any]:
    """The tables [[legs]] of a file."""
    found = document.get("legs")
    if found is not None and not isinstance(found, AoT):
        raise ValueError("legs: expected tables [[legs]] one after the other, found another spelling; edit the file")
    return list(found or ())


def _merge_tables(document: tomlkit.TOMLDocument, known: list[Any], legs: list[Mapping[str, Any]]) -> None:
    places = _places(legs, len(known))
    tables = [_new_table() if place is None else known[place] for place in places]
    for table, leg in zip(tables, legs, strict=True):
        for key, value in leg.items():
            if key != FROM:
                _put(table, key, value)
    if places != list(range(len(known))):
        document["legs"] = AoT(tables)


def _new_table() -> Table:
    table = tomlkit.table()
    table.trivia.indent = "\n"
    return table


def _keep_comments(document: tomlkit.TOMLDocument, tables: list[Any]) -> None:
    """Have what stands before a leg's head go where the leg goes; as read, it is the end of what comes before."""
    before: list[Container] = [document, *(table.value for table in tables)]
    for container, table in zip(before, tables, strict=False):
        end = len(container.body)
        if container is document:
            end = next(at for at, (key, _) in enumerate(container.body) if key is not None and key.key == "legs")
        text = ""
        while end and isinstance(container.body[end - 1][1], Comment | Whitespace):
            end -= 1
            text = container.body[end][1].as_string() + text
            container.body[end] = (None, Null())
        table.trivia.indent = text + table.trivia.indent


def _places(legs: list[Mapping[str, Any]], known: int) -> list[int | None]:
    """The table of the file that each leg changes, counted from 0; None for a new one."""
    if not any(FROM in leg for leg in legs):
        return [number if number < known else None for number in range(len(legs))]
    places: list[int | None] = []
    for number, leg in enumerate(legs, 1):
        place = leg.get(FROM)
        if place is not None and (place not in range(1, known + 1) or place - 1 in places):
            text = f"legs[{number}].{FROM}: expected the number of a leg of the file (1 to {known}), each once"
            raise ValueError(f"{text}; found {place!r}")
        places.append(None if place is None else place - 1)
    return places


def try_text(home: Path, path: Path, text: str, name: str, profile: str) -> tuple[TradingSettings | None, list[str]]:
    """Return the settings with a file of legs that is not written yet, as the one that runs, or what is wrong with it.

    They are read from a copy of the project's folder that consists of links.
    """
    with TemporaryDirectory() as folder:
        trial = Path(folder)
        config, strategies = trial / "config", trial / "config" / "strategies"
        strategies.mkdir(parents=True)
        _link(home, trial, "config")
        _link(home / "config", config, "strategies")
        _link(home / "config" / "strategies", strategies, path.name, VERSIONS)
        (strategies / path.name).write_text(text, encoding="utf-8")
        own = str(path.relative_to(home))
        try:
            found = load_settings(trial, profile or "default", overrides={"ENABLED_STRATEGIES": name})
        except ConfigurationError as error:
            mine = [one for one in error.problems if own in one or one.startswith(f"{name}.")]
            return None, mine or ["other settings are wrong, not this file:", *error.problems]
        return found, []


def _link(source: Path, target: Path, *but: str) -> None:
    for one in source.iterdir():
        if one.name not in but:
            (target / one.name).symlink_to(one)


def place_of(problem: str) -> dict[str, Any]:
    """Return a problem with its line and the field that is wrong, `legs[2].strike` counted from 1; "" for none."""
    found = _PLACE.match(problem) or _SETTING.match(problem)
    if found is None:
        return {"line": 0, "field": "", "text": problem}
    text = f"{found['field']}{found['rest']}"
    return {"line": int(found["line"]), "field": found["field"], "text": text}
