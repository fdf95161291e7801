"""What risk carries into a day: all that must survive as one row, or as others' journals tell it.

Used by `core/risk` at the turn of a day and by the risk daemon. The one rule: nothing here changes the books.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from mytrading.core import leg_targets
from mytrading.core.risk import stops as risk_stops
from mytrading.core.risk.books import RiskBooks, day_of
from mytrading.core.risk.memory import day_number_of
from mytrading.messages.enums import Product
from mytrading.messages.orders import AccountModeChanged, InstrumentHalted
from mytrading.messages.records import ControlOpened, DayOpened, RiskOpened, Rolled, WishSized

ROLLS_REMEMBERED = 45
"""Days."""


def snapshot(books: RiskBooks, day: str) -> RiskOpened:
    """All that must survive, as one row."""
    return RiskOpened(
        day=day,
        wishes=tuple(wish.signal for wish in books.wishes.values()),
        settled=tuple(wish.signal.id for wish in books.wishes.values() if wish.settled),
        spent=tuple((w.signal.id, account) for w in books.wishes.values() for account in sorted(w.spent)),
        ended=tuple((w.signal.id, account) for w in books.wishes.values() for account in sorted(w.ended)),
        given_up=tuple((w.signal.id, account) for w in books.wishes.values() for account in sorted(w.given_up)),
        lost=tuple((w.signal.id, *place) for w in books.wishes.values() for place in sorted(w.lost)),
        claimed=tuple(sorted(books.claimed)),
        sized=tuple(
            WishSized(signal=wish.signal.id, account=account, lots=lots, why="", at_ns=0)
            for wish in books.wishes.values()
            for account, lots in wish.sized.items()
        ),
        bound=tuple(
            (strategy, instrument, watch)
            for (strategy, instrument), watch in books.bound.items()
            if books.owns(strategy, instrument)
        ),
        issued=tuple(books.issued),
        rolls=tuple(roll for roll in books.rolls.values() if _still_counts(roll, day)),
        positions=tuple(replace(p, realised=0.0, bought=0, sold=0) for p in books.open_positions()),
        orders=tuple(books.orders.values()),
        booked={name: units for name, units in books.booked.items() if name in books.orders},
        closing=tuple(sorted(books.closing)),
        goals=tuple(books.goals.values()),
        runs=dict(books.runs),
        levels={
            **{name: value for name, value in books.levels.items() if name.endswith(day)},
            **{risk_stops.name_of(key): level for key, level in books.stop_levels.items()},
            **books.memory.carried_into(day_number_of(day)),
            **{leg_targets.name_of(key): level for key, level in books.target_levels.items()},
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
            halted=opened.halted,
            wrong_mode=opened.wrong_mode,
            closing=tuple((g.account, g.instrument, g.product, g.strategy) for g in opened.goals),
            goals=opened.goals,
            protections=opened.protections,
            runs={position.strategy: position.run for position in opened.positions},
            trading=control.trading if control else opened.trading,
            switches=control.switches if control else opened.switches,
        ),
    )


def _still_counts(roll: Rolled, day: str) -> bool:
    """A roll that ended is forgotten once the contract it began in is long past."""
    age = date.fromisoformat(day) - date.fromisoformat(day_of(roll.at_ns))
    return roll.phase == "begun" or age.days <= ROLLS_REMEMBERED
