"""Files of webhooks changed by commands: what stays keeps its place, its spelling and its comments."""

from __future__ import annotations

from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from mytrading.cli.shell.file_edits import comments_kept_with_tables
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookFileError, read_webhook, write_webhook


def rewrite_webhook(name: str, text: str, after: WebhookFile) -> str:
    """Return the `text` of a webhook's file changed to `after`; a new text, without its comments, if it
    cannot be merged."""
    try:
        before = read_webhook(name, text).file
        document = tomlkit.parse(text)
        with comments_kept_with_tables(document):
            _merge(document, before, after)
        found = tomlkit.dumps(document)
        if read_webhook(name, found).file == after:
            return found
    except (TOMLKitError, WebhookFileError, TypeError, AttributeError):
        pass
    return write_webhook(after)


def _merge(table: Any, before: msgspec.Struct, after: msgspec.Struct) -> None:
    """Change the keys of a table whose values differ; one at its default is taken out."""
    said = msgspec.to_builtins(after)
    for key in after.__struct_fields__:
        old, new = getattr(before, key), getattr(after, key)
        if old == new:
            continue
        if key == "symbols":
            _merge_symbols(table, old, new)
        elif isinstance(new, msgspec.Struct):
            if key not in table:
                table[key] = tomlkit.table()
            _merge(table[key], old, new)
        elif key in said:
            table[key] = said[key]
        else:
            table.pop(key, None)


def _merge_symbols(document: Any, before: tuple[SymbolMapping, ...], after: tuple[SymbolMapping, ...]) -> None:
    """Change the tables of mappings, each that of its symbol; take out those that are gone, and append the new ones."""
    tables = document["symbols"]
    if not isinstance(tables, AoT):
        raise TypeError("symbols: expected tables [[symbols]]")
    wanted = {row.symbol.upper(): row for row in after}
    for number, row in reversed(list(enumerate(before))):
        if (changed := wanted.pop(row.symbol.upper(), None)) is None:
            del tables[number]
        else:
            _merge(tables[number], row, changed)
    for row in wanted.values():
        table = tomlkit.item(msgspec.to_builtins(row))
        table.trivia.indent = "\n"
        tables.append(table)
