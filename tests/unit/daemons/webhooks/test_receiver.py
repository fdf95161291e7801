"""The receiver's decisions on requests before its machine: tokens, a full disk, too many requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.core.webhooks.answers import AlertAnswer
from mytrading.core.webhooks.authentication import AlertRequest, digest_of
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookToken
from mytrading.daemons.webhooks.daemon import WebhookReceiver
from mytrading.messages.webhooks import AlertJudged, AlertReceived, Sender
from mytrading.runtime.host.clock import machine_now
from tests.kit.webhook_process import journaled, webhook_process

FILE = WebhookFile(
    sender=Sender.GENERIC,
    token=WebhookToken(digest=digest_of("right")),
    symbols=(SymbolMapping(symbol="SBIN", instrument="NSE:SBIN", quantity=5),),
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[WebhookReceiver]:
    with webhook_process(tmp_path, {"alerts": FILE}) as made:
        yield made


def ask(receiver: WebhookReceiver, body: bytes = b"{", token: str = "right") -> AlertAnswer:
    request = AlertRequest(token=token, body=body, ip="10.0.0.1", received_ns=machine_now(), wall_ns=0)
    return receiver._alert(request)


def codes(receiver: WebhookReceiver) -> list[str]:
    rows = [row for row in journaled(receiver) if isinstance(row, AlertJudged)]
    return [row.refusal.code if row.refusal is not None else row.verdict.value for row in rows]


def test_alert_is_journaled_before_it_is_answered(receiver: WebhookReceiver) -> None:
    answer = ask(receiver, b'{"symbol": "SBIN", "action": "buy"}')
    assert (answer.status, answer.body["target"]) == (202, 5)
    assert codes(receiver) == ["accepted"]


def test_nothing_is_done_while_the_disk_is_full_or_contracts_are_unknown(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(type(receiver.journal), "short", True)
        answer = ask(receiver)
        assert (answer.status, answer.body["code"], answer.retry_after) == (503, "NOT_READY", 5)
        assert "disk" in answer.body["message"]
        assert ask(receiver, token="wrong").status == 404
    with monkeypatch.context() as patched:
        patched.setattr(receiver.hooks.environment, "instruments", ())
        assert ask(receiver).status == 503
    assert codes(receiver) == []


def test_first_request_over_the_limit_is_journaled_and_all_are_answered_429(receiver: WebhookReceiver) -> None:
    receiver.hooks.requests.most = 2
    assert [ask(receiver).status for _ in range(5)] == [400, 400, 429, 429, 429]
    assert codes(receiver) == ["BAD_JSON", "BAD_JSON", "RATE_LIMITED"]
    limited = [row for row in journaled(receiver) if isinstance(row, AlertReceived)][-1]
    assert (limited.ip, limited.body) == ("10.0.0.1", "1 bytes that were not read")


def test_unknown_tokens_are_counted_by_themselves(receiver: WebhookReceiver) -> None:
    receiver._unknown.most = 2
    assert [ask(receiver, token="wrong").status for _ in range(3)] == [404, 404, 429]
    assert ask(receiver).status == 400
