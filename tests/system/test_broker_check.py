"""`mytrading brokers check` at a live server: nothing is left of it, whatever happens in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.messages.run_config import AccountRun
from mytrading.operations.broker_trial.sent_orders import FOLDER
from mytrading.runtime.host.paths import account_lock_path
from mytrading.runtime.supervision.instance_lock import InstanceLock
from tests.kit.fork_server import Forked
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
SHARE = "NSE:YESBANK"
OPEN_HOURS = "2026-11-20 10:30"
"""A Friday."""


class Bench:
    """A live simulator in the session, and the command line of somebody who has an account there."""

    def __init__(self, folder: Path, server: RunningSimulator, clock: Path) -> None:
        self.server = server
        host, port = server.ws.rsplit("/", 1)[1].split(":")
        where = {"OPENALGO_API_HOST": server.rest, "OPENALGO_WS_HOST": host, "OPENALGO_WS_PORT": port}
        self.stack = Stack(folder, OPENALGO_API_KEY=API_KEY, **where)
        state = self.stack.base / "default"
        state.mkdir(parents=True)
        (state / "clock.json").write_bytes(clock.read_bytes())  # the exchange's time is that of the market's

    @property
    def folder(self) -> Path:
        return self.stack.base / FOLDER

    def check(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.stack.run("brokers", "check", "--yes", *words)

    def started(self) -> Forked:
        """A check beside the test, which can be killed and interrupted; its progress comes line by line."""
        process = self.stack.start("brokers", "check", "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert isinstance(process, Forked)
        return process

    def fault(self, name: str, **fields: Any) -> None:
        status, body = self.server.call("/sim/fault", kind=name, **fields)
        assert status == 200, body

    def orders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.server.call("orderbook")[1]["data"]["orders"]
        return rows

    def terms(self) -> list[tuple[str, str, str]]:
        return [(row["action"], row["pricetype"], row["order_status"]) for row in self.orders()]

    def held(self) -> int:
        return sum(row["quantity"] for row in self.server.call("positionbook")[1]["data"])

    def report(self) -> dict[str, Any]:
        (path,) = self.folder.glob("*.json")
        body: dict[str, Any] = json.loads(path.read_text())
        return body

    def left(self) -> list[Path]:
        return list(self.folder.glob("*.jsonl"))


def line_with(process: Forked, text: str) -> str:
    """The next line of progress that says so."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return line
    raise AssertionError(f"it never said {text!r}: {said}")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield from bench_at(tmp_path, "zerodha")


def bench_at(folder: Path, broker: str, start: str = OPEN_HOURS) -> Iterator[Bench]:
    place = folder / "server"
    place.mkdir()
    with start_simulator(place, personality="live", broker=broker, start=start) as server:
        yield Bench(folder, server, place / "clock.json")


@pytest.fixture
def stopless(tmp_path: Path) -> Iterator[Bench]:
    yield from bench_at(tmp_path, "paytm")


def test_whole_check_leaves_nothing_and_its_report_tells_no_secrets(bench: Bench) -> None:
    done = bench.check("--json")
    assert done.returncode == 0, done.stderr
    assert bench.terms() == [("BUY", "LIMIT", "cancelled"), ("BUY", "SL", "cancelled")]
    assert bench.held() == 0 and bench.left() == []
    report = bench.report()
    assert report == json.loads(done.stdout) and report["broker"] == "zerodha"
    assert [one for one in report["compared"] if one["agrees"] is not True] == []
    assert [order["words"] for order in report["orders"]] == [
        ["open", "open", "cancelled"], ["trigger pending", "trigger pending", "cancelled"],
    ]  # fmt: skip
    written = "".join(path.read_text() for path in bench.folder.iterdir())
    secrets = [API_KEY, bench.server.rest, "127.0.0.1", *(row["orderid"] for row in bench.orders())]
    assert [secret for secret in secrets if secret in written] == []


def test_nothing_is_sent_without_a_yes(bench: Bench) -> None:
    done = bench.stack.run("brokers", "check")
    assert done.returncode != 0 and bench.orders() == []


def test_stop_is_not_sent_where_the_table_says_that_it_leaves_as_market(stopless: Bench) -> None:
    done = stopless.check()
    assert done.returncode == 0 and "no stop" in done.stderr
    assert [terms[1] for terms in stopless.terms()] == ["LIMIT"]


def test_word_of_a_waiting_stop_is_compared_with_the_facts_of_its_broker(tmp_path: Path) -> None:
    """Of Dhan it is known that a waiting stop is `open`, whatever this server says."""
    for bench in bench_at(tmp_path, "dhan"):
        assert bench.check().returncode == 0
        (word,) = {row["order_status"] for row in bench.report()["orders"][1]["rows"].values()} - {"cancelled"}
        (stop,) = [one for one in bench.report()["compared"] if one["what"] == "the word of a waiting stop"]
        assert (stop["found"], stop["table"], stop["agrees"]) == (word, "open", word == "open")


def test_share_that_is_bought_in_the_middle_is_sold_at_once(bench: Bench) -> None:
    bench.fault("delay_ms", route="modifyorder", ms=1500)
    with bench.started() as process:
        line_with(process, "LIMIT buy: changed")
        bench.server.push("YESBANK", 20.0)
        line_with(process, "is sold at once")
        assert process.wait(60) == 0
    assert bench.held() == 0 and bench.left() == []
    sides = [(row["action"], row["order_status"]) for row in bench.orders()]
    assert sides == [("BUY", "complete"), ("SELL", "complete")], "and nothing more is tried"
    fills = [one for one in bench.report()["compared"] if one["what"].endswith("fills far from the market")]
    assert [one["agrees"] for one in fills] == [False]


@pytest.mark.parametrize("way", ["the next check", "doctor"])
def test_check_that_was_killed_between_its_orders_is_ended(bench: Bench, way: str) -> None:
    bench.fault("delay_ms", route="cancelorder", ms=4000)
    with bench.started() as process:
        line_with(process, "LIMIT buy: cancelled")
        process.kill()
    bench.server.call("/sim/fault", kind="clear")
    assert len(bench.left()) == 1
    if way == "doctor":
        done = bench.stack.run("doctor", "--quick", "--json")
        (row,) = [row for row in json.loads(done.stdout)["findings"] if row["check"] == "left orders"]
        assert row["verdict"] == "ok" and "taken back" in row["found"]
        assert bench.terms() == [("BUY", "LIMIT", "cancelled")]
    else:
        assert bench.check().returncode == 0
        assert [terms[2] for terms in bench.terms()] == ["cancelled"] * 3
    assert bench.held() == 0 and bench.left() == []


def test_check_killed_before_the_answer_is_ended_by_the_terms_of_its_order(bench: Bench) -> None:
    """The server has placed it and holds the answer: the file knows no id, and the order rests."""
    bench.fault("place_timeout", seconds=20)
    with bench.started() as process:
        line_with(process, "LIMIT buy of 1")
        eventually(lambda: bench.terms() == [("BUY", "LIMIT", "open")], 20)
        process.kill()
    assert bench.check().returncode == 0
    assert bench.terms() == [
        ("BUY", "LIMIT", "cancelled"), ("BUY", "LIMIT", "cancelled"), ("BUY", "SL", "cancelled"),
    ]  # fmt: skip


def test_share_bought_after_the_kill_is_sold_by_the_next_check(bench: Bench) -> None:
    bench.fault("delay_ms", route="modifyorder", ms=4000)
    with bench.started() as process:
        line_with(process, "LIMIT buy: changed")
        process.kill()
    bench.server.push("YESBANK", 20.0)
    eventually(lambda: bench.held() == 1, 20)
    done = bench.stack.run("doctor", "--quick", "--json")
    (row,) = [row for row in json.loads(done.stdout)["findings"] if row["check"] == "left orders"]
    assert row["verdict"] == "ok", row
    assert bench.held() == 0 and [one[0] for one in bench.terms()] == ["BUY", "SELL"] and bench.left() == []


def test_order_without_an_answer_is_found_in_the_book_and_not_placed_again(bench: Bench) -> None:
    bench.fault("place_timeout", drop=True)
    done = bench.check()
    assert done.returncode == 0, done.stderr
    assert bench.terms() == [("BUY", "LIMIT", "cancelled"), ("BUY", "SL", "cancelled")]


def test_interrupt_takes_back_what_was_sent(bench: Bench) -> None:
    bench.fault("delay_ms", route="modifyorder", ms=3000)
    with bench.started() as process:
        line_with(process, "LIMIT buy: changed")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
    assert bench.terms() == [("BUY", "LIMIT", "cancelled")] and bench.left() == []


def test_nothing_is_sent_outside_the_session_or_to_the_sandbox(tmp_path: Path, bench: Bench) -> None:
    bench.server.call("analyzer/toggle", mode=True)
    done = bench.check()
    assert done.returncode == 1 and "analyze mode" in done.stderr
    bench.server.call("analyzer/toggle", mode=False)
    (bench.stack.base / "default" / "clock.json").unlink()
    closed = tmp_path / "closed"
    closed.mkdir()
    for other in bench_at(closed, "zerodha", start="2026-11-20 16:00"):
        done = other.check()
        assert done.returncode == 1 and "NSE is closed" in done.stderr
        assert other.orders() == []
    assert bench.orders() == []


def test_nothing_is_sent_while_a_stack_trades_the_account(bench: Bench) -> None:
    account = AccountRun(id="main", rest_url=bench.server.rest, ws_url=bench.server.ws, api_key=API_KEY)
    lock = InstanceLock(account_lock_path(None, account))  # type: ignore[arg-type]
    lock.acquire()
    try:
        done = bench.check()
    finally:
        lock.release()
    assert done.returncode != 0 and "already running" in done.stderr and bench.orders() == []
