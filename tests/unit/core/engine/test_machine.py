"""The engine's machine: once per signal, in time, with the right legs, over restarts, and faults alone."""

from __future__ import annotations

from typing import ClassVar

import pytest
from msgspec.structs import replace

from mytrading.core.engine.active_signals import signal_id
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.instruments.book import InstrumentBook
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action, OrderState, Product, Purpose, Side
from mytrading.messages.instruments import InstrumentRefusal
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, GoalChanged, OrderChanged, TradeClosed
from mytrading.messages.run_config import Direction, ExpiryRule, TradeKind, TradeRule
from mytrading.messages.signals import Leg, Signal, SignalVetoed, StrategyFaulted
from mytrading.strategies import BaseStrategy
from tests.kit.engine_bench import (
    BUY_CALL,
    BUY_PUT,
    DOWN,
    MINUTE,
    NIFTY,
    NOTHING,
    OPEN,
    OUT,
    SBIN,
    UP,
    Level,
    drive,
    make_bar,
    make_bars,
    make_book,
    make_machine,
    make_run,
    moved,
    order_event,
    random_walk,
    step,
)


class Chart(Level):
    """The same over an index at 26 000."""

    def on_data(self, data):
        base = data.close - 26_000
        return self.create_signal("BUY") if base > 5 else self.create_signal("SELL") if base < -5 else None


def signals(rows):
    return [row for row in rows if isinstance(row, Signal)]


def test_signal_becomes_a_signal_with_everything_risk_needs():
    machine = make_machine(Level, make_run(lots=3, product=Product.CNC))
    (signal,) = step(machine, make_bar(4, UP))
    assert (signal.strategy, signal.watch, signal.action, signal.product) == ("Sample", SBIN, Action.BUY, Product.CNC)
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [(SBIN, 3)]
    end = OPEN + 5 * MINUTE
    assert (signal.bar_ns, signal.expires_ns, signal.trace_ns) == (end, end + MINUTE, end)
    assert signal.expires_machine_ns == end + 2_000_000_000
    assert signal.price == UP


class Stopped(BaseStrategy):
    """Long, with a stop one below the close."""

    def on_data(self, data):
        return self.create_signal("BUY", stop_price=data.close - 1)


def test_stop_goes_with_the_leg_that_is_traded_at_the_watched_price():
    (signal,) = step(make_machine(Stopped), make_bar(4, UP))
    assert [leg.stop_price for leg in signal.legs] == [UP - 1]


def test_stop_in_the_price_of_an_index_is_refused_where_an_option_is_traded():
    machine = make_machine(Stopped, make_run(symbols=(NIFTY,), long=BUY_CALL))
    assert signals(step(machine, make_bar(4, 26_010.0, NIFTY))) == []
    (problem,) = machine.problems.values()
    assert "stop_price 26009 is a level of NSE_INDEX:NIFTY" in problem


def test_id_is_the_same_for_the_same_signal_in_another_process():
    first = step(make_machine(Level), make_bar(4, UP))[0]
    second = step(make_machine(Level), make_bar(4, UP), now=OPEN + 5 * MINUTE + 7)[0]
    assert first.id == second.id
    assert first.id != signal_id("Sample", SBIN, Action.SELL, first.legs, first.bar_ns)


def test_id_of_a_signal_stays_what_it_was_in_versions_before() -> None:
    """A restart into a new version meets the signals and orders of the old one under these ids."""
    bought = Leg(instrument="NFO:A", lots=1, limit_price=1.5, target_price=9.0)
    sold = Leg(instrument="NFO:B", lots=-2, stop_price=3.05, stop_buffer=1.0, profile="p", product=Product.MIS)
    assert signal_id("S", "W", Action.BUY, (bought, sold), 7) == "35efde9663b522b1"
    assert signal_id("S", "W", Action.EXIT, (), 7) == "82f994dcc1d73641"


def test_repeat_is_held_back_while_its_order_lives():
    machine = make_machine(Level)
    (signal,) = step(machine, make_bar(0, UP))
    step(machine, order_event(signal, OrderState.ACCEPTED))
    assert all(step(machine, make_bar(k, UP)) == () for k in range(1, 6))


def test_repeat_is_held_back_while_the_position_shows_it():
    machine = make_machine(Level)
    step(machine, make_bar(0, UP))
    step(machine, moved("Sample", SBIN, 1))
    assert all(step(machine, make_bar(k, UP)) == () for k in range(1, 6))


INFY, TCS = Leg(instrument="NSE:INFY", lots=1), Leg(instrument="NSE:TCS", lots=1)


class Ranked(BaseStrategy):
    """Wants SBIN above 105, else INFY, else TCS."""

    def on_data(self, data):
        if data.close > 105:
            return self.create_signal("BUY", legs=[Leg(instrument=SBIN, lots=1)], otherwise=[INFY, TCS])
        return None


def names(rows):
    return [leg.instrument for signal in signals(rows) for leg in signal.legs]


def test_next_candidate_is_signalled_for_when_the_broker_rejects_the_first():
    machine = make_machine(Ranked)
    (first,) = step(machine, make_bar(0, UP))
    (second,) = step(machine, order_event(first, OrderState.REJECTED))
    assert names([second]) == [INFY.instrument] and second.id != first.id
    assert (second.expires_ns, second.instead_of) == (first.expires_ns, first.legs)
    assert step(machine, order_event(first, OrderState.REJECTED)) == ()
    (third,) = step(machine, order_event(second, OrderState.REJECTED))
    assert names([third]) == [TCS.instrument]
    assert step(machine, order_event(third, OrderState.REJECTED)) == ()


def test_strategy_that_signals_the_same_again_keeps_the_candidate_it_got():
    machine = make_machine(Ranked)
    (first,) = step(machine, make_bar(0, UP))
    (second,) = step(machine, order_event(first, OrderState.REJECTED))
    step(machine, order_event(second, OrderState.ACCEPTED))
    assert step(machine, make_bar(1, UP)) == ()


@pytest.mark.parametrize("state", [OrderState.DENIED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.LOST])
def test_no_candidate_is_tried_after_another_end(state):
    machine = make_machine(Ranked)
    (first,) = step(machine, make_bar(0, UP))
    assert step(machine, order_event(first, state)) == ()


def in_two_accounts():
    machine = make_machine(Ranked, make_run(accounts=("a", "b")))
    (first,) = step(machine, make_bar(0, UP))
    for account in ("a", "b"):
        step(machine, order_event(first, OrderState.SUBMITTED, account=account))
    return machine, first


def test_next_candidate_is_signalled_for_once_the_brokers_of_all_accounts_have_rejected_the_first():
    machine, first = in_two_accounts()
    assert step(machine, order_event(first, OrderState.REJECTED, account="a")) == ()
    (second,) = step(machine, order_event(first, OrderState.REJECTED, account="b"))
    assert names([second]) == [INFY.instrument]
    assert second.reason == "NSE:SBIN was rejected in a, b"
    assert step(machine, order_event(first, OrderState.REJECTED, account="a")) == ()
    assert step(machine, order_event(second, OrderState.REJECTED, account="b")) == ()
    (third,) = step(machine, order_event(second, OrderState.REJECTED, account="a"))
    assert names([third]) == [TCS.instrument]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_next_candidate_is_not_tried_before_the_other_account_answered(order):
    """The rejection of one may be reported before anything of the other."""
    machine = make_machine(Ranked, make_run(accounts=("a", "b")))
    (first,) = step(machine, make_bar(0, UP))
    assert step(machine, order_event(first, OrderState.REJECTED, account=order[0])) == ()
    (second,) = step(machine, order_event(first, OrderState.REJECTED, account=order[1]))
    assert names([second]) == [INFY.instrument]


@pytest.mark.parametrize(
    ("state", "filled"),
    [
        (OrderState.FILLED, 1),
        (OrderState.PARTIALLY_FILLED, 1),
        (OrderState.ACCEPTED, 0),
        (OrderState.UNKNOWN, 0),
        (OrderState.DENIED, 0),
        (OrderState.CANCELLED, 0),
        (OrderState.LOST, 0),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_no_candidate_takes_the_place_of_what_another_account_has_or_may_get(state, filled, before):
    """A signal is one for all accounts: another candidate would close what one of them holds."""
    machine, first = in_two_accounts()
    reported = order_event(first, state, filled=filled, account="b")
    if before:
        step(machine, reported)
    rows = step(machine, order_event(first, OrderState.REJECTED, account="a"))
    if not before:
        rows += step(machine, reported)
    assert signals(rows) == []


@pytest.mark.parametrize("state", [OrderState.DENIED, OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED])
def test_repeat_is_allowed_after_the_order_ended_unfilled(state):
    machine = make_machine(Level)
    (signal,) = step(machine, make_bar(0, UP))
    step(machine, order_event(signal, OrderState.ACCEPTED))
    step(machine, order_event(signal, state))
    (again,) = step(machine, make_bar(1, UP))
    assert again.id != signal.id


def test_repeat_is_allowed_once_a_bar_when_no_order_came_of_it():
    machine = make_machine(Level)
    found = [len(signals(step(machine, make_bar(k, UP)))) for k in range(4)]
    assert found == [1, 1, 1, 1]


def test_repeat_waits_for_the_machine_time_floor_when_market_time_is_fast():
    machine = make_machine(Level)
    bars = [make_bar(k, UP, received_ns=1_000_000_000 + k * 600_000_000) for k in range(6)]
    assert [len(signals(step(machine, bar))) for bar in bars] == [1, 0, 0, 0, 1, 0]


def test_position_gone_uses_the_signal_up():
    machine = make_machine(Level)
    (signal,) = step(machine, make_bar(0, UP))
    step(machine, order_event(signal, OrderState.FILLED, filled=1))
    step(machine, moved("Sample", SBIN, 1))
    step(machine, moved("Sample", SBIN, 0))
    assert len(signals(step(machine, make_bar(1, UP)))) == 1


@pytest.mark.parametrize(
    ("between", "rearmed"),
    [((), False), ((UP,), False), ((OUT,), True), ((DOWN,), True), ((NOTHING,), True), ((UP, NOTHING), True)],
)
def test_signal_whose_position_was_stopped_counts_again_after_a_bar_without_it(between, rearmed):
    """Between the stop and the next signal of the same: nothing, the same each bar, or a bar with another or none."""
    machine = make_machine(Level, make_run(direction=Direction.LONG))
    step(machine, make_bar(0, UP))
    step(machine, moved("Sample", SBIN, 1))
    step(machine, moved("Sample", SBIN, 0))
    for k, close in enumerate(between, 1):
        machine.apply(make_bar(k, close))
    (again,) = signals(step(machine, make_bar(len(between) + 1, UP)))
    assert again.rearmed is rearmed


def at(k, quantity, **changes):
    """The position row of a fill within the k-th minute."""
    return replace(moved("Sample", SBIN, quantity, **changes), at_ns=OPEN + k * MINUTE + MINUTE // 2)


def recovered(machine, rows, how):
    """The machine as it goes on: itself, or another one that has read these rows and then begun."""
    if not how:
        return machine
    again = EngineMachine([make_run()], {"Sample": Level}, make_book())
    for row in rows:
        again.apply(row)
    again.open([])
    return again


@pytest.mark.parametrize("how", ["", "restarted"])
@pytest.mark.parametrize(
    ("between", "rearmed"),
    [
        ((UP,), False),
        ((UP, UP, UP), False),
        ((UP, NOTHING), True),
        ((UP, UP, OUT), True),
        ((UP, NOTHING, NOTHING), True),
    ],
)
def test_denied_signal_after_a_target_counts_again_after_a_bar_without_it(between, rearmed, how):
    """The signals in between are sent, and risk denies them."""
    machine = make_machine(Level)
    rows = [*step(machine, make_bar(0, UP)), at(1, 1), at(1, 0)]
    for row in rows[1:]:
        machine.apply(row)
    rows += step(machine, make_bar(1, UP))
    machine = recovered(machine, rows, how)
    for k, close in enumerate(between, 2):
        step(machine, make_bar(k, close))
    (again,) = signals(step(machine, make_bar(len(between) + 2, UP)))
    assert again.rearmed is rearmed


@pytest.mark.parametrize("how", ["", "restarted"])
@pytest.mark.parametrize(("after", "rearmed"), [((), False), ((DOWN,), False), ((NOTHING,), True), ((DOWN, OUT), True)])
def test_bars_before_the_target_of_a_reversed_position_do_not_count(after, rearmed, how):
    machine = make_machine(Level)
    rows = [*step(machine, make_bar(0, UP)), at(1, 1)]
    machine.apply(rows[-1])
    rows += [*step(machine, make_bar(1, DOWN)), at(2, 0), at(2, -1)]
    for row in rows[-2:]:
        machine.apply(row)
    for k in (2, 3, 4):
        assert step(machine, make_bar(k, NOTHING)) == ()
    rows.append(at(5, 0))
    machine.apply(rows[-1])
    machine = recovered(machine, rows, how)
    for k, close in enumerate(after, 5):
        step(machine, make_bar(k, close))
    (again,) = signals(step(machine, make_bar(5 + len(after), DOWN)))
    assert (again.action, again.rearmed) == (Action.SELL, rearmed)


def test_position_is_seen_on_its_own_side_until_it_is_closed_for_the_other():
    """A part of the exit has filled: who took that for the new position would think that it is there."""
    machine = make_machine(Level)
    step(machine, make_bar(0, UP))
    step(machine, moved("Sample", SBIN, 2))
    step(machine, make_bar(1, DOWN))
    step(machine, moved("Sample", SBIN, 1))
    (host,) = machine.hosts
    assert host.workspace.positions[SBIN].is_long
    step(machine, moved("Sample", SBIN, 0))
    assert host.workspace.positions[SBIN].is_flat
    step(machine, moved("Sample", SBIN, -1))
    assert host.workspace.positions[SBIN].is_short


BANK = "NSE_INDEX:BANKNIFTY"
SHARED = TradeRule(kind=TradeKind.FUTURE, side=Side.BUY, underlying="NIFTY")


@pytest.mark.parametrize("held", [True, False])
def test_position_stays_with_the_watched_instrument_whose_entry_filled(held):
    """Both lead to the same future, and risk denies the second: what the first holds is the first's to close."""
    machine = make_machine(Chart, make_run(symbols=(NIFTY, BANK), long=SHARED, short=None, direction=Direction.LONG))
    (first,) = signals(step(machine, make_bar(0, 26_010.0, NIFTY)))
    order = replace(order_event(first, OrderState.SUBMITTED).order, instrument=first.legs[0].instrument)
    fill = moved("Sample", order.instrument, 75)
    if held:
        step(machine, OrderChanged(event="submitted", order=order, machine_ns=0))
        step(machine, fill)
    (second,) = signals(step(machine, make_bar(0, 26_010.0, BANK)))
    assert second.legs == first.legs
    if not held:
        step(machine, OrderChanged(event="submitted", order=order, machine_ns=0))
    step(machine, fill)
    (host,) = machine.hosts
    assert [host.workspace.positions[name].quantity for name in (NIFTY, BANK)] == [75, 0]
    (leaves,) = signals(step(machine, make_bar(1, 25_990.0, NIFTY)))
    assert (leaves.watch, leaves.action) == (NIFTY, Action.EXIT)


def test_entry_on_its_way_is_shown_as_it_was_asked_for_though_the_other_side_is_signalled_since():
    machine = make_machine(Level, make_run(lots=3))
    (signal,) = signals(step(machine, make_bar(0, UP)))
    step(machine, order_event(signal, OrderState.ACCEPTED))
    step(machine, make_bar(1, DOWN))
    found = machine.entries.entry_view("Sample", SBIN, OPEN + 2 * MINUTE)
    assert (found.lots, found.units) == (3, 1)


def test_exit_when_flat_says_nothing():
    assert step(make_machine(Level), make_bar(0, OUT)) == ()


def test_exit_while_an_entry_is_under_way_is_said():
    machine = make_machine(Level)
    (entry,) = step(machine, make_bar(0, UP))
    step(machine, order_event(entry, OrderState.ACCEPTED))
    (signal,) = step(machine, make_bar(1, OUT))
    assert (signal.action, signal.legs) == (Action.EXIT, ())


def test_exit_is_not_repeated_while_a_goal_works_on_it():
    machine = make_machine(Level)
    step(machine, moved("Sample", SBIN, 5))
    (signal,) = step(machine, make_bar(0, OUT))
    goal = Goal(
        id="g", account="main", instrument=SBIN, product=Product.MIS, strategy="Sample", run="r1", cause=signal.id,
        reason="", purpose=Purpose.EXIT,
    )  # fmt: skip
    step(machine, GoalChanged(goal=goal, at_ns=0))
    assert all(step(machine, make_bar(k, OUT)) == () for k in range(1, 5))


def test_exit_is_said_while_a_goal_works_on_the_same_instrument_in_another_account_alone():
    """The exit of an account whose key was revoked is stuck: the other account's must not wait for it."""
    machine = make_machine(Level)
    there = moved("Sample", SBIN, 5)
    step(machine, there)
    step(machine, replace(there, position=replace(there.position, account="second")))
    goal = Goal(
        id="g", account="second", instrument=SBIN, product=Product.MIS, strategy="Sample", run="r1", cause="flatten",
        reason="", purpose=Purpose.EXIT,
    )  # fmt: skip
    step(machine, GoalChanged(goal=goal, at_ns=0))
    (signal,) = step(machine, make_bar(0, OUT))
    assert (signal.action, signal.watch) == (Action.EXIT, SBIN)
    step(machine, GoalChanged(goal=replace(goal, id="h", account="main"), at_ns=0))
    assert [step(machine, make_bar(k, OUT)) for k in range(1, 5)] == [()] * 4


def test_entry_goes_out_while_only_another_account_is_still_being_closed():
    """The healthy account went flat and is wanted long again; the exit of the other one is stuck."""
    machine = make_machine(Level, make_run(accounts=("main", "second")))
    there = moved("Sample", SBIN, 5)
    other = replace(there, position=replace(there.position, account="second"))
    step(machine, there)
    step(machine, other)
    (leaves,) = step(machine, make_bar(0, OUT))
    goal = Goal(
        id="g", account="second", instrument=SBIN, product=Product.MIS, strategy="Sample", run="r1", cause=leaves.id,
        reason="", purpose=Purpose.EXIT,
    )  # fmt: skip
    step(machine, GoalChanged(goal=goal, at_ns=0))
    step(machine, GoalChanged(goal=replace(goal, id="h", account="main"), at_ns=0))
    assert step(machine, make_bar(1, UP)) == (), "both still hold"
    step(machine, moved("Sample", SBIN, 0))
    step(machine, GoalChanged(goal=replace(goal, id="h", account="main", state="done"), at_ns=0))
    (again,) = signals(step(machine, make_bar(2, UP)))
    assert again.action is Action.BUY
    step(machine, there)
    assert [step(machine, make_bar(k, UP)) for k in range(3, 8)] == [()] * 5, "it holds there now"


def test_exit_is_repeated_when_nothing_came_of_it():
    machine = make_machine(Level)
    step(machine, moved("Sample", SBIN, 5))
    assert [len(signals(step(machine, make_bar(k, OUT)))) for k in range(3)] == [1, 1, 1]


def test_opposite_signal_replaces_the_present_one():
    machine = make_machine(Level)
    step(machine, make_bar(0, UP))
    step(machine, moved("Sample", SBIN, 1))
    (signal,) = step(machine, make_bar(1, DOWN))
    assert (signal.action, signal.legs[0].lots) == (Action.SELL, -1)


def test_long_only_sell_signals_flat():
    machine = make_machine(Level, make_run(direction=Direction.LONG))
    step(machine, make_bar(0, UP))
    step(machine, moved("Sample", SBIN, 1))
    assert [row.action for row in step(machine, make_bar(1, DOWN))] == [Action.EXIT]


def test_cooldown_holds_entries_back_but_never_exits():
    machine = make_machine(Level, make_run(signal_cooldown=300.0))
    closes = [UP, OUT, UP, UP, UP, UP, UP]
    found = [(bar.start_ns, row.action.value) for bar, row in drive(machine, make_bars(closes))]
    assert found == [(OPEN, "BUY"), (OPEN + MINUTE, "EXIT"), (OPEN + 5 * MINUTE, "BUY")]


def test_switched_off_strategy_still_exits():
    machine = make_machine(Level)
    step(machine, StrategySwitch(strategy="Sample", enabled=False, generation=1, at_ns=0))
    assert step(machine, make_bar(0, UP)) == ()
    step(machine, moved("Sample", SBIN, 1))
    assert [row.action for row in step(machine, make_bar(1, OUT))] == [Action.EXIT]
    step(machine, moved("Sample", SBIN, 0))
    step(machine, StrategySwitch(strategy="Sample", enabled=True, generation=2, at_ns=0))
    assert [row.action for row in step(machine, make_bar(2, UP))] == [Action.BUY]


def call(strike, expiry=ExpiryRule.NEAREST):
    return TradeRule(kind=TradeKind.OPTION, side=Side.BUY, strike=strike, right="CE", expiry=expiry)


@pytest.mark.parametrize(
    ("rule", "price", "contract"),
    [
        (call("ATM"), 26_010.0, "NFO:NIFTY02DEC2526000CE"),
        (call("OTM 2"), 26_010.0, "NFO:NIFTY02DEC2526100CE"),
        (call("ATM", ExpiryRule.NEXT), 26_040.0, "NFO:NIFTY30DEC2526050CE"),
        (call("STRIKE 25900", ExpiryRule.MONTHLY), 26_040.0, "NFO:NIFTY30DEC2525900CE"),
        (TradeRule(kind=TradeKind.FUTURE, side=Side.BUY), 26_040.0, "NFO:NIFTY30DEC25FUT"),
    ],
)
def test_trade_rule_names_the_contract_at_the_time_of_the_signal(rule, price, contract):
    machine = make_machine(Chart, make_run(symbols=(NIFTY,), long=rule))
    (signal,) = step(machine, make_bar(0, price, NIFTY))
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [(contract, 1)]


def test_trade_rule_passes_over_expired_contracts():
    machine = make_machine(Chart, make_run(symbols=(NIFTY,), long=BUY_CALL))
    late = 5 * 24 * 60
    (signal,) = step(machine, make_bar(late, 26_010.0, NIFTY))
    assert signal.legs[0].instrument == "NFO:NIFTY30DEC2526000CE"


def test_trade_rule_without_a_listed_contract_is_a_problem_not_a_fault():
    machine = make_machine(Chart, make_run(symbols=(NIFTY,), long=BUY_CALL))
    machine.book = InstrumentBook(())
    assert step(machine, make_bar(0, 26_010.0, NIFTY)) == ()
    assert "NIFTY" in machine.problems["Sample", NIFTY]
    assert machine.fault_count == 0
    machine.book = make_book()
    assert len(step(machine, make_bar(1, 26_010.0, NIFTY))) == 1
    assert machine.problems == {}


def test_bought_put_is_the_short_position():
    seen = []

    class Watcher(Chart):
        def on_data(self, data):
            seen.append(self.position)
            return super().on_data(data)

    machine = make_machine(Watcher, make_run(symbols=(NIFTY,), long=BUY_CALL, short=BUY_PUT))
    (signal,) = step(machine, make_bar(0, 25_990.0, NIFTY))
    assert signal.legs[0].instrument == "NFO:NIFTY02DEC2526000PE"
    step(machine, moved("Sample", signal.legs[0].instrument, 75))
    step(machine, make_bar(1, 26_000.0, NIFTY))
    assert (seen[0].is_flat, seen[1].is_short, seen[1].quantity, seen[1].average_price) == (True, True, 75, 100.0)


def test_refused_expiry_closes_the_other_side_enters_nothing_and_is_said_until_it_is_listed():
    refusal = InstrumentRefusal("NIFTY", "2025-12-02 was expected", contracts_only=True, rules=("nearest",))
    machine = make_machine(Chart, make_run(symbols=(NIFTY,), long=BUY_CALL, short=BUY_PUT))
    (entry,) = step(machine, make_bar(0, 25_990.0, NIFTY))
    step(machine, moved("Sample", entry.legs[0].instrument, 75))
    machine.book = InstrumentBook(make_book(), refusals=(refusal,))
    (signal,) = step(machine, make_bar(1, 26_010.0, NIFTY))
    assert (signal.action, signal.legs) == (Action.EXIT, ()), "the put is closed, no call of another week is bought"
    assert "2025-12-02 was expected" in machine.problems["Sample", NIFTY]
    step(machine, moved("Sample", entry.legs[0].instrument, 0))
    assert step(machine, make_bar(2, 26_020.0, NIFTY)) == ()
    machine.book = make_book()
    (signal,) = step(machine, make_bar(3, 26_020.0, NIFTY))
    assert signal.legs[0].instrument == "NFO:NIFTY02DEC2526000CE" and machine.problems == {}


def test_position_is_read_by_the_trade_rules_when_no_signal_is_remembered():
    machine = EngineMachine([make_run(symbols=(NIFTY,), long=BUY_CALL, short=BUY_PUT)], {"Sample": Chart}, make_book())
    machine.apply(moved("Sample", "NFO:NIFTY02DEC2526000PE", 75))
    machine.open([])
    assert step(machine, make_bar(0, 25_900.0, NIFTY)) == ()
    assert [row.action for row in step(machine, make_bar(1, 26_100.0, NIFTY))] == [Action.BUY]


def test_ten_strategies_on_one_symbol_keep_their_own_positions():
    runs = [make_run(f"S{k}") for k in range(10)]
    machine = make_machine(dict.fromkeys([run.name for run in runs], Level), *runs)
    assert len(signals(step(machine, make_bar(0, UP)))) == 10
    step(machine, moved("S3", SBIN, 1))
    again = signals(step(machine, make_bar(1, UP)))
    assert {row.strategy for row in again} == {run.name for run in runs} - {"S3"}


def test_fault_stops_one_strategy_and_is_reported_once():
    class Broken(BaseStrategy):
        def on_data(self, data):
            raise RuntimeError("no")

    machine = make_machine({"Broken": Broken, "Level": Level})
    rows = step(machine, make_bar(0, UP))
    assert [type(row) for row in rows] == [Signal, StrategyFaulted]
    assert rows[1].error == "RuntimeError: no"
    assert rows[1].where.startswith("engine/test_machine.py:")
    step(machine, moved("Level", SBIN, 1))
    assert step(machine, make_bar(1, UP)) == ()
    assert machine.fault_count == 1


def test_run_that_cannot_be_hosted_faults_alone():
    runs = [make_run("Ticks", timeframes=("tick",)), make_run("Level")]
    machine = make_machine({"Ticks": Level, "Level": Level}, *runs, history=make_bars([NOTHING]))
    rows = step(machine, make_bar(1, UP))
    assert [(type(row), row.strategy) for row in rows] == [(Signal, "Level"), (StrategyFaulted, "Ticks")]
    assert [host.history_days for host in machine.hosts] == [1, 1]


def test_fault_of_the_guard_stops_the_strategy():
    class Impatient:
        def begin(self, strategy):
            pass

        def end(self, strategy, failed):
            return "too slow"

    machine = make_machine(Level, guard=Impatient())
    (fault,) = step(machine, make_bar(0, UP))
    assert fault.error == "too slow"


def test_history_makes_no_signals_and_the_next_bar_does():
    machine = make_machine(Level, history=make_bars([UP, UP]))
    assert len(step(machine, make_bar(2, UP))) == 1


def test_bar_known_already_or_older_reaches_no_strategy():
    seen = []

    class Counter(BaseStrategy):
        def on_data(self, data):
            seen.append(data.close)

    machine = make_machine(Counter, history=make_bars([1.0, 2.0]))
    for bar in (make_bar(1, 2.0), make_bar(2, 3.0), make_bar(2, 9.0), make_bar(0, 9.0)):
        step(machine, bar)
    assert seen == [1.0, 2.0, 3.0]


def test_signal_about_a_bar_that_comes_too_late_is_dropped_and_noted():
    machine = make_machine(Level)
    bar = make_bar(0, UP)
    (noted,) = step(machine, bar, now=bar.end_ns + MINUTE)
    assert (type(noted), noted.rule, noted.bar_ns, noted.at_ns) == (SignalVetoed, "", bar.end_ns, bar.end_ns + MINUTE)
    assert "60 s after" in noted.message
    assert len(step(machine, make_bar(1, UP))) == 1


def test_bar_at_speed_600_has_two_machine_seconds_before_it_is_late():
    machine = make_machine(Level)
    machine.speed = 600.0
    bar = make_bar(0, UP)
    assert len(step(machine, bar, now=bar.end_ns + 10 * MINUTE)) == 1


def test_restart_replays_rows_without_calling_strategies_and_decides_alike():
    closes = random_walk(200, price=100.0)

    class Mean(BaseStrategy):
        calls: ClassVar[list[int]] = []

        def initialize(self):
            self.add_indicator("EMA", period=9)

        def on_data(self, data):
            self.calls.append(data.end_ns)
            return self.create_signal("BUY" if data.close > self.get_indicator_value("EMA") else "SELL")

    bars = make_bars(closes)
    whole = make_machine(Mean)
    expected = {row.id for _, row in drive(whole, bars, fills=False)}
    first = make_machine(Mean)
    journal = []
    for bar in bars[:120]:
        rows = step(first, bar)
        journal += [bar, *rows] if rows else []
    Mean.calls.clear()
    second = EngineMachine([make_run()], {"Sample": Mean}, make_book())
    for row in journal:
        second.apply(row)
    assert Mean.calls == []
    second.open(bars[:120])
    found = {row.id for row in journal if isinstance(row, Signal)}
    found |= {row.id for bar in bars[120:] for row in step(second, bar)}
    assert found == expected


def test_restart_in_the_middle_of_a_bar_does_not_say_it_again():
    machine = make_machine(Level)
    bar = make_bar(0, UP)
    rows = step(machine, bar)
    second = EngineMachine([make_run()], {"Sample": Level}, make_book())
    for row in (bar, *rows):
        second.apply(row)
    second.open([])
    assert step(second, bar) == ()


def test_new_day_begins_with_positions_and_switches():
    machine = make_machine(Level)
    step(machine, moved("Sample", SBIN, 5))
    step(machine, StrategySwitch(strategy="Sample", enabled=False, generation=3, at_ns=0))
    (row,) = machine.snapshot("2025-12-02")
    second = EngineMachine([make_run()], {"Sample": Level}, make_book())
    second.apply(row)
    second.open([])
    assert [item.action for item in step(second, make_bar(0, OUT))] == [Action.EXIT]
    assert step(second, make_bar(1, UP)) == ()


def test_quotes_reach_only_strategies_that_asked():
    class Ticker(Level):
        subscribe_quotes = True

        def on_data(self, data):
            return self.create_signal("BUY") if isinstance(data, Quote) and data.ltp > 105 else None

    machine = make_machine({"Ticker": Ticker, "Level": Level})
    assert machine.wants_quotes(SBIN)
    quote = Quote(SBIN, OPEN, 5_000, UP)
    (signal,) = step(machine, quote, now=OPEN)
    assert (signal.strategy, signal.trace_ns, signal.price) == ("Ticker", 5_000, UP)
    assert step(machine, Quote(SBIN, OPEN + 1_000_000, 6_000, UP), now=OPEN + 1_000_000) == ()


def test_fills_and_trades_are_passed_to_the_strategy():
    seen = []

    class Listener(BaseStrategy):
        def on_start(self):
            seen.append("start")

        def on_fill(self, fill):
            seen.append(fill.fill_quantity)

        def on_trade(self, trade):
            seen.append(trade.realised)

    machine = make_machine(Listener)
    step(machine, moved("Sample", SBIN, 1))
    step(machine, moved("Sample", SBIN, 1, fill=0))
    step(
        machine,
        TradeClosed(
            account="main", instrument=SBIN, product=Product.MIS, strategy="Sample", run="r1", side=Side.BUY,
            quantity=1, entry_price=1, exit_price=2, realised=1.0, opened_ns=0, closed_ns=1,
        ),
    )  # fmt: skip
    assert seen == ["start", 1, 1.0]


def test_tradable_names_contracts_at_present_prices_and_what_is_held():
    machine = make_machine(Chart, make_run(symbols=(NIFTY,), long=BUY_CALL, short=BUY_PUT))
    assert machine.tradable_contracts(OPEN) == ()
    step(machine, make_bar(0, 26_000.0, NIFTY))
    step(machine, moved("Sample", "NFO:NIFTY02DEC2525900CE", 75))
    assert machine.tradable_contracts(OPEN) == (
        "NFO:NIFTY02DEC2526000CE",
        "NFO:NIFTY02DEC2526000PE",
        "NFO:NIFTY02DEC2525900CE",
    )


def test_longer_timeframe_drives_and_is_kept_beside_others():
    seen = []

    class Slow(BaseStrategy):
        def on_data(self, data):
            seen.append((data.timeframe, data.close, len(self.bars(9, timeframe="1m").close)))

    machine = make_machine(Slow, make_run(timeframes=("5m", "1m")))
    for bar in [*make_bars(range(100, 105)), make_bar(0, 104.0, timeframe="5m")]:
        step(machine, bar)
    assert seen == [("5m", 104.0, 5)]


class Stuck(Level):
    """Never comes back from the bar at which it gets stuck: here it ends the walk instead."""

    def on_data(self, data):
        if data.close == UP:
            raise KeyboardInterrupt
        return


def test_engine_that_walks_through_much_history_says_that_it_lives():
    machine, signs = make_machine(Level, make_run()), []
    machine.open([make_bar(at, NOTHING) for at in range(300)], lambda: signs.append(1))
    assert len(signs) == 1 + 3  # before the history is loaded, then each 128 bars of it


def test_strategy_that_hangs_in_its_history_gives_no_sign_of_life():
    machine, signs = make_machine(Stuck, make_run()), []
    bars = [make_bar(at, UP if at == 130 else NOTHING) for at in range(300)]
    with pytest.raises(KeyboardInterrupt):
        machine.open(bars, lambda: signs.append(1))
    assert len(signs) == 1 + 2


def test_signal_says_how_many_minutes_its_strategy_looks_back_over():
    class Average(Level):
        def initialize(self):
            self.add_indicator("SMA", period=4)
            self.add_indicator("SMA", period=2)

    machine = make_machine({"Average": Average, "Level": Level}, history=make_bars([NOTHING] * 20))
    found = {row.strategy: row.lookback_minutes for row in step(machine, make_bar(20, UP)) if isinstance(row, Signal)}
    assert found == {"Average": 4, "Level": 0}, "the slowest average is of four minutes"
    longer = make_machine({"Average": Average}, make_run("Average", timeframes=("5m",)))
    assert [host.lookback_minutes for host in longer.hosts] == [20]
