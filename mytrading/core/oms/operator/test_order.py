"""The trial order of `mytrading doctor`: placed far from the market by the same machine as every entry, then cancelled.

It is made at paper venues only; whether this is one stands in the limits, so that deciding again gives the same.
"""

from __future__ import annotations

from mytrading.core.oms.placing import entries
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.time import SECOND
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.control import ProbeRequested
from mytrading.messages.enums import OrderType, Side

OWNER = "doctor"
"""The strategy that trial orders are booked under."""
VALID_NS = 10 * SECOND


def on_probe(oms: OrderDecision, message: ProbeRequested) -> None:
    """Place the trial order, or withdraw it; nothing at a venue that is not paper."""
    if not oms.limits.probes:
        return
    if message.withdraw:
        entries.withdraw(oms, lambda order: order.cause == message.id, "withdrawn: the trial is over")
        return
    command = PlaceEntry(
        id=message.id,
        account=message.account,
        instrument=message.instrument,
        product=message.product,
        strategy=OWNER,
        run=message.id,
        cause=message.id,
        side=Side.BUY,
        quantity=message.quantity,
        order_type=OrderType.LIMIT,
        price=message.price,
        reference_price=message.price,
        expires_ns=oms.now + VALID_NS,
        expires_machine_ns=oms.machine + VALID_NS,
    )
    entries.place(oms, command)
