"""Stops, exits and entries on a day that may be a holiday: none is sent before a price of that day was traded."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.oms.active_alerts import DAY_UNPROVEN, Unguarded
from mytrading.core.time import DAY, iso_day
from mytrading.messages.control import DayTraded
from mytrading.messages.enums import Call, OrderState, Purpose, Severity
from tests.kit.fake_broker import SECOND, OrderBench

STOP: dict[str, Any] = {"stop_trigger": 95.0, "stop_limit": 92.0}


@pytest.fixture
def bench() -> OrderBench:
    """50 units with a stop, carried into a day of a year without holidays."""
    made = OrderBench()
    made.check_purity = True
    made.hold("e1", **STOP)
    made.answer_calls()
    made.time += DAY
    made.broker.orders.clear()
    made.provisional = True
    made.open_day(iso_day(made.now))
    made.read()
    return made


def trade(bench: OrderBench, day: str = "", *exchanges: str) -> None:
    """The feed sees a price of a day traded."""
    seen = dict.fromkeys(exchanges or ("NFO",), "NFO:B")
    bench.step(DayTraded(daemon="feed", day=day or iso_day(bench.now), exchanges=seen))
    bench.tick(SECOND)


def sent(bench: OrderBench) -> list[Purpose]:
    return [call.order.purpose for call in bench.calls if call.call is Call.PLACE]


def pass_minutes(bench: OrderBench, minutes: int) -> None:
    for _ in range(minutes * 12):
        bench.tick(5 * SECOND)
        bench.read()


def test_carried_stop_was_sent_to_an_exchange_that_may_be_closed(bench: OrderBench) -> None:
    """The broker would have kept it, and it would have stood beside the stop of the next day."""
    pass_minutes(bench, 10)
    assert sent(bench) == [], "the calendar says open, but nobody has listed this year's holidays"
    trade(bench)
    assert sent(bench) == [Purpose.STOP]
    bench.answer_calls()
    pass_minutes(bench, 1)
    (placed,) = (placed for placed in bench.broker.orders.values() if placed.open)
    assert (placed.quantity, placed.trigger_price) == (50, 95.0), "one stop, over all that is held"


def test_exit_waits_for_a_price_of_the_day_and_goes_with_it(bench: OrderBench) -> None:
    bench.close("g1")
    pass_minutes(bench, 10)
    assert sent(bench) == []
    (goal,) = bench.machine.goals()
    assert goal.awaits_open and "GOAL_STUCK" not in bench.codes()
    (told,) = [alert for alert in bench.alerts if alert.code == "EXIT_WAITS"]
    assert "no price of today was traded" in told.message
    trade(bench)
    assert sent(bench) == [Purpose.EXIT]


@pytest.mark.parametrize(("day", "exchange"), [("1970-01-01", "NFO"), ("", "MCX")])
def test_price_of_another_day_or_exchange_let_stops_go(bench: OrderBench, day: str, exchange: str) -> None:
    trade(bench, day, exchange)
    pass_minutes(bench, 1)
    assert sent(bench) == []


def test_entry_waits_too_since_no_stop_could_follow_its_fill(bench: OrderBench) -> None:
    bench.enter("e2", strategy="s2", instrument="NFO:C", **STOP)
    pass_minutes(bench, 1)
    assert sent(bench) == [] and bench.order("e2").state is OrderState.INITIALIZED
    trade(bench)
    assert sorted(sent(bench)) == [Purpose.ENTRY, Purpose.STOP]


def test_proof_is_in_the_journal_and_ends_with_its_day(bench: OrderBench) -> None:
    day = iso_day(bench.now)
    message = DayTraded(daemon="feed", day=day, exchanges={"NFO": "NFO:B"})
    bench.step(message)
    bench.journal.append(message)  # the daemon keeps the row, though nothing follows from it
    bench.crash()
    bench.read()
    bench.tick(SECOND)
    assert sent(bench) == [Purpose.STOP]
    bench.answer_calls()
    bench.time += DAY
    bench.broker.orders.clear()
    bench.open_day(iso_day(bench.now))
    bench.read()
    pass_minutes(bench, 1)
    assert sent(bench) == []


def test_nobody_was_told_that_stops_wait_on_a_day_that_may_be_a_holiday(bench: OrderBench) -> None:
    found = bench.machine.unproven_days(bench.now)
    assert list(found) == ["NFO"]
    assert "does NFO trade today?" in found["NFO"] and "50 NFO:A of s1" in found["NFO"]
    active = bench.machine.active_alerts([], Unguarded(unproven=found), {})
    assert active[DAY_UNPROVEN, "NFO"].severity is Severity.CRITICAL
    trade(bench)
    assert bench.machine.unproven_days(bench.now) == {}
    bench.provisional = False
    assert bench.machine.unproven_days(bench.now + DAY) == {}


def test_closed_exchange_is_no_doubt(bench: OrderBench) -> None:
    bench.session_open = False
    assert bench.machine.unproven_days(bench.now) == {}
