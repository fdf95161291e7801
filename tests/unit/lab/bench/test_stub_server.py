"""The server that answers at once: whole requests only, each once, however they are cut."""

from __future__ import annotations

import time

from lab.bench.stub_server import _after_request, canned
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient


def test_request_is_whole_with_its_body() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
    assert _after_request(head[:-1]) is None
    assert _after_request(head + b"abc") is None
    assert _after_request(head + b"abcdGET /") == b"GET /"


def test_every_call_is_answered_over_one_connection() -> None:
    with canned() as rest:
        client = OpenAlgoClient(rest, "key", time.monotonic_ns)
        assert [client.call("placeorder", {"symbol": "SBIN"}, Deadline.ORDER).status for _ in range(3)] == [200] * 3
        assert client.opened == 1
        client.close()
