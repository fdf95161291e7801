"""Lists longer than a page holds: what has not ended is there however old, the rest behind the button `Older`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import DAY
from mytrading.daemons.console.page_files import BUNDLE
from mytrading.daemons.console.stack_reader import MOST_ENDED
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import OrderChanged
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.console_viewer import PageViewer
from tests.kit.order_samples import order

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def test_old_order_of_unknown_fate_is_shown_and_the_oldest_that_ended_is_found(tmp_path: Path, chromium: Any) -> None:
    console = ConsoleOfTest(tmp_path, bundle=BUNDLE)
    try:
        view = console.gateway.server.context.view
        for number in range(MOST_ENDED + 4):
            state = OrderState.FILLED if number else OrderState.UNKNOWN
            at = number + (DAY if number > 2 else 0)
            one = order(client_order_id=f"o{number}", state=state, created_ns=at, updated_ns=at)
            view.apply(OrderChanged(order=one, event="changed", machine_ns=1))
        viewer = PageViewer(chromium, console.server.url)
        viewer.log_in()
        viewer.page.get_by_role("link", name="Orders").click()
        main = viewer.page.locator("main")
        shown = f"search, filters and CSV cover {MOST_ENDED + 1} rows: the newest, and all that have not ended, of"
        main.get_by_text(f"{shown} {MOST_ENDED + 4}; Older shows the next").wait_for()
        viewer.press("Needs a person")
        viewer.button("Why o0").wait_for()
        viewer.press("All", exact=True)
        viewer.press("Older")
        viewer.button("Why o1").wait_for()
        assert main.locator("tbody tr").count() == 3 and not viewer.button("Older").count()
        viewer.press("Newest")
        viewer.page.get_by_label("Day").select_option(index=2)
        viewer.button("Why o1").wait_for()
        assert main.locator("tbody tr").count() == 3, "the day before, the order that has not ended too"
        assert viewer.problems == []
        viewer.close()
    finally:
        console.stop()
