"""Switching a strategy off: each machine on the way of an entry refuses the next one, with no time passing, and none
of them holds back what closes a position.

No step of it waits for a timer, so a second is left to the sockets alone. What each machine needs for it is measured in
processor time, over books as large as a busy day's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action, OrderState, Purpose
from mytrading.messages.ops import SwitchCommand
from mytrading.messages.signals import Leg
from tests.kit.fake_broker import OrderBench
from tests.kit.gateway_queries import rows_of
from tests.kit.risk_bench import CALL, DAY, RiskBench, codes
from tests.kit.run_configs import run_config

BUDGET_S = 0.05
"""Processor time of one machine for the switch and the entry after it: a twentieth of the second there is."""


def off(strategy: str, now: int) -> StrategySwitch:
    return StrategySwitch(strategy=strategy, enabled=False, generation=1, at_ns=now)


def spent(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def test_gateway_orders_the_switch_before_it_answers(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    name = config.strategies[0].name
    (row,) = rows_of(config, SwitchCommand(request_id="r", strategy=name, enabled=False))
    assert (row.strategy, row.enabled) == (name, False)


def test_risk_denies_the_next_entry_at_the_same_moment() -> None:
    risk_bench = RiskBench()
    risk_bench.quote()
    moment = risk_bench.now, risk_bench.machine_ns
    risk_bench.give(off("S", risk_bench.now))
    assert codes(risk_bench.intent("a", Leg(instrument=CALL, lots=1))) == ["STRATEGY_DISABLED"]
    assert (risk_bench.now, risk_bench.machine_ns) == moment


@pytest.mark.parametrize("how", ["signal", "square-off"])
def test_risk_closes_for_a_strategy_that_is_switched_off(how: str) -> None:
    risk_bench = RiskBench()
    risk_bench.quote()
    (entry,) = risk_bench.intent("a", Leg(instrument=CALL, lots=1))
    risk_bench.fill(entry)
    risk_bench.give(off("S", risk_bench.now))
    if how == "signal":
        rows = risk_bench.intent("b", action=Action.EXIT)
    else:
        risk_bench.now = to_ns(DAY, clock_time(15, 12))
        rows = risk_bench.pass_time(1)
    assert [type(row) for row in rows if isinstance(row, CloseGoal)] == [CloseGoal]


def test_router_denies_the_next_entry_at_the_same_moment_and_sends_exits() -> None:
    bench = OrderBench()
    bench.hold("e1")
    moment = bench.now
    bench.step(off("s1", moment))
    bench.enter("e2", instrument="NFO:B")
    assert bench.order("e2").state is OrderState.DENIED
    assert "SWITCHED_OFF" in bench.order("e2").message
    bench.close("g1")
    assert bench.calls[-1].order.purpose is Purpose.EXIT
    assert bench.now == moment


def test_risk_and_router_need_little_processor_time_for_a_switch_over_many_orders() -> None:
    risk_bench, bench = RiskBench(), OrderBench()
    risk_bench.quote()
    for number in range(150):
        risk_bench.machine.apply(off(f"other {number}", risk_bench.now))
        bench.enter(f"e{number}", instrument=f"NFO:X{number}", strategy=f"other {number}")
    took = []
    for number in range(5):

        def switched(turn: int = number) -> None:
            risk_bench.machine.decide(off("S", risk_bench.now), risk_bench.now)
            risk_bench.intent(f"w{turn}", Leg(instrument=CALL, lots=1))
            bench.step(off("s1", bench.now))
            bench.enter(f"late{turn}")

        risk_bench.machine.apply(off("S", risk_bench.now))
        took.append(spent(switched))
    assert codes(tuple(risk_bench.rows))[-1] == "STRATEGY_DISABLED"
    assert "SWITCHED_OFF" in bench.order("late4").message
    assert min(took) < 2 * BUDGET_S
