"""An exit that its broker refuses for being MARKET, by the whole router beside the real reconciler and exchange."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.messages.enums import OrderType, Purpose
from mytrading.messages.orders import OrderChanged
from mytrading.runtime.host.clock import ClockSegment, machine_now
from tests.kit.router_bench import router_bench, statuses
from tests.kit.simulator_process import RunningSimulator
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
TEN = 1_795_149_000_000_000_000
"""2026-11-20 10:00 in India, when the simulator's market begins."""
BLOCKED = "Market orders are blocked for this instrument due to illiquidity. Place a limit order instead."


def quotes_asked(simulator: RunningSimulator) -> dict[str, int]:
    requests = simulator.get("/sim/state")[1]["data"]["requests"]
    return {name: count for name, count in requests.items() if name.split()[0] in ("quotes", "multiquotes")}


def test_exit_refused_as_market_goes_as_limit_by_one_quote_of_the_server_where_risk_has_none(
    tmp_path: Path, simulator: RunningSimulator
) -> None:
    """Nobody sends prices to the router: risk is away. The bid of 987.50 less a hundredth is 977.625."""
    simulator.push("SBIN", 988.0, bid=987.5, ask=988.5, depth=1000)
    with router_bench(tmp_path, simulator.rest, simulator.ws, ClockSegment(machine_now(), TEN, 1.0)) as bench:
        bench.start("reconciler")
        bench.start("router")
        bench.command(bench.guarded_entry("e", "T"))
        eventually(lambda: sorted(statuses(simulator)) == ["complete", "trigger pending"], 15)
        simulator.call("/sim/fault", kind="reject", reason=BLOCKED, pricetype="MARKET", count=-1)
        bench.command(bench.exit("g", "T"))
        eventually(lambda: bench.closed("g"), 30)
        exits = [
            row.order for row in bench.orders() if isinstance(row, OrderChanged) and row.order.purpose is Purpose.EXIT
        ]
    sent = {order.client_order_id: order for order in exits}
    assert [(one.order_type, one.filled) for one in sent.values()] == [(OrderType.MARKET, 0), (OrderType.LIMIT, 10)]
    assert [one.price for one in sent.values()][-1] == 977.6
    assert quotes_asked(simulator) == {"quotes 200": 1}
    assert sorted(statuses(simulator)) == ["cancelled", "complete", "complete"], "entry, stop and exit, nothing more"
