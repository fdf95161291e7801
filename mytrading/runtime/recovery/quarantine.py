"""Quarantine of journals in doubt, journaled so that a restart keeps it; only an operator ends one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import Doubted
from mytrading.runtime.observability.alerts import Alerts

OWN = "own journal"
CODES = ("UPSTREAM_UNREADABLE", "UPSTREAM_LOST_ROWS", "JOURNAL_TAIL_LOST", "JOURNAL_REBUILT")


class Quarantine:
    """Quarantines of one daemon: `notes` of its heartbeat, `record` journals rows, `halted` reports unreadiness."""

    def __init__(
        self,
        name: str,
        alerts: Alerts,
        notes: dict[str, str],
        record: Callable[[Sequence[Any]], None],
        now: Callable[[], int],
        halted: Callable[[], None],
    ) -> None:
        self.writers: set[str] = set()
        """Quarantined: a daemon, `daemon/stream`, or `OWN`. Entries halt while there is one."""
        self._name, self._alerts, self._notes = name, alerts, notes
        self._record, self._now, self._halted = record, now, halted
        self._active: dict[str, Doubted] = {}

    @property
    def active(self) -> tuple[Doubted, ...]:
        """Quarantines that no operator has ended."""
        return tuple(self._active.values())

    def begin(self, writer: str, code: str, problem: str) -> None:
        """Quarantine a writer's journal for `problem`: journal that, show it in the heartbeat, raise the alert
        `code`."""
        row = Doubted(whom=writer, code=code, problem=problem, at_ns=self._now())
        self.apply(row)
        self._record([row])
        self._halted()
        self.alert(row)

    def apply(self, row: Doubted) -> None:
        """Apply a journaled row: its writer is quarantined, or no longer if `row.cleared`; raises no alert."""
        if row.cleared:
            self._active.pop(row.whom, None)
            self.writers.discard(row.whom)
            self._notes.pop(f"quarantine {row.whom}", None)
        else:
            self._active[row.whom] = row
            self.writers.add(row.whom)
            self._notes[f"quarantine {row.whom}"] = row.problem

    def alert(self, row: Doubted) -> None:
        """Raise the alert of a quarantine; called when one begins, and again after a restart."""
        rest = "nothing more is read from it; " if row.code == "UPSTREAM_UNREADABLE" else ""
        text = f"{row.problem}; {rest}entries halt; check orders and positions, then `mytrading resume`"
        self._alerts.raise_(row.code, Severity.CRITICAL, self._subject(row), text)

    def release(self, before: int | None = None) -> None:
        """End and journal all quarantines (an operator's `resume`), or those begun before a market time (ns)."""
        over = [row for row in self.active if before is None or row.at_ns < before]
        ended = [replace(row, cleared=True, at_ns=self._now()) for row in over]
        for row in ended:
            self.apply(row)
        self._record(ended)
        left = {(row.code, self._subject(row)) for row in self.active}
        for alert in self._alerts.active:
            if alert.code in CODES and (alert.code, alert.subject) not in left:
                self._alerts.clear(alert.code, alert.subject, by_operator=True)

    def _subject(self, row: Doubted) -> str:
        return self._name if row.whom == OWN else row.whom
