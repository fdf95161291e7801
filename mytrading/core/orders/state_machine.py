"""The life of an order as data: which moves are legal, and what its reported levels mean.

Fills are cumulative levels per source, never deltas, so a report that comes twice, late or out of order changes nothing
that is already known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from mytrading.core.time import ist_date
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import OrderState, OrderType, Purpose, Side
from mytrading.messages.order_evidence import OrderEvidence, ReportedFills
from mytrading.messages.orders import NO_CALL, EntryPlan, Order, PlacingCall
from mytrading.messages.reports import BrokerOrder

S = OrderState

TERMINAL = frozenset({S.FILLED, S.DENIED, S.REJECTED, S.CANCELLED, S.EXPIRED, S.LOST, S.GHOST, S.RECORDED})
"""Final states; late reports may still move the ones that the broker ended."""

SAME_PRICE = 1e-6
"""Rupees by which two prices of the same terms may differ."""

STOP_TYPES = frozenset({OrderType.SL, OrderType.SL_M})
"""Types of orders that wait for a trigger."""

RESTING = frozenset({S.ACCEPTED, S.TRIGGERED, S.PARTIALLY_FILLED})
"""Known to be at the broker under its own id."""

TRIGGERED = RESTING - {S.ACCEPTED}
"""Of a stop: it has triggered, and fills or waits for a price within its limit."""

UNRESOLVED = frozenset({S.UNKNOWN, S.PARKED})
"""May or may not be at the broker: blocks entries of its side and counts in the clamp."""

LIVE = RESTING | UNRESOLVED | {S.INITIALIZED, S.SUBMITTED}

ABSENT = frozenset({S.LOST, S.GHOST})
"""Given up as never placed; one that appears within its window is ours. LOST stays reserved, GHOST does not."""

SENT = RESTING | UNRESOLVED | {S.SUBMITTED}
"""States of an order that was sent and may still fill."""

FREED = TERMINAL - {S.LOST}
"""Ends whose units count no more; those of a LOST order stay reserved, since it may appear after all."""

PROVEN = TERMINAL - ABSENT
"""Ends that were reported; that an absent order never was one is concluded, and may be wrong."""

_AT_BROKER = frozenset({S.ACCEPTED, S.TRIGGERED, S.PARTIALLY_FILLED, S.FILLED, S.REJECTED, S.CANCELLED, S.EXPIRED})

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    S.INITIALIZED: frozenset({S.SUBMITTED, S.DENIED, S.CANCELLED, S.EXPIRED}),
    S.SUBMITTED: _AT_BROKER | {S.INITIALIZED, S.UNKNOWN, S.PARKED, S.RECORDED},
    S.ACCEPTED: (_AT_BROKER - {S.ACCEPTED}) | {S.UNKNOWN},
    S.TRIGGERED: (_AT_BROKER - {S.TRIGGERED}) | {S.UNKNOWN},
    S.PARTIALLY_FILLED: frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED, S.ACCEPTED, S.TRIGGERED}),
    S.UNKNOWN: _AT_BROKER | {S.LOST, S.GHOST, S.PARKED},
    S.PARKED: _AT_BROKER | {S.GHOST},
    S.LOST: _AT_BROKER | {S.GHOST},
    S.GHOST: _AT_BROKER,
    S.CANCELLED: frozenset({S.FILLED}),
    S.EXPIRED: frozenset({S.FILLED}),
    S.REJECTED: frozenset({S.FILLED}),
    S.FILLED: frozenset(),
    S.DENIED: frozenset(),
    S.RECORDED: frozenset(),
}
"""Legal moves. A fill after an end is late reality; a return from an end to life is not legal and is recorded.
An accepted order becomes UNKNOWN only if its id proves to be none: one that several orders bear, or that no book shows
and an operator settles."""


class ModifyRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of an account's broker for changes of resting orders."""

    in_place: bool = True
    """False: it has no modify call, or one that cannot be relied on; orders are cancelled and placed anew."""
    most: int = 20
    """Modify calls for one order; brokers refuse more than 25."""
    after_fill: bool = True
    """False: an order of which something is filled is cancelled and placed anew."""


class Fills(NamedTuple):
    """Fills by all sources together: units sighted, units confirmed by two, and the average price of those (rupees),
    which may be `estimated`."""

    seen: int
    confirmed: int
    average_price: float
    estimated: bool = False


def describe_order(order: Order) -> str:
    """Describe a live order for an operator, with advice if it is held for approval."""
    what = f"{order.purpose} {order.side} {order.quantity} {order.instrument} is {order.state}"
    return f"{what}, {approval_advice(order)}" if order.state is S.PARKED else what


def approval_advice(order: Order) -> str:
    """Return the advice to an operator about an order held at the server for approval."""
    name = order.client_order_id
    return f"approve it at the server, or delete it there and say `mytrading orders resolve {name} --not-placed`"


def is_live(order: Order) -> bool:
    """True while the order is unsent, at the broker, or of unknown fate."""
    return order.state in LIVE


def is_settled(order: Order) -> bool:
    """True if an order has ended for good: not LOST or GHOST, and every fill that one source reported is confirmed."""
    return order.state in TERMINAL and order.filled_seen == order.filled and order.state not in ABSENT


def is_of_day(order: Order, day: str) -> bool:
    """True if the order was sent on this day (ISO date, of India) or later; made, if it was never sent."""
    return ist_date(order.call.sent_ns or order.created_ns).isoformat() >= day


def is_untriggered_stop(order: Order) -> bool:
    """True for a stop order that the broker has accepted and that nothing proves to have triggered."""
    return order.purpose is Purpose.STOP and order.state is OrderState.ACCEPTED


def first_trigger(orders: Iterable[Order]) -> float | None:
    """Return the trigger (rupees) that the price reaches first, of the stops of one side that rest at the broker; None
    without such a stop."""
    resting = [order for order in orders if order.purpose is Purpose.STOP and order.state in RESTING]
    triggers = [order.trigger_price for order in resting if order.trigger_price]
    if not triggers:
        return None
    return max(triggers) if resting[0].side is Side.SELL else min(triggers)


def with_wanted_terms(order: Order) -> Order:
    """Return the order with the terms of its pending change, as a modify call sends them."""
    if (wanted := order.evidence.modify.wanted) is None:
        return order
    return replace(order, price=wanted.price, trigger_price=wanted.trigger_price, quantity=wanted.quantity)


def unfilled_quantity(order: Order) -> int:
    """Return the quantity less confirmed fills, at least 0."""
    return max(0, order.quantity - order.filled)


def same_fingerprint(order: Order, instrument: str, side: Side, quantity: int) -> bool:
    """True if a broker's order with these terms can be `order`: equal but for price and type, which may differ."""
    return order.quantity == quantity and order.side is side and order.instrument == instrument


def is_other_limit(order: Order, row: BrokerOrder) -> bool:
    """True for a LIMIT order that rests at another limit than that of a stop: it cannot be this stop, which some books
    call LIMIT once it has triggered, at its own limit. One that has filled may show the price at which it did."""
    if order.order_type is not OrderType.SL or row.order_type is not OrderType.LIMIT or row.status.is_final:
        return False
    return not row.filled and row.price > 0 and abs(row.price - order.price) > SAME_PRICE


def combine_fills(
    order: Order, reported_price: float, reported: ReportedFills | None = None, estimate: float = 0.0
) -> Fills:
    """Combine fills by source (stream, order book, trade book, position book; `reported`, else the order's own).

    `seen` is the largest, not above the order's quantity unless two sources say so; `confirmed` the second largest,
    never less than before. A trade that counts no units bears out what stream or order book say. `reported_price` and
    `estimate` are rupees, 0 if there is none: units that no source names a price of exist all the same, at the
    estimate. Without one nothing more is confirmed.
    """
    fills = reported or order.evidence.fills
    stream = fills.stream if fills.stream > fills.stream_void else 0
    borne_out = max(stream, fills.book) if fills.traded else 0
    *_, second, largest = sorted((stream, fills.book, fills.trades, fills.net, fills.net_again, borne_out))
    confirmed = max(order.filled, second)
    price, estimated = _price(order, fills, confirmed, reported_price, estimate)
    if price <= 0:
        confirmed = order.filled
    return Fills(max(min(largest, max(order.quantity, second)), confirmed), confirmed, price, estimated)


def _price(
    order: Order, fills: ReportedFills, confirmed: int, reported_price: float, estimate: float
) -> tuple[float, bool]:
    """The average price of the confirmed units in rupees, and whether it is a guess."""
    if fills.trades and fills.trades >= confirmed and fills.trade_value > 0:
        return fills.trade_value / fills.trades, False
    named = reported_price or fills.trade_price
    if named > 0 and (confirmed > order.filled or fills.price_estimated):
        return named, False
    if confirmed > order.filled and order.average_price <= 0:
        return estimate, estimate > 0
    return order.average_price, fills.price_estimated


def with_cancel(evidence: OrderEvidence, **fields: Any) -> OrderEvidence:
    """Return the evidence with these fields of its `cancel` replaced."""
    return replace(evidence, cancel=replace(evidence.cancel, **fields))


def with_modify(evidence: OrderEvidence, **fields: Any) -> OrderEvidence:
    """Return the evidence with these fields of its `modify` replaced."""
    return replace(evidence, modify=replace(evidence.modify, **fields))


def order_from_command(command: PlaceEntry, now: int) -> Order:
    """The order that an entry command asks for, created at market time `now` and not sent yet."""
    return Order(
        client_order_id=command.id, account=command.account, instrument=command.instrument, product=command.product,
        strategy=command.strategy, run=command.run, cause=command.cause, purpose=command.purpose, side=command.side,
        quantity=command.quantity, order_type=command.order_type, state=OrderState.INITIALIZED, created_ns=now,
        updated_ns=now, price=command.price, trigger_price=command.trigger_price,
        call=PlacingCall(trace_ns=command.trace_ns) if command.trace_ns else NO_CALL,
        plan=EntryPlan(
            reference_price=command.reference_price, stop_trigger=command.stop_trigger, stop_limit=command.stop_limit,
            held_stop=command.held_stop, held_target=command.held_target, rests_until_ns=command.rests_until_ns,
            expires_ns=command.expires_ns, expires_machine_ns=command.expires_machine_ns,
        ),
    )  # fmt: skip
