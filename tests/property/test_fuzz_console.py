"""Hostile requests and frames to the web console: each is answered with what was expected, and none is a defect.

The console without its process, over real sockets. `make fuzz CASES=10000` tries that many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed

from tests.kit.console_browser import PASSWORD, Browser, ConsoleOfTest
from tests.kit.hostile_input import cases
from tests.kit.hypothesis_budget import examples
from tests.kit.project import copy_project
from tests.kit.server_answers import CASES, SEED

COUNT = min(CASES, 20_000) if CASES > 1500 else examples(400)
LEFT_OUT = ("/api/logout", "/api/setup/accounts/test", "/api/setup/accounts/rotate-key")
"""The end of the session, and what calls a server by the address that it is given."""
SLOW = ("/api/login", "/api/first-user", "/api/password", "/api/confirm", "/api/users")
"""Each compares or makes a password's digest, which is meant to take long: one case in ten of them is tried."""
ODD = (
    "",
    "..",
    "%00",
    "a/b",
    "x" * 5000,
    "€",
    "\x1b[2J",
    "a|b|c|d",
    "NIFTY",
    "1e999",
    "-1",
    "null",
    "'; --",
    "0",
    "orders",
)
"""What a part of a path, or a value of a query, may hold."""
MESSAGES: list[Any] = [
    {"type": "watch", "topics": ["orders", "positions", "chain:NIFTY:2026-11-26"]},
    {"type": "again", "topic": "orders"},
    {"type": "alive"},
]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    home = tmp_path_factory.mktemp("home")
    copy_project(home)
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), home=home)
    yield made
    made.stop()


def sample(schema: dict[str, Any], known: dict[str, Any]) -> Any:
    """A value that a JSON schema allows."""
    if "$ref" in schema:
        return sample(known[schema["$ref"].rpartition("/")[2]], known)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return sample(schema[choice][0], known)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: sample(one, known) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}), known)]
    return {"string": "NIFTY", "integer": 1, "number": 1.5, "boolean": False}.get(str(kind))


def operations(page: Browser) -> list[tuple[str, str, list[str], Any]]:
    """Method, path, names of the query, and a body of each operation of the API."""
    api = page.get("/api/schema").json()
    known, found = api.get("components", {}).get("schemas", {}), []
    for path, methods in api["paths"].items():
        for method, one in methods.items():
            names = [row["name"] for row in one.get("parameters", ()) if row["in"] == "query"]
            content = one.get("requestBody", {}).get("content", {})
            body = next((sample(kind["schema"], known) for kind in content.values()), None)
            if path not in LEFT_OUT:
                found.append((method.upper(), path, names, body))
    return found


def logged_in(console: ConsoleOfTest) -> Browser:
    """An administrator who has just given the password."""
    page = console.browser("asha")
    assert page.post("/api/confirm", password=PASSWORD).status_code == 200
    return page


def filled(random: Random, path: str) -> str:
    """A path with something in the place of its names."""
    parts = [quote(random.choice(ODD)) if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts) or "/"


@pytest.mark.slow
def test_whatever_is_asked_is_answered_says_what_was_expected_and_is_no_defect(console: ConsoleOfTest) -> None:
    random, found = Random(SEED), Counter[int]()
    page, stranger = logged_in(console), console.browser()
    stranger.open_page()
    known = operations(page)
    bodies = {path: cases([body or {}], SEED + number, COUNT) for number, (_, path, _, body) in enumerate(known)}
    assert len(known) > 50 and {"POST", "GET"} == {method for method, *_ in known}
    for number in range(COUNT):
        method, path, names, _ = random.choice(known)
        if path in SLOW and random.random() < 0.9:
            continue
        one = stranger if random.random() < 0.05 else page
        headers = {
            "x-forwarded-for": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "origin": page.origin if random.random() < 0.97 else random.choice(("null", "http://evil.example")),
            "x-csrf-token": one.csrf if random.random() < 0.97 else random.choice(("", "x" * 500)),
            "content-type": "application/json" if random.random() < 0.95 else random.choice(("text/plain", "")),
        }
        body = next(bodies[path]) if method == "POST" else b""
        query = {name: random.choice(ODD) for name in names if random.random() < 0.7}
        done = one.http.request(method, filled(random, path), content=body, params=query, headers=headers)
        found[done.status_code] += 1
        about = (number, method, done.url, body[:200], done.status_code, done.text[:300])
        assert done.status_code != 500 and done.status_code not in (501, 502), about
        if done.status_code >= 400:
            refusal = done.json()
            assert refusal["code"] and refusal["code"] != "DEFECT", about
            assert refusal["error"], about
            if done.status_code == 400:
                assert "expected" in refusal["error"].lower(), about
        if one is page and done.status_code == 401:
            page = logged_in(console)  # it revoked its own session
    assert found[200] > COUNT / 20 and found[400] > COUNT / 10, found
    assert console.server.is_alive and page.get("/api/session").json()["user"]["name"] == "asha"


def test_whatever_a_page_says_over_its_socket_it_is_followed_or_refused(console: ConsoleOfTest) -> None:
    random, refused, closed = Random(SEED), 0, 0
    page = logged_in(console)
    spoilt = cases(MESSAGES, SEED, COUNT)
    left = COUNT
    while left:
        page.ip = f"10.200.{left >> 8 & 255}.{left & 255}"
        with page.live() as live:
            live.receive("hello")
            try:
                for data in spoilt:
                    left -= 1
                    text = data[:70_000].decode(errors="replace")
                    live.socket.send(data if random.random() < 0.02 else text)
                    if random.random() < 0.1:
                        live.send(type="watch", topics=["no such topic"])
                        while "no such topic" not in (answer := live.receive("refused"))["error"]:
                            assert "expected" in answer["error"], answer
                            refused += 1
            except ConnectionClosed:
                closed += 1
    assert refused > COUNT / 4 and closed < COUNT / 10, (refused, closed)
    with page.live() as live:
        live.send(type="watch", topics=["positions", "stack"])
        assert live.receive("snapshot")["version"] >= 1
        assert not console.server.hub.wanted() - {"positions", "stack"}
