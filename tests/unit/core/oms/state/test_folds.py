"""A replay reads all that the order machine learns of a report."""

from __future__ import annotations

from typing import get_args

import pytest

from mytrading.core.oms.machine import OrderMachine
from mytrading.core.oms.state.folds import ReplayedReport
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.enums import BrokerStatus, Product, Side
from mytrading.messages.reports import (
    BooksRead,
    BrokerOrder,
    BrokerPosition,
    BrokerTrades,
    ModeSeen,
    OrderReport,
    ReportMessage,
)
from tests.kit.state_digest import state_digest

ROW = BrokerOrder(broker_order_id="b1", instrument="NSE:SBIN", side=Side.BUY, quantity=5, status=BrokerStatus.OPEN)
REPORTS = (
    BooksRead(
        account="main",
        id="r1",
        began_machine_ns=5,
        ended_machine_ns=9,
        orders=(ROW,),
        trades=(BrokerTrades(broker_order_id="b1", instrument="NSE:SBIN", side=Side.BUY, quantity=5, value=50.0),),
        positions=(BrokerPosition(instrument="NSE:SBIN", product=Product.MIS, quantity=5),),
        unread=("NSE:INFY",),
    ),
    OrderReport(account="main", order=ROW, received_machine_ns=7),
    ModeSeen(account="main", mode="analyze", expected=True, machine_ns=8),
)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_replay_of_a_report_teaches_what_the_report_does(report: ReportMessage) -> None:
    live, replayed = OrderMachine(), OrderMachine()
    live.apply(StreamDecoder("reports").decode_body(encode_body(report)))
    replayed.apply(StreamDecoder("reports", ReplayedReport).decode_body(encode_body(report)))
    assert replayed.state.machine_ns == live.state.machine_ns > 0
    assert state_digest(replayed) == state_digest(live)


def test_replay_knows_every_report_by_its_tag() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(ReplayedReport)}
    assert (
        tags
        == {kind.__struct_config__.tag for kind in get_args(ReportMessage)}
        == {kind.__struct_config__.tag for kind in map(type, REPORTS)}
    )
