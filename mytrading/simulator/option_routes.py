"""REST handlers of options named by a rule: which contract it is, the chain around it, and orders for it.

Used by the dispatcher. The one rule: orders go through `placeorder`, like every part of a composed order.
"""

from __future__ import annotations

from mytrading.core.symbology import expiry_code
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.call import Call
from mytrading.simulator.composed_routes import buys_first, place_part, place_slices, too_many
from mytrading.simulator.data_routes import present
from mytrading.simulator.option_rows import chain_rows, expiry_seconds, parity_forward
from mytrading.simulator.option_rules import (
    Underlying,
    Unresolved,
    find_option,
    find_underlying,
    option_by_rule,
    read_code,
)
from mytrading.simulator.reply import Body, Reply, error, success, with_mode
from mytrading.simulator.schema import Fields


async def optionsymbol(call: Call) -> Reply:
    """The contract an offset from the money names."""
    try:
        underlying = find_underlying(call.venue, call.fields, ".")
        option = find_option(call.venue, underlying, call.fields, call.fields["expiry_date"])
    except Unresolved as unresolved:
        return unresolved.reply
    return success(
        symbol=option.symbol,
        exchange=option.exchange,
        lotsize=option.lot_size,
        tick_size=option.tick_size,
        freeze_qty=option.freeze_qty or 1,
        underlying_ltp=underlying.ltp,
    )


async def optionchain(call: Call) -> Reply:
    """Quotes of the strikes around the money, with greeks if asked for."""
    venue, fields = call.venue, call.fields
    try:
        underlying = find_underlying(venue, fields, ":")
        expiry = read_code(underlying, underlying.expiry or fields["expiry_date"])
        atm = option_by_rule(venue, underlying, expiry, "ATM", InstrumentKind.CE)
    except Unresolved as unresolved:
        return unresolved.reply
    spot, now = underlying.instrument, venue.clock.now() // 1_000_000_000
    quotes = [present(venue, option) for option in venue.listing.options(spot.underlying, expiry.isoformat())]
    forward = parity_forward(quotes, atm.strike, underlying.ltp) if fields["with_greeks"] else None
    left = expiry_seconds(expiry) - now
    return success(
        underlying=spot.symbol,
        underlying_symbol=spot.symbol,
        underlying_exchange=spot.exchange,
        underlying_ltp=underlying.ltp,
        underlying_prev_close=present(venue, spot).prev_close,
        expiry_date=expiry_code(expiry),
        expiry_ts=expiry_seconds(expiry),
        server_ts=now,
        atm_strike=atm.strike,
        quotes_included=True,
        greeks_included=fields["with_greeks"],
        forward_price=forward,
        chain=chain_rows(quotes, atm.strike, fields["strike_count"], forward, left, fields["interest_rate"] or 0.0),
    )


async def optionsorder(call: Call) -> Reply:
    """Place an order, in slices if asked for, for the option an offset names."""
    venue, fields = call.venue, call.fields
    try:
        underlying = find_underlying(venue, fields, ".")
        option = find_option(venue, underlying, fields, fields["expiry_date"])
    except Unresolved as unresolved:
        return unresolved.reply
    named = {
        "symbol": option.symbol,
        "exchange": option.exchange,
        "underlying": underlying.instrument.symbol,
        "underlying_ltp": underlying.ltp,
        "offset": fields["offset"],
        "option_type": fields["option_type"].upper(),
    }
    order, size = _order(fields, option, fields["strategy"]), fields["splitsize"]
    if not size:
        placed = await place_part(call, order)
        if "orderid" not in placed:
            return with_mode(error(400, placed["message"]), analyze=venue.analyze)
        return with_mode(success(orderid=placed["orderid"], **named), analyze=venue.analyze)
    if too_many(order["quantity"], size):
        return with_mode(error(400, too_many(order["quantity"], size)), analyze=venue.analyze)
    results = await place_slices(call, order, size)
    sliced = success(total_quantity=order["quantity"], split_size=size, results=results, **named)
    return with_mode(sliced, analyze=venue.analyze)


async def optionsmultiorder(call: Call) -> Reply:
    """Place legs at one price of the underlying, buys first; a success whatever became of the legs."""
    venue, fields = call.venue, call.fields
    try:
        underlying = find_underlying(venue, fields, ".")
    except Unresolved as unresolved:
        return unresolved.reply
    legs = [{**leg, "leg": number} for number, leg in enumerate(fields["legs"], start=1)]
    rows = [await _leg(call, underlying, leg) for leg in buys_first(legs)]
    rows.sort(key=lambda row: int(row["leg"]))
    reply = success(underlying=underlying.instrument.symbol, underlying_ltp=underlying.ltp, results=rows)
    return with_mode(reply, analyze=venue.analyze)


async def _leg(call: Call, underlying: Underlying, leg: Fields) -> Body:
    kind, size = leg["option_type"].upper(), leg["splitsize"]
    row = {"leg": leg["leg"], "action": leg["action"].upper(), "offset": leg["offset"], "option_type": kind}
    try:
        option = find_option(call.venue, underlying, leg, leg["expiry_date"] or call.fields["expiry_date"])
    except Unresolved as unresolved:
        return {**row, "status": "error", "message": unresolved.reply.body["message"]}
    row.update(symbol=option.symbol, exchange=option.exchange)
    order = _order(leg, option, call.fields["strategy"])
    placed_as = {"product": leg["product"], "mode": call.venue.mode}
    if not size:
        placed = await place_part(call, order)
        return {**row, **placed, **(placed_as if "orderid" in placed else {})}
    if too_many(order["quantity"], size):
        return {**row, "status": "error", "message": too_many(order["quantity"], size)}
    slices = await place_slices(call, order, size)
    worked = any("orderid" in part for part in slices)
    return {**row, **placed_as, "status": "success" if worked else "error", "split_results": slices}


def _order(fields: Fields, option: Instrument, strategy: str) -> Fields:
    kept = ("action", "quantity", "pricetype", "product", "price", "trigger_price", "disclosed_quantity")
    order = {name: fields[name] for name in kept}
    return {"strategy": strategy, "symbol": option.symbol, "exchange": option.exchange, **order}
