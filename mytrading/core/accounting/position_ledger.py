"""The position ledger: fills, price corrections and quantity corrections of one owner's position.

Money is conserved: realised plus open at the average price always equals the sum of all fills.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from mytrading.messages.enums import Side
from mytrading.messages.orders import Order, Position, TradeClosed

_FLAT = {
    "average_price": 0.0,
    "trip_quantity": 0,
    "trip_value": 0.0,
    "trip_exit_value": 0.0,
    "opened_ns": 0,
    "held_stop": 0.0,
    "held_target": 0.0,
    "price_estimated": False,
}


class Booked(NamedTuple):
    """A position after a fill, and the round trip the fill ended, if it did."""

    position: Position
    trade: TradeClosed | None


def book_fill(position: Position, units: int, price: float, at_ns: int, run: str = "") -> Booked:
    """Return the position after a fill of signed `units` at `price` rupees, and the trade it completed or None.
    `at_ns` is market time, `run` the id of the strategy run that opens the position."""
    if units == 0:
        return Booked(position, None)
    held = position.quantity
    if held == 0 or (held > 0) == (units > 0):
        return Booked(_added(position, units, price, at_ns, run), None)
    closing = min(abs(units), abs(held))
    reduced = _reduced(position, closing, price, at_ns)
    if reduced.quantity:
        return Booked(reduced, None)
    trade = _trade(reduced, held, at_ns)
    flat = replace(reduced, **_FLAT)
    rest = (abs(units) - closing) * (1 if units > 0 else -1)
    return Booked(_added(flat, rest, price, at_ns, run) if rest else flat, trade)


def _added(position: Position, units: int, price: float, at_ns: int, run: str) -> Position:
    held, size = abs(position.quantity), abs(units)
    opens = held == 0
    return replace(
        position,
        quantity=position.quantity + units,
        average_price=(position.average_price * held + price * size) / (held + size),
        bought=position.bought + max(units, 0),
        sold=position.sold + max(-units, 0),
        trip_quantity=position.trip_quantity + size,
        trip_value=position.trip_value + price * size,
        opened_ns=at_ns if opens else position.opened_ns,
        run=(run or position.run) if opens else position.run,
        updated_ns=at_ns,
    )


def _reduced(position: Position, size: int, price: float, at_ns: int) -> Position:
    sign = 1 if position.quantity > 0 else -1
    return replace(
        position,
        quantity=position.quantity - sign * size,
        realised=position.realised + sign * size * (price - position.average_price),
        bought=position.bought + (size if sign < 0 else 0),
        sold=position.sold + (size if sign > 0 else 0),
        trip_exit_value=position.trip_exit_value + price * size,
        updated_ns=at_ns,
    )


def _trade(position: Position, held: int, at_ns: int) -> TradeClosed:
    sign = 1 if held > 0 else -1
    return TradeClosed(
        account=position.account,
        instrument=position.instrument,
        product=position.product,
        strategy=position.strategy,
        run=position.run,
        side=Side.BUY if sign > 0 else Side.SELL,
        quantity=position.trip_quantity,
        entry_price=position.trip_value / position.trip_quantity,
        exit_price=position.trip_exit_value / position.trip_quantity,
        realised=sign * (position.trip_exit_value - position.trip_value),
        opened_ns=position.opened_ns,
        closed_ns=at_ns,
    )


def reprice(position: Position, units: int, rupees: float, at_ns: int) -> Position:
    """Return the position after a price correction: `units` (signed) cost `rupees` more in all than was booked.
    The difference changes the average price if all these units are still open, else the realised profit."""
    opening = position.quantity != 0 and (position.quantity > 0) == (units > 0)
    if opening and position.trip_quantity == abs(position.quantity):
        average = position.average_price + rupees / position.quantity
        value = position.trip_value + rupees * (1 if units > 0 else -1)
        return replace(position, average_price=average, trip_value=value, updated_ns=at_ns)
    return replace(position, realised=position.realised - rupees, updated_ns=at_ns)


def correct_quantity(position: Position, quantity: int, at_ns: int) -> Position:
    """Return the position with its signed quantity set without a fill; 0 ends it without a recorded trade."""
    if quantity == 0:
        return replace(position, quantity=0, quantity_seen=0, updated_ns=at_ns, **_FLAT)
    size = abs(quantity)
    return replace(
        position,
        quantity=quantity,
        quantity_seen=quantity,
        trip_quantity=size,
        trip_value=size * position.average_price,
        trip_exit_value=0.0,
        updated_ns=at_ns,
    )


def profit_of_gone(before: Position, units: int, price: float) -> float:
    """Return the rupees that signed `units`, taken off the position `before` them, brought at `price`."""
    return -units * (price - before.average_price)


def with_exit_levels(position: Position, entry: Order | None) -> Position:
    """Return the position with the stop and target prices at which risk itself closes it, from its entry order.
    They are 0.0 if `entry` is None or has none."""
    held = (entry.plan.held_stop, entry.plan.held_target) if entry is not None else (0.0, 0.0)
    return replace(position, held_stop=held[0], held_target=held[1])
