"""What each REST route accepts, and the server's wording for what it does not.

Used by the dispatcher: `check` turns a JSON object into typed fields or into errors per field. Texts and the refusal
of unknown fields follow OpenAlgo 2.0.2 as observed. The one rule: a handler only sees fields that passed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

Errors = dict[str, list[str]]
Fields = dict[str, Any]

EXCHANGES = (
    "NSE", "NFO", "CDS", "BSE", "BFO", "BCD", "MCX", "NCDEX", "NCO",
    "NSE_INDEX", "BSE_INDEX", "MCX_INDEX", "GLOBAL_INDEX", "CRYPTO",
)  # fmt: skip
FNO_EXCHANGES = ("NFO", "BFO", "MCX", "CDS", "NCO", "BCD", "NCDEX", "CRYPTO")
PRICE_TYPES = ("MARKET", "LIMIT", "SL", "SL-M")
PRODUCTS = ("MIS", "NRML", "CNC")
INTERVALS = (
    "1s", "5s", "10s", "15s", "30s", "45s", "1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m",
    "1h", "2h", "3h", "4h", "D", "W", "M", "Q", "Y",
)  # fmt: skip

_TRUE = {"t", "T", "true", "True", "TRUE", "on", "On", "ON", "y", "Y", "yes", "Yes", "YES", "1", 1}
_FALSE = {"f", "F", "false", "False", "FALSE", "off", "Off", "OFF", "n", "N", "no", "No", "NO", "0", 0}


class Bad(Exception):
    """The text for a field that does not pass."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Bad("Not a valid string.")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Bad("Not a valid number.")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise Bad("Not a valid number.") from None
    if not math.isfinite(number):
        raise Bad("Special numeric values (nan or infinity) are not permitted.")
    return number


def _integer(value: object) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return int(value)
    except (ValueError, OverflowError):
        raise Bad("Not a valid integer.") from None


def _boolean(value: object) -> bool:
    if isinstance(value, str | int | float) and value in _TRUE:
        return True
    if isinstance(value, str | int | float) and value in _FALSE:
        return False
    raise Bad("Not a valid boolean.")


def _date(value: object) -> date:
    try:
        return date.fromisoformat(_text(value))
    except ValueError:
        raise Bad("Not a valid date.") from None


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Bad("Not a valid list.")
    return value


def _key(value: object) -> str:
    text = _text(value)
    if not 1 <= len(text) <= 256:
        raise Bad("Length must be between 1 and 256.")
    return text


def _quantity(value: object) -> int:
    number = _number(value)
    if number <= 0:
        raise Bad("Quantity must be a positive number.")
    if not number.is_integer():
        raise Bad(f"Fractional quantity ({number}) is not allowed for non-crypto exchanges.")
    return int(number)


def _non_negative(label: str) -> Callable[[object], float]:
    def parse(value: object) -> float:
        number = _number(value)
        if number < 0:
            raise Bad(f"{label} must be a non-negative number.")
        return number

    return parse


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = _text(value)
        if text not in choices:
            raise Bad(f"Must be one of: {', '.join(choices)}.")
        return text

    return parse


class Field(NamedTuple):
    """How one field is read; `default` stands in where it is missing, unless required."""

    parse: Callable[[object], Any]
    required: bool = True
    default: Any = None
    nullable: bool = False


Schema = dict[str, Field]

_KEY = Field(_key)
_TEXT = Field(_text)
_EXCHANGE = Field(_one_of(*EXCHANGES))
_ACTION = Field(_one_of("BUY", "SELL", "buy", "sell"))
_PRODUCT = Field(_one_of(*PRODUCTS))
_PRICE = _non_negative("Price")
_TRIGGER = _non_negative("Trigger price")

ACCOUNT: Schema = {"apikey": _KEY}
STRATEGY: Schema = {"apikey": _KEY, "strategy": _TEXT}
PLACE: Schema = {
    "apikey": _KEY,
    "strategy": _TEXT,
    "exchange": _EXCHANGE,
    "symbol": _TEXT,
    "action": _ACTION,
    "quantity": Field(_quantity),
    "pricetype": Field(_one_of(*PRICE_TYPES), False, "MARKET"),
    "product": Field(_one_of(*PRODUCTS), False, "MIS"),
    "price": Field(_PRICE, False, 0.0),
    "trigger_price": Field(_TRIGGER, False, 0.0),
    "disclosed_quantity": Field(_integer, False, 0),
    "underlying_ltp": Field(_number, False, None, True),
}
MODIFY: Schema = {
    "apikey": _KEY,
    "strategy": _TEXT,
    "exchange": _EXCHANGE,
    "symbol": _TEXT,
    "orderid": _TEXT,
    "action": _ACTION,
    "product": _PRODUCT,
    "pricetype": Field(_one_of(*PRICE_TYPES)),
    "price": Field(_PRICE),
    "quantity": Field(_quantity),
    "disclosed_quantity": Field(_integer),
    "trigger_price": Field(_TRIGGER),
}
ORDER_ID: Schema = {**STRATEGY, "orderid": _TEXT}
OPEN_POSITION: Schema = {**STRATEGY, "symbol": _TEXT, "exchange": _EXCHANGE, "product": _PRODUCT}
MARGIN: Schema = {"apikey": _KEY, "positions": Field(_list)}
TOGGLE: Schema = {"apikey": _KEY, "mode": Field(_boolean)}
SYMBOL: Schema = {"apikey": _KEY, "symbol": _TEXT, "exchange": _EXCHANGE}
MULTI: Schema = {"apikey": _KEY, "symbols": Field(_list)}
HISTORY: Schema = {
    "apikey": _KEY,
    "symbol": _TEXT,
    "exchange": _EXCHANGE,
    "interval": Field(_one_of(*INTERVALS)),
    "start_date": Field(_date),
    "end_date": Field(_date),
    "source": Field(_one_of("api", "db"), False, "api"),
}
SEARCH: Schema = {"apikey": _KEY, "query": _TEXT, "exchange": Field(_one_of(*EXCHANGES), False, "")}
EXPIRY: Schema = {
    "apikey": _KEY,
    "symbol": _TEXT,
    "exchange": Field(_one_of(*FNO_EXCHANGES)),
    "instrumenttype": Field(_one_of("futures", "options")),
}
INSTRUMENTS: Schema = {
    "apikey": _KEY,
    "exchange": _EXCHANGE,
    "format": Field(_one_of("json", "csv"), False, "json"),
}
PUSH: Schema = {
    "apikey": _KEY,
    "symbol": _TEXT,
    "exchange": _EXCHANGE,
    "ltp": Field(_number, False, 0.0),
    "bid": Field(_number, False, 0.0),
    "ask": Field(_number, False, 0.0),
    "hold": Field(_boolean, False, False),
    "release": Field(_boolean, False, False),
}
PAUSE: Schema = {"apikey": _KEY, "paused": Field(_boolean)}


def check(schema: Schema, body: dict[str, Any]) -> tuple[Fields, Errors]:
    """The typed fields of a request body, and what is wrong with it by field."""
    fields: Fields = {}
    errors: Errors = {}
    for name, field in schema.items():
        if name not in body:
            if field.required:
                errors[name] = ["Missing data for required field."]
            else:
                fields[name] = field.default
        elif body[name] is None:
            if field.nullable:
                fields[name] = None
            else:
                errors[name] = ["Field may not be null."]
        else:
            try:
                fields[name] = field.parse(body[name])
            except Bad as bad:
                errors[name] = [str(bad)]
    for name in body:
        if name not in schema:
            errors[name] = ["Unknown field."]
    return fields, errors
