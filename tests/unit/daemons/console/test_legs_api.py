"""Files of legs and parameters from the pages: read, and saved by the shell's own commands, with no lost edit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.console_browser import ConsoleOfTest
from tests.kit.leg_project import FILE, leg_project, leg_runs


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    home = leg_project(tmp_path_factory.mktemp("home"))
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), home=home)
    made.add_user("vera", "viewer")
    yield made
    made.stop()


def test_file_is_shown_with_its_keys_and_a_change_of_it_is_saved_once(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    assert {"name": "Condor", "file": "config/strategies/condor.toml", "legs": 4} in page.get("/api/legs").json()
    seen = page.get("/api/legs/Condor").json()
    assert seen["text"] == FILE and seen["values"]["exit_time"] == "15:10:00" and seen["versions"] == []
    asked = {"values": {"legs": [{"from": 1, "strike": "OTM 7"}, {"from": 2}, {"from": 3}, {"from": 4}]}}
    saved = page.post("/api/legs/Condor", **asked, expected=seen["digest"], save=True).json()
    assert {'-strike = "otm 5"', '+strike = "OTM 7"'} <= set(saved["diff"]) and saved["saved"]
    there = (Path(console.config.home) / seen["file"]).read_text(encoding="utf-8")
    assert there == FILE.replace("otm 5", "OTM 7") == saved["text"]
    late = page.post("/api/legs/Condor", **asked, expected=seen["digest"], save=True)
    assert (late.status_code, late.json()["code"]) == (409, "MOVED")
    assert [row["result"] for row in console.audited(action="legs save")] == ["refused", "done"]


def test_each_mistake_of_a_draft_comes_with_the_path_of_its_field(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    digest = page.get("/api/legs/Condor").json()["digest"]
    legs = [{"from": 1}, {"from": 2, "order_type": "LIMIT"}, {"from": 3}, {"from": 4, "quantity": 0}]
    made = page.post("/api/legs/Condor", values={"when": "nonsense", "legs": legs}, expected=digest).json()
    assert [row["field"] for row in made["problems"]] == ["when", "legs[2].limit", "legs[4].quantity"]
    assert not made["saved"]


def test_file_that_was_not_opened_and_what_a_viewer_asks_change_nothing(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    unseen = page.post("/api/legs/condor", values={"legs": []}, save=True).json()
    assert unseen["code"] == "MOVED" and "open it first" in unseen["error"]
    assert page.post("/api/legs/..%2Fx", values={}).status_code in (404, 409)
    assert page.get("/api/legs/Nobody").json()["code"] == "NOT_FOUND"
    assert console.browser("vera").post("/api/legs/Condor", values={}).json()["code"] == "ROLE"


def test_parameters_of_a_strategy_of_code_are_checked_saved_and_audited(console: ConsoleOfTest) -> None:
    page, path = console.browser("asha"), "/api/strategies/SMA_Crossover/parameters"
    seen = page.get(path).json()
    assert seen["file"] == "config/strategies/sma_crossover.toml" and seen["values"]["fast_period"] == 20
    wrong = page.post(path, values={"fast_period": "soon"}, expected=seen["digest"]).json()
    assert [row["field"] for row in wrong["problems"]] == ["parameters.fast_period"]
    saved = page.post(path, values={"fast_period": 15}, expected=seen["digest"], save=True).json()
    assert saved["saved"] and "+fast_period = 15" in saved["diff"]
    assert "fast_period" in saved["notes"][0], "the paper profile has a value of its own"
    assert page.get(path).json()["values"]["fast_period"] == 15
    late = page.post(path, values={"fast_period": 16}, expected=seen["digest"], save=True)
    assert (late.status_code, late.json()["code"]) == (409, "MOVED")
    assert page.get("/api/strategies/Nobody/parameters").json()["file"] == ""
    assert console.browser("vera").post(path, values={}).json()["code"] == "ROLE"
    assert [row["result"] for row in console.audited(action="strategies save")] == ["refused", "refused", "done"]


def test_keys_of_legs_that_run_are_shown_with_what_the_file_says_otherwise(tmp_path: Path) -> None:
    home = leg_project(tmp_path / "home")
    made = ConsoleOfTest(tmp_path / "console", home=home, strategies=leg_runs(home, tmp_path / "state"))
    try:
        made.add_user("vera", "viewer")
        page, path = made.browser("vera"), "/api/strategies/Condor/legs"
        assert page.get("/api/strategies/Nobody/legs").json()["code"] == "NOT_FOUND"
        seen = page.get(path).json()
        assert seen["running"] == seen["values"] and seen["changed"] == []
        assert (seen["running"]["exit_time"], seen["running"]["legs"][1]["stop"]) == ("15:10:00", "30%")
        file = home / "config" / "strategies" / "condor.toml"
        file.write_text(FILE.replace("15:10:00", "15:05:00").replace('stop = "30%"', 'stop = "40%"'))
        seen = page.get(path).json()
        assert set(seen["changed"]) == {"exit_time", "legs"}
        assert (seen["running"]["exit_time"], seen["values"]["exit_time"]) == ("15:10:00", "15:05:00")
        file.unlink()
        assert page.get(path).json()["file"] == ""
    finally:
        made.stop()
