"""Risk after its journal was lost: what the router carried is known again, and no intent closes what is not its own."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.exits.position_alerts import UNBOUND
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.day_carry import opening_rows
from mytrading.core.risk.state.environment import RiskEnvironment, watched_instrument_of
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, Product, Purpose, Side
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.orders import Goal, GoalChanged, Position, PositionAdjusted, Protection
from mytrading.messages.run_config import StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import Leg, Signal
from tests.kit.risk_bench import CALL, PUT, SECOND, SHARE, TODAY, WATCH, RiskBench

SAME = TradeRule(kind=TradeKind.SAME, side=Side.BUY)
OPTION = TradeRule(kind=TradeKind.OPTION, side=Side.BUY, strike="ATM", right="CE")
FUTURE = TradeRule(kind=TradeKind.FUTURE, side=Side.BUY)


def position(instrument: str, quantity: int = 10, **fields: Any) -> Position:
    known = Position(
        account="main", instrument=instrument, product=Product.MIS, strategy="S", run="r", quantity=quantity,
        quantity_seen=quantity, average_price=100.0, opened_ns=1, updated_ns=1,
    )  # fmt: skip
    return replace(known, **fields)


class Rebuilt(RiskBench):
    """Risk with nothing but what the router carried into the day; its strategy watches a share and an index."""

    def __init__(self, *held: Position, rule: TradeRule | None = None) -> None:
        super().__init__()
        (run,) = self.parts[2]
        self.parts = (*self.parts[:2], (replace(run, symbols=(SHARE, WATCH), long=rule),), *self.parts[3:])
        self.machine = RiskMachine(RiskEnvironment(*self.parts))
        self.machine.set_machine_time(self.machine_ns)
        for row in opening_rows([DayOpened(day=TODAY, positions=held)]):
            self.machine.apply(row)
        self.beat()
        self.quote(SHARE, 800.0)
        self.quote(CALL, 100.0)

    def intent_of(self, watch: str, *legs: Leg) -> tuple[Any, ...]:
        signal = Signal(
            id=f"{watch} {len(self.rows)}", strategy="S", watch=watch, action=Action.BUY if legs else Action.EXIT,
            legs=legs, product=Product.MIS, created_ns=self.now, expires_ns=self.now + 60 * SECOND,
            expires_machine_ns=self.machine_ns + 60 * SECOND,
        )  # fmt: skip
        return self.give(signal)

    def unbound(self) -> list[str]:
        return [row.subject for row in self.rows if isinstance(row, Alert) and row.code == UNBOUND]


def closed(rows: tuple[Any, ...]) -> list[str]:
    return [row.instrument for row in rows if isinstance(row, CloseGoal)]


def test_position_of_a_lost_journal_is_closed_by_the_intent_of_its_own_watch_only() -> None:
    bench = Rebuilt(position(SHARE), rule=SAME)
    assert closed(bench.intent_of(WATCH)) == []
    assert closed(bench.intent_of(SHARE)) == [SHARE]


def test_contract_of_a_lost_journal_belongs_to_the_watch_whose_underlying_it_has() -> None:
    bench = Rebuilt(position(CALL, 65), rule=OPTION)
    assert closed(bench.intent_of(SHARE)) == []
    assert closed(bench.intent_of(WATCH)) == [CALL]


def test_position_that_no_rule_explains_is_no_intents_to_close_and_a_person_is_alerted_once() -> None:
    bench = Rebuilt(position(SHARE))
    assert closed(bench.intent_of(WATCH)) == closed(bench.intent_of(SHARE)) == []
    bench.pass_time(1)
    bench.pass_time(1)
    assert bench.unbound() == [f"S {SHARE} main"]


def test_position_that_is_opened_anew_and_unexplained_again_is_reported_again() -> None:
    """Guards against one report a day: the second unexplained position of a day would have stood without a word."""
    bench = Rebuilt(position(SHARE))
    bench.pass_time(1)
    claim = PositionAdjusted(
        position=position(SHARE, 0), cause="correction", quantity=-10, price=100.0, at_ns=bench.now
    )
    bench.give(claim)
    bench.give(replace(claim, position=position(SHARE, opened_ns=2), cause="claim", quantity=10))
    bench.pass_time(1)
    bench.pass_time(1)
    assert bench.unbound() == [f"S {SHARE} main"] * 2


def test_intent_that_wants_just_what_is_held_takes_it_up() -> None:
    bench = Rebuilt(position(SHARE))
    rows = bench.intent_of(SHARE, Leg(instrument=SHARE, lots=10))
    assert not [row for row in rows if isinstance(row, PlaceEntry | SignalDenied)], "it is held already"
    assert closed(bench.intent_of(WATCH)) == []
    assert closed(bench.intent_of(SHARE)) == [SHARE]


def test_intent_of_the_other_side_of_what_nobody_explains_is_denied() -> None:
    bench = Rebuilt(position(SHARE))
    rows = bench.intent_of(SHARE, Leg(instrument=SHARE, lots=-10))
    assert closed(rows) == []
    (denied,) = (row for row in rows if isinstance(row, SignalDenied))
    assert "not known any more" in str(denied)


def test_claimed_position_is_not_closed_by_the_next_intent_of_another_watch() -> None:
    bench = Rebuilt()
    claim = PositionAdjusted(position=position(SHARE), cause="claim", quantity=10, price=100.0, at_ns=bench.now)
    bench.give(claim)
    assert closed(bench.intent_of(WATCH, Leg(instrument=CALL, lots=1))) == []
    bench.give(replace(claim, position=position(SHARE, 0), quantity=-10))
    assert (("S", SHARE) in bench.machine.state.bound) is False


def test_strategy_of_one_watch_closes_what_it_holds_as_ever() -> None:
    bench = RiskBench()
    for row in opening_rows([DayOpened(day=TODAY, positions=(position(SHARE),))]):
        bench.machine.apply(row)
    bench.quote(SHARE, 800.0)
    assert closed(bench.intent("x", action=Action.EXIT)) == [SHARE]


@pytest.mark.parametrize(
    ("rule", "symbols", "instrument", "found"),
    [
        (SAME, (SHARE, WATCH), SHARE, SHARE),
        (OPTION, (SHARE, WATCH), CALL, WATCH),
        (OPTION, (SHARE, WATCH), SHARE, ""),
        (FUTURE, (SHARE, WATCH), PUT, ""),
        (FUTURE, (SHARE, WATCH), "NFO:NIFTY30MAR26FUT", WATCH),
        (OPTION, (WATCH, "NFO:NIFTY30MAR26FUT"), CALL, ""),
        (replace(OPTION, underlying="NIFTY"), (SHARE, "NSE:INFY"), CALL, ""),
        (None, (SHARE, WATCH), SHARE, ""),
        (SAME, (SHARE,), CALL, None),
    ],
)
def test_watch_is_known_where_the_rules_lead_to_the_instrument_from_one(
    rule: TradeRule | None, symbols: tuple[str, ...], instrument: str, found: str | None
) -> None:
    run = StrategyRun(name="S", file="s.py", symbols=symbols, long=rule, short=None)
    assert watched_instrument_of(run, instrument) == found


def test_lost_journal_of_risk_begins_with_stops_exits_and_runs_that_the_router_carried() -> None:
    level = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=776.0,
    )  # fmt: skip
    goal = Goal(
        id="g", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c", reason="x",
        purpose=Purpose.EXIT,
    )  # fmt: skip
    bench = RiskBench()
    day = DayOpened(day=TODAY, positions=(position(SHARE),), protections=(level,), goals=(goal,))
    for row in opening_rows([day]):
        bench.machine.apply(row)
    state = bench.machine.state
    assert list(state.protections.values()) == [level]
    assert state.run_of("S") == "r"
    carried = bench.machine.snapshot("2026-03-19")
    assert (carried.protections, carried.goals) == ((level,), (goal,))
    bench.give(GoalChanged(goal=replace(goal, state="done"), at_ns=bench.now))
    carried = bench.machine.snapshot("2026-03-19")
    assert (carried.goals, carried.closing) == ((), ())
