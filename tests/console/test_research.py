"""Research in the browser: a day against its backtest, and runs over history compared by figures and by equity."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.kit.console_stack import ConsoleSite
from tests.kit.console_viewer import PHONE, PageViewer
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
CELLS = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
SPANS = (("2024-01-29", "2024-01-30"), ("2024-01-30", "2024-01-31"))


def new_run(viewer: PageViewer) -> Any:
    """The form of a new run."""
    return viewer.page.locator("section.card", has=viewer.page.get_by_role("heading", name="New run"))


def newest(viewer: PageViewer, name: str) -> Any:
    """The newest run of this name in the queue."""
    found = viewer.page.locator("li", has_text=name).first
    found.wait_for()
    return found


def test_day_is_compared_with_its_backtest_from_the_strategy_and_the_result_is_drawn(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    page = viewer.page
    eventually(lambda: [row for row in site.stack.ask("trades") if row["strategy"] == "Alternating"], 120)
    viewer.open("/strategies/Alternating", "Alternating")
    viewer.press("Live against backtest")
    page.get_by_role("heading", name="Research").wait_for()
    run = newest(viewer, "parity Alternating")
    run.locator(".badge", has_text="running").wait_for(timeout=60_000)
    assert run.get_by_label("Progress of parity Alternating").is_visible()
    run.locator(".badge", has_text="done").wait_for(timeout=180_000)
    viewer.row("reports", "parity")
    run.get_by_role("link", name="parity Alternating").click()
    page.get_by_role("heading", name=re.compile("^paper ")).wait_for()
    counts = page.get_by_role("region", name="table").first
    assert {"signals", "orders", "fills"} <= {
        one.partition("\t")[0].lower() for one in counts.locator("tbody tr").all_inner_texts()
    }
    page.get_by_role("heading", name="Fills on price").wait_for()
    page.locator("section.card", has_text="Fills on price").locator("canvas").first.wait_for()
    ends = page.locator("section.card", has=page.get_by_role("heading", name="Differences"))
    same, first = ends.get_by_text("None: both sides did the same."), ends.locator("tbody tr").first
    same.or_(first).first.wait_for()
    if not same.count():
        assert re.match(r"\d\d", first.inner_text()) and "Alternating" in first.inner_text()
    assert viewer.serious_findings() == [] and viewer.too_wide() == []


def test_day_without_data_says_what_is_missing_and_asks_for_nothing_that_does_not_count(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    viewer.open("/reports", "Research")
    new = new_run(viewer)
    new.get_by_label("What").select_option("parity")
    shown = new.locator("label").all_inner_texts()
    assert not [text for text in shown if text.startswith(("Option prices", "Instrument", "To", "Parameters", "Data"))]
    new.get_by_label("Strategy").fill("Alternating")
    new.get_by_label("Day").fill("2020-01-01")
    new.get_by_role("button", name="Queue").click()
    run = newest(viewer, "parity Alternating")
    run.locator(".badge", has_text="failed").wait_for(timeout=120_000)
    assert "expected a day that paper has a journal of" in run.locator(".grow").inner_text()
    assert "found 2020-01-01" in run.locator(".grow").inner_text()
    new.get_by_label("Strategy").fill("Nobody")
    new.get_by_label("Day").fill("")
    new.get_by_role("button", name="Queue").click()
    other = newest(viewer, "parity Nobody")
    other.locator(".badge", has_text="failed").wait_for(timeout=120_000)
    assert "no strategy of paper is called Nobody" in other.locator(".grow").inner_text()


def test_two_runs_are_compared_by_figures_and_by_equity_on_a_screen_and_a_phone(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    page = viewer.page
    viewer.open("/reports", "Research")
    new = new_run(viewer)
    for first, last in SPANS:
        new.get_by_label("Strategy").fill("Alternating")
        new.get_by_label("Data").fill("NIFTY=data/index-1m.csv.gz")
        new.get_by_label("From", exact=True).fill(first)
        new.get_by_label("To", exact=True).fill(last)
        new.get_by_role("button", name="Queue").click()
        run = page.locator("li", has=page.locator(f"[title*='--to={last}'][title*='--from={first}']")).first
        run.locator(".badge", has_text="done").wait_for(timeout=120_000)
    jobs = [job for job in site.api(viewer, "/api/research") if job["kind"] == "backtest" and job["has_report"]][:2]
    reports = {job["request"]["first"]: job["report"] for job in jobs}
    assert len(reports) == 2
    assert viewer.row("reports", "Alternating"), "the list follows the queue"
    for width, one in ((1440, viewer), (PHONE, site.viewer_of(width=PHONE))):
        one.open("/reports", "Research")
        one.page.get_by_label("Search reports").fill("console/backtest-Alternating")
        for first, _ in SPANS:
            one.row("reports", reports[first]).get_by_role("button", name="Compare").click()
        card = one.page.locator("section.card", has=one.page.get_by_role("heading", name="Compared"))
        figures = one.table("figures compared")
        figures.locator("tbody tr").nth(3).wait_for()
        figures.locator("thead th", has_text=SPANS[0][0]).wait_for()
        figures.locator("thead th", has_text=f"{SPANS[1][0]} to").wait_for()
        heads = [text.strip() for text in figures.locator("thead th").all_inner_texts()]
        assert len(heads) == 3 and heads[1].startswith("1 ") and heads[2].startswith("2 "), heads
        assert heads[1].removeprefix("1 ") != heads[2].removeprefix("2 "), "nobody knows which is which"
        rows = figures.locator("tbody tr").evaluate_all(CELLS)
        assert any(row[1] != row[2] for row in rows) and all(len(row) == 3 for row in rows)
        for first, at in ((SPANS[0][0], 1), (SPANS[1][0], 2)):
            report = site.api(one, f"/api/reports/{reports[first]}")
            assert [row[0] for row in rows] == [entry["name"] for entry in report["cards"]]
            assert report["title"] in heads[at]
        curve = card.locator(".chart[role=img]")
        curve.locator("canvas").wait_for()
        legend = curve.locator(".u-series")
        assert [re.sub(r"\s+", " ", text).strip()[:2] for text in legend.locator(".u-label").all_inner_texts()] == [
            "ti", "1 ", "2 ",
        ]  # fmt: skip
        over = curve.locator(".u-over")
        box = over.bounding_box()
        over.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
        values = [one.strip() for one in legend.locator(".u-value").all_inner_texts()]
        assert re.match(r"\d+ \w{3}", values[0]) and any("₹" in value for value in values[1:]), values
        assert one.too_wide() == [] and one.serious_findings() == [], width
        legend.nth(1).locator(".u-marker").click()
        curve.locator(".u-series.u-off", has_text="1 ").wait_for()
        assert "Last: 1 " in str(curve.get_attribute("aria-label"))
        one.press("Clear", within=card)
        card.wait_for(state="detached")
        assert one.problems == []
    one.close()
