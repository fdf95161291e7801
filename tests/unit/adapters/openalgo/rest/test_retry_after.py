"""Pause after a server answered 429."""

from __future__ import annotations

import pytest

from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.order_outcomes import classify_answer
from mytrading.adapters.openalgo.rest.retry import retry_after_ns
from mytrading.core.time import SECOND
from mytrading.messages.enums import Call, Outcome
from mytrading.messages.run_config import ServerMode


@pytest.mark.parametrize(
    ("body", "header_s", "seconds"),
    [
        (b'{"message":"10 per 1 second"}', 0, 1),
        (b'{"message":"100 per 1 minute"}', 0, 60),
        (b'{"message":"5 per 5 second"}', 0, 5),
        (b'{"message":"100 per 1 minute"}', 7, 7),
        (b'{"status":"error","message":"Rate limit exceeded","retry_after":30}', 0, 30),
        (b'{"message":"20 per hour"}', 0, 60),
        (b'{"message":"20 per hour"}', 900, 900),
        (b'{"status":"error","retry_after":300}', 0, 300),
        (b'{"message":"10 per 1 second"}', 86_400, 3600),
        (b'{"status":"error","retry_after":1e300}', 0, 3600),
        (b"<html>Too Many Requests</html>", 0, 1),
        (b"", 0, 1),
    ],
)
def test_wait_is_what_the_server_says_between_a_second_and_an_hour(body: bytes, header_s: int, seconds: int) -> None:
    assert retry_after_ns(HttpReply(429, body, 1, 2, header_s * SECOND)) == seconds * SECOND


def test_order_call_waits_as_long_as_the_server_says() -> None:
    verdict = classify_answer(Call.PLACE, HttpReply(429, b"{}", 1, 2, 9 * SECOND), ServerMode.ANALYZE)
    assert (verdict.outcome, verdict.retry_after_ns) == (Outcome.RATE_LIMITED, 9 * SECOND)
