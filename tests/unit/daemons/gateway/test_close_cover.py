"""Close of a bought leg that covers sold ones of its owner: refused, unless somebody answers for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.gateway.read_model import StackView
from mytrading.messages import ops
from mytrading.messages.control import FlattenRequested, Heartbeat
from mytrading.messages.enums import DaemonState, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.level_names import bare_figure_name
from mytrading.messages.orders import Goal, GoalChanged, Order, OrderChanged, Position, PositionChanged
from tests.kit.gateway_queries import NAME, ops_server
from tests.kit.run_configs import run_config

SOLD, HEDGE, FAR = (f"NFO:NIFTY25NOV26{strike}PE" for strike in (25750, 25550, 25000))
CALL = "NFO:NIFTY25NOV2626000CE"


def held(instrument: str, units: int, strategy: str = NAME, account: str = "main") -> Position:
    return Position(
        account=account, instrument=instrument, product=Product.NRML, strategy=strategy, run="run-1", quantity=units,
        quantity_seen=units, average_price=100.0,
    )  # fmt: skip


def view_of(*positions: Position) -> StackView:
    view = StackView()
    for one in positions:
        view.apply(PositionChanged(position=one, client_order_id="c", fill_quantity=1, fill_price=100.0, at_ns=1))
    return view


def close(view: StackView, folder: Path, instrument: str = HEDGE, **fields: Any) -> tuple[Any, list[Any]]:
    """The reply to a close, and the flattens that were journaled."""
    rows: list[Any] = []
    command = ops.CloseCommand(request_id="r", by="me", instrument=instrument, account="main", strategy=NAME, **fields)
    reply = ops_server(run_config(folder), view, record=rows.extend).reply(msgspec.msgpack.encode(command))
    return reply, [row for row in rows if isinstance(row, FlattenRequested)]


@pytest.mark.parametrize("fields", [{}, {"reason": "tidy"}, {"force": True}])
def test_hedge_of_a_sold_leg_is_closed_only_with_force_and_a_reason(tmp_path: Path, fields: dict[str, Any]) -> None:
    view = view_of(held(SOLD, -65), held(HEDGE, 65))
    reply, rows = close(view, tmp_path, **fields)
    assert isinstance(reply, ops.ErrorReply) and rows == []
    assert reply.error.startswith("POSITION_BARES: ") and f"{SOLD} (65 units)" in reply.error
    assert "`mytrading positions close --run run-1`" in reply.error and "--force and a reason" in reply.error
    reply, (row,) = close(view, tmp_path, force=True, reason="I watch it")
    assert (row.instrument, row.force, row.by, row.reason) == (HEDGE, True, "me", "I watch it")


@pytest.mark.parametrize(
    ("others", "taken"),
    [
        ((), True),
        ((held(SOLD, -65),), False),
        ((held(SOLD, -65), held(FAR, 65)), True),  # another one covers it
        ((held(SOLD, -130), held(FAR, 65)), False),
        ((held(CALL, -65),), True),  # another right
        ((held(SOLD, -65, "Other"),), True),  # another owner
        ((held(SOLD, -65, account="second"),), True),
    ],
)
def test_only_cover_that_its_owner_has_no_other_of_is_kept(
    tmp_path: Path, others: tuple[Position, ...], taken: bool
) -> None:
    view = view_of(held(HEDGE, 65), *others)
    assert bool(close(view, tmp_path)[1]) is taken


def test_sold_leg_itself_is_closed_without_force(tmp_path: Path) -> None:
    assert close(view_of(held(SOLD, -65), held(HEDGE, 65)), tmp_path, SOLD)[1]


def test_sold_leg_that_is_being_closed_counts_until_it_is_flat(tmp_path: Path) -> None:
    sold = held(SOLD, -65)
    view = view_of(sold, held(HEDGE, 65))
    goal = Goal(**sold.owner._asdict(), id="g", run="run-1", cause="c", reason="r", purpose=Purpose.EXIT)
    view.apply(GoalChanged(goal=goal, at_ns=1))
    reply, rows = close(view, tmp_path)
    assert rows == [] and "65 units being closed" in reply.error
    assert "wait until what is being closed is flat" in reply.error
    view.apply(PositionChanged(position=replace(sold, quantity=0, quantity_seen=0), client_order_id="c",
                               fill_quantity=65, fill_price=1.0, at_ns=2))  # fmt: skip
    assert close(view, tmp_path)[1]


@pytest.mark.parametrize(("state", "taken"), [(OrderState.ACCEPTED, False), (OrderState.CANCELLED, True)])
def test_entry_that_may_sell_what_it_covers_counts_as_sold(tmp_path: Path, state: OrderState, taken: bool) -> None:
    view = view_of(held(HEDGE, 65))
    entry = Order(
        client_order_id="e", account="main", instrument=SOLD, product=Product.NRML, strategy=NAME, run="run-1",
        cause="s", purpose=Purpose.ENTRY, side=Side.SELL, quantity=65, order_type=OrderType.LIMIT, price=100.0,
        state=state, created_ns=1, updated_ns=1,
    )  # fmt: skip
    view.apply(OrderChanged(order=entry, event="x", machine_ns=1))
    assert bool(close(view, tmp_path)[1]) is taken


def test_rows_of_positions_name_what_they_cover_and_what_stands_bare(tmp_path: Path) -> None:
    view = view_of(held(SOLD, -65), held(HEDGE, 65))
    name = bare_figure_name(held(SOLD, -65).owner)
    beat = Heartbeat(
        daemon="risk", pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=1, market_ns=1, started_machine_ns=1,
        figures={name: 65.0},
    )  # fmt: skip
    view.apply(beat)
    rows = ops_server(run_config(tmp_path), view).answer(ops.PositionsQuery())
    assert {row["instrument"]: (row["covers"], row["bare"]) for row in rows} == {
        SOLD: ({}, 65), HEDGE: ({SOLD: 65}, 0)
    }  # fmt: skip
