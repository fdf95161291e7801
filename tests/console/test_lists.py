"""Lists longer than a page holds: what has not ended is there however old, the rest behind the button `Older`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import DAY, SECOND
from mytrading.daemons.console.page_files import BUNDLE
from mytrading.daemons.console.stack_reader import MOST_ENDED
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import OrderChanged
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.console_viewer import PageViewer
from tests.kit.order_samples import order

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


ROWS_FILL = """selector => {
    const box = document.querySelector(selector).getBoundingClientRect();
    const found = [...document.querySelectorAll(`${selector} tbody[data-index]`)];
    const rows = found.map(row => row.getBoundingClientRect());
    const below = Math.max(...rows.map(row => row.bottom)) >= Math.min(box.bottom, innerHeight) - 20;
    return below && Math.min(...rows.map(row => row.top)) <= box.top + 60;
}"""
"""Rows cover what is seen of a table's box."""


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


def test_end_of_a_long_list_is_reached_on_a_phone_though_its_rows_have_two_lines(tmp_path: Path, chromium: Any) -> None:
    console = ConsoleOfTest(tmp_path, bundle=BUNDLE)
    try:
        view, rows = console.gateway.server.context.view, 300
        for number in range(rows):
            at = DAY + number * SECOND
            one = order(client_order_id=f"o{number:03}", state=OrderState.FILLED, created_ns=at, updated_ns=at)
            view.apply(OrderChanged(order=one, event="changed", machine_ns=1))
        viewer = PageViewer(chromium, console.server.url)
        viewer.page.set_viewport_size({"width": 360, "height": 740})
        viewer.log_in()
        viewer.open("/orders")
        viewer.button("Why o299").wait_for()
        viewer.page.evaluate("location.hash = '#/reports?strategy=Condor'")  # as typed or bookmarked
        viewer.page.get_by_role("heading", name="Research").wait_for()
        assert viewer.page.evaluate("location.search + location.hash") == "?strategy=Condor#/reports"
        viewer.open("/orders")
        scrolled = "main .table:has(tbody.pad)"
        viewer.page.wait_for_selector(scrolled)
        for end in ("element.scrollHeight", "element.scrollHeight / 2", "element.scrollHeight"):
            viewer.page.eval_on_selector(scrolled, f"element => {{ element.scrollTop = {end} }}")
            viewer.page.wait_for_function(ROWS_FILL, arg=scrolled)
        viewer.button("Why o000").wait_for()
        heights = viewer.page.eval_on_selector_all(
            f"{scrolled} tbody[data-index]", "all => all.map(row => row.offsetHeight)"
        )
        assert min(heights) > 40, "rows of two lines"
        assert viewer.problems == []
        viewer.close()
    finally:
        console.stop()
