"""Rows of schema 1 (version 0.1) as rows of schema 2 (version 0.2), on plain dicts; `convert` is the upgrade's step.

`TAGS` renames messages, `FIELDS` their fields (by the tag of schema 1), `VALUES` has a function of the old value by tag
and new field name. Orders of schema 1 are flat; in schema 2 what is known of an order is nested by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_PARTS = {
    "call": ("attempt", "began_machine_ns", "ended_machine_ns", "not_before_machine_ns", "trace_ns"),
    "plan": ("reference_price", "stop_trigger", "stop_limit", "held_stop", "held_target", "rests_until_ns",
             "expires_ns", "expires_machine_ns"),
    "links": ("goal", "parent", "slice", "replaces", "replaced", "request"),
}  # fmt: skip
_EVIDENCE = {
    "fills": {"stream_filled": "stream", "book_filled": "book", "trade_filled": "trades", "trade_value": "trade_value",
              "stream_void": "stream_void"},
    "cancel": {"pending_cancel": "wanted", "cancelling": "out", "cancel_calls": "calls",
               "cancel_machine_ns": "not_before_machine_ns"},
    "modify": {"modifying": "out", "modify_asked": "unproven", "modify_calls": "calls",
               "modify_machine_ns": "answered_machine_ns", "modify_wait_ns": "not_before_machine_ns",
               "modify_reads": "reads", "modify_doubt_ns": "doubt_machine_ns", "replacing": "by_replacement"},
}  # fmt: skip
_TERMS = {"wanted_price": "price", "wanted_trigger": "trigger_price", "wanted_quantity": "quantity"}
_ENDS = {"alive": "disputed", "fewer": "fewer_filled", "contradicted": "contradicted"}
_NAMELESS = ("UNKNOWN", "PARKED", "LOST", "GHOST")
_FLAPPED = -1


def nest_order_fields(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order of schema 1 with its fields grouped into the parts of schema 2, defaults left out."""
    left = dict(order)
    made: dict[str, Any] = {}
    for part, names in _PARTS.items():
        if own := {name: left.pop(name) for name in names if name in left}:
            made[part] = own
    evidence: dict[str, Any] = {}
    for part, renamed in _EVIDENCE.items():
        if own := {new: left.pop(old) for old, new in renamed.items() if old in left}:
            evidence[part] = own
    wanted = {new: left.pop(old) for old, new in _TERMS.items() if old in left}
    if left.pop("pending_modify", False) or wanted:
        evidence["modify"] = {"wanted": wanted, **evidence.get("modify", {})}
    if seen := left.pop("evidence_machine_ns", 0):
        evidence["seen_machine_ns"] = seen
    count, ending, candidate = left.pop("evidence", 0), left.pop("ending", ""), left.pop("candidate", "")
    if count == _FLAPPED:
        evidence["flapped"] = True
    if ending:
        evidence["end"] = _end(ending, count, candidate)
    if match := _match(candidate, count, left["state"]):
        evidence["match"] = match
    return left | made | ({"evidence": evidence} if evidence else {})


def _end(ending: str, count: int, candidate: str) -> dict[str, Any]:
    if ending in _ENDS:
        return {"type": _ENDS[ending]}
    if ending == "missing":
        return {"type": "missing", **({"reads": 2} if count > 1 else {})}
    end: dict[str, Any] = {"type": "pending_end", "status": ending}
    if count > 1:
        end["sightings"] = count
    if candidate == "stream":
        end["by_stream"] = True
    return end


def _match(candidate: str, count: int, state: str) -> dict[str, Any] | None:
    if state not in _NAMELESS:
        return None
    if candidate == "several":
        return {"type": "ambiguous"}
    if candidate:
        return {"type": "candidate", "broker_order_id": candidate}
    return {"type": "unseen", "reads": count} if count > 0 else None


TAGS: Mapping[str, str] = {"wish_denied": "signal_vetoed", "wish_sized": "intent_sized"}
FIELDS: Mapping[str, Mapping[str, str]] = {"risk_opened": {"wishes": "intents"}}
VALUES: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("order", "order"): nest_order_fields,
    ("day_opened", "orders"): lambda orders: [nest_order_fields(order) for order in orders],
    ("risk_opened", "orders"): lambda orders: [nest_order_fields(order) for order in orders],
}


def convert_row(_stream: str, body: bytes) -> bytes:
    """Convert the body of a row to schema 2; returned unchanged if nothing in it was renamed."""
    row = msgspec.msgpack.decode(body)
    if not isinstance(row, dict) or not isinstance(tag := row.get("type"), str):
        return body
    fields = FIELDS.get(tag, {})
    made = {fields.get(name, name): value for name, value in row.items()} | {"type": TAGS.get(tag, tag)}
    for (owner, name), change in VALUES.items():
        if owner == tag and name in made:
            made[name] = change(made[name])
    return body if made == row else msgspec.msgpack.encode(made)
