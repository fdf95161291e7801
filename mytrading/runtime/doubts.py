"""Journals in doubt: which, why, and until a person resumes; journaled, so that a restart does not end a doubt.

Used by `runtime/machine`. The one rule: a doubt is ended by a person, never by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from mytrading.messages.enums import Severity
from mytrading.messages.records import Doubted
from mytrading.runtime.alerts import Alerts

OWN = "own journal"
CODES = ("UPSTREAM_UNREADABLE", "UPSTREAM_LOST_ROWS", "JOURNAL_TAIL_LOST", "JOURNAL_REBUILT")


class Doubts:
    """The doubts of one daemon. `notes` are those of its heartbeat; `record` journals rows; `now` is market time."""

    def __init__(
        self,
        name: str,
        alerts: Alerts,
        notes: dict[str, str],
        record: Callable[[Sequence[Any]], None],
        now: Callable[[], int],
    ) -> None:
        self.whom: set[str] = set()
        self._name, self._alerts, self._notes = name, alerts, notes
        self._record, self._now = record, now
        self._standing: dict[str, Doubted] = {}

    @property
    def standing(self) -> tuple[Doubted, ...]:
        """Those that no person has ended."""
        return tuple(self._standing.values())

    def begin(self, whom: str, code: str, problem: str) -> None:
        """Doubt `whom`: journaled, shown in the heartbeat, alerted with `code`."""
        doubt = Doubted(whom=whom, code=code, problem=problem, at_ns=self._now())
        self.keep(doubt)
        self._record([doubt])
        self.say(doubt)

    def keep(self, doubt: Doubted) -> None:
        """Learn a row of the journal."""
        if doubt.cleared:
            self._standing.pop(doubt.whom, None)
            self.whom.discard(doubt.whom)
            self._notes.pop(f"quarantine {doubt.whom}", None)
        else:
            self._standing[doubt.whom] = doubt
            self.whom.add(doubt.whom)
            self._notes[f"quarantine {doubt.whom}"] = doubt.problem

    def say(self, doubt: Doubted) -> None:
        """Alert, also after a restart."""
        subject = self._name if doubt.whom == OWN else doubt.whom
        rest = "nothing more is read from it; " if doubt.code == "UPSTREAM_UNREADABLE" else ""
        text = f"{doubt.problem}; {rest}entries halt; check orders and positions, then `mytrading resume`"
        self._alerts.raise_(doubt.code, Severity.CRITICAL, subject, text)

    def end(self) -> None:
        """A person looked and said `resume`."""
        ended = [replace(doubt, cleared=True, at_ns=self._now()) for doubt in self.standing]
        for doubt in ended:
            self.keep(doubt)
        self._record(ended)
        for alert in self._alerts.standing:
            if alert.code in CODES:
                self._alerts.clear(alert.code, alert.subject)
