"""One Chromium and one stack for all browser tests of the console; each test has a browser window of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.kit.console_stack import ConsoleSite, console_site
from tests.kit.console_viewer import PageViewer, launched_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with launched_chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[ConsoleSite]:
    with console_site(tmp_path_factory.mktemp("console"), chromium) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed leaves pictures of the pages that it had open."""
    report = yield
    if report.when == "call" and report.failed and "tmp_path_factory" in getattr(item, "funcargs", {}):
        folder = item.funcargs["tmp_path_factory"].getbasetemp()  # type: ignore[attr-defined]
        for at, page in enumerate(PageViewer.opened):
            picture = folder / f"{item.name}-{at}.png"
            page.page.screenshot(path=picture)
            report.sections.append(("page at failure", f"{page.page.url} in {picture}: {page.problems}"))
    return report


@pytest.fixture(autouse=True)
def closed_windows() -> Iterator[None]:
    """Windows that a failed test left open are closed: a user has only so many pages."""
    yield
    for page in list(PageViewer.opened):
        page.close()


@pytest.fixture
def viewer(site: ConsoleSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageViewer]:
    """A page of an administrator on a wide screen, whose password was given long ago; it must have done nothing wrong
    by the end of the test."""
    site.forget_passwords()
    made = site.viewer_of()
    made.open("/", "Dashboard")
    yield made
    problems = list(made.problems)
    made.close()
    assert problems == []
