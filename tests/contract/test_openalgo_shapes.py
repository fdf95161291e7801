"""The simulator's answers against the shapes of a recorded OpenAlgo server: status, keys, types, form of errors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from mytrading.simulator.rest.dispatcher import API_ROUTES
from tests.golden.openalgo.make import shape
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

FOLDER = Path(__file__).parents[1] / "golden" / "openalgo"
CALLS = [
    (path.stem, call)
    for path in sorted(FOLDER.glob("*.json"))
    if path.stem != "differences"
    for call in json.loads(path.read_text())
]
DIFFERENCES: dict[str, str] = json.loads((FOLDER / "differences.json").read_text())
"""`file: name` of calls whose answers differ, with the reason; one that differs no more must go."""


SEQUENCES = {file for file, call in CALLS if "price" in call}
"""Files whose calls go with prices of SBIN, from 985 on."""
NOT_JSON = object()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("shapes")) as running:
        yield running


Seen = dict[str, set[str]]
"""What kinds a recorded server gave at each place of a route's answers of one status."""


def kind(found: Any) -> str:
    """Kind of a shape: object, list, or the type of a value."""
    return {dict: "object", list: "list"}.get(type(found), found)


def places(found: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every place of a shape, with what is there; what holds anything under names of its own is one place."""
    yield where, kind(found)
    if isinstance(found, dict):
        for key, item in found.items():
            yield from places(item, f"{where}.{key}")
    elif isinstance(found, list):
        for item in found:
            yield from places(item, f"{where}[]")


def seen_by_route() -> dict[tuple[str, int], Seen]:
    """All recorded answers folded together, by path and status."""
    found: dict[tuple[str, int], Seen] = {}
    for _, call in CALLS:
        if "request" in call:
            seen = found.setdefault((call["request"]["path"], call["status"]), {})
            for where, what in places(call["shape"]):
                seen.setdefault(where, set()).add(what)
    return found


def difference(found: Any, expected: Any, seen: Seen, where: str = "") -> str:
    """The first place where shapes differ, empty if they agree.

    A value may be null, or an object in place of null, only where some recorded answer of the route shows it so; a list
    may be empty only where a recorded one was.
    """
    if kind(found) != kind(expected):
        known = seen.get(where, set())
        return "" if kind(found) in known else f"{where}: {kind(found)!r}, expected {kind(expected)!r}"
    if isinstance(found, dict):
        if found.keys() != expected.keys():
            return (
                f"{where}: lacks {sorted(expected.keys() - found.keys())}, has {sorted(found.keys() - expected.keys())}"
            )
        parts = ((found[key], expected[key], f"{where}.{key}") for key in expected)
        return next((text for mine, theirs, at in parts if (text := difference(mine, theirs, seen, at))), "")
    return lists_differ(found, expected, seen, where) if isinstance(found, list) else ""


def lists_differ(found: list[Any], expected: list[Any], seen: Seen, where: str) -> str:
    """Every row is like one of the recorded ones."""
    if expected and not found:
        return f"{where}: no row, expected one"
    if not expected:
        reported = ((at, what) for row in found for at, what in places(row, f"{where}[]"))
        return next(
            (f"{at}: {what!r}, not {sorted(seen[at])}" for at, what in reported if what not in seen.get(at, {what})), ""
        )
    for row in found:
        texts = [difference(row, recorded, seen, f"{where}[]") for recorded in expected]
        if all(texts):
            return texts[0]
    return ""


class Ids:
    """Ids of this server for the orders and triggers that the calls of one file name."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self._simulator = simulator
        self._known = {"<API_KEY>": simulator.api_key, "<WRONG_API_KEY>": "wrong"}

    def filled(self, value: Any) -> Any:
        """A request with this server's keys and ids; orders are placed when they are first named."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        if value == "<COMPLETE>" and value not in self._known:
            self._known[value] = self._placed()
        elif value.startswith("<RESTING") and value not in self._known:
            self._known[value] = self._placed(pricetype="LIMIT", price=900)
        return self._known.get(value, value)

    def _placed(self, **fields: Any) -> str:
        return eventually(lambda: str(self._simulator.place(product="MIS", **fields)[1].get("orderid") or ""))

    def learn(self, call: str, body: Any) -> None:
        """Remember the order or the trigger that an answer names."""
        if isinstance(body, dict) and isinstance(order_id := body.get("orderid"), str):
            self._known.setdefault(f"<ORDER {call}>", order_id)
        if isinstance(body, dict) and (trigger_id := body.get("trigger_id")) not in (None, *self._known.values()):
            count = sum(name.startswith("<TRIGGER") for name in self._known)
            self._known[f"<TRIGGER {count + 1}>"] = trigger_id


def asked(simulator: RunningSimulator, call: dict[str, Any], ids: Ids) -> tuple[int, Any]:
    request = call["request"]
    query = urlencode(ids.filled(request.get("params") or {}))
    raw = request.get("raw", "").replace("<API_KEY>", simulator.api_key)
    body = raw.encode() if "raw" in request else json.dumps(ids.filled(request.get("json"))).encode()
    url = simulator.rest + request["path"] + (f"?{query}" if query else "")
    headers = {"Content-Type": request.get("content_type", "application/json")}
    post = Request(url, data=None if request["method"] == "GET" else body, headers=headers, method=request["method"])
    reply = eventually(lambda: answered(post))
    assert reply is not None
    ids.learn(call["name"], reply[1])
    return reply[0], "not json" if reply[1] is NOT_JSON else shape(reply[1])


def answered(request: Request) -> tuple[int, Any] | None:
    """Status and body, None while the rate limit holds."""
    try:
        with urlopen(request, timeout=20) as response:
            status, body = response.status, response.read()
    except HTTPError as error:
        status, body = error.code, error.read()
    if status == 429:
        return None
    try:
        return status, json.loads(body)
    except ValueError:
        return status, NOT_JSON


@pytest.mark.parametrize("file", sorted({file for file, _ in CALLS}))
def test_recorded_calls_are_answered_in_shape(simulator: RunningSimulator, file: str) -> None:
    found: dict[str, str] = {}
    ids, seen = Ids(simulator), seen_by_route()
    if file in SEQUENCES:
        simulator.call("cancelallorder", strategy="T")
        simulator.call("closeposition", strategy="T")
        simulator.push("SBIN", 985.0)
    if file == "cancelallorder":
        ids.filled("<RESTING 1>")
    for call in (call for of, call in CALLS if of == file):
        if "price" in call:
            simulator.push("SBIN", call["price"])
            continue
        status, body = asked(simulator, call, ids)
        text = difference(body, call["shape"], seen[call["request"]["path"], call["status"]])
        if status != call["status"]:
            text = f"HTTP {status}, expected {call['status']}"
        if text:
            found[f"{file}: {call['name']}"] = text
    if file in SEQUENCES:
        simulator.push("SBIN", 985.0, release=True)
    allowed = {key for key in DIFFERENCES if key.startswith(f"{file}: ")}
    new = {key: text for key, text in found.items() if key not in allowed}
    assert not new, f"answers differ from the recorded server: {new}"
    assert allowed <= found.keys(), f"differs no more, remove from differences.json: {allowed - found.keys()}"


def test_difference_sees_a_missing_key_and_another_type() -> None:
    assert difference({"a": "text"}, {"a": "text", "b": "number"}, {}) == ": lacks ['b'], has []"
    assert difference({"a": [{"b": "text"}]}, {"a": [{"b": "number"}]}, {}) == ".a[].b: 'text', expected 'number'"
    assert difference({"a": "text"}, {"a": "text"}, {}) == ""


def test_difference_takes_null_and_empty_lists_only_where_they_were_recorded() -> None:
    assert difference({"a": "null"}, {"a": "text"}, {".a": {"text"}}) == ".a: 'null', expected 'text'"
    assert difference({"a": "null"}, {"a": "text"}, {".a": {"text", "null"}}) == ""
    assert difference({"a": "text"}, {"a": "null"}, {".a": {"null"}}) == ".a: 'text', expected 'null'"
    assert difference({"a": []}, {"a": ["text"]}, {}) == ".a: no row, expected one"
    assert difference({"a": ["text"]}, {"a": []}, {".a[]": {"number"}}) == ".a[]: 'text', not ['number']"
    assert difference({"a": ["text"]}, {"a": []}, {}) == ""


def test_difference_wants_every_row_to_be_like_a_recorded_one() -> None:
    recorded = [{"a": "text"}, {"b": "number"}]
    assert difference([{"b": "number"}], recorded, {}) == ""
    assert difference([{"a": "text"}, {"b": "text"}], recorded, {}) == "[]: lacks ['a'], has ['b']"


def test_document_lists_every_route_and_every_difference() -> None:
    text = (FOLDER.parents[2] / "docs" / "openalgo.md").read_text(encoding="utf-8")
    part = text[text.index("## What the simulator answers") : text.index("## The extended SDK")]
    lines = part.splitlines()
    asked_paths = [call["request"]["path"] for _, call in CALLS if "request" in call]
    held = Counter(path.removeprefix("/api/v1/").partition("/NSE:")[0] for path in asked_paths)
    rows = [f"| `{name}` | {held[name] or 'none'} |" for name in API_ROUTES]
    assert [line for line in lines if line.startswith("| `")] == rows
    reasons = [f"| *{name}* | {reason} |" for name, reason in DIFFERENCES.items()]
    assert [line for line in lines if line.startswith("| *")] == reasons
