"""REST handlers of greeks and of the future that options imply.

Used by the dispatcher. The one rule: the forward is the one that call and put at the money agree on, unless the
request names a price or another underlying.
"""

from __future__ import annotations

from datetime import date, time
from typing import Any

from mytrading.core.symbology import expiry_code, instrument_id, parse_symbol
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.call import Call
from mytrading.simulator.data_routes import present, unknown_text
from mytrading.simulator.option_rows import expiry_seconds, greeks_row, parity_forward
from mytrading.simulator.option_rules import Unresolved, find_underlying, option_by_rule, read_expiry
from mytrading.simulator.reply import Body, Reply, error, success
from mytrading.simulator.schema import Fields
from mytrading.simulator.venue import Venue

_CLOSES = {"CDS": time(12, 30), "BCD": time(12, 30), "MCX": time(23, 30)}
_NFO_CLOSE = time(15, 30)
_NO_PRICE = "Option LTP not available"


async def optiongreeks(call: Call) -> Reply:
    """Volatility and greeks of one option."""
    venue, fields = call.venue, call.fields
    symbol, exchange = fields["symbol"], fields["exchange"]
    if not parse_symbol(symbol).kind.is_option:
        text = f"Failed to parse option symbol {symbol}: Invalid option symbol format: {symbol}"
        return error(500, f"Failed to get option Greeks: {text}")
    option = venue.instrument(instrument_id(exchange, symbol))
    if option is None:
        return error(400, f"Failed to fetch option price: {unknown_text(exchange, symbol)}")
    try:
        return success(**_greeks_of(venue, option, fields))
    except Unresolved as unresolved:
        return unresolved.reply


async def multioptiongreeks(call: Call) -> Reply:
    """Greeks of up to fifty options; `partial` where some cannot be given."""
    venue, fields = call.venue, call.fields
    rows = [_row(venue, entry, fields) for entry in fields["symbols"]]
    failed = sum(row["status"] == "error" for row in rows)
    summary = {"total": len(rows), "success": len(rows) - failed, "failed": failed}
    if not failed:
        return success(data=rows, summary=summary)
    text = f"{failed} option Greeks calculation(s) failed: {_NO_PRICE}"
    body = {"status": "partial" if failed < len(rows) else "error", "data": rows, "summary": summary, "message": text}
    return Reply(200, body)


async def syntheticfuture(call: Call) -> Reply:
    """The future that call and put at the money imply."""
    venue, fields = call.venue, call.fields
    try:
        underlying = find_underlying(venue, fields, ".")
        expiry = read_expiry(fields["expiry_date"])
        atm = option_by_rule(venue, underlying, expiry, "ATM", InstrumentKind.CE)
    except Unresolved as unresolved:
        return unresolved.reply
    return success(
        underlying=underlying.instrument.symbol,
        underlying_ltp=underlying.ltp,
        expiry=expiry_code(expiry),
        atm_strike=atm.strike,
        synthetic_future_price=_implied_forward(venue, atm, underlying.ltp),
    )


def _row(venue: Venue, entry: Fields, fields: Fields) -> Body:
    named = {"symbol": entry["symbol"], "exchange": entry["exchange"]}
    option = venue.instrument(instrument_id(entry["exchange"], entry["symbol"]))
    if option is None or not option.kind.is_option:
        return {**named, "status": "error", "message": _NO_PRICE}
    return {"status": "success", **_greeks_of(venue, option, {**fields, **entry})}


def _greeks_of(venue: Venue, option: Instrument, fields: Fields) -> Body:
    at = fields["expiry_time"] or _CLOSES.get(option.exchange, _NFO_CLOSE)
    left = expiry_seconds(date.fromisoformat(option.expiry), at) - venue.clock.now() / 1_000_000_000
    forward = fields.get("forward_price") or _forward(venue, option, fields)
    return greeks_row(present(venue, option), forward, max(left, 0.0), fields["interest_rate"] or 0.0)


def _forward(venue: Venue, option: Instrument, fields: Fields) -> float:
    """The forward of an option: implied by its expiry, or the plain price of an underlying the request names."""
    spot = venue.listing.spot(option.underlying)
    named = fields["underlying_symbol"]
    if named and named.upper() != option.underlying:
        asked: dict[str, Any] = {"underlying": named, "exchange": fields["underlying_exchange"] or option.exchange}
        return find_underlying(venue, asked, ".").ltp
    price = present(venue, spot).ltp
    atm = venue.listing.option(option.underlying, option.expiry, "ATM", InstrumentKind.CE, price)
    return _implied_forward(venue, atm, price)


def _implied_forward(venue: Venue, atm: Instrument, spot: float) -> float:
    pair = [item for item in venue.listing.options(atm.underlying, atm.expiry) if item.strike == atm.strike]
    return parity_forward([present(venue, item) for item in pair], atm.strike, spot)
