"""Answers of a live OpenAlgo server to refused order calls, and to book reads while its broker fails, by the broker.

Pure, like the rows; a refusal that comes back as a success is one of them. Used by the REST handlers and by tests.
"""

from __future__ import annotations

from mytrading.simulator.formats.frames import Body
from mytrading.simulator.formats.live_rows import LiveRows
from mytrading.simulator.settings.broker_profile import BrokerProfile

FAILURES = ("auth", "429", "502html", "timeout")
"""How a broker fails beneath the server: no session, too many calls, an HTML page, no answer."""
_FUNDS = ("availablecash", "collateral", "m2mrealized", "m2munrealized", "utiliseddebits")


def refusal(
    broker: BrokerProfile, route: str, reason: str, order_id: str = "", *, not_found: bool = False
) -> tuple[int, Body]:
    """Return HTTP status and body for an order call (placeorder, modifyorder, cancelorder) that the broker refuses.

    A success bears the request's order id, or null for a new order. `order_id` of a new order is that of the rejected
    row it left, if it left one.
    """
    answer, places = broker.refused[route], route == "placeorder"
    if answer.status == 200:
        return 200, {"status": "success", "orderid": None if places else order_id}
    at_broker = 404 if not_found else 400
    message = answer.message.replace("{status}", str(at_broker)).replace("{orderid}", order_id)
    message = message.replace("{reason}", reason)
    named = {"orderid": order_id} if places and order_id else {}
    status = at_broker if answer.status == 400 else answer.status
    return status, {"status": "error", "message": message, **named}


def failed_read(broker: BrokerProfile, route: str, failure: str) -> tuple[int, Body]:
    """Return HTTP status and body of a read (orderbook, tradebook, positionbook, funds) under a failure of
    `FAILURES`."""
    read, rows = broker.failing[failure][route], LiveRows(broker)
    if read.status != 200:
        return read.status, {"status": "error", "message": read.shows}
    if route == "funds":
        return 200, {"status": "success", "data": dict.fromkeys(_FUNDS, "0.00") if read.shows == "zeros" else {}}
    shown = rows.nothing(read.shows)
    data = {"orders": shown, "statistics": rows.statistics([])} if route == "orderbook" else shown
    return 200, {"status": "success", "data": data}
