"""The web console of a whole stack in Chromium, briefly: first user by code, dashboard, a halt, policy and axe.

`make test-console` drives every page and dialog (`tests/console`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.console_viewer import PageViewer, console_url, launched_chromium, why_no_pages
from tests.kit.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(why_no_pages()), reason=why_no_pages())]


def test_operator_logs_in_by_code_sees_the_stack_and_halts_it_from_the_keyboard(tmp_path: Path) -> None:
    with Stack(tmp_path, CONSOLE_ENABLED="true", CONSOLE_PORT="0") as stack, launched_chromium() as chromium:
        stack.up("--simulator")
        viewer = PageViewer(chromium, console_url(stack))
        viewer.make_first_user(stack.ask("console", "code")["code"])
        page = viewer.page
        page.locator(".cards .badge", has_text="connected").wait_for()
        assert "[PAPER] Dashboard" in page.title()
        assert viewer.serious_findings() == []
        page.keyboard.press("Alt+Shift+H")
        viewer.dialog("Emergency")
        page.keyboard.press("Enter")
        viewer.button("HALTED").wait_for()
        assert stack.ask("status")["trading"]["by"] == "console:asha"
        assert viewer.problems == []
        viewer.close()
