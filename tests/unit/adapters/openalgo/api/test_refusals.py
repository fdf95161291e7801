"""Every error a server was seen to give becomes the type that says what to do."""

from __future__ import annotations

import pytest

from mytrading.adapters.openalgo.api.account import _Margin
from mytrading.adapters.openalgo.api.market import _Quote
from mytrading.adapters.openalgo.api.orders import Legs, OpenQuantity, Placed, _listed, _named
from mytrading.adapters.openalgo.api.request import parsed
from mytrading.adapters.openalgo.rest import error_types
from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.error_types import OpenAlgoError, error_of


def answer(status: int, body: str) -> HttpReply:
    return HttpReply(status, body.encode(), 1, 2)


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
    found = error_of(answer(status, body))
    assert type(found) is getattr(error_types, kind)
    assert found.advice in str(found)
    assert str(status) in str(found)


@pytest.mark.parametrize(
    ("name", "kind", "fix"),
    [
        ("BROKER_DISCONNECTED", error_types.BrokerDisconnected, "log in to the broker"),
        ("SYMBOL_NOT_FOUND", error_types.SymbolNotFound, "check symbol and exchange"),
        ("INSUFFICIENT_MARGIN", error_types.InsufficientMargin, "lower the quantity or add funds"),
        ("INVALID_QUANTITY", error_types.InvalidQuantity, "use whole lots"),
        ("PRICE_OUT_OF_RANGE", error_types.PriceOutOfRange, "inside today's price band"),
        ("DUPLICATE_ORDER", error_types.DuplicateOrder, "read the order book"),
        ("MARKET_CLOSED", error_types.MarketClosed, "in the exchange's session"),
    ],
)
def test_error_of_each_named_rejection_gives_its_type_and_a_fix(name: str, kind: type[OpenAlgoError], fix: str) -> None:
    answers = (said(name), f'{{"error":"it was refused","code":"{name}"}}', said(name.replace("_", " ").capitalize()))
    for body in answers:
        found = error_of(answer(400, body), placing=True)
        assert type(found) is kind
        assert fix in str(found)
    assert type(error_types.meaning_of(f"RMS: {name}")) is kind


@pytest.mark.parametrize("status", [200, 201, 500, 502, 504])
def test_error_of_placing_without_a_definitive_status_leaves_the_fate_open(status: int) -> None:
    found = error_of(answer(status, said("Insufficient funds")), placing=True)
    assert type(found) is error_types.FateUnknown


def test_every_error_type_has_advice_of_its_own() -> None:
    kinds = OpenAlgoError.__subclasses__()
    assert len({kind.advice for kind in kinds}) == len(kinds) > 15


def test_parsed_numbers_as_text_become_numbers() -> None:
    assert parsed(answer(200, '{"status":"success","quantity":"-65"}'), OpenQuantity).quantity == -65.0


def test_parsed_success_without_data_is_empty_not_zero() -> None:
    with pytest.raises(error_types.EmptyAnswer):
        parsed(answer(200, '{"status":"success","data":{}}'), _Margin)
    with pytest.raises(error_types.EmptyAnswer):
        parsed(answer(200, '{"status":"success"}'), _Quote)


def test_parsed_page_of_a_proxy_with_status_200_is_malformed() -> None:
    with pytest.raises(error_types.Malformed):
        parsed(answer(200, "<!DOCTYPE html><html>login</html>"), _Quote)


@pytest.mark.parametrize("body", ['{"status":"success","orderid":null}', '{"status":"success"}'])
def test_placed_success_without_an_order_id_leaves_the_fate_open(body: str) -> None:
    with pytest.raises(error_types.FateUnknown):
        _named(parsed(answer(200, body), Placed, placing=True))


def test_placed_in_semi_auto_is_parked() -> None:
    body = '{"status":"success","mode":"semi_auto","pending_order_id":7}'
    assert _named(parsed(answer(200, body), Placed, placing=True)).parked


def test_listed_in_semi_auto_is_parked_and_without_results_of_unknown_fate() -> None:
    body = '{"status":"success","mode":"semi_auto","pending_order_id":7}'
    assert _listed(parsed(answer(200, body), Legs, placing=True)).parked
    with pytest.raises(error_types.FateUnknown):
        _listed(parsed(answer(200, '{"status":"success"}'), Legs, placing=True))
