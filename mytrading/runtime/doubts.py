"""Journals in doubt: which, why, and until a person resumes; journaled, so that a restart does not end a doubt.

Used by `runtime/following` and what stands on it. The one rule: a doubt is ended by a person, never by itself.
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
    """The doubts of one daemon. `notes` are those of its heartbeat; `record` journals rows; `now` is market time.

    `halted` tells the others that this daemon is not ready.
    """

    def __init__(
        self,
        name: str,
        alerts: Alerts,
        notes: dict[str, str],
        record: Callable[[Sequence[Any]], None],
        now: Callable[[], int],
        halted: Callable[[], None],
    ) -> None:
        self.whom: set[str] = set()
        self._name, self._alerts, self._notes = name, alerts, notes
        self._record, self._now, self._halted = record, now, halted
        self._standing: dict[str, Doubted] = {}

    @property
    def standing(self) -> tuple[Doubted, ...]:
        """Those that no person has ended."""
        return tuple(self._standing.values())

    def begin(self, whom: str, code: str, problem: str) -> None:
        """Doubt `whom`: journaled, shown in the heartbeat, alerted with `code`.

        The heartbeat goes first: who reads that entries halt finds it so.
        """
        doubt = Doubted(whom=whom, code=code, problem=problem, at_ns=self._now())
        self.keep(doubt)
        self._record([doubt])
        self._halted()
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
        subject = self._subject(doubt)
        rest = "nothing more is read from it; " if doubt.code == "UPSTREAM_UNREADABLE" else ""
        text = f"{doubt.problem}; {rest}entries halt; check orders and positions, then `mytrading resume`"
        self._alerts.raise_(doubt.code, Severity.CRITICAL, subject, text)

    def end(self, before: int | None = None) -> None:
        """A person looked and said `resume`: all doubts end, or those from before a market time."""
        over = [doubt for doubt in self.standing if before is None or doubt.at_ns < before]
        ended = [replace(doubt, cleared=True, at_ns=self._now()) for doubt in over]
        for doubt in ended:
            self.keep(doubt)
        self._record(ended)
        left = {(doubt.code, self._subject(doubt)) for doubt in self.standing}
        for alert in self._alerts.standing:
            if alert.code in CODES and (alert.code, alert.subject) not in left:
                self._alerts.clear(alert.code, alert.subject, by_person=True)

    def _subject(self, doubt: Doubted) -> str:
        return self._name if doubt.whom == OWN else doubt.whom
