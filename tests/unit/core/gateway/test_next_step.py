"""Next step of a strategy, as screens show it."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.leg_reentries import LegReentry
from mytrading.core.gateway.next_step import next_step
from mytrading.core.time import to_ns
from mytrading.messages.enums import Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.run_config import StrategyRun, TradeKind, TradeRule
from tests.kit.order_samples import order

RUN = StrategyRun(
    name="S", file="", symbols=("NSE:SBIN",), long=TradeRule(kind=TradeKind.SAME, side=Side.BUY), short=None
)
CONDOR = replace(RUN, plan=LegPlan(legs=(), entry_time=9 * 3600 + 20 * 60))


def at(hour: int, minute: int) -> int:
    return to_ns(date(2026, 11, 23), time(hour, minute))


def waits_for(run: StrategyRun, now: int, **given: Any) -> str:
    fields: dict[str, Any] = {"entries": (), "closes_ns": 0, "holds": False, "traded": False, **given}
    return next_step(run, now, fields.pop("entries"), fields.pop("closes_ns"), **fields)


@pytest.mark.parametrize(
    ("now", "traded", "words"),
    [
        (at(9, 15), False, "entry at 09:20"),
        (at(9, 21), False, "entry until 09:35"),
        (at(9, 50), False, "the next day: entry window 09:20 to 09:35 missed"),
        (at(9, 50), True, "the next day: closed today"),
    ],
)
def test_file_of_legs_tells_its_window_and_that_it_was_missed(now: int, traded: bool, words: str) -> None:
    assert waits_for(CONDOR, now, traded=traded) == words


def test_strategy_tells_its_signal_its_entry_or_its_exit() -> None:
    assert waits_for(RUN, at(10, 0)) == "a signal"
    assert waits_for(RUN, at(10, 0), entries=(order(instrument="NSE:SBIN"),)) == "entry of SBIN to fill"
    assert waits_for(RUN, at(10, 0), holds=True, closes_ns=at(15, 12)) == "its exit, at 15:12 at the latest"
    timed = replace(RUN, rules=StrategyRules(exit_time=15 * 3600 + 600))
    assert waits_for(timed, at(10, 0), holds=True, closes_ns=at(15, 10)) == "its exit, at 15:10 at the latest"
    assert (
        waits_for(timed, at(10, 0), holds=True, closes_ns=at(15, 5))
        == "its exit, at 15:05 at the latest (square-off, before exit_time 15:10)"
    )
    assert waits_for(RUN, at(10, 0), holds=True) == "its exit"


def test_leg_that_is_entered_again_is_told_before_the_exit() -> None:
    again = (LegReentry("leg 1, SELL OTM 4 CE", at(10, 2), "at the market", 2),)
    text = "re-entry of leg 1, SELL OTM 4 CE at 10:02 at the market, 2 left today"
    assert waits_for(CONDOR, at(10, 0), traded=True, reentries=again) == text
    holding = waits_for(CONDOR, at(10, 0), holds=True, traded=True, closes_ns=at(15, 10), reentries=again)
    assert holding == f"{text}; its exit, at 15:10 at the latest"


def test_times_of_the_strategy_bound_when_it_enters() -> None:
    run = replace(RUN, rules=StrategyRules(entry_time=9 * 3600 + 1800, exit_time=15 * 3600))
    assert waits_for(run, at(9, 20)) == "a signal, entries from 09:30"
    assert waits_for(run, at(12, 0)) == "a signal"
    assert waits_for(run, at(15, 1)) == "the next day: no entries from 15:00"
