"""The end of a session in Chromium: the page stays for its user behind the login, and is nobody else's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from mytrading.daemons.console.page_files import BUNDLE
from mytrading.daemons.console.user_store import store_path
from tests.kit.console_browser import PASSWORD, ConsoleOfTest
from tests.kit.console_viewer import PageViewer
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    """A console with its pages and two traders, without a stack."""
    made = ConsoleOfTest(tmp_path_factory.mktemp("ends"), bundle=BUNDLE)
    for name in ("tess", "theo"):
        made.add_user(name, "trader")
    yield made
    made.stop()


@pytest.fixture
def page(console: ConsoleOfTest, chromium: Any) -> Iterator[PageViewer]:
    """A page of tess; it must have done nothing wrong by the end of the test."""
    made = PageViewer(chromium, console.server.url)
    made.log_in("tess")
    yield made
    problems = list(made.problems)
    made.close()
    assert problems == []


def role_changed(console: ConsoleOfTest) -> None:
    done = console.browser("asha").post("/api/users/tess", role="trader")
    assert done.status_code == 200, done.text


def revoked(console: ConsoleOfTest) -> None:
    admin = console.browser("asha")
    for one in admin.get("/api/sessions").json():
        if one["user"] == "tess":
            assert admin.post(f"/api/sessions/{one['id']}/revoke").status_code == 204


def idle(console: ConsoleOfTest) -> None:
    store: Any = console.server.store
    usual, store._idle_ms = store._idle_ms, -1
    eventually(lambda: not console.server.hub.viewers, 30)
    forget_sessions(console)
    store._idle_ms = usual


def restarted(console: ConsoleOfTest) -> None:
    console.restart(BUNDLE, meanwhile=lambda: forget_sessions(console))


def forget_sessions(console: ConsoleOfTest) -> None:
    with closing(sqlite3.connect(store_path(console.config.state))) as db, db:
        db.execute("DELETE FROM sessions WHERE name = 'tess'")


def log_in_again(viewer: PageViewer, name: str) -> None:
    """Fill the login that lies over the page."""
    asked = viewer.page.get_by_role("dialog", name="Log in again")
    asked.wait_for()
    asked.get_by_label("Name").fill(name)
    asked.get_by_label("Password").fill(PASSWORD)
    asked.get_by_role("button", name="Log in").click()


def shown_texts(viewer: PageViewer) -> str:
    text: str = viewer.page.evaluate("document.body.innerText")
    return text


def edit_legs(viewer: PageViewer) -> None:
    viewer.open("/builder", "Strategy builder")
    page = viewer.page
    page.get_by_label("Stop of leg 3").fill("45%")
    page.locator('[name="name"]').fill("Secret_Plan")
    page.locator('[name="exit_time"]').fill("14:55")


@pytest.mark.parametrize("end", [role_changed, revoked, idle, restarted])
def test_edits_of_the_builder_outlast_a_session_that_ends(
    console: ConsoleOfTest, page: PageViewer, end: Callable[[ConsoleOfTest], None]
) -> None:
    edit_legs(page)
    end(console)
    asked = page.page.get_by_role("dialog", name="Log in again")
    asked.wait_for()
    assert "Secret_Plan" not in shown_texts(page) and not page.page.get_by_label("Stop of leg 3").is_visible()
    assert page.serious_findings() == [] and page.too_wide() == []
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Alt+Shift+H")
    assert asked.is_visible(), "nothing but a login takes it away"
    log_in_again(page, "tess")
    asked.wait_for(state="detached")
    assert page.page.get_by_label("Stop of leg 3").input_value() == "45%"
    assert page.page.locator('[name="name"]').input_value() == "Secret_Plan"
    assert page.page.locator('[name="exit_time"]').input_value() == "14:55"
    assert not page.page.get_by_role("dialog").count()
    assert page.page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)").count("Secret") == 0
    eventually(lambda: console.server.hub.viewers, 20)  # its live data come again
    page.page.get_by_label("Menu of tess").click()
    page.press("Log out")  # asked about, as any way to leave
    page.dialog("Unsaved changes").get_by_role("button", name="Discard").click()
    page.button("Log in").wait_for()
    assert not page.page.get_by_role("dialog").count()


def test_another_user_begins_with_an_empty_page_and_only_after_a_word(console: ConsoleOfTest, page: PageViewer) -> None:
    edit_legs(page)
    role_changed(console)
    log_in_again(page, "theo")
    goes_on = page.button("Go on as theo")
    goes_on.wait_for()
    assert "Secret_Plan" not in shown_texts(page)
    log_in_again(page, "tess")  # theo changed his mind
    page.page.get_by_role("dialog").wait_for(state="detached")
    assert page.page.locator('[name="name"]').input_value() == "Secret_Plan"

    role_changed(console)
    log_in_again(page, "theo")
    goes_on.click()
    page.page.get_by_role("heading", name="Strategy builder").wait_for()
    page.page.get_by_label("Menu of theo").wait_for()
    assert page.page.locator('[name="name"]').input_value() == ""
    assert "45%" not in page.page.locator("main input").evaluate_all("all => all.map(one => one.value)")


def test_open_dialog_keeps_what_was_typed_through_the_login(console: ConsoleOfTest, page: PageViewer) -> None:
    page.open("/webhooks", "Webhooks")
    page.press("New webhook")
    form = page.dialog("New webhook")
    form.get_by_label("Name").fill("Morning")
    form.get_by_label("Mappings").fill("SBIN=NSE:SBIN,MIS,1")
    revoked(console)
    asked = page.page.get_by_role("dialog", name="Log in again")
    asked.wait_for()
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Escape")
    assert not form.is_visible() and asked.get_by_label("Password").is_visible()
    log_in_again(page, "tess")
    asked.wait_for(state="detached")
    form.wait_for()
    assert form.get_by_label("Name").input_value() == "Morning"
    assert form.get_by_label("Mappings").input_value() == "SBIN=NSE:SBIN,MIS,1"
    form.get_by_role("button", name="Close the dialog").click()
    form.wait_for(state="detached")
    page.button("New webhook").click()  # the page behind it takes presses


def test_text_of_an_editor_outlasts_a_session_that_ends(console: ConsoleOfTest, chromium: Any) -> None:
    viewer = PageViewer(chromium, console.server.url)
    viewer.log_in("asha")
    viewer.open("/calendar", "Calendar")
    viewer.press("Edit")
    text = viewer.page.locator("textarea")
    text.fill("# half typed")
    console.server.store.end_sessions(*(one.digest for one in console.server.store.sessions("asha")))
    log_in_again(viewer, "asha")
    viewer.page.get_by_role("dialog").wait_for(state="detached")
    assert text.input_value() == "# half typed"
    assert viewer.problems == []
    viewer.close()


def test_action_of_one_user_is_not_done_under_the_name_of_another(console: ConsoleOfTest, page: PageViewer) -> None:
    """Another tab of the same browser logs in as somebody else: the cookie is theirs, the page is not."""
    page.press("HALT", exact=True)
    dialog = page.dialog("Emergency")
    twin = page.context.new_page()
    twin.goto(console.server.url)
    twin.evaluate(
        """async password => {
          const {csrf} = await (await fetch("/api/session")).json();
          const headers = {"Content-Type": "application/json", "X-CSRF-Token": csrf};
          await fetch("/api/login", {method: "POST", headers, body: JSON.stringify({name: "theo", password})});
        }""",
        PASSWORD,
    )
    if dialog.is_visible():
        dialog.get_by_role("button", name="Halt everything").evaluate("one => one.click()")
    page.button("Go on as theo").wait_for()
    assert not [row for row in console.gateway.rows if getattr(row, "by", "") == "theo"]
