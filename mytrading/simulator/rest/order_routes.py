"""REST handlers that place, change and end orders, with the faults that tests switch on.

What is answered as placed is in the books on disk.
"""

from __future__ import annotations

import asyncio

from mytrading.core.exchange import ExchangeRefusal, OrderRequest
from mytrading.core.exchange.books import blocked_for
from mytrading.core.instruments.symbology import instrument_id
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.faults.registry import FOR_GOOD
from mytrading.simulator.formats.schema import PRODUCTS, Fields
from mytrading.simulator.rest.request import Body, Reply, RestCall, error, success, with_mode
from mytrading.simulator.settings.personality import Role
from mytrading.simulator.venue.venue import SimulatedVenue

PARKED_ROUTES = frozenset({"placeorder", "placesmartorder", "basketorder", "splitorder", "optionsorder"})
BLOCKED_ROUTES = frozenset(
    {"modifyorder", "cancelorder", "cancelallorder", "closeposition", "modifygttorder", "cancelgttorder"}
)


def held(call: RestCall, route: str) -> Reply | None:
    """What becomes of a request in semi-automatic mode; None if it is to be carried out."""
    if route in PARKED_ROUTES:
        return parked(call)
    return blocked(call, route) if route in BLOCKED_ROUTES else None


def parked(call: RestCall) -> Reply | None:
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


def blocked(call: RestCall, route: str) -> Reply | None:
    """A live server's 403 to what would change or end an order while `semi_auto` is on for good: the account's mode.

    The analyzer does all of this at once, as recorded. One that parks a number of orders stands for as many approvals
    and leaves cancels alone.
    """
    mode = call.venue.faults.get("semi_auto")
    if mode is None or mode.left != FOR_GOOD or call.venue.analyze:
        return None
    return error(403, f"Operation {route} is not allowed in Semi-Auto mode; switch to Auto mode first")


class DropConnection(Exception):
    """A fault asks the dispatcher to cut the connection instead of answering."""


async def placeorder(call: RestCall) -> Reply:
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


async def spoiled(venue: SimulatedVenue, route: str, reply: Reply) -> Reply:
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


def _place(venue: SimulatedVenue, fields: Fields, received_ns: int, late_rejection: str = "") -> Reply:
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
    return _answer(venue, result.reason if isinstance(result, ExchangeRefusal) else "", order_id)


def _answer(venue: SimulatedVenue, refusal: str, order_id: str, message: str = "", status: int = 400) -> Reply:
    named = {"orderid": order_id} if order_id else {}
    if refusal:
        return with_mode(error(status, refusal, **named), analyze=venue.analyze)
    texts = {"message": message} if message and venue.analyze else {}
    return with_mode(success(**named, **texts), analyze=venue.analyze)


async def modifyorder(call: RestCall) -> Reply:
    """Change an order's quantity, price or trigger."""
    venue, fields = call.venue, call.fields
    result = venue.modify(fields["orderid"], fields["quantity"], fields["price"], fields["trigger_price"])
    if isinstance(result, ExchangeRefusal):
        return _answer(venue, result.reason, "", status=404 if result.not_found else 400)
    return await spoiled(venue, "modifyorder", _answer(venue, "", result.order_id, "Order modified successfully"))


async def cancelorder(call: RestCall) -> Reply:
    """Cancel an order. A live server answers every failure of it with 500."""
    venue, fields = call.venue, call.fields
    result = venue.cancel(fields["orderid"])
    if not isinstance(result, ExchangeRefusal):
        return await spoiled(venue, "cancelorder", _answer(venue, "", result.order_id, "Order cancelled successfully"))
    status = 404 if result.not_found else 400
    if venue.live:
        return error(500, f"Failed to cancel order: Client error '{status}': {result.reason}")
    return _answer(venue, result.reason, "", status=status)


async def cancelallorder(call: RestCall) -> Reply:
    """Cancel every live order of the account; the strategy named makes no difference, as on the real server.

    The analyzer misses stops, because it looks for another spelling of their status; so does the sandbox personality.
    """
    venue = call.venue
    misses = BrokerStatus.TRIGGER_PENDING if venue.personality.role is Role.SANDBOX else None
    orders = venue.exchange.books.orders.values()
    live = [order.order_id for order in orders if order.live and order.status is not misses]
    cancelled = [order_id for order_id in live if not isinstance(venue.cancel(order_id), ExchangeRefusal)]
    message = f"Canceled {len(cancelled)} orders. Failed to cancel 0 orders." if live else "No open orders to cancel"
    reply = success(canceled_orders=cancelled, failed_cancellations=[], message=message)
    return with_mode(reply, analyze=venue.analyze)


async def closeposition(call: RestCall) -> Reply:
    """Close every position of the account at the market, whatever strategy is named; resting orders stay."""
    venue, fields = call.venue, call.fields
    closed = failed = 0
    for position in venue.exchange.books.open_positions():
        request = OrderRequest(
            instrument=position.instrument,
            side=Side.SELL if position.quantity > 0 else Side.BUY,
            quantity=abs(position.quantity),
            product=position.product,
            strategy=fields["strategy"],
        )
        if isinstance(venue.place(request), ExchangeRefusal):
            failed += 1
        else:
            closed += 1
    if not venue.analyze:
        return success(message="All Open Positions Squared Off")
    reply = success(message=f"Closed {closed} positions", closed_positions=closed, failed_closures=failed)
    return with_mode(reply, analyze=True)


async def margin(call: RestCall) -> Reply:
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


_MOST_SLICES = 100


async def basketorder(call: RestCall) -> Reply:
    """Place a list of orders, buys first; the answer is a success whatever became of the parts."""
    analyze, strategy = call.venue.analyze, call.fields["strategy"]
    orders = buys_first(call.fields["orders"])
    results = []
    for number, order in enumerate(orders, start=1):
        result = await place_part(call, {"strategy": strategy, **order})
        row = {"symbol": order["symbol"], **result}
        if "orderid" in result:
            row.update(exchange=order["exchange"], product=order["product"])
            if analyze:
                row.update(batch_order=True, is_last_order=number == len(orders))
        results.append(row)
    return with_mode(success(results=results), analyze=analyze)


async def splitorder(call: RestCall) -> Reply:
    """Place one order in slices of `splitsize` units, the last one smaller where it does not divide."""
    analyze = call.venue.analyze
    order = {name: value for name, value in call.fields.items() if name != "splitsize"}
    size = call.fields["splitsize"]
    if too_many(order["quantity"], size):
        return with_mode(error(400, too_many(order["quantity"], size)), analyze=analyze)
    results = await place_slices(call, order, size)
    return with_mode(success(total_quantity=order["quantity"], split_size=size, results=results), analyze=analyze)


async def placesmartorder(call: RestCall) -> Reply:
    """Trade the difference between the position held and `position_size`; orders that rest do not count."""
    venue = call.venue
    order = {name: value for name, value in call.fields.items() if name != "position_size"}
    instrument = instrument_id(order["exchange"], order["symbol"])
    held = venue.exchange.books.position(instrument, Product(order["product"])).quantity
    target = call.fields["position_size"]
    if target == held and (target or not order["quantity"]):
        matched = "Positions Already Matched. No Action needed."
        text = matched if held else "No OpenPosition Found. Not placing Exit order."
        return with_mode(success(message=text), analyze=venue.analyze)
    if target != held:
        order.update(action="BUY" if target > held else "SELL", quantity=abs(target - held))
    if venue.analyze:
        # The analyzer reads the price type under another name than requests carry, and so never finds one.
        order.update(pricetype=OrderType.MARKET.value, price=0.0, trigger_price=0.0)
    return await placeorder(RestCall(venue, order, call.received_ns))


def buys_first(orders: list[Fields]) -> list[Fields]:
    """The orders with buys before sells, each in the order given."""
    return sorted(orders, key=lambda order: order["action"].upper() != "BUY")


def too_many(quantity: int, size: int) -> str:
    """The refusal of a split into more slices than the server sends, empty if it is fine."""
    slices = -(-quantity // size)
    return f"Total number of orders would exceed maximum limit of {_MOST_SLICES}" if slices > _MOST_SLICES else ""


async def place_slices(call: RestCall, order: Fields, size: int) -> list[Body]:
    """Place an order in slices, one after the other; a row per slice."""
    results = []
    for number, start in enumerate(range(0, order["quantity"], size), start=1):
        quantity = min(size, order["quantity"] - start)
        result = await place_part(call, {**order, "quantity": quantity})
        results.append({"order_num": number, "quantity": quantity, **result})
    return results


async def place_part(call: RestCall, order: Fields) -> Body:
    """Place one part: `status` with `orderid`, or with the `message` that says why there is none."""
    reply = await placeorder(RestCall(call.venue, order, call.received_ns))
    if reply.status == 200 and reply.body.get("orderid"):
        return {"status": "success", "orderid": reply.body["orderid"]}
    return {"status": "error", "message": reply.body.get("message", "Failed to place order")}
