"""What a run left behind, read once it is over: the simulator's books and record, our journals, what was broken when.

Used by `campaign`, which hands it to `judge`. The one rule: nothing here asks a running process; all that counts
survived the kills on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.core.matching import BookOrder, BookPosition
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.commands import CloseGoal, CommandMessage, PlaceEntry, WithdrawEntries
from mytrading.messages.control import TradingState
from mytrading.messages.enums import Product
from mytrading.messages.orders import (
    Goal,
    GoalChanged,
    Order,
    OrderChanged,
    PositionAdjusted,
    PositionChanged,
    UnmanagedChanged,
)
from mytrading.messages.records import DayOpened, LevelMoved
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import unions
from mytrading.runtime.journal import OUTPUT, JournalDamaged, Row, read_segment, segments
from mytrading.simulator.chronicle import Event, read_events

Held = tuple[str, Product]
"""An instrument under a product: what the simulator nets."""


class Broker(NamedTuple):
    """The simulator's side: all orders it ever had, net units now, and what happened when."""

    orders: tuple[BookOrder, ...]
    net: dict[Held, int]
    events: tuple[Event, ...]


class Moved(NamedTuple):
    """A row of the router about an order."""

    machine_ns: int
    event: str
    order: Order


class Ours(NamedTuple):
    """Our side, folded from journals: `submitted` counts the journaled intents to place by client order id."""

    commands: tuple[CommandMessage, ...]
    orders: dict[str, Order]
    goals: dict[str, Goal]
    moves: tuple[Moved, ...]
    submitted: Counter[str]
    net: dict[Held, int]
    unmanaged: dict[Held, int]
    levels: tuple[tuple[int, TradingState], ...]
    losses: tuple[tuple[int, int], ...] = ()
    """When risk noted that the day's loss limit was reached: machine and market ns."""


class Broken(NamedTuple):
    """Something that was done to the stack, from when to when: `what` is a kind of act or the name of a fault."""

    begin_ns: int
    end_ns: int
    what: str
    target: str


class Beat(NamedTuple):
    """A daemon's heartbeat said something new."""

    at_ns: int
    daemon: str
    pid: int
    ready: bool


def read_broker(books: Path) -> Broker:
    """The simulator's side from its books file; `sqlite3.Error` if that cannot be read."""
    db = sqlite3.connect(f"file:{books}?mode=ro", uri=True)
    try:
        orders = _rows(db, "SELECT body FROM orders ORDER BY id", BookOrder)
        positions = _rows(db, "SELECT body FROM positions", BookPosition)
    finally:
        db.close()
    net = {(position.instrument, position.product): position.quantity for position in positions if position.quantity}
    return Broker(tuple(orders), net, tuple(read_events(books)))


def _rows(db: sqlite3.Connection, query: str, kind: Any) -> list[Any]:
    return [msgspec.msgpack.decode(body, type=kind) for (body,) in db.execute(query)]


def read_ours(config: RunConfig) -> Ours:
    """Our side from the journals of the run's state folder."""
    fold = _Fold()
    for daemon, streams in (
        ("router", ("orders", "records")),
        ("risk", ("commands", "records")),
        ("gateway", ("control",)),
    ):
        decoders = {name: StreamDecoder(name) for name in streams if name in unions()}
        for row in _all_rows(config.journal_dir(daemon)):
            if row.stream in decoders and (row.kind == OUTPUT or row.stream == "records"):
                fold.take(row, decoders[row.stream].body(row.body))
    return fold.result()


def _all_rows(folder: Path) -> Iterator[Row]:
    for path in segments(folder):
        try:
            yield from read_segment(path)
        except JournalDamaged:
            return


class _Fold:
    """Levels from rows."""

    def __init__(self) -> None:
        self._commands: list[Any] = []
        self._orders: dict[str, Order] = {}
        self._goals: dict[str, Goal] = {}
        self._moves: list[Moved] = []
        self._submitted = Counter[str]()
        self._positions: dict[tuple[Held, str], int] = {}
        self._unmanaged: dict[Held, int] = {}
        self._levels: list[tuple[int, TradingState]] = []
        self._losses: list[tuple[int, int]] = []

    def take(self, row: Row, message: Any) -> None:
        """Learn one row."""
        if isinstance(message, OrderChanged):
            order = message.order
            self._orders[order.client_order_id] = order
            self._moves.append(Moved(row.machine_ns, message.event, order))
            self._submitted[order.client_order_id] += message.event == "submitted"
        elif isinstance(message, PositionChanged | PositionAdjusted):
            position = message.position
            self._positions[(position.instrument, position.product), position.strategy] = position.quantity
        elif isinstance(message, UnmanagedChanged):
            self._unmanaged[message.instrument, message.product] = message.quantity
        elif isinstance(message, GoalChanged):
            self._goals[message.goal.id] = message.goal
        elif isinstance(message, PlaceEntry | CloseGoal | WithdrawEntries):
            self._commands.append(message)
        elif isinstance(message, TradingState):
            self._levels.append((row.machine_ns, message))
        elif isinstance(message, LevelMoved) and message.name.startswith("daily_loss:"):
            self._losses.append((row.machine_ns, message.at_ns))
        elif isinstance(message, DayOpened):
            self._orders |= {order.client_order_id: order for order in message.orders}

    def result(self) -> Ours:
        """All that was learnt."""
        net: dict[Held, int] = {}
        for (held, _), units in self._positions.items():
            net[held] = net.get(held, 0) + units
        return Ours(
            tuple(self._commands),
            self._orders,
            self._goals,
            tuple(self._moves),
            self._submitted,
            {held: units for held, units in net.items() if units},
            {held: units for held, units in self._unmanaged.items() if units},
            tuple(self._levels),
            tuple(self._losses),
        )


_NANO = 1_000_000_000


def read_broken(log: Path) -> tuple[Broken, ...]:
    """What was done to the stack, from the breaker's log. A fault lasts until the next calm."""
    found: list[Broken] = []
    faults: list[tuple[int, str]] = []
    last = 0
    for row in _lines(log):
        at, act, target = int(row["at_ns"]), str(row["act"]), str(row["target"])
        last = at
        if act == "fault":
            faults += [(at, target)] if row.get("told") else []
        elif act == "calm":
            if row.get("told"):
                found += [Broken(begin, at, name, "simulator") for begin, name in faults]
                faults = []
        elif act == "by_hand":
            found.append(Broken(int(row["began_ns"]), at, act, target))
        elif act != "missed":
            found.append(Broken(at, at + round(float(row.get("seconds", 0.0)) * _NANO), act, target))
    found += [Broken(begin, last, name, "simulator") for begin, name in faults]
    return tuple(sorted(found))


def read_beats(log: Path) -> tuple[Beat, ...]:
    """What the heartbeats said."""
    return tuple(Beat(row["at_ns"], row["daemon"], row["pid"], row["ready"]) for row in _lines(log))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        yield json.loads(line)
