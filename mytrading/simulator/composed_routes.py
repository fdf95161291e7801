"""REST handlers of orders made of orders: baskets, slices and target positions.

Used by the dispatcher and by the options orders. The one rule: every part goes through `placeorder`, so that it meets
the same checks and the same faults as an order sent by itself.
"""

from __future__ import annotations

from mytrading.core.symbology import instrument_id
from mytrading.messages.enums import OrderType, Product
from mytrading.simulator.call import Call
from mytrading.simulator.order_routes import placeorder
from mytrading.simulator.reply import Body, Reply, error, success, with_mode
from mytrading.simulator.schema import Fields

_MOST_SLICES = 100


async def basketorder(call: Call) -> Reply:
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


async def splitorder(call: Call) -> Reply:
    """Place one order in slices of `splitsize` units, the last one smaller where it does not divide."""
    analyze = call.venue.analyze
    order = {name: value for name, value in call.fields.items() if name != "splitsize"}
    size = call.fields["splitsize"]
    if too_many(order["quantity"], size):
        return with_mode(error(400, too_many(order["quantity"], size)), analyze=analyze)
    results = await place_slices(call, order, size)
    return with_mode(success(total_quantity=order["quantity"], split_size=size, results=results), analyze=analyze)


async def placesmartorder(call: Call) -> Reply:
    """Trade the difference between the position held and `position_size`; orders that rest do not count."""
    venue = call.venue
    order = {name: value for name, value in call.fields.items() if name != "position_size"}
    instrument = instrument_id(order["exchange"], order["symbol"])
    held = venue.exchange.desk.position(instrument, Product(order["product"])).quantity
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
    return await placeorder(Call(venue, order, call.received_ns))


def buys_first(orders: list[Fields]) -> list[Fields]:
    """The orders with buys before sells, each in the order given."""
    return sorted(orders, key=lambda order: order["action"].upper() != "BUY")


def too_many(quantity: int, size: int) -> str:
    """The refusal of a split into more slices than the server sends, empty if it is fine."""
    slices = -(-quantity // size)
    return f"Total number of orders would exceed maximum limit of {_MOST_SLICES}" if slices > _MOST_SLICES else ""


async def place_slices(call: Call, order: Fields, size: int) -> list[Body]:
    """Place an order in slices, one after the other; a row per slice."""
    results = []
    for number, start in enumerate(range(0, order["quantity"], size), start=1):
        quantity = min(size, order["quantity"] - start)
        result = await place_part(call, {**order, "quantity": quantity})
        results.append({"order_num": number, "quantity": quantity, **result})
    return results


async def place_part(call: Call, order: Fields) -> Body:
    """Place one part: `status` with `orderid`, or with the `message` that says why there is none."""
    reply = await placeorder(Call(call.venue, order, call.received_ns))
    if reply.status == 200 and reply.body.get("orderid"):
        return {"status": "success", "orderid": reply.body["orderid"]}
    return {"status": "error", "message": reply.body.get("message", "Failed to place order")}
