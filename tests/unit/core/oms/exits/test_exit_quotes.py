"""An exit that must be LIMIT and of which risk has no fresh quote: a quote of its server, else the band's edge."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.commands import PriceGoal
from mytrading.messages.enums import Call, OrderType, Outcome, Purpose
from mytrading.messages.orders import MARKET_REFUSED, ExitQuote, Goal
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OpenCall, OrderBench
from tests.kit.state_digest import state_digest

BLOCKED = f"{MARKET_REFUSED}Market orders are blocked for this instrument. Place a limit order instead."


def take_stops(bench: OrderBench) -> None:
    for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
        {Call.PLACE: bench.accept, Call.MODIFY: bench.modify, Call.CANCEL: bench.cancel}[call.call](call)


def go_on(bench: OrderBench, seconds: float) -> None:
    """Time passes, calls of stops are taken, and the books are read twice a second."""
    for _ in range(int(seconds * 2)):
        bench.tick(500 * MS)
        take_stops(bench)
        bench.read()


def exit_call(bench: OrderBench) -> OpenCall:
    (call,) = [call for call in bench.calls if call.order.purpose is not Purpose.STOP]
    return call


def blocked(**limits: Any) -> OrderBench:
    """Fifty units held with a stop of limit 87, and an exit as MARKET refused."""
    bench = OrderBench(OmsLimits(asks_quotes=True, exit_price_patience=SECOND, **limits))
    bench.check_purity = True
    bench.hold(stop_trigger=90.0, stop_limit=87.0)
    bench.accept()
    bench.read()
    bench.close("g1")
    go_on(bench, 1)
    bench.end(exit_call(bench), Outcome.REFUSED, message=BLOCKED)
    return bench


def goal(bench: OrderBench) -> Goal:
    (one,) = bench.machine.goals()
    return one


def tell_edge(bench: OrderBench, edge: float = 80.0, tick: float = 0.05) -> None:
    """Risk has no fresh quote."""
    bench.time += MS
    one = goal(bench)
    bench.step(PriceGoal(id=f"e{bench.time}", goal=one.id, account=ACCOUNT, price=0.0, edge=edge, tick=tick))


def answer(bench: OrderBench, **found: Any) -> None:
    bench.time += 300 * MS
    one = goal(bench)
    fields: dict[str, Any] = {"asked_machine_ns": one.asked_machine_ns, "ended_machine_ns": bench.time, **found}
    bench.step(ExitQuote(goal=one.id, account=ACCOUNT, instrument=one.instrument, **fields))


def exit_terms(bench: OrderBench) -> tuple[OrderType, float]:
    order = exit_call(bench).order
    return order.order_type, order.price


def test_exit_without_a_fresh_quote_waited_and_then_went_far_below_the_market() -> None:
    """The bid of 98 less a hundredth, on the tick; it went at the limit of its stop, 87."""
    bench = blocked()
    tell_edge(bench)
    one = goal(bench)
    assert one.asked_machine_ns >= one.unpriced_machine_ns > 0, "asked as soon as risk has said that it has no quote"
    answer(bench, ltp=98.5, bid=98.0, ask=99.0, previous_close=100.0)
    assert exit_terms(bench) == (OrderType.LIMIT, 97.0)  # 97.02 downwards
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_exit_asks_its_server_itself_where_risk_says_nothing() -> None:
    bench = blocked()
    go_on(bench, 1.5)
    assert goal(bench).asked_machine_ns
    answer(bench, ltp=98.5, bid=98.0, ask=99.0)
    assert exit_terms(bench) == (OrderType.LIMIT, 97.0)


@pytest.mark.parametrize("found", [{"problem": "timed out"}, {"ltp": 0.0}, {"ltp": 0.0, "bid": 0.0, "ask": 0.0}])
def test_quote_that_holds_no_price_left_the_exit_waiting(found: dict[str, Any]) -> None:
    bench = blocked()
    tell_edge(bench, edge=80.0)
    answer(bench, **found)
    assert exit_terms(bench) == (OrderType.LIMIT, 80.0)


def test_server_that_does_not_answer_left_the_exit_waiting() -> None:
    bench = blocked()
    tell_edge(bench, edge=80.0)
    go_on(bench, 2.5)
    assert exit_terms(bench) == (OrderType.LIMIT, 80.0)


def test_wrong_last_price_of_a_quote_over_rest_is_not_believed_but_its_book_is() -> None:
    """Last price 2300 beside a bid of 98: without the bid the limit was taken from 2300."""
    bench = blocked()
    tell_edge(bench)
    answer(bench, ltp=2300.0, bid=0.0, ask=99.0)
    assert exit_terms(bench) == (OrderType.LIMIT, 80.0), "no bid and no last price: the edge"
    bench = blocked()
    tell_edge(bench)
    answer(bench, ltp=2300.0, bid=98.0, ask=99.0)
    assert exit_terms(bench) == (OrderType.LIMIT, 97.0)


def test_answer_for_an_earlier_wait_prices_nothing() -> None:
    bench = blocked()
    tell_edge(bench)
    answer(bench, ltp=98.5, bid=98.0, ask=99.0, asked_machine_ns=goal(bench).asked_machine_ns - SECOND)
    assert goal(bench).price == 0.0
    bench.step(PriceGoal(id="p", goal=goal(bench).id, account=ACCOUNT, price=98.5))
    assert exit_terms(bench) == (OrderType.LIMIT, 98.5), "a price of risk that comes meanwhile goes first"


def test_exit_of_which_nothing_is_known_goes_at_the_limit_of_its_stop() -> None:
    bench = blocked()
    tell_edge(bench, edge=0.0, tick=0.0)
    answer(bench, problem="no such symbol")
    assert exit_terms(bench) == (OrderType.LIMIT, 87.0)


def test_exit_goes_by_the_last_close_of_the_server_where_risk_knows_no_price() -> None:
    """The share's close of 100 less a fifth; its last price is none."""
    bench = blocked()
    tell_edge(bench, edge=0.0, tick=0.05)
    answer(bench, previous_close=100.0)
    assert exit_terms(bench) == (OrderType.LIMIT, 80.0)


def test_killed_while_its_server_is_asked_the_exit_goes_on() -> None:
    bench = blocked()
    tell_edge(bench, edge=80.0)
    bench.crash((ACCOUNT,))
    bench.read()
    go_on(bench, 5)
    assert exit_terms(bench) == (OrderType.LIMIT, 80.0)
