"""Prices at which a leg is closed with its profit: levels of single legs, held by risk.

A level is fixed when the entry of its leg is admitted, like a stop, and a hedge has none: closing it would leave what
it covers bare.
"""

from __future__ import annotations

from mytrading.core.risk.books.books import RiskBooks
from mytrading.core.risk.books.staleness import is_stale
from mytrading.core.risk.protection.engine_stops import adds, is_in_use
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Product
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position

PREFIX = "target "


def name_of(key: OwnerKey) -> str:
    """The name under which the level of an owner is journaled."""
    return PREFIX + " ".join(key)


def key_in(name: str) -> OwnerKey | None:
    """The owner whose level has this name; None if it is no target's."""
    if not name.startswith(PREFIX):
        return None
    account, instrument, product, strategy = name[len(PREFIX) :].split(" ", 3)
    return OwnerKey(account, instrument, Product(product), strategy)


def hold(books: RiskBooks, entry: PlaceEntry, now: int) -> tuple[LevelMoved, ...]:
    """The row that fixes the target of the leg that an entry begins, or ends that of the position before it.

    Nothing if it adds to a leg that has its target.
    """
    level = entry.held_target
    if not (level or books.target_levels):
        return ()
    key = entry.owner
    known = key in books.target_levels
    if (known and adds(books, entry)) or not (known or level):
        return ()
    return (LevelMoved(name=name_of(key), value=level, at_ns=now),)


def arm(books: RiskBooks, now: int) -> list[LevelMoved]:
    """Rows that arm the target which a position carries: its entry may have been cancelled or lost before it filled."""
    return [
        LevelMoved(name=name_of(key), value=position.held_target, at_ns=now)
        for position in books.open_positions()
        if position.held_target and position.quantity_seen
        if (key := position.owner) not in books.target_levels and key not in books.closing
        if not books.is_hedge(position)
    ]


def release(books: RiskBooks, now: int) -> list[LevelMoved]:
    """Rows that end the levels of positions that are flat, with nothing on the way."""
    ended = [key for key in books.target_levels if not is_in_use(books, key)]
    return [LevelMoved(name=name_of(key), value=0.0, at_ns=now) for key in ended]


def reached(books: RiskBooks, position: Position, level: float, now: int, limit_seconds: float) -> Quote | None:
    """The fresh quote that is at a position's target or beyond it, None if there is none."""
    quote = books.quotes.get(position.instrument)
    held = position.quantity or position.quantity_seen
    if quote is None or not held or quote.ltp <= 0:
        return None
    there = quote.ltp >= level if held > 0 else quote.ltp <= level
    return quote if there and not is_stale(quote, now, books.machine_ns, limit_seconds) else None
