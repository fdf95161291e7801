"""REST handlers of options named by a rule: contract, chain, greeks, and orders through `placeorder`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time
from math import exp
from typing import Any, NamedTuple

from mytrading.core.instruments import symbology
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.options.black76 import DAYS_A_YEAR, Reason, greeks_one, implied_one
from mytrading.core.time import SECOND, to_ns
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.formats.frames import Body, depth_levels
from mytrading.simulator.formats.schema import Fields
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.rest.data_routes import present_quote, unknown_text
from mytrading.simulator.rest.order_routes import buys_first, place_part, place_slices, too_many_slices
from mytrading.simulator.rest.request import Refused, Reply, RestCall, error, success
from mytrading.simulator.venue.venue import SimulatedVenue

_DATED = re.compile(r"(?P<base>[A-Z]+)(?P<expiry>\d{2}[A-Z]{3}\d{2})(?:FUT)?")
_CODE = re.compile(r"\d{2}[A-Z]{3}\d{2}")
# The server dates an expiry's end at 15:30 even where trading goes on until 15:40.
_EXPIRY_TIME = time(15, 30)
_CLOSES = {"CDS": time(12, 30), "BCD": time(12, 30), "MCX": time(23, 30)}
_YEAR_SECONDS = 365 * 86_400
_SHORTEST_YEARS = 0.0001
_LOWEST_VOLATILITY, _HIGHEST_VOLATILITY = 1e-4, 5.0
_LEAST_TIME_VALUE = 0.01
_NO_PRICE = "Option LTP not available"
_NO_EXPIRY = "Expiry date required. Provide via expiry_date parameter or embed in underlying (e.g., NIFTY28OCT25FUT)."


class OptionUnderlying(NamedTuple):
    """The underlying of options, its price, and the expiry its name carried (DDMMMYY or empty)."""

    instrument: Instrument
    ltp: float
    expiry: str


def _refused(status: int, text: str) -> Refused:
    return Refused(error(status, text))


def find_underlying(venue: SimulatedVenue, fields: Fields, mark: str = ".") -> OptionUnderlying:
    """Find the share or index that a request names, also by a dated contract. Raises `Refused`, whose text puts `mark`
    after the name, if there is none."""
    name, exchange = fields["underlying"].upper(), fields["exchange"]
    dated = _DATED.fullmatch(name)
    base, expiry = (dated["base"], dated["expiry"]) if dated else (name, "")
    cash = {"NFO": "NSE", "BFO": "BSE"}.get(exchange)
    exchanges = (symbology.INDEX_EXCHANGES[cash], cash) if cash else (exchange,)
    for candidate in exchanges:
        if (found := venue.instrument(symbology.instrument_id(candidate, base))) is not None:
            return OptionUnderlying(found, present_quote(venue, found).ltp, expiry)
    raise _refused(400, f"Failed to fetch LTP for {base}{mark} {unknown_text(exchanges[-1], base)}")


def _read_expiry(text: str) -> date:
    try:
        return symbology.parse_expiry(text)
    except ValueError as problem:
        raise _refused(400, f"Invalid expiry date: {problem}") from None


def _no_strikes(name: str, expiry: str) -> Refused:
    text = f"No strikes found for {name} expiring {expiry}."
    return _refused(404, f"{text} Please check expiry date or update master contract.")


def find_option(
    venue: SimulatedVenue, underlying: OptionUnderlying, fields: Fields, expiry_date: str | None
) -> Instrument:
    """Find the option that a request's offset, right and expiry name (without `expiry_date`, that of the underlying's
    name); raises `Refused`."""
    if not (text := expiry_date or underlying.expiry):
        raise _refused(400, _NO_EXPIRY)
    kind, offset = InstrumentKind(fields["option_type"].upper()), fields["offset"]
    expiry, step = _read_expiry(text), fields.get("strike_int")
    if step is None:
        return option_by_rule(venue, underlying, expiry, offset, kind)
    up = offset.startswith("OTM") == (kind is InstrumentKind.CE)
    steps = int(offset[3:] or 0) * (1 if up else -1)
    name = underlying.instrument.underlying
    symbol = symbology.option_symbol(name, expiry, round(underlying.ltp / step) * step + steps * step, kind.value)
    for option in venue.current_listing(name).options(name, expiry.isoformat()):
        if option.symbol == symbol:
            return option
    raise _refused(404, f"Option symbol {symbol} not found: expected a listed strike, see optionchain")


def option_by_rule(
    venue: SimulatedVenue, underlying: OptionUnderlying, expiry: date, offset: str, kind: InstrumentKind
) -> Instrument:
    """Find the option at an offset such as ATM or OTM2, counted along the listed strikes; raises `Refused`."""
    name, day = underlying.instrument.underlying, expiry.isoformat()
    listed = venue.current_listing(name)
    if day not in listed.expiries(name, kind):
        raise _no_strikes(name, symbology.expiry_code(expiry))
    rule = f"{offset[:3]} {offset[3:]}".strip()
    try:
        return listed.option(name, day, rule, kind, underlying.ltp)
    except NoSuchContract:
        text = f"Offset {offset} is out of range for available strikes. Please use a smaller offset."
        raise _refused(400, text) from None


def parity_forward(quotes: Sequence[SimulatedQuote], strike: float, spot: float) -> float:
    """Return the forward price by put-call parity at a strike; the spot where a quote is missing."""
    pair = {quote.instrument.kind: quote.ltp for quote in quotes if quote.instrument.strike == strike}
    if InstrumentKind.CE not in pair or InstrumentKind.PE not in pair:
        return spot
    return round(strike + pair[InstrumentKind.CE] - pair[InstrumentKind.PE], 2)


def chain_rows(
    quotes: Sequence[SimulatedQuote],
    atm: float,
    count: int | None,
    forward: float | None,
    seconds_left: int,
    rate: float,
) -> list[Body]:
    """Build a row per strike, `count` each side of `atm` (None: all), with greeks if the price `forward` is given, 0
    for options without time value. `seconds_left` is to expiry, `rate` per cent a year."""
    strikes = sorted({quote.instrument.strike for quote in quotes if quote.instrument.kind is InstrumentKind.CE})
    middle = strikes.index(atm)
    first, end = (0, None) if count is None else (max(middle - count, 0), middle + count + 1)
    rows: dict[float, Body] = {strike: {"strike": strike, "ce": None, "pe": None} for strike in strikes[first:end]}
    years = max(seconds_left / _YEAR_SECONDS, _SHORTEST_YEARS)
    for quote in quotes:
        strike = quote.instrument.strike
        if strike in rows:
            side = _side(quote, strikes.index(strike) - middle)
            if forward is not None:
                volatility, greeks = _greeks(quote, forward, years, rate / 100.0)
                side["implied_volatility"] = round(volatility * 100.0, 2)
                side |= {name: greeks.get(name, 0.0) for name in ("delta", "gamma", "theta", "vega")}
            rows[strike][quote.instrument.kind.value.lower()] = side
    return list(rows.values())


def _side(quote: SimulatedQuote, steps: int) -> Body:
    instrument = quote.instrument
    buy, sell = depth_levels(quote)
    out = (steps > 0) == (instrument.kind is InstrumentKind.CE)
    return {
        "symbol": instrument.symbol,
        "label": f"{'OTM' if out else 'ITM'}{abs(steps)}" if steps else "ATM",
        **{name: getattr(quote, name) for name in ("ltp", "bid", "ask")},
        "bid_qty": buy[0]["quantity"],
        "ask_qty": sell[0]["quantity"],
        **{name: getattr(quote, name) for name in ("open", "high", "low", "prev_close", "volume", "oi")},
        "lotsize": instrument.lot_size,
        "tick_size": instrument.tick_size,
    }


def _greeks(quote: SimulatedQuote, forward: float, years: float, rate: float) -> tuple[float, dict[str, float]]:
    """Volatility implied by the last price (0 without time value, at most 5), and greeks at it, none at 0.

    Rounded as the server rounds: theta a day, vega and rho a percentage point.
    """
    strike, is_call = quote.instrument.strike, quote.instrument.kind is InstrumentKind.CE
    inside = max(forward - strike if is_call else strike - forward, 0.0)
    if quote.ltp - exp(-rate * years) * inside <= _LEAST_TIME_VALUE:
        return 0.0, {}
    volatility, reason = implied_one(quote.ltp, forward, strike, years, rate, is_call)
    if reason == Reason.ABOVE_BOUND:
        volatility = _HIGHEST_VOLATILITY
    elif reason != Reason.FOUND:
        return 0.0, {}
    volatility = min(max(volatility, _LOWEST_VOLATILITY), _HIGHEST_VOLATILITY)
    delta, gamma, theta, vega, rho = greeks_one(forward, strike, years, volatility, rate, is_call)
    return volatility, {
        "delta": round(delta, 4),
        "gamma": round(gamma, 6),
        "theta": round(theta / DAYS_A_YEAR, 4),
        "vega": round(vega / 100.0, 4),
        "rho": round(rho / 100.0, 6),
    }


def _greeks_of(venue: SimulatedVenue, instrument: Instrument, fields: Fields) -> Body:
    """Greeks of one option; without time value its delta is whole and the rest is 0."""
    at = fields["expiry_time"] or _CLOSES.get(instrument.exchange, _EXPIRY_TIME)
    expires = to_ns(date.fromisoformat(instrument.expiry), at) // SECOND
    seconds_left = max(expires - venue.clock.now() / SECOND, 0.0)
    forward = fields.get("forward_price") or _forward(venue, instrument, fields)
    quote, rate = present_quote(venue, instrument), fields["interest_rate"] or 0.0
    is_call = instrument.kind is InstrumentKind.CE
    volatility, greeks = _greeks(quote, forward, max(seconds_left / _YEAR_SECONDS, _SHORTEST_YEARS), rate / 100.0)
    row: Body = {
        "symbol": instrument.symbol,
        "exchange": instrument.exchange,
        "underlying": instrument.underlying,
        "strike": instrument.strike,
        "option_type": instrument.kind.value,
        "expiry_date": date.fromisoformat(instrument.expiry).strftime("%d-%b-%Y"),
        "days_to_expiry": round(seconds_left / 86_400, 4),
        "spot_price": round(forward, 2),
        "option_price": quote.ltp,
        "interest_rate": rate,
        "implied_volatility": round(volatility * 100.0, 2),
    }
    if not volatility:
        inside = max((forward - instrument.strike) * (1.0 if is_call else -1.0), 0.0)
        none = {"delta": 1.0 if is_call else -1.0, "gamma": 0.0, "theta": 0.0, "vega": 0.0, "rho": 0.0}
        value = {"intrinsic_value": round(inside, 2), "time_value": round(quote.ltp - inside, 2)}
        return {**row, "greeks": none, **value, "note": "No time value: the volatility cannot be found"}
    return {**row, "greeks": greeks}


async def optionsymbol(call: RestCall) -> Reply:
    """Answer the contract that an offset from the money, such as OTM2, names."""
    underlying = find_underlying(call.venue, call.fields)
    option = find_option(call.venue, underlying, call.fields, call.fields["expiry_date"])
    return success(
        symbol=option.symbol,
        exchange=option.exchange,
        lotsize=option.lot_size,
        tick_size=option.tick_size,
        freeze_qty=option.freeze_qty or 1,
        underlying_ltp=underlying.ltp,
    )


async def optionchain(call: RestCall) -> Reply:
    """Answer quotes of the strikes around the money, with greeks on request."""
    venue, fields = call.venue, call.fields
    underlying = find_underlying(venue, fields, ":")
    if not (text := underlying.expiry or fields["expiry_date"]):
        raise _refused(400, "Expiry date is required.")
    if not _CODE.fullmatch(text.upper()):
        raise _no_strikes(underlying.instrument.underlying, text.upper())
    expiry = _read_expiry(text)
    atm = option_by_rule(venue, underlying, expiry, "ATM", InstrumentKind.CE)
    spot, now = underlying.instrument, venue.clock.now() // SECOND
    quotes = [present_quote(venue, option) for option in venue.listing.options(spot.underlying, expiry.isoformat())]
    forward = parity_forward(quotes, atm.strike, underlying.ltp) if fields["with_greeks"] else None
    expires = to_ns(expiry, _EXPIRY_TIME) // SECOND
    rate = fields["interest_rate"] or 0.0
    return success(
        underlying=spot.symbol,
        underlying_symbol=spot.symbol,
        underlying_exchange=spot.exchange,
        underlying_ltp=underlying.ltp,
        underlying_prev_close=present_quote(venue, spot).prev_close,
        expiry_date=symbology.expiry_code(expiry),
        expiry_ts=expires,
        server_ts=now,
        atm_strike=atm.strike,
        quotes_included=True,
        greeks_included=fields["with_greeks"],
        forward_price=forward,
        chain=chain_rows(quotes, atm.strike, fields["strike_count"], forward, expires - now, rate),
    )


async def optionsorder(call: RestCall) -> Reply:
    """Place an order, sliced on request, for the option that an offset such as OTM2 names."""
    venue, fields = call.venue, call.fields
    underlying = find_underlying(venue, fields)
    option = find_option(venue, underlying, fields, fields["expiry_date"])
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
            return call.error(400, placed["message"])
        return call.success(orderid=placed["orderid"], **named)
    if refusal := too_many_slices(order["quantity"], size):
        return call.error(400, refusal)
    results = await place_slices(call, order, size)
    return call.success(total_quantity=order["quantity"], split_size=size, results=results, **named)


async def optionsmultiorder(call: RestCall) -> Reply:
    """Place option legs at one price of the underlying, buys first; always answers a success."""
    underlying = find_underlying(call.venue, call.fields)
    legs = [{**leg, "leg": number} for number, leg in enumerate(call.fields["legs"], start=1)]
    rows = [await _leg(call, underlying, leg) for leg in buys_first(legs)]
    rows.sort(key=lambda row: int(row["leg"]))
    return call.success(underlying=underlying.instrument.symbol, underlying_ltp=underlying.ltp, results=rows)


async def _leg(call: RestCall, underlying: OptionUnderlying, leg: Fields) -> Body:
    kind, size = leg["option_type"].upper(), leg["splitsize"]
    row = {"leg": leg["leg"], "action": leg["action"].upper(), "offset": leg["offset"], "option_type": kind}
    try:
        option = find_option(call.venue, underlying, leg, leg["expiry_date"] or call.fields["expiry_date"])
    except Refused as refused:
        return {**row, "status": "error", "message": refused.reply.body["message"]}
    row.update(symbol=option.symbol, exchange=option.exchange)
    order = _order(leg, option, call.fields["strategy"])
    placed_as = {"product": leg["product"], "mode": call.venue.mode}
    if not size:
        placed = await place_part(call, order)
        return {**row, **placed, **(placed_as if "orderid" in placed else {})}
    if refusal := too_many_slices(order["quantity"], size):
        return {**row, "status": "error", "message": refusal}
    slices = await place_slices(call, order, size)
    worked = any("orderid" in part for part in slices)
    return {**row, **placed_as, "status": "success" if worked else "error", "split_results": slices}


def _order(fields: Fields, option: Instrument, strategy: str) -> Fields:
    kept = ("action", "quantity", "pricetype", "product", "price", "trigger_price", "disclosed_quantity")
    order = {name: fields[name] for name in kept}
    return {"strategy": strategy, "symbol": option.symbol, "exchange": option.exchange, **order}


async def optiongreeks(call: RestCall) -> Reply:
    """Answer implied volatility and greeks of one option."""
    venue, fields = call.venue, call.fields
    symbol, exchange = fields["symbol"], fields["exchange"]
    if not symbology.parse_symbol(symbol).kind.is_option:
        text = f"Failed to parse option symbol {symbol}: Invalid option symbol format: {symbol}"
        return error(500, f"Failed to get option Greeks: {text}")
    if (option := venue.instrument(symbology.instrument_id(exchange, symbol))) is None:
        return error(400, f"Failed to fetch option price: {unknown_text(exchange, symbol)}")
    return success(**_greeks_of(venue, option, fields))


async def multioptiongreeks(call: RestCall) -> Reply:
    """Answer greeks of up to fifty options; `partial` where some cannot be computed."""
    venue, fields = call.venue, call.fields
    rows = []
    for entry in fields["symbols"]:
        option = venue.instrument(symbology.instrument_id(entry["exchange"], entry["symbol"]))
        if option is None or not option.kind.is_option:
            named = {"symbol": entry["symbol"], "exchange": entry["exchange"]}
            rows.append({**named, "status": "error", "message": _NO_PRICE})
        else:
            rows.append({"status": "success", **_greeks_of(venue, option, {**fields, **entry})})
    failed = sum(row["status"] == "error" for row in rows)
    summary = {"total": len(rows), "success": len(rows) - failed, "failed": failed}
    if not failed:
        return success(data=rows, summary=summary)
    text = f"{failed} option Greeks calculation(s) failed: {_NO_PRICE}"
    body = {"status": "partial" if failed < len(rows) else "error", "data": rows, "summary": summary, "message": text}
    return Reply(200, body)


async def syntheticfuture(call: RestCall) -> Reply:
    """Answer the synthetic future price by call and put at the money."""
    venue, fields = call.venue, call.fields
    underlying = find_underlying(venue, fields)
    expiry = _read_expiry(fields["expiry_date"])
    atm = option_by_rule(venue, underlying, expiry, "ATM", InstrumentKind.CE)
    return success(
        underlying=underlying.instrument.symbol,
        underlying_ltp=underlying.ltp,
        expiry=symbology.expiry_code(expiry),
        atm_strike=atm.strike,
        synthetic_future_price=_implied_forward(venue, atm, underlying.ltp),
    )


def _forward(venue: SimulatedVenue, option: Instrument, fields: Fields) -> float:
    """The forward of an option: implied by its expiry, or the plain price of an underlying the request names."""
    spot = venue.listing.spot(option.underlying)
    if (named := fields["underlying_symbol"]) and named.upper() != option.underlying:
        asked: dict[str, Any] = {"underlying": named, "exchange": fields["underlying_exchange"] or option.exchange}
        return find_underlying(venue, asked).ltp
    price = present_quote(venue, spot).ltp
    atm = venue.listing.option(option.underlying, option.expiry, "ATM", InstrumentKind.CE, price)
    return _implied_forward(venue, atm, price)


def _implied_forward(venue: SimulatedVenue, atm: Instrument, spot: float) -> float:
    pair = [item for item in venue.listing.options(atm.underlying, atm.expiry) if item.strike == atm.strike]
    return parity_forward([present_quote(venue, item) for item in pair], atm.strike, spot)
