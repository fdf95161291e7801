"""Accounts on several hosts side by side: each order reaches its own host, and a host that is down delays no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.enums import OrderState
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import AccountRole, AccountRun, write_run_config
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import eventually

pytestmark = pytest.mark.timeout(240)

ROLES = {"main": AccountRole.PRIMARY, "second": AccountRole.TRADING, "spare": AccountRole.BACKUP}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, RunningSimulator]]:
    """A server for each account, on hosts of their own."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(start_simulator(folder_of(tmp_path, name))) for name in ROLES}


def folder_of(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


@pytest.fixture
def bench(tmp_path: Path, servers: dict[str, RunningSimulator]) -> Iterator[Bench]:
    with runtime_folder() as runtime, ExitStack() as stack:
        main = servers["main"]
        config = feed_config(tmp_path / "run", runtime, main.rest, main.ws, ("NSE:SBIN",))
        accounts = tuple(
            AccountRun(id=name, rest_url=servers[name].rest, ws_url=servers[name].ws, api_key=API_KEY, role=role)
            for name, role in ROLES.items()
        )
        config = msgspec.structs.replace(config, accounts=accounts)
        Path(config.state_dir).mkdir(parents=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        yield Bench(config, stack)


def tags(server: RunningSimulator) -> list[Any]:
    """The client order ids that a server has got."""
    return [row["strategy"] for row in server.call("orderbook")[1]["data"]["orders"]]


def state(bench: Bench, name: str) -> OrderState | None:
    order = bench.order(name)
    return order.state if order is not None else None


def test_each_order_reaches_the_host_of_its_account_and_no_other(
    bench: Bench, servers: dict[str, RunningSimulator]
) -> None:
    bench.start("reconciler")
    bench.start("router")
    for name in ROLES:
        bench.command_a_resting_entry(f"for-{name}", account=name)
    for name in ("main", "second"):
        eventually(lambda name=name: state(bench, f"for-{name}") is OrderState.ACCEPTED, 15)  # type: ignore[misc]
    assert {name: tags(server) for name, server in servers.items()} == {
        "main": ["for-main"],
        "second": ["for-second"],
        "spare": [],
    }
    eventually(lambda: state(bench, "for-spare") is OrderState.DENIED, 15)


def test_host_in_the_wrong_mode_stops_its_own_account_only(bench: Bench, servers: dict[str, RunningSimulator]) -> None:
    servers["second"].call("analyzer/toggle", mode=False)
    bench.start("reconciler")
    bench.start("router")
    bench.command_a_resting_entry("e1", account="second")
    bench.command_a_resting_entry("e2", account="main")
    eventually(lambda: state(bench, "e2") is OrderState.ACCEPTED, 15)
    eventually(lambda: state(bench, "e1") is OrderState.DENIED, 15)
    assert (tags(servers["main"]), tags(servers["second"])) == (["e2"], [])


def test_backup_account_is_pinged_and_read_no_further(
    bench: Bench, servers: dict[str, RunningSimulator], tmp_path: Path
) -> None:
    with accounts_of(bench) as received:
        bench.start("reconciler")
        eventually(lambda: received("spare", lambda health: health.connected and health.broker == "simulator"), 15)
        assert not received("spare", lambda health: health.last_orders_machine_ns)
        eventually(lambda: received("second", lambda health: health.is_healthy), 15)


@contextmanager
def accounts_of(bench: Bench) -> Iterator[Callable[[str, Callable[[AccountHealth], Any]], bool]]:
    """Asks whether the reconciler has ever said something of an account that fits."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    address = endpoint(bench.config.runtime_dir, "account", "reconciler")
    subscriber = ZMQSubscriber("account", [address], context=context)
    seen: list[AccountHealth] = []

    def received(account: str, fits: Callable[[AccountHealth], Any]) -> bool:
        while (frame := subscriber.receive()) is not None:
            if isinstance(frame.message, AccountHealth):
                seen.append(frame.message)
        return any(fits(health) for health in seen if health.account == account)

    try:
        yield received
    finally:
        context.destroy(linger=0)


def test_host_that_is_down_delays_no_other_account(bench: Bench, servers: dict[str, RunningSimulator]) -> None:
    servers["second"].process.kill()
    servers["second"].process.wait(5)
    bench.start("reconciler")
    bench.start("router")
    bench.command_a_resting_entry("e1", account="second")
    bench.command_a_resting_entry("e2", account="main")
    eventually(lambda: state(bench, "e2") is OrderState.ACCEPTED, 15)
    assert state(bench, "e1") is OrderState.INITIALIZED
    eventually(lambda: bench.said("BOOKS_UNREAD"), 15)


def test_host_that_hangs_for_half_a_minute_delays_no_other_account(
    bench: Bench, servers: dict[str, RunningSimulator]
) -> None:
    """Books and orders of the account that strategies trade hang; the other's go on at once, its cancel too."""
    bench.start("reconciler")
    bench.start("router")
    bench.command_a_resting_entry("e0", account="main")
    bench.command_a_resting_entry("e1", account="second")
    eventually(lambda: [state(bench, name) for name in ("e0", "e1")] == [OrderState.ACCEPTED] * 2, 15)
    assert servers["main"].call("/sim/fault", kind="delay_ms", ms=30_000)[0] == 200
    bench.command_a_resting_entry("e2", account="main")
    bench.command_a_resting_entry("e3", account="second")
    eventually(lambda: "e3" in tags(servers["second"]), 15)
    bench.command(WithdrawEntries(id="w1", cause="w1", account="second"))
    eventually(lambda: [state(bench, name) for name in ("e1", "e3")] == [OrderState.CANCELLED] * 2, 15)
    assert state(bench, "e2") in (OrderState.INITIALIZED, OrderState.SUBMITTED)
