"""The HTTP side over real sockets: paths, sizes, answers before the loop, ports, and who a request came from."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from mytrading.core.webhooks.answers import UNKNOWN, AlertAnswer
from mytrading.core.webhooks.authentication import AlertRequest
from mytrading.core.webhooks.bodies import MOST_BYTES
from mytrading.daemons.webhooks import http_server
from mytrading.daemons.webhooks.http_server import StatusRequest
from tests.kit.alert_loop import Loop
from tests.kit.hypothesis_budget import examples
from tests.kit.waiting import eventually


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Loop() as made:
        yield made


@pytest.mark.parametrize("path", ["/strategy/webhook/abc", "/chartink/webhook/abc"])
def test_alert_reaches_the_loop_as_it_came(loop: Loop, path: str) -> None:
    status, body, headers = loop.call("POST", path, b'{"a": 1}', content_type="text/plain", x_signature="t=1,v1=x")
    assert (status, body) == (202, {"verdict": "accepted"})
    (request,) = loop.requests
    assert isinstance(request, AlertRequest)
    assert (request.token, request.body, request.ip, request.signature) == ("abc", b'{"a": 1}', "127.0.0.1", "t=1,v1=x")
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/", "/strategy/webhook/", "/strategy/webhook/a/b", "/strategy/", "/schema", "/docs", "/%00"]
)
def test_other_paths_are_answered_like_unknown_tokens(loop: Loop, path: str) -> None:
    assert loop.call("POST", path, b"{}")[:2] == (404, UNKNOWN.body)
    assert loop.requests == []


def test_only_the_status_page_can_be_read(loop: Loop) -> None:
    loop.answer = lambda asked: AlertAnswer(200, {"asked": asked.name if isinstance(asked, StatusRequest) else ""})
    assert loop.call("GET", "/webhook/status/name")[:2] == (200, {"asked": "name"})
    assert loop.call("GET", "/strategy/webhook/abc")[0] == 405
    assert loop.call("GET", "/")[0] == 404


def test_body_over_the_limit_is_refused_while_it_is_read(loop: Loop) -> None:
    assert loop.call("POST", "/strategy/webhook/abc", b"x" * MOST_BYTES)[0] == 202
    loop.answer = lambda asked: AlertAnswer(413 if isinstance(asked, AlertRequest) and asked.is_cut else 202, {})
    status, _, headers = loop.call("POST", "/strategy/webhook/abc", b"x" * (MOST_BYTES + 1))
    assert (status, headers["connection"]) == (413, "close")
    with socket.create_connection(("127.0.0.1", loop.server.port), timeout=10) as endless:
        endless.sendall(b"POST /strategy/webhook/abc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            endless.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        assert b" 413 " in endless.recv(4096)
    sizes = [(len(request.body), request.is_cut) for request in loop.requests if isinstance(request, AlertRequest)]
    assert sizes == [(MOST_BYTES, False), (0, True), (MOST_BYTES, True)]


def test_body_that_does_not_come_is_given_up(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.2)
    loop.answer = lambda asked: AlertAnswer(413 if isinstance(asked, AlertRequest) and asked.is_cut else 202, {})
    with socket.create_connection(("127.0.0.1", loop.server.port), timeout=10) as slow:
        slow.sendall(b"POST /strategy/webhook/abc HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert b" 413 " in slow.recv(4096)


def test_request_that_the_loop_does_not_take_is_answered_503_and_never_taken(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "PATIENCE_S", 0.2)
    loop.holds.clear()
    status, body, headers = loop.call("POST", "/strategy/webhook/abc", b"{}")
    assert (status, body["code"]) == (503, "NOT_READY")
    assert int(headers["retry-after"]) > 0
    loop.holds.set()
    assert loop.call("POST", "/strategy/webhook/def", b"{}")[0] == 202
    assert [request.token for request in loop.requests if isinstance(request, AlertRequest)] == ["def"]


def test_request_that_the_loop_has_taken_waits_for_its_own_answer(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PATIENCE_S", 0.1)
    released = threading.Event()

    def slow(_: AlertRequest | StatusRequest) -> AlertAnswer:
        released.wait(5)
        return AlertAnswer(202, {})

    loop.answer = slow
    threading.Timer(0.5, released.set).start()
    assert loop.call("POST", "/strategy/webhook/abc", b"{}")[0] == 202


def test_full_queue_is_answered_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MOST_WAITING", 8)
    found: list[int] = []
    with Loop() as loop:
        loop.holds.clear()
        senders = [
            threading.Thread(target=lambda: found.append(loop.call("POST", "/strategy/webhook/abc", b"{}")[0]))
            for _ in range(8 + 4)
        ]
        for sender in senders:
            sender.start()
        eventually(lambda: len(found) >= 4)
        loop.holds.set()
        for sender in senders:
            sender.join()
    assert (found.count(503), found.count(202)) == (4, 8)


def test_server_that_is_not_ready_answers_503(loop: Loop) -> None:
    loop.server.ready = False
    assert loop.call("POST", "/strategy/webhook/abc", b"{}")[0] == 503
    assert loop.requests == []


def test_headers_of_a_configured_proxy_count_alone() -> None:
    headers = {"x_forwarded_for": "6.6.6.6, 52.89.214.238", "x_client_certificate_cn": "TradingView Webhooks"}
    with Loop(("127.0.0.1",)) as behind, Loop() as open_:
        for loop in (behind, open_):
            loop.call("POST", "/strategy/webhook/abc", b"{}", **headers)
    found = [
        (one.ip, one.certificate) for loop in (behind, open_) for one in loop.requests if isinstance(one, AlertRequest)
    ]
    assert found == [("52.89.214.238", "TradingView Webhooks"), ("127.0.0.1", "")]


def test_no_request_is_answered_with_500(loop: Loop) -> None:
    draw = random.Random(3)
    signs = [chr(code) for code in range(33, 127) if chr(code) not in "#?"]
    for _ in range(examples(500)):
        path = "/" + "".join(draw.choices(signs, k=draw.randrange(60)))
        prefix = draw.choice(["", "/strategy/webhook", "/chartink/webhook", "/webhook/status"])
        header = "".join(draw.choices(signs, k=draw.randrange(1, 40)))
        method = draw.choice(["POST", "POST", "GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
        kinds = [
            "application/json",
            "text/plain",
            "multipart/form-data",
            "x",
            "application/x-www-form-urlencoded; charset=é",
        ]
        kind = draw.choice(kinds).encode().decode("latin-1")
        status, _, _ = loop.call(
            method,
            prefix + path,
            draw.randbytes(draw.randrange(300)),
            x_signature=header,
            content_type=kind,
            x_forwarded_for=header,
        )
        assert status in (200, 202, 204, 400, 404, 405), (method, prefix + path, status)


def test_hundred_requests_at_once_are_answered_each() -> None:
    with Loop() as loop:
        loop.answer = lambda asked: AlertAnswer(202, {"token": asked.token if isinstance(asked, AlertRequest) else ""})
        found: dict[str, str] = {}

        def send(name: str) -> None:
            found[name] = loop.call("POST", f"/strategy/webhook/{name}", b"{}")[1]["token"]

        senders = [threading.Thread(target=send, args=(f"t{number}",)) for number in range(100)]
        began = time.monotonic()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert found == {f"t{number}": f"t{number}" for number in range(100)}
        assert time.monotonic() - began < 10
