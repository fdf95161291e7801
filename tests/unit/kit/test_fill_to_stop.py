"""The time from a fill to its stop, folded from the router's rows."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.messages.enums import Call
from tests.kit.fake_broker import SECOND, OrderBench
from tests.kit.fill_to_stop import FillToStop

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


class Timed(OrderBench):
    """The bench, its rows folded at the times at which they were decided."""

    def __init__(self) -> None:
        self.measured = FillToStop()
        super().__init__()

    def _commit(self, rows: tuple[Any, ...]) -> list[Any]:
        for row in rows:
            self.measured.fold(self.time, row)
        return super()._commit(rows)


def filled(bench: Timed, plan: dict[str, float], first: int = 50) -> Any:
    bench.read()
    bench.enter("e1", 100, **plan)
    placed = bench.accept()
    bench.broker.trade(placed, first, 100.0)
    bench.report(placed)
    return placed


def test_stretch_runs_from_the_first_sighting_to_the_acceptance_of_the_stop() -> None:
    bench = Timed()
    filled(bench, PLAN)
    bench.tick(2 * SECOND)
    assert bench.measured.open(bench.time) == [(("main", "NFO:A", "MIS", "s1"), 2.0)]
    bench.accept()
    assert bench.measured.seconds() == [pytest.approx(2.0, abs=0.01)]
    assert bench.measured.open(bench.time) == []


def test_rest_of_the_fill_is_a_stretch_of_its_own() -> None:
    bench = Timed()
    placed = filled(bench, PLAN)
    bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.tick(1 * SECOND)
    bench.accept()
    assert bench.measured.seconds() == [pytest.approx(0.0, abs=0.01), pytest.approx(1.0, abs=0.01)]


def test_stop_that_is_dropped_begins_a_stretch_that_is_no_fill() -> None:
    bench = Timed()
    filled(bench, PLAN)
    stop = bench.accept()
    bench.read()
    bench.broker.drop(stop)
    for _ in range(6):
        bench.tick(1 * SECOND)
        for call in [call for call in bench.calls if call.call is Call.CANCEL]:
            bench.cancel(call)  # refused: it has ended
        bench.read()
    bench.accept(next(call for call in bench.calls if call.call is Call.PLACE))
    assert [found.after for found in bench.measured.covered] == ["fill", "stop ended"]
    assert len(bench.measured.seconds()) == 1


def test_position_without_a_plan_is_not_measured() -> None:
    bench = Timed()
    filled(bench, {})
    bench.tick(2 * SECOND)
    assert (bench.measured.covered, bench.measured.open(bench.time)) == ([], [])
