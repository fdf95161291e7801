"""Rows of schema 1 (version 0.1) as rows of schema 2 (version 0.2), on plain dicts.

`TAGS` renames messages, `FIELDS` their fields (by the tag of schema 1), `VALUES` what they hold: by tag and new field
name a function of the old value. `convert` is the step that `mytrading state upgrade` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mytrading.operations.nested_orders import nested

TAGS: Mapping[str, str] = {"wish_denied": "signal_vetoed", "wish_sized": "intent_sized"}
FIELDS: Mapping[str, Mapping[str, str]] = {"risk_opened": {"wishes": "intents"}}
VALUES: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("order", "order"): nested,
    ("day_opened", "orders"): lambda orders: [nested(order) for order in orders],
    ("risk_opened", "orders"): lambda orders: [nested(order) for order in orders],
}


def convert(_stream: str, body: bytes) -> bytes:
    """The body of a row in schema 2; unchanged bytes if nothing in it was renamed."""
    row = msgspec.msgpack.decode(body)
    if not isinstance(row, dict) or not isinstance(tag := row.get("type"), str):
        return body
    fields = FIELDS.get(tag, {})
    made = {fields.get(name, name): value for name, value in row.items()} | {"type": TAGS.get(tag, tag)}
    for (owner, name), change in VALUES.items():
        if owner == tag and name in made:
            made[name] = change(made[name])
    return body if made == row else msgspec.msgpack.encode(made)
