"""An account that was renamed or removed while it holds: nothing is entered anywhere, and somebody is told."""

from __future__ import annotations

from mytrading.core.risk.active_alerts import ACCOUNT_ABSENT, LatencyAlerts, active_alerts
from mytrading.messages.enums import Product, Severity
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.run_config import AlertRules
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, SHARE, RiskBench, codes


def absent_alerts(bench: RiskBench) -> dict[str, str]:
    found = active_alerts(bench.machine, LatencyAlerts(AlertRules()), (), (), "KILL", bench.now, bench.machine_ns)
    assert all(one.severity is Severity.CRITICAL for (code, _), one in found.items() if code == ACCOUNT_ABSENT)
    return {subject: one.text for (code, subject), one in found.items() if code == ACCOUNT_ABSENT}


def holding(*accounts: str, units: int = 65) -> RiskBench:
    """A bench where another strategy holds units in account main, in a run of these accounts."""
    bench = RiskBench()
    held = Position(
        account="main", instrument=CALL, product=Product.NRML, strategy="Other", run="o", quantity=units,
        quantity_seen=units, average_price=100.0, opened_ns=bench.now, updated_ns=bench.now,
    )  # fmt: skip
    bench.give(PositionChanged(position=held, client_order_id="x", fill_quantity=65, fill_price=100.0, at_ns=bench.now))
    bench.quote(SHARE, 800.0)
    bench.machine.environment.order_accounts = frozenset(accounts)
    return bench


def test_units_of_an_account_that_is_not_in_the_run_close_the_entries_of_all() -> None:
    there, gone = holding("main", "second"), holding("second")
    assert not absent_alerts(there)
    assert "ACCOUNT_ABSENT" not in codes(there.intent("a", Leg(instrument=SHARE, lots=10), watch=SHARE))
    text = absent_alerts(gone)["main"]
    assert "account main is not in this run" in text and f"+65 {CALL}" in text and "positions settle" in text
    assert "ACCOUNT_ABSENT" in codes(gone.intent("a", Leg(instrument=SHARE, lots=10), watch=SHARE))


def test_account_that_is_gone_and_flat_closes_nothing() -> None:
    bench = holding("second", units=0)
    assert not absent_alerts(bench)
    assert "ACCOUNT_ABSENT" not in codes(bench.intent("a", Leg(instrument=SHARE, lots=10), watch=SHARE))
