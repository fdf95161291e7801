"""What keeps strategies from entering, in a browser: refused signals, full limits, halts; and files of legs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import MINUTE, clock_time
from mytrading.daemons.console.page_files import BUNDLE
from mytrading.messages.commands import SignalDenied
from mytrading.messages.control import EntryLimitUse, LimitUse, RiskPicture, TradingState
from mytrading.messages.enums import LimitAction, LimitKind, OrderState, TradingLevel
from mytrading.messages.orders import OrderChanged
from mytrading.messages.signals import StrategyStarted
from mytrading.runtime.host.clock import MarketClock
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.console_viewer import PHONE, PageViewer
from tests.kit.leg_project import FILE, leg_project, leg_runs
from tests.kit.order_samples import order

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
RULES = """
[risk]
max_loss = 5000
trailing = 30
trailing_activation = 500
"""
TEXT = FILE.replace("\n[[legs]]", f"{RULES}\n[[legs]]", 1)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[ConsoleOfTest]:
    """A strategy of legs that runs, and limits with their use."""
    home = leg_project(tmp_path / "home", TEXT)
    runs = leg_runs(home, tmp_path / "state")
    made = ConsoleOfTest(tmp_path / "console", bundle=BUNDLE, home=home, strategies=runs)
    try:
        made.add_user("vera", "viewer")
        view = made.gateway.server.context.view
        view.apply(StrategyStarted(strategy="Condor", parameters={}, watches=(), warm_bars=0, at_ns=1))
        day = LimitUse(
            kind=LimitKind.DAILY_LOSS, scope="account", name="paper", most=10_000.0, action=LimitAction.NO_ENTRIES,
            value=-2_500.0, used=0.25, left=7_500.0,
        )  # fmt: skip
        full = EntryLimitUse(
            code="MAX_POSITIONS_PER_SYMBOL", scope="underlying", name="NIFTY", account="paper", most=5, value=5,
            used=1.0, denies=True,
        )  # fmt: skip
        size = EntryLimitUse(
            code="MAX_POSITION_SIZE", scope="instrument", name="NFO:NIFTY25NOV26FUT", account="paper",
            most=1_00_000.0, value=48_750.0, used=0.4875,
        )  # fmt: skip
        view.apply(RiskPicture(at_ns=1, machine_ns=1, limits=(day,), entry_limits=(size, full)))
        yield made
    finally:
        made.stop()


def spaced(found: Any) -> str:
    return re.sub(r"\s+", " ", found.inner_text()).strip()


def card(viewer: PageViewer, title: str) -> Any:
    return viewer.page.locator("section.card", has=viewer.page.get_by_role("heading", name=title, exact=True))


def opened(chromium: Any, stack: ConsoleOfTest, name: str = "asha", **options: Any) -> PageViewer:
    viewer = PageViewer(chromium, stack.server.url, **options)
    viewer.log_in(name)
    return viewer


def test_refused_strategy_says_so_on_every_page_until_a_signal_enters(stack: ConsoleOfTest, chromium: Any) -> None:
    view, now = stack.gateway.server.context.view, MarketClock.load(stack.config.clock_path).now()
    for minutes in (3, 2, 1):
        view.apply(
            SignalDenied(
                signal=f"w{minutes}", strategy="Condor", code="MAX_POSITIONS_PER_SYMBOL", account="paper",
                message="5 positions of NIFTY reach MAX_POSITIONS_PER_SYMBOL 5; close one first",
                at_ns=now - minutes * MINUTE, value=5, limit=5,
            )
        )  # fmt: skip
    said = f"refused since {clock_time(now - 3 * MINUTE)[:5]}: positions per symbol 5 of 5 (3 in a row"
    viewer = opened(chromium, stack)
    viewer.open("/", "Dashboard")
    for title in ("Strategies", "What holds entries back"):
        card(viewer, title).get_by_text(said).wait_for()
    assert card(viewer, "Nothing needs you").count() == 1, "a refusal by itself asks for nobody"
    viewer.open("/risk", "Risk")
    held = card(viewer, "What holds entries back")
    held.get_by_text(said).wait_for()
    assert "Nothing: entries are allowed" not in spaced(held)
    viewer.open("/strategies", "Strategies")
    assert said in spaced(viewer.row("strategies", "Condor"))
    viewer.open("/strategies/Condor", "Condor")
    viewer.page.get_by_text("reach MAX_POSITIONS_PER_SYMBOL 5; close one first").first.wait_for()
    entry = order(client_order_id="e", strategy="Condor", account="paper", state=OrderState.ACCEPTED, created_ns=now)
    view.apply(OrderChanged(event="accepted", order=entry, machine_ns=1))
    viewer.page.get_by_text(said).wait_for(state="detached")
    viewer.open("/risk", "Risk")
    card(viewer, "What holds entries back").get_by_text("Nothing: entries are allowed.").wait_for()
    assert viewer.problems == []
    viewer.close()


def test_limits_of_entries_stand_with_those_of_the_day_the_fullest_first(stack: ConsoleOfTest, chromium: Any) -> None:
    viewer = opened(chromium, stack)
    viewer.open("/risk", "Risk")
    viewer.row("risk limits", "NIFTY25NOV26FUT")
    shown = [spaced(row) for row in viewer.table("risk limits").locator("tbody tr").all()]
    assert shown[0].startswith("positions per symbol underlying NIFTY in paper 5 5 0 100 %"), shown
    assert "deny no more entries there" in shown[0]
    assert shown[1].startswith("position size instrument NIFTY25NOV26FUT in paper ₹48,750 ₹1,00,000 ₹51,250 49 %")
    assert shown[2].startswith("daily loss account paper loss ₹2,500 ₹10,000 ₹7,500 25 %")
    assert "Switched off: " in spaced(card(viewer, "Limits")) and viewer.serious_findings() == []
    assert viewer.problems == []
    viewer.close()


def test_halt_is_a_sentence_with_the_button_that_ends_it_and_strategies_are_held(
    stack: ConsoleOfTest, chromium: Any
) -> None:
    now = MarketClock.load(stack.config.clock_path).now()
    halted = TradingState(
        level=TradingLevel.HALT, generation=1, reason="lunch", at_ns=now, account="", by="console:asha"
    )
    stack.gateway.server.context.control.apply(halted)
    said = f"Entries halted by asha at {clock_time(now)[:5]}: lunch"
    onlooker = opened(chromium, stack, "vera", width=PHONE)
    onlooker.open("/", "Dashboard")
    onlooker.page.get_by_text(said).first.wait_for()
    assert not onlooker.page.get_by_role("button", name="End: all").count(), "a viewer resumes nothing"
    assert onlooker.too_wide() == []
    onlooker.close()
    viewer = opened(chromium, stack)
    viewer.open("/", "Dashboard")
    card(viewer, "Nothing else needs you").wait_for()
    held = card(viewer, "What holds entries back")
    held.get_by_text(said).wait_for()
    strategies = card(viewer, "Strategies")
    strategies.get_by_text("held: entries are halted").wait_for()
    assert "running" not in spaced(strategies) and "mytrading resume" not in viewer.page.inner_text("main")
    viewer.open("/strategies", "Strategies")
    assert "held: entries are halted" in spaced(viewer.row("strategies", "Condor"))
    viewer.open("/", "Dashboard")
    held.get_by_role("button", name="End: all").click()
    dialog = viewer.dialog("Emergency")
    dialog.get_by_role("button", name="Resume everything").click()
    viewer.page.get_by_text("held: entries are halted").wait_for(state="detached")
    (resumed,) = [row for row in stack.gateway.rows if isinstance(row, TradingState)]
    assert (resumed.level, resumed.account, resumed.by) == (TradingLevel.NORMAL, "", "console:asha")
    assert viewer.problems == []
    viewer.close()


def test_halt_of_an_account_opens_its_own_resume(stack: ConsoleOfTest, chromium: Any) -> None:
    account = stack.config.venue.account
    halted = TradingState(level=TradingLevel.HALT, generation=1, reason="halted by hand", at_ns=1, account=account)
    stack.gateway.server.context.control.apply(halted)
    viewer = opened(chromium, stack)
    viewer.open("/risk", "Risk")
    line = card(viewer, "What holds entries back").locator("li", has_text=f"Entries in {account} halted")
    line.get_by_role("button").click()
    viewer.dialog("Emergency").get_by_role("button", name=f"Resume account {account}").wait_for()
    assert viewer.problems == []
    viewer.close()


def test_parameters_of_a_strategy_of_legs_are_its_file_and_a_changed_file_is_named(
    stack: ConsoleOfTest, chromium: Any
) -> None:
    viewer = opened(chromium, stack, "vera")
    viewer.open("/strategies/Condor", "Condor")
    parameters = card(viewer, "Parameters")
    parameters.get_by_text("SELL 2 lots DELTA 0.3 CE next monthly, stop 30%, target 20 points").wait_for()
    text = spaced(parameters)
    for part in ("Entry 09:20", "Exit 15:10", "Run closes at a loss of ₹ 5000", "Trails from a profit of ₹ 500"):
        assert part in text, text
    assert "File changed" not in text
    file = Path(stack.config.home) / "config" / "strategies" / "condor.toml"
    file.write_text(TEXT.replace("max_loss = 5000", "max_loss = 4000"), encoding="utf-8")
    viewer.open("/", "Dashboard")
    viewer.open("/strategies/Condor", "Condor")
    parameters.get_by_text(
        "File changed; takes effect from the next start of the stack: Run closes at a loss of ₹ 5000 → 4000."
    ).wait_for()
    assert "Run closes at a loss of ₹ 5000" in spaced(parameters), "what runs is listed"
    assert viewer.serious_findings() == [] and viewer.problems == []
    viewer.close()
