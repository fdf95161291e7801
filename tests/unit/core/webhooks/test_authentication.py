"""Authentication of senders: tokens and their rotation, signatures, addresses, certificates and secrets."""

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.time import SECOND
from mytrading.core.webhooks.authentication import (
    AlertRequest,
    TokenBook,
    check_request,
    check_secret,
    digest_of,
    sign,
)
from mytrading.core.webhooks.definition import WebhookDefinition, WebhookGuards, WebhookToken
from mytrading.core.webhooks.senders import decode_fields, read_alert
from mytrading.messages.webhooks import Sender
from tests.kit.alert_loop import Loop
from tests.kit.project import ROOT
from tests.kit.webhooks import TOKEN, webhook

KEY = "k" * 40
WALL = 1_767_763_800


def request(body: bytes = b"{}", **keys: Any) -> AlertRequest:
    plain = AlertRequest(token=TOKEN, body=body, ip="10.0.0.1", received_ns=0, wall_ns=WALL * SECOND)
    return plain._replace(**keys)


def code(guards: WebhookGuards, asked: AlertRequest, **presets: tuple[str, ...]) -> str:
    found = check_request(guards, asked, presets)
    return found.code if found is not None else ""


def with_token(token: WebhookToken) -> WebhookDefinition:
    plain = webhook()
    return replace(plain, file=replace(plain.file, token=token))


def test_token_names_its_webhook_and_no_other_text_does() -> None:
    book = TokenBook([webhook()])
    found = book.find(TOKEN, 0)
    assert found is not None
    assert found.webhook.name == "alerts"
    for wrong in ("", "x", TOKEN + "x", digest_of(TOKEN), "\x00", "é" * 500, "\udcff", "\ud800"):
        assert book.find(wrong, 0) is None


def test_rotated_token_counts_until_its_overlap_is_over() -> None:
    book = TokenBook(
        [with_token(WebhookToken(digest=digest_of("new"), previous=digest_of("old"), previous_until_ns=9))]
    )
    assert book.find("new", 100) is not None
    assert book.find("old", 8) is not None
    assert book.find("old", 9) is None


def test_trial_token_is_marked_as_one() -> None:
    book = TokenBook([with_token(WebhookToken(digest=digest_of("a"), trial=digest_of("b"), trial_until_ns=9))])
    assert [found.trial for token in "ab" if (found := book.find(token, 1)) is not None] == [False, True]
    assert book.find("b", 10) is None


def test_signature_is_over_the_bytes_and_the_time() -> None:
    guards, body = WebhookGuards(hmac_key=KEY), b'{"symbol": "SBIN"}'
    good = sign(KEY, body, WALL)
    assert code(guards, request(body, signature=good)) == ""
    assert code(guards, request(body, signature=good.upper().replace("T=", "t=").replace("V1=", "v1="))) == ""
    assert code(guards, request(body + b" ", signature=good)) == "BAD_SIGNATURE"
    assert code(guards, request(body, signature=sign("j" * 40, body, WALL))) == "BAD_SIGNATURE"
    assert code(guards, request(body, signature=good.replace(str(WALL), str(WALL + 1)))) == "BAD_SIGNATURE"


@pytest.mark.parametrize(
    ("off", "expected"), [(0, ""), (300, ""), (-300, ""), (301, "STALE_SIGNATURE"), (-301, "STALE_SIGNATURE")]
)
def test_time_stamp_may_be_five_minutes_off(off: int, expected: str) -> None:
    assert code(WebhookGuards(hmac_key=KEY), request(signature=sign(KEY, b"{}", WALL + off))) == expected


@pytest.mark.parametrize(
    "header", ["", "t=", "t=1", "v1=abc", "t=abc,v1=x", "t=-1,v1=x", "t=²,v1=x", "=,=,=", "t=1,v1=é"]
)
def test_header_that_is_no_signature_is_refused(header: str) -> None:
    assert code(WebhookGuards(hmac_key=KEY), request(signature=header)) == "BAD_SIGNATURE"


def test_client_of_the_documents_signs_what_is_taken() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    client = page.partition("```python\n")[2].partition("```")[0]
    with Loop() as loop:
        url = f"http://127.0.0.1:{loop.server.port}/strategy/webhook/{TOKEN}"
        code_of = client.replace("https://alerts.example.in/strategy/webhook/…", url).replace('"…"', f'"{KEY}"')
        exec(compile(code_of, "docs/webhooks.md", "exec"), {})
    (sent,) = loop.requests
    assert isinstance(sent, AlertRequest)
    assert code(WebhookGuards(hmac_key=KEY), sent) == ""
    assert read_alert(Sender.GENERIC, decode_fields(Sender.GENERIC, sent.body)).sender_id == "my-order-1"


def test_only_listed_addresses_may_send() -> None:
    guards = WebhookGuards(ips=("tradingview", "10.0.0.0/24"))
    preset = {"tradingview": ("52.89.214.238",)}
    assert [code(guards, request(ip=ip), **preset) for ip in ("52.89.214.238", "10.0.0.7")] == ["", ""]
    for ip in ("52.89.214.239", "10.0.1.1", "::1", "", "somewhere"):
        assert code(guards, request(ip=ip), **preset) == "IP_NOT_ALLOWED"


def test_certificate_is_compared_with_the_name_that_the_proxy_gives() -> None:
    guards = WebhookGuards(certificate="TradingView Webhooks")
    assert code(guards, request(certificate="TradingView Webhooks")) == ""
    assert code(guards, request()) == "CERTIFICATE_REQUIRED"


def test_secret_of_the_body_is_compared_by_its_digest() -> None:
    guards = WebhookGuards(secret_digest=digest_of("hunter2"))
    assert check_secret(guards, "hunter2") is None
    assert check_secret(WebhookGuards(), "") is None
    for wrong in ("", "hunter3", "\ud800"):
        found = check_secret(guards, wrong)
        assert found is not None
        assert found.code == "BAD_SECRET"
        assert "hunter" not in found.text
