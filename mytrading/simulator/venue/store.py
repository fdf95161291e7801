"""The exchange's books on disk: SQLite in WAL mode, one transaction per change.

What a client received survives `kill -9`, because `save` commits before the answer is sent. The log has room of its own
for fills on a full disk. Rows are replaced by key, so saving the same change twice changes nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from mytrading.adapters.storage.disk_reserve import LogReserve
from mytrading.adapters.storage.shared_database import Writer, open_to_write
from mytrading.core.exchange import model
from mytrading.core.exchange.gtt import Trigger
from mytrading.simulator.venue.event_log import EventLog

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, day TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS trades (id TEXT PRIMARY KEY, day TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS positions (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS holdings (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS triggers (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS market (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS orders_by_day ON orders (day);
CREATE INDEX IF NOT EXISTS trades_by_day ON trades (day);
"""

_ORDER = "SELECT body FROM orders WHERE id = ?"
_ORDERS = "SELECT body FROM orders WHERE day = ? ORDER BY id"
RESERVE_BYTES = 4 << 20
_T = TypeVar("_T")
_encode = msgspec.msgpack.Encoder().encode


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs from which the market of these books was made; a restart must use the same."""

    seed: int
    anchor: str


class BadBooks(ValueError):
    """A books file that cannot be read; the message says which and what to do."""


class BookStore:
    """Keeps the books in a file, or in memory without one."""

    def __init__(self, path: Path | None, *, record: bool = False) -> None:
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = open_to_write(path) if path else sqlite3.connect(":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint=0")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise BadBooks(f"{path}: expected the simulator's books, found: {error}; move the file aside") from error
        self._reserve = LogReserve(path, RESERVE_BYTES) if path is not None else None
        self.event_log = EventLog(self._db) if record else None

    def load(self, capital: float) -> model.BooksSnapshot:
        """Load the saved books, with today's orders and trades, or new ones with `capital` rupees."""
        if (row := self._db.execute("SELECT body FROM account").fetchone()) is None:
            return model.BooksSnapshot(account=model.Account(capital=capital))
        account = self._decode(row[0], model.Account)
        return model.BooksSnapshot(
            account=account,
            orders=tuple(self._orders(account)),
            trades=tuple(self._rows("SELECT body FROM trades WHERE day = ? ORDER BY id", model.BookTrade, account.day)),
            positions=tuple(self._rows("SELECT body FROM positions ORDER BY rowid", model.BookPosition)),
            holdings=tuple(self._rows("SELECT body FROM holdings ORDER BY rowid", model.Holding)),
        )

    def save(self, changes: model.ExchangeChanges) -> None:
        """Commit a change of the books, with its events if they are recorded."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            for order in changes.orders:
                self._put("orders(id, day, body)", order.order_id, order.day, _encode(order))
            for trade in changes.trades:
                self._put("trades(id, day, body)", trade.trade_id, trade.day, _encode(trade))
            for position in changes.positions:
                self._put("positions(id, body)", f"{position.instrument} {position.product}", _encode(position))
            for instrument, product in changes.gone:
                db.execute("DELETE FROM positions WHERE id = ?", (f"{instrument} {product}",))
            for holding in changes.holdings:
                self._put("holdings(id, body)", holding.instrument, _encode(holding))
            self._put("account(id, body)", 1, _encode(changes.account))
            if self.event_log is not None:
                self.event_log.log_changes(changes)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def triggers(self) -> list[Trigger]:
        """Return all GTT triggers, oldest first."""
        return list(self._rows("SELECT body FROM triggers ORDER BY rowid", Trigger))

    def save_trigger(self, trigger: Trigger) -> None:
        """Commit a GTT trigger, in place of the one stored under its id."""
        text = "INSERT INTO triggers VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        self._db.execute(text, (trigger.trigger_id, _encode(trigger)))

    def _orders(self, account: model.Account) -> list[model.BookOrder]:
        """Orders that outlived an earlier day, then those of the account's day."""
        kept = [order for name in account.kept for order in self._rows(_ORDER, model.BookOrder, name)]
        return [*kept, *self._rows(_ORDERS, model.BookOrder, account.day)]

    def origin(self) -> Origin | None:
        """Return the recorded market settings of these books, None if none were recorded."""
        row = self._db.execute("SELECT body FROM market").fetchone()
        return None if row is None else self._decode(row[0], Origin)

    def record_origin(self, origin: Origin) -> None:
        """Commit the market settings that these books begin with."""
        self._put("market(id, body)", 1, _encode(origin))

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, on an own connection, so that it may run in a thread."""
        if self._path is None:
            return
        if self._reserve is not None:
            self._reserve.refill()
        with closing(sqlite3.connect(str(self._path))) as db, suppress(sqlite3.OperationalError):
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file; while the disk is low its log stays for the next start."""
        self._db.close_keeping_log() if isinstance(self._db, Writer) else self._db.close()

    def _put(self, into: str, *values: object) -> None:
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO {into} VALUES ({marks})", values)

    def _rows(self, query: str, kind: type[_T], *arguments: str) -> list[_T]:
        return [self._decode(row[0], kind) for row in self._db.execute(query, arguments)]

    def _decode(self, body: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.msgpack.decode(body, type=kind)
        except msgspec.DecodeError as error:
            name = kind.__name__
            raise BadBooks(f"{self._path}: expected a stored {name}, found: {error}; move the file aside") from error
