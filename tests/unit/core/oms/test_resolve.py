"""A person ends an order of unknown fate: bound to a broker order, or declared never placed."""

from __future__ import annotations

import pytest

from mytrading.messages.control import ResolveRequested
from mytrading.messages.enums import OrderState, Outcome, Side
from mytrading.messages.orders import Order, RequestAnswered
from tests.kit.fake_broker import SECOND, OrderBench, Placed


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def unknown(bench: OrderBench, name: str = "e1", outcome: Outcome = Outcome.UNKNOWN) -> Order:
    bench.enter(name)
    bench.tick(1 * SECOND)
    bench.end(bench.calls[0], outcome, message="timed out")
    return bench.order(name)


def resolve(bench: OrderBench, order: str, broker: str = "", **fields: object) -> RequestAnswered:
    """The answer to a person's request."""
    request = ResolveRequested(id=f"r{bench.time}", order=order, at_ns=bench.now, broker_order_id=broker, **fields)  # type: ignore[arg-type]
    answers = [row for row in bench.step(request) if isinstance(row, RequestAnswered)]
    assert len(answers) == 1
    return answers[0]


def foreign(bench: OrderBench, order: Order, **changes: object) -> Placed:
    """An order at the broker that is not ours by any id, seen in a book."""
    placed = bench.broker.place(order, bench.time)
    for name, value in changes.items():
        setattr(placed, name, value)
    bench.read()
    return placed


def ambiguous(bench: OrderBench) -> Order:
    order = unknown(bench)
    bench.broker.place(order, bench.time)
    foreign(bench, order)
    assert "ORDER_AMBIGUOUS" in bench.codes()
    return order


def test_resolve_binds_one_of_several_broker_orders(bench: OrderBench) -> None:
    ambiguous(bench)
    assert resolve(bench, "e1", "B2").ok
    assert (bench.order("e1").state, bench.order("e1").broker_order_id) == (OrderState.ACCEPTED, "B2")
    bench.broker.trade(bench.broker.orders["B2"], 50, 100.0)
    bench.read()
    bench.read()
    assert bench.position().quantity == 50


@pytest.mark.parametrize("change", [{"side": Side.SELL}, {"instrument": "NFO:Z"}])
def test_resolve_never_binds_an_order_of_another_instrument_or_side(
    bench: OrderBench, change: dict[str, object]
) -> None:
    foreign(bench, unknown(bench), **change)
    answer = resolve(bench, "e1", "B1", force=True)
    assert not answer.ok and "ours is BUY NFO:A" in answer.message
    assert bench.order("e1").state is OrderState.UNKNOWN


def test_resolve_binds_another_quantity_only_by_force_and_takes_it_over(bench: OrderBench) -> None:
    foreign(bench, unknown(bench), quantity=25)
    assert "--force" in resolve(bench, "e1", "B1").message
    assert resolve(bench, "e1", "B1", force=True).ok
    assert bench.order("e1").quantity == 25


def test_resolve_refuses_what_was_not_seen_or_is_anothers(bench: OrderBench) -> None:
    placed = bench.hold("e0")
    unknown(bench)
    assert "belongs to order e0" in resolve(bench, "e1", placed.id, force=True).message
    assert "found no B9" in resolve(bench, "e1", "B9", force=True).message


def test_resolve_refuses_an_order_whose_fate_is_known(bench: OrderBench) -> None:
    bench.hold("e0")
    assert "FILLED" in resolve(bench, "e0").message
    assert "see `orders`" in resolve(bench, "nobody").message


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.PARKED])
def test_not_placed_frees_the_side_and_an_order_that_appears_is_ours_and_cancelled(
    bench: OrderBench, outcome: Outcome
) -> None:
    order = unknown(bench, outcome=outcome)
    bench.enter("e2")
    assert bench.order("e2").state is OrderState.INITIALIZED
    assert resolve(bench, "e1", reason="looked at the terminal").ok
    assert bench.order("e1").state is OrderState.GHOST and "terminal" in bench.order("e1").message
    assert bench.order("e2").state is OrderState.SUBMITTED
    bench.accept()
    foreign(bench, order)
    assert (bench.order("e1").broker_order_id, bench.order("e1").evidence.cancel.wanted) == ("B2", True)


def test_not_placed_frees_what_a_lost_order_reserves(bench: OrderBench) -> None:
    unknown(bench)
    for _ in range(200):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.order("e1").state is OrderState.LOST
    bench.enter("e2")
    assert bench.order("e2").state is OrderState.DENIED
    assert resolve(bench, "e1").ok
    bench.enter("e3")
    assert bench.order("e3").state is OrderState.SUBMITTED


def test_not_placed_is_refused_while_a_matching_order_is_in_view_and_force_holds(bench: OrderBench) -> None:
    ambiguous(bench)
    assert "B1, B2" in resolve(bench, "e1").message
    assert resolve(bench, "e1", force=True).ok
    for _ in range(3):
        bench.read()
    assert bench.order("e1").state is OrderState.GHOST and not bench.order("e1").broker_order_id


def test_an_exit_declared_not_placed_is_followed_by_another(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.tick(2 * SECOND)
    bench.close("g1")
    lost = bench.calls[0].order.client_order_id
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    assert resolve(bench, lost).ok
    assert [call.order.quantity for call in bench.calls] == [50]
    assert bench.calls[0].order.client_order_id != lost


def missing(bench: OrderBench, *, alone: bool = False) -> Order:
    """An order that was accepted under an id that no book shows; `alone`: the order book has no other either."""
    bench.enter("e1")
    bench.broker.place(bench.calls[0].order, bench.time)
    bench.broker.orders.clear()
    if not alone:
        bench.broker.by_hand(5, instrument="NSE:X")
    bench.end(bench.calls[0], Outcome.ACCEPTED, "NOWHERE")
    for _ in range(3):
        bench.tick(16 * SECOND)
        bench.read()
    return bench.order("e1")


def test_accepted_order_that_is_in_no_book_is_named_with_its_units_and_can_be_bound(bench: OrderBench) -> None:
    """It was refused, since "its fate is known", while its units stood nowhere and the order never ended."""
    order = missing(bench)
    (alert,) = [one for one in bench.alerts if one.code == "ORDER_MISSING"]
    assert "BUY 50 NFO:A" in alert.message and "orders resolve e1" in alert.message
    assert order.state is OrderState.ACCEPTED
    placed = foreign(bench, order)
    bench.broker.trade(placed, 50, 100.0)
    assert resolve(bench, "e1", placed.id).ok
    assert (bench.order("e1").state, bench.order("e1").broker_order_id) == (OrderState.ACCEPTED, placed.id)
    bench.read()
    bench.read()
    assert bench.position().quantity == 50


def test_accepted_order_that_is_in_no_book_can_be_given_up_and_is_ours_if_it_appears(bench: OrderBench) -> None:
    order = missing(bench)
    assert resolve(bench, "e1").ok
    assert bench.order("e1").state is OrderState.GHOST
    placed = foreign(bench, order)
    bench.tick(1 * SECOND)
    bench.read()
    assert bench.order("e1").broker_order_id == placed.id
    assert bench.replayed().state.by_broker.get(("main", "NOWHERE")) is None


def test_accepted_order_that_a_book_shows_is_not_settled_by_hand(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.accept()
    bench.read()
    answer = resolve(bench, "e1")
    assert not answer.ok and "its fate is known" in answer.message


def test_accepted_order_can_be_given_up_though_the_order_book_is_empty_altogether(bench: OrderBench) -> None:
    """One alert says that the session has probably ended, and it named no order that could be settled."""
    missing(bench, alone=True)
    assert [one.code for one in bench.alerts if one.code in ("ORDER_MISSING", "BOOKS_EMPTY")] == ["BOOKS_EMPTY"]
    assert resolve(bench, "e1").ok
    assert bench.order("e1").state is OrderState.GHOST
