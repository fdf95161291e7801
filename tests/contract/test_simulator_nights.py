"""The simulator over nights, closes and expiries, and its books that are late or empty, over REST and WebSocket.

A night takes three processes over one state folder: one that trades at its own pace, one whose fast clock brings the
close and the jump to the next open, and one in the morning. Each has a clock of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket

from mytrading.core.time import SECOND
from mytrading.messages.run_config import STARTING_CASH
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import eventually

FRIDAY, MONDAY = "2026-11-20", "2026-11-23"
WEDNESDAY = "2026-11-25"
"""The next trading day: Tuesday is a holiday."""
FUTURE, PUT = "NIFTY29DEC26FUT", "NIFTY01DEC2626000PE"
EXPIRING, STRIKE = "NIFTY23NOV2627000PE", 27000.0
LOT = 65
BOOKS = ("orderbook", "tradebook", "positionbook")


@contextmanager
def at(folder: Path, moment: str, **options: Any) -> Iterator[RunningSimulator]:
    """A simulator over the books of `folder`, from this moment of its market on."""
    clock = folder / f"clock-{moment.replace(' ', '-')}.json"
    with start_simulator(folder, **{"start": moment, "clock": clock, "personality": "sandbox", **options}) as running:
        yield running


def day(simulator: RunningSimulator) -> str:
    return str(simulator.get("/sim/state")[1]["data"]["day"])


def pass_the_close(folder: Path, **options: Any) -> None:
    """The evening of Friday: the close, what follows it, and the jump to Monday."""
    with at(folder, f"{FRIDAY} 15:29", speed=600, **options) as evening:
        eventually(lambda: day(evening) == MONDAY, 30)


def books(simulator: RunningSimulator) -> dict[str, list[dict[str, Any]]]:
    """The rows of orders, trades and positions, each answered with success."""
    found = {}
    for route in BOOKS:
        status, body = simulator.call(route)
        assert (status, body["status"]) == (200, "success"), body
        found[route] = body["data"]["orders"] if route == "orderbook" else body["data"]
    return found


def cash(simulator: RunningSimulator) -> float:
    return float(simulator.call("funds")[1]["data"]["availablecash"])


def market_ns(simulator: RunningSimulator) -> int:
    return int(simulator.get("/sim/state")[1]["data"]["market_ns"])


def quote(simulator: RunningSimulator, symbol: str, exchange: str = "NFO") -> dict[str, float]:
    found: dict[str, float] = simulator.call("quotes", symbol=symbol, exchange=exchange)[1]["data"]
    return found


def order(simulator: RunningSimulator, symbol: str, action: str, **fields: Any) -> str:
    """The id of an accepted order of a lot for NRML."""
    terms = {"product": "NRML", "action": action, "quantity": LOT, **fields}
    status, body = simulator.place(symbol, "NFO", **terms)
    assert status == 200, body
    return str(body["orderid"])


def stop(simulator: RunningSimulator, symbol: str) -> str:
    """The id of a stop a good way below the price of what is held."""
    trigger = round(quote(simulator, symbol)["ltp"] * 0.97, 0)
    return order(simulator, symbol, "SELL", pricetype="SL", trigger_price=trigger, price=round(trigger * 0.99, 0))


def test_sandbox_keeps_and_hides_an_nrml_stop_over_the_night_and_it_fills_in_the_morning(tmp_path: Path) -> None:
    fault = f"orders_kept:instrument=NFO:{FUTURE}"
    with at(tmp_path, f"{FRIDAY} 15:28", fault=fault) as friday:
        order(friday, FUTURE, "BUY", quantity=2 * LOT)
        order(friday, PUT, "BUY")
        fills, unwanted, dropped = stop(friday, FUTURE), stop(friday, FUTURE), stop(friday, PUT)
        assert friday.call("orderbook")[1]["data"]["orders"][0]["orderid"] == dropped
    pass_the_close(tmp_path, fault=fault)
    with at(tmp_path, f"{MONDAY} 09:20") as monday:
        assert books(monday)["orderbook"] == []
        assert (monday.status(fills), monday.status(unwanted)) == ("trigger pending", "trigger pending")
        assert monday.call("orderstatus", strategy="T", orderid=dropped)[0] == 404, "the fault is of the future alone"
        assert monday.call("cancelorder", strategy="T", orderid=unwanted)[0] == 200
        assert monday.status(unwanted) == "cancelled"
        trigger = monday.call("orderstatus", strategy="T", orderid=fills)[1]["data"]["trigger_price"]
        monday.push(FUTURE, trigger - 1, "NFO")
        eventually(lambda: monday.status(fills) == "complete")
        shown = books(monday)
        assert shown["orderbook"] == [], "the order book begins with the orders of today"
        assert [row["orderid"] for row in shown["tradebook"]] == [fills]
        assert [row["quantity"] for row in shown["positionbook"] if row["symbol"] == FUTURE] == [LOT]


def test_books_and_funds_are_empty_with_success_until_the_login_of_the_morning(tmp_path: Path) -> None:
    with at(tmp_path, f"{FRIDAY} 15:28") as friday:
        order(friday, FUTURE, "BUY")
    with at(tmp_path, f"{MONDAY} 08:59", fault="login_missing:at=09:00", speed=60) as monday:
        assert [row["symbol"] for row in books(monday)["positionbook"]] == [FUTURE], "the session of the day before"
        eventually(lambda: not books(monday)["positionbook"], 30)
        assert monday.call("funds") == (200, {"status": "success", "data": {}, "mode": "analyze"})
        monday.call("/sim/login")
        assert [row["symbol"] for row in books(monday)["positionbook"]] == [FUTURE]
        assert cash(monday) > 0
        monday.call("/sim/fault", kind="login_missing")
        assert books(monday) == {route: [] for route in BOOKS}, "without a time it begins at once"
        monday.call("/sim/login")
        assert [row["symbol"] for row in books(monday)["positionbook"]] == [FUTURE]


def test_intraday_position_of_a_stack_that_was_away_is_in_no_book_of_the_morning(tmp_path: Path) -> None:
    """The simulator ran on: its own square-off, the night, and books that know nothing of it beside live funds."""
    with at(tmp_path, f"{FRIDAY} 15:10") as friday:
        assert friday.place()[0] == 200
    with at(tmp_path, f"{FRIDAY} 15:14", speed=600) as evening:
        eventually(lambda: any(row["quantity"] == 0 for row in books(evening)["positionbook"]), 30)
        eventually(lambda: day(evening) == MONDAY, 30)
    with at(tmp_path, f"{MONDAY} 09:20") as monday:
        assert books(monday) == {route: [] for route in BOOKS}
        assert cash(monday) != STARTING_CASH


@pytest.mark.slow
def test_square_off_that_fell_due_while_the_server_was_away_is_done_at_the_prices_of_its_time(tmp_path: Path) -> None:
    with at(tmp_path, f"{FRIDAY} 15:10") as friday:
        assert friday.place()[0] == 200
        paid = float(books(friday)["tradebook"][0]["average_price"])
        resting = friday.place(pricetype="LIMIT", price=900)[1]["orderid"]
    with at(tmp_path, f"{MONDAY} 09:20") as monday:
        assert books(monday) == {route: [] for route in BOOKS}
        assert monday.call("orderstatus", strategy="T", orderid=resting)[0] == 404
        asked = {"symbol": "SBIN", "exchange": "NSE", "interval": "1m", "start_date": FRIDAY, "end_date": FRIDAY}
        bar = monday.call("history", **asked)[1]["data"][-1]  # shares trade until the square-off
        sold = paid + (cash(monday) - STARTING_CASH) / 10
        assert bar["low"] - 1 <= sold <= bar["high"] + 1


def test_expired_contract_leaves_without_order_or_trade_at_what_its_underlying_is_worth(tmp_path: Path) -> None:
    with at(tmp_path, f"{MONDAY} 15:28") as before:
        order(before, EXPIRING, "BUY")
        paid = float(books(before)["tradebook"][0]["average_price"])
    fault = "settled_late:seconds=300"
    with at(tmp_path, f"{MONDAY} 15:42", fault=fault) as closed:
        assert [row["quantity"] for row in books(closed)["positionbook"]] == [LOT], "the close was at 15:40"
    with at(tmp_path, f"{MONDAY} 15:46", fault=fault) as settled:
        shown = books(settled)
        assert shown["positionbook"] == []
        assert (len(shown["orderbook"]), len(shown["tradebook"])) == (1, 1), "the purchase alone"
        left = cash(settled)
    with at(tmp_path, f"{WEDNESDAY} 09:20") as later:
        worth = STRIKE - quote(later, "NIFTY", "NSE_INDEX")["prev_close"]
        assert left == pytest.approx(STARTING_CASH + (worth - paid) * LOT, abs=0.05 * LOT)


def test_trade_book_shows_a_trade_seconds_after_the_order_book_has_shown_its_fill(tmp_path: Path) -> None:
    with at(tmp_path, f"{FRIDAY} 11:00", fault="trades_late:seconds=6", speed=4) as simulator:
        sent = market_ns(simulator)
        placed = simulator.place()[1]["orderid"]
        assert simulator.status(placed) == "complete"
        shown = books(simulator)
        assert [row["quantity"] for row in shown["positionbook"]] == [10]
        if market_ns(simulator) - sent < 6 * SECOND:
            assert shown["tradebook"] == []
        eventually(lambda: [row["orderid"] for row in books(simulator)["tradebook"]] == [placed])
        assert market_ns(simulator) - sent >= 6 * SECOND


def test_all_quotes_pause_after_a_position_that_closes_and_rest_goes_on(tmp_path: Path) -> None:
    with at(tmp_path, f"{FRIDAY} 11:00", fault="quotes_pause", speed=5) as simulator:
        simulator.call("/sim/pause", paused=True)
        with closing(websocket.create_connection(simulator.ws, timeout=20)) as feed:
            for message in (
                {"action": "authenticate", "api_key": API_KEY},
                {"action": "subscribe", "symbols": [{"symbol": "INFY", "exchange": "NSE"}], "mode": 1},
            ):
                feed.send(json.dumps(message))
            simulator.place()
            push(simulator, 1500.0)
            eventually(lambda: next_price(feed) == 1500.0)  # what opens a position is no reason to pause
            began = market_ns(simulator)
            simulator.place(action="SELL")
            closed = market_ns(simulator)
            sent: dict[float, int] = {}

            def until_sent() -> bool:
                price = 1501.0 + len(sent)
                sent[price] = push(simulator, price)
                assert quote(simulator, "INFY", "NSE")["ltp"] == price
                return sent[price] >= closed + 10 * SECOND

            eventually(until_sent)
            first = next_price(feed)
            assert sent[first] >= began + 10 * SECOND


def push(simulator: RunningSimulator, price: float) -> int:
    """Make a price of INFY the market; its market time."""
    return int(simulator.call("/sim/market", symbol="INFY", exchange="NSE", ltp=price, hold=True)[1]["data"]["at_ns"])


def next_price(feed: websocket.WebSocket) -> float:
    """The last price of the next quote that comes."""
    while True:
        frame = json.loads(feed.recv())
        if frame.get("type") == "market_data":
            return float(frame["data"]["ltp"])
