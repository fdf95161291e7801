"""What is known of a day besides what the two sides did: quotes, bars, what people did, and who was away.

Gathered by the command, read by `causes`. A fact is what a record says; what it explains is said there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from mytrading.messages.market import Quote


class Cause(StrEnum):
    """Why the two sides differ.

    `latency`: the stack came to it later. `model`: a venue fills otherwise than a backtest does. `data`: one side did
    not see a quote or bar, or saw it late. `denial`: one side was denied. `person`: someone did something that a
    backtest does not know of.
    """

    LATENCY = "latency"
    MODEL = "model"
    DATA = "data"
    DENIAL = "denial"
    PERSON = "person"
    UNEXPLAINED = "unexplained"


class ParityFindings(NamedTuple):
    """A cause, and why it is that one, in words. `follows` is the id of the difference that it comes from."""

    cause: Cause
    why: str
    follows: str = ""


class ParityDifference(NamedTuple):
    """One thing (a signal, order, fill or adjustment) that is not the same on both sides; sides in words.

    `cost` is what a fill cost the stack more than the backtest, in rupees; 0 where only one side has it.
    """

    kind: str
    id: str
    cause: Cause
    at_ns: int
    account: str
    strategy: str
    instrument: str
    stack: str
    backtest: str
    why: str
    follows: str = ""
    cost: float = 0.0


class Agreement(NamedTuple):
    """One thing that is the same on both sides, in words."""

    kind: str
    id: str
    at_ns: int
    account: str
    strategy: str
    instrument: str
    what: str


_ENDLESS = 1 << 62


class Quotes:
    """The quotes that a stack saw, by instrument, in the order of their market time."""

    def __init__(self, quotes: Iterable[Quote] = ()) -> None:
        self._quotes: dict[str, list[Quote]] = {}
        for quote in quotes:
            self.add(quote)

    def add(self, quote: Quote) -> None:
        """The next quote; none is older than the one before it of its instrument."""
        self._quotes.setdefault(quote.instrument, []).append(quote)

    def __contains__(self, instrument: str) -> bool:
        return instrument in self._quotes

    @property
    def instruments(self) -> list[str]:
        """What there are quotes of."""
        return list(self._quotes)

    def of(self, instrument: str) -> Sequence[Quote]:
        """All of an instrument."""
        return self._quotes.get(instrument, ())

    def between(self, instrument: str, first_ns: int, last_ns: int) -> Sequence[Quote]:
        """Those that counted in a span of market time: the last one before it, and all within."""
        quotes = self._quotes.get(instrument, [])
        begin = bisect_left(quotes, first_ns, key=_time_of)
        return quotes[max(0, begin - 1) : bisect_right(quotes, last_ns, key=_time_of)]


def _time_of(quote: Quote) -> int:
    return quote.market_ns


class Interference(NamedTuple):
    """Something that an operator did, from when to when it counted; an empty account or strategy means all.

    `id` is the cause of what it led to. `entries` if it kept signals from being entered, `signals` if from being made.
    """

    what: str
    at_ns: int
    until_ns: int = _ENDLESS
    account: str = ""
    strategy: str = ""
    id: str = ""
    entries: bool = False
    signals: bool = False

    def covers(self, at_ns: int, account: str, strategy: str) -> bool:
        """True if it concerns someone at a time."""
        return (
            self.at_ns <= at_ns <= self.until_ns
            and self.account in ("", account)
            and (self.strategy in ("", strategy) or not strategy)
        )


class Absence(NamedTuple):
    """A daemon was not there between two market times: it was stopped, or killed and restarted."""

    daemon: str
    from_ns: int
    until_ns: int

    def covers(self, at_ns: int) -> bool:
        """True if it was away at a market time."""
        return self.from_ns <= at_ns <= self.until_ns


@dataclass
class DayFacts:
    """`bars` says of each bar (instrument, end in market ns) what was wrong with it, in words; most have none.

    `within_ns`: fills at one price that are no further apart are the same. `our_venue` if the stack's orders went to
    the project's own exchange, which fills as a backtest does. `behind`: when a daemon had not yet read what lay there.
    `signal_ns`: market time for which a signal stands on the stack at least.
    """

    quotes: Quotes = field(default_factory=Quotes)
    bars: Mapping[tuple[str, int], str] = field(default_factory=dict)
    persons: Sequence[Interference] = ()
    absences: Sequence[Absence] = ()
    within_ns: int = 0
    our_venue: bool = True
    behind: Sequence[Absence] = ()
    signal_ns: int = 0

    def lag_of(self, daemons: Collection[str], at_ns: int) -> Absence | None:
        """The span for which one of these daemons was behind at a market time."""
        return next((one for one in self.behind if one.daemon in daemons and one.covers(at_ns)), None)
