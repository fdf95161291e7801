"""Reports of the broker on our orders: one source sights a fill, two confirm it, and an end needs two sightings."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.ids import content_id
from mytrading.core.oms.evidence import held_bounds, missing_units, net_evidence, net_positions, unread_rows
from mytrading.core.oms.evidence.judge import ENDS, OPEN, OrderCase, OrderReading, judge
from mytrading.core.oms.evidence.judge import OrderVerdict as V
from mytrading.core.oms.exits import broker_stops, exit_goals, odd_lots
from mytrading.core.oms.placing import entries, modify, slices
from mytrading.core.oms.reconcile import short_delivery, startup
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import (
    ABSENT,
    RESTING,
    STOP_TYPES,
    TERMINAL,
    UNRESOLVED,
    Fills,
    combine_fills,
    with_cancel,
)
from mytrading.core.time import day_start
from mytrading.messages.brokers import TradeOrderId
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Purpose, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import Contradicted, Disputed, OrderEvidence, PendingEnd, ReportedFills
from mytrading.messages.orders import Order, Position
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades, OrderReport

_LIMIT_READS = 2
"""Order books in a row that prove by its type that a stop has triggered."""


def bind_broker_order(oms: OrderDecision, order: Order, broker_order_id: str, **fields: Any) -> Order | None:
    """Assign a broker order id to an order and accept it; None, recorded as illegal, if another order has the id."""
    owner = oms.state.by_broker.get((order.account, broker_order_id))
    if owner is not None and owner != order.client_order_id and owner not in oms.state.carried:
        oms.record_illegal(order, f"broker order {broker_order_id} already belongs to {owner}")
        return None
    late = order.state in ABSENT
    evidence = replace(order.evidence, flapped=False, match=None, seen_machine_ns=0)
    if late:
        evidence = with_cancel(evidence, wanted=True)
        what = f"{order.side} {order.quantity} {order.instrument} was given up as never placed, but is at the broker"
        oms.alert(EventAlert.ORDER_APPEARED, Severity.CRITICAL, order.client_order_id, what)
    what = f"{order.client_order_id} is broker order {broker_order_id}"
    startup.record_difference(oms, order.account, "adopted", what)
    return oms.change(
        order, "appeared" if late else "accepted", state=OrderState.ACCEPTED, broker_order_id=broker_order_id,
        evidence=evidence, **fields,
    )  # fmt: skip


def on_report(oms: OrderDecision, report: OrderReport) -> None:
    """Update our order by a report of the order stream; a report of an order that is not ours is ignored."""
    row = report.order
    order = find_our_order(oms, report.account, row)
    if order is None or _impossible(oms, order, row):
        return
    _learn(oms, order, row, _with_update(oms, order, row, report.received_machine_ns))


def _with_update(oms: OrderDecision, order: Order, row: BrokerOrder, received_ns: int) -> OrderEvidence:
    """The evidence with an order update: a first sighting of a fill voids an earlier end, a new end is pending."""
    units = row.quantity if row.status is BrokerStatus.COMPLETE else (row.filled or 0)
    evidence, end = order.evidence, order.evidence.end
    if units > evidence.fills.stream:
        named = row.average_price or evidence.fills.trade_price  # kept, as the source that confirms may name none
        evidence = replace(evidence, fills=replace(evidence.fills, stream=units, trade_price=named))
    ended = order.state in TERMINAL
    voidable = end is None or isinstance(end, PendingEnd) or (isinstance(end, Disputed) and not ended)
    sighted = min(units, max(order.quantity, order.filled))  # one source is no sighting of more than was ordered
    if sighted > max(order.filled_seen, evidence.fills.stream_void) and voidable:
        evidence = replace(evidence, end=None, flapped=False, match=None, seen_machine_ns=received_ns)
    elif order.filled_seen < sighted <= evidence.fills.stream_void:
        # no sighting any more, but the books may show it now
        oms.request_read(order.account, "reported again", positions=True)
    if row.status not in ENDS or ended:
        return evidence
    if not isinstance(end, PendingEnd) or end.status is not row.status:
        pending = PendingEnd(status=row.status, by_stream=True)
        return replace(evidence, end=pending, flapped=False, match=None, seen_machine_ns=received_ns)
    if evidence.end is not None and not evidence.flapped and not end.by_stream:
        return replace(evidence, end=replace(end, by_stream=True))
    return evidence


def find_our_order(oms: OrderDecision, account: str, row: BrokerOrder) -> Order | None:
    """Return our order behind a broker order, by its id or by our id in its tag (then bound now); None if not ours."""
    state = oms.state
    tagged = state.orders.get(row.tag) if row.tag else None
    if (name := state.by_broker.get((account, row.broker_order_id))) is not None:
        order = oms.order(name)
        if name not in state.carried or ((tagged is None or tagged is order) and _may_be_carried(order, row)):
            return order
        # the broker gave the id of a carried order to another one
    if tagged is None or tagged.broker_order_id or tagged.account != account or tagged.call.attempt == 0:
        return None
    unsent = tagged.state in (OrderState.INITIALIZED, OrderState.DENIED, OrderState.REJECTED)
    return None if unsent else bind_broker_order(oms, tagged, row.broker_order_id)


def _may_be_carried(order: Order, row: BrokerOrder) -> bool:
    """True if a row with the id of an order of an earlier day may be that order: brokers give ids out again. Of one
    that ended with its day quantity and type must be its own as well, as it changes no more."""
    if (row.instrument, row.side) != (order.instrument, order.side):
        return False
    if order.state not in TERMINAL:
        return True
    wanted = order.evidence.modify.wanted
    quantities = (order.quantity, wanted.quantity) if wanted is not None else (order.quantity,)
    market = (row.order_type is OrderType.MARKET, order.order_type is OrderType.MARKET)
    return row.quantity in quantities and (row.order_type is None or market != (True, False))


def on_order_row(
    oms: OrderDecision, order: Order, row: BrokerOrder, trades: BrokerTrades | None, read: BooksRead,
    still: frozenset[NetKey] | None = None,
) -> bool:  # fmt: skip
    """Update an order from its order book row and its trades; True if the read is older than what is known already.

    `still`: keys of which the position book of the read tells, since nothing moved there after it began."""
    if read.began_machine_ns <= order.call.ended_machine_ns or _impossible(oms, order, row):
        return read.began_machine_ns > order.call.ended_machine_ns
    if order.state in RESTING:
        order = modify.compare_with_book(oms, order, row, read)
    if order.purpose is Purpose.STOP:
        order, row = broker_stops.compare_with_book(oms, order, row, trades, read)
    row = _without_untrue_rejection(oms, order, row)
    fills = net_evidence.with_trade_under_other_id(oms, order, _levels(oms, order, row, trades), read)
    is_still = still is None or order.net in still
    if is_still:
        fills = net_evidence.with_net(oms, order, row, fills, read)
    settled = order.state is OrderState.FILLED and order.filled_seen == order.filled and order.evidence.end is None
    settled = settled and not (order.evidence.fills.price_estimated and row.average_price)
    if settled and row.status is BrokerStatus.COMPLETE and fills is order.evidence.fills:
        return False  # most rows of a day repeat what is known of a filled order
    reading = _reading(oms, order, row, fills, trades, read)
    if order.state in TERMINAL:
        return _on_ended(oms, order, row, fills, reading, read)
    verdict, evidence = judge(order, order.evidence, reading, OrderCase.RESTING)
    if reading.denies_fill:
        order, evidence, fills = _judge_fill(oms, order, evidence, fills, reading)
    proven = verdict is V.END_PROVEN and net_evidence.tells_end(oms, order, row, fills, read, still=is_still)
    evidence = _with_stop_shown(order, row, read, _with_fills(evidence, fills))
    _learn(oms, order, row, evidence, read, proven=proven)
    if reading.unasked and row.status in ENDS:
        broker_stops.on_unasked_end(oms, oms.order(order.client_order_id), row)
    return reading.fewer


def _without_untrue_rejection(oms: OrderDecision, order: Order, row: BrokerOrder) -> BrokerOrder:
    """The row; `rejected` of a live exit or stop has no meaning at a broker that says so of a refused change or cancel.

    An exit is cancelled by its id then, as another follows it; of a stop the protection takes care."""
    if order.state not in RESTING or not entries.is_end_untrue(oms, order, row.status):
        return row
    cancel = order.evidence.cancel
    if not cancel.calls and not cancel.wanted:
        entries.cancel_order(oms, order, "replaced: it is shown rejected after a change, which may have been refused")
    elif cancel.calls and not cancel.refused:
        return row  # the cancel was taken: it has ended
    return replace(row, status=BrokerStatus.OTHER)


def _reading(
    oms: OrderDecision,
    order: Order,
    row: BrokerOrder,
    fills: ReportedFills,
    trades: BrokerTrades | None,
    read: BooksRead,
) -> OrderReading:
    shown = max(row.filled or 0, row.quantity if row.status is BrokerStatus.COMPLETE else 0)
    hidden = unread_rows.hides_trades(oms, order, read)
    denies = read.trades is not None and not hidden and max(shown, trades.quantity if trades else 0) <= order.filled
    # order and trade book, with `fills` as this read leaves them, lack a fill that one source reported
    denies = denies and row.status in (*ENDS, *OPEN) and combine_fills(order, 0.0, fills).seen > order.filled
    net_denies = None
    names_order = oms.broker(order.account).trade_order_id is TradeOrderId.ORDER
    denies = denies and not (not names_order and net_evidence.may_have_traded(oms, order, read))
    if denies and (net := _net_of(oms, order, row, read, by_order=names_order)) is not None:
        net_denies = (net - net_positions.ledger_net(oms.state, order.net)) * order.side.sign <= 0
    denies = denies and (names_order or net_denies is not None)  # no trade is found by the order's id: positions tell
    denies = denies and (names_order or bool(net_denies) or row.status in OPEN)
    proven = read.trades is not None and not (hidden and _may_hide_a_fill(oms, order, read))
    return OrderReading(
        oms.limits, read.began_machine_ns, read.ended_machine_ns, row.status, trades_read=proven,
        denies_fill=denies, net_denies_fill=net_denies, fewer=_backward(order, row),
        unasked=order.purpose is Purpose.STOP and broker_stops.is_end_unasked(oms, order, read),
    )  # fmt: skip


def _net_of(oms: OrderDecision, order: Order, row: BrokerOrder, read: BooksRead, *, by_order: bool) -> int | None:
    """Signed units of the order's key by the position book; None if it does not tell. Of an ended order an empty book
    says nothing against a trade that is missing, where trades are found by the order's id (`by_order`)."""
    if by_order and row.status in ENDS:
        return held_bounds.shown_net(oms, order.net, read)
    if not missing_units.tells_beside_others(oms, order.net, read):
        return None
    return net_positions.net_with_unlisted(oms, order.net, net_positions.broker_net(order.net, read))


def _may_hide_a_fill(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True while an unreadable trade row may be a fill of the order: for `ghost_gap`, unless the position book denies
    it, since an exit may wait for the order's end."""
    if not net_positions.broker_net_may_differ(oms, order.net, read):
        return False
    if order.evidence.end:
        oms.request_read(order.account, "unread trade", positions=True)
    return read.began_machine_ns - order.evidence.seen_machine_ns < oms.limits.ghost_gap


def _on_ended(
    oms: OrderDecision, order: Order, row: BrokerOrder, fills: ReportedFills, reading: OrderReading, read: BooksRead
) -> bool:
    verdict, evidence = judge(order, order.evidence, reading, OrderCase.ENDED)
    what = f"{order.state} here, but {row.status} in two order books"
    if verdict is V.DISPUTE_NOTED:
        oms.change(order, "contradicted", evidence=evidence)
        oms.request_read(order.account, "contradiction")
    elif verdict is V.CONTRADICTED:
        oms.record_illegal(order, what, evidence=evidence)
    elif verdict is V.REVIVED:
        revived = oms.record_illegal(order, what, state=OrderState.ACCEPTED, evidence=evidence)
        broker_stops.cancel_if_unneeded(oms, revived)
    if verdict in (V.IGNORED, V.DISPUTE_NOTED, V.CONTRADICTED, V.REVIVED):
        return True
    if reading.denies_fill and row.status in ENDS and verdict not in (V.FLAPPED, V.CLEARED):
        order, evidence, fills = _judge_fill(oms, order, evidence, fills, reading)
    _learn(oms, order, row, _with_fills(evidence, fills), read)
    return verdict is V.BEHIND or _fewer(oms, oms.order(order.client_order_id), row, reading)


def _judge_fill(
    oms: OrderDecision, order: Order, evidence: OrderEvidence, fills: ReportedFills, reading: OrderReading
) -> tuple[Order, OrderEvidence, ReportedFills]:
    """Result of books that deny a sighted fill; `evidence` and `fills` are those with this read otherwise."""
    judged = judge(order, order.evidence, reading, OrderCase.SIGHTED_FILL)
    if judged.verdict is V.NOTHING:
        return order, evidence, fills
    if judged.verdict is V.FILL_BORNE_OUT:  # the one that reported it and the position book are two sources
        return order, evidence, replace(fills, net=order.filled_seen)
    if judged.verdict is not V.FILL_WITHDRAWN:
        return order, judged.evidence, fills
    if reading.status in OPEN or order.state in TERMINAL:
        evidence = judged.evidence
    before = order.evidence.fills
    traded = (fills.trades, fills.trade_value, fills.traded) != (before.trades, before.trade_value, before.traded)
    order = _withdraw_fill(oms, order, f"two reads show it {reading.status} with {order.filled}")
    left = replace(order.evidence.fills, book=min(fills.book, order.filled))
    if traded:
        left = replace(left, trades=fills.trades, trade_value=fills.trade_value)
        left = replace(left, traded=fills.traded, trade_price=fills.trade_price)
    fills = left
    return order, evidence, fills


def _with_fills(evidence: OrderEvidence, fills: ReportedFills) -> OrderEvidence:
    return evidence if fills is evidence.fills else replace(evidence, fills=fills)


def _with_stop_shown(order: Order, row: BrokerOrder, read: BooksRead, evidence: OrderEvidence) -> OrderEvidence:
    """The evidence with word and type that the order book gives an order with a trigger.

    Some brokers' types are made of the fields of a row, and one that lacks the trigger is a LIMIT: a type counts only
    in the order book, after it was another one, and twice.
    """
    if order.order_type not in STOP_TYPES or order.state not in (OrderState.ACCEPTED, OrderState.TRIGGERED):
        return evidence
    shown: dict[str, Any] = {}
    if row.order_type in STOP_TYPES:
        shown |= {"shown_stop": True, "limit_reads": 0}
    elif evidence.shown_stop and row.order_type is not None and row.status is BrokerStatus.OPEN:
        shown["limit_reads"] = min(evidence.limit_reads + 1, _LIMIT_READS)
    if row.status is BrokerStatus.TRIGGER_PENDING:
        shown |= {"shown_waiting": True, "shown_open_machine_ns": 0}
    elif row.status is BrokerStatus.OPEN and evidence.shown_waiting and not evidence.shown_open_machine_ns:
        shown["shown_open_machine_ns"] = read.ended_machine_ns
    return replace(evidence, **shown) if any(getattr(evidence, name) != shown[name] for name in shown) else evidence


def on_trade_sums(oms: OrderDecision, order: Order, trades: BrokerTrades) -> None:
    """Update an order's fills by its summed trades, as its order book row was not read."""
    _learn(oms, order, None, _with_fills(order.evidence, _traded(oms, order, trades)))


def book_named_fill(oms: OrderDecision, order: Order, trades: BrokerTrades, units: int) -> None:
    """Book that an order filled up to `units` in all by trades that name it, which another source has borne out."""
    fills = _traded(oms, order, trades)
    _learn(oms, order, None, _with_fills(order.evidence, replace(fills, net=units, net_again=units)))


def reading_without_row(oms: OrderDecision, read: BooksRead) -> OrderReading:
    """Return the `OrderReading` (input of `judge`) for an order that no book of the read lists."""
    return OrderReading(oms.limits, read.began_machine_ns, read.ended_machine_ns)


def on_absent_order(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """Update an order that no book of a read lists, ended if proven; True while the read may just be outdated."""
    filled = order.state in TERMINAL
    reading = reading_without_row(oms, read)._replace(carried=oms.is_of_earlier_day(order))
    case = OrderCase.FILLED_ABSENT if filled else OrderCase.RESTING_ABSENT
    verdict, evidence = judge(order, order.evidence, reading, case)
    if verdict is V.MISSING_NOTED:
        oms.change(order, "unseen", evidence=evidence)
    elif verdict is V.ENDED_OVERNIGHT:
        end_overnight_order(oms, order, read)
    elif verdict in (V.MISSING_REPORTED, V.DROPPED):
        units = f"{order.side} {order.quantity} {order.instrument}"
        what = f"{units}, broker order {order.broker_order_id}, is in no order book"
        cure = f"look at the broker, then `mytrading orders resolve {order.client_order_id}`"
        what = f"filled {what} any more; look at the broker" if filled else f"{what}: {cure}"
        oms.change(order, "missing", evidence=evidence, message=what)
        oms.alert(StateAlert.ORDER_MISSING, Severity.CRITICAL, order.client_order_id, what)
    return verdict in (V.BEHIND, V.MISSING_NOTED)


def end_overnight_order(oms: OrderDecision, order: Order, read: BooksRead) -> None:
    """End an order of an earlier day, as DAY orders do, once two books of today do not show it, with an alert.

    An entry's fill that one source reported is booked; an exit's or stop's only if the position book bears it out, else
    it is withdrawn; exits wait for book reads.
    """
    unknown = order.state in UNRESOLVED
    what = f"{order.side} {order.quantity} {order.instrument} of an earlier day is in no book of today: ended"
    change = modify.reset_modify(order.evidence.modify, by_replacement=False)
    evidence = with_cancel(replace(order.evidence, end=None, flapped=False, modify=change), wanted=False)
    oms.change(order, "expired", state=OrderState.EXPIRED, evidence=evidence, message=what)
    if unknown:
        what = f"{what}, and its fate was unknown; look at the broker"
        oms.alert(StateAlert.ORDER_UNRESOLVED, Severity.CRITICAL, order.client_order_id, what)
    else:
        oms.alert(EventAlert.ORDER_OVERNIGHT, Severity.WARNING, order.client_order_id, f"{what}; compare the positions")
    if order.filled_seen > order.filled:
        settle_unconfirmed_old_fill(oms, oms.order(order.client_order_id), read)
    elif order.purpose.reduces and (unknown or net_positions.broker_net_may_differ(oms, order.net, read)):
        net_positions.hold_back_exits(oms, order)


def settle_unconfirmed_old_fill(oms: OrderDecision, order: Order, read: BooksRead | None = None) -> None:
    """Settle a fill of an earlier day that only one of the broker's books reported. An entry's fill is booked, at the
    average of the position book of `read` if the order names no price. An exit's fill is booked if that book lists the
    position and lacks its units; else it is dropped, as the positions decide. Further exits wait for book reads.
    Where no book of today showed it live, today began without the units of an exit, and with those of an entry."""
    price = order.average_price or order.price
    if order.purpose.reduces:
        net_positions.hold_back_exits(oms, order)
        if read is None or not net_evidence.bears_out_old_fill(oms, order, read):
            _withdraw_fill(oms, order, "no book shows the order any more, the positions tell what is held")
            return
        price = price or _estimate(oms, order, order.evidence.fills, read)
    average = net_positions.broker_average_price(oms, order.net, read) if read else 0.0
    price = price or average or order.plan.reference_price
    if price > 0:
        event = "filled_late" if order.evidence.live_machine_ns else "filled_earlier"  # that rested on may be of today
        _book(oms, order, oms.change(order, event, filled=order.filled_seen, average_price=price))


def _levels(oms: OrderDecision, order: Order, row: BrokerOrder, trades: BrokerTrades | None) -> ReportedFills:
    fills = order.evidence.fills
    book = 0  # many brokers name no filled quantity: then the order book says nothing of it before its end
    if row.status is BrokerStatus.COMPLETE:
        book = max(row.quantity, row.filled or 0)
    elif row.filled is not None:
        book = max(fills.book if fills.book < order.quantity else 0, row.filled)
    fills = _traded(oms, order, trades) if trades else fills
    return fills if book == fills.book else replace(fills, book=book)


def _traded(oms: OrderDecision, order: Order, trades: BrokerTrades) -> ReportedFills:
    """The order's reported fills with its trades; their quantity counts only where the broker's rows count fills."""
    fills = order.evidence.fills
    if not oms.broker(order.account).trades_count_fills:
        price = trades.value / trades.quantity if trades.quantity > 0 else trades.price
        known = fills.trade_sum == trades.quantity and abs(fills.trade_price - price) < 1e-9
        new = {"traded": True, "trade_price": price or fills.trade_price, "trade_sum": trades.quantity}
        return fills if known and fills.traded else replace(fills, **new)
    if trades.quantity < fills.trades or (trades.quantity, trades.value) == (fills.trades, fills.trade_value):
        return fills
    return replace(fills, trades=trades.quantity, trade_value=trades.value)


def _estimate(oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead | None) -> float:
    """Rupees at which units count whose price no source names under our id: that of the one trade under another id that
    must be theirs, else the position book's average, else what was asked."""
    if read is not None and (price := net_evidence.price_under_other_id(oms, order, fills, read)) > 0:
        return price
    average = net_positions.broker_average_price(oms, order.net, read) if read and not order.purpose.reduces else 0.0
    asked = order.plan.reference_price or order.price or order.trigger_price
    return average or asked or oms.position(order).average_price


def _learn(
    oms: OrderDecision, order: Order, row: BrokerOrder | None, evidence: OrderEvidence, read: BooksRead | None = None,
    *, proven: bool = False,
) -> None:  # fmt: skip
    before = order
    estimate = _estimate(oms, order, evidence.fills, read)
    fills = combine_fills(order, (row.average_price or 0.0) if row else 0.0, evidence.fills, estimate)
    if fills.estimated != evidence.fills.price_estimated:
        evidence = replace(evidence, fills=replace(evidence.fills, price_estimated=fills.estimated))
    state = _state_after(order, fills, row.status if row else None, proven, evidence.limit_reads >= _LIMIT_READS)
    if state in TERMINAL and order.state not in TERMINAL:
        # an order that is replaced keeps the terms for its successor
        change, replaced = evidence.modify, evidence.modify.by_replacement and state is OrderState.CANCELLED
        change = replace(change, out=False) if replaced else modify.reset_modify(change)
        evidence = replace(with_cancel(evidence, wanted=False), end=None, flapped=False, match=None, modify=change)
    fields: dict[str, Any] = {
        "filled_seen": fills.seen,
        "filled": fills.confirmed,
        "average_price": fills.average_price,
    }
    told = state is OrderState.CANCELLED and order.evidence.cancel.wanted and order.message  # why it was cancelled
    ending = state in (OrderState.REJECTED, OrderState.CANCELLED) or (row and row.status is BrokerStatus.REJECTED)
    if row is not None and row.message and ending and not told:
        fields["message"] = row.message
    fields = {name: value for name, value in fields.items() if getattr(order, name) != value}
    if evidence is not order.evidence and evidence != order.evidence:
        fields["evidence"] = evidence
    if state is not order.state or fields:
        event = _event(order, state, fills)
        if row is not None and fills.confirmed > order.filled and _filled_before_today(oms, order, row):
            event = "filled_earlier"
        changed = oms.change(order, event, state=state, **fields)
        if changed.filled_seen > order.filled_seen:  # what else is learnt of an old entry guards nothing anew
            broker_stops.start_protection(oms, changed, changed.filled_seen - order.filled_seen)
            if order.state in TERMINAL or before.evidence.flapped:  # of one that came back its replacement is out, too
                modify.reduce_replacement(oms, changed, changed.filled_seen - order.filled_seen)
        _book(oms, order, changed)
        if changed.filled > changed.quantity and order.filled <= order.quantity:
            what = f"order for {changed.quantity} of {changed.instrument} filled {changed.filled}"
            oms.halt(changed.net, what)
            oms.alert(EventAlert.ORDER_OVERFILLED, Severity.CRITICAL, changed.client_order_id, what)
        if state is OrderState.REJECTED and order.state is not OrderState.REJECTED:
            slices.alert_rejected_slice(oms, changed, changed.message)
            if changed.purpose.reduces:
                if not odd_lots.on_refusal(oms, changed):
                    exit_goals.on_refusal(oms, changed)
                oms.request_read(changed.account, "exit rejected", positions=True)
        if changed.evidence.modify.by_replacement and state is OrderState.CANCELLED and order.state not in TERMINAL:
            modify.place_replacement(oms, changed)
        order = changed
    _ask_for_proof(oms, before, order)


def _ask_for_proof(oms: OrderDecision, before: Order, order: Order) -> None:
    """Request a read while something of an order is unproven, and for what the positions show of a key's first fill: a
    conversion at the terminal can be told from another name of the product by that alone."""
    end = order.evidence.end
    early = isinstance(end, PendingEnd) and oms.is_cancel_unanswered(order.account, order.client_order_id)
    ends = end and order.state in RESTING and not early
    news = (order.filled_seen, order.filled) != (before.filled_seen, before.filled)
    first = news and bool(order.filled_seen) and not order.purpose.reduces and not oms.state.agreed.get(order.net)
    doubted = not early and net_evidence.needs_positions(oms, order)
    if order.filled_seen > order.filled or ends or doubted or first:
        positions = doubted or first or isinstance(end, Disputed)
        cause = "first fill" if first else "unproven"
        oms.request_read(order.account, cause, positions=positions, at_once=first and not before.filled_seen)


def _state_after(order: Order, fills: Fills, status: BrokerStatus | None, proven: bool, is_limit: bool) -> OrderState:
    """The state of an order; `is_limit`: its type says that it has triggered. `open` proves nothing: most brokers say
    it of a stop that waits."""
    if fills.confirmed >= order.quantity:
        return OrderState.FILLED
    if proven and status in ENDS and fills.seen == fills.confirmed:
        return ENDS[status]
    if order.state in TERMINAL:
        return order.state
    if fills.seen:
        return OrderState.PARTIALLY_FILLED
    by_word = order.state is OrderState.TRIGGERED and order.evidence.limit_reads < _LIMIT_READS
    told = status is BrokerStatus.TRIGGERED and order.order_type in STOP_TYPES
    return OrderState.TRIGGERED if by_word or told or is_limit else OrderState.ACCEPTED


def _filled_before_today(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    """True if a fill that is learnt today of an order of an earlier day was made before: its row shows it ended, and no
    position book of today has agreed with what we held without the fill. The day began with its units then."""
    if order.client_order_id not in oms.state.carried or order.evidence.live_machine_ns or not row.status.is_final:
        return False
    of_today = bool(row.time_ns) and row.time_ns >= day_start(oms.now)
    return order.net not in oms.state.agreed_today and not of_today


def _event(order: Order, state: OrderState, fills: Fills) -> str:
    if state is not order.state and state in TERMINAL:
        return state.value.lower()
    if fills.confirmed > order.filled:
        return "filled_late" if order.state in TERMINAL else "partially_filled"
    if fills.seen > order.filled_seen:
        return "sighted"
    return state.value.lower() if state is not order.state else "observed"


def _book(oms: OrderDecision, before: Order, after: Order) -> None:
    units = (after.filled - before.filled) * after.side.sign
    position = oms.position(after)
    if units:
        paid = after.average_price * after.filled - before.average_price * before.filled
        price = paid / abs(units) if paid > 0 else after.average_price
        booked = position_ledger.book_fill(position, units, price, oms.now, after.run)
        opens = position.quantity * units <= 0 < booked.position.quantity * units and after.purpose is Purpose.ENTRY
        moved = position_ledger.with_exit_levels(booked.position, after) if opens else booked.position
        if after.evidence.fills.price_estimated and moved.quantity:
            moved = replace(moved, price_estimated=True)
        held = oms.record_fill(moved, after, units, price)
        if booked.trade:
            oms.emit(booked.trade)
        if after.purpose.reduces and held.quantity * after.side.sign > 0:
            _reversed(oms, after, held.quantity)
        return
    dearer = (after.average_price - before.average_price) * after.filled * after.side.sign
    if abs(dearer) > 1e-6:
        repriced = position_ledger.reprice(position, after.filled * after.side.sign, dearer, oms.now)
        oms.record_adjustment(_known_prices(oms, repriced, after), "correction", 0)
    elif (
        before.evidence.fills.price_estimated and not after.evidence.fills.price_estimated and position.price_estimated
    ):
        oms.record_adjustment(_known_prices(oms, position, after), "correction", 0)
    oms.record_quantity_seen(after)


def _known_prices(oms: OrderDecision, position: Position, order: Order) -> Position:
    """The position, whose prices count as known if those of no other order of its owner are a guess."""
    if not position.price_estimated or order.evidence.fills.price_estimated:
        return position
    others = (other for other in oms.state.orders.values() if other.evidence.fills.price_estimated and other.filled)
    guessed = any(other.owner == position.owner and other.updated_ns >= position.opened_ns for other in others)
    return replace(position, price_estimated=guessed)


def _reversed(oms: OrderDecision, order: Order, held: int) -> None:
    what = f"exits of {order.instrument} filled beyond what {order.strategy} held: now {held}; it is being flattened"
    oms.alert(EventAlert.POSITION_REVERSED, Severity.CRITICAL, order.client_order_id, what)
    short_delivery.alert_sold_beyond_held(oms, order.net, held, is_bought_back=True)
    name = content_id("reversal", order.client_order_id, order.filled)
    exit_goals.start_goal(oms, name, order, order.client_order_id, "an exit filled beyond what was held")


def _impossible(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    if row.instrument == order.instrument and row.side is order.side:
        return False
    if not isinstance(order.evidence.end, Contradicted):
        what = f"broker order {row.broker_order_id} is {row.side} {row.instrument}, ours is {order.side}"
        oms.record_illegal(order, f"{what} {order.instrument}", evidence=replace(order.evidence, end=Contradicted()))
    return True


def _fewer(oms: OrderDecision, order: Order, row: BrokerOrder, reading: OrderReading) -> bool:
    """True while a row with fewer units than are certain may be an old snapshot; one that stays is illegal."""
    reading = reading._replace(fewer=_backward(order, row))
    verdict, evidence = judge(order, order.evidence, reading, OrderCase.ENDED_LEVEL)
    if verdict is V.FEWER_NOTED:
        oms.change(order, "fewer", evidence=evidence)
    elif verdict is V.CONTRADICTED:
        what = f"filled {order.filled} here, {row.filled} in all order books since"
        oms.record_illegal(order, what, evidence=evidence)
    return verdict in (V.BEHIND, V.FEWER_NOTED)


def _backward(order: Order, row: BrokerOrder) -> bool:
    """True if the row shows less than is already certain, so that the whole read is from before."""
    return row.filled is not None and row.filled < order.filled and row.status is not BrokerStatus.COMPLETE


def _withdraw_fill(oms: OrderDecision, order: Order, why: str) -> Order:
    fills, gone = order.evidence.fills, order.filled_seen - order.filled
    traded = min(fills.trades, order.filled)
    what = f"one source reported {order.filled_seen} of {order.quantity} {order.instrument} filled; {why}"
    left = replace(
        fills, stream_void=fills.stream, book=min(fills.book, order.filled), trades=traded,
        net=min(fills.net, order.filled), net_again=min(fills.net_again, order.filled),
        trade_value=fills.trade_value * traded / fills.trades if fills.trades else 0.0,
    )  # fmt: skip
    ended = {"end": None, "flapped": False} if order.state in TERMINAL else {}
    evidence = replace(order.evidence, fills=left, **ended)
    changed = oms.change(order, "sighting_withdrawn", evidence=evidence, filled_seen=order.filled, message=what)
    oms.record_quantity_seen(changed)
    text = f"{what}: {gone} units are taken back, and the stop that was placed for them"
    oms.alert(EventAlert.FILL_WITHDRAWN, Severity.WARNING, order.client_order_id, text)
    return changed
