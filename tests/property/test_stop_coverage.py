"""Risk's check of protection against a broker whose stops come and go: it never cries wolf, and never sleeps."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import Alert
from mytrading.messages.enums import OrderState, Product, Side
from mytrading.messages.reports import BrokerHeld, BrokerPosition, LiveOrder
from tests.kit.hypothesis_budget import examples
from tests.kit.risk_bench import SECOND, SHARE
from tests.kit.risk_guard_bench import Guarded

T = 5.0


class Watching(RuleBasedStateMachine):
    """Ten shares are held throughout; `agreeing` is what an honest judge would count."""

    def __init__(self) -> None:
        super().__init__()
        self.made = Guarded()
        self.made.stop()
        self.there = 10
        self.past: list[tuple[int, int]] = [(0, 10)]
        self.event_ns = self.made.bench.machine_ns
        self.agreeing: list[tuple[int, int]] = []

    @rule(units=st.sampled_from([0, 5, 10, 15]), reported=st.booleans())
    def stop_changes(self, units: int, reported: bool) -> None:
        """The broker's stop is another now; the router hears of it, or does not."""
        self.there = units
        self.past.append((self.made.bench.machine_ns, units))
        if reported:
            self.made.stop(OrderState.ACCEPTED if units else OrderState.CANCELLED)
            self.event_ns = self.made.bench.machine_ns
            self.agreeing.clear()

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.0, 6.0]))
    def time(self, seconds: float) -> None:
        self.made.bench.pass_time(seconds)

    @rule(age=st.sampled_from([0.0, 0.5, 2.0]))
    def read(self, age: float) -> None:
        """A reading that shows the books as they were when it began."""
        bench = self.made.bench
        began = bench.machine_ns - int(age * SECOND)
        units = [units for at, units in self.past if at <= began][-1]
        stop = LiveOrder(broker_order_id="B2", instrument=SHARE, side=Side.SELL, quantity=units)
        held = BrokerPosition(instrument=SHARE, product=Product.MIS, quantity=10)
        bench.give(
            BrokerHeld(
                account="main", began_machine_ns=began, ended_machine_ns=bench.machine_ns, at_ns=bench.now,
                orders=(stop,) if units else (), positions=(held,),
            )
        )  # fmt: skip
        # a cancelled stop of ours is nobody's: it covers nothing even where an old book still shows it
        counted = units if "stop-B2" in bench.machine.state.orders else 0
        if began <= self.event_ns or counted == 10:
            self.agreeing.clear()
        elif self.agreeing and self.agreeing[-1][1] != counted:
            self.agreeing = [(bench.machine_ns, counted)]
        else:
            self.agreeing.append((bench.machine_ns, counted))

    def _reported(self) -> list[str]:
        rows = [row for row in self.made.bench.rows if isinstance(row, Alert | CloseGoal)]
        return ["alarm" if isinstance(row, Alert) else "close" for row in rows]

    @invariant()
    def nothing_is_said_but_of_two_readings_that_agree(self) -> None:
        reported = self._reported()
        self.made.bench.rows.clear()
        if reported:
            assert len(self.agreeing) >= 2, reported
            since = (self.made.bench.machine_ns - self.agreeing[1][0]) / SECOND
            assert since >= (2 * T if "close" in reported else T)

    def teardown(self) -> None:
        """A position that is bare, and stays so, is closed within 2T and a few readings."""
        bench = self.made.bench
        if bench.machine.state.closing:
            return
        bench.rows.clear()
        self.stop_changes(0, reported=True)
        for _ in range(int(2 * T) + 3):
            bench.pass_time(1)
            self.read(0.0)
        bench.pass_time(1)
        assert self._reported() == ["alarm", "close"]


TestWatching = Watching.TestCase
TestWatching.settings = settings(
    max_examples=examples(30),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
