"""An entry that was lost on its way: its side stays reserved and says so, the other side is free."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.enums import Action, OrderState, Product, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.orders import GoalChanged, Position, PositionChanged
from mytrading.messages.risk_events import RiskEventRecorded, RiskKind
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, RiskBench
from tests.kit.risk_run_bench import RunBench
from tests.kit.risk_stop_bench import done

BUY, SELL = Leg(instrument=SHARE, lots=10), Leg(instrument=SHARE, lots=-10)


@pytest.fixture
def bench() -> RiskBench:
    made = RiskBench()
    made.quote(SHARE)
    return made


def entered(bench: RiskBench, state: OrderState) -> PlaceEntry:
    """A BUY of ten shares whose order is in such a state."""
    (entry,) = bench.intent("a", BUY)
    assert isinstance(entry, PlaceEntry)
    bench.order(entry, OrderState.UNKNOWN)
    if state is not OrderState.UNKNOWN:
        bench.order(entry, state)
    return entry


def test_other_side_of_a_lost_entry_is_entered_at_once_and_for_what_it_wants(bench: RiskBench) -> None:
    entered(bench, OrderState.LOST)
    (entry,) = bench.intent("b", SELL, action=Action.SELL)
    assert isinstance(entry, PlaceEntry)
    assert (entry.side, entry.quantity) == (Side.SELL, 10)


@pytest.mark.parametrize("waited", [False, True])
def test_side_of_a_lost_entry_is_denied_with_a_code_and_the_cure(bench: RiskBench, waited: bool) -> None:
    lost = entered(bench, OrderState.LOST)
    if waited:
        bench.intent("x", action=Action.EXIT)
        bench.pass_time(90)
        bench.quote(SHARE)
    (denied,) = bench.intent("b", BUY)
    assert isinstance(denied, SignalDenied)
    assert denied.code == "RESERVED" and f"mytrading orders resolve {lost.id} --not-placed" in denied.message


def test_side_is_free_once_a_person_says_that_the_lost_entry_was_never_placed(bench: RiskBench) -> None:
    lost = entered(bench, OrderState.LOST)
    bench.order(lost, OrderState.GHOST)
    (entry,) = bench.intent("b", BUY)
    assert isinstance(entry, PlaceEntry) and entry.id != lost.id


def test_lost_entry_that_appears_and_fills_is_what_is_held(bench: RiskBench) -> None:
    lost = entered(bench, OrderState.LOST)
    bench.fill(lost)
    assert bench.intent("b", BUY) == ()
    goals = bench.intent("c", action=Action.EXIT)
    assert len(goals) == 1, "it is closed like any other"


def test_intent_that_waits_for_an_entry_of_unknown_fate_ends_with_a_denial_that_names_it(bench: RiskBench) -> None:
    doubted = entered(bench, OrderState.UNKNOWN)
    (withdrawal,) = bench.intent("b", SELL, action=Action.SELL)
    assert isinstance(withdrawal, WithdrawEntries)
    assert bench.quote(SHARE) == (), "it may become known in time"
    (denied,) = bench.pass_time(61)
    assert isinstance(denied, SignalDenied)
    assert denied.code == "RESERVED" and f"mytrading orders resolve {doubted.id}" in denied.message
    assert "UNKNOWN" in denied.message


def test_intent_that_waits_for_an_entry_which_becomes_lost_is_entered_then(bench: RiskBench) -> None:
    doubted = entered(bench, OrderState.UNKNOWN)
    bench.intent("b", SELL, action=Action.SELL)
    (entry,) = bench.order(doubted, OrderState.LOST)
    assert isinstance(entry, PlaceEntry) and (entry.side, entry.quantity) == (Side.SELL, 10)


class LostBench(RunBench):
    """A bench with a limit of ₹2,000 a run, whose positions are reported with the fills of entries."""

    def __init__(self, auto_exit: bool = True) -> None:
        super().__init__(StrategyRules(max_loss=2_000.0, auto_exit=auto_exit), product=Product.MIS)
        self.realised = 0.0
        """Rupees of the day, in the share."""
        self.quote(SHARE, 800.0)

    def ordered(self, name: str, leg: Leg) -> PlaceEntry:
        rows = self.intent(name, leg, action=Action.BUY if leg.lots > 0 else Action.SELL)
        (entry,) = (row for row in rows if isinstance(row, PlaceEntry))
        return entry

    def filled(self, entry: PlaceEntry, price: float = 800.0) -> None:
        self.order(entry, OrderState.FILLED, entry.quantity)
        self.take_in(entry, entry.quantity * entry.side.sign, price)

    def flat(self, entry: PlaceEntry, realised: float) -> None:
        """Close the units of an entry, with the router's report that this is done."""
        self.realised += realised
        self.take_in(entry, 0, 0.0)
        for goal in [row for row in self.rows if isinstance(row, CloseGoal)]:
            self.give(GoalChanged(goal=done(goal), at_ns=self.now))

    def go_on(self, how: str) -> None:
        """As it is, killed and replayed, or over the turn of a day; the price is known again then."""
        if how == "replayed":
            self.again(list(self.rows))
        elif how == "day":
            self.next_day()
            self.realised = 0.0
        self.pass_time(1)
        self.at(SHARE, 800.0)

    def take_in(self, entry: PlaceEntry, units: int, price: float) -> tuple[Any, ...]:
        position = Position(
            account="main", instrument=entry.instrument, product=entry.product, strategy="S", run=entry.run,
            quantity=units, quantity_seen=units, average_price=price, realised=self.realised, opened_ns=self.now,
            updated_ns=self.now, trip_quantity=abs(units), trip_value=abs(units) * price,
        )  # fmt: skip
        fill = PositionChanged(
            position=position, client_order_id=entry.id, fill_quantity=units, fill_price=price, at_ns=self.now
        )
        return self.give(fill)

    def fired(self, instrument: str, price: float) -> list[str]:
        """The runs of which the limit speaks at two quotes."""
        self.pass_time(1)
        return [row.run for row in (*self.at(instrument, price), *self.at(instrument, price)) if is_event(row)]


def is_event(row: Any) -> bool:
    return isinstance(row, RiskEventRecorded) and row.kind is RiskKind.MAX_LOSS


@pytest.mark.parametrize("how", ["", "replayed", "day"])
@pytest.mark.parametrize("auto_exit", [True, False])
def test_run_ends_beside_a_lost_entry_and_its_limit_holds_for_the_next(auto_exit: bool, how: str) -> None:
    bench = LostBench(auto_exit)
    bench.order(lost := bench.ordered("a", Leg(instrument=SHARE, lots=50)), OrderState.UNKNOWN)
    bench.order(lost, OrderState.LOST)
    for name in ("b", "c"):
        sold = bench.ordered(name, Leg(instrument=SHARE, lots=-50))
        bench.filled(sold)
        assert bench.fired(SHARE, 860.0) == [sold.run]
        bench.intent(f"{name}-end", action=Action.EXIT)
        bench.flat(sold, -3_000.0)
        assert (bench.machine.state.leaving, bench.machine.runs.books.runs) == ({}, {})
        bench.go_on(how)


def test_lost_entry_that_fills_after_its_run_ended_begins_one_that_has_its_limit() -> None:
    bench = LostBench()
    bench.order(lost := bench.ordered("a", Leg(instrument=SHARE, lots=50)), OrderState.UNKNOWN)
    bench.order(lost, OrderState.LOST)
    sold = bench.ordered("b", Leg(instrument=SHARE, lots=-50))
    bench.filled(sold)
    assert bench.fired(SHARE, 860.0) == [sold.run]
    bench.flat(sold, -3_000.0)
    bench.at(SHARE, 800.0)
    bench.filled(lost)
    (run,) = bench.machine.runs.books.runs.values()
    assert (run.id, run.leaving, run.fired) == (lost.run, "", set())
    assert bench.machine.state.run_of("S") == lost.run, "what is entered beside it is of its run"
    assert bench.fired(SHARE, 740.0) == [lost.run]


@pytest.mark.parametrize("how", ["", "replayed", "day"])
def test_lost_entry_that_fills_beside_another_run_is_in_that_run_whose_limit_spoke(how: str) -> None:
    bench = LostBench(auto_exit=False)
    bench.order(lost := bench.ordered("a", Leg(instrument=SHARE, lots=50)), OrderState.UNKNOWN)
    bench.order(lost, OrderState.LOST)
    sold = bench.ordered("b", Leg(instrument=SHARE, lots=-50))
    bench.filled(sold)
    assert bench.fired(SHARE, 860.0) == [sold.run] != [lost.run]
    bench.order(replace(sold, id="more", quantity=5), OrderState.ACCEPTED)
    bench.flat(sold, -3_000.0)
    bench.filled(lost)
    bench.go_on(how)
    (run,) = bench.machine.runs.books.runs.values()
    assert (run.id, run.fired, run.realised) == (sold.run, {"max_loss"}, -3_000.0)
