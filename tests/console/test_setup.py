"""Setup in the browser: accounts, users, webhooks, hours and margins, strategies of legs, research."""

from __future__ import annotations

import re
import time
import tomllib
from pathlib import Path

import pyotp
import pytest
import segno

from tests.kit.console_browser import PASSWORD
from tests.kit.console_stack import HOOK, ConsoleSite
from tests.kit.console_viewer import PageViewer
from tests.kit.waiting import eventually

_DARK = """(path, viewBox) => {
  const [left, , width] = viewBox.split(" ").map(Number), size = width + 2 * left, matrix = path.getScreenCTM();
  const isDark = (x, y) => {
    const at = new DOMPoint(x + 0.5, y + 0.5).matrixTransform(matrix);
    return document.elementFromPoint(at.x, at.y) === path;
  };
  return Array.from({length: size}, (_, y) => Array.from({length: size}, (_, x) => isDark(x, y)));
}"""
"""Which modules of the QR code are painted, row by row."""

GRADES = {"A": 95, "B": 65, "C": 36}
"""Per cent of the free margin that a trade of a grade may take."""

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


def test_account_is_added_tested_made_primary_and_its_keys_encrypted_anew(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    venue = site.stack.config.venue
    viewer.open("/accounts", "Accounts and funds")
    card = viewer.page.locator("section.card", has_text="Servers and keys")
    card.get_by_label("Name").fill("second")
    card.get_by_label("Server").fill("http://127.0.0.1:9")
    card.get_by_label("API key").fill(venue.api_key)
    card.get_by_role("button", name="Add", exact=True).click()
    viewer.confirm()
    card.get_by_role("alert").wait_for()
    card.get_by_label("Server").fill(venue.rest_url)
    card.get_by_label("WebSocket").fill(venue.ws_url)
    card.get_by_role("button", name="Add", exact=True).click()
    viewer.said("second is kept")
    assert card.get_by_label("API key").input_value() == ""
    row = card.locator("li", has_text="second")
    card.get_by_role("button", name="Test all").click()
    row.locator(".badge", has_text=" ms").wait_for()
    row.get_by_role("button", name="Change").click()
    card.get_by_label("Product").select_option("NRML")
    card.get_by_role("button", name="Change", exact=True).last.click()
    row.get_by_text("NRML").wait_for()
    card.get_by_role("button", name="Encrypt anew").click()
    viewer.said("All keys are encrypted anew")
    rows = site.api(viewer, "/api/audit?limit=20")
    assert {"account add", "account edit", "account test", "account rotate-key"} <= {one["action"] for one in rows}
    assert venue.api_key not in str(rows)


def test_margin_calculator_answers_and_names_what_is_wrong(viewer: PageViewer) -> None:
    viewer.open("/accounts", "Accounts and funds")
    card = viewer.page.locator("section.card", has_text="What a margin pays for")
    card.get_by_role("button", name="Compute").click()
    card.get_by_text("Margin a lot").wait_for()
    card.get_by_label("Profile or grade").fill("nonsense")
    card.get_by_role("button", name="Compute").click()
    assert "nonsense" in card.get_by_role("alert").inner_text()


def test_grade_that_is_edited_is_the_one_that_the_calculator_and_the_stack_count_with(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    viewer.open("/accounts", "Accounts and funds")
    heading = viewer.page.get_by_role("heading", name="Margins, lots and grades")
    edited, calculator = viewer.page.locator("section.card", has=heading), "What a margin pays for"
    card = viewer.page.locator("section.card", has_text=calculator)

    def lots(grade: str) -> int:
        card.get_by_label("Profile or grade").fill(grade)
        card.get_by_role("button", name="Compute").click()
        card.get_by_text(f"({GRADES[grade]}%)").wait_for()
        return int(card.locator("dd").first.inner_text())

    assert (lots("A"), lots("B"), lots("C")) == (3, 2, 1)  # of ₹10,00,000 at ₹2,50,000 a lot
    edited.get_by_role("button", name="Edit").click()
    text = edited.locator("textarea")
    eventually(text.input_value, 10)
    before = text.input_value()
    text.fill(before.replace("C = 0.36", "C = 0.81"))
    edited.get_by_role("button", name="Check").click()
    viewer.confirm()
    edited.locator("pre.diff", has_text="+C = 0.81").wait_for()
    edited.get_by_role("button", name="Save").click()
    viewer.said("config/risk.toml is written")
    try:
        shown = viewer.page.locator("section.card", has_text="What a lot needs")
        shown.locator("dd", has_text="81 %").wait_for()
        card.get_by_label("Profile or grade").fill("A")
        card.get_by_role("button", name="Compute").click()
        card.get_by_text("(95%)").wait_for()
        card.get_by_label("Profile or grade").fill("C")
        card.get_by_role("button", name="Compute").click()
        card.get_by_text("(81%)").wait_for()
        assert card.locator("dd").first.inner_text() == "3"
        assert not site.stack.ask("alerts") or "EDIT_REFUSED" not in str(site.stack.ask("alerts"))
    finally:
        (site.home / "config" / "risk.toml").write_text(before, encoding="utf-8")


def test_role_that_is_changed_counts_at_once_and_the_stack_and_the_audit_say_who_acted(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    viewer.open("/users", "Users")
    viewer.press("New user")
    dialog = viewer.dialog("New user")
    dialog.get_by_label("Name").fill("tara")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.row("users", "tara", "viewer")
    other = site.viewer_of(state=None)
    other.log_in("tara")
    assert not other.button("HALT", exact=True).count()
    viewer.row("users", "tara").get_by_role("button", name="Change tara").click()
    dialog = viewer.dialog("Change tara")
    dialog.get_by_label("Role").select_option("trader")
    dialog.get_by_role("button", name="Save").click()
    viewer.row("users", "tara", "trader")
    other.page.get_by_role("button", name="Log in").wait_for()  # what the viewer had open has ended
    other.log_in("tara")
    other.page.keyboard.press("Alt+Shift+H")
    other.dialog("Emergency")
    other.page.keyboard.press("Enter")
    other.button("HALTED").wait_for()
    try:
        assert site.stack.ask("status")["trading"]["by"] == "console:tara"
        rows = site.api(viewer, "/api/audit?limit=50")
        halt = next(row for row in rows if row["action"] == "halt" and row["result"] == "done")  # the newest
        assert halt["user"] == "tara" and '"by":"console:tara"' in halt["details"].replace(" ", "")
        assert any(row["user"] == "asha" and row["target"] == "tara" and "trader" in row["details"] for row in rows)
        viewer.open("/audit", "Audit")
        viewer.page.get_by_label("User", exact=True).fill("tara")
        viewer.row("audit", "tara", "halt", "done")
    finally:
        site.stack.run("resume")
    assert other.problems == []
    other.close()


PAGES = (
    "/", "/positions", "/orders", "/trades", "/signals", "/alerts", "/risk", "/chain", "/strategies",
    "/strategies/Condor", "/builder", "/reports", "/webhooks", "/accounts", "/feed", "/processes", "/logs",
    "/instruments", "/calendar", "/settings", "/users", "/audit", "/me",
)  # fmt: skip
ACTS = re.compile(
    r"^(Pause|Enable|Close|Claim|Cancel|Modify|Resolve|Acknowledge|Close the run…|Square off…|Live against backtest|"
    r"New webhook|New user|Edit|Save|Check|Check now|Queue again|Run on paper|Ask risk|HALT|Add|Change|Resume…)$"
)
"""Buttons of what a viewer may not do."""


def refused_pages(viewer: PageViewer) -> dict[str, str]:
    """Open every page as a viewer, who can press no button that the server would refuse, and sees no error; the pages
    that are not shown, each with the role that they take."""
    found: dict[str, str] = {}
    forbidden: list[str] = []
    viewer.page.on("response", lambda answer: forbidden.append(answer.url) if answer.status == 403 else None)
    for path in PAGES:
        viewer.open(path)
        viewer.page.locator("main :text('Waiting for data…')").first.wait_for(state="detached")
        if role := re.search(r"This page takes the role (\w+)", viewer.page.locator("main").inner_text()):
            found[path] = role[1]
        acts = viewer.page.locator("main").get_by_role("button", name=ACTS, disabled=False)
        assert not acts.all_inner_texts(), path
    assert forbidden == []
    return found


def test_user_is_made_changed_and_disabled_and_a_weak_password_is_refused(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    viewer.open("/users", "Users")
    viewer.press("New user")
    dialog = viewer.dialog("New user")
    dialog.get_by_label("Name").fill("vera")
    dialog.get_by_label("Password").fill("Password1!")
    dialog.get_by_role("button", name="Save").click()
    viewer.confirm()
    dialog.get_by_role("alert").wait_for()
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Save").click()
    row = viewer.row("users", "vera", "viewer")

    other = site.viewer_of(state=None)
    other.log_in("vera")
    assert not other.button("HALT", exact=True).count(), "a viewer acts on nothing"
    assert not other.page.get_by_role("link", name="Users").count()
    refused = refused_pages(other)
    assert refused == {"/webhooks": "trader", "/settings": "admin", "/users": "admin", "/audit": "admin"}
    row.get_by_role("button", name="Change vera").click()
    dialog = viewer.dialog("Change vera")
    dialog.get_by_label("disabled").check()
    dialog.get_by_role("button", name="Save").click()
    viewer.row("users", "vera", "disabled")
    other.page.get_by_role("button", name="Log in").wait_for()
    assert other.problems == []
    other.close()


def test_password_second_factor_and_sessions_of_ones_own(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/me", "My account")
    page = viewer.page
    page.get_by_label("Password now").fill("wrong")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill("another")
    page.get_by_text("The two passwords differ.").wait_for()
    page.get_by_label("New password again").fill(PASSWORD)
    viewer.press("Change the password")
    page.get_by_role("alert").wait_for()
    viewer.press("Set it up")
    viewer.confirm()
    dialog = viewer.dialog("Set up the second factor")
    dialog.get_by_role("img", name="QR code of the secret").wait_for()
    dialog.get_by_label("Code", exact=True).fill("000000")
    dialog.get_by_role("button", name="Confirm").click()
    dialog.get_by_role("alert").wait_for()
    secret = dialog.locator("code").inner_text()
    authenticator = pyotp.TOTP(secret)
    issuer = f"MyTrading {site.stack.config.profile}"
    uri = authenticator.provisioning_uri(name="asha", issuer_name=issuer)
    shown = dialog.locator(".qr path").evaluate(_DARK, dialog.get_by_role("img").get_attribute("viewBox"))
    assert shown == [[bool(dark) for dark in line] for line in segno.make(uri, error="m").matrix]
    dialog.get_by_label("Code", exact=True).fill(authenticator.now())
    dialog.get_by_role("button", name="Confirm").click()
    viewer.said("The second factor is on.")
    site.forget_passwords()
    viewer.press("Remove it")
    asked = viewer.dialog("Confirm it is you")
    asked.get_by_label("Password or 6-digit code").fill(authenticator.at(time.time() + 30))
    asked.get_by_role("button", name="Confirm").click()
    viewer.button("Set it up").wait_for()

    other = site.viewer_of(state=None)
    other.log_in()
    viewer.open("/orders")
    viewer.open("/me")
    rows = viewer.table("sessions").locator("tbody tr")
    rows.get_by_role("button", name="End it").first.wait_for()
    for _ in range(rows.get_by_role("button", name="End it").count()):
        left = rows.count()
        rows.get_by_role("button", name="End it").first.click()
        eventually(lambda left=left: rows.count() < left, 10)  # type: ignore[misc]
    other.page.get_by_role("button", name="Log in").wait_for()
    assert rows.count() == 1
    other.close()


def test_webhook_is_changed_by_its_form_and_by_a_file_of_mappings(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/webhooks", "Webhooks")
    card = viewer.page.locator("section.card", has_text=f"Change {HOOK}")
    card.get_by_label("Further mappings").fill("TCS,NSE,3,CNC\nINFY,NOWHERE,x,MIS")
    card.get_by_role("button", name="Preview").click()
    viewer.confirm()
    card.locator("li", has_text="line 2").wait_for()
    assert "in order" not in card.locator("li", has_text="line 2").inner_text()
    card.get_by_label("Further mappings").fill("TCS,NSE,3,CNC")
    card.get_by_label("Entries in").fill("09:20-25:00")
    card.locator(".field-error", has_text="found 09:20-25:00").wait_for()
    card.get_by_role("button", name="Save").click()  # which sends nothing
    card.get_by_label("Entries in").fill("09:20-15:00")
    card.get_by_role("button", name="Save").click()
    viewer.said(f"{HOOK} is changed")
    card.get_by_role("button", name="Refuse all alerts").click()
    viewer.row("webhooks", HOOK, "locked")
    card.get_by_role("button", name="Take alerts again").click()
    card.get_by_role("button", name="Refuse all alerts").wait_for()
    text = (site.home / "config" / "webhooks" / f"{HOOK}.toml").read_text(encoding="utf-8")
    assert "NSE:TCS" in text and "15:00" in text


def test_new_webhook_shows_its_address_once(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/webhooks", "Webhooks")
    viewer.press("New webhook")
    dialog = viewer.dialog("New webhook")
    dialog.get_by_label("Name").fill("From_Page")
    dialog.get_by_label("Mappings, one a line").fill("SBIN=NSE:NOBODY,MIS,x")
    dialog.get_by_role("button", name="Make the webhook").click()
    viewer.confirm()
    dialog.get_by_role("alert").wait_for()
    dialog.get_by_label("Mappings, one a line").fill("SBIN=NSE:SBIN,MIS,1\nTCS=NSE:TCS,MIS,2")
    dialog.get_by_role("button", name="Make the webhook").click()
    shown = viewer.dialog("Webhook From_Page")
    token = shown.get_by_label("Address").input_value().rpartition("/")[2]
    assert len(token) == 43 and viewer.serious_findings() == []
    viewer.page.keyboard.press("Escape")
    assert viewer.row("webhooks", "From_Page", "open")
    assert token not in viewer.page.content()
    assert token not in (site.home / "config" / "webhooks" / "From_Page.toml").read_text(encoding="utf-8")
    viewer.row("mappings of From_Page", "TCS").get_by_role("button", name="Unmap TCS").click()
    viewer.press("Unmap TCS", exact=True, within=viewer.page.get_by_role("alert"))
    viewer.said("TCS is mapped no more")
    viewer.press("New address…")
    dialog = viewer.dialog("New address of From_Page")
    dialog.get_by_role("button", name="Make a new address").click()
    assert dialog.get_by_label("Address").input_value().rpartition("/")[2] != token
    assert token not in str(site.api(viewer, "/api/audit"))
    address, again = dialog.get_by_label("Address").input_value(), "Remove From_Page"
    viewer.page.keyboard.press("Escape")
    viewer.press("Remove…")
    viewer.press("Keep it")
    assert viewer.row("webhooks", "From_Page")
    viewer.press("Remove…")
    viewer.press(again, exact=True, within=viewer.page.get_by_role("alert"))
    viewer.said("From_Page is removed")
    viewer.table("webhooks").get_by_text("From_Page").first.wait_for(state="detached")
    assert not (site.home / "config" / "webhooks" / "From_Page.toml").exists()
    alert = {"symbol": "SBIN", "action": "buy"}
    eventually(lambda: viewer.context.request.post(address, data=alert).status == 404, 20)
    assert [row["result"] for row in site.api(viewer, "/api/audit?action=webhook%20remove")] == ["done"]


@pytest.mark.parametrize(
    ("path", "title", "name"),
    [("/calendar", "Trading hours and holidays", "calendar"), ("/accounts", "Margins, lots and grades", "risk")],
)
def test_file_that_a_stack_follows_is_checked_compared_saved_and_put_back(
    site: ConsoleSite, viewer: PageViewer, path: str, title: str, name: str
) -> None:
    viewer.open(path)
    card = viewer.page.locator("section.card", has=viewer.page.get_by_role("heading", name=title))
    card.get_by_role("button", name="Edit").click()
    text = card.locator("textarea")
    eventually(text.input_value, 10)
    before = text.input_value()
    text.fill(before + "\n[[[")
    card.get_by_role("button", name="Check").click()
    viewer.confirm()
    card.get_by_role("alert").wait_for()
    assert card.get_by_role("button", name="Save").is_disabled()
    text.fill("# looked at\n" + before)
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff", has_text="+# looked at").wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.said(f"config/{name}.toml is written")
    file = site.home / "config" / f"{name}.toml"
    assert file.read_text(encoding="utf-8").startswith("# looked at\n")
    card.get_by_label("Version").select_option(index=1)
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff", has_text="-# looked at").wait_for()


def test_edited_trading_hours_are_those_of_the_pages(site: ConsoleSite, viewer: PageViewer) -> None:
    file = site.home / "config" / "calendar.toml"
    before = file.read_text(encoding="utf-8")
    assert before.count("close = 15:40:00") >= 1
    try:
        file.write_text(before.replace("close = 15:40:00", "close = 15:41:00"), encoding="utf-8")
        eventually(lambda: "–15:41" in str(site.api(viewer, "/api/calendar?exchange=NFO&days=5")), 20)
    finally:
        file.write_text(before, encoding="utf-8")
    eventually(lambda: "–15:40" in str(site.api(viewer, "/api/calendar?exchange=NFO&days=5")), 20)


def test_legs_are_built_saved_with_their_difference_backtested_and_compared(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    page.get_by_label("Template").select_option("Iron butterfly")
    page.locator(".payoff").wait_for()
    facts = page.locator("section.card", has_text="Facts at expiry")
    assert "unlimited" not in facts.inner_text() and "%" in facts.inner_text()
    page.get_by_label("Lots of leg 1").fill("2")
    page.get_by_label("Choice of leg 1").select_option("delta")
    page.get_by_label("Value of leg 1").fill("0.2")
    page.get_by_label("Choice of leg 2").select_option("strike")
    page.get_by_label("Remove leg 2").click()
    page.get_by_label("Implied volatility").press("ArrowRight")
    page.get_by_text(re.compile(r"Implied volatility \+")).wait_for()
    page.locator(".payoff").hover()
    card = page.locator("section.card", has=page.get_by_role("heading", name="As a strategy"))
    card.get_by_label("Name").fill("Fly")
    card.get_by_label("Exit", exact=True).fill("09:00")
    card.get_by_role("button", name="Check").click()
    card.get_by_role("alert").wait_for()
    assert card.get_by_role("button", name="Save").is_disabled()
    card.get_by_label("Exit", exact=True).fill("15:00")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain").first.wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("fly.toml is written")
    card.get_by_role("link", name="Backtest this").wait_for()
    made = tomllib.loads(Path(site.home / "config" / "strategies" / "fly.toml").read_text(encoding="utf-8"))
    assert [leg["strike"] for leg in made["legs"]][:1] == ["DELTA 0.2"] and len(made["legs"]) == 3

    card.get_by_role("link", name="Backtest this").click()
    new = page.locator("section.card", has=page.get_by_role("heading", name="New run"))
    assert new.get_by_label("Strategy").input_value() == "Fly"
    new.get_by_label("Data").fill("../outside.csv")
    new.get_by_role("button", name="Queue").click()
    new.locator(".field-error").wait_for()
    for last in ("2024-01-30", "2024-01-31"):
        new.get_by_label("Strategy").fill("Alternating")
        new.get_by_label("Data").fill("NIFTY=data/index-1m.csv.gz")
        new.get_by_label("From", exact=True).fill("2024-01-29")
        new.get_by_label("To", exact=True).fill(last)
        new.get_by_role("button", name="Queue").click()
        page.locator("li", has_text="backtest Alternating").first.wait_for()
    done = page.locator("li", has_text="backtest Alternating").locator(".badge", has_text="done")
    eventually(lambda: done.count() == 2, 120)
    rows = viewer.table("reports").locator("tbody tr")
    eventually(lambda: rows.count() >= 2, 10)
    for at in (0, 1):
        rows.nth(at).get_by_role("button", name="Compare").click()
    compared = page.locator("section.card", has=page.get_by_role("heading", name="Compared"))
    compared.locator("tbody tr").first.wait_for()
    rows.first.get_by_role("link").click()
    page.locator("main svg, main canvas").first.wait_for()
    assert page.locator("main h2").count() > 3


def test_future_is_a_leg_with_a_price_a_straight_payoff_and_a_line_of_the_file(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    page.get_by_label("Template").select_option("Bull call spread")
    page.get_by_label("Contract type of leg 1").select_option("future")
    assert page.get_by_label("Choice of leg 1").is_disabled()
    facts = page.locator("section.card", has_text="Facts at expiry")
    page.locator(".payoff").wait_for()
    delta = facts.locator("div", has=page.locator("dt", has_text="Net Δ")).last
    eventually(lambda: float(delta.inner_text().split()[-1].replace("−", "-")) > 40, 20)
    page.get_by_label("Remove leg 2").click()
    eventually(lambda: "unlimited" in facts.inner_text(), 20)
    margin = facts.locator("div", has=page.locator("dt", has_text="Margin together")).last
    eventually(lambda: "₹" in margin.inner_text(), 20)
    page.get_by_label("Expiry of leg 1").select_option("next")
    card = page.locator("section.card", has=page.get_by_role("heading", name="As a strategy"))
    card.get_by_label("Name").fill("Far_Future")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain").first.wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("far_future.toml is written")
    made = tomllib.loads(Path(site.home / "config" / "strategies" / "far_future.toml").read_text(encoding="utf-8"))
    (leg,) = made["legs"]
    assert (leg["kind"], leg["expiry"], leg["action"]) == ("future", "next", "BUY") and "strike" not in leg


def test_saved_strategy_runs_on_paper_beside_the_stack_and_is_ended(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/builder", "Strategy builder")
    card = viewer.page.locator("section.card", has=viewer.page.get_by_role("heading", name="As a strategy"))
    card.locator("select").first.select_option("Condor")
    card.get_by_role("button", name="Run on paper").click()
    card.get_by_text("paper running").wait_for(timeout=120_000)
    address = str(card.get_by_role("link", name=re.compile("^http")).get_attribute("href"))
    assert address.startswith("http://127.0.0.1:") and not address.startswith(site.url)
    card.get_by_role("button", name="End the trial").click()
    eventually(lambda: not card.get_by_text(re.compile("^paper (running|stopping)")).count(), 60)
    assert not card.get_by_text("paper failed").count()


def test_run_is_cancelled_and_a_failed_one_says_why(viewer: PageViewer) -> None:
    viewer.open("/reports", "Research")
    page = viewer.page
    new = page.locator("section.card", has=page.get_by_role("heading", name="New run"))
    new.get_by_label("Strategy").fill("Nobody")
    new.get_by_label("Data").fill("store")
    new.get_by_role("button", name="Queue").click()
    failed = page.locator("li", has_text="backtest Nobody")
    failed.locator(".badge", has_text="failed").wait_for(timeout=60_000)
    failed.get_by_text("no strategy is called Nobody").wait_for()
    new.get_by_label("What").select_option("optimize")
    new.get_by_label("Strategy").fill("Alternating")
    new.get_by_label("Data").fill("NIFTY=data/index-1m.csv.gz")
    new.get_by_label("Values").fill("signal_cooldown=0:60:1")
    new.get_by_role("button", name="Queue").click()
    running = page.locator("li", has_text="optimize Alternating")
    running.get_by_role("button", name="Cancel").click()
    running.locator(".badge", has_text="cancelled").wait_for()
    assert not running.get_by_role("button", name="Cancel").count()


def test_settings_audit_and_calendar_are_read_and_filtered(viewer: PageViewer) -> None:
    viewer.open("/settings", "Settings")
    viewer.page.get_by_label("Search settings").fill("CONSOLE_PROXIES")
    assert "127.0.0.1" in viewer.row("settings", "CONSOLE_PROXIES").inner_text()
    viewer.open("/audit", "Audit")
    viewer.page.get_by_label("Action").fill("first-user")
    viewer.row("audit", "first-user", "asha")
    viewer.open("/calendar", "Calendar")
    viewer.page.get_by_label("Exchange", exact=True).select_option("MCX")
    assert viewer.row("days", "MCX")


def test_parameter_of_a_strategy_is_refused_then_changed_in_its_file(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/strategies/Alternating", "Alternating")
    card = viewer.page.locator("section.card", has=viewer.page.get_by_role("heading", name="Parameters"))
    card.get_by_role("button", name="Change").click()
    field = card.get_by_label("calm_minutes")
    field.fill("soon")
    assert "expected a number, found soon" in card.locator(".field-error").inner_text()
    assert card.get_by_role("button", name="Check").is_disabled()
    field.fill("2.5")  # which the strategy refuses
    card.get_by_role("button", name="Check").click()
    assert "a whole number" in card.locator(".field-error").inner_text()
    assert card.get_by_role("button", name="Save").is_disabled()
    field.fill("3")
    card.get_by_role("button", name="Check").click()
    card.get_by_text("+calm_minutes = 3").wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("It counts from the next start")
    card.get_by_text("from the next start on: calm_minutes").wait_for()
    (file,) = (site.home / "config" / "strategies").glob("alternating.toml")
    assert tomllib.loads(file.read_text(encoding="utf-8"))["parameters"] == {"calm_minutes": 3}
