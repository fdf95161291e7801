"""The log as it grows: lines in parts, a file moved aside or cut, and what a page that follows it is sent."""

from __future__ import annotations

import json
from pathlib import Path

from mytrading.daemons.console import log_tail
from mytrading.daemons.console.log_tail import LogTail
from tests.kit.console_browser import ConsoleOfTest

LINE = {"event": "feed.up", "component": "feed", "level": "info", "time": "2026-11-23T10:00:00+05:30", "source": "x"}


def texts(tail: LogTail) -> list[str]:
    return [row.event or row.text for row in tail.rows().values()]


def test_only_whole_lines_are_read_once_across_rotations(tmp_path: Path) -> None:
    path = tmp_path / "main.log"
    tail = LogTail(path)
    assert texts(tail) == []
    path.write_text(json.dumps({**LINE, "count": 3}) + '\n{"event": "ha', encoding="utf-8")
    (first,) = tail.rows().values()
    assert (first.process, first.event, first.text, first.wall_ms) == ("feed", "feed.up", "count=3", 1_795_408_200_000)
    with path.open("a", encoding="utf-8") as file:
        file.write('lf"}\nno json\n')
    assert texts(tail) == ["feed.up", "half", "no json"]
    with path.open("a", encoding="utf-8") as file:
        file.write("before\n")
    path.rename(tmp_path / "main.log.1")
    path.write_text("after\n", encoding="utf-8")
    assert texts(tail)[3:] == ["before", "after"]
    path.write_text("", encoding="utf-8")
    assert texts(tail)[3:] == ["before", "after"]
    path.write_text("cut\n", encoding="utf-8")
    assert texts(tail)[4:] == ["after", "cut"]
    many = "".join(f"line {number} of many\n" for number in range(log_tail.MOST_BYTES // 10))
    with path.open("a", encoding="utf-8") as file:
        file.write(many)
    assert texts(tail) == many.splitlines()[-log_tail.KEPT :]
    tail.close()


def test_page_gets_lines_as_they_come_also_while_the_gateway_is_silent(tmp_path: Path) -> None:
    console = ConsoleOfTest(tmp_path)
    path = Path(console.config.log_dir) / "main.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    with console.browser("asha").live() as live:
        live.send(type="watch", topics=["log"])
        live.receive("snapshot")
        assert [row["event"] for row in live.rows["log"].values()] == ["feed.up"]
        console.gateway.silent.set()
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**LINE, "event": "gateway.hangs"}) + "\n")
        live.receive("delta")
        assert [row["event"] for row in live.rows["log"].values()] == ["feed.up", "gateway.hangs"]
    console.gateway.silent.clear()
    console.stop()
