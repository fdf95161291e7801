"""What each REST route accepts, and the server's wording for what it does not.

Used by the dispatcher: `check` turns a JSON object into typed fields or into errors per field. Texts and the refusal
of unknown fields follow OpenAlgo 2.0.2 as observed. The one rule: a handler only sees fields that passed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

Errors = dict[str, Any]
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
_OFFSET = re.compile(r"ATM|(?:ITM|OTM)(?:[1-9]|[1-4]\d|50)")
_NOT_OBJECT: tuple[Fields, Errors] = ({}, {"_schema": ["Invalid input type."]})


class Bad(Exception):
    """The text for a field that does not pass."""


class BadItems(Bad):
    """What is wrong with the items of a list, by their place in it and by field."""

    def __init__(self, errors: dict[int, Errors]) -> None:
        super().__init__(str(errors))
        self.errors = errors


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


def _split_size(value: object) -> int:
    size = _integer(value)
    if size < 1:
        raise Bad("Split size must be a positive integer.")
    return size


def _whole(label: str, lowest: float = -math.inf) -> Callable[[object], int]:
    """Units: a whole number, `lowest` or more."""

    def parse(value: object) -> int:
        number = _number(value)
        if number < lowest:
            raise Bad(f"{label} must be a non-negative number.")
        if not number.is_integer():
            raise Bad(f"Fractional {label.lower()} ({number}) is not allowed for non-crypto exchanges.")
        return int(number)

    return parse


def _between(lowest: int, highest: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = _integer(value)
        if not lowest <= number <= highest:
            raise Bad(f"Must be greater than or equal to {lowest} and less than or equal to {highest}.")
        return number

    return parse


def _offset(value: object) -> str:
    text = _text(value).upper()
    if not _OFFSET.fullmatch(text):
        raise Bad("Offset must be ATM, ITM1-ITM50, or OTM1-OTM50")
    return text


def _items(schema: Schema) -> Callable[[object], list[Fields]]:
    def parse(value: object) -> list[Fields]:
        checked = [check(schema, item) if isinstance(item, dict) else _NOT_OBJECT for item in _list(value)]
        if wrong := {place: errors for place, (_, errors) in enumerate(checked) if errors}:
            raise BadItems(wrong)
        return [fields for fields, _ in checked]

    return parse


def _legs(value: object) -> list[Fields]:
    if not 1 <= len(_list(value)) <= 20:
        raise Bad("Legs must contain 1 to 20 items.")
    return _items(LEG)(value)


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
BASKET: Schema = {
    **STRATEGY,
    "orders": Field(_items({name: field for name, field in PLACE.items() if name not in STRATEGY})),
}
SPLIT: Schema = {**PLACE, "splitsize": Field(_split_size)}
SMART: Schema = {
    **PLACE,
    "quantity": Field(_whole("Quantity", 0)),
    "position_size": Field(_whole("Position size")),
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
HOLIDAYS: Schema = {"apikey": _KEY, "year": Field(_between(2020, 2050), False)}
TIMINGS: Schema = {"apikey": _KEY, "date": Field(_text)}
_STRIKE_RULE: Schema = {
    "offset": Field(_offset),
    "option_type": Field(_one_of("CE", "PE", "ce", "pe")),
    "expiry_date": Field(_text, False, None, True),
}
_OPTION_ORDER: Schema = {
    "action": _ACTION,
    "quantity": Field(_quantity),
    "splitsize": Field(_whole("Split size", 0), False, 0),
    "pricetype": Field(_one_of(*PRICE_TYPES), False, "MARKET"),
    "product": Field(_one_of("MIS", "NRML"), False, "MIS"),
    "price": Field(_PRICE, False, 0.0),
    "trigger_price": Field(_TRIGGER, False, 0.0),
    "disclosed_quantity": Field(_integer, False, 0),
}
LEG: Schema = {**_STRIKE_RULE, **_OPTION_ORDER}
_UNDERLYING: Schema = {"apikey": _KEY, "underlying": Field(_text), "exchange": _EXCHANGE}
OPTION_SYMBOL: Schema = {
    **_UNDERLYING,
    **_STRIKE_RULE,
    "strategy": Field(_text, False, ""),
    "strike_int": Field(_between(1, 1_000_000), False, None, True),
}
OPTION_CHAIN: Schema = {
    **_UNDERLYING,
    "expiry_date": Field(_text),
    "strike_count": Field(_between(1, 100), False, None, True),
    "with_greeks": Field(_boolean, False, False),
    "interest_rate": Field(_number, False, 0.0, True),
}
OPTIONS_ORDER: Schema = {**OPTION_SYMBOL, **_OPTION_ORDER, "strategy": Field(_text)}
OPTIONS_MULTI: Schema = {
    **_UNDERLYING,
    "strategy": Field(_text),
    "expiry_date": Field(_text, False, None, True),
    "legs": Field(_legs),
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
FAULT: Schema = {
    "apikey": _KEY,
    "kind": _TEXT,
    "count": Field(_integer, False, 1),
    "route": Field(_text, False, ""),
    "seconds": Field(_number, False, 30.0),
    "ms": Field(_number, False, 0.0),
    "drop": Field(_boolean, False, False),
    "late": Field(_boolean, False, False),
    "placed": Field(_boolean, False, False),
    "reason": Field(_text, False, "Rejected by the risk desk"),
}


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
                errors[name] = bad.errors if isinstance(bad, BadItems) else [str(bad)]
    for name in body:
        if name not in schema:
            errors[name] = ["Unknown field."]
    return fields, errors
