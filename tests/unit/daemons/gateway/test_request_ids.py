"""A command of an operator is executed once per request id, also over restarts and days; a defect ends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.time import iso_day
from mytrading.daemons.gateway import ops_server as server_module
from mytrading.daemons.gateway.daemon import REQUEST_FAILED, Gateway
from mytrading.messages import ops
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested, ModeCleared
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.run_config import RunConfig, StrategyRun
from tests.kit.fake_broker import OrderBench
from tests.kit.feed_process import runtime_folder
from tests.kit.gateway_queries import ops_server
from tests.kit.run_configs import run_config, trading_config

CLAIM = ops.ClaimCommand(request_id="c1", by="me", instrument="NFO:B", strategy="manual", quantity=5)
COMMANDS: tuple[ops.OperatorCommand, ...] = (
    ops.HaltCommand(request_id="r", by="me"),
    ops.ResumeCommand(request_id="r", by="me"),
    ops.SwitchCommand(request_id="r", by="me", strategy="SMA_Crossover", enabled=False),
    ops.WithdrawCommand(request_id="r", by="me"),
    ops.PaperOrderCommand(request_id="r", by="me", id="doctor-1", instrument="NSE:SBIN", quantity=1, price=1.0),
    ops.CancelCommand(request_id="r", by="me", order="s1"),
    ops.ModifyCommand(request_id="r", by="me", order="s1", price=97.0),
    ops.ResolveCommand(request_id="r", by="me", order="s1", not_placed=True),
    msgspec.structs.replace(CLAIM, request_id="r"),
    ops.CloseCommand(request_id="r", by="me", instrument="NFO:A"),
    ops.CloseRunCommand(request_id="r", by="me", run="run-one"),
    ops.FlattenCommand(request_id="r", by="me"),
    ops.SettleCommand(request_id="r", by="me", instrument="NFO:A", reason="gone"),
    ops.AdjustCommand(request_id="r", by="me", instrument="NFO:A", new=2, reason="split"),
    ops.RebuildCommand(request_id="r", by="me", account="paper", reason="broken"),
    ops.HistoryAcceptCommand(request_id="r", by="me", instrument="NSE_INDEX:NIFTY"),
)


def send(gateway: Any, request: Any) -> Any:
    return gateway.reply(msgspec.msgpack.encode(request))


@contextmanager
def running(config: RunConfig) -> Iterator[Gateway]:
    gateway = Gateway(config)
    gateway.setup()
    gateway.view.apply(UnmanagedChanged(account="paper", instrument="NFO:B", product=Product.MIS, quantity=50, at_ns=1))
    yield gateway
    gateway.teardown()
    gateway.context.destroy(linger=0)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    with runtime_folder() as runtime:
        yield msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime))


@pytest.mark.parametrize("command", COMMANDS, ids=ops.verb_of)
def test_command_that_is_repeated_is_executed_once_and_answered_alike(
    tmp_path: Path, command: ops.OperatorCommand
) -> None:
    batches: list[tuple[Any, ...]] = []
    control, bench = ControlMachine(), OrderBench()

    def record(rows: tuple[Any, ...]) -> None:
        batches.append(rows)
        for row in rows:
            control.apply(row)

    server = ops_server(trading_config(tmp_path), control=control, record=record)
    bench.hold("o1", run="run-one")
    bench.enter("s1", instrument="NFO:C", order_type=OrderType.LIMIT, price=99.0)
    bench.accept()
    view = server.context.view
    for row in bench.journal:
        view.apply(row)
    view.apply(UnmanagedChanged(account="paper", instrument="NFO:B", product=Product.MIS, quantity=50, at_ns=1))
    first = server.answer(command)
    assert all(getattr(row, "by", "me") == "me" for rows in batches for row in rows)
    for table in (view.orders, view.unmanaged, view.positions):
        table.clear()
    assert server.answer(command) == first and len(batches) == 1
    other = server.reply(msgspec.msgpack.encode(msgspec.structs.replace(command, by="you")))
    assert isinstance(other, ops.ErrorReply) and "request id r: expected the" in other.error and len(batches) == 1


def test_command_is_not_executed_again_by_a_gateway_that_was_restarted(config: RunConfig) -> None:
    with running(config) as gateway:
        first = send(gateway, CLAIM)
        assert isinstance(first, ops.ClaimTaken) and first.request == "claim-c1"
    with running(config) as gateway:
        rows = gateway.journal.size
        assert send(gateway, CLAIM) == first
        refused = send(gateway, msgspec.structs.replace(CLAIM, quantity=6))
        assert isinstance(refused, ops.ErrorReply) and "expected the claim of me that it was used for" in refused.error
        assert gateway.journal.size == rows


def test_request_id_is_known_on_the_day_after_and_forgotten_then() -> None:
    machine = ControlMachine()
    taken = server_module.OperatorRequestTaken(request_id="a", verb="halt", digest="d", reply=b"", at_ns=1)
    machine.apply(taken)
    for day, known in (("2026-03-19", taken), ("2026-03-20", None)):
        machine.apply(machine.snapshot(day))
        assert machine.find_request("a") == known


def test_refused_command_may_be_repeated_once_its_cause_is_gone(config: RunConfig) -> None:
    with running(config) as gateway:
        unknown = msgspec.structs.replace(CLAIM, instrument="NFO:C")
        assert isinstance(send(gateway, unknown), ops.ErrorReply)
        assert isinstance(send(gateway, CLAIM), ops.ClaimTaken)


def test_rows_of_a_command_name_its_operator() -> None:
    row = ClaimRequested(id="a", account="m", instrument="i", product=Product.MIS, strategy="s", at_ns=1, by="me")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row))["by"] == "me"
    assert ModeCleared(account="m", at_ns=1).by == "", "old journals have no operator"


def test_defect_in_a_query_refuses_it_and_raises_an_alert_until_it_works(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("1/0")

    def alerts(gateway: Gateway) -> list[bool]:
        return [alert.cleared for alert in gateway.control.alerts.values() if alert.code == REQUEST_FAILED]

    table: dict[type, Callable[..., Any]] = server_module.QUERIES
    with running(config) as gateway:
        with monkeypatch.context() as patched:
            patched.setitem(table, ops.OrdersQuery, broken)
            reply = send(gateway, ops.OrdersQuery())
        assert isinstance(reply, ops.ErrorReply) and reply.code == 1
        assert "a defect in the gateway, nothing was done (ZeroDivisionError: 1/0)" in reply.error
        assert alerts(gateway) == [False]
        assert isinstance(send(gateway, ops.OrdersQuery()), ops.JsonReply)
        assert alerts(gateway) == [True]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"type": "order"}, "expected one of adjust, alert_acknowledge, alerts,"),
        ({"type": "order"}, "found 'order'; did you mean orders?"),
        ({"verb": "orders"}, "found None"),
        ({"type": "halt"}, "halt: object missing required field `request_id`; found 'type'"),
        ({"type": "halt", "request_id": "a b"}, "request_id: expected str matching regex"),
        ({"type": "halt", "request_id": "a", "acount": "m"}, "halt: object contains unknown field `acount`"),
        ({"type": "orders", "limit": -1}, "orders: limit: expected int >= 0, found -1"),
        ({"type": "flatten", "request_id": "a", "deadline": 1e300}, "deadline: expected float < 86400.0, found 1e+300"),
        ([1], "expected a request (a verb in `type` and its fields), found list"),
    ],
)
def test_malformed_request_is_answered_with_what_was_expected_and_found(tmp_path: Path, sent: Any, said: str) -> None:
    reply = ops_server(run_config(tmp_path)).reply(msgspec.msgpack.encode(sent))
    assert isinstance(reply, ops.ErrorReply) and said in reply.error, reply


def test_acceptance_of_history_names_its_day_and_is_refused_for_what_nobody_watches(config: RunConfig) -> None:
    watched = StrategyRun(name="S", file="s.py", symbols=("NSE:SBIN",), long=None, short=None)
    with running(msgspec.structs.replace(config, strategies=(watched,))) as gateway:
        asked = ops.HistoryAcceptCommand(request_id="a", by="asha", instrument="NSE:SBIN", reason="seen")
        found = send(gateway, asked)
        today = iso_day(gateway.clock.now())
        assert found == ops.HistoryAcceptTaken(instrument="NSE:SBIN", day=today)
        refused = send(gateway, msgspec.structs.replace(asked, request_id="b", instrument="NSE:SBIM"))
        assert isinstance(refused, ops.ErrorReply) and "expected an instrument that a strategy watches" in refused.error
