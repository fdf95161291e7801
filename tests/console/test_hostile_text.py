"""Text that others wrote, in every table that shows it and every file that is saved: it stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.console_stack import HOOK, HOSTILE, ConsoleSite
from tests.kit.console_viewer import PageViewer
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
FORMULA = re.compile(r"\s*[=+@\t\r-]")
NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?")


@pytest.fixture(scope="module", autouse=True)
def hostile(site: ConsoleSite) -> None:
    """A broker's message, alerts of a webhook, a reason of a user, all of them hostile; so are signals already."""
    site.stack.sim("fault", kind="reject", count=2, side="BUY", reason=HOSTILE)
    sender = site.hooks
    path = sender.rotate(HOOK)
    eventually(lambda: sender.is_taken(HOOK), 20)
    for body in ({"symbol": HOSTILE, "action": "BUY"}, {"symbol": "SBIN", "action": HOSTILE, "comment": HOSTILE}):
        assert sender.post(HOOK, body, path).status in (200, 400, 422)
    eventually(lambda: [row for row in site.orders() if row["state"] == "REJECTED"], 120)
    site.stack.sim("fault", kind="clear")


def is_inert(viewer: PageViewer) -> bool:
    """The text became no element, and none of it ran."""
    return bool(viewer.page.evaluate("window.pwned === undefined && !document.querySelector('main img, dialog img')"))


def assert_no_formula(rows: list[list[str]]) -> None:
    """No cell of a file would be run by a spreadsheet."""
    assert len(rows) > 1, "nothing was saved"
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if FORMULA.match(cell) and not NUMBER.fullmatch(cell)] == []


@pytest.mark.parametrize(
    ("path", "table", "row"),
    [
        ("/orders", "orders", "rejected"),
        ("/signals", "signals", "Alternating"),
        ("/webhooks", f"alerts of {HOOK}", "refused"),
    ],
)
def test_text_of_others_is_shown_and_saved_as_text(
    viewer: PageViewer, tmp_path: Path, path: str, table: str, row: str
) -> None:
    viewer.open(path)
    shown = viewer.row(table, row, "HYPERLINK" if table != "orders" else "")
    assert "<img" in shown.inner_text() and is_inert(viewer)
    saved = viewer.exported(tmp_path)
    assert_no_formula(saved)
    assert any("<img" in cell for line in saved for cell in line)


def test_reason_of_a_user_stays_text_in_halts_audit_and_its_file(
    site: ConsoleSite, viewer: PageViewer, tmp_path: Path
) -> None:
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    dialog.get_by_label("Reason").fill(HOSTILE)
    dialog.get_by_role("button", name="Halt everything").click()
    viewer.open("/risk", "Risk")
    viewer.page.locator("li", has_text="<img").first.wait_for()
    assert is_inert(viewer)
    viewer.open("/audit", "Audit")
    viewer.row("audit", "halt", "<img")
    assert is_inert(viewer)
    with viewer.page.expect_download() as saving:
        viewer.page.get_by_role("link", name="All as CSV").click()
    saving.value.save_as(tmp_path / "audit.csv")
    lines = (tmp_path / "audit.csv").read_text(encoding="utf-8").splitlines()
    assert any("<img" in line for line in lines)
    assert not [line for line in lines if line.startswith(("=", "+", "@", '"=')) or ',"=' in line or ",=" in line]
    site.stack.ask("resume")


def test_address_with_hostile_names_shows_no_page_of_theirs(viewer: PageViewer) -> None:
    for path in ("/strategies/%3Cimg%20src%3Dx%20onerror%3Dwindow.pwned%3D1%3E", "/reports/..%2F..%2Fetc%2Fpasswd"):
        viewer.open(path)
        assert is_inert(viewer)
    viewer.page.goto(f"{viewer.url}/#//evil.example/x")
    viewer.page.get_by_text("No such page").wait_for()
    assert viewer.page.url.startswith(viewer.url)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/positions", "positions"), ("/trades", "trades"), ("/accounts", "accounts"), ("/instruments", "instruments"),
        ("/settings", "settings"), ("/calendar", "calendar"),
    ],
)  # fmt: skip
def test_every_other_table_saves_a_file_without_formulas(
    viewer: PageViewer, tmp_path: Path, path: str, name: str
) -> None:
    viewer.open(path)
    if path == "/positions":
        viewer.page.get_by_label("flat ones too").check()
    viewer.table("days" if name == "calendar" else name).locator("tbody tr").first.wait_for()
    assert_no_formula(viewer.exported(tmp_path))
    assert (tmp_path / f"{name}.csv").stat().st_size > 20


def test_log_lines_of_others_are_text(viewer: PageViewer) -> None:
    viewer.open("/logs", "Logs")
    viewer.page.get_by_label("Level, and above").select_option("debug")
    viewer.page.get_by_label("Text", exact=True).fill("onerror")
    viewer.page.keyboard.press("Enter")
    viewer.page.get_by_role("log").locator("> div", has_text="onerror").first.wait_for()
    assert is_inert(viewer)
