"""A lot that changes over night: whole lots keep stop and exits, what is none is tried once and then an operator's."""

from __future__ import annotations

import pytest

from mytrading.messages.account_events import ContractSizes
from mytrading.messages.control import Alert, TradingState
from mytrading.messages.enums import Call, Outcome, Purpose, TradingLevel
from mytrading.messages.orders import NOT_NOW, Order
from tests.kit.fake_broker import MS, SECOND, OrderBench
from tests.kit.oms_protection import PLAN, stops
from tests.kit.state_digest import state_digest

OLD, NEW = (65, 1755), (75, 1800)
DAY = 86_400 * SECOND
WORDS = "Quantity must be in multiples of lot size 75"


def held(units: int) -> OrderBench:
    """Units bought in lots of 65 with a stop at 90, and the next morning, with lots of 75."""
    bench = OrderBench()
    bench.check_purity = True
    bench.hold("e1", units, lot=OLD[0], freeze=OLD[1], **PLAN)
    bench.accept()
    bench.read()
    bench.session_open = False
    bench.time += DAY
    for placed in bench.broker.orders.values():
        if placed.open:
            bench.broker.drop(placed)
    settle(bench, 4)
    bench.open_day("1970-01-02")
    bench.step(ContractSizes(sizes={"NFO:A": NEW}, at_ns=bench.now))
    bench.session_open = True
    return bench


def settle(bench: OrderBench, turns: int = 60, words: str = WORDS) -> list[Order]:
    """The exchange refuses what is no whole lot of 75 and takes the rest; returns the orders that it refused."""
    refused = []
    for _ in range(turns):
        for call in list(bench.calls):
            if call.call is Call.PLACE and call.order.quantity % NEW[0]:
                refused.append(call.order)
                bench.end(call, Outcome.REFUSED, message=words)
            else:
                {Call.PLACE: bench.accept, Call.CANCEL: bench.cancel, Call.MODIFY: bench.modify}[call.call](call)
        bench.tick(SECOND)
        bench.read()
    return refused


def take(bench: OrderBench) -> None:
    """For some seconds the broker takes every order."""
    for _ in range(10):
        for call in list(bench.calls):
            bench.accept(call)
        bench.tick(SECOND)
        bench.read()


def odd(bench: OrderBench) -> list[Alert]:
    return [alert for alert in bench.alerts if alert.code == "ODD_LOT"]


def resting(bench: OrderBench) -> list[int]:
    return [placed.quantity for placed in bench.broker.orders.values() if placed.open]


def test_units_below_a_lot_are_tried_once_and_one_alert_names_owner_contract_units_and_cure() -> None:
    bench = held(65)
    refused = settle(bench, 90)
    assert [(order.purpose, order.quantity) for order in refused] == [(Purpose.STOP, 65)]
    (alert,) = odd(bench)
    assert "s1 holds 65 NFO:A MIS in main, and a lot is 75 now: 65 of them are no whole lot" in alert.message
    assert WORDS in alert.message and "no stop guards them" in alert.message
    assert "`mytrading positions settle`" in alert.message and "`mytrading resume`" in alert.message
    assert bench.stands("ODD_LOT", alert.subject)
    assert not {"STOP_FAILED", "GOAL_STUCK", "EXIT_WAITS"} & bench.codes(), "one alert stands for all"


def test_whole_lots_keep_their_stop_and_the_rest_is_tried_once() -> None:
    bench = held(130)
    refused = settle(bench, 90)
    assert [order.quantity for order in refused] == [55]
    assert resting(bench) == [75]
    (alert,) = odd(bench)
    assert (
        "130" in alert.message and "55 of them" in alert.message and "the other 75 keep stop and exits" in alert.message
    )


def test_exit_sells_the_whole_lots_and_asks_for_nothing_more() -> None:
    bench = held(130)
    settle(bench, 10)
    bench.close("g1")
    refused = settle(bench, 4)
    exits = [order.quantity for order in bench.machine.orders() if order.purpose is Purpose.EXIT]
    assert exits == [75]
    placed = next(placed for placed in bench.broker.orders.values() if placed.open)
    bench.broker.trade(placed, 75, 101.0)
    bench.report(placed)
    refused += settle(bench, 90)
    assert bench.position().quantity == 55
    assert refused == [] and resting(bench) == []
    assert len(odd(bench)) == 1 and not {"GOAL_STUCK", "EXIT_WAITS"} & bench.codes()


def test_exit_that_is_the_first_to_be_tried_ends_the_tries_as_well() -> None:
    bench = held(130)
    bench.close("g1")
    refused = settle(bench, 90)
    assert [order.quantity for order in refused] == [55]
    assert len(odd(bench)) == 1


def test_refusal_that_names_no_lot_is_final_at_the_second_and_one_for_its_hour_counts_as_none() -> None:
    bench = held(65)
    assert len(settle(bench, 40, f"{NOT_NOW}market closed")) > 2 and odd(bench) == []
    assert len(settle(bench, 90, "RMS: rule 17")) == 2
    assert len(odd(bench)) == 1


@pytest.mark.parametrize(
    "words", ["trigger price outside the circuit limit", "Insufficient funds. Required margin is 15000"]
)
def test_refusals_for_a_price_or_for_money_do_not_leave_the_remainder_without_a_stop(words: str) -> None:
    """Two stops refused at the edge of the band counted as refused for their size: none followed once it had opened."""
    bench = held(65)
    refused: list[Order] = []
    while len(refused) < 2:
        refused += settle(bench, 1, words)
    take(bench)
    assert [order.purpose for order in refused] == [Purpose.STOP, Purpose.STOP]
    assert resting(bench) == [65] and odd(bench) == []


def test_refusals_before_and_after_a_stop_that_rested_for_the_remainder_do_not_add_up() -> None:
    """The broker had taken a stop of 65 all day: the refusal of the next morning was the second, and none followed."""
    bench = held(65)
    for day in ("1970-01-03", "1970-01-04"):
        while not settle(bench, 1, "RMS: rule 17"):
            pass
        take(bench)
        assert resting(bench) == [65]
        for placed in bench.broker.orders.values():
            bench.broker.drop(placed)
        bench.time += DAY
        bench.open_day(day)
    take(bench)
    assert resting(bench) == [65] and odd(bench) == []
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("killed", [False, True])
def test_remainder_is_left_alone_over_restarts_and_days_and_tried_once_more_after_a_resume(killed: bool) -> None:
    bench = held(65)
    settle(bench, 10)
    if killed:
        bench.crash()
        bench.see_mode()
    bench.time += DAY
    bench.open_day("1970-01-03")
    assert settle(bench, 60) == []
    subject = odd(bench)[0].subject
    assert bench.stands("ODD_LOT", subject)
    bench.step(TradingState(level=TradingLevel.NORMAL, generation=7, reason="told the broker", at_ns=bench.now))
    assert [order.quantity for order in settle(bench, 60)] == [65]
    assert len(odd(bench)) == 2


def test_alert_ends_when_the_units_are_gone() -> None:
    bench = held(65)
    settle(bench, 10)
    bench.broker.by_hand(-65)
    settle(bench, 60)
    assert bench.position().quantity == 0
    assert not bench.stands("ODD_LOT", odd(bench)[0].subject)


def test_lots_as_before_change_nothing() -> None:
    bench = OrderBench()
    bench.hold("e1", 130, lot=OLD[0], freeze=OLD[1], **PLAN)
    bench.step(ContractSizes(sizes={"NFO:A": OLD}, at_ns=bench.now))
    bench.accept()
    bench.read()
    bench.tick(100 * MS)
    assert [stop.quantity for stop in stops(bench)] == [130]
