"""Which contract a rule names: an underlying by its own name or a dated one's, an expiry, an offset from the money.

Used by the option and greeks routes. The one rule: strikes are counted along the listed ones, from the price of the
underlying itself, never of its future.
"""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from mytrading.core.instruments import NoSuchContract
from mytrading.core.symbology import INDEX_EXCHANGES, expiry_code, instrument_id, option_symbol, parse_expiry
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.data_routes import present, unknown_text
from mytrading.simulator.reply import error
from mytrading.simulator.schema import Fields
from mytrading.simulator.venue import Venue

_DATED = re.compile(r"(?P<base>[A-Z]+)(?P<expiry>\d{2}[A-Z]{3}\d{2})(?:FUT)?")
_CODE = re.compile(r"\d{2}[A-Z]{3}\d{2}")
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


def find_underlying(venue: Venue, fields: Fields, mark: str) -> Underlying:
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


def read_expiry(text: str) -> date:
    """The date of an expiry as requests write it."""
    try:
        return parse_expiry(text)
    except ValueError as problem:
        raise Unresolved(400, f"Invalid expiry date: {problem}") from None


def read_code(underlying: Underlying, text: str) -> date:
    """The date of an expiry as symbols write it, the only form that a chain is found by."""
    if not text:
        raise Unresolved(400, "Expiry date is required.")
    if not _CODE.fullmatch(text.upper()):
        raise _no_strikes(underlying.instrument.underlying, text.upper())
    return read_expiry(text)


def _no_strikes(name: str, expiry: str) -> Unresolved:
    text = f"No strikes found for {name} expiring {expiry}."
    return Unresolved(404, f"{text} Please check expiry date or update master contract.")


def find_option(venue: Venue, underlying: Underlying, fields: Fields, expiry_date: str | None) -> Instrument:
    """The option a request's offset, right and expiry name."""
    text = expiry_date or underlying.expiry
    if not text:
        raise Unresolved(400, _NO_EXPIRY)
    kind, offset = InstrumentKind(fields["option_type"].upper()), fields["offset"]
    step = fields.get("strike_int")
    if step is None:
        return option_by_rule(venue, underlying, read_expiry(text), offset, kind)
    up = offset.startswith("OTM") == (kind is InstrumentKind.CE)
    steps = int(offset[3:] or 0) * (1 if up else -1)
    return _at_strike(venue, underlying, read_expiry(text), round(underlying.ltp / step) * step + steps * step, kind)


def option_by_rule(venue: Venue, underlying: Underlying, expiry: date, offset: str, kind: InstrumentKind) -> Instrument:
    """The option at an offset such as ATM or OTM2, counted along the listed strikes."""
    name, day = underlying.instrument.underlying, expiry.isoformat()
    listed = venue.listed(name)
    if day not in listed.expiries(name, kind):
        raise _no_strikes(name, expiry_code(expiry))
    rule = f"{offset[:3]} {offset[3:]}".strip()
    try:
        return listed.option(name, day, rule, kind, underlying.ltp)
    except NoSuchContract:
        text = f"Offset {offset} is out of range for available strikes. Please use a smaller offset."
        raise Unresolved(400, text) from None


def _at_strike(venue: Venue, underlying: Underlying, expiry: date, strike: float, kind: InstrumentKind) -> Instrument:
    name = underlying.instrument.underlying
    symbol = option_symbol(name, expiry, strike, kind.value)
    for option in venue.listed(name).options(name, expiry.isoformat()):
        if option.symbol == symbol:
            return option
    raise Unresolved(404, f"Option symbol {symbol} not found: expected a listed strike, see optionchain")
