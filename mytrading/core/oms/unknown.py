"""Orders of unknown fate, resolved by reading: adopted, given up as LOST, or declared a GHOST.

Used by `books` for every read of the order book. The one rule: what is not there proves nothing until it was not
there in several reads that began after the call ended and that are not behind what we already know.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mytrading.core.oms import correction, delivery, doubt, entries, parts, reality
from mytrading.core.oms.draft import Draft
from mytrading.core.oms.recovery import SEVERAL
from mytrading.core.oms.state import Key, key_of
from mytrading.core.order import ABSENT, UNRESOLVED, same_fingerprint
from mytrading.messages.enums import OrderState, OrderType, Purpose, Severity
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades
from mytrading.messages.runconfig import UnknownExit

ANALYZE = "analyze"
NEVER = 1 << 62
"""Machine ns of what no read has shown yet."""


class Evidence(NamedTuple):
    """One read, sorted: order rows and trade sums that are nobody's, and whether the read shows an older past."""

    read: BooksRead
    unclaimed: list[BrokerOrder]
    trades: list[BrokerTrades]
    behind: bool


def resolve(draft: Draft, evidence: Evidence) -> None:
    """Move every order on whose fate is unknown, and every one given up that appears."""
    account = evidence.read.account
    names = [name for name, of in draft.state.seeking.items() if of == account]
    seekers = sorted(
        (draft.order(name) for name in names),
        key=lambda order: (order.state in ABSENT, order.began_machine_ns, order.client_order_id),
    )
    taken: set[str] = set()
    for place, order in enumerate(seekers):
        if _in_flight_twin(draft, order):
            continue
        rivals = sum(_twins(order, other) for other in seekers[place:])
        _resolve(draft, order, rivals, evidence, taken)


def _twins(one: Order, other: Order) -> bool:
    return one.product is other.product and same_fingerprint(one, other.instrument, other.side, other.quantity)


def _in_flight_twin(draft: Draft, order: Order) -> bool:
    """A call that is still out may be the maker of any matching row: decide when it has answered."""
    return any(
        other.state is OrderState.SUBMITTED and _twins(order, other) for other in draft.open_orders(key_of(order))
    )


def _resolve(draft: Draft, order: Order, rivals: int, evidence: Evidence, taken: set[str]) -> None:
    matching = [row for row in evidence.unclaimed if row.broker_order_id not in taken]
    matching = [row for row in matching if matches(draft, order, row, evidence.read)]
    if len(matching) > rivals:
        taken.update(row.broker_order_id for row in matching)
        _several(draft, order, matching)
    elif matching:
        row = _preferred(draft, order, matching)
        taken.add(row.broker_order_id)
        _sighted(draft, order, row, evidence)
    elif order.state is OrderState.UNKNOWN:
        _absent(draft, order, evidence)


def matches(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead) -> bool:
    """True if a row of the book that belongs to no order of ours may be this one."""
    if row.product is not None and row.product is not order.product:
        return False
    if not same_fingerprint(order, row.instrument, row.side, row.quantity):
        return False
    first_seen = draft.state.foreign.get((read.account, row.broker_order_id))
    return first_seen is None or first_seen > order.began_machine_ns


def _preferred(draft: Draft, order: Order, matching: list[BrokerOrder]) -> BrokerOrder:
    """The candidate, else the row that was seen first: orders choose by age, and a younger one cannot be an old row."""

    def rank(row: BrokerOrder) -> tuple[bool, bool, int, str]:
        seen = draft.state.foreign.get((order.account, row.broker_order_id))
        return row.broker_order_id != order.candidate, seen is None, seen or 0, row.broker_order_id

    return min(matching, key=rank)


def _several(draft: Draft, order: Order, matching: list[BrokerOrder]) -> None:
    if order.candidate == SEVERAL:
        return
    names = ", ".join(sorted(row.broker_order_id for row in matching))
    what = f"{len(matching)} broker orders could be {order.side} {order.quantity} {order.instrument}: {names}"
    draft.change(order, "ambiguous", candidate=SEVERAL, evidence=0, message=what)
    draft.alert("ORDER_AMBIGUOUS", Severity.CRITICAL, order.client_order_id, f"{what}; a person must decide")


def _sighted(draft: Draft, order: Order, row: BrokerOrder, evidence: Evidence) -> None:
    read = evidence.read
    if order.state in UNRESOLVED and order.candidate != row.broker_order_id:
        _candidate(draft, order, row, read)
        return
    if order.state in UNRESOLVED and read.began_machine_ns <= order.evidence_machine_ns:
        return
    bound = reality.bind(draft, order, row.broker_order_id, **_shown_prices(order, row))
    if bound is not None:
        trades = next((t for t in evidence.trades if t.broker_order_id == row.broker_order_id), None)
        reality.on_row(draft, bound, row, trades, read)


def _shown_prices(order: Order, row: BrokerOrder) -> dict[str, Any]:
    """The prices of an adopted order are the broker's: of two alike it may be the other, placed at another level."""
    shown = {"price": row.price, "trigger_price": row.trigger_price}
    if order.order_type is not row.order_type or order.order_type is OrderType.MARKET:
        return {}
    return {name: value for name, value in shown.items() if value > 0 and getattr(order, name) > 0}


def _candidate(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead) -> None:
    draft.change(
        order,
        "candidate",
        candidate=row.broker_order_id,
        evidence=1,
        evidence_machine_ns=read.ended_machine_ns,
    )
    draft.read(order.account, "candidate", positions=order.purpose.reduces)


def _absent(draft: Draft, order: Order, evidence: Evidence) -> None:
    read = evidence.read
    if evidence.behind or read.began_machine_ns <= max(order.ended_machine_ns, order.evidence_machine_ns):
        return
    if order.candidate:
        draft.change(order, "candidate_gone", candidate="", evidence=0, evidence_machine_ns=read.ended_machine_ns)
    elif order.client_order_id in draft.state.carried:
        _overnight(draft, order, read)
    elif order.purpose.reduces:
        _ghost(draft, order, evidence)
    else:
        _lost(draft, order, read, tagged=_shows_tags(draft, read))


def _shows_tags(draft: Draft, read: BooksRead) -> bool:
    """True if the book shows our ids as tags: in analyzer mode, where each order of ours in this read carries its own.

    An order of ours that is there then shows it too. A broker's book is not trusted with that.
    """
    names = draft.state.by_broker
    ours = [(row.tag, name) for row in read.orders or () if (name := names.get((read.account, row.broker_order_id)))]
    return draft.state.modes.get(read.account) == ANALYZE and ours != [] and all(tag == name for tag, name in ours)


def _overnight(draft: Draft, order: Order, read: BooksRead) -> None:
    if order.ending == reality.MISSING:
        reality.end_overnight(draft, order, read)
    else:
        draft.change(order, "unseen", ending=reality.MISSING, evidence_machine_ns=read.ended_machine_ns)


def _lost(draft: Draft, order: Order, read: BooksRead, *, tagged: bool) -> None:
    limits = draft.limits
    evidence = order.evidence + 1
    late = read.began_machine_ns - order.ended_machine_ns >= limits.lost_after
    if (late or tagged) and evidence >= limits.lost_reads:
        what = f"{order.side} {order.quantity} {order.instrument} was not placed as far as {evidence} reads can tell"
        draft.change(order, "lost", state=OrderState.LOST, message=what)
        then = "entries of that side are denied (RESERVED) for the session, those of the other go on"
        draft.alert("ORDER_LOST", Severity.WARNING, order.client_order_id, f"{what}; {then}; {entries.cure(order)}")
    elif order.evidence < limits.lost_reads:
        draft.change(order, "unseen", evidence=evidence, evidence_machine_ns=read.ended_machine_ns)


def _ghost(draft: Draft, order: Order, evidence: Evidence) -> None:
    read = evidence.read
    clean = _net_unchanged(draft, order, evidence)
    if clean is None:
        return
    if not clean:
        if order.evidence:
            draft.change(order, "unclear", evidence=0, evidence_machine_ns=read.ended_machine_ns)
    elif order.evidence == 0:
        draft.change(order, "unseen", evidence=1, evidence_machine_ns=read.began_machine_ns)
    elif order.evidence > 1 or read.began_machine_ns - order.evidence_machine_ns >= draft.limits.ghost_gap:
        _declare(draft, order, evidence)


def _declare(draft: Draft, order: Order, evidence: Evidence) -> None:
    """Give an exit or stop up, once for each that sends the next one; what comes after that waits for a person.

    What somebody else traded meanwhile is booked first: the next one is for what is left.
    """
    same_try = any(part.state is OrderState.GHOST for part in parts.siblings(draft, order))
    if draft.limits.unknown_exit is UnknownExit.SECOND_EXIT and (same_try or not doubt.spent(draft, order)):
        kind = "stop" if order.purpose is Purpose.STOP else "exit"
        what = f"{kind} {order.side} {order.quantity} {order.instrument} was never placed as far as the books can tell"
        if _by_strangers(draft, order, evidence) and evidence.read.positions:
            correction.correct(draft, key_of(order), _net(evidence.read, key_of(order)), evidence.read)
        draft.change(order, "ghost", state=OrderState.GHOST, message=what, evidence=2)
        draft.alert("ORDER_GHOST", Severity.CRITICAL, order.client_order_id, f"{what}; one further {kind} is sent")
        if not same_try:
            doubt.spend(draft, order)
    elif order.evidence < 2:
        draft.change(order, "unresolved", evidence=2)
        doubt.ask_a_person(draft, order)


def _net_unchanged(draft: Draft, order: Order, evidence: Evidence) -> bool | None:
    """True if trades and net show that nothing was filled, None if this read cannot tell."""
    read, key = evidence.read, key_of(order)
    if read.trades is None or read.positions is None or not read.positions:
        return None
    for other in draft.open_orders(key):
        moving = other.state is OrderState.SUBMITTED or other.filled_seen > other.filled
        if moving and other.client_order_id != order.client_order_id:
            return None
    strange = _strangers(draft, order, evidence)
    if any(t.side is order.side and t.broker_order_id not in strange for t in _fresh_trades(draft, order, evidence)):
        return False
    rows = [row for row in read.positions if row.instrument == key.instrument and row.product is key.product]
    if not rows:
        return delivery.is_untouched(draft.state, key)
    unmanaged = draft.state.unmanaged.get(key)
    expected = sum(position.quantity for position in draft.state.holders(key))
    expected += unmanaged.quantity if unmanaged else 0
    return _net(read, key) - expected in (0, _by_strangers(draft, order, evidence))


def _net(read: BooksRead, key: Key) -> int:
    rows = (row for row in read.positions or () if row.instrument == key.instrument and row.product is key.product)
    return sum(row.quantity for row in rows)


def _fresh_trades(draft: Draft, order: Order, evidence: Evidence) -> list[BrokerTrades]:
    """Trades of nobody's orders in the order's instrument that may be its own: not seen before its call began."""
    account, foreign = evidence.read.account, draft.state.foreign
    seen = {trade.broker_order_id: foreign.get((account, trade.broker_order_id)) for trade in evidence.trades}
    return [
        trade
        for trade in evidence.trades
        if trade.instrument == order.instrument and (seen[trade.broker_order_id] or NEVER) > order.began_machine_ns
    ]


def _strangers(draft: Draft, order: Order, evidence: Evidence) -> set[str]:
    """Orders of this read, under the order's product, that none of ours of unknown fate can be: a person's, mostly."""
    names = [name for name, of in draft.state.seeking.items() if of == evidence.read.account]
    sought = [draft.order(name) for name in names]
    return {
        row.broker_order_id
        for row in evidence.unclaimed
        if (row.instrument, row.product) == (order.instrument, order.product)
        and not any(matches(draft, other, row, evidence.read) for other in sought)
    }


def _by_strangers(draft: Draft, order: Order, evidence: Evidence) -> int:
    """Units (signed) of strangers' trades since the order's call began; the net moved by them, or they are booked."""
    strange = _strangers(draft, order, evidence)
    trades = _fresh_trades(draft, order, evidence)
    return sum(trade.quantity * trade.side.sign for trade in trades if trade.broker_order_id in strange)
