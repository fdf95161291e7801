"""The router process beside the real reconciler and exchange, with nobody else there: resting entries do not stay."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.core.time import SECOND
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.enums import OrderState, Side
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.orders import OrderChanged
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from mytrading.runtime.journal.journal import JournalReader, Row, read_segment
from tests.kit.router_bench import Bench, router_bench, statuses
from tests.kit.simulator_process import RunningSimulator
from tests.kit.waiting import PATIENCE, eventually

MIDNIGHT = 1_795_199_400_000_000_000
"""2026-11-21 00:00 in India."""
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def bench(tmp_path: Path, simulator: RunningSimulator) -> Iterator[Bench]:
    with router_bench(tmp_path, simulator.rest, simulator.ws) as made:
        yield made


def test_resting_entry_is_cancelled_when_its_guardians_are_away(bench: Bench, simulator: RunningSimulator) -> None:
    bench.start("reconciler")
    bench.start("router")
    bench.command_a_resting_entry()
    eventually(lambda: statuses(simulator) == ["open"], 15)
    eventually(lambda: statuses(simulator) == ["cancelled"], 15)
    assert eventually(lambda: bench.said("ENTRIES_UNGUARDED"), 15)
    assert statuses(simulator) == ["cancelled"], "and no other entry after it"


def test_router_asked_to_stop_takes_its_resting_entries_along(bench: Bench, simulator: RunningSimulator) -> None:
    bench.start("reconciler")
    router = bench.start("router")
    bench.command_a_resting_entry()
    eventually(lambda: statuses(simulator) == ["open"], 15)
    router.send_signal(signal.SIGTERM)
    assert router.wait(5 * PATIENCE) == 0
    assert statuses(simulator) == ["cancelled"]


def test_router_that_cannot_cancel_says_which_entry_may_rest(bench: Bench, simulator: RunningSimulator) -> None:
    bench.start("reconciler")
    router = bench.start("router")
    bench.command_a_resting_entry()
    eventually(lambda: statuses(simulator) == ["open"], 15)
    simulator.process.send_signal(signal.SIGSTOP)
    router.send_signal(signal.SIGTERM)
    code = router.wait(8 * PATIENCE)
    simulator.process.send_signal(signal.SIGCONT)
    assert code == 0
    assert "ENTRY_LEFT" in bench.log.read_text()


def test_unsent_entry_of_yesterday_ends_with_a_record_before_the_new_day_opens(tmp_path: Path) -> None:
    """Without a server no book is read and the entry cannot leave; then the market's clock goes on to midnight."""
    evening = ClockSegment(machine_now(), MIDNIGHT - 3600 * SECOND, 1.0)
    with router_bench(tmp_path, "http://127.0.0.1:9", "ws://127.0.0.1:9", evening) as bench:
        config = bench.config
        bench.command_a_resting_entry()
        router = bench.start("router")
        folder = config.journal_dir("router")
        eventually(lambda: states_in(folder) == [OrderState.INITIALIZED], 20)
        MarketClock((evening, ClockSegment(machine_now(), MIDNIGHT - SECOND, 1.0)), config.clock_path).mark_seen()
        eventually(lambda: len(states_in(folder)) == 2, 20)
        eventually((folder / "2026-11-21.journal").exists, 20)
        router.send_signal(signal.SIGTERM)
        router.wait(6 * PATIENCE)
        states = states_in(folder)
        (day,) = opened(folder / "2026-11-21.journal")
    assert states == [OrderState.INITIALIZED, OrderState.EXPIRED]
    assert (day.day, day.orders) == ("2026-11-21", ())


def states_in(folder: Path) -> list[OrderState]:
    """The states that orders went through, by the journal in `folder`."""
    rows = JournalReader(folder, "orders").read(0)
    return [message.order.state for row in rows if isinstance(message := order_of(row), OrderChanged)]


def order_of(row: Row) -> object:
    return StreamDecoder("orders").decode_body(row.body)


def opened(day_file: Path) -> list[DayOpened]:
    """The snapshots in a day of a journal."""
    found = [StreamDecoder(row.stream).decode_body(row.body) for row in read_segment(day_file)]
    return [message for message in found if isinstance(message, DayOpened)]


def test_exits_cancel_each_stop_once_and_follow_the_read_that_proves_it(
    tmp_path: Path, simulator: RunningSimulator
) -> None:
    """At a server that takes 100 ms for every call: no second cancel that it would refuse, no wait for a later read."""
    assert simulator.call("/sim/fault", kind="delay_ms", ms=100.0)[0] == 200
    ten = ClockSegment(machine_now(), MIDNIGHT - 14 * 3600 * SECOND, 1.0)
    with router_bench(tmp_path, simulator.rest, simulator.ws, ten) as bench:
        bench.start("reconciler")
        bench.start("router")
        owners = [f"T{number}" for number in range(3)]
        bench.command(*(bench.guarded_entry(f"e{owner}", owner) for owner in owners))
        eventually(lambda: statuses(simulator).count("trigger pending") == len(owners), 15)
        for owner in owners:
            bench.command(bench.exit(f"g{owner}", owner))
            eventually(lambda name=f"g{owner}": bench.closed(name), 15)
        waits = sorted(bench.exits_after_cancels())
    _, state = simulator.get("/sim/state")
    calls = {name: count for name, count in state["data"]["requests"].items() if name.startswith("cancelorder")}
    assert calls == {"cancelorder 200": len(owners)}
    assert len(waits) == len(owners) and waits[1] < 0.3 * PATIENCE, (
        "order book, then mode and trade book, a tenth of a second each"
    )


def test_entry_lost_on_its_way_is_given_up_by_its_missing_tag_and_leaves_the_other_side_free(
    bench: Bench, simulator: RunningSimulator
) -> None:
    """The book of analyzer mode shows our ids: two reads without one take seconds, not the 130 of a held call."""
    bench.start("reconciler")
    bench.start("router")
    resting = bench.resting_entry("shown", instrument="NSE:INFY", price=1300.0)
    bench.command(resting)
    eventually(lambda: statuses(simulator) == ["open"], 15)
    assert simulator.call("/sim/fault", kind="place_lost")[0] == 200
    bench.command(bench.resting_entry("lost"))
    eventually(lambda: (order := bench.order("lost")) and order.state is OrderState.LOST, 20)
    bench.command(bench.resting_entry("same side"))
    denied = eventually(lambda: (order := bench.order("same side")) and order.message, 15)
    assert denied.startswith("RESERVED") and "mytrading orders resolve lost --not-placed" in denied
    bench.command(replace(bench.resting_entry("other side", price=1060.0), side=Side.SELL))
    assert eventually(lambda: (order := bench.order("other side")) and order.broker_order_id, 15)
    _, body = simulator.call("orderbook")
    assert sorted(row["action"] for row in body["data"]["orders"]) == ["BUY", "SELL"]
