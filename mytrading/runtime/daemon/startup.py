"""The start of a machine daemon: its journal opened and replayed, or rebuilt from the journals of others.

Recovery applies rows and decides nothing again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mytrading.core.time import iso_day
from mytrading.messages.journal_rows import FileTaken, JournalRebuilt, JournalRelearned
from mytrading.runtime.daemon.journal_follower import STILL_HERE_ROWS
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import INPUT, Journal, JournalDamaged, JournalUnavailable
from mytrading.runtime.recovery.journal_rebuild import first_records, forget_lost, gather, lost, set_aside
from mytrading.runtime.recovery.quarantine import OWN
from mytrading.runtime.recovery.replay import readers_ahead, replay

if TYPE_CHECKING:
    from mytrading.runtime.daemon.machine_daemon import MachineDaemon

RECOVERING = "recovering"
"""The note of a heartbeat that says how far a recovery has come."""


class Machine(Protocol):
    """What a deciding daemon is built around. `core` holds the real ones."""

    def apply(self, row: Any) -> None:
        """Learn a row: an input, or a decision of our own."""

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """The rows that follow from a message at market time `now`; changes nothing."""

    def notice(self, machine_ns: int) -> None:
        """It is this machine time now: what is applied and decided next happens at it."""


class Startup:
    """One start of a machine daemon. `open_journal` first, then `note_lost_rows`, then `rebuild`."""

    def __init__(self, daemon: MachineDaemon) -> None:
        self._daemon = daemon
        self._learnt = 0
        self._rebuilt: JournalRebuilt | None = None

    def open_journal(self) -> Journal:
        """Open and replay the journal. A damaged one is moved aside: `JournalSetAside`."""
        daemon = self._daemon
        folder, day = daemon.config.journal_dir(daemon.name), iso_day(daemon.clock.now())
        try:
            journal = Journal(folder, daemon.name, day, daemon.config.process.journal_reserve_bytes)
            daemon.journal = journal
            found = replay(journal, daemon.decode, self._learn)
        except JournalUnavailable:
            raise
        except JournalDamaged as error:
            raise set_aside(folder, str(error)) from error
        daemon.notes.pop(RECOVERING, None)
        daemon.follower.cursors, self._rebuilt = found.cursors, found.rebuilt
        for alert in found.alerts:
            daemon.alerts.restore(alert)
        for row in found.quarantines:
            daemon.quarantine.restore(row)
        return journal

    def _learn(self, message: Any) -> None:
        """Apply one row of the replay; a long replay reports its progress."""
        daemon = self._daemon
        daemon.machine.apply(message)
        if type(message) is FileTaken:
            daemon.files[message.name] = message.text
        self._learnt += 1
        if self._learnt % STILL_HERE_ROWS == 0:
            daemon.notes[RECOVERING] = f"{self._learnt:,} of {daemon.journal.unread:,} rows read"
            daemon.still_here()

    def note_lost_rows(self) -> None:
        """Record that the journal was set aside, or that a reader has read further than it reaches."""
        daemon = self._daemon
        note, kept = lost(daemon.journal.folder), daemon.written()
        if note is not None:
            self._begin_rebuilding(note.problem, note.aside, kept)
            forget_lost(daemon.journal.folder)
            daemon.quarantine.begin(OWN, "JOURNAL_REBUILT", f"{note.problem}; kept as {note.aside or 'nothing'}")
        if ahead := readers_ahead(daemon.config, daemon.name, kept):
            problem = f"readers are ahead of this journal ({ahead}): its tail was lost"
            if self._rebuilt is None:
                self._begin_rebuilding(problem, "", kept)
            epoch = daemon.journal.epoch + 1
            daemon.quarantine.begin(OWN, "JOURNAL_TAIL_LOST", f"{problem}; epoch {epoch} begins")
        if self._rebuilt is not None:
            daemon.journal.begin_epoch(
                kept | ahead
            )  # also where no file says that a reader is: frames may be under way

    def _begin_rebuilding(self, problem: str, aside: str, kept: dict[str, int]) -> None:
        self._rebuilt = JournalRebuilt(problem=problem, aside=aside, kept=kept, at_ns=self._daemon.clock.now())
        self._daemon.record([self._rebuilt])

    def rebuild(self) -> None:
        """Learn lost rows from readers who have a copy, and what others wrote since; decide on none of it."""
        if self._rebuilt is None:
            return
        rebuilt, daemon = self._rebuilt, self._daemon
        day, follower = daemon.journal.day, daemon.follower
        if not rebuilt.kept or not any(rebuilt.kept.values()):
            daemon.record(daemon.foundation(self._records_of_others(day)))
        found = gather(daemon.config, daemon.name, day, rebuilt.kept, follower.cursors)
        if found.entries:
            now, machine_ns = daemon.clock.now(), machine_now()
            for row in daemon.journal.append(found.entries, now, machine_ns, durable=True):
                daemon.machine.apply(daemon.decode(row))
        follower.cursors.update(found.cursors)
        read = [entry for entry in found.entries if entry.kind == INPUT]
        missed = [follower.decoders[entry.stream].body(entry.body) for entry in read]
        rows = daemon.relearned(missed)
        now = daemon.clock.now()
        done = JournalRelearned(copies=found.copies, read=len(read), at_ns=now, machine_ns=machine_now())
        daemon.record([*rows, done])
        self._rebuilt = None
        daemon.log.warning("journal.relearned", copies=found.copies, read=len(read), problem=rebuilt.problem)

    def _records_of_others(self, day: str) -> list[Any]:
        daemon = self._daemon
        names = [name for name in ("gateway", "risk", "router") if name != daemon.name]
        return [daemon.decode(row) for name in names for row in first_records(daemon.config, name, day)]
