"""Entries over holes in past bars: denied by name until filled or accepted for the day, and nothing else is."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import BarGaps, BarsLacking, HistoryAccepted
from mytrading.messages.enums import Action
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, DAY, NOW, SHARE, TODAY, WATCH, RiskBench, codes

OPEN = to_ns(DAY, time(9, 15))
"""It is 11:00: 105 minutes of the session are over."""
HOLE = (to_ns(DAY, time(9, 55)), to_ns(DAY, time(10, 55)))


def lacking(name: str = WATCH, gap: tuple[int, int] = HOLE) -> BarGaps:
    return BarGaps(daemon="feed", lacking=(BarsLacking(instrument=name, since_ns=OPEN, gaps=(gap,)),))


def entries(bench: RiskBench, name: str, lookback: int = 60) -> list[PlaceEntry]:
    rows: tuple[Any, ...] = bench.intent(name, Leg(instrument=CALL, lots=1), lookback=lookback)
    return [row for row in rows if isinstance(row, PlaceEntry)]


@pytest.fixture
def bench() -> RiskBench:
    made = RiskBench()
    made.quote()
    return made


def test_entry_over_a_hole_is_denied_by_name_until_it_is_filled_and_its_exit_never_is(bench: RiskBench) -> None:
    """Hours of today were missing, and a crossover of averages that ran on over them was traded."""
    bench.machine.apply(lacking())
    rows = bench.intent("a", Leg(instrument=CALL, lots=1), lookback=60)
    assert codes(rows) == ["HISTORY_HOLE"]
    text = str(rows)
    assert "S looks back over bars of NSE_INDEX:NIFTY that are missing, 18 Mar 10:00 to 18 Mar 10:55" in text
    bench.machine.apply(BarGaps(daemon="feed"))
    (entry,) = entries(bench, "b")
    bench.fill(entry)
    bench.machine.apply(lacking())
    assert [type(row) for row in bench.intent("c", action=Action.EXIT, lookback=60)] == [CloseGoal]


def test_entry_of_a_strategy_that_looks_back_less_far_or_not_at_all_is_admitted(bench: RiskBench) -> None:
    bench.machine.apply(lacking())
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1), lookback=36)) == ["HISTORY_HOLE"]
    bench.machine.apply(lacking(gap=(HOLE[0], HOLE[1] - 20 * MINUTE)))  # to 10:35
    assert entries(bench, "b", lookback=54), "29 minutes in a row of 54"
    bench = RiskBench()
    bench.quote()
    bench.machine.apply(lacking())
    assert entries(bench, "c", lookback=0), "a webhook, or a strategy without indicators"


def test_hole_in_what_the_strategy_does_not_watch_denies_nothing(bench: RiskBench) -> None:
    bench.machine.apply(lacking(SHARE))
    assert entries(bench, "a")


def test_operator_accepts_a_hole_for_one_day_and_one_instrument(bench: RiskBench) -> None:
    bench.machine.apply(lacking())
    bench.give(HistoryAccepted(instrument=SHARE, day=TODAY, at_ns=NOW, by="asha"))
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1), lookback=60)) == ["HISTORY_HOLE"]
    bench.give(HistoryAccepted(instrument=WATCH, day="2026-03-17", at_ns=NOW, by="asha"))
    assert codes(bench.intent("b", Leg(instrument=CALL, lots=1), lookback=60)) == ["HISTORY_HOLE"]
    bench.give(HistoryAccepted(instrument=WATCH, day=TODAY, at_ns=NOW, by="asha"))
    assert entries(bench, "c")


def test_acceptance_is_in_risks_journal_and_holds_after_a_restart(bench: RiskBench) -> None:
    bench.machine.apply(lacking())
    bench.give(HistoryAccepted(instrument=WATCH, day=TODAY, at_ns=NOW, by="asha"))
    again = RiskBench()
    for row in bench.rows:
        again.machine.apply(row)
    again.machine.apply(lacking())
    again.quote()
    assert entries(again, "c")
