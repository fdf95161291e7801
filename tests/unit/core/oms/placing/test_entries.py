"""Entries: admitted once, sent in turn and within the budget, withdrawn or denied with a record."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.account_events import AccountModeChanged, InstrumentHalted
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.control import ModeCleared, StrategySwitch, TradingState, WithdrawRequested
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Side, TradingLevel
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.orders import CallOutcome, OrderChanged
from mytrading.messages.reports import ModeSeen, ReadRequest
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, TELLS_TRIGGERED, OrderBench


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def events(rows: list[object]) -> list[str]:
    return [row.event for row in rows if isinstance(row, OrderChanged)]


def level(bench: OrderBench, wanted: TradingLevel, generation: int = 1) -> None:
    bench.step(TradingState(level=wanted, generation=generation, reason="test", at_ns=bench.now))


def test_entry_is_sent_at_once(bench: OrderBench) -> None:
    assert events(bench.enter("e1")) == ["submitted"]
    assert bench.order("e1").call.attempt == 1


def test_entry_waits_for_the_first_order_book() -> None:
    bench = OrderBench()
    rows = bench.enter("e1")
    assert events(rows) == ["initialized"] and any(isinstance(row, ReadRequest) for row in rows)
    assert "submitted" in events(bench.read())


def test_entry_with_a_used_id_is_ignored_for_ever(bench: OrderBench) -> None:
    bench.enter("e1")
    assert bench.enter("e1") == []
    bench.accept()
    for day in ("2026-11-23", "2026-11-24"):
        bench.machine.apply(bench.machine.snapshot(day))
    assert bench.enter("e1") == []


def test_entry_of_the_same_key_and_side_waits_for_the_call_that_is_out(bench: OrderBench) -> None:
    bench.enter("e1")
    assert events(bench.enter("e2")) == ["initialized"]
    bench.accept()
    assert bench.order("e2").state is OrderState.SUBMITTED


def test_entry_is_late_only_by_both_clocks(bench: OrderBench) -> None:
    bench.enter("e1", expires_ns=bench.now - 1, expires_machine_ns=bench.time + SECOND)
    bench.enter("e2", expires_ns=bench.now - 1, expires_machine_ns=bench.machine.state.machine_ns - 1)
    assert bench.order("e1").state is OrderState.SUBMITTED
    assert bench.order("e2").state is OrderState.EXPIRED


def test_entry_expires_while_it_waits(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.enter("e2", expires_ns=bench.now + SECOND, expires_machine_ns=bench.time + SECOND)
    bench.tick(2 * SECOND)
    assert bench.order("e2").state is OrderState.EXPIRED and not bench.order("e2").call.attempt


def test_budget_holds_in_a_rolling_second(bench: OrderBench) -> None:
    for number in range(12):
        bench.enter(f"e{number}", instrument=f"NFO:{number}")
    assert len(bench.calls) == 8
    for call in list(bench.calls):
        bench.accept(call)
    bench.tick(900 * MS)
    assert bench.calls == []
    bench.tick(300 * MS)
    assert len(bench.calls) == 4


def test_budget_counts_a_call_while_it_is_out_but_not_for_ever(bench: OrderBench) -> None:
    for number in range(12):
        bench.enter(f"e{number}", instrument=f"NFO:{number}")
    bench.tick(2 * SECOND)
    assert len(bench.calls) == 8
    bench.tick(1 * SECOND)
    assert len(bench.calls) == 12


def test_budget_never_has_more_calls_out_than_connections_and_keeps_one_for_exits() -> None:
    bench = OrderBench(OmsLimits(calls_at_once=3, calls_kept=1))
    bench.hold("e1")
    for number in range(2, 6):
        bench.enter(f"e{number}", instrument=f"NFO:{number}")
    assert len(bench.calls) == 2
    bench.close("g1")
    assert [call.order.links.goal for call in bench.calls] == ["", "", "g1"]
    bench.enter("e6", instrument="NFO:6")
    bench.tick(10 * SECOND)
    assert len(bench.calls) == 3


def test_budget_gives_a_cancel_that_an_exit_waits_for_the_rank_of_the_exit() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=1))
    bench.hold("e1")
    bench.enter("other", instrument="NFO:B", strategy="s2")
    bench.tick(2 * SECOND)
    bench.accept()
    bench.tick(2 * SECOND)
    bench.enter("own")
    bench.accept()
    bench.enter("blocks", instrument="NFO:C")
    bench.step(WithdrawEntries(id="w", cause="w", strategy="s2"))
    bench.close("g1")
    bench.tick(2 * SECOND)
    cancels = [call.order.client_order_id for call in bench.calls if call.call is Call.CANCEL]
    assert cancels == ["own"]


def test_budget_survives_a_restart(bench: OrderBench) -> None:
    for number in range(12):
        bench.enter(f"e{number}", instrument=f"NFO:{number}")
    bench.crash()
    bench.tick(100 * MS)
    assert bench.calls == []
    bench.tick(1 * SECOND)
    assert len(bench.calls) == 4


def test_budget_goes_to_exits_first() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=1))
    bench.hold("e1")
    bench.tick(2 * SECOND)
    bench.enter("e2", instrument="NFO:B")
    bench.enter("e3", instrument="NFO:C")
    bench.close("g1")
    bench.accept()
    bench.tick(2 * SECOND)
    assert bench.calls[-1].order.links.goal == "g1"
    bench.accept()
    bench.tick(2 * SECOND)
    assert bench.calls[-1].order.client_order_id == "e3"


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.RATE_LIMITED])
def test_call_that_was_not_made_is_repeated_with_growing_delay(bench: OrderBench, outcome: Outcome) -> None:
    bench.enter("e1")
    bench.tick(2 * SECOND)
    for wait in (250 * MS, 500 * MS, 1000 * MS):
        bench.end(bench.calls[0], outcome)
        bench.tick(wait - 100 * MS)
        assert bench.calls == [] and bench.order("e1").state is OrderState.INITIALIZED
        bench.tick(1100 * MS)
        assert len(bench.calls) == 1
    assert bench.order("e1").call.attempt == 4


def test_outcome_of_an_earlier_attempt_says_nothing(bench: OrderBench) -> None:
    bench.enter("e1")
    first = bench.calls[0]
    bench.tick(SECOND)
    bench.end(first, Outcome.NOT_SENT)
    bench.tick(2 * SECOND)
    assert bench.order("e1").state is OrderState.SUBMITTED
    repeated = CallOutcome(
        client_order_id="e1",
        account=ACCOUNT,
        call=Call.PLACE,
        outcome=Outcome.NOT_SENT,
        began_machine_ns=first.began,
        ended_machine_ns=bench.time,
    )
    assert bench.step(repeated) == []


def test_refused_entry_is_rejected_and_not_repeated(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.end(bench.calls[0], Outcome.REFUSED, message="margin")
    bench.tick(60 * SECOND)
    assert bench.order("e1").state is OrderState.REJECTED and bench.calls == []
    assert bench.order("e1").message == "margin"


def test_recorded_entry_of_a_dry_run_ends_under_its_own_name(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.end(bench.calls[0], Outcome.RECORDED, message="dry run: would send")
    bench.tick(60 * SECOND)
    assert bench.order("e1").state is OrderState.RECORDED and bench.calls == []
    assert bench.order("e1").message == "dry run: would send"


@pytest.mark.parametrize("wanted", [TradingLevel.HALT, TradingLevel.REDUCE])
def test_halt_ends_unsent_entries_with_a_record(bench: OrderBench, wanted: TradingLevel) -> None:
    bench.enter("e1")
    bench.enter("e2")
    level(bench, wanted)
    assert bench.order("e2").state is OrderState.CANCELLED
    bench.enter("e3", instrument="NFO:C")
    assert bench.order("e3").state is OrderState.DENIED and "HALTED" in bench.order("e3").message
    level(bench, TradingLevel.NORMAL, 2)
    bench.enter("e4", instrument="NFO:C")
    assert bench.order("e4").state is OrderState.SUBMITTED


def test_halt_of_an_older_generation_is_ignored(bench: OrderBench) -> None:
    level(bench, TradingLevel.NORMAL, 5)
    level(bench, TradingLevel.HALT, 4)
    bench.enter("e1")
    assert bench.order("e1").state is OrderState.SUBMITTED


def test_halt_never_stops_exits(bench: OrderBench) -> None:
    bench.hold("e1")
    level(bench, TradingLevel.HALT)
    bench.close("g1")
    assert bench.calls[0].order.links.goal == "g1"


def test_switched_off_strategy_enters_no_more(bench: OrderBench) -> None:
    bench.step(StrategySwitch(strategy="s1", enabled=False, generation=1, at_ns=bench.now))
    bench.enter("e1")
    assert "SWITCHED_OFF" in bench.order("e1").message


def test_withdraw_cancels_unsent_out_and_resting_entries(bench: OrderBench) -> None:
    bench.enter("rests")
    placed = bench.accept()
    bench.enter("out")
    bench.enter("unsent")
    bench.step(WithdrawRequested(id="w1", reason="down", at_ns=bench.now))
    assert bench.order("unsent").state is OrderState.CANCELLED
    assert [call.order.client_order_id for call in bench.calls] == ["out", "rests"]
    bench.cancel()
    bench.read()
    assert bench.order("rests").state is OrderState.CANCELLED and not placed.open
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    assert bench.order("out").state is OrderState.CANCELLED


def test_run_that_is_stopped_enters_no_more_but_exits_and_the_next_run_enters(bench: OrderBench) -> None:
    bench.step(run_started(7))
    bench.see_mode()
    bench.hold("held")
    bench.step(WithdrawRequested(id="w1", reason="down", at_ns=bench.now, stops_run_ns=7))
    bench.enter("late")
    assert bench.order("late").state is OrderState.DENIED and bench.order("late").message.startswith("STOPPING: ")
    bench.step(run_started(7))  # the router was killed during `down`
    bench.see_mode()
    bench.step(WithdrawRequested(id="w2", reason="the router stops", at_ns=bench.now))
    bench.enter("later")
    assert bench.order("later").message.startswith("STOPPING: ")
    bench.close("g1")
    assert bench.calls[0].order.links.goal == "g1"
    bench.step(run_started(8))
    bench.see_mode()
    bench.enter("next")
    assert bench.order("next").state is not OrderState.DENIED


def test_opposed_entry_of_another_owner_is_denied(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.enter("e2", strategy="s2", side=Side.SELL)
    assert bench.order("e2").state is OrderState.DENIED and bench.order("e2").message.startswith("OPPOSED")


def test_opposed_entry_to_one_that_is_out_is_denied(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.enter("e2", strategy="s2", side=Side.SELL)
    assert bench.order("e2").message.startswith("OPPOSED")


def test_entry_against_ones_own_position_waits_for_its_close(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.enter("e2", side=Side.SELL)
    assert bench.order("e2").message.startswith("REVERSES")
    bench.close("g1")
    bench.enter("e3", side=Side.SELL)
    assert bench.order("e3").state is OrderState.INITIALIZED
    exit_order = bench.accept()
    bench.broker.trade(exit_order, 50, 101.0)
    bench.report(exit_order)
    bench.read()
    assert bench.order("e3").state is OrderState.SUBMITTED


def test_wrong_mode_sends_nothing_of_any_purpose_until_cleared(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.enter("e2", instrument="NFO:B")
    bench.end(bench.calls[0], Outcome.WRONG_MODE, message="analyze")
    assert bench.order("e2").state is OrderState.UNKNOWN and bench.machine.wrong_mode_message(ACCOUNT)
    bench.close("g1")
    bench.enter("e3", instrument="NFO:C")
    bench.tick(10 * SECOND)
    assert bench.calls == [] and "WRONG_MODE" in bench.order("e3").message
    assert bench.read() == []
    bench.step(ModeCleared(account=ACCOUNT, at_ns=bench.now))
    bench.tick()
    assert bench.calls == [], "cleared, but not seen in the right mode yet"
    bench.see_mode()
    assert [call.order.links.goal for call in bench.calls] == ["g1"]


def test_mode_seen_as_expected_clears_nothing(bench: OrderBench) -> None:
    bench.step(ModeSeen(account=ACCOUNT, mode="live", expected=False, machine_ns=bench.time))
    bench.step(ModeSeen(account=ACCOUNT, mode="analyze", expected=True, machine_ns=bench.time))
    assert bench.machine.wrong_mode_message(ACCOUNT)


def test_nothing_is_sent_before_the_servers_mode_was_seen_in_this_run(bench: OrderBench) -> None:
    """A paper position of yesterday must not be closed at a server that was switched to live overnight."""
    bench.hold("e1")
    bench.crash()
    bench.step(run_started())
    bench.close("g1")
    bench.enter("e2", instrument="NFO:B")
    bench.tick(5 * SECOND)
    assert bench.calls == []
    assert bench.order("e2").state is OrderState.INITIALIZED
    bench.see_mode()
    assert {call.order.links.goal or call.order.client_order_id for call in bench.calls} == {"g1", "e2"}


def test_seen_mode_is_recorded_once(bench: OrderBench) -> None:
    bench.step(run_started())
    first, second = bench.see_mode(), bench.see_mode()
    assert [row.mode for row in first if isinstance(row, AccountModeChanged)] == ["analyze"]
    assert second == []


def run_started(run_ns: int = 0) -> RunStarted:
    return RunStarted(
        daemon="router", pid=1, version="1", schema=1, config_hash="", machine_ns=1, market_ns=1, speed=1.0,
        run_ns=run_ns,
    )  # fmt: skip


def test_illegal_return_to_life_halts_the_instrument_until_resumed(bench: OrderBench) -> None:
    bench.enter("e1")
    placed = bench.accept()
    placed.status = BrokerStatus.CANCELLED
    bench.report(placed)
    bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED
    placed.status = BrokerStatus.OPEN
    bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED
    bench.tick(16 * SECOND)
    rows = bench.read()
    assert "illegal" in events(rows) and any(isinstance(row, InstrumentHalted) for row in rows)
    assert bench.order("e1").state is OrderState.ACCEPTED
    bench.enter("e2")
    assert "INSTRUMENT_HALTED" in bench.order("e2").message
    level(bench, TradingLevel.NORMAL, 9)
    bench.enter("e3")
    assert bench.order("e3").state is OrderState.SUBMITTED


def test_entry_that_rests_beyond_its_validity_is_withdrawn(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", order_type=OrderType.LIMIT, price=90.0, rests_until_ns=bench.now + 30 * SECOND)
    bench.accept()
    bench.read()
    asked = bench.reads_wanted
    for _ in range(25):
        bench.tick(SECOND)
    assert not bench.calls and bench.reads_wanted == asked, "what rests as it should is not read for"
    bench.tick(10 * SECOND)
    bench.cancel()
    bench.read()
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.CANCELLED, 0)
    assert "validity" in bench.order("e1").message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"order_type": OrderType.LIMIT}, "a price above 0"),
        ({"order_type": OrderType.SL, "price": 90.0}, "a trigger above 0"),
    ],
)
def test_entry_without_the_price_of_its_type_is_denied(bench: OrderBench, fields: dict[str, Any], words: str) -> None:
    bench.read()
    bench.enter("e1", **fields)
    assert bench.order("e1").state is OrderState.DENIED and words in bench.order("e1").message


def test_stop_limit_entry_triggers_fills_and_is_guarded() -> None:
    bench = OrderBench(words=TELLS_TRIGGERED)
    bench.read()
    plan = {"stop_trigger": 90.0, "stop_limit": 87.0}
    bench.enter("e1", order_type=OrderType.SL, price=104.0, trigger_price=101.0, **plan)
    placed = bench.accept()
    assert (placed.order_type, placed.trigger_price, placed.price) == (OrderType.SL, 101.0, 104.0)
    bench.read()
    bench.broker.trigger(placed)
    bench.read()
    assert bench.order("e1").state is OrderState.TRIGGERED
    bench.broker.trade(placed, 50, 103.0)
    bench.report(placed)
    bench.read()
    assert bench.position().quantity == 50
    assert [call.order.trigger_price for call in bench.calls] == [90.0]


def test_signal_in_ten_accounts_goes_out_at_once_in_each_whatever_the_others_wait_for() -> None:
    bench = OrderBench()
    accounts = [f"a{number}" for number in range(10)]
    for account in accounts:
        bench.step(ModeSeen(account=account, mode="analyze", expected=True, machine_ns=bench.time))
        bench.read(account=account)
    for account in accounts:
        bench.enter(f"of-{account}", account=account)
    assert [call.order.client_order_id for call in bench.calls] == [f"of-{account}" for account in accounts]
    assert {bench.order(f"of-{account}").state for account in accounts} == {OrderState.SUBMITTED}
