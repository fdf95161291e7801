"""Time limits of a visit to the books: an order that waits for a fill waits for the visit's end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mytrading.adapters.openalgo.rest.book_reader import BookReader
from mytrading.adapters.openalgo.rest.client import SECONDS, Deadline, OpenAlgoClient
from mytrading.core.reconciler.read_plan import ReadJob
from tests.kit.waiting import eventually

JOB = ReadJob("j", orders=True, trades=True, positions=True, funds=True)
PATIENCE_S = 0.4
ANALYZE = b'{"status": "success", "data": {"mode": "analyze", "analyze_mode": true}}'


class _Server(ThreadingHTTPServer):
    """Answers which mode it is in, never which orders there are; `drops` lost connections first."""

    daemon_threads = True

    def __init__(self, drops: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.answers = {"analyzer": ANALYZE}
        self.drops = drops
        self.waits = {name: threading.Event() for name in ("orderbook", "analyzer", "tradebook")}
        """An answer of these waits until its event is set."""
        for event in self.waits.values():
            event.set()
        self.leave = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.drops:
            self.server.drops -= 1
            return
        answer = self.server.answers.get(name)
        if answer is None:
            self.server.leave.wait(30)
            return
        if name in self.server.waits:
            self.server.waits[name].wait(30)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args: object) -> None:
        """Requests are not printed."""


@contextmanager
def serving(drops: int = 0) -> Iterator[_Server]:
    server = _Server(drops)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.leave.set()
        server.shutdown()
        thread.join()
        server.server_close()


def reader(server: _Server, expected: str = "analyze") -> BookReader:
    deadlines = {**SECONDS, Deadline.BOOK: PATIENCE_S}
    client, beside = (
        OpenAlgoClient(f"http://127.0.0.1:{server.server_port}", "key", time.monotonic_ns, deadlines) for _ in range(2)
    )
    return BookReader(client, beside, "main", expected, time.monotonic_ns)


def test_visit_to_a_server_whose_books_hang_ends_after_three_calls() -> None:
    with serving() as server:
        visit = reader(server).read_books(JOB)
    assert server.asked == ["orderbook", "orderbook", "analyzer", "tradebook"]
    assert visit.reached
    assert (visit.books.orders, visit.books.trades, visit.books.positions) == (None, None, None)
    assert [problem.partition(":")[0] for problem in visit.problems] == [
        "orderbook", "tradebook", "positionbook", "funds",
    ]  # fmt: skip


def test_read_whose_connection_is_lost_is_tried_again() -> None:
    with serving(drops=1) as server:
        reader(server).read_books(JOB._replace(trades=False, positions=False, funds=False))
    assert server.asked == ["orderbook", "orderbook", "analyzer"]


BOOK = b'{"status": "success", "data": {"orders": []}, "mode": "analyze"}'
TRADES = b'{"status": "success", "data": [], "mode": "analyze"}'
PROOF = JOB._replace(positions=False, funds=False)


def test_trade_book_waits_for_the_order_book_and_for_the_answer_of_the_mode_it_does_not() -> None:
    """Each waited for the one before, so that an exit past a stop took three calls of its server."""
    with serving() as server, ThreadPoolExecutor(1) as pool:
        server.answers |= {"orderbook": BOOK, "tradebook": TRADES}
        server.waits["orderbook"].clear()
        server.waits["analyzer"].clear()
        visit = pool.submit(reader(server).read_books, PROOF)
        eventually(lambda: server.asked == ["orderbook"])
        server.waits["orderbook"].set()
        eventually(lambda: sorted(server.asked) == ["analyzer", "orderbook", "tradebook"])
        assert not visit.done(), "without the mode nothing is known"
        server.waits["analyzer"].set()
        done = visit.result(10)
    assert (done.books.orders, done.books.trades, done.problems) == ((), (), ())
    assert done.mode is not None and done.mode.expected


def test_wrong_mode_that_comes_after_the_books_makes_them_void() -> None:
    with serving() as server:
        server.answers |= {"orderbook": BOOK, "tradebook": TRADES, "analyzer": ANALYZE.replace(b'"analyze"', b'"live"')}
        visit = reader(server).read_books(PROOF)
    assert (visit.books.orders, visit.books.trades) == (None, None)
    assert visit.mode is not None and not visit.mode.expected


def test_mode_is_known_although_the_trade_book_beside_it_hangs() -> None:
    with serving() as server:
        server.answers["orderbook"] = BOOK
        visit = reader(server).read_books(PROOF)
    assert (visit.books.orders, visit.books.trades) == ((), None)
    assert [problem.partition(":")[0] for problem in visit.problems] == ["tradebook"]


def test_mode_that_hangs_beside_the_trade_book_is_asked_for_again() -> None:
    with serving() as server:
        server.answers |= {"orderbook": BOOK, "tradebook": TRADES}
        del server.answers["analyzer"]
        visit = reader(server).read_books(PROOF)
    assert sorted(server.asked) == ["analyzer", "analyzer", "orderbook", "tradebook"]
    assert visit.books.trades == ()


@pytest.mark.parametrize(("mode", "realised"), [("analyze", -8347.70), ("live", -1576.60)])
def test_realised_profit_of_analyzer_mode_is_that_of_the_position_book(mode: str, realised: float) -> None:
    """The server's funds lost realised amounts there, and the difference to ours was a false alarm."""
    marked = ', "mode": "analyze"' if mode == "analyze" else ""
    money = '{"availablecash": "1", "utiliseddebits": "0", "m2mrealized": "-1576.60", "m2munrealized": "0"}'
    with serving() as server:
        server.answers["analyzer"] = ANALYZE.replace(b'"mode": "analyze"', f'"mode": "{mode}"'.encode())
        server.answers["funds"] = f'{{"status": "success", "data": {money}{marked}}}'.encode()
        book = f'{{"status": "success", "data": [], "total_today_realized_pnl": -8347.70{marked}}}'
        server.answers["positionbook"] = book.encode()
        visit = reader(server, mode).read_books(JOB._replace(orders=False, trades=False, positions=False))
    assert visit.funds is not None and visit.funds.realised == realised
    assert visit.books.positions is None, "it was asked for the total alone"


@pytest.mark.parametrize(
    ("money", "live"),
    [
        ('{"availablecash": "12.5", "utiliseddebits": "0"}', True),
        ('{"availablecash": "0.00", "utiliseddebits": "830"}', True),
        (
            '{"availablecash": "0.00", "utiliseddebits": "0.00", "collateral": "0", "m2mrealized": 0, '
            '"m2munrealized": "0"}',
            False,
        ),
        ("{}", False),
    ],
)
def test_funds_of_the_round_show_a_session_unless_they_are_empty_or_all_zero(money: str, live: bool) -> None:
    """Servers without a session at their broker answer so, beside books that are empty with success."""
    with serving() as server:
        server.answers |= {"orderbook": BOOK, "tradebook": TRADES, "positionbook": TRADES}
        server.answers["funds"] = f'{{"status": "success", "data": {money}, "mode": "analyze"}}'.encode()
        assert reader(server).read_books(JOB).books.funds_live is live
        assert reader(server).read_books(PROOF).books.funds_live is False, "another round says nothing"
