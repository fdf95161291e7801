"""Single orders by their ids, at a server: what it knows, what it does not, and what it does not say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mytrading.adapters.openalgo.rest.book_reader import BookReader
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.core.reconciler.read_plan import ReadJob
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.messages.reports import BooksRead
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("sim")) as running:
        yield running


def read(server: RunningSimulator, *ids: str, mode: str = "analyze") -> BooksRead:
    return read_at(server.rest, server.api_key, ids, mode)


def read_at(rest: str, key: str, ids: tuple[str, ...], mode: str) -> BooksRead:
    first, second = (OpenAlgoClient(rest, key, time.monotonic_ns) for _ in range(2))
    with closing(first), closing(second):
        job = ReadJob("j", orders=False, trades=True, positions=True, funds=False, order_ids=ids)
        return BookReader(first, second, "main", mode, time.monotonic_ns).read_books(job).books


def placed(server: RunningSimulator, **fields: Any) -> str:
    status, body = server.place(**fields)
    assert status == 200, body
    return str(body["orderid"])


def test_known_orders_are_shown_and_one_that_the_server_does_not_know_is_told_apart(server: RunningSimulator) -> None:
    resting = placed(server, product="CNC", pricetype="LIMIT", price=850, quantity=4)
    done = placed(server, quantity=3)
    eventually(lambda: server.status(done) == "complete")
    found = read(server, resting, "26000000000", done)
    assert found.single and found.asked == (resting, "26000000000", done)
    assert found.orders is not None and found.trades is not None and found.positions is not None
    first, last = found.orders
    assert (first.broker_order_id, first.status, first.quantity) == (resting, BrokerStatus.OPEN, 4)
    assert (first.product, first.order_type, first.side, first.price) == (Product.CNC, OrderType.LIMIT, Side.BUY, 850)
    assert (last.broker_order_id, last.status, last.instrument) == (done, BrokerStatus.COMPLETE, "NSE:SBIN")


def test_trade_rows_bear_the_name_that_the_order_was_sent_with(server: RunningSimulator) -> None:
    done = placed(server, strategy="order-of-ours", quantity=2)
    eventually(lambda: server.status(done) == "complete")
    rows = {row.broker_order_id: row.tag for row in read(server, done).trades or ()}
    assert rows[done] == "order-of-ours"


def test_server_in_another_mode_says_nothing_of_any_order(server: RunningSimulator) -> None:
    resting = placed(server, product="CNC", pricetype="LIMIT", price=850, quantity=5)
    found = read(server, resting, mode="live")
    assert (found.orders, found.asked) == (None, ())


def test_server_that_is_away_has_answered_for_no_order() -> None:
    found = read_at("http://127.0.0.1:9", "x", ("1",), "analyze")
    assert (found.asked, found.single) == ((), True)
