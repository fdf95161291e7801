"""What the broker says of an order we know by its id: fills, ends, and contradictions.

Used by the machine for order reports and book reads. The one rule: one sighting of a fill is enough to see it, two
sources are needed to count it, and an end needs two sightings as well.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.identity import content_id
from mytrading.core.money import positions
from mytrading.core.oms import goals, modify, overnight, parts, phantom, protection, recovery
from mytrading.core.oms.draft import Draft
from mytrading.core.oms.state import key_of
from mytrading.core.order import ABSENT, RESTING, TERMINAL, UNRESOLVED, Fills, weigh
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Purpose, Severity
from mytrading.messages.orders import Goal, Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades, OrderReport

_ENDS = {
    BrokerStatus.CANCELLED: OrderState.CANCELLED,
    BrokerStatus.REJECTED: OrderState.REJECTED,
    BrokerStatus.EXPIRED: OrderState.EXPIRED,
}
_ALIVE = (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING)
MISSING, ALIVE, FEWER, CONTRADICTED = "missing", phantom.ALIVE, "fewer", "contradicted"
_FLAPPED = -1
"""The evidence of an order of which a book took back what it had shown: of an ended one that it showed alive, which is
not taken down each time, or of a live one that it showed ended, which is believed of it only for longer."""
_STREAM = "stream"
_ENDINGS = ("", *(status.value for status in _ENDS))


def bind(draft: Draft, order: Order, broker_order_id: str, **fields: Any) -> Order | None:
    """Give an order its broker id; None, with a record, if that id is already another order's."""
    owner = draft.state.by_broker.get((order.account, broker_order_id))
    if owner is not None and owner != order.client_order_id:
        draft.illegal(order, f"broker order {broker_order_id} already belongs to {owner}")
        return None
    late = order.state in ABSENT
    if late:
        fields["pending_cancel"] = True
        what = f"{order.side} {order.quantity} {order.instrument} was given up as never placed, but is at the broker"
        draft.alert("ORDER_APPEARED", Severity.CRITICAL, order.client_order_id, what)
    recovery.note(draft, order.account, "adopted", f"{order.client_order_id} is broker order {broker_order_id}")
    return draft.change(
        order,
        "appeared" if late else "accepted",
        state=OrderState.ACCEPTED,
        broker_order_id=broker_order_id,
        evidence=0,
        evidence_machine_ns=0,
        candidate="",
        **fields,
    )


def on_report(draft: Draft, report: OrderReport) -> None:
    """Fold one order update, of an order that is ours by id, or by our id in its tag."""
    row = report.order
    order = ours(draft, report.account, row)
    if order is None or _impossible(draft, order, row):
        return
    told = row.quantity if row.status is BrokerStatus.COMPLETE else (row.filled or 0)
    fields: dict[str, Any] = {"stream_filled": max(order.stream_filled, told)}
    doubted = order.ending in _ENDINGS or (order.ending == ALIVE and order.state not in TERMINAL)
    news = min(told, max(order.quantity, order.filled))  # one source is no sighting of more than was ordered
    if news > max(order.filled_seen, order.stream_void) and doubted:
        fields |= phantom.sighting(report.received_machine_ns)
    elif order.filled_seen < news <= order.stream_void:
        draft.read(order.account, "told again", positions=True)  # no sighting any more, but the books may show it now
    if row.status in _ENDS and order.state not in TERMINAL:
        if order.ending != row.status:
            fields |= _first_sign(row.status, report.received_machine_ns, _STREAM)
        elif order.evidence != _FLAPPED:
            fields |= {"candidate": _STREAM}
    _learn(draft, order, row, fields, proven=False)


def ours(draft: Draft, account: str, row: BrokerOrder) -> Order | None:
    """Our order behind a broker order: by its id, or bound now because our own id stands in its tag."""
    state = draft.state
    name = state.by_broker.get((account, row.broker_order_id))
    if name is not None:
        return state.orders.get(name)
    tagged = state.orders.get(row.tag) if row.tag else None
    if tagged is None or tagged.broker_order_id or tagged.account != account or tagged.attempt == 0:
        return None
    if tagged.state in (OrderState.INITIALIZED, OrderState.DENIED, OrderState.REJECTED):
        return None
    return bind(draft, tagged, row.broker_order_id)


def on_row(draft: Draft, order: Order, row: BrokerOrder, trades: BrokerTrades | None, read: BooksRead) -> bool:
    """Fold one row of an order book, with the order's trades; true if the read is behind what we already know."""
    if read.began_machine_ns <= order.ended_machine_ns or _impossible(draft, order, row):
        return read.began_machine_ns > order.ended_machine_ns
    if order.state in RESTING:
        order = modify.read_back(draft, order, row, read)
    levels = _levels(order, row, trades)
    fields = dict(levels)
    if order.state in TERMINAL:
        contradicts = _contradicts(order, row)
        behind = contradicts and order.ending != CONTRADICTED
        if contradicts and _contradicted(draft, order, row, read):
            return True
        over = order.ending in (ALIVE, MISSING) or (order.ending == FEWER and not _backward(order, row))
        if over and not contradicts:
            fields |= {"ending": "", "evidence": _FLAPPED if order.ending == ALIVE else 0}
        elif row.status in _ENDS and phantom.weighs(order, row, trades, read, levels):
            order, fields = phantom.judge(draft, order, row, read, fields)
        _learn(draft, order, row, fields, proven=False)
        return behind or _fewer(draft, draft.order(order.client_order_id), row, read)
    proven = _ending(draft, order, row, read, fields)
    if row.status in _ENDS and phantom.weighs(order, row, trades, read, levels):
        order, fields = phantom.judge(draft, order, row, read, fields)
    elif row.status in _ALIVE and phantom.weighs(order, row, trades, read, levels):
        order, fields = phantom.judge_open(draft, order, row, read, fields)
    _learn(draft, order, row, fields, proven)
    return _backward(order, row)


def on_trades(draft: Draft, order: Order, trades: BrokerTrades) -> None:
    """Fold the summed trades of an order whose row was not read."""
    _learn(draft, order, None, _traded(order, trades), proven=False)


def on_missing(draft: Draft, order: Order, read: BooksRead) -> bool:
    """A resting order is not in a whole order book: recorded at the second read, never taken for cancelled.

    True while the absence only shows that the read is behind.
    """
    if read.began_machine_ns <= max(order.ended_machine_ns, order.evidence_machine_ns):
        return True
    if order.ending != MISSING:
        draft.change(order, "unseen", ending=MISSING, evidence=1, evidence_machine_ns=read.ended_machine_ns)
        return True
    if order.client_order_id in draft.state.carried:
        end_overnight(draft, order, read)
    elif order.evidence == 1:
        what = f"order {order.broker_order_id} of {order.instrument} is in no order book; look at the broker"
        draft.change(order, "missing", evidence=2, message=what)
        draft.alert("ORDER_MISSING", Severity.CRITICAL, order.client_order_id, what)
    return False


def on_hidden(draft: Draft, order: Order, read: BooksRead) -> bool:
    """A filled order of today is not in the order book: the read shows the time before it.

    True until the order has been missing for so long that the book must be said to have dropped it.
    """
    if order.ending == CONTRADICTED:
        return False
    if order.ending != MISSING:
        draft.change(order, "unseen", ending=MISSING, evidence_machine_ns=read.ended_machine_ns)
        return True
    if read.began_machine_ns - order.evidence_machine_ns < draft.limits.slow:
        return True
    what = f"filled order {order.broker_order_id} of {order.instrument} is in no order book any more"
    draft.change(order, "missing", ending=CONTRADICTED, message=what)
    draft.alert("ORDER_MISSING", Severity.CRITICAL, order.client_order_id, f"{what}; look at the broker")
    return False


def end_overnight(draft: Draft, order: Order, read: BooksRead) -> None:
    """An order of an earlier day that two books of today do not show ended with its day, as DAY orders do.

    What an exit or stop filled before its day was over, while nobody here looked, the positions alone tell now. So it
    is with what one source told of it; of an entry that counts, and stays guarded, unless the positions take it back.
    """
    unknown = order.state in UNRESOLVED
    what = f"{order.side} {order.quantity} {order.instrument} of an earlier day is in no book of today: ended"
    draft.change(order, "expired", state=OrderState.EXPIRED, ending="", pending_cancel=False, evidence=0, message=what)
    if unknown:
        what = f"{what}, and its fate was unknown; look at the broker"
        draft.alert("ORDER_UNRESOLVED", Severity.CRITICAL, order.client_order_id, what)
    else:
        draft.alert("ORDER_OVERNIGHT", Severity.WARNING, order.client_order_id, f"{what}; compare the positions")
    if order.filled_seen > order.filled:
        settle_sighted(draft, draft.order(order.client_order_id), overnight.average(key_of(order), read))
    elif order.purpose.reduces and (unknown or overnight.may_be_filled(key_of(order), draft.state, read)):
        overnight.hold_back(draft, order)


def settle_sighted(draft: Draft, order: Order, price: float = 0.0) -> None:
    """No second source comes any more for what one told of an order of an earlier day.

    `price` (rupees, 0: not known) is that of the units in the position book.
    """
    if order.purpose.reduces:
        overnight.hold_back(draft, order)
        phantom.withdraw(draft, order, "no book shows the order any more, the positions tell what is held")
        return
    price = order.average_price or order.price or price or order.reference_price
    if price > 0:
        counted = draft.change(order, "filled_late", filled=order.filled_seen, average_price=price)
        _book(draft, order, counted)


def _levels(order: Order, row: BrokerOrder, trades: BrokerTrades | None) -> dict[str, Any]:
    if row.status is BrokerStatus.COMPLETE:
        told = max(row.quantity, row.filled or 0)
    elif row.filled is not None:
        told = max(order.book_filled if order.book_filled < order.quantity else 0, row.filled)
    else:  # many brokers name no filled quantity: what an earlier trade book summed to is then confirmed by this one
        told = order.trade_filled if trades and trades.quantity >= order.trade_filled else 0
    return {"book_filled": told, **(_traded(order, trades) if trades else {})}


def _traded(order: Order, trades: BrokerTrades) -> dict[str, Any]:
    if trades.quantity < order.trade_filled:
        return {}
    return {"trade_filled": trades.quantity, "trade_value": trades.value}


def _first_sign(status: BrokerStatus, machine_ns: int, source: str) -> dict[str, Any]:
    return {"ending": status.value, "evidence": 1, "evidence_machine_ns": machine_ns, "candidate": source}


def _ending(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead, fields: dict[str, Any]) -> bool:
    """Put what a read adds to the evidence of an end into `fields`; true if the end is proven.

    Where the books took an end of this order back before, and nobody here wants one, the two reads lie further apart.
    """
    doubted = order.evidence == _FLAPPED
    if row.status in _ENDS:
        if order.ending != row.status:
            fields |= _first_sign(row.status, read.ended_machine_ns, "")
            fields |= {"evidence": _FLAPPED} if doubted else {}
            return False
        apart = draft.limits.mismatch_gap if doubted and not order.cancel_calls else 1
        later = read.began_machine_ns - order.evidence_machine_ns >= apart
        if later and not doubted and order.evidence < _unasked_reads(order):
            fields |= {"evidence": order.evidence + 1, "evidence_machine_ns": read.ended_machine_ns}
            return False
        return later and (read.trades is not None or order.candidate == _STREAM)
    newer = read.began_machine_ns > order.evidence_machine_ns
    if newer and row.status is not BrokerStatus.OTHER:
        took_back = order.ending in _ENDINGS[1:] or order.book_filled >= order.quantity
        if order.ending or took_back:
            fields |= {"ending": "", "evidence": _FLAPPED if took_back else 0, "candidate": ""}
    return False


def _unasked_reads(order: Order) -> int:
    """Sights of an end before the one that proves it: one, or two of the books alone where nobody here asked for it.

    Another order follows such an end at once, and would be one too many if the book had lied twice.
    """
    return 1 if order.cancel_calls or order.pending_cancel or order.candidate == _STREAM else 2


def _learn(draft: Draft, order: Order, row: BrokerOrder | None, fields: dict[str, Any], proven: bool) -> None:
    price = (row.average_price or 0.0) if row else 0.0
    fills = weigh(replace(order, **fields), price)
    status = row.status if row else None
    state = _state_after(order, fills, status, proven)
    fields |= {"filled_seen": fills.seen, "filled": fills.confirmed, "average_price": fills.average_price}
    if state in TERMINAL and order.state not in TERMINAL:
        fields |= {"ending": "", "pending_cancel": False, "evidence": 0, "candidate": "", "modifying": False}
        replaced = order.replacing and state is OrderState.CANCELLED
        fields |= {} if replaced else modify.ENDED
    if row is not None and row.message and state in (OrderState.REJECTED, OrderState.CANCELLED):
        fields["message"] = row.message
    fields = {name: value for name, value in fields.items() if getattr(order, name) != value}
    if state is not order.state or fields:
        changed = draft.change(order, _event(order, state, fills), state=state, **fields)
        if changed.filled_seen > order.filled_seen:  # what else is learnt of an old entry guards nothing anew
            protection.arm(draft, changed, changed.filled_seen - order.filled_seen)
            if order.state in TERMINAL:
                modify.filled_late(draft, changed, changed.filled_seen - order.filled_seen)
        _book(draft, order, changed)
        _overfilled(draft, order, changed)
        if state is OrderState.REJECTED and order.state is not OrderState.REJECTED:
            parts.refused(draft, changed, changed.message)
        if changed.replacing and state is OrderState.CANCELLED and order.state not in TERMINAL:
            modify.succeed(draft, changed)
        order = changed
    ends = order.ending and order.state in RESTING and not draft.cancel_leaves(order.account, order.client_order_id)
    if order.filled_seen > order.filled or ends:
        draft.read(order.account, "unproven", positions=order.ending == ALIVE)


def _state_after(order: Order, fills: Fills, status: BrokerStatus | None, proven: bool) -> OrderState:
    if fills.confirmed >= order.quantity:
        return OrderState.FILLED
    if proven and status in _ENDS and fills.seen == fills.confirmed:
        return _ENDS[status]
    if order.state in TERMINAL:
        return order.state
    if fills.seen:
        return OrderState.PARTIALLY_FILLED
    if order.order_type in (OrderType.SL, OrderType.SL_M) and status is BrokerStatus.OPEN:
        return OrderState.TRIGGERED
    return OrderState.TRIGGERED if order.state is OrderState.TRIGGERED else OrderState.ACCEPTED


def _event(order: Order, state: OrderState, fills: Fills) -> str:
    if state is not order.state and state in TERMINAL:
        return state.value.lower()
    if fills.confirmed > order.filled:
        return "filled_late" if order.state in TERMINAL else "partially_filled"
    if fills.seen > order.filled_seen:
        return "sighted"
    return state.value.lower() if state is not order.state else "observed"


def _book(draft: Draft, before: Order, after: Order) -> None:
    units = (after.filled - before.filled) * after.side.sign
    position = draft.position(after)
    if units:
        paid = after.average_price * after.filled - before.average_price * before.filled
        price = paid / abs(units) if paid > 0 else after.average_price
        booked = positions.book(position, units, price, draft.now, after.run)
        opens = position.quantity * units <= 0 < booked.position.quantity * units and after.purpose is Purpose.ENTRY
        moved = positions.with_levels(booked.position, after) if opens else booked.position
        held = draft.moved(moved, after, units, price)
        if booked.trade:
            draft.emit(booked.trade)
        if after.purpose.reduces and held.quantity * after.side.sign > 0:
            _reversed(draft, after, held.quantity)
        return
    dearer = (after.average_price - before.average_price) * after.filled * after.side.sign
    if abs(dearer) > 1e-6:
        draft.adjusted(positions.reprice(position, after.filled * after.side.sign, dearer, draft.now), "correction", 0)
    draft.sight(after)


def _reversed(draft: Draft, order: Order, held: int) -> None:
    what = f"exits of {order.instrument} filled beyond what {order.strategy} held: now {held}; it is being flattened"
    draft.alert("POSITION_REVERSED", Severity.CRITICAL, order.client_order_id, what)
    goal = Goal(
        id=content_id("reversal", order.client_order_id, order.filled),
        account=order.account,
        instrument=order.instrument,
        product=order.product,
        strategy=order.strategy,
        run=order.run,
        cause=order.client_order_id,
        reason="an exit filled beyond what was held",
        purpose=Purpose.EXIT,
    )
    goals.start(draft, goal)


def _overfilled(draft: Draft, before: Order, after: Order) -> None:
    if after.filled > after.quantity and before.filled <= before.quantity:
        what = f"order for {after.quantity} of {after.instrument} filled {after.filled}"
        draft.halt(key_of(after), what)
        draft.alert("ORDER_OVERFILLED", Severity.CRITICAL, after.client_order_id, what)


def _impossible(draft: Draft, order: Order, row: BrokerOrder) -> bool:
    if row.instrument == order.instrument and row.side is order.side:
        return False
    if order.ending != CONTRADICTED:
        what = f"broker order {row.broker_order_id} is {row.side} {row.instrument}, ours is {order.side}"
        draft.illegal(order, f"{what} {order.instrument}", ending=CONTRADICTED)
    return True


def _contradicts(order: Order, row: BrokerOrder) -> bool:
    if row.status in _ALIVE:
        return True
    return order.state is OrderState.FILLED and row.status in _ENDS


def _contradicted(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead) -> bool:
    """Two reads far apart that show an ended order otherwise are no old snapshot; true if nothing is learnt from it.

    Of an order whose end nobody here wanted each first sight counts, however often the book has flapped.
    """
    if order.ending == CONTRADICTED:
        return False
    unwanted = order.state is not OrderState.FILLED and not order.cancel_calls
    flapped = order.ending != ALIVE and order.evidence == _FLAPPED and not unwanted
    apart = draft.limits.ghost_gap if order.ending == ALIVE or flapped else 1
    if read.began_machine_ns - order.evidence_machine_ns < apart:
        return flapped
    if order.ending != ALIVE:
        draft.change(order, "contradicted", ending=ALIVE, evidence=1, evidence_machine_ns=read.ended_machine_ns)
        draft.read(order.account, "contradiction")
        return True
    what = f"{order.state} here, but {row.status} in two order books"
    if order.state is OrderState.FILLED:
        draft.illegal(order, what, ending=CONTRADICTED)
    else:
        protection.returned(draft, draft.illegal(order, what, state=OrderState.ACCEPTED, ending="", evidence=_FLAPPED))
    return True


def _fewer(draft: Draft, order: Order, row: BrokerOrder, read: BooksRead) -> bool:
    """True while a row with fewer units than are certain may be an old snapshot, so that the whole read is from before.

    One that stands for long is what the broker says now: recorded, and positions are compared again.
    """
    if not _backward(order, row) or order.ending == CONTRADICTED:
        return False
    if order.filled_seen > order.filled or order.ending == ALIVE:
        return True
    if order.ending != FEWER:
        draft.change(order, "fewer", ending=FEWER, evidence_machine_ns=read.ended_machine_ns)
    elif read.began_machine_ns - order.evidence_machine_ns >= draft.limits.slow:
        draft.illegal(order, f"filled {order.filled} here, {row.filled} in all order books since", ending=CONTRADICTED)
        return False
    return True


def _backward(order: Order, row: BrokerOrder) -> bool:
    """True if the row shows less than is already certain, so that the whole read is from before."""
    return row.filled is not None and row.filled < order.filled and row.status is not BrokerStatus.COMPLETE
