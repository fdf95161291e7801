"""What a row that cannot be read, an unknown word or funds of zeros mean, by what is known of the account."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.reconciler.account_view import AccountView
from mytrading.core.reconciler.active_alerts import AccountProblems, active_alerts
from mytrading.messages.brokers import PLAIN, UNLISTED
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Product, Purpose, Severity, Side
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerPosition, Funds, UnreadRow
from tests.kit.order_samples import order_of

ZEROS = Funds(account="main", available=0.0, used=0.0)
READ = BooksRead(account="main", id="r", began_machine_ns=1, ended_machine_ns=2, orders=(), trades=(), positions=())


def ours(state: OrderState = OrderState.ACCEPTED, broker_order_id: str = "B1") -> Order:
    return order_of(
        client_order_id="c", account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="s", run="r",
        cause="x", purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.MARKET, state=state,
        created_ns=1, updated_ns=1, broker_order_id=broker_order_id,
    )  # fmt: skip


def test_unread_order_row_concerns_us_by_its_id_or_while_a_fate_is_unknown() -> None:
    view, strange = AccountView(), UnreadRow(book="orders", broker_order_id="77")
    view.on_router_order(ours())
    assert not view.concerns(strange) and view.concerns(replace(strange, broker_order_id="B1"))
    assert view.concerns(replace(strange, broker_order_id="")) and view.concerns(UnreadRow(book="positions"))
    view.on_router_order(ours(OrderState.FILLED))
    assert not view.concerns(replace(strange, broker_order_id="B1")), "it has ended"
    view.on_router_order(ours(OrderState.SUBMITTED, ""))
    assert view.concerns(strange), "it may be the one that is under way"
    view.on_router_order(ours(OrderState.REJECTED, ""))
    assert not view.concerns(strange)


def test_unknown_word_of_a_stranger_is_told_once_and_of_ours_in_each_read() -> None:
    """One order of a stranger, cancelled before the open, kept a warning on all day."""
    view, words = AccountView(), (("Zonked", ("77", "78")),)
    view.on_router_order(ours())
    assert [len(view.words_to_tell(words)) for _ in range(3)] == [1, 0, 0]
    mine = (("Zonked", ("77", "B1")),)
    told = [view.words_to_tell(mine) for _ in range(2)]
    assert told[0] == told[1] and "'Zonked'" in told[0][0] and "B1" in told[0][0] and "77" not in told[0][0]


@pytest.mark.parametrize(
    "read",
    [
        replace(READ, positions=(BrokerPosition(instrument="NSE:SBIN", product=Product.MIS, quantity=10),)),
        replace(
            READ,
            orders=(
                BrokerOrder(
                    broker_order_id="1", instrument="NSE:SBIN", side=Side.BUY, quantity=1, status=BrokerStatus.OPEN
                ),
            ),
        ),
    ],
)
def test_funds_of_zeros_while_something_is_held_are_unknown(read: BooksRead) -> None:
    """Several brokers answer so without a session: sizes fell to 0, and a drawdown of 100 % stood there."""
    view, closed = AccountView(), BrokerPosition(instrument="NSE:SBIN", product=Product.MIS, quantity=0)
    view.on_books(replace(READ, positions=(closed,)))
    assert view.why_zeros(ZEROS, PLAIN) == "", "an account without money holds nothing"
    view.on_books(read)
    assert view.why_zeros(ZEROS, PLAIN).startswith("funds: ")
    view.on_books(replace(read, orders=None, positions=None))
    assert view.why_zeros(ZEROS, PLAIN), "a failed read says nothing else"
    assert view.why_zeros(replace(ZEROS, used=1.0), PLAIN) == ""


def test_funds_of_zeros_of_a_broker_that_answers_so_without_a_session_are_never_a_fact() -> None:
    view = AccountView()
    assert view.why_zeros(ZEROS, replace(PLAIN, zero_funds_when_failed=True)) and view.why_zeros(ZEROS, UNLISTED)
    assert not view.why_zeros(ZEROS, PLAIN)
    view.on_router_order(ours())
    assert view.why_zeros(ZEROS, PLAIN), "an order of ours rests there"


def test_rows_of_strangers_that_cannot_be_read_are_a_warning_and_hold_nothing_up() -> None:
    """One such row said "exits close once the books are read" all day."""
    found = AccountProblems(odd="orders row 9: exchange and symbol are 'NSE' and nothing", unread_rows=1)
    alert = active_alerts("main", found)["BOOKS_ODD", "main"]
    assert alert.severity is Severity.WARNING and "none of them is of an order of ours" in alert.text
    found.odd_rows = True
    alert = active_alerts("main", found)["BOOKS_ODD", "main"]
    assert alert.severity is Severity.CRITICAL and "exits go on" in alert.text
