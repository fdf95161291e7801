"""REST handlers of triggers that wait for days (GTT): place, modify, cancel, list.

Unlike the server's sandbox they block no money before they fire, as at brokers. What is answered as placed is on disk.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from mytrading.core.exchange import OrderRequest, Trigger, TriggerLeg, TriggerStatus, order_problem
from mytrading.core.instruments.symbology import instrument_id, split_id
from mytrading.core.time import IST, SECOND, ist_date
from mytrading.messages.enums import OrderType, Product, Side
from mytrading.simulator.formats.schema import Fields
from mytrading.simulator.rest.request import Body, Reply, RestCall, error, success, with_mode

_YEAR_DAYS = 365


async def placegttorder(call: RestCall) -> Reply:
    """Set a trigger."""
    venue, fields = call.venue, call.fields
    now = venue.clock.now()
    if (refused := _refused(call)) is not None:
        return refused
    trigger_id = venue.triggers.new_id(ist_date(now))
    venue.keep_trigger(_trigger(call, trigger_id, created_ns=now, expires_ns=_expiry(fields["expires_at"], now)))
    return with_mode(success(trigger_id=trigger_id), analyze=venue.analyze)


async def modifygttorder(call: RestCall) -> Reply:
    """Replace what a waiting trigger asks for; as on the real server, an unknown one is an unexpected error."""
    venue, fields = call.venue, call.fields
    if (refused := _refused(call)) is not None:
        return refused
    found = venue.triggers.active(fields["trigger_id"])
    if found is None:
        return error(500, "An unexpected error occurred")
    given = fields["expires_at"]
    expires = _expiry(given, venue.clock.now()) if given else found.expires_ns
    venue.keep_trigger(_trigger(call, found.trigger_id, created_ns=found.created_ns, expires_ns=expires))
    return with_mode(success(trigger_id=found.trigger_id), analyze=venue.analyze)


async def cancelgttorder(call: RestCall) -> Reply:
    """End a waiting trigger."""
    venue, trigger_id = call.venue, call.fields["trigger_id"]
    found = venue.triggers.active(trigger_id)
    if found is None:
        return with_mode(error(404, f"No active GTT with trigger_id '{trigger_id}'"), analyze=venue.analyze)
    venue.keep_trigger(replace(found, status=TriggerStatus.CANCELLED, updated_ns=venue.clock.now()))
    return with_mode(success(trigger_id=trigger_id), analyze=venue.analyze)


async def gttorderbook(call: RestCall) -> Reply:
    """The triggers that wait, and those that ended today."""
    venue = call.venue
    today = ist_date(venue.clock.now())
    shown = [found for found in venue.triggers if found.active or ist_date(found.updated_ns) == today]
    return with_mode(success(data=[_row(trigger) for trigger in shown]), analyze=venue.analyze)


def _refused(call: RestCall) -> Reply | None:
    venue, fields = call.venue, call.fields
    if wrong := _wrong_fields(fields):
        return with_mode(error(400, str(wrong)), analyze=venue.analyze)
    instrument = venue.instrument(instrument_id(fields["exchange"], fields["symbol"]))
    if instrument is None:
        text = f"Symbol {fields['symbol']} not found on {fields['exchange']}"
        return with_mode(error(400, text), analyze=venue.analyze)
    request = _request(fields)
    for leg in _legs(fields):
        if problem := order_problem(replace(request, price=leg.price), instrument):
            return with_mode(error(400, problem), analyze=venue.analyze)
    return None


def _wrong_fields(fields: Fields) -> dict[str, list[str]]:
    """What the fields of a trigger say wrongly together."""
    low, high = fields["triggerprice_sl"] or 0.0, fields["triggerprice_tg"] or 0.0
    if fields["product"] not in (Product.CNC, Product.NRML):
        text = "GTT supports only CNC (delivery) or NRML (overnight F&O); MIS is intraday-only."
        return {"product": [text]}
    if fields["trigger_type"] == "SINGLE":
        if not low and not high:
            return {"triggerprice_sl": ["SINGLE GTT requires a positive triggerprice_sl or triggerprice_tg."]}
        if low and high:
            return {"triggerprice_tg": ["SINGLE GTT takes triggerprice_sl or triggerprice_tg, not both."]}
        return {}
    if not 0 < low < high:
        return {"triggerprice_tg": ["OCO GTT requires triggerprice_sl and triggerprice_tg, the first below the other."]}
    return {}


def _trigger(call: RestCall, trigger_id: str, *, created_ns: int, expires_ns: int) -> Trigger:
    venue, fields = call.venue, call.fields
    request = _request(fields)
    mark = venue.mark(request.instrument)
    return Trigger(
        trigger_id=trigger_id,
        request=request,
        legs=_legs(fields),
        created_ns=created_ns,
        updated_ns=venue.clock.now(),
        expires_ns=expires_ns,
        last_price=mark.ltp if mark is not None else 0.0,
    )


def _request(fields: Fields) -> OrderRequest:
    return OrderRequest(
        instrument=instrument_id(fields["exchange"], fields["symbol"]),
        side=Side(fields["action"].upper()),
        quantity=fields["quantity"],
        order_type=OrderType(fields["pricetype"]),
        product=Product(fields["product"]),
        strategy=fields["strategy"],
    )


def _legs(fields: Fields) -> tuple[TriggerLeg, ...]:
    low, high, price = fields["triggerprice_sl"] or 0.0, fields["triggerprice_tg"] or 0.0, fields["price"]
    if fields["trigger_type"] == "SINGLE":
        return (TriggerLeg(at=low or high, falls=low > 0, price=price),)
    return (
        TriggerLeg(at=low, falls=True, price=fields["stoploss"] or price),
        TriggerLeg(at=high, falls=False, price=fields["target"] or price),
    )


def _expiry(given: datetime | None, now: int) -> int:
    """Market ns at which a trigger ends: as asked, else after a year."""
    if given is not None:
        return int(given.timestamp()) * SECOND
    return now + int(timedelta(days=_YEAR_DAYS).total_seconds()) * SECOND


def _row(trigger: Trigger) -> Body:
    exchange, symbol = split_id(trigger.request.instrument)
    request = trigger.request
    legs = [
        {
            "action": request.side.value,
            "price": leg.price,
            "pricetype": request.order_type.value,
            "product": request.product.value,
            "quantity": request.quantity,
        }
        for leg in trigger.legs
    ]
    return {
        "created_at": _utc(trigger.created_ns),
        "exchange": exchange,
        "expires_at": datetime.fromtimestamp(trigger.expires_ns / SECOND, IST).replace(tzinfo=None).isoformat(),
        "last_price": trigger.last_price,
        "legs": legs,
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
