"""Evidence of a run of chaos."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lab.chaos.evidence import Evidence
from lab.chaos.records import Broken, Broker, Moved, Ours
from lab.chaos.verdict import Bounds
from mytrading.core.exchange.model import BookOrder, OrderRequest
from mytrading.core.time import SECOND
from mytrading.messages.control import TradingState
from mytrading.messages.enums import (
    BrokerStatus,
    OrderState,
    OrderType,
    Product,
    Purpose,
    Side,
)
from mytrading.messages.orders import Order
from mytrading.simulator.venue.event_log import LoggedEvent
from tests.kit.order_samples import order_of

SBIN = "NSE:SBIN"
BOUNDS = Bounds(guarded=frozenset({"S"}), poll=4.0)


def order(name: str, state: OrderState = OrderState.FILLED, **fields: Any) -> Order:
    given: dict[str, Any] = {
        "account": "paper", "instrument": SBIN, "product": Product.MIS, "strategy": "S", "run": "r", "cause": "c",
        "purpose": Purpose.ENTRY, "side": Side.BUY, "quantity": 10, "order_type": OrderType.MARKET, "created_ns": 0,
        "updated_ns": 0, "broker_order_id": f"b-{name}", **fields,
    }  # fmt: skip
    if state is OrderState.FILLED:
        given.setdefault("filled", given["quantity"])
    return order_of(client_order_id=name, state=state, **given)


def placed(name: str, status: BrokerStatus = BrokerStatus.COMPLETE, **fields: Any) -> BookOrder:
    side, quantity, number = fields.pop("side", Side.BUY), fields.pop("quantity", 10), fields.pop("number", 1)
    request = OrderRequest(instrument=SBIN, side=side, quantity=quantity, strategy=name)
    filled = fields.pop("filled", quantity if status is BrokerStatus.COMPLETE else 0)
    return BookOrder(
        order_id=f"b-{name}-{number}", request=request, status=status, day="d", placed_ns=0, updated_ns=0, filled=filled
    )


def evidence(
    there: list[BookOrder],
    here: list[Order],
    events: list[LoggedEvent] | None = None,
    *,
    commands: tuple[Any, ...] = (),
    net: int | None = None,
    broken: tuple[Broken, ...] = (),
    levels: tuple[tuple[int, TradingState], ...] = (),
    end_ns: int = 100 * SECOND,
    moves: tuple[Moved, ...] = (),
    verify: tuple[str, ...] = (),
    crashes: tuple[str, ...] = (),
) -> Evidence:
    held = sum(row.filled * row.request.side.sign for row in there) if net is None else net
    owned = sum(row.filled * row.side.sign for row in here)
    key = (SBIN, Product.MIS)
    submitted = Counter(row.client_order_id for row in here)
    ours = Ours(commands, {row.client_order_id: row for row in here}, {}, moves, submitted, {key: owned}, {}, levels)
    return Evidence(Broker(tuple(there), {key: held}, tuple(events or ())), ours, broken, (), verify, end_ns, crashes)
