"""Quotes that the router asks servers for, for exits that must be LIMIT: real requests over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mytrading.daemons.router.exit_quotes import ExitQuotes
from mytrading.messages.enums import Product, Purpose
from mytrading.messages.orders import ExitQuote, Goal, GoalChanged
from mytrading.messages.run_config import AccountRun, RunConfig

SHARE = "NSE:SBIN"


class Server:
    """Answers `quotes` with `data` once `gate` is set; `asked` are the bodies that came."""

    def __init__(self) -> None:
        self.data: dict[str, Any] | None = {"ltp": 98.5, "bid": 98.0, "ask": 99.0, "prev_close": 100.0}
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(body)
        self.gate.wait(10)
        if self.data is None:
            return 500, {"status": "error", "message": "broker says no"}
        return 200, {"status": "success", "data": self.data}


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = made.answer(body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(BrokenPipeError):  # whoever asked has given up
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.gate.set()
        http.shutdown()
        thread.join()
        http.server_close()


class Asking:
    """`ExitQuotes` of accounts, and the answers as they come."""

    def __init__(self, state: Path, **urls: str) -> None:
        ws = "ws://127.0.0.1:1"
        accounts = [AccountRun(id=name, rest_url=url, ws_url=ws, api_key="k") for name, url in urls.items()]
        self.woken = threading.Event()
        config = cast(RunConfig, SimpleNamespace(state=state, order_accounts=accounts))
        self.quotes = ExitQuotes(config, self.woken.set)

    def ask(self, *goals: GoalChanged) -> None:
        self.quotes.request(goals)

    def answers(self, count: int = 1) -> list[ExitQuote]:
        found: list[ExitQuote] = []
        while len(found) < count:
            assert self.woken.wait(10), f"only {found}"
            self.woken.clear()
            found += self.quotes.take_answers()
        return found


def goal(name: str = "g1", account: str = "main", asked: int = 5, **fields: Any) -> GoalChanged:
    made = Goal(
        id=name, account=account, instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c", reason="t",
        purpose=Purpose.EXIT, limit_only=True, unpriced_machine_ns=5, asked_machine_ns=asked, tick=0.05, **fields,
    )  # fmt: skip
    return GoalChanged(goal=made, at_ns=1)


def test_quote_of_the_server_is_the_answer_for_that_wait(server: Server, tmp_path: Path) -> None:
    asking = Asking(tmp_path, main=server.url)
    asking.ask(goal())
    (answer,) = asking.answers()
    asking.quotes.stop()
    assert (answer.ltp, answer.bid, answer.ask, answer.previous_close) == (98.5, 98.0, 99.0, 100.0)
    assert (answer.goal, answer.asked_machine_ns, answer.tick, answer.problem) == ("g1", 5, 0.05, "")
    assert [(body["symbol"], body["exchange"]) for body in server.asked] == [("SBIN", "NSE")]


def test_one_wait_is_asked_for_once_and_the_next_anew(server: Server, tmp_path: Path) -> None:
    """Each row of a goal that waits would have been another call of the few that a server allows."""
    asking = Asking(tmp_path, main=server.url)
    asking.ask(goal(), goal(), goal(asked=0), goal(asked=9, price=98.0))
    asking.answers()
    asking.ask(goal(asked=7))
    asking.answers()
    asking.quotes.stop()
    assert len(server.asked) == 2


def test_server_that_refuses_and_one_that_is_away_answer_with_the_problem(server: Server, tmp_path: Path) -> None:
    server.data = None
    asking = Asking(tmp_path, main=server.url, away="http://127.0.0.1:1")
    asking.ask(goal(), goal("g2", "away"))
    found = {answer.goal: answer for answer in asking.answers(2)}
    asking.quotes.stop()
    assert all(answer.problem and answer.ltp == answer.bid == answer.ask == 0.0 for answer in found.values())


def test_server_that_hangs_delayed_the_quotes_of_other_accounts(server: Server, tmp_path: Path) -> None:
    hangs = Asking(tmp_path, main=server.url, away="http://127.0.0.1:1")
    server.gate.clear()
    hangs.ask(goal(), goal("g2", "away"))
    (first,) = hangs.answers()
    assert first.goal == "g2"
    (second,) = hangs.answers()
    assert second.goal == "g1" and second.problem, "its deadline is less than the order machine waits"
    hangs.quotes.stop()
