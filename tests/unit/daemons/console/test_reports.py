"""Reports below `runs`, by the names that a list gives, and by no other."""

from __future__ import annotations

from pathlib import Path

from mytrading.daemons.console.reports_api import _entry, _reports


def test_reports_are_found_by_folder_and_what_is_none_is_left_out(tmp_path: Path) -> None:
    for name, text in (("a", '{"kind": "backtest", "title": "A\\u0007"}'), ("b/c", "{"), ("d", "[]")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(text)
    (tmp_path / "report.json").write_text('{"kind": "x", "title": "outside"}')
    found = _reports(tmp_path / "runs")
    assert set(found) == {"a", "b/c", "d"}
    entries = [entry for name, path in found.items() if (entry := _entry(name, path)) is not None]
    assert [(entry.id, entry.kind, entry.title) for entry in entries] == [("a", "backtest", "A")]
