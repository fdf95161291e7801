"""Semi-automatic mode: requests for new orders that wait for a person's approval instead of being placed.

Used by the dispatcher for the routes that the server parks, baskets and slices included, each as one request. The one
rule: a parked request was looked at no further than its fields, so that an unknown symbol is parked too.
"""

from __future__ import annotations

from mytrading.core.symbology import instrument_id
from mytrading.runtime.clock import machine_now
from mytrading.simulator.call import Call
from mytrading.simulator.reply import Reply, success

PARKED_ROUTES = frozenset({"placeorder", "placesmartorder", "basketorder", "splitorder", "optionsorder"})


def parked(call: Call) -> Reply | None:
    """The answer to a request that the fault `semi_auto` holds back; None if it is to be carried out."""
    faults, fields = call.venue.faults, call.fields
    if faults.get("semi_auto") is None:
        return None
    for order in fields.get("orders", (fields,)):
        named = order.get("symbol") or order.get("underlying", "")
        instrument = instrument_id(order["exchange"], named)
        if faults.take("semi_auto", side=order["action"].upper(), instrument=instrument) is not None:
            text = "Order queued for approval in Action Center"
            return success(mode="semi_auto", message=text, pending_order_id=machine_now() // 1000)
    return None
