"""Orders of unknown fate, resolved by reading: adopted, given up as LOST, or declared a GHOST.

What is not there proves nothing until it was not there in several reads that began after the call ended and that are
not behind what we already know.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.oms.evidence import net_positions, unread_rows
from mytrading.core.oms.evidence.judge import OrderCase, OrderReading, OrderVerdict, judge, unseen_reads
from mytrading.core.oms.exits import exit_goals
from mytrading.core.oms.placing import entries, slices
from mytrading.core.oms.reconcile import order_identity, order_updates, position_corrections
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import ABSENT, same_fingerprint
from mytrading.messages.brokers import TradeOrderId
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Purpose, Severity
from mytrading.messages.order_evidence import Candidate, Unseen
from mytrading.messages.orders import Goal, Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades
from mytrading.messages.run_config import UnknownExit

ANALYZE = "analyze"
_UNTRADED = (BrokerStatus.TRIGGER_PENDING, BrokerStatus.REJECTED)


class SortedRead(NamedTuple):
    """One read, sorted: order rows and trade sums that are nobody's, and whether the read shows an older past."""

    read: BooksRead
    unclaimed: list[BrokerOrder]
    trades: list[BrokerTrades]
    behind: bool
    earlier: BooksRead
    """Its rows of orders that ended on earlier days."""


def resolve_unknown_orders(oms: OrderDecision, sorted_read: SortedRead) -> None:
    """Decide on each order of unknown fate by one read: bind it to a broker order, or count that it is absent."""
    seekers = sorted(
        (oms.order(name) for name, of in oms.state.seeking.items() if of == sorted_read.read.account),
        key=lambda order: (order.state in ABSENT, order.call.began_machine_ns, order.client_order_id),
    )
    taken: set[str] = set()
    for place, order in enumerate(seekers):
        # a call that is still out may be the maker of any matching row: decide when it has answered
        calling = (other for other in oms.open_orders(order.net) if other.state is OrderState.SUBMITTED)
        if any(_twins(order, other) for other in calling):
            continue
        free = [row for row in sorted_read.unclaimed if row.broker_order_id not in taken]
        matching = _matching(oms, order, free, sorted_read.read)
        rivals = sum(
            _twins(order, other) and bool(other is order or _matching(oms, other, free, sorted_read.read))
            for other in seekers[place:]
        )
        several = len(matching) > rivals
        if matching and not several:
            matching = [_preferred(oms, order, matching)]
        taken.update(row.broker_order_id for row in matching)
        _tell_of_look_alikes(oms, order, free, sorted_read.read)
        if matching:
            _listed(oms, order, matching, sorted_read, several=several)
        elif order.state is OrderState.UNKNOWN:
            _absent(oms, order, sorted_read)


def _matching(oms: OrderDecision, order: Order, rows: list[BrokerOrder], read: BooksRead) -> list[BrokerOrder]:
    """The rows that may be this order; of one whose successor has filled those that more than the hard facts shows."""
    alike = [row for row in rows if order_identity.may_be_same_order(oms, order, row)]
    if not alike or not order_identity.is_replaced(oms, order):
        return alike
    return [row for row in alike if order_identity.is_proven(oms, order, row, read)]


def _tell_of_look_alikes(oms: OrderDecision, order: Order, rows: list[BrokerOrder], read: BooksRead) -> None:
    """Alert that nothing is done about a new row like an order whose successor has filled: it may be anybody's."""
    fresh = [row for row in rows if (order.account, row.broker_order_id) not in oms.state.foreign]
    if order.state not in ABSENT or not fresh:
        return
    for row in fresh:
        if order_identity.may_be_same_order(oms, order, row) and not _matching(oms, order, [row], read):
            what = f"broker order {row.broker_order_id} ({row.status}) is like {order.side} {order.quantity}"
            what = f"{what} {order.instrument}, which was given up as never placed and whose successor has filled"
            text = f"{what}; nothing is done about it: if nobody placed it by hand, cancel it at the broker"
            oms.alert(EventAlert.ORDER_APPEARED, Severity.CRITICAL, order.client_order_id, text)


def _twins(one: Order, other: Order) -> bool:
    return one.product is other.product and same_fingerprint(one, other.instrument, other.side, other.quantity)


def _first_seen(oms: OrderDecision, order: Order, row: BrokerOrder | BrokerTrades) -> int:
    return order_identity.first_seen(oms, order.account, row.broker_order_id)


def _preferred(oms: OrderDecision, order: Order, matching: list[BrokerOrder]) -> BrokerOrder:
    """The candidate, else the row that was seen first: orders choose by age, and a younger one cannot be an old row."""
    match = order.evidence.match
    candidate = match.broker_order_id if isinstance(match, Candidate) else ""
    return min(
        matching, key=lambda row: (row.broker_order_id != candidate, _first_seen(oms, order, row), row.broker_order_id)
    )


def _listed(
    oms: OrderDecision, order: Order, rows: list[BrokerOrder], sorted_read: SortedRead, *, several: bool = False
) -> None:
    read, row = sorted_read.read, rows[0]
    reading = _reading(oms, order, sorted_read)._replace(found=row.broker_order_id, several=several)
    verdict, evidence = judge(order, order.evidence, reading, OrderCase.UNKNOWN_LISTED)
    if verdict is OrderVerdict.AMBIGUITY_NOTED:
        names = ", ".join(sorted(row.broker_order_id for row in rows))
        what = f"{len(rows)} broker orders could be {order.side} {order.quantity} {order.instrument}: {names}"
        oms.change(order, "ambiguous", evidence=evidence, message=what)
        what = f"{what}; an operator must decide"
        oms.alert(StateAlert.ORDER_AMBIGUOUS, Severity.CRITICAL, order.client_order_id, what)
    elif verdict is OrderVerdict.CANDIDATE_NOTED:
        oms.change(order, "candidate", evidence=evidence)
        oms.request_read(order.account, "candidate", positions=order.purpose.reduces)
    elif verdict is OrderVerdict.BOUND:
        bound = order_updates.bind_broker_order(oms, order, row.broker_order_id, **_shown_prices(order, row))
        if bound is not None:
            trades = next((t for t in sorted_read.trades if t.broker_order_id == row.broker_order_id), None)
            order_updates.on_order_row(oms, bound, row, trades, read)


def _reading(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> OrderReading:
    reading = order_updates.reading_without_row(oms, sorted_read.read)
    return reading._replace(behind=sorted_read.behind, carried=oms.is_of_earlier_day(order))


def _shown_prices(order: Order, row: BrokerOrder) -> dict[str, Any]:
    """The prices of an adopted order are the broker's: of two alike it may be the other, placed at another level."""
    same = order.order_type is row.order_type and order.order_type is not OrderType.MARKET
    names = ("price", "trigger_price") if same else ()
    return {name: value for name in names if (value := getattr(row, name)) > 0 and getattr(order, name) > 0}


def _absent(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> None:
    reduces = order.purpose.reduces
    reading = _reading(oms, order, sorted_read)
    reading = reading._replace(
        behind=reading.behind
        or unread_rows.hides_order(oms, order, sorted_read.read)
        or order_identity.may_be_used_again(oms, order, (*(sorted_read.earlier.orders or ()), *sorted_read.unclaimed)),
        unmoved=_net_unchanged(oms, order, sorted_read) if reduces else None,
        tagged=not reduces and _shows_tags(oms, sorted_read.read),
    )
    verdict, evidence = judge(order, order.evidence, reading, OrderCase.UNKNOWN_ABSENT)
    if event := _COUNTING.get(verdict):
        oms.change(order, event, evidence=evidence)
    elif verdict is OrderVerdict.ENDED_OVERNIGHT:
        order_updates.end_overnight_order(oms, order, sorted_read.read)
    elif verdict is OrderVerdict.GIVEN_UP:
        _give_up(oms, order, sorted_read)
    elif verdict is OrderVerdict.LOST:
        what = f"{order.side} {order.quantity} {order.instrument} was not placed as far as"
        what = f"{what} {unseen_reads(order.evidence) + 1} reads can tell"
        oms.change(order, "lost", state=OrderState.LOST, message=what)
        what = f"{what}; entries of that side are denied (RESERVED) for the session, those of the other go on"
        what = f"{what}; {entries.resolve_advice(order)}"
        oms.alert(StateAlert.ORDER_LOST, Severity.WARNING, order.client_order_id, what)


_COUNTING = {
    OrderVerdict.CANDIDATE_GONE: "candidate_gone",
    OrderVerdict.MISSING_NOTED: "unseen",
    OrderVerdict.UNSEEN_COUNTED: "unseen",
    OrderVerdict.UNSEEN_CLEARED: "unclear",
}
"""Verdicts that change the evidence alone, and the events that say so."""


def _shows_tags(oms: OrderDecision, read: BooksRead) -> bool:
    """True in analyzer mode if each order of ours in the read is tagged with its id: one that is there would be too."""
    names = oms.state.by_broker
    ours = [(row.tag, name) for row in read.orders or () if (name := names.get((read.account, row.broker_order_id)))]
    return oms.state.modes.get(read.account) == ANALYZE and ours != [] and all(tag == name for tag, name in ours)


def _give_up(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> None:
    """Declare an exit or stop a ghost, once for each that sends the next one; after that an operator decides."""
    evidence = replace(order.evidence, match=Unseen(reads=2))
    same_try = any(part.state is OrderState.GHOST for part in slices.sibling_slices(oms, order))
    if oms.limits.unknown_exit is UnknownExit.SECOND_EXIT and (same_try or not _retry_used(oms, order)):
        kind, read = "stop" if order.purpose is Purpose.STOP else "exit", sorted_read.read
        what = f"{kind} {order.side} {order.quantity} {order.instrument} was never placed as far as the books can tell"
        if _by_strangers(oms, order, sorted_read) and read.positions:
            position_corrections.correct_positions(oms, order.net, net_positions.broker_net(order.net, read), read)
        oms.change(order, "ghost", state=OrderState.GHOST, message=what, evidence=evidence)
        what = f"{what}; one further {kind} is sent"
        oms.alert(EventAlert.ORDER_GHOST, Severity.CRITICAL, order.client_order_id, what)
        exit_goals.on_ghost(oms, order)
        if not same_try:
            _use_retry(oms, order)
    elif unseen_reads(order.evidence) < 2:
        oms.change(order, "unresolved", evidence=evidence)
        _ask_operator(oms, order)


def _net_unchanged(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> bool | None:
    """True if trades and net show that nothing was filled, None if this read cannot tell."""
    read, key = sorted_read.read, order.net
    if read.trades is None or read.positions is None or not read.positions:
        return None
    if unread_rows.hides_trades(oms, order, read) or unread_rows.hides_position(order.instrument, read):
        return None
    for other in oms.open_orders(key):
        moving = other.state is OrderState.SUBMITTED or other.filled_seen > other.filled
        if moving and other.client_order_id != order.client_order_id:
            return None
    if not oms.broker(order.account).trades_count_fills:
        return _net_stands(oms, order, sorted_read)
    strange = _strangers(oms, order, sorted_read)
    if any(t.side is order.side and t.broker_order_id not in strange for t in _fresh_trades(oms, order, sorted_read)):
        return False
    ledger = net_positions.ledger_net(oms.state, key)
    if not any(row.instrument == key.instrument and row.product is key.product for row in read.positions):
        return 0 < (oms.state.delivered.get(key) or 0) == ledger  # delivered overnight, untouched: in no position book
    return net_positions.broker_net(key, read) - ledger in (0, _by_strangers(oms, order, sorted_read))


def _net_stands(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> bool | None:
    """Whether the net of a broker whose trades count no fills is ours and no trade may be the order's; None if the read
    cannot tell: the net is listed, and nobody else's order of the instrument may have moved it meanwhile."""
    read, key = sorted_read.read, order.net
    rows = [row for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product)]
    began = order.call.began_machine_ns
    fresh = [row for row in sorted_read.unclaimed if row.instrument == key.instrument]
    if not rows or any(_first_seen(oms, order, row) > began for row in fresh if row.status not in _UNTRADED):
        return None
    by_id = oms.broker(order.account).trade_order_id is TradeOrderId.ORDER
    if by_id and any(trade.side is order.side for trade in _fresh_trades(oms, order, sorted_read)):
        return False
    return net_positions.broker_net(key, read) == net_positions.ledger_net(oms.state, key)


def _fresh_trades(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> list[BrokerTrades]:
    """Trades of orders without owner in the order's instrument that may be its own: not seen before its call began."""
    began, trades = order.call.began_machine_ns, sorted_read.trades
    return [t for t in trades if t.instrument == order.instrument and _first_seen(oms, order, t) > began]


def _strangers(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> set[str]:
    """Orders of this read, under the order's product, that none of ours of unknown fate can be, mostly an operator's"""
    sought = [oms.order(name) for name, of in oms.state.seeking.items() if of == sorted_read.read.account]
    return {
        row.broker_order_id
        for row in sorted_read.unclaimed
        if (row.instrument, row.product) == (order.instrument, order.product)
        and not any(_matching(oms, other, [row], sorted_read.read) for other in sought)
    }


def _by_strangers(oms: OrderDecision, order: Order, sorted_read: SortedRead) -> int:
    """Units (signed) of strangers' trades since the order's call began; the net moved by them, or they are booked."""
    strange = _strangers(oms, order, sorted_read)
    trades = _fresh_trades(oms, order, sorted_read)
    return sum(trade.quantity * trade.side.sign for trade in trades if trade.broker_order_id in strange)


def _retry_used(oms: OrderDecision, order: Order) -> bool:
    """True if this order took the place of one that was given up; those in doubt together were all sent before."""
    senders = _goals(oms, order)
    if order.purpose is not Purpose.STOP:
        return any(goal.ghosts for goal in senders)
    level = oms.state.protections.get(order.owner)
    again = level is not None and level.ghosts > 0 and order.call.began_machine_ns >= level.ghost_machine_ns
    return again and not senders


def _use_retry(oms: OrderDecision, order: Order) -> None:
    senders = _goals(oms, order)
    level = oms.state.protections.get(order.owner) if order.purpose is Purpose.STOP else None
    for goal in senders:
        if not goal.ghosts:
            oms.change_goal(goal, ghosts=1)
    if not senders and level is not None:
        oms.change_protection(level, ghosts=level.ghosts + 1, ghost_machine_ns=level.ghost_machine_ns or oms.machine)


def _ask_operator(oms: OrderDecision, order: Order) -> None:
    """Alarm that only an operator can end the doubt now, and what it means until then."""
    for goal in _goals(oms, order):
        what = f"the fate of {order.purpose} {order.client_order_id} stays unknown; an operator must look"
        exit_goals.mark_stuck(oms, goal, what)
    if order.purpose is Purpose.STOP:
        what = f"{order.strategy} in {order.instrument}: no book shows its stop {order.side} {order.quantity}, and it"
        cure = f"is not placed again; look at the broker, then `mytrading orders resolve {order.client_order_id}`"
        text = f"{what} {cure}; risk closes at its level"
        oms.alert(StateAlert.STOP_IN_DOUBT, Severity.CRITICAL, order.client_order_id, text)


def _goals(oms: OrderDecision, order: Order) -> list[Goal]:
    """The goals that send the next: of an exit its own, of a stop all that its owner has open."""
    if order.purpose is not Purpose.STOP:
        own = oms.state.goals.get(order.links.goal)
        return [own] if own is not None else []
    return [goal for goal in oms.state.unfinished_goals() if goal.owner == order.owner]
