"""Orders as flat rows of plain values: what commands print as JSON, whatever the nesting of the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from mytrading.messages.orders import NO_CALL, NO_LINKS, NO_PLAN, Order

_FILLS = {"stream": "stream_filled", "book": "book_filled", "trades": "trade_filled", "trade_value": "trade_value"}
_CANCEL = {"wanted": "pending_cancel", "out": "cancelling", "calls": "cancel_calls"}
_MODIFY = {
    "out": "modifying", "unproven": "modify_asked", "calls": "modify_calls",
    "answered_machine_ns": "modify_machine_ns", "not_before_machine_ns": "modify_wait_ns", "reads": "modify_reads",
    "doubt_machine_ns": "modify_doubt_ns", "by_replacement": "replacing",
}  # fmt: skip
"""Names of the fields in a flat row; what is remembered for the next answer (`accepted`, `refused`) has none."""
_TERMS = {"price": "wanted_price", "trigger_price": "wanted_trigger", "quantity": "wanted_quantity"}
_WORDS = {"disputed": "alive", "fewer_filled": "fewer"}
_PARTS = ("call", "plan", "links", "evidence")
_FLAPPED = -1
_NOTHING_KNOWN: dict[str, Any] = {
    **dict.fromkeys((*_FILLS.values(), "stream_void", "evidence", "evidence_machine_ns", "wanted_quantity"), 0),
    **dict.fromkeys((*_CANCEL.values(), *_MODIFY.values(), "cancel_machine_ns"), 0),
    **dict.fromkeys(("pending_cancel", "cancelling", "pending_modify", "modifying"), False),
    **dict.fromkeys(("modify_asked", "replacing"), False),
    **dict.fromkeys(("trade_value", "wanted_price", "wanted_trigger"), 0.0),
    **dict.fromkeys(("ending", "candidate"), ""),
}


def flat_order(order: Order) -> dict[str, Any]:
    """Return an order as one flat dict of plain values, without the fields that have their default."""
    return flatten_plain_order(msgspec.to_builtins(order))


def flat_order_with_change(order: Order) -> dict[str, Any]:
    """Return a flat order that always has price and trigger price of its pending change (0.0 if none is pending)."""
    return {"wanted_price": 0.0, "wanted_trigger": 0.0, **flat_order(order)}


def complete_flat_order(order: Order) -> dict[str, Any]:
    """Return an order as one flat dict with every key, defaults included."""
    own = {name: getattr(order, name) for name in Order.__struct_fields__ if name not in _PARTS}
    usual = asdict(NO_CALL) | asdict(NO_PLAN) | asdict(NO_LINKS) | _NOTHING_KNOWN
    return {**msgspec.to_builtins(own), **usual, **flat_order(order)}


def flatten_orders(body: Any) -> Any:
    """Return plain values (dicts, lists) with every nested order in them made flat."""
    if isinstance(body, dict):
        plain = {name: flatten_orders(value) for name, value in body.items()}
        nested = "client_order_id" in plain and any(isinstance(plain.get(part), dict) for part in _PARTS)
        return flatten_plain_order(plain) if nested else plain
    return [flatten_orders(value) for value in body] if isinstance(body, list | tuple) else body


def flatten_plain_order(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order given as nested dicts as one flat dict, with the keys that are present."""
    row = {name: value for name, value in body.items() if name not in _PARTS}
    for part in ("call", "plan", "links"):
        row |= body.get(part, {})
    known: Mapping[str, Any] = body.get("evidence", {})
    row |= {_FILLS.get(name, name): value for name, value in known.get("fills", {}).items()}
    cancel, change = known.get("cancel", {}), known.get("modify", {})
    row |= {_CANCEL.get(name, "cancel_machine_ns"): value for name, value in cancel.items()}
    row |= {_MODIFY[name]: value for name, value in change.items() if name in _MODIFY}
    if "wanted" in change:
        row["pending_modify"] = change["wanted"] is not None
        row |= {_TERMS[name]: value for name, value in (change["wanted"] or {}).items()}
    return row | _proof(known)


def _proof(known: Mapping[str, Any]) -> dict[str, Any]:
    end: Mapping[str, Any] = known.get("end") or {}
    match: Mapping[str, Any] = known.get("match") or {}
    kind, found = end.get("type", ""), match.get("type", "")
    count = 0
    if kind == "pending_end":
        count = end.get("sightings", 1)
    elif kind in ("disputed", "missing"):
        count = end.get("reads", 1)
    elif found in ("unseen", "candidate"):
        count = match.get("reads", 1)
    row = {
        "ending": end["status"] if kind == "pending_end" else _WORDS.get(kind, kind),
        "evidence": _FLAPPED if known.get("flapped") else count,
        "evidence_machine_ns": known.get("seen_machine_ns", 0),
        "candidate": {"candidate": match.get("broker_order_id", ""), "ambiguous": "several"}.get(found, ""),
    }
    if kind == "pending_end" and end.get("by_stream"):
        row["candidate"] = "stream"
    return {name: value for name, value in row.items() if value}
