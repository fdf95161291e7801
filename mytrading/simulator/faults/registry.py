"""The registry of faults, by which the simulator misbehaves as real servers were seen to, and their settings.

`FAULTS` lists all kinds; `Faults` holds those switched on. A counted fault ends by itself. Settings come from a request
body, a file, or `NAME:probability|xCOUNT|key=value,…`, with the same fields; an unknown field is refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import msgspec

from mytrading.messages.enums import BrokerStatus, OrderType
from mytrading.simulator.formats.answers import FAILURES
from mytrading.simulator.formats.schema import ACCOUNT, Errors, Field, Schema
from mytrading.simulator.settings.options import BadOption, FaultSetting, Value

FOR_GOOD = -1


class Target(StrEnum):
    """Calls or messages that a fault acts on, and that its count counts."""

    ORDERS = "order calls"
    FILLS = "fills"
    BOOKS = "book reads"
    CALLS = "REST calls"
    UPDATES = "order updates"
    QUOTES = "quotes sent"
    CLOSES = "events of the close"


ORDER_ROUTES = ("placeorder", "modifyorder", "cancelorder")
BOOK_ROUTES = ("orderbook", "tradebook", "positionbook", "funds")
# The routes a fault's `route` may name; where its target is not listed, any route will do.
ROUTES_OF: Mapping[Target, tuple[str, ...]] = MappingProxyType({Target.ORDERS: ORDER_ROUTES, Target.BOOKS: BOOK_ROUTES})


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault: `defaults` are its parameters, `count` how often it acts by default (-1: for good).

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
    _fault(Target.ORDERS, "place_no_id",
           "answers success with orderid null, or with `orderid`; places only with `placed`", placed=False, orderid=""),
    _fault(Target.ORDERS, "reject",
           "refuses a new order with `reason`, answered as behind that broker; with `late` accepts it, then rejects it "
           "in the book", late=False, reason="Rejected by the risk desk", side="", instrument="", pricetype=""),
    _fault(Target.ORDERS, "refuse", "has the broker refuse the call with `reason`, answered as behind that broker",
           route="", reason="Rejected by the risk desk"),
    _fault(Target.ORDERS, "undone", "answers success to a change or cancel, and leaves the order as it is", route=""),
    _fault(Target.ORDERS, "semi_auto",
           "parks a new order, a basket or split as a whole: success with pending_order_id and mode semi_auto; on for "
           "good, a live server also answers 403 to changes and cancels", side="", instrument=""),
    _fault(Target.FILLS, "partial_fill",
           "fills `fraction` of what an order still asks for, in whole lots; the rest stays for the next tick",
           instrument="", fraction=0.5),
    _fault(Target.BOOKS, "book_500", "answers 500", route=""),
    _fault(Target.BOOKS, "book_empty", "answers success with empty data", route=""),
    _fault(Target.BOOKS, "broker_failure",
           "answers as a live server whose broker fails: `failure` is auth, 429, 502html or timeout",
           FOR_GOOD, route="", failure="auth"),
    _fault(Target.BOOKS, "book_partial",
           "leaves live orders out of the order book, and positions of `symbol` (empty: all) out of the position book",
           FOR_GOOD, route="", symbol=""),
    _fault(Target.BOOKS, "foreign_row",
           "shows one more row, of a stranger's order, trade or position; without `listed` its instrument is not in "
           "the server's master contract; a `product` that is none of ours is the broker's own", FOR_GOOD,
           route="", instrument="NSE:TITAN", product="CNC", side="BUY", quantity=10,
           price=3000.0, status="complete", listed=True),
    _fault(Target.BOOKS, "master_miss",
           "shows rows of `symbol` (empty: all) as of an instrument that the server's master contract lacks",
           FOR_GOOD, route="", symbol=""),
    _fault(Target.BOOKS, "book_hostile",
           "shows one more row, of an order without owner, with hostile values in its numbers", route=""),
    _fault(Target.BOOKS, "status_flap",
           "the order book shows ended orders as still open in every other read, beginning with the first", FOR_GOOD),
    _fault(Target.BOOKS, "status_word",
           "the order book shows open orders as `word`, or in what becomes of the broker's own word `raw`, or of one "
           "for a state on its way", FOR_GOOD, word="", raw=""),
    _fault(Target.BOOKS, "status_leak",
           "the order book shows each open order in the state of the row above it; with none above, it answers 500",
           FOR_GOOD),
    _fault(Target.BOOKS, "trades_late",
           "the trade book alone shows each trade only `seconds` of market time after it was made", FOR_GOOD,
           seconds=6.0),
    _fault(Target.BOOKS, "login_missing",
           "from `at` (HH:MM Indian time, each day; empty: at once) until `POST /sim/login` answers success with empty "
           "books and funds, as many servers do before the login of the morning", FOR_GOOD, at=""),
    _fault(Target.CALLS, "rate_limited", "answers 429, whatever the rate", route=""),
    _fault(Target.CALLS, "session_lost", "answers 403 as after the broker session ended", route=""),
    _fault(Target.CALLS, "token_rollover",
           "from `at` (HH:MM Indian time, each day; empty: at once) until `POST /sim/login` answers 403, refuses to "
           "subscribe, and sends no quotes over sockets that stay open", FOR_GOOD, at=""),
    _fault(Target.CALLS, "list_wrong",
           "lists contracts of `underlying`, of one expiry if `only` names it (01DEC26), with another `lot` or `tick`, "
           "strikes `strike` rupees higher, calls and puts `swapped`, this `expiry` column, or not at all (`missing`)",
           FOR_GOOD, underlying="NIFTY", only="", lot=0.0, tick=0.0, strike=0.0, swapped=False, expiry="",
           missing=False),
    _fault(Target.CALLS, "delay_ms", "waits `ms` before the reply", FOR_GOOD, route="", ms=100.0),
    _fault(Target.CALLS, "history_failure",
           "has the broker fail on history, answered as behind that broker: with 500, or success and no bars; with "
           "`chunk` on the first third of a range alone, which some leave out",
           FOR_GOOD, instrument="", chunk=False),
    _fault(Target.CALLS, "server_abroad",
           "gives minute bars as a server whose zone is not India, where the broker's stamps have none", FOR_GOOD),
    _fault(Target.CALLS, "quotes_bare",
           "makes rows of REST quotes from the last price alone, at brokers that do so", FOR_GOOD, route=""),
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
    _fault(Target.QUOTES, "side_empty",
           "sends quotes without an offer of a `side`, as at a circuit", FOR_GOOD, instrument="", side="SELL"),
    _fault(Target.QUOTES, "ltp_wrong",
           "sends `ltp` as the last price, with bid, ask and volume as they are", instrument="", ltp=0.0),
    _fault(Target.QUOTES, "depth_price_zero",
           "sends Depth frames with a last price of 0, other frames as they are", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_hostile",
           "sends a hostile frame before the quote: as update_hostile, or an absurd bid", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_corrupted",
           "sends half of the frame, which is no JSON", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_reordered",
           "sends the quote after the next one of its instrument", FOR_GOOD, instrument=""),
    _fault(Target.QUOTES, "ws_duplicated", "sends the quote `times` more", FOR_GOOD, instrument="", times=1),
    _fault(Target.FILLS, "quotes_pause",
           "sends no quote of any instrument for `seconds` of market time after each position that closes, with "
           "`ended` after each order that ends too; REST goes on", FOR_GOOD, seconds=10.0, ended=False),
    _fault(Target.CLOSES, "orders_kept",
           "in analyze mode keeps live NRML orders over the night, as the sandbox does: from 03:00 on the order book "
           "hides them, yet they fill, `orderstatus` shows them and `cancelorder` ends them", FOR_GOOD, instrument=""),
    _fault(Target.CLOSES, "settled_late",
           "settles expired contracts, and ends their orders, so many `seconds` after the close", FOR_GOOD,
           seconds=2.0),
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
        """Return the fault's setting and how often it acted, as one flat object."""
        setting = self._setting
        chance: dict[str, Value] = {"probability": setting.probability, "seed": setting.seed}
        return {"kind": setting.name, "left": self.left, "acted": self.acted, **chance, **self._parameters}

    def flag(self, name: str) -> bool:
        """Return a yes-or-no parameter of the fault."""
        return bool(self._parameters[name])

    def number(self, name: str) -> float:
        """Return a numeric parameter of the fault."""
        return float(self._parameters[name])

    def text(self, name: str) -> str:
        """Return a text parameter of the fault."""
        return str(self._parameters[name])

    def matches(self, where: Mapping[str, str]) -> bool:
        """Return whether the parameters fit `where` (route, instrument or status) and the seeded chance, drawn now."""
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
        """Switch one fault off, if it is on."""
        self._on.pop(name, None)

    def clear(self) -> None:
        """Switch all faults off."""
        self._on.clear()

    def get(self, name: str) -> ActiveFault | None:
        """Return the named fault if it is on, without counting an action of it."""
        return self._on.get(name)

    def fire(self, name: str, **where: str) -> ActiveFault | None:
        """Return the named fault if it acts now at this route, instrument or status, and count that; else None."""
        if (switch := self._on.get(name)) is None or not switch.matches(where):
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
        """Return the setting and effect of each fault that is on, as JSON rows."""
        return [switch.row() for switch in self._on.values()]

    def names(self) -> dict[str, int]:
        """Return the names of the faults that are on, with how often they still act."""
        return {name: switch.left for name, switch in self._on.items()}


def fault_table() -> str:
    """Return the fault registry as the Markdown table of docs/simulator.md."""
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


HOW_TO = "see `mytrading simulator --list-faults`"
_COMMON: Mapping[str, type] = {"count": int, "probability": float, "seed": int}
_TYPE_WORDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_TIMES = re.compile(r"x(\d+)")
_NAMES = ("kind", *_COMMON, *{name: None for fault in FAULTS.values() for name in fault.defaults})
FAULT: Schema = {**ACCOUNT, **{name: Field(lambda value: value, name == "kind") for name in _NAMES}}
"""The fields of `POST /sim/fault`; which of them a fault has, and of what type, is checked in `parse_fault_setting`."""
FAULT_NAME: Schema = {**ACCOUNT, "kind": Field(str, False, "")}
"""The fields of `DELETE /sim/fault`."""


def parse_fault_setting(row: Mapping[str, Any]) -> tuple[FaultSetting | None, Errors]:
    """Parse a row with `kind` as a fault setting; None and the errors by field if it is unusable."""
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


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "failure": FAILURES,
    "pricetype": ("", *OrderType),
    "foreign_row.status": tuple(status for status in BrokerStatus if status is not BrokerStatus.OTHER),
    "foreign_row.side": ("BUY", "SELL"),
}
"""What a parameter may be, by its name, or by fault and name."""


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
    known = _CHOICES.get(f"{fault.name}.{name}", _CHOICES.get(name, ()))
    if known and value not in known:
        return f"Must be one of: {', '.join(filter(None, known))}."
    if fault.name == "foreign_row" and name == "instrument" and not all(str(value).partition(":")):
        return "Must be EXCHANGE:SYMBOL."
    if name == "fraction" and not 0 < float(value) < 1:
        return "Must be above 0 and below 1."
    if isinstance(value, int | float) and not 0 <= value < float("inf"):
        return "Must be 0 or more."
    return ""


def route_problem(wanted: FaultSetting, routes: Collection[str]) -> str:
    """Return why a setting's route is refused (none of the server's `routes`); "" if it is fine."""
    route = wanted.parameters.get("route", "")
    return f"Must be one of: {', '.join(routes)}." if route and route not in routes else ""


def fault_fields(text: str) -> dict[str, Any]:
    """Split `NAME[:probability|xCOUNT|key=value,…]` into its fields; `BadOption` if malformed."""
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


def parse_fault_option(text: str) -> FaultSetting:
    """Parse `NAME[:probability|xCOUNT|key=value,…]` as a fault setting; raises `BadOption`."""
    return _usable(fault_fields(text), f"fault {text}")


def read_fault_file(path: Path) -> tuple[FaultSetting, ...]:
    """Read fault settings: TOML with `[[fault]]` tables, or a JSON list, bare or under `fault`. Raises `BadOption`."""
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
    made, errors = parse_fault_setting(row)
    if made is None:
        wrong = (f"{name}: {' '.join(texts)} Found: {row.get(name)!r}" for name, texts in errors.items())
        raise BadOption(f"{where}: {'; '.join(wrong)}; {HOW_TO}")
    return made


class FaultFile:
    """A file of faults, read again when it was edited. `problem_of` returns why a setting is refused, or ""."""

    def __init__(self, path: Path, faults: Faults, problem_of: Callable[[FaultSetting], str]) -> None:
        self._path, self._faults, self._problem_of = path, faults, problem_of
        self._known = {setting.name: setting for setting in read_fault_file(path)}

    def read(self) -> None:
        """Set faults that are new or changed in the file, end those removed from it; `BadOption` changes nothing."""
        wanted = {setting.name: setting for setting in read_fault_file(self._path)}
        for setting in wanted.values():
            if problem := self._problem_of(setting):
                raise BadOption(f"--faults {self._path}: fault {setting.name}: {problem}")
        for name in self._known.keys() - wanted.keys():
            self._faults.end(name)
        for name, setting in wanted.items():
            if self._known.get(name) != setting:
                self._faults.set(setting)
        self._known = wanted
