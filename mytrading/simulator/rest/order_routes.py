"""REST handlers that place, change and end orders, with the faults that tests switch on.

Used by the dispatcher. The one rule: what is answered as placed is in the books on disk.
"""

from __future__ import annotations

import asyncio

from mytrading.core.matching import OrderRequest, Refusal
from mytrading.core.matching.funds import blocked_for
from mytrading.core.symbology import instrument_id
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.simulator.call import Call
from mytrading.simulator.personality import Role
from mytrading.simulator.reply import Reply, error, success, with_mode
from mytrading.simulator.schema import PRODUCTS, Fields
from mytrading.simulator.venue import Venue


class DropConnection(Exception):
    """A fault asks the dispatcher to cut the connection instead of answering."""


async def placeorder(call: Call) -> Reply:
    """Place one order."""
    venue, fields = call.venue, call.fields
    faults = venue.faults
    if not fields["symbol"]:
        return with_mode(error(400, "Missing required field: symbol"), analyze=venue.analyze)
    if (fault := faults.take("place_lost")) is not None:
        await asyncio.sleep(fault.number("seconds"))
        raise DropConnection
    if (fault := faults.take("place_no_id")) is not None:
        if fault.flag("placed"):
            _place(venue, fields, call.received_ns)
        return with_mode(success(orderid=None), analyze=venue.analyze)
    instrument = instrument_id(fields["exchange"], fields["symbol"])
    rejected = faults.take("reject", side=fields["action"].upper(), instrument=instrument)
    if rejected is not None and not rejected.flag("late"):
        return with_mode(error(400, rejected.text("reason")), analyze=venue.analyze)
    reply = _place(venue, fields, call.received_ns, rejected.text("reason") if rejected is not None else "")
    return await spoiled(venue, "placeorder", reply)


async def spoiled(venue: Venue, route: str, reply: Reply) -> Reply:
    """The reply, or what a switched-on fault makes of it after the work was done."""
    if (fault := venue.faults.take("place_timeout", route=route)) is not None:
        drop = fault.flag("drop")
        await asyncio.sleep(0.0 if drop else fault.number("seconds"))
        if drop:
            raise DropConnection
    if venue.faults.take("place_500_but_placed", route=route) is not None:
        return error(500, "An unexpected error occurred in the API endpoint")
    if venue.faults.take("place_201", route=route) is not None:
        return error(201, "Failed to place order")
    return reply


def _place(venue: Venue, fields: Fields, received_ns: int, late_rejection: str = "") -> Reply:
    request = OrderRequest(
        instrument=instrument_id(fields["exchange"], fields["symbol"]),
        side=Side(fields["action"].upper()),
        quantity=fields["quantity"],
        order_type=OrderType(fields["pricetype"]),
        product=Product(fields["product"]),
        price=fields["price"],
        trigger_price=fields["trigger_price"],
        strategy=fields["strategy"],
    )
    result = venue.place(request, late_rejection)
    order_id = result.order_id
    venue.received.append(
        {
            "orderid": order_id,
            "symbol": fields["symbol"],
            "exchange": fields["exchange"],
            "action": request.side.value,
            "quantity": request.quantity,
            "strategy": request.strategy,
            "received_ns": received_ns,
        }
    )
    return _answer(venue, result.reason if isinstance(result, Refusal) else "", order_id)


def _answer(venue: Venue, refusal: str, order_id: str, message: str = "", status: int = 400) -> Reply:
    named = {"orderid": order_id} if order_id else {}
    if refusal:
        return with_mode(error(status, refusal, **named), analyze=venue.analyze)
    texts = {"message": message} if message and venue.analyze else {}
    return with_mode(success(**named, **texts), analyze=venue.analyze)


async def modifyorder(call: Call) -> Reply:
    """Change an order's quantity, price or trigger."""
    venue, fields = call.venue, call.fields
    result = venue.modify(fields["orderid"], fields["quantity"], fields["price"], fields["trigger_price"])
    if isinstance(result, Refusal):
        return _answer(venue, result.reason, "", status=404 if result.not_found else 400)
    return await spoiled(venue, "modifyorder", _answer(venue, "", result.order_id, "Order modified successfully"))


async def cancelorder(call: Call) -> Reply:
    """Cancel an order. A live server answers every failure of it with 500."""
    venue, fields = call.venue, call.fields
    result = venue.cancel(fields["orderid"])
    if not isinstance(result, Refusal):
        return await spoiled(venue, "cancelorder", _answer(venue, "", result.order_id, "Order cancelled successfully"))
    status = 404 if result.not_found else 400
    if venue.live:
        return error(500, f"Failed to cancel order: Client error '{status}': {result.reason}")
    return _answer(venue, result.reason, "", status=status)


async def cancelallorder(call: Call) -> Reply:
    """Cancel every live order of the account; the strategy named makes no difference, as on the real server.

    The analyzer misses stops, because it looks for another spelling of their status; so does the sandbox personality.
    """
    venue = call.venue
    misses = BrokerStatus.TRIGGER_PENDING if venue.personality.role is Role.SANDBOX else None
    orders = venue.exchange.desk.orders.values()
    live = [order.order_id for order in orders if order.live and order.status is not misses]
    cancelled = [order_id for order_id in live if not isinstance(venue.cancel(order_id), Refusal)]
    message = f"Canceled {len(cancelled)} orders. Failed to cancel 0 orders." if live else "No open orders to cancel"
    reply = success(canceled_orders=cancelled, failed_cancellations=[], message=message)
    return with_mode(reply, analyze=venue.analyze)


async def closeposition(call: Call) -> Reply:
    """Close every position of the account at the market, whatever strategy is named; resting orders stay."""
    venue, fields = call.venue, call.fields
    closed = failed = 0
    for position in venue.exchange.desk.open_positions():
        request = OrderRequest(
            instrument=position.instrument,
            side=Side.SELL if position.quantity > 0 else Side.BUY,
            quantity=abs(position.quantity),
            product=position.product,
            strategy=fields["strategy"],
        )
        if isinstance(venue.place(request), Refusal):
            failed += 1
        else:
            closed += 1
    if not venue.analyze:
        return success(message="All Open Positions Squared Off")
    reply = success(message=f"Closed {closed} positions", closed_positions=closed, failed_closures=failed)
    return with_mode(reply, analyze=True)


async def margin(call: Call) -> Reply:
    """What the venue would block for a list of orders, each on its own."""
    venue, fields = call.venue, call.fields
    total = 0.0
    for number, leg in enumerate(fields["positions"], start=1):
        if not isinstance(leg, dict):
            return error(400, "{'positions': ['Invalid input type.']}")
        exchange, symbol = str(leg.get("exchange")), str(leg.get("symbol"))
        instrument = venue.instrument(instrument_id(exchange, symbol))
        quantity, price = _margin_number(leg.get("quantity")), _margin_number(leg.get("price", "0"))
        problem = _margin_problem(leg, quantity, price)
        if instrument is None:
            problem = problem or f"Symbol {symbol} not found in exchange {exchange}"
        if problem or instrument is None or quantity is None or price is None:
            return error(400, f"Position {number}: {problem}")
        signed = int(quantity) if str(leg.get("action")).upper() == "BUY" else -int(quantity)
        quote = venue.quote(instrument)
        price = price or (quote.ltp if quote is not None else 0.0)
        total += blocked_for(instrument, Product(leg["product"]), signed, price, venue.world.facts.margin)
    span = round(total * 0.8, 2)
    data = {"total_margin_required": round(total, 2), "span_margin": span, "exposure_margin": round(total - span, 2)}
    return success(data=data)


def _margin_problem(leg: Fields, quantity: float | None, price: float | None) -> str:
    """What is wrong with one position of a margin request, or an empty string."""
    if leg.get("product") not in set(Product):
        return f"Invalid product type. Must be one of: {', '.join(PRODUCTS)}"
    if quantity is None:
        return "Invalid quantity format"
    if quantity <= 0:
        return "Quantity must be a positive number"
    if price is None:
        return "Invalid price format"
    return "Price cannot be negative" if price < 0 else ""


def _margin_number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None
