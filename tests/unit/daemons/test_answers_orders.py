"""The gateway's verbs about single orders: journaled when they can be right, else refused with what would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core.control import ControlMachine
from mytrading.core.order_requests import result_of
from mytrading.core.view import StackView
from mytrading.daemons.answers import Answers, UsageError
from mytrading.daemons.gateway import Totals
from mytrading.messages.control import CancelRequested, ModifyRequested, OpsRequest
from mytrading.messages.enums import OrderState, OrderType, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.orders import Order, OrderChanged
from mytrading.runtime.clock import MarketClock
from tests.unit.cli.stacks import run_config
from tests.unit.core.test_order import order

CONTRACT = Instrument(
    id="NFO:A", exchange="NFO", symbol="A", kind=InstrumentKind.FUT, underlying="A", lot_size=25, tick_size=0.05
)
ENTRY = order(client_order_id="e1", order_type=OrderType.LIMIT, price=100.0, broker_order_id="77", filled_seen=25)
STOP = order(
    client_order_id="s1", purpose=Purpose.STOP, side=Side.SELL, order_type=OrderType.SL, price=87.0, trigger_price=90.0
)
EXIT = order(client_order_id="x1", purpose=Purpose.EXIT, side=Side.SELL)
ENDED = order(client_order_id="d1", state=OrderState.FILLED, filled_seen=50)


class Desk:
    """Answers over a view that holds the four orders, and what they journal."""

    def __init__(self, folder: Path) -> None:
        config = run_config(folder)
        InstrumentFile(config.state).write(Snapshot(day="2026-11-20", fetched_ns=1, instruments=(CONTRACT,)))
        view = StackView(0)
        for level in (ENTRY, STOP, EXIT, ENDED):
            view.apply(OrderChanged(event="accepted", order=level, machine_ns=1))
        self.rows: list[Any] = []
        clock = MarketClock.load(config.clock_path)
        self._answers = Answers(config, view, ControlMachine(), clock, Totals(), self.rows.extend)

    def ask(self, verb: str, **arguments: str) -> Any:
        return self._answers.answer(OpsRequest(verb=verb, arguments=arguments))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_cancel_is_journaled_by_our_id_or_the_brokers(desk: Desk) -> None:
    answers = [desk.ask("order_cancel", order=name, reason="r") for name in ("e1", "77")]
    assert [type(row) for row in desk.rows] == [CancelRequested, CancelRequested]
    assert [row.order for row in desk.rows] == [answer["order"] for answer in answers] == ["e1", "e1"]
    assert desk.rows[0].id != desk.rows[1].id


def test_modify_is_journaled_with_what_was_named(desk: Desk) -> None:
    desk.ask("order_modify", order="e1", price="100.05", quantity="0")
    (row,) = desk.rows
    assert isinstance(row, ModifyRequested)
    assert (row.order, row.price, row.trigger_price, row.quantity) == ("e1", 100.05, 0.0, 0)


@pytest.mark.parametrize(
    ("verb", "arguments", "why"),
    [
        ("order_cancel", {"order": "e11"}, "expected the id of an order, found 'e11'; did you mean e1"),
        ("order_cancel", {"order": ""}, "`mytrading orders` shows them"),
        ("order_cancel", {"order": "d1"}, "found one that ended FILLED"),
        ("order_cancel", {"order": "s1"}, "would be bare"),
        ("order_cancel", {"order": "s1", "force": "true"}, "would be bare"),
        ("order_cancel", {"order": "x1"}, "another would follow"),
        ("order_modify", {"order": "d1", "price": "1"}, "found one that ended FILLED"),
        ("order_modify", {"order": "x1", "price": "1"}, "until the position is flat"),
        ("order_modify", {"order": "e1"}, "expected another price"),
        ("order_modify", {"order": "e1", "price": "100.03"}, "must be on the tick 0.05: 100.03 is not .A.; use 100.05"),
        ("order_modify", {"order": "e1", "price": "cheap"}, "price: expected rupees above 0, found 'cheap'"),
        ("order_modify", {"order": "e1", "quantity": "30"}, "30 is no multiple of lot size 25 .A.; use 25"),
        ("order_modify", {"order": "e1", "quantity": "25"}, "must be above the 25 that are filled"),
        ("order_modify", {"order": "e1", "quantity": "75"}, "may only be lowered from 50"),
        ("order_modify", {"order": "e1", "trigger": "90"}, "a trigger is for SL"),
        ("order_modify", {"order": "s1", "trigger": "90.01"}, "trigger must be on the tick"),
        ("order_modify", {"order": "s1", "price": "95"}, "must be at or below its trigger 90, found 95"),
        ("order_modify", {"order": "s1", "quantity": "25"}, "follows the position"),
    ],
)  # fmt: skip
def test_request_that_cannot_be_right_is_refused_and_not_journaled(
    desk: Desk, verb: str, arguments: dict[str, str], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        desk.ask(verb, **arguments)
    assert desk.rows == []


def test_result_of_a_request_nobody_took_up_yet_is_waiting(desk: Desk) -> None:
    body = desk.ask("order_request", order="e1", request="r1", kind="cancel")
    assert (body["word"], body["level"]["client_order_id"]) == ("waiting", "e1")


CANCELLED = {"state": OrderState.CANCELLED, "request": "r1"}


@pytest.mark.parametrize(
    ("level", "cancel", "word"),
    [
        ({"request": "r1", "pending_cancel": True}, True, "waiting"),
        (CANCELLED, True, "cancelled"),
        ({"state": OrderState.FILLED, "request": "r1"}, True, "filled"),
        ({"state": OrderState.REJECTED}, True, "ended"),
        ({"request": "r1", "message": "refused: no"}, True, "refused"),
        ({"request": "r1", "pending_modify": True}, False, "waiting"),
        ({"request": "r1"}, False, "modified"),
        ({"request": "r1", "pending_cancel": True, "replacing": True}, False, "waiting"),
        ({**CANCELLED, "replacing": True, "pending_modify": True}, False, "waiting"),
        ({"state": OrderState.FILLED, "request": "r1"}, False, "ended"),
        ({"request": "r1", "message": "refused: price band"}, False, "refused"),
        ({"request": "r0"}, False, "waiting"),
    ],
)
def test_result_says_what_became_of_the_order(level: dict[str, Any], cancel: bool, word: str) -> None:
    asked = order(**level)
    assert result_of(asked, [asked], "r1", cancel=cancel).word == word


def test_result_of_a_replaced_order_names_the_one_in_its_place() -> None:
    gone = order(**CANCELLED, replacing=True, pending_modify=True)
    after = order(client_order_id="n1", replaces="c1")
    assert result_of(gone, [gone, after], "r1", cancel=False)[::2] == ("replaced", "n1")
    stop = order(**CANCELLED, purpose=Purpose.STOP, message="withdrawn: replaced, so")
    new: Order = order(client_order_id="n2", purpose=Purpose.STOP, created_ns=5)
    assert result_of(stop, [stop], "r1", cancel=False).word == "waiting"
    assert result_of(stop, [stop, new], "r1", cancel=False)[::2] == ("replaced", "n2")
