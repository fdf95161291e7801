"""The five counts that have to be zero, each from the venue's record alone.

A position was closed without a reason; was bare for more than ten seconds without an alert; an order was doubled; the
stack's ledger is not the venue's; an exit that could go did not within five seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lab.brokers.record import ENTRY, EXIT, STOPS, AlertSpan, Asked, describe, fills_of, orders_of
from mytrading.core.time import SECOND
from mytrading.messages.enums import Side
from mytrading.simulator.venue.event_log import LoggedEvent

BARE_NS = 10 * SECOND
OVER_NS = 5 * SECOND
EXIT_NS = 5 * SECOND
LOOKED_EVERY_NS = SECOND
"""Alerts are looked at so often: one that is seen so much later than a deadline was raised in time."""
PROTECTION = frozenset({
    "POSITION_BARE", "PROTECTION_IN_DOUBT", "STOP_FAILED", "STOP_IN_DOUBT", "STOP_RELEASED", "STOP_NOT_MOVED",
    "GOAL_STUCK", "CANCEL_STUCK", "ENGINE_STOP_BLIND", "ORDER_UNKNOWN", "ORDER_MISSING", "EXIT_WAITS", "STOP_REPLACED",
    "STOP_SHOWN_ENDED",
})  # fmt: skip
"""Alerts by which an operator learns that a position may have no stop."""


_INSTRUMENT = re.compile(r"\b(?:NSE|NFO):[A-Z0-9&-]+")


class Span(NamedTuple):
    """A time, machine ns, in which a position has to be protected: the exchange is open."""

    begin_ns: int
    end_ns: int


class Evidence(NamedTuple):
    """All that a case is judged by. `ledger` are the differences that the story found when all was calm."""

    instrument: str
    events: Sequence[LoggedEvent]
    asked: Sequence[Asked]
    alerts: Sequence[AlertSpan]
    open_spans: Sequence[Span]
    ledger: Sequence[str] = ()


class Verdict(NamedTuple):
    """A line for each finding."""

    closed: list[str]
    bare: list[str]
    doubled: list[str]
    ledger: list[str]
    late: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings of each kind."""
        return {name: len(lines) for name, lines in self._asdict().items()}

    @property
    def lines(self) -> list[str]:
        """All findings."""
        return [line for lines in self for line in lines]


def judge(seen: Evidence) -> Verdict:
    """Return what went wrong in one case's instrument."""
    return Verdict(_closed(seen), _bare(seen), _doubled(seen), list(seen.ledger), _late(seen))


def _closed(seen: Evidence) -> list[str]:
    """Orders that closed units though the last that was asked for was not an exit."""
    wrong = {
        fill.order.order_id: f"{describe(fill.order)}: closed {fill.units} units that nothing asked to close"
        for fill in fills_of(list(seen.events), seen.instrument)
        if fill.order.request.side is Side.SELL and _last_word(seen.asked, fill.at_ns) != EXIT
    }
    return list(wrong.values())


def _last_word(asked: Iterable[Asked], at_ns: int) -> str:
    return next((one.word for one in sorted(asked, reverse=True) if one.at_ns <= at_ns), "")


def _bare(seen: Evidence) -> list[str]:
    """Times longer than ten seconds without a stop or an exit for all units, of which no alert told."""
    found = []
    for begin, end in _spans(seen, lambda held, cover: held > cover):
        for opened in seen.open_spans:
            first, last = max(begin, opened.begin_ns), min(end, opened.end_ns)
            if last - first > BARE_NS and not _alerted(seen, first):
                found.append(f"{seen.instrument} was without a stop at the venue for {(last - first) / SECOND:.0f} s")
    return found


def _spans(seen: Evidence, holds: Callable[[int, int], bool]) -> list[tuple[int, int]]:
    """Spans in which `holds` is true of the units held and of those that live sells at the venue would close."""
    held, cover, since, spans = 0, dict[str, int](), 0, []
    filled: dict[str, int] = {}
    for at_ns, order in orders_of(list(seen.events), seen.instrument):
        held += order.request.side.sign * (order.filled - filled.get(order.order_id, 0))
        filled[order.order_id] = order.filled
        if order.request.side is Side.SELL:
            cover[order.order_id] = order.pending_units if order.is_live else 0
        true = holds(held, sum(cover.values()))
        if true and not since:
            since = at_ns
        elif not true and since:
            spans.append((since, at_ns))
            since = 0
    return [*spans, (since, max((span.end_ns for span in seen.open_spans), default=since))] if since else spans


def _alerted(seen: Evidence, begin_ns: int) -> bool:
    """True if an alert about this instrument, or about no single one, told in time that its protection is in doubt."""
    latest = begin_ns + BARE_NS + LOOKED_EVERY_NS
    in_time = (one for one in seen.alerts if one.first_ns <= latest and one.last_ns >= begin_ns)
    return any(one.code in PROTECTION and _concerns(one, seen.instrument) for one in in_time)


def _concerns(alert: AlertSpan, instrument: str) -> bool:
    named = _INSTRUMENT.findall(f"{alert.subject} {alert.text}")
    return not named or instrument in named


def _doubled(seen: Evidence) -> list[str]:
    """Orders beyond one for a tag, units beyond those that were asked for, and a position turned round."""
    last = {order.order_id: order for _, order in orders_of(list(seen.events), seen.instrument)}
    by_tag = Counter(order.request.strategy for order in last.values())
    found = [f"{count} orders at the venue bear the tag {tag}" for tag, count in by_tag.items() if tag and count > 1]
    bought = sum(order.filled for order in last.values() if order.request.side is Side.BUY)
    wanted = sum(one.units for one in seen.asked if one.word == ENTRY)
    if bought > wanted:
        found.append(f"{bought} units were bought, {wanted} were asked for")
    held = 0
    for fill in fills_of(list(seen.events), seen.instrument):
        held += fill.order.request.side.sign * fill.units
        if held < 0:
            found.append(f"{describe(fill.order)}: sold {-held} units more than were held")
            break
    over = [
        end - begin for begin, end in _spans(seen, lambda held, cover: cover > max(held, 0)) if end - begin > OVER_NS
    ]
    return found + [f"sells of more units than were held rested for {ns / SECOND:.0f} s" for ns in over]


def _late(seen: Evidence) -> list[str]:
    """Exits that could go and were at the venue more than five seconds later, or never."""
    found = []
    for one in seen.asked:
        if one.word != EXIT or not _held_at(seen, one.at_ns):
            continue
        could = one.could_ns or one.at_ns
        sent = next((at for at in _exits_at(seen) if at >= one.at_ns), 0)
        if not sent or sent - could > EXIT_NS:
            took = f"{(sent - could) / SECOND:.1f} s after it could go" if sent else "never"
            found.append(f"the exit of {one.instrument} was at the venue {took}")
    return found


def _held_at(seen: Evidence, at_ns: int) -> int:
    fills = fills_of(list(seen.events), seen.instrument)
    return sum(fill.order.request.side.sign * fill.units for fill in fills if fill.at_ns <= at_ns)


def _exits_at(seen: Evidence) -> list[int]:
    """When each order that sells at once came, and when a stop sold."""
    orders, known = list(orders_of(list(seen.events), seen.instrument)), set[str]()
    sells = [(at, order) for at, order in orders if order.request.side is Side.SELL]
    times = []
    for at_ns, order in sells:
        if order.request.order_type not in STOPS and order.order_id not in known:
            times.append(at_ns)
        known.add(order.order_id)
    fills = (fill for fill in fills_of(list(seen.events), seen.instrument) if fill.order.request.side is Side.SELL)
    return sorted([*times, *(fill.at_ns for fill in fills)])
