"""The web console's TypeScript is that of its structs, its routes, and the schema of files of legs."""

from __future__ import annotations

import pytest

from lab import console_pages, console_types


def test_types_of_the_pages_are_those_of_the_program() -> None:
    assert console_types.drift() == []
    assert len(console_types.answers()) > 60


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ('useAnswer<MarginRow>("/api/margin")', "expected MarginRow, found MarginRow[]"),
        ("post<SessionInfo>(`/api/actions/${props.action}`, body)", "expected SessionInfo, found ActionTaken"),
        ('get<FeedMonitor>("/api/feed/all")', "expected FeedMonitor, found no route"),
        ("useAnswer<BrokerBook[]>(asked ? `/api/books/${book}` : null)", ""),
    ],
)
def test_page_that_expects_of_a_route_what_it_does_not_answer_is_named(call: str, problem: str) -> None:
    found = console_types.wrong_calls([("page.tsx", f"const answer = {call};")])
    assert [text.rpartition(": ")[2] for text in found] == ([problem] if problem else [])


def test_pages_are_not_built_of_types_that_are_not_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_types, "typescript", lambda: "export interface Another {}")
    monkeypatch.setattr(console_pages, "run_npm", lambda *_: pytest.fail("npm was run"))
    with pytest.raises(console_pages.PagesNotBuilt, match=r"api\.ts is not of this program"):
        console_pages.build()
