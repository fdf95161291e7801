"""The reconciler process against the simulator: books, order updates, funds, health, and servers that are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.config.brokers import load_brokers
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Product, Purpose, Severity, Side
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.reports import AccountHealth, BooksRead, Funds, ModeSeen, OrderReport, ReadRequest
from mytrading.messages.run_config import RunConfig, ServerMode, VenueKind
from tests.kit.feed_process import feed_config
from tests.kit.order_samples import order_of
from tests.kit.reconciler_process import Running, reconciler
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually


def config_of(simulator: RunningSimulator, tmp_path: Path, runtime: Path, **venue: Any) -> RunConfig:
    config = feed_config(tmp_path / "run", runtime, simulator.rest, simulator.ws, ("NSE:SBIN",))
    return msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **venue))


@pytest.fixture
def running(simulator: RunningSimulator, tmp_path: Path, runtime: Path) -> Iterator[Running]:
    with reconciler(config_of(simulator, tmp_path, runtime)) as found:
        yield found


def test_start_reads_all_books_and_is_healthy(running: Running) -> None:
    books = running.wait(BooksRead, lambda read: read.positions is not None)
    assert (books.orders, books.trades, books.positions) == ((), (), ())
    assert books.began_machine_ns < books.ended_machine_ns
    assert running.wait(ModeSeen, lambda seen: True).expected
    assert running.wait(Funds, lambda funds: True).available > 0
    health = running.wait(AccountHealth, lambda level: level.is_healthy and level.stream_up)
    assert health.broker
    running.wait(Heartbeat, lambda beat: beat.ready)


def test_each_visit_names_the_broker_that_the_servers_ping_reports(tmp_path: Path, runtime: Path) -> None:
    with start_simulator(tmp_path, personality="live", broker="zerodha") as simulator:
        config = config_of(simulator, tmp_path, runtime, expected_mode=ServerMode.LIVE)
        with reconciler(msgspec.structs.replace(config, brokers=load_brokers())) as found:
            found.wait(BooksRead, lambda read: read.positions is not None)
            assert found.all(ModeSeen)[0].broker == "zerodha", "from the first visit on"
            found.wait(AccountHealth, lambda level: level.is_healthy and level.broker == "zerodha")


def test_order_reaches_the_router_by_stream_and_by_book(running: Running, simulator: RunningSimulator) -> None:
    running.wait(AccountHealth, lambda level: level.stream_up)
    _, body = simulator.place(strategy="our-id")
    name = body["orderid"]
    report = running.wait(OrderReport, lambda found: found.order.status is BrokerStatus.COMPLETE)
    assert (report.order.broker_order_id, report.order.filled) == (name, 10)
    running.reads.send("router", ReadRequest(id="q1", account="main", positions=True))
    books = running.wait(BooksRead, lambda read: read.asked_by == "q1")
    assert (books.orders[0].broker_order_id, books.orders[0].tag) == (name, "our-id")
    assert books.trades[0].quantity == 10
    assert books.positions[0].quantity == 10


def test_level_is_repeated_until_the_router_shows_it(running: Running, simulator: RunningSimulator) -> None:
    running.wait(AccountHealth, lambda level: level.stream_up and level.last_positions_machine_ns)
    simulator.call("/sim/fault", kind="book_500", count=-1)
    _, body = simulator.place()
    name = body["orderid"]

    def reported() -> int:
        return sum(
            found.order.broker_order_id == name and found.order.status is BrokerStatus.COMPLETE
            for found in running.all(OrderReport)
        )

    eventually(lambda: reported() >= 3, 8)
    running.orders.send("router", OrderChanged(event="filled", order=our_order(name), machine_ns=1))

    def is_quiet() -> bool:
        """True after three seconds of the reconciler's own without a word of it."""
        before, beats = reported(), len(running.all(Heartbeat))
        eventually(lambda: len(running.all(Heartbeat)) >= beats + 4, 8)
        return reported() == before

    assert eventually(is_quiet, 20)


def our_order(broker_order_id: str) -> Order:
    return order_of(
        client_order_id="c", account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="s", run="r",
        cause="x", purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.MARKET,
        state=OrderState.FILLED, created_ns=1, updated_ns=1, broker_order_id=broker_order_id, stream_filled=10,
    )  # fmt: skip


def test_failing_books_are_unknown_not_flat(running: Running, simulator: RunningSimulator) -> None:
    running.wait(AccountHealth, lambda level: level.is_healthy)
    simulator.place()
    simulator.call("/sim/fault", kind="book_500", count=-1)
    running.reads.send("router", ReadRequest(id="q2", account="main", positions=True))
    running.wait(Alert, lambda alert: alert.code == "BOOKS_UNREAD" and not alert.cleared)
    assert not [read for read in running.all(BooksRead) if read.asked_by == "q2" and read.positions == ()]
    simulator.call("/sim/fault", kind="clear", count=1)
    running.wait(Alert, lambda alert: alert.code == "BOOKS_UNREAD" and alert.cleared, 15)


def test_funds_that_fail_for_long_are_distinguished_from_the_books_until_they_are_read_again(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    config = config_of(simulator, tmp_path, runtime)
    windows = msgspec.structs.replace(config.windows, orders_every=0.3, funds_every=0.5, funds_stale=3.0)
    with reconciler(msgspec.structs.replace(config, windows=windows)) as found:
        found.wait(Funds, lambda funds: True)
        simulator.call("/sim/fault", kind="book_500", route="funds", count=-1)
        first = found.wait(Alert, lambda alert: alert.code == "FUNDS_UNREAD")
        assert (first.severity, first.subject) == (Severity.WARNING, "main")
        found.wait(AccountHealth, lambda level: level.is_healthy and "not read for 3 seconds" in level.funds_unread)
        loud = found.wait(Alert, lambda alert: alert.code == "FUNDS_UNREAD" and alert.severity is Severity.CRITICAL)
        assert "entries wait until they are, exits go on; see `mytrading doctor`" in loud.message
        assert {alert.code for alert in found.all(Alert)} == {"FUNDS_UNREAD"}
        assert not [alert for alert in found.all(Alert) if alert.cleared]
        simulator.call("/sim/fault", kind="clear", count=1)
        found.wait(Alert, lambda alert: alert.code == "FUNDS_UNREAD" and alert.cleared, 15)
        found.wait_newest(AccountHealth, lambda level: level.is_healthy and not level.funds_unread)


def test_funds_that_fail_from_the_start_are_reported_as_unread_too(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    simulator.call("/sim/fault", kind="book_500", route="funds", count=-1)
    config = config_of(simulator, tmp_path, runtime)
    windows = msgspec.structs.replace(config.windows, orders_every=0.3, funds_every=0.5, funds_stale=2.0)
    with reconciler(msgspec.structs.replace(config, windows=windows)) as found:
        found.wait(AccountHealth, lambda level: level.is_healthy and "not read for 2 seconds" in level.funds_unread)
        assert found.all(Funds) == []
        found.wait(Alert, lambda alert: alert.code == "FUNDS_UNREAD" and alert.severity is Severity.CRITICAL)


def test_trade_book_that_alone_fails_is_named_with_what_to_do(running: Running, simulator: RunningSimulator) -> None:
    running.wait(AccountHealth, lambda level: level.is_healthy)
    simulator.call("/sim/fault", kind="book_500", route="tradebook", count=-1)
    running.reads.send("router", ReadRequest(id="q4", account="main", positions=True))
    alert = running.wait(Alert, lambda alert: alert.code == "BOOKS_UNREAD")
    assert "tradebook: " in alert.message and "stops stay" in alert.message and "mytrading doctor" in alert.message
    level = running.wait_newest(AccountHealth, lambda level: not level.is_healthy)
    assert level.connected and level.message.startswith("tradebook: ")


def test_wrong_mode_is_named_and_voids_the_books(simulator: RunningSimulator, tmp_path: Path, runtime: Path) -> None:
    with reconciler(config_of(simulator, tmp_path, runtime, expected_mode="live")) as found:
        seen = found.wait(ModeSeen, lambda seen: True)
        assert "analyze mode, live mode was expected" in seen.message
        assert (seen.mode, seen.expected) == ("analyze", False)
        assert not found.wait(AccountHealth, lambda level: level.connected).is_healthy
        assert all(read.orders is None and read.positions is None for read in found.all(BooksRead))


def test_wrong_key_is_named(simulator: RunningSimulator, tmp_path: Path, runtime: Path) -> None:
    with reconciler(config_of(simulator, tmp_path, runtime, api_key="wrong")) as found:
        level = found.wait(AccountHealth, lambda level: level.failures)
        assert "Invalid openalgo apikey; check the API key" in level.message
        assert not level.connected
        eventually(lambda: "ORDER_STREAM_DOWN" in found.log.read_text())
        assert "Invalid API key" in found.log.read_text()


def test_server_away_and_back_is_read_at_once(tmp_path: Path, runtime: Path) -> None:
    with start_simulator(tmp_path) as first:
        config = config_of(first, tmp_path, runtime)
        with reconciler(config) as found:
            found.wait(AccountHealth, lambda level: level.is_healthy)
            first.process.kill()
            first.process.wait(5)
            found.reads.send("router", ReadRequest(id="q3", account="main"))
            alert = found.wait(Alert, lambda alert: alert.code == "BOOKS_UNREAD")
            assert "is the server running" in alert.message
            found.wait_newest(AccountHealth, lambda level: not level.connected)
            ports = {"rest_port": first.rest.rpartition(":")[2], "ws_port": first.ws.rpartition(":")[2]}
            with start_simulator(tmp_path, start="", **ports):
                found.wait_newest(AccountHealth, lambda level: level.is_healthy and level.stream_up, 20)


def test_dry_run_reads_nothing_and_is_healthy(tmp_path: Path, runtime: Path) -> None:
    config = feed_config(tmp_path / "run", runtime, "http://127.0.0.1:1", "ws://127.0.0.1:1", ())
    venue = msgspec.structs.replace(config.venue, kind=VenueKind.DRY_RUN)
    with reconciler(msgspec.structs.replace(config, venue=venue)) as found:
        assert found.wait(AccountHealth, lambda level: True).is_healthy
        found.wait(Heartbeat, lambda beat: beat.ready)
        assert found.all(BooksRead) == []
