"""No sequence of quotes, fills, time and restarts gets past a limit of the day, and none holds an exit back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.core.time import DAY, iso_day
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.enums import Action, LimitAction
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.signals import Leg
from tests.kit.hypothesis_budget import examples
from tests.kit.risk_bench import CALL, LIMITS, PUT, SECOND
from tests.kit.risk_limit_bench import JournaledBench

MOST = 5_000.0
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.sampled_from([40.0, 80.0, 92.4, 95.0, 100.0, 130.0])),
        st.tuples(st.just("fill"), st.sampled_from([0.0, 65.0, 650.0])),
        st.tuples(st.just("book"), st.sampled_from([-6_000.0, -2_000.0, 1_000.0])),
        st.tuples(st.just("time"), st.sampled_from([0.5, 61.0])),
        st.tuples(st.just("decided"), st.sampled_from([40.0, 92.4, 100.0, 130.0])),
        st.tuples(st.just("restart"), st.sampled_from([0.0, 0.25, 5.0])),
        st.tuples(st.just("day"), st.sampled_from([0.0, 0.25])),
        st.tuples(st.just("intent"), st.just(0.0)),
    ),
    max_size=25,
)


class Book:
    """Drives a bench, and knows what the account really lost."""

    def __init__(self, action: LimitAction) -> None:
        sizes = {"max_position_size": 1e9, "max_order_size": 1e9, "min_order_size": 0, "stale_quote_seconds": 1e6}
        self.limits = replace(LIMITS, max_daily_loss=MOST, max_daily_loss_action=action, max_drawdown=0.9, **sizes)
        self.bench = JournaledBench(self.limits)
        self.bench.quote()
        self.bench.give(Funds(account="main", available=1e6, used=0.0))
        self.price, self.units, self.realised, self.serial = 100.0, 0, 0.0, 0
        self.carried, self.reached, self.halted = 0.0, False, False
        """Rupees of what is open that are of earlier days; what was reached today; a halt of an earlier day."""

    def do(self, what: str, value: float) -> None:
        self.serial += 1
        self.bench.now += SECOND
        self.bench.machine_ns += SECOND
        self.bench.beat()
        getattr(self, what)(value)
        self.reached = self.reached or self.lost <= -MOST

    def quote(self, value: float) -> None:
        """Two quotes that agree: a limit needs both."""
        self.price = value
        self.bench.twice(CALL, value)

    def decided(self, value: float) -> None:
        self.price = value
        self.bench.at(CALL, value, journaled=True)
        self.bench.later(0.1)
        self.bench.at(CALL, value, journaled=True)

    def fill(self, units: float) -> None:
        self.units = int(units)
        self.bench.hold(CALL, self.units, realised=self.realised, order=f"f{self.serial}")

    def book(self, rupees: float) -> None:
        self.realised += rupees
        self.bench.hold(CALL, self.units, realised=self.realised, order=f"b{self.serial}")

    def time(self, seconds: float) -> None:
        self.bench.pass_time(seconds)

    def restart(self, blind: float, day: str = "") -> None:
        """Time passes before the first quote: what was last known of prices leads to nothing."""
        self.bench.restart(day)
        if blind:
            assert not any(isinstance(row, RiskEventRecorded) for row in self.bench.pass_time(blind))
        self.bench.twice(CALL, self.price)

    def day(self, blind: float) -> None:
        """The stack is stopped in the evening, when the last prices have been noted, and started in the morning."""
        self.bench.later(61)
        self.quote(self.price)
        self.bench.pass_time(0.25)
        self.halted = self.halted or (self.ends and self.limits.max_daily_loss_action is LimitAction.HALT)
        self.carried, self.realised, self.reached = self.units * (self.price - 100.0), 0.0, False
        self.bench.later(DAY / SECOND)
        self.restart(blind, iso_day(self.bench.now))

    def intent(self, _: float) -> None:
        self.bench.quote(PUT)
        rows = self.bench.intent(f"w{self.serial}", Leg(instrument=CALL, lots=10), Leg(instrument=PUT, lots=1))
        if self.lost <= -MOST and self.limits.max_daily_loss_action is not LimitAction.ALERT:
            assert not any(isinstance(row, PlaceEntry) for row in rows)
        flat = self.bench.intent(f"x{self.serial}", action=Action.EXIT)
        assert not any(isinstance(row, SignalDenied) for row in flat)

    @property
    def lost(self) -> float:
        return self.realised + self.units * (self.price - 100.0) - self.carried

    @property
    def ends(self) -> bool:
        """No more entries today."""
        return self.halted or (self.reached and self.limits.max_daily_loss_action is not LimitAction.ALERT)


@settings(max_examples=examples(40), deadline=None)
@given(steps=STEPS, action=st.sampled_from(list(LimitAction)))
def test_day_that_lost_its_limit_enters_nothing_more_and_says_so_once(
    steps: list[tuple[str, float]], action: LimitAction
) -> None:
    book = Book(action)
    for what, value in steps:
        book.do(what, value)
        reported = [row for row in book.bench.journal if isinstance(row, RiskEventRecorded)]
        assert len(reported) == (book.reached and not book.halted)
        assert bool(book.bench.machine.limits.entry_blocks("main", "S")) == book.ends
        if book.ends and action is LimitAction.CLOSE_LEGS and book.units:
            assert any(isinstance(row, CloseGoal) for row in book.bench.journal)
