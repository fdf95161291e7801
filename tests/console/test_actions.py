"""A person's commands for orders, positions and the whole stack, dialog by dialog, at a running stack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.kit.console_stack import SBIN, ConsoleSite, bodies_of
from tests.kit.console_viewer import PageViewer
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


@pytest.fixture(autouse=True)
def cleared(site: ConsoleSite) -> Iterator[None]:
    """Faults end, SBIN is flat and entries are on again, whatever a test has left."""
    yield
    site.stack.sim("fault", kind="clear")
    if SBIN in site.stack.broker_net():
        site.stack.run("positions", "close", SBIN, "--unmanaged", "--yes", "--deadline", "60")
    site.stack.ask("resume")
    for name in ("Alternating", "Condor"):
        site.stack.ask("resume", "--strategy", name)


def assert_done(viewer: PageViewer) -> None:
    """The dialog that follows an action tells that it was done, not only taken."""
    note = viewer.dialog("Taken").locator(".note.good, .note.bad")
    note.wait_for()
    assert "good" in str(note.get_attribute("class")), note.inner_text()
    viewer.page.keyboard.press("Escape")


def claim(viewer: PageViewer, stop: float) -> None:
    """Give the unmanaged units to `manual` from the page of positions."""
    viewer.open("/positions", "Positions")
    viewer.press_in_row("Claim", "positions", "SBIN", "not ours")
    dialog = viewer.dialog("Claim units")
    dialog.get_by_label("Give them to").select_option("manual")
    dialog.get_by_label("Stop at ₹").fill("9,9")
    dialog.get_by_text("a number above 0, found 9,9").wait_for()
    assert dialog.get_by_role("button", name="Claim", exact=True).is_disabled()
    dialog.get_by_label("Stop at ₹").fill(f"{round(stop)}")
    dialog.get_by_role("button", name="Claim", exact=True).click()
    assert_done(viewer)


def close(viewer: PageViewer) -> None:
    """Close what `manual` holds of SBIN from the page of positions."""
    viewer.open("/positions", "Positions")
    viewer.press_in_row("Close", "positions", "SBIN", "manual")
    viewer.dialog("Close the position").get_by_role("button", name=re.compile("^Close .* at the market")).click()
    viewer.said("closing of NSE:SBIN of manual is taken")


def test_units_are_claimed_their_stop_is_moved_then_taken_away_and_they_are_closed(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    def filled() -> int:
        return sum(int(row["quantity"]) for row in site.placed(SBIN) if row["order_status"] == "complete")

    before, price = filled(), site.buy_by_hand(10)["average_price"]
    claim(viewer, price * 0.9)
    viewer.open("/orders", "Orders")
    viewer.press("Live")
    viewer.press_in_row("Modify", "orders", "SBIN", "stop", "accepted")  # the broker's answer would change it
    dialog = viewer.dialog("Modify the order")
    dialog.get_by_label("New trigger ₹").fill("low")
    dialog.get_by_text("a number above 0, found low").wait_for()
    dialog.get_by_label("New trigger ₹").fill(str(round(price * 0.92)))
    dialog.get_by_role("button", name="Modify the order").click()
    assert_done(viewer)
    (stop,) = [row for row in site.placed(SBIN) if row["order_status"] == "trigger pending"]
    assert float(stop["trigger_price"]) == pytest.approx(price * 0.92, abs=0.6)

    site.stack.sim("fault", kind="delay_ms", route="modifyorder", ms=8000, count=1)
    viewer.press_in_row("Modify", "orders", "SBIN", "stop", "accepted", f"trigger {round(price * 0.92):,}.00")
    dialog = viewer.dialog("Modify the order")
    dialog.get_by_label("New trigger ₹").fill(str(round(price * 0.91)))
    assert dialog.get_by_role("button", name="Modify the order").is_disabled(), "it protects less"
    dialog.get_by_label("I answer for it").check()
    dialog.get_by_label("Reason").fill("a wide day")
    dialog.get_by_role("button", name="Modify the order").click()
    waits = re.compile(f"the change to trigger {round(price * 0.91)} .*waits: the broker has not answered yet")
    viewer.dialog("Taken").get_by_text(waits).wait_for()
    viewer.page.keyboard.press("Escape")
    row = viewer.row("orders", "SBIN", "stop")
    row.get_by_text(waits).wait_for()
    row.get_by_text("waits:").wait_for(state="detached")
    row.get_by_text(f"trigger {round(price * 0.91):,}.00").wait_for()
    viewer.press_in_row("Cancel", "orders", "SBIN", "stop", "accepted", f"trigger {round(price * 0.91):,}.00")
    dialog = viewer.dialog("Cancel the order")
    assert dialog.get_by_role("button", name="Cancel the order").is_disabled(), "it protects a position"
    dialog.get_by_label("I answer for the position").check()
    dialog.get_by_label("Reason").fill("moved by hand")
    dialog.get_by_role("button", name="Cancel the order").click()
    assert_done(viewer)
    assert [row for row in site.placed(SBIN) if row["order_status"] == "cancelled"]

    close(viewer)
    eventually(lambda: SBIN not in site.stack.broker_net(), 60)
    assert filled() == before + 10


def test_order_of_unknown_fate_is_resolved_and_its_position_is_closed(site: ConsoleSite, viewer: PageViewer) -> None:
    for name in ("Alternating", "Condor"):
        assert site.stack.ask("flatten", "--strategy", name)["flat"] is True
    price = site.buy_by_hand(7)["average_price"]
    claim(viewer, price * 0.9)
    eventually(lambda: [row for row in site.placed(SBIN) if row["order_status"] == "trigger pending"], 30)
    site.stack.sim("fault", kind="place_lost", count=1)
    close(viewer)
    viewer.open("/", "Dashboard")
    viewer.page.locator("li", has_text="unknown order").get_by_role("link", name="Look").click()
    viewer.press("Needs a person")
    viewer.row("orders", "SBIN").get_by_role("button", name="Resolve").click()
    dialog = viewer.dialog("Resolve an order of unknown fate")
    button = dialog.get_by_role("button", name="Resolve", exact=True)
    assert button.is_disabled()
    dialog.get_by_label("It is the broker's order").check()
    dialog.get_by_label("Order id at the broker").wait_for()
    dialog.get_by_label("It was never placed").check()
    dialog.get_by_label("Reason").fill("not at the terminal")
    button.click()
    viewer.confirm()
    assert_done(viewer)
    eventually(lambda: SBIN not in site.stack.broker_net(), 60)
    assert not [row for row in site.orders() if row["state"] == "UNKNOWN"]


def test_alert_is_acknowledged_and_the_order_that_it_is_about_resolved(site: ConsoleSite, viewer: PageViewer) -> None:
    site.stack.sim("fault", kind="semi_auto", count=1, side="BUY")  # the server holds the next entry for approval
    viewer.open("/alerts", "Alerts")
    row = viewer.table("alerts").locator("tbody tr", has_text="ORDER_PARKED")
    row.wait_for(timeout=60_000)
    row.get_by_role("button", name="Acknowledge").click()
    dialog = viewer.dialog("Acknowledge ORDER_PARKED")
    dialog.get_by_label("Reason").fill("looked at")
    dialog.get_by_role("button", name="Acknowledge").click()
    viewer.said("is acknowledged")
    row.locator("td", has_text="asha").wait_for()
    assert not row.get_by_role("button", name="Acknowledge").count()
    viewer.open("/orders", "Orders")
    viewer.press("Needs a person")
    viewer.row("orders", "parked").get_by_role("button", name="Resolve").click()
    dialog = viewer.dialog("Resolve an order of unknown fate")
    dialog.get_by_label("It was never placed").check()
    dialog.get_by_label("Reason").fill("deleted there")
    dialog.get_by_role("button", name="Resolve", exact=True).click()
    viewer.confirm()
    assert_done(viewer)
    eventually(lambda: not [one for one in site.stack.ask("alerts") if one["code"] == "ORDER_PARKED"], 30)


def emergency(viewer: PageViewer, action: str, scope: str = "") -> None:
    """Open the emergency dialog, choose what and of what, and press its button."""
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    dialog.get_by_role("button", name=action, exact=True).click()
    if scope:
        dialog.get_by_label("Scope").select_option(label=scope)
    dialog.get_by_label("Reason").fill(f"test of {action}")
    dialog.locator("footer button[type=submit]").click()


def test_every_emergency_is_given_with_its_scope_and_ended_again(site: ConsoleSite, viewer: PageViewer) -> None:
    page = viewer.page
    emergency(viewer, "Halt", "paper")
    viewer.said("paper: halt")
    viewer.open("/risk", "Risk")
    page.locator("li", has_text="test of Halt").wait_for()
    viewer.press("paper HALTED")  # the head names the scope, and leads to the resume of it
    viewer.dialog("Emergency").get_by_role("button", name="Resume account paper").click()
    viewer.confirm()
    viewer.button("paper HALTED").wait_for(state="detached")
    emergency(viewer, "Halt", "paper")
    viewer.button("paper HALTED").wait_for()
    emergency(viewer, "Halt", "Alternating")
    viewer.press("2 HALTS")
    listed = viewer.dialog("What holds entries back")
    assert listed.locator("li", has_text="paper HALTED").count() == 1
    listed.get_by_role("button", name="End Alternating OFF").click()
    viewer.dialog("Emergency").get_by_role("button", name="Allow entries of Alternating").click()
    viewer.button("2 HALTS").wait_for(state="detached")
    emergency(viewer, "Reduce only")
    viewer.button("REDUCE ONLY +1").wait_for()
    emergency(viewer, "Resume")
    viewer.said("all accounts: normal")
    page.locator("li", has_text="test of").first.wait_for(state="detached")
    emergency(viewer, "Halt", "Alternating")
    viewer.said("entries of Alternating are off")
    emergency(viewer, "Resume", "Alternating")
    viewer.said("entries of Alternating are on")
    emergency(viewer, "Kill file")
    viewer.button("KILL", exact=True).wait_for()
    assert site.stack.ask("status")["kill"]["word"] == "halt"
    emergency(viewer, "Resume")
    viewer.button("KILL", exact=True).wait_for(state="detached")
    rows = site.api(viewer, "/api/audit?user=asha&limit=13")[::-1]
    assert [row["action"] for row in rows if row["result"] == "done" and row["action"] != "confirm"] == [
        "halt", "resume", "halt", "switch", "switch", "reduce", "resume", "switch", "switch", "kill", "unkill",
    ]  # fmt: skip


class Given(NamedTuple):
    """An emergency: what is chosen in its dialog, and what the button, the audit and the head say of it then."""

    kind: str
    scope: str
    button: str
    action: str
    target: str
    head: str
    """Word of the head while it is in force, which leads to its end."""
    end: str
    """Button that ends it."""
    ended_by: str
    """Action of the audit that ends it."""
    word: str = "halt"
    """Level that the stack has then; of a strategy "off"."""


ALL, ONE, RUN = "Everything", "paper", "Alternating"
GIVEN = (
    Given("Halt", ALL, "Halt everything", "halt", "all accounts", "HALTED", "Resume everything", "resume"),
    Given("Halt", ONE, "Halt account paper", "halt", ONE, "paper HALTED", "Resume account paper", "resume"),
    Given("Halt", RUN, f"Stop entries of {RUN}", "switch", RUN, f"{RUN} OFF", f"Allow entries of {RUN}", "switch",
          "off"),
    Given("Reduce only", ALL, "Only reduce: everything", "reduce", "all accounts", "REDUCE ONLY", "Resume everything",
          "resume", "reduce"),
    Given("Reduce only", ONE, "Only reduce: account paper", "reduce", ONE, "paper REDUCE ONLY",
          "Resume account paper", "resume", "reduce"),
    Given("Flatten", RUN, f"Flatten strategy {RUN}", "flatten", RUN, f"{RUN} OFF", f"Allow entries of {RUN}",
          "switch", "off"),
    Given("Flatten", ONE, "Flatten account paper", "flatten", ONE, "paper HALTED", "Resume account paper", "resume"),
    Given("Flatten", ALL, "Flatten everything", "flatten", "all accounts", "HALTED", "Resume everything", "resume"),
    Given("Kill file", "", "Write the kill file", "kill", "halt", "KILL", "Remove the kill file", "unkill"),
)  # fmt: skip
"""Every emergency that the stack has, with every scope that it has for it."""


def in_force(site: ConsoleSite) -> list[tuple[str, str, str]]:
    """What holds entries back by the stack itself: of whom, the level, and who gave it."""
    now = site.stack.ask("status")
    found = [(row["account"], row["level"], row["by"]) for row in now["held_back"]]
    found += [(row["strategy"], "off", row["by"]) for row in now["switched_off"]]
    return found + ([("KILL", now["kill"]["word"], now["kill"]["by"])] if now["kill"] else [])


def give(viewer: PageViewer, one: Given, reason: str) -> None:
    """Give an emergency by its dialog, which offers the scopes that the stack has for it, and no other."""
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    dialog.get_by_role("button", name=one.kind, exact=True).click()
    scope = dialog.get_by_label("Scope")
    if one.scope:
        options = set(scope.locator("option").all_inner_texts())
        of_strategies = set() if one.kind == "Reduce only" else {RUN, "Condor"}
        assert options & {ALL, ONE, RUN, "Condor"} == {ALL, ONE, *of_strategies}
        scope.select_option(label=one.scope)
    assert bool(one.scope) == bool(scope.count()), "the kill file has no scope"
    dialog.get_by_label("Reason").fill(reason)
    submit = dialog.locator("footer button[type=submit]")
    assert submit.inner_text().startswith(one.button), submit.inner_text()
    submit.click()


def test_every_emergency_with_every_scope_says_what_it_does_acts_is_audited_and_is_ended(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    for one in GIVEN:
        reason, flattens = f"table of {one.kind} {one.scope}", one.kind == "Flatten"
        if flattens:
            eventually(lambda of=one: {RUN} & {*site.stack.held()} if of.scope == RUN else site.stack.held(), 120)  # type: ignore[misc]
        give(viewer, one, reason)
        if flattens:
            flat = viewer.dialog("Flatten").get_by_text("Flat: confirmed twice by the books").first
            flat.wait_for(timeout=120_000)
            held = site.stack.held()
            assert RUN not in held and (one.scope == RUN or held == {}), (one, held)
            viewer.page.keyboard.press("Escape")
        viewer.button(one.head, exact=True).wait_for()
        subject = {ALL: "all", "": "KILL"}.get(one.scope, one.scope)
        ((name, level, by),) = in_force(site)
        assert (name, level) == (subject, one.word) and (by == "console:asha" or not one.scope), (one, by)
        (given, *_) = site.api(viewer, f"/api/audit?user=asha&action={one.action}&limit=1")
        assert (given["target"], given["result"]) == (one.target, "done") and reason in given["details"], (one, given)
        assert '"by":"console:asha"' in given["details"] or not one.scope

        site.forget_passwords()
        viewer.press(one.head, exact=True)
        viewer.dialog("Emergency").get_by_role("button", name=one.end, exact=True).click()
        viewer.confirm()
        viewer.button(one.head, exact=True).wait_for(state="detached")
        assert in_force(site) == []
        (ended, *_) = site.api(viewer, "/api/audit?user=asha&limit=1")
        assert (ended["action"], ended["result"]) == (one.ended_by, "done"), (one, ended)


def test_resume_of_a_part_says_what_still_holds_it_back(site: ConsoleSite, viewer: PageViewer) -> None:
    emergency(viewer, "Halt")
    viewer.button("HALTED", exact=True).wait_for()
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    dialog.get_by_role("button", name="Resume", exact=True).click()
    for scope in ("paper", "Condor"):
        dialog.get_by_label("Scope").select_option(label=scope)
        dialog.get_by_text("Entries of all accounts stay HALTED: choose Everything to end that.").wait_for()
    dialog.get_by_label("Scope").select_option(label="paper")
    dialog.get_by_role("button", name="Resume account paper").click()
    viewer.confirm()
    viewer.said("paper: normal; all accounts are still halted: resume everything")
    assert [row[:2] for row in in_force(site)] == [("all", "halt")]
    viewer.button("HALTED", exact=True).wait_for()
    emergency(viewer, "Resume", "Everything")
    viewer.button("HALTED", exact=True).wait_for(state="detached")
    assert in_force(site) == []


def test_emergency_asks_for_what_its_button_says_whatever_was_chosen_before(viewer: PageViewer) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def lose(route: Any) -> None:
        body = route.request.post_data_json
        asked.append((route.request.url.rpartition("/")[2], body))
        route.abort()

    viewer.page.route("**/api/actions/*", lose)
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    scope, submit = dialog.get_by_label("Scope"), dialog.locator("footer button[type=submit]")
    dialog.get_by_label("Reason").fill("kept")

    def choose(kind: str, of: str = "") -> str:
        dialog.get_by_role("button", name=kind, exact=True).click()
        if of:
            scope.select_option(label=of)
        return submit.inner_text()

    def press() -> tuple[str, dict[str, Any]]:
        before = len(asked)
        submit.click()
        dialog.get_by_role("alert").filter(has_text="did not answer").wait_for()
        assert len(asked) == before + 1
        return asked[-1]

    assert choose("Halt", "Alternating") == "Stop entries of Alternating"
    assert choose("Reduce only") == "Only reduce: choose the scope", "a strategy's reduce is not that of the stack"
    assert submit.is_disabled() and scope.locator("option:checked").inner_text().startswith("Choose")
    assert choose("Flatten").startswith("Flatten strategy Alternating")
    assert choose("Reduce only", "paper") == "Only reduce: account paper"
    action, first = press()
    assert (action, first["account"], first["reason"]) == ("reduce", "paper", "kept")
    assert submit.inner_text() == "Only reduce: account paper (same request again)"
    assert press()[1] == first, "whatever came of it, it is not done twice"
    assert choose("Reduce only", "Everything") == "Only reduce: everything"
    action, wider = press()
    assert (action, wider["account"]) == ("reduce", "") and wider["request_id"] != first["request_id"]
    assert choose("Halt") == "Halt everything" and dialog.get_by_label("Reason").input_value() == "kept"
    action, halted = press()
    assert action == "halt" and halted["request_id"] not in (first["request_id"], wider["request_id"])


def test_halt_that_waits_for_its_answer_keeps_nobody_from_the_kill_file(site: ConsoleSite, viewer: PageViewer) -> None:
    waiting: list[Any] = []
    viewer.page.route("**/api/actions/halt", lambda route: waiting.append(route))
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    dialog.get_by_role("button", name="Halt everything").click()
    sending = dialog.get_by_role("button", name="Sending…")
    sending.wait_for()
    assert sending.is_disabled(), "the same one is not sent twice"
    dialog.get_by_role("button", name="Kill file", exact=True).click()
    dialog.get_by_role("button", name="Write the kill file").click()
    viewer.said("the file KILL says halt")
    viewer.button("KILL", exact=True).wait_for()
    assert len(waiting) == 1
    waiting[0].abort()
    viewer.said("Halt everything: The console did not answer")
    emergency(viewer, "Resume")
    viewer.confirm()
    viewer.button("KILL", exact=True).wait_for(state="detached")


def test_run_is_closed_and_entries_stay_on(site: ConsoleSite, viewer: PageViewer) -> None:
    site.buy_by_hand(4)
    site.stack.ask("positions", "claim", SBIN, "--strategy", "manual", "--yes")
    viewer.open("/positions", "Positions")
    held = viewer.page.get_by_role("cell", name="+4", exact=True)  # a run of before may show a moment longer
    card = viewer.page.locator("section.card", has_text="manual, run of").filter(has=held)
    card.get_by_role("button", name="Close the run…").click()
    dialog = viewer.dialog("Close the run")
    with viewer.page.expect_request("**/api/actions/close-run") as asked:
        dialog.get_by_role("button", name="Close 1 leg at the market").click()
    viewer.dialog("Flatten").get_by_text("Flat: confirmed twice by the books").first.wait_for(timeout=120_000)
    assert SBIN not in site.stack.broker_net() and all(row["enabled"] for row in site.stack.ask("strategies"))
    (body,) = bodies_of([asked.value])
    late = site.stack.run("positions", "close", "--run", body["run"])
    assert late.returncode == 2 and "MOVED: expected a run that holds something" in late.stderr
    viewer.page.keyboard.press("Escape")


def test_flatten_is_followed_until_the_books_show_flat_twice(site: ConsoleSite, viewer: PageViewer) -> None:
    eventually(lambda: site.stack.held(), 60)
    emergency(viewer, "Flatten")
    dialog = viewer.dialog("Flatten")
    dialog.get_by_text("Flat: confirmed twice by the books").first.wait_for(timeout=120_000)
    assert site.stack.broker_net() == {}


def test_strategy_is_paused_and_enabled_from_each_page_that_lists_it(site: ConsoleSite, viewer: PageViewer) -> None:
    page = viewer.page
    listed = "section.card:has-text('All about them') li"  # what holds entries back names a paused one too
    for path, place in (("/", listed), ("/strategies", "main tr")):
        viewer.open(path)
        row = page.locator(place, has_text="Condor").first
        row.get_by_role("button", name="Pause").click()
        viewer.dialog("Pause Condor").get_by_role("button", name="Stop its entries").click()
        row.get_by_role("button", name="Enable").click()
        site.forget_passwords()
        dialog = viewer.dialog("Enable Condor")
        dialog.get_by_text("Asks for your password").wait_for()
        dialog.get_by_role("button", name="Allow its entries").click()
        viewer.confirm()
        row.get_by_role("button", name="Pause").wait_for()
    rows = {row["name"]: row for row in site.api(viewer, "/api/strategies")["rows"].values()}
    assert rows["Condor"]["enabled"] and rows["Condor"]["switched_by"] == "console:asha"


def test_what_an_order_would_do_is_shown_rule_by_rule(site: ConsoleSite, viewer: PageViewer) -> None:
    viewer.open("/risk", "Risk")
    page = viewer.page
    card = page.locator("section.card", has_text="What would this order do?")
    card.get_by_label("Instrument").fill("NSE:NOBODY")
    card.get_by_role("button", name="Ask risk").click()
    card.get_by_text("Denied by").wait_for()
    card.get_by_label("Instrument").fill("NSE:HDFCBANK")  # of the server, not of this stack
    card.get_by_role("button", name="Ask risk").click()
    unlisted = card.locator("tbody tr", has_text="unknown instrument")
    unlisted.get_by_text("not among the contracts of this stack").wait_for()
    passing = card.locator("tbody tr").filter(has=page.get_by_text("passes", exact=True)).first.locator("td")
    assert passing.nth(4).inner_text() == "" and passing.nth(5).inner_text(), "why: nothing; when it would deny: always"
    size = card.locator("tbody tr", has_text="max order size")
    eventually(lambda: re.search(r"\d{3}", size.locator("td").nth(2).inner_text()), 10)
    card.get_by_label("Instrument").fill(SBIN)
    card.get_by_label("Type").select_option("SL")
    card.get_by_label("Limit ₹").wait_for()
    card.get_by_label("Type").select_option("MARKET")
    card.get_by_label("Lots").fill("-1")
    card.get_by_role("button", name="Ask risk").click()
    assert not card.get_by_label("Lots").evaluate("field => field.validity.valid"), (
        "said at the field, not changed to 1"
    )
    card.get_by_label("Lots").fill("100000")
    card.get_by_role("button", name="Ask risk").click()
    eventually(lambda: card.locator("tbody tr", has_text="max order size").filter(has_text="denies").count(), 10)
    assert not [row for row in site.orders() if row["instrument"] == SBIN and row["quantity"] >= 100_000]


def test_scenario_prices_the_book_over_spot_volatility_and_days(site: ConsoleSite, viewer: PageViewer) -> None:
    eventually(lambda: site.stack.held(), 60)
    viewer.open("/risk", "Risk")
    card = viewer.page.locator("section.card", has_text="Scenario of the book")
    cells = card.locator(".heat tbody td")
    # between two trades the book may be flat for a moment, and then there is no table
    now = eventually(lambda: found if len(found := cells.all_inner_texts()) >= 25 else None, 60)
    assert card.get_by_label("Underlying").input_value() == ""
    card.get_by_label("Date").select_option("3")
    eventually(lambda: cells.count() == len(now) and cells.all_inner_texts() != now, 20)
    card.get_by_label("Underlying").select_option("NIFTY")
    card.get_by_text("spot of NIFTY").wait_for()
