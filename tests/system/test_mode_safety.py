"""Live gates and wrong modes: the real router and reconciler at an exchange that is switched between the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.messages.enums import Mode, OrderState
from mytrading.messages.run_config import ServerMode, write_run_config
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import RunningSimulator
from tests.kit.waiting import eventually

pytestmark = pytest.mark.timeout(240)

LIVE: dict[str, Any] = {"mode": Mode.LIVE, "trade_execution": True, "live_confirm": "main"}

MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path, simulator: RunningSimulator) -> Iterator[MakeBench]:
    """Makes the bench of a run that expects its server in a mode."""
    with runtime_folder() as runtime, ExitStack() as stack:

        def make(expected: ServerMode, **fields: Any) -> Bench:
            config = feed_config(tmp_path / "run", runtime, simulator.rest, simulator.ws, ("NSE:SBIN",))
            venue = msgspec.structs.replace(config.venue, expected_mode=expected)
            config = msgspec.structs.replace(config, venue=venue, **fields)
            Path(config.state_dir).mkdir(parents=True, exist_ok=True)
            write_run_config(Path(config.state_dir) / "run.msgpack", config)
            return Bench(config, stack)

        yield make


def switch(simulator: RunningSimulator, *, analyze: bool) -> None:
    status, body = simulator.call("analyzer/toggle", mode=analyze)
    assert (status, body["data"]["analyze_mode"]) == (200, analyze)


def placed(simulator: RunningSimulator) -> int:
    return len(simulator.call("orderbook")[1]["data"]["orders"])


def state(bench: Bench, name: str) -> OrderState | None:
    order = bench.order(name)
    return order.state if order is not None else None


def test_confirmed_live_run_sends_orders_to_a_live_server(bench: MakeBench, simulator: RunningSimulator) -> None:
    switch(simulator, analyze=False)
    run = bench(ServerMode.LIVE, **LIVE)
    run.start("reconciler")
    run.start("router")
    run.command_a_resting_entry()
    eventually(lambda: state(run, "e1") is OrderState.ACCEPTED, 15)
    assert placed(simulator) == 1
    assert not run.said("WRONG_MODE")


@pytest.mark.parametrize("missing", ["trade_execution", "live_confirm"])
def test_router_of_an_unconfirmed_live_run_refuses_to_start(
    bench: MakeBench, simulator: RunningSimulator, missing: str
) -> None:
    switch(simulator, analyze=False)
    run = bench(ServerMode.LIVE, **{**LIVE, missing: type(LIVE[missing])()})
    run.command_a_resting_entry()
    assert run.start("router").wait(15) == 78
    assert run.said("live orders need")
    assert placed(simulator) == 0


@pytest.mark.parametrize("live_run", [False, True])
def test_server_in_the_other_mode_at_the_start_gets_no_order(
    bench: MakeBench, simulator: RunningSimulator, live_run: bool
) -> None:
    switch(simulator, analyze=live_run)
    run = bench(ServerMode.LIVE, **LIVE) if live_run else bench(ServerMode.ANALYZE)
    run.command_a_resting_entry()
    run.start("router")
    run.start("reconciler")
    eventually(lambda: state(run, "e1") is OrderState.DENIED, 15)
    order = run.order("e1")
    assert order is not None
    assert "WRONG_MODE" in order.message
    eventually(lambda: run.said("WRONG_MODE"), 15)
    assert placed(simulator) == 0


def test_server_switched_in_between_gets_at_most_the_order_that_shows_it(
    bench: MakeBench, simulator: RunningSimulator
) -> None:
    run = bench(ServerMode.ANALYZE)
    run.start("reconciler")
    run.start("router")
    run.command_a_resting_entry("e1")
    eventually(lambda: state(run, "e1") is OrderState.ACCEPTED, 15)
    switch(simulator, analyze=False)
    run.command_a_resting_entry("e2")
    eventually(lambda: run.said("WRONG_MODE"), 15)
    run.command_a_resting_entry("e3")
    eventually(lambda: state(run, "e3") is OrderState.DENIED, 15)
    eventually(lambda: state(run, "e2") in (OrderState.UNKNOWN, OrderState.DENIED), 15)
    assert placed(simulator) <= 2


def test_account_trades_again_after_the_switch_and_a_persons_word(
    bench: MakeBench, simulator: RunningSimulator
) -> None:
    switch(simulator, analyze=False)
    run = bench(ServerMode.ANALYZE)
    run.start("router")
    run.start("reconciler")
    eventually(lambda: run.said("WRONG_MODE"), 15)
    run.clear_mode()
    run.command_a_resting_entry("e1")
    eventually(lambda: state(run, "e1") in (OrderState.INITIALIZED, OrderState.DENIED), 15)
    assert placed(simulator) == 0, "a word alone sends nothing while the server is still live"
    switch(simulator, analyze=True)
    run.clear_mode()
    run.command_a_resting_entry("e2")
    eventually(lambda: state(run, "e2") is OrderState.ACCEPTED, 20)


def test_router_sends_nothing_until_the_reconciler_has_seen_the_mode(
    bench: MakeBench, simulator: RunningSimulator
) -> None:
    run = bench(ServerMode.ANALYZE)
    run.start("router")
    run.command_a_resting_entry()
    eventually(lambda: state(run, "e1") is OrderState.INITIALIZED, 15)
    assert placed(simulator) == 0
    run.start("reconciler")
    eventually(lambda: state(run, "e1") is OrderState.ACCEPTED, 15)
