"""The feed in lock-step: marks from the exchange in, step messages to the readers of `market` out.

Part of the feed. Whoever has the step message has everything before it; whoever started late is reminded with the
newest quotes. The one rule: a step message leaves only when all that the mark before it leads to here is done.
"""

from __future__ import annotations

from mytrading.core.feed.wants import digest
from mytrading.daemons.feed_outlet import Outlet
from mytrading.messages.control import StepDone, WantInstruments
from mytrading.runtime.lockstep import Progress

PATIENCE_NS = 300_000_000
"""Machine time after a step before a reader that is behind counts as one that missed it."""


class FeedSteps:
    """How far the feed has come, and how far the readers of `market` have."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._mark = 0
        self._fresh = False
        self._at_rest = False
        self._readers: dict[str, tuple[int, int]] = {}
        self._step, self._stepped_ns = 0, 0
        self._wants: dict[str, int] = {}

    @property
    def marked(self) -> bool:
        """True once for each mark that came."""
        fresh, self._fresh = self._fresh, False
        return fresh

    def mark(self, mark: int) -> None:
        """All frames before this mark are dealt with."""
        if mark != self._mark:
            self._mark, self._fresh = mark, True
            self._outlet.step_due()

    def heard(self, done: StepDone, machine_ns: int) -> None:
        """A reader of `market` says how far it has come."""
        self._readers[done.daemon] = done.seen.get("feed/market", 0), machine_ns

    def wanted(self, wants: WantInstruments) -> None:
        """Remember which list of wanted instruments was dealt with."""
        self._wants[f"{wants.daemon}/wants"] = digest(wants.instruments)

    def remind(self, market_ns: int, machine_ns: int) -> None:
        """Whoever says well after a step that it has not come so far gets the newest quotes once more.

        Who says nothing is busy, and would only have more to do.
        """
        if self._step != self._outlet.step:
            self._step, self._stepped_ns = self._outlet.step, machine_ns
        since = self._stepped_ns + PATIENCE_NS
        if self._at_rest and any(seen != self._step and at > since for seen, at in self._readers.values()):
            self._outlet.send_step(market_ns, again=True)

    def progress(self, waits: str, market_ns: int) -> Progress:
        """At the end of a turn: if nothing is waited for, the step message goes out."""
        self._at_rest = bool(self._mark and not waits)
        if self._at_rest:
            self._outlet.send_step(market_ns, again=False)
        return Progress(self._mark, waits, {"market": self._outlet.step}, dict(self._wants))
