"""Sold legs that lost their cover: noted however the bought leg went, told until they are covered, closed or flat."""

from __future__ import annotations

import pytest

from mytrading.core.risk.active_alerts import COVER_LOST, LatencyAlerts, active_alerts
from mytrading.core.risk.state.lost_covers import bare_legs
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import AlertRules
from tests.kit.risk_basket_bench import Basket, complete
from tests.kit.risk_bench import CALL, NEAR, PUT


def bare(bench: Basket) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(leg.position.instrument, leg.units, leg.lost) for leg in bare_legs(bench.machine.state)]


def alerts(bench: Basket) -> dict[str, str]:
    latency = LatencyAlerts(AlertRules())
    found = active_alerts(bench.machine, latency, (), (), "KILL", bench.now, bench.machine_ns)
    assert all(alert.severity is Severity.CRITICAL for (code, _), alert in found.items() if code == COVER_LOST)
    return {subject: alert.text for (code, subject), alert in found.items() if code == COVER_LOST}


def test_sold_leg_whose_hedge_is_closed_is_told_until_it_is_covered_again() -> None:
    bench = Basket()
    complete(bench)
    assert (bare(bench), alerts(bench)) == ([], {})
    bench.held("main", CALL, 0)
    assert bare(bench) == [(NEAR, 65, (CALL,))]
    ((subject, text),) = alerts(bench).items()
    assert subject == f"main {NEAR} MIS S"
    assert f"S holds 65 sold units of {NEAR} without the cover of {CALL}" in text and "close --run r" in text
    bench.held("main", CALL, 65)
    assert (bare(bench), alerts(bench)) == ([], {})


@pytest.mark.parametrize("how", ["replayed", "next day"])
def test_restart_and_night_forget_no_lost_cover(how: str) -> None:
    bench = Basket()
    complete(bench)
    bench.held("main", CALL, 0)
    if how == "replayed":
        bench = bench.again()
    else:
        opened = bench.machine.snapshot("2026-03-18")
        bench.machine = Basket().machine
        bench.machine.apply(opened)
    assert bare(bench) == [(NEAR, 65, (CALL,))]
    bench.held("main", NEAR, 0)
    assert (bare(bench), bench.machine.state.lost_covers) == ([], {})


def test_hedge_that_goes_after_what_it_covered_or_in_excess_of_it_leaves_nothing_bare() -> None:
    bench = Basket()
    complete(bench)
    bench.held("main", CALL, 130)
    bench.held("main", CALL, 65)
    assert bare(bench) == [], "as many are left as are sold"
    bench.held("main", NEAR, 0)
    bench.held("main", CALL, 0)
    assert (bare(bench), bench.machine.state.lost_covers) == ([], {})


def test_part_of_a_hedge_leaves_as_much_bare_and_a_leg_sold_without_cover_is_none_of_it() -> None:
    bench = Basket()
    complete(bench)
    bench.held("main", PUT, -65)
    bench.held("main", CALL, 30)
    assert bare(bench) == [(NEAR, 35, (CALL,))], "the put never had cover"
    bench.held("main", CALL, 0)
    assert bare(bench) == [(NEAR, 65, (CALL,))]


def test_sold_leg_that_is_being_closed_is_not_told() -> None:
    bench = Basket()
    complete(bench)
    bench.held("main", CALL, 0)
    key = next(key for key in bench.machine.state.positions if key[1] == NEAR)
    bench.machine.state.closing.add(key)
    assert bare(bench) == []
