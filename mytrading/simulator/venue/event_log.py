"""The event log of the simulator by machine time: order calls, faults, orders, positions, each start.

Kept in the books file if wanted, and read by `mytrading chaos` after the end. A change of the books and its events
commit together, so that a kill leaves both or neither.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.core.exchange.model import BookOrder, BookPosition, ExchangeChanges
from mytrading.runtime.host.clock import machine_now

STARTED, CALL, FAULT, ORDER, POSITION = "started", "call", "fault", "order", "position"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, machine_ns INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL
);
"""
_encode = msgspec.msgpack.Encoder().encode
_TYPES: dict[str, type] = {STARTED: int, CALL: str, FAULT: str, ORDER: BookOrder, POSITION: BookPosition}
_DECODERS: dict[str, Any] = {kind: msgspec.msgpack.Decoder(body) for kind, body in _TYPES.items()}


class LoggedEvent(NamedTuple):
    """One event: `body` is a pid, the name of a route or of a fault, an order or a position."""

    machine_ns: int
    kind: str
    body: Any


class EventLog:
    """Appends to the event log, on the connection of the books."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(_SCHEMA)
        self._add(machine_now(), STARTED, os.getpid())

    def log_call(self, route: str, received_ns: int) -> None:
        """Log the receipt of an order call at `received_ns` (machine time), whatever its outcome."""
        self._add(received_ns, CALL, route)

    def log_fault(self, name: str) -> None:
        """Log that the fault `name` altered one request, fill or frame."""
        self._add(machine_now(), FAULT, name)

    def log_changes(self, changes: ExchangeChanges) -> None:
        """Log changed orders and positions, in the transaction that changes the books."""
        now = machine_now()
        for order in changes.orders:
            self._add(now, ORDER, order)
        for position in changes.positions:
            self._add(now, POSITION, position)
        for instrument, product in changes.gone:
            self._add(now, POSITION, BookPosition(instrument=instrument, product=product))

    def _add(self, machine_ns: int, kind: str, body: Any) -> None:
        self._db.execute("INSERT INTO events VALUES (NULL, ?, ?, ?)", (machine_ns, kind, _encode(body)))


def read_events(path: Path, skip: int = 0) -> Iterator[LoggedEvent]:
    """Yield the events in a books file but the first `skip`, oldest first; none if none were kept. Raises
    `sqlite3.Error`."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone() is None:
            return
        for machine_ns, kind, body in db.execute(
            "SELECT machine_ns, kind, body FROM events ORDER BY seq LIMIT -1 OFFSET ?", (skip,)
        ):
            yield LoggedEvent(machine_ns, kind, _DECODERS[kind].decode(body))
