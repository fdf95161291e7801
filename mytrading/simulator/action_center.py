"""Semi-automatic mode: new orders wait for a person's approval, and a live server changes and ends none by request.

Used by the dispatcher: the routes that the server parks, baskets and slices included, each as one request, and those
that it refuses. The one rule: a parked request was looked at no further than its fields, so that an unknown symbol is
parked too.
"""

from __future__ import annotations

from mytrading.core.symbology import instrument_id
from mytrading.runtime.clock import machine_now
from mytrading.simulator.call import Call
from mytrading.simulator.faults import FOR_GOOD
from mytrading.simulator.reply import Reply, error, success

PARKED_ROUTES = frozenset({"placeorder", "placesmartorder", "basketorder", "splitorder", "optionsorder"})
BLOCKED_ROUTES = frozenset(
    {"modifyorder", "cancelorder", "cancelallorder", "closeposition", "modifygttorder", "cancelgttorder"}
)


def held(call: Call, route: str) -> Reply | None:
    """What becomes of a request in semi-automatic mode; None if it is to be carried out."""
    if route in PARKED_ROUTES:
        return parked(call)
    return blocked(call, route) if route in BLOCKED_ROUTES else None


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


def blocked(call: Call, route: str) -> Reply | None:
    """A live server's 403 to what would change or end an order while `semi_auto` is on for good: the account's mode.

    The analyzer does all of this at once, as recorded. One that parks a number of orders stands for as many approvals
    and leaves cancels alone.
    """
    mode = call.venue.faults.get("semi_auto")
    if mode is None or mode.left != FOR_GOOD or call.venue.analyze:
        return None
    return error(403, f"Operation {route} is not allowed in Semi-Auto mode; switch to Auto mode first")
