"""Reads of an account's books: when they are made, and by which broker's row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mytrading.config.brokers import load_brokers
from mytrading.core.reconciler.read_plan import ReadRules
from mytrading.core.time import SECOND
from mytrading.daemons.reconciler.account import AccountListener, read_rules
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.reports import BooksRead, Funds, ReadRequest
from mytrading.messages.run_config import AccountRun, Windows
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.observability.metrics import get_performance_monitor
from tests.kit.waiting import eventually


def test_windows_of_the_run_file_reach_the_plan_of_reads() -> None:
    assert read_rules(Windows()) == ReadRules()
    assert read_rules(Windows(orders_every=4.0)).orders_every == 4 * SECOND


class Server(ThreadingHTTPServer):
    """Answers every call of an account's books; `asked` are the paths."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = answers, list[str]()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        body = self.server.answers[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Requests are not printed."""


ROW = (
    b'{"orderid": "1", "symbol": "SYM35000", "exchange": "NFO", "action": "SELL", "quantity": 75, "pricetype": "SL", '
    b'"product": "MIS", "order_status": "sl triggered"}'
)
BOOKS = {
    "orderbook": b'{"status": "success", "data": {"orders": [' + ROW + b"]}}",
    "tradebook": b'{"status": "success", "data": []}',
    "positionbook": b'{"status": "success", "data": []}',
    "funds": b'{"status": "success", "data": {"availablecash": "0.00", "utiliseddebits": "0.00"}}',
    "analyzer": b'{"status": "success", "data": {"mode": "live"}}',
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(BOOKS) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_first_read_waits_for_the_name_of_the_broker_and_is_read_by_its_row(server: Server) -> None:
    known: list[BrokerRules] = []
    said: list[Any] = []
    alerts = Alerts("reconciler", lambda: 1, said.append)
    account = AccountRun(
        id="main", rest_url=f"http://127.0.0.1:{server.server_port}", ws_url="ws://127.0.0.1:9", api_key="key"
    )
    listener = AccountListener(
        account, "live", Windows(), said.append, said.append, alerts, get_performance_monitor(), lambda: None,
        lambda: 1, lambda: known[0] if known else None,
    )  # fmt: skip
    try:
        begun: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(listener._workers, "submit", begun.append)
            listener.start_if_due(machine_now())
            listener.request_read(ReadRequest(id="q", account="main"))
            listener.handle_results()
        assert (begun, server.asked) == ([], [])
        known.append(load_brokers()["fivepaisa"])

        def read() -> list[BooksRead]:
            listener.start_if_due(machine_now())
            listener.handle_results()
            return [one for one in said if isinstance(one, BooksRead)]

        (order,) = eventually(read)[0].orders or ()
        assert order.status is BrokerStatus.TRIGGERED, "a word of that broker alone"
        assert not [one for one in said if isinstance(one, Funds)], "zeros beside an order that lives"
        assert ("FUNDS_UNREAD", "main") in listener.active_alerts()
    finally:
        listener.stop()
