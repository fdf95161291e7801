"""Units of ours that the broker shows under another product: by another name of it, or converted.

A name is the same key, and nothing is sent. A conversion takes ledger, protection and exits along to the new product.
Used by the comparison of positions before anything is corrected. What fits neither stays as it is, disputed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.ids import content_id
from mytrading.core.oms.evidence import missing_units, net_positions, unread_rows
from mytrading.core.oms.placing import entries
from mytrading.core.oms.reconcile import startup
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import LIVE
from mytrading.messages.account_events import ProductNamed
from mytrading.messages.enums import Confidence, Product, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import GoalChanged, Position, PositionAdjusted, ProtectionChanged
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerPosition

_SHARES = ("NSE:", "BSE:")


class Moved(NamedTuple):
    """Units (signed) that a read shows under `to`, and no more under `key`; `fits`: as many as are missing there."""

    key: NetKey
    to: NetKey
    units: int
    fits: bool


def with_our_products(oms: OrderDecision, read: BooksRead) -> BooksRead:
    """Return a read with the product that is ours in rows that bear another name of it, or none where it is open.

    The table of brokers has such names, and others were learnt from our own fills (`State.names`).
    """
    if not oms.state.names and not oms.broker(read.account).derivative_products:
        return read
    orders, positions = read.orders, read.positions
    if orders is not None:
        orders = tuple(_with_open_product(oms, read.account, row) for row in orders)
    if positions is not None:
        positions = _renamed(oms, read.account, positions)
    return replace(read, orders=orders, positions=positions)


def shown_product(oms: OrderDecision, key: NetKey) -> Product:
    """Return the product under which the broker's books show a key's units."""
    if (learnt := oms.state.names.get(key)) is not None:
        return learnt.shown
    names = oms.broker(key.account).derivative_products
    return key.product if key.instrument.startswith(_SHARES) else names.get(key.product, key.product)


def _with_open_product(oms: OrderDecision, account: str, row: BrokerOrder) -> BrokerOrder:
    """The row without a product that may stand for another one of ours."""
    keys = [NetKey(account, row.instrument, product) for product in Product]
    other = any(key.product is not row.product and shown_product(oms, key) is row.product for key in keys)
    return replace(row, product=None) if row.product is not None and other else row


def _renamed(oms: OrderDecision, account: str, rows: tuple[BrokerPosition, ...]) -> tuple[BrokerPosition, ...]:
    """Rows under the products that we know them by; where we hold two of one name, each has what we know of it and the
    rest is that of the one whose name it is not."""
    known = {key for table in (oms.state.owners, oms.state.open_by_key) for key in table if key.account == account}
    aliased = sorted(key for key in known if shown_product(oms, key) is not key.product)
    left = list(rows)
    for key in aliased:
        shown = shown_product(oms, key)
        found = [row for row in left if (row.instrument, row.product) == (key.instrument, shown)]
        if len(found) != 1 or any((row.instrument, row.product) == key[1:] for row in left):
            continue
        row, beside = found[0], net_positions.ledger_net(oms.state, NetKey(account, key.instrument, shown))
        left.remove(row)
        left.append(replace(row, product=key.product, quantity=row.quantity - beside))
        if beside:
            left.append(replace(row, quantity=beside))
    return tuple(left)


def find_moved(oms: OrderDecision, broker: dict[NetKey, int], read: BooksRead) -> Iterator[Moved]:
    """Iterate over units of ours that a read lacks under their product and shows, unexplained, under another one."""
    if read.orders is None:
        return
    for key in sorted(oms.state.owners):
        if key.account != read.account or unread_rows.hides_position(key.instrument, read):
            continue
        net = net_positions.net_with_unlisted(oms, key, broker.get(key, 0))
        if not missing_units.takes_from_owners(oms, key, net):
            continue
        lacks = net_positions.ledger_net(oms.state, key) - net
        for other in sorted(one for one in broker if one[:2] == key[:2] and one != key):
            rises = broker[other] - net_positions.ledger_net(oms.state, other)
            traded = _is_traded(oms, key, net, read) or _is_traded(oms, other, broker[other], read)
            if rises * lacks > 0 and not traded:
                yield Moved(key, other, min(abs(rises), abs(lacks)) * (1 if lacks > 0 else -1), rises == lacks)
                break


def _is_traded(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> bool:
    """True if orders of today explain the broker's net of a key."""
    return missing_units.net_by_orders(oms, key, read) == net


def note_first_shown(oms: OrderDecision, moved: Moved) -> None:
    """Note under which product alone a read shows our first fill of a key, if it followed that at once."""
    opened = [position.opened_ns for position in oms.state.owner_positions(moved.key) if position.quantity]
    late = oms.now - min(opened, default=0) > oms.limits.name_within
    if late or not moved.fits or oms.state.agreed.get(moved.key) or net_positions.ledger_net(oms.state, moved.to):
        return
    if oms.state.shown_first.get(moved.key) is not moved.to.product:
        shown = moved.to.product
        oms.emit(ProductNamed(**moved.key._asdict(), shown=shown, at_ns=oms.now, first=True))


def settle_moved(oms: OrderDecision, moved: Moved) -> bool:
    """Take units along to another product, or learn its name, once two reads agree; false if this is neither."""
    one, other = oms.state.mismatches.get(moved.key), oms.state.mismatches.get(moved.to)
    if one is None or other is None or not moved.fits:
        return False
    agreed = oms.state.agreed.get(moved.key) or 0
    if agreed * moved.units > 0:
        _convert(oms, moved)
    elif not agreed and oms.state.shown_first.get(moved.key) is moved.to.product:
        _learn_name(oms, moved)
    else:
        return False
    for mismatch in (one, other):
        oms.emit(replace(mismatch, cleared=True, contradicted=False, unproven=False))
        for position in oms.state.owner_positions(mismatch.net):
            if position.confidence is not Confidence.CONFIRMED:
                oms.emit_position(replace(position, confidence=Confidence.CONFIRMED, updated_ns=oms.now))
    return True


def _learn_name(oms: OrderDecision, moved: Moved) -> None:
    key, shown = moved.key, moved.to.product
    oms.emit(ProductNamed(**key._asdict(), shown=shown, at_ns=oms.now))
    what = f"the broker shows our {key.product} fills of {key.instrument} as {shown}, where nothing stood before"
    what = f"{what}: taken for its name of {key.product}; nothing is sent, look whether it is converted there"
    oms.alert(EventAlert.PRODUCT_RENAMED, Severity.WARNING, f"{key.account} {key.instrument}", what)


def _convert(oms: OrderDecision, moved: Moved) -> None:
    """Move units of the newest owners to the other product, with what guards and what closes them."""
    left, sign = abs(moved.units), 1 if moved.units > 0 else -1
    for position in sorted(oms.state.owner_positions(moved.key), key=lambda p: (-p.opened_ns, p.strategy)):
        if cut := min(left, abs(position.quantity)) if position.quantity * sign > 0 else 0:
            left -= cut
            _move(oms, position, moved.to.product, cut * sign)
    key = moved.key
    what = f"{abs(moved.units)} of {key.instrument} in {key.account} were converted from {key.product} to "
    what = f"{what}{moved.to.product} at the broker; owner, stop and exits go along"
    oms.alert(EventAlert.POSITION_CONVERTED, Severity.WARNING, f"{key.account} {key.instrument}", what)
    startup.record_difference(oms, key.account, "corrected", what)


def _move(oms: OrderDecision, position: Position, product: Product, units: int) -> None:
    to = oms.state.positions.get(position.owner._replace(product=product))
    source = position_ledger.correct_quantity(position, position.quantity - units, oms.now)
    source = replace(source, confidence=Confidence.CONFIRMED)
    oms.emit(
        PositionAdjusted(
            position=_more(oms, position, to, product, units), cause="conversion", quantity=units,
            price=position.average_price, at_ns=oms.now, source=source,
        )
    )  # fmt: skip
    _move_protection(oms, position, product)
    for goal in oms.state.unfinished_goals():
        name = content_id("conversion", goal.id, product, oms.machine)
        if goal.owner == position.owner:
            fresh = replace(
                goal, id=name, product=product, state="open", order="", attempts=0, opened_machine_ns=oms.machine,
                ghosts=0, message="",
            )  # fmt: skip
            oms.emit(GoalChanged(goal=fresh, at_ns=oms.now))
    for order in oms.open_orders(position.net) if not source.quantity else ():
        if order.strategy == position.strategy and order.purpose.reduces and order.state in LIVE:
            entries.cancel_order(oms, order, "withdrawn: its units were converted")


def _more(oms: OrderDecision, position: Position, to: Position | None, product: Product, units: int) -> Position:
    """The position under the new product with these units, at the price that they were bought for."""
    size, price = abs(units), position.average_price
    held = to if to is not None and to.quantity else None
    before, quantity = (abs(held.quantity), held.quantity + units) if held is not None else (0, units)
    average = ((held.average_price * before if held is not None else 0.0) + price * size) / (before + size)
    base = held or replace(
        position, product=product, trip_quantity=0, trip_value=0.0, trip_exit_value=0.0,
        realised=to.realised if to else 0.0, bought=to.bought if to else 0, sold=to.sold if to else 0,
    )  # fmt: skip
    return replace(
        base, quantity=quantity, quantity_seen=quantity, average_price=average, updated_ns=oms.now,
        confidence=Confidence.CONFIRMED,
        trip_quantity=base.trip_quantity + size, trip_value=base.trip_value + price * size,
    )  # fmt: skip


def _move_protection(oms: OrderDecision, position: Position, product: Product) -> None:
    """Begin the same protection under the new product; that of the old one ends, or shrinks, by itself."""
    level = oms.state.protections.get(position.owner)
    there = oms.state.protections.get(position.owner._replace(product=product))
    if level is None or level.state == "done" or (there is not None and there.state != "done"):
        return
    fresh = replace(
        level, id=content_id("conversion", level.id, product, oms.machine), product=product, attempts=0, failures=0,
        order="", triggered_machine_ns=0, ghosts=0, ghost_machine_ns=0, waits_machine_ns=0, claimed=None, doubted="",
        unasked_machine_ns=0, awaits_units_machine_ns=0, state="open" if level.state == "handed" else level.state,
    )  # fmt: skip
    oms.emit(ProtectionChanged(protection=fresh, at_ns=oms.now))
