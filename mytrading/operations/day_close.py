"""Closing a day: what happened in it, whether it may be closed, its seal, its export, and what is kept no longer.

Nothing is removed that was not exported and read by everybody who follows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import msgspec

from mytrading.core.orders.state_machine import is_live
from mytrading.core.time import ist_date
from mytrading.messages.account_events import MismatchSeen, UnmanagedChanged
from mytrading.messages.codec import FrameError, StreamDecoder, encode_body
from mytrading.messages.journal_rows import DayOpened, DaySealed
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted, PositionChanged, TradeClosed
from mytrading.messages.run_config import RunConfig
from mytrading.operations.journal_verify import decode_day_file, export_rows
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.journal import day_files
from mytrading.runtime.journal.journal import RECORD, Entry, Journal, JournalDamaged, read_segment

Progress = Callable[[str], None]


class DayBook:
    """Orders, positions and differences at the end of a day, folded from the router's journal."""

    def __init__(self, day: str) -> None:
        self.day = day
        self.orders: dict[str, Order] = {}
        self.positions: dict[OwnerKey, Position] = {}
        self.trades: list[TradeClosed] = []
        self.unmanaged: dict[NetKey, UnmanagedChanged] = {}
        self.mismatches: dict[NetKey, MismatchSeen] = {}
        self.adjusted: list[PositionAdjusted] = []

    def fold(self, message: Any) -> None:
        """Apply a journal row of the router to the day's orders, trades and positions."""
        if isinstance(message, DayOpened):
            self.trades, self.adjusted, self.unmanaged, self.mismatches = [], [], {}, {}
            self.orders = {order.client_order_id: order for order in message.orders}
            self.positions = {position.owner: position for position in message.positions}
            for part in (*message.unmanaged, *message.mismatches):
                self.fold(part)
        elif isinstance(message, OrderChanged):
            self.orders[message.order.client_order_id] = message.order
        elif isinstance(message, PositionChanged | PositionAdjusted):
            self.positions |= {position.owner: position for position in message.levels}
            if isinstance(message, PositionAdjusted):
                self.adjusted.append(message)
        elif isinstance(message, TradeClosed):
            self.trades.append(message)
        elif isinstance(message, UnmanagedChanged):
            self.unmanaged[message.net] = message
        elif isinstance(message, MismatchSeen):
            self.mismatches.pop(message.net, None)
            if not message.cleared:
                self.mismatches[message.net] = message

    @property
    def open_positions(self) -> list[Position]:
        """The positions that are not flat, by confirmed or only reported units."""
        return [position for position in self.positions.values() if position.quantity or position.quantity_seen]

    def live_orders(self) -> list[Order]:
        """Return the orders that have not ended."""
        return [order for order in self.orders.values() if is_live(order)]

    def summary(self) -> dict[str, Any]:
        """Return the day's orders by state, trades, realised rupees, positions, differences; `fees` None (unknown)."""
        states = Counter(order.state.value for order in self.orders.values())
        return {
            "day": self.day,
            "orders": {"all": len(self.orders), **dict(sorted(states.items()))},
            "trades": len(self.trades),
            "realised": round(sum(position.realised for position in self.positions.values()), 2),
            "fees": None,
            "positions": [_plain(position) for position in self.open_positions],
            "differences": {
                "corrected": [
                    f"{row.cause}: {row.position.strategy} {row.quantity:+d} {row.position.instrument}, "
                    f"{row.position.quantity} left"
                    for row in self.adjusted
                ],
                "unmanaged": [_plain(row) for row in self.unmanaged.values() if row.quantity],
                "disputed": [_plain(row) for row in self.mismatches.values()],
            },
        }


def _plain(row: msgspec.Struct) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(row)
    return {name: body[name] for name in ("account", "instrument", "product", "strategy", "quantity") if name in body}


def day_book(files: list[day_files.DayFile], day: str, whole: bool = True) -> DayBook:
    """Return a day's orders, positions and trades by the router's journal; empty if there is none.

    Raises `JournalDamaged` at a row that cannot be read; unless `whole`, the book ends there instead.
    """
    book, decoders = DayBook(day), {name: StreamDecoder(name) for name in ("orders", "records")}
    for path in (file.path for file in files if (file.daemon, file.day) == ("router", day)):
        try:
            for row in read_segment(path):
                if row.stream in decoders:
                    book.fold(decoders[row.stream].decode_body(row.body))
        except FrameError as error:
            if whole:
                raise JournalDamaged(f"{path}: row {row.seq} cannot be read: {error}") from error
            break
        except JournalDamaged:
            if whole:
                raise
            break
    return book


def market_now_ns(config: RunConfig) -> int:
    """Return market time now (ns UTC); for a stopped simulated market, where it was last seen."""
    clock = MarketClock.load(config.clock_path)
    stopped_at = clock.resume_point() if config.simulator.embedded else None
    return clock.now() if stopped_at is None else stopped_at


def why_not_over(config: RunConfig, book: DayBook) -> str:
    """Return why the day is not over (an exchange's session has not ended), "" if it is."""
    day = book.day
    calendar = MarketTables(config, keep=False).calendar
    now = market_now_ns(config)
    if day > ist_date(now).isoformat():
        return f"the market is at {ist_date(now)}"
    watched = (*config.data.watch, *(symbol for run in config.strategies for symbol in run.symbols))
    ordered = (order.instrument for order in book.orders.values())
    held = (position.instrument for position in book.positions.values())
    exchanges = {name.split(":")[0].removesuffix("_INDEX") for name in (*watched, *ordered, *held)}
    for exchange in sorted(exchanges & set(calendar.exchanges)):
        session = calendar.session(exchange, date.fromisoformat(day))
        if session is not None and session.close_ns > now:
            return f"the session of {exchange} has not ended"
    return ""


def journal_damage(files: list[day_files.DayFile], day: str) -> Iterator[str]:
    """Yield a text for each damaged one among the day's journal files."""
    for file in files:
        try:
            for _ in read_segment(file.path) if file.day == day else ():
                pass
        except JournalDamaged as error:
            yield str(error)


def seal_day(config: RunConfig, files: list[day_files.DayFile], day: str) -> list[str]:
    """Write the row that ends the day to its open journal files, with daemons stopped; returns those daemons."""
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    newest = {file.daemon: file for file in files}
    done = []
    for daemon, file in newest.items():
        if file.day != day or file.sealed_for:
            continue
        journal = Journal(config.journal_dir(daemon), daemon, day, config.process.journal_reserve_bytes)
        now = market_now_ns(config)
        row = DaySealed(day=day, next_day=following, at_ns=now)
        journal.seal(Entry(RECORD, "records", encode_body(row)), following, now, machine_now())
        journal.close()
        done.append(daemon)
    return done


def export_closed_days(config: RunConfig, progress: Progress) -> list[dict[str, Any]]:
    """Export each closed day not yet in the archive to Parquet; returns a JSON row per file. `progress` gets texts."""
    written = []
    for file in day_files.files_to_export(config):
        target = day_files.parquet_of(config, file.daemon, file.day)
        target.parent.mkdir(parents=True, exist_ok=True)
        progress(f"exporting {file.daemon} {file.day}: {file.rows} rows")
        part = target.with_suffix(".part")
        part.unlink(missing_ok=True)
        rows = export_rows(decode_day_file(file.daemon, file.path), part)
        part.replace(target)
        note = day_files.Exported(daemon=file.daemon, day=file.day, rows=rows, size=target.stat().st_size)
        day_files.export_note_path(config, file.daemon, file.day).write_bytes(msgspec.json.encode(note))
        written.append({"daemon": file.daemon, "day": file.day, "rows": rows, "file": str(target)})
    return written


def remove_old_journals(config: RunConfig) -> list[str]:
    """Remove journal files older than the retention, if exported and read by all readers; returns their paths."""
    before = (ist_date(market_now_ns(config)) - timedelta(days=config.process.journal_keep_days)).isoformat()
    gone = []
    for file in day_files.removable_files(config, before):
        for part in file.path.parent.glob(f"{file.path.name}*"):
            part.unlink()
        gone.append(str(file.path))
    return gone


def lagging_readers(files: list[day_files.DayFile], config: RunConfig, day: str) -> list[str]:
    """Return a text for each reader that has not read the day's rows to their end."""
    return [text for file in files if file.day == day for text in day_files.readers_behind(config, file)]
