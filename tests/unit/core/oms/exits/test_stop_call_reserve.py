"""A burst of entries leaves the calls that their stops need: no fill waits bare for the next second."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.enums import Call, Outcome, Purpose
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OrderBench, Placed


def made(calls_per_second: int = 8, calls_kept: int = 1) -> OrderBench:
    """A bench of a second's calls, one of them kept for exits."""
    bench = OrderBench(OmsLimits(calls_per_second=calls_per_second, calls_kept=calls_kept))
    bench.check_purity = True
    bench.read()
    return bench


def enter(bench: OrderBench, count: int, **fields: Any) -> None:
    """So many entries with a stop plan, each in an instrument of its own."""
    first = len(bench.rows)
    for number in range(first, first + count):
        plan = {"stop_trigger": 98.0, "stop_limit": 97.0, "expires_machine_ns": bench.time + 600 * SECOND, **fields}
        bench.enter(f"e{number}", instrument=f"NFO:{number}", **plan)


def answered(bench: OrderBench) -> list[Placed]:
    """The entries whose calls were out, placed now."""
    calls = [call for call in bench.calls if call.order.purpose is Purpose.ENTRY]
    return [bench.accept(call) for call in calls]


def stops_out(bench: OrderBench) -> int:
    return sum(call.order.purpose is Purpose.STOP for call in bench.calls)


def test_every_fill_of_a_burst_has_its_stop_in_the_same_second() -> None:
    bench = made()
    enter(bench, 12)
    placed = answered(bench)
    assert len(placed) == 3, "three entries, three stops and one call for exits are seven of eight"
    bench.tick(300 * MS)
    for order in placed:
        bench.broker.trade(order, 50, 100.0)
        bench.report(order)
    assert stops_out(bench) == 3


def test_burst_goes_on_when_its_calls_no_longer_count() -> None:
    bench = made()
    enter(bench, 7)
    left = 0
    for _ in range(3):
        left += len(answered(bench))
        bench.tick(1100 * MS)
    assert left == 7


def test_entry_that_rests_keeps_nothing_when_its_own_call_no_longer_counts() -> None:
    bench = made()
    enter(bench, 3)
    assert len(answered(bench)) == 3
    bench.tick(1100 * MS)
    enter(bench, 3)
    assert len(answered(bench)) == 3


@pytest.mark.parametrize("end", ["refused", "withdrawn"])
def test_entry_that_is_over_keeps_nothing(end: str) -> None:
    bench = made()
    enter(bench, 6)
    first, *_ = bench.calls
    if end == "refused":
        bench.end(first, Outcome.REFUSED, message="margin")
        assert len(bench.calls) == 3, "the call counts, its stop's is free"
        return
    placed = bench.accept(first)
    bench.step(WithdrawEntries(id="w", account=ACCOUNT, strategy="s1", instrument=first.order.instrument, cause="x"))
    (cancel,) = [call for call in bench.calls if call.call is Call.CANCEL]
    assert bench.machine.call_budget(ACCOUNT, bench.time).kept_for_stops == 3, "it may fill until it is gone"
    bench.broker.cancel(placed.id)
    bench.end(cancel, Outcome.ACCEPTED)
    bench.report(placed)
    bench.read()
    assert bench.machine.call_budget(ACCOUNT, bench.time).kept_for_stops == 2


def test_entries_without_a_plan_leave_the_calls_of_others_stops() -> None:
    bench = made()
    enter(bench, 2)
    enter(bench, 8, stop_trigger=0.0, stop_limit=0.0, strategy="s2")
    assert [call.order.plan.stop_trigger > 0 for call in bench.calls].count(False) == 3
    assert len(bench.calls) == 5, "with two for stops and one for exits that is the second's eight"


@pytest.mark.parametrize(("calls", "kept"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_small_budget_still_lets_one_entry_go_after_the_other(calls: int, kept: int) -> None:
    bench = made(calls, kept)
    enter(bench, 3)
    left = 0
    for _ in range(3):
        left += len(answered(bench))
        bench.tick(1100 * MS)
    assert left == 3


@pytest.mark.parametrize(("calls", "a_second"), [(2, 1), (3, 1), (4, 1), (5, 2), (7, 3), (8, 3)])
def test_burst_leaves_at_the_rate_at_which_its_fills_have_their_stops_in_the_same_second(
    calls: int, a_second: int
) -> None:
    bench = made(calls)
    enter(bench, 12)
    for _ in range(3):
        placed = answered(bench)
        assert len(placed) == a_second
        bench.tick(300 * MS)
        for order in placed:
            bench.broker.trade(order, 50, 100.0)
            bench.report(order)
        stops = [call for call in bench.calls if call.order.purpose is Purpose.STOP]
        assert len(stops) == a_second
        for call in stops:
            bench.accept(call)
        bench.tick(1100 * MS)


def test_what_is_kept_for_stops_is_shown_with_the_budget() -> None:
    bench = made()
    enter(bench, 2)
    assert bench.machine.call_budget(ACCOUNT, bench.time).kept_for_stops == 2


def test_calls_kept_for_stops_survive_a_restart() -> None:
    bench = made()
    enter(bench, 12)
    answered(bench)
    bench.crash()
    bench.tick(100 * MS)
    assert bench.calls == [] and bench.machine.call_budget(ACCOUNT, bench.time).kept_for_stops == 3
