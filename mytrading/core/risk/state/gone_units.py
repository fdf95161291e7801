"""Units that left a position without an order of ours, at a price which no trade told: what they count for meanwhile.

The day's profit has them at the last price that risk judged them by, from the row on that takes them off the position;
the router is told that price, books it, and its row ends the matter here. They are never worth nothing.
"""

from __future__ import annotations

from mytrading.core.accounting import position_ledger
from mytrading.core.ids import content_id
from mytrading.core.risk.state.state import RiskState
from mytrading.messages.commands import PriceUnits
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import GoneUnits, PositionAdjusted


def fold_adjusted(state: RiskState, row: PositionAdjusted) -> None:
    """Take a row that took units off a position at a price unknown, or that values such units."""
    gone = row.gone
    if gone is None:
        return
    if row.price > 0:
        state.gone.pop(gone.id, None)
    else:
        state.gone[gone.id] = (gone, _last_price(state, gone))
    _count(state, row.position.owner)


def fold_price(state: RiskState, command: PriceUnits) -> None:
    """Take a price that the router was told, which counts until its row says the same."""
    if (waiting := state.gone.get(command.gone)) is not None:
        state.gone[command.gone] = (waiting[0], command.price)
        _count(state, waiting[0].before.owner)


def tell_prices(state: RiskState) -> list[PriceUnits]:
    """Return the commands that tell the router the last prices of units that went, once each has one."""
    rows = []
    for gone, _ in state.gone.values():
        price, name = _last_price(state, gone), content_id("price_units", gone.id)
        if price > 0 and name not in state.issued:
            rows.append(PriceUnits(id=name, gone=gone.id, account=gone.before.account, price=price))
    return rows


def unpriced_instruments(state: RiskState) -> set[str]:
    """Return the instruments of units that went while no price of them was known: their next price counts."""
    return {gone.before.instrument for gone, price in state.gone.values() if price <= 0}


def _last_price(state: RiskState, gone: GoneUnits) -> float:
    return state.memory.money.closing_price(gone.before.instrument, long=gone.units < 0) or 0.0


def _count(state: RiskState, owner: OwnerKey) -> None:
    mine = [(gone, price) for gone, price in state.gone.values() if gone.before.owner == owner and price > 0]
    rupees = sum(position_ledger.profit_of_gone(gone.before, gone.units, price) for gone, price in mine)
    state.memory.money.set_gone(owner, rupees)
