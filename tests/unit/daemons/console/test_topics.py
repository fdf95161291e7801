"""Deltas lead from any version to the newest, whatever happened in between."""

from __future__ import annotations

import json
import random

from mytrading.daemons.console.topics import TopicBook
from mytrading.messages.console_rows import ProfitPoint


def point(at_ms: int, realised: float) -> ProfitPoint:
    return ProfitPoint(at_ms=at_ms, realised=realised, unrealised=0.0)


def test_delta_from_any_version_leads_to_the_newest_rows() -> None:
    draw, book, states = random.Random(5), TopicBook(), []
    for _ in range(60):
        book.put(
            "profit", {str(key): point(key, draw.randrange(3)) for key in draw.sample(range(6), draw.randrange(6))}
        )
        states.append(book.get("profit"))
    newest = states[-1]
    assert newest is not None
    for before in states:
        assert before is not None
        rows = json.loads(before.snapshot())["rows"]
        if before is not newest:
            delta = json.loads(newest.delta(before))
            assert (delta["previous"], delta["version"]) == (before.version, newest.version)
            for key, cells in delta["set"].items():
                rows.setdefault(key, {}).update(cells)
            for key in delta["gone"]:
                del rows[key]
        assert rows == json.loads(newest.snapshot())["rows"]


def test_only_changed_cells_are_sent_and_equal_rows_are_no_change() -> None:
    book = TopicBook()
    assert book.put("profit", {"a": point(1, 1.0), "b": point(2, 2.0)})
    before = book.get("profit")
    assert not book.put("profit", {"a": point(1, 1.0), "b": point(2, 2.0)})
    assert book.get("profit") is before
    assert book.put("profit", {"a": point(1, 1.0), "b": point(2, 3.0)})
    after = book.get("profit")
    assert before is not None and after is not None
    assert json.loads(after.delta(before))["set"] == {"b": {"realised": 3.0}}
