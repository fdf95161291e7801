"""Market steps of the feed in lock-step: marks from the exchange in, step messages to the readers of `market` out.

A step message follows everything before it, and leaves only when the feed has done all that its mark led to. Readers
that started late get the newest quotes again.
"""

from __future__ import annotations

from mytrading.core.feed.demand_digest import digest
from mytrading.daemons.feed.publisher import MarketPublisher
from mytrading.messages.control import StepDone, WantInstruments
from mytrading.runtime.daemon.lockstep import Progress

PATIENCE_NS = 300_000_000
"""Machine time after a step before a reader that is behind counts as having missed it."""


class MarketSteps:
    """Progress of the feed and of the readers of `market`."""

    def __init__(self, publisher: MarketPublisher) -> None:
        self._publisher = publisher
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

    def on_mark(self, mark: int) -> None:
        """Note that all frames before this mark are handled."""
        if mark != self._mark:
            self._mark, self._fresh = mark, True
            self._publisher.step_due()

    def on_step_done(self, done: StepDone, machine_ns: int) -> None:
        """Note the progress of a reader of `market`."""
        self._readers[done.daemon] = done.seen.get("feed/market", 0), machine_ns

    def on_request(self, wants: WantInstruments) -> None:
        """Note which list of requested instruments was handled."""
        self._wants[f"{wants.daemon}/wants"] = digest(wants.instruments)

    def remind(self, market_ns: int, machine_ns: int) -> None:
        """Repeat the newest quotes for readers that report, well after a step, not to have reached it.

        Readers that report nothing are busy.
        """
        if self._step != self._publisher.step:
            self._step, self._stepped_ns = self._publisher.step, machine_ns
        since = self._stepped_ns + PATIENCE_NS
        if self._at_rest and any(seen != self._step and at > since for seen, at in self._readers.values()):
            self._publisher.send_step(market_ns, again=True)

    def progress(self, waits: str, market_ns: int) -> Progress:
        """At the end of a turn: progress, after sending the step message if nothing is awaited."""
        self._at_rest = bool(self._mark and not waits)
        if self._at_rest:
            self._publisher.send_step(market_ns, again=False)
        return Progress(self._mark, waits, {"market": self._publisher.step}, dict(self._wants))
