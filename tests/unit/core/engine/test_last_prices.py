"""Prices with an age: strikes, premiums and deltas are never taken from old ones."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.engine.last_prices import LastPrices
from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.core.engine.machine import TIME, EngineMachine
from mytrading.core.time import SECOND
from mytrading.messages.leg_plan import LegPlan, LegRule
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import TimerFired
from mytrading.messages.signals import Signal
from mytrading.strategies import BaseStrategy, option
from mytrading.strategies.signals import StrategySignal
from tests.kit.engine_bench import BUY_CALL, MINUTE, NIFTY, OPEN, SBIN, make_bar, make_machine, make_run, step

ENTRY = 9 * 3600 + 20 * 60


def test_price_is_fresh_for_a_minute_and_known_for_ever() -> None:
    prices = LastPrices()
    prices.note(NIFTY, 26_010.0, OPEN)
    assert prices.fresh(NIFTY, OPEN + 60 * SECOND) == 26_010.0
    assert prices.fresh(NIFTY, OPEN + 60 * SECOND + 1) == 0.0
    assert prices.latest[NIFTY] == 26_010.0
    assert prices.fresh(SBIN, OPEN) == 0.0


def test_price_counts_for_two_seconds_of_machine_time_where_the_market_runs_fast() -> None:
    machine = make_machine(BaseStrategy)
    machine.note_price(Quote(NIFTY, OPEN, 0, 26_010.0))
    machine.speed = 100.0
    assert machine.prices.fresh(NIFTY, OPEN + 200 * SECOND) == 26_010.0
    assert machine.prices.fresh(NIFTY, OPEN + 201 * SECOND) == 0.0


def planned(*legs: LegRule) -> EngineMachine:
    plan = LegPlan(legs=legs, entry_time=ENTRY, entry_minutes=5)
    run = make_run("Legs", symbols=(SBIN, NIFTY), long=None, short=None, plan=plan)
    return make_machine({"Legs": leg_strategy(plan)}, run)


def signals(machine: EngineMachine, *bars: Bar) -> list[Signal]:
    return [row for bar in bars for row in step(machine, bar) if isinstance(row, Signal)]


@pytest.mark.parametrize(("age", "found"), [(30, ["NFO:NIFTY02DEC2526000CE"]), (90, [])])
def test_strike_was_counted_from_a_price_of_another_instrument_that_nobody_had_seen_for_long(
    age: int, found: list[str]
) -> None:
    machine = planned(LegRule(lots=1, strike="ATM", right="CE", watch=NIFTY))
    machine.note_price(Quote(NIFTY, OPEN + 5 * MINUTE - age * SECOND, 0, 26_010.0))
    sent = signals(machine, *(make_bar(k, 800.0, SBIN) for k in range(5)))
    assert [leg.instrument for signal in sent for leg in signal.legs] == found
    if not found:
        assert f"{NIFTY} has no fresh price" in machine.problems["Legs", SBIN]


def test_premium_was_chosen_among_quotes_of_an_hour_ago() -> None:
    plan = LegPlan(legs=(LegRule(lots=1, strike="PREMIUM 100", right="CE"),), entry_time=ENTRY, entry_minutes=9)
    run = make_run("Legs", symbols=(NIFTY,), long=None, short=None, plan=plan)
    machine = make_machine({"Legs": leg_strategy(plan)}, run)
    old = Quote("NFO:NIFTY02DEC2526000CE", OPEN - 60 * MINUTE, 0, 101.0)
    machine.note_price(old)
    machine.note_price(replace(old, instrument="NFO:NIFTY02DEC2526100CE", market_ns=OPEN + 5 * MINUTE, ltp=80.0))
    (signal,) = signals(machine, *(make_bar(k, 26_010.0, NIFTY) for k in range(5)))
    assert [leg.instrument for leg in signal.legs] == ["NFO:NIFTY02DEC2526100CE"]


class ByTheClock(BaseStrategy):
    """Buys the call at the money at 09:31, whatever has come by then."""

    def initialize(self) -> None:
        self.set_timer("enter", at="09:31")

    def on_timer(self, name: str) -> StrategySignal:
        return self.create_signal("BUY", instrument=NIFTY, legs=self.wanted(), reason="time")

    def wanted(self) -> list[Any]:
        return []


class ByRule(ByTheClock):
    """The same with a leg by rule."""

    def wanted(self) -> list[Any]:
        return [option("ATM CE", lots=1)]


@pytest.mark.parametrize("strategy", [ByTheClock, ByRule])
@pytest.mark.parametrize(("minutes", "expected"), [(15, 1), (8, 0)])
def test_strike_of_a_timer_was_counted_from_the_last_bar_however_old(
    strategy: type[BaseStrategy], minutes: int, expected: int
) -> None:
    run = make_run("Clock", symbols=(NIFTY,), long=BUY_CALL, short=None)
    machine = make_machine({"Clock": strategy}, run)
    for k in range(minutes):
        step(machine, make_bar(k, 26_010.0, NIFTY))
    now = OPEN + 16 * MINUTE
    rows = step(machine, TimerFired(name=TIME, machine_ns=now, market_ns=now), now)
    sent = [row for row in rows if isinstance(row, Signal)]
    assert [leg.instrument for signal in sent for leg in signal.legs] == ["NFO:NIFTY02DEC2526000CE"] * expected
