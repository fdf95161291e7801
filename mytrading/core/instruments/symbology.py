"""Symbols as OpenAlgo writes them, and instrument ids: building and taking apart.

`NFO:NIFTY30DEC2526000CE` is exchange, underlying, expiry as DDMMMYY, strike and right. A symbol is text; whether the
contract is listed is known only by an `InstrumentBook`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import NamedTuple

from mytrading.messages.instruments import InstrumentKind

INDEX_EXCHANGES = {"NSE": "NSE_INDEX", "BSE": "BSE_INDEX"}
DERIVATIVE_EXCHANGES = {"NSE": "NFO", "NSE_INDEX": "NFO", "BSE": "BFO", "BSE_INDEX": "BFO"}

INDICES = {
    "NSE_INDEX": ("NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "INDIAVIX"),
    "BSE_INDEX": ("SENSEX", "BANKEX", "SENSEX50"),
}
"""Indices by the exchange they are quoted on, where nothing else tells: contracts are written on all but INDIAVIX."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DERIVATIVE = re.compile(
    rf"^(?P<base>.+?)(?P<day>\d{{2}})(?P<month>{'|'.join(_MONTHS)})(?P<year>\d{{2}})(?P<rest>FUT|[\d.]+(?:CE|PE))$"
)

_DATES = (
    re.compile(r"^(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})(?:[T ].*)?$"),
    re.compile(r"^(?P<day>\d{1,2})[- /]?(?P<month>[A-Z]{3})[- /]?(?P<year>\d{4}|\d{2})$"),
)


class ParsedSymbol(NamedTuple):
    """The parts of a symbol; a share or an index has only an `underlying`, itself."""

    underlying: str
    expiry: date | None
    strike: float
    kind: InstrumentKind


def instrument_id(exchange: str, symbol: str) -> str:
    """Build an instrument id: `EXCHANGE:SYMBOL`."""
    return f"{exchange}:{symbol}"


def split_id(instrument: str) -> tuple[str, str]:
    """Split an instrument id into exchange and symbol; `ValueError` if it has no exchange."""
    exchange, colon, symbol = instrument.partition(":")
    if not (exchange and colon and symbol):
        raise ValueError(f"instrument {instrument!r}: expected EXCHANGE:SYMBOL, say NSE:SBIN or NSE_INDEX:NIFTY")
    return exchange, symbol


def kind_of(instrument: str) -> InstrumentKind:
    """Return what an instrument is, by its id alone."""
    exchange, symbol = split_id(instrument)
    return parse_symbol(symbol, exchange).kind


def quoting_exchange(underlying: str) -> str:
    """Return the exchange that quotes an underlying, judged by its name alone (no known index: a share)."""
    return next((exchange for exchange, names in INDICES.items() if underlying in names), "NSE")


def expiry_code(expiry: date) -> str:
    """Format an expiry as in symbols: DDMMMYY."""
    return f"{expiry.day:02d}{_MONTHS[expiry.month - 1]}{expiry.year % 100:02d}"


def expiry_label(expiry: date) -> str:
    """Format an expiry as in search, expiry and instruments answers: DD-MMM-YY."""
    return f"{expiry.day:02d}-{_MONTHS[expiry.month - 1]}-{expiry.year % 100:02d}"


def parse_expiry(text: str) -> date:
    """Parse `30DEC25` or `30-DEC-25` to a date; `ValueError` for anything else."""
    compact = text.replace("-", "").upper()
    if len(compact) != 7 or compact[2:5] not in _MONTHS or not (compact[:2] + compact[5:]).isdigit():
        raise ValueError(f"expiry {text!r}: expected DDMMMYY or DD-MMM-YY, say 30DEC25")
    return date(2000 + int(compact[5:]), _MONTHS.index(compact[2:5]) + 1, int(compact[:2]))


def read_expiry(text: str) -> date | None:
    """Read an expiry as a server's list may write it: 01-DEC-26, 1-Dec-2026, 01DEC26 or 2026-12-01; None for others."""
    for form in _DATES:
        if (match := form.match(text.strip().upper())) is not None:
            month = match["month"]
            number = int(month) if month.isdigit() else _MONTHS.index(month) + 1 if month in _MONTHS else 0
            with suppress(ValueError):
                return date(int(match["year"]) + (2000 if len(match["year"]) == 2 else 0), number, int(match["day"]))
    return None


def strike_text(strike: float) -> str:
    """Format a strike as in symbols: decimals only where it has some."""
    return f"{strike:.2f}".rstrip("0").rstrip(".")


def future_symbol(underlying: str, expiry: date) -> str:
    """Build the symbol of a future: `NIFTY30DEC25FUT`."""
    return f"{underlying}{expiry_code(expiry)}FUT"


def option_symbol(underlying: str, expiry: date, strike: float, right: str) -> str:
    """Build the symbol of an option: `NIFTY30DEC2526000CE`; `right` is CE or PE."""
    return f"{underlying}{expiry_code(expiry)}{strike_text(strike)}{right}"


def parse_symbol(symbol: str, exchange: str = "") -> ParsedSymbol:
    """Parse a symbol; one that is neither future nor option is a share, or an index on an index exchange."""
    match = _DERIVATIVE.match(symbol)
    if match is None:
        kind = InstrumentKind.INDEX if exchange.endswith("_INDEX") else InstrumentKind.EQ
        return ParsedSymbol(symbol, None, 0.0, kind)
    rest = match["rest"]
    try:
        expiry = parse_expiry(match["day"] + match["month"] + match["year"])
        strike = 0.0 if rest == "FUT" else float(rest[:-2])
    except ValueError:  # 31FEB26, or 1.2.3CE: no contract is called so
        return ParsedSymbol(symbol, None, 0.0, InstrumentKind.EQ)
    return ParsedSymbol(match["base"], expiry, strike, InstrumentKind(rest if rest == "FUT" else rest[-2:]))
