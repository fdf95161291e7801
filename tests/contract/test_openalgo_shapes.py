"""The simulator's answers against the shapes of a recorded OpenAlgo server: status, keys, types, form of errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.golden.openalgo.make import shape
from tests.support import RunningSimulator, eventually, start_simulator

FOLDER = Path(__file__).parents[1] / "golden" / "openalgo"
CALLS = [
    (path.stem, call)
    for path in sorted(FOLDER.glob("*.json"))
    if path.stem != "differences"
    for call in json.loads(path.read_text())
]
_ALLOWED = json.loads((FOLDER / "differences.json").read_text())
DIFFERENCES: dict[str, str] = _ALLOWED["calls"]
"""`file: name` of calls whose answers differ, with the reason; one that differs no more must go."""
ABSENT: list[str] = _ALLOWED["absent"]
"""Files of routes that the simulator need not know; as soon as it does, they are held to their shape."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("shapes")) as running:
        yield running


def difference(found: Any, expected: Any, where: str = "") -> str:
    """The first place where shapes differ, empty if they agree. An empty list and null say nothing of a type."""
    if "null" in (found, expected) or [] in (found, expected):
        return ""
    if isinstance(found, dict) and isinstance(expected, dict):
        if found.keys() != expected.keys():
            return (
                f"{where}: lacks {sorted(expected.keys() - found.keys())}, has {sorted(found.keys() - expected.keys())}"
            )
        return next((text for key in expected if (text := difference(found[key], expected[key], f"{where}.{key}"))), "")
    if isinstance(found, list) and isinstance(expected, list):
        return difference(found[0], expected[0], f"{where}[]")
    return "" if found == expected else f"{where}: {found!r}, expected {expected!r}"


def asked(simulator: RunningSimulator, request: dict[str, Any]) -> tuple[int, Any]:
    def filled(value: Any) -> Any:
        keys = {"<API_KEY>": simulator.api_key, "<WRONG_API_KEY>": "wrong"}
        if value == "<ORDER>":
            return resting(simulator)
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item) for item in value]
        return keys.get(value, value) if isinstance(value, str) else value

    query = urlencode(filled(request.get("params") or {}))
    body = request["raw"].encode() if "raw" in request else json.dumps(filled(request.get("json"))).encode()
    url = simulator.rest + request["path"] + (f"?{query}" if query else "")
    headers = {"Content-Type": "application/json"}
    post = Request(url, data=None if request["method"] == "GET" else body, headers=headers, method=request["method"])
    reply = eventually(lambda: answered(post))
    assert reply is not None
    return reply


def answered(request: Request) -> tuple[int, Any] | None:
    """Status and shape, None while the rate limit holds."""
    try:
        with urlopen(request, timeout=20) as response:
            status, body = response.status, response.read()
    except HTTPError as error:
        status, body = error.code, error.read()
    if status == 429:
        return None
    try:
        return status, shape(json.loads(body))
    except ValueError:
        return status, "not json"


def resting(simulator: RunningSimulator) -> str:
    """The id of an order that waits."""

    def place() -> str:
        _, body = simulator.place(pricetype="LIMIT", price=1, product="MIS")
        return str(body.get("orderid") or "")

    return eventually(place)


@pytest.mark.parametrize("file", sorted({file for file, _ in CALLS}))
def test_recorded_calls_are_answered_in_shape(simulator: RunningSimulator, file: str) -> None:
    found: dict[str, str] = {}
    for call in (call for of, call in CALLS if of == file):
        status, body = asked(simulator, call["request"])
        if file in ABSENT and status == 404 and isinstance(body, dict) and "path" in body:
            continue
        text = difference(body, call["shape"])
        if status != call["status"]:
            text = f"HTTP {status}, expected {call['status']}"
        if text:
            found[f"{file}: {call['name']}"] = text
    allowed = {key for key in DIFFERENCES if key.startswith(f"{file}: ")}
    new = {key: text for key, text in found.items() if key not in allowed}
    assert not new, f"answers differ from the recorded server: {new}"
    assert allowed <= found.keys(), f"differs no more, remove from differences.json: {allowed - found.keys()}"


def test_difference_sees_a_missing_key_and_another_type() -> None:
    assert difference({"a": "text"}, {"a": "text", "b": "number"}) == ": lacks ['b'], has []"
    assert difference({"a": [{"b": "text"}]}, {"a": [{"b": "number"}]}) == ".a[].b: 'text', expected 'number'"
    assert difference({"a": "text"}, {"a": "text"}) == ""
