"""Figures of the pages where no browser is."""

from __future__ import annotations

import pytest

from lab.bench.console_browser import measure_in_browser


def test_figures_say_why_where_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = [figure.as_dict() for figure in measure_in_browser(lambda _: None)]
    assert [row["name"] for row in found] == ["fill_to_page_p99", "chain_in_page", "first_load_size", "first_load"]
    for row in found:
        assert row["met"] is None and row["value"] is None and row["why"].startswith("not measured: "), row
