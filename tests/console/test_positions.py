"""The page of positions with the book of an option strategy: its sums, and all its columns on a screen."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from statistics import NormalDist
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.console.page_files import BUNDLE
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import (
    FlattenRequested,
    Heartbeat,
    LegUse,
    LimitUse,
    ModifyRequested,
    RiskPicture,
    RunUse,
    StrategySwitch,
)
from mytrading.messages.enums import (
    DaemonState,
    LimitAction,
    LimitKind,
    OrderState,
    OrderType,
    Product,
    Purpose,
    Side,
)
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.level_names import bare_figure_name
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged, Protection, ProtectionChanged
from mytrading.messages.reports import AccountHealth, Funds
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.console_viewer import PHONE, WIDE, PageViewer

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
OWNER = "Iron_Condor_Weekly"
CONDOR = {"24500CE": -750, "24750CE": 750, "23900PE": -750, "23650PE": 750}


def hold(view: StackView, instrument: str, units: int, average: float, realised: float, run: str = "r") -> None:
    """A position of the strategy, with a stop at the broker and a target if it is sold."""
    position = Position(
        account="paper", instrument=instrument, product=Product.NRML, strategy=OWNER, run=run, quantity=units,
        quantity_seen=units, average_price=average, realised=realised, held_target=48.5 if units < 0 else 0.0,
    )  # fmt: skip
    view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=75, fill_price=1.0, at_ns=1))
    if units < 0:
        stop = Protection(
            id=instrument, account="paper", instrument=instrument, product=Product.NRML, strategy=OWNER, run=run,
            cause="s", side=Side.BUY, trigger=190.7, limit=200.0,
        )  # fmt: skip
        view.apply(ProtectionChanged(protection=stop, at_ns=1))


def fill(view: StackView) -> None:
    """What the module's book holds."""
    for name, units in CONDOR.items():
        view.apply(Quote(f"NFO:NIFTY25NOV26{name}", 1, 1, 101.5, bid=101.4, ask=101.6))
        hold(view, f"NFO:NIFTY25NOV26{name}", units, 95.0, 1_234.5)
    hold(view, "NFO:BANKNIFTY25NOV2652000CE", 0, 0.0, -5_400.25)
    for name, units in (("NSE:SBIN", 10), ("NFO:NIFTY25NOV26FUT", 75)):
        view.apply(
            UnmanagedChanged(
                account="paper", instrument=name, product=Product.NRML, quantity=units, at_ns=1, average_price=800.0
            )
        )
    view.apply(Quote("NSE:SBIN", 1, 1, 812.0))
    view.apply(
        Funds(account="paper", available=1e5, used=0.0, collateral=0.0, realised=-4_764.5, unrealised=0.0, machine_ns=0)
    )
    view.apply(AccountHealth(account="paper", connected=True, right_mode=True, stream_up=True, books_agree=True))
    limits = (limit("account", "paper", 10_000.0, 1_173.0), limit("strategy", OWNER, 5_000.0, -309.0))
    view.apply(RiskPicture(at_ns=1, machine_ns=1, limits=limits))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    """A condor that is open, an option that was closed today, and units from elsewhere with and without a price."""
    made = ConsoleOfTest(tmp_path_factory.mktemp("book"), bundle=BUNDLE)
    try:
        fill(made.gateway.server.context.view)
        yield made
    finally:
        made.stop()


def limit(scope: str, name: str, most: float, value: float) -> LimitUse:
    return LimitUse(
        kind=LimitKind.DAILY_LOSS, scope=scope, name=name, most=most, action=LimitAction.NO_ENTRIES, value=value,
        used=max(-value, 0.0) / most, left=most + value,
    )  # fmt: skip


def spaced(found: Any) -> str:
    """The text of an element in one line."""
    return re.sub(r"\s+", " ", found.inner_text()).strip()


def opened(chromium: Any, book: ConsoleOfTest, width: int) -> PageViewer:
    viewer = PageViewer(chromium, book.server.url, width=width)
    viewer.log_in()
    viewer.open("/positions", "Positions")
    viewer.row("positions", "NIFTY25NOV2624500CE")
    return viewer


def test_sums_are_those_of_the_day_and_say_what_has_no_price(book: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, book, WIDE)
    figures = re.sub(r"\s+", " ", viewer.page.locator("dl.figures").first.inner_text())
    assert "Open P&L −₹300.00 Realised today −₹462.25" in figures, (
        "what was closed today counts, unmanaged units do not"
    )
    assert "Unmanaged 2 open +₹120.00 without 1 unpriced" in figures
    assert not viewer.table("positions").get_by_text("BANKNIFTY25NOV26").count()
    viewer.page.get_by_label("flat ones too").check()
    assert "−₹5,400.25" in viewer.row("positions", "BANKNIFTY25NOV26").inner_text()
    viewer.press("HALT", exact=True)
    viewer.press("Flatten", exact=True)
    said = viewer.dialog("Emergency").inner_text()
    assert "4 positions, open P&L −₹300.00. 2 unmanaged positions are left alone." in said
    assert viewer.problems == []
    viewer.close()


def test_heads_of_groups_count_what_is_flat_and_hidden(book: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, book, WIDE)
    heads = viewer.table("positions").locator("tr.grouped")
    assert spaced(heads.filter(has_text=OWNER)) == f"paper · {OWNER} open −₹300.00 realised today −₹462.25"
    viewer.page.get_by_label("flat ones too").check()
    viewer.row("positions", "BANKNIFTY25NOV26")
    assert "realised today −₹462.25" in spaced(heads.filter(has_text=OWNER))
    viewer.press("Structure", exact=True)
    heads.filter(has_text="run r").wait_for()
    assert spaced(heads.filter(has_text="run r")) == f"{OWNER}, run r open −₹300.00", "of the day, not of the run"
    viewer.close()


def test_open_profit_says_at_which_price(book: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, book, WIDE)
    heading = viewer.table("positions").locator("th").filter(has_text="Open P&L")
    assert "Longs at the bid, shorts at the ask" in heading.get_attribute("title")
    for name, valued in (("24500CE", "101.60"), ("24750CE", "101.40")):
        assert viewer.row("positions", name).get_by_title(f"at {valued} against an average of 95.00").count() == 1
    viewer.close()


def test_account_says_why_the_brokers_figure_is_not_compared(book: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, book, WIDE)
    viewer.open("/accounts", "Accounts")
    row = viewer.row("accounts", "paper")
    row.get_by_text("−₹4,764.50").wait_for()
    assert "−₹4,764.50 the broker counts unmanaged positions too" in spaced(row)
    viewer.close()


def test_limits_tell_a_profit_from_a_loss(book: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, book, WIDE)
    viewer.open("/risk", "Risk")
    shown = {name: spaced(viewer.row("risk limits", name)) for name in ("paper", OWNER)}
    assert "no loss, P&L +₹1,173 ₹10,000 ₹11,173 0 %" in shown["paper"]
    assert "loss ₹309 ₹5,000 ₹4,691 6 %" in shown[OWNER]
    viewer.close()


def test_all_columns_show_on_a_screen_and_units_and_profit_first_on_a_phone(book: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, book, WIDE)
    assert viewer.table("positions").evaluate("one => one.scrollWidth - one.clientWidth") <= 0
    for name in ("Average ₹", "Target ₹", "Books"):
        assert viewer.table("positions").get_by_role("button", name=name).is_visible()
    viewer.close()
    phone = opened(chromium, book, PHONE)
    headings = phone.table("positions").locator("th").all()
    in_view = [
        one.inner_text().strip() for one in headings if (box := one.bounding_box()) and box["x"] + box["width"] <= PHONE
    ]
    assert in_view[:3] == ["Instrument", "Units", "Open P&L"]
    stop = phone.row("positions", "24500CE").get_by_text("190.70").filter(visible=True)
    box = stop.bounding_box()
    assert box and box["x"] + box["width"] <= PHONE, "a stop is read without a scroll"
    phone.close()


EXPIRY = date.today() + timedelta(days=10)
SPOT = 24_200.0
RUN_LEGS = {f"NFO:NIFTY{EXPIRY:%d%b%y}{name}".upper(): units for name, units in CONDOR.items()}
REALISED = 2_345.5
RUN = "5d41402abc4b2a76"


@pytest.fixture(scope="module")
def run_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    """A condor of a run that risk knows, with listed contracts and a price of its underlying."""
    made = ConsoleOfTest(tmp_path_factory.mktemp("run"), bundle=BUNDLE)
    index = {"id": "NSE_INDEX:NIFTY", "exchange": "NSE_INDEX", "symbol": "NIFTY", "underlying": "NIFTY"}
    listed = [Instrument(kind=InstrumentKind.INDEX, **index)]
    listed += [
        Instrument(
            id=name, exchange="NFO", symbol=name[4:], kind=InstrumentKind(name[-2:]), underlying="NIFTY",
            expiry=EXPIRY.isoformat(), strike=float(name[-7:-2]), lot_size=75,
        )
        for name in RUN_LEGS
    ]  # fmt: skip
    InstrumentFile(made.config.state).write(Snapshot(day=f"{date.today()}", fetched_ns=1, instruments=tuple(listed)))
    try:
        view = made.gateway.server.context.view
        view.apply(Quote("NSE_INDEX:NIFTY", 1, 1, SPOT))
        legs = []
        for name, units in RUN_LEGS.items():
            view.apply(Quote(name, 1, 1, 101.5, bid=101.4, ask=101.6))
            hold(view, name, units, 95.0, 0.0, RUN)
            open_profit = units * ((101.6 if units < 0 else 101.4) - 95.0)
            stop = 190.0 if units < 0 else None
            legs.append(
                LegUse(
                    account="paper", instrument=name, product="NRML", quantity=units, average_price=95.0, ltp=101.5,
                    profit=open_profit, stop_loss=stop,
                )
            )  # fmt: skip
        run = RunUse(
            strategy=OWNER, run=RUN, opened_ns=1_795_000_000_000_000_000, profit=REALISED - 300.0, realised=REALISED,
            max_loss=5_000.0, max_profit=8_000.0, legs=tuple(legs),
        )  # fmt: skip
        view.apply(RiskPicture(at_ns=1, machine_ns=1, runs=(run,)))
        yield made
    finally:
        made.stop()


def greek(forward: float, strike: float, years: float, price: float, call: bool) -> tuple[float, float]:
    """Delta, and rupees a point of volatility, of a bought option of this price, without discounting."""
    normal = NormalDist()

    def value(volatility: float) -> tuple[float, float]:
        deviation = volatility * years**0.5
        up = math.log(forward / strike) / deviation + deviation / 2
        side = 1 if call else -1
        worth = side * (forward * normal.cdf(side * up) - strike * normal.cdf(side * (up - deviation)))
        return worth, up

    low, high = 0.01, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if value(middle)[0] < price else (low, middle)
    up = value(low)[1]
    return normal.cdf(up) - (0 if call else 1), forward * normal.pdf(up) * years**0.5 / 100


def test_head_of_a_known_run_has_its_money_its_greeks_and_its_stops_and_its_button_closes_it(
    run_book: ConsoleOfTest, chromium: Any
) -> None:
    viewer = PageViewer(chromium, run_book.server.url)
    viewer.log_in()
    viewer.open("/positions", "Positions")
    viewer.press("Structure", exact=True)
    head = viewer.table("positions").locator("tr.grouped").filter(has_text=f"{OWNER}, run of ")
    head.get_by_text("realised by the run").wait_for()
    shown = spaced(head)
    assert re.match(rf"{OWNER}, run of \S+ open −₹300.00 realised by the run \+₹2,345.50 Δ ", shown), shown
    india = timezone(timedelta(hours=5, minutes=30))
    left = datetime.combine(EXPIRY, time(15, 30), india) - datetime.now(india)
    years = left.total_seconds() / (365 * 86_400)
    forward = SPOT * math.exp(0.065 * years)
    greeks = [
        (units, *greek(forward, float(name[-7:-2]), years, 101.5, name.endswith("CE")))
        for name, units in RUN_LEGS.items()
    ]
    delta, vega = (sum(row[0] * row[at] for row in greeks) for at in (1, 2))
    found = re.search(r"Δ (\S+) Γ (\S+) Θ (\S+) a day, vega (\S+)", shown)
    assert found, shown
    numbers = [float(text.replace("−", "-").replace(",", "").rstrip("kKL")) for text in found.groups()]
    assert numbers[0] == pytest.approx(delta, abs=3) and abs(numbers[0]) < 375
    assert numbers[3] == pytest.approx(vega, rel=0.05, abs=20), (numbers, vega)
    for name, units in RUN_LEGS.items():
        assert ("190.70" in viewer.row("positions", name[4:]).inner_text()) is (units < 0)

    card = viewer.page.locator("section.card", has=viewer.page.locator("header", has_text=f"{OWNER}, run of"))
    said = spaced(card)
    assert "+₹2,045.50" in said and "Closes at a loss of −₹5,000 ₹7,046 away" in said, said
    assert "Closes at a profit of +₹8,000 ₹5,955 away" in said, said
    legs = card.get_by_role("region", name=re.compile("^legs of "))
    for name, units in RUN_LEGS.items():
        text = spaced(legs.locator("tbody tr", has_text=name[-7:-2]).filter(has_text=name[-2:]))
        assert ("190.00 88.50 (87.2 %) away" in text) is (units < 0), text
    assert viewer.too_wide() == [] and viewer.serious_findings() == []
    card.get_by_role("button", name="Close the run…").click()
    dialog = viewer.dialog("Close the run")
    assert f"{OWNER}, run of" in dialog.inner_text() and "P&L +₹2,045.50" in spaced(dialog)
    run_book.gateway.rows.clear()
    dialog.get_by_role("button", name="Close 4 legs at the market").click()
    viewer.dialog("Flatten").wait_for()
    (asked,) = [row for row in run_book.gateway.rows if isinstance(row, FlattenRequested)]
    assert (asked.strategy, asked.account, asked.by) == (OWNER, "paper", "console:asha")
    assert not [row for row in run_book.gateway.rows if isinstance(row, StrategySwitch)], "its entries stay on"
    assert viewer.problems == []
    viewer.close()


SOLD, HEDGE = (next(name for name in RUN_LEGS if name.endswith(end)) for end in ("24500CE", "24750CE"))


def test_close_of_a_hedge_lists_what_it_covers_and_needs_a_tick_and_a_reason_or_closes_the_run(
    run_book: ConsoleOfTest, chromium: Any
) -> None:
    viewer = PageViewer(chromium, run_book.server.url)
    viewer.log_in()
    viewer.open("/positions", "Positions")
    viewer.press_in_row("Close", "positions", HEDGE[4:])
    dialog = viewer.dialog("Close the position")
    dialog.get_by_text(f"It covers what {OWNER} sold").wait_for()
    assert f"750 units of {SOLD[4:]} in paper would stand without cover" in spaced(dialog)
    dialog.get_by_text(re.compile(r"by our tables: ₹[\d,]+ → ₹[\d,]+")).wait_for()
    found = re.search(r"by our tables: ₹([\d,]+) → ₹([\d,]+)", spaced(dialog))
    assert found is not None
    before, after = (int(text.replace(",", "")) for text in found.groups())
    assert after > 2 * before, "the margin of a naked leg"
    button = dialog.get_by_role("button", name="Close 750 units at the market")
    assert button.is_disabled()
    assert viewer.serious_findings() == []
    dialog.get_by_role("button", name="Close the run instead…").click()
    whole = viewer.dialog("Close the run")
    whole.get_by_role("button", name="Close 4 legs at the market").wait_for()
    viewer.page.keyboard.press("Escape")

    viewer.press_in_row("Close", "positions", HEDGE[4:])
    dialog.get_by_label("I answer for the sold legs").check()
    button.click()
    assert not viewer.page.get_by_text("is taken").count(), "a reason is needed"
    dialog.get_by_label("Reason (goes into the journal)").fill("I watch it")
    run_book.gateway.rows.clear()
    button.click()
    viewer.said(f"closing of {HEDGE} of {OWNER} is taken")
    (asked,) = [row for row in run_book.gateway.rows if isinstance(row, FlattenRequested)]
    assert (asked.instrument, asked.force, asked.reason, asked.by) == (HEDGE, True, "I watch it", "console:asha")
    assert viewer.problems == []

    viewer.press_in_row("Close", "positions", SOLD[4:])
    assert viewer.dialog("Close the position").get_by_role("button", name="Close 750 units").is_enabled(), "not a cover"
    assert not viewer.dialog("Close the position").get_by_label("I answer for").count()
    viewer.close()


def test_sold_leg_without_its_cover_needs_somebody(run_book: ConsoleOfTest, chromium: Any) -> None:
    view = run_book.gateway.server.context.view
    owner = next(key for key in view.positions if key.instrument == SOLD)
    beat = Heartbeat(
        daemon="risk", pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=1, market_ns=1, started_machine_ns=1,
        figures={bare_figure_name(owner): 750.0},
    )  # fmt: skip
    view.apply(beat)
    viewer = PageViewer(chromium, run_book.server.url)
    viewer.log_in()
    item = viewer.page.locator("li", has_text="bare leg")
    item.get_by_text(f"750 of -750 of {OWNER} in paper have lost the leg that covered them").wait_for()
    item.get_by_role("link", name="Look").click()
    viewer.row("positions", SOLD[4:]).get_by_text("750 bare").filter(visible=True).wait_for()
    assert viewer.problems == []
    viewer.close()
    view.apply(replace(beat, figures={}))


def test_stop_is_changed_from_its_own_terms_and_loosened_with_a_tick_and_a_reason(
    run_book: ConsoleOfTest, chromium: Any
) -> None:
    view = run_book.gateway.server.context.view
    stop = Order(
        client_order_id="stop-1", account="paper", instrument=SOLD, product=Product.NRML, strategy=OWNER, run=RUN,
        cause="s", purpose=Purpose.STOP, side=Side.BUY, quantity=750, order_type=OrderType.SL, trigger_price=190.7,
        price=200.0, state=OrderState.ACCEPTED, created_ns=1, updated_ns=1, broker_order_id="B1",
    )  # fmt: skip
    view.apply(OrderChanged(order=stop, event="accepted", machine_ns=1))
    viewer = PageViewer(chromium, run_book.server.url)
    viewer.log_in()
    viewer.open("/orders", "Orders")

    def opened_dialog() -> Any:
        viewer.press_in_row("Modify", "orders", SOLD[4:])
        return viewer.dialog("Modify the order")

    dialog = opened_dialog()
    terms = {"New price ₹": "200", "New trigger ₹": "190.7", "New units, filled ones included": "750"}
    assert {name: dialog.get_by_label(name).input_value() for name in terms} == terms
    button = dialog.get_by_role("button", name="Modify the order")
    assert button.is_disabled(), "nothing is changed"
    dialog.get_by_label("New trigger ₹").fill("180")
    assert "₹66,900 → ₹58,875" in spaced(dialog) and "Its limit moves along, to ₹189.30" in spaced(dialog)
    assert not dialog.get_by_label("I answer for it").count() and button.is_enabled(), "tighter needs no more"
    dialog.get_by_label("New trigger ₹").fill("250")
    assert "₹66,900 → ₹1,11,375" in spaced(dialog)
    assert button.is_disabled() and viewer.serious_findings() == []
    dialog.get_by_label("I answer for it").check()
    dialog.get_by_label("Reason (goes into the journal)").fill("wide day")
    run_book.gateway.rows.clear()
    button.click()
    viewer.dialog("Taken").wait_for()
    viewer.page.keyboard.press("Escape")
    (asked,) = [row for row in run_book.gateway.rows if isinstance(row, ModifyRequested)]
    assert (asked.trigger_price, asked.price, asked.quantity) == (250.0, 0.0, 0), "only what was changed"
    assert (asked.force, asked.reason, asked.by) == (True, "wide day", "console:asha")

    dialog = opened_dialog()
    dialog.get_by_label("New price ₹").fill("195")
    dialog.get_by_text("its limit leaves less room to fill").wait_for()
    view.apply(OrderChanged(order=replace(stop, trigger_price=185.0), event="modified", machine_ns=2))
    dialog.get_by_role("button", name="Take the new state").click()
    assert dialog.get_by_label("New trigger ₹").input_value() == "185"
    assert dialog.get_by_label("New price ₹").input_value() == "200"
    assert viewer.problems == []
    viewer.close()
