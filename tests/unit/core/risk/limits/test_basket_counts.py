"""Limits that count (entries, orders, cancels, losses in a row) do not break a basket by its own orders."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.time import to_ns
from mytrading.messages.commands import PlaceEntry, SignalDenied
from mytrading.messages.enums import OrderState, Product, Side
from mytrading.messages.orders import TradeClosed
from mytrading.messages.run_config import RateLimits
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, DAY, LIMITS, PUT, SECOND, SHARE
from tests.kit.risk_margin_bench import FUTURE, CountingBench

TEN = ("main", *(f"a-{number}" for number in range(9)))
TWO_LEGS = (Leg(instrument=PUT, lots=1), Leg(instrument=CALL, lots=-1))
FOUR_LEGS = (
    Leg(instrument=PUT, lots=1),
    Leg(instrument=FUTURE, lots=1),
    Leg(instrument=CALL, lots=-1),
    Leg(instrument=SHARE, lots=-10),
)


@pytest.mark.parametrize("legs", [TWO_LEGS, FOUR_LEGS])
def test_hedged_intent_goes_through_in_ten_accounts_with_the_limits_that_are_shipped(legs: tuple[Leg, ...]) -> None:
    bench = CountingBench(TEN)
    hedges = bench.ask("a", *legs)
    assert {entry.side for entry in hedges} == {Side.BUY}
    assert len(hedges) == len(legs) // 2 * 10 >= RateLimits().entries_per_minute
    sold = bench.fill_all(hedges)
    assert len(sold) == len(legs) // 2 * 10 and {entry.side for entry in sold} == {Side.SELL}
    assert {entry.account for entry in sold} == set(TEN)
    assert (bench.denials(), bench.closes()) == ([], [])


@pytest.mark.parametrize(
    "limits",
    [
        {"cooldown": 300.0},
        {"max_entries_per_session": 1},
        {"rates": RateLimits(entries_per_minute=1)},
    ],
)
def test_hedge_does_not_keep_its_sold_leg_from_being_entered(limits: dict[str, Any]) -> None:
    bench = CountingBench(("main", "b"), **limits)
    assert [entry.side for entry in bench.fill_all(bench.ask("a", *TWO_LEGS))] == [Side.SELL, Side.SELL]
    assert (bench.denials(), bench.closes()) == ([], [])


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize(
    "limits",
    [
        {"cooldown": 300.0},
        {"max_entries_per_session": 1},
        {"rates": RateLimits(entries_per_minute=1)},
    ],
)
def test_basket_that_is_said_anew_while_its_hedges_fill_is_the_one_that_began(
    limits: dict[str, Any], repeats: int
) -> None:
    """Its strategy wants the same with each bar: under a new id the sold leg was denied, the hedge stayed alone."""
    bench = CountingBench(("main", "b"), **limits)
    hedges = bench.ask("a", *TWO_LEGS)
    for number in range(repeats):
        bench.move(1)
        assert bench.ask(f"a{number}", *TWO_LEGS) == []
    sold = bench.fill_all(hedges)
    assert sorted((entry.side, entry.account) for entry in sold) == [(Side.SELL, "b"), (Side.SELL, "main")]
    assert (bench.denials(), bench.closes(), bench.machine.state.entries_since("S", 0)) == ([], [], 1)


def test_basket_that_is_said_anew_is_not_entered_again_where_it_broke() -> None:
    """In one account the hedge is refused, in the other it fills: the first is not tried again beside the counts."""
    bench = CountingBench(("main", "b"), cooldown=300.0)
    first, second = bench.ask("a", *TWO_LEGS)
    bench.reject(first, "no")
    bench.move(1)
    assert bench.ask("a1", *TWO_LEGS) == []
    assert [(entry.side, entry.account) for entry in bench.fill_all([second])] == [(Side.SELL, second.account)]
    bench.move(1)
    assert bench.machine.state.entries_since("S", 0) == 1


def test_other_intent_beside_a_basket_that_began_is_another_entry() -> None:
    bench = CountingBench(cooldown=300.0)
    bench.ask("a", *TWO_LEGS)
    bench.move(1)
    bench.ask("b", Leg(instrument=PUT, lots=2), Leg(instrument=CALL, lots=-2))
    assert bench.denials() == ["COOLDOWN"]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"cooldown": 300.0}, "COOLDOWN"),
        ({"max_entries_per_session": 1}, "ENTRIES_PER_SESSION"),
        ({"rates": RateLimits(entries_per_minute=1)}, "ENTRIES_PER_MINUTE"),
    ],
)
def test_account_that_enters_later_is_not_denied_by_what_others_entered_for_the_same_intent(
    limits: dict[str, Any], code: str
) -> None:
    bench = CountingBench(("main", "b"), **limits)
    bench.machine.environment.needs_funds = True
    bench.machine.state.margin.funds.pop("b")
    assert [entry.account for entry in bench.ask("a", Leg(instrument=PUT, lots=1))] == ["main"]
    bench.move(1)
    assert [row.account for row in bench.rows if isinstance(row, PlaceEntry)] == ["main"]
    bench.fund(10_000_000, "b")
    bench.move(0.5)
    found = [row for row in bench.rows if isinstance(row, PlaceEntry)]
    assert ([row.account for row in found], bench.denials()) == (["main", "b"], [])
    bench.fill_all(found)
    bench.ask("b", Leg(instrument=PUT, lots=2))
    assert set(bench.denials()) == {code}, "the next signal is another entry"


def test_intent_counts_once_whatever_its_legs_and_accounts_and_the_next_is_the_second() -> None:
    bench = CountingBench(("main", "b"), rates=RateLimits(entries_per_minute=2))
    for name in ("a", "b", "c"):
        found = bench.ask(name, *TWO_LEGS)
        for entry in found:
            bench.reject(entry, "no")
        bench.move(1)
    counted = bench.machine.state.entries_since("S", 0)
    assert (counted, found) == (2, [])
    assert bench.denials()[-2:] == ["ENTRIES_PER_MINUTE"] * 2


def test_intent_is_counted_once_by_a_machine_that_learns_its_rows_anew() -> None:
    bench = CountingBench(("main", "b"))
    bench.fill_all(bench.ask("a", *TWO_LEGS))
    other = CountingBench(("main", "b"))
    for row in bench.rows:
        other.machine.apply(row)
    assert other.machine.state.entries_since("S", 0) == bench.machine.state.entries_since("S", 0) == 1


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"max_active_orders": 1}, "ACTIVE_ORDERS"), ({"max_cancels_per_day": 1}, "CANCELS_PER_DAY"),
     ({"max_consecutive_losses": 1}, "LOSS_PAUSE"), ({}, "LAST_MINUTES")],
)  # fmt: skip
def test_count_that_is_reached_meanwhile_keeps_the_next_intent_out_and_not_the_rest_of_a_basket(
    limits: dict[str, Any], code: str
) -> None:
    bench = CountingBench(**limits)
    if code == "LAST_MINUTES":
        bench.now = to_ns(DAY, time(15, 30)) - LIMITS.avoid_last_minutes * 60 * SECOND - 2 * SECOND
        bench.move(0)
    hedges = bench.ask("a", *TWO_LEGS)
    bench.machine.state.counters.cancels["main"] = 1
    bench.machine.apply(
        TradeClosed(
            account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", side=Side.BUY, quantity=1,
            entry_price=2.0, exit_price=1.0, realised=-1.0, opened_ns=bench.now, closed_ns=bench.now,
        )
    )  # fmt: skip
    other = replace(bench.order_of(hedges[0], OrderState.ACCEPTED, 0), client_order_id="o", strategy="T")
    bench.machine.state.orders["o"] = other
    (sold,) = bench.fill_all(hedges)
    assert sold.side is Side.SELL
    assert (bench.denials(), bench.closes()) == ([], [])
    bench.fill_in(sold)
    bench.ask("b", *TWO_LEGS, Leg(instrument=FUTURE, lots=1))
    assert code in {code for row in bench.rows if isinstance(row, SignalDenied) for code in row.codes}
    assert bench.closes() == []
