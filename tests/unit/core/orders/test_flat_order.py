"""An order as commands print it: the keys of version 0.1, whatever the nesting of the message."""

from __future__ import annotations

import msgspec
import pytest

from mytrading.core.orders.flat_order import complete_flat_order, flat_order, flatten_orders
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.order_evidence import (
    Ambiguous,
    CancelState,
    Candidate,
    Contradicted,
    Disputed,
    FewerFilled,
    Missing,
    ModifyState,
    OrderTerms,
    PendingEnd,
    Unseen,
)
from mytrading.messages.orders import Order, OrderChanged, OrderEvidence
from tests.kit.order_samples import order_of

KEYS = (
    "client_order_id", "account", "instrument", "product", "strategy", "run", "cause", "purpose", "side", "quantity",
    "order_type", "state", "created_ns", "updated_ns", "price", "trigger_price", "reference_price", "attempt",
    "goal", "broker_order_id", "filled", "filled_seen", "average_price", "stream_filled", "book_filled",
    "trade_filled", "trade_value", "pending_cancel", "cancel_calls", "cancel_machine_ns", "pending_modify",
    "began_machine_ns", "ended_machine_ns", "not_before_machine_ns", "expires_ns", "expires_machine_ns", "evidence",
    "evidence_machine_ns", "candidate", "message", "trace_ns", "ending", "cancelling", "stop_trigger", "stop_limit",
    "parent", "slice", "wanted_price", "wanted_trigger", "wanted_quantity", "modifying", "modify_asked",
    "modify_calls", "modify_machine_ns", "modify_wait_ns", "modify_reads", "modify_doubt_ns", "replacing",
    "replaces", "replaced", "request", "stream_void", "held_stop", "rests_until_ns", "held_target",
)  # fmt: skip


def order(evidence: OrderEvidence | None = None, **fields: object) -> Order:
    return order_of(
        client_order_id="a", account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="s", run="r",
        cause="c", purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT,
        state=OrderState.ACCEPTED, created_ns=1, updated_ns=2, evidence=evidence or OrderEvidence(), **fields,
    )  # fmt: skip


def test_whole_order_has_every_key_of_the_first_version() -> None:
    assert set(complete_flat_order(order())) == {*KEYS, "sent_ns"}
    assert len(Order.__struct_fields__) <= 25


def test_order_whose_change_was_called_done_is_printed_with_the_keys_of_the_first_version() -> None:
    """`orders` ended with a KeyError once a change had been answered with success."""
    change = ModifyState(calls=1, accepted=True, refused=OrderTerms(101.0, 0.0, 10))
    known = OrderEvidence(modify=change, shown_waiting=True, shown_open_machine_ns=5, shown_stop=True, limit_reads=1)
    assert set(complete_flat_order(order(known))) == {*KEYS, "sent_ns"}
    assert flat_order(order(known))["modify_calls"] == 1


def test_parts_of_an_order_are_keys_of_its_own() -> None:
    flat = flat_order(order(parent="p", slice=2, attempt=1, began_machine_ns=5, stop_trigger=90.0, stream_filled=4))
    said = {"parent": "p", "slice": 2, "attempt": 1, "began_machine_ns": 5, "stop_trigger": 90.0, "stream_filled": 4}
    assert said.items() <= flat.items() and not {"links", "call", "plan", "evidence"} & flat.keys()


CASES = [
    (OrderEvidence(end=PendingEnd(status=BrokerStatus.CANCELLED, sightings=2)), {"ending": "cancelled", "evidence": 2}),
    (
        OrderEvidence(end=PendingEnd(status=BrokerStatus.REJECTED, by_stream=True), seen_machine_ns=7),
        {"ending": "rejected", "evidence": 1, "candidate": "stream", "evidence_machine_ns": 7},
    ),
    (OrderEvidence(end=Disputed()), {"ending": "alive", "evidence": 1}),
    (OrderEvidence(end=FewerFilled()), {"ending": "fewer"}),
    (OrderEvidence(end=Missing(reads=2)), {"ending": "missing", "evidence": 2}),
    (OrderEvidence(end=Contradicted(), flapped=True), {"ending": "contradicted", "evidence": -1}),
    (OrderEvidence(match=Candidate(broker_order_id="B1")), {"candidate": "B1", "evidence": 1}),
    (OrderEvidence(match=Ambiguous()), {"candidate": "several"}),
    (OrderEvidence(match=Unseen(reads=2)), {"evidence": 2}),
    (
        OrderEvidence(cancel=CancelState(wanted=True, out=True, calls=2, not_before_machine_ns=9)),
        {"pending_cancel": True, "cancelling": True, "cancel_calls": 2, "cancel_machine_ns": 9},
    ),
    (
        OrderEvidence(modify=ModifyState(wanted=OrderTerms(99.0, quantity=5), out=True, unproven=True, calls=1)),
        {
            "pending_modify": True, "wanted_price": 99.0, "wanted_quantity": 5, "modifying": True, "modify_asked": True,
            "modify_calls": 1,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "shown"), CASES)
def test_evidence_is_shown_in_words_and_numbers(evidence: OrderEvidence, shown: dict[str, object]) -> None:
    plain = flat_order(order())
    assert {name: value for name, value in flat_order(order(evidence)).items() if name not in plain} == shown


def test_orders_inside_of_messages_are_flat_too() -> None:
    row = OrderChanged(event="accepted", order=order(parent="p"), machine_ns=3)
    body = flatten_orders(msgspec.to_builtins(row))
    assert body["order"]["parent"] == "p" and "links" not in body["order"]
    outcome = {"type": "call_outcome", "client_order_id": "a", "call": "place", "outcome": "accepted"}
    assert flatten_orders(outcome) == outcome, "a row about an order is none"
