"""Every page of the console: light and dark, on a screen and a phone, under the policy, and its charts as they move."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.kit.console_stack import SBIN, ConsoleSite
from tests.kit.console_viewer import PHONE, WIDE, PageViewer
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


@pytest.fixture(scope="module", autouse=True)
def trading(site: ConsoleSite) -> None:
    """Tables are looked at with rows in them."""
    eventually(lambda: len(site.stack.ask("trades")) > 1 and len(site.orders()) > 8, 120)


def pages_of(viewer: PageViewer) -> list[str]:
    links = viewer.page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return [str(link).removeprefix("#") for link in links] + ["/strategies/Alternating"]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_page_passes_axe_and_fits_a_screen_and_a_phone(site: ConsoleSite, colours: str) -> None:
    found: dict[str, object] = {}
    for width in (WIDE, PHONE):
        viewer = site.viewer_of(width=width, color_scheme=colours)
        viewer.open("/", "Dashboard")
        names = pages_of(viewer)
        assert len(names) >= 20
        for name in names:
            viewer.open(name)
            viewer.page.locator("main :text('Waiting for data…')").first.wait_for(state="detached")
            if wrong := viewer.serious_findings():
                found[f"axe {width} {name}"] = wrong
            if wide := viewer.too_wide():
                found[f"width {width} {name}"] = wide
        found |= {"problems": viewer.problems} if viewer.problems else {}
        viewer.close()
    assert found == {}


def test_halt_takes_two_taps_on_a_phone_and_two_keys_on_a_keyboard(site: ConsoleSite) -> None:
    site.forget_passwords()
    phone = site.viewer_of(width=PHONE, has_touch=True)
    phone.open("/", "Dashboard")
    phone.button("HALT", exact=True).tap()
    phone.button("Halt everything").tap()
    phone.button("HALTED").wait_for()
    phone.button("HALTED").tap()
    phone.button("Resume everything").tap()
    phone.confirm()
    phone.button("HALTED").wait_for(state="detached")
    phone.page.keyboard.press("Alt+Shift+H")
    phone.dialog("Emergency")
    phone.page.keyboard.press("Escape")
    assert not phone.page.get_by_role("dialog").count() and phone.problems == []
    phone.close()


def test_head_tells_mode_time_session_feed_and_profit_on_every_page(viewer: PageViewer) -> None:
    for name in ("/orders", "/builder", "/me"):
        viewer.open(name)
        head = viewer.page.locator("header.head")
        assert head.locator(".mode").inner_text() == "PAPER"
        assert re.search(r"\d\d:\d\d:\d\d", head.inner_text()) and "session" in head.inner_text()
        assert viewer.page.title().startswith("[PAPER] ")


def test_phone_has_session_feed_and_expiry_in_the_head(site: ConsoleSite) -> None:
    phone = site.viewer_of(width=PHONE)
    phone.open("/orders", "Orders")
    head = phone.page.locator("header.head")
    head.locator(".fact", has_text="/").wait_for()  # instruments with a fresh price, of all
    head.locator(".more summary").click()
    facts = head.locator("dl").inner_text()
    assert {"Session", "Expiry today", "Feed", "P&L today"} <= set(facts.split("\n")) and "closes" in facts
    phone.page.keyboard.press("Escape")
    head.locator("dl").wait_for(state="hidden")
    assert phone.problems == []
    phone.close()


def test_chain_shows_calls_and_puts_on_a_phone(site: ConsoleSite) -> None:
    phone = site.viewer_of(width=PHONE)
    phone.open("/chain", "Option chain")
    phone.page.locator("tr.atm").wait_for()
    place = phone.page.get_by_role("region", name="Option chain", exact=True)
    assert place.evaluate("one => one.scrollWidth - one.clientWidth") <= 0, "puts are beyond the screen"
    assert phone.page.locator("tr.atm td:visible").count() == 6
    phone.page.locator("dt", has_text="OI change counts from").locator(
        "+ dd", has_text=re.compile(r"\d\d:\d\d")
    ).wait_for()
    assert phone.problems == []
    phone.close()


@pytest.mark.parametrize(("name", "column"), [("orders", "State"), ("trades", "P&L ₹"), ("signals", "Result")])
def test_phone_shows_what_became_of_a_row_without_scrolling(site: ConsoleSite, name: str, column: str) -> None:
    phone = site.viewer_of(width=PHONE)
    phone.open(f"/{name}")
    phone.row(name, "NIFTY")
    box = phone.table(name).get_by_role("button", name=column).bounding_box()
    assert box["x"] + box["width"] <= PHONE
    assert phone.problems == []
    phone.close()


def test_actions_of_a_row_and_its_figures_are_within_a_phones_screen(site: ConsoleSite) -> None:
    """They were two screens to the right of what they act on."""
    phone = site.viewer_of(width=PHONE)
    eventually(lambda: site.stack.held(), 60)
    for name, action in (("orders", "Why"), ("positions", "Close"), ("trades", "Why"), ("users", "Change")):
        phone.open(f"/{name}")
        button = phone.table(name).get_by_role("button", name=re.compile(f"^{action}")).first
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE, (name, box)
    for name, table, figures in (
        ("risk", "stops", ("Distance ₹", "At risk", "Held by")),
        ("accounts", "accounts", ("Funds read", "Books read")),
    ):
        phone.open(f"/{name}")
        below = phone.table(table).locator("tr.under").first
        for figure in figures:
            box = below.locator("span.folded", has_text=figure).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE, (name, figure, box)
    assert phone.problems == []
    phone.close()


def test_sums_of_trades_are_those_of_the_rows_that_a_search_leaves(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/trades", "Trades")
    table = viewer.table("trades")
    table.locator("tbody tr").nth(1).wait_for()
    realised = site.stack.ask("trades")[0]["realised"]
    viewer.page.get_by_label("Search trades").fill(f"{realised:.10g}")
    viewer.page.get_by_text("these: won").wait_for()
    texts = [*table.locator("tbody tr td:nth-last-child(2)").all_inner_texts()]
    texts.append(viewer.page.get_by_text("these: won").inner_text().partition("realised ")[2])
    *rows, total = (float(re.sub("[₹,+]", "", text).replace("−", "-")) for text in texts)
    assert rows and abs(sum(rows) - total) < 0.01


def test_columns_of_a_chain_are_chosen_and_what_is_in_the_money_is_marked(viewer: PageViewer) -> None:
    viewer.open("/chain", "Option chain")
    viewer.page.locator("tr.atm").wait_for()
    viewer.press("Greeks", exact=True)
    heads = viewer.page.locator("table.chain thead th")
    assert {"Δ", "Γ", "Θ/day", "Vega"} <= {text.split()[-1] for text in heads.all_inner_texts()}
    viewer.press("Market", exact=True)
    assert "Γ" not in " ".join(heads.all_inner_texts())
    above = viewer.page.locator("tr.atm + tr")
    assert above.locator("th.strike").get_attribute("title") == "OTM 1 call, ITM 1 put"
    assert [above.locator("td.itm").count(), viewer.page.locator("tr.atm td.itm").count()] == [6, 0]
    assert re.search(r"\d\.\d\d, \d", viewer.page.locator("dt", has_text="Put/call ratio").locator("+ dd").inner_text())


def test_legs_of_a_run_with_their_stops_fit_a_screen(site: ConsoleSite, viewer: PageViewer) -> None:
    eventually(lambda: site.stack.held(), 60)  # by whom depends on what was closed before
    viewer.open("/positions", "Positions")
    legs = viewer.page.get_by_role("region", name=re.compile("^legs of ")).first
    legs.locator("th", has_text="Stop ₹").wait_for()
    assert legs.evaluate("one => one.scrollWidth - one.clientWidth") <= 0


def test_curve_of_the_day_shows_its_values_under_the_pointer(viewer: PageViewer) -> None:
    curve = viewer.page.locator(".chart[role=img]").first
    curve.locator("canvas").wait_for()
    curve.locator(".u-over").hover()
    assert re.search(r"\d\d:\d\d:\d\d", curve.locator(".u-legend").inner_text())
    assert "Last: P&L ₹" in str(curve.get_attribute("aria-label"))


def test_chain_has_forty_strikes_with_greeks_and_its_charts_grow(viewer: PageViewer) -> None:
    viewer.open("/chain", "Option chain")
    viewer.page.locator("tr.atm").wait_for()
    lines = viewer.page.locator("table.chain tbody tr")
    eventually(lambda: lines.count() >= 41, 30)
    viewer.page.locator(".bars rect").first.wait_for()
    viewer.page.locator(".chart canvas").wait_for()
    assert "—" not in viewer.page.locator("tr.atm td").nth(3).inner_text(), "delta at the money"
    days = viewer.page.locator("div", has=viewer.page.locator("dt", has_text="Days to expiry")).last
    nearest = days.inner_text()
    viewer.page.get_by_label("Expiry").select_option(index=1)
    eventually(lambda: "—" not in days.inner_text() and days.inner_text() != nearest, 20)


def test_strategy_has_candles_its_own_indicators_and_its_books(viewer: PageViewer) -> None:
    viewer.open("/strategies/Alternating", "Alternating")
    viewer.press("Draw candles")
    viewer.button("Draw again").wait_for()
    drawn = viewer.page.locator("section.card", has_text="Draw again")
    drawn.locator("canvas, svg").first.wait_for()
    drawn.get_by_text("contracts bought").wait_for()
    drawn.get_by_text("1m bars").wait_for()
    assert "Supertrend" not in drawn.locator("p.muted").first.inner_text(), "it has no such exit"
    drawn.get_by_label("Bars").select_option("3m")
    drawn.get_by_label("Supertrend period").fill("many")
    drawn.locator(".field-error", has_text="a whole number from 2 to 100").wait_for()
    drawn.get_by_label("Supertrend period").fill("10")
    viewer.press("Draw again")
    drawn.get_by_text("3m bars, Supertrend 10, 3").wait_for()
    assert viewer.row("orders of Alternating", "filled")


def test_causal_chain_of_an_order_opens_from_its_row(viewer: PageViewer) -> None:
    viewer.open("/orders", "Orders")
    viewer.row("orders", "filled", "entry").get_by_role("button", name="Why").click()
    steps = viewer.dialog(re.compile("^Why: ")).locator("tbody tr")
    steps.filter(has_text="signal").first.wait_for()
    assert steps.filter(has_text="fill").count() >= 1
    viewer.page.keyboard.press("Escape")


def steps_of(viewer: PageViewer, path: str, text: str, kind: str) -> str:
    """Open the chain of a row by keyboard; its steps once one of this kind is there."""
    viewer.open(path)
    opens = viewer.page.get_by_role("button", name="Why")
    row = viewer.table(path.removeprefix("/")).locator("tbody tr", has_text=text).filter(has=opens).first
    row.get_by_role("button", name="Why").press("Enter")
    steps = viewer.dialog(re.compile("^Why: ")).locator("tbody tr")
    steps.filter(has=viewer.page.locator(".badge", has_text=kind)).first.wait_for()
    said = "\n".join(steps.all_inner_texts())
    viewer.page.keyboard.press("Escape")
    return said


def test_causal_chain_opens_from_trades_positions_and_alerts(site: ConsoleSite, viewer: PageViewer) -> None:
    assert "fill" in steps_of(viewer, "/trades", "Alternating", "signal")
    site.buy_by_hand(3)
    assert "no order of this stack led to" in steps_of(viewer, "/positions", "not ours", "report")
    site.claim_for_manual()
    assert "claim requested" in steps_of(viewer, "/positions", "manual", "operator")
    assert site.stack.run("positions", "close", SBIN, "--strategy", "manual", "--deadline", "60").returncode == 0
    site.stack.run("kill", "halt", "looked at")
    assert "looked at" in steps_of(viewer, "/alerts", "KILL_FILE", "alone")
    site.stack.run("kill", "--remove")


def test_rows_are_sorted_searched_chosen_and_those_out_of_sight_are_not_drawn(viewer: PageViewer) -> None:
    viewer.open("/instruments", "Instruments")
    viewer.row("instruments", "NIFTY")
    table = viewer.table("instruments")
    assert int(str(table.locator("table").get_attribute("aria-rowcount"))) > 300
    assert table.locator("tbody tr").count() < 150
    table.get_by_role("button", name="Strike").click()
    highest = table.locator("tbody tr").first.inner_text()
    table.get_by_role("button", name="Strike").click()
    eventually(lambda: table.locator("tbody tr").first.inner_text() != highest, 10)
    viewer.page.get_by_label("Search instruments").fill("no such row")
    table.get_by_text("Nothing matches the filter.").wait_for()


def test_logs_follow_and_are_chosen_by_process_and_text(viewer: PageViewer) -> None:
    viewer.open("/logs", "Logs")
    lines = viewer.page.get_by_role("log").locator("> div")
    lines.first.wait_for()
    viewer.page.get_by_label("Process").select_option("router")
    eventually(lambda: {[*one.split("\n"), ""][1] for one in lines.all_inner_texts()} == {"router"}, 15)
    viewer.page.get_by_label("Text", exact=True).fill("no line has this")
    viewer.page.keyboard.press("Enter")
    viewer.page.get_by_text("No line matches.").wait_for()
    viewer.page.get_by_text("Looked through the whole log").wait_for()
    page = {"lines": [], "older": "7:1500", "back_to_ms": 1_795_408_200_000, "looked_bytes": 2_000_000}
    older = {
        **page,
        "older": "",
        "lines": [{"wall_ms": 1, "process": "router", "level": "info", "event": "found", "text": ""}],
    }
    viewer.page.route(
        "**/api/logs?*", lambda route: route.fulfill(json=older if "before=7" in route.request.url else page)
    )
    viewer.page.get_by_label("Text", exact=True).fill("long ago")
    viewer.page.keyboard.press("Enter")
    viewer.page.get_by_text("No line matches so far.").wait_for()
    viewer.page.get_by_text("back to 23 Nov 2026").wait_for()
    viewer.press("Search older lines")
    lines.filter(has_text="found").wait_for()
    assert viewer.page.get_by_label("Level, and above").input_value() == "info"


def test_feed_lists_subscriptions_by_who_wants_them_and_draws_a_thousand(viewer: PageViewer) -> None:
    viewer.open("/feed", "Feed")
    viewer.row("subscriptions", "NIFTY", "Alternating").wait_for()
    assert viewer.row("sources", "in use", "well")
    table = viewer.table("subscriptions").locator("table")
    everybody = int(table.get_attribute("aria-rowcount") or 0)
    viewer.page.get_by_label("Wanted by").select_option("Chart_Alerts")
    eventually(lambda: 1 < int(table.get_attribute("aria-rowcount") or 0) < everybody, 10)
    shown = table.locator("tbody tr").all_inner_texts()
    assert all("Chart_Alerts" in one for one in shown), shown
    row = {"wanted_by": ["engine"], "state": "live", "mode": "Quote", "ticks": 3, "age_s": 2.0, "problem": ""}
    many = [{**row, "instrument": f"NSE:GEN{number:05d}"} for number in range(1000)]
    viewer.page.route(
        "**/api/feed/subscriptions", lambda route: route.fulfill(json={"sources": [], "subscriptions": many})
    )
    viewer.page.get_by_label("Wanted by").select_option("")
    eventually(lambda: table.get_attribute("aria-rowcount") == "1001", 15)
    assert table.locator("tbody tr").count() < 150
    viewer.page.get_by_role("row", name="1 to 5 s 1,000").wait_for()
    viewer.page.get_by_label("Search subscriptions").fill("GEN00777")
    eventually(lambda: table.get_attribute("aria-rowcount") == "2", 10)


def test_answer_that_takes_longer_than_its_question_is_repeated_is_shown(viewer: PageViewer) -> None:
    """Each repetition dropped the answer that was under way, so that a slow machine showed nothing at all."""
    held: list[Any] = []
    viewer.page.clock.install()
    viewer.page.route("**/api/feed", lambda route: held.append(route))
    viewer.open("/feed", "Feed")
    eventually(lambda: held, 10)
    viewer.page.clock.fast_forward(12_000)
    held[0].continue_()
    assert viewer.row("sources", "in use", "well")


def test_checks_of_servers_and_the_day_of_the_contracts_are_made_on_demand(viewer: PageViewer) -> None:
    viewer.open("/processes", "Processes")
    viewer.press("Check now")
    assert viewer.row("checks", "contracts", "ok") and viewer.row("checks", "broker session")
