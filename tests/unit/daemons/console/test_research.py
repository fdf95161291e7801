"""Runs over history from the page: queued, run one at a time by the shell's own commands, cancelled, kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.research_queue import ResearchQueue
from mytrading.daemons.console.research_words import research_words
from mytrading.messages.console_api import ResearchJob, ResearchRequest
from tests.kit.console_browser import Browser, ConsoleOfTest
from tests.kit.project import ROOT, copy_project
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually

BARS = "bars-trend.csv.gz"
RUN: dict[str, Any] = {"kind": "backtest", "strategy": "SMA_Crossover", "data": [BARS], "instrument": "NSE:SBIN"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    home = tmp_path_factory.mktemp("home")
    copy_project(home)
    shutil.copy(ROOT / "tests" / "data" / BARS, home / BARS)
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), home=home)
    yield made
    made.stop()


def job(page: Browser, name: str) -> dict[str, Any]:
    return next(row for row in page.get("/api/research").json() if row["id"] == name)


def test_run_is_queued_once_and_its_report_is_among_the_reports(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    for _ in range(2):
        done = page.post("/api/research", request_id="first-run", **RUN)
        assert done.status_code == 200, done.text
    assert len(page.get("/api/research").json()) == 1
    page.post("/api/research", request_id="second-run", **RUN)
    assert page.post("/api/research/second-run/cancel").status_code == 200
    ended = eventually(lambda: (row := job(page, "first-run"))["ended_wall_ms"] and row, 60)
    assert (ended["state"], ended["has_report"], ended["share"]) == ("done", True, 1.0), ended
    assert ended["report"] in {row["id"] for row in page.get("/api/reports").json()}
    assert job(page, "second-run")["state"] == "cancelled"
    assert page.post("/api/research/second-run/cancel").json()["code"] == "REFUSED"


def test_run_that_is_under_way_ends_when_it_is_cancelled_or_the_queue_stops(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    space = {"parameters": ["fast_period=2:400:1", "slow_period=401:2000:1"], "trials": 100_000, "method": "random"}
    for name in ("long-run", "longer-run", "last-run"):
        page.post("/api/research", request_id=name, **{**RUN, "kind": "optimize"}, **space)
    eventually(lambda: job(page, "long-run")["state"] == "running", 20)
    assert page.post("/api/research/long-run/cancel").status_code == 200
    assert job(page, "long-run")["state"] == "cancelled"
    eventually(lambda: job(page, "longer-run")["state"] == "running", 20)
    console.server.research.stop()
    kept = ResearchQueue(console.config, console.server.research.path, lambda: 7)
    assert [(row.id, row.state) for row in kept.jobs()[:2]] == [("last-run", "waiting"), ("longer-run", "interrupted")]
    assert kept.cancel("last-run")
    again = page.get("/api/research").json()[1]["request"]
    assert again["parameters"] == space["parameters"]  # what a page sends to queue it again


def test_queue_is_worked_off_after_a_restart_and_what_ran_without_an_end_was_interrupted(tmp_path: Path) -> None:
    request = ResearchRequest(request_id="r", kind="backtest", strategy="SMA_Crossover", data=["gone.csv"])
    state: dict[str, Any] = {"kind": "backtest", "strategy": "SMA_Crossover", "asked": "", "by": "asha"}
    ran, waits = (
        ResearchJob(id=name, state=name, asked_wall_ms=1, report=name, request=request, **state)
        for name in ("running", "waiting")
    )
    path = tmp_path / "queue.json"
    path.write_bytes(msgspec.json.encode([ran, waits]))
    queue = ResearchQueue(msgspec.structs.replace(run_config(tmp_path), home=str(tmp_path)), path, lambda: 7)
    queue.start()
    ended = eventually(lambda: (row := queue.jobs()[0]).ended_wall_ms and row, 10)
    assert ended.state == "failed" and "a file in the project's folder" in ended.error  # its data are gone
    assert (queue.jobs()[1].state, queue.jobs()[1].ended_wall_ms) == ("interrupted", 7)
    queue.stop()
    path.write_text("[{", encoding="utf-8")
    assert ResearchQueue(queue.config, path, lambda: 7).jobs() == []


def test_comparison_of_a_day_takes_no_data(tmp_path: Path) -> None:
    asked = ResearchRequest(request_id="r", kind="parity", strategy="SMA", data=["gone.csv"], first="2026-11-23")
    words = research_words(asked, tmp_path, "r", "paper")
    report = str(tmp_path / "runs" / "r")
    assert words == ("parity", "--date=2026-11-23", "--report", report, "--profile", "paper", "--", "SMA")


@pytest.mark.parametrize(
    ("field", "value"),
    [("strategy", "../evil"), ("strategy", "--help"), ("data", ["/etc/passwd"]), ("data", ["../x.csv"]),
     ("data", ["--report=x"]), ("data", ["model"]), ("parameters", ["x"]), ("parameters", ["--a=b"]),
     ("options", ["/etc"])],
)  # fmt: skip
def test_words_of_a_page_are_never_options_nor_paths_outside(tmp_path: Path, field: str, value: Any) -> None:
    (tmp_path / "a.csv").write_text("")
    fields: dict[str, Any] = {**RUN, "data": ["a.csv"], "request_id": "r", field: value}
    with pytest.raises(ApiRefused) as refused:
        research_words(ResearchRequest(**fields), tmp_path, "r", "default")
    assert refused.value.field == field
