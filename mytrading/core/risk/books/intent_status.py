"""Whether a wish has what it wants: nothing more is then entered for it.

Used by `core/risk/state` with every row that may settle one. The one rule: it asks the books and changes nothing.
"""

from __future__ import annotations

from mytrading.core.risk.books import RiskBooks
from mytrading.core.risk.wish import Wish
from mytrading.messages.signals import Leg


def is_met(books: RiskBooks, wish: Wish, account: str) -> bool:
    """True if every leg that the wish has in an account was ordered, or is held and coming as it wants."""
    wish = wish.in_account(account)
    for leg in wish.legs:
        if not _met(books, wish, leg, account):
            return False
    return True


def _met(books: RiskBooks, wish: Wish, leg: Leg, account: str) -> bool:
    """True if the leg was ordered for this wish, or what is held and coming is what it wants.

    A leg of several must be held: until then it may have to be tried again, or the others be given up.
    """
    signal = wish.signal
    target = wish.lots(leg, account) * books.lot_of(leg.instrument)
    there = books.units_of(signal.strategy, signal.watch, leg.instrument, account)
    if len(wish.legs) > 1:
        return there == target
    orders = books.orders.in_(leg.instrument)
    if not orders:
        return there == target
    if any((order.cause, order.account) == (signal.id, account) for order in orders):
        return True
    if books.is_withdrawing(signal.strategy, leg.instrument):
        return False
    if any(
        not wish.accepts(order)
        for order in books.live_entries(signal.strategy, signal.watch)
        if (order.instrument, order.account) == (leg.instrument, account)
    ):
        return False
    return there + books.coming_units(signal.strategy, leg.instrument, account) == target
