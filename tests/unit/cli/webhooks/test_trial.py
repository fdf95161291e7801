"""An alert sent by hand: what is asked again, and what is not."""

from __future__ import annotations

import pytest

from mytrading.cli.webhooks.trial import send_alert
from mytrading.core.webhooks.answers import AlertAnswer
from tests.kit.alert_loop import Loop


@pytest.mark.parametrize(
    ("answers", "patience", "expected"), [((404, 503, 202), 5.0, 202), ((404, 202), 0.0, 404), ((409, 202), 5.0, 409)]
)
def test_alert_is_sent_again_until_the_stack_knows_its_webhook(
    answers: tuple[int, ...], patience: float, expected: int
) -> None:
    with Loop() as loop:
        statuses = iter(answers)
        loop.answer = lambda _: AlertAnswer(next(statuses), {})
        url = f"http://127.0.0.1:{loop.server.port}/strategy/webhook/token"
        assert send_alert(url, b"{}", patience)[0] == expected
