"""R of a day: each round trip by what it was to lose at the stop of its entry, `R_VALUE` where there was none."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Action
from mytrading.messages.market import Quote
from mytrading.messages.risk_events import RiskEventRecorded, RiskKind
from mytrading.messages.run_config import RiskLimits, StopPlan
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, LIMITS, PUT, SECOND, SHARE, RiskBench

LARGE = replace(
    LIMITS, max_position_size=1e9, max_order_size=1e9, min_order_size=0, max_daily_loss=1e9, daily_stop_r=1.0
)
MAIN, OF_S = ("account", "main"), ("strategy", "S")


def entered(limits: RiskLimits = LARGE, stop: float = 80.05, plan: StopPlan = StopPlan.BROKER) -> RiskBench:
    """A lot of calls bought at 100.05, with a stop: 1 R is ₹1,300."""
    bench = RiskBench(limits)
    (run,) = bench.parts[2]
    bench.parts = (*bench.parts[:2], (replace(run, stop=plan),), *bench.parts[3:])
    bench.machine = RiskMachine(RiskEnvironment(*bench.parts))
    bench.beat()
    bench.quote()
    rows = bench.intent("a", Leg(instrument=CALL, lots=1, stop_price=stop))
    entry = next(row for row in rows if isinstance(row, PlaceEntry))
    bench.hold(CALL, 65, 100.05, order=entry.id)
    return bench


def at(bench: RiskBench, price: float) -> list[RiskEventRecorded]:
    bench.now += SECOND
    bench.machine_ns += SECOND
    bench.beat()
    rows = bench.give(Quote(CALL, bench.now, bench.machine_ns, price, price, price))
    return [row for row in rows if isinstance(row, RiskEventRecorded) and row.kind is RiskKind.DAILY_STOP_R]


def r(bench: RiskBench, scope: tuple[str, str] = MAIN) -> float:
    return bench.machine.state.memory.money.profit_in_r(scope)


def test_trip_counts_by_what_it_loses_at_the_stop_of_its_entry_without_r_value() -> None:
    bench = entered()
    assert at(bench, 80.06) == []
    assert r(bench) == pytest.approx(-(100.05 - 80.06) * 65 / 1300)
    (event,) = at(bench, 80.05)
    assert event.value == pytest.approx(-1.0)
    assert r(bench, OF_S) == r(bench)


def test_stop_of_an_entry_goes_before_r_value_which_stands_for_entries_without_one() -> None:
    large = replace(LARGE, r_value=2_600.0, daily_stop_r=9.0)
    stopped, bare = entered(large), entered(large, stop=0.0, plan=StopPlan.NONE)
    for bench in (stopped, bare):
        at(bench, 90.05)
    assert r(stopped) == pytest.approx(-0.5)
    assert r(bare) == pytest.approx(-0.25)


def test_trips_add_up_each_by_its_own_risk_and_a_moved_price_counts_once() -> None:
    bench = entered(replace(LARGE, daily_stop_r=9.0))
    at(bench, 90.05)
    bench.hold(CALL, 0, 0.0, realised=-650.0, order="x")
    assert r(bench) == pytest.approx(-0.5)
    bench.machine.state.memory.money.set_entry_stop(("main", CALL, "MIS", "S"), 90.0)
    bench.hold(CALL, 65, 100.0, realised=-650.0, order="y")
    at(bench, 95.0)
    assert r(bench) == pytest.approx(-0.5 - 0.5)
    bench.hold(CALL, 0, 0.0, realised=-650.0 - 325.0, order="z")
    at(bench, 20.0)
    assert r(bench) == pytest.approx(-1.0)


@pytest.mark.parametrize("plan", [StopPlan.BROKER, StopPlan.ENGINE])
def test_reversed_position_counts_by_the_stop_of_its_own_entry(plan: StopPlan) -> None:
    """Bought at 800 with ₹10 to lose, turned at 800 with ₹20: at 810 half of what the sale may lose is lost."""
    bench = RiskBench(replace(LARGE, daily_stop_r=9.0))
    (run,) = bench.parts[2]
    bench.machine.environment.strategies["S"] = replace(run, stop=plan)
    bench.quote(SHARE, 800.0)
    (entry, *_) = bench.intent("a", Leg(instrument=SHARE, lots=10, stop_price=790.0))
    bench.hold(SHARE, 10, 800.0, order=entry.id)
    bench.intent("b", Leg(instrument=SHARE, lots=-10, stop_price=820.0), action=Action.SELL)
    (entry, *_) = bench.hold(SHARE, 0, 0.0, order="exit")
    bench.hold(SHARE, -10, 800.0, order=entry.id)
    bench.give(Quote(SHARE, bench.now, bench.machine_ns, 810.0, 810.0, 810.0))
    assert r(bench) == pytest.approx(-0.5)


def test_hedge_without_a_stop_is_counted_by_what_its_owner_risks() -> None:
    bench = entered(replace(LARGE, daily_stop_r=9.0))
    bench.hold(PUT, 65, 10.0, order="hedge")
    bench.give(Quote(PUT, bench.now, bench.machine_ns, 5.0, 5.0, 5.0))
    assert r(bench) == pytest.approx((-5.0 * 65 - 0.05 * 65 - 0.05 * 65) / 1300, abs=0.01)


@pytest.mark.parametrize("plan", [StopPlan.BROKER, StopPlan.ENGINE])
def test_risk_of_a_trip_survives_a_restart(plan: StopPlan) -> None:
    bench = entered(plan=plan)
    again = RiskBench(LARGE)
    again.machine = RiskMachine(RiskEnvironment(*bench.parts))
    again.now, again.machine_ns = bench.now, bench.machine_ns
    again.beat()
    for row in bench.rows:
        again.machine.apply(row)
    assert at(again, 80.06) == []
    assert r(again) == pytest.approx(-(100.05 - 80.06) * 65 / 1300)
    assert len(at(again, 80.05)) == 1


def test_risk_of_a_trip_is_carried_into_the_next_day() -> None:
    bench = entered(plan=StopPlan.ENGINE)
    at(bench, 90.05)
    carried: Any = bench.machine.snapshot("2026-03-19")
    again = RiskBench(LARGE)
    again.machine = RiskMachine(RiskEnvironment(*bench.parts))
    again.now = bench.now + 86_400 * SECOND
    again.machine.apply(carried)
    assert r(again) == pytest.approx(0.0)
    at(again, 85.05)
    assert r(again) == pytest.approx(-5 * 65 / 1300)
