"""History merge: joins live bars with fetched history, without gaps, duplicates or bars that miss their beginning.

After a start or a lost connection the live bars of an instrument are held back until history has filled what was
missed, the minute in which data came back included. A wait that is given up leaves a hole, which is reported until
history fills it. Bars leave in the order of their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mytrading.core.bars.builder import Closed
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar

TRIES = 3
PATIENCE_NS = 10_000_000_000
"""Machine time for which live bars wait for history at most, once their request is due."""
EACH_NS = 400_000_000
"""Machine time added for each earlier request: a server answers three a second."""
LAG_NS = 3 * MINUTE
"""Delay after a minute's end by which history has it; a minute missing then had no trade."""
CLOSE_NS = 5 * MINUTE
APART = 0.02
"""A bar that ended less than `CLOSE_NS` before a quote is of the same market if their prices are this close."""


class Fetch(NamedTuple):
    """A request for history of bars that end by `upto_ns` (market), `days` of it (0: as configured).

    `price` is the last quote's at that time, 0 if there is none.
    """

    instrument: str
    upto_ns: int
    days: int = 0
    price: float = 0.0


def contradiction(fetch: Fetch, fetched: Sequence[Bar]) -> str:
    """Return why the newest fetched bar contradicts the price in `fetch`; "" if it does not, or cannot be compared.
    A bar far from the market would lead to wrong strikes. Options are not compared: they do move that far."""
    newest = max(fetched, key=lambda bar: bar.end_ns, default=None)
    if newest is None or not fetch.price or fetch.upto_ns - newest.end_ns >= CLOSE_NS:
        return ""
    exchange, symbol = split_id(fetch.instrument)
    if parse_symbol(symbol, exchange).kind.is_option or abs(newest.close - fetch.price) <= APART * fetch.price:
        return ""
    return (
        f"its newest bar closed at {newest.close:g} while quotes are at {fetch.price:g}, expected within {APART:.0%} "
        "of each other; compare the server's history with its quotes"
    )


def covered_until(fetched: Sequence[Bar], upto_ns: int) -> int:
    """Return market ns up to which fetched bars are complete: `upto_ns`, or earlier if the server lags by minutes."""
    last = max((bar.end_ns for bar in fetched), default=0)
    return last if upto_ns - last < LAG_NS else upto_ns


@dataclass(slots=True)
class _Join:
    covered_ns: int
    delivered: bool = False
    hole: bool = False
    held: list[Closed] = field(default_factory=list)
    holding: bool = True
    requested: bool = False
    due_ns: int | None = None
    upto_ns: int = 0
    deadline: int = 0
    tries: int = 0


class HistoryMerge:
    """Joins live bars with history, by instrument. `gaps` counts minutes without a whole bar from quotes or history."""

    def __init__(self, margin_ns: int) -> None:
        """History is requested `margin_ns` of market time after the minute it is needed for."""
        self.margin_ns = margin_ns
        self._joins: dict[str, _Join] = {}
        self.gaps = 0

    def __contains__(self, instrument: str) -> bool:
        return instrument in self._joins

    @property
    def instruments_with_gaps(self) -> tuple[str, ...]:
        """Instruments with a missing bar before one that was delivered or stored."""
        return tuple(name for name, join in self._joins.items() if join.hole)

    def instruments_behind(self, now_ns: int) -> tuple[str, ...]:
        """Instruments whose live bars are withheld at market `now_ns` because an earlier minute is missing."""
        return tuple(
            name
            for name, join in self._joins.items()
            if join.holding and now_ns >= join.covered_ns // MINUTE * MINUTE + MINUTE
        )

    def add_instrument(self, instrument: str, covered_ns: int = 0) -> None:
        """Track an instrument whose store is complete to market `covered_ns` (0: empty).
        Its live bars are withheld until `request_history_until` and then history."""
        self._joins.setdefault(instrument, _Join(covered_ns))

    def mark_complete(self, until_ns: int) -> list[str]:
        """Extend to market `until_ns` where data is complete, for instruments without withheld or missing bars.
        Returns the instruments that this changed."""
        changed = []
        for name, join in self._joins.items():
            if join.covered_ns and not join.holding and not join.hole and join.covered_ns < until_ns:
                join.covered_ns = until_ns
                changed.append(name)
        return changed

    def hold_back_all(self) -> None:
        """Withhold live bars of all instruments after a lost connection, until history fills the gap."""
        for join in self._joins.values():
            join.holding, join.due_ns = True, None

    def hold_back(self, instrument: str) -> None:
        """Withhold live bars of one instrument until `request_history_until` and then history."""
        if (join := self._joins.get(instrument)) is not None:
            join.holding, join.due_ns = True, None

    def request_history_until(self, instrument: str, upto_ns: int) -> None:
        """Schedule a history request up to market `upto_ns` (end of a minute), when live quotes are complete."""
        join = self._joins.get(instrument)
        if join is not None:
            join.holding, join.requested, join.tries, join.deadline = True, False, 0, 0
            join.upto_ns, join.due_ns = upto_ns, upto_ns + self.margin_ns

    def add_live_bar(self, closed: Closed) -> list[Bar]:
        """Take a closed live bar and return the bars to deliver now: none while its instrument awaits history."""
        join = self._joins.get(closed.bar.instrument)
        if join is not None and join.holding:
            join.held.append(closed)
            return []
        if closed.whole:
            if join is not None:
                join.delivered = True
            return [closed.bar]
        self.gaps += join is not None
        return []

    def take_due_requests(self, now_ns: int, machine_ns: int, ahead: int = 0) -> list[Fetch]:
        """Mark the history requests that are due at market `now_ns` as sent, and return them to be sent.
        `ahead` earlier requests are unanswered and extend the deadlines, which begin at `machine_ns`."""
        fetches: list[Fetch] = []
        for name, join in self._joins.items():
            if join.holding and not join.requested and join.due_ns is not None and now_ns >= join.due_ns:
                join.requested = True
                join.deadline = join.deadline or machine_ns + PATIENCE_NS + (ahead + len(fetches)) * EACH_NS
                fetches.append(Fetch(name, join.upto_ns))
        return fetches

    def apply_history(
        self, fetch: Fetch, fetched: Sequence[Bar], new: Sequence[Bar], now_ns: int, *, final: bool = False
    ) -> list[Bar]:
        """Merge the history fetched for a request; returns the bars to deliver, withheld live bars included.
        `new` are those of `fetched` that were not stored. Empty if a minute is missing and a retry is scheduled, which
        never is after a `final` answer."""
        self._extend_cover(fetch, covered_until(fetched, fetch.upto_ns))
        join = self._waiting(fetch)
        if join is None:
            return []
        known = {bar.start_ns for bar in fetched}
        missing = any(not closed.whole and closed.bar.start_ns not in known for closed in join.held)
        if missing and not final and self._retry(join, now_ns):
            return []
        if not (missing or join.hole):
            join.covered_ns = max(join.covered_ns, join.upto_ns)
        return self._release(join, {bar.start_ns: bar for bar in new}, known)

    def _extend_cover(self, fetch: Fetch, until_ns: int) -> None:
        """Mark an instrument as complete until then, and close its hole if that is before."""
        join = self._joins.get(fetch.instrument)
        if join is None:
            return
        if join.hole and until_ns >= join.upto_ns:
            join.hole = False
        if not join.hole and (join.holding or not join.covered_ns):
            join.covered_ns = max(join.covered_ns, until_ns)

    def apply_failure(self, fetch: Fetch, now_ns: int) -> list[Bar]:
        """Schedule a retry of a failed request and return []; after the last retry, the withheld live bars."""
        join = self._waiting(fetch)
        return [] if join is None or self._retry(join, now_ns) else self._release(join, {}, set())

    def release_overdue(self, machine_ns: int) -> list[Bar]:
        """Stop waiting for history whose deadline has passed; returns the withheld live bars to deliver."""
        bars: list[Bar] = []
        for join in self._joins.values():
            if join.holding and join.deadline and machine_ns >= join.deadline:
                bars += self._release(join, {}, set())
        return bars

    def _waiting(self, fetch: Fetch) -> _Join | None:
        """The join of a request, unless it was given up or interrupted since."""
        join = self._joins.get(fetch.instrument)
        waiting = join is not None and join.holding and join.requested and join.upto_ns == fetch.upto_ns
        return join if waiting and join is not None and join.due_ns is not None else None

    def _retry(self, join: _Join, now_ns: int) -> bool:
        join.tries += 1
        if join.tries >= TRIES:
            return False
        join.requested, join.due_ns = False, now_ns + self.margin_ns
        return True

    def _release(self, join: _Join, repaired: dict[int, Bar], known: set[int]) -> list[Bar]:
        bars = []
        for closed in join.held:
            if closed.whole:
                bars.append(closed.bar)
            elif (bar := repaired.get(closed.bar.start_ns)) is not None:
                bars.append(bar)
            elif closed.bar.start_ns not in known:
                self.gaps += 1
        join.hole = join.hole or (join.covered_ns < join.upto_ns and bool(join.covered_ns or join.delivered))
        join.delivered = join.delivered or bool(bars)
        join.held, join.holding, join.requested, join.due_ns, join.deadline = [], False, False, None, 0
        return bars
