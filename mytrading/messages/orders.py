"""Stream `orders`: orders, positions and goals of the router, each message with the whole state of its subject."""

from __future__ import annotations

import msgspec

from mytrading.messages.account_events import (
    AccountBrokerChanged,
    AccountModeChanged,
    AccountsInRun,
    CarriedShown,
    ClaimWaits,
    EmptyBooksSeen,
    EntriesStopped,
    EntryChurned,
    ForeignSeen,
    HeldShort,
    InstrumentHalted,
    LastPriceSeen,
    MismatchSeen,
    NetAgreed,
    OtherCopySeen,
    OutsideClosing,
    ProductNamed,
    RecoveryChanged,
    UnmanagedChanged,
)
from mytrading.messages.enums import Call, Confidence, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.keys import OwnerKeyed, OwnerTask
from mytrading.messages.order_evidence import OrderEvidence
from mytrading.messages.settlements import SettlementOpened, SettlementPlan, UnitsAwaited

TRIGGER_CROSSED = "TRIGGER_CROSSED: "
"""Prefix of the message of a stop that was refused because the price had passed its trigger already."""


MARKET_REFUSED = "MARKET_REFUSED: "
"""Prefix of the message of an order that was refused because the broker takes no MARKET order there."""
NOT_NOW = "NOT_NOW: "
"""Prefix of the message of an order that was refused for its hour, the rate of calls or the broker's session."""


class PlacingCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest call that placed the order, between two machine times; `trace_ns` is that of the quote behind it.

    `sent_ns` is the market time at which it left, whose day is the order's; 0 before, and in journals of old versions.
    """

    attempt: int = 0
    began_machine_ns: int = 0
    ended_machine_ns: int = 0
    not_before_machine_ns: int = 0
    trace_ns: int = 0
    sent_ns: int = 0


class EntryPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Plan of an entry: its reference price, its validity, and the prices that protect the position it opens.

    The broker keeps a stop at `stop_trigger` and `stop_limit`; risk itself closes at `held_stop` and `held_target`.
    Unsent it expires by both clocks; what rests of it is withdrawn at `rests_until_ns` (market time).
    """

    reference_price: float = 0.0
    stop_trigger: float = 0.0
    stop_limit: float = 0.0
    held_stop: float = 0.0
    held_target: float = 0.0
    rests_until_ns: int = 0
    expires_ns: int = 0
    expires_machine_ns: int = 0


class OrderLinks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Goal, parent (`slice` is its number), replaced order (`replaced` in a row) and newest request of an order."""

    goal: str = ""
    parent: str = ""
    slice: int = 0
    replaces: str = ""
    replaced: int = 0
    request: str = ""


NO_EVIDENCE, NO_CALL, NO_PLAN, NO_LINKS = OrderEvidence(), PlacingCall(), EntryPlan(), OrderLinks()


class Order(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True):
    """One order, whole. `client_order_id` is ours; `broker_order_id` is empty until the broker named one.

    `filled` is confirmed by two sources and counts for P&L and exits; `filled_seen` was reported by one and counts for
    protection. A parent of slices is no order itself.
    """

    client_order_id: str
    account: str
    instrument: str
    product: Product
    strategy: str
    run: str
    cause: str
    purpose: Purpose
    side: Side
    quantity: int
    order_type: OrderType
    state: OrderState
    created_ns: int
    updated_ns: int
    price: float = 0.0
    trigger_price: float = 0.0
    broker_order_id: str = ""
    filled: int = 0
    filled_seen: int = 0
    average_price: float = 0.0
    message: str = ""
    call: PlacingCall = NO_CALL
    plan: EntryPlan = NO_PLAN
    links: OrderLinks = NO_LINKS
    evidence: OrderEvidence = NO_EVIDENCE


class OrderChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order"):
    """An order moved: `event` is a past-tense word (submitted, filled, unknown, …), `order` its new level."""

    event: str
    order: Order
    machine_ns: int


class Position(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True):
    """Holding of one owner in one (account, instrument, product). Signed units; `realised` in rupees, of the day.

    The `trip_*` fields sum the present round trip: units entered, and rupees of what was entered and what has left.
    `held_stop` and `held_target` are the prices (rupees) at which risk itself closes it, as the entry that opened it
    says, from the first sighting on; 0 if it does not. `price_estimated`: the price of some units is a guess, since the
    broker named none; `realised_estimated`: so is part of the day's realised profit, since nothing said at what price
    units went.
    """

    account: str
    instrument: str
    product: Product
    strategy: str
    run: str
    quantity: int = 0
    quantity_seen: int = 0
    average_price: float = 0.0
    realised: float = 0.0
    bought: int = 0
    sold: int = 0
    opened_ns: int = 0
    updated_ns: int = 0
    confidence: Confidence = Confidence.CONFIRMED
    trip_quantity: int = 0
    trip_value: float = 0.0
    trip_exit_value: float = 0.0
    held_stop: float = 0.0
    held_target: float = 0.0
    price_estimated: bool = False
    realised_estimated: bool = False

    @property
    def open_units(self) -> int:
        """Signed units held: `quantity` (confirmed), else `quantity_seen` (reported, not confirmed yet); 0: flat."""
        return self.quantity or self.quantity_seen


class PositionChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="position"):
    """A fill moved a position: `fill_quantity` signed units at `fill_price`; zero for a change of sight only."""

    position: Position
    client_order_id: str
    fill_quantity: int
    fill_price: float
    at_ns: int

    @property
    def levels(self) -> tuple[Position, ...]:
        """The position that the row changes, as it is now."""
        return (self.position,)


class GoneUnits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Signed `units` by which a position changed at a price that nobody told; `before` is the position with them.

    `id` names them until a price comes: from risk, as its last judged one, or late from the trade book.
    """

    id: str
    units: int
    before: Position


class PositionAdjusted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="position_adjusted"):
    """A position moved without our order: venue_square_off, expiry, conversion, foreign_fill, claim, correction,
    valuation, or by an operator's word: settled (its units are gone, for a `reason`), corporate_action (`quantity`
    units came with it, 0: none yet).

    Of a conversion, `source` is what is left of the position, under another product, that the units come from.
    `untraded` (signed) are units that were carried into the day and that no trade of the day took. Of an expiry, `cost`
    is what a unit had cost (rupees), and with `estimated` the price is the last one known, until the broker's row names
    the profit. `gone` are units that went for a `price` not known yet (0), or, of a valuation, those that it is now
    known of; `trades` are the broker's ids of the orders whose trades named a price.
    """

    position: Position
    cause: str
    quantity: int
    price: float
    at_ns: int
    source: Position | None = None
    untraded: int = 0
    reason: str = ""
    cost: float = 0.0
    estimated: bool = False
    gone: GoneUnits | None = None
    trades: tuple[str, ...] = ()

    @property
    def levels(self) -> tuple[Position, ...]:
        """The positions that the row changes, as they are now: one, or of a conversion two."""
        return (self.position,) if self.source is None else (self.position, self.source)


class TradeClosed(OwnerKeyed, frozen=True, kw_only=True, omit_defaults=True, tag="trade"):
    """A round trip: an owner's position went from flat to flat."""

    account: str
    instrument: str
    product: Product
    strategy: str
    run: str
    side: Side
    quantity: int
    entry_price: float
    exit_price: float
    realised: float
    opened_ns: int
    closed_ns: int


class Goal(OwnerTask, frozen=True, kw_only=True, omit_defaults=True):
    """An exit in progress: `state` is open, done or stuck (an operator is needed).

    With a `price` its orders are LIMIT, moved by `price_step` (rupees, towards the market) each time one rests too
    long; `reprices` counts that. Without a price they are MARKET.

    After a lost journal an order of the goal may be out that nobody here knows: nothing is sent before two reads of the
    books, `proofs`, that begin after `waits_machine_ns` (0: it does not wait), and never for the `elsewhere` units that
    orders without owner may still close. `obstacle` is why no exit could be sent for long, once an operator was told.

    `refusals` counts the attempts that the broker refused, but for session, rate and hours; the newest, `refused`, went
    at `refused_price` (0: MARKET) until `refused_machine_ns`. After one that names MARKET orders, or the second, the
    goal is `limit_only`: its orders wait for a price, without one since `unpriced_machine_ns`. `shown` are the units
    that a position read begun after the refusal shows (None: there was none), for which alone its stop comes back.

    Where risk has no fresh quote the server is asked for one, at `asked_machine_ns` (before `unpriced_machine_ns`: not
    for this wait). `edge` is what the exit goes at if that brings no price, and `tick` that of the instrument, as risk
    knows them (0: not known).

    Outside trading hours the goal `awaits_open`; with the open its deadline and attempts begin anew, those of before
    are `attempts_before`. `kept` counts how often an exit that rests was left in its place, or replaced for want
    of a price; `looked_machine_ns` is when it was left last. `hour_calls` are the calls since `hour_machine_ns`.

    `beside_copy`: it waits for the two reads because orders outside our journal may close its units, and not for ever.
    """

    reason: str
    purpose: Purpose
    state: str = "open"
    attempts: int = 0
    order: str = ""
    created_ns: int = 0
    trace_ns: int = 0
    message: str = ""
    opened_machine_ns: int = 0
    not_before_machine_ns: int = 0
    ghosts: int = 0
    price: float = 0.0
    price_step: float = 0.0
    reprices: int = 0
    waits_machine_ns: int = 0
    proofs: int = 0
    elsewhere: int = 0
    obstacle: str = ""
    refusals: int = 0
    refused: str = ""
    refused_price: float = 0.0
    refused_machine_ns: int = 0
    limit_only: bool = False
    unpriced_machine_ns: int = 0
    shown: int | None = None
    asked_machine_ns: int = 0
    edge: float = 0.0
    tick: float = 0.0
    awaits_open: bool = False
    attempts_before: int = 0
    kept: int = 0
    looked_machine_ns: int = 0
    hour_machine_ns: int = 0
    hour_calls: int = 0
    beside_copy: bool = False


class StopMove(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """New prices (rupees) that an operator requested for a stop, by the client order id of the `order` they named."""

    trigger: float
    limit: float
    order: str


class ClaimedUnits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Signed `units` that a claim gave to an owner and whose first stop does not rest yet: they can be given back.

    `before` is the owner's position without them. `average_price` (rupees) and `since_ns` (market time) are those of
    the unmanaged units.
    """

    units: int
    before: Position
    average_price: float = 0.0
    since_ns: int = 0


class Protection(OwnerTask, frozen=True, kw_only=True, omit_defaults=True):
    """The stop that guards what one owner holds of one (account, instrument, product), from first fill to flat.

    `side` is that of the stop orders, `trigger` and `limit` their prices in rupees, those in force. A change that an
    operator requested is `moving` until its stops rest there, or the broker refused it (None: there is none).
    `attempts` counts the stop orders made, `failures` those that ended without our request, `order` is the newest.
    `triggered_machine_ns` is when one was first seen triggered and unfilled. `state` is open, done, handed (an exit
    goal took over), or released (an operator took the stop away and answers for the position until it is flat).
    `ghosts` counts stops of unknown fate that were given up, the first of them at `ghost_machine_ns`: what is placed
    after that is not given up again.

    The stop of carried shares waits since `awaits_price_machine_ns` (0: it does not) for the day's first price.

    After a lost journal a stop may rest that nobody here knows: none is placed before the order book was read, in a
    read that began after `waits_machine_ns` (0: it does not wait).

    At `unasked_machine_ns` the broker took the cancel of one that a book showed ended and nobody here wanted to end, so
    that it had lived. After such an end none is placed since `awaits_units_machine_ns` (0: it does not wait) before a
    read shows the units. `doubted` is the stop that is left as it is: the next one soon after, or none may replace it.

    `claimed` is set from a claim, whose request is the `cause`, until the first stop rests or something else decides:
    the request is answered then.
    """

    side: Side
    trigger: float
    limit: float
    state: str = "open"
    attempts: int = 0
    failures: int = 0
    order: str = ""
    triggered_machine_ns: int = 0
    ghosts: int = 0
    ghost_machine_ns: int = 0
    waits_machine_ns: int = 0
    moving: StopMove | None = None
    claimed: ClaimedUnits | None = None
    unasked_machine_ns: int = 0
    awaits_units_machine_ns: int = 0
    doubted: str = ""
    awaits_price_machine_ns: int = 0


class ProtectionChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="protection"):
    """A protection began, made another stop order, saw one trigger, moves or moved, or ended."""

    protection: Protection
    at_ns: int


class GoalChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="goal"):
    """An exit goal opened, took another attempt, or ended."""

    goal: Goal
    at_ns: int


class Flatten(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account, or a part of it, that an operator asked to flatten, until two reads of the books show it flat.

    `state` is open, late (the deadline has passed; it goes on) or done. Before `read_machine_ns`, the first read since
    it was opened, stops stay and nothing is closed. `proofs` counts the reads that showed it flat. A `wary` one lived
    through a lost journal: each of its exits waits for two reads, since it may have been sent already. `by` says who
    asked.
    """

    id: str
    account: str
    reason: str
    deadline_machine_ns: int
    strategy: str = ""
    instrument: str = ""
    product: Product | None = None
    state: str = "open"
    opened_ns: int = 0
    opened_machine_ns: int = 0
    read_machine_ns: int = 0
    proofs: int = 0
    proof_machine_ns: int = 0
    goals: int = 0
    wary: bool = False
    by: str = ""


class FlattenChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="flatten"):
    """A flatten was opened, began to close, was proven, or is late."""

    flatten: Flatten
    at_ns: int


class RequestAnswered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="request_answered"):
    """Outcome of an operator's request to the router: done, or refused with the reason and the next step.

    `plan` is what the request does to the ledger, where it was looked up before."""

    id: str
    ok: bool
    message: str
    at_ns: int
    plan: SettlementPlan | None = None


class CallOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="call_outcome"):
    """The outcome of a call at the broker. Journaled by the router as input; not published."""

    client_order_id: str
    account: str
    call: Call
    outcome: Outcome
    began_machine_ns: int
    ended_machine_ns: int
    broker_order_id: str = ""
    message: str = ""
    retry_after_ns: int = 0


class ExitQuote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="exit_quote"):
    """The quote over REST that the router asked for at `asked_machine_ns`, for an exit that must be LIMIT.

    Journaled by the router as input; not published. Rupees, 0 for what the server does not say; `problem`: why there is
    no quote. `tick` is that of the day's instruments, 0 where the instrument is not among them.
    """

    goal: str
    account: str
    instrument: str
    asked_machine_ns: int
    ended_machine_ns: int
    ltp: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    previous_close: float = 0.0
    tick: float = 0.0
    problem: str = ""


class TimerFired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="timer"):
    """Machine time passed, with `market_ns` market time up to there. Journaled only when it led to a decision."""

    name: str
    machine_ns: int
    market_ns: int = 0


OrderMessage = (
    OrderChanged | PositionChanged | PositionAdjusted | TradeClosed | GoalChanged | UnmanagedChanged
    | InstrumentHalted | AccountModeChanged | AccountBrokerChanged | MismatchSeen | ForeignSeen
    | ProtectionChanged | EntriesStopped | EntryChurned | FlattenChanged | RequestAnswered
    | RecoveryChanged | CarriedShown | EmptyBooksSeen | NetAgreed | ProductNamed | SettlementOpened | UnitsAwaited
    | LastPriceSeen | HeldShort | ClaimWaits | OtherCopySeen | OutsideClosing | AccountsInRun
)  # fmt: skip
