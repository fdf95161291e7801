"""Pages of the web console in Chromium: how a test drives them, and what none of them may ever do.

Playwright, which `make test-console` installs, drives the machine's own Chromium. A viewer keeps in `problems` what its
page did wrong: an exception, a violation of the policy, a request to anyone but its console, a defect of the server.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mytrading.daemons.console.page_files import BUNDLE
from tests.kit.console_browser import PASSWORD
from tests.kit.pages import CHROMIUM
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.waiting import PATIENCE

AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
WIDE, PHONE = 1440, 360
"""Pixels of a screen and of a phone."""
_WAIT_MS = 15_000 * PATIENCE
_OPTIONS = ["--no-sandbox", "--disable-component-update", "--disable-background-networking"]
_WATCH = "addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.sample}`))"
_SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => `${found.id}: ${found.nodes.slice(0, 3).map(one => one.html.slice(0, 160)).join(" | ")}`)"""
_OVERFLOW = """() => [document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll("main *")]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".table, .diff, .logs"))
  .slice(0, 3).map(one => one.outerHTML.slice(0, 120))]"""
_NETWORK = ("Failed to load resource", "WebSocket connection to")
_addresses = count(1)


def why_no_pages() -> str:
    """Return the reason for which pages cannot be shown here; empty where they can."""
    if not CHROMIUM:
        return "no Chromium on this machine: apt-get install chromium"
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: make test-console installs it"
    return "" if (BUNDLE / "index.html").exists() and AXE.exists() else "the pages are not built: make console"


@contextmanager
def launched_chromium() -> Iterator[Any]:
    """Chromium as Playwright drives it; skips the test where it cannot be had."""
    if why := why_no_pages():
        pytest.skip(why)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        try:
            yield chromium
        finally:
            chromium.close()


class PageViewer:
    """A page of a browser of its own, with an address of its own, since rates of requests count by address."""

    opened: ClassVar[list[PageViewer]] = []
    """Open viewers, for the pictures of a failed test."""

    def __init__(self, chromium: Any, url: str, *, width: int = WIDE, state: Any = None, **options: Any) -> None:
        self.url = url
        self.problems: list[str] = []
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900 if width > PHONE else 780},
            storage_state=state,
            extra_http_headers={"X-Forwarded-For": f"198.51.100.{next(_addresses)}"},
            **options,
        )
        self.page = self.context.new_page()
        self.opened.append(self)
        self.page.set_default_timeout(_WAIT_MS)
        self.page.add_init_script(_WATCH)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _said(self, message: Any) -> None:
        if message.type == "error" and not message.text.startswith(_NETWORK):
            self.problems.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "blob:", "data:")):
            self.problems.append(f"foreign: {request.url}")

    def _answered(self, response: Any) -> None:
        if response.status in (429, 500):
            self.problems.append(f"{response.status}: {response.url}")

    def close(self) -> None:
        """Close the browser's window."""
        self.opened.remove(self)
        self.context.close()

    # going about

    def open(self, path: str, heading: str = "") -> None:
        """Show a page of the console by its address, `/orders`."""
        self.page.goto(f"{self.url}/#{path}")
        heads = self.page.locator("main h1")
        (heads.filter(has_text=heading) if heading else heads.first).wait_for()

    def log_in(self, name: str = "asha", password: str = PASSWORD) -> None:
        """Log in by the form, to the dashboard."""
        self.page.goto(self.url)
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Dashboard").wait_for()

    def make_first_user(self, code: str, name: str = "asha") -> None:
        """Fill the form of the first user with the shell's code, to the dashboard."""
        page = self.page
        page.goto(self.url)
        page.get_by_label("Code from the shell").fill(code)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password:").fill(PASSWORD)
        page.get_by_label("Password again").fill(PASSWORD)
        page.get_by_role("button", name="Make the administrator").click()
        page.get_by_role("heading", name="Dashboard").wait_for()

    def button(self, name: str, **options: Any) -> Any:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, **options)

    def press(self, name: str, *, within: Any = None, exact: bool = False) -> None:
        """Press a button by its name."""
        (within or self.page).get_by_role("button", name=name, exact=exact).first.click()

    def dialog(self, title: str | re.Pattern[str]) -> Any:
        """The open dialog of this title."""
        found = self.page.get_by_role("dialog", name=title)
        found.wait_for()
        return found

    def table(self, label: str) -> Any:
        """A table by its label."""
        return self.page.get_by_role("region", name=label, exact=True)

    def row(self, label: str, *texts: str) -> Any:
        """The first row of a table that holds each of these texts, with what stands below it; it is waited for."""
        found = self.table(label).locator("tbody[data-index], tbody:not([data-index]) tr")
        for text in texts:
            found = found.filter(has_text=text)
        found.first.wait_for()
        return found.first

    def press_in_row(self, button: str, label: str, *texts: str) -> None:
        """Press a button of a row. The table is narrowed to the first text, so that no row that comes moves this one; a
        press in the moment after it changed its place does nothing, which the page says, and is repeated."""
        self.page.get_by_label(f"Search {label}").fill(texts[0])
        until = time.monotonic() + _WAIT_MS / 1000
        while time.monotonic() < until:
            self.row(label, *texts).get_by_role("button", name=button).click()
            moved = self.page.get_by_text("The rows had just changed places").last
            self.page.get_by_role("dialog").or_(moved).first.wait_for()
            if self.page.get_by_role("dialog").count():
                return
            moved.locator("..").get_by_role("button").first.click()
        raise AssertionError(f"the row of {', '.join(texts)} in {label} moved for {_WAIT_MS / 1000:g} s")

    def said(self, text: str | re.Pattern[str]) -> Any:
        """A note at the corner with this text; it is waited for."""
        found = self.page.locator(".toasts > div").filter(has_text=text).first
        found.wait_for()
        return found

    def confirm(self) -> None:
        """Give the password again, for which the page has to ask; see `ConsoleSite.forget_passwords`."""
        asked = self.dialog("Confirm it is you")
        asked.get_by_label("Password").fill(PASSWORD)
        asked.get_by_role("button", name="Confirm").click()
        asked.wait_for(state="detached")

    # what is asked of every page

    def serious_findings(self) -> list[str]:
        """Return the serious and critical findings of axe on the page as it is now."""
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(AXE.read_text())
        found: list[str] = self.page.evaluate(_SERIOUS)
        return found

    def too_wide(self) -> list[Any]:
        """Pixels by which the page is wider than the screen and what sticks out; empty if nothing does."""
        pixels, *what = self.page.evaluate(_OVERFLOW)
        return [pixels, *what] if pixels > 0 else []

    def exported(self, folder: Path, within: Any = None) -> list[list[str]]:
        """The rows of the file that the first button `CSV` saves, heading first."""
        with self.page.expect_download() as saving:
            (within or self.page).get_by_role("button", name="CSV", exact=True).first.click()
        file = folder / saving.value.suggested_filename
        saving.value.save_as(file)
        with file.open(encoding="utf-8", newline="") as opened:
            return list(csv.reader(opened))


def console_url(stack: Stack) -> str:
    """The address at which the console of a stack listens."""
    return str(stack.ask("console", "url")["url"])


def logged_in_state(chromium: Any, stack: Stack) -> Any:
    """Make the first user by the shell's code in a browser; returns cookies for further ones."""
    viewer = PageViewer(chromium, console_url(stack))
    try:
        viewer.make_first_user(stack.ask("console", "code")["code"])
        assert viewer.problems == []
        return viewer.context.storage_state()
    finally:
        viewer.close()
