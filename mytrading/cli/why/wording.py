"""What a journal row says, in a few words, for the chain that `mytrading why` prints.

A row that others pass on appears once, where it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Said = tuple[str, str]
"""The kind of step, and what happened."""


def words(body: dict[str, Any], *, reading: bool) -> Said | None:
    """Kind and text of a row; `reading` if a daemon took it in, else it was decided there."""
    kind = str(body.get("type"))
    if kind == "signal":
        return ("received" if reading else "signal", _signal(body))
    if reading and kind in _SENT:
        return None
    teller = _TELLERS.get(kind)
    return teller(body) if teller is not None else _input(kind, body) if reading else None


def _signal(body: dict[str, Any]) -> str:
    legs = ", ".join(f"{leg['lots']:+d} lots {leg['instrument']}" for leg in body.get("legs", ())) or "flat"
    reason = f": {body['reason']}" if body.get("reason") else ""
    return f"{body['strategy']} signals {body['action']} ({legs}){reason}"


def _order(body: dict[str, Any]) -> Said:
    order, event = body["order"], str(body["event"])
    name = f"{order['purpose']} {order['side']} {order['quantity']} {order['instrument']}"
    kinds = {"submitted": "send", "cancel_requested": "send", "filled": "fill", "partially_filled": "fill"}
    filled = f", filled {order['filled']} at {order.get('average_price', 0.0):,.2f}" if order.get("filled") else ""
    seen = order.get("filled_seen", 0)
    sighted = f", sighted {seen}" if seen > order.get("filled", 0) else ""
    broker = f" as {order['broker_order_id']}" if order.get("broker_order_id") else ""
    message = f" ({order['message']})" if order.get("message") else ""
    prices = f" trigger {order['trigger_price']:g}" if order.get("trigger_price") else ""
    return kinds.get(event, "order"), f"{name}{prices}: {event}, {order['state']}{broker}{filled}{sighted}{message}"


def _place(body: dict[str, Any]) -> Said:
    reference = f" near {body['reference_price']:,.2f}" if body.get("reference_price") else ""
    stop = f", stop at {body['stop_trigger']:g}" if body.get("stop_trigger") else ""
    return "command", f"enter {body['side']} {body['quantity']} {body['instrument']}{reference}{stop}"


def _close(body: dict[str, Any]) -> Said:
    return "command", f"close {body['strategy']} in {body['instrument']}: {body['reason']}"


def _denied(body: dict[str, Any]) -> Said:
    return "denied", f"{body['code']}: {body['message']}"


def _expired(body: dict[str, Any]) -> Said:
    return "denied", f"EXPIRED: {body['strategy']}'s signal came too late"


def _outcome(body: dict[str, Any]) -> Said:
    took = (body["ended_machine_ns"] - body["began_machine_ns"]) / 1e6
    broker = f" {body['broker_order_id']}" if body.get("broker_order_id") else ""
    message = f": {body['message']}" if body.get("message") else ""
    return "outcome", f"{body['call']} answered {body['outcome']}{broker} after {took:,.1f} ms{message}"


def _position(body: dict[str, Any]) -> Said:
    position, units = body["position"], body.get("fill_quantity", 0)
    moved = f"{units:+d} at {body['fill_price']:,.2f}, now" if units else "sighted: now"
    held = position.get("quantity", 0)
    return "fill", f"{position['strategy']} {position['instrument']} {moved} {held} (realised {_realised(position)})"


def _realised(position: dict[str, Any]) -> str:
    return f"{position.get('realised', 0.0):,.2f}"


def _goal(body: dict[str, Any]) -> Said:
    goal = body["goal"]
    return "exit", f"exit of {goal['instrument']} is {goal.get('state', 'open')}, attempt {goal.get('attempts', 0)}"


def _protection(body: dict[str, Any]) -> Said:
    level = body["protection"]
    failed = f", {level['failures']} failed" if level.get("failures") else ""
    return "stop", f"stop of {level['instrument']} at {level['trigger']:g} is {level.get('state', 'open')}{failed}"


def _flatten(body: dict[str, Any]) -> Said:
    level = body["flatten"]
    return "flatten", f"flatten of {level['account']} is {level.get('state', 'open')}, {level.get('proofs', 0)} proofs"


def _person(body: dict[str, Any]) -> Said:
    kind = str(body["type"]).removesuffix("_requested")
    reason = f": {body['reason']}" if body.get("reason") else ""
    return "person", f"{kind} requested{reason}"


def _answer(body: dict[str, Any]) -> Said:
    return "person", ("done: " if body.get("ok") else "refused: ") + str(body["message"])


def _input(kind: str, body: dict[str, Any]) -> Said | None:
    """What was read and led to a step: a report, a read of the books, a quote, the clock."""
    if kind == "order_report":
        row = body["order"]
        filled = f", filled {row['filled']}" if row.get("filled") else ""
        return "report", f"order stream: {row['broker_order_id']} is {row['status']}{filled}"
    if kind == "books_read":
        books = [name for name in ("orders", "trades", "positions") if body.get(name) is not None]
        return "report", f"read of {', '.join(books) or 'nothing'}"
    if kind == "trading_state":
        return "person", f"trading level {body['level']}: {body['reason']}"
    if kind == "strategy_switch":
        why = f" (by {body['by']})" if body.get("by") else ""
        why = f"{why}: {body['reason']}" if body.get("reason") else why
        return "person", f"entries of {body['strategy']} switched {'on' if body['enabled'] else 'off'}{why}"
    if kind == "quote":
        return "quote", "quote led to it"
    return None


_TELLERS: dict[str, Callable[[dict[str, Any]], Said]] = {
    "order": _order,
    "place_entry": _place,
    "close_goal": _close,
    "signal_denied": _denied,
    "signal_expired": _expired,
    "call_outcome": _outcome,
    "position": _position,
    "goal": _goal,
    "protection": _protection,
    "flatten": _flatten,
    "resolve_requested": _person,
    "claim_requested": _person,
    "flatten_requested": _person,
    "request_answered": _answer,
}
_SENT = frozenset(("order", "position", "goal", "protection", "flatten", "request_answered", "signal_denied"))
"""Rows that others only take in: where they were written says enough."""
