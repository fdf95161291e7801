"""The simulator's REST side, over plain HTTP: orders, books, data, errors, limits, faults, restarts."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.client import RemoteDisconnected
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.kit.simulator_process import RunningSimulator, launch_simulator, refused_simulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually

OPTION_LOT = 65


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator")) as running:
        running.call("/sim/pause", paused=True)
        yield running


@pytest.fixture(autouse=True)
def _slow_enough(simulator: RunningSimulator) -> None:
    """Start each test with an empty rate window and no faults."""
    simulator.call("/sim/fault", kind="clear")
    eventually(lambda: simulator.raw("placeorder", b"{}")[0] != 429, 5)


def patient(simulator: RunningSimulator, **order: Any) -> tuple[int, dict[str, Any]]:
    """Place an order, waiting out the rate limit."""
    answers: list[tuple[int, dict[str, Any]]] = []
    eventually(lambda: answers.append(simulator.place(**order)) or answers[-1][0] != 429, 5)
    return answers[-1]


def first_option(simulator: RunningSimulator) -> dict[str, Any]:
    _, body = simulator.get("/api/v1/instruments", "&exchange=NFO")
    return next(row for row in body["data"] if row["instrumenttype"] == "CE")


def test_market_order_fills_at_ask_and_shows_in_every_book(simulator: RunningSimulator) -> None:
    _, quote = simulator.call("quotes", symbol="RELIANCE", exchange="NSE")
    status, body = patient(simulator, symbol="RELIANCE", quantity=3)
    assert (status, body["status"], body["mode"]) == (200, "success", "analyze")
    order_id = body["orderid"]
    _, book = simulator.call("orderbook")
    row = next(row for row in book["data"]["orders"] if row["orderid"] == order_id)
    assert row["order_status"] == "complete"
    assert row["average_price"] == quote["data"]["ask"]
    assert row["filled_quantity"] == 3
    _, trades = simulator.call("tradebook")
    assert [trade["quantity"] for trade in trades["data"] if trade["orderid"] == order_id] == [3]
    _, held = simulator.call("openposition", strategy="T", symbol="RELIANCE", exchange="NSE", product="MIS")
    assert held["quantity"] == 3
    _, positions = simulator.call("positionbook")
    assert "RELIANCE" in [row["symbol"] for row in positions["data"]]
    _, funds = simulator.call("funds")
    assert 0 < funds["data"]["availablecash"] < 1_000_000


def test_limit_order_rests_is_modified_and_cancelled(simulator: RunningSimulator) -> None:
    simulator.push("INFY", 1500.0)
    order = {"pricetype": "LIMIT", "price": 1480.0, "symbol": "INFY"}
    _, body = patient(simulator, **order)
    order_id = body["orderid"]
    assert simulator.status(order_id) == "open"
    change = {"strategy": "T", "exchange": "NSE", "orderid": order_id, "action": "BUY", "product": "MIS", **order}
    status, body = simulator.call("modifyorder", **change, quantity=20, disclosed_quantity=0, trigger_price=0)
    assert (status, body["orderid"]) == (200, order_id)
    assert simulator.call("cancelorder", strategy="T", orderid=order_id)[0] == 200
    assert simulator.status(order_id) == "cancelled"
    status, body = simulator.call("cancelorder", strategy="T", orderid=order_id)
    assert (status, body["message"]) == (400, "Cannot cancel order in cancelled status")


def test_stop_orders_fire_when_the_price_reaches_the_trigger(simulator: RunningSimulator) -> None:
    simulator.push("SBIN", 1000.0)
    _, market = patient(simulator, pricetype="SL-M", trigger_price=1010)
    _, limit = patient(simulator, pricetype="SL", trigger_price=1010, price=1011)
    assert simulator.status(market["orderid"]) == simulator.status(limit["orderid"]) == "trigger pending"
    simulator.push("SBIN", 1010.0, bid=1009.95, ask=1010.05)
    assert simulator.status(market["orderid"]) == simulator.status(limit["orderid"]) == "complete"


def test_cancelall_and_closeposition_leave_nothing(simulator: RunningSimulator) -> None:
    simulator.push("SBIN", 1000.0)
    patient(simulator)
    _, resting = patient(simulator, pricetype="SL-M", action="SELL", trigger_price=900)
    _, body = simulator.call("cancelallorder", strategy="anything")
    assert resting["orderid"] in body["canceled_orders"]
    _, body = simulator.call("closeposition", strategy="T")
    assert body["closed_positions"] >= 1
    _, positions = simulator.call("positionbook")
    assert [row["quantity"] for row in positions["data"] if row["quantity"]] == []


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"pricetype": "LIMIT"}, "LIMIT orders require price"),
        ({"pricetype": "SL-M"}, "SL-M orders require trigger_price"),
        ({"pricetype": "LIMIT", "price": 980.03}, "use 980.00 or 980.05"),
        ({"symbol": "NOSUCH"}, "Symbol NOSUCH not found on NSE"),
        ({"product": "NRML"}, "NRML product not allowed for NSE equity segment"),
        ({"symbol": "NIFTY", "exchange": "NSE_INDEX"}, "cannot be traded"),
        ({"quantity": 10**9}, "Insufficient funds. Required: ₹"),
        ({"quantity": -5}, "{'quantity': ['Quantity must be a positive number.']}"),
        ({"quantity": 1.5}, "Fractional quantity (1.5) is not allowed"),
        ({"action": "HOLD"}, "{'action': ['Must be one of: BUY, SELL, buy, sell.']}"),
        ({"foo": "bar"}, "{'foo': ['Unknown field.']}"),
        ({"price_type": "MARKET"}, "{'price_type': ['Unknown field.']}"),
    ],
)
def test_bad_order_is_refused_without_an_id(simulator: RunningSimulator, order: dict[str, Any], message: str) -> None:
    status, body = patient(simulator, **order)
    assert status == 400
    assert message in body["message"]
    assert "orderid" not in body


def test_option_order_checks_lot_and_freeze(simulator: RunningSimulator) -> None:
    option = first_option(simulator)
    assert option["lotsize"] == OPTION_LOT
    order = {"symbol": option["symbol"], "exchange": "NFO", "product": "NRML", "pricetype": "LIMIT", "price": 1}
    assert "multiples of lot size 65" in patient(simulator, **order, quantity=66)[1]["message"]
    assert "freeze quantity 1800" in patient(simulator, **order, quantity=1820)[1]["message"]
    assert patient(simulator, **order, quantity=65)[0] == 200


def test_delivery_sale_without_shares_leaves_a_rejected_row(simulator: RunningSimulator) -> None:
    status, body = patient(simulator, symbol="INFY", action="SELL", product="CNC")
    assert status == 400
    assert simulator.status(body["orderid"]) == "rejected"


def test_errors_have_the_four_shapes_of_the_real_server(simulator: RunningSimulator) -> None:
    answers: list[Any] = []
    eventually(lambda: answers.append(simulator.raw("placeorder", b"{")) or answers[-1][0] != 429, 5)
    assert answers[-1][1] == {"message": "The browser (or proxy) sent a request that this server could not understand."}
    assert simulator.raw("ping", b"[]") == (500, {"message": "Internal Server Error"})
    assert simulator.raw("ping", b"{}", "text/plain")[0] == 500
    status, body = simulator.raw("quotes", b'{"apikey": "x"}')
    assert (status, body["message"]["symbol"]) == (400, ["Missing data for required field."])
    status, body = simulator.call("nosuchendpoint")
    assert (status, body) == (404, {"status": "error", "message": "Not found", "path": "/api/v1/nosuchendpoint"})
    status, body = simulator.raw("ping", b'{"apikey": "wrong"}')
    assert (status, body) == (403, {"status": "error", "message": "Invalid openalgo apikey"})
    assert simulator.call("orderstatus", strategy="T", orderid="nope")[0] == 404


def test_order_routes_are_limited_to_ten_a_second_each(simulator: RunningSimulator) -> None:
    codes = [simulator.call("cancelorder", strategy="T", orderid="x") for _ in range(14)]
    assert [status for status, _ in codes].count(429) >= 1
    assert codes[-1][1] == {"message": "10 per 1 second"}
    assert simulator.call("ping")[0] == 200


def test_data_routes_answer_in_the_shapes_of_the_real_server(simulator: RunningSimulator) -> None:
    _, body = simulator.call("quotes", symbol="SBIN", exchange="NSE")
    assert set(body["data"]) == {"ask", "bid", "high", "low", "ltp", "oi", "open", "prev_close", "volume"}
    _, body = simulator.call("depth", symbol="SBIN", exchange="NSE")
    assert len(body["data"]["bids"]) == len(body["data"]["asks"]) == 5
    wanted = [{"symbol": "SBIN", "exchange": "NSE"}, {"symbol": "NO", "exchange": "NSE"}]
    _, body = simulator.call("multiquotes", symbols=wanted)
    assert ["error" in row for row in body["results"]] == [True, False]
    _, body = simulator.call("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="options")
    assert body["data"] == ["23-NOV-26", "01-DEC-26", "29-DEC-26"]
    option = first_option(simulator)
    _, body = simulator.call("symbol", symbol=option["symbol"], exchange="NFO")
    assert (body["data"]["lotsize"], body["data"]["freeze_qty"], body["data"]["expiry"]) == (65, 1800, "23-NOV-26")
    _, body = simulator.call("search", query="NIFTY FUT", exchange="NFO")
    assert [row["instrumenttype"] for row in body["data"]] == ["FUT"] * 12
    _, body = simulator.get("/api/v1/instruments", "&exchange=NFO")
    assert len(body["data"]) >= 5 * 3 + (3 + 2 + 2 + 2 + 2) * 2 * 61
    _, body = simulator.call("intervals")
    assert "1m" in body["data"]["minutes"]
    assert simulator.call("analyzer")[1]["data"]["analyze_mode"] is True
    assert simulator.call("holdings")[1]["data"]["holdings"] == []


def test_history_joins_the_live_market_without_a_jump(simulator: RunningSimulator) -> None:
    _, body = simulator.call(
        "history", symbol="NIFTY", exchange="NSE_INDEX", interval="1m", start_date="2026-11-16", end_date="2026-11-20"
    )
    bars = body["data"]
    assert len(bars) > 4 * 350
    assert all(bar["low"] <= min(bar["open"], bar["close"]) <= bar["high"] for bar in bars)
    jumps = [abs(b["open"] / a["close"] - 1) for a, b in pairwise(bars)]
    assert max(jumps) < 0.02
    _, quote = simulator.call("quotes", symbol="NIFTY", exchange="NSE_INDEX")
    assert abs(bars[-1]["close"] / quote["data"]["ltp"] - 1) < 0.002


def test_placed_order_with_a_lost_answer_is_in_the_book(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="place_timeout", drop=True)
    before = len(simulator.call("orderbook")[1]["data"]["orders"])
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        patient(simulator)
    assert len(simulator.call("orderbook")[1]["data"]["orders"]) == before + 1


@pytest.mark.parametrize(("kind", "status", "placed"), [("place_500_but_placed", 500, 1), ("place_201", 201, 1)])
def test_fault_answers_an_error_but_places(simulator: RunningSimulator, kind: str, status: int, placed: int) -> None:
    simulator.call("/sim/fault", kind=kind)
    before = len(simulator.call("orderbook")[1]["data"]["orders"])
    assert patient(simulator)[0] == status
    assert len(simulator.call("orderbook")[1]["data"]["orders"]) == before + placed


def test_fault_success_without_an_id_places_nothing(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="place_no_id")
    before = len(simulator.call("orderbook")[1]["data"]["orders"])
    assert patient(simulator)[1]["orderid"] is None
    assert len(simulator.call("orderbook")[1]["data"]["orders"]) == before


def test_fault_late_rejection_is_accepted_then_rejected_in_the_book(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="reject", late=True, reason="margin call")
    _, body = patient(simulator)
    assert body["status"] == "success"
    assert simulator.status(body["orderid"]) == "rejected"
    simulator.call("/sim/fault", kind="reject", reason="not today")
    assert patient(simulator)[1]["message"] == "not today"


def test_fault_on_one_route_leaves_the_others_alone(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="place_500_but_placed", route="cancelorder")
    _, body = patient(simulator, pricetype="LIMIT", price=900)
    assert simulator.call("cancelorder", strategy="T", orderid=body["orderid"])[0] == 500
    assert simulator.status(body["orderid"]) == "cancelled"


def test_live_mode_replies_carry_no_mode(simulator: RunningSimulator) -> None:
    assert simulator.call("analyzer/toggle", mode=False)[1]["data"]["mode"] == "live"
    assert "mode" not in simulator.call("orderbook")[1]
    assert simulator.call("analyzer/toggle", mode=True)[1]["data"]["mode"] == "analyze"
    assert simulator.call("orderbook")[1]["mode"] == "analyze"


def test_fault_books_fail_then_recover(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="book_500", count=1)
    assert simulator.call("orderbook")[0] == 500
    simulator.call("/sim/fault", kind="book_empty", count=1)
    assert simulator.call("orderbook")[1]["data"]["orders"] == []
    assert simulator.call("orderbook")[1]["data"]["orders"] != []


def test_receive_times_of_orders_are_reported(simulator: RunningSimulator) -> None:
    _, body = patient(simulator, strategy="bench")
    _, reported = simulator.get("/sim/orders")
    assert reported["data"][-1]["orderid"] == body["orderid"]
    assert reported["data"][-1]["strategy"] == "bench"
    assert reported["data"][-1]["received_ns"] > 10**18


def test_books_survive_kill_and_restart_on_the_same_ports(tmp_path: Path) -> None:
    with start_simulator(tmp_path, speed=20) as first:
        _, filled = first.place()
        _, resting = first.place(pricetype="LIMIT", price=900)
        before = first.call("positionbook")[1]["data"][0]["quantity"]
        price = first.call("quotes", symbol="NIFTY", exchange="NSE_INDEX")[1]["data"]["open"]
        rest, ws = (int(url.rpartition(":")[2]) for url in (first.rest, first.ws))
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        with start_simulator(tmp_path, rest_port=rest, ws_port=ws, seed=99) as second:
            assert second.status(filled["orderid"]) == "complete"
            assert second.status(resting["orderid"]) == "open"
            assert second.call("positionbook")[1]["data"][0]["quantity"] == before
            assert second.call("quotes", symbol="NIFTY", exchange="NSE_INDEX")[1]["data"]["open"] == price
            _, fresh = second.place()
            assert fresh["orderid"] not in (filled["orderid"], resting["orderid"])


@pytest.mark.slow
def test_market_of_a_simulator_without_a_clock_file_goes_on_where_a_kill_stopped_it(tmp_path: Path) -> None:
    def tick(running: RunningSimulator) -> int:
        return int(running.get("/sim/state")[1]["data"]["tick"])

    with start_simulator(tmp_path, speed=60, clock="") as first:
        _, resting = first.place(pricetype="LIMIT", price=900)
        eventually(lambda: tick(first) > 3_000, 60)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    with start_simulator(tmp_path, clock="", start="") as second:
        assert second.status(resting["orderid"]) == "open"
        assert tick(second) > 2_700
    with start_simulator(tmp_path, clock="", start="2026-11-20 10:30") as third:
        order = third.call("orderstatus", orderid=resting["orderid"], strategy="test")[1]["data"]
        assert order["order_status"] == "open" and tick(third) > 4_400


@pytest.mark.slow
def test_command_announces_itself_serves_and_ends_within_two_seconds_of_sigterm(tmp_path: Path) -> None:
    process = launch_simulator(tmp_path)
    try:
        assert process.stdout is not None
        served = json.loads(process.stdout.readline())
        status, body = RunningSimulator(process, served["rest"], served["ws"]).call("ping")
        assert (status, body["status"]) == (200, "success")
        process.terminate()
        assert process.wait(2 * PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def test_calls_are_counted_by_what_their_limit_is_for(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        before = running.get("/sim/state")[1]["data"]["rates"]
        for route in ("placeorder", "cancelorder", "placesmartorder", "orderbook"):
            running.call(route)
        after = running.get("/sim/state")[1]["data"]["rates"]
        counted = {name: after[name]["calls"] - before[name]["calls"] for name in after}
        assert counted == {"orders": 2, "smart_orders": 1, "data": 1}


def test_slow_reply_does_not_delay_other_requests(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        running.call("/sim/fault", kind="place_timeout", seconds=20)
        held = threading.Thread(target=_swallow, args=(running,), daemon=True)
        held.start()
        eventually(lambda: running.get("/sim/state")[1]["data"]["orders"], 5)
        assert running.call("ping")[0] == 200
        running.process.kill()
        held.join(5)


def _swallow(running: RunningSimulator) -> None:
    with pytest.raises((RemoteDisconnected, ConnectionError, OSError)):
        running.place()


@pytest.mark.slow
def test_square_off_closes_intraday_positions_and_keeps_carried_ones(tmp_path: Path) -> None:
    with start_simulator(tmp_path, start="2026-11-20 15:14:00", speed=10) as running:
        option = first_option(running)["symbol"]
        _, resting = running.place(pricetype="LIMIT", price=900)
        assert running.place()[0] == 200
        assert running.place(option, "NFO", quantity=65, product="NRML")[0] == 200
        closed = {"NSE:SBIN MIS", f"NFO:{option} NRML"}
        assert set(running.get("/sim/state")[1]["data"]["positions"]) == closed
        eventually(lambda: "NSE:SBIN MIS" not in running.get("/sim/state")[1]["data"]["positions"], 10)
        assert f"NFO:{option} NRML" in running.get("/sim/state")[1]["data"]["positions"]
        assert running.status(resting["orderid"]) == "cancelled"
        newest = running.call("orderbook")[1]["data"]["orders"][0]
        assert newest["strategy"] == "AUTO_SQUARE_OFF"
        assert "square-off time (15:15 IST)" in running.place()[1]["message"]


@pytest.mark.slow
def test_market_jumps_from_a_settled_expiry_to_the_next_open(tmp_path: Path) -> None:
    with start_simulator(tmp_path, start="2026-11-23 15:25", speed=400) as running:
        option = first_option(running)["symbol"]
        assert running.place(option, "NFO", quantity=65, product="NRML")[0] == 200
        eventually(lambda: running.get("/sim/state")[1]["data"]["day"] > "2026-11-23", 20)
        state = running.get("/sim/state")[1]["data"]
        assert state["day"] == "2026-11-25"  # the 24th is a holiday
        assert state["positions"] == {}
        assert running.call("quotes", symbol=option, exchange="NFO")[0] == 400


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("time,price\n", "line 1: expected timestamp,ltp"),
        ("timestamp,ltp\n2024-03-13 09:15:00,-3\n", "line 2: expected ltp above 0, found '-3'"),
        ("timestamp,ltp\nyesterday,5\n", "line 2: expected a timestamp like"),
        ("timestamp,ltp\n2024-03-13 09:15:01,5\n2024-03-13 09:15:00,5\n", "line 3: expected times in ascending order"),
        ("timestamp,ltp\n", "expected at least one tick"),
    ],
)
def test_bad_replay_file_stops_the_start_and_says_where(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text(text, encoding="utf-8")
    code, error = refused_simulator(tmp_path, replay=file, start="")
    assert code == 2
    assert problem in error
    assert "ticks.csv" in error


def test_strikes_follow_the_spot_on_both_sides_and_are_found_everywhere(simulator: RunningSimulator) -> None:
    index = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "01DEC26"}
    before = simulator.call("optionchain", **index)[1]["chain"]
    spot = simulator.call("quotes", symbol="NIFTY", exchange="NSE_INDEX")[1]["data"]["ltp"]
    highest = f"NIFTY01DEC26{int(before[-1]['strike']) + 50}CE"
    assert simulator.call("quotes", symbol=highest, exchange="NFO")[0] == 400
    simulator.push("NIFTY", spot + 1_500, "NSE_INDEX", hold=True)
    try:
        assert simulator.call("quotes", symbol=highest, exchange="NFO")[1]["data"]["ltp"] > 0
        around = simulator.call("optionchain", **index, strike_count=25)[1]
        assert len(around["chain"]) == 51 and all(row["ce"] and row["pe"] for row in around["chain"])
        found = simulator.call("search", query=highest)[1]["data"]
        listed = simulator.get("/api/v1/instruments", "&exchange=NFO")[1]["data"]
        assert [row["symbol"] for row in found] == [highest] and highest in {row["symbol"] for row in listed}
    finally:
        simulator.call("/sim/market", symbol="NIFTY", exchange="NSE_INDEX", release=True)
    after = simulator.call("optionchain", **index)[1]["chain"]
    strikes = [row["strike"] for row in after]
    assert strikes[0] <= before[0]["strike"] and len(after) > len(before)
    assert {after - before for before, after in pairwise(strikes)} == {50.0}


@pytest.mark.parametrize(
    "listed",
    [("NSE", "TCS"), ("NSE", "M&M"), ("NSE", "BHEL"), ("BSE", "SBIN"), ("NSE_INDEX", "INDIAVIX"),
     ("NSE_INDEX", "FINNIFTY"), ("NSE_INDEX", "MIDCPNIFTY"), ("MCX", "CRUDEOIL18DEC26FUT")],
)  # fmt: skip
def test_market_lists_what_clients_ask_for(simulator: RunningSimulator, listed: tuple[str, str]) -> None:
    exchange, symbol = listed
    _, quote = simulator.call("quotes", symbol=symbol, exchange=exchange)
    assert quote["data"]["ltp"] > 0 and quote["data"]["prev_close"] > 0
    _, old = simulator.call(
        "history", symbol=symbol, exchange=exchange, interval="5m", start_date="2026-05-04", end_date="2026-05-04"
    )
    assert len(old["data"]) >= 70


def test_future_of_a_commodity_is_traded_and_its_expiries_are_listed(simulator: RunningSimulator) -> None:
    _, dates = simulator.call("expiry", symbol="CRUDEOIL", exchange="MCX", instrumenttype="futures")
    assert dates["data"] == ["18-DEC-26", "19-JAN-27", "19-FEB-27"]
    order = {"symbol": "CRUDEOIL18DEC26FUT", "exchange": "MCX", "product": "NRML", "quantity": 100}
    status, body = patient(simulator, **order)
    assert (status, simulator.status(body["orderid"])) == (200, "complete")
    patient(simulator, **order, action="SELL")


def test_history_that_begins_later_than_asked_says_so(simulator: RunningSimulator) -> None:
    asked = {"symbol": "SBIN", "exchange": "NSE", "interval": "D", "end_date": "2026-11-19"}
    _, whole = simulator.call("history", **asked, start_date="2017-01-02")
    assert "message" not in whole and len(whole["data"]) > 2_300
    _, cut = simulator.call("history", **asked, start_date="2010-01-01")
    assert cut["message"] == "Bars of D begin on 2016-11-01; the simulator has none before"
    assert cut["data"][-1] == whole["data"][-1]


def position(**changes: str) -> dict[str, str]:
    given = {
        "symbol": "SBIN",
        "exchange": "NSE",
        "action": "BUY",
        "quantity": "1",
        "product": "MIS",
        "pricetype": "MARKET",
    }
    return {**given, **changes}


@pytest.mark.parametrize(
    ("positions", "text"),
    [
        ([], "Positions must contain 1 to 50 items."),
        ([position()] * 51, "Positions must contain 1 to 50 items."),
        ([position(quantity="0")], "Position 1: Quantity must be a positive number"),
        ([position(), position(quantity="many")], "Position 2: Invalid quantity format"),
        ([position(price="-1")], "Position 1: Price cannot be negative"),
        ([position(symbol="NONE")], "Position 1: Symbol NONE not found in exchange NSE"),
    ],
)
def test_margin_that_cannot_be_counted_is_refused(simulator: RunningSimulator, positions: Any, text: str) -> None:
    status, body = simulator.call("margin", positions=positions)
    assert status == 400 and text in body["message"]


def test_multiquotes_names_its_bad_fields(simulator: RunningSimulator) -> None:
    assert simulator.call("multiquotes", symbols=[]) == (
        400,
        {"status": "error", "message": {"symbols": ["Shorter than minimum length 1."]}},
    )
    status, body = simulator.call("multiquotes", symbols=[{"symbol": "SBIN", "exchange": "MOON"}])
    (text,) = body["message"]["symbols"]["0"]["exchange"]
    assert status == 400 and text.startswith("Must be one of: NSE, ")


@pytest.mark.parametrize(
    ("expiry", "answer"),
    [
        ("", (400, "Expiry date is required.")),
        ("01-DEC-26", (404, "No strikes found for NIFTY expiring 01-DEC-26. Please check expiry date or update master "
                            "contract.")),
    ],
)  # fmt: skip
def test_chain_takes_expiries_in_one_form_only(
    simulator: RunningSimulator, expiry: str, answer: tuple[int, str]
) -> None:
    status, body = simulator.call("optionchain", underlying="NIFTY", exchange="NSE_INDEX", expiry_date=expiry)
    assert (status, body["message"]) == answer


def test_analyzer_that_is_switched_off_answers_in_live_shapes(simulator: RunningSimulator) -> None:
    placed = patient(simulator, symbol="RELIANCE")[1]["orderid"]
    legs = [{"offset": "OTM3", "option_type": "CE", "action": "BUY", "quantity": 65, "product": "NRML"}]
    try:
        simulator.call("analyzer/toggle", mode=False)
        rows = simulator.call("orderbook")[1]["data"]["orders"]
        assert len(next(row for row in rows if row["orderid"] == placed)) == 11
        assert isinstance(simulator.call("funds")[1]["data"]["availablecash"], str)
        assert len(simulator.call("tradebook")[1]["data"][0]["timestamp"]) == len("10:00:00")
        _, body = simulator.call(
            "optionsmultiorder",
            strategy="T",
            underlying="NIFTY",
            exchange="NSE_INDEX",
            expiry_date="01DEC26",
            legs=legs,
        )
        assert [row["mode"] for row in body["results"]] == ["live"]
    finally:
        simulator.call("analyzer/toggle", mode=True)
    assert simulator.call("funds")[1]["mode"] == "analyze"


def test_chart_settings_are_kept_for_who_has_the_key(simulator: RunningSimulator) -> None:
    assert simulator.call("chart", tv_theme="dark", tv_layout={"panes": 2})[0] == 200
    assert simulator.call("chart", tv_theme="light")[1]["message"] == "Preferences updated successfully"
    assert simulator.get("/api/v1/chart")[1]["data"] == {"tv_theme": "light", "tv_layout": {"panes": 2}}
    assert simulator.call("chart") == (400, {"status": "error", "message": "No preferences provided to update"})
    assert simulator.call("chart", apikey="wrong", tv_theme="dark")[0] == 403


def asked_by_a_page(simulator: RunningSimulator, method: str, path: str, origin: str) -> tuple[int, str | None]:
    """Status, and the origin whose pages may read the answer."""
    try:
        with urlopen(Request(simulator.rest + path, headers={"Origin": origin}, method=method), timeout=10) as answer:
            return answer.status, answer.headers["Access-Control-Allow-Origin"]
    except HTTPError as refused:
        return refused.code, refused.headers["Access-Control-Allow-Origin"]


def test_probes_are_answered_without_a_key_and_no_page_reads_them(simulator: RunningSimulator) -> None:
    for path in ("/", "/health", "/auth/check-setup", "/api/v1/swagger.json"):
        assert asked_by_a_page(simulator, "GET", path, "http://page") == (200, None)
    assert asked_by_a_page(simulator, "OPTIONS", "/api/v1/quotes", "http://page") == (404, None)


def test_page_of_the_origin_named_may_read_and_no_other_at_weekends_too(tmp_path: Path) -> None:
    options = {"cors": "http://chart:5001", "every_day": True, "start": "2026-11-22 11:00"}
    with start_simulator(tmp_path, **options) as running:
        for method, path in (("OPTIONS", "/api/v1/quotes"), ("GET", "/health"), ("GET", "/api/v1/instruments")):
            status, allowed = asked_by_a_page(running, method, path, "http://chart:5001")
            assert allowed == "http://chart:5001" and status == (400 if "instruments" in path else 200)
        assert asked_by_a_page(running, "GET", "/health", "http://other") == (200, None)
        sunday = {"symbol": "TCS", "exchange": "NSE", "start_date": "2026-11-22", "end_date": "2026-11-22"}
        assert len(running.call("history", **sunday, interval="5m")[1]["data"]) >= 21
        status, body = running.place(symbol="TCS")
        assert (status, running.status(body["orderid"])) == (200, "complete")


def test_unknown_paths_are_counted_together(simulator: RunningSimulator) -> None:
    simulator.get("/api/v1/unknown")
    simulator.get("/sim/state")
    before = simulator.get("/sim/state")[1]["data"]["requests"]
    for number in range(20):
        assert simulator.get(f"/unknown/{number}")[0] == 404
        simulator.get(f"/api/v1/ticker/NSE:NONE{number}", "&from=2026-11-19&to=2026-11-20")
    after = simulator.get("/sim/state")[1]["data"]["requests"]
    assert after["other 404"] == before["other 404"] + 20
    assert set(after) - set(before) == {"ticker 400"}


def test_pushed_quote_may_be_shown_later_and_tells_when_it_was(simulator: RunningSimulator) -> None:
    """A benchmark asks for a quote and is quiet before it is sent; nobody listens here, so no frame leaves."""
    simulator.push("INFY", 1510.0)
    simulator.push("INFY", 1520.0, after=1.5)
    quote = {"symbol": "INFY", "exchange": "NSE"}
    assert simulator.call("/api/v1/quotes", **quote)[1]["data"]["ltp"] == 1510.0
    eventually(lambda: simulator.call("/api/v1/quotes", **quote)[1]["data"]["ltp"] == 1520.0, 10)
    assert "published_ns" in simulator.get("/sim/state")[1]["data"]


@pytest.mark.parametrize("after", [-1, 11])
def test_quote_that_would_be_shown_never_is_refused(simulator: RunningSimulator, after: float) -> None:
    status, body = simulator.call("/sim/market", symbol="INFY", exchange="NSE", ltp=1500.0, after=after)
    assert (status, body["message"]) == (400, {"after": ["Must be seconds from 0 to 10."]})
