"""Roll-over of futures: when it begins, either leg first, and that faults and restarts neither lose nor double it."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.rollover.rollover import CODE, PATIENCE_NS, TRIES, trading_days_left
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.control import Alert, TradingState
from mytrading.messages.enums import (
    Action,
    Confidence,
    OrderState,
    OrderType,
    Product,
    Purpose,
    Severity,
    Side,
    TradingLevel,
)
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import Rolled
from mytrading.messages.orders import Goal, GoalChanged, Order, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.run_config import Direction, RateLimits, RollRule, StopPlan, StrategyRun
from mytrading.messages.signals import Leg
from tests.kit.margin_tables import TABLES
from tests.kit.risk_bench import WATCH, RiskBench, decisions
from tests.kit.risk_margin_bench import NONE_OF_IT

NEAR, FAR = "NFO:NIFTY30MAR26FUT", "NFO:NIFTY28APR26FUT"
DUE = date(2026, 3, 25)  # 26 March is a holiday: the 27th and the 30th are left
LOT = 65


def future(name: str, expiry: str) -> Instrument:
    return Instrument(
        id=name, exchange="NFO", symbol=name[4:], kind=InstrumentKind.FUT, underlying="NIFTY", expiry=expiry,
        lot_size=LOT,
    )  # fmt: skip


UNWELL = AccountHealth(
    account="main", connected=False, right_mode=True, stream_up=True, books_agree=True, message="order book: HTTP 502"
)


class RollBench(RiskBench):
    """A bench whose strategy holds a future overnight, and that keeps its journal to be restarted from."""

    def __init__(self, first: str = "far", sign: int = 1, stop: StopPlan = StopPlan.NONE) -> None:
        super().__init__(NONE_OF_IT)
        _, _, _, _, calendar, _, square_off = self.parts
        self.sign = sign
        self.run = StrategyRun(
            name="S", file="s.py", symbols=(WATCH,), long=None, short=None, direction=Direction.BOTH, stop=stop,
            roll=RollRule(days=2, first=first),
        )  # fmt: skip
        book = InstrumentBook([future(NEAR, "2026-03-30"), future(FAR, "2026-04-28")])
        self.parts = (NONE_OF_IT, RateLimits(), (self.run,), "main", calendar, book, square_off)
        self.orders: dict[str, PlaceEntry] = {}
        self.goals: dict[str, CloseGoal] = {}
        self.held: dict[str, int] = {}
        self.rows = []
        self.machine = self._machine()
        self.now = to_ns(date(2026, 3, 23), time(11, 0))
        self._refresh()
        (entry,) = self.intent("a", Leg(instrument=NEAR, lots=2 * sign), product=Product.NRML)
        self.fill_order(entry)

    def _machine(self) -> RiskMachine:
        machine = RiskMachine(RiskEnvironment(*self.parts))
        machine.environment.tables = TABLES
        return machine

    def _refresh(self) -> tuple[Any, ...]:
        self.beat()
        self.machine.apply(Funds(account="main", available=1e8, used=0.0, machine_ns=self.machine_ns))
        return (*self.quote(NEAR, 23_000.0), *self.quote(FAR, 23_100.0))

    def fall(self, instrument: str, price: float) -> tuple[Any, ...]:
        """Two quotes that agree, a moment each."""
        rows: tuple[Any, ...] = ()
        for _ in range(2):
            self.now += 100_000_000
            rows = (*rows, *self.quote(instrument, price))
        return rows

    def restart(self) -> None:
        """The same rows, in a new process."""
        rows = [row for row in self.rows if not isinstance(row, Funds)]
        self.machine = self._machine()
        for row in rows:
            self.machine.apply(row)
        self.beat()
        self.machine.apply(Funds(account="main", available=1e8, used=0.0, machine_ns=self.machine_ns))

    def turn(self, day: date) -> None:
        """Another day begins."""
        carried = self.machine.snapshot(day.isoformat())
        self.machine = self._machine()
        self.machine.apply(carried)
        self.rows = [carried]
        self.now = to_ns(day, time(11, 0))
        self._refresh()

    def tick(self) -> tuple[Any, ...]:
        self.machine_ns += 1_000_000_000
        return (*self._refresh(), *self.pass_time(0.25))

    def _order(self, entry: PlaceEntry, state: OrderState, filled: int) -> Order:
        return Order(
            client_order_id=entry.id, account="main", instrument=entry.instrument, product=entry.product, strategy="S",
            run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side, quantity=entry.quantity,
            order_type=OrderType.MARKET, state=state, created_ns=self.now, updated_ns=self.now, filled=filled,
        )  # fmt: skip

    def end_order(self, entry: PlaceEntry, state: OrderState = OrderState.REJECTED) -> tuple[Any, ...]:
        order = self._order(entry, state, 0)
        return self.give(OrderChanged(event=state.value.lower(), order=order, machine_ns=self.machine_ns))

    def fill_order(self, entry: PlaceEntry) -> tuple[Any, ...]:
        order = self._order(entry, OrderState.FILLED, entry.quantity)
        rows = self.give(OrderChanged(event="filled", order=order, machine_ns=self.machine_ns))
        return (*rows, *self.hold_units(entry.instrument, entry.quantity * entry.side.sign, entry.id))

    def hold_units(self, instrument: str, change: int, cause: str = "", run: str = "r") -> tuple[Any, ...]:
        held = self.held[instrument] = self.held.get(instrument, 0) + change
        position = Position(
            account="main", instrument=instrument, product=Product.NRML, strategy="S", run=run, quantity=held,
            quantity_seen=held, average_price=23_000.0, opened_ns=1 if held else 0,
            updated_ns=self.now, confidence=Confidence.CONFIRMED,
        )  # fmt: skip
        row = PositionChanged(
            position=position, client_order_id=cause, fill_quantity=change, fill_price=1.0, at_ns=self.now
        )
        return self.give(row)

    def wait_unwell(self) -> tuple[Any, ...]:
        """A second in which the books cannot be read."""
        self.machine_ns += 1_000_000_000
        self.now += 250_000_000
        self._refresh()
        self.machine.apply(UNWELL)
        return decisions(self.give(TimerFired(name="risk", machine_ns=self.machine_ns)))

    def trust(self, confidence: Confidence) -> tuple[Any, ...]:
        """Report the router's confidence in the near position against the broker's book."""
        position = replace(self.machine.state.open_positions()[0], confidence=confidence)
        return self.give(PositionChanged(position=position, client_order_id="", fill_quantity=0, fill_price=0.0,
                                         at_ns=self.now))  # fmt: skip

    def close_position(self, instrument: str) -> tuple[Any, ...]:
        """Fulfil a goal as the router does: the position is flat, the goal done."""
        rows = self.hold_units(instrument, -self.held[instrument])
        goal = Goal(
            id="g", account="main", instrument=instrument, product=Product.NRML, strategy="S", run="r", cause="c",
            reason="x", purpose=Purpose.EXIT, state="done",
        )  # fmt: skip
        return (*rows, *self.give(GoalChanged(goal=goal, at_ns=self.now)))


def kinds(rows: tuple[Any, ...], *wanted: type) -> list[Any]:
    return [row for row in rows if isinstance(row, wanted)]


def orders(rows: tuple[Any, ...]) -> list[tuple[str, str, int]]:
    """Return the commands to the router, as (kind, instrument, signed units)."""
    reported: list[tuple[str, str, int]] = []
    for row in rows:
        if isinstance(row, PlaceEntry):
            reported.append(("order", row.instrument, row.quantity * row.side.sign))
        elif isinstance(row, CloseGoal):
            reported.append(("close", row.instrument, 0))
    return reported


@pytest.mark.parametrize(
    ("day", "left"),
    [(date(2026, 3, 24), 3), (DUE, 2), (date(2026, 3, 27), 1), (date(2026, 3, 30), 0), (date(2026, 3, 9), 4)],
)
def test_days_left_counts_trading_days_and_stops_counting_early(day: date, left: int) -> None:
    assert trading_days_left(RollBench().parts[4], "NFO", day, "2026-03-30", 3) == left


def test_future_is_not_rolled_before_its_day() -> None:
    bench = RollBench()
    bench.turn(date(2026, 3, 24))
    assert not kinds(bench.tick(), Rolled)
    bench.turn(DUE)
    assert [row.phase for row in kinds(bench.tick(), Rolled)] == ["begun"]


@pytest.mark.parametrize("sign", [1, -1])
def test_far_leg_first_near_goes_only_once_far_is_held(sign: int) -> None:
    bench = RollBench("far", sign)
    bench.turn(DUE)
    bench.tick()
    rows = bench.tick()
    assert orders(rows) == [("order", FAR, 2 * LOT * sign)]
    (entry,) = kinds(rows, PlaceEntry)
    assert entry.side is (Side.BUY if sign > 0 else Side.SELL) and entry.product is Product.NRML
    assert orders(bench.tick()) == []
    assert orders(bench.fill_order(entry)) == [("close", NEAR, 0)]
    rows = bench.close_position(NEAR)
    assert [row.phase for row in kinds(rows, Rolled)] == ["done"]
    for _ in range(3):
        assert orders(bench.tick()) == []
    assert bench.held == {NEAR: 0, FAR: 2 * LOT * sign}


@pytest.mark.parametrize("sign", [1, -1])
def test_near_leg_first_far_is_ordered_only_once_near_is_flat(sign: int) -> None:
    bench = RollBench("near", sign)
    bench.turn(DUE)
    bench.tick()
    (goal,) = kinds(bench.tick(), CloseGoal)
    assert (goal.instrument, goal.purpose) == (NEAR, Purpose.ROLL)
    assert orders(bench.tick()) == []
    rows = bench.close_position(NEAR)
    assert orders(rows) == [("order", FAR, 2 * LOT * sign)]
    rows = bench.fill_order(kinds(rows, PlaceEntry)[0])
    assert [row.phase for row in kinds((*rows, *bench.tick()), Rolled)] == ["done"]
    assert orders(bench.tick()) == []


@pytest.mark.parametrize("first", ["far", "near"])
def test_restart_at_every_point_leads_to_the_same_end_and_doubles_nothing(first: str) -> None:
    bench = RollBench(first)
    bench.turn(DUE)
    placed, closed = set(), set()
    for _ in range(12):
        bench.restart()
        rows = bench.tick()
        for _ in range(2):
            for entry in kinds(rows, PlaceEntry):
                assert entry.id not in placed
                placed.add(entry.id)
                rows = bench.fill_order(entry)
            for goal in kinds(rows, CloseGoal):
                assert goal.id not in closed
                closed.add(goal.id)
                bench.restart()
                rows = bench.close_position(goal.instrument)
    assert bench.held == {NEAR: 0, FAR: 2 * LOT}
    assert (len(placed), len(closed)) == (1, 1)
    assert next(iter(bench.machine.state.rolls.values())).phase == "done"


def test_far_leg_that_is_refused_is_tried_again_then_given_up_with_the_near_leg_kept() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    bench.tick()
    names, rows = set(), bench.tick()
    while not kinds(rows, Alert):
        (entry,) = kinds(rows, PlaceEntry)
        names.add(entry.id)
        rows = bench.end_order(entry)
    assert len(names) == TRIES
    assert "orders for NFO:NIFTY28APR26FUT ended unfilled" in kinds(rows, Alert)[0].message
    for _ in range(3):
        assert orders(bench.tick()) == []
    assert bench.held == {NEAR: 2 * LOT}


def test_near_leg_that_went_first_and_whose_far_leg_is_refused_for_good_is_reported_with_what_is_left() -> None:
    bench = RollBench("near")
    bench.turn(DUE)
    bench.tick()
    bench.tick()
    rows = bench.close_position(NEAR)
    placed = 0
    while not kinds(rows, Alert):
        (entry,) = kinds(rows, PlaceEntry)
        placed += 1
        rows = (*bench.end_order(entry), *bench.tick())
    (alert,) = kinds(rows, Alert)
    assert (placed, alert.severity) == (TRIES, Severity.CRITICAL)
    assert f"{NEAR} is closed, and 0 of 130 units are held of {FAR}" in alert.message
    for wanted in ([], [("order", FAR, 2 * LOT)]):
        rows = bench.intent(f"again {len(wanted)}", Leg(instrument=NEAR, lots=2), product=Product.NRML)
        rows = (*rows, *bench.tick(), *bench.tick())
        assert orders(rows) == wanted, "the signal that was rolled is consumed until the next day"
        assert bool(bench.machine.rollover.alert_subjects(bench.now)) == (not wanted), (
            "it is not forgotten with the next bar"
        )
        bench.turn(date(2026, 3, 27))


def test_intent_that_goes_flat_while_rolling_closes_all_and_ends_the_roll() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    rows = bench.intent("b", action=Action.EXIT, product=Product.NRML)
    assert kinds(rows, WithdrawEntries) and orders(rows) == [("close", NEAR, 0)]
    rows = bench.fill_order(entry)  # late: it was filled before it could be withdrawn
    assert ("close", FAR, 0) in orders((*rows, *bench.tick()))
    assert next(iter(bench.machine.state.rolls.values())).phase == "given_up"


def test_near_leg_closed_by_its_stop_while_rolling_takes_the_far_leg_back() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    rows = (*bench.close_position(NEAR), *bench.tick())
    assert kinds(rows, WithdrawEntries)
    assert "was closed by something else" in kinds(rows, Alert)[0].message
    rows = (*bench.fill_order(entry), *bench.tick(), *bench.tick())
    assert ("close", FAR, 0) in orders(rows)


def test_roll_waits_while_trading_is_halted_and_says_why_once() -> None:
    bench = RollBench("near")
    bench.turn(DUE)
    bench.tick()
    (goal,) = kinds(bench.tick(), CloseGoal)
    bench.give(TradingState(account="", level=TradingLevel.HALT, generation=1, reason="look", at_ns=bench.now))
    alerts = kinds((*bench.close_position(goal.instrument), *bench.tick(), *bench.tick()), Alert)
    assert len(alerts) == 1 and "waits: trading is at halt" in alerts[0].message
    assert alerts[0].severity is Severity.CRITICAL and f"{NEAR} is closed" in alerts[0].message
    bench.give(TradingState(account="", level=TradingLevel.NORMAL, generation=2, reason="", at_ns=bench.now))
    assert orders(bench.tick()) == [("order", FAR, 2 * LOT)]


@pytest.mark.parametrize("why", ["halt", "limit"])
def test_roll_that_is_due_and_may_not_begin_is_reported_once_a_day_and_begins_when_it_may(why: str) -> None:
    bench = RollBench("far")
    if why == "limit":
        bench.parts = (replace(NONE_OF_IT, max_daily_loss=1_000.0), *bench.parts[1:])
    bench.turn(DUE)
    if why == "halt":
        bench.give(TradingState(account="", level=TradingLevel.HALT, generation=1, reason="look", at_ns=bench.now))
    else:
        bench.fall(NEAR, 22_900.0)
    rows = (*bench.tick(), *bench.tick(), *bench.tick())
    (alert,) = (row for row in kinds(rows, Alert) if row.code == CODE)
    assert "is due and does not begin: " in alert.message
    assert ("look" if why == "halt" else "MAX_DAILY_LOSS is ₹1,000") in alert.message
    assert bench.machine.rollover.alert_subjects(bench.now) == {alert.subject}
    assert not kinds(rows, Rolled) and orders(rows) == []
    bench.restart()
    assert not kinds((*bench.tick(), *bench.tick()), Alert, Rolled)
    if why == "halt":
        bench.give(TradingState(account="", level=TradingLevel.NORMAL, generation=2, reason="", at_ns=bench.now))
    else:
        bench.turn(date(2026, 3, 27))
    assert ("order", FAR, 2 * LOT) in orders((*bench.tick(), *bench.tick()))
    assert bench.machine.rollover.alert_subjects(bench.now) == set()


@pytest.mark.parametrize("why", ["server", "position"])
def test_roll_that_waits_for_a_server_or_a_book_is_reported_once_it_lasts_and_begins_at_once_when_that_is_well(
    why: str,
) -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    opens = to_ns(DUE, time(9, 15)) + NONE_OF_IT.avoid_first_minutes * 60_000_000_000
    bench.now = opens + 1_000_000_000
    wait = bench.tick if why == "position" else bench.wait_unwell
    if why == "position":
        bench.trust(Confidence.DISPUTED)
    assert not kinds(wait(), Alert, Rolled), "what passes within a moment is no news"
    bench.now = opens + PATIENCE_NS
    rows = (*wait(), *wait(), *wait())
    (alert,) = (row for row in kinds(rows, Alert) if row.code == CODE)
    said = "not ready: account main: order book: HTTP 502" if why == "server" else "the position is DISPUTED"
    assert f"is due and does not begin: {said}" in alert.message
    assert bench.machine.rollover.alert_subjects(bench.now) == {alert.subject}
    assert not kinds(rows, Rolled) and orders(rows) == []
    rows = bench.trust(Confidence.CONFIRMED) if why == "position" else bench.tick()
    assert [row.phase for row in kinds(rows, Rolled)] == ["begun"]
    assert bench.machine.rollover.alert_subjects(bench.now) == set()


def test_roll_that_just_started_risk_finds_unready_is_not_reported() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    bench.machine.environment.patient_until = bench.machine_ns + 1_500_000_000
    assert not kinds(bench.wait_unwell(), Alert, Rolled)
    assert kinds(bench.wait_unwell(), Alert)


def test_halt_after_a_wait_for_readiness_is_reported_as_well() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    (alert,) = kinds(bench.wait_unwell(), Alert)
    assert "not ready" in alert.message
    bench.give(TradingState(account="", level=TradingLevel.HALT, generation=1, reason="look", at_ns=bench.now))
    (alert,) = kinds((*bench.tick(), *bench.tick()), Alert)
    assert "look" in alert.message


def test_entry_of_an_earlier_day_that_is_reported_again_is_booked_still_and_does_not_keep_the_roll() -> None:
    """The router was killed on the morning of the roll: it looked for the filled entry in a book that was new."""
    bench = RollBench("far")
    (entry,) = kinds(tuple(bench.rows), PlaceEntry)
    bench.turn(DUE)
    order = bench._order(entry, OrderState.FILLED, entry.quantity)
    for event in ("unseen", "contradicted"):
        bench.give(OrderChanged(event=event, order=order, machine_ns=bench.machine_ns))
    assert bench.machine.state.pending_units("S", NEAR, "main") == 0
    bench.turn(date(2026, 3, 27))
    assert [row.phase for row in kinds(bench.tick(), Rolled)] == ["begun"]


def test_limit_reached_while_the_near_leg_follows_the_far_one_does_not_take_the_far_one_back() -> None:
    """The spread of the roll's own orders reached it: taken back, both legs would be gone."""
    bench = RollBench("far")
    bench.parts = (replace(NONE_OF_IT, max_daily_loss=1_000.0), *bench.parts[1:])
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    assert orders(bench.fill_order(entry)) == [("close", NEAR, 0)]
    rows = (*bench.fall(NEAR, 22_700.0), *bench.tick())
    assert any("MAX_DAILY_LOSS" in alert.message for alert in kinds(rows, Alert))
    assert orders(rows) == [] and not kinds(rows, Rolled)
    rows = (*bench.close_position(NEAR), *bench.tick())
    assert [row.phase for row in kinds(rows, Rolled)] == ["done"]
    assert bench.held == {NEAR: 0, FAR: 2 * LOT}


def test_limit_reached_before_the_far_leg_is_there_ends_the_roll_and_is_named() -> None:
    bench = RollBench("far")
    bench.parts = (replace(NONE_OF_IT, max_daily_loss=1_000.0), *bench.parts[1:])
    bench.turn(DUE)
    bench.tick()
    bench.tick()
    rows = (*bench.fall(NEAR, 22_900.0), *bench.tick())
    (alert,) = (row for row in kinds(rows, Alert) if row.code == CODE)
    assert "was given up: account main stands at " in alert.message and "MAX_DAILY_LOSS" in alert.message
    assert bench.machine.rollover.alert_subjects(bench.now) == {alert.subject}
    bench.turn(date(2026, 3, 27))
    assert bench.machine.rollover.alert_subjects(bench.now) == set()


def test_rolled_position_satisfies_the_intent_for_the_near_contract_again_and_next_day() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    bench.fill_order(entry)
    bench.close_position(NEAR)
    assert orders(bench.intent("b", Leg(instrument=NEAR, lots=2), product=Product.NRML)) == []
    bench.turn(date(2026, 3, 27))
    assert orders(bench.intent("c", Leg(instrument=NEAR, lots=2), product=Product.NRML)) == []
    assert orders(bench.tick()) == []
    assert orders(bench.intent("d", action=Action.EXIT, product=Product.NRML)) == [("close", FAR, 0)]


def test_intraday_future_and_strategy_without_the_setting_are_not_rolled() -> None:
    bench = RollBench()
    limits, rates, _, account, calendar, book, square_off = bench.parts
    bench.parts = (limits, rates, (replace(bench.run, roll=RollRule()),), account, calendar, book, square_off)
    bench.turn(DUE)
    assert not kinds(bench.tick(), Rolled)


def test_far_leg_gets_a_stop_as_entries_do() -> None:
    bench = RollBench(stop=StopPlan.BROKER)
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    assert 0 < entry.stop_limit < entry.stop_trigger < 23_100


def test_contract_without_a_later_one_is_reported_once_a_day() -> None:
    bench = RollBench()
    limits, rates, runs, account, calendar, _, square_off = bench.parts
    bench.parts = (limits, rates, runs, account, calendar, InstrumentBook([future(NEAR, "2026-03-30")]), square_off)
    bench.turn(DUE)
    alerts = kinds((*bench.tick(), *bench.tick(), *bench.tick()), Alert)
    assert len(alerts) == 1 and "no later contract is listed" in alerts[0].message
    assert msgspec.structs.asdict(next(iter(bench.machine.state.rolls.values())))["phase"] == "given_up"


def test_intent_in_the_days_before_an_expiry_goes_to_the_next_contract_at_once() -> None:
    bench = RollBench()
    bench.hold_units(NEAR, -2 * LOT)
    bench.intent("b", action=Action.EXIT, product=Product.NRML)
    bench.turn(DUE)
    rows = bench.intent("c", Leg(instrument=NEAR, lots=1), product=Product.NRML)
    rows = (*rows, *bench.tick())
    assert orders(rows) == [("order", FAR, LOT)]
    assert orders(bench.tick()) == []
    bench.fill_order(kinds(rows, PlaceEntry)[0])
    assert orders(bench.intent("d", Leg(instrument=NEAR, lots=1), product=Product.NRML)) == []
    assert orders(bench.intent("e", action=Action.EXIT, product=Product.NRML)) == [("close", FAR, 0)]


def test_run_that_its_rule_closes_is_not_rolled_on() -> None:
    """The far order was cancelled by the rule that closes the near leg: it must not be sent once more."""
    bench = RollBench("far")
    run = replace(bench.run, rules=StrategyRules(max_loss=1000.0))
    bench.parts = (*bench.parts[:2], (run,), *bench.parts[3:])
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    rows = bench.fall(NEAR, 22_900.0)
    assert orders(rows) == [("close", NEAR, 0)]
    rows = bench.end_order(entry, OrderState.CANCELLED)
    for _ in range(3):
        bench.machine_ns += 1_000_000_000
        bench.beat()
        rows = (*rows, *bench.quote(NEAR, 22_900.0), *bench.quote(FAR, 23_000.0), *bench.pass_time(0.25))
    assert not kinds(rows, PlaceEntry)
    assert [row.phase for row in kinds(rows, Rolled)] == ["given_up"]
    rows = bench.close_position(NEAR)
    for _ in range(3):
        rows = (*rows, *bench.tick())
    assert not kinds(rows, PlaceEntry)


def test_roll_whose_far_leg_was_lost_waits_for_a_person_and_then_goes_on() -> None:
    bench = RollBench("far")
    bench.turn(DUE)
    bench.tick()
    (entry,) = kinds(bench.tick(), PlaceEntry)
    rows = (*bench.end_order(entry, OrderState.UNKNOWN), *bench.end_order(entry, OrderState.LOST), *bench.tick())
    (alert,) = kinds(rows, Alert)
    assert f"mytrading orders resolve {entry.id} --not-placed" in alert.message
    assert orders((*rows, *bench.tick())) == [], "each order of that side would be denied by the router"
    assert orders((*bench.end_order(entry, OrderState.GHOST), *bench.tick())) == [("order", FAR, 2 * LOT)]
