"""Fault switches: how a test makes the simulator misbehave the way real servers were seen to.

Set over `POST /sim/fault`, asked by the REST and WebSocket sides. The one rule: a fault is off unless it was asked
for, and a counted one ends by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

# Kinds that act on the next `count` matching requests, and kinds that hold until switched off.
COUNTED = {
    "place_timeout": "places the order, then holds the reply for `seconds` (30), or drops the connection if `drop`",
    "place_lost": "does not place the order, and drops the connection after `seconds` (0)",
    "place_500_but_placed": "places the order, answers 500",
    "place_201": "places the order, answers 201 with an error",
    "place_no_id": "answers success with orderid null; places it only if `placed`",
    "reject": "refuses the order with `reason`; with `late` accepts it and rejects it in the book",
    "semi_auto": "parks the order: success with pending_order_id and mode semi_auto",
    "book_500": "answers 500 on order, trade and position book",
    "book_empty": "answers success with empty data on order, trade and position book",
    "session_lost": "answers 403 as after the broker session ended",
}
SWITCHED = {
    "delay_ms": "waits `ms` before each REST reply",
    "order_updates_off": "sends no order_update frames",
    "ws_mute": "sends no market data",
    "ws_drop": "closes all WebSocket connections at once",
}


@dataclass
class Fault:
    """One switch: how often it still acts, and its parameters."""

    left: int
    route: str = ""
    seconds: float = 30.0
    ms: float = 0.0
    drop: bool = False
    late: bool = False
    placed: bool = False
    reason: str = "Rejected by the risk desk"


class Faults:
    """The switches that are on."""

    def __init__(self) -> None:
        self._on: dict[str, Fault] = {}

    def set(self, kind: str, fault: Fault) -> None:
        """Switch a fault on for `fault.left` requests, or off with 0; -1 keeps it on."""
        if fault.left == 0:
            self._on.pop(kind, None)
        else:
            self._on[kind] = fault

    def clear(self) -> None:
        """Switch everything off."""
        self._on.clear()

    def get(self, kind: str) -> Fault | None:
        """A switch that is on, left as it is."""
        return self._on.get(kind)

    def take(self, kind: str, route: str = "") -> Fault | None:
        """A switch that is on for this route, used up by one."""
        fault = self._on.get(kind)
        if fault is None or (fault.route and fault.route != route):
            return None
        if fault.left > 0:
            fault.left -= 1
            if fault.left == 0:
                del self._on[kind]
        return fault

    def names(self) -> dict[str, int]:
        """The switches that are on, with how often they still act."""
        return {kind: fault.left for kind, fault in self._on.items()}
