"""The head of a phone while several halts are in force: each with its scope, nothing cut and nothing covered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.daemons.console.page_files import BUNDLE
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.console_viewer import PHONE, PageViewer

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
CUT = """() => [...document.querySelectorAll("header.head .each, header.head .each *, header.head .level")]
  .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
  .map(one => one.outerHTML)"""


@pytest.mark.parametrize("width", [PHONE, 390])
def test_head_of_a_phone_names_every_halt_and_covers_nothing(tmp_path: Path, chromium: Any, width: int) -> None:
    console = ConsoleOfTest(tmp_path, bundle=BUNDLE)
    try:
        page, strategy = console.browser("asha"), console.config.strategies[0].name
        asked = (("halt", {}), ("halt", {"account": "paper"}), ("switch", {"strategy": strategy, "enabled": False}))
        for number, (action, body) in enumerate(asked):
            done = page.post(f"/api/actions/{action}", request_id=f"halt-{number}-of-phone", reason="looked at", **body)
            assert done.status_code == 200, done.text
        viewer = PageViewer(chromium, console.server.url, width=width)
        viewer.log_in()
        level = viewer.page.locator("header.head button.level")
        level.locator(".each > span").nth(2).wait_for()
        words = level.locator(".each > span").all_inner_texts()
        assert words == ["all accounts HALTED", "paper HALTED", f"{strategy} OFF"]
        assert viewer.page.evaluate(CUT) == [] and not viewer.too_wide()
        head = viewer.page.locator("header.head").bounding_box()
        for one in ("header.head button.level", "header.head .mode", "header.head .facts"):
            box = viewer.page.locator(one).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= head["height"]
        viewer.page.locator(".menu-button").click()
        first = viewer.page.get_by_role("link", name="Dashboard").bounding_box()
        assert first["y"] >= head["height"], "the menu begins below the head"
        assert viewer.problems == []
        viewer.close()
    finally:
        console.stop()
