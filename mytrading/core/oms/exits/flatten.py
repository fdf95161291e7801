"""Flattens of operators: every owner in scope is closed, and two reads of the books must show it."""

from __future__ import annotations

from mytrading.core.ids import content_id
from mytrading.core.oms.evidence import missing_units, net_positions
from mytrading.core.oms.exits import exit_goals
from mytrading.core.oms.placing import entries
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import is_covered
from mytrading.core.orders.state_machine import LIVE, describe_order
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Flatten, Position
from mytrading.messages.reports import BooksRead

PROOFS = 2


def on_request(oms: OrderDecision, request: FlattenRequested) -> None:
    """Begin a flatten: cancel entries in its scope now, close positions from the next read of the books on."""
    if request.id in oms.state.flattens:
        return
    level = Flatten(
        id=request.id, account=request.account, reason=request.reason,
        deadline_machine_ns=request.deadline_machine_ns, strategy=request.strategy, instrument=request.instrument,
        product=request.product, opened_ns=oms.now, opened_machine_ns=oms.machine, by=request.by,
    )  # fmt: skip
    oms.change_flatten(level)
    entries.withdraw_entries(oms, lambda order: is_covered(level, order), f"withdrawn: {request.reason}")
    oms.request_read(request.account, "flatten", positions=True)


def _levels(oms: OrderDecision, account: str = "") -> list[Flatten]:
    names = (name for name, of in oms.state.open_flattens.sorted_items() if account in ("", of))
    return [oms.state.flattens[name] for name in names]


def advance_flattens(oms: OrderDecision) -> None:
    """Advance every flatten: open missing exit goals, finish it when proven flat, alert when it is late."""
    for level in _levels(oms):
        if level.read_machine_ns or _has_waited(oms, level):
            held = _held(oms, level)
            for position in held:
                waits = position.quantity > 0 and _covers_a_sold_one(oms, level, position, held)
                held_units = (
                    position.quantity or position.quantity_seen
                )  # an exit waits, aloud, for units to be confirmed
                if held_units and not waits and not entries.is_closing(oms, position.net, position.strategy):
                    level = _close(oms, level, position)
        left = describe_remaining(oms, level)
        if not left and (level.proofs >= PROOFS or not oms.limits.book_first):
            oms.change_flatten(level, state="done")
        elif level.state == "open" and oms.machine >= level.deadline_machine_ns:
            oms.change_flatten(level, state="late")
            what = "; ".join(left) or "the books have not shown it flat twice"
            text = f"{level.reason}: not flat by the deadline, it goes on: {what}; look at the broker"
            oms.alert(StateAlert.FLATTEN_LATE, Severity.CRITICAL, level.id, text)


def _has_waited(oms: OrderDecision, level: Flatten) -> bool:
    """True once a flatten has waited for its first read as long as an exit may: books that fail keep nothing open."""
    return not oms.limits.book_first or oms.machine - level.opened_machine_ns >= oms.limits.exit_patience


def _covers_a_sold_one(oms: OrderDecision, level: Flatten, position: Position, held: list[Position]) -> bool:
    """Sold legs close before their cover: for some seconds, or as long as it takes while the books are lost."""
    soon = oms.machine - level.opened_machine_ns < 2 * oms.limits.exit_patience
    sold = any(other.quantity < 0 and other.strategy == position.strategy for other in held)
    return sold and (soon or oms.state.books_lost(level.account))


def _held(oms: OrderDecision, level: Flatten) -> list[Position]:
    keys = sorted(key for key in oms.state.owners if key.account == level.account)
    return [position for key in keys for position in oms.state.owner_positions(key) if is_covered(level, position)]


def _close(oms: OrderDecision, level: Flatten, position: Position) -> Flatten:
    level = oms.change_flatten(level, goals=level.goals + 1, proofs=0)
    name = content_id("flatten", level.id, level.goals)
    # without its first read the flatten has waited as an exit waits, and so has the exit
    since = 0 if level.read_machine_ns else level.opened_machine_ns
    exit_goals.start_goal(oms, name, position, level.id, level.reason, wary=level.wary, since_machine_ns=since)
    return level


def describe_remaining(oms: OrderDecision, level: Flatten) -> list[str]:
    """Describe each position and live order still in a flatten's scope; empty when it is flat by our ledger."""
    held = [
        f"{position.strategy} holds {position.quantity or position.quantity_seen} of {position.instrument}"
        for position in _held(oms, level)
    ]
    keys = sorted(key for key in oms.state.open_by_key if key.account == level.account)
    live = [order for key in keys for order in oms.open_orders(key) if order.state in LIVE and is_covered(level, order)]
    return held + [describe_order(order) for order in live]


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Advance flattens by a read: the first after a request lets positions be closed, two later ones must show flat."""
    if read.orders is None or read.positions is None:
        return
    for level in _levels(oms, read.account):
        if read.began_machine_ns <= level.opened_machine_ns:
            continue
        if not level.read_machine_ns:
            if read.positions or not _held(oms, level):  # an empty book beside a position of ours proves nothing
                oms.change_flatten(level, read_machine_ns=read.ended_machine_ns)
                oms.request_read(level.account, "flatten", positions=True)
        elif not describe_remaining(oms, level):
            _prove(oms, level, read)


def _prove(oms: OrderDecision, level: Flatten, read: BooksRead) -> None:
    state, began = oms.state, read.began_machine_ns
    keys = sorted({position.net for position in state.positions.values() if is_covered(level, position)})
    moved = any((state.touched.get(key) or 0) >= began for key in keys)
    if moved or began <= max(level.proof_machine_ns, level.read_machine_ns):
        return
    if any(net_positions.is_net_hidden(oms, key, read) for key in keys):
        return
    untold = [key for key in keys if not _is_told(oms, key, read)]
    if untold and not _closed_by_others(oms, untold, read):
        return
    if not any(net_positions.broker_net_may_differ(oms, key, read) for key in keys):
        oms.change_flatten(level, proofs=level.proofs + 1, proof_machine_ns=read.ended_machine_ns)
    elif level.proofs:
        oms.change_flatten(level, proofs=0, proof_machine_ns=read.ended_machine_ns)


def _is_told(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the position book says what is held of a key; an empty one beside live funds, where nothing of ours was
    traded today."""
    beside_funds = read.funds_live and not net_positions.filled_today(oms, key)
    return (bool(read.positions) or beside_funds) and missing_units.tells_net(oms, key, read)


def _closed_by_others(oms: OrderDecision, keys: list[NetKey], read: BooksRead) -> bool:
    """True if the other books show flat what the position book does not tell of, many of which list no flat rows.

    Where rows of the trade book count fills, it has to agree: all trades undo what the day began with.
    """
    counted = oms.broker(keys[0].account).trades_count_fills
    return all(missing_units.is_flat_by_orders(oms, key, read) for key in keys) and (
        not counted or _traded_flat(oms, keys, read)
    )


def _traded_flat(oms: OrderDecision, keys: list[NetKey], read: BooksRead) -> bool:
    """True if an empty position book is proven by the two others: many brokers list no flat rows, faults nothing.

    They have every filled order of ours in these keys, and all trades of an instrument undo what the day began with.
    """
    if not oms.broker(keys[0].account).trades_count_fills:
        return False  # no sum of such a trade book says anything
    shown = {row.broker_order_id for row in read.orders or () if row.status.is_final}
    traded = {row.broker_order_id: row.quantity for row in read.trades or ()}
    if not shown or not traded:
        return False
    filled = [order for order in oms.state.orders.values() if order.filled and order.net in keys]
    if any(o.broker_order_id not in shown or traded.get(o.broker_order_id) != o.filled for o in filled):
        return False
    begun = ((key, oms.state.begun.get((key.account, key.instrument)) or 0) for key in keys)
    return not any(units + net_positions.traded_today(oms, key, read) for key, units in begun)
