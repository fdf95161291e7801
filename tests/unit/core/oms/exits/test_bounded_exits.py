"""The position book bounds exits: none is sent for more than it can hold, and none that may go waits for ever."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.control import ResolveRequested
from mytrading.messages.enums import Call, OrderState, Product, Purpose
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.reports import UnreadRow
from mytrading.messages.run_config import UnknownExit
from tests.kit.fake_broker import SECOND, FakeBroker, OpenCall, OrderBench, Placed, time_out
from tests.kit.state_digest import state_digest

A = ("NFO:A", Product.MIS)
B = ("NFO:B", Product.MIS)
PLAN = {"stop_trigger": 95.0, "stop_limit": 94.0}


def exits(bench: OrderBench) -> list[OpenCall]:
    return [call for call in bench.calls if call.call is Call.PLACE and call.order.purpose is Purpose.EXIT]


def sent(bench: OrderBench) -> list[int]:
    """Units of the exits that wait for an answer."""
    return [call.order.quantity for call in exits(bench)]


def held(**broker: object) -> OrderBench:
    """Fifty units of s1 without a stop, beside a row of somebody else: the position book is not empty."""
    bench = OrderBench(**broker)  # type: ignore[arg-type]
    bench.check_purity = True
    bench.broker.net[B] = 5
    bench.hold()
    bench.tick(6 * SECOND)
    bench.read()
    return bench


def lose(bench: OrderBench, net: int = 0) -> None:
    """The position book shows fewer units, and no order or trade says why."""
    bench.broker.net[A] = net
    bench.read()


def wait(bench: OrderBench, seconds: int, **fields: object) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        bench.read(**fields)


def fill(bench: OrderBench, calls: Iterable[OpenCall]) -> None:
    for call in list(calls):
        placed = bench.accept(call)
        bench.broker.trade(placed, placed.quantity, 100.0)
        bench.report(placed)


class LateTrades(FakeBroker):
    """A trade book that lacks the fills of some orders, until they are shown."""

    late_ids: frozenset[str] = frozenset()

    def _trades(self, placed: Placed):  # type: ignore[no-untyped-def]
        row = super()._trades(placed)
        return replace(row, quantity=0, value=0.0) if placed.id in self.late_ids else row


def part_filled_stop(*, told: bool, late: bool = True) -> tuple[OrderBench, Placed]:
    """An exit takes the stop of fifty away, and twenty of it fill while the cancel is on its way."""
    bench = OrderBench(names_filled=False)
    bench.check_purity = True
    bench.broker.net[B] = 5
    bench.hold(**PLAN)
    stop = bench.accept()
    bench.tick(6 * SECOND)
    bench.read()
    bench.broker.__class__ = LateTrades
    bench.close("g1")
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 20, 94.0)
    bench.broker.late_ids = frozenset({stop.id} if late else ())  # type: ignore[attr-defined]
    if told:
        bench.report(stop)
    bench.cancel()
    return bench, stop


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("lag", [1, 3, 6, 10, 19])
def test_stop_that_filled_in_part_was_sold_again_while_the_trade_book_was_late(lag: int, told: bool) -> None:
    bench, _stop = part_filled_stop(told=told)
    for second in range(lag + 60):
        if second == lag:
            bench.broker.late_ids = frozenset()  # type: ignore[attr-defined]
        wait(bench, 1)
        fill(bench, exits(bench))
        assert bench.broker.net[A] >= 0, "more was sold than was held"
    assert bench.broker.net[A] == 0 and [goal.state for goal in bench.machine.goals()] == ["done"]
    assert not bench.codes() & {"POSITION_REVERSED", "FILL_WITHDRAWN", "EXIT_BEYOND_BOOK"}
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_fill_that_stream_and_position_book_show_ends_the_stop_though_no_trade_ever_comes() -> None:
    """Neither is withdrawn, nor does the exit of the other thirty wait for ever."""
    bench, stop = part_filled_stop(told=True)
    wait(bench, 60)
    assert bench.order(stop.client_order_id).filled == 20 and "FILL_WITHDRAWN" not in bench.codes()
    assert sent(bench) == [30] and bench.broker.net[A] == 30


def test_exit_after_a_stop_that_ended_unfilled_waits_for_one_read_alone() -> None:
    bench = OrderBench(names_filled=False)
    bench.broker.net[B] = 5
    bench.hold(**PLAN)
    bench.accept()
    bench.tick(6 * SECOND)
    bench.read()
    bench.close("g1")
    bench.cancel()
    bench.read()
    assert sent(bench) == [50]


@pytest.mark.parametrize("book", ["void", "empty"])
def test_stop_that_ended_beside_a_position_book_that_says_nothing_frees_the_exit_after_twenty_seconds(
    book: str,
) -> None:
    bench = OrderBench(names_filled=False)
    bench.hold(**PLAN)
    bench.accept()
    bench.tick(6 * SECOND)
    bench.read()
    nothing = {"positions": None if book == "void" else ()}
    bench.close("g1")
    bench.cancel()
    wait(bench, 18, **nothing)
    assert sent(bench) == [], "it is asked for again"
    wait(bench, 4, **nothing)
    assert sent(bench) == [50]


def test_exit_was_sent_for_units_that_the_position_book_lacked_beside_an_entry_of_unknown_fate() -> None:
    """An order that can only add suspended the comparison, and the exit sold seventy-five that were gone."""
    bench = OrderBench()
    bench.check_purity = True
    bench.broker.net[B] = 5
    bench.hold(quantity=75)
    bench.tick(6 * SECOND)
    bench.read()
    bench.enter("e2", strategy="s2")
    time_out(bench, placed=False)
    bench.broker.by_hand(0)
    bench.read()
    bench.close("g1")
    assert sent(bench) == []
    wait(bench, 12)
    assert bench.position().quantity == 0 and sent(bench) == []
    assert [goal.state for goal in bench.machine.goals()] == ["done"]


def test_exit_of_what_the_book_still_shows_goes_at_once_and_the_rest_after_twenty_seconds() -> None:
    bench = held()
    lose(bench, 30)
    bench.close("g1")
    assert sent(bench) == [30]
    fill(bench, exits(bench))
    bench.broker.net[A] = 0
    wait(bench, 12)
    assert sent(bench) == [] and "EXIT_BEYOND_BOOK" not in bench.codes()
    wait(bench, 12)
    assert sent(bench) == [20] and "EXIT_BEYOND_BOOK" in bench.codes(), "it may be held: the operator's choice decides"


def test_exit_of_units_that_no_book_lacks_for_long_waited_for_ever() -> None:
    """The position book leaves a row out: order and trade book say that it is held, and it must get out."""
    bench = held()
    bench.broker.unlisted.add(A)
    bench.read()
    bench.close("g1")
    wait(bench, 18)
    assert sent(bench) == []
    wait(bench, 4)
    assert sent(bench) == [50] and "EXIT_BEYOND_BOOK" in bench.codes()


def test_stops_placed_while_an_exit_was_held_back_began_its_wait_anew_for_ever() -> None:
    """Each stop on its way explained what is lacking, was withdrawn for the exit, and its end waited twenty seconds."""
    bench = OrderBench(names_filled=False)
    bench.broker.net[B] = 5
    bench.hold(**PLAN)
    bench.accept()
    bench.tick(6 * SECOND)
    lose(bench, 40)
    bench.close("g1")
    for _ in range(50):
        for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
            {Call.PLACE: bench.accept, Call.CANCEL: bench.cancel, Call.MODIFY: bench.modify}[call.call](call)
        fill(bench, exits(bench))
        wait(bench, 1)
    assert [goal.state for goal in bench.machine.goals()] == ["done"]


def test_exit_goes_with_the_first_read_that_shows_the_units_again() -> None:
    bench = held()
    bench.broker.unlisted.add(A)
    bench.read()
    bench.close("g1")
    wait(bench, 3)
    bench.broker.unlisted.clear()
    bench.read()
    assert sent(bench) == [50] and "EXIT_BEYOND_BOOK" not in bench.codes()


def test_exit_beyond_the_position_book_is_not_sent_where_an_operator_decides() -> None:
    bench = OrderBench(OmsLimits(unknown_exit=UnknownExit.WAIT))
    bench.broker.net[B] = 5
    bench.hold()
    bench.tick(6 * SECOND)
    bench.broker.unlisted.add(A)
    bench.read()
    bench.close("g1")
    wait(bench, 90)
    assert sent(bench) == [] and {"EXIT_WAITS", "GOAL_STUCK"} <= bench.codes()


def test_exit_that_an_operator_called_never_placed_went_on_explaining_what_the_book_lacked() -> None:
    """Twenty were sold unseen beside an exit of unknown fate; the next exit left before a read, for all fifty."""
    bench = OrderBench(OmsLimits(unknown_exit=UnknownExit.WAIT))
    bench.broker.net[B] = 5
    bench.hold()
    bench.tick(6 * SECOND)
    bench.read()
    bench.close("g1")
    call = time_out(bench, placed=False)
    lose(bench, 30)
    wait(bench, 40)
    assert sent(bench) == []
    bench.step(ResolveRequested(id="r1", order=call.order.client_order_id, at_ns=bench.now, force=True))
    bench.tick(SECOND)
    assert sent(bench) == [30], "the newest book shows no more, and no order under way explains the rest"


def test_stop_stays_while_its_exit_is_held_back() -> None:
    bench = OrderBench()
    bench.broker.net[B] = 5
    bench.hold(**PLAN)
    bench.accept()
    bench.tick(6 * SECOND)
    bench.broker.unlisted.add(A)
    bench.read()
    bench.close("g1")
    wait(bench, 10)
    assert bench.calls == [] and [o.state for o in bench.machine.orders() if o.purpose is Purpose.STOP] == [
        OrderState.ACCEPTED
    ]


def test_stop_is_shrunk_for_what_the_book_still_shows_and_guards_the_rest() -> None:
    bench = OrderBench()
    bench.broker.net[B] = 5
    bench.hold(**PLAN)
    bench.accept()
    bench.tick(6 * SECOND)
    lose(bench, 30)
    bench.close("g1")
    (call,) = bench.calls
    assert (call.call, call.order.evidence.modify.wanted) == (Call.MODIFY, OrderTerms(94.0, 95.0, 20))


@pytest.mark.parametrize("empty", ["void", "empty"])
def test_read_that_says_nothing_held_an_exit_back(empty: str) -> None:
    bench = OrderBench()
    bench.hold()
    bench.tick(6 * SECOND)
    bench.read(positions=None if empty == "void" else ())
    bench.close("g1")
    assert sent(bench) == [50]


def test_unreadable_row_of_the_position_book_held_an_exit_back() -> None:
    bench = held()
    bench.broker.unlisted.add(A)
    bench.broker.unreadable.append(UnreadRow(book="positions"))
    bench.read()
    bench.close("g1")
    assert sent(bench) == [50]


def test_read_from_before_the_last_fill_held_an_exit_back() -> None:
    bench = held()
    bench.enter("e2", 25)
    before = bench.broker.books(bench.time)
    began = bench.time
    placed = bench.accept()
    bench.broker.trade(placed, 25, 100.0)
    bench.report(placed)
    bench.read(positions=None)
    bench.step(replace(before, id="old", began_machine_ns=began, ended_machine_ns=bench.time))
    bench.close("g1")
    assert sent(bench) == [75]


def test_delivered_shares_were_held_back_because_no_position_book_lists_them() -> None:
    bench = OrderBench()
    bench.broker.net[B] = 5
    share = {"instrument": "NSE:A", "product": Product.CNC}
    bench.hold(**share)
    bench.open_day("2026-11-26")
    bench.broker.net.pop(("NSE:A", Product.CNC))
    bench.broker.orders.clear()
    wait(bench, 12)
    bench.close("g1", **share)
    assert sent(bench) == [50]


def test_newest_owner_waits_where_the_book_holds_the_units_of_one() -> None:
    bench = held()
    bench.hold("e2", strategy="s2")
    bench.tick(6 * SECOND)
    bench.read()
    lose(bench, 50)
    bench.close("g2", strategy="s2")
    bench.close("g1")
    assert [(call.order.strategy, call.order.quantity) for call in exits(bench)] == [("s1", 50)]


def test_exit_is_not_sent_for_units_that_lack_beside_a_stop_of_unknown_fate_of_another_strategy() -> None:
    """The stop may have taken units of its own strategy; the newest owner lost first all the same, and the exit of the
    other one sold fifty that the book did not show."""
    bench = OrderBench()
    bench.check_purity = True
    bench.broker.net[B] = 5
    bench.hold("e1")
    bench.tick(SECOND)
    bench.hold("e2", strategy="s2", **PLAN)
    time_out(bench, placed=False)
    bench.tick(SECOND)
    lose(bench)
    bench.close("g1")
    wait(bench, 10)
    assert sent(bench) == []
