"""Outcome of a signal in each of its accounts, and in all of them together."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.outcomes import SignalResult, outcome_of_all, outcomes
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order
from mytrading.messages.signals import Signal
from tests.kit.order_samples import order_of

SIGNAL = Signal(
    id="w", strategy="S", watch="NSE:SBIN", action=Action.BUY, created_ns=1, expires_ns=2, expires_machine_ns=2
)


def order(account: str, state: OrderState, filled: int = 0, **fields: Any) -> Order:
    given: dict[str, Any] = {
        "client_order_id": f"{account}-{state}", "account": account, "instrument": "NSE:SBIN", "product": Product.MIS,
        "strategy": "S", "run": "r", "cause": "w", "purpose": Purpose.ENTRY, "side": Side.BUY, "quantity": 10,
        "order_type": OrderType.MARKET, "state": state, "created_ns": 1, "updated_ns": 1, "filled": filled,
    }  # fmt: skip
    return order_of(**{**given, **fields})


def denied(account: str, message: str = "too dear") -> SignalDenied:
    return SignalDenied(signal="w", strategy="S", code="INSUFFICIENT_MARGIN", message=message, at_ns=1, account=account)


def test_one_account_that_is_rejected_makes_the_signal_partial_with_its_reason_and_hides_no_other() -> None:
    orders = [
        order("a", OrderState.FILLED, 10),
        order("b", OrderState.REJECTED, message="RMS: margin"),
        order("c", OrderState.FILLED, 10, cause="another signal"),
    ]
    results = outcomes(SIGNAL, orders, [denied("c")], ["a", "b", "c"])
    assert [(row.account, row.result, row.filled, row.reason) for row in results] == [
        ("a", SignalResult.FILLED, 10, ""),
        ("b", SignalResult.REJECTED, 0, "RMS: margin"),
        ("c", SignalResult.DENIED, 0, "INSUFFICIENT_MARGIN: too dear"),
    ]
    assert outcome_of_all(results) == "partial"


@pytest.mark.parametrize(
    ("orders", "denials", "word"),
    [
        ([], [], ""),
        ([order("a", OrderState.FILLED, 10), order("b", OrderState.ACCEPTED)], [], "working"),
        ([order("a", OrderState.FILLED, 10), order("b", OrderState.FILLED, 10)], [], "filled"),
        ([], [denied("a"), denied("b")], "denied"),
        ([], [SignalExpired(signal="w", strategy="S", at_ns=3, expired_ns=2)], "denied"),
        ([order("a", OrderState.REJECTED)], [denied("b")], "ended"),
        ([order("a", OrderState.DENIED, message="BROKER_CHANGED: another broker")], [], "denied"),
        ([order("a", OrderState.DENIED), order("a", OrderState.FILLED, 10)], [], "partial"),
        ([order("a", OrderState.CANCELLED, 4)], [], "partial"),
        ([order("a", OrderState.RECORDED), order("b", OrderState.RECORDED)], [], "recorded"),
        ([order("a", OrderState.FILLED, 10, purpose=Purpose.EXIT)], [], ""),
    ],
)
def test_word_for_all_accounts(orders: list[Order], denials: list[Any], word: str) -> None:
    assert outcome_of_all(outcomes(SIGNAL, orders, denials, ["a", "b"])) == word


def test_order_that_was_replaced_does_not_count_against_the_one_that_filled() -> None:
    orders = [
        order("a", OrderState.CANCELLED, message="replaced"),
        order("a", OrderState.FILLED, 10, replaces="a-CANCELLED"),
    ]
    assert outcomes(SIGNAL, orders, [], ["a"]) == (("a", SignalResult.FILLED, 1, 10, ""),)


def test_signal_that_only_closes_has_the_result_of_its_exit_orders() -> None:
    leaving = replace(SIGNAL, action=Action.EXIT)
    orders = [order("a", OrderState.FILLED, 10, purpose=Purpose.EXIT), order("a", OrderState.CANCELLED)]
    assert outcomes(leaving, orders, [], ["a"]) == (("a", SignalResult.FILLED, 1, 10, ""),)
    working = [*orders, order("b", OrderState.ACCEPTED, purpose=Purpose.EXIT)]
    assert outcome_of_all(outcomes(leaving, working, [], ["a", "b"])) == "working"
    assert outcomes(leaving, [], [], ["a"]) == ()
