"""Stops of operators beyond the price: refused before anything is journaled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.messages import ops
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested, ModifyRequested
from mytrading.messages.enums import Product
from mytrading.messages.market import Quote
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import MarketClock, machine_now
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.gateway_queries import ops_server
from tests.kit.oms_protection import guarded
from tests.kit.run_configs import trading_config


def asked(config: RunConfig, view: StackView, request: ops.OperatorCommand) -> tuple[Any, list[Any]]:
    """The reply of the gateway to a request, and the rows that it journaled before."""
    rows: list[Any] = []
    return ops_server(config, view, record=rows.extend).reply(msgspec.msgpack.encode(request)), rows


def quote(config: RunConfig, instrument: str, ltp: float) -> Quote:
    return Quote(instrument, MarketClock.load(config.clock_path).now(), machine_now(), ltp)


@pytest.fixture
def view() -> StackView:
    """50 of NFO:A bought at 100, with a stop at 90, and 5 of NSE:B without owner."""
    bench, view = OrderBench(), StackView()
    guarded(bench)
    for row in bench.journal:
        view.apply(row)
    view.apply(
        UnmanagedChanged(
            account=ACCOUNT, instrument="NSE:B", product=Product.MIS, quantity=5, average_price=981.0, at_ns=1
        )
    )
    return view


@pytest.mark.parametrize(("trigger", "refused"), [(96.0, False), (99.0, True), (1471.0, True)])
def test_stop_is_moved_only_to_below_the_last_price(
    view: StackView, tmp_path: Path, trigger: float, refused: bool
) -> None:
    config = trading_config(tmp_path)
    (stop,) = (order for order in view.orders.values() if order.purpose.value == "stop")
    view.apply(quote(config, stop.instrument, 99.0))
    modify = ops.ModifyCommand(request_id="m", by="me", order=stop.client_order_id, trigger=trigger)
    reply, rows = asked(config, view, modify)
    if refused:
        assert isinstance(reply, ops.ErrorReply) and rows == []
        assert f"must lie below the last price 99 (0 s old), found {trigger:g}" in reply.error
        assert "STOP_LEVEL: " in reply.error
    else:
        assert [row.trigger_price for row in rows if isinstance(row, ModifyRequested)] == [trigger]
    price = ops.ModifyCommand(request_id="p", by="me", order=stop.client_order_id, price=86.0)
    assert asked(config, view, price)[1], "a change that leaves the trigger where it is, is none of its price"


@pytest.mark.parametrize(
    ("stop", "limit", "ltp", "why"),
    [
        (900.0, 0.0, 981.0, ""),
        (900.0, 890.0, 981.0, ""),
        (9999.0, 0.0, 981.0, "must lie below the last price 981"),
        (700.0, 0.0, 981.0, "takes no stop so far from the last price 981"),
        (900.0, 700.0, 981.0, "found the limit 700"),
        (900.03, 0.0, 981.0, "stop must be on the tick 0.05: 900.03 is not (B); use 900.05"),
        (900.0, 890.01, 981.0, "stop limit must be on the tick 0.05: 890.01 is not (B); use 890"),
        (9999.0, 0.0, None, "no price of B is known"),
        (900.0, 0.0, None, "claim again in a few seconds, or without a stop"),
    ],
)
def test_units_are_claimed_only_with_a_stop_that_can_rest(
    view: StackView, tmp_path: Path, stop: float, limit: float, ltp: float | None, why: str
) -> None:
    config = trading_config(tmp_path)
    if ltp is not None:
        view.apply(quote(config, "NSE:B", ltp))
    claim = ops.ClaimCommand(
        request_id="c", by="me", instrument="NSE:B", strategy="manual", stop=stop, stop_limit=limit
    )
    reply, rows = asked(config, view, claim)
    assert bool(rows) is not bool(why)
    if why:
        assert isinstance(reply, ops.ErrorReply) and why in reply.error, reply
    else:
        assert [row.stop_limit for row in rows if isinstance(row, ClaimRequested)] == [limit or 873.0]


def test_limit_of_a_claimed_stop_lies_inside_the_band_by_default(view: StackView, tmp_path: Path) -> None:
    config = trading_config(tmp_path)
    view.apply(quote(config, "NSE:B", 981.0))
    claim = ops.ClaimCommand(request_id="c", by="me", instrument="NSE:B", strategy="manual", stop=800.0)
    _, rows = asked(config, view, claim)
    assert [row.stop_limit for row in rows if isinstance(row, ClaimRequested)] == [792.65], (
        "3 % beyond is 776.00, and the band, guessed and kept 1 % inside, ends at 792.648"
    )


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({"trigger": 85.0}, False),
        ({"trigger": 85.0, "reason": "room"}, False),
        ({"trigger": 85.0, "force": True}, False),
        ({"trigger": 85.0, "force": True, "reason": "room"}, True),
        ({"price": 89.0}, False),
        ({"trigger": 92.0}, True),
        ({"price": 80.0}, True),
    ],
)
def test_stop_is_loosened_only_by_who_answers_for_it(
    view: StackView, tmp_path: Path, fields: dict[str, Any], taken: bool
) -> None:
    config = trading_config(tmp_path)
    (stop,) = (order for order in view.orders.values() if order.purpose.value == "stop")
    view.apply(quote(config, stop.instrument, 99.0))
    reply, rows = asked(config, view, ops.ModifyCommand(request_id="m", by="me", order=stop.client_order_id, **fields))
    if not taken:
        assert isinstance(reply, ops.ErrorReply) and rows == []
        assert "this protects a position, which would be guarded less" in reply.error
        assert "with --force and a reason it is done" in reply.error
    else:
        (row,) = (row for row in rows if isinstance(row, ModifyRequested))
        assert (row.by, row.force, row.reason) == ("me", bool(fields.get("force")), fields.get("reason", ""))
