"""The decision table of evidence: every rule can be reached, and the proofs that money hangs on are as they were."""

from __future__ import annotations

import pytest

from mytrading.core.oms.evidence.judge import RULES, Fact, OrderCase, OrderReading, OrderVerdict, judge
from mytrading.core.oms.state.settings import SECOND, OmsLimits
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.order_evidence import CancelState, Disputed, Missing, PendingEnd, Unseen
from mytrading.messages.orders import Order, OrderEvidence
from tests.kit.order_samples import order_of

T = 100 * SECOND


def order(state: OrderState = OrderState.ACCEPTED, purpose: Purpose = Purpose.ENTRY, **fields: object) -> Order:
    return order_of(
        client_order_id="a", account="main", instrument="NFO:A", product=Product.MIS, strategy="s", run="r", cause="c",
        purpose=purpose, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, state=state, created_ns=1,
        updated_ns=1, **fields,
    )  # fmt: skip


def reading(began: int, **fields: object) -> OrderReading:
    return OrderReading(OmsLimits(), began, began + 1, **fields)  # type: ignore[arg-type]


def test_last_rule_of_every_case_holds_always_and_every_fact_and_verdict_is_used() -> None:
    assert RULES.keys() == set(OrderCase)
    assert all(not rules[-1].facts and all(rule.facts for rule in rules[:-1]) for rules in RULES.values())
    assert {fact for rules in RULES.values() for rule in rules for fact in rule.facts} == set(Fact)
    assert {rule.verdict for rules in RULES.values() for rule in rules} == set(OrderVerdict)


@pytest.mark.parametrize(
    ("cancel", "by_stream", "reads"), [(0, False, 3), (1, False, 2), (0, True, 1)], ids=["unasked", "asked", "stream"]
)
def test_end_takes_as_many_reads_as_it_is_unexpected(cancel: int, by_stream: bool, reads: int) -> None:
    pending = PendingEnd(status=BrokerStatus.CANCELLED, by_stream=True) if by_stream else None
    evidence = OrderEvidence(end=pending, cancel=CancelState(calls=cancel))
    for number in range(1, reads + 1):
        read = reading(T + number * SECOND, status=BrokerStatus.CANCELLED, trades_read=True)
        verdict, evidence = judge(order(), evidence, read, OrderCase.RESTING)
        assert (verdict is OrderVerdict.END_PROVEN) == (number == reads)


def test_end_that_the_books_took_back_needs_longer_next_time() -> None:
    evidence = OrderEvidence(end=PendingEnd(status=BrokerStatus.CANCELLED), seen_machine_ns=T)
    verdict, evidence = judge(order(), evidence, reading(T + 1, status=BrokerStatus.OPEN), OrderCase.RESTING)
    assert verdict is OrderVerdict.FLAPPED and evidence.flapped and evidence.end is None
    shown = reading(T + 10, status=BrokerStatus.CANCELLED, trades_read=True)
    verdict, evidence = judge(order(), evidence, shown, OrderCase.RESTING)
    assert verdict is OrderVerdict.END_NOTED and evidence.flapped
    soon, late = shown._replace(began_ns=T + SECOND), shown._replace(began_ns=T + 6 * SECOND)
    assert judge(order(), evidence, soon, OrderCase.RESTING).verdict is OrderVerdict.NOTHING
    assert judge(order(), evidence, late, OrderCase.RESTING).verdict is OrderVerdict.END_PROVEN


def test_ended_order_that_is_shown_open_lives_again_after_two_reads_apart() -> None:
    gone, shown = order(OrderState.CANCELLED), reading(T, status=BrokerStatus.OPEN)
    verdict, evidence = judge(gone, gone.evidence, shown, OrderCase.ENDED)
    assert (verdict, evidence.end) == (OrderVerdict.DISPUTE_NOTED, Disputed())
    again = shown._replace(began_ns=T + SECOND)
    assert judge(gone, evidence, again, OrderCase.ENDED).verdict is OrderVerdict.BEHIND
    again = shown._replace(began_ns=T + 16 * SECOND)
    assert judge(gone, evidence, again, OrderCase.ENDED).verdict is OrderVerdict.REVIVED
    filled = order(OrderState.FILLED)
    assert judge(filled, evidence, again, OrderCase.ENDED).verdict is OrderVerdict.CONTRADICTED


def test_exit_of_unknown_fate_is_given_up_only_by_two_reads_that_can_tell() -> None:
    exit_ = order(OrderState.UNKNOWN, Purpose.EXIT)
    blind = judge(exit_, exit_.evidence, reading(T), OrderCase.UNKNOWN_ABSENT)
    assert blind.verdict is OrderVerdict.NOTHING
    verdict, evidence = judge(exit_, exit_.evidence, reading(T, unmoved=True), OrderCase.UNKNOWN_ABSENT)
    assert (verdict, evidence.match) == (OrderVerdict.UNSEEN_COUNTED, Unseen(reads=1))
    early = judge(exit_, evidence, reading(T + 14 * SECOND, unmoved=True), OrderCase.UNKNOWN_ABSENT)
    assert early.verdict is OrderVerdict.NOTHING
    moved = judge(exit_, evidence, reading(T + 16 * SECOND, unmoved=False), OrderCase.UNKNOWN_ABSENT)
    assert (moved.verdict, moved.evidence.match) == (OrderVerdict.UNSEEN_CLEARED, None)
    late = judge(exit_, evidence, reading(T + 16 * SECOND, unmoved=True), OrderCase.UNKNOWN_ABSENT)
    assert late.verdict is OrderVerdict.GIVEN_UP


def test_missing_order_is_reported_at_the_second_read_and_ends_only_if_it_is_of_an_earlier_day() -> None:
    verdict, evidence = judge(order(), order().evidence, reading(T), OrderCase.RESTING_ABSENT)
    assert (verdict, evidence.end) == (OrderVerdict.MISSING_NOTED, Missing())
    again = reading(T + SECOND)
    assert judge(order(), evidence, again, OrderCase.RESTING_ABSENT).verdict is OrderVerdict.MISSING_REPORTED
    carried = again._replace(carried=True)
    assert judge(order(), evidence, carried, OrderCase.RESTING_ABSENT).verdict is OrderVerdict.ENDED_OVERNIGHT
