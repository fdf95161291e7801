"""Limits that count (entries, orders, cancels, losses in a row) do not break a basket by its own orders."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import to_ns
from mytrading.core.risk.machine import RiskMachine
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.enums import Action, OrderState, Product, Side
from mytrading.messages.orders import TradeClosed
from mytrading.messages.runconfig import RateLimits
from mytrading.messages.signals import Leg
from tests.unit.core.test_margin import TABLES
from tests.unit.core.test_risk_machine import CALL, DAY, LIMITS, PUT, SECOND, SHARE
from tests.unit.core.test_risk_margin import FUTURE, NONE_OF_IT, MarginDesk, codes, entries

TEN = ("main", *(f"a-{number}" for number in range(9)))
TWO_LEGS = (Leg(instrument=PUT, lots=1), Leg(instrument=CALL, lots=-1))
FOUR_LEGS = (
    Leg(instrument=PUT, lots=1),
    Leg(instrument=FUTURE, lots=1),
    Leg(instrument=CALL, lots=-1),
    Leg(instrument=SHARE, lots=-10),
)


class Counted(MarginDesk):
    """A desk with limits that count, and ample funds in all of its accounts."""

    def __init__(
        self,
        accounts: tuple[str, ...] = ("main",),
        cooldown: float = 0.0,
        rates: RateLimits | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(accounts=accounts)
        _, given, _, _, calendar, book, square_off = self.parts
        run = replace(self.machine.strategies["S"], cooldown=cooldown)
        self.machine = RiskMachine(
            replace(NONE_OF_IT, **limits), rates or given, (run,), "main", calendar, book, square_off
        )
        self.machine.tables = TABLES
        self.move(0)
        for account in accounts:
            self.fund(10_000_000, account)

    def move(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.machine_ns += round(seconds * SECOND)
        self.beat()
        for instrument in (CALL, PUT, FUTURE, SHARE):
            self.quote(instrument, 800.0 if instrument == SHARE else 100.0)

    def ask(self, name: str, *legs: Leg) -> list[PlaceEntry]:
        product = Product.MIS if any(leg.instrument == SHARE for leg in legs) else Product.NRML
        return entries(self.wish(name, *legs, action=Action.SELL, product=product))

    def fill_all(self, found: list[PlaceEntry]) -> list[PlaceEntry]:
        """Fill these, two seconds later; the entries that follow."""
        self.move(2)
        before = len(self.rows)
        for entry in found:
            self.fill_in(entry)
        return entries(tuple(self.rows[before:]))

    def denials(self) -> list[str]:
        return codes(tuple(row for row in self.rows if isinstance(row, SignalDenied)))

    def closes(self) -> list[CloseGoal]:
        return [row for row in self.rows if isinstance(row, CloseGoal)]


@pytest.mark.parametrize("legs", [TWO_LEGS, FOUR_LEGS])
def test_hedged_wish_goes_through_in_ten_accounts_with_the_limits_that_are_shipped(legs: tuple[Leg, ...]) -> None:
    desk = Counted(TEN)
    hedges = desk.ask("a", *legs)
    assert {entry.side for entry in hedges} == {Side.BUY}
    assert len(hedges) == len(legs) // 2 * 10 >= RateLimits().entries_per_minute
    sold = desk.fill_all(hedges)
    assert len(sold) == len(legs) // 2 * 10 and {entry.side for entry in sold} == {Side.SELL}
    assert {entry.account for entry in sold} == set(TEN)
    assert (desk.denials(), desk.closes()) == ([], [])


@pytest.mark.parametrize(
    "limits",
    [
        {"cooldown": 300.0},
        {"max_entries_per_session": 1},
        {"rates": RateLimits(entries_per_minute=1)},
    ],
)
def test_hedge_does_not_keep_its_sold_leg_from_being_entered(limits: dict[str, Any]) -> None:
    desk = Counted(("main", "b"), **limits)
    assert [entry.side for entry in desk.fill_all(desk.ask("a", *TWO_LEGS))] == [Side.SELL, Side.SELL]
    assert (desk.denials(), desk.closes()) == ([], [])


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
    """Its strategy wishes the same with each bar: under a new id the sold leg was denied, the hedge stayed alone."""
    desk = Counted(("main", "b"), **limits)
    hedges = desk.ask("a", *TWO_LEGS)
    for number in range(repeats):
        desk.move(1)
        assert desk.ask(f"a{number}", *TWO_LEGS) == []
    sold = desk.fill_all(hedges)
    assert sorted((entry.side, entry.account) for entry in sold) == [(Side.SELL, "b"), (Side.SELL, "main")]
    assert (desk.denials(), desk.closes(), desk.machine.state.entries_since("S", 0)) == ([], [], 1)


def test_basket_that_is_said_anew_is_not_entered_again_where_it_broke() -> None:
    """In one account the hedge is refused, in the other it fills: the first is not tried again beside the counts."""
    desk = Counted(("main", "b"), cooldown=300.0)
    first, second = desk.ask("a", *TWO_LEGS)
    desk.reject(first, "no")
    desk.move(1)
    assert desk.ask("a1", *TWO_LEGS) == []
    assert [(entry.side, entry.account) for entry in desk.fill_all([second])] == [(Side.SELL, second.account)]
    desk.move(1)
    assert desk.machine.state.entries_since("S", 0) == 1


def test_other_wish_beside_a_basket_that_began_is_another_entry() -> None:
    desk = Counted(cooldown=300.0)
    desk.ask("a", *TWO_LEGS)
    desk.move(1)
    desk.ask("b", Leg(instrument=PUT, lots=2), Leg(instrument=CALL, lots=-2))
    assert desk.denials() == ["COOLDOWN"]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"cooldown": 300.0}, "COOLDOWN"),
        ({"max_entries_per_session": 1}, "ENTRIES_PER_SESSION"),
        ({"rates": RateLimits(entries_per_minute=1)}, "ENTRIES_PER_MINUTE"),
    ],
)
def test_account_that_enters_later_is_not_denied_by_what_others_entered_for_the_same_wish(
    limits: dict[str, Any], code: str
) -> None:
    desk = Counted(("main", "b"), **limits)
    desk.machine.needs_funds = True
    desk.machine.state.margin.funds.pop("b")
    assert [entry.account for entry in desk.ask("a", Leg(instrument=PUT, lots=1))] == ["main"]
    desk.move(1)
    assert [row.account for row in desk.rows if isinstance(row, PlaceEntry)] == ["main"]
    desk.fund(10_000_000, "b")
    desk.move(0.5)
    found = [row for row in desk.rows if isinstance(row, PlaceEntry)]
    assert ([row.account for row in found], desk.denials()) == (["main", "b"], [])
    desk.fill_all(found)
    desk.ask("b", Leg(instrument=PUT, lots=2))
    assert set(desk.denials()) == {code}, "the next wish is another entry"


def test_wish_counts_once_whatever_its_legs_and_accounts_and_the_next_is_the_second() -> None:
    desk = Counted(("main", "b"), rates=RateLimits(entries_per_minute=2))
    for name in ("a", "b", "c"):
        found = desk.ask(name, *TWO_LEGS)
        for entry in found:
            desk.reject(entry, "no")
        desk.move(1)
    counted = desk.machine.state.entries_since("S", 0)
    assert (counted, found) == (2, [])
    assert desk.denials()[-2:] == ["ENTRIES_PER_MINUTE"] * 2


def test_wish_is_counted_once_by_a_machine_that_learns_its_rows_anew() -> None:
    desk = Counted(("main", "b"))
    desk.fill_all(desk.ask("a", *TWO_LEGS))
    other = Counted(("main", "b"))
    for row in desk.rows:
        other.machine.apply(row)
    assert other.machine.state.entries_since("S", 0) == desk.machine.state.entries_since("S", 0) == 1


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"max_active_orders": 1}, "ACTIVE_ORDERS"), ({"max_cancels_per_day": 1}, "CANCELS_PER_DAY"),
     ({"max_consecutive_losses": 1}, "LOSS_PAUSE"), ({}, "LAST_MINUTES")],
)  # fmt: skip
def test_count_that_is_reached_meanwhile_keeps_the_next_wish_out_and_not_the_rest_of_a_basket(
    limits: dict[str, Any], code: str
) -> None:
    desk = Counted(**limits)
    if code == "LAST_MINUTES":
        desk.now = to_ns(DAY, time(15, 30)) - LIMITS.avoid_last_minutes * 60 * SECOND - 2 * SECOND
        desk.move(0)
    hedges = desk.ask("a", *TWO_LEGS)
    desk.machine.state.tally.cancels["main"] = 1
    desk.machine.apply(
        TradeClosed(
            account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", side=Side.BUY, quantity=1,
            entry_price=2.0, exit_price=1.0, realised=-1.0, opened_ns=desk.now, closed_ns=desk.now,
        )
    )  # fmt: skip
    other = replace(desk.order_of(hedges[0], OrderState.ACCEPTED, 0), client_order_id="o", strategy="T")
    desk.machine.state.orders["o"] = other
    (sold,) = desk.fill_all(hedges)
    assert sold.side is Side.SELL
    assert (desk.denials(), desk.closes()) == ([], [])
    desk.fill_in(sold)
    desk.ask("b", *TWO_LEGS, Leg(instrument=FUTURE, lots=1))
    assert code in {code for row in desk.rows if isinstance(row, SignalDenied) for code in row.codes}
    assert desk.closes() == []
