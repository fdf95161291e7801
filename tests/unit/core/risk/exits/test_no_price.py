"""What is held while the last price is none: the middle of a narrow book stands in for value and levels, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.accounting.pnl import exit_price
from mytrading.core.risk.active_alerts import NO_PRICE, LatencyAlerts, active_alerts
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.enums import LimitAction
from mytrading.messages.market import Quote
from mytrading.messages.run_config import AlertRules
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, PUT, SECOND, WATCH, RiskBench
from tests.kit.risk_limit_bench import LARGE, events, holding, of

MAIN = ("account", "main")
LIMITED = replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.CLOSE_LEGS)


def send(
    bench: RiskBench, ltp: float, bid: float | None, ask: float | None, name: str = CALL, later: float = 1.0
) -> tuple[Any, ...]:
    bench.now += round(later * SECOND)
    bench.machine_ns += round(later * SECOND)
    bench.beat()
    return bench.give(Quote(name, bench.now, bench.machine_ns, ltp, bid, ask))


def profit(bench: RiskBench) -> float:
    return bench.machine.state.memory.money.profit(MAIN)


def alerts(bench: RiskBench) -> dict[Any, Any]:
    latency = LatencyAlerts(AlertRules())
    found = active_alerts(bench.machine, latency, (), (), "KILL", bench.now, bench.machine_ns)
    return {key: alert for key, alert in found.items() if key[0] == NO_PRICE}


@pytest.mark.parametrize("ltp", [0.0, 23000.0, 1.0])
def test_wrong_last_price_beside_a_narrow_book_made_profit_or_closed_what_is_held(ltp: float) -> None:
    """650 units bought at 100: they are worth 95, the bid, by the book of 95 and 97."""
    bench = holding(LIMITED)
    peak = bench.machine.state.memory.peaks[MAIN]
    rows = [row for _ in range(5) for row in send(bench, ltp, 95.0, 97.0)]
    assert profit(bench) == pytest.approx(-5 * 650)
    assert events(rows) == of(rows, CloseGoal) == []
    assert bench.machine.state.memory.peaks[MAIN] == peak


def test_loss_that_the_middle_of_the_book_shows_was_not_seen_while_the_last_price_was_none() -> None:
    """The limit of 6 500 is reached at 90 for 650 units; a fall to 85 by the book alone must close it."""
    bench = holding(LIMITED)
    rows = [*send(bench, 0.0, 85.0, 86.0), *send(bench, 0.0, 85.0, 86.0)]
    assert events(rows), "the engine's limits fell deaf with the last price"


def test_middle_raises_no_peak_and_a_price_after_it_does() -> None:
    bench = holding(LIMITED)
    peak = bench.machine.state.memory.peaks[MAIN]
    for _ in range(3):
        send(bench, 0.0, 110.0, 111.0)
    assert profit(bench) == pytest.approx(10 * 650) and bench.machine.state.memory.peaks[MAIN] == peak
    for _ in range(3):
        send(bench, 110.5, 110.0, 111.0)
    assert bench.machine.state.memory.peaks[MAIN] > peak


@pytest.mark.parametrize(("bid", "ask"), [(10.0, 97.0), (None, 97.0), (95.0, None)])
def test_wide_or_onesided_book_stands_in_for_nothing(bid: float | None, ask: float | None) -> None:
    bench = holding(LIMITED)
    before = profit(bench)
    rows = [row for _ in range(5) for row in send(bench, 0.0, bid, ask)]
    assert profit(bench) == before and events(rows) == of(rows, CloseGoal) == []
    assert not bench.machine.state.is_priced(CALL)


def test_option_without_a_bid_is_worth_its_middle_where_that_is_within_ten_ticks() -> None:
    """Bid 0, ask 0.40: ten ticks of 0.05 are 0.50."""
    bench = RiskBench(LARGE)
    send(bench, 0.3, 0.25, 0.35)
    bench.hold(CALL, 650, 0.3)
    send(bench, 0.0, None, 0.4)
    assert bench.machine.state.is_priced(CALL)
    assert bench.machine.state.valued[CALL].ltp == pytest.approx(0.2)


def entry(bench: RiskBench, name: str) -> tuple[Any, ...]:
    return bench.intent(name, Leg(instrument=CALL, lots=1))


def test_entry_was_made_on_a_last_price_that_is_none() -> None:
    bench = RiskBench(LARGE)
    send(bench, 100.0, 99.95, 100.05)
    send(bench, 0.0, 99.95, 100.05)
    assert of(entry(bench, "a"), PlaceEntry) == []
    rows = [row for _ in range(65) for row in bench.pass_time(1)]
    (denied,) = of(rows, SignalDenied)
    assert "NO_QUOTE" in denied.codes, "it waits, and is denied by name when its time is over"


def test_entry_that_waits_for_a_price_goes_with_the_next_good_one() -> None:
    bench = RiskBench(LARGE)
    send(bench, 0.0, 99.95, 100.05)
    entry(bench, "a")
    assert of(send(bench, 100.0, 99.95, 100.05), PlaceEntry)


def test_call_above_its_index_is_no_price_and_the_put_is() -> None:
    bench = RiskBench(LARGE)
    send(bench, 22990.0, None, None, WATCH)
    send(bench, 23000.0, None, None)
    send(bench, 23000.0, None, None, PUT)
    assert CALL not in bench.machine.state.quotes and bench.machine.state.quotes[PUT].ltp == 23000.0


def test_limits_that_rest_are_told_after_ten_seconds_with_the_runs_that_hold_it() -> None:
    bench = holding(LIMITED)
    send(bench, 0.0, 10.0, 97.0)
    bench.pass_time(9)
    assert alerts(bench) == {}
    bench.pass_time(2)
    ((key, alert),) = alerts(bench).items()
    assert key == (NO_PRICE, CALL) and "limits of S rest" in alert.text
    send(bench, 100.0, 99.95, 100.05)
    assert alerts(bench) == {}


def test_crossed_book_denies_entries_and_is_no_value_of_what_is_held() -> None:
    """F8: a bid of 101 that stayed beside an ask of 100. `IMPLAUSIBLE_QUOTE` goes on seeing it."""
    bench = RiskBench(LARGE)
    rows = [*send(bench, 100.0, 101.0, 100.0), *entry(bench, "a")]
    assert "IMPLAUSIBLE_QUOTE" in [row.code for row in of(rows, SignalDenied)]
    quote = bench.machine.state.quotes[CALL]
    assert exit_price(1, quote) == exit_price(-1, quote) == 100.0
    assert bench.machine.state.is_priced(CALL)
