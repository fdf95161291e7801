"""Limits beyond the loss of a day: fall of equity, R, a strategy's own. No restart forgets one or invents one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.enums import LimitAction, LimitKind
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from tests.kit.hypothesis_budget import examples
from tests.kit.risk_bench import CALL, LIMITS, SECOND
from tests.kit.risk_limit_bench import JournaledBench

CAPITAL = 100_000.0
FALL, LOSS, R_VALUE, STOP_R, TARGET_R = 0.05, 4_000.0, 1_000.0, 3.0, 5.0
"""Of the account the fall and R, of the strategy its own fall (twice that) and loss."""
KINDS = ("drawdown", "daily_stop_r", "daily_target_r", "strategy daily_loss", "strategy drawdown")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.sampled_from([60.0, 92.0, 97.0, 100.0, 104.0, 130.0])),
        st.tuples(st.just("fill"), st.sampled_from([0.0, 65.0, 650.0])),
        st.tuples(st.just("book"), st.sampled_from([-2_500.0, -700.0, 900.0, 3_000.0])),
        st.tuples(st.just("decided"), st.sampled_from([60.0, 97.0, 130.0])),
        st.tuples(st.just("restart"), st.sampled_from([0.0, 0.25, 5.0])),
    ),
    max_size=14,
)


class Ledger:
    """Drives a bench, and knows by itself what was reached."""

    def __init__(self, action: LimitAction) -> None:
        self.limits = replace(
            LIMITS, max_daily_loss=1e9, max_drawdown=FALL, max_drawdown_action=action, r_value=R_VALUE,
            daily_stop_r=STOP_R, daily_target_r=TARGET_R, daily_r_action=action, stale_quote_seconds=1e6,
        )  # fmt: skip
        self.action = action
        self.price, self.units, self.realised, self.serial = 100.0, 0, 0.0, 0
        self.peak, self.best, self.reached = CAPITAL, 0.0, dict.fromkeys(KINDS, False)
        self.bench = self.fresh()
        self.bench.give(Funds(account="main", available=CAPITAL, used=0.0))
        self.quote(self.price)
        self.bench.pass_time(0.1)

    def fresh(self) -> JournaledBench:
        made = JournaledBench(self.limits)
        (run,) = made.parts[2]
        own = replace(run, max_daily_loss=LOSS, max_drawdown=2 * FALL, limit_action=self.action)
        made.machine = RiskMachine(RiskEnvironment(*made.parts[:2], (own,), *made.parts[3:]))
        made.beat()
        return made

    def do(self, what: str, value: float) -> None:
        self.serial += 1
        self.bench.now += 2 * SECOND
        self.bench.machine_ns += 2 * SECOND
        self.bench.beat()
        getattr(self, what)(value)
        self.bench.pass_time(0.5)
        self.judge()

    def quote(self, value: float) -> None:
        self.price = value
        self.bench.twice(CALL, value)

    def decided(self, value: float) -> None:
        self.price = value
        self.bench.twice(CALL, value)
        self.bench.later(0.1)
        self.bench.at(CALL, value, journaled=True)

    def fill(self, units: float) -> None:
        self.units = int(units)
        self.bench.hold(CALL, self.units, realised=self.realised, order=f"f{self.serial}")

    def book(self, rupees: float) -> None:
        self.realised += rupees
        self.bench.hold(CALL, self.units, realised=self.realised, order=f"b{self.serial}")

    def restart(self, blind: float) -> None:
        """Killed at once after its last row, some time before the first quote: those that led to nothing are gone."""
        self.bench.restart()
        if blind:
            assert not any(isinstance(row, RiskEventRecorded) for row in self.bench.pass_time(blind))
        self.quote(self.price)

    def judge(self) -> None:
        profit = self.realised + self.units * (self.price - 100.0)
        self.peak, self.best = max(self.peak, CAPITAL + profit), max(self.best, profit)
        now = {
            "drawdown": (self.peak - CAPITAL - profit) / self.peak >= FALL,
            "daily_stop_r": profit <= -STOP_R * R_VALUE,
            "daily_target_r": profit >= TARGET_R * R_VALUE,
            "strategy daily_loss": profit <= -LOSS,
            "strategy drawdown": (self.best - profit) / self.peak >= 2 * FALL,
        }
        self.reached = {name: self.reached[name] or now[name] for name in KINDS}


@settings(max_examples=examples(15), deadline=None)
@given(steps=STEPS, action=st.sampled_from([LimitAction.NO_ENTRIES, LimitAction.HALT, LimitAction.CLOSE_LEGS]))
def test_limit_of_any_kind_is_reported_once_when_it_is_reached_and_kept_through_restarts(
    steps: list[tuple[str, float]], action: LimitAction
) -> None:
    ledger = Ledger(action)
    for what, value in steps:
        ledger.do(what, value)
        reported = [f"{'strategy ' * bool(row.strategy)}{row.kind.value}" for row in ledger.bench.journal
                if isinstance(row, RiskEventRecorded)]  # fmt: skip
        assert sorted(reported) == sorted(name for name in KINDS if ledger.reached[name])
        kept = ledger.bench.machine.limits.entry_blocks("main", "S")
        wanted = {LimitKind(name.removeprefix("strategy ").upper()) for name in KINDS if ledger.reached[name]}
        assert set(kept) == {kind.value for kind in wanted}
