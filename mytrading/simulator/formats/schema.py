"""What each REST route accepts, and the server's wording for what it does not.

Texts and the refusal of unknown fields follow OpenAlgo 2.0.2 as observed. A handler only sees fields that passed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mytrading.simulator.formats import field_parsers as read
from mytrading.simulator.formats.field_parsers import Bad

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

_NOT_OBJECT: tuple[Fields, Errors] = ({}, {"_schema": ["Invalid input type."]})


class BadItems(Bad):
    """What is wrong with the items of a list, by their place in it and by field."""

    def __init__(self, errors: dict[int, Errors]) -> None:
        super().__init__(str(errors))
        self.errors = errors


def _items(schema: Schema) -> Callable[[object], list[Fields]]:
    def parse(value: object) -> list[Fields]:
        checked = [check(schema, item) if isinstance(item, dict) else _NOT_OBJECT for item in read.rows(value)]
        if wrong := {place: errors for place, (_, errors) in enumerate(checked) if errors}:
            raise BadItems(wrong)
        return [fields for fields, _ in checked]

    return parse


def _margin_positions(value: object) -> list[Any]:
    if not 1 <= len(read.rows(value)) <= 50:
        raise Bad("Positions must contain 1 to 50 items.")
    return read.rows(value)


def _quoted_symbols(value: object) -> list[Fields]:
    if not read.rows(value):
        raise Bad("Shorter than minimum length 1.")
    return _items(QUOTED_SYMBOL)(value)


def _legs(value: object) -> list[Fields]:
    if not 1 <= len(read.rows(value)) <= 20:
        raise Bad("Legs must contain 1 to 20 items.")
    return _items(LEG)(value)


def _greek_symbols(value: object) -> list[Fields]:
    if not 1 <= len(read.rows(value)) <= 50:
        raise Bad("Length must be between 1 and 50.")
    return _items(GREEK_SYMBOL)(value)


class Field(NamedTuple):
    """How one field is read; `default` stands in where it is missing, unless required."""

    parse: Callable[[object], Any]
    required: bool = True
    default: Any = None
    nullable: bool = False


Schema = dict[str, Field]

_KEY = Field(read.api_key)
_TEXT = Field(read.text)
_EXCHANGE = Field(read.one_of(*EXCHANGES))
_ACTION = Field(read.one_of("BUY", "SELL", "buy", "sell"))
_PRODUCT = Field(read.one_of(*PRODUCTS))
_PRICE = read.non_negative("Price")
_TRIGGER = read.non_negative("Trigger price")

ACCOUNT: Schema = {"apikey": _KEY}
STRATEGY: Schema = {"apikey": _KEY, "strategy": _TEXT}
PLACE: Schema = {
    "apikey": _KEY,
    "strategy": _TEXT,
    "exchange": _EXCHANGE,
    "symbol": _TEXT,
    "action": _ACTION,
    "quantity": Field(read.quantity),
    "pricetype": Field(read.one_of(*PRICE_TYPES), False, "MARKET"),
    "product": Field(read.one_of(*PRODUCTS), False, "MIS"),
    "price": Field(_PRICE, False, 0.0),
    "trigger_price": Field(_TRIGGER, False, 0.0),
    "disclosed_quantity": Field(read.integer, False, 0),
    "underlying_ltp": Field(read.number, False, None, True),
}
BASKET: Schema = {
    **STRATEGY,
    "orders": Field(_items({name: field for name, field in PLACE.items() if name not in STRATEGY})),
}
SPLIT: Schema = {**PLACE, "splitsize": Field(read.split_size)}
SMART: Schema = {
    **PLACE,
    "quantity": Field(read.whole("Quantity", 0)),
    "position_size": Field(read.whole("Position size")),
}
MODIFY: Schema = {
    "apikey": _KEY,
    "strategy": _TEXT,
    "exchange": _EXCHANGE,
    "symbol": _TEXT,
    "orderid": _TEXT,
    "action": _ACTION,
    "product": _PRODUCT,
    "pricetype": Field(read.one_of(*PRICE_TYPES)),
    "price": Field(_PRICE),
    "quantity": Field(read.quantity),
    "disclosed_quantity": Field(read.integer),
    "trigger_price": Field(_TRIGGER),
}
ORDER_ID: Schema = {**STRATEGY, "orderid": _TEXT}
OPEN_POSITION: Schema = {**STRATEGY, "symbol": _TEXT, "exchange": _EXCHANGE, "product": _PRODUCT}
MARGIN: Schema = {"apikey": _KEY, "positions": Field(_margin_positions)}
TOGGLE: Schema = {"apikey": _KEY, "mode": Field(read.boolean)}
SYMBOL: Schema = {"apikey": _KEY, "symbol": _TEXT, "exchange": _EXCHANGE}
QUOTED_SYMBOL: Schema = {"symbol": _TEXT, "exchange": _EXCHANGE}
MULTI: Schema = {"apikey": _KEY, "symbols": Field(_quoted_symbols)}
HISTORY: Schema = {
    "apikey": _KEY,
    "symbol": _TEXT,
    "exchange": _EXCHANGE,
    "interval": Field(read.one_of(*INTERVALS)),
    "start_date": Field(read.day),
    "end_date": Field(read.day),
    "source": Field(read.one_of("api", "db"), False, "api"),
}
SEARCH: Schema = {"apikey": _KEY, "query": _TEXT, "exchange": Field(read.one_of(*EXCHANGES), False, "")}
EXPIRY: Schema = {
    "apikey": _KEY,
    "symbol": _TEXT,
    "exchange": Field(read.one_of(*FNO_EXCHANGES)),
    "instrumenttype": Field(read.one_of("futures", "options")),
}
INSTRUMENTS: Schema = {
    "apikey": _KEY,
    "exchange": _EXCHANGE,
    "format": Field(read.one_of("json", "csv"), False, "json"),
}
HOLIDAYS: Schema = {"apikey": _KEY, "year": Field(read.between(2020, 2050), False)}
TIMINGS: Schema = {"apikey": _KEY, "date": Field(read.text)}
_STRIKE_RULE: Schema = {
    "offset": Field(read.offset),
    "option_type": Field(read.one_of("CE", "PE", "ce", "pe")),
    "expiry_date": Field(read.text, False, None, True),
}
_OPTION_ORDER: Schema = {
    "action": _ACTION,
    "quantity": Field(read.quantity),
    "splitsize": Field(read.whole("Split size", 0), False, 0),
    "pricetype": Field(read.one_of(*PRICE_TYPES), False, "MARKET"),
    "product": Field(read.one_of("MIS", "NRML"), False, "MIS"),
    "price": Field(_PRICE, False, 0.0),
    "trigger_price": Field(_TRIGGER, False, 0.0),
    "disclosed_quantity": Field(read.integer, False, 0),
}
LEG: Schema = {**_STRIKE_RULE, **_OPTION_ORDER}
_UNDERLYING: Schema = {"apikey": _KEY, "underlying": Field(read.text), "exchange": _EXCHANGE}
OPTION_SYMBOL: Schema = {
    **_UNDERLYING,
    **_STRIKE_RULE,
    "strategy": Field(read.text, False, ""),
    "strike_int": Field(read.between(1, 1_000_000), False, None, True),
}
OPTION_CHAIN: Schema = {
    **_UNDERLYING,
    "expiry_date": Field(read.text),
    "strike_count": Field(read.between(1, 100), False, None, True),
    "with_greeks": Field(read.boolean, False, False),
    "interest_rate": Field(read.number, False, 0.0, True),
}
OPTIONS_ORDER: Schema = {**OPTION_SYMBOL, **_OPTION_ORDER, "strategy": Field(read.text)}
OPTIONS_MULTI: Schema = {
    **_UNDERLYING,
    "strategy": Field(read.text),
    "expiry_date": Field(read.text, False, None, True),
    "legs": Field(_legs),
}
_OPTION_EXCHANGE = Field(read.one_of("NFO", "BFO", "MCX", "CDS", "NCO", "BCD", "NCDEX", "CRYPTO"))
GREEK_SYMBOL: Schema = {
    "symbol": Field(read.text),
    "exchange": _OPTION_EXCHANGE,
    "underlying_symbol": Field(read.text, False, None, True),
    "underlying_exchange": Field(read.text, False, None, True),
}
_GREEK_RULES: Schema = {
    "interest_rate": Field(read.number, False, 0, True),
    "expiry_time": Field(read.clock, False, None, True),
}
GREEKS: Schema = {
    "apikey": _KEY,
    **GREEK_SYMBOL,
    **_GREEK_RULES,
    "forward_price": Field(_PRICE, False, None, True),
}
MULTI_GREEKS: Schema = {"apikey": _KEY, "symbols": Field(_greek_symbols), **_GREEK_RULES}
SYNTHETIC: Schema = {**_UNDERLYING, "expiry_date": Field(read.text)}
TICKER: Schema = {
    "apikey": _KEY,
    "subject": Field(read.text),
    "interval": Field(read.one_of(*INTERVALS), False, "D"),
    "from": Field(read.day),
    "to": Field(read.day),
    "adjusted": Field(read.text, False, ""),
    "sort": Field(read.text, False, ""),
    "format": Field(read.text, False, "json"),
}
TELEGRAM: Schema = {
    "apikey": _KEY,
    "username": Field(read.text),
    "message": Field(read.text),
    "priority": Field(read.between(1, 10), False, 5),
    "wait_for_delivery": Field(read.boolean, False, False),
}
WHATSAPP: Schema = {
    "apikey": _KEY,
    **{name: Field(read.text, False, "") for name in ("message", "username", "phone", "caption", "filename")},
    **{name: Field(read.text, False, "") for name in ("image_path", "document_path")},
    "phones": Field(read.rows, False, ()),
    "self": Field(read.boolean, False, False),
    "wait_for_delivery": Field(read.boolean, False, True),
}
GTT: Schema = {
    "apikey": _KEY,
    "strategy": _TEXT,
    "trigger_type": Field(read.one_of("SINGLE", "OCO")),
    "exchange": _EXCHANGE,
    "symbol": _TEXT,
    "action": _ACTION,
    "product": _TEXT,
    "quantity": Field(read.quantity),
    "pricetype": Field(read.one_of("LIMIT", "MARKET"), False, "LIMIT"),
    "price": Field(read.non_negative("Price")),
    "triggerprice_sl": Field(read.non_negative("Trigger price"), False, 0.0, True),
    "triggerprice_tg": Field(read.non_negative("Trigger price"), False, 0.0, True),
    "stoploss": Field(read.non_negative("Price"), False, 0.0, True),
    "target": Field(read.non_negative("Price"), False, 0.0, True),
    "expires_at": Field(read.moment, False, None, True),
}
MODIFY_GTT: Schema = {**GTT, "trigger_id": _TEXT}
CANCEL_GTT: Schema = {**STRATEGY, "trigger_id": _TEXT}
PUSH: Schema = {
    "apikey": _KEY,
    "symbol": _TEXT,
    "exchange": _EXCHANGE,
    "ltp": Field(read.number, False, 0.0),
    "bid": Field(read.number, False, 0.0),
    "ask": Field(read.number, False, 0.0),
    "hold": Field(read.boolean, False, False),
    "release": Field(read.boolean, False, False),
    "depth": Field(read.integer, False, 0),
    "after": Field(read.number, False, 0.0),
}
PAUSE: Schema = {"apikey": _KEY, "paused": Field(read.boolean), "at": Field(read.integer, False, 0)}


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
