"""The newest denial of a strategy: since when, how many in a row, and gone once a signal entered."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.gateway.refusals import Refusal, RefusalBook
from mytrading.core.time import DAY, MINUTE
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.signals import Signal, SignalVetoed
from tests.kit.order_samples import order
from tests.kit.risk_bench import NOW


def signal(name: str, at_ns: int, action: Action = Action.BUY) -> Signal:
    return Signal(
        id=name, strategy="S", watch="NSE_INDEX:NIFTY", action=action, created_ns=at_ns, expires_ns=at_ns + MINUTE,
        expires_machine_ns=0,
    )  # fmt: skip


def denial(name: str, at_ns: int, account: str = "main", **fields: Any) -> SignalDenied:
    given = {"code": "MAX_POSITIONS_PER_SYMBOL", "message": "5 positions of NIFTY", "value": 5, "limit": 5, **fields}
    return SignalDenied(signal=name, strategy="S", at_ns=at_ns, account=account, **given)


def refused_each_minute(count: int) -> RefusalBook:
    book = RefusalBook()
    for minute in range(count):
        book.count_signal(signal(f"w{minute}", NOW + minute * MINUTE))
        book.deny(denial(f"w{minute}", NOW + minute * MINUTE))
        book.deny(denial(f"w{minute}", NOW + minute * MINUTE, instrument="the second leg"))
    return book


def entry(at_ns: int, account: str = "main") -> Any:
    return order(
        client_order_id=f"e{at_ns}", strategy="S", account=account, state=OrderState.ACCEPTED, created_ns=at_ns
    )


def found(book: RefusalBook, now: int = NOW + 60 * MINUTE) -> Refusal:
    made = book.newest("S", now)
    assert made is not None
    return made


def test_strategy_that_is_denied_each_minute_says_rule_figures_since_and_how_often() -> None:
    book = refused_each_minute(35)
    row = found(book)
    assert row.rule == "positions per symbol 5 of 5"
    assert (row.since_ns, row.last_ns, row.in_a_row, row.signals) == (NOW, NOW + 34 * MINUTE, 35, 35)
    assert book.newest("another", NOW) is None


def test_refusal_is_gone_once_a_signal_entered_and_begins_again_with_the_next_denial() -> None:
    book = refused_each_minute(3)
    book.accept(entry(NOW + 10 * MINUTE))
    assert book.newest("S", NOW + 11 * MINUTE) is None
    book.count_signal(signal("later", NOW + 20 * MINUTE))
    book.deny(denial("later", NOW + 20 * MINUTE))
    row = found(book)
    assert (row.since_ns, row.in_a_row, row.signals) == (NOW + 20 * MINUTE, 1, 4)


def test_refusal_is_the_same_in_whatever_order_journals_are_read() -> None:
    book = RefusalBook()
    book.accept(entry(NOW + MINUTE))
    for minute in (0, 2):
        book.deny(denial(f"w{minute}", NOW + minute * MINUTE))
    assert (found(book).since_ns, found(book).in_a_row) == (NOW + 2 * MINUTE, 1), "the first was before the entry"


def test_account_that_is_refused_is_shown_though_another_enters() -> None:
    book = RefusalBook()
    book.deny(denial("w", NOW, "second", code="NOT_READY", message="not ready", value=None, limit=None))
    book.accept(entry(NOW + MINUTE, "main"))
    assert (found(book).account, found(book).rule) == ("second", "not ready")
    book.accept(entry(NOW + MINUTE, "second"))
    assert book.newest("S", NOW + MINUTE) is None


def test_next_day_begins_without_refusals_and_exits_are_no_refused_signals() -> None:
    book = refused_each_minute(2)
    assert book.newest("S", NOW + DAY) is None
    book.count_signal(signal("out", NOW + DAY, Action.EXIT))
    book.count_signal(signal("in", NOW + DAY))
    book.deny(denial("in", NOW + DAY))
    assert (found(book, NOW + DAY).in_a_row, found(book, NOW + DAY).signals) == (1, 1)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (SignalVetoed(signal="v", strategy="S", watch="", rule="quiet_times", message="late", at_ns=NOW),
         "rule quiet_times"),
        (SignalVetoed(signal="v", strategy="S", watch="", rule="", message="old bar", at_ns=NOW), "late"),
        (SignalExpired(signal="v", strategy="S", at_ns=NOW, expired_ns=NOW), "expired"),
        (denial("v", NOW, code="MAX_ORDER_SIZE", value=1_20_000.0, limit=1_00_000.0),
         "order size ₹1,20,000 of ₹1,00,000"),
    ],
)  # fmt: skip
def test_rule_stands_in_plain_words(row: Any, rule: str) -> None:
    book = RefusalBook()
    book.deny(row)
    assert found(book).rule == rule


def test_rest_of_a_signal_that_entered_is_no_refusal() -> None:
    book = refused_each_minute(1)
    entered = entry(NOW + MINUTE)
    book.accept(entered)
    book.deny(SignalExpired(signal=entered.cause, strategy="S", at_ns=NOW + 2 * MINUTE, expired_ns=NOW + 2 * MINUTE))
    book.deny(denial(entered.cause, NOW + 2 * MINUTE))
    assert book.newest("S", NOW + 3 * MINUTE) is None
    book.deny(denial("w9", NOW + 3 * MINUTE))
    assert found(book).in_a_row == 1
