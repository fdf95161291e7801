"""Bodies of alerts: raw bytes to a flat table of fields, or a refusal. The content type says nothing and is not read.

Strict on purpose: a key that is there twice, a NaN or a broken letter could mean one thing to the sender and another
to us.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from mytrading.core.text.spelling import name_key
from mytrading.core.webhooks.refusals import AlertRefused, refusal
from mytrading.messages.webhooks import AlertRefusal

MOST_BYTES = 16 * 1024
"""Size of the largest body that is read."""
MOST_UNITS = 10**9
"""The largest size that an alert may name."""
SECRETS = frozenset(("key", "pin", "otp", "sign", "hmac"))
"""Names of fields whose values no journal keeps, beside those with a part of `_SECRET_PARTS`."""
_SECRET_PARTS = ("secret", "pass", "pwd", "token", "apikey", "signature", "auth", "credential")
"""Names that hold one of these, written together and in small letters, are such fields too."""
BLANK = "***"
BODY_SECONDS = 5.0
"""Time in which a body must have come."""
_MOST_KEPT = 2000
"""Characters of a body that the journal keeps."""
_LONGEST_NUMBER = 40
_DEEPEST = 8
"""Levels to which a body may be nested; deeper ones exhaust the stack of what reads them."""
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,9})?")
_UNREADABLE = Decimal("NaN")


def decode_body(body: bytes, *, forms: bool) -> dict[str, Any]:
    """Return the fields of a body, numbers as `Decimal` (NaN for one too long); `forms`: also `key=value&…`.

    Raises `AlertRefused`.
    """
    if len(body) > MOST_BYTES:
        raise AlertRefused(too_large())
    try:
        text = body.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise AlertRefused(
            refusal("BAD_JSON", f"expected text in UTF-8; byte {error.start + 1} of the body is not")
        ) from None
    if not text:
        raise AlertRefused(refusal("EMPTY_BODY", "expected a JSON object with symbol and action, found no body"))
    if text[0] == "{" or not forms or "=" not in text:
        return _decode_json(text)
    return _decode_form(text)


def too_large() -> AlertRefusal:
    """Return the refusal of a body that is too large, or comes too slowly to tell."""
    return refusal("BODY_TOO_LARGE", f"expected a body of at most {MOST_BYTES} bytes, within {BODY_SECONDS:g} s")


def _decode_json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_decimal, parse_int=_decimal
        )
    except AlertRefused:
        raise
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise AlertRefused(
            refusal("BAD_JSON", f'expected a JSON object such as {{"symbol": "SBIN", "action": "buy"}}: {error}')
        ) from None
    if _levels(found) > _DEEPEST:
        raise _too_deep()
    if found is None or found == {}:
        raise AlertRefused(refusal("EMPTY_BODY", "expected a JSON object with symbol and action", found))
    if not isinstance(found, dict):
        raise AlertRefused(refusal("BAD_JSON", "expected a JSON object in braces", found))
    return found


def _too_deep() -> AlertRefused:
    return AlertRefused(refusal("BAD_JSON", f"expected a flat JSON object, at most {_DEEPEST} levels deep"))


def _levels(value: Any) -> int:
    """Return the nesting depth of lists and objects, counted up to one more than is allowed."""
    level = [value]
    for depth in range(_DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, list | dict)
            for inner in (one if isinstance(one, list) else one.values())
        ]
        if not level:
            return depth + 1
    return _DEEPEST + 1


def _decode_form(text: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=50)
    except ValueError as error:
        raise AlertRefused(
            refusal("BAD_FORM", f"expected JSON, or a form such as symbol=SBIN&action=buy: {error}")
        ) from None
    return _unique(pairs)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise AlertRefused(refusal("BAD_JSON", "expected each key once, found one twice", key))
        found[key] = value
    return found


def _refuse_constant(word: str) -> Any:
    raise AlertRefused(refusal("BAD_NUMBER", "expected numbers that JSON has", word))


def _decimal(text: str) -> Decimal:
    number = _number(text)
    return _UNREADABLE if number is None else number


def _number(text: str) -> Decimal | None:
    """A number as JSON or a form writes it; None for other text, and for one too long to be a size."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal counts
        return None


def read_units(fields: Mapping[str, Any], key: str) -> int | None:
    """Return the whole number under `key`, None if it is not there; "100.0" is 100. Raises `AlertRefused`."""
    if key not in fields:
        return None
    value = fields[key]
    number: Decimal | None = None
    if isinstance(value, Decimal | str):
        number = _number(str(value).strip())
    if number is None or not number.is_finite():
        raise AlertRefused(refusal("BAD_NUMBER", f"expected a whole number as {key}, say 100", value))
    if number.adjusted() > 9 or abs(number) > MOST_UNITS:
        raise AlertRefused(refusal("BAD_NUMBER", f"expected {key} of at most {MOST_UNITS:,}", value))
    if number != number.to_integral_value():
        raise AlertRefused(refusal("BAD_NUMBER", f"expected whole units as {key}, without a fraction", value))
    return int(number)


def read_text(fields: Mapping[str, Any], key: str, most: int, *, needed: bool = False) -> str:
    """Return the text under `key`, stripped, "" if it is not there; a number counts as its digits. At most `most`
    characters; raises `AlertRefused`, also if it is `needed` and empty or absent."""
    value = fields.get(key, "")
    if isinstance(value, Decimal):
        value = str(value)
    if not isinstance(value, str):
        raise AlertRefused(refusal("BAD_FIELD", f"expected text as {key}", value))
    text = value.strip()
    if len(text) > most:
        raise AlertRefused(refusal("BAD_FIELD", f"expected {key} of at most {most} characters", text))
    if any(not letter.isprintable() for letter in text):
        raise AlertRefused(refusal("BAD_FIELD", f"expected {key} without control characters", text))
    if needed and not text:
        given = ", ".join(sorted(fields)) or "nothing"
        raise AlertRefused(refusal("MISSING_FIELD", f"expected a field {key} with a value", f"only {given}"))
    return text


def redact_body(body: bytes, fields: Mapping[str, Any] | None, *, is_cut: bool = False) -> str:
    """Return a body for the journal: its fields as JSON with secrets blanked, or, if it was not read (None), its
    size alone, since nobody knows what of it is a secret. `is_cut`: more of it did not come."""
    if fields is None:
        return f"{'more than ' if is_cut else ''}{len(body)} bytes that were not read"
    text = json.dumps(_blanked(fields), default=str, ensure_ascii=True, separators=(",", ":"))
    return text if len(text) <= _MOST_KEPT else f"{text[:_MOST_KEPT]}…"


def _is_secret(key: str) -> bool:
    bare = name_key(key)
    return bare in SECRETS or any(part in bare for part in _SECRET_PARTS)


def _blanked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: BLANK if _is_secret(key) else _blanked(inner) for key, inner in value.items()}
    return [_blanked(inner) for inner in value] if isinstance(value, list) else value
