"""Whether an intent has what it wants: nothing more is then entered for it.

It asks the books and changes nothing.
"""

from __future__ import annotations

from mytrading.core.risk.books.books import RiskBooks
from mytrading.core.risk.books.intent import Intent
from mytrading.messages.signals import Leg


def is_met(books: RiskBooks, intent: Intent, account: str) -> bool:
    """True if every leg that the intent has in an account was ordered, or is held and coming as it wants."""
    intent = intent.in_account(account)
    for leg in intent.legs:
        if not _met(books, intent, leg, account):
            return False
    return True


def _met(books: RiskBooks, intent: Intent, leg: Leg, account: str) -> bool:
    """True if the leg was ordered for this intent, or what is held and coming is what it wants.

    A leg of several must be held: until then it may have to be tried again, or the others be given up.
    """
    signal = intent.signal
    target = intent.lots(leg, account) * books.lot_of(leg.instrument)
    there = books.units_of(signal.strategy, signal.watch, leg.instrument, account)
    if len(intent.legs) > 1:
        return there == target
    orders = books.orders.in_(leg.instrument)
    if not orders:
        return there == target
    if any((order.cause, order.account) == (signal.id, account) for order in orders):
        return True
    if books.is_withdrawing(signal.strategy, leg.instrument):
        return False
    if any(
        not intent.accepts(order)
        for order in books.live_entries(signal.strategy, signal.watch)
        if (order.instrument, order.account) == (leg.instrument, account)
    ):
        return False
    return there + books.coming_units(signal.strategy, leg.instrument, account) == target
