"""What waits on a provisional day of which no price was seen traded: the words of the alert `DAY_UNPROVEN`.

`OrderDecision.is_trading` is the rule that holds stops and exits back; here an operator is told for which of them.
"""

from __future__ import annotations

from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.time import MINUTE, ist_date

PATIENCE_NS = MINUTE
"""Market time for which an exchange may be open without such a price: the first ticks of a day come one by one."""


def unproven_days(oms: OrderDecision) -> dict[str, str]:
    """Return by exchange what waits there for a price of today, once it should have traded for a minute."""
    state = oms.state
    held: dict[str, list[str]] = {}
    for position in state.positions.sorted_values():
        if position.quantity or position.quantity_seen:
            units = position.quantity_seen or position.quantity
            exchange = position.instrument.partition(":")[0]
            held.setdefault(exchange, []).append(f"{units} {position.instrument} of {position.strategy}")
    return {
        exchange: _text(exchange, ist_date(oms.now).year, ", ".join(names))
        for exchange, names in held.items()
        if oms.has_been_open(exchange, PATIENCE_NS) and oms.is_unproven(exchange)
    }


def _text(exchange: str, year: int, held: str) -> str:
    return (
        f"does {exchange} trade today? config/calendar.toml lists no holiday of {year} for it, and no price of today "
        f"was seen traded: stops and exits of {held} are not sent, as a broker may keep an order of a closed day for "
        f"the next; they go with the first such price. If it trades, look at feed and broker; else list the holiday"
    )
