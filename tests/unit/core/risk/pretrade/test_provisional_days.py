"""Days of a year without holidays: entries wait for an operator's word, and bare positions for a price of the day."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest

from mytrading.core.risk.active_alerts import DAY_PROVISIONAL, LatencyAlerts, active_alerts
from mytrading.core.time import DAY as ONE_DAY
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import DayConfirmed, DayTraded
from mytrading.messages.enums import Action
from mytrading.messages.run_config import AlertRules
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, RiskBench, codes
from tests.kit.risk_guard_bench import Guarded

NOON = to_ns(date(2027, 1, 27), time(12, 0))
TODAY = "2027-01-27"


def at(now: int, *, confirms: bool = True) -> RiskBench:
    """Risk with a share at a market time, and a fresh price of it."""
    bench = RiskBench()
    bench.machine.environment.confirms_days = confirms
    bench.now = now
    bench.beat()
    bench.quote(SHARE)
    return bench


@pytest.fixture
def bench() -> RiskBench:
    return at(NOON)


def enter(bench: RiskBench, name: str) -> tuple[Any, ...]:
    return bench.intent(name, Leg(instrument=SHARE, lots=1))


def entered(rows: tuple[Any, ...]) -> bool:
    return any(isinstance(row, PlaceEntry) for row in rows)


def confirm(bench: RiskBench, *exchanges: str, day: str = TODAY) -> None:
    bench.give(DayConfirmed(exchanges=exchanges, day=day, at_ns=bench.now, by="asha"))


def test_entry_went_on_a_day_of_which_nobody_knew_if_it_is_a_holiday(bench: RiskBench) -> None:
    rows = enter(bench, "a")
    assert codes(rows) == ["DAY_PROVISIONAL"] and not entered(rows)
    assert "lists no holiday of 2027 for NSE, so 2027-01-27 may be one" in str(rows)
    assert "`mytrading calendar confirm NSE`" in str(rows)
    confirm(bench, "NSE", "NFO")
    assert entered(enter(bench, "b"))


def test_word_of_an_operator_holds_for_its_exchange_and_day_alone(bench: RiskBench) -> None:
    confirm(bench, "MCX")
    confirm(bench, "NSE", day="2027-01-26")
    assert codes(enter(bench, "a")) == ["DAY_PROVISIONAL"]
    confirm(bench, "NSE")
    assert entered(enter(bench, "b"))
    tomorrow = at(NOON + ONE_DAY)
    confirm(tomorrow, "NSE")
    assert codes(enter(tomorrow, "a")) == ["DAY_PROVISIONAL"], "tomorrow is a day of its own"


def test_exit_needs_no_word(bench: RiskBench) -> None:
    confirm(bench, "NSE")
    (entry,) = (row for row in enter(bench, "a") if isinstance(row, PlaceEntry))
    bench.fill(entry)
    bench.machine.state.confirmed_days.clear()
    assert [type(row) for row in bench.intent("b", action=Action.EXIT)] == [CloseGoal]


def test_listed_year_and_a_backtest_ask_for_no_word() -> None:
    assert entered(enter(at(to_ns(date(2026, 3, 18), time(12, 0))), "a"))
    assert entered(enter(at(NOON, confirms=False), "a"))


@pytest.mark.parametrize("traded", [False, True])
def test_position_was_closed_as_bare_while_its_stop_waited_for_a_price_of_the_day(traded: bool) -> None:
    """Nothing is wrong with a stop that the router holds back; once it may go, a missing one is a fault again."""
    made = Guarded()
    made.stop()
    bench = made.bench
    bench.now = NOON
    bench.quote(SHARE, 800.0)
    if traded:
        bench.give(DayTraded(daemon="feed", day=TODAY, exchanges={"NSE": SHARE}))
    for _ in range(20):
        made.read(covered=0)
    assert made.found() == (["POSITION_BARE", "its stop is not at the broker"] if traded else [])


def test_traded_price_counts_for_its_exchange_and_day_alone(bench: RiskBench) -> None:
    state = bench.machine.state
    assert state.environment.is_open("NSE", NOON) and not state.may_send("NSE", NOON)
    other = DayTraded(daemon="feed", day=TODAY, exchanges={"MCX": "MCX:GOLD"})
    assert state.learns_trading(other)
    bench.give(other)
    assert not state.may_send("NSE", NOON)
    traded = DayTraded(daemon="feed", day=TODAY, exchanges={"NSE": SHARE})
    bench.give(traded)
    assert state.may_send("NSE", NOON) and not state.learns_trading(traded)
    assert not state.may_send("NSE", NOON + ONE_DAY), "tomorrow asks for a price of its own"
    assert state.guard._is_open == state.may_send, "the look for bare positions asks here"


def test_operator_was_told_by_denials_alone_that_entries_wait(bench: RiskBench) -> None:
    def told() -> dict[str, str]:
        found = active_alerts(bench.machine, LatencyAlerts(AlertRules()), (), (), "KILL", bench.now, bench.machine_ns)
        return {subject: alert.text for (code, subject), alert in found.items() if code == DAY_PROVISIONAL}

    assert list(told()) == ["NSE_INDEX"], "the exchange of what the strategy watches"
    assert "`mytrading calendar confirm NSE_INDEX`" in told()["NSE_INDEX"]
    confirm(bench, "NSE", "NFO", "NSE_INDEX")
    assert told() == {}
    bench.machine.state.confirmed_days.clear()
    bench.now = to_ns(date(2027, 1, 27), time(18, 0))
    assert told() == {}, "nothing waits after the close"
