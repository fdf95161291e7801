"""The strategy builder in Chromium: each key of a file of legs has a control, and each mistake stands at its field."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from tests.kit.console_browser import PASSWORD
from tests.kit.console_stack import ConsoleSite
from tests.kit.console_viewer import PHONE, PageViewer
from tests.kit.project import ROOT
from tests.kit.waiting import eventually

WHEEL = """# a wheel, by hand
name = "Wheel"
underlying = "NIFTY"
product = "MIS"
entry_time = "09:20"
exit_time = 15:10:00 # before the close
stop_loss_pct = 0.3
days = "non-expiry"

# the hedge
[[legs]]
action = "buy"
strike = "otm 8"
right = "ce"

[[legs]]
action = "SELL"
strike = "DELTA 0.3"
right = "CE"
stop = "30%" # tested in June

[risk]
max_loss = 5000
"""
ELSEWHERE = {"legs": "the table", "risk": "its keys, as risk_…", "underlying": "chosen at the head of the page"}
OF_LEG = {"right": "chosen with the contract type", "quantity": "in place of lots, of shares"}

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


@pytest.fixture
def file(site: ConsoleSite) -> Iterator[Path]:
    path = site.home / "config" / "strategies" / "wheel.toml"
    path.write_text(WHEEL, encoding="utf-8")
    yield path
    path.unlink()


def opened(viewer: PageViewer, name: str) -> Any:
    viewer.open("/builder", "Strategy builder")
    card = viewer.page.locator("section.card", has=viewer.page.get_by_role("heading", name="As a strategy"))
    card.locator("select").first.select_option(name)
    eventually(lambda: card.get_by_label("Name", exact=True).input_value() == name, 20)
    return card


def names(viewer: PageViewer) -> set[str]:
    found: list[str] = viewer.page.locator("main [name]").evaluate_all("all => all.map(one => one.name)")
    return set(found)


def wrong(viewer: PageViewer, path: str) -> str:
    """Error at the field of this path, as a screen reader tells it."""
    field = viewer.page.locator(f'[name="{path}"]')
    assert field.get_attribute("aria-invalid") == "true", path
    told = [viewer.page.locator(f"#{one}") for one in str(field.get_attribute("aria-describedby")).split()]
    assert told[0].is_visible(), path
    return str(told[0].inner_text())


def test_each_key_of_a_file_of_legs_has_a_control(viewer: PageViewer, file: Path) -> None:
    schema = json.loads((ROOT / "docs" / "legs.schema.json").read_text(encoding="utf-8"))
    opened(viewer, "Wheel")
    viewer.page.locator('[name="accounts"]').first.wait_for()
    assert {f"legs[1].{key}" for key in schema["$defs"]["LegConfig"]["properties"] if key not in OF_LEG} <= names(
        viewer
    )
    assert {key for key in schema["properties"] if key not in ELSEWHERE} <= names(viewer)
    viewer.page.get_by_label("Contract type of leg 1").select_option("shares")
    assert "legs[1].quantity" in names(viewer)
    viewer.page.get_by_text("Not drawn. Leg 1: NIFTY is an index, which has no shares.").wait_for()


def test_mistakes_stand_at_their_fields_and_a_mended_file_keeps_its_comments(
    site: ConsoleSite, viewer: PageViewer, file: Path
) -> None:
    page, card = viewer.page, opened(viewer, "Wheel")
    page.get_by_role("button", name="More of leg 2").click()
    page.locator('[name="legs[2].order_type"]').select_option("LIMIT")
    page.locator('[name="legs[2].product"]').select_option("CNC")
    page.locator('[name="legs[2].profile"]').fill("Balancedd")
    page.get_by_role("button", name="More of leg 2").click()
    page.get_by_label("Stop of leg 2").fill("a third")
    page.get_by_role("button", name="More of leg 1").click()
    page.locator('[name="legs[1].reentries"]').fill("many")
    card.get_by_label("Exit", exact=True).fill("09:00")
    card.get_by_text("Exits of the whole").click()
    card.locator('[name="risk_max_loss"]').fill("-4")
    card.get_by_text("Lots and accounts").click()
    card.locator('[name="sizing"]').fill("Bold")
    card.locator('[name="max_lots"]').fill("many")
    card.locator('[name="allocation_factors"]').fill("twice")
    assert "a whole number from 0 to 10, found many" in wrong(viewer, "legs[1].reentries"), "at once, without a check"
    assert "a number of 0 or more, found -4" in wrong(viewer, "risk_max_loss")
    assert "a whole number" in wrong(viewer, "max_lots")
    page.locator('[name="legs[1].reentries"]').fill("")
    for key in ("risk_max_loss", "max_lots"):
        card.locator(f'[name="{key}"]').fill("4000" if key == "risk_max_loss" else "")
    card.get_by_text("Lots and accounts").click()
    card.get_by_role("button", name="Check").click()
    card.get_by_role("alert").wait_for()
    assert "expected '30%'" in wrong(viewer, "legs[2].stop")
    assert "order_type LIMIT" in wrong(viewer, "legs[2].limit")
    assert "did you mean balanced" in wrong(viewer, "legs[2].profile")
    assert "CNC is for shares" in wrong(viewer, "legs[2].product")
    assert "after entry_time" in wrong(viewer, "exit_time")
    assert "expected one of fixed, risk" in wrong(viewer, "sizing")
    assert "account=factor" in wrong(viewer, "allocation_factors")
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    assert card.get_by_role("button", name="Save").is_disabled()
    assert viewer.serious_findings() == []

    page.get_by_label("Stop of leg 2").fill("40%")
    assert page.get_by_label("Stop of leg 2").get_attribute("aria-invalid") is None
    page.locator('[name="legs[2].limit"]').fill("5%")
    card.get_by_label("Exit", exact=True).fill("15:00")
    for key in ("sizing", "allocation_factors"):
        card.locator(f'[name="{key}"]').fill("")
    page.locator('[name="legs[2].profile"]').fill("Balanced")
    page.locator('[name="legs[1].profile"]').fill("Balanced")
    page.locator('[name="legs[2].product"]').select_option("")
    card.get_by_text("Trailing, profit locked in").click()
    card.locator('[name="risk_trailing"]').fill("20")
    card.locator('[name="risk_trailing_type"]').select_option("percentage")
    card.locator('[name="risk_stop_to_cost"]').evaluate("one => one.closest('details').open = true")
    card.locator('[name="risk_stop_to_cost"]').select_option("yes")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain").first.wait_for()
    table = viewer.table("legs")
    assert table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    assert viewer.too_wide() == [] and viewer.serious_findings() == []
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("wheel.toml is written")
    text = file.read_text(encoding="utf-8")
    for kept in ("# a wheel, by hand", "# before the close", "# the hedge", "# tested in June", 'strike = "otm 8"'):
        assert kept in text
    made = tomllib.loads(text)
    assert (made["legs"][1]["order_type"], made["legs"][1]["limit"], made["legs"][1]["stop"]) == ("LIMIT", "5%", "40%")
    assert made["risk"] == {"max_loss": 4000, "trailing": 20, "trailing_type": "percentage", "stop_to_cost": True}
    assert made["stop_loss_pct"] == 0.3 and made["days"] == "non-expiry"

    card.get_by_label("Version").select_option(index=1)
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain", has_text='+stop = "30%"').wait_for()
    card.get_by_role("button", name="Save").click()
    eventually(lambda: file.read_text(encoding="utf-8") == WHEEL, 20)


def test_times_count_once_and_a_leg_of_another_expiry_is_priced_and_drawn(
    site: ConsoleSite, viewer: PageViewer, file: Path
) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    page.get_by_label("Template").select_option("Calendar spread")
    page.locator(".payoff").wait_for()
    facts = page.locator("section.card", has=page.get_by_role("heading", name="Facts at the first expiry"))
    assert "unlimited" not in facts.inner_text()
    contracts = page.locator("tbody tr:not(.below) td.text").all_inner_texts()
    assert len(contracts) == 2 and contracts[0] != contracts[1]
    drawn = page.locator(".legend", has_text="solid: expiry").inner_text()
    named = re.search(r"yellow: forward to \d+ \w+ \d+ ([\d,.]+), blue: spot ([\d,.]+)", drawn)
    assert named and named[1] != named[2], drawn
    slider = page.get_by_label("Underlying at")
    slider.press("ArrowRight")
    page.get_by_text("+0.1 %").wait_for()
    page.get_by_label("Times").fill("2")
    card = page.locator("section.card", has=page.get_by_role("heading", name="As a strategy"))
    card.get_by_label("Name", exact=True).fill("../../etc/x")
    card.get_by_text("expected letters, digits and _ behind a letter, found ../../etc/x").wait_for()
    card.locator('[name="name"]').fill("Far_Near")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain").first.wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("far_near.toml is written")
    path = site.home / "config" / "strategies" / "far_near.toml"
    made = tomllib.loads(path.read_text(encoding="utf-8"))
    assert [(leg["lots"], leg["expiry"]) for leg in made["legs"]] == [(2, "next"), (2, "nearest")]
    eventually(lambda: page.get_by_label("Times").input_value() == "1", 20)
    card.get_by_role("button", name="Check").click()
    card.get_by_text("The file says this already").wait_for()
    path.unlink()


def test_builder_fits_a_phone(site: ConsoleSite, file: Path) -> None:
    phone = site.viewer_of(width=PHONE, color_scheme="dark")
    card = opened(phone, "Wheel")
    phone.page.get_by_role("button", name="More of leg 1").click()
    for section in card.locator("details").all():
        section.evaluate("one => one.open = true")
    phone.page.locator(".payoff").wait_for()
    assert phone.too_wide() == [] and phone.serious_findings() == [] and phone.problems == []
    table, detail = phone.table("legs"), phone.page.get_by_role("group", name="More of leg 1")
    assert table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    assert detail.evaluate("one => one.getBoundingClientRect().right") <= PHONE
    phone.close()


def test_file_opens_from_its_strategy_and_one_of_an_unlisted_underlying_is_changed_without_prices(
    viewer: PageViewer, file: Path
) -> None:
    page = viewer.page
    viewer.open("/strategies/Condor", "Condor")
    page.get_by_role("link", name="Open in the builder").click()
    card = page.locator("section.card", has=page.get_by_role("heading", name="As a strategy"))
    eventually(lambda: card.get_by_label("Name", exact=True).input_value() == "Condor", 20)
    assert page.get_by_label("Stop of leg 2").input_value() == "200%"

    file.write_text(WHEEL.replace('"NIFTY"', '"SENSEX"'), encoding="utf-8")
    card.locator("select").first.select_option("Wheel")
    page.get_by_text("No options of SENSEX are listed today: legs can be changed").wait_for()
    page.get_by_label("Stop of leg 2").fill("45%")
    page.get_by_label("Target of leg 2").fill("60%")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain", has_text='+target = "60%"').wait_for()
    assert not card.locator("pre.diff .gain", has_text="underlying").count()


def test_own_file_is_a_template_that_stays_as_it_is(viewer: PageViewer, file: Path) -> None:
    page = viewer.page
    card = opened(viewer, "Wheel")
    page.get_by_label("Stop of leg 2").fill("45%")
    page.get_by_label("Template").select_option(label="Wheel")
    viewer.dialog("Unsaved changes").get_by_role("button", name="Discard").click()
    eventually(lambda: card.get_by_label("Name", exact=True).input_value() == "", 20)
    assert page.get_by_label("Stop of leg 2").input_value() == "30%"
    assert card.get_by_role("button", name="Check").is_disabled()
    card.get_by_label("Name", exact=True).fill("Wheel_Copy")
    page.get_by_label("Lots of leg 2").fill("3")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain").first.wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("wheel_copy.toml is written")
    made = file.with_name("wheel_copy.toml")
    assert made.read_text(encoding="utf-8").startswith('# a wheel, by hand\nname = "Wheel_Copy"\n')
    assert tomllib.loads(made.read_text(encoding="utf-8"))["legs"][1]["lots"] == 3
    assert file.read_text(encoding="utf-8") == WHEEL
    made.unlink()


def test_unsaved_edits_are_asked_about_before_anything_takes_their_place(
    site: ConsoleSite, viewer: PageViewer, file: Path
) -> None:
    page, card = viewer.page, opened(viewer, "Wheel")
    asked = page.get_by_role("dialog", name="Unsaved changes")
    page.get_by_role("link", name="Orders").click()
    page.get_by_role("heading", name="Orders").first.wait_for()
    page.go_back()  # nothing was changed: nothing is asked
    card = opened(viewer, "Wheel")
    page.get_by_label("Stop of leg 2").fill("45%")
    assert card.get_by_role("button", name="Run on paper").is_disabled(), "what is in the file would run"
    for leave in (
        lambda: page.get_by_role("link", name="Orders").click(),
        lambda: page.go_back(),
        lambda: page.evaluate("location.hash = '#/orders'"),
        lambda: page.get_by_label("Template").select_option("Long straddle"),
        lambda: card.locator("select").first.select_option("Condor"),
    ):
        leave()
        asked.get_by_role("button", name="Stay").click()
        asked.wait_for(state="detached")
        assert page.get_by_label("Stop of leg 2").input_value() == "45%"
        assert page.evaluate("location.hash") == "#/builder"
    with page.expect_event("dialog") as closing:
        page.close(run_before_unload=True)
    assert closing.value.type == "beforeunload"
    closing.value.dismiss()

    page.get_by_role("link", name="Orders").click()
    asked.get_by_role("button", name="Save").click()
    viewer.confirm()
    page.get_by_role("heading", name="Orders").first.wait_for()
    assert 'stop = "45%"' in file.read_text(encoding="utf-8")
    card = opened(viewer, "Wheel")
    card.get_by_label("Exit", exact=True).fill("09:00")
    page.get_by_role("link", name="Orders").click()
    asked.get_by_role("button", name="Save").click()  # which it is not: what is wrong is marked
    eventually(lambda: page.locator('[name="exit_time"][aria-invalid=true]').count(), 20)
    assert not asked.count() and "exit_time = 15:10" in file.read_text(encoding="utf-8")
    page.get_by_role("link", name="Orders").click()
    asked.get_by_role("button", name="Discard").click()
    page.get_by_role("heading", name="Orders").first.wait_for()


def test_accounts_are_ticked_and_one_that_does_not_exist_stays_marked(viewer: PageViewer, file: Path) -> None:
    file.write_text(WHEEL.replace("stop_loss_pct", 'accounts = ["nobody"]\nstop_loss_pct'), encoding="utf-8")
    card = opened(viewer, "Wheel")
    box = card.get_by_role("group", name="Accounts")
    nobody = box.get_by_role("checkbox", name="nobody")
    assert nobody.is_checked() and "no such account" in box.inner_text()
    mine = box.get_by_role("checkbox").first
    assert "enabled" in box.locator("label").first.inner_text()
    mine.check()
    nobody.uncheck()
    assert "no such account" in box.inner_text(), "until it is saved it can be ticked again"
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain", has_text="accounts = ").wait_for()
    mine.uncheck()
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .loss", has_text='accounts = ["nobody"]').wait_for()
    assert "none chosen: the primary" in box.inner_text() and viewer.serious_findings() == []


def test_viewer_sees_what_the_role_may_not_do_and_why(site: ConsoleSite, viewer: PageViewer, file: Path) -> None:
    vic = {"name": "vic", "password": PASSWORD, "role": "viewer"}
    site.confirm(viewer)
    token = site.api(viewer, "/api/session")["csrf"]
    made = viewer.context.request.post(
        f"{site.url}/api/users", data=vic, headers={"X-CSRF-Token": token, "Origin": site.url}
    )
    assert made.ok, made.text()
    reader = site.viewer_of(state=None)
    reader.log_in("vic")
    reader.open("/builder", "Strategy builder")
    page = reader.page
    card = page.locator("section.card", has=page.get_by_role("heading", name="As a strategy"))
    card.get_by_text("your role is viewer").wait_for()
    enabled = card.locator("button, select, input, a").evaluate_all(
        "all => all.filter(one => !one.matches(':disabled')).length"
    )
    assert enabled == 0
    for name in ("Check", "Save", "Backtest this", "Run on paper"):
        assert card.get_by_role("button", name=name).is_disabled()
    page.locator(".payoff").wait_for()
    page.get_by_label("Lots of leg 1").fill("2")
    page.get_by_role("link", name="Orders").click()  # nobody asks about what cannot be saved
    page.get_by_role("heading", name="Orders").first.wait_for()
    assert reader.problems == []
    reader.close()


SCREEN = """() => ({
  legs: [...document.querySelectorAll('.legs tbody tr:not(.below)')].map(row => Object.fromEntries(
    [...row.querySelectorAll('td[data-name]')].map(cell => [cell.dataset.name, cell.innerText.trim()]))),
  facts: Object.fromEntries([...document.querySelectorAll('.figures > div')].filter(one => !one.closest('.legs')).map(
    one => [one.querySelector('dt').innerText, one.querySelector('dd').innerText])),
  days: Number(/, ([\\d.]+) days before/.exec(document.body.innerText)?.[1] ?? 0),
})"""
LOT = 65
EXPOSURE, RATE = 0.02, 0.065


def number_in(text: str) -> float:
    return float(re.sub(r"[^\d.\-]", "", text.replace("−", "-")) or 0)


class Drawn:
    """Legs and facts that the builder shows at one moment."""

    def __init__(self, viewer: PageViewer) -> None:
        shown = viewer.page.evaluate(SCREEN)
        self.facts: dict[str, str] = shown["facts"]
        self.days = shown["days"]
        self.last = [number_in(leg["Last ₹"]) for leg in shown["legs"]]
        self.iv = [number_in(leg["IV"]) / 100 for leg in shown["legs"]]
        self.strikes = [
            float(found[1]) if (found := re.search(r"[A-Z]{3}\d\d(\d+)[CP]E$", leg["Contract"])) else 0.0
            for leg in shown["legs"]
        ]

    def breakevens(self) -> list[float]:
        return [number_in(one) for one in re.split(", (?=[0-9])", self.facts["Breakevens"])]

    def rupees(self, name: str) -> float:
        return number_in(self.facts[name])


def shown(viewer: PageViewer, template: str) -> Drawn:
    """The figures once payoff and margin of a template are there."""
    page = viewer.page
    page.get_by_label("Template").select_option(template)

    def drawn() -> Drawn | None:
        if not page.locator(".payoff").count():
            return None
        found = Drawn(viewer)
        return found if found.facts.get("Margin together", "—") != "—" else None

    return eventually(drawn, 20)


def below(price: float, forward: float, iv: float, days: float) -> float:
    """Probability of an end below a price, lognormal around the forward."""
    deviation = iv * math.sqrt(days / 365)
    return NormalDist().cdf(math.log(price / forward) / deviation + deviation / 2)


def call_value(forward: float, strike: float, iv: float, days: float) -> float:
    deviation = iv * math.sqrt(days / 365)
    up = math.log(forward / strike) / deviation + deviation / 2
    return forward * NormalDist().cdf(up) - strike * NormalDist().cdf(up - deviation)


def test_figures_of_usual_structures_are_those_computed_by_hand(viewer: PageViewer) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    straddle = shown(viewer, "Short straddle")
    (call, put), strike = straddle.last, straddle.strikes[0]
    assert straddle.rupees("Premium received") == pytest.approx((call + put) * LOT, abs=2)
    assert straddle.rupees("Most profit") == pytest.approx((call + put) * LOT, abs=2)
    assert straddle.facts["Most loss"] == "unlimited"
    assert straddle.breakevens() == pytest.approx([strike - call - put, strike + call + put], abs=1)
    assert straddle.rupees("Margin together") == 320_000
    forward, iv = strike + call - put, sum(straddle.iv) / 2
    low, high = (below(at, forward, iv, straddle.days) for at in straddle.breakevens())
    assert straddle.rupees("Probability of profit") / 100 == pytest.approx(high - low, abs=0.02)

    page.get_by_label("Template").select_option("Iron condor")
    for leg in (3, 4):
        page.get_by_label(f"Choice of leg {leg}").select_option("delta")
        page.get_by_label(f"Value of leg {leg}").fill("0.3")
    margin = page.locator(".figures > div", has_text="Hedge benefit").locator("dd")
    eventually(lambda: margin.inner_text() not in ("—", "₹0"), 20)
    condor = Drawn(viewer)
    (low, high, put, call), prices = condor.strikes, condor.last
    credit = prices[2] + prices[3] - prices[0] - prices[1]
    widest = max(put - low, high - call)
    assert condor.rupees("Most profit") == pytest.approx(credit * LOT, abs=2)
    assert condor.rupees("Most loss") == pytest.approx(-(widest - credit) * LOT, abs=2)
    assert condor.breakevens() == pytest.approx([put - credit, call + credit], abs=1)
    assert condor.rupees("Profit to loss") == pytest.approx(credit / (widest - credit), abs=0.02)
    hedged = widest * LOT + EXPOSURE * 2 * LOT * forward + (prices[0] + prices[1]) * LOT
    assert condor.rupees("Margin together") == pytest.approx(hedged, rel=0.01)

    page.get_by_label("Template").select_option("Covered call")
    viewer.dialog("Unsaved changes").get_by_role("button", name="Discard").click()  # the condor was changed
    page.locator(".legs td.text", has_text="26FUT").wait_for()
    covered = shown(viewer, "Covered call")
    (future, premium), strike = covered.last, covered.strikes[1]
    assert covered.rupees("Most profit") == pytest.approx((strike - future + premium) * LOT, abs=2)
    assert covered.rupees("Most loss") == pytest.approx(-(future - premium) * LOT, abs=2)
    assert covered.breakevens() == pytest.approx([future - premium], abs=1)
    assert covered.rupees("Margin together") == 215_000 + 250_000

    page.get_by_label("Template").select_option("Calendar spread")
    page.get_by_role("heading", name="Facts at the first expiry").wait_for()
    calendar = shown(viewer, "Calendar spread")
    (far, near), strike = calendar.last, calendar.strikes[0]
    assert calendar.rupees("Premium paid") == pytest.approx(-(far - near) * LOT, abs=2)
    assert calendar.rupees("Margin together") == pytest.approx(250_000 + far * LOT, rel=0.01)
    left = call_value(strike * (1 + RATE * 7 / 365), strike, calendar.iv[0], 7.0)  # with the near call worth nothing
    assert calendar.rupees("Most profit") == pytest.approx((left - far + near) * LOT, rel=0.05)
    assert calendar.rupees("Most loss") == pytest.approx(-(far - near) * LOT, rel=0.05)
    low, high = calendar.breakevens()
    assert low < strike < high


def test_legs_in_shares_and_of_another_underlying_are_priced_and_said_to_be_elsewhere(viewer: PageViewer) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    page.get_by_label("Template").select_option("Bull call spread")
    page.locator(".payoff").wait_for()
    page.get_by_role("button", name="More of leg 2").click()
    page.get_by_label("Contract type of leg 2").select_option("shares")
    page.locator('[name="legs[2].instrument"]').fill("NSE:SBIN")
    page.get_by_label("Side of leg 2").select_option("BUY")
    page.get_by_label("Shares of leg 2").fill("750")
    page.get_by_text("Incomplete: leg 2 (SBIN) is not in this picture").wait_for()
    page.get_by_role("heading", name="Payoff of NIFTY, leg 1").wait_for()
    page.locator(".payoff").wait_for()
    margin = page.locator(".figures > div", has_text="Margin together of all legs").locator("dd")
    eventually(lambda: margin.inner_text() != "—", 20)
    drawn = Drawn(viewer)
    assert drawn.rupees("Most loss") == pytest.approx(-drawn.last[0] * LOT, abs=2)
    assert drawn.rupees("Margin together of all legs") == pytest.approx(
        drawn.last[0] * LOT + drawn.last[1] * 750, rel=0.01
    )
    page.get_by_label("Underlying of the picture").select_option("SBIN")
    page.get_by_text("Not drawn: SBIN has no listed options, from which to know its volatility").wait_for()
    assert Drawn(viewer).rupees("Net Δ (units)") == 750

    page.locator('[name="legs[2].instrument"]').fill("NSE:NOBODY")
    page.get_by_text("No price: leg 2: underlying NOBODY: no index or share of that name is listed").wait_for()
    assert Drawn(viewer).facts["Margin together of all legs"] == "—"
    page.locator('[name="legs[2].instrument"]').fill("")
    page.get_by_text("Not drawn. Leg 2: NIFTY is an index, which has no shares.").wait_for()
    assert viewer.too_wide() == [] and viewer.serious_findings() == []


BANK = "BANKNIFTY"


def two_indices(viewer: PageViewer) -> Drawn:
    """A strangle of NIFTY, and one of BANKNIFTY below it, with all prices there."""
    page = viewer.page
    page.get_by_label("Template").select_option("Short strangle")
    for leg, right in ((3, "call"), (4, "put")):
        page.get_by_role("button", name="Add a leg").click()
        page.get_by_role("button", name=f"More of leg {leg}").click()
        page.locator(f'[name="legs[{leg}].instrument"]').fill(BANK)
        page.get_by_role("button", name=f"More of leg {leg}").click()
        page.get_by_label(f"Contract type of leg {leg}").select_option(right)
    page.get_by_text("Incomplete: legs 3, 4 (BANKNIFTY) are not in this picture").wait_for()
    page.locator(".payoff").wait_for()
    return settled(viewer)


def settled(viewer: PageViewer) -> Drawn:
    """The figures at a moment at which the margin is known, which is asked again where the money moves a strike on."""
    return eventually(lambda: found if (found := Drawn(viewer)).rupees("Margin together of all legs") else None, 30)


def pictured(drawn: Drawn, at: slice, lot: int) -> None:
    """Facts of a short strangle are those of its own two legs."""
    received = sum(drawn.last[at])
    low, high = sorted(drawn.strikes[at])
    assert drawn.facts["Most loss"] == "unlimited"
    assert drawn.rupees("Most profit") == pytest.approx(received * lot, abs=2)
    assert drawn.breakevens() == pytest.approx([low - received, high + received], abs=1)


def test_legs_of_two_underlyings_have_their_own_lots_prices_and_pictures_and_are_saved(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    lots = {row["underlying"]: row["lot"] for row in site.api(viewer, "/api/underlyings")}
    assert lots[BANK] and lots[BANK] != lots["NIFTY"]
    drawn = two_indices(viewer)
    page.get_by_text(f"1 lot is {lots['NIFTY']} units of NIFTY, {lots[BANK]} units of BANKNIFTY.").wait_for()
    names = page.locator(".legs td[data-name=Contract]").all_inner_texts()
    assert [re.match("[A-Z]+", name)[0] for name in names] == ["NIFTY", "NIFTY", BANK, BANK]  # type: ignore[index]
    assert viewer.table("legs").evaluate("one => one.scrollWidth - one.clientWidth") <= 0, "long names hide no column"
    page.get_by_role("heading", name="Payoff of NIFTY, legs 1, 2").wait_for()
    pictured(drawn, slice(0, 2), lots["NIFTY"])
    premium = sum(drawn.last[:2]) * lots["NIFTY"] + sum(drawn.last[2:]) * lots[BANK]
    assert drawn.rupees("Premium received of all legs") == pytest.approx(premium, abs=2)
    page.get_by_label("Underlying of the picture").select_option(BANK)
    page.get_by_role("heading", name="Payoff of BANKNIFTY, legs 3, 4").wait_for()
    page.get_by_text("Incomplete: legs 1, 2 (NIFTY) are not in this picture").wait_for()
    page.locator(".payoff").wait_for()
    bank = settled(viewer)
    pictured(bank, slice(2, 4), lots[BANK])
    assert bank.rupees("Margin together of all legs") == drawn.rupees("Margin together of all legs")
    page.get_by_label("Lots of leg 3").fill("2")
    eventually(
        lambda: Drawn(viewer).rupees("Margin together of all legs") > bank.rupees("Margin together of all legs"), 20
    )
    assert viewer.too_wide() == [] and viewer.serious_findings() == []

    card = page.locator("section.card", has=page.get_by_role("heading", name="As a strategy"))
    card.get_by_label("Name", exact=True).fill("Two_Indices")
    card.get_by_role("button", name="Check").click()
    card.locator("pre.diff .gain", has_text='instrument = "BANKNIFTY"').first.wait_for()
    card.get_by_role("button", name="Save").click()
    viewer.confirm()
    viewer.said("two_indices.toml is written")
    path = site.home / "config" / "strategies" / "two_indices.toml"
    made = tomllib.loads(path.read_text(encoding="utf-8"))
    assert [leg.get("instrument", "") for leg in made["legs"]] == ["", "", BANK, BANK]
    assert (made["underlying"], [leg["lots"] for leg in made["legs"]]) == ("NIFTY", [1, 1, 2, 1])
    viewer.open("/orders", "Orders")
    opened(viewer, "Two_Indices")
    page.get_by_text("Incomplete: legs 3, 4 (BANKNIFTY) are not in this picture").wait_for()
    path.unlink()


def test_scenario_covers_both_underlyings_and_each_alone(site: ConsoleSite, viewer: PageViewer) -> None:
    page = viewer.page
    viewer.open("/builder", "Strategy builder")
    two_indices(viewer)
    names = page.locator(".legs td[data-name=Contract]").all_inner_texts()
    lots = {row["underlying"]: row["lot"] for row in site.api(viewer, "/api/underlyings")}
    bought = {names[0]: lots["NIFTY"], names[3]: lots[BANK]}
    fields = {"exchange": "NFO", "product": "NRML", "pricetype": "MARKET", "price": "0"}

    def trade(action: str) -> None:
        for symbol, units in bought.items():
            done = site.stack.post(
                "placeorder", strategy="by hand", symbol=symbol, action=action, quantity=str(units), **fields
            )
            assert done["status"] == "success", done

    trade("BUY")
    try:
        for symbol in bought:
            eventually(lambda name=symbol: site.rows(f"NFO:{name}", "(unmanaged)"), 60)  # type: ignore[misc]
        page.get_by_role("link", name="Risk", exact=True).click()
        viewer.dialog("Unsaved changes").get_by_role("button", name="Discard").click()
        card = page.locator("section.card", has=page.get_by_role("heading", name=re.compile("^Scenario of the book")))
        card.get_by_text(
            re.compile(r"\(.*BANKNIFTY [\d,.]+.*NIFTY [\d,.]+|\(.*NIFTY [\d,.]+, BANKNIFTY [\d,.]+")
        ).wait_for()
        choice = card.get_by_label("Underlying")
        assert {"Whole book", "NIFTY", BANK} <= set(choice.locator("option").all_inner_texts())
        choice.select_option(BANK)
        card.get_by_text("of 1 of 1 contract. Across: spot of BANKNIFTY (BANKNIFTY ").wait_for()
        grid = card.get_by_role("region", name="profit by spot and volatility")
        texts = grid.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(one => one.innerText))"
        )
        cells = [[number_in(text) for text in row[1:]] for row in texts]
        middle = cells[len(cells) // 2]
        assert abs(middle[len(middle) // 2]) < 5, "nothing moves and nothing is made"
        assert middle[0] > 0 > middle[-1], "a bought put gains when BANKNIFTY falls"
        card.get_by_label("Date").select_option("7")
        eventually(lambda: number_in(grid.locator("tbody tr").nth(2).locator("td").nth(5).inner_text()) < -100, 20)

        def sum_agrees() -> bool:
            """Of three answers between which no strategy traded."""
            whole, *parts = (
                site.api(viewer, f"/api/scenario?days=0&underlying={name}")["profit"][2][0]
                for name in ("", "NIFTY", BANK)
            )
            return bool(whole == pytest.approx(sum(parts), rel=0.05))

        eventually(sum_agrees, 30)
        assert viewer.serious_findings() == [] and viewer.too_wide() == []
    finally:
        trade("SELL")
        for symbol in bought:
            # a strategy may hold the same contract: nobody's units alone are those of this test
            eventually(lambda name=symbol: not site.rows(f"NFO:{name}", "(unmanaged)"), 60)  # type: ignore[misc]


def test_legs_are_picked_in_the_chain_on_a_phone(site: ConsoleSite) -> None:
    phone = site.viewer_of(width=PHONE)
    phone.open("/chain", "Option chain")
    page = phone.page
    money = page.locator("tr.atm")
    money.wait_for()
    assert not money.get_by_role("button").count()
    page.get_by_role("button", name="Pick legs").click()
    for name in ("SELL", "BUY"):
        button = money.get_by_role("button", name=re.compile(rf"^{name} \d+ CE"))
        box = button.bounding_box()
        assert box["width"] >= 24 and box["height"] >= 24 and box["x"] + box["width"] <= PHONE
        button.click()
    table = phone.table("Option chain")
    assert table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    assert phone.too_wide() == [] and phone.serious_findings() == []
    page.get_by_role("link", name="Open in the builder").click()
    page.get_by_label("Side of leg 2").wait_for()
    assert [page.get_by_label(f"Side of leg {leg}").input_value() for leg in (1, 2)] == ["-1", "1"]
    assert phone.problems == []
    phone.close()
