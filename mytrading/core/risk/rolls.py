"""Futures that are rolled over, as risk knows them: what went where, and what that means for the wishes behind them.

Used by `core/risk/state`; `core/rollover` decides on them. The one rule: a position that something else closed while it
was rolled is not opened again by the wish that had opened it.
"""

from __future__ import annotations

from mytrading.core.risk.books import RiskBooks
from mytrading.messages.records import Rolled

_GIVEN_UP = "given_up"


def learn(books: RiskBooks, row: Rolled) -> None:
    """Note how far a rollover has come."""
    known = books.rolls.get((row.account, row.near, row.product, row.strategy))
    books.rolls[row.account, row.near, row.product, row.strategy] = row
    if row.phase != _GIVEN_UP:
        books.bound[row.strategy, row.far] = row.watch
    for wish in books.wishes.values():
        if wish.signal.strategy == row.strategy:
            wish.moved = moved(books, row.strategy)
    if row.phase == _GIVEN_UP and known is not None:
        _spend(books, row)


def moved(books: RiskBooks, strategy: str) -> dict[str, dict[str, str]]:
    """By account, the contracts to which a strategy's positions were rolled over, by those they came from."""
    found: dict[str, dict[str, str]] = {}
    for roll in books.rolls.values():
        if roll.strategy == strategy and roll.phase != _GIVEN_UP:
            found.setdefault(roll.account, {})[roll.near] = roll.far
    return found


def _spend(books: RiskBooks, row: Rolled) -> None:
    """What was closed by something else while it was rolled is not opened again by the same wish."""
    wish = books.wishes.get((row.strategy, row.watch))
    near = books.positions.get((row.account, row.near, row.product, row.strategy))
    if wish is not None and near is not None and not near.quantity:
        wish.spent.add(row.account)
        wish.spent_ns = row.at_ns
        wish.ended.add(row.account)
