"""The decision table of evidence, printed in docs/orders.md: what one read of the broker's books proves of an order."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.oms.state.settings import OmsLimits
from mytrading.core.orders.state_machine import TERMINAL, UNRESOLVED
from mytrading.messages.enums import BrokerStatus, OrderState
from mytrading.messages.order_evidence import (
    Ambiguous,
    Candidate,
    Contradicted,
    Disputed,
    FewerFilled,
    Missing,
    OrderEvidence,
    PendingEnd,
    Unseen,
)
from mytrading.messages.orders import Order

ENDS = {
    BrokerStatus.CANCELLED: OrderState.CANCELLED,
    BrokerStatus.REJECTED: OrderState.REJECTED,
    BrokerStatus.EXPIRED: OrderState.EXPIRED,
}
OPEN = (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING, BrokerStatus.TRIGGERED)


class OrderReading(NamedTuple):
    """One read of the books as it concerns one order, with the windows that apply."""

    limits: OmsLimits
    began_ns: int
    ended_ns: int
    status: BrokerStatus | None = None
    """None: the order book does not list the order."""
    trades_read: bool = False
    denies_fill: bool = False
    """Order and trade book were read and show no more than is confirmed, although more was sighted."""
    net_denies_fill: bool | None = None
    """True if the position book shows no more than that either; None if it was not read."""
    fewer: bool = False
    """Fewer units filled than are confirmed."""
    behind: bool = False
    """The read shows an older past than what is known."""
    carried: bool = False
    """The order is of an earlier day: today's order book does not list it."""
    unmoved: bool | None = None
    """True if trades and net position show that nothing of it was filled; None if they leave it open."""
    tagged: bool = False
    """The book shows our own ids, so that an order it does not show is not there."""
    found: str = ""
    """Broker id of the order that may be this one."""
    several: bool = False
    """More broker orders may be this one than there are orders like it."""
    unasked: bool = False
    """Of a stop: nobody here wanted it to end, or the cancel that is to prove the end was not answered before."""


class OrderCase(Enum):
    """The situation of an order that is judged."""

    RESTING = "rests, listed"
    SIGHTED_FILL = "fill sighted once, denied by the books"
    ENDED = "ended, listed"
    ENDED_LEVEL = "ended, its filled units"
    RESTING_ABSENT = "rests, not listed"
    FILLED_ABSENT = "filled, not listed"
    UNKNOWN_ABSENT = "of unknown fate, nothing like it listed"
    UNKNOWN_LISTED = "of unknown fate, something like it listed"


class OrderVerdict(Enum):
    """The result of a read, in words."""

    NOTHING = "nothing changes"
    BEHIND = "the read is behind: it proves no absence"
    IGNORED = "the read is behind: nothing of the row counts"
    END_NOTED = "a pending end"
    END_RESTARTED = "a pending end, by the books alone; not flapped"
    END_COUNTED = "one more sighting of the pending end"
    END_PROVEN = "the order has ended"
    FLAPPED = "nothing is pending; flapped"
    CLEARED = "nothing is pending; not flapped"
    DISPUTE_NOTED = "disputed"
    DISPUTE_KEPT = "what was pending stays"
    CONTRADICTED = "contradicted, reported as illegal"
    REVIVED = "reported as illegal; the order is accepted again, flapped"
    FILL_WITHDRAWN = "the sighted fill is withdrawn"
    FILL_BORNE_OUT = "the sighted fill counts"
    FEWER_NOTED = "fewer filled"
    MISSING_NOTED = "missing; the read may be behind"
    MISSING_REPORTED = "missing, reported"
    DROPPED = "contradicted: the book has dropped the order, reported"
    ENDED_OVERNIGHT = "the order ended with its day"
    UNSEEN_COUNTED = "one more read that did not show it"
    UNSEEN_CLEARED = "the count of reads starts again"
    LOST = "the order is lost"
    GIVEN_UP = "an exit or stop is given up once as never placed; after that an operator is asked"
    CANDIDATE_GONE = "no candidate any more"
    CANDIDATE_NOTED = "a candidate"
    BOUND = "the order is this broker order"
    AMBIGUITY_NOTED = "ambiguous: an operator decides"


class _Question(NamedTuple):
    order: Order
    evidence: OrderEvidence
    read: OrderReading

    def apart(self, window: int) -> bool:
        return self.read.began_ns - self.evidence.seen_machine_ns >= window


class Fact(Enum):
    """Cases of an order, its evidence and a read, in words."""

    SHOWN_ENDED = "shown cancelled, rejected or expired"
    SHOWN_OTHER = "shown in a status without meaning"
    NOT_NEWER = "the read began before the newest evidence"
    GAP_MISMATCH = "`mismatch_gap` after the newest evidence"
    GAP_GHOST = "`ghost_gap` after the newest evidence"
    GAP_HELD_BACK = "`held_back` after the newest evidence"
    GAP_SLOW = "`slow` after the newest evidence"
    OTHER_END = "another end, or none, is pending"
    BY_STREAM = "the order stream reported the pending end"
    UNASKED = "a stop, and no cancel that we requested, or requested to prove its end, was answered before the read"
    TOO_SOON_TO_PROVE = "not newer; where flapped and never cancelled by us, not `mismatch_gap` later"
    MORE_SIGHTINGS = "not flapped, and one more sighting is needed (two by books alone without a request here)"
    PROVABLE = "trades were read, or the order stream reported the end"
    TAKEN_BACK = "an end is pending, or the book had shown all filled"
    PENDING = "something is pending"
    CONTRADICTION = "shown open, or ended otherwise than filled"
    TOO_SOON_FLAPPED = "flapped, not disputed, FILLED or cancelled by us, and not `ghost_gap` later"
    TOO_SOON_TO_CONTRADICT = "disputed and not `ghost_gap` later, or not newer"
    IS_DISPUTED = "disputed"
    IS_CONTRADICTED = "contradicted"
    IS_MISSING = "missing"
    IS_MISSING_ONCE = "missing in one read"
    IS_FEWER = "fewer filled"
    NOT_FEWER_NOW = "fewer filled, and the read shows no fewer"
    NOT_FEWER = "the read shows no fewer units than are confirmed"
    UNSETTLED_FILL = "a fill is unconfirmed"
    IS_FILLED = "FILLED"
    NO_NET = "positions were not read"
    NET_HAS_FILL = "the position book has the sighted units"
    NOT_LATER_THAN_CALL = "the read began before the call ended or the newest evidence"
    CARRIED = "of an earlier day"
    READ_BEHIND = "the read is behind"
    HAS_CANDIDATE = "a candidate or ambiguity is noted"
    REDUCES = "an exit or stop"
    CANNOT_TELL = "trades or positions cannot tell"
    MOVED = "trades or positions may hold a fill of it"
    COUNTED = "a read without it is counted"
    UNSEEN_ENOUGH = "two reads counted, or one `ghost_gap` before"
    LATE_AND_UNSEEN = "`lost_after` the call or tags shown, and `lost_reads` reads with this one"
    FEW_UNSEEN = "fewer than `lost_reads` counted"
    SEVERAL = "more broker orders than orders like it"
    IS_AMBIGUOUS = "ambiguous"
    UNRESOLVED_OTHER_CANDIDATE = "UNKNOWN or PARKED, with another candidate or none"
    UNRESOLVED_NOT_NEWER = "UNKNOWN or PARKED, and the read began before the newest evidence"


F, V, C = Fact, OrderVerdict, OrderCase


class EvidenceRule(NamedTuple):
    """A verdict, and the facts that must all hold for it."""

    facts: tuple[Fact, ...]
    verdict: OrderVerdict


RULES: dict[OrderCase, tuple[EvidenceRule, ...]] = {
    C.RESTING: (
        EvidenceRule((F.SHOWN_ENDED, F.OTHER_END), V.END_NOTED),
        EvidenceRule((F.SHOWN_ENDED, F.UNASKED), V.NOTHING),
        EvidenceRule((F.SHOWN_ENDED, F.TOO_SOON_TO_PROVE), V.NOTHING),
        EvidenceRule((F.SHOWN_ENDED, F.MORE_SIGHTINGS), V.END_COUNTED),
        EvidenceRule((F.SHOWN_ENDED, F.PROVABLE), V.END_PROVEN),
        EvidenceRule((F.SHOWN_ENDED,), V.NOTHING),
        EvidenceRule((F.SHOWN_OTHER,), V.NOTHING),
        EvidenceRule((F.NOT_NEWER,), V.NOTHING),
        EvidenceRule((F.TAKEN_BACK,), V.FLAPPED),
        EvidenceRule((F.PENDING,), V.CLEARED),
        EvidenceRule((), V.NOTHING),
    ),
    C.SIGHTED_FILL: (
        EvidenceRule((F.SHOWN_ENDED, F.NOT_NEWER), V.NOTHING),
        EvidenceRule((F.SHOWN_ENDED, F.OTHER_END), V.END_RESTARTED),
        EvidenceRule((F.SHOWN_ENDED, F.BY_STREAM), V.END_RESTARTED),
        EvidenceRule((F.SHOWN_ENDED, F.NET_HAS_FILL, F.GAP_HELD_BACK), V.FILL_BORNE_OUT),
        EvidenceRule((F.SHOWN_ENDED, F.NET_HAS_FILL), V.NOTHING),
        EvidenceRule((F.SHOWN_ENDED, F.NO_NET, F.GAP_HELD_BACK), V.FILL_WITHDRAWN),
        EvidenceRule((F.SHOWN_ENDED, F.NO_NET), V.NOTHING),
        EvidenceRule((F.SHOWN_ENDED, F.GAP_MISMATCH), V.FILL_WITHDRAWN),
        EvidenceRule((F.SHOWN_ENDED,), V.NOTHING),
        EvidenceRule((F.NOT_NEWER,), V.DISPUTE_KEPT),
        EvidenceRule((F.NO_NET,), V.DISPUTE_KEPT),
        EvidenceRule((F.NET_HAS_FILL, F.IS_DISPUTED), V.CLEARED),
        EvidenceRule((F.NET_HAS_FILL,), V.DISPUTE_KEPT),
        EvidenceRule((F.IS_DISPUTED, F.GAP_GHOST), V.FILL_WITHDRAWN),
        EvidenceRule((F.IS_DISPUTED,), V.DISPUTE_KEPT),
        EvidenceRule((), V.DISPUTE_NOTED),
    ),
    C.ENDED: (
        EvidenceRule((F.CONTRADICTION, F.IS_CONTRADICTED), V.NOTHING),
        EvidenceRule((F.CONTRADICTION, F.TOO_SOON_FLAPPED), V.IGNORED),
        EvidenceRule((F.CONTRADICTION, F.TOO_SOON_TO_CONTRADICT), V.BEHIND),
        EvidenceRule((F.CONTRADICTION, F.IS_DISPUTED, F.IS_FILLED), V.CONTRADICTED),
        EvidenceRule((F.CONTRADICTION, F.IS_DISPUTED), V.REVIVED),
        EvidenceRule((F.CONTRADICTION,), V.DISPUTE_NOTED),
        EvidenceRule((F.IS_DISPUTED,), V.FLAPPED),
        EvidenceRule((F.IS_MISSING,), V.CLEARED),
        EvidenceRule((F.NOT_FEWER_NOW,), V.CLEARED),
        EvidenceRule((), V.NOTHING),
    ),
    C.ENDED_LEVEL: (
        EvidenceRule((F.NOT_FEWER,), V.NOTHING),
        EvidenceRule((F.IS_CONTRADICTED,), V.NOTHING),
        EvidenceRule((F.UNSETTLED_FILL,), V.BEHIND),
        EvidenceRule((F.IS_DISPUTED,), V.BEHIND),
        EvidenceRule((F.IS_FEWER, F.GAP_SLOW), V.CONTRADICTED),
        EvidenceRule((F.IS_FEWER,), V.BEHIND),
        EvidenceRule((), V.FEWER_NOTED),
    ),
    C.RESTING_ABSENT: (
        EvidenceRule((F.NOT_LATER_THAN_CALL,), V.BEHIND),
        EvidenceRule((F.IS_MISSING, F.CARRIED), V.ENDED_OVERNIGHT),
        EvidenceRule((F.IS_MISSING_ONCE,), V.MISSING_REPORTED),
        EvidenceRule((F.IS_MISSING,), V.NOTHING),
        EvidenceRule((), V.MISSING_NOTED),
    ),
    C.FILLED_ABSENT: (
        EvidenceRule((F.IS_CONTRADICTED,), V.NOTHING),
        EvidenceRule((F.IS_MISSING, F.GAP_SLOW), V.DROPPED),
        EvidenceRule((F.IS_MISSING,), V.BEHIND),
        EvidenceRule((), V.MISSING_NOTED),
    ),
    C.UNKNOWN_ABSENT: (
        EvidenceRule((F.READ_BEHIND,), V.NOTHING),
        EvidenceRule((F.NOT_LATER_THAN_CALL,), V.NOTHING),
        EvidenceRule((F.HAS_CANDIDATE,), V.CANDIDATE_GONE),
        EvidenceRule((F.CARRIED, F.IS_MISSING), V.ENDED_OVERNIGHT),
        EvidenceRule((F.CARRIED,), V.MISSING_NOTED),
        EvidenceRule((F.REDUCES, F.CANNOT_TELL), V.NOTHING),
        EvidenceRule((F.REDUCES, F.MOVED, F.COUNTED), V.UNSEEN_CLEARED),
        EvidenceRule((F.REDUCES, F.MOVED), V.NOTHING),
        EvidenceRule((F.REDUCES, F.UNSEEN_ENOUGH), V.GIVEN_UP),
        EvidenceRule((F.REDUCES, F.COUNTED), V.NOTHING),
        EvidenceRule((F.REDUCES,), V.UNSEEN_COUNTED),
        EvidenceRule((F.LATE_AND_UNSEEN,), V.LOST),
        EvidenceRule((F.FEW_UNSEEN,), V.UNSEEN_COUNTED),
        EvidenceRule((), V.NOTHING),
    ),
    C.UNKNOWN_LISTED: (
        EvidenceRule((F.SEVERAL, F.IS_AMBIGUOUS), V.NOTHING),
        EvidenceRule((F.SEVERAL,), V.AMBIGUITY_NOTED),
        EvidenceRule((F.UNRESOLVED_OTHER_CANDIDATE,), V.CANDIDATE_NOTED),
        EvidenceRule((F.UNRESOLVED_NOT_NEWER,), V.NOTHING),
        EvidenceRule((), V.BOUND),
    ),
}
"""By case, in order: the first rule whose facts hold gives the verdict."""


class Judgement(NamedTuple):
    """A verdict, and the evidence with it."""

    verdict: OrderVerdict
    evidence: OrderEvidence


def judge(order: Order, evidence: OrderEvidence, read: OrderReading, case: OrderCase) -> Judgement:
    """Return verdict and new evidence that one read of the broker's books gives for an order; `case`: which rules."""
    question = _Question(order, evidence, read)
    for conditions, verdict, effect in _COMPILED[case]:
        for holds in conditions:
            if not holds(question):
                break
        else:
            return Judgement(verdict, effect(question) if effect is not None else evidence)
    raise AssertionError(f"the last rule of {case} has facts")


def unseen_reads(evidence: OrderEvidence) -> int:
    """Return how many consecutive reads did not show an order of unknown fate; 0 if it was seen."""
    return evidence.match.reads if isinstance(evidence.match, Unseen) else 0


def _pending_end(q: _Question) -> PendingEnd | None:
    """The pending end, if it is the one that the read shows."""
    end = q.evidence.end
    return end if isinstance(end, PendingEnd) and end.status is q.read.status else None


def _more_sightings(q: _Question) -> bool:
    """One earlier sighting is needed; two, of books alone, where no cancel was wanted: another order follows."""
    end = _pending_end(q)
    if end is None or q.evidence.flapped:
        return False
    asked = q.evidence.cancel.calls or q.evidence.cancel.wanted or end.by_stream
    return end.sightings < (1 if asked else 2)


def _by_stream(q: _Question) -> bool:
    return (end := _pending_end(q)) is not None and end.by_stream


def _wary_of_flaps(q: _Question) -> bool:
    """Of an order whose end nobody here wanted each first sight counts, however often the book has flapped."""
    unwanted = q.order.state is not OrderState.FILLED and not q.evidence.cancel.calls
    return q.evidence.flapped and not isinstance(q.evidence.end, Disputed) and not unwanted


_HOLDS: dict[Fact, Callable[[_Question], bool]] = {
    F.SHOWN_ENDED: lambda q: q.read.status in ENDS,
    F.SHOWN_OTHER: lambda q: q.read.status is BrokerStatus.OTHER,
    F.NOT_NEWER: lambda q: not q.apart(1),
    F.GAP_MISMATCH: lambda q: q.apart(q.read.limits.mismatch_gap),
    F.GAP_GHOST: lambda q: q.apart(q.read.limits.ghost_gap),
    F.GAP_HELD_BACK: lambda q: q.apart(q.read.limits.held_back),
    F.GAP_SLOW: lambda q: q.apart(q.read.limits.slow),
    F.OTHER_END: lambda q: _pending_end(q) is None,
    F.BY_STREAM: _by_stream,
    F.UNASKED: lambda q: q.read.unasked,
    F.TOO_SOON_TO_PROVE: lambda q: (
        not q.apart(q.read.limits.mismatch_gap if q.evidence.flapped and not q.evidence.cancel.calls else 1)
    ),
    F.MORE_SIGHTINGS: _more_sightings,
    F.PROVABLE: lambda q: q.read.trades_read or _by_stream(q),
    F.TAKEN_BACK: lambda q: isinstance(q.evidence.end, PendingEnd) or q.evidence.fills.book >= q.order.quantity,
    F.PENDING: lambda q: q.evidence.end is not None,
    F.CONTRADICTION: lambda q: q.read.status in OPEN or (q.order.state is OrderState.FILLED and q.read.status in ENDS),
    F.TOO_SOON_FLAPPED: lambda q: _wary_of_flaps(q) and not q.apart(q.read.limits.ghost_gap),
    F.TOO_SOON_TO_CONTRADICT: lambda q: (
        not q.apart(q.read.limits.ghost_gap if isinstance(q.evidence.end, Disputed) else 1)
    ),
    F.IS_DISPUTED: lambda q: isinstance(q.evidence.end, Disputed),
    F.IS_CONTRADICTED: lambda q: isinstance(q.evidence.end, Contradicted),
    F.IS_MISSING: lambda q: isinstance(q.evidence.end, Missing),
    F.IS_MISSING_ONCE: lambda q: isinstance(q.evidence.end, Missing) and q.evidence.end.reads == 1,
    F.IS_FEWER: lambda q: isinstance(q.evidence.end, FewerFilled),
    F.NOT_FEWER_NOW: lambda q: isinstance(q.evidence.end, FewerFilled) and not q.read.fewer,
    F.NOT_FEWER: lambda q: not q.read.fewer,
    F.UNSETTLED_FILL: lambda q: q.order.filled_seen > q.order.filled,
    F.IS_FILLED: lambda q: q.order.state is OrderState.FILLED,
    F.NO_NET: lambda q: q.read.net_denies_fill is None,
    F.NET_HAS_FILL: lambda q: q.read.net_denies_fill is False,
    F.NOT_LATER_THAN_CALL: lambda q: q.read.began_ns <= max(q.order.call.ended_machine_ns, q.evidence.seen_machine_ns),
    F.CARRIED: lambda q: q.read.carried,
    F.READ_BEHIND: lambda q: q.read.behind,
    F.HAS_CANDIDATE: lambda q: isinstance(q.evidence.match, Candidate | Ambiguous),
    F.REDUCES: lambda q: q.order.purpose.reduces,
    F.CANNOT_TELL: lambda q: q.read.unmoved is None,
    F.MOVED: lambda q: q.read.unmoved is False,
    F.COUNTED: lambda q: unseen_reads(q.evidence) > 0,
    F.UNSEEN_ENOUGH: lambda q: (
        unseen_reads(q.evidence) > 1 or (unseen_reads(q.evidence) == 1 and q.apart(q.read.limits.ghost_gap))
    ),
    F.LATE_AND_UNSEEN: lambda q: (
        (q.read.tagged or q.read.began_ns - q.order.call.ended_machine_ns >= q.read.limits.lost_after)
        and unseen_reads(q.evidence) + 1 >= q.read.limits.lost_reads
    ),
    F.FEW_UNSEEN: lambda q: unseen_reads(q.evidence) < q.read.limits.lost_reads,
    F.SEVERAL: lambda q: q.read.several,
    F.IS_AMBIGUOUS: lambda q: isinstance(q.evidence.match, Ambiguous),
    F.UNRESOLVED_OTHER_CANDIDATE: lambda q: (
        q.order.state in UNRESOLVED
        and not (isinstance(q.evidence.match, Candidate) and q.evidence.match.broker_order_id == q.read.found)
    ),
    F.UNRESOLVED_NOT_NEWER: lambda q: q.order.state in UNRESOLVED and not q.apart(1),
}


def _seen(q: _Question, **fields: Any) -> OrderEvidence:
    return replace(q.evidence, seen_machine_ns=q.read.ended_ns, **fields)


def _note_end(q: _Question) -> OrderEvidence:
    if q.read.status is None:
        raise ValueError("an order that is not listed has no status")
    return _seen(q, end=PendingEnd(status=q.read.status))


def _keep_dispute(q: _Question) -> OrderEvidence:
    """A newer read that shows the order open leaves an end to the books to prove, whoever reported it first."""
    end = q.evidence.end
    if not isinstance(end, PendingEnd) or not end.by_stream or not q.apart(1):
        return q.evidence
    return replace(q.evidence, end=replace(end, by_stream=False))


def _withdraw(q: _Question) -> OrderEvidence:
    """Of an order that rests and is shown ended the end stays pending."""
    stays = q.read.status in ENDS and q.order.state not in TERMINAL
    return q.evidence if stays else replace(q.evidence, end=None, flapped=False)


_EFFECTS: dict[OrderVerdict, Callable[[_Question], OrderEvidence]] = {
    V.END_NOTED: _note_end,
    V.END_RESTARTED: lambda q: replace(_note_end(q), flapped=False),
    V.END_COUNTED: lambda q: _seen(q, end=(end := _pending_end(q)) and replace(end, sightings=end.sightings + 1)),
    V.FLAPPED: lambda q: replace(q.evidence, end=None, flapped=True),
    V.REVIVED: lambda q: replace(q.evidence, end=None, flapped=True),
    V.CLEARED: lambda q: replace(q.evidence, end=None, flapped=False),
    V.DISPUTE_NOTED: lambda q: _seen(q, end=Disputed(), flapped=False),
    V.DISPUTE_KEPT: _keep_dispute,
    V.CONTRADICTED: lambda q: replace(q.evidence, end=Contradicted()),
    V.DROPPED: lambda q: replace(q.evidence, end=Contradicted()),
    V.FILL_WITHDRAWN: _withdraw,
    V.FEWER_NOTED: lambda q: _seen(q, end=FewerFilled()),
    V.MISSING_NOTED: lambda q: _seen(q, end=Missing(), flapped=q.evidence.flapped and q.order.state in TERMINAL),
    V.MISSING_REPORTED: lambda q: replace(q.evidence, end=Missing(reads=2)),
    V.UNSEEN_COUNTED: lambda q: replace(  # an exit is given up by the time from where the first of two reads began
        q.evidence,
        match=Unseen(reads=unseen_reads(q.evidence) + 1),
        seen_machine_ns=q.read.began_ns if q.order.purpose.reduces else q.read.ended_ns,
    ),
    V.UNSEEN_CLEARED: lambda q: _seen(q, match=None),
    V.CANDIDATE_GONE: lambda q: _seen(q, match=None),
    V.CANDIDATE_NOTED: lambda q: _seen(q, match=Candidate(broker_order_id=q.read.found)),
    V.AMBIGUITY_NOTED: lambda q: replace(q.evidence, match=Ambiguous()),
}
_COMPILED = {
    case: tuple(
        (tuple(_HOLDS[fact] for fact in rule.facts), rule.verdict, _EFFECTS.get(rule.verdict)) for rule in rules
    )
    for case, rules in RULES.items()
}
