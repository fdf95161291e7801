"""REST handlers that place, change and end orders and GTT triggers, with the faults of order calls.

What is answered as placed is in the books on disk. GTT triggers block no money before they fire, as at brokers.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from mytrading.core.accounting.margin import HedgedOptions, MarginLeg, hedge_benefit
from mytrading.core.exchange.books import required_cash
from mytrading.core.exchange.gtt import Trigger, TriggerLeg, TriggerStatus
from mytrading.core.exchange.model import BookOrder, ExchangeRefusal, OrderRequest
from mytrading.core.exchange.order_rules import order_problem
from mytrading.core.instruments.symbology import instrument_id, split_id
from mytrading.core.time import IST, SECOND, ist_date
from mytrading.messages.enums import OrderType, Product, Side
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.faults.registry import FOR_GOOD
from mytrading.simulator.formats.answers import refusal as refusal_answer
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.formats.schema import PRODUCTS, Fields
from mytrading.simulator.rest.request import Reply, RestCall, error, success
from mytrading.simulator.settings.broker_profile import state_of
from mytrading.simulator.settings.personality import Role

PARKED_ROUTES = frozenset({"placeorder", "placesmartorder", "basketorder", "splitorder", "optionsorder"})
BLOCKED_ROUTES = frozenset(
    {"modifyorder", "cancelorder", "cancelallorder", "closeposition", "modifygttorder", "cancelgttorder"}
)
_MOST_SLICES = 100


class DropConnection(Exception):
    """A fault wants the dispatcher to cut the connection instead of answering."""


def held_by_semi_auto(call: RestCall, route: str) -> Reply | None:
    """Return the answer to a request that the fault `semi_auto` parks or refuses; None otherwise. With count -1 it is
    the account's Semi-Auto mode: a live server also answers 403 to modifies and cancels, the analyzer executes them.
    With a count it parks that many orders for approval and leaves cancels alone."""
    faults, fields = call.venue.faults, call.fields
    if (mode := faults.get("semi_auto")) is None:
        return None
    if route in BLOCKED_ROUTES and mode.left == FOR_GOOD and not call.venue.analyze:
        return error(403, f"Operation {route} is not allowed in Semi-Auto mode; switch to Auto mode first")
    for order in fields.get("orders", (fields,)) if route in PARKED_ROUTES else ():
        instrument = instrument_id(order["exchange"], order.get("symbol") or order.get("underlying", ""))
        if faults.fire("semi_auto", side=order["action"].upper(), instrument=instrument) is not None:
            text = "Order queued for approval in Action Center"
            return success(mode="semi_auto", message=text, pending_order_id=machine_now() // 1000)
    return None


async def placeorder(call: RestCall) -> Reply:
    """Place one order, as the active faults of order calls let it through."""
    fields, faults = call.fields, call.venue.faults
    if not fields["symbol"]:
        return call.error(400, "Missing required field: symbol")
    if (fault := faults.fire("place_lost")) is not None:
        await asyncio.sleep(fault.number("seconds"))
        raise DropConnection
    if (fault := faults.fire("place_no_id")) is not None:
        if fault.flag("placed"):
            _place(call)
        return call.success(orderid=fault.text("orderid") or None)
    if (fault := faults.fire("refuse", route="placeorder")) is not None:
        return _refused(call, "placeorder", ExchangeRefusal(fault.text("reason")))
    where = {"side": fields["action"].upper(), "pricetype": fields["pricetype"]}
    rejected = faults.fire("reject", instrument=instrument_id(fields["exchange"], fields["symbol"]), **where)
    if rejected is not None and not rejected.flag("late"):
        return _refused(call, "placeorder", ExchangeRefusal(rejected.text("reason")))
    return await _spoiled(call, "placeorder", _place(call, rejected.text("reason") if rejected is not None else ""))


async def _spoiled(call: RestCall, route: str, reply: Reply) -> Reply:
    """The reply, or what a switched-on fault makes of it after the work was done."""
    faults = call.venue.faults
    if (fault := faults.fire("place_timeout", route=route)) is not None:
        if fault.flag("drop"):
            await asyncio.sleep(0.0)
            raise DropConnection
        await asyncio.sleep(fault.number("seconds"))
    if faults.fire("place_500_but_placed", route=route) is not None:
        return error(500, "An unexpected error occurred in the API endpoint")
    if faults.fire("place_201", route=route) is not None:
        return error(201, "Failed to place order")
    return reply


def _place(call: RestCall, late_rejection: str = "") -> Reply:
    venue, fields = call.venue, call.fields
    request = _request(fields, fields["price"], fields["trigger_price"])
    result = venue.place(request, late_rejection)
    venue.received.append(
        {
            "orderid": result.order_id,
            "symbol": fields["symbol"],
            "exchange": fields["exchange"],
            "action": request.side.value,
            "quantity": request.quantity,
            "strategy": request.strategy,
            "received_ns": call.received_ns,
        }
    )
    if isinstance(result, ExchangeRefusal):
        return _refused(call, "placeorder", result)
    return call.success(orderid=result.order_id)


def _refused(call: RestCall, route: str, refusal: ExchangeRefusal) -> Reply:
    """The answer to a refused order call: the analyzer's, or what a live server makes of its broker's refusal."""
    venue = call.venue
    if venue.analyze:
        named = {"orderid": refusal.order_id} if refusal.order_id and route == "placeorder" else {}
        return call.error(404 if refusal.not_found else 400, refusal.reason, **named)
    order_id = refusal.order_id if route == "placeorder" else call.fields["orderid"]
    if route != "placeorder":
        venue.record_refused_change(order_id)
    return Reply(*refusal_answer(venue.behind, route, refusal.reason, order_id, not_found=refusal.not_found))


def _broker_does_not(call: RestCall, route: str) -> Reply | None:
    """The answer to a change or cancel that a fault has the broker refuse, or leave undone although a success."""
    faults, order_id = call.venue.faults, call.fields["orderid"]
    if call.venue.exchange.books.orders.get(order_id) is None:
        return None
    if (fault := faults.fire("refuse", route=route)) is not None:
        return _refused(call, route, ExchangeRefusal(fault.text("reason")))
    if faults.fire("undone", route=route) is not None:
        return call.success(orderid=order_id)
    return None


def _request(fields: Fields, price: float = 0.0, trigger_price: float = 0.0) -> OrderRequest:
    return OrderRequest(
        instrument=instrument_id(fields["exchange"], fields["symbol"]),
        side=Side(fields["action"].upper()),
        quantity=fields["quantity"],
        order_type=OrderType(fields["pricetype"]),
        product=Product(fields["product"]),
        price=price,
        trigger_price=trigger_price,
        strategy=fields["strategy"],
    )


async def modifyorder(call: RestCall) -> Reply:
    """Change quantity and prices of a resting order; 404 for an unknown one."""
    fields = call.fields
    if (answer := _broker_does_not(call, "modifyorder")) is not None:
        return answer
    result = call.venue.modify(fields["orderid"], fields["quantity"], fields["price"], fields["trigger_price"])
    if isinstance(result, ExchangeRefusal):
        return _refused(call, "modifyorder", result)
    return await _spoiled(call, "modifyorder", _changed(call, result, "modified"))


async def cancelorder(call: RestCall) -> Reply:
    """Cancel an order; how a live server answers a failure of it is its broker's."""
    if (answer := _broker_does_not(call, "cancelorder")) is not None:
        return answer
    result = call.venue.cancel(call.fields["orderid"])
    if isinstance(result, ExchangeRefusal):
        return _refused(call, "cancelorder", result)
    return await _spoiled(call, "cancelorder", _changed(call, result, "cancelled"))


def _changed(call: RestCall, order: BookOrder, done: str) -> Reply:
    texts = {"message": f"Order {done} successfully"} if call.venue.analyze else {}
    return call.success(orderid=order.order_id, **texts)


async def cancelallorder(call: RestCall) -> Reply:
    """Cancel every live order of the account; as on the real server, `strategy` has no effect. In the sandbox
    personality stops stay: the real analyzer misses them, because it looks for another spelling of their status. Behind
    some brokers a live server misses orders that are partly filled."""
    venue = call.venue
    misses = () if venue.analyze else venue.behind.sent.cancel_all_misses
    if venue.personality.role is Role.SANDBOX:
        misses = ("waiting",)
    orders = venue.exchange.books.orders.values()
    changed = venue.changed_orders if "changed" in misses else set[str]()
    live = [one.order_id for one in orders if one.is_live and not (state_of(one) in misses or one.order_id in changed)]
    cancelled = [order_id for order_id in live if not isinstance(venue.cancel(order_id), ExchangeRefusal)]
    message = f"Canceled {len(cancelled)} orders. Failed to cancel 0 orders." if live else "No open orders to cancel"
    return call.success(canceled_orders=cancelled, failed_cancellations=[], message=message)


async def closeposition(call: RestCall) -> Reply:
    """Close every position of the account at the market; resting orders stay."""
    venue = call.venue
    refused = []
    # what is sold goes first: a bought option that hedges it may need margin to be sold before
    for position in sorted(venue.exchange.books.open_positions(), key=lambda one: one.quantity > 0):
        request = OrderRequest(
            instrument=position.instrument,
            side=Side.SELL if position.quantity > 0 else Side.BUY,
            quantity=abs(position.quantity),
            product=position.product,
            strategy=call.fields["strategy"],
        )
        refused.append(isinstance(venue.place(request), ExchangeRefusal))
    if not venue.analyze:
        return success(message="All Open Positions Squared Off")
    failed, closed = refused.count(True), refused.count(False)
    return call.success(message=f"Closed {closed} positions", closed_positions=closed, failed_closures=failed)


async def margin(call: RestCall) -> Reply:
    """Answer the margin that the venue would block for a list of orders together, as if they were filled."""
    venue, facts, rates = call.venue, call.venue.world.facts, call.venue.world.facts.margin
    day, legs = venue.exchange.books.account.day, list[MarginLeg]()

    def alone(leg: MarginLeg) -> float:
        return required_cash(leg.instrument, leg.product, leg.units, leg.price, rates)

    def exposure(group: HedgedOptions) -> float:
        return facts.exposure_of(group.underlying, group.expiry, day)

    for number, leg in enumerate(call.fields["positions"], start=1):
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
        legs.append(MarginLeg(instrument, signed, price, Product(leg["product"]), venue.spot_price(instrument)))
    total = sum(alone(leg) for leg in legs) - hedge_benefit(legs, alone, exposure)
    span = round(total * 0.8, 2)
    data = {"total_margin_required": round(total, 2), "span_margin": span, "exposure_margin": round(total - span, 2)}
    return success(data=data)


def _margin_problem(leg: Fields, quantity: float | None, price: float | None) -> str:
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


async def basketorder(call: RestCall) -> Reply:
    """Place a list of orders, buys first; always answers a success."""
    orders = buys_first(call.fields["orders"])
    results = []
    for number, order in enumerate(orders, start=1):
        result = await place_part(call, {"strategy": call.fields["strategy"], **order})
        row = {"symbol": order["symbol"], **result}
        if "orderid" in result:
            row.update(exchange=order["exchange"], product=order["product"])
            if call.venue.analyze:
                row.update(batch_order=True, is_last_order=number == len(orders))
        results.append(row)
    return call.success(results=results)


async def splitorder(call: RestCall) -> Reply:
    """Place one order in slices of `splitsize` units; the last one takes the remainder."""
    order, size = dict(call.fields), call.fields["splitsize"]
    del order["splitsize"]
    if refusal := too_many_slices(order["quantity"], size):
        return call.error(400, refusal)
    results = await place_slices(call, order, size)
    return call.success(total_quantity=order["quantity"], split_size=size, results=results)


async def placesmartorder(call: RestCall) -> Reply:
    """Trade the difference between the position held and `position_size`; resting orders do not count."""
    venue, order = call.venue, dict(call.fields)
    target = order.pop("position_size")
    instrument = instrument_id(order["exchange"], order["symbol"])
    held = venue.exchange.books.position(instrument, Product(order["product"])).quantity
    if target == held and (target or not order["quantity"]):
        matched = "Positions Already Matched. No Action needed."
        return call.success(message=matched if held else "No OpenPosition Found. Not placing Exit order.")
    if target != held:
        order.update(action="BUY" if target > held else "SELL", quantity=abs(target - held))
    if venue.analyze:
        # The analyzer reads the price type under another name than requests carry, and so never finds one.
        order.update(pricetype=OrderType.MARKET.value, price=0.0, trigger_price=0.0)
    return await placeorder(call._replace(fields=order))


def buys_first(orders: list[Fields]) -> list[Fields]:
    """Return the orders with buys before sells, otherwise in their order."""
    return sorted(orders, key=lambda order: order["action"].upper() != "BUY")


def too_many_slices(quantity: int, size: int) -> str:
    """Return the refusal of a split of `quantity` into more slices of `size` than the server sends; "" if fine."""
    slices = -(-quantity // size)
    return f"Total number of orders would exceed maximum limit of {_MOST_SLICES}" if slices > _MOST_SLICES else ""


async def place_slices(call: RestCall, order: Fields, size: int) -> list[Body]:
    """Place an order in slices of at most `size` units, one after the other; returns a result row per slice."""
    results = []
    for number, start in enumerate(range(0, order["quantity"], size), start=1):
        quantity = min(size, order["quantity"] - start)
        result = await place_part(call, {**order, "quantity": quantity})
        results.append({"order_num": number, "quantity": quantity, **result})
    return results


async def place_part(call: RestCall, order: Fields) -> Body:
    """Place one part of a multi-part order; returns its result row with `orderid` or an error `message`."""
    reply = await placeorder(call._replace(fields=order))
    if reply.status == 200 and reply.body.get("orderid"):
        return {"status": "success", "orderid": reply.body["orderid"]}
    return {"status": "error", "message": reply.body.get("message", "Failed to place order")}


async def placegttorder(call: RestCall) -> Reply:
    """Place a GTT trigger, which waits for its price for days."""
    venue = call.venue
    now = venue.clock.now()
    if (refused := _gtt_refusal(call)) is not None:
        return refused
    trigger_id = venue.triggers.new_id(ist_date(now))
    venue.save_trigger(_trigger(call, trigger_id, created_ns=now, expires_ns=_expiry(call.fields["expires_at"], now)))
    return call.success(trigger_id=trigger_id)


async def modifygttorder(call: RestCall) -> Reply:
    """Replace the terms of an active GTT trigger; an unknown one is an unexpected error, as on real servers."""
    venue, given = call.venue, call.fields["expires_at"]
    if (refused := _gtt_refusal(call)) is not None:
        return refused
    if (found := venue.triggers.get_active(call.fields["trigger_id"])) is None:
        return error(500, "An unexpected error occurred")
    expires = _expiry(given, venue.clock.now()) if given else found.expires_ns
    venue.save_trigger(_trigger(call, found.trigger_id, created_ns=found.created_ns, expires_ns=expires))
    return call.success(trigger_id=found.trigger_id)


async def cancelgttorder(call: RestCall) -> Reply:
    """Cancel an active GTT trigger; 404 for any other."""
    venue, trigger_id = call.venue, call.fields["trigger_id"]
    if (found := venue.triggers.get_active(trigger_id)) is None:
        return call.error(404, f"No active GTT with trigger_id '{trigger_id}'")
    venue.save_trigger(replace(found, status=TriggerStatus.CANCELLED, updated_ns=venue.clock.now()))
    return call.success(trigger_id=trigger_id)


async def gttorderbook(call: RestCall) -> Reply:
    """Answer the active GTT triggers, and those that ended today."""
    today = ist_date(call.venue.clock.now())
    shown = [found for found in call.venue.triggers if found.is_active or ist_date(found.updated_ns) == today]
    return call.success(data=[_trigger_row(trigger) for trigger in shown])


def _gtt_refusal(call: RestCall) -> Reply | None:
    fields = call.fields
    if wrong := _wrong_gtt_fields(fields):
        return call.error(400, str(wrong))
    instrument = call.venue.instrument(instrument_id(fields["exchange"], fields["symbol"]))
    if instrument is None:
        return call.error(400, f"Symbol {fields['symbol']} not found on {fields['exchange']}")
    request = _request(fields)
    for leg in _trigger_legs(fields):
        if problem := order_problem(replace(request, price=leg.price), instrument):
            return call.error(400, problem)
    return None


def _wrong_gtt_fields(fields: Fields) -> dict[str, list[str]]:
    low, high = fields["triggerprice_sl"] or 0.0, fields["triggerprice_tg"] or 0.0
    if fields["product"] not in (Product.CNC, Product.NRML):
        return {"product": ["GTT supports only CNC (delivery) or NRML (overnight F&O); MIS is intraday-only."]}
    if fields["trigger_type"] == "OCO":
        text = "OCO GTT requires triggerprice_sl and triggerprice_tg, the first below the other."
        return {} if 0 < low < high else {"triggerprice_tg": [text]}
    if not low and not high:
        return {"triggerprice_sl": ["SINGLE GTT requires a positive triggerprice_sl or triggerprice_tg."]}
    if low and high:
        return {"triggerprice_tg": ["SINGLE GTT takes triggerprice_sl or triggerprice_tg, not both."]}
    return {}


def _trigger(call: RestCall, trigger_id: str, *, created_ns: int, expires_ns: int) -> Trigger:
    venue, request = call.venue, _request(call.fields)
    mark = venue.mark(request.instrument)
    return Trigger(
        trigger_id=trigger_id,
        request=request,
        legs=_trigger_legs(call.fields),
        created_ns=created_ns,
        updated_ns=venue.clock.now(),
        expires_ns=expires_ns,
        last_price=mark.ltp if mark is not None else 0.0,
    )


def _trigger_legs(fields: Fields) -> tuple[TriggerLeg, ...]:
    low, high, price = fields["triggerprice_sl"] or 0.0, fields["triggerprice_tg"] or 0.0, fields["price"]
    if fields["trigger_type"] == "SINGLE":
        return (TriggerLeg(at=low or high, falls=low > 0, price=price),)
    return (
        TriggerLeg(at=low, falls=True, price=fields["stoploss"] or price),
        TriggerLeg(at=high, falls=False, price=fields["target"] or price),
    )


def _expiry(given: datetime | None, now: int) -> int:
    if given is not None:
        return int(given.timestamp()) * SECOND
    return now + int(timedelta(days=365).total_seconds()) * SECOND


def _trigger_row(trigger: Trigger) -> Body:
    request = trigger.request
    exchange, symbol = split_id(request.instrument)
    common: dict[str, Any] = {
        "pricetype": request.order_type.value,
        "product": request.product.value,
        "quantity": request.quantity,
    }
    return {
        "created_at": _utc(trigger.created_ns),
        "exchange": exchange,
        "expires_at": datetime.fromtimestamp(trigger.expires_ns / SECOND, IST).replace(tzinfo=None).isoformat(),
        "last_price": trigger.last_price,
        "legs": [{"action": request.side.value, "price": leg.price, **common} for leg in trigger.legs],
        "margin_blocked": 0.0,
        "status": trigger.status.value,
        "strategy": request.strategy,
        "symbol": symbol,
        "trigger_id": trigger.trigger_id,
        "trigger_prices": [leg.at for leg in trigger.legs],
        "trigger_type": "single" if len(trigger.legs) == 1 else "two-leg",
        "updated_at": _utc(trigger.updated_ns),
    }


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND, UTC).replace(tzinfo=None).isoformat()
