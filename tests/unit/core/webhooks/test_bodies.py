"""Bodies of alerts: what is read, what is refused and with which code, and what of them is kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytrading.core.webhooks.bodies import MOST_BYTES, redact_body
from mytrading.core.webhooks.refusals import STATUSES, AlertRefused
from mytrading.core.webhooks.senders import ParsedAlert, decode_fields, read_alert
from mytrading.messages.webhooks import AlertAction, AlertIntent, Sender


def parse(body: bytes | str, sender: Sender = Sender.GENERIC) -> ParsedAlert:
    raw = body.encode() if isinstance(body, str) else body
    return read_alert(sender, decode_fields(sender, raw))


def refused(body: bytes | str, sender: Sender = Sender.GENERIC) -> str:
    with pytest.raises(AlertRefused) as caught:
        parse(body, sender)
    assert caught.value.refusal.text
    return caught.value.refusal.code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "EMPTY_BODY"),
        (b"  \n", "EMPTY_BODY"),
        (b"{}", "EMPTY_BODY"),
        (b"null", "EMPTY_BODY"),
        (b"[]", "BAD_JSON"),
        (b"12", "BAD_JSON"),
        (b'{"symbol": "SBIN", "action": "buy"', "BAD_JSON"),
        (b'{"symbol": "SBIN", "symbol": "INFY", "action": "buy"}', "BAD_JSON"),
        (b'{"symbol": "SBIN", "action": "buy", "x": {"a": 1, "a": 2}}', "BAD_JSON"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": NaN}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": Infinity}', "BAD_NUMBER"),
        (b'\xff{"symbol": "SBIN"}', "BAD_JSON"),
        (b"[" * 16_000, "BAD_JSON"),
        (b'{"symbol": ' + b"[" * 900 + b"]" * 900 + b"}", "BAD_JSON"),
        (b'{"symbol": "SBIN", "action": "buy", "x": ' + b'{"a": ' * 8 + b"1" + b"}" * 9, "BAD_JSON"),
        (b"{" + b" " * MOST_BYTES + b"}", "BODY_TOO_LARGE"),
        (b'{"action": "buy"}', "MISSING_FIELD"),
        (b'{"symbol": "", "action": "buy"}', "MISSING_FIELD"),
        (b'{"symbol": "SBIN"}', "MISSING_FIELD"),
        (b'{"symbol": ["SBIN"], "action": "buy"}', "BAD_FIELD"),
        (b'{"symbol": true, "action": "buy"}', "BAD_FIELD"),
        (b'{"symbol": "SB\\u0000IN", "action": "buy"}', "BAD_FIELD"),
        (b'{"symbol": "SBIN", "action": "hold"}', "BAD_ACTION"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": "many"}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": null}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": true}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": 100.7}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": "1_000"}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": 1e99999999999999999999}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": 12345678901}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "quantity": 0}', "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "quantity": -5}', "BAD_NUMBER"),
        (b"symbol=SBIN&action", "BAD_FORM"),
        (b"symbol=SBIN&symbol=INFY&action=buy", "BAD_JSON"),
        (b"buy SBIN", "BAD_JSON"),
    ],
)
def test_body_that_cannot_be_read_is_refused_with_its_code(body: bytes, code: str) -> None:
    assert refused(body) == code


@pytest.mark.parametrize("size", ["100", '"100"', "100.0", '"100.0"', "1e2", '" 100 "'])
def test_whole_number_is_read_however_it_is_written(size: str) -> None:
    found = parse(f'{{"symbol": "sbin", "action": "Buy", "position_size": {size}}}').intents
    assert found == (AlertIntent(symbol="SBIN", action=AlertAction.BUY, position_size=100),)


def test_form_is_read_from_generic_senders_and_amibroker_alone() -> None:
    body = "symbol=NSE%3ASBIN&action=sell&position_size=-5&id=7&time=09%3A20"
    for sender in (Sender.GENERIC, Sender.AMIBROKER):
        found = parse(body, sender)
        assert found.intents == (AlertIntent(symbol="NSE:SBIN", action=AlertAction.SELL, position_size=-5),)
        assert (found.sender_id, found.bar_time) == ("7", "09:20")
    assert refused(body, Sender.TRADINGVIEW) == "BAD_JSON"


def test_fields_that_nobody_asked_for_are_passed_over() -> None:
    body = '{"symbol": "SBIN", "action": "buy", "price": 1.5, "exchange": {"a": [1]}, "apikey": "x"}'
    assert parse(body).intents == (AlertIntent(symbol="SBIN", action=AlertAction.BUY),)


def test_no_secret_of_a_body_is_kept() -> None:
    names = ("secret", "Token", "pass", "passwd", "webhook_secret", "API-KEY", "x_signature", "Authorization", "pin")
    nested = ", ".join(f'"{name}": "hunter2"' for name in names)
    body = f'{{"symbol": "SBIN", {nested}, "x": [{{"apikey": "hunter2"}}]}}'.encode()
    kept = redact_body(body, decode_fields(Sender.GENERIC, body))
    assert "hunter2" not in kept
    assert json.loads(kept)["symbol"] == "SBIN"
    assert "hunter2" not in redact_body(b"secret=hunter2", None)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(Sender))
def test_any_bytes_are_read_or_refused(body: bytes, sender: Sender) -> None:
    try:
        parse(body, sender)
    except AlertRefused as error:
        assert error.refusal.code in STATUSES


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("symbol", "action", "position_size", "quantity", "id", "time", "secret", "stocks", "alert_name", "scan_name")


@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.sampled_from(Sender))
def test_any_values_of_known_keys_are_read_or_refused(fields: dict[str, Any], sender: Sender) -> None:
    body = json.dumps(fields).encode()
    try:
        found = parse(body, sender)
    except AlertRefused as error:
        assert STATUSES[error.refusal.code] in (400, 413, 422)
    else:
        assert found.intents
        for intent in found.intents:
            assert abs(intent.position_size or 0) <= 10**9
