"""The simulator's baskets, slices, target positions, option rules, chains and calendar, over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from mytrading.core.time import IST
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

LOT = 65
NIFTY = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "23NOV26"}
SHARE = {"strategy": "T", "symbol": "SBIN", "exchange": "NSE", "product": "MIS", "action": "BUY"}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("composed")) as running:
        running.call("/sim/pause", paused=True)
        running.push("NIFTY", 26_012.0, exchange="NSE_INDEX")
        yield running


@pytest.fixture(autouse=True)
def _flat(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="clear")
    simulator.call("closeposition", strategy="T")


def asked(simulator: RunningSimulator, route: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    """The answer, once the rate limit lets the call through."""
    answers: list[tuple[int, dict[str, Any]]] = []
    eventually(lambda: answers.append(simulator.call(route, **fields)) or answers[-1][0] != 429, 5)
    return answers[-1]


def held(simulator: RunningSimulator) -> int:
    _, body = simulator.call("openposition", strategy="T", symbol="SBIN", exchange="NSE", product="MIS")
    return int(body["quantity"])


def leg(action: str, symbol: str, **fields: Any) -> dict[str, Any]:
    return {"symbol": symbol, "exchange": "NSE", "action": action, "quantity": 2, "product": "MIS", **fields}


def at(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, IST).strftime("%Y-%m-%d %H:%M:%S")


def test_basketorder_places_buys_first_and_reports_each_part(simulator: RunningSimulator) -> None:
    orders = [leg("SELL", "SBIN"), leg("BUY", "NOSUCH"), leg("BUY", "RELIANCE")]
    status, body = asked(simulator, "basketorder", strategy="T", orders=orders)
    assert (status, body["status"], body["mode"]) == (200, "success", "analyze")
    unknown, bought, sold = body["results"]
    assert unknown == {"symbol": "NOSUCH", "status": "error", "message": "Symbol NOSUCH not found on NSE"}
    assert (bought["symbol"], bought["is_last_order"]) == ("RELIANCE", False)
    assert (sold["symbol"], sold["is_last_order"]) == ("SBIN", True)
    assert simulator.status(sold["orderid"]) == "complete"
    assert held(simulator) == -2


def test_basketorder_with_a_bad_field_names_its_place_and_places_nothing(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "basketorder", strategy="T", orders=[leg("BUY", "SBIN"), leg("X", "SBIN")])
    assert status == 400
    assert body["message"] == "{'orders': {1: {'action': ['Must be one of: BUY, SELL, buy, sell.']}}}"
    status, body = asked(simulator, "basketorder", strategy="T", orders=["SBIN"])
    assert (status, body["message"]) == (400, "{'orders': {0: {'_schema': ['Invalid input type.']}}}")
    assert held(simulator) == 0


def test_basketorder_part_meets_a_fault(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="reject", reason="No margin")
    _, body = asked(simulator, "basketorder", strategy="T", orders=[leg("BUY", "SBIN"), leg("BUY", "SBIN")])
    assert [row["status"] for row in body["results"]] == ["error", "success"]
    assert body["results"][0]["message"] == "No margin"
    assert held(simulator) == 2


def test_splitorder_places_slices_and_the_rest(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "splitorder", **SHARE, quantity=45, splitsize=20)
    assert (status, body["total_quantity"], body["split_size"]) == (200, 45, 20)
    assert [(row["order_num"], row["quantity"]) for row in body["results"]] == [(1, 20), (2, 20), (3, 5)]
    assert {simulator.status(row["orderid"]) for row in body["results"]} == {"complete"}
    assert held(simulator) == 45


def test_splitorder_into_more_than_a_hundred_slices_is_refused(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "splitorder", **SHARE, quantity=101, splitsize=1)
    assert (status, body["message"]) == (400, "Total number of orders would exceed maximum limit of 100")
    status, body = asked(simulator, "splitorder", **SHARE, quantity=10, splitsize=0)
    assert (status, body["message"]) == (400, "{'splitsize': ['Split size must be a positive integer.']}")
    assert held(simulator) == 0


@pytest.mark.parametrize(("before", "target"), [(0, 10), (10, 25), (25, 5), (5, -10), (-10, 0)])
def test_placesmartorder_trades_the_difference(simulator: RunningSimulator, before: int, target: int) -> None:
    if before:
        asked(simulator, "placesmartorder", **SHARE, quantity=0, position_size=before)
    assert held(simulator) == before
    status, body = asked(simulator, "placesmartorder", **SHARE, quantity=0, position_size=target)
    assert (status, simulator.status(body["orderid"])) == (200, "complete")
    assert held(simulator) == target


def test_placesmartorder_with_nothing_to_do_has_no_order(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "placesmartorder", **SHARE, quantity=0, position_size=0)
    assert (status, body["message"]) == (200, "No OpenPosition Found. Not placing Exit order.")
    asked(simulator, "placesmartorder", **SHARE, quantity=0, position_size=7)
    status, body = asked(simulator, "placesmartorder", **SHARE, quantity=3, position_size=7)
    assert (status, body["message"]) == (200, "Positions Already Matched. No Action needed.")
    assert "orderid" not in body
    assert held(simulator) == 7


def test_placesmartorder_of_flat_to_flat_places_its_quantity(simulator: RunningSimulator) -> None:
    _, body = asked(simulator, "placesmartorder", **SHARE, quantity=5, position_size=0)
    assert simulator.status(body["orderid"]) == "complete"
    assert held(simulator) == 5


@pytest.mark.parametrize(
    ("offset", "kind", "symbol"),
    [
        ("ATM", "CE", "NIFTY23NOV2626000CE"),
        ("OTM2", "CE", "NIFTY23NOV2626100CE"),
        ("ITM1", "CE", "NIFTY23NOV2625950CE"),
        ("OTM2", "pe", "NIFTY23NOV2625900PE"),
    ],
)
def test_optionsymbol_counts_listed_strikes(simulator: RunningSimulator, offset: str, kind: str, symbol: str) -> None:
    status, body = asked(simulator, "optionsymbol", **NIFTY, offset=offset, option_type=kind)
    assert (status, body["symbol"], body["exchange"], body["underlying_ltp"]) == (200, symbol, "NFO", 26_012.0)
    assert (body["lotsize"], body["freeze_qty"]) == (LOT, 1800)


def test_optionsymbol_takes_the_expiry_in_the_name_and_a_strike_step(simulator: RunningSimulator) -> None:
    dated = {"underlying": "NIFTY23NOV26FUT", "exchange": "NFO", "option_type": "CE"}
    assert asked(simulator, "optionsymbol", **dated, offset="ATM")[1]["symbol"] == "NIFTY23NOV2626000CE"
    stepped = asked(simulator, "optionsymbol", **dated, offset="OTM1", strike_int=100)
    assert stepped[1]["symbol"] == "NIFTY23NOV2626100CE"
    assert asked(simulator, "optionsymbol", **dated, offset="OTM1", strike_int=7)[0] == 404


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"expiry_date": "25NOV26"}, 404, "No strikes found for NIFTY expiring 25NOV26"),
        ({"expiry_date": "soon"}, 400, "Invalid expiry date"),
        ({"expiry_date": None}, 400, "Expiry date required"),
        ({"offset": "OTM50"}, 400, "Offset OTM50 is out of range"),
        ({"underlying": "NOSUCH"}, 400, "Failed to fetch LTP for NOSUCH. Symbol 'NOSUCH' not found"),
        ({"offset": "ATM1"}, 400, "Validation error"),
        ({"apikey": "wrong"}, 403, "Failed to fetch LTP for NIFTY. Invalid openalgo apikey"),
    ],
)
def test_optionsymbol_refuses_what_it_cannot_resolve(
    simulator: RunningSimulator, change: dict[str, Any], status: int, text: str
) -> None:
    found, body = asked(simulator, "optionsymbol", **{**NIFTY, "offset": "ATM", "option_type": "CE", **change})
    assert found == status
    assert body["message"].startswith(text)


def test_optionchain_shows_strikes_around_the_money_at_their_quotes(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "optionchain", **NIFTY, strike_count=1)
    assert (status, body["atm_strike"], body["forward_price"]) == (200, 26_000.0, None)
    rows = [(row["strike"], row["ce"]["label"], row["pe"]["label"]) for row in body["chain"]]
    assert rows == [(25_950.0, "ITM1", "OTM1"), (26_000.0, "ATM", "ATM"), (26_050.0, "OTM1", "ITM1")]
    call = body["chain"][1]["ce"]
    _, quote = asked(simulator, "quotes", symbol=call["symbol"], exchange="NFO")
    assert {name: call[name] for name in quote["data"]} == quote["data"]
    assert "delta" not in call
    assert at(body["expiry_ts"] * 1000) == "2026-11-23 15:30:00"
    assert len(asked(simulator, "optionchain", **NIFTY)[1]["chain"]) > 20


def test_optionchain_greeks_price_puts_and_calls_alike(simulator: RunningSimulator) -> None:
    _, body = asked(simulator, "optionchain", **NIFTY, strike_count=2, with_greeks=True)
    assert body["forward_price"] == pytest.approx(body["underlying_ltp"], rel=0.02)
    for row in body["chain"]:
        call, put = row["ce"], row["pe"]
        assert call["implied_volatility"] == pytest.approx(put["implied_volatility"], abs=0.5)
        assert 3 < call["implied_volatility"] < 60
        assert call["delta"] - put["delta"] == pytest.approx(1.0, abs=0.02)
        assert call["theta"] < 0 < call["gamma"]
        assert call["vega"] > 0
    deltas = [row["ce"]["delta"] for row in body["chain"]]
    assert deltas == sorted(deltas, reverse=True)


def test_optionsorder_places_the_option_it_names(simulator: RunningSimulator) -> None:
    order = {"strategy": "T", "offset": "OTM2", "option_type": "CE", "action": "BUY", "product": "NRML"}
    status, body = asked(simulator, "optionsorder", **NIFTY, **order, quantity=LOT)
    assert (status, body["symbol"], body["underlying"]) == (200, "NIFTY23NOV2626100CE", "NIFTY")
    assert simulator.status(body["orderid"]) == "complete"
    _, sliced = asked(simulator, "optionsorder", **NIFTY, **order, quantity=3 * LOT, splitsize=2 * LOT)
    assert [row["quantity"] for row in sliced["results"]] == [2 * LOT, LOT]
    status, body = asked(simulator, "optionsorder", **NIFTY, **order, quantity=10)
    assert (status, body["message"]) == (400, f"Quantity must be in multiples of lot size {LOT}")


def test_optionsmultiorder_buys_before_it_sells_and_answers_in_order(simulator: RunningSimulator) -> None:
    legs = [
        {"offset": "OTM2", "option_type": "CE", "action": "SELL", "quantity": LOT, "product": "NRML"},
        {"offset": "OTM4", "option_type": "CE", "action": "BUY", "quantity": LOT, "product": "NRML"},
        {"offset": "OTM50", "option_type": "PE", "action": "BUY", "quantity": LOT, "product": "NRML"},
        {"offset": "ATM", "option_type": "PE", "action": "BUY", "quantity": 2 * LOT, "splitsize": LOT},
    ]
    status, body = asked(simulator, "optionsmultiorder", **NIFTY, strategy="T", legs=legs)
    assert (status, body["underlying_ltp"]) == (200, 26_012.0)
    sold, bought, missing, sliced = body["results"]
    assert [row["leg"] for row in body["results"]] == [1, 2, 3, 4]
    assert (sold["symbol"], bought["symbol"]) == ("NIFTY23NOV2626100CE", "NIFTY23NOV2626200CE")
    assert (missing["status"], missing["message"][:12]) == ("error", "Offset OTM50")
    assert [part["quantity"] for part in sliced["split_results"]] == [LOT, LOT]
    _, received = simulator.get("/sim/orders")
    ids = [row["orderid"] for row in received["data"]]
    assert ids.index(bought["orderid"]) < ids.index(sold["orderid"])


def test_holidays_list_closed_days_and_special_sessions(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "market/holidays", apikey="any key will do")
    assert (status, body["year"], body["timezone"]) == (200, 2026, "Asia/Kolkata")
    days = {row["date"]: row for row in body["data"]}
    closed = days["2026-11-24"]
    assert closed["holiday_type"] == "TRADING_HOLIDAY"
    assert closed["closed_exchanges"] == ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD"]
    (evening,) = closed["open_exchanges"]
    assert (evening["exchange"], at(evening["start_time"])) == ("MCX", "2026-11-24 17:00:00")
    diwali = days["2026-11-08"]
    assert (diwali["holiday_type"], diwali["closed_exchanges"]) == ("SPECIAL_SESSION", [])
    assert asked(simulator, "market/holidays", year=2019)[0] == 400


@pytest.mark.parametrize(
    ("day", "exchanges"),
    [
        ("2026-11-20", ["NSE", "BSE", "NFO", "BFO", "MCX", "BCD", "CDS", "NCO", "CRYPTO"]),
        ("2026-11-21", ["CRYPTO"]),
        ("2026-11-24", ["MCX"]),
        ("2026-12-25", []),
    ],
)
def test_timings_name_who_trades_on_a_day(simulator: RunningSimulator, day: str, exchanges: list[str]) -> None:
    status, body = asked(simulator, "market/timings", date=day)
    assert (status, [row["exchange"] for row in body["data"]]) == (200, exchanges)
    hours = {row["exchange"]: (at(row["start_time"]), at(row["end_time"])) for row in body["data"]}
    assert hours.get("NFO", (f"{day} 09:15:00", f"{day} 15:40:00")) == (f"{day} 09:15:00", f"{day} 15:40:00")


def test_timings_of_no_date_are_refused(simulator: RunningSimulator) -> None:
    status, body = asked(simulator, "market/timings", date="20-11-2026")
    assert (status, body["message"]) == (400, "Invalid date format. Use YYYY-MM-DD")


def test_hedge_is_refused_while_its_short_needs_it_and_closeposition_closes_the_short_first(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with start_simulator(tmp_path_factory.mktemp("hedged"), capital=150_000) as small:
        small.call("/sim/pause", paused=True)
        small.push("NIFTY", 26_012.0, exchange="NSE_INDEX")

        def placed(action: str, strike: int) -> tuple[int, dict[str, Any]]:
            row = {"symbol": f"NIFTY23NOV26{strike}CE", "exchange": "NFO", "action": action, "quantity": LOT,
                   "product": "NRML", "pricetype": "MARKET"}  # fmt: skip
            return asked(small, "placeorder", strategy="T", **row)

        assert placed("SELL", 26_100)[1]["status"] == "error", "naked it needs ₹2,03,580"
        assert placed("BUY", 26_200)[1]["status"] == placed("SELL", 26_100)[1]["status"] == "success"
        refused = placed("SELL", 26_200)[1]
        assert refused["status"] == "error" and "Insufficient funds" in refused["message"]
        _, body = asked(small, "closeposition", strategy="T")
        assert (body["closed_positions"], body["failed_closures"]) == (2, 0)
