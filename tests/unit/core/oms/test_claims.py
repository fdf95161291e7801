"""Unmanaged units: found, claimed with a stop, and never more than are there."""

from __future__ import annotations

import pytest

from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested, FlattenRequested
from mytrading.messages.enums import Call, OrderState, Outcome, Product, Purpose, Side
from mytrading.messages.orders import TRIGGER_CROSSED, PositionAdjusted, RequestAnswered
from tests.kit.fake_broker import ACCOUNT, SECOND, OpenCall, OrderBench, time_out
from tests.kit.state_digest import state_digest


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def foreign(bench: OrderBench, units: int, instrument: str = "NFO:A") -> None:
    """Trade at the terminal; two reads show it."""
    bench.broker.by_hand(bench.broker.net.get((instrument, Product.MIS), 0) + units, instrument)
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()


def claim(bench: OrderBench, strategy: str = "s1", **fields: object) -> RequestAnswered:
    asked = {"account": ACCOUNT, "instrument": "NFO:A", "product": Product.MIS, "price": 100.0, **fields}
    request = ClaimRequested(id=f"c{bench.time}", strategy=strategy, at_ns=bench.now, **asked)  # type: ignore[arg-type]
    rows = [*bench.step(request), *bench.read()]
    return next(row for row in rows if isinstance(row, RequestAnswered))


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
    claim_guarded(bench)
    order = bench.calls[0].order
    assert (order.side, order.quantity, order.trigger_price, order.price) == (Side.SELL, 75, 90.0, 87.0)


STOP = {"stop": 90.0, "stop_limit": 87.0}
CROSSED = f"{TRIGGER_CROSSED}trigger price 90 is above the last price 89.5"


def claim_guarded(bench: OrderBench, strategy: str = "s1", **fields: object) -> str:
    """Claim with a stop that is not placed yet; returns the id of the request, which has no answer yet."""
    asked = {"account": ACCOUNT, "instrument": "NFO:A", "product": Product.MIS, "price": 100.0, **STOP, **fields}
    request = ClaimRequested(id=f"c{bench.time}", strategy=strategy, at_ns=bench.now, **asked)  # type: ignore[arg-type]
    bench.step(request)
    bench.read()
    return request.id


def answers(bench: OrderBench, request: str) -> list[RequestAnswered]:
    return [row for row in bench.rows if isinstance(row, RequestAnswered) and row.id == request]


def stops_placed(bench: OrderBench) -> list[OpenCall]:
    return [call for call in bench.calls if call.call is Call.PLACE and call.order.purpose is Purpose.STOP]


def refuse(bench: OrderBench, message: str = CROSSED) -> None:
    (call,) = stops_placed(bench)
    bench.end(call, Outcome.REFUSED, message=message)


def assert_unmanaged_as_before(bench: OrderBench, request: str, before: UnmanagedChanged) -> None:
    assert (bench.position().quantity, bench.position().quantity_seen) == (0, 0)
    found = unmanaged(bench)
    assert (found.quantity, found.average_price, found.since_ns) == (75, before.average_price, before.since_ns)
    (answer,) = answers(bench, request)
    assert not answer.ok
    (alert,) = [alert for alert in bench.alerts if alert.code == "CLAIM_FAILED"]
    assert alert.message == answer.message and bench.stands("CLAIM_FAILED", alert.subject)
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read()
    assert bench.calls == [] and bench.machine.goals() == [] and not bench.codes() & {"STOP_FAILED"}
    assert bench.machine.state.mismatches.sorted_values() == [] and unmanaged(bench).quantity == 75
    assert answers(bench, request) == [answer] and not bench.machine.state.guarding
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_claim_with_a_stop_is_answered_when_that_rests(bench: OrderBench) -> None:
    foreign(bench, 75)
    request = claim_guarded(bench)
    assert answers(bench, request) == []
    bench.accept()
    (answer,) = answers(bench, request)
    assert answer.ok and answer.message == "s1 owns 75 of NFO:A; 0 unmanaged; its stop rests at 90"
    bench.read()
    bench.tick(10 * SECOND)
    assert answers(bench, request) == [answer]


@pytest.mark.parametrize("killed", [False, True])
def test_claim_whose_stop_the_price_has_passed_is_taken_back_and_said_for_good(bench: OrderBench, killed: bool) -> None:
    foreign(bench, 75)
    before = unmanaged(bench)
    request = claim_guarded(bench)
    if killed:
        bench.crash(never_began=lambda _name, _attempt: True)
        bench.tick(SECOND)
        bench.read()
        bench.tick(SECOND)
    refuse(bench)
    assert_unmanaged_as_before(bench, request, before)
    (answer,) = answers(bench, request)
    for said in ("75 of NFO:A MIS in main for s1 with a stop at 90 (limit 87)", "last price 89.5", "as they were"):
        assert said in answer.message


def test_claim_whose_stop_is_refused_three_times_is_taken_back(bench: OrderBench) -> None:
    foreign(bench, 75)
    before = unmanaged(bench)
    request = claim_guarded(bench)
    for _ in range(3):
        refuse(bench, "margin is short")
        for _ in range(12):
            bench.tick(SECOND)
    assert "margin is short" in answers(bench, request)[0].message
    assert_unmanaged_as_before(bench, request, before)


def test_claim_that_is_taken_back_leaves_what_its_owner_held_before_as_it_was(bench: OrderBench) -> None:
    foreign(bench, 75)
    assert claim(bench, quantity=50, price=90.0).ok
    held = bench.position()
    bench.tick(SECOND)
    request = claim_guarded(bench)
    assert bench.position().quantity == 75
    bench.end(stops_placed(bench)[0], Outcome.REFUSED, message=CROSSED)
    after = bench.position()
    assert (after.quantity, after.average_price, after.run, after.bought) == (50, 90.0, held.run, held.bought)
    assert unmanaged(bench).quantity == 25 and not answers(bench, request)[0].ok
    assert bench.machine.goals() == [] and bench.calls == []


def test_claim_whose_owner_has_traded_there_meanwhile_is_closed_and_that_is_said_for_good(bench: OrderBench) -> None:
    foreign(bench, 75)
    request = claim_guarded(bench)
    bench.enter("e1")
    placed = bench.accept(next(call for call in bench.calls if call.order.purpose is Purpose.ENTRY))
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    refuse(bench)
    bench.tick(SECOND)
    refuse(bench)  # of all that is held by now
    (answer,) = answers(bench, request)
    assert not answer.ok and "it is being closed" in answer.message
    assert {"CLAIM_FAILED", "STOP_FAILED"} <= bench.codes() and len(bench.machine.goals()) == 1


def test_claim_that_an_exit_overtakes_is_answered_and_the_exit_goes_on(bench: OrderBench) -> None:
    foreign(bench, 75)
    request = claim_guarded(bench)
    bench.close("g1")
    (answer,) = answers(bench, request)
    assert answer.ok and answer.message.endswith("an exit is closing it")
    bench.end(stops_placed(bench)[0], Outcome.REFUSED, message=CROSSED)
    bench.tick(SECOND)
    assert bench.position().quantity == 75 and [call.order.purpose for call in bench.calls] == [Purpose.EXIT]
    assert answers(bench, request) == [answer]


def test_claim_after_the_close_is_answered_at_once_and_guarded_at_the_open_like_any_position(bench: OrderBench) -> None:
    foreign(bench, 75)
    bench.session_open = False
    request = claim_guarded(bench)
    (answer,) = answers(bench, request)
    assert answer.ok and answer.message.endswith("its stop at 90 is placed when the exchange opens")
    bench.session_open = True
    bench.tick(SECOND)
    refuse(bench)
    assert "STOP_FAILED" in bench.codes() and answers(bench, request) == [answer]


def test_claim_whose_stop_is_of_unknown_fate_is_answered_when_it_is_found(bench: OrderBench) -> None:
    foreign(bench, 75)
    request = claim_guarded(bench)
    time_out(bench, placed=True)
    assert answers(bench, request) == []
    for _ in range(4):
        bench.tick(2 * SECOND)
        bench.read()
    (answer,) = answers(bench, request)
    assert answer.ok and bench.position().quantity == 75


def test_claim_waits_for_the_cancel_of_the_stop_of_the_last_trip_and_gets_its_own_stop(bench: OrderBench) -> None:
    bench.hold("e1", stop_trigger=80.0, stop_limit=78.0)
    bench.accept()
    bench.read()
    bench.broker.by_hand(0)
    for _ in range(3):
        bench.tick(6 * SECOND)
        bench.read()
    assert bench.position().quantity == 0 and bench.machine.state.guarding
    foreign(bench, 75)
    early = claim_guarded(bench)
    assert "is under way: stop" in answers(bench, early)[0].message
    bench.cancel()
    for _ in range(4):
        bench.tick(2 * SECOND)
        bench.read()
    request = claim_guarded(bench)
    assert [call.order.trigger_price for call in stops_placed(bench)] == [90.0]
    bench.accept()
    assert answers(bench, request)[0].ok


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
    assert unmanaged(bench).quantity == 75 and len(bench.broker.placements) == 2


def end_exit(bench: OrderBench) -> None:
    exit_ = bench.broker.orders["B2"]
    bench.broker.trade(exit_, 50, 99.0)
    bench.report(exit_)
    for _ in range(3):
        bench.tick(2 * SECOND)
        bench.read()


@pytest.mark.parametrize(("strategy", "to_close"), [("s2", False), ("s1", True)])
def test_claim_beside_an_exit_that_is_out_is_refused_with_its_name_and_given_once_it_has_ended(
    bench: OrderBench, strategy: str, to_close: bool
) -> None:
    half_closed(bench)
    refused = claim(bench, strategy, to_close=to_close)
    name = next(order.client_order_id for order in bench.machine.orders() if order.purpose is Purpose.EXIT)
    assert not refused.ok and f"order {name} is under way: exit SELL 50 NFO:A" in refused.message
    assert unmanaged(bench).quantity == 75
    end_exit(bench)
    assert claim(bench, strategy, to_close=to_close).ok
    assert bench.machine.position(ACCOUNT, "NFO:A", Product.MIS, strategy).quantity == 75  # type: ignore[union-attr]


def test_claim_only_to_be_closed_is_taken_in_by_the_goal_that_stands(bench: OrderBench) -> None:
    bench.hold("e1", 50)
    foreign(bench, 75)
    bench.close("g1")
    bench.end(bench.calls[0], Outcome.REFUSED, message="margin is short")  # the next attempt is due a little later
    assert claim(bench, to_close=True).ok
    assert bench.position().quantity == 125 and unmanaged(bench).quantity == 0


def test_claim_after_the_goal_has_ended_is_given_and_stays(bench: OrderBench) -> None:
    half_closed(bench)
    end_exit(bench)
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
