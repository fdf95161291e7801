"""Risk: what an intent leads to, what is denied and why, and that nothing is decided twice."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import msgspec
import pytest

from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.risk.pretrade.readiness import why_not_ready
from mytrading.core.risk.pretrade.rule_table import RULES, denials_page
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalExpired, WithdrawEntries
from mytrading.messages.control import Alert, BarGaps, EntriesClosed, StrategySwitch, TradingState, WithdrawRequested
from mytrading.messages.enums import (
    Action,
    Confidence,
    OrderState,
    Product,
    Severity,
    Side,
    TradingLevel,
)
from mytrading.messages.instruments import InstrumentRefusal, Snapshot
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, GoalChanged, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.reports import AccountHealth
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.run_config import RateLimits
from mytrading.messages.signals import Leg, Signal
from tests.kit.project import ROOT
from tests.kit.risk_bench import CALL, DAY, LIMITS, NOW, PUT, SECOND, SHARE, TODAY, WATCH, RiskBench, codes, decisions


def test_intent_with_a_quote_becomes_one_sized_entry() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    assert isinstance(entry, PlaceEntry)
    assert (entry.side, entry.quantity, entry.reference_price) == (Side.BUY, 65, pytest.approx(100.05))
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    assert bench.quote(price=101.0) == ()


def test_run_that_is_stopped_denies_entries_also_after_a_restart_and_the_next_run_does_not() -> None:
    bench = RiskBench()
    started = RunStarted(
        daemon="risk", pid=1, version="", schema=1, config_hash="", machine_ns=1, market_ns=1, speed=1.0, run_ns=7
    )  # fmt: skip
    bench.give(started)
    bench.quote()
    call = Leg(instrument=CALL, lots=1)
    bench.give(WithdrawRequested(id="w1", reason="down", at_ns=NOW, stops_run_ns=7))
    assert codes(bench.intent("a", call)) == ["STOPPING"]
    bench.give(started)
    bench.give(WithdrawRequested(id="w2", reason="by hand", at_ns=NOW))
    assert codes(bench.intent("b", call)) == ["STOPPING"]
    bench.give(msgspec.structs.replace(started, run_ns=8))
    assert [type(row) for row in bench.intent("c", call)] == [PlaceEntry]


def test_repeated_intent_places_nothing_while_its_order_lives_or_is_held() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.order(entry, OrderState.ACCEPTED)
    assert bench.intent("b", Leg(instrument=CALL, lots=1)) == ()
    bench.fill(entry)
    assert bench.intent("c", Leg(instrument=CALL, lots=1)) == ()


def test_filled_order_whose_position_is_still_on_its_way_is_not_bought_again() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    assert bench.order(entry, OrderState.FILLED, entry.quantity) == ()
    assert bench.intent("b", Leg(instrument=CALL, lots=1)) == ()
    assert bench.hold(CALL, 65, order=entry.id) == ()
    assert bench.intent("c", Leg(instrument=CALL, lots=1)) == ()


def test_late_fill_of_a_partly_filled_and_cancelled_entry_leaves_nothing_coming() -> None:
    bench = RiskBench()
    bench.quote(SHARE)
    (entry,) = bench.intent("a", Leg(instrument=SHARE, lots=5))
    bench.order(entry, OrderState.CANCELLED, filled=3)
    bench.hold(SHARE, 3, order=entry.id)
    assert bench.machine.state.pending_units("S", SHARE, "main") == 0
    bench.order(entry, OrderState.FILLED, filled=5)
    assert bench.machine.state.pending_units("S", SHARE, "main") == 2
    bench.hold(SHARE, 2, order=entry.id)
    assert bench.machine.state.pending_units("S", SHARE, "main") == 0


def test_ended_order_that_is_reported_again_has_no_intent_judged_before_the_next_tick() -> None:
    """A book that flaps tells hundreds of ended orders anew at once; each one judged every intent that waits."""
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.hold(CALL, 0)
    assert bench.intent("b", Leg(instrument=PUT, lots=1)) == ()
    bench.machine.apply(Quote(PUT, bench.now, bench.machine_ns, 100.0, 99.95, 100.05))
    ended = bench.order_of(entry, OrderState.FILLED, entry.quantity)
    assert bench.give(OrderChanged(event="contradicted", order=ended, machine_ns=bench.machine_ns)) == ()
    assert bench.give(OrderChanged(event="observed", order=ended, machine_ns=bench.machine_ns)) == ()
    assert [type(row) for row in bench.pass_time(0.25)] == [PlaceEntry]


def test_refused_entry_is_intended_anew_by_the_next_signal() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.order(entry, OrderState.REJECTED)
    (again,) = bench.intent("b", Leg(instrument=CALL, lots=1))
    assert isinstance(again, PlaceEntry)
    assert again.id != entry.id


def test_exit_closes_what_is_held_and_withdraws_what_rests() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.order(entry, OrderState.ACCEPTED)
    (withdrawal,) = bench.intent("b", action=Action.EXIT)
    assert isinstance(withdrawal, WithdrawEntries)
    bench.fill(entry)
    goals = [row for row in bench.rows if isinstance(row, CloseGoal)]
    assert [goal.instrument for goal in goals] == [CALL]


def test_reversal_closes_first_and_enters_when_flat() -> None:
    bench = RiskBench()
    bench.quote()
    bench.quote(PUT)
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    (goal,) = bench.intent("b", Leg(instrument=PUT, lots=1), action=Action.SELL)
    assert isinstance(goal, CloseGoal)
    rows = bench.hold(CALL, 0)
    assert [type(row) for row in rows] == [PlaceEntry]
    assert rows[0].instrument == PUT


def test_reversal_that_becomes_possible_too_late_expires() -> None:
    bench = RiskBench()
    bench.quote()
    bench.quote(PUT)
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.intent("b", Leg(instrument=PUT, lots=1), action=Action.SELL)
    assert any(isinstance(row, SignalExpired) for row in bench.pass_time(70))
    assert not any(isinstance(row, PlaceEntry) for row in bench.hold(CALL, 0))


def test_intent_waits_for_its_first_quote() -> None:
    bench = RiskBench()
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    assert bench.machine.wanted_instruments() == (CALL,)
    assert [type(row) for row in bench.quote()] == [PlaceEntry]


def test_intent_without_any_quote_ends_denied_and_says_so() -> None:
    bench = RiskBench()
    bench.intent("a", Leg(instrument=CALL, lots=1))
    (denied,) = bench.pass_time(61)
    assert denied.code == "EXPIRED"
    assert "no quote" in denied.message
    assert bench.quote() == ()


@pytest.mark.parametrize(
    ("setting", "price", "lots", "code"),
    [("max_order_size", 769.3, 1, "MAX_ORDER_SIZE"), ("max_position_size", 1600.0, 1, "MAX_POSITION_SIZE")],
)
def test_size_limit_denies_beyond_and_admits_at_the_limit(setting: str, price: float, lots: int, code: str) -> None:
    limits = msgspec.structs.replace(LIMITS, max_order_size=1e9, max_position_size=1e9, min_order_size=0)
    exact = (price + 0.05) * 65 * lots
    at_limit = RiskBench(msgspec.structs.replace(limits, **{setting: exact + 1e-6}))
    at_limit.quote(price=price)
    assert codes(at_limit.intent("a", Leg(instrument=CALL, lots=lots))) == []
    beyond = RiskBench(msgspec.structs.replace(limits, **{setting: exact - 0.01}))
    beyond.quote(price=price)
    (denied,) = beyond.intent("a", Leg(instrument=CALL, lots=lots))
    assert denied.code == code
    assert "65 ×" in denied.message or "65 new" in denied.message


def test_position_counts_block_the_next_entry_and_never_an_exit() -> None:
    bench = RiskBench(msgspec.structs.replace(LIMITS, max_total_positions=1))
    bench.quote()
    bench.quote(SHARE, 800.0)
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    other = Signal(
        id="o", strategy="T", watch=SHARE, action=Action.BUY, legs=(Leg(instrument=SHARE, lots=10),),
        created_ns=bench.now, expires_ns=bench.now + SECOND, expires_machine_ns=bench.machine_ns + SECOND,
    )  # fmt: skip
    assert codes(bench.give(other)) == ["MAX_TOTAL_POSITIONS"]
    assert [type(row) for row in bench.intent("b", action=Action.EXIT)] == [CloseGoal]


def test_positions_of_one_underlying_block_its_next_entry_and_never_an_exit() -> None:
    bench = RiskBench(msgspec.structs.replace(LIMITS, max_positions_per_symbol=1))
    for instrument, price in ((CALL, 100.0), (PUT, 100.0), (SHARE, 800.0)):
        bench.quote(instrument, price)
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    (denied,) = bench.intent("b", Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=1))
    assert (denied.code, "1 positions of NIFTY" in denied.message) == ("MAX_POSITIONS_PER_SYMBOL", True)
    rows = bench.intent("c", Leg(instrument=CALL, lots=1), Leg(instrument=SHARE, lots=5))
    assert [row.instrument for row in rows if isinstance(row, PlaceEntry)] == [SHARE]
    assert [row.instrument for row in bench.intent("d", action=Action.EXIT) if isinstance(row, CloseGoal)] == [CALL]


@pytest.mark.parametrize(
    ("clock", "code"),
    [(time(9, 10), "MARKET_CLOSED"), (time(9, 17), "FIRST_MINUTES"), (time(15, 13), "SQUARE_OFF")],
)
def test_time_rules_deny_entries(clock: time, code: str) -> None:
    bench = RiskBench()
    bench.now = to_ns(DAY, clock)
    bench.beat()
    bench.quote()
    assert code in " ".join(codes(bench.intent("a", Leg(instrument=CALL, lots=1))))


def test_holiday_is_named() -> None:
    bench = RiskBench()
    bench.now = to_ns(date(2026, 1, 26), time(11, 0))
    bench.beat()
    bench.quote()
    (denied,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    assert denied.code == "MARKET_CLOSED"


@pytest.mark.parametrize(
    ("leg", "code"),
    [
        (Leg(instrument=CALL, lots=-1), "MAX_ORDER_SIZE"),
        (Leg(instrument="NFO:NIFTY30MAR26FUT", lots=1), "MARGIN_UNKNOWN"),
        (Leg(instrument=WATCH, lots=1), "INDEX_NOT_TRADABLE"),
        (Leg(instrument="NFO:NOBODYKNOWS", lots=1), "UNKNOWN_INSTRUMENT"),
    ],
)
def test_what_is_not_valued_is_denied(leg: Leg, code: str) -> None:
    bench = RiskBench()
    for instrument in (CALL, WATCH, "NFO:NIFTY30MAR26FUT"):
        bench.quote(instrument)
    assert codes(bench.intent("a", leg)) == [code]


def test_halt_and_silence_deny_entries_but_exits_go_on() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.give(TradingState(level=TradingLevel.HALT, generation=1, reason="by hand", at_ns=bench.now))
    bench.machine_ns += 10 * SECOND
    bench.quote(PUT)
    assert [type(row) for row in bench.intent("b", action=Action.EXIT)] == [CloseGoal]
    bench.hold(CALL, 0)
    (denied,) = bench.intent("c", Leg(instrument=PUT, lots=1))
    assert denied.code == "NOT_READY"
    assert "trading is at halt" in denied.message


def test_intent_that_a_risk_just_started_reads_waits_for_the_others_instead_of_being_denied() -> None:
    bench = RiskBench()
    bench.machine.state.beats.clear()
    bench.machine.environment.patient_until = bench.machine_ns + 3 * SECOND
    bench.quote()
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    assert [type(row) for row in bench.pass_time(1)] == [PlaceEntry]


def test_intents_that_waited_together_do_not_pass_a_limit_together() -> None:
    bench = RiskBench(msgspec.structs.replace(LIMITS, max_total_positions=1))
    bench.machine.state.beats.clear()
    bench.machine.environment.patient_until = bench.machine_ns + 3 * SECOND
    bench.quote()
    bench.quote(SHARE, 800.0)
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    other = Signal(
        id="o", strategy="T", watch=SHARE, action=Action.BUY, legs=(Leg(instrument=SHARE, lots=10),),
        created_ns=bench.now, expires_ns=bench.now + 60 * SECOND, expires_machine_ns=bench.machine_ns + 60 * SECOND,
    )  # fmt: skip
    assert bench.give(other) == ()
    assert [type(row) for row in bench.pass_time(1)] == [PlaceEntry]
    assert codes(bench.give(TimerFired(name="risk", machine_ns=bench.machine_ns))) == ["MAX_TOTAL_POSITIONS"]


def test_intent_is_denied_when_no_heartbeat_came_in_time() -> None:
    bench = RiskBench()
    bench.machine.state.beats.clear()
    bench.machine.environment.patient_until = bench.machine_ns + 3 * SECOND
    bench.quote()
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    bench.machine_ns += 4 * SECOND
    assert codes(bench.give(TimerFired(name="risk", machine_ns=bench.machine_ns))) == ["NOT_READY"]


def test_intent_in_lock_step_expires_by_market_time_alone() -> None:
    bench = RiskBench()
    bench.machine.environment.lock_step = True
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    assert entry.expires_machine_ns == 0
    bench.order(entry, OrderState.CANCELLED)
    assert bench.intent("b", Leg(instrument=PUT, lots=1)) == ()
    bench.now += 61 * SECOND
    assert "EXPIRED" in codes(bench.quote(PUT))


def test_server_of_the_traded_account_that_hangs_keeps_no_entry_of_another_account_waiting() -> None:
    """The reconciler is as ready as the traded account is well: while that hung, all accounts were denied entries."""
    bench = RiskBench()
    state = bench.machine.state
    beat = state.beats["reconciler"]
    down = AccountHealth(
        account="main", connected=False, right_mode=True, stream_up=False, books_agree=True, message="it hangs"
    )
    bench.machine.apply(msgspec.structs.replace(beat, ready=False))
    bench.machine.apply(down)
    bench.machine.apply(msgspec.structs.replace(down, account="second", connected=True, stream_up=True, message=""))
    assert "it hangs" in why_not_ready(state, "main")
    assert why_not_ready(state, "second") == ""
    assert "has not reported" in why_not_ready(state, "third") or "reconciler" in why_not_ready(state, "third")


def test_entry_without_a_broker_session_is_denied_with_the_brokers_words() -> None:
    """The reconciler is not ready then, but the cause stands in the account's health."""
    bench = RiskBench()
    beat = bench.machine.state.beats["reconciler"]
    bench.machine.apply(msgspec.structs.replace(beat, ready=False))
    words = "orderbook: Invalid openalgo apikey; check the API key, and that the server is logged in at the broker"
    down = AccountHealth(
        account="main", connected=False, right_mode=True, stream_up=False, books_agree=True, message=words
    )
    bench.machine.apply(down)
    bench.quote()
    (denied,) = bench.intent("s1", Leg(instrument=CALL, lots=1))
    assert (denied.code, words in denied.message) == ("NOT_READY", True)
    bench.machine.apply(msgspec.structs.replace(down, session_lost=True))
    (denied,) = bench.intent("s2", Leg(instrument=CALL, lots=1))
    assert (denied.code, words in denied.message) == ("BROKER_DISCONNECTED", True)


def test_exit_goes_on_without_a_broker_session() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    lost = AccountHealth(
        account="main", connected=False, right_mode=True, stream_up=True, books_agree=True, session_lost=True
    )
    bench.machine.apply(lost)
    assert [type(row) for row in bench.intent("b", action=Action.EXIT)] == [CloseGoal]


def test_entry_does_not_wait_for_another_account() -> None:
    bench = RiskBench()
    down = AccountHealth(account="other", connected=False, right_mode=False, stream_up=False, books_agree=False)
    bench.machine.apply(down)
    bench.quote()
    (entry,) = bench.intent("s1", Leg(instrument=CALL, lots=1))
    assert isinstance(entry, PlaceEntry)


def test_switched_off_strategy_is_denied() -> None:
    bench = RiskBench()
    bench.quote()
    bench.give(StrategySwitch(strategy="S", enabled=False, generation=1, at_ns=bench.now))
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1))) == ["STRATEGY_DISABLED"]


def test_entries_per_minute_are_limited() -> None:
    bench = RiskBench(rates=RateLimits(entries_per_minute=2))
    for name in ("a", "b", "c"):
        bench.pass_time(1)
        bench.quote()
        rows = bench.intent(name, Leg(instrument=CALL, lots=1))
        if isinstance(rows[0], PlaceEntry):
            bench.order(rows[0], OrderState.REJECTED)
    assert codes(rows) == ["ENTRIES_PER_MINUTE"]


def test_square_off_closes_intraday_positions_once() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.now = to_ns(DAY, time(15, 11, 58))
    assert bench.pass_time(1) == ()
    event, goal = bench.pass_time(2)
    assert isinstance(event, RiskEventRecorded)
    assert (event.kind, event.cause, event.action) == ("square_off", goal.cause, "close_all")
    assert isinstance(goal, CloseGoal)
    assert goal.reason == "square-off: to be flat by 15:15"
    bench.give(GoalChanged(goal=_goal(goal, "open"), at_ns=bench.now))
    assert bench.pass_time(5) == ()


def own_time(bench: RiskBench, at: str = "11:30") -> None:
    run = bench.machine.environment.strategies["S"]
    bench.machine.environment.strategies["S"] = msgspec.structs.replace(run, square_off=at)


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_square_off_at_the_strategys_own_time_closes_every_product(product: Product) -> None:
    bench = RiskBench()
    own_time(bench)
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1), product=product)
    bench.hold(CALL, 65, order=entry.id)
    position = msgspec.structs.replace(next(iter(bench.machine.state.positions.values())), product=product)
    bench.machine.state.positions.clear()
    bench.give(
        PositionChanged(position=position, client_order_id="x", fill_quantity=0, fill_price=0.0, at_ns=bench.now)
    )
    bench.now = to_ns(DAY, time(11, 26, 58))
    assert not [row for row in bench.pass_time(1) if isinstance(row, CloseGoal)]
    assert [row.product for row in bench.pass_time(2) if isinstance(row, CloseGoal)] == [product]


def test_entry_after_the_strategys_own_time_is_denied() -> None:
    bench = RiskBench()
    own_time(bench)
    bench.now = to_ns(DAY, time(11, 28))
    bench.beat()
    bench.quote()
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1), product=Product.NRML)) == ["SQUARE_OFF"]


def test_nrml_without_a_time_of_its_strategy_is_not_squared_off() -> None:
    bench = RiskBench()
    run = bench.machine.environment.strategies["S"]
    assert bench.machine.environment.square_off_begins(run.name, CALL, Product.NRML, bench.now) == 0


def test_intraday_position_three_minutes_after_the_venues_time_is_alarmed_once() -> None:
    bench = RiskBench()
    bench.hold(CALL, 65)
    bench.now = to_ns(DAY, time(15, 17, 58))
    assert not [row for row in bench.pass_time(1) if isinstance(row, Alert)]
    late = [row for row in bench.pass_time(2) if isinstance(row, Alert)]
    assert [alert.code for alert in late] == ["SQUARE_OFF_LATE"] and CALL in late[0].subject
    assert not [row for row in bench.pass_time(60) if isinstance(row, Alert)]


@pytest.mark.parametrize("product", [Product.NRML, Product.MIS])
def test_position_still_held_when_its_own_square_off_was_due_is_alarmed_once(product: Product) -> None:
    """The exits are refused, as by a broker whose session is gone: only GOAL_STUCK reported it, a minute after."""
    bench = RiskBench()
    own_time(bench)
    bench.product = product
    bench.hold(CALL, 65)
    bench.now = to_ns(DAY, time(11, 29, 57))
    assert not [row for row in bench.pass_time(2) if isinstance(row, Alert)]
    (missed,) = [row for row in bench.pass_time(2) if isinstance(row, Alert)]
    assert (missed.code, missed.severity) == ("SQUARE_OFF_MISSED", Severity.CRITICAL)
    assert f"S still holds 65 of {CALL} {product}, which was to be flat by 11:30:00" in missed.message
    assert not [row for row in bench.pass_time(60) if isinstance(row, Alert)]


def test_intraday_nrml_still_held_at_a_quarter_past_three_is_alarmed() -> None:
    bench = RiskBench()
    bench.machine.environment.strategies["S"] = msgspec.structs.replace(
        bench.machine.environment.strategies["S"], intraday=True
    )
    bench.product = Product.NRML
    bench.hold(CALL, 65)
    bench.now = to_ns(DAY, time(15, 14, 58))
    assert not [row for row in bench.pass_time(1) if isinstance(row, Alert)]
    assert [row.code for row in bench.pass_time(2) if isinstance(row, Alert)] == ["SQUARE_OFF_MISSED"]
    assert not [row for row in bench.pass_time(300) if isinstance(row, Alert)]


def test_square_off_leaves_ten_machine_seconds_at_high_speed() -> None:
    bench = RiskBench()
    rule = SquareOff(bench.parts[4], {"NFO": time(15, 15)}, speed=60)
    assert rule.closing_begins_ns("NFO", NOW) == to_ns(DAY, time(15, 5))


def test_daily_loss_stops_entries_for_the_day_and_survives_a_restart() -> None:
    bench = RiskBench()
    bench.quote()
    bench.hold(CALL, 0, realised=-10_000.0)
    bench.pass_time(1)
    restarted = RiskBench()
    for row in bench.rows:
        restarted.machine.apply(row)
    restarted.hold(CALL, 0, realised=0.0)
    restarted.now, restarted.machine_ns = bench.now, bench.machine_ns
    restarted.beat()
    restarted.quote()
    assert "DAILY_LOSS" in codes(restarted.intent("z", Leg(instrument=CALL, lots=1)))


def test_daily_loss_takes_back_what_waits_to_be_entered() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.order(entry, OrderState.ACCEPTED)
    rows = bench.hold(PUT, 0, realised=-10_000.0)
    assert [row.instrument for row in rows if isinstance(row, WithdrawEntries)] == [CALL]
    assert bench.pass_time(1) == ()


def test_loss_of_an_earlier_day_does_not_stop_entries_of_a_carried_position_today() -> None:
    bench = RiskBench()
    bench.quote()
    bench.hold(CALL, 65, realised=-10_000.0)
    bench.machine.apply(bench.machine.snapshot("2026-03-19"))
    bench.now += 86_400 * SECOND
    bench.quote(price=99.0)
    assert bench.machine.state.memory.money.profit(("account", "main")) == pytest.approx(-65.0)
    assert bench.machine.limits.entry_blocks("main", "S") == {}


@pytest.mark.parametrize("share, seconds, withdrawn", [(True, 9, False), (True, 11, True), (False, 11, False),
                                                       (False, 61, True)])  # fmt: skip
def test_entry_does_not_rest_where_no_quote_comes(share: bool, seconds: float, withdrawn: bool) -> None:
    bench = RiskBench()
    name = SHARE if share else CALL
    bench.quote(name)
    (entry,) = bench.intent("a", Leg(instrument=name, lots=5 if share else 1))
    bench.order(entry, OrderState.ACCEPTED)
    rows = bench.pass_time(seconds)
    assert [type(row) for row in rows] == ([WithdrawEntries] if withdrawn else [])
    assert bench.pass_time(1) == (), "it is withdrawn once"


def test_entry_is_denied_while_the_positions_were_not_read_for_minutes() -> None:
    bench = RiskBench()
    health = AccountHealth(
        account="main", connected=True, right_mode=True, stream_up=True, books_agree=True,
        last_orders_machine_ns=bench.machine_ns, last_positions_machine_ns=bench.machine_ns - 151 * SECOND,
    )  # fmt: skip
    bench.machine.apply(health)
    bench.quote()
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1))) == ["POSITION_IN_DOUBT"]


@pytest.mark.parametrize("gaps", [{"behind": (WATCH,)}, {"holes": (WATCH,)}, {"holes": (CALL,)}])
def test_entry_is_denied_while_bars_behind_it_are_missing_and_its_exit_is_not(gaps: dict[str, Any]) -> None:
    """A feed that started again was waited for as a whole; a hole that history never filled was traded on."""
    bench = RiskBench()
    bench.quote()
    bench.machine.apply(BarGaps(daemon="feed", **gaps))
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1))) == ["BARS_MISSING"]
    bench.machine.apply(BarGaps(daemon="feed", behind=(SHARE,)))
    (entry,) = bench.intent("b", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.machine.apply(BarGaps(daemon="feed", **gaps))
    assert [type(row) for row in bench.intent("c", action=Action.EXIT)] == [CloseGoal]


@pytest.mark.parametrize("name", [CALL, WATCH])
def test_entry_is_denied_while_the_feed_believes_no_price_of_it_and_its_exit_is_not(name: str) -> None:
    bench = RiskBench()
    bench.quote()
    bench.machine.apply(EntriesClosed(daemon="feed", reasons={name: "its frames say 9, a REST quote 90"}))
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1))) == ["PRICE_DISBELIEVED"]
    bench.machine.apply(EntriesClosed(daemon="feed", reasons={SHARE: "its frames say 9, a REST quote 90"}))
    (entry,) = bench.intent("b", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.machine.apply(EntriesClosed(daemon="feed", reasons={name: "its frames say 9, a REST quote 90"}))
    assert [type(row) for row in bench.intent("c", action=Action.EXIT)] == [CloseGoal]


def test_entry_is_denied_while_the_index_of_its_strike_is_closed_and_another_index_denies_nothing() -> None:
    bench = RiskBench()
    bench.quote()
    bench.machine.apply(EntriesClosed(daemon="feed", reasons={WATCH: "no price"}))
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1), watch=SHARE)) == ["PRICE_DISBELIEVED"]
    bench.machine.apply(EntriesClosed(daemon="feed", reasons={"NSE_INDEX:BANKNIFTY": "no price"}))
    (entry,) = bench.intent("b", Leg(instrument=CALL, lots=1), watch=SHARE)
    assert isinstance(entry, PlaceEntry)


def test_entry_is_denied_while_anybodys_position_there_is_disputed() -> None:
    bench = RiskBench()
    bench.quote()
    disputed = Position(
        account="main", instrument=CALL, product=Product.MIS, strategy="other", run="r", quantity=65, quantity_seen=65,
        average_price=100.0, opened_ns=bench.now, updated_ns=bench.now, confidence=Confidence.DISPUTED,
    )  # fmt: skip
    bench.give(PositionChanged(position=disputed, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=bench.now))
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=1))) == ["POSITION_IN_DOUBT"]


def test_replayed_rows_give_the_same_state_and_decide_nothing_again() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    bench.intent("b", action=Action.EXIT)
    again = RiskBench()
    for row in bench.rows:
        again.machine.apply(row)
    assert again.machine.snapshot("2026-03-18") == bench.machine.snapshot("2026-03-18")
    assert decisions(again.machine.decide(TimerFired(name="risk", machine_ns=bench.machine_ns), bench.now)) == ()


def test_next_day_begins_with_what_the_day_before_left() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    tomorrow = RiskBench()
    tomorrow.machine.apply(bench.machine.snapshot("2026-03-19"))
    assert tomorrow.machine.snapshot("2026-03-19") == bench.machine.snapshot("2026-03-19")
    tomorrow.quote()
    assert tomorrow.intent("a", Leg(instrument=CALL, lots=1)) == ()


def test_refused_contracts_deny_entries_and_are_still_closed() -> None:
    bench = RiskBench()
    bench.machine.environment.master = Snapshot(
        day=TODAY, fetched_ns=1, refusals=(InstrumentRefusal("NIFTY", "the list was cut short"),)
    )
    (denied,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    assert (denied.code, denied.message[:22]) == ("INSTRUMENTS_REFUSED", "the list was cut short")
    bench.quote()
    bench.hold(CALL, 65)
    assert [type(row) for row in bench.intent("b", action=Action.EXIT)] == [CloseGoal]


def test_contracts_of_other_underlyings_are_entered_while_one_is_refused() -> None:
    bench = RiskBench()
    bench.machine.environment.master = Snapshot(
        day=TODAY, fetched_ns=1, refusals=(InstrumentRefusal("NIFTY", "the list was cut short"),)
    )
    bench.quote(SHARE)
    assert [type(row) for row in bench.intent("c", Leg(instrument=SHARE, lots=5))] == [PlaceEntry]


def test_intent_waits_for_the_instruments_of_its_day_and_is_denied_without_them() -> None:
    bench = RiskBench()
    bench.machine.environment.master = Snapshot(day="2026-03-16", fetched_ns=1)
    bench.quote()
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    bench.machine.environment.master = Snapshot(day=TODAY, fetched_ns=1)
    assert [type(row) for row in bench.quote(price=101.0)] == [PlaceEntry]
    bench = RiskBench()
    bench.machine.environment.master = Snapshot(day="2026-03-16", fetched_ns=1)
    bench.quote()
    bench.intent("a", Leg(instrument=CALL, lots=1))
    (late,) = bench.pass_time(61)
    assert "those at hand are of 2026-03-16" in late.message


def test_denials_page_is_that_of_the_table() -> None:
    page = (ROOT / "docs" / "denials.md").read_text(encoding="utf-8")
    assert page == denials_page(), "make it anew: write core.risk.pretrade.rule_table.denials_page() to docs/denials.md"
    assert len({rule.code for rule in RULES}) == len(RULES)


def _goal(goal: CloseGoal, state: str) -> Goal:
    return Goal(
        id=goal.id, account=goal.account, instrument=goal.instrument, product=goal.product, strategy=goal.strategy,
        run=goal.run, cause=goal.cause, reason=goal.reason, purpose=goal.purpose, state=state,
    )  # fmt: skip


def test_entry_in_an_instrument_with_a_row_nobody_can_read_is_denied_and_in_no_other() -> None:
    bench = RiskBench()
    health = bench.machine.state.health["main"]
    bench.machine.apply(msgspec.structs.replace(health, unread=(CALL,)))
    bench.quote()
    (denied,) = bench.intent("s1", Leg(instrument=CALL, lots=1))
    assert denied.code == "POSITION_IN_DOUBT"
    bench.quote(PUT)
    (entry,) = bench.intent("s2", Leg(instrument=PUT, lots=1))
    assert isinstance(entry, PlaceEntry)
