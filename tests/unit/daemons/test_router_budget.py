"""What is told of the rate budget: what counts, what waits and since when, what was refused."""

from __future__ import annotations

from mytrading.core.oms import OmsLimits
from mytrading.daemons.router_budget import Budgets
from mytrading.messages.enums import Outcome
from mytrading.messages.orders import OrderChanged
from tests.fake_broker import ACCOUNT, MS, SECOND, OrderBench


def test_budget_tells_what_counts_and_what_waits_for_how_long() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=2))
    bench.read()
    budgets = Budgets(bench.machine, (ACCOUNT, "other"))
    for number in range(4):
        bench.enter(f"e{number}", instrument=f"NFO:{number}")
    budgets.look(bench.time)
    bench.time += 500 * MS
    level, other = budgets.levels(bench.time)
    assert (level.used, level.limit, level.out, level.waiting, level.oldest_wait_s) == (2, 2, 2, {"entry": 2}, 0.5)
    assert (other.account, other.used, other.waiting) == ("other", 0, {})


def test_budget_tells_of_answers_of_429_and_of_the_pause_after_them() -> None:
    bench = OrderBench()
    bench.read()
    budgets = Budgets(bench.machine, (ACCOUNT,))
    bench.enter("e1")
    rows = bench.end(bench.calls[0], Outcome.RATE_LIMITED, retry_after_ns=2 * SECOND)
    for row in rows:
        if isinstance(row, OrderChanged):
            budgets.count(row)
    (level,) = budgets.levels(bench.time)
    assert (level.refused, level.waiting, level.paused_s) == (1, {"entry": 1}, 2.0)
