"""Shares sold for delivery beyond what is held, as where a stop and a hand at the terminal both sold them.

Used where exits fill beyond a position, and where the books show such a net of nobody. What is not bought back in the
session cannot be delivered, and the exchange buys it in its auction at the seller's cost.
"""

from __future__ import annotations

from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import Product, Severity
from mytrading.messages.keys import NetKey


def held_under_other_name(oms: OrderDecision, key: NetKey, net: int) -> str:
    """Return the account that is not in this run and holds what a net of `net` units (signed, below zero) sold: they
    are its own under a new name; empty if there is none."""
    for position in oms.state.positions.sorted_values() if oms.state.in_run and net < 0 else ():
        same = (position.instrument, position.product) == (key.instrument, key.product)
        if same and position.quantity >= -net and oms.state.is_absent(position.account):
            return position.account
    return ""


def alert_sold_beyond_held(oms: OrderDecision, key: NetKey, net: int, *, is_bought_back: bool) -> None:
    """Name a net of CNC below zero (`net`, signed units) as what it is; `is_bought_back`: an exit here does that."""
    if key.product is not Product.CNC or net >= 0 or held_under_other_name(oms, key, net):
        return
    what = f"{-net} of {key.instrument} were sold for delivery beyond what is held, by a stop and another sale of the "
    what += "same shares for one: they cannot be delivered, and the exchange buys what is missing in its auction"
    cure = "they are being bought back" if is_bought_back else "buy them back at the broker"
    text = f"{what}; {cure} before the session ends, or look at the holdings if they are there after all"
    oms.alert(EventAlert.SHORT_DELIVERY, Severity.CRITICAL, f"{key.account} {key.instrument}", text)
