"""The receiver's decisions on requests before its machine: tokens, a full disk, too many requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import SECOND
from mytrading.core.webhooks.answers import UNKNOWN, AlertAnswer
from mytrading.core.webhooks.authentication import AlertRequest, digest_of, sign
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookGuards, WebhookToken
from mytrading.daemons.webhooks import daemon
from mytrading.daemons.webhooks.daemon import WebhookReceiver
from mytrading.daemons.webhooks.http_server import StatusRequest
from mytrading.messages.commands import SignalDenied
from mytrading.messages.webhooks import AlertJudged, AlertReceived, Sender
from mytrading.runtime.host.clock import machine_now
from tests.kit.webhook_process import journaled, webhook_process
from tests.kit.webhooks import at, instruments

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
        patched.setattr(type(receiver.journal), "is_short_of_disk", True)
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


def test_body_that_was_cut_off_is_journaled(receiver: WebhookReceiver) -> None:
    request = AlertRequest(token="right", body=b"{", ip="::1", received_ns=machine_now(), wall_ns=0, is_cut=True)
    answer = receiver._alert(request)
    assert (answer.status, answer.body["code"]) == (413, "BODY_TOO_LARGE")
    assert receiver._alert(request._replace(token="wrong")) == UNKNOWN
    (row,) = (row for row in journaled(receiver) if isinstance(row, AlertReceived))
    assert row.body == "more than 1 bytes that were not read"


def test_defect_in_reading_an_alert_is_a_503_and_tells_its_place_alone(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b'{"symbol": "SBIN", "action": "buy", "secret": "of the sender"}'
    with monkeypatch.context() as patched:
        patched.setattr(daemon, "read_alert", lambda *_: {}["of the sender"])
        answer = ask(receiver, body)
    assert (answer.status, answer.body["code"], answer.retry_after) == (503, "NOT_READY", 60)
    written = capsys.readouterr()
    assert "alert.unreadable" in written.out + written.err and "KeyError" in written.out + written.err
    assert "of the sender" not in written.out + written.err
    assert codes(receiver) == []
    assert ask(receiver, body).status == 202


def test_alert_before_its_instrument_is_loaded_is_sent_again(receiver: WebhookReceiver) -> None:
    environment, body = receiver.hooks.environment, b'{"symbol": "SBIN", "action": "buy"}'
    listed, environment.instruments = environment.instruments, InstrumentBook([instruments().get("NSE:INFY")])
    answer = ask(receiver, body)
    assert (answer.status, answer.body["code"], answer.retry_after) == (503, "NOT_READY", 2)
    assert "NSE:SBIN is not loaded yet" in answer.body["message"]
    assert ask(receiver, b"{").status == 400
    assert codes(receiver) == ["BAD_JSON"]
    receiver._new_until["alerts"] = machine_now()
    assert ask(receiver, body).body["code"] == "UNKNOWN_INSTRUMENT"
    environment.instruments = listed
    assert ask(receiver, body).status == 202


def test_signed_request_counts_once(tmp_path: Path) -> None:
    key, body, wall = "k" * 40, b'{"symbol": "SBIN", "action": "buy"}', 1_767_763_800
    with webhook_process(tmp_path, {"alerts": replace(FILE, guards=WebhookGuards(hmac_key=key))}) as receiver:
        signed = sign(key, body, wall)
        at = machine_now()

        def send(seconds: float, header: str = signed) -> AlertAnswer:
            moment = at + round(seconds * SECOND)
            receiver.clock.market_and_machine_now = lambda: (at_noon, moment)  # type: ignore[method-assign]
            wall_ns = wall * SECOND + moment - at
            return receiver._alert(AlertRequest("right", body, "::1", moment, wall_ns, signature=header))

        at_noon = receiver.clock.market_and_machine_now()[0]
        first = send(0)
        assert first.status == 202
        assert [send(seconds).body["verdict"] for seconds in (1, 100, 299)] == ["duplicate"] * 3
        assert send(299, signed.upper().replace("T=", " t=").replace("V1=", " v1=")).body["id"] == first.body["id"]
        assert send(301).body["code"] == "STALE_SIGNATURE"
        assert send(302, sign(key, body, wall + 302)).body["verdict"] == "accepted"


def test_status_page_tells_the_rules_by_which_risk_denied_it(receiver: WebhookReceiver) -> None:
    answer = ask(receiver, b'{"symbol": "SBIN", "action": "buy"}')
    status = StatusRequest(answer.body["status_url"].rpartition("/")[2], "::1", machine_now())
    (before,) = receiver._status(status).body["results"]
    assert "denied" not in before
    signal = answer.body["signal"]
    for code in ("MAX_ORDER_SIZE", "MAX_ORDER_SIZE", "FUNDS"):
        row = SignalDenied(signal=signal, strategy="alerts", code=code, message="5,000 of 4,000 rupees", at_ns=0)
        receiver._holdings.apply(row, machine_now())
    (after,) = receiver._status(status).body["results"]
    assert (after["verdict"], after["denied"]) == ("accepted", ["MAX_ORDER_SIZE", "FUNDS"])
    assert "rupees" not in str(after)


def test_silent_webhook_is_an_alert_until_something_comes(tmp_path: Path) -> None:
    def active(receiver: WebhookReceiver) -> list[tuple[str, str]]:
        receiver._update_alerts()
        return [(alert.code, alert.subject) for alert in receiver.alerts.active]

    with webhook_process(tmp_path, {"alerts": replace(FILE, silence_days=2)}) as receiver:
        ask(receiver, b'{"symbol": "SBIN", "action": "buy"}')
        assert active(receiver) == []
        moments = [at("10:00:00", date(2026, 1, day)) for day in (8, 9)]
        for now, expected in zip(moments, ([], [("WEBHOOK_SILENT", "alerts")]), strict=True):
            receiver.clock.now = lambda now=now: now  # type: ignore[misc, method-assign]
            receiver.clock.market_and_machine_now = lambda now=now: (now, machine_now())  # type: ignore[misc, method-assign]
            assert active(receiver) == expected
        ask(receiver, b'{"symbol": "SBIN", "action": "sell"}')
        assert active(receiver) == []


def test_unknown_tokens_are_counted_by_themselves(receiver: WebhookReceiver) -> None:
    receiver._unknown.most = 2
    assert [ask(receiver, token="wrong").status for _ in range(3)] == [404, 404, 429]
    assert ask(receiver).status == 400


def test_status_pages_are_read_so_often_a_minute_from_one_address(receiver: WebhookReceiver) -> None:
    receiver._status_calls.most = 2
    asked = [StatusRequest("x" * 22, ip, machine_now()) for ip in ("::1", "::1", "::1", "::2")]
    found = [receiver._status(one) for one in asked]
    assert [one.status for one in found] == [404, 404, 429, 404]
    assert 0 < found[2].retry_after <= 60
