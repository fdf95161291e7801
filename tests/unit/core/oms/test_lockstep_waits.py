"""Lock-step waits in the router: for calls, fates and confirmations, never a price."""

from __future__ import annotations

import pytest

from mytrading.messages.enums import Outcome
from tests.kit.fake_broker import SECOND, OrderBench


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.read()
    return made


def test_order_is_unsettled_until_its_call_has_an_answer(bench: OrderBench) -> None:
    bench.enter("e1")
    assert "has no answer" in bench.machine.describe_unsettled()


def test_filled_order_is_settled_once_its_fill_is_confirmed(bench: OrderBench) -> None:
    bench.hold("e1")
    assert bench.machine.describe_unsettled() == ""


def test_order_of_unknown_fate_is_unsettled_until_it_is_lost(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    assert "unknown fate" in bench.machine.describe_unsettled()
    for _ in range(140):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.order("e1").state.value == "LOST"
    assert bench.machine.describe_unsettled() == ""


def test_exit_is_unsettled_until_its_goal_is_done(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.tick(2 * SECOND)
    bench.close("g1")
    assert bench.machine.describe_unsettled() != ""


def test_replay_stood_for_ever_with_an_exit_that_waits_for_the_open(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.session_open = False
    bench.close("g1")
    bench.tick(1 * SECOND)
    assert bench.machine.describe_unsettled() == ""
    bench.session_open = True
    bench.tick(1 * SECOND)
    assert "has no answer" in bench.machine.describe_unsettled()
