"""State that risk carries into a day as one row, `RiskOpened`, out of its own state or out of the journals of others.

`core/risk/state/folds` reads all of it out again, so that a day begins as if there had been no turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from msgspec.structs import replace

from mytrading.core.risk.state.level_copies import levels_for
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import day_number_of, iso_day
from mytrading.messages.account_events import AccountModeChanged, InstrumentHalted
from mytrading.messages.commands import RiskLevels
from mytrading.messages.enums import Product
from mytrading.messages.journal_rows import ControlOpened, DayOpened, IntentSized, RiskOpened
from mytrading.messages.level_names import corporate_action_name, stop_level_name, target_level_name

ROLLS_REMEMBERED = 45
"""Days after which a roll that ended is forgotten: the contract it began in is long past."""


def snapshot(state: RiskState, day: str) -> RiskOpened:
    """Return the opening row of `day`: all state that must survive the change of day."""
    uncovered = {(key[3], key[1]) for key in state.uncovered}
    intents = [(intent.signal.id, intent) for intent in state.intents.values()]
    remembered = date.fromisoformat(day) - timedelta(ROLLS_REMEMBERED)
    return RiskOpened(
        day=day,
        intents=tuple(intent.signal for _, intent in intents),
        settled=tuple(name for name, intent in intents if intent.settled),
        spent=tuple((name, account) for name, intent in intents for account in sorted(intent.spent)),
        ended=tuple((name, account) for name, intent in intents for account in sorted(intent.ended)),
        uncovered=tuple(state.uncovered.values()),
        lost_covers=tuple(state.lost_covers.values()),
        before=tuple((name, *place) for name, intent in intents for place in sorted(intent.before.items())),
        given_up=tuple((name, account) for name, intent in intents for account in sorted(intent.given_up)),
        lost=tuple((name, *place) for name, intent in intents for place in sorted(intent.lost)),
        entered=tuple((*place, at_ns) for place, at_ns in sorted(state.last_entry.items())),
        claimed=tuple(sorted(state.claimed)),
        sized=tuple(
            IntentSized(signal=name, account=account, lots=lots, why="", at_ns=0)
            for name, intent in intents
            for account, lots in intent.sized.items()
        ),
        bound=tuple(
            (strategy, instrument, watch)
            for (strategy, instrument), watch in state.bound.items()
            if state.owns(strategy, instrument) or (strategy, instrument) in uncovered
        ),
        issued=tuple(state.issued),
        rolls=tuple(
            roll
            for roll in state.rolls.values()
            if roll.phase == "begun" or date.fromisoformat(iso_day(roll.at_ns)) >= remembered
        ),
        positions=tuple(replace(p, realised=0.0, bought=0, sold=0) for p in state.open_positions()),
        orders=tuple(state.orders.values()),
        booked=dict(state.booked),
        closing=tuple(sorted(state.closing)),
        goals=tuple(state.goals.values()),
        runs=dict(state.runs),
        levels={
            **{name: value for name, value in state.levels.items() if name.endswith(day)},
            **{corporate_action_name(key): ratio for key, ratio in state.corporate.items() if state.held_units(key)},
            **{stop_level_name(key): level for key, level in state.stop_levels.items()},
            **state.memory.carried_into(day_number_of(day)),
            **{target_level_name(key): level for key, level in state.target_levels.items()},
        },
        protections=tuple(level for level in state.protections.values() if level.state != "done"),
        trading=tuple(state.trading.values()),
        switches=tuple(state.switches.values()),
        halted=tuple(
            InstrumentHalted(
                account=account, instrument=instrument, product=Product(product), halted=True, reason=reason, at_ns=0
            )
            for (account, instrument, product), reason in state.halted.items()
        ),
        wrong_mode=tuple(
            AccountModeChanged(account=account, wrong_mode=True, message=message, at_ns=0)
            for account, message in state.wrong_mode.items()
        ),
    )


def opening_rows(records: Sequence[Any], copy: RiskLevels | None = None) -> tuple[RiskOpened, ...]:
    """Return risk's opening row for a lost journal, from the opening rows of router and gateway; () without any.

    The limits' levels are those of the newest `copy`, of this day or an earlier one. Without one, what is carried
    counts from its first quote on (`EquityMemory.await_carried`)."""
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
            levels=levels_for(copy, opened.day),
        ),
    )
