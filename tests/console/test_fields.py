"""Fields of numbers and times in Chromium: what was typed stays, what is wrong is said there, and is not sent."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.kit.console_stack import SBIN, ConsoleSite
from tests.kit.console_viewer import PageViewer

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

NO_NUMBERS = {
    "0": "found 0: type 1 or more",
    "2.5": "found 2.5: type 2 or 3",
    "many": "found many",
    "": "found nothing",
}


def posts(viewer: PageViewer, path: str) -> list[Any]:
    """Requests of a page to an address, as they come."""
    sent: list[Any] = []
    viewer.page.on("request", lambda one: sent.append(one) if one.method == "POST" and path in one.url else None)
    return sent


def card_of(viewer: PageViewer, text: str) -> Any:
    return viewer.page.locator("section.card", has_text=text).last


def assert_told(place: Any, label: str, typed: str, told: str) -> None:
    """The field keeps a text and says what is wrong with it."""
    field = place.get_by_label(label)
    field.fill(typed)
    place.locator(".field-error", has_text=told).wait_for()
    assert field.input_value() == typed and field.get_attribute("aria-invalid") == "true"


def test_times_lots_and_values_of_the_builder_stay_as_they_were_typed_until_they_are_right(viewer: PageViewer) -> None:
    viewer.open("/builder", "Strategy builder")
    page, sent = viewer.page, posts(viewer, "/api/legs/")
    legs, saving = card_of(viewer, "Legs"), card_of(viewer, "As a strategy")
    page.locator(".payoff").wait_for()
    saving.locator('[name="name"]').fill("Wrong_Numbers")
    for typed, told in NO_NUMBERS.items():
        assert_told(page, "Times", typed, told)
    page.get_by_text("Not drawn. Leg 1: Times is no such number").wait_for()
    assert saving.get_by_role("button", name="Check").is_disabled()
    page.get_by_label("Times").fill("2")
    page.locator(".payoff").wait_for()
    for typed, told in NO_NUMBERS.items():
        assert_told(page, "Lots of leg 1", typed, told)
    page.get_by_text("Not drawn. Leg 1: its lots are no such number").wait_for()
    assert_told(page, "Value of leg 2", "25", "found 25: type 20 or less")
    page.get_by_label("Value of leg 2").press("Tab")
    assert page.get_by_label("Value of leg 2").input_value() == "25"
    saving.get_by_role("button", name="Check").click()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Lots of leg 1"
    saving.get_by_text("2 fields are wrong (leg 1, leg 2)").wait_for()
    assert sent == [] and viewer.serious_findings() == [] and viewer.too_wide() == []
    page.get_by_label("Lots of leg 1").fill("3")
    page.get_by_label("Value of leg 2").fill("7")
    saving.get_by_role("button", name="Check").click()
    saving.locator("pre.diff .gain", has_text="lots = 6").wait_for()
    assert legs.locator(".field-error").count() == 0 and len(sent) == 1
    page.get_by_label("Template").select_option("Short straddle")
    viewer.dialog("Unsaved changes").get_by_role("button", name="Discard").click()


def test_runs_over_history_take_no_number_that_is_none(viewer: PageViewer) -> None:
    viewer.open("/reports", "Research")
    card, sent = card_of(viewer, "New run"), posts(viewer, "/api/research")
    card.get_by_label("What").select_option("Walk forward")
    card.get_by_label("Strategy").fill("Alternating")
    card.get_by_label("Values:").fill("calm_minutes=1:3:1")
    for label in ("Trials", "Days to choose on", "Days to judge on"):
        right = card.get_by_label(label).input_value()
        for typed, told in NO_NUMBERS.items():
            assert_told(card, label, typed, told)
        card.get_by_role("button", name="Queue").click()
        assert viewer.page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
        card.get_by_label(label).fill(right)
    assert sent == [] and card.locator(".field-error").count() == 0


def test_emptied_rupees_of_a_trial_order_are_not_taken_for_none(viewer: PageViewer) -> None:
    viewer.open("/risk", "Risk")
    card, sent = card_of(viewer, "What would this order do?"), posts(viewer, "/api/risk/trial")
    card.get_by_label("Instrument").fill(SBIN)
    card.get_by_label("Type").select_option("LIMIT")
    card.get_by_role("button", name="Ask risk").click()
    card.locator(".field-error", has_text="expected a number above 0, found nothing: type one").wait_for()
    assert viewer.page.evaluate("document.activeElement.closest('label').innerText").startswith("Limit ₹")
    card.get_by_label("Limit ₹").fill("812.5")
    assert_told(card, "Stop ₹", "", "expected a number of 0 or more, found nothing")
    assert_told(card, "Stop ₹", "1,800.5", "found 1,800.5: type 1800.5")
    card.get_by_role("button", name="Ask risk").click()
    assert sent == []
    card.get_by_label("Stop ₹").fill("0")
    card.get_by_role("button", name="Ask risk").click()
    card.get_by_role("status").wait_for()
    assert [one.post_data_json["limit_price"] for one in sent] == [812.5]
    assert sent[0].post_data_json["stop_price"] == 0


def test_margins_and_webhooks_say_at_the_field_what_is_wrong(viewer: PageViewer) -> None:
    viewer.open("/accounts", "Accounts and funds")
    card = card_of(viewer, "What a margin pays for")
    asked: list[str] = []
    viewer.page.on("request", lambda one: asked.append(one.url) if "/api/margin/lots" in one.url else None)
    assert_told(card, "Margin ₹", "", "expected a number of 0 or more, found nothing")
    assert_told(card, "Margin ₹", "10,00,000", "type 1000000")
    card.get_by_role("button", name="Compute").click()
    assert asked == []
    card.get_by_label("Margin ₹").fill("1000000")
    card.get_by_role("button", name="Compute").click()
    card.get_by_text("Margin a lot").wait_for()

    viewer.open("/webhooks", "Webhooks")
    sent = posts(viewer, "/api/webhooks")
    viewer.press("New webhook")
    form = viewer.dialog("New webhook")
    form.get_by_label("Name").fill("Evening")
    form.get_by_label("Mappings").fill("SBIN=NSE:SBIN,MIS,1")
    assert_told(form, "Square-off", "3:15 PM", "HH:MM")
    assert_told(form, "Entries in", "09:20", "HH:MM-HH:MM")
    form.get_by_role("button", name="Make the webhook").click()
    assert sent == []


def test_times_are_of_24_hours_whatever_the_language_of_the_browser(site: ConsoleSite) -> None:
    viewer = site.viewer_of(locale="en-US", timezone_id="America/New_York")
    viewer.open("/builder", "Strategy builder")
    page, saving = viewer.page, card_of(viewer, "As a strategy")
    entry, leave = saving.locator('[name="entry_time"]'), saving.locator('[name="exit_time"]')
    assert (entry.input_value(), leave.input_value()) == ("09:20", "15:10")
    sent = posts(viewer, "/api/legs/")
    for typed in ("3:10 PM", "24:00", "9:20"):
        leave.fill(typed)
        saving.locator("#wrong-exit_time", has_text=f"found {typed}").wait_for()  # without a check
        assert leave.input_value() == typed and leave.get_attribute("aria-invalid") == "true"
    saving.locator('[name="name"]').fill("Late")
    saving.get_by_role("button", name="Check").click()
    assert sent == [] and leave.evaluate("one => one === document.activeElement")
    leave.fill("15:20")
    saving.get_by_role("button", name="Check").click()
    saving.locator("pre.diff .gain", has_text=re.compile("exit_time = .?15:20")).wait_for()
    leave.fill("15:10")
    saving.locator('[name="name"]').fill("")
    for path, heading in (
        ("/orders", "Orders"),
        ("/calendar", "Calendar"),
        ("/strategies/Condor", "Condor"),
        ("/", "Dashboard"),
    ):
        viewer.open(path, heading)
        page.locator("header .clock, header time, header").first.wait_for()
        text = page.locator("body").inner_text()
        assert not re.search(r"\d\s*(AM|PM)\b", text, re.IGNORECASE), path
    viewer.open("/calendar", "Calendar")
    page.get_by_text("09:15").first.wait_for()
    assert viewer.problems == []
    viewer.close()
