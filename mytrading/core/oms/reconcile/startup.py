"""The start of the router: each account's books are compared and differences recorded before entries may go.

An account has recovered once one read of all its books, begun after the start, agrees with the journal and its record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import UNRESOLVED, is_live
from mytrading.messages.account_events import AccountsInRun, RecoveryChanged
from mytrading.messages.enums import OrderState
from mytrading.messages.order_evidence import Candidate
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead


def begin_recovery(oms: OrderDecision, accounts: Iterable[str]) -> None:
    """Begin recovery of these accounts: their entries wait until `conclude_recovery` finds that the books agree."""
    for account in accounts:
        orders = [order for order in oms.state.orders.sorted_values() if order.account == account and is_live(order)]
        held = [p for p in oms.state.positions.sorted_values() if p.account == account and p.quantity]
        row = RecoveryChanged(account=account, done=False, began_machine_ns=oms.machine, at_ns=oms.now)
        oms.emit(replace(row, orders=len(orders), positions=len(held)))


def note_accounts(oms: OrderDecision, in_run: Iterable[str], served: Collection[str]) -> None:
    """Record which accounts orders may go to, if they are others than before.

    What one that comes back holds may have been closed by hand meanwhile: its exits wait for two reads of its books,
    and its stops for one, as after a lost journal. `served` accounts are those with books."""
    names, before = tuple(sorted(in_run)), tuple(sorted(oms.state.in_run))
    if names == before:
        return
    returned = tuple(name for name in names if before and name not in before and name in served)
    oms.emit(AccountsInRun(accounts=names, at_ns=oms.now, returned=returned))
    for goal in oms.state.unfinished_goals():
        if goal.account in returned:
            oms.change_goal(goal, waits_machine_ns=max(oms.machine, 1), proofs=0, elsewhere=0)
    for level in oms.state.open_protections():
        if level.account in returned:
            oms.change_protection(level, waits_machine_ns=max(oms.machine, 1))


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
        "unresolved": (*(order_words(order) for order in seeking if order.state in UNRESOLVED), *_disputes(oms, read)),
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


def order_words(order: Order) -> str:
    """Describe an order by its id, side, quantity and instrument."""
    return f"{order.client_order_id}: {order.side} {order.quantity} {order.instrument}"
