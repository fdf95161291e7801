"""Hostile paths, headers, bodies and framing at the port of webhooks: each is answered, none with 500.

The process's own code without its process, over real sockets. `make fuzz CASES=10000` tries that many.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from mytrading.core.webhooks.authentication import digest_of, sign
from mytrading.core.webhooks.bodies import MOST_BYTES
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookGuards, WebhookToken
from mytrading.daemons.webhooks import http_server
from mytrading.daemons.webhooks.daemon import WebhookReceiver
from mytrading.messages.signals import Signal
from mytrading.messages.webhooks import AlertJudged, AlertReceived, Sender
from tests.kit.hostile_input import cases
from tests.kit.hypothesis_budget import examples
from tests.kit.server_answers import CASES, SEED
from tests.kit.webhook_process import journaled, webhook_process

COUNT = CASES if CASES > 1500 else examples(400)
KEY, SECRET = "k" * 32, "a-secret-of-tests"
NAMES = {
    "order": WebhookFile(sender=Sender.GENERIC, token=WebhookToken(digest=digest_of("order")), symbols=()),
    "chart": WebhookFile(sender=Sender.TRADINGVIEW, token=WebhookToken(digest=digest_of("chart")), symbols=()),
    "scan": WebhookFile(sender=Sender.CHARTINK, token=WebhookToken(digest=digest_of("scan")), symbols=(), mode="BOTH"),
    "guarded": WebhookFile(
        sender=Sender.GENERIC,
        token=WebhookToken(digest=digest_of("guarded")),
        symbols=(),
        guards=WebhookGuards(hmac_key=KEY, secret_digest=digest_of(SECRET)),
    ),
}
"""Webhooks by name, which is their token as well."""
BODIES: list[Any] = [
    {"symbol": "SBIN", "action": "buy", "position_size": "100.0", "quantity": 5, "time": "b", "secret": SECRET},
    {"stocks": "SBIN,INFY,GONE", "trigger_prices": "1,2", "scan_name": "BUY", "alert_name": "x"},
]
ODD = (b"\x00", b"\xff\xfe", b"\r", b"\t", b" " * 50, b"x" * 5000, "€".encode(), b";q=1", b"..", b"%00", b"\x1b[2J")
"""What a header's value, or a path, may hold."""
HEADERS = (
    b"Content-Type", b"Content-Encoding", b"Expect", b"X-Signature", b"X-Client-Certificate-CN", b"Accept", b"Range",
    b"Cookie", b"Upgrade", b"Referer", b"Origin", b"If-Match", b"X-HTTP-Method-Override", b"Forwarded", b"X Bad",
)  # fmt: skip


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.2)
    mapped = tuple(SymbolMapping(symbol=name, instrument=f"NSE:{name}", quantity=50) for name in ("SBIN", "INFY"))
    files = {name: msgspec.structs.replace(file, symbols=mapped) for name, file in NAMES.items()}
    with webhook_process(tmp_path, files, proxies=("127.0.0.1",)) as made:
        yield made


def request(random: Random, number: int, body: bytes) -> bytes:
    """The bytes of a request: mostly one that can be read, often with something wrong in a line or a header."""
    token = random.choice((*NAMES, *NAMES, "unknown", "x" * 43, ""))
    prefix = random.choice(("/strategy/webhook/",) * 4 + ("/chartink/webhook/", "/webhook/status/", "/"))
    path = (prefix + token).encode()
    if random.random() < 0.15:
        path += random.choice((*ODD, quote(random.randbytes(9)).encode(), b"?a=b", b"#c", b"/d")).strip()
    method = random.choice((b"POST",) * 40 + (b"GET", b"PUT", b"HEAD", b"OPTIONS", b"TRACE", b"post", b"\x16\x03\x01"))
    rows = [b"Host: x", b"X-Forwarded-For: 10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)]
    if token == "guarded" and random.random() < 0.8:
        rows.append(b"X-Signature: " + sign(KEY, body, int(time.time()) - random.choice((0, 0, 400))).encode())
    values = (*ODD, random.randbytes(6), b"application/json")
    rows += [random.choice(HEADERS) + b": " + random.choice(values) for _ in range(random.choice((0, 0, 1, 3)))]
    kind = random.random()
    if kind < 0.03:
        return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), *rows, b"Content-Length: 99999", b"", body])
    if kind < 0.1:
        size = random.choice((b"%x" % len(body), b"%x" % len(body), b"zz", b"fffffffffffffffff"))
        rows.append(b"Transfer-Encoding: chunked")
        return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), *rows, b"", size, body, b"0", b"", b""])
    rows.append(b"Content-Length: " + random.choice((b"%d" % len(body),) * 30 + (b"-1", b"x", b"1e3")))
    whole = b"\r\n".join([b"%b %b HTTP/1.%d" % (method, path, random.choice((1, 1, 1, 0, 9))), *rows, b"", body])
    return random.randbytes(len(whole) % 90) + whole[len(whole) % 90 :] if random.random() < 0.02 else whole


def call(port: int, raw: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to these bytes, 0 if the connection was closed or kept waiting."""
    found = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.sendall(raw)
        while b"\r\n\r\n" not in found and (part := connection.recv(65536)):
            found += part
        head, _, body = found.partition(b"\r\n\r\n")
        length = next((int(row[15:]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")), 0)
        while len(body) < length and not raw.startswith(b"HEAD") and (part := connection.recv(65536)):
            body += part
        return int(head[9:12]), body
    return 0, b""


def test_whatever_comes_to_the_port_is_answered_and_never_with_500(receiver: WebhookReceiver) -> None:
    random, found = Random(SEED), Counter[int]()
    answered: list[str] = []
    ended = threading.Event()
    assert receiver._server is not None
    port = receiver._server.port

    def send() -> None:
        try:
            for number, spoilt in enumerate(cases(BODIES, SEED, COUNT)):
                good = json.dumps({**random.choice(BODIES), "id": number}).encode()
                raw = request(random, number, good if random.random() < 0.4 else spoilt[: MOST_BYTES + 1])
                status, text = call(port, raw)
                found[status] += 1
                assert status < 500, (raw, status)
                if status in (202, 409, 422):
                    answered.append(json.loads(text)["id"])
        finally:
            ended.set()
            receiver.wake()

    sender = threading.Thread(target=send)
    sender.start()
    while not ended.is_set():
        receiver._take_requests()
        ended.wait(0.0005)
    sender.join()
    total = sum(found.values())
    assert total == COUNT, "the sender came to its end"
    assert found[0] < total / 10 and found[404] > total / 20 and found[400] > total / 20, found
    rows = journaled(receiver)
    received = {row.id for row in rows if isinstance(row, AlertReceived)}
    judged = {row.alert for row in rows if isinstance(row, AlertJudged)}
    assert received == judged
    assert len(answered) > total / 50 and set(answered) <= judged
    signals = [row.signal for row in rows if isinstance(row, AlertJudged) and row.signal]
    assert signals == [row.id for row in rows if isinstance(row, Signal)]
    assert len(set(signals)) == len(signals) > total / 50
