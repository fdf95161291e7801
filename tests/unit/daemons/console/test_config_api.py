"""Trading hours and margin tables from the page: checked as the stack checks them, compared, kept in versions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.console_browser import PASSWORD, Browser, ConsoleOfTest
from tests.kit.project import copy_project


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    home = tmp_path_factory.mktemp("home")
    copy_project(home)
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), home=home)
    yield made
    made.stop()


@pytest.fixture
def page(console: ConsoleOfTest) -> Browser:
    made = console.browser("asha")
    assert made.post("/api/confirm", password=PASSWORD).status_code == 200
    return made


def test_margin_of_an_underlying_is_changed_and_taken_back(console: ConsoleOfTest, page: Browser) -> None:
    seen = page.get("/api/config/risk").json()
    path = Path(console.config.home) / "config" / "risk.toml"
    text = seen["text"].replace("max_lots_per_leg = 100", "max_lots_per_leg = 90")
    assert text != seen["text"]
    asked = {"text": text, "expected": seen["digest"]}
    shown = page.post("/api/config/risk", **asked).json()
    assert not shown["saved"] and shown["problem"] == "" and any("90" in line for line in shown["diff"])
    saved = page.post("/api/config/risk", **asked, save=True).json()
    assert saved["saved"] and tomllib.loads(path.read_text())["max_lots_per_leg"] == 90
    assert page.post("/api/config/risk", **asked, save=True).json()["code"] == "MOVED"
    (version,) = saved["versions"]
    assert page.post("/api/config/risk", version=version, expected=saved["digest"], save=True).json()["saved"]
    assert path.read_text() == seen["text"]


def test_text_that_the_stack_would_refuse_is_not_written(console: ConsoleOfTest, page: Browser) -> None:
    seen = page.get("/api/config/calendar").json()
    for text in ("[", "exchanges = 3", seen["text"].replace("open = 09:15", "open = 16:15")):
        done = page.post("/api/config/calendar", text=text, expected=seen["digest"], save=True).json()
        assert done["problem"] and not done["saved"], text[:20]
    assert page.get("/api/config/calendar").json()["digest"] == seen["digest"]
    assert page.get("/api/config/settings").json()["code"] == "NOT_FOUND"
    assert console.audited(action="config")[0]["result"] == "refused"
