"""Orders changed and cancelled by hand on the real stack, while the exchange times out, refuses, or fills first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import to_ns
from mytrading.messages.codec import encode_body
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.control import CancelRequested, ModifyRequested
from mytrading.messages.enums import Product, Side
from mytrading.messages.ops import PaperOrderCommand
from mytrading.messages.run_config import write_run_config
from mytrading.operations.journal_verify import verify_journals
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal
from mytrading.runtime.streams.ops_client import Ops
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import start_simulator
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
SBIN = "NSE:SBIN"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("modify")) as found:
        found.up("--simulator", "--speed", "1")
        yield found


def rest(stack: Stack, name: str) -> tuple[str, float]:
    """A resting entry at three percent below the market; its id and price."""
    ltp = float(stack.rest("quotes", symbol="SBIN", exchange="NSE")["ltp"])
    price = round(round(ltp * 0.97 / 0.05) * 0.05, 2)
    with Ops(stack.config) as gateway:
        gateway.ask(PaperOrderCommand(request_id=name, id=name, instrument=SBIN, quantity=10, price=price))
    eventually(lambda: level(stack, name).get("state") == "ACCEPTED", 20)
    stack.ask("resume")  # each test cancels its entry, which stops those after it
    return name, price


def level(stack: Stack, name: str) -> dict[str, Any]:
    """An order as the screens show it; empty while nobody knows it."""
    return next((row for row in stack.ask("orders", "--limit", "0") if row["client_order_id"] == name), {})


def row(stack: Stack, name: str) -> dict[str, Any]:
    """The exchange's row of an order of ours."""
    found = [row for row in stack.rest("orderbook")["orders"] if row["strategy"] == name]
    assert len(found) == 1, found
    return dict(found[0])


def test_change_that_timed_out_but_was_made_is_found_in_the_book_and_not_repeated(stack: Stack) -> None:
    name, price = rest(stack, "timed-out")
    stack.ask("simulator", "fault", "place_timeout:x1,route=modifyorder,drop=true")
    body = stack.ask("orders", "modify", name, "--price", f"{price - 1:.2f}")
    assert body["word"] == "modified", body
    assert row(stack, name)["price"] == pytest.approx(price - 1)
    assert level(stack, name)["modify_calls"] == 1
    assert stack.ask("orders", "cancel", name)["word"] == "cancelled"
    assert row(stack, name)["order_status"] == "cancelled"


def test_change_that_the_exchange_refuses_leaves_the_order_and_says_why(stack: Stack) -> None:
    name, price = rest(stack, "refused")
    done = stack.run("orders", "modify", name, "--price", "1.00")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"order {name} refused: " in done.stderr
    found = row(stack, name)
    assert (found["order_status"], found["price"]) == ("open", pytest.approx(price))
    body = stack.ask("orders", "modify", name, "--price", f"{price - 1:.2f}", "--timeout", "4")
    assert body["word"] == "modified", f"the next change goes at once: {body}"
    assert stack.ask("orders", "cancel", name)["word"] == "cancelled"


def test_change_that_is_out_while_the_order_is_cancelled_is_answered_by_the_cancel(stack: Stack) -> None:
    name, _ = rest(stack, "cancelled-meanwhile")
    stack.sim("fault", kind="delay_ms", route="modifyorder", ms=10_000, count=1)
    asking = stack.start(
        "orders", "modify", name, "--price", "1.00", "--json", "--timeout", "30", stdout=subprocess.PIPE
    )
    eventually(lambda: level(stack, name).get("modifying"), 20)
    assert level(stack, name)["waits"] == "the change to price 1 waits: the broker has not answered yet"
    body = stack.ask("orders", "cancel", name, "--reason", "enough", "--timeout", "30")
    assert body["word"] == "cancelled", body
    said, _ = asking.communicate(timeout=60)
    body = json.loads(said)
    assert body["word"] == "ended", body
    assert body["text"].startswith("it was cancelled and not changed: withdrawn by the operator: enough"), body
    assert row(stack, name)["order_status"] == "cancelled"


def test_unknown_order_is_a_usage_error(stack: Stack) -> None:
    done = stack.run("orders", "cancel", "nobody")
    assert done.returncode == 2 and "expected the id of an order, found 'nobody'" in done.stderr


def test_fill_that_comes_before_the_cancel_is_reported_and_booked(stack: Stack) -> None:
    name, price = rest(stack, "filled-first")
    stack.sim("fault", kind="rate_limited", route="cancelorder", count=-1)
    asking = stack.start("orders", "cancel", name, "--json", "--timeout", "30", stdout=subprocess.PIPE)
    eventually(lambda: level(stack, name).get("pending_cancel"), 20)
    stack.sim("market", symbol="SBIN", exchange="NSE", ltp=price - 2, hold=True)
    said, _ = asking.communicate(timeout=60)
    assert json.loads(said)["word"] == "filled", said
    assert asking.returncode == 0
    stack.sim("fault", kind="clear")
    eventually(lambda: stack.broker_net().get(SBIN) == 10 and not stack.disagreements(), 20)


def test_router_would_decide_all_of_it_again_the_same(stack: Stack) -> None:
    done = stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr


# a stop, with risk's journal and the gateway's written by the test


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Any]]:
    """Ten shares bought at 988, with a stop at 960."""
    folder = tmp_path_factory.mktemp("stop")
    with start_simulator(folder) as simulator, runtime_folder() as runtime, ExitStack() as closing:
        config = feed_config(folder / "run", runtime, simulator.rest, simulator.ws, ("NSE:SBIN",))
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        in_session = to_ns(date(2026, 11, 20), time(11, 0))
        MarketClock((ClockSegment(machine_now(), in_session, 1.0),), config.clock_path).mark_seen()
        made = Bench(config, closing)
        made.start("reconciler")
        made.start("router")
        simulator.push("SBIN", 988.0)
        entry = PlaceEntry(
            id="e1", account="main", instrument="NSE:SBIN", product=Product.CNC, strategy="T", run="r1", cause="e1",
            side=Side.BUY, quantity=10, expires_ns=1 << 62, expires_machine_ns=1 << 62, reference_price=988.0,
            stop_trigger=960.0, stop_limit=955.0,
        )  # fmt: skip
        made.command(entry)
        eventually(lambda: open_stop(simulator), 30)
        yield made, simulator


def open_stop(simulator: Any) -> dict[str, Any]:
    _, body = simulator.call("orderbook")
    found = [row for row in body["data"]["orders"] if row["order_status"] == "trigger pending"]
    return dict(found[0]) if len(found) == 1 else {}


def request(stack: Bench, *signals: CancelRequested | ModifyRequested) -> None:
    """Write requests into the gateway's journal, where the router finds them."""
    gateway = Journal(stack.config.journal_dir("gateway"), "gateway", "2026-11-20")
    for signal in signals:
        gateway.append([Entry(OUTPUT, "control", encode_body(signal))], machine_now(), machine_now())
    gateway.close()


def test_stop_is_moved_in_place_by_a_call_that_answers_500_and_kept_without_force(bench: tuple[Bench, Any]) -> None:
    stack, simulator = bench
    stop = open_stop(simulator)
    simulator.call("/sim/fault", kind="place_500_but_placed", route="modifyorder", count=1)
    request(
        stack,
        ModifyRequested(id="m1", order=stop["strategy"], at_ns=1, trigger_price=970.0),
        CancelRequested(id="c1", order=stop["strategy"], at_ns=2),
    )
    moved = eventually(lambda: (found := open_stop(simulator)).get("trigger_price") == 970.0 and found, 30)
    assert (moved["orderid"], moved["price"], int(moved["quantity"])) == (stop["orderid"], 965.0, 10)
    eventually(lambda: (order := stack.order(stop["strategy"])) and order.trigger_price == 970.0, 20)
    order = stack.order(stop["strategy"])
    assert order is not None, "the refused cancel changed nothing of it"
    assert (order.links.request, order.evidence.modify.calls, order.evidence.cancel.wanted) == ("m1", 1, False)


def test_move_that_the_exchange_refuses_leaves_the_level_in_force_also_after_the_router_was_killed_meanwhile(
    bench: tuple[Bench, Any],
) -> None:
    stack, simulator = bench
    name, before = (stop := open_stop(simulator))["strategy"], stop["trigger_price"]
    simulator.call("/sim/fault", kind="delay_ms", route="modifyorder", ms=600_000)
    request(stack, ModifyRequested(id="m2", order=name, at_ns=3, trigger_price=1471.0))
    eventually(lambda: (found := stack.order(name)) and found.evidence.modify.out, 20)
    level = stack.protection("T")
    assert (level.trigger, level.moving and level.moving.trigger) == (before, 1471.0), "in force is what rests"
    stack.running["router"].kill()
    stack.running["router"].wait()
    simulator.call("/sim/fault", kind="delay_ms", count=0)
    stack.start("router")
    eventually(lambda: not stack.protection("T").moving, 40)
    level, order = stack.protection("T"), stack.order(name)
    assert order is not None and (level.trigger, level.limit) == (before, stop["price"])
    said = f"refused: the broker refused trigger 1471 (limit 1466); trigger {before:g} (limit {stop['price']:g}) stays"
    assert order.message.startswith(said), order.message
    assert order.evidence.modify.wanted is None, "it is not tried again"
    assert open_stop(simulator)["trigger_price"] == before
    assert [found.problem for found in verify_journals(stack.config, "router") if found.problem] == []
