"""How a fill changes a position: adding averages, reducing realises, passing through zero starts again at the price.

Cash and quantities only come from fills and settlements, so that realised P&L of all positions equals the cash they
moved.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.exchange.model import BookPosition


def fill(position: BookPosition, signed: int, price: float) -> tuple[BookPosition, float]:
    """The position after `signed` units traded at `price`, and the rupees realised by that."""
    old = position.quantity
    new = old + signed
    closed = min(abs(old), abs(signed)) if old * signed < 0 else 0
    realised = closed * (price - position.average_price) * (1 if old > 0 else -1)
    if new == 0:
        average = 0.0
    elif closed == 0:
        average = (position.average_price * abs(old) + price * abs(signed)) / abs(new)
    else:
        average = price if closed < abs(signed) else position.average_price
    changed = replace(position, quantity=new, average_price=average, realised_today=position.realised_today + realised)
    return changed, realised


def opening_part(held: int, signed: int) -> int:
    """How many units of an order would open or enlarge a position, signed."""
    if held * signed >= 0:
        return signed
    beyond = abs(signed) - abs(held)
    return (beyond if signed > 0 else -beyond) if beyond > 0 else 0
