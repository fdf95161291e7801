"""Reads are tried again after a pause; what stands, and what is an order, is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mytrading.adapters.openalgo.rest.client import HttpReply, MaybeSent, NotSent, TransportFailed
from mytrading.adapters.openalgo.rest.retry import ONCE, Retries, retry_until_final

GOOD = HttpReply(200, b'{"status":"success"}', 1, 2)
FAILED = HttpReply(500, b"{}", 1, 2)


def busy(seconds: int) -> HttpReply:
    return HttpReply(429, b"{}", 1, 2, seconds * 1_000_000_000)


def script(*steps: HttpReply | TransportFailed) -> tuple[Callable[[], HttpReply], list[HttpReply | TransportFailed]]:
    left = list(steps)

    def ask() -> HttpReply:
        step = left.pop(0)
        if isinstance(step, TransportFailed):
            raise step
        return step

    return ask, left


@pytest.mark.parametrize(
    ("steps", "waited", "status"),
    [
        ((GOOD,), [], 200),
        ((FAILED, GOOD), [2.0], 200),
        ((MaybeSent("reset", 1, 2), FAILED, GOOD), [2.0, 2.0], 200),
        ((FAILED, FAILED, FAILED), [2.0, 2.0], 500),
        ((busy(1), GOOD), [2.0], 200),
        ((busy(30), GOOD), [30.0], 200),
        ((busy(61),), [], 429),
        ((HttpReply(403, b"{}", 1, 2),), [], 403),
        ((HttpReply(404, b"{}", 1, 2),), [], 404),
    ],
)
def test_read_is_tried_three_times_with_the_pause_between(
    steps: tuple[HttpReply | TransportFailed, ...], waited: list[float], status: int
) -> None:
    pauses: list[float] = []
    ask, left = script(*steps)
    assert retry_until_final(ask, Retries(wait=pauses.append)).status == status
    assert (pauses, left) == (waited, [])


def test_read_without_an_answer_raises_after_the_last_try() -> None:
    pauses: list[float] = []
    ask, left = script(*[MaybeSent("silence", 1, 2)] * 5)
    with pytest.raises(MaybeSent):
        retry_until_final(ask, Retries(4, 0.5, pauses.append))
    assert (pauses, len(left)) == ([0.5] * 3, 1)


def test_server_that_is_not_there_is_asked_once() -> None:
    ask, left = script(NotSent("refused", 1, 2), GOOD)
    with pytest.raises(NotSent):
        retry_until_final(ask, Retries(wait=lambda _: None))
    assert left == [GOOD]


def test_once_is_one_try() -> None:
    ask, left = script(FAILED, GOOD)
    assert (retry_until_final(ask, ONCE).status, left) == (500, [GOOD])
