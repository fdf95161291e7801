"""Futures that are rolled over, as risk knows them: what went where, and what that means for the intents behind them.

A position that something else closed while it was rolled is not opened again by the intent that had opened it.
"""

from __future__ import annotations

from mytrading.core.risk.books.books import RiskBooks
from mytrading.messages.journal_rows import Rolled

_GIVEN_UP = "given_up"


def learn(books: RiskBooks, row: Rolled) -> None:
    """Note how far a rollover has come."""
    known = books.rolls.get(row.near_owner)
    books.rolls[row.near_owner] = row
    if row.phase != _GIVEN_UP:
        books.bound[row.strategy, row.far] = row.watch
    for intent in books.intents.values():
        if intent.signal.strategy == row.strategy:
            intent.moved = moved(books, row.strategy)
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
    """What was closed by something else while it was rolled is not opened again by the same intent."""
    intent = books.intents.get((row.strategy, row.watch))
    near = books.positions.get(row.near_owner)
    if intent is not None and near is not None and not near.quantity:
        intent.spent.add(row.account)
        intent.spent_ns = row.at_ns
        intent.ended.add(row.account)
