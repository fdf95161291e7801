"""The registry of faults, by which the simulator misbehaves as real servers were seen to.

`FAULTS` lists all kinds; `Faults` holds those switched on. A counted fault ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType

from mytrading.simulator.settings.options import FaultSetting, Value

FOR_GOOD = -1


class Target(StrEnum):
    """Calls or messages that a fault acts on, and that its count counts."""

    ORDERS = "order calls"
    FILLS = "fills"
    BOOKS = "book reads"
    CALLS = "REST calls"
    UPDATES = "order updates"
    QUOTES = "quotes sent"


ORDER_ROUTES = ("placeorder", "modifyorder", "cancelorder")
BOOK_ROUTES = ("orderbook", "tradebook", "positionbook", "funds")
# The routes a fault's `route` may name; where its target is not listed, any route will do.
ROUTES_OF: Mapping[Target, tuple[str, ...]] = MappingProxyType({Target.ORDERS: ORDER_ROUTES, Target.BOOKS: BOOK_ROUTES})


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault: `defaults` are its parameters, `count` how often it acts unless told otherwise (-1: for good).

    The parameters `route`, `instrument`, `status` and `side` restrict where it acts; empty they restrict nothing.
    """

    name: str
    target: Target
    does: str
    defaults: Mapping[str, Value] = field(default_factory=dict)
    count: int = 1


def _fault(target: Target, name: str, does: str, count: int = 1, **defaults: Value) -> FaultKind:
    return FaultKind(name, target, does, defaults, count)


_ALL = (
    _fault(Target.ORDERS, "place_timeout",
           "does the work, then holds the reply `seconds`, or drops the connection with `drop`",
           route="", seconds=30.0, drop=False),
    _fault(Target.ORDERS, "place_lost", "drops the connection after `seconds` without placing", seconds=0.0),
    _fault(Target.ORDERS, "place_500_but_placed", "does the work, answers 500", route=""),
    _fault(Target.ORDERS, "place_201", "does the work, answers 201 with an error", route=""),
    _fault(Target.ORDERS, "place_no_id", "answers success with orderid null; places only with `placed`", placed=False),
    _fault(Target.ORDERS, "reject",
           "refuses a new order with `reason`; with `late` accepts it, then rejects it in the book",
           late=False, reason="Rejected by the risk desk", side="", instrument=""),
    _fault(Target.ORDERS, "semi_auto",
           "parks a new order, a basket or split as a whole: success with pending_order_id and mode semi_auto; on for "
           "good, a live server also answers 403 to changes and cancels", side="", instrument=""),
    _fault(Target.FILLS, "partial_fill",
           "fills `fraction` of what an order still asks for, in whole lots; the rest stays for the next tick",
           instrument="", fraction=0.5),
    _fault(Target.BOOKS, "book_500", "answers 500", route=""),
    _fault(Target.BOOKS, "book_empty", "answers success with empty data", route=""),
    _fault(Target.BOOKS, "book_hostile",
           "shows one more row, of nobody's order, with hostile values in its numbers", route=""),
    _fault(Target.BOOKS, "status_flap",
           "the order book shows ended orders as still open in every other read, beginning with the first", FOR_GOOD),
    _fault(Target.BOOKS, "status_word",
           "the order book shows open orders as `word`, or in the broker's word for a state on its way",
           FOR_GOOD, word=""),
    _fault(Target.BOOKS, "status_leak",
           "the order book shows each open order in the state of the row above it; with none above, it answers 500",
           FOR_GOOD),
    _fault(Target.CALLS, "rate_limited", "answers 429, whatever the rate", route=""),
    _fault(Target.CALLS, "session_lost", "answers 403 as after the broker session ended", route=""),
    _fault(Target.CALLS, "token_rollover",
           "from `at` (HH:MM Indian time, each day; empty: at once) until `POST /sim/login` answers 403, refuses to "
           "subscribe, and sends no quotes over sockets that stay open", FOR_GOOD, at=""),
    _fault(Target.CALLS, "delay_ms", "waits `ms` before the reply", FOR_GOOD, route="", ms=100.0),
    _fault(Target.UPDATES, "order_updates_off", "does not send the update", FOR_GOOD, status=""),
    _fault(Target.UPDATES, "update_duplicated", "sends the update `times` more", FOR_GOOD, status="", times=1),
    _fault(Target.UPDATES, "update_delayed", "sends the update `seconds` late", FOR_GOOD, status="", seconds=1.0),
    _fault(Target.UPDATES, "update_reordered",
           "sends the update after the one that follows it, or after `seconds` if none does",
           FOR_GOOD, status="", seconds=1.0),
    _fault(Target.UPDATES, "update_hostile",
           "sends a hostile frame before the update: no UTF-8, 1e300, huge, nested, numbers as text",
           FOR_GOOD, status=""),
    _fault(Target.UPDATES, "update_corrupted",
           "sends half of the update's frame, which is no JSON", FOR_GOOD, status=""),
    _fault(Target.QUOTES, "ws_mute", "does not send the quote", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_stall",
           "goes on sending the first quote it met; its time stands still too, unless `restamp`",
           FOR_GOOD, instrument="", restamp=False),
    _fault(Target.QUOTES, "price_wrong",
           "multiplies last price, bid and ask by `factor`", instrument="", factor=10.0),
    _fault(Target.QUOTES, "price_zero", "sends last price, bid and ask as 0", instrument=""),
    _fault(Target.QUOTES, "ws_hostile",
           "sends a hostile frame before the quote: as update_hostile, or an absurd bid", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_corrupted",
           "sends half of the frame, which is no JSON", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_reordered",
           "sends the quote after the next one of its instrument", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_duplicated", "sends the quote `times` more", FOR_GOOD, instrument="", times=1),
    _fault(Target.QUOTES, "ws_drop", "closes all WebSocket connections: at once, then with each next quote"),
)  # fmt: skip
FAULTS: Mapping[str, FaultKind] = MappingProxyType({fault.name: fault for fault in _ALL})


class ActiveFault:
    """A fault that is on: how often it still acts, and its parameters."""

    def __init__(self, setting: FaultSetting) -> None:
        self.left = setting.count
        self.acted = 0
        self._setting = setting
        self._parameters = {**FAULTS[setting.name].defaults, **setting.parameters}
        self._probability = setting.probability
        self._random = Random(setting.seed)

    def row(self) -> dict[str, Value]:
        """How it was set and what it did, as one flat object."""
        setting = self._setting
        chance: dict[str, Value] = {"probability": setting.probability, "seed": setting.seed}
        return {"kind": setting.name, "left": self.left, "acted": self.acted, **chance, **self._parameters}

    def flag(self, name: str) -> bool:
        return bool(self._parameters[name])

    def number(self, name: str) -> float:
        return float(self._parameters[name])

    def text(self, name: str) -> str:
        return str(self._parameters[name])

    def acts(self, where: Mapping[str, str]) -> bool:
        """Whether it acts at this place: no parameter restricts it to another, and chance (seeded) lets it."""
        here = all(self._parameters.get(name) in (None, "", value) for name, value in where.items())
        return here and (self._probability >= 1.0 or self._random.random() < self._probability)


class Faults:
    """The faults that are on; `on_act` is called with the name of each that acts."""

    def __init__(self) -> None:
        self._on: dict[str, ActiveFault] = {}
        self.on_act: Callable[[str], None] | None = None

    def set(self, setting: FaultSetting) -> None:
        """Switch a fault on, or off with count 0; a second setting replaces the first."""
        if setting.count == 0:
            self.end(setting.name)
        else:
            self._on[setting.name] = ActiveFault(setting)

    def end(self, name: str) -> None:
        self._on.pop(name, None)

    def clear(self) -> None:
        self._on.clear()

    def get(self, name: str) -> ActiveFault | None:
        return self._on.get(name)

    def take(self, name: str, **where: str) -> ActiveFault | None:
        """A fault that acts now at this route, instrument or status; its count goes down by one."""
        switch = self._on.get(name)
        if switch is None or not switch.acts(where):
            return None
        switch.acted += 1
        if self.on_act is not None:
            self.on_act(name)
        if switch.left > 0:
            switch.left -= 1
            if switch.left == 0:
                del self._on[name]
        return switch

    def rows(self) -> list[dict[str, Value]]:
        return [switch.row() for switch in self._on.values()]

    def names(self) -> dict[str, int]:
        """The faults that are on, with how often they still act."""
        return {name: switch.left for name, switch in self._on.items()}


def table() -> str:
    """The registry as the table of docs/simulator.md."""
    lines = ["| fault | counts | default count | parameters | what it does |", "|---|---|---|---|---|"]
    for fault in FAULTS.values():
        count = "for good" if fault.count == FOR_GOOD else str(fault.count)
        parameters = ", ".join(f"`{name}={_shown(value)}`" for name, value in fault.defaults.items())
        lines.append(f"| `{fault.name}` | {fault.target.value} | {count} | {parameters} | {fault.does} |")
    return "\n".join(lines)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
