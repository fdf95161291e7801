"""Input from a broken or hostile server: answers and frames of the right shape with something wrong somewhere.

Used by the fuzz tests. The same seed gives the same cases, so that a case that failed can be had again by its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

WILD: tuple[bytes, ...] = (
    b'"nan"', b'"inf"', b'"-Infinity"', b"NaN", b"Infinity", b"1e300", b"-1e300", b"1e999", b'"1e300"', b"0",
    b"-0.0", b"-1", b"0.5", b"5e-324", b"9007199254740993", b"9223372036854775808", b"-9223372036854775809",
    b"18446744073709551616", b"9" * 400, b"9" * 5000, b'"' + b"9" * 5000 + b'"', b'"1,000"', b'"0x10"',
    b"21474836.47", b"null", b"true", b'""', b'" "', b'"\\u0000"', b'"\\ud800"', b'"\\u001b]52;c;AAAA\\u0007"',
    b'"\xff\xfe"', b"\xff", b'"' + b"x" * 9000 + b'"', b"[]", b"{}", b"[" * 100 + b"]" * 100, b"[" * 100_000,
    b'{"a":' * 50_000, b"[" * 900 + b"]" * 900, b'{"":{"":{}}}', b'"2026-13-45"', b'"99999999999999999999-01-01"',
    b'"NSE"', b'"SBIN"', b'"BUY"', b'"NRML"', b'"complete"', b"1795149570645", b"1e18", b"1e19",
)  # fmt: skip
"""Raw JSON, and what is none."""
_MARK = "\x01wild\x01"
_MARKED = json.dumps(_MARK).encode()


def cases(bases: list[Any], seed: int, count: int) -> Iterator[bytes]:
    """So many bodies, each made of one of these by a few wrong things."""
    random = Random(seed)
    for _ in range(count):
        yield _spoilt(random, random.choice(bases))


def _spoilt(random: Random, base: Any) -> bytes:
    wild = [random.choice(WILD) for _ in range(random.choice((1, 1, 1, 2, 4)))]
    body = json.dumps(_with_marks(random, base, len(wild))).encode()
    for raw in wild:
        body = body.replace(_MARKED, raw, 1)
    if random.random() < 0.15:
        body = _torn(random, body)
    return body


def _with_marks(random: Random, base: Any, marks: int) -> Any:
    whole = [json.loads(json.dumps(base))]
    for _ in range(marks):
        place: Any = whole
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = random.choice(keys)
            if not (isinstance(place[key], dict | list) and place[key]) or random.random() < 0.1:
                break
            place = place[key]
        place[key] = _MARK
        if random.random() < 0.1 and isinstance(place, dict):
            place[random.choice(("", "orderid", "data", "status", "x" * 300))] = _MARK
    return whole[0]


def _torn(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body))
    kind = random.randrange(4)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]
    if kind == 2:
        return body[:at] + body
    return random.randbytes(at % 200)
