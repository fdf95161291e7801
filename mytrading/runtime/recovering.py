"""A start of a machine daemon: what it knew is learnt again from its journal, a savepoint, or the journals of others.

The middle of a machine daemon, over `following`. The one rule: recovery applies rows, and never decides again.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mytrading.messages.records import FileTaken, JournalRebuilt, JournalRelearned
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import machine_now
from mytrading.runtime.doubts import OWN
from mytrading.runtime.following import STILL_HERE_ROWS, FollowingDaemon
from mytrading.runtime.journal import INPUT, Journal, JournalDamaged, JournalUnavailable, Row, segments
from mytrading.runtime.rebuild import first_records, forget_lost, gather, lost, set_aside
from mytrading.runtime.replay import readers_ahead, replay
from mytrading.runtime.savepoint import Bound, Savepoint, SavepointUnfit, drop, fitting, take_up

RECOVERING = "recovering"
"""The note of a heartbeat that says how far a recovery has come."""
IST_OFFSET_NS = 19_800_000_000_000
DAY_NS = 86_400_000_000_000


class Machine(Protocol):
    """What a deciding daemon is built around. `core` holds the real ones."""

    def apply(self, row: Any) -> None:
        """Learn a row: an input, or a decision of our own."""

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """The rows that follow from a message at market time `now`; changes nothing."""

    def notice(self, machine_ns: int) -> None:
        """It is this machine time now: what is applied and decided next happens at it."""


def ist_day(market_ns: int) -> str:
    """The ISO date in India at a market time."""
    return time.strftime("%Y-%m-%d", time.gmtime((market_ns + IST_OFFSET_NS) // 1_000_000_000))


def day_end(market_ns: int) -> int:
    """Market time at which the day in India ends that a market time is in."""
    return market_ns + DAY_NS - (market_ns + IST_OFFSET_NS) % DAY_NS


class RecoveringDaemon(FollowingDaemon, ABC):
    """A daemon whose machine knows what its journal holds. Only a start and the turn of a day come here."""

    def __init__(self, name: str, config: RunConfig, machine: Machine) -> None:
        super().__init__(name, config)
        self.machine = machine
        self._learnt = 0
        self._files: dict[str, str] = {}
        self._rebuilt: JournalRebuilt | None = None

    # what subclasses override

    def foundation(self, records: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """Rows that a lost journal begins with instead, from the first records of the day of those we talk to."""
        return ()

    def relearned(self, missed: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """What follows from a rebuilt journal: `missed` are the rows of others since, learnt but not decided on."""
        return ()

    def bound(self) -> Bound | None:
        """What the machine's state follows from besides rows; None where no savepoint of it is ever kept."""
        return None

    @abstractmethod
    def _roll(self, day: str) -> None:
        """Seal the day and open the next with what is carried over."""

    # the journal

    def _open_journal(self) -> None:
        folder, day = self.config.journal_dir(self.name), ist_day(self.clock.now())
        savepoint = self._fitting(folder, day)
        try:
            self.journal = Journal(
                folder, self.name, day, self.config.process.journal_reserve_bytes,
                fronted=True, known=savepoint.known if savepoint else None,
            )  # fmt: skip
            found = replay(self.journal, self.decode, self._learn, self._taken_up(savepoint))
        except JournalUnavailable:
            raise
        except JournalDamaged as error:
            raise set_aside(folder, str(error)) from error
        self.notes.pop(RECOVERING, None)
        self._cursors, self._rebuilt = found.cursors, found.rebuilt
        for alert in found.alerts:
            self.alerts.restore(alert)
        for doubt in found.doubts:
            self._doubts.keep(doubt)
        if self.journal.sealed_for:
            self._roll(self.journal.sealed_for)

    def _fitting(self, folder: Path, day: str) -> Savepoint | None:
        """The savepoint of the file that will be opened, if it is of all that we are."""
        known, bound = segments(folder), self.bound()
        if bound is None:
            return None
        found = fitting(self.config, self.name, bound, known[-1].stem if known else day)
        if found is None:
            drop(self.config, self.name)
        return found

    def _taken_up(self, savepoint: Savepoint | None) -> Savepoint | None:
        """Begin with the state that was kept; None, and the whole journal is read, where that cannot be."""
        if savepoint is None:
            return None
        problem = "" if self.journal.known else f"the journal has no such row {savepoint.seq}"
        try:
            if not problem:
                take_up(self.machine, savepoint.state)  # type: ignore[arg-type]
        except SavepointUnfit as error:
            problem, self.journal.known = str(error), None
        if problem:
            self.log.warning("savepoint.refused", problem=problem, next_step="the whole journal is read")
            drop(self.config, self.name)
            return None
        for name, text in savepoint.files.items():
            self._files[name] = text
            self.machine.apply(FileTaken(name=name, text=text, at_ns=0))
        self.log.info("savepoint.taken_up", row=savepoint.seq, left=self.journal.unread)
        return savepoint

    def _learn(self, message: Any) -> None:
        """One row of the replay; a long one says now and then that it goes on."""
        self.machine.apply(message)
        if type(message) is FileTaken:
            self._files[message.name] = message.text
        self._learnt += 1
        if self._learnt % STILL_HERE_ROWS == 0:
            self.notes[RECOVERING] = f"{self._learnt:,} of {self.journal.unread:,} rows read"
            self.still_here()

    def _note_lost_rows(self) -> None:
        """Record that the journal was set aside, or that a reader has read further than it reaches."""
        note, kept = lost(self.journal.folder), self.written()
        if note is not None:
            self._begin_rebuilding(note.problem, note.aside, kept)
            forget_lost(self.journal.folder)
            self._doubts.begin(OWN, "JOURNAL_REBUILT", f"{note.problem}; kept as {note.aside or 'nothing'}")
        if ahead := readers_ahead(self.config, self.name, kept):
            problem = f"readers are ahead of this journal ({ahead}): its tail was lost"
            if self._rebuilt is None:
                self._begin_rebuilding(problem, "", kept)
            epoch = self.journal.epoch + 1
            self._doubts.begin(OWN, "JOURNAL_TAIL_LOST", f"{problem}; epoch {epoch} begins")
        if self._rebuilt is not None:
            self.journal.begin_epoch(kept | ahead)  # also where no file says that somebody is: frames may be under way

    def _begin_rebuilding(self, problem: str, aside: str, kept: dict[str, int]) -> None:
        self._rebuilt = JournalRebuilt(problem=problem, aside=aside, kept=kept, at_ns=self.clock.now())
        self.record([self._rebuilt])

    def _relearn(self, rebuilt: JournalRebuilt) -> None:
        """Learn what was lost from those who have a copy, and what others wrote since; decide on none of it."""
        day = self.journal.day
        if not rebuilt.kept or not any(rebuilt.kept.values()):
            self.record(self.foundation(self._records_of_others(day)))
        found = gather(self.config, self.name, day, rebuilt.kept, self._cursors)
        if found.entries:
            now, machine_ns = self.clock.now(), machine_now()
            for row in self.journal.append(found.entries, now, machine_ns, durable=True):
                self.machine.apply(self.decode(row))
        self._cursors.update(found.cursors)
        read = [entry for entry in found.entries if entry.kind == INPUT]
        missed = [self._decoders[entry.stream].body(entry.body) for entry in read]
        rows = self.relearned(missed)
        done = JournalRelearned(copies=found.copies, read=len(read), at_ns=self.clock.now(), machine_ns=machine_now())
        self.record([*rows, done])
        self._rebuilt = None
        self.log.warning("journal.relearned", copies=found.copies, read=len(read), problem=rebuilt.problem)

    def _records_of_others(self, day: str) -> list[Any]:
        names = [name for name in ("gateway", "risk", "router") if name != self.name]
        return [self.decode(row) for name in names for row in first_records(self.config, name, day)]

    def decode(self, row: Row) -> Any:
        """The message in a journal row; raises `FrameError`."""
        return self._decoders[row.stream].body(row.body)
