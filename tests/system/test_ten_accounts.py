"""A signal in ten accounts: risk sizes each in one decision, and the router calls for all of them at the same time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from mytrading.messages.enums import OrderState
from mytrading.messages.run_config import AccountRole, AccountRun, write_run_config
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually

pytestmark = pytest.mark.timeout(240)

TEN = ("main", *(f"a{number}" for number in range(1, 10)))
DELAY_S = 0.6
"""What the server takes for an order call: one after the other the ten would begin over more than five seconds."""
LIMIT_S = min(1.0 * PATIENCE, (len(TEN) - 1) * DELAY_S / 2)
"""Seconds from the first of a wave to its last; where the cores are shared more, but far from one after the other."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, server: RunningSimulator) -> Iterator[Bench]:
    """Ten accounts, each at an address of its own, behind which one server books them all: nothing of them fills."""
    with runtime_folder() as runtime, ExitStack() as stack:
        doors = {name: _door(stack, urlsplit(server.rest).port or 0) for name in TEN}
        config = feed_config(tmp_path / "run", runtime, doors["main"], server.ws, ("NSE:SBIN",))
        accounts = tuple(
            AccountRun(
                id=name, rest_url=doors[name], ws_url=server.ws, api_key=API_KEY,
                role=AccountRole.PRIMARY if name == "main" else AccountRole.TRADING,
            )
            for name in TEN
        )  # fmt: skip
        config = msgspec.structs.replace(config, accounts=accounts)
        Path(config.state_dir).mkdir(parents=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        yield Bench(config, stack)


def test_orders_of_ten_accounts_start_within_a_second_however_slow_the_server_is(
    bench: Bench, server: RunningSimulator
) -> None:
    bench.start("reconciler")
    bench.start("router")
    for name in TEN:
        bench.command_a_resting_entry(f"first-{name}", account=name)
    for name in TEN:
        eventually(lambda name=name: _is_placed(bench, f"first-{name}"), 60)  # type: ignore[misc]
    assert server.call("/sim/fault", kind="delay_ms", ms=round(DELAY_S * 1000))[0] == 200
    wave = {f"wave-{name}": name for name in TEN}
    bench.command(*(bench.resting_entry(order, account, price=901.0) for order, account in wave.items()))
    for order in wave:
        eventually(lambda order=order: _is_placed(bench, order), 60)  # type: ignore[misc]
    orders = [bench.order(order) for order in wave]
    called = [order.call.began_machine_ns for order in orders if order is not None]
    served = [int(row["received_ns"]) for row in server.get("/sim/orders")[1]["data"] if row["strategy"] in wave]
    assert len(served) == len(called) == len(TEN) and all(called)
    assert _seconds_between(called) < LIMIT_S, "the calls overlap: no account waits for another's"
    assert _seconds_between(served) < LIMIT_S


def _seconds_between(moments: list[int]) -> float:
    return (max(moments) - min(moments)) / 1e9


def _is_placed(bench: Bench, name: str) -> bool:
    order = bench.order(name)
    return order is not None and order.state is OrderState.ACCEPTED


def _door(stack: ExitStack, port: int) -> str:
    """An address that passes everything on to a port of this machine."""
    listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
    threading.Thread(target=_serve, args=(listener, port), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _serve(listener: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            outside, _ = listener.accept()
            inside = socket.create_connection(("127.0.0.1", port))
            for one, other in ((outside, inside), (inside, outside)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
