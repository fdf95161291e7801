"""Where live bars join fetched history: no gap, no bar twice, none that missed the beginning of its minute.

Used by the feed for the instruments it keeps history of. After a start or a loss of the socket the live bars of an
instrument are held until history has filled what was missed, the minute in which data came back included. What is
given up leaves a hole, which is known until history has filled it after all. The one rule: bars leave here in the order
of their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mytrading.core.bars.building import MINUTE, Closed
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.market import Bar

TRIES = 3
PATIENCE_NS = 10_000_000_000
"""Machine time for which live bars wait for history at most, once it is their turn to be asked for."""
EACH_NS = 400_000_000
"""Machine time by which that is later for each question asked before: a server answers three a second."""
LAG_NS = 3 * MINUTE
"""How much later than a minute's end history has it at the latest; what it still lacks then was not traded."""


CLOSE_NS = 5 * MINUTE
APART = 0.02
"""A bar that ended less than `CLOSE_NS` before a quote is of the same market if its price lies within this share."""


class Fetch(NamedTuple):
    """History of an instrument is wanted, of bars that end by `upto_ns` (market), `days` of it (0: as configured).

    `price` is the last quote's at that time, 0 if there is none.
    """

    instrument: str
    upto_ns: int
    days: int = 0
    price: float = 0.0


def contradiction(fetch: Fetch, fetched: Sequence[Bar]) -> str:
    """Why the newest fetched bar is not of the market that quotes show; empty if it may be, or nothing tells.

    A contract would be chosen by such a bar that is hundreds of points away. Prices of options do move that fast.
    """
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


def told_until(fetched: Sequence[Bar], upto_ns: int) -> int:
    """Up to when (market ns) an answer says how an instrument traded: a server's newest minutes may lag."""
    last = max((bar.end_ns for bar in fetched), default=0)
    return last if upto_ns - last < LAG_NS else upto_ns


class _Join:
    __slots__ = ("asked", "covered_ns", "deadline", "due_ns", "given", "held", "holding", "hole", "tries", "upto_ns")

    def __init__(self, covered_ns: int) -> None:
        self.covered_ns = covered_ns
        self.given = self.hole = False
        self.held: list[Closed] = []
        self.holding = True
        self.asked = False
        self.due_ns: int | None = None
        self.upto_ns = 0
        self.deadline = 0
        self.tries = 0


class Fusion:
    """One join per instrument. `gaps` counts minutes that neither we nor history saw from their beginning."""

    def __init__(self, margin_ns: int) -> None:
        """History is asked for `margin_ns` of market time after the minute it is wanted for."""
        self.margin_ns = margin_ns
        self._joins: dict[str, _Join] = {}
        self.gaps = 0

    def __contains__(self, instrument: str) -> bool:
        return instrument in self._joins

    @property
    def holding(self) -> list[str]:
        """Instruments whose live bars wait for history."""
        return [name for name, join in self._joins.items() if join.holding]

    @property
    def holes(self) -> tuple[str, ...]:
        """Instruments of which a bar was delivered, or stored before, though one ahead of it is still missing."""
        return tuple(name for name, join in self._joins.items() if join.hole)

    def behind(self, now_ns: int) -> tuple[str, ...]:
        """Instruments of which a minute is over, and neither stored nor told by history yet, so that no more come."""
        return tuple(
            name
            for name, join in self._joins.items()
            if join.holding and now_ns >= join.covered_ns // MINUTE * MINUTE + MINUTE
        )

    def add(self, instrument: str, covered_ns: int = 0) -> None:
        """Keep history of an instrument; its bars are held until `resume` and a fetch.

        Without a hole all of them that ended by `covered_ns` (market, 0: none) are in the store.
        """
        self._joins.setdefault(instrument, _Join(covered_ns))

    def cover(self, until_ns: int) -> list[str]:
        """Every bar that ended by then was delivered where none is held; returns where that is news, and known."""
        news = []
        for name, join in self._joins.items():
            if join.covered_ns and not join.holding and not join.hole and join.covered_ns < until_ns:
                join.covered_ns = until_ns
                news.append(name)
        return news

    def interrupt(self) -> None:
        """The socket is lost: whatever comes next has a gap before it."""
        for join in self._joins.values():
            join.holding, join.due_ns = True, None

    def resume(self, instrument: str, upto_ns: int) -> None:
        """Data of the instrument flow again, and are whole from `upto_ns` (market, the end of a minute) on."""
        join = self._joins.get(instrument)
        if join is not None:
            join.holding, join.asked, join.tries, join.deadline = True, False, 0, 0
            join.upto_ns, join.due_ns = upto_ns, upto_ns + self.margin_ns

    def offer(self, closed: Closed) -> list[Bar]:
        """A live bar closed; returns what may be delivered now."""
        join = self._joins.get(closed.bar.instrument)
        if join is not None and join.holding:
            join.held.append(closed)
            return []
        if closed.whole:
            if join is not None:
                join.given = True
            return [closed.bar]
        self.gaps += join is not None
        return []

    def due(self, now_ns: int, machine_ns: int, ahead: int = 0) -> list[Fetch]:
        """Fetches to begin now; so many that were begun before are not answered yet."""
        fetches: list[Fetch] = []
        for name, join in self._joins.items():
            if join.holding and not join.asked and join.due_ns is not None and now_ns >= join.due_ns:
                join.asked = True
                join.deadline = join.deadline or machine_ns + PATIENCE_NS + (ahead + len(fetches)) * EACH_NS
                fetches.append(Fetch(name, join.upto_ns))
        return fetches

    def filled(self, fetch: Fetch, fetched: Sequence[Bar], new: Sequence[Bar], now_ns: int) -> list[Bar]:
        """History answered: `fetched` in all, of which `new` were not in the store; returns what may be delivered."""
        self._told(fetch, told_until(fetched, fetch.upto_ns))
        join = self._waiting(fetch)
        if join is None:
            return []
        known = {bar.start_ns for bar in fetched}
        missing = any(not closed.whole and closed.bar.start_ns not in known for closed in join.held)
        if missing and self._again(join, now_ns):
            return []
        if not (missing or join.hole):
            join.covered_ns = max(join.covered_ns, join.upto_ns)
        return self._release(join, {bar.start_ns: bar for bar in new}, known)

    def _told(self, fetch: Fetch, until_ns: int) -> None:
        """History says how the instrument traded until then: of what ended before, nothing is missing any more."""
        join = self._joins.get(fetch.instrument)
        if join is None:
            return
        if join.hole and until_ns >= join.upto_ns:
            join.hole = False
        if not join.hole and (join.holding or not join.covered_ns):
            join.covered_ns = max(join.covered_ns, until_ns)

    def failed(self, fetch: Fetch, now_ns: int) -> list[Bar]:
        """History did not answer; it is asked again, and after the last time the live bars go on alone."""
        join = self._waiting(fetch)
        if join is None or self._again(join, now_ns):
            return []
        return self._release(join, {}, set())

    def overdue(self, machine_ns: int) -> list[Bar]:
        """Live bars that have waited long enough."""
        bars: list[Bar] = []
        for join in self._joins.values():
            if join.holding and join.deadline and machine_ns >= join.deadline:
                bars += self._release(join, {}, set())
        return bars

    def _waiting(self, fetch: Fetch) -> _Join | None:
        """The join a fetch was for, unless it was given up or interrupted since."""
        join = self._joins.get(fetch.instrument)
        asked = join is not None and join.holding and join.asked and join.upto_ns == fetch.upto_ns
        return join if asked and join is not None and join.due_ns is not None else None

    def _again(self, join: _Join, now_ns: int) -> bool:
        join.tries += 1
        if join.tries >= TRIES:
            return False
        join.asked, join.due_ns = False, now_ns + self.margin_ns
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
        join.hole = join.hole or (join.covered_ns < join.upto_ns and bool(join.covered_ns or join.given))
        join.given = join.given or bool(bars)
        join.held, join.holding, join.asked, join.due_ns, join.deadline = [], False, False, None, 0
        return bars
