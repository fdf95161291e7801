"""Fields that each REST route accepts, how they are parsed, and the server's wording for what it refuses.

Texts and the refusal of unknown fields follow OpenAlgo 2.0.2 as observed. A parser looks at one value and returns it
typed, or raises `Bad`; a handler only gets fields that passed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, NamedTuple

from mytrading.core.time import IST

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


class Bad(Exception):
    """The text for a field that does not pass."""


class BadItems(Bad):
    """Errors of the items of a list, by their place in it and by field."""

    def __init__(self, errors: dict[int, Errors]) -> None:
        super().__init__(str(errors))
        self.errors = errors


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Bad("Not a valid string.")
    return value


def _number(value: object) -> float:
    """A finite number, also as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Bad("Not a valid number.")
    try:
        given = float(value)
    except (ValueError, OverflowError):
        raise Bad("Not a valid number.") from None
    if not math.isfinite(given):
        raise Bad("Special numeric values (nan or infinity) are not permitted.")
    return given


def _integer(value: object) -> int:
    """A whole number, also as text, but not as "1.0"."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return int(value)
    except (ValueError, OverflowError):
        raise Bad("Not a valid integer.") from None


def _boolean(value: object) -> bool:
    if isinstance(value, str | int | float) and value in (_TRUE | _FALSE):
        return value in _TRUE
    raise Bad("Not a valid boolean.")


def _parsed_by(parse: Callable[[str], Any], refusal: str) -> Callable[[object], Any]:

    def parsed(value: object) -> Any:
        try:
            return parse(_text(value))
        except ValueError:
            raise Bad(refusal) from None

    return parsed


def _moment(text: str) -> datetime:
    """A date or a date with a time, Indian unless it names a zone."""
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=IST)


def _rows(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Bad("Not a valid list.")
    return value


def _api_key(value: object) -> str:
    if not 1 <= len(_text(value)) <= 256:
        raise Bad("Length must be between 1 and 256.")
    return _text(value)


def _units(value: object) -> int:
    if _number(value) <= 0:
        raise Bad("Quantity must be a positive number.")
    return _whole("Quantity")(value)


def _whole(label: str, lowest: float = -math.inf) -> Callable[[object], int]:
    """Units: a whole number, `lowest` or more; `label` names them in the refusal."""

    def parse(value: object) -> int:
        units = _number(value)
        if units < lowest:
            raise Bad(f"{label} must be a non-negative number.")
        if not units.is_integer():
            raise Bad(f"Fractional {label.lower()} ({units}) is not allowed for non-crypto exchanges.")
        return int(units)

    return parse


def _non_negative(label: str) -> Callable[[object], float]:

    def parse(value: object) -> float:
        if (rupees := _number(value)) < 0:
            raise Bad(f"{label} must be a non-negative number.")
        return rupees

    return parse


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        given = _text(value)
        if given not in choices:
            raise Bad(f"Must be one of: {', '.join(choices)}.")
        return given

    return parse


def _between(lowest: int, highest: float, refusal: str = "") -> Callable[[object], int]:

    def parse(value: object) -> int:
        given = _integer(value)
        if not lowest <= given <= highest:
            raise Bad(refusal or f"Must be greater than or equal to {lowest} and less than or equal to {highest}.")
        return given

    return parse


def _offset(value: object) -> str:
    """A strike rule such as ATM or OTM2, upper case."""
    given = _text(value).upper()
    if not _OFFSET.fullmatch(given):
        raise Bad("Offset must be ATM, ITM1-ITM50, or OTM1-OTM50")
    return given


class Field(NamedTuple):
    """The schema of one field; `default` stands in where it is missing, unless required."""

    parse: Callable[[object], Any]
    required: bool = True
    default: Any = None
    nullable: bool = False


Schema = dict[str, Field]


def _optional(parse: Callable[[object], Any], default: Any = None, *, nullable: bool = False) -> Field:
    return Field(parse, False, default, nullable)


def _items(schema: Schema | None, most: float = math.inf, refusal: str = "") -> Callable[[object], list[Any]]:
    """Items that fit a schema (None: any); with a `refusal`, at least one and at most `most` of them."""

    def parse(value: object) -> list[Any]:
        found = _rows(value)
        if refusal and not 1 <= len(found) <= most:
            raise Bad(refusal)
        if schema is None:
            return found
        wrong_type: tuple[Fields, Errors] = ({}, {"_schema": ["Invalid input type."]})
        checked = [parse_fields(schema, item) if isinstance(item, dict) else wrong_type for item in found]
        if wrong := {place: errors for place, (_, errors) in enumerate(checked) if errors}:
            raise BadItems(wrong)
        return [fields for fields, _ in checked]

    return parse


_TEXT = Field(_text)
_EXCHANGE = Field(_one_of(*EXCHANGES))
_ACTION = Field(_one_of("BUY", "SELL", "buy", "sell"))
_PRODUCT = Field(_one_of(*PRODUCTS))
_QUANTITY = Field(_units)
_PRICE = _non_negative("Price")
_TRIGGER = _non_negative("Trigger price")
_DAY = Field(_parsed_by(date.fromisoformat, "Not a valid date."))
_NULLABLE_TEXT = _optional(_text, nullable=True)
_ORDER_PRICES: Schema = {"price": _optional(_PRICE, 0.0), "trigger_price": _optional(_TRIGGER, 0.0)}

ACCOUNT: Schema = {"apikey": Field(_api_key)}
STRATEGY: Schema = {**ACCOUNT, "strategy": _TEXT}
PLACE: Schema = {
    **STRATEGY, "exchange": _EXCHANGE, "symbol": _TEXT, "action": _ACTION, "quantity": _QUANTITY,
    "pricetype": _optional(_one_of(*PRICE_TYPES), "MARKET"), "product": _optional(_one_of(*PRODUCTS), "MIS"),
    **_ORDER_PRICES, "disclosed_quantity": _optional(_integer, 0), "underlying_ltp": _optional(_number, nullable=True),
}  # fmt: skip
_BASKET_ORDER: Schema = {name: field for name, field in PLACE.items() if name not in STRATEGY}
BASKET: Schema = {**STRATEGY, "orders": Field(_items(_BASKET_ORDER))}
SPLIT: Schema = {**PLACE, "splitsize": Field(_between(1, math.inf, "Split size must be a positive integer."))}
SMART: Schema = {**PLACE, "quantity": Field(_whole("Quantity", 0)), "position_size": Field(_whole("Position size"))}
MODIFY: Schema = {
    **STRATEGY, "exchange": _EXCHANGE, "symbol": _TEXT, "orderid": _TEXT, "action": _ACTION, "product": _PRODUCT,
    "pricetype": Field(_one_of(*PRICE_TYPES)), "price": Field(_PRICE), "quantity": _QUANTITY,
    "disclosed_quantity": Field(_integer), "trigger_price": Field(_TRIGGER),
}  # fmt: skip
ORDER_ID: Schema = {**STRATEGY, "orderid": _TEXT}
OPEN_POSITION: Schema = {**STRATEGY, "symbol": _TEXT, "exchange": _EXCHANGE, "product": _PRODUCT}
MARGIN: Schema = {**ACCOUNT, "positions": Field(_items(None, 50, "Positions must contain 1 to 50 items."))}
TOGGLE: Schema = {**ACCOUNT, "mode": Field(_boolean)}
QUOTED_SYMBOL: Schema = {"symbol": _TEXT, "exchange": _EXCHANGE}
SYMBOL: Schema = {**ACCOUNT, **QUOTED_SYMBOL}
MULTI: Schema = {**ACCOUNT, "symbols": Field(_items(QUOTED_SYMBOL, refusal="Shorter than minimum length 1."))}
HISTORY: Schema = {
    **SYMBOL, "interval": Field(_one_of(*INTERVALS)), "start_date": _DAY, "end_date": _DAY,
    "source": _optional(_one_of("api", "db"), "api"),
}  # fmt: skip
SEARCH: Schema = {**ACCOUNT, "query": _TEXT, "exchange": _optional(_one_of(*EXCHANGES), "")}
EXPIRY: Schema = {
    **ACCOUNT, "symbol": _TEXT, "exchange": Field(_one_of(*FNO_EXCHANGES)),
    "instrumenttype": Field(_one_of("futures", "options")),
}  # fmt: skip
INSTRUMENTS: Schema = {**ACCOUNT, "exchange": _EXCHANGE, "format": _optional(_one_of("json", "csv"), "json")}
HOLIDAYS: Schema = {**ACCOUNT, "year": _optional(_between(2020, 2050))}
TIMINGS: Schema = {**ACCOUNT, "date": _TEXT}
_STRIKE_RULE: Schema = {
    "offset": Field(_offset), "option_type": Field(_one_of("CE", "PE", "ce", "pe")), "expiry_date": _NULLABLE_TEXT,
}  # fmt: skip
_OPTION_ORDER: Schema = {
    "action": _ACTION, "quantity": _QUANTITY, "splitsize": _optional(_whole("Split size", 0), 0),
    "pricetype": _optional(_one_of(*PRICE_TYPES), "MARKET"), "product": _optional(_one_of("MIS", "NRML"), "MIS"),
    **_ORDER_PRICES, "disclosed_quantity": _optional(_integer, 0),
}  # fmt: skip
LEG: Schema = {**_STRIKE_RULE, **_OPTION_ORDER}
_UNDERLYING: Schema = {**ACCOUNT, "underlying": _TEXT, "exchange": _EXCHANGE}
OPTION_SYMBOL: Schema = {
    **_UNDERLYING, **_STRIKE_RULE, "strategy": _optional(_text, ""),
    "strike_int": _optional(_between(1, 1_000_000), nullable=True),
}  # fmt: skip
OPTION_CHAIN: Schema = {
    **_UNDERLYING, "expiry_date": _TEXT, "strike_count": _optional(_between(1, 100), nullable=True),
    "with_greeks": _optional(_boolean, False), "interest_rate": _optional(_number, 0.0, nullable=True),
}  # fmt: skip
OPTIONS_ORDER: Schema = {**OPTION_SYMBOL, **_OPTION_ORDER, "strategy": _TEXT}
OPTIONS_MULTI: Schema = {
    **_UNDERLYING, "strategy": _TEXT, "expiry_date": _NULLABLE_TEXT,
    "legs": Field(_items(LEG, 20, "Legs must contain 1 to 20 items.")),
}  # fmt: skip
GREEK_SYMBOL: Schema = {
    "symbol": _TEXT, "exchange": Field(_one_of(*FNO_EXCHANGES)),
    "underlying_symbol": _NULLABLE_TEXT, "underlying_exchange": _NULLABLE_TEXT,
}  # fmt: skip
_GREEK_RULES: Schema = {
    "interest_rate": _optional(_number, 0, nullable=True),
    "expiry_time": _optional(_parsed_by(time.fromisoformat, "Invalid time format. Use HH:MM"), nullable=True),
}
GREEKS: Schema = {**ACCOUNT, **GREEK_SYMBOL, **_GREEK_RULES, "forward_price": _optional(_PRICE, nullable=True)}
_GREEK_SYMBOLS = Field(_items(GREEK_SYMBOL, 50, "Length must be between 1 and 50."))
MULTI_GREEKS: Schema = {**ACCOUNT, "symbols": _GREEK_SYMBOLS, **_GREEK_RULES}
SYNTHETIC: Schema = {**_UNDERLYING, "expiry_date": _TEXT}
TICKER: Schema = {
    **ACCOUNT, "subject": _TEXT, "interval": _optional(_one_of(*INTERVALS), "D"), "from": _DAY, "to": _DAY,
    "adjusted": _optional(_text, ""), "sort": _optional(_text, ""), "format": _optional(_text, "json"),
}  # fmt: skip
TELEGRAM: Schema = {
    **ACCOUNT, "username": _TEXT, "message": _TEXT, "priority": _optional(_between(1, 10), 5),
    "wait_for_delivery": _optional(_boolean, False),
}  # fmt: skip
_WHATSAPP_TEXTS = ("message", "username", "phone", "caption", "filename", "image_path", "document_path")
WHATSAPP: Schema = {
    **ACCOUNT, **{name: _optional(_text, "") for name in _WHATSAPP_TEXTS}, "phones": _optional(_rows, ()),
    "self": _optional(_boolean, False), "wait_for_delivery": _optional(_boolean, True),
}  # fmt: skip
GTT: Schema = {
    **STRATEGY, "trigger_type": Field(_one_of("SINGLE", "OCO")), "exchange": _EXCHANGE, "symbol": _TEXT,
    "action": _ACTION, "product": _TEXT, "quantity": _QUANTITY,
    "pricetype": _optional(_one_of("LIMIT", "MARKET"), "LIMIT"), "price": Field(_PRICE),
    "triggerprice_sl": _optional(_TRIGGER, 0.0, nullable=True),
    "triggerprice_tg": _optional(_TRIGGER, 0.0, nullable=True),
    "stoploss": _optional(_PRICE, 0.0, nullable=True), "target": _optional(_PRICE, 0.0, nullable=True),
    "expires_at": _optional(_parsed_by(_moment, "Not a valid datetime."), nullable=True),
}  # fmt: skip
MODIFY_GTT: Schema = {**GTT, "trigger_id": _TEXT}
CANCEL_GTT: Schema = {**STRATEGY, "trigger_id": _TEXT}
PUSH: Schema = {
    **SYMBOL, **{name: _optional(_number, 0.0) for name in ("ltp", "bid", "ask")}, "hold": _optional(_boolean, False),
    "release": _optional(_boolean, False), "depth": _optional(_integer, 0), "after": _optional(_number, 0.0),
}  # fmt: skip
PAUSE: Schema = {**ACCOUNT, "paused": Field(_boolean), "at": _optional(_integer, 0)}


def parse_fields(schema: Schema, body: dict[str, Any]) -> tuple[Fields, Errors]:
    """Parse a request body by its schema; returns the typed fields, and the errors by field ({} if there are none)."""
    fields: Fields = {}
    errors: Errors = {}
    for name, field in schema.items():
        if name not in body and not field.required:
            fields[name] = field.default
        elif name not in body:
            errors[name] = ["Missing data for required field."]
        elif body[name] is None and field.nullable:
            fields[name] = None
        elif body[name] is None:
            errors[name] = ["Field may not be null."]
        else:
            try:
                fields[name] = field.parse(body[name])
            except BadItems as bad:
                errors[name] = bad.errors
            except Bad as bad:
                errors[name] = [str(bad)]
    errors.update({name: ["Unknown field."] for name in body if name not in schema})
    return fields, errors
