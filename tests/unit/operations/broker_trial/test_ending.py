"""What a trial leaves is taken back at a real server, and what cannot be proven is said, never done twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.messages.brokers import PLAIN, UNLISTED, BrokerRules
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.run_config import AccountRun
from mytrading.operations.broker_trial.ending import Ending, Patience
from mytrading.operations.broker_trial.sent_orders import CallBegan, TrialBegan, TrialOrders
from mytrading.operations.broker_trial.server import TrialServer
from mytrading.runtime.host.clock import machine_now
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import eventually

SHARE = "NSE:YESBANK"
QUICK = Patience(shown_s=2.0, ended_s=4.0, lost_s=1.0, read_s=0.05, cancel_s=0.5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    folder = tmp_path_factory.mktemp("trial")
    with start_simulator(folder, personality="live", broker="zerodha", start="2026-11-20 10:30") as server:
        yield server


@pytest.fixture
def server(running: RunningSimulator) -> Iterator[RunningSimulator]:
    yield running
    running.call("/sim/fault", kind="clear")
    running.call("/sim/market", symbol="YESBANK", exchange="NSE", release=True)


class Waits:
    def now(self) -> int:
        return machine_now()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


class Bench:
    """A trial that has begun, at a server whose orders before it are known."""

    def __init__(self, server: RunningSimulator, path: Path, rules: BrokerRules = PLAIN) -> None:
        self.running, self.path, self.rules = server, path, rules
        self.before = {row["orderid"] for row in self.rows()}
        self.said: list[str] = []
        self.ending = self.opened()
        trial = self.ending.server
        units = trial.units(SHARE)
        assert units is not None
        self.units = units
        self.ending.sent.write(
            TrialBegan(wall_ns=time.time_ns(), broker="b", instrument=SHARE, units=units, known=tuple(self.before))
        )

    def opened(self) -> Ending:
        """As the next process finds it."""
        account = AccountRun(id="main", rest_url=self.running.rest, ws_url=self.running.ws, api_key=API_KEY)
        trial = TrialServer(account, self.rules, machine_now)
        return Ending(trial, TrialOrders(self.path), Waits(), time.time_ns, self.said.append, QUICK)

    def rows(self) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = self.running.call("orderbook")[1]["data"]["orders"]
        return rows

    def terms(self) -> list[tuple[str, str, str]]:
        mine = [row for row in self.rows() if row["orderid"] not in self.before]
        return [(row["action"], row["pricetype"], row["order_status"]) for row in mine]

    def held(self) -> int:
        units = self.ending.server.units(SHARE)
        assert units is not None
        return units - self.units

    def buy(self, price: float = 21.5) -> None:
        self.ending.place("limit", Side.BUY, OrderType.LIMIT, 1, price)


@pytest.fixture
def bench(server: RunningSimulator, tmp_path: Path) -> Bench:
    return Bench(server, tmp_path / "sent.jsonl")


def test_order_that_rests_is_cancelled_and_the_file_goes(bench: Bench) -> None:
    bench.buy()
    assert bench.opened().end_all() == []
    assert bench.terms() == [("BUY", "LIMIT", "cancelled")] and not bench.path.exists()


def test_order_that_never_arrived_is_looked_for_and_given_up(bench: Bench) -> None:
    bench.running.call("/sim/fault", kind="place_lost")
    bench.buy()
    assert bench.ending.sent.orders["limit"].broker_order_id == ""
    assert bench.ending.end_all() == []
    assert bench.terms() == [] and not bench.path.exists()
    assert any("was not placed" in text for text in bench.said)


def test_book_that_may_lack_orders_proves_no_absence(server: RunningSimulator, tmp_path: Path) -> None:
    """Joined from two queries at this broker: an order that is missing there may rest all the same."""
    bench = Bench(server, tmp_path / "sent.jsonl", UNLISTED)
    server.call("/sim/fault", kind="place_lost")
    bench.buy()
    (problem,) = bench.ending.end_all()
    assert "--forget" in problem and bench.path.exists()


def test_bought_share_is_sold_once(bench: Bench) -> None:
    bench.buy(price=23.0)
    eventually(lambda: bench.held() == 1, 10)
    assert bench.opened().end_all() == []
    assert bench.terms() == [("BUY", "LIMIT", "complete"), ("SELL", "MARKET", "complete")]
    assert bench.held() == 0 and not bench.path.exists()


def test_refused_market_sell_is_followed_by_one_with_a_price(bench: Bench) -> None:
    bench.buy(price=23.0)
    eventually(lambda: bench.held() == 1, 10)
    bench.running.call("/sim/fault", kind="reject", side="SELL", reason="MARKET orders are blocked for API")
    assert bench.ending.end_all() == []
    assert bench.held() == 0
    assert [terms[:2] for terms in bench.terms() if terms[2] == "complete"] == [("BUY", "LIMIT"), ("SELL", "LIMIT")]


def test_sell_of_unknown_fate_is_not_repeated(bench: Bench) -> None:
    bench.buy(price=23.0)
    eventually(lambda: bench.held() == 1, 10)
    bench.running.call("/sim/fault", kind="place_timeout", drop=True)
    assert bench.ending.end_all() == []
    assert [terms[0] for terms in bench.terms()] == ["BUY", "SELL"] and bench.held() == 0


def test_share_that_somebody_sold_meanwhile_is_not_sold_again(bench: Bench) -> None:
    bench.buy(price=23.0)
    eventually(lambda: bench.held() == 1, 10)
    bench.running.place("YESBANK", action="SELL", quantity=1, product="MIS", pricetype="MARKET", price=0)
    eventually(lambda: bench.held() == 0, 10)
    (problem,) = bench.ending.end_all()
    assert "the position book does not show it" in problem
    assert [terms[0] for terms in bench.terms()] == ["BUY", "SELL"] and bench.held() == 0


def test_order_of_somebody_else_with_other_terms_is_left_alone(bench: Bench) -> None:
    bench.running.call("/sim/fault", kind="place_lost")
    bench.buy()
    bench.running.place("YESBANK", quantity=1, product="MIS", pricetype="LIMIT", price=21.0)
    assert bench.ending.end_all() == []
    assert bench.terms() == [("BUY", "LIMIT", "open")]
    (row,) = [row for row in bench.rows() if row["order_status"] == "open"]
    bench.running.call("cancelorder", strategy="T", orderid=row["orderid"])


def test_last_line_of_a_killed_trial_is_no_line(bench: Bench) -> None:
    """The process died while it wrote of a call, so the call was not made."""
    with bench.path.open("ab") as file:
        file.write(b'{"type":"call","wall_ns":1,"na')
    assert bench.opened().end_all() == [] and bench.terms() == [] and not bench.path.exists()


def test_what_is_written_behind_a_torn_line_is_read_again(bench: Bench) -> None:
    with bench.path.open("ab") as file:
        file.write(b'{"type":"call","wall_ns":1,"na')
    second = bench.opened()
    second.place("limit", Side.BUY, OrderType.LIMIT, 1, 21.5)
    assert list(bench.opened().sent.orders) == ["limit"], "this one is killed too"
    assert bench.opened().end_all() == [] and bench.terms() == [("BUY", "LIMIT", "cancelled")]


def test_call_is_on_disk_before_it_is_made(bench: Bench) -> None:
    class Dead(TrialServer):
        def send(self, *_: object) -> object:  # type: ignore[override]
            found = TrialOrders(bench.path)
            assert isinstance(found.orders["limit"].call, CallBegan)
            raise KeyboardInterrupt

    account = AccountRun(id="main", rest_url=bench.running.rest, ws_url=bench.running.ws, api_key=API_KEY)
    bench.ending.server = Dead(account, PLAIN, machine_now)
    with pytest.raises(KeyboardInterrupt):
        bench.buy()
