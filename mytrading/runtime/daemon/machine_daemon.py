"""A daemon around a pure machine: it takes messages, decides, journals and sends.

For each input: `apply` it, `decide` on it, commit input and decisions in one transaction, `begin_calls` for the
decisions, send and `apply` them. A start replays the journal, or rebuilds it from those of others, and decides nothing
again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, get_args

from mytrading import __version__
from mytrading.core.time import SECOND, day_end, iso_day
from mytrading.messages.codec import encode_body
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import DaySealed, FileTaken, JournalRebuilt, JournalRelearned, RunStarted
from mytrading.messages.orders import TimerFired
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import INTERNAL, SCHEMA_VERSION, STREAMS, Pattern, unions
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.daemon.journal_follower import CATCH_UP_S, STILL_HERE_ROWS, JournalFollower
from mytrading.runtime.daemon.lockstep import Progress
from mytrading.runtime.host.build import running_build
from mytrading.runtime.host.clock import machine_now, run_written_wall_ns
from mytrading.runtime.journal.format import INPUT, OUTPUT, RECORD, Cursor, Entry, Row
from mytrading.runtime.journal.journal import Journal, JournalDamaged, JournalFull, JournalUnavailable
from mytrading.runtime.recovery import journal_rebuild
from mytrading.runtime.recovery.quarantine import OWN, Quarantine
from mytrading.runtime.streams.zmq_streams import PushSocket, ZMQPublisher

WRITE_S = 0.1
MOST_UNWRITTEN = 256
RETRY_ROLL_NS = SECOND
_NEVER = 1 << 62
_NOWHERE = Cursor()


def row_streams(writer: str) -> dict[type, str]:
    """Return the stream or union of each message type that daemon `writer` may emit; streams it writes win."""
    mine = [name for name, stream in STREAMS.items() if writer in stream.writers]
    names = (*INTERNAL, *(name for name in STREAMS if name not in mine), *mine)
    return {kind: name for name in names for kind in get_args(unions()[name]) or (unions()[name],)}


RECOVERING = "recovering"
"""The note of a heartbeat that says how far a recovery has come."""


class Machine(Protocol):
    """The decision logic around which a daemon is built. `core` holds the real ones."""

    def apply(self, row: Any) -> None:
        """Update the machine's state by a row: an input, or a decision of its own."""

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """Return the rows that follow from a message at market time `now`; changes nothing."""

    def set_machine_time(self, machine_ns: int) -> None:
        """Set the machine time (ns) that counts for what is applied and decided next."""


class MachineDaemon(Daemon):
    """A daemon whose decisions are journaled. Subclasses call `super().setup()` first, then `follow` and wire."""

    def __init__(self, name: str, config: RunConfig, machine: Machine) -> None:
        super().__init__(name, config)
        self.machine = machine
        self.journal: Journal
        self.quarantine = Quarantine(name, self.alerts, self.notes, self.record, self.clock.now, self.report_readiness)
        self.follower = JournalFollower(self)
        self.files: dict[str, str] = {}
        """Texts of edited files that count, by name; journaled when they change."""
        self._replayed_rows = 0
        self._rebuilt: JournalRebuilt | None = None
        """Rows were lost and are not learnt again yet."""
        self._unwritten: list[Entry] = []
        self._day_ends = _NEVER
        self._acts = (
            type(self).begin_calls is not MachineDaemon.begin_calls
            or type(self).must_be_durable is not MachineDaemon.must_be_durable
        )
        """Decisions of this daemon may have to wait for the disk, or lead to calls."""
        self._types = row_streams(name)
        outputs = {stream for stream, table in STREAMS.items() if table.is_journaled and name in table.writers}
        self._kinds = {row: OUTPUT if stream in outputs else RECORD for row, stream in self._types.items()}
        self._outlets: dict[str, ZMQPublisher | PushSocket] = {"status": self.status}
        self._deciding = self.monitor.operation(name, "decide")
        self._committing = self.monitor.operation(name, "commit_and_send")

    def opening_rows_of_rebuild(self, records: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """Hook: return first rows for a lost journal, from the first records that related daemons wrote today."""
        return ()

    def rows_after_rebuild(self, missed: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """Hook: return rows to append to a rebuilt journal; `missed`: other daemons' rows, applied without deciding."""
        return ()

    def decode(self, row: Row) -> Any:
        """Decode the message in a journal row; raises `FrameError`."""
        return self.follower.decoders[row.stream].decode_body(row.body)

    def must_be_durable(self, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """Hook: return True if these decisions must be on the disk before they are sent."""
        return False

    def prepare_calls(self, rows: Sequence[Any]) -> None:
        """Hook: prepare `begin_calls` while the disk syncs a durable decision, which may fail. Not always called."""

    def begin_calls(self, rows: Sequence[Any]) -> bool:  # noqa: ARG002
        """Hook: begin broker calls right after the commit; true if some began (rows are then sent later)."""
        return False

    def on_rows_sent(self, rows: Sequence[Any]) -> None:
        """Hook: log, count and alert what these rows say; called after they were sent, once the loop is idle."""

    def snapshot(self, day: str) -> tuple[Any, ...]:  # noqa: ARG002
        """Hook: return rows that rebuild the machine's state in a new day file; () keeps the present file."""
        return ()

    def setup(self) -> None:
        """Open and replay the journal, connect written streams, journal this run's start; raises `JournalSetAside`."""
        self.open_journal()
        self._day_ends = 0
        for name, stream in STREAMS.items():
            if self.name in stream.writers and name != "status":
                self._outlets[name] = self.publish(name) if stream.pattern is Pattern.FAN_OUT else self.push(name)
        self._note_lost_rows()
        self.record([self._run_started()])
        self._rebuild()
        for row in self.quarantine.active:
            self.quarantine.alert(row)
        self.every(CATCH_UP_S, lambda _: self.follower.catch_up())
        self.every(WRITE_S, lambda _: self.flush_inputs())
        self.every(1.0, lambda _: self._each_second())

    def open_journal(self) -> None:
        """Open and replay the journal; a damaged one is moved aside, and a roll that was cut short is finished."""
        folder, day = self.config.journal_dir(self.name), iso_day(self.clock.now())
        try:
            self.journal = Journal(folder, self.name, day, self.config.process.journal_reserve_bytes)
            found = journal_rebuild.replay(self.journal, self.decode, self._learn)
        except JournalUnavailable:
            raise
        except JournalDamaged as error:
            raise journal_rebuild.set_aside(folder, str(error)) from error
        self.notes.pop(RECOVERING, None)
        self.follower.cursors, self._rebuilt = found.cursors, found.rebuilt
        for alert in found.alerts:
            self.alerts.restore(alert)
        for row in found.quarantines:
            self.quarantine.apply(row)
        if self.journal.sealed_for:
            self._roll(self.journal.sealed_for)

    def _learn(self, message: Any) -> None:
        """Apply one row of the replay; a long replay reports its progress."""
        self.machine.apply(message)
        if type(message) is FileTaken:
            self.files[message.name] = message.text
        self._replayed_rows += 1
        if self._replayed_rows % STILL_HERE_ROWS == 0:
            self.notes[RECOVERING] = f"{self._replayed_rows:,} of {self.journal.row_count:,} rows read"
            self.beat_if_due()

    def _note_lost_rows(self) -> None:
        """Record that the journal was set aside, or that a reader has read further than it reaches."""
        note, kept = journal_rebuild.lost_journal_note(self.journal.folder), self.written()
        if note is not None:
            self._begin_rebuilding(note.problem, note.aside, kept)
            journal_rebuild.delete_lost_note(self.journal.folder)
            self.quarantine.begin(OWN, "JOURNAL_REBUILT", f"{note.problem}; kept as {note.aside or 'nothing'}")
        if ahead := journal_rebuild.readers_ahead(self.config, self.name, kept):
            problem = f"readers are ahead of this journal ({ahead}): its tail was lost"
            if self._rebuilt is None:
                self._begin_rebuilding(problem, "", kept)
            self.quarantine.begin(OWN, "JOURNAL_TAIL_LOST", f"{problem}; epoch {self.journal.epoch + 1} begins")
        if self._rebuilt is not None:
            self.journal.begin_epoch(kept | ahead)  # also without a reader ahead: frames may be under way

    def _begin_rebuilding(self, problem: str, aside: str, kept: dict[str, int]) -> None:
        self._rebuilt = JournalRebuilt(problem=problem, aside=aside, kept=kept, at_ns=self.clock.now())
        self.record([self._rebuilt])

    def _rebuild(self) -> None:
        """Learn lost rows from the copies of readers, and later rows of others; decide on none of it."""
        if (rebuilt := self._rebuilt) is None:
            return
        day = self.journal.day
        if not any(rebuilt.kept.values()):
            names = [name for name in ("gateway", "risk", "router") if name != self.name]
            records = [
                self.decode(row) for name in names for row in journal_rebuild.carried_records(self.config, name, day)
            ]
            self.record(self.opening_rows_of_rebuild(records))
        found = journal_rebuild.find_lost_rows(self.config, self.name, day, rebuilt.kept, self.follower.cursors)
        if found.entries:
            now, machine_ns = self.clock.now(), machine_now()
            for row in self.journal.append(found.entries, now, machine_ns, durable=True):
                self.machine.apply(self.decode(row))
        self.follower.cursors.update(found.cursors)
        read = [entry for entry in found.entries if entry.kind == INPUT]
        rows = self.rows_after_rebuild([self.follower.decoders[entry.stream].decode_body(entry.body) for entry in read])
        now = self.clock.now()
        done = JournalRelearned(copies=found.copies, read=len(read), at_ns=now, machine_ns=machine_now())
        self.record([*rows, done])
        self._rebuilt = None
        self.log.warning("journal.relearned", copies=found.copies, read=len(read), problem=rebuilt.problem)

    def follow(
        self,
        stream: str,
        writers: Iterable[str] | None = None,
        downstream: bool = False,
        waits: Callable[[], bool] | None = None,
    ) -> None:
        """Read a journaled stream without loss; see `JournalFollower.follow`."""
        self.follower.follow(stream, writers, downstream, waits)

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
            run_ns=run_written_wall_ns(self.config),
            build=running_build(),
        )

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
        without one only if decisions followed, or with `keep`. An input without decisions is written with the next
        decision, ahead of it, or within a tenth of a second: until then a restart reads it from its writer's journal
        again. `body` is the message as it came, if it came encoded. Budget: 100 µs beside the machine.
        """
        started = time.perf_counter_ns()
        now, machine_ns = self.clock.market_and_machine_now()
        if now >= self._day_ends:
            self._keep_day(now)
            now, machine_ns = (
                self.clock.market_and_machine_now()
            )  # no earlier than the rows of the new day, or `verify` differs
        self.machine.set_machine_time(machine_ns)
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
            self.run_when_idle(partial(self._log_decided, stream, source, message, rows, decided - started))
        if self.quarantine.writers:
            self.follower.resume_after(message)
        return rows

    def _log_decided(self, stream: str, source: str, message: Any, rows: Sequence[Any], took_ns: int) -> None:
        made = ", ".join(type(row).__name__ for row in rows)
        of = {"stream": stream, "writer": source, "message": type(message).__name__}
        self.log.debug("input.decided", **of, decisions=made, us=took_ns // 1000)

    def record(self, rows: Sequence[Any]) -> None:
        """Commit, apply and send rows without an input (the start of a run, a recovery)."""
        if rows:
            self._commit(self._entries(rows), rows, self.clock.now(), machine_now())
        for row in rows if self.quarantine.writers else ():
            self.follower.resume_after(row)

    def note_file(self, name: str, text: str) -> None:
        """Journal the content of a file as a row for the machine, if it changed."""
        if self.files.get(name) != text:
            self.files[name] = text
            self.record([FileTaken(name=name, text=text, at_ns=self.clock.now())])

    def step_timer(self, name: str, machine_ns: int, market_ns: int = 0) -> tuple[Any, ...]:
        """Step the machine with timer event `name` at this machine and market time (0: none); returns decided rows."""
        return self.step("internal", TimerFired(name=name, machine_ns=machine_ns, market_ns=market_ns))

    def _entries(self, rows: Sequence[Any]) -> list[Entry]:
        entries = []
        for row in rows:
            kind = type(row)
            entries.append(Entry(self._kinds[kind], self._types[kind], encode_body(row)))
        return entries

    def flush_inputs(self) -> None:
        """Journal the inputs that led to no decision and were not journaled yet."""
        if self._unwritten:
            self._commit([], (), self.clock.now(), machine_now())

    def _commit(self, entries: list[Entry], rows: Sequence[Any], now: int, machine_ns: int) -> None:
        """Decisions get the very times of the input that led to them: that is how `verify` knows them from others."""
        self.end_if_forked()
        durable = bool(rows) and self._acts and self.must_be_durable(rows)
        try:
            meanwhile = partial(self.prepare_calls, rows) if durable else None
            committed = self.journal.append([*self._unwritten, *entries], now, machine_ns, durable, meanwhile)
        finally:
            self._unwritten.clear()  # no input is journaled without its decisions: it is read again
        if self._soon:
            self.run_queued_now()  # earlier decisions are sent first
        began = self._acts and self.begin_calls(rows)
        decisions = committed[len(committed) - len(rows) :]
        if began and not self.lock_step:
            self.run_with_next_message(partial(self._send_all, decisions, rows))
        elif rows:
            self._send_all(decisions, rows)
        for row in rows:
            self.machine.apply(row)
        if rows:
            self.run_when_idle(lambda: self.on_rows_sent(rows))

    def _send_all(self, decisions: Sequence[Row], rows: Sequence[Any]) -> None:
        for journaled, row in zip(decisions, rows, strict=True):
            self._send(journaled, row)
        os.sched_yield()  # the thread that carries the message may wait for this very core

    def _send(self, journaled: Row, row: Any) -> None:
        if isinstance(row, Alert):  # in its turn: what was decided before it may end an alert of the same name
            self.run_when_idle(lambda: self.alerts.raise_(row.code, row.severity, row.subject, row.message))
            return
        if (outlet := self._outlets.get(journaled.stream)) is None:
            return
        if journaled.kind == OUTPUT:
            outlet.send_row(self.name, journaled)
        else:
            outlet.send(self.name, row)

    def _each_second(self) -> None:
        try:
            self.journal.sync_if_due()
        except JournalDamaged as error:
            raise journal_rebuild.set_aside(self.journal.folder, str(error)) from error
        if not self.journal.watch_disk():
            self.notes["journal"] = "the disk of the journal is full: no entries"
            text = "the disk of the journal is full, what is left is for exits: free space at once"
            self.alerts.raise_("JOURNAL_RESERVE", Severity.CRITICAL, self.name, f"{text}; entries halt, stops stay")
        elif self.notes.pop("journal", None):
            self.alerts.clear("JOURNAL_RESERVE", self.name)
        self._keep_day(self.clock.now())

    def _keep_day(self, now: int) -> None:
        """Open a new day before any of its input: a machine that slept wakes in the middle of a session."""
        day = iso_day(now)
        if day > self.journal.day:
            self._roll(day)
        self._day_ends = day_end(now) if day <= self.journal.day else now + RETRY_ROLL_NS

    def is_disk_low(self) -> bool:
        """Return true while the disk is short of space, or the journal's disk is full but for its reserve."""
        return self.journal.is_short_of_disk or super().is_disk_low()

    def _roll(self, day: str) -> None:
        """Seal the day and open the next with the carried state; on a full disk the day goes on."""
        self.flush_inputs()
        now, machine_ns = self.clock.market_and_machine_now()
        self.machine.set_machine_time(machine_ns)
        if not (carried := self.snapshot(day)):
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
        self.run_when_idle(lambda: self.on_rows_sent(rows))
        self.alerts.clear("DAY_NOT_ROLLED", self.name)
        self.log.info("journal.day_opened", day=day)

    def written(self) -> dict[str, int]:
        """Return the last sequence written of each journaled stream."""
        return {
            name: self.journal.written(name)
            for name, stream in STREAMS.items()
            if stream.is_journaled and self.name in stream.writers
        }

    def cursors(self) -> dict[str, int]:
        """Return the last sequence read of each journaled stream, by `writer/stream`."""
        return {f"{writer}/{stream}": cursor.seq for (writer, stream), cursor in self.follower.cursors.items()}

    def lock_step_progress(self) -> Progress:
        """Return the sequences of journaled streams written and read so far, for lock-step."""
        return Progress(sent=self.written(), seen=self.cursors())

    def teardown(self) -> None:
        """Run what `run_when_idle` queued, journal unwritten inputs, and close the journals."""
        self._run_later()
        self.flush_inputs()
        self.follower.close()
        self.journal.close()
