"""The outcome policy: every kind of answer the reference describes, and what it must mean."""

import msgspec
import pytest

from mytrading.adapters.openalgo.rest.book_parsers import parse_order
from mytrading.adapters.openalgo.rest.client import HttpReply, MaybeSent, NotSent
from mytrading.adapters.openalgo.rest.order_outcomes import classify_answer, classify_failure
from mytrading.messages.enums import Call, Outcome
from mytrading.messages.orders import TRIGGER_CROSSED
from mytrading.messages.run_config import ServerMode

PAPER, LIVE = ServerMode.ANALYZE, ServerMode.LIVE
PLACED = b'{"mode":"analyze","orderid":"26112015007725","status":"success"}'
PLACED_LIVE = b'{"orderid":"261120168764784","status":"success"}'


def answer(status: int, body: bytes) -> HttpReply:
    return HttpReply(status, body, 1, 2)


@pytest.mark.parametrize(
    ("status", "body", "expected", "outcome"),
    [
        (200, PLACED, PAPER, Outcome.ACCEPTED),
        (200, PLACED_LIVE, LIVE, Outcome.ACCEPTED),
        (200, b'{"status":"success","orderid":261120,"mode":"analyze"}', PAPER, Outcome.ACCEPTED),
        (200, PLACED_LIVE, PAPER, Outcome.WRONG_MODE),
        (200, PLACED, LIVE, Outcome.WRONG_MODE),
        (200, b'{"status":"success","mode":"semi_auto","pending_order_id":1}', LIVE, Outcome.PARKED),
        (200, b'{"status":"success","mode":"semi_auto","pending_order_id":1}', PAPER, Outcome.PARKED),
        (200, b'{"status":"success","orderid":null}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":"  ","mode":"analyze"}', PAPER, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":true}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":"None"}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":"null"}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":0}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":"0"}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":"nan"}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"success","orderid":"undefined"}', LIVE, Outcome.UNKNOWN),
        (200, b'{"status":"error","message":"odd"}', LIVE, Outcome.UNKNOWN),
        (200, b"<html>proxy</html>", LIVE, Outcome.UNKNOWN),
        (200, b"[]", LIVE, Outcome.UNKNOWN),
        (200, b"", LIVE, Outcome.UNKNOWN),
        (201, b'{"status":"error","message":"created"}', LIVE, Outcome.UNKNOWN),
        (400, b'{"status":"error","message":"Insufficient funds"}', PAPER, Outcome.REFUSED),
        (401, b'{"status":"error","message":"bad key"}', PAPER, Outcome.REFUSED),
        (403, b"Access Denied: Your IP has been banned", LIVE, Outcome.REFUSED),
        (404, b'{"status":"error","message":"Symbol X not found"}', PAPER, Outcome.REFUSED),
        (409, b"{}", PAPER, Outcome.UNKNOWN),
        (429, b'{"message":"10 per 1 second"}', PAPER, Outcome.RATE_LIMITED),
        (500, b'{"status":"error","message":"Gateway error"}', LIVE, Outcome.UNKNOWN),
        (501, b'{"status":"error","message":"not implemented"}', LIVE, Outcome.REFUSED),
        (502, b"Bad Gateway", LIVE, Outcome.UNKNOWN),
        (503, b"", LIVE, Outcome.UNKNOWN),
        (400, b'{"mode":"analyze","status":"error","message":"no funds"}', PAPER, Outcome.REFUSED),
        (400, b'{"mode":"analyze","status":"error","message":"no funds"}', LIVE, Outcome.WRONG_MODE),
        (500, b'{"mode":"live","status":"error","message":"odd"}', PAPER, Outcome.WRONG_MODE),
        (200, b'{"mode":"live","status":"error","message":"odd"}', PAPER, Outcome.WRONG_MODE),
        (200, b'{"mode":"analyze","status":"error","message":"odd"}', LIVE, Outcome.WRONG_MODE),
        (200, b'{"mode":"analyze","status":"error","message":"odd"}', PAPER, Outcome.UNKNOWN),
        (200, b'{"mode":"semi_auto","status":"error","message":"odd"}', LIVE, Outcome.UNKNOWN),
        (200, b'{"mode":"analyze","orderid":"7"}', LIVE, Outcome.WRONG_MODE),
    ],
)
def test_place_answer_means_outcome(status: int, body: bytes, expected: ServerMode, outcome: Outcome) -> None:
    assert classify_answer(Call.PLACE, answer(status, body), expected).outcome is outcome


@pytest.mark.parametrize(
    ("text", "crossed"),
    [
        ("Trigger price for stoploss sell orders should be lower than the last traded price", True),
        ("Trigger price for stoploss buy orders cannot be below the last traded price 812.40", True),
        ("Trigger Price should be less than LTP", True),
        ("RMS:Rule: Trigger price is more than current market price for SL sell", True),
        ("LTP is already below the trigger price", True),
        ("stop would trigger immediately", True),
        ("SL orders require trigger_price", False),
        ("trigger_price must be inside the price band 10.00 to 20.00: 9 is not", False),
        ("Trigger price is not a multiple of tick size 0.05", False),
        ("Insufficient funds", False),
    ],
)
def test_refusal_of_a_stop_that_was_passed_is_coded_and_no_other(text: str, crossed: bool) -> None:
    body = msgspec.json.encode({"status": "error", "message": text})
    found = classify_answer(Call.PLACE, answer(400, body), PAPER)
    assert found.message == f"{TRIGGER_CROSSED if crossed else ''}{text}"
    row = {
        "orderid": "1",
        "symbol": "SBIN",
        "exchange": "NSE",
        "action": "SELL",
        "quantity": 1,
        "order_status": "rejected",
    }
    assert parse_order({**row, "rejection_reason": text}).message == found.message


def test_place_accepted_carries_id_as_text() -> None:
    body = b'{"status":"success","orderid":261120,"mode":"analyze"}'
    assert classify_answer(Call.PLACE, answer(200, body), PAPER).broker_order_id == "261120"


def test_place_in_wrong_mode_keeps_the_id_of_the_order_that_exists() -> None:
    verdict = classify_answer(Call.PLACE, answer(200, PLACED_LIVE), PAPER)
    assert verdict.broker_order_id == "261120168764784"
    assert "expected a server in mode analyze, found live" in verdict.message


def test_place_rejected_with_row_keeps_its_id() -> None:
    body = b'{"status":"error","message":"Cannot sell in CNC","orderid":"26112029526289","mode":"analyze"}'
    verdict = classify_answer(Call.PLACE, answer(400, body), PAPER)
    assert (verdict.outcome, verdict.broker_order_id) == (Outcome.REFUSED, "26112029526289")


def test_rate_limit_asks_for_a_pause() -> None:
    verdict = classify_answer(Call.PLACE, answer(429, b'{"message":"10 per 1 second"}'), PAPER)
    assert verdict.retry_after_ns == 1_000_000_000
    assert verdict.message == "10 per 1 second"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"status":"error","message":"Insufficient funds"}', "Insufficient funds"),
        (b'{"status":"error","message":"{\'quantity\': [\'bad\']}"}', "{'quantity': ['bad']}"),
        (b'{"status":"error","message":{"quantity":["bad","worse"]}}', "quantity: bad, worse"),
        (b'{"status":"error","message":"Validation error","errors":{"q":["bad"]}}', "Validation error: q: bad"),
        (b'{"status":"error"}', "HTTP 400 without a message"),
        (b"", "HTTP 400 without a text"),
        (b"plain words", "plain words"),
    ],
)
def test_error_shapes_become_one_line(body: bytes, text: str) -> None:
    assert classify_answer(Call.PLACE, answer(400, body), PAPER).message == text


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"message":"Order cancelled","mode":"analyze","orderid":"1","status":"success"}', Outcome.ACCEPTED),
        (200, b'{"orderid":"1","status":"success"}', Outcome.WRONG_MODE),
        (
            400,
            b'{"message":"Cannot cancel order in complete status","mode":"analyze","status":"error"}',
            Outcome.REFUSED,
        ),
        (404, b'{"message":"Order 1 not found","mode":"analyze","status":"error"}', Outcome.REFUSED),
        (500, b'{"message":"Failed to cancel order: Client error","status":"error"}', Outcome.UNKNOWN),
    ],
)
def test_cancel_answer_means_outcome(status: int, body: bytes, outcome: Outcome) -> None:
    assert classify_answer(Call.CANCEL, answer(status, body), PAPER).outcome is outcome


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (
            200,
            b'{"message":"Order modified successfully","mode":"analyze","orderid":"1","status":"success"}',
            "ACCEPTED",
        ),
        (200, b'{"mode":"analyze","status":"success"}', "ACCEPTED"),
        (200, b'{"orderid":"1","status":"success"}', "WRONG_MODE"),
        (200, b'{"message":"odd","mode":"analyze","status":"error"}', "UNKNOWN"),
        (200, b"<html>", "UNKNOWN"),
        (201, b'{"status":"error"}', "UNKNOWN"),
        (400, b'{"message":"Cannot modify order in complete status","mode":"analyze","status":"error"}', "REFUSED"),
        (403, b'{"message":"not allowed in semi-auto mode","status":"error"}', "REFUSED"),
        (404, b'{"message":"Order 1 not found","mode":"analyze","status":"error"}', "REFUSED"),
        (429, b'{"message":"10 per 1 second"}', "RATE_LIMITED"),
        (500, b'{"message":"Failed to modify order: Client error","status":"error"}', "UNKNOWN"),
        (501, b'{"message":"not implemented","status":"error"}', "REFUSED"),
    ],
)
def test_modify_answer_means_outcome(status: int, body: bytes, outcome: str) -> None:
    assert classify_answer(Call.MODIFY, answer(status, body), PAPER).outcome == outcome


@pytest.mark.parametrize("call", Call)
@pytest.mark.parametrize(
    ("status", "body", "may_have_happened"),
    [
        (200, b'{"orderid":null,"status":"success"}', True),  # a business error at one broker, an order at another
        (201, b'{"status":"error","message":"x"}', True),  # the broker took it and said 201
        (400, b'{"status":"error","message":"{\'quantity\': [\'x\']}"}', False),
        (401, b'{"status":"error","message":"x"}', False),
        (403, b'{"status":"error","message":"Invalid openalgo apikey"}', False),
        (403, b"Access Denied: Your IP has been banned", False),
        (404, b'{"status":"error","message":"x","path":"/api/v1/x"}', False),
        (409, b'{"status":"error","message":"x"}', True),  # of no order route, so nothing is known of it
        (429, b'{"message":"10 per 1 second"}', False),
        (500, b'{"status":"error","message":"x"}', True),  # also an id that collided after margin was blocked
        (501, b'{"status":"error","message":"x"}', False),
        (502, b"Bad Gateway", True),
        (504, b"", True),
    ],
)
def test_every_documented_status_is_certain_or_unknown(
    call: Call, status: int, body: bytes, may_have_happened: bool
) -> None:
    """No key makes a repeated order one order, so only a definitive answer may ever lead to another call."""
    certain = (Outcome.REFUSED, Outcome.RATE_LIMITED)
    assert (classify_answer(call, answer(status, body), LIVE).outcome not in certain) is may_have_happened


def test_failures_tell_not_sent_from_unknown() -> None:
    assert classify_failure(NotSent("refused", 1, 2)).outcome is Outcome.NOT_SENT
    assert classify_failure(MaybeSent("reset", 1, 2)).outcome is Outcome.UNKNOWN
