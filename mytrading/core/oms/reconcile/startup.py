"""The start of the router: each account's books are compared and differences recorded before entries may go.

An account has recovered once one read of all its books, begun after the start, agrees with the journal and its record.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import UNRESOLVED, is_live, with_cancel
from mytrading.core.time import ist_date
from mytrading.messages.account_events import RecoveryChanged
from mytrading.messages.enums import OrderState, Severity
from mytrading.messages.order_evidence import Candidate
from mytrading.messages.orders import Order, Position
from mytrading.messages.reports import BooksRead


def begin_recovery(oms: OrderDecision, accounts: Iterable[str]) -> None:
    """Begin recovery of these accounts: their entries wait until `conclude_recovery` finds that the books agree."""
    for account in accounts:
        orders = [order for order in oms.state.orders.sorted_values() if order.account == account and is_live(order)]
        held = [p for p in oms.state.positions.sorted_values() if p.account == account and p.quantity]
        row = RecoveryChanged(account=account, done=False, began_machine_ns=oms.machine, at_ns=oms.now)
        oms.emit(replace(row, orders=len(orders), positions=len(held)))


def record_difference(oms: OrderDecision, account: str, kind: str, text: str) -> None:
    """Record a difference found while an account recovers; `kind`: adopted, ended, corrected or expired."""
    level = oms.state.recovering.get(account)
    if level is not None and not level.done:
        oms.emit(replace(level, at_ns=oms.now, **{kind: (*getattr(level, kind), text)}))


def conclude_recovery(oms: OrderDecision, read: BooksRead, *, behind: bool) -> None:
    """End an account's recovery if this read, already applied, leaves nothing open; `behind`: the read is outdated."""
    level = oms.state.recovering.get(read.account)
    if level is None or level.done or behind or read.began_machine_ns < level.began_machine_ns:
        return
    if read.orders is None or read.trades is None or read.positions is None or _open(oms, read):
        return
    state = oms.state
    unmanaged = [row for key, row in state.unmanaged.sorted_items() if key.account == read.account]
    seeking = [oms.order(name) for name, of in state.seeking.sorted_items() if of == read.account]
    found = {
        "foreign": sum(
            place[0] == read.account and place not in state.by_broker and place not in state.earlier
            for place in state.foreign
        ),
        "unmanaged": tuple(f"{row.quantity:+d} {row.instrument} {row.product}" for row in unmanaged),
        "unresolved": (*(_words(order) for order in seeking if order.state in UNRESOLVED), *_disputes(oms, read)),
    }
    oms.emit(replace(level, done=True, at_ns=oms.now, **found))


def _open(oms: OrderDecision, read: BooksRead) -> bool:
    """True while a position is disputed, a call is out, an order is about to be adopted, or something just moved."""
    state, account = oms.state, read.account
    keys = [key for key in state.open_by_key if key.account == account]
    seeking = [oms.order(name) for name, of in state.seeking.items() if of == account]
    touched = (key for key in state.owners if key.account == account)
    moved = [key for key in touched if (state.touched.get(key) or 0) >= read.began_machine_ns]
    held = (key for table in (state.owners, state.unmanaged) for key in table if key.account == account)
    return (
        any(key.account == account and not row.is_kept for key, row in state.mismatches.items())
        or any(net_positions.is_net_hidden(oms, key, read) for key in held)
        or any(order.state is OrderState.SUBMITTED for key in keys for order in oms.open_orders(key))
        or any(order.state in UNRESOLVED and isinstance(order.evidence.match, Candidate) for order in seeking)
        # what only waits for an unknown fate is explained by it
        or any(not any(order.state in UNRESOLVED for order in oms.open_orders(key)) for key in moved)
    )


def _disputes(oms: OrderDecision, read: BooksRead) -> list[str]:
    """What the position book lacks of ours and nothing closed, in words: it stays, and entries there wait."""
    rows = (row for row in oms.state.mismatches.sorted_values() if row.account == read.account)
    return [f"{row.instrument} {row.product}: the position book shows {row.broker}" for row in rows]


def _words(order: Order) -> str:
    return f"{order.client_order_id}: {order.side} {order.quantity} {order.instrument}"


def drop_expired_contracts(oms: OrderDecision) -> None:
    """End orders and positions in expired contracts, with an alert for each."""
    for order in oms.state.orders.sorted_values():
        if is_live(order) and _is_past(order.instrument, oms.now):
            text = f"{_words(order)}: the contract expired"
            evidence = with_cancel(order.evidence, wanted=False)
            oms.change(order, "expired", state=OrderState.EXPIRED, evidence=evidence, message=text)
            record_difference(oms, order.account, "expired", text)
    for position in oms.state.positions.sorted_values():
        if (position.quantity or position.quantity_seen) and _is_past(position.instrument, oms.now):
            _drop(oms, position)


def _drop(oms: OrderDecision, position: Position) -> None:
    oms.record_adjustment(position_ledger.correct_quantity(position, 0, oms.now), "expiry", -position.quantity)
    for goal in oms.state.unfinished_goals():
        if goal.owner == position.owner:
            oms.change_goal(goal, state="done", message="the contract expired")
    for level in oms.state.open_protections():
        if level.owner == position.owner:
            oms.change_protection(level, state="done")
    text = f"{position.strategy} held {position.quantity} of {position.instrument}, which expired"
    unconfirmed = [  # fills of this owner that one source alone reported may explain what is left
        f"{order.side} {order.filled_seen - order.filled} by broker order {order.broker_order_id or 'unknown'}"
        for order in oms.state.orders.sorted_values()
        if order.filled_seen > order.filled and order.owner == position.owner
    ]
    text += f" (reported by one source, confirmed by none: {', '.join(unconfirmed)})" if unconfirmed else ""
    record_difference(oms, position.account, "expired", text)
    cure = "its settlement price is not known here, so its profit is not counted; compare the contract note"
    subject = f"{position.strategy} {position.instrument}"
    oms.alert(EventAlert.POSITION_EXPIRED, Severity.CRITICAL, subject, f"{text}: {cure}")


def _is_past(instrument: str, now: int) -> bool:
    expiry = net_positions.expiry_of(instrument)
    return expiry is not None and expiry < ist_date(now)
