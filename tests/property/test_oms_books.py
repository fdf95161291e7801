"""Books that leave out, rename, repeat wrong words or come empty: what is held stays guarded, and gets out.

Drawn histories on the order machine. While the books lie nothing is owned that is not there, no more stops rest than
units are held (but for the one replacement), and nothing is taken from the owner; once they are right all is as before.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import PLAIN, UNLISTED, BrokerRules, PositionScope
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Product, Purpose
from mytrading.messages.reports import UnreadRow
from tests.kit.fake_broker import SECOND, OrderBench
from tests.kit.oms_protection import PLAN, live
from tests.kit.state_digest import state_digest

A = ("NFO:A", Product.MIS)
RULES = {"whole": PLAIN, "partial": replace(PLAIN, positions=PositionScope.PARTIAL), "unlisted": UNLISTED}
WORDS = (BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED, BrokerStatus.COMPLETE, None)
ROWS = tuple(
    UnreadRow(book=book, broker_order_id=name)
    for book in ("orders", "trades", "positions")
    for name in (("", "X1") if book != "positions" else ("",))
)


class Fault(NamedTuple):
    """What is wrong with the books for some seconds; `answer`: calls are answered meanwhile."""

    word: BrokerStatus | None
    empty: frozenset[str]
    unlisted: bool
    unreadable: tuple[UnreadRow, ...]
    answer: bool
    seconds: int


FAULTS = st.builds(
    Fault,
    st.sampled_from(WORDS),
    st.frozensets(st.sampled_from(("orders", "trades", "positions"))),
    st.booleans(),
    st.lists(st.sampled_from(ROWS), max_size=2, unique=True).map(tuple),
    st.booleans(),
    st.integers(1, 12),
)


def held(rules: BrokerRules) -> OrderBench:
    """Fifty units with their stop at a broker of these rules, all of it read."""
    bench = OrderBench(OmsLimits(unlisted=rules))
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    bench.read()
    bench.enter("e1", **PLAN)
    placed = bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    bench.read()
    return bench


def answer(bench: OrderBench, *, fill: bool = False) -> None:
    """The broker answers all calls truly; exits fill at once if so."""
    for call in list(bench.calls):
        if call.call is Call.CANCEL:
            bench.cancel(call)
        elif call.call is Call.MODIFY:
            bench.modify(call)
        else:
            placed = bench.accept(call)
            if fill and call.order.purpose is Purpose.EXIT:
                bench.broker.trade(placed, placed.quantity, 99.0)
                bench.report(placed)


def suffer(bench: OrderBench, fault: Fault) -> None:
    """So the books are for some seconds, each of them read."""
    broker = bench.broker
    names = {order.client_order_id for order in bench.machine.orders() if order.purpose is Purpose.STOP}
    stops = [placed.id for placed in broker.orders.values() if placed.client_order_id in names]
    broker.untrue = dict.fromkeys(stops, fault.word) if fault.word is not None else {}
    broker.empty, broker.unreadable = set(fault.empty), list(fault.unreadable)
    broker.unlisted = {A} if fault.unlisted else set()
    for _ in range(fault.seconds):
        if fault.answer:
            answer(bench)
        bench.tick(1 * SECOND)
        bench.read()
        used = sum(level.ghosts for level in bench.machine.state.protections.values())
        assert live(bench) <= 50 + 50 * used, "more stops than units"
    broker.untrue, broker.empty, broker.unreadable, broker.unlisted = {}, set(), [], set()


def calm(bench: OrderBench, seconds: int, *, fill: bool = False) -> None:
    for _ in range(seconds):
        answer(bench, fill=fill)
        bench.tick(1 * SECOND)
        bench.read()


@given(st.sampled_from(sorted(RULES)), st.lists(FAULTS, min_size=1, max_size=4))
def test_what_is_held_stays_owned_and_guarded_through_books_that_lie(rules: str, faults: list[Fault]) -> None:
    bench = held(RULES[rules])
    for fault in faults:
        suffer(bench, fault)
        assert bench.broker.net[A] == 50 == bench.position().quantity
    calm(bench, 40)
    doubted = any(level.doubted for level in bench.machine.state.protections.values())
    assert bench.position().quantity == 50
    assert live(bench) == 50 or doubted
    assert "POSITION_CORRECTED" not in bench.codes()
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@given(st.sampled_from(sorted(RULES)), st.lists(FAULTS, max_size=2), FAULTS)
def test_exit_gets_out_through_books_that_lie_and_leaves_nothing(rules: str, faults: list[Fault], last: Fault) -> None:
    bench = held(RULES[rules])
    for fault in faults:
        suffer(bench, fault)
    bench.close("g1")
    suffer(bench, last)
    calm(bench, 60, fill=True)
    sold = [order for order in bench.machine.orders() if order.purpose.reduces and order.state is OrderState.FILLED]
    assert sum(order.filled for order in sold) == 50
    assert (bench.broker.net[A], bench.position().quantity, live(bench)) == (0, 0, 0)
