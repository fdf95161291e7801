"""Evidence of an order, part of `Order`, which `core/oms/evidence/judge.py` judges by reads of the books."""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import BrokerStatus


class ReportedFills(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Units filled by source, cumulative, `trade_value` in rupees; no book showed the stream's first `stream_void`.

    Where a trade row may carry the order's quantity, `trades` stays 0: a row is `traded`, which proves that something
    filled and never how much, at `trade_price` (rupees, 0: none named). `trade_sum` adds these rows up all the same, to
    tell a new one; `net_sum` is that sum when the position book last showed more of the order. `net` is what a position
    book showed of the order, `net_again` what a later one did too; `net_lower` counts the reads in a row that showed
    less. `price_estimated`: the broker named no price of the confirmed units yet, and the average price is a guess.
    """

    stream: int = 0
    book: int = 0
    trades: int = 0
    trade_value: float = 0.0
    stream_void: int = 0
    net: int = 0
    net_again: int = 0
    net_lower: int = 0
    traded: bool = False
    trade_price: float = 0.0
    price_estimated: bool = False
    trade_sum: int = 0
    net_sum: int = 0


class PendingEnd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="pending_end"):
    """An end that was reported and is not proven: `sightings` in reads, or first by the order stream."""

    status: BrokerStatus
    sightings: int = 1
    by_stream: bool = False


class Disputed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="disputed"):
    """One read shows the order otherwise: an ended one open, or an open one without its sighted fill."""


class FewerFilled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="fewer_filled"):
    """Order books show fewer units filled than two sources confirmed."""


class Missing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="missing"):
    """An order whose broker id is known is in no order book, for so many `reads` (2: reported to the operator)."""

    reads: int = 1


class Contradicted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="contradicted"):
    """The contradiction is proven and reported; order books change nothing any more."""


class Unseen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="unseen"):
    """An order of unknown fate that so many `reads` did not show."""

    reads: int = 1


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="candidate"):
    """A broker order that may be this one: its next sighting binds it."""

    broker_order_id: str


class Ambiguous(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ambiguous"):
    """More broker orders may be this one than there are orders like it: an operator decides."""


class OrderTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Terms of an order that can change: prices in rupees, units in all (filled ones included)."""

    price: float = 0.0
    trigger_price: float = 0.0
    quantity: int = 0


class CancelState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cancel: `wanted`, `out` while a call has no answer; no further call before `not_before_machine_ns`.

    `proof`: it is to prove an end that a book shows and nobody here wanted. Its definitive answer, done or `refused`,
    came at `answered_machine_ns` (0: none yet).
    """

    wanted: bool = False
    out: bool = False
    calls: int = 0
    not_before_machine_ns: int = 0
    proof: bool = False
    refused: bool = False
    answered_machine_ns: int = 0


class ModifyState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of a resting order to the terms `wanted`.

    `out` while a call has no answer, `unproven` until a read shows its effect; `reads` counts those since
    `answered_machine_ns` that showed other terms. No call before `not_before_machine_ns`. A call that was given up at
    `doubt_machine_ns` may still take effect. `by_replacement`: the order is cancelled and another one placed.
    `accepted`: the newest call was answered with success, or as its broker may answer a refusal. `refused` are the
    terms of one that the order book does not show all the same: they are not tried again by themselves.
    """

    wanted: OrderTerms | None = None
    out: bool = False
    unproven: bool = False
    calls: int = 0
    answered_machine_ns: int = 0
    not_before_machine_ns: int = 0
    reads: int = 0
    doubt_machine_ns: int = 0
    by_replacement: bool = False
    accepted: bool = False
    refused: OrderTerms | None = None


NO_FILLS, NO_CANCEL, NO_MODIFY = ReportedFills(), CancelState(), ModifyState()


class OrderEvidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Reports about an order that are not part of its level yet.

    `seen_machine_ns` is when the newest evidence of `end` or `match` was seen. `flapped`: books took back what they had
    shown of an end, so the next proof takes longer. `match` is the search for the broker id of an order without one.
    `shown_waiting`: the order book has shown this stop waiting for its trigger; since `shown_open_machine_ns` (0: it
    does not) it shows it open instead, which proves nothing at any broker. `shown_stop`: the order book has shown it
    with a stop's type; the last `limit_reads` books in a row showed it as LIMIT or MARKET (2: it has triggered).
    `rested`: a book has shown this stop live. Of an order of an earlier day that no order book of today lists: since
    `asked_machine_ns` its server is asked for it by its id, which at `live_machine_ns` last showed it live (0: never).
    """

    fills: ReportedFills = NO_FILLS
    end: PendingEnd | Disputed | FewerFilled | Missing | Contradicted | None = None
    flapped: bool = False
    match: Unseen | Candidate | Ambiguous | None = None
    seen_machine_ns: int = 0
    cancel: CancelState = NO_CANCEL
    modify: ModifyState = NO_MODIFY
    shown_waiting: bool = False
    shown_open_machine_ns: int = 0
    shown_stop: bool = False
    limit_reads: int = 0
    rested: bool = False
    asked_machine_ns: int = 0
    live_machine_ns: int = 0
