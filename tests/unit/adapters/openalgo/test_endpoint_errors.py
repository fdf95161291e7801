"""Every error a server was seen to give becomes the type that says what to do."""

from __future__ import annotations

import pytest

from mytrading.adapters.openalgo.endpoints import Margin, ServerQuote, Triggered, _with_trigger_id, decode_answer
from mytrading.adapters.openalgo.rest import errors
from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, typed_error


def answer(status: int, body: str) -> HttpReply:
    return HttpReply(status, body.encode(), 1, 2)


def test_long_text_ends_with_a_whole_word_so_that_no_half_address_is_shown() -> None:
    address = "https://api.broker.example/orders?session=12345678901234567890"
    text = f"{'the broker did not answer ' * 10}see {address}"
    assert 300 - len(address) < len(text) - len(address) < 300 < len(text)
    line = errors.error_text(said(text).encode(), 500)
    assert line.endswith("see …") and "http" not in line and len(line) <= 300
    assert errors.error_text(said(f"see {address}").encode(), 500) == f"see {address}"
    assert len(errors.error_text(said("x" * 900).encode(), 500)) <= 300


def said(text: str) -> str:
    return f'{{"status":"error","message":"{text}"}}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, said("Invalid openalgo apikey"), "BrokerDisconnected"),
        (403, "Access Denied: Your IP has been banned", "NotWhitelisted"),
        (403, said("Operation cancelorder is not allowed in Semi-Auto mode"), "ApprovalRequired"),
        (400, said("Insufficient funds. Required: 10, Available: 1, Shortage: 9"), "InsufficientMargin"),
        (400, said("Quantity must be in multiples of lot size 65"), "InvalidQuantity"),
        (400, said("Symbol XYZ not found on NSE"), "SymbolNotFound"),
        (400, said("LIMIT orders require price"), "PriceOutOfRange"),
        (400, said("MIS orders cannot be placed after square-off time (15:15 IST)"), "MarketClosed"),
        (404, said("Order 123 not found"), "OrderNotFound"),
        (400, said("Cannot cancel order in complete status"), "OrderClosed"),
        (429, '{"message":"10 per 1 second"}', "RateLimited"),
        (501, said("GTT is not supported for broker x"), "NotSupported"),
        (400, said("{'target': ['Unknown field.']}"), "InvalidRequest"),
        (400, '{"status":"error","message":{"symbol":["Missing data for required field."]}}', "InvalidRequest"),
        (400, '{"status":"error","message":"Validation error","errors":{"offset":["bad"]}}', "InvalidRequest"),
        (400, '{"status":"error","message":"Validation failed","errors":{"symbol":["bad"]}}', "InvalidRequest"),
        (502, "<html><body>Bad Gateway</body></html>", "Malformed"),
        (500, said("boom"), "ServerFailed"),
    ],
)
def test_error_of_each_known_answer_gives_its_type(status: int, body: str, kind: str) -> None:
    found = typed_error(answer(status, body))
    assert type(found) is getattr(errors, kind)
    assert found.advice in str(found)
    assert str(status) in str(found)


@pytest.mark.parametrize(
    ("name", "kind", "fix"),
    [
        ("BROKER_DISCONNECTED", errors.BrokerDisconnected, "log in to the broker"),
        ("SYMBOL_NOT_FOUND", errors.SymbolNotFound, "check symbol and exchange"),
        ("INSUFFICIENT_MARGIN", errors.InsufficientMargin, "lower the quantity or add funds"),
        ("INVALID_QUANTITY", errors.InvalidQuantity, "use whole lots"),
        ("PRICE_OUT_OF_RANGE", errors.PriceOutOfRange, "inside today's price band"),
        ("DUPLICATE_ORDER", errors.DuplicateOrder, "read the order book"),
        ("MARKET_CLOSED", errors.MarketClosed, "in the exchange's session"),
    ],
)
def test_error_of_each_named_rejection_gives_its_type_and_a_fix(name: str, kind: type[OpenAlgoError], fix: str) -> None:
    answers = (said(name), f'{{"error":"it was refused","code":"{name}"}}', said(name.replace("_", " ").capitalize()))
    for body in answers:
        found = typed_error(answer(400, body), placing=True)
        assert type(found) is kind
        assert fix in str(found)
    assert type(errors.classify_error_text(f"RMS: {name}")) is kind


@pytest.mark.parametrize("status", [200, 201, 500, 502, 504])
def test_error_of_placing_without_a_definitive_status_leaves_the_fate_open(status: int) -> None:
    found = typed_error(answer(status, said("Insufficient funds")), placing=True)
    assert type(found) is errors.FateUnknown


def test_every_error_type_has_advice_of_its_own() -> None:
    kinds = OpenAlgoError.__subclasses__()
    assert len({kind.advice for kind in kinds}) == len(kinds) > 15


def test_parsed_numbers_as_text_become_numbers() -> None:
    assert decode_answer(answer(200, '{"status":"success","data":{"ltp":"-65"}}'), ServerQuote).ltp == -65.0


def test_parsed_success_without_data_is_empty_not_zero() -> None:
    with pytest.raises(errors.EmptyAnswer):
        decode_answer(answer(200, '{"status":"success","data":{}}'), Margin)
    with pytest.raises(errors.EmptyAnswer):
        decode_answer(answer(200, '{"status":"success"}'), ServerQuote)


def test_parsed_page_of_a_proxy_with_status_200_is_malformed() -> None:
    with pytest.raises(errors.Malformed):
        decode_answer(answer(200, "<!DOCTYPE html><html>login</html>"), ServerQuote)


@pytest.mark.parametrize("body", ['{"status":"success","trigger_id":null}', '{"status":"success"}'])
def test_trigger_success_without_an_id_leaves_the_fate_open(body: str) -> None:
    with pytest.raises(errors.FateUnknown):
        _with_trigger_id(decode_answer(answer(200, body), Triggered, whole=True, placing=True))


def test_success_of_another_shape_leaves_the_fate_of_a_placing_call_open() -> None:
    with pytest.raises(errors.FateUnknown):
        decode_answer(answer(200, '{"status":"success","trigger_id":[1]}'), Triggered, whole=True, placing=True)
