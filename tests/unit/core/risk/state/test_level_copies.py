"""A lost journal of risk: yesterday's loss is not today's, and a halt, a peak and a reached limit stay."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.day_carry import opening_rows
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.risk.state.level_copies import alerts_in, levels_for, restoring_rows
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, RiskLevels
from mytrading.messages.control import Alert
from mytrading.messages.enums import LimitAction, LimitKind, Severity
from mytrading.messages.journal_rows import ControlOpened, DayOpened
from mytrading.messages.market import Quote
from tests.kit.risk_bench import CALL, SECOND, TODAY, RiskBench
from tests.kit.risk_limit_bench import LARGE, events, holding, of, price

NEXT = "2026-03-19"
MORNING = to_ns(date(2026, 3, 19), time(9, 20))
SCOPE = ("account", "main")
CLOSES = replace(LARGE, max_daily_loss=10_000, max_daily_loss_action=LimitAction.CLOSE_LEGS)


def copying(**limits: Any) -> RiskBench:
    """650 calls bought at 100 by a stack whose router keeps copies; a million of equity."""
    bench = holding(replace(LARGE, **limits))
    bench.machine.environment.copies_levels = True
    return bench


def newest(bench: RiskBench) -> RiskLevels:
    copies: list[RiskLevels] = of(bench.rows, RiskLevels)
    return copies[-1]


def rebuilt(before: RiskBench, copy: RiskLevels | None, day: str, now: int) -> RiskBench:
    """Risk whose journal is gone: it has the router's opening row of the day, and a copy of levels or none."""
    bench = RiskBench(before.parts[0])
    bench.now, bench.machine_ns = now, before.machine_ns + 3600 * SECOND
    bench.machine = RiskMachine(RiskEnvironment(*before.parts))
    held = tuple(replace(one, realised=0.0) for one in before.machine.state.open_positions())
    for row in opening_rows([DayOpened(day=day, positions=held)], copy):
        bench.machine.apply(row)
    bench.machine.set_machine_time(bench.machine_ns)
    bench.beat()
    return bench


def profit(bench: RiskBench) -> float:
    return round(bench.machine.state.memory.money.profit(SCOPE), 2)


def test_loss_of_yesterday_is_not_counted_again_after_a_lost_journal() -> None:
    """A carried loss of 26,000 closed the position at the open, by a limit of 10,000 for the day."""
    bench = copying()
    price(bench, 60.0)
    bench.pass_time(61)
    again = rebuilt(replace_limits(bench), newest(bench), NEXT, MORNING)
    rows = price(again, 60.0)
    assert (events(rows), of(rows, CloseGoal), profit(again)) == ([], [], 0.0)
    price(again, 50.0)
    assert profit(again) == -6_500.0, "650 units, ten rupees each since the day began"


def replace_limits(bench: RiskBench) -> RiskBench:
    bench.parts = (CLOSES, *bench.parts[1:])
    return bench


@pytest.mark.parametrize(("last_close", "counted"), [(60.0, -3_250.0), (None, 0.0)])
def test_without_a_copy_the_last_close_in_the_first_quote_tells_what_is_carried(
    last_close: float | None, counted: float
) -> None:
    bench = replace_limits(copying())
    again = rebuilt(bench, None, NEXT, MORNING)
    first = Quote(CALL, again.now, again.machine_ns, 55.0, 55.0, 55.0, previous_close=last_close)
    rows = [*again.give(first), *price(again, 55.0)]
    assert (events(rows), of(rows, CloseGoal), profit(again)) == ([], [], counted)
    restarted = RiskMachine(RiskEnvironment(*bench.parts))
    for row in opening_rows([DayOpened(day=NEXT, positions=tuple(again.machine.state.open_positions()))]):
        restarted.apply(row)
    for row in again.rows:
        if not isinstance(row, Quote):
            restarted.apply(row)
    restarted.apply(replace(first, previous_close=999.0))
    assert round(restarted.state.memory.money.profit(SCOPE), 2) == counted, "told once, and journaled"


def test_position_opened_today_carries_nothing_after_a_lost_journal() -> None:
    bench = copying()
    again = rebuilt(bench, None, TODAY, bench.now)
    again.give(Quote(CALL, again.now, again.machine_ns, 90.0, 90.0, 90.0, previous_close=200.0))
    assert profit(again) == -6_500.0


def test_halt_of_yesterday_and_the_peak_outlive_a_lost_journal() -> None:
    bench = copying(max_drawdown=0.02, max_drawdown_action=LimitAction.HALT)
    price(bench, 150.0)
    price(bench, 100.0)
    bench.pass_time(1)
    assert (LimitKind.DRAWDOWN, *SCOPE) in bench.machine.state.memory.halts
    again = rebuilt(bench, newest(bench), NEXT, MORNING)
    memory = again.machine.state.memory
    assert (LimitKind.DRAWDOWN, *SCOPE) in memory.halts
    assert memory.peaks[SCOPE] == 1_032_500.0, "a million, and 50 rupees on 650 units"
    price(again, 100.0)
    assert "DRAWDOWN" in again.machine.limits.entry_blocks("main", "S")


def test_limit_reached_today_is_copied_at_once_and_known_after_a_lost_journal() -> None:
    bench = copying(max_daily_loss=6_500)
    bench.pass_time(1)
    price(bench, 89.0)
    bench.pass_time(0.25)
    again = rebuilt(bench, newest(bench), TODAY, bench.now)
    price(again, 100.0)
    assert "DAILY_LOSS" in again.machine.limits.entry_blocks("main", "S")


def test_copy_goes_out_once_a_minute_and_only_if_something_moved() -> None:
    bench = copying()
    for _ in range(240):
        bench.pass_time(1)
    copies = of(bench.rows, RiskLevels)
    assert len(copies) == 2, "the first knew no peak yet"
    for value in (101.0, 102.0, 103.0):
        price(bench, value)
        bench.pass_time(60)
    assert len(of(bench.rows, RiskLevels)) == 2 + 3


def test_levels_that_a_salvaged_beginning_knows_are_not_taken_back() -> None:
    bench = copying(max_daily_loss=6_500)
    bench.pass_time(1)
    price(bench, 89.0)
    bench.pass_time(1)
    state = bench.machine.state
    assert restoring_rows(state, levels_for(newest(bench), TODAY), bench.now) == []
    lower = {"limit peak account main": 1.0}
    higher = {"limit peak account main": 2_000_000.0}
    assert restoring_rows(state, lower, bench.now) == []
    assert [row.value for row in restoring_rows(state, higher, bench.now)] == [2_000_000.0]
    assert levels_for(newest(bench), "2026-03-17") == {}, "a copy of a later day says nothing of an earlier one"


def test_alert_of_a_halt_is_found_whatever_its_day() -> None:
    alert = Alert(code="DRAWDOWN", severity=Severity.CRITICAL, subject="account main", message="", daemon="risk",
                  first_ns=1, last_ns=1)  # fmt: skip
    other = replace(alert, daemon="router")
    assert alerts_in(ControlOpened(day=TODAY, alerts=(alert, other)), "risk") == (alert,)
    assert alerts_in(alert, "risk") == (alert,)
    bench = copying(max_drawdown_action=LimitAction.HALT)
    limit = next(one for one in bench.machine.limits.all_limits if one.kind is LimitKind.DRAWDOWN)
    for row in bench.machine.limits.halt_rows([limit], bench.now):
        bench.machine.apply(row)
    assert "DRAWDOWN" in bench.machine.limits.entry_blocks("main", "S")
