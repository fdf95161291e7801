"""Files of legs changed by a program: merged into the file that is there, so that comments and other keys stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, AoT, Table

from mytrading.cli.shell.file_edits import comments_kept_with_tables

FROM = "from"
HEAD = "#:schema ../../docs/legs.schema.json\n"


def merge_legs(text: str, name: str, values: Mapping[str, Any]) -> str:
    """Return a file's `text` with these `values`: keys of the file, and `legs`, a table each, in their order.

    None takes a key out. Keys that are not named stay, comments too. A leg changes the one at its place; or, where legs
    say `from`, the one of the file that it was, counted from 1 (None: a new one): so legs change places, and go. Raises
    `ValueError` if the text is no TOML or a value is none of TOML's.
    """
    try:
        document = tomlkit.parse(text or HEAD)
        known = _tables(document)
        with comments_kept_with_tables(document):
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
    if key.startswith("risk_") and key not in place and isinstance(place.get("risk"), AbstractTable):  # of [risk]
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
