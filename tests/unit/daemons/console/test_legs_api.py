"""Files of legs from the builder: mistakes at their field, the difference, comments kept, versions, no lost edit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.console_browser import ConsoleOfTest
from tests.kit.leg_project import FILE, leg_project

COMMENT = "# what my broker said"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    home = leg_project(tmp_path_factory.mktemp("home"), FILE.replace("[[legs]]", f"{COMMENT}\n[[legs]]", 1))
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), home=home)
    made.add_user("vera", "viewer")
    yield made
    made.stop()


def test_change_is_checked_compared_saved_and_can_be_taken_back(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    assert {"name": "Condor", "file": "config/strategies/condor.toml", "legs": 4} in page.get("/api/legs").json()
    seen = page.get("/api/legs/Condor").json()
    path = Path(console.config.home) / seen["file"]
    before = path.read_text(encoding="utf-8")
    legs = [{"strike": "OTM 7"}, {"stop": "nonsense"}, {}, {}]
    wrong = page.post("/api/legs/Condor", values={"legs": legs}).json()
    assert [one["field"] for one in wrong["problems"]] == ["legs[2].stop"] and not wrong["saved"]
    legs[1]["stop"] = "40%"
    asked = {"values": {"legs": legs, "exit_time": "15:00"}, "expected": seen["digest"]}
    shown = page.post("/api/legs/Condor", **asked).json()
    assert {'-strike = "otm 5"', '+strike = "OTM 7"', '+stop = "40%"'} <= set(shown["diff"]) and not shown["problems"]
    assert path.read_text(encoding="utf-8") == before
    saved = page.post("/api/legs/Condor", **asked, save=True).json()
    after = path.read_text(encoding="utf-8")
    assert saved["saved"] and after == shown["text"] and COMMENT in after
    late = page.post("/api/legs/Condor", **asked, save=True)
    assert (late.status_code, late.json()["code"]) == (409, "MOVED")
    (version,) = saved["versions"]
    back = page.post("/api/legs/Condor", version=version, expected=saved["digest"], save=True).json()
    assert back["saved"] and path.read_text(encoding="utf-8") == before
    assert console.audited(action="legs save")[0]["result"] == "done"


def test_new_file_and_who_may_write_none(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    legs = [{"action": "BUY", "strike": "ATM", "right": "CE", "lots": 1}]
    made = page.post(
        "/api/legs/My_Call", values={"underlying": "NIFTY", "entry_time": "09:20", "legs": legs}, save=True
    )
    assert made.json()["saved"], made.text
    assert (Path(console.config.home) / "config" / "strategies" / "my_call.toml").exists()
    assert page.post("/api/legs/..%2Fx", values={}).status_code in (404, 409)
    assert page.get("/api/legs/Nobody").json()["code"] == "NOT_FOUND"
    assert console.browser("vera").post("/api/legs/Condor", values={}).json()["code"] == "ROLE"
