"""Reports of the rate budget: counted, waiting and refused calls."""

from __future__ import annotations

from mytrading.core.oms import OmsLimits
from mytrading.core.oms.active_alerts import STATE_ALERTS, Unguarded
from mytrading.daemons.router.reporting import Budgets
from mytrading.messages.control import Alert
from mytrading.messages.enums import Call, Outcome
from mytrading.messages.orders import CallOutcome, OrderChanged
from mytrading.runtime.observability.alerts import Alerts
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OrderBench


def test_budget_tells_what_counts_and_what_waits_for_how_long() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=2))
    bench.read()
    budgets = Budgets(bench.machine, (ACCOUNT, "other"))
    for number in range(4):
        bench.enter(f"e{number}", instrument=f"NFO:{number}")
    budgets.orders_waiting(bench.time)
    bench.time += 500 * MS
    level, other = budgets.call_budgets(bench.time)
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
            budgets.count_rate_limited(row)
    (level,) = budgets.call_budgets(bench.time)
    assert (level.refused, level.waiting, level.paused_s) == (1, {"entry": 1}, 2.0)


def test_wait_of_more_than_a_minute_is_alerted_until_a_call_is_accepted() -> None:
    said: list[Alert] = []
    alerts = Alerts("router", lambda: 1, said.append)
    bench = OrderBench()
    budgets = Budgets(bench.machine, (ACCOUNT,))

    def ended(outcome: Outcome, wait_s: int = 0) -> None:
        row = CallOutcome(
            client_order_id="o",
            account=ACCOUNT,
            call=Call.PLACE,
            outcome=outcome,
            began_machine_ns=1,
            ended_machine_ns=2,
            retry_after_ns=wait_s * SECOND,
        )
        budgets.on_outcome(row)
        alerts.set_active(bench.machine.active_alerts((), Unguarded(), budgets.busy), STATE_ALERTS)

    ended(Outcome.RATE_LIMITED, 60)
    assert said == []
    ended(Outcome.RATE_LIMITED, 900)
    assert [(alert.code, alert.subject, alert.cleared) for alert in said] == [("SERVER_BUSY", ACCOUNT, False)]
    assert "900 s" in said[0].message
    ended(Outcome.ACCEPTED)
    assert said[-1].cleared
