"""Quotes whose book is wrong beside a right last price: they move no profit, no peak, no limit, and close nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.accounting.pnl import drop_implausible_book, exit_price
from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.messages.commands import CloseGoal, SignalDenied
from mytrading.messages.enums import LimitAction
from mytrading.messages.exit_rules import LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.market import Quote
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, PUT, SECOND, SHARE, RiskBench, codes
from tests.kit.risk_limit_bench import LARGE, events, holding, of, once, price
from tests.kit.risk_run_bench import RunBench, goals

MAIN = ("account", "main")
LIMITED = replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.CLOSE_LEGS)


def book(bench: RiskBench, bid: float, ask: float, ltp: float = 100.0, later: float = 1.0) -> tuple[Any, ...]:
    bench.now += round(later * SECOND)
    bench.machine_ns += round(later * SECOND)
    bench.beat()
    return bench.give(Quote(CALL, bench.now, bench.machine_ns, ltp, bid, ask))


def profit(bench: RiskBench) -> float:
    return bench.machine.state.memory.money.profit(MAIN)


WRONG = [
    (math.nan, math.nan), (math.nan, 100.0), (1e9, 1e9 + 1), (1e300, 1e300), (0.05, 0.1), (0.05, 100.0),
    (math.inf, math.inf), (-5.0, 100.0), (0.0, 0.0), (21474836.47, 21474836.47), (100.0, 1e9),
]  # fmt: skip


@pytest.mark.parametrize(("bid", "ask"), WRONG)
def test_wrong_book_beside_a_right_price_moves_neither_profit_nor_peak_nor_limit(bid: float, ask: float) -> None:
    """A bid of 1e9 made a peak of which any equity is a fall of 100 %; "nan" switched all limits off for good."""
    bench = holding(replace(LIMITED, max_drawdown=0.01))
    rows: list[Any] = []
    for _ in range(5):
        rows += [*book(bench, bid, ask), *bench.pass_time(0.3)]
    assert profit(bench) == 0.0
    assert bench.machine.state.memory.peaks[MAIN] == pytest.approx(1_000_000)
    rows += price(bench, 100.0)
    assert events(rows) == of(rows, CloseGoal) == []
    assert events(price(bench, 89.0)), "and what is right reaches the limit afterwards"


def test_wrong_book_in_the_first_quote_after_a_start_gave_the_position_its_value() -> None:
    """Nothing of before says which of the two is wrong, so that neither counts; the next whole quote does. 650 calls
    bought at 100 were worth 650 × 1e9."""
    bench = RiskBench()
    bench.hold(CALL, 650, 100.0)
    book(bench, 1e9, 1e9 + 1)
    assert profit(bench) == 0.0 and not bench.machine.state.is_priced(CALL)
    book(bench, 109.0, 110.0, ltp=109.5)
    assert profit(bench) == 650 * 9.0 and bench.machine.state.is_priced(CALL)


def test_position_is_valued_at_the_book_within_the_collar_of_its_last_price() -> None:
    bench = holding()
    reach = bench.machine.environment.collar_rupees
    assert (reach(CALL, 100.0), reach(SHARE, 100.0)) == (25.0, 3.0)
    assert reach(CALL, 0.5) == pytest.approx(0.5), "ten ticks of what is cheap"
    quote = Quote(CALL, 1, 1, 100.0, 75.0, 125.0)
    assert exit_price(1, drop_implausible_book(quote, 25.0)) == 75.0
    assert exit_price(-1, drop_implausible_book(quote, 24.9)) == 100.0


@pytest.mark.parametrize(("bid", "ask"), [(math.nan, 100.0), (100.0, math.nan), (math.inf, 100.0), (100.0, math.inf)])
def test_book_that_is_no_number_gives_the_last_price(bid: float, ask: float) -> None:
    assert (
        exit_price(1, Quote(CALL, 1, 1, 100.0, bid, ask)) == exit_price(-1, Quote(CALL, 1, 1, 100.0, bid, ask)) == 100.0
    )


def test_limit_is_reached_by_the_second_quote_where_the_first_moved_it_far() -> None:
    bench = holding(LIMITED)
    assert events(book(bench, 85.0, 86.0, 95.0)) == []
    assert "DAILY_LOSS" in bench.machine.limits.entry_blocks("main", "S"), "nothing is entered meanwhile"
    assert events(book(bench, 85.0, 86.0, 95.0, later=0.05)) == [], "frames of one moment say the same thing once"
    (event,) = events(book(bench, 85.0, 86.0, 95.0, later=0.06))
    assert event.value == pytest.approx(-15 * 650)


def test_wrong_quote_between_two_right_ones_reaches_no_limit() -> None:
    bench = holding(LIMITED)
    rows = [*book(bench, 80.0, 81.0), *bench.pass_time(0.3), *book(bench, 99.9, 100.1), *bench.pass_time(3)]
    assert events(rows) == []
    assert codes(rows) == [] and profit(bench) == pytest.approx(-65.0)


def test_fall_in_small_steps_is_acted_upon_by_the_quote_that_reaches_the_limit() -> None:
    bench = holding(LIMITED)
    for step in range(100):
        assert events(once(bench, 100.0 - step / 10, later=SECOND // 50)) == []
    rows = once(bench, 90.0, later=SECOND // 50)
    assert len(events(rows)) == len(of(rows, CloseGoal)) == 1


@pytest.mark.parametrize(("ltp", "reached"), [(89.0, 1), (95.0, 0)])
def test_last_price_decides_where_no_second_quote_comes(ltp: float, reached: int) -> None:
    bench = holding(LIMITED)
    assert events(book(bench, 85.0, 92.0, ltp)) == []
    assert events(bench.pass_time(1)) == []
    assert len(events(bench.pass_time(1.1))) == reached


def test_peak_is_what_two_quotes_say() -> None:
    bench = holding(replace(LARGE, max_drawdown=0.005))
    peaks = bench.machine.state.memory.peaks
    book(bench, 120.0, 121.0)
    assert peaks[MAIN] == pytest.approx(1_000_000)
    book(bench, 110.0, 111.0)
    assert peaks[MAIN] == pytest.approx(1_000_000 + 10 * 650)
    assert events(book(bench, 104.0, 105.0)) == [], "six of a thousand below what one quote said, four below the peak"


RUN = StrategyRules(max_loss=5000.0, trailing=TrailRule(kind=TrailKind.AMOUNT, value=2000.0, activation=1000.0))


def run_bench() -> RunBench:
    bench = RunBench(RUN)
    bench.at(SHARE, 1000.0)
    bench.take(SHARE, 100, 1000.0)
    bench.at(SHARE, 1000.0)
    return bench


def test_run_is_closed_by_no_single_quote_that_moves_it_far_and_by_the_second() -> None:
    bench = run_bench()
    assert goals(bench.once(SHARE, 940.0)) == goals(bench.once(SHARE, 1000.0)) == goals(bench.pass_time(0.3)) == []
    assert goals(bench.once(SHARE, 940.0)) == []
    assert [goal.instrument for goal in goals(bench.once(SHARE, 941.0, seconds=0.1))] == [SHARE]


def test_intent_that_is_over_while_a_second_quote_is_awaited_says_so() -> None:
    """Guards against an intent that waits without a word, and is over without a reason."""
    bench = run_bench()
    assert bench.intent("b", Leg(instrument=SHARE, lots=100), Leg(instrument=CALL, lots=1)) == ()
    for _ in range(119):
        assert bench.once(SHARE, 1000.0, seconds=0.5) == ()
    bench.once(SHARE, 940.0, seconds=0.4)
    bench.beat()
    doubt = "by one quote the run of S has come to a rule's end, at −₹6,000, which a second is to confirm"
    assert risk_snapshot(bench.machine, bench.now).waits == doubt
    (denied,) = of(bench.pass_time(0.3), SignalDenied)
    assert (denied.code, denied.message.startswith(f"{doubt}: that kept it waiting")) == ("EXPIRED", True)


def test_run_is_closed_by_its_last_price_where_no_second_quote_comes() -> None:
    bench = run_bench()
    assert goals(bench.once(SHARE, 940.0)) == goals(bench.pass_time(1)) == []
    assert [goal.instrument for goal in goals(bench.pass_time(1.1))] == [SHARE]


def test_trailing_stop_follows_no_peak_that_one_quote_alone_made() -> None:
    bench = run_bench()
    bench.at(SHARE, 1015.0)
    bench.once(SHARE, 1040.0, 1045.0)
    assert goals(bench.at(SHARE, 1015.0)) == [], "from a peak of 4,000 the stop would lie at 2,000"
    assert bench.machine.runs.books.runs["S"].trail.peak == pytest.approx(1500.0)


@pytest.mark.parametrize(
    ("units", "wrong", "back", "best"), [(100, 1150.0, 1000.5, 1010.0), (-100, 850.0, 999.5, 990.0)]
)
def test_leg_trails_behind_no_last_price_that_one_quote_alone_showed(
    units: int, wrong: float, back: float, best: float
) -> None:
    """A last price 15 % away, which the feed lets pass, put the level beyond the next right price."""
    bench = RunBench(StrategyRules(leg_trailing=LevelRule(value=2)))
    bench.at(SHARE, 1000.0)
    bench.take(SHARE, units, 1000.0)
    bench.at(SHARE, best)
    bench.once(SHARE, wrong, seconds=0.05)
    bench.once(SHARE, wrong, seconds=0.04)
    assert goals(bench.once(SHARE, back)) == [], "frames of one moment say the same thing once"
    (run,) = bench.machine.runs.books.runs.values()
    assert [leg.best for leg in run.legs.values()] == [best]
    bench.at(SHARE, wrong)
    assert [goal.instrument for goal in goals(bench.once(SHARE, back))] == [SHARE], "two quotes are a peak"


def test_sum_that_is_no_number_denies_entries_and_is_added_up_again_from_its_parts() -> None:
    bench = holding(LIMITED)
    money = bench.machine.state.memory.money
    for total in money.sums.values():
        total.rupees = math.nan
    assert bench.machine.limits.scopes_of_unknown_profit() == (MAIN, ("strategy", "S"))
    bench.quote(PUT)
    denied = bench.intent("b", Leg(instrument=CALL, lots=12), Leg(instrument=PUT, lots=1))
    assert set(codes(denied)) == {"PROFIT_UNKNOWN"}
    bench.pass_time(0.25)
    assert bench.machine.limits.scopes_of_unknown_profit() == () and profit(bench) == 0.0


def test_sum_forgets_no_loss_beside_a_number_that_is_much_larger() -> None:
    """A difference of 1e17 that came and went left an error of hundreds of rupees."""
    bench = holding(replace(LARGE, max_daily_loss=1e9))
    price(bench, 90.0)
    bench.machine.state.memory.money.sums[MAIN].rupees += 1e300
    bench.machine.state.memory.money.sums[MAIN].rupees -= 1e300
    bench.pass_time(0.25)
    assert profit(bench) == pytest.approx(-6_500)
