"""Unmanaged units: found, claimed with a stop, and never more than are there."""

from __future__ import annotations

import pytest

from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested, FlattenRequested
from mytrading.messages.enums import Call, OrderState, Product, Side
from mytrading.messages.orders import PositionAdjusted, RequestAnswered
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def foreign(bench: OrderBench, units: int, instrument: str = "NFO:A") -> None:
    """Trade at the terminal; two reads show it."""
    key = (instrument, Product.MIS)
    bench.broker.net[key] = bench.broker.net.get(key, 0) + units
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()


def claim(bench: OrderBench, strategy: str = "s1", **fields: object) -> RequestAnswered:
    asked = {"account": ACCOUNT, "instrument": "NFO:A", "product": Product.MIS, "price": 100.0, **fields}
    request = ClaimRequested(id=f"c{bench.time}", strategy=strategy, at_ns=bench.now, **asked)  # type: ignore[arg-type]
    return next(row for row in bench.step(request) if isinstance(row, RequestAnswered))


def unmanaged(bench: OrderBench) -> UnmanagedChanged:
    return [row for row in bench.rows if isinstance(row, UnmanagedChanged)][-1]


def test_claim_moves_units_to_the_owner_and_none_are_made(bench: OrderBench) -> None:
    foreign(bench, 75)
    assert claim(bench, quantity=50).ok
    assert (bench.position().quantity, bench.position().average_price) == (50, 100.0)
    assert unmanaged(bench).quantity == 25
    causes = [(row.cause, row.quantity) for row in bench.rows if isinstance(row, PositionAdjusted)]
    assert causes == [("claim", 50)]
    bench.read()
    assert "POSITION_CORRECTED" not in bench.codes()


def test_claimed_units_are_closed_like_any_other(bench: OrderBench) -> None:
    foreign(bench, -75)
    assert claim(bench).ok
    bench.close("g1")
    assert [(call.order.side, call.order.quantity) for call in bench.calls] == [(Side.BUY, 75)]


def test_claim_with_a_stop_is_guarded_at_the_broker(bench: OrderBench) -> None:
    foreign(bench, 75)
    assert claim(bench, stop=90.0, stop_limit=87.0).ok
    order = bench.calls[0].order
    assert (order.side, order.quantity, order.trigger_price, order.price) == (Side.SELL, 75, 90.0, 87.0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quantity": 100}, "75 of NFO:A MIS in main are unmanaged"),
        ({"instrument": "NFO:B"}, "nothing of NFO:B"),
        ({"price": 0.0}, "--price"),
        ({"stop": 90.0, "stop_limit": 91.0}, "at or below the trigger"),
    ],
)
def test_claim_is_refused_with_what_is_expected(bench: OrderBench, fields: dict[str, object], said: str) -> None:
    foreign(bench, 75)
    answer = claim(bench, **fields)
    assert not answer.ok and said in answer.message
    assert unmanaged(bench).quantity == 75


def test_claim_against_another_owner_is_opposed(bench: OrderBench) -> None:
    bench.hold("e1", 50)
    bench.tick(2 * SECOND)
    bench.broker.by_hand(-75)
    for _ in range(2):
        bench.read()
        bench.tick(6 * SECOND)
    assert bench.machine.position(ACCOUNT, "NFO:A", Product.MIS, "s1").quantity == 0  # type: ignore[union-attr]
    assert unmanaged(bench).quantity == -75
    assert claim(bench, "s2").ok
    bench.enter("e2", strategy="s1")
    assert bench.order("e2").state is OrderState.DENIED and "OPPOSED" in bench.order("e2").message


def test_claim_in_dispute_waits(bench: OrderBench) -> None:
    foreign(bench, 75)
    bench.broker.net["NFO:A", Product.MIS] = 150
    bench.read()
    assert "in dispute" in claim(bench).message


def test_unmanaged_keeps_its_age_while_it_changes(bench: OrderBench) -> None:
    foreign(bench, 75)
    since = unmanaged(bench).since_ns
    foreign(bench, 25)
    assert (unmanaged(bench).quantity, unmanaged(bench).since_ns) == (100, since)


def half_closed(bench: OrderBench) -> None:
    """s1 holds 50, an exit of which is out; somebody buys 75 more at the terminal."""
    bench.hold("e1", 50)
    bench.tick(2 * SECOND)
    bench.close("g1")
    bench.accept()
    foreign(bench, 75)


def test_claim_for_an_owner_that_is_being_closed_is_refused_with_the_goal_and_the_next_step(bench: OrderBench) -> None:
    half_closed(bench)
    answer = claim(bench)
    assert not answer.ok
    for said in ("s1 is being closed in NFO:A MIS of main", "exit g1 is open", "claim again when", "another owner"):
        assert said in answer.message
    assert "mytrading positions close NFO:A --unmanaged" in answer.message
    assert unmanaged(bench).quantity == 75 and len(bench.broker.orders) == 2


def test_claim_for_another_owner_beside_one_that_is_being_closed_is_given(bench: OrderBench) -> None:
    half_closed(bench)
    assert claim(bench, "s2").ok
    assert bench.machine.position(ACCOUNT, "NFO:A", Product.MIS, "s2").quantity == 75  # type: ignore[union-attr]


def test_claim_only_to_be_closed_is_taken_in_by_the_goal_that_stands(bench: OrderBench) -> None:
    half_closed(bench)
    assert claim(bench, to_close=True).ok
    assert bench.position().quantity == 125 and unmanaged(bench).quantity == 0


def test_claim_after_the_goal_has_ended_is_given_and_stays(bench: OrderBench) -> None:
    half_closed(bench)
    exit_ = bench.broker.orders["B2"]
    bench.broker.trade(exit_, 50, 99.0)
    bench.report(exit_)
    for _ in range(3):
        bench.tick(2 * SECOND)
        bench.read()
    assert claim(bench).ok
    bench.tick(10 * SECOND)
    assert bench.position().quantity == 75 and not [call for call in bench.calls if call.call is Call.PLACE]


@pytest.mark.parametrize(
    ("scope", "named"),
    [({"strategy": "s1", "instrument": "NFO:A"}, True), ({"instrument": "NFO:A"}, False), ({}, False)],
)
def test_claim_while_a_flatten_is_not_proven_is_refused_in_its_scope(
    bench: OrderBench, scope: dict[str, str], named: bool
) -> None:
    """No position is held and no goal stands: the flatten would open one for the claimed position."""
    foreign(bench, 75)
    until = bench.time + 30 * SECOND
    bench.step(
        FlattenRequested(
            id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="by hand", **scope
        )  # type: ignore[arg-type]
    )
    answer = claim(bench)
    assert not answer.ok and "flatten f1 is open, 0 of 2 reads prove it" in answer.message
    assert ("another owner" in answer.message) is named
    for _ in range(4):
        bench.tick(2 * SECOND)
        bench.read()
    assert claim(bench).ok and bench.position().quantity == 75


@pytest.mark.parametrize("scope", [{"strategy": "s2"}, {"instrument": "NFO:B"}, {"product": Product.NRML}])
def test_claim_beside_a_flatten_of_something_else_is_given(bench: OrderBench, scope: dict[str, object]) -> None:
    foreign(bench, 75)
    until = bench.time + 30 * SECOND
    bench.step(
        FlattenRequested(
            id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="by hand", **scope
        )  # type: ignore[arg-type]
    )
    assert claim(bench).ok
