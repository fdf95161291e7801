"""Stops that risk holds itself: their levels as journaled rows, and when a price has come to one.

A level is fixed when the first entry of a position is admitted, neither later fills nor a restart move it, and the next
position of the same owner has one of its own, whatever still closes the last one.
"""

from __future__ import annotations

from mytrading.core.risk.books.books import RiskBooks
from mytrading.core.risk.books.staleness import is_stale
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Product
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position

PREFIX = "stop "


def name_of(key: OwnerKey) -> str:
    """The name under which the level of an owner is journaled."""
    return PREFIX + " ".join(key)


def hedge_of(key: OwnerKey) -> str:
    """The name of the figure that tells the units of a position which hedge something sold."""
    return "hedge " + " ".join(key)


def key_in(name: str) -> OwnerKey | None:
    """The owner whose level has this name; None if it is no stop's."""
    if not name.startswith(PREFIX):
        return None
    account, instrument, product, strategy = name[len(PREFIX) :].split(" ", 3)
    return OwnerKey(account, instrument, Product(product), strategy)


def hold(books: RiskBooks, entry: PlaceEntry, level: float, now: int) -> tuple[LevelMoved, ...]:
    """The row that fixes the level of the position that an entry begins; without one (0), that ends the last one's.

    Nothing if it adds to a position that has its level.
    """
    key = entry.owner
    known = key in books.stop_levels
    if (known and adds(books, entry)) or not (known or level):
        return ()
    return (LevelMoved(name=name_of(key), value=level, at_ns=now),)


def adds(books: RiskBooks, entry: PlaceEntry) -> bool:
    """True if an entry adds to what its owner holds; none is admitted beside another that may still fill.

    An exit that is not done yet says nothing: the router waits for its end before it sends the entry.
    """
    position = books.positions.get(entry.owner)
    held = (position.quantity or position.quantity_seen) if position is not None else 0
    return held * entry.side.sign > 0


def restore(books: RiskBooks, now: int) -> list[LevelMoved]:
    """Rows that fix again the levels that a lost journal held: those that coming entries and positions carry."""
    found: dict[OwnerKey, float] = {
        order.owner: order.plan.held_stop
        for order in books.orders.values()
        if order.plan.held_stop and books.arriving(order)
    }
    missing = sorted((key, level) for key, level in found.items() if key not in books.stop_levels)
    rows = {name_of(key): LevelMoved(name=name_of(key), value=level, at_ns=now) for key, level in missing}
    return list((rows | {row.name: row for row in arm(books, now)}).values())


def arm(books: RiskBooks, now: int) -> list[LevelMoved]:
    """Rows that arm the level which a position carries, long or short, and disarm that of a hedge as long as it is one.

    A level ends with what is known to be coming; what fills after all, cancelled or lost before, brings it again. What
    is being closed needs none: the level under its owner is then that of the position which comes next.
    """
    rows = []
    for position in books.open_positions():
        key = position.owner
        armed = key in books.stop_levels
        if key in books.closing or not position.quantity_seen or not (armed or position.held_stop):
            continue
        hedge = books.is_hedge(position)
        if armed is hedge and (hedge or position.held_stop):
            rows.append(LevelMoved(name=name_of(key), value=0.0 if hedge else position.held_stop, at_ns=now))
    return rows


def release(books: RiskBooks, now: int) -> list[LevelMoved]:
    """Rows that end the levels of positions that are flat, with nothing on the way."""
    ended = [key for key in books.stop_levels if not is_in_use(books, key)]
    return [LevelMoved(name=name_of(key), value=0.0, at_ns=now) for key in ended]


def is_in_use(books: RiskBooks, key: OwnerKey) -> bool:
    """True while an owner holds something, or may still come to: its levels stand."""
    position = books.positions.get(key)
    if position is not None and (position.quantity or position.quantity_seen):
        return True
    return bool(books.coming_units(key[3], key[1], key[0])) or key in books.closing


def level_of(books: RiskBooks, position: Position) -> float:
    """The price at which a position is to be closed, held by risk or at the broker; 0 if none is known."""
    return level_at(books, position.owner)


def level_at(books: RiskBooks, key: OwnerKey) -> float:
    """`level_of` the position of an owner, by the level that it carries before the one under its owner.

    A stop at the broker counts for the side that it closes alone.
    """
    held, position = books.stop_levels.get(key, 0.0), books.positions.get(key)
    if held:
        return (position.held_stop or held) if position is not None else held
    guarded = books.protections.get(key)
    if guarded is None or guarded.state != "open" or position is None:
        return 0.0
    return guarded.trigger if (position.quantity or position.quantity_seen) * guarded.side.sign < 0 else 0.0


def crossed(books: RiskBooks, position: Position, level: float, now: int, limit_seconds: float) -> Quote | None:
    """The fresh quote that is at a position's level or beyond it, None if there is none: old prices end nothing."""
    quote = books.quotes.get(position.instrument)
    held = position.quantity or position.quantity_seen
    if quote is None or not level or not held or quote.ltp <= 0:
        return None
    beyond = quote.ltp <= level if held > 0 else quote.ltp >= level
    return quote if beyond and not is_stale(quote, now, books.machine_ns, limit_seconds) else None
