"""Ids of broker orders of earlier days: what the order machine carries over the turn of a day, and for how long.

An id and a day are one order: books may show yesterday's rows for hours, and brokers use ids again.
"""

from __future__ import annotations

from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import is_of_day
from mytrading.core.time import DAY, IST_OFFSET, day_number_of, iso_day
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.reports import BrokerOrder

KEPT_DAYS = 5
"""Days for which an id is carried while no book tells whether it is shown still."""
KEPT_IDS = 10_000
"""Of all accounts; those of the oldest days go first."""
_UNFILLED_ENDS = (BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED)


def midnight_of(day: str) -> int:
    """Return the market time (ns) at which a day (ISO date) begins."""
    return day_number_of(day) * DAY - IST_OFFSET


def is_younger(row: BrokerOrder, midnight_ns: int) -> bool:
    """True if a row's own time proves it younger than this midnight: some brokers give that of the last change, and
    end the orders of a day after it."""
    return row.time_ns >= midnight_ns and row.status not in _UNFILLED_ENDS


def known_before(state: State, day: str) -> dict[str, tuple[str, ...]]:
    """Return `broker_ids` of the row that opens a day (ISO date): ids known till then, but for those of its orders."""
    dated = {place: iso_day(midnight_ns) for place, midnight_ns in state.earlier.items()}
    ours = (place for place, name in state.by_broker.items() if not is_of_day(state.orders[name], day))
    dated |= dict.fromkeys((*ours, *(place for place in state.foreign if place not in state.by_broker)), day)
    oldest = day_number_of(day) - KEPT_DAYS
    newest = sorted(dated.items(), key=lambda found: (-day_number_of(found[1]), found[0]))[:KEPT_IDS]
    groups: dict[str, list[str]] = {}
    for (account, name), before in newest:
        if day_number_of(before) > oldest:
            groups.setdefault(f"{before} {account}", []).append(name)
    return {text: tuple(names) for text, names in sorted(groups.items())}
