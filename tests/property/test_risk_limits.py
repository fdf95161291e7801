"""No sequence of quotes, fills, time and restarts gets past a limit of the day, and none holds an exit back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.enums import Action, LimitAction
from mytrading.messages.market import Quote
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.signals import Leg
from tests.examples import examples
from tests.unit.core.test_risk_machine import CALL, LIMITS, PUT, SECOND, Desk

MOST = 5_000.0
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.sampled_from([40.0, 80.0, 92.4, 95.0, 100.0, 130.0])),
        st.tuples(st.just("fill"), st.sampled_from([0.0, 65.0, 650.0])),
        st.tuples(st.just("book"), st.sampled_from([-6_000.0, -2_000.0, 1_000.0])),
        st.tuples(st.just("time"), st.sampled_from([0.5, 61.0])),
        st.tuples(st.just("restart"), st.just(0.0)),
        st.tuples(st.just("wish"), st.just(0.0)),
    ),
    max_size=25,
)


class Book:
    """Drives a desk, and knows what the account really lost."""

    def __init__(self, action: LimitAction) -> None:
        sizes = {"max_position_size": 1e9, "max_order_size": 1e9, "min_order_size": 0, "stale_quote_seconds": 1e6}
        self.limits = replace(LIMITS, max_daily_loss=MOST, max_daily_loss_action=action, max_drawdown=0.9, **sizes)
        self.desk = Desk(self.limits)
        self.desk.quote()
        self.desk.give(Funds(account="main", available=1e6, used=0.0))
        self.price, self.units, self.realised, self.serial = 100.0, 0, 0.0, 0

    def do(self, what: str, value: float) -> None:
        self.serial += 1
        self.desk.now += SECOND
        self.desk.machine_ns += SECOND
        self.desk.beat()
        getattr(self, what)(value)

    def quote(self, value: float) -> None:
        self.price = value
        self.desk.give(Quote(CALL, self.desk.now, self.desk.machine_ns, value, value, value))

    def fill(self, units: float) -> None:
        self.units = int(units)
        self.desk.hold(CALL, self.units, realised=self.realised, order=f"f{self.serial}")

    def book(self, rupees: float) -> None:
        self.realised += rupees
        self.desk.hold(CALL, self.units, realised=self.realised, order=f"b{self.serial}")

    def time(self, seconds: float) -> None:
        self.desk.pass_time(seconds)

    def restart(self, _: float) -> None:
        again = Desk(self.limits)
        again.now, again.machine_ns, again.rows = self.desk.now, self.desk.machine_ns, self.desk.rows
        again.beat()
        for row in self.desk.rows:
            if not isinstance(row, Quote | Funds):
                again.machine.apply(row)
        self.desk = again
        self.desk.give(Quote(CALL, self.desk.now, self.desk.machine_ns, self.price, self.price, self.price))

    def wish(self, _: float) -> None:
        self.desk.quote(PUT)
        rows = self.desk.wish(f"w{self.serial}", Leg(instrument=CALL, lots=10), Leg(instrument=PUT, lots=1))
        if self.lost <= -MOST and self.limits.max_daily_loss_action is not LimitAction.ALERT:
            assert not any(isinstance(row, PlaceEntry) for row in rows)
        flat = self.desk.wish(f"x{self.serial}", action=Action.EXIT)
        assert not any(isinstance(row, SignalDenied) for row in flat)

    @property
    def lost(self) -> float:
        return self.realised + self.units * (self.price - 100.0)


@settings(max_examples=examples(40), deadline=None)
@given(steps=STEPS, action=st.sampled_from(list(LimitAction)))
def test_day_that_lost_its_limit_enters_nothing_more_and_says_so_once(
    steps: list[tuple[str, float]], action: LimitAction
) -> None:
    book = Book(action)
    reached = False
    for what, value in steps:
        book.do(what, value)
        reached = reached or book.lost <= -MOST
        told = [row for row in book.desk.rows if isinstance(row, RiskEventRecorded)]
        assert len(told) == reached
        ends = reached and action is not LimitAction.ALERT
        assert bool(book.desk.machine.limits.reached("main", "S")) == ends
        if ends and action is LimitAction.CLOSE_LEGS and book.units:
            assert any(isinstance(row, CloseGoal) for row in book.desk.rows)
