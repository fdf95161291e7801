"""The pages of the web console in a browser: login, dashboard, halt and resume, every page, under the strict policy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from mytrading.daemons.console.page_files import BUNDLE
from tests.kit.console_browser import PASSWORD, ConsoleOfTest
from tests.kit.project import ROOT

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: make test-console installs it"
)
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
    pytest.mark.skipif(not (BUNDLE / "index.html").exists(), reason="the pages are not built: make console"),
]
WATCH = "addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.sample}`))"
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => `${found.id}: ${found.nodes[0].html.slice(0, 200)}`)"""
QUIET = ["--no-sandbox", "--disable-component-update", "--disable-background-networking"]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), bundle=BUNDLE)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


class Viewer:
    """A page of a browser, what it complained of, and what it asked of others than the console."""

    def __init__(self, browser: Any, console: ConsoleOfTest, width: int) -> None:
        self.problems: list[str] = []
        self.url = console.server.url
        self.page = browser.new_context(viewport={"width": width, "height": 780}).new_page()
        self.page.set_default_timeout(15_000)
        self.page.add_init_script(WATCH)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1))):
            self.problems.append(f"foreign: {request.url}")

    def log_in(self) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("Name").fill("asha")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Dashboard").wait_for()


@pytest.fixture(scope="module")
def viewer(browser: Any, console: ConsoleOfTest) -> Viewer:
    made = Viewer(browser, console, 1440)
    made.log_in()
    return made


def test_halt_and_resume_from_the_keyboard_reach_the_gateway_and_the_head(
    viewer: Viewer, console: ConsoleOfTest
) -> None:
    page = viewer.page
    page.keyboard.press("Alt+Shift+H")
    page.get_by_role("dialog", name="Emergency").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="HALTED").wait_for()
    assert console.audited(action="halt")[0]["user"] == "asha"
    page.get_by_role("button", name="HALTED").click()
    page.get_by_role("button", name="Resume everything").click()
    asked = page.get_by_role("dialog", name="Confirm it is you")
    if asked.is_visible():  # a login counts for a while
        asked.get_by_label("Password").fill(PASSWORD)
        asked.get_by_role("button", name="Confirm").click()
    page.get_by_role("button", name="HALTED").wait_for(state="detached")
    assert viewer.problems == []


def test_every_page_opens_without_an_error_and_passes_the_policy_and_the_checks_of_axe(viewer: Viewer) -> None:
    page = viewer.page
    page.evaluate(AXE.read_text())
    names = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert len(names) >= 15
    for name in names:
        page.goto(f"{viewer.url}/{name}")
        page.locator("main h1").wait_for()
        assert page.evaluate(SERIOUS) == [], name
    assert viewer.problems == []


def test_a_phone_halts_in_two_taps_and_nothing_is_wider_than_its_screen(browser: Any, console: ConsoleOfTest) -> None:
    phone = Viewer(browser, console, 360)
    phone.log_in()
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 360
    phone.page.get_by_role("button", name="HALT", exact=True).click()
    phone.page.get_by_role("button", name="Halt everything").click()
    phone.page.get_by_role("button", name="HALTED").wait_for()
    assert phone.problems == []
