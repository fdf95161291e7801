"""A daemon around a pure machine: it takes messages, decides, journals and sends.

For each input: `apply` it, `decide` on it, commit input and decisions in one transaction, `act` on the decisions,
send and `apply` them. Nothing is sent before the commit returns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from mytrading import __version__
from mytrading.core.time import SECOND, day_end, iso_day
from mytrading.messages.codec import encode_body
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import DaySealed, FileTaken, RunStarted
from mytrading.messages.orders import TimerFired
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import INTERNAL, SCHEMA_VERSION, STREAMS, Pattern, unions
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.daemon.journal_follower import CATCH_UP_S, JournalFollower
from mytrading.runtime.daemon.lockstep import Progress
from mytrading.runtime.daemon.startup import Machine, Startup
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import (
    INPUT,
    OUTPUT,
    RECORD,
    Cursor,
    Entry,
    Journal,
    JournalDamaged,
    JournalFull,
    Row,
)
from mytrading.runtime.recovery.journal_rebuild import set_aside
from mytrading.runtime.recovery.quarantine import Quarantine
from mytrading.runtime.streams.zmq_streams import PushSocket, ZMQPublisher

WRITE_S = 0.1
MOST_UNWRITTEN = 256
RETRY_ROLL_NS = SECOND
_NEVER = 1 << 62
_NOWHERE = Cursor()


def row_streams(writer: str) -> dict[type, str]:
    """For each message type a daemon may emit, the stream or union it belongs to; written streams win."""
    found: dict[type, str] = {}
    mine = [name for name, stream in STREAMS.items() if writer in stream.writers]
    for name in (*INTERNAL, *(n for n in STREAMS if n not in mine), *mine):
        for kind in _members(unions()[name]):
            found[kind] = name
    return found


def _members(union: Any) -> tuple[type, ...]:
    return getattr(union, "__args__", None) or (union,)


class MachineDaemon(Daemon):
    """A daemon whose decisions are journaled. Subclasses call `super().setup()` first, then `follow` and wire."""

    def __init__(self, name: str, config: RunConfig, machine: Machine) -> None:
        super().__init__(name, config)
        self.machine = machine
        self.journal: Journal
        self.quarantine = Quarantine(name, self.alerts, self.notes, self.record, self.clock.now, self.tell_readiness)
        self.follower = JournalFollower(self)
        self.files: dict[str, str] = {}
        """Texts of edited files that count, by name; journaled when they change."""
        self._startup = Startup(self)
        self._unwritten: list[Entry] = []
        self._day_ends = _NEVER
        self._acts = type(self).act is not MachineDaemon.act or type(self).durable is not MachineDaemon.durable
        """Its decisions may have to wait for the disk, or lead to calls: others are not asked."""
        self._types = row_streams(name)
        self._kinds = {row: self._kind_of(stream) for row, stream in self._types.items()}
        self._outlets: dict[str, ZMQPublisher | PushSocket] = {"status": self.status}
        self._deciding = self.monitor.operation(name, "decide")
        self._committing = self.monitor.operation(name, "commit_and_send")

    # what subclasses override

    def foundation(self, records: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """Rows that a lost journal begins with, from the first records of the day of the daemons it talks to."""
        return ()

    def relearned(self, missed: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """Rows that follow from a rebuilt journal: `missed` are rows of others since, applied but not decided on."""
        return ()

    def decode(self, row: Row) -> Any:
        """The message in a journal row; raises `FrameError`."""
        return self.follower.decoders[row.stream].body(row.body)

    def durable(self, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """True if these decisions must be on the disk before they are sent."""
        return False

    def prepare(self, rows: Sequence[Any]) -> None:
        """What can be made ready for `act` while the disk takes a durable decision: nothing may leave, none may count.

        Called for some decisions and not for others; those that the disk did not take are never acted on.
        """

    def act(self, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """What cannot wait (calls to the broker): runs right after the commit, before anything else.

        True if it began something: others hear of the rows a moment later, and do not wake in its way.
        """
        return False

    def effects(self, rows: Sequence[Any]) -> None:
        """What the decisions ask for beyond sending them (logs, alerts, counts): runs `later`."""

    def snapshot(self, day: str) -> tuple[Any, ...]:  # noqa: ARG002
        """Rows that rebuild the machine's state at the head of a new day; () keeps the present day file."""
        return ()

    # start

    def setup(self) -> None:
        """Open and replay the journal, connect the written streams, note the start of this run.

        Raises `JournalSetAside` when the journal cannot be read: it is moved, and the next start begins on the rest.
        """
        self.open_journal()
        self._day_ends = 0
        for name, stream in STREAMS.items():
            if self.name in stream.writers and name != "status":
                fan_out = stream.pattern is Pattern.FAN_OUT
                self._outlets[name] = self.publish(name) if fan_out else self.push(name)
        self._startup.note_lost_rows()
        self.record([self._run_started()])
        self._startup.rebuild()
        for row in self.quarantine.active:
            self.quarantine.alert(row)
        self.every(CATCH_UP_S, lambda _: self.follower.catch_up(), "catch_up")
        self.every(WRITE_S, lambda _: self.write_down(), "write")
        self.every(1.0, lambda _: self._each_second(), "journal")

    def open_journal(self) -> None:
        """Open and replay the journal; a roll that was cut short is finished."""
        self._startup.open_journal()
        if self.journal.sealed_for:
            self._roll(self.journal.sealed_for)

    def follow(self, stream: str, writers: Iterable[str] | None = None, downstream: bool = False) -> None:
        """Read a journaled stream without loss; see `JournalFollower.follow`."""
        self.follower.follow(stream, writers, downstream)

    @property
    def quarantined(self) -> set[str]:
        """Writers in quarantine; entries halt while there is one."""
        return self.quarantine.writers

    def _run_started(self) -> RunStarted:
        return RunStarted(
            daemon=self.name,
            pid=os.getpid(),
            version=__version__,
            schema=SCHEMA_VERSION,
            config_hash=self.config.config_hash,
            machine_ns=machine_now(),
            market_ns=self.clock.now(),
            speed=self.clock.speed,
        )

    # deciding

    def step(
        self,
        stream: str,
        message: Any,
        source: str = "",
        place: Cursor | None = None,
        decide: bool = True,
        keep: bool = False,
        body: bytes = b"",
    ) -> tuple[Any, ...]:
        """Apply a message, decide on it, commit, apply and send the decisions; returns them.

        With a `place` (its row in a followed journal) it is journaled in any case, because the cursor moves with it;
        without one only if something followed, or if it is to be kept (`keep`). What led to nothing is written with
        the next decision, ahead of it, or within a tenth of a second: until then a restart reads it from its writer's
        journal again. `body` is the message as it came, if it came encoded. Budget: 100 µs beside the machine.
        """
        started = time.perf_counter_ns()
        now, machine_ns = self.clock.moment()
        if now >= self._day_ends:
            self._keep_day(now)
            now, machine_ns = self.clock.moment()  # no earlier than the rows of the new day, or `verify` differs
        self.machine.notice(machine_ns)
        self.machine.apply(message)
        rows = self.machine.decide(message, now) if decide else ()
        decided = time.perf_counter_ns()
        if rows or keep or place is not None:
            at = _NOWHERE if place is None else place
            raw = body or encode_body(message)
            self._unwritten.append(Entry(INPUT, stream, raw, source, at.epoch, at.seq, at.hash, now, machine_ns))
            if place is not None:
                self.follower.cursors[source, stream] = place
        if rows or keep or len(self._unwritten) >= MOST_UNWRITTEN:
            self._commit(self._entries(rows) if rows else [], rows, now, machine_ns)
            self._committing.add(time.perf_counter_ns() - decided)
        self._deciding.add(decided - started)
        if self.debugging and rows:
            self.later(partial(self._tell_decided, stream, source, message, rows, decided - started))
        if self.quarantine.writers:
            self.follower.heed(message)
        return rows

    def _tell_decided(self, stream: str, source: str, message: Any, rows: Sequence[Any], took_ns: int) -> None:
        made = ", ".join(type(row).__name__ for row in rows)
        of = {"stream": stream, "writer": source, "message": type(message).__name__}
        self.log.debug("input.decided", **of, decisions=made, us=took_ns // 1000)

    def record(self, rows: Sequence[Any]) -> None:
        """Commit, apply and send rows that no message led to (the start of a run, a recovery)."""
        if rows:
            self._commit(self._entries(rows), rows, self.clock.now(), machine_now())
        for row in rows if self.quarantine.writers else ():
            self.follower.heed(row)

    def note_file(self, name: str, text: str) -> None:
        """What a file says counts from here on: a row that the machine learns it from, where that is news."""
        if self.files.get(name) != text:
            self.files[name] = text
            self.record([FileTaken(name=name, text=text, at_ns=self.clock.now())])

    def tick(self, name: str, machine_ns: int, market_ns: int = 0) -> tuple[Any, ...]:
        """Let the machine decide on the passing of machine time, or of market time up to `market_ns`."""
        return self.step("internal", TimerFired(name=name, machine_ns=machine_ns, market_ns=market_ns))

    def _entries(self, rows: Sequence[Any]) -> list[Entry]:
        entries = []
        for row in rows:
            kind = type(row)
            entries.append(Entry(self._kinds[kind], self._types[kind], encode_body(row)))
        return entries

    def _kind_of(self, stream: str) -> int:
        table = STREAMS.get(stream)
        written = table is not None and table.journaled and self.name in table.writers
        return OUTPUT if written else RECORD

    def write_down(self) -> None:
        """Journal what was read and led to nothing."""
        if self._unwritten:
            self._commit([], (), self.clock.now(), machine_now())

    def _commit(self, entries: list[Entry], rows: Sequence[Any], now: int, machine_ns: int) -> None:
        """Decisions get the very times of the input that led to them: that is how `verify` knows them from others."""
        self.end_if_forked()
        durable = bool(rows) and self._acts and self.durable(rows)
        try:
            meanwhile = partial(self.prepare, rows) if durable else None
            committed = self.journal.append([*self._unwritten, *entries], now, machine_ns, durable, meanwhile)
        finally:
            self._unwritten.clear()  # a disk that takes an input without what it led to must not: it is read again
        if self._soon:
            self.run_soon()  # what was decided before this is heard before this
        began = self._acts and self.act(rows)
        decisions = committed[len(committed) - len(rows) :]
        if began and not self.lock_step:
            self.soon(partial(self._send_all, decisions, rows))
        elif rows:
            self._send_all(decisions, rows)
        for row in rows:
            self.machine.apply(row)
        if rows:
            self.later(lambda: self.effects(rows))

    def _send_all(self, decisions: Sequence[Row], rows: Sequence[Any]) -> None:
        for journaled, row in zip(decisions, rows, strict=True):
            self._send(journaled, row)
        os.sched_yield()  # the thread that carries the message may wait for this very core

    def _send(self, journaled: Row, row: Any) -> None:
        if isinstance(row, Alert):  # in its turn: what was decided before it may end an alert of the same name
            self.later(lambda: self.alerts.raise_(row.code, row.severity, row.subject, row.message))
            return
        outlet = self._outlets.get(journaled.stream)
        if outlet is None:
            return
        if journaled.kind == OUTPUT:
            outlet.send_row(self.name, journaled)
        else:
            outlet.send(self.name, row)

    # housekeeping

    def _each_second(self) -> None:
        try:
            self.journal.tend()
        except JournalDamaged as error:
            raise set_aside(self.journal.folder, str(error)) from error
        if not self.journal.watch_disk():
            self._say_full()
        elif self.notes.pop("journal", None):
            self.alerts.clear("JOURNAL_RESERVE", self.name)
        self._keep_day(self.clock.now())

    def _keep_day(self, now: int) -> None:
        """Nothing of a new day is taken before it is open: a machine that slept wakes in the middle of a session."""
        day = iso_day(now)
        if day > self.journal.day:
            self._roll(day)
        self._day_ends = day_end(now) if day <= self.journal.day else now + RETRY_ROLL_NS

    def _say_full(self) -> None:
        self.notes["journal"] = "the disk of the journal is full: no entries"
        text = (
            "the disk of the journal is full, what is left is for exits: free space at once; entries halt, stops stay"
        )
        self.alerts.raise_("JOURNAL_RESERVE", Severity.CRITICAL, self.name, text)

    def disk_low(self) -> bool:
        """Also while the journal's disk is full, but for the reserve."""
        return self.journal.short or super().disk_low()

    def _roll(self, day: str) -> None:
        """Seal the day and open the next with what is carried over; on a full disk the day goes on."""
        self.write_down()
        now, machine_ns = self.clock.moment()
        self.machine.notice(machine_ns)
        carried = self.snapshot(day)
        if not carried:
            return
        files = [FileTaken(name=name, text=text, at_ns=now) for name, text in self.files.items()]
        rows = [self._run_started(), *carried, *files, *self.quarantine.active]
        seal = DaySealed(day=self.journal.day, next_day=day, at_ns=now)
        try:
            self.journal.roll(
                day, self.follower.cursors, self._entries([seal])[0], self._entries(rows), now, machine_ns
            )
        except JournalFull as error:
            self.alerts.raise_("DAY_NOT_ROLLED", Severity.CRITICAL, self.name, f"{error}; {self.journal.day} goes on")
            return
        for row in rows:
            self.machine.apply(row)
        self.later(lambda: self.effects(rows))
        self.alerts.clear("DAY_NOT_ROLLED", self.name)
        self.log.info("journal.day_opened", day=day)

    def written(self) -> dict[str, int]:
        """Last sequence of each journaled stream written."""
        return {
            name: self.journal.written(name)
            for name, stream in STREAMS.items()
            if stream.journaled and self.name in stream.writers
        }

    def cursors(self) -> dict[str, int]:
        """Last sequence read of each journaled stream, by `writer/stream`."""
        return {f"{writer}/{stream}": cursor.seq for (writer, stream), cursor in self.follower.cursors.items()}

    def progress(self) -> Progress:
        """What was written and read of journaled streams."""
        return Progress(sent=self.written(), seen=self.cursors())

    def teardown(self) -> None:
        """Write what is left and close journals."""
        self._run_later()
        self.write_down()
        self.follower.close()
        self.journal.close()
