"""The records of a run, read once it is over: the simulator's books and events, our journals, faults and their times.

Nothing here asks a running process; all that counts survived the kills on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.core.exchange.model import BookOrder, BookPosition
from mytrading.core.risk.pnl.day_pnl import STRATEGY
from mytrading.core.risk.pnl.equity_memory import FIRED, level_name
from mytrading.core.time import SECOND
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.commands import CloseGoal, CommandMessage, PlaceEntry, WithdrawEntries
from mytrading.messages.control import Alert, CancelRequested, FlattenRequested, ModifyRequested, TradingState
from mytrading.messages.enums import LimitKind, Product
from mytrading.messages.journal_rows import DayOpened, LevelMoved
from mytrading.messages.orders import (
    Flatten,
    FlattenChanged,
    Goal,
    GoalChanged,
    Order,
    OrderChanged,
    PositionAdjusted,
    PositionChanged,
    RequestAnswered,
)
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import unions
from mytrading.runtime.journal.journal import OUTPUT, RECORD, JournalDamaged, Row, read_segment, segments
from mytrading.simulator.venue.event_log import LoggedEvent, read_events

Held = tuple[str, Product]
"""An instrument under a product: what the simulator nets."""


class Broker(NamedTuple):
    """The simulator's side: all orders it ever had, net units now, and what happened when."""

    orders: tuple[BookOrder, ...]
    net: dict[Held, int]
    events: tuple[LoggedEvent, ...]


class Moved(NamedTuple):
    """A row of the router about an order."""

    machine_ns: int
    event: str
    order: Order


class Loss(NamedTuple):
    """Risk noted that a loss limit of the day was reached, of one strategy or (empty) of the account."""

    machine_ns: int
    market_ns: int
    strategy: str = ""


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
    losses: tuple[Loss, ...] = ()
    commanded: dict[str, int] = {}  # noqa: RUF012  (never changed)
    """Times at which risk decided each entry and exit: machine ns by id."""
    asked: tuple[FlattenRequested, ...] = ()
    """Requests of the operator to be flat."""
    flattens: dict[str, Flatten] = {}  # noqa: RUF012  (never changed)
    requests: tuple[CancelRequested | ModifyRequested, ...] = ()
    """Requests of the operator for single orders, of any account."""
    unknown_orders: frozenset[str] = frozenset()
    """Orders for which the router said that it does not know them."""
    answered: frozenset[str] = frozenset()
    """Requests that the router refused, or ended for a later one, by an answer beside their order."""


class Broken(NamedTuple):
    """An act against the stack, with its begin and end: `what` is a kind of act or the name of a fault."""

    begin_ns: int
    end_ns: int
    what: str
    target: str
    account: str = ""
    """Account whose server the act was against; empty if it was against no server."""
    sure: bool = True
    """False of a fault whose server gave no answer in time: it may be on, or not."""


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


def read_ours(config: RunConfig) -> dict[str, Ours]:
    """Our side by account, from the journals of the run's state folder."""
    folds = {account.id: Fold(account.id) for account in config.order_accounts}
    for daemon, streams in (
        ("router", ("orders", "records", "status")),
        ("risk", ("commands", "records")),
        ("gateway", ("control",)),
    ):
        decoders = {name: StreamDecoder(name) for name in streams if name in unions()}
        for row in _all_rows(config.journal_dir(daemon)):
            if row.stream in decoders and (row.kind == OUTPUT or (row.kind == RECORD and row.stream in _OWN)):
                _hand_out(row, decoders[row.stream].decode_body(row.body), folds)
    return {name: fold.result() for name, fold in folds.items()}


def _hand_out(row: Row, message: Any, folds: dict[str, Fold]) -> None:
    """Give a message to its account; what names none concerns all."""
    if isinstance(message, DayOpened):
        for name, fold in folds.items():
            fold.begin(order for order in message.orders if order.account == name)
        return
    inner = next((getattr(message, name) for name in _INNER if hasattr(message, name)), message)
    account = getattr(inner, "account", "")
    for name, fold in folds.items():
        if account in ("", name):
            fold.take(row, message)


def _all_rows(folder: Path) -> Iterator[Row]:
    for path in segments(folder):
        try:
            yield from read_segment(path)
        except JournalDamaged:
            return


_OWN = ("records", "status")
"""Streams of rows that a journal keeps for itself."""
_INNER = ("order", "position", "goal", "flatten")
"""The fields in which messages carry a level."""
_LOSS_FIRED = level_name(FIRED, LimitKind.DAILY_LOSS, "", "").strip() + " "


class Fold:
    """The levels of one account, from rows."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._commands: list[Any] = []
        self._orders: dict[str, Order] = {}
        self._goals: dict[str, Goal] = {}
        self._moves: list[Moved] = []
        self._submitted = Counter[str]()
        self._positions: dict[tuple[Held, str], int] = {}
        self._unmanaged: dict[Held, int] = {}
        self._levels: list[tuple[int, TradingState]] = []
        self._losses: list[Loss] = []
        self._commanded: dict[str, int] = {}
        self._flatten_requests: list[FlattenRequested] = []
        self._flattens: dict[str, Flatten] = {}
        self._requests: list[CancelRequested | ModifyRequested] = []
        self._unknown_orders: set[str] = set()
        self._answered: set[str] = set()

    def begin(self, orders: Iterable[Order]) -> None:
        """Learn what the day began with."""
        self._orders |= {order.client_order_id: order for order in orders}

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
            self._commanded[message.id] = row.machine_ns
        elif isinstance(message, FlattenRequested):
            self._flatten_requests.append(message)
        elif isinstance(message, CancelRequested | ModifyRequested):
            self._requests.append(message)
        elif isinstance(message, Alert) and message.code == "REQUEST_UNKNOWN":
            self._unknown_orders.add(message.subject)
        elif isinstance(message, RequestAnswered):
            self._answered.add(message.id)
        elif isinstance(message, FlattenChanged):
            self._flattens[message.flatten.id] = message.flatten
        elif isinstance(message, TradingState):
            self._levels.append((row.machine_ns, message))
        elif isinstance(message, LevelMoved) and message.name.startswith(_LOSS_FIRED) and message.value:
            self._lost(row.machine_ns, message)

    def _lost(self, machine_ns: int, message: LevelMoved) -> None:
        scope, _, name = message.name.removeprefix(_LOSS_FIRED).partition(" ")
        if scope == STRATEGY:
            self._losses.append(Loss(machine_ns, message.at_ns, name))
        elif name == self._account:
            self._losses.append(Loss(machine_ns, message.at_ns))

    def result(self) -> Ours:
        """Return the facts learnt so far."""
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
            self._commanded,
            tuple(self._flatten_requests),
            self._flattens,
            tuple(self._requests),
            frozenset(self._unknown_orders),
            frozenset(self._answered),
        )


def read_broken(log: Path) -> tuple[Broken, ...]:
    """Return the faults of the stack, from the injector's log. A fault lasts until the next calm that was answered."""
    found: list[Broken] = []
    faults: list[tuple[int, str, str, bool]] = []
    last = 0
    for row in _lines(log):
        at, act, target = int(row["at_ns"]), str(row["act"]), str(row["target"])
        account = str(row.get("account", ""))
        last = at
        if act == "fault":
            faults.append((at, target, account, bool(row.get("confirmed"))))
        elif act == "calm":
            if row.get("confirmed"):
                found += [_fault(fault, at) for fault in faults if fault[2] == account]
                faults = [fault for fault in faults if fault[2] != account]
        elif "began_ns" in row:
            found.append(Broken(int(row["began_ns"]), at, act, target, account))
        elif act != "missed":
            found.append(Broken(at, at + round(float(row.get("seconds", 0.0)) * SECOND), act, target, account))
    found += [_fault(fault, last) for fault in faults]
    return tuple(sorted(found))


def _fault(fault: tuple[int, str, str, bool], end_ns: int) -> Broken:
    begin_ns, what, account, sure = fault
    return Broken(begin_ns, end_ns, what, "simulator", account, sure)


def read_beats(log: Path) -> tuple[Beat, ...]:
    """Return the recorded heartbeats."""
    return tuple(Beat(row["at_ns"], row["daemon"], row["pid"], row["ready"]) for row in _lines(log))


def read_crashes(log: Path) -> tuple[str, ...]:
    """A line for each daemon that ended by an exception, by the log of errors; a full disk may have kept some out."""
    return tuple(
        f"{row['component']} crashed at {row['time']}: {str(row.get('exception', '')).strip().splitlines()[-1]}"
        for row in _whole(log)
        if row.get("event") == "daemon.crashed"
    )


def _whole(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log that are whole: a killed process, or a full disk, leaves part of one."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        yield json.loads(line)
