"""REST handlers of options named by a rule: which contract it is, the chain around it, and orders for it.

Used by the dispatcher. The one rule: strikes are counted along the listed ones, from the price of the underlying
itself, never of its future.
"""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from mytrading.core.instruments import NoSuchContract
from mytrading.core.symbology import INDEX_EXCHANGES, expiry_code, instrument_id, option_symbol, parse_expiry
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.call import Call
from mytrading.simulator.composed_routes import buys_first, place_part, place_slices, too_many
from mytrading.simulator.data_routes import present, unknown_text
from mytrading.simulator.option_rows import chain_rows, expiry_seconds, parity_forward
from mytrading.simulator.reply import Body, Reply, error, success, with_mode
from mytrading.simulator.schema import Fields
from mytrading.simulator.venue import Venue

_DATED = re.compile(r"(?P<base>[A-Z]+)(?P<expiry>\d{2}[A-Z]{3}\d{2})(?:FUT)?")
_NO_EXPIRY = "Expiry date required. Provide via expiry_date parameter or embed in underlying (e.g., NIFTY28OCT25FUT)."


class Unresolved(Exception):
    """A rule that names no contract, with the reply that says so."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.reply = error(status, text)


class Underlying(NamedTuple):
    """What options are written on, its price, and the expiry its name carried (DDMMMYY or empty)."""

    instrument: Instrument
    ltp: float
    expiry: str


async def optionsymbol(call: Call) -> Reply:
    """The contract an offset from the money names."""
    try:
        underlying = _underlying(call.venue, call.fields, ".")
        option = _option(call.venue, underlying, call.fields, call.fields["expiry_date"])
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
        underlying = _underlying(venue, fields, ":")
        expiry = _expiry(underlying.expiry or fields["expiry_date"])
        atm = _by_rule(venue, underlying, expiry, "ATM", InstrumentKind.CE)
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
        underlying = _underlying(venue, fields, ".")
        option = _option(venue, underlying, fields, fields["expiry_date"])
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
        underlying = _underlying(venue, fields, ".")
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
        option = _option(call.venue, underlying, leg, leg["expiry_date"] or call.fields["expiry_date"])
    except Unresolved as unresolved:
        return {**row, "status": "error", "message": unresolved.reply.body["message"]}
    row.update(symbol=option.symbol, exchange=option.exchange)
    order = _order(leg, option, call.fields["strategy"])
    placed_as = {"product": leg["product"], **({"mode": "analyze"} if call.venue.analyze else {})}
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


def _underlying(venue: Venue, fields: Fields, mark: str) -> Underlying:
    """The share or index a request names by itself or by a dated contract; `mark` joins the two parts of a refusal."""
    name, exchange = fields["underlying"].upper(), fields["exchange"]
    dated = _DATED.fullmatch(name)
    base, expiry = (dated["base"], dated["expiry"]) if dated else (name, "")
    cash = {"NFO": "NSE", "BFO": "BSE"}.get(exchange)
    exchanges = (INDEX_EXCHANGES[cash], cash) if cash else (exchange,)
    for candidate in exchanges:
        if (found := venue.instrument(instrument_id(candidate, base))) is not None:
            return Underlying(found, present(venue, found).ltp, expiry)
    raise Unresolved(400, f"Failed to fetch LTP for {base}{mark} {unknown_text(exchanges[-1], base)}")


def _expiry(text: str) -> date:
    try:
        return parse_expiry(text)
    except ValueError as problem:
        raise Unresolved(400, f"Invalid expiry date: {problem}") from None


def _option(venue: Venue, underlying: Underlying, fields: Fields, expiry_date: str | None) -> Instrument:
    text = expiry_date or underlying.expiry
    if not text:
        raise Unresolved(400, _NO_EXPIRY)
    kind, offset = InstrumentKind(fields["option_type"].upper()), fields["offset"]
    step = fields.get("strike_int")
    if step is None:
        return _by_rule(venue, underlying, _expiry(text), offset, kind)
    up = offset.startswith("OTM") == (kind is InstrumentKind.CE)
    steps = int(offset[3:] or 0) * (1 if up else -1)
    return _at_strike(venue, underlying, _expiry(text), round(underlying.ltp / step) * step + steps * step, kind)


def _by_rule(venue: Venue, underlying: Underlying, expiry: date, offset: str, kind: InstrumentKind) -> Instrument:
    name, day = underlying.instrument.underlying, expiry.isoformat()
    if day not in venue.listing.expiries(name, kind):
        text = f"No strikes found for {name} expiring {expiry_code(expiry)}."
        raise Unresolved(404, f"{text} Please check expiry date or update master contract.")
    rule = f"{offset[:3]} {offset[3:]}".strip()
    try:
        return venue.listing.option(name, day, rule, kind, underlying.ltp)
    except NoSuchContract:
        text = f"Offset {offset} is out of range for available strikes. Please use a smaller offset."
        raise Unresolved(400, text) from None


def _at_strike(venue: Venue, underlying: Underlying, expiry: date, strike: float, kind: InstrumentKind) -> Instrument:
    name = underlying.instrument.underlying
    symbol = option_symbol(name, expiry, strike, kind.value)
    for option in venue.listing.options(name, expiry.isoformat()):
        if option.symbol == symbol:
            return option
    raise Unresolved(404, f"Option symbol {symbol} not found: expected a listed strike, see optionchain")
