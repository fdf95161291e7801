"""Search of the log: backwards through its parts, in slices that go on where the one before them ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mytrading.daemons.console import log_search
from mytrading.daemons.console.log_search import LogFilter, UnknownPlace, search_log
from mytrading.messages.console_api import LogSearch
from tests.kit.console_browser import ConsoleOfTest


def lines(first: int, count: int) -> str:
    """Lines of a log, each a second after the one before it."""
    rows = (
        {
            "time": f"2026-11-23T{9 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}+05:30",
            "level": "warning" if number % 100 == 0 else "info",
            "component": "risk" if number % 10 == 0 else "feed",
            "event": "row.seen",
            "number": f"n{number}",
        }
        for number in range(first, first + count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of three files, read in chunks of some lines."""
    monkeypatch.setattr(log_search, "CHUNK_BYTES", 1500)
    path = tmp_path / "main.log"
    (tmp_path / "main.2026-11-23T100000.log").write_text(lines(0, 1000))
    (tmp_path / "main.2026-11-23T110000.log").write_text(lines(1000, 1000))
    path.write_text(lines(2000, 1000) + "no json, and ₹ 5\n")
    (tmp_path / "trade.log").write_text("not looked at\n")
    return path


def all_slices(path: Path, wanted: LogFilter, limit: int, seconds: float = 60.0) -> list[LogSearch]:
    found = [search_log(path, wanted, limit, "", seconds)]
    while found[-1].older:
        found.append(search_log(path, wanted, limit, found[-1].older, seconds))
    return found


@pytest.mark.parametrize(("limit", "seconds"), [(7, 60.0), (1000, 0.0), (10_000, 60.0)])
def test_slices_together_have_every_line_once_however_they_are_cut(log: Path, limit: int, seconds: float) -> None:
    slices = all_slices(log, LogFilter(process="risk"), limit, seconds)
    numbers = [line.text.removeprefix("number=") for one in reversed(slices) for line in one.lines]
    assert numbers == [f"n{number}" for number in range(0, 3000, 10)]
    assert sum(one.looked_bytes for one in slices) == sum(part.stat().st_size for part in log.parent.glob("main*"))
    assert slices[-1].older == ""
    assert (len(slices) == 1) == (limit == 10_000)


def test_filters_hold_together_and_a_slice_says_how_far_it_looked(log: Path) -> None:
    (found,) = all_slices(log, LogFilter("risk", "warning", ("N29", "row.SEEN")), 100)
    assert [line.text for line in found.lines] == ["number=n2900"]
    assert found.back_to_ms == (found.lines[0].wall_ms or 0) - 2_900_000
    (unfielded,) = all_slices(log, LogFilter(texts=("₹",)), 100)
    assert [line.text for line in unfielded.lines] == ["no json, and ₹ 5"]
    first = search_log(log, LogFilter(texts=("n3",)), 100, "", seconds=0.0)
    assert first.older and not first.lines and 0 < first.looked_bytes <= 1500


def test_search_goes_on_in_a_part_that_was_moved_and_says_so_where_it_is_gone(log: Path) -> None:
    wanted = LogFilter(process="risk")
    first = search_log(log, wanted, 5)
    log.rename(log.with_name("main.2026-11-23T120000.log"))
    log.write_text(lines(3000, 50))
    second = search_log(log, wanted, 5, first.older)
    assert [line.text for line in (*second.lines, *first.lines)] == [f"number=n{at}" for at in range(2900, 3000, 10)]
    log.with_name("main.2026-11-23T120000.log").unlink()
    with pytest.raises(UnknownPlace, match="deleted"):
        search_log(log, wanted, 5, first.older)
    with pytest.raises(UnknownPlace, match="expected the `older`"):
        search_log(log, wanted, 5, "nonsense")


def test_page_is_told_what_was_wrong_with_its_question(tmp_path: Path) -> None:
    console = ConsoleOfTest(tmp_path)
    page = console.browser("asha")
    assert page.get("/api/logs").json()["lines"] == []
    assert page.get("/api/logs?level=loud").json()["field"] == "level"
    assert page.get("/api/logs?before=../etc").json()["field"] == "before"
    console.stop()
