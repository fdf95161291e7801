"""What risk carries into a day: all that must survive as one row, or as others' journals tell it.

What is told into the row is read out of it again, so that a day begins as if there had been no turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from mytrading.core.risk.books.books import RiskBooks
from mytrading.core.risk.books.indexed_dict import IndexedDict
from mytrading.core.risk.books.intent import Intent
from mytrading.core.risk.protection import engine_stops, take_profits
from mytrading.core.risk.state.folds import learn_level
from mytrading.core.time import day_number_of, iso_day
from mytrading.messages.account_events import AccountModeChanged, InstrumentHalted
from mytrading.messages.enums import Product
from mytrading.messages.journal_rows import ControlOpened, DayOpened, IntentSized, LevelMoved, RiskOpened, Rolled
from mytrading.messages.keys import OwnerKey

ROLLS_REMEMBERED = 45
"""Days."""


def snapshot(books: RiskBooks, day: str) -> RiskOpened:
    """All that must survive, as one row."""
    uncovered = {(key[3], key[1]) for key in books.uncovered}
    return RiskOpened(
        day=day,
        intents=tuple(intent.signal for intent in books.intents.values()),
        settled=tuple(intent.signal.id for intent in books.intents.values() if intent.settled),
        spent=tuple((w.signal.id, account) for w in books.intents.values() for account in sorted(w.spent)),
        ended=tuple((w.signal.id, account) for w in books.intents.values() for account in sorted(w.ended)),
        uncovered=tuple(books.uncovered.values()),
        given_up=tuple((w.signal.id, account) for w in books.intents.values() for account in sorted(w.given_up)),
        lost=tuple((w.signal.id, *place) for w in books.intents.values() for place in sorted(w.lost)),
        entered=tuple((*place, at_ns) for place, at_ns in sorted(books.last_entry.items())),
        claimed=tuple(sorted(books.claimed)),
        sized=tuple(
            IntentSized(signal=intent.signal.id, account=account, lots=lots, why="", at_ns=0)
            for intent in books.intents.values()
            for account, lots in intent.sized.items()
        ),
        bound=tuple(
            (strategy, instrument, watch)
            for (strategy, instrument), watch in books.bound.items()
            if books.owns(strategy, instrument) or (strategy, instrument) in uncovered
        ),
        issued=tuple(books.issued),
        rolls=tuple(roll for roll in books.rolls.values() if _still_counts(roll, day)),
        positions=tuple(replace(p, realised=0.0, bought=0, sold=0) for p in books.open_positions()),
        orders=tuple(books.orders.values()),
        booked=dict(books.booked),
        closing=tuple(sorted(books.closing)),
        goals=tuple(books.goals.values()),
        runs=dict(books.runs),
        levels={
            **{name: value for name, value in books.levels.items() if name.endswith(day)},
            **{engine_stops.name_of(key): level for key, level in books.stop_levels.items()},
            **books.memory.carried_into(day_number_of(day)),
            **{take_profits.name_of(key): level for key, level in books.target_levels.items()},
        },
        protections=tuple(level for level in books.protections.values() if level.state != "done"),
        trading=tuple(books.trading.values()),
        switches=tuple(books.switches.values()),
        halted=tuple(
            InstrumentHalted(
                account=account,
                instrument=instrument,
                product=Product(product),
                halted=True,
                reason=reason,
                at_ns=0,
            )
            for (account, instrument, product), reason in books.halted.items()
        ),
        wrong_mode=tuple(
            AccountModeChanged(account=account, wrong_mode=True, message=message, at_ns=0)
            for account, message in books.wrong_mode.items()
        ),
    )


def reopen(books: RiskBooks, row: RiskOpened) -> None:
    """The reverse: the books as the row tells them, with nothing of what they held before."""
    books.intents = {
        (signal.strategy, signal.watch): Intent(
            signal=signal,
            settled=signal.id in row.settled,
            spent={account for name, account in row.spent if name == signal.id},
            since_ns=signal.created_ns,
            ended={account for name, account in row.ended if name == signal.id},
            given_up={account for name, account in row.given_up if name == signal.id},
            lost={(account, leg, opened) for name, account, leg, opened in row.lost if name == signal.id},
            sized={size.account: size.lots for size in row.sized if size.signal == signal.id},
        )
        for signal in row.intents
    }
    books.watch_of_signal = {signal.id: (signal.strategy, signal.watch) for signal in row.intents}
    books.bound = {(strategy, instrument): watch for strategy, instrument, watch in row.bound}
    books.rolls = {roll.near_owner: roll for roll in row.rolls}
    books.issued = dict.fromkeys(row.issued)
    books.positions = IndexedDict((p.owner, p) for p in row.positions)
    books.orders = IndexedDict((order.client_order_id, order) for order in row.orders)
    books.booked = dict(row.booked)
    books.closing = {OwnerKey(a, i, Product(p), s) for a, i, p, s in row.closing}
    books.goals = {goal.id: goal for goal in row.goals}
    books.claimed = {OwnerKey(a, i, Product(p), s) for a, i, p, s in row.claimed}
    books.uncovered = {p.owner: (p, sold) for p, sold in row.uncovered}
    books.baskets = {}
    books.last_entry = {(strategy, watch): at_ns for strategy, watch, at_ns in row.entered}
    books.runs = dict(row.runs)
    books.tally.open_day()
    books.memory.open_day(day_number_of(row.day))
    books.levels, books.stop_levels, books.stop_instruments = {}, {}, {}
    books.target_levels = {}
    for name, value in row.levels.items():
        learn_level(books, LevelMoved(name=name, value=value, at_ns=0))
    guards = {p.owner: p.trigger for p in row.protections}
    for position in row.positions:
        owner = position.owner
        held = 0.0 if books.is_hedge(position) else position.held_stop
        level = held or books.stop_levels.get(owner, 0.0) or guards.get(owner, 0.0)
        books.memory.money.stop(owner, level)
        books.memory.money.position(position, carried=True)
    books.protections = {p.owner: p for p in row.protections}
    books.trading = {state.account: state for state in row.trading}
    books.switches = {switch.strategy: switch for switch in row.switches}
    books.halted = {halt.net: halt.reason for halt in row.halted}
    books.wrong_mode = {mode.account: mode.message for mode in row.wrong_mode}


def foundation(records: Sequence[Any]) -> tuple[RiskOpened, ...]:
    """What risk's lost journal begins with: the opening of the day as the router and the gateway carried it over."""
    router = next((row for row in records if isinstance(row, DayOpened)), None)
    control = next((row for row in records if isinstance(row, ControlOpened)), None)
    if router is None and control is None:
        return ()
    opened = router or DayOpened(day=control.day if control else "")
    return (
        RiskOpened(
            day=opened.day,
            positions=opened.positions,
            orders=opened.orders,
            booked={order.client_order_id: order.filled for order in opened.orders if order.filled},
            halted=opened.halted,
            wrong_mode=opened.wrong_mode,
            closing=tuple(g.owner for g in opened.goals),
            goals=opened.goals,
            protections=opened.protections,
            runs={position.strategy: position.run for position in opened.positions},
            trading=control.trading if control else opened.trading,
            switches=control.switches if control else opened.switches,
        ),
    )


def _still_counts(roll: Rolled, day: str) -> bool:
    """A roll that ended is forgotten once the contract it began in is long past."""
    age = date.fromisoformat(day) - date.fromisoformat(iso_day(roll.at_ns))
    return roll.phase == "begun" or age.days <= ROLLS_REMEMBERED
