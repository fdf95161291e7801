"""The simulator's greeks, synthetic future, bars by address and notices, over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from tests.kit.simulator_process import RunningSimulator, start_simulator

CALL, PUT = ({"symbol": f"NIFTY29DEC2626000{right}", "exchange": "NFO"} for right in ("CE", "PE"))
CHAIN = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "29DEC26"}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("greeks"), speed=0.001) as running:
        running.call("/sim/pause", paused=True)
        running.push("NIFTY", 26_012.0, exchange="NSE_INDEX")
        yield running


def answer(simulator: RunningSimulator, route: str, **fields: Any) -> dict[str, Any]:
    status, body = simulator.call(route, **fields)
    assert status == 200, body
    return body


def test_optiongreeks_agree_with_the_chain_and_with_many_at_once(simulator: RunningSimulator) -> None:
    chain = answer(simulator, "optionchain", **CHAIN, strike_count=1, with_greeks=True)
    (row,) = (row for row in chain["chain"] if row["strike"] == 26_000)
    found = answer(simulator, "optiongreeks", **CALL)
    assert found["spot_price"] == chain["forward_price"]
    assert (found["option_price"], found["implied_volatility"]) == (row["ce"]["ltp"], row["ce"]["implied_volatility"])
    assert {name: row["ce"][name] for name in ("delta", "gamma")} == {n: found["greeks"][n] for n in ("delta", "gamma")}
    many = answer(simulator, "multioptiongreeks", symbols=[CALL, PUT])
    assert many["summary"] == {"total": 2, "success": 2, "failed": 0}
    assert many["data"][0]["greeks"] == found["greeks"]
    assert many["data"][1]["greeks"]["delta"] == pytest.approx(found["greeks"]["delta"] - 1.0, abs=1e-3)


def test_optiongreeks_take_a_forward_a_rate_and_an_hour(simulator: RunningSimulator) -> None:
    plain = answer(simulator, "optiongreeks", **CALL)
    moved = answer(simulator, "optiongreeks", **CALL, forward_price=26_000, interest_rate=6.5, expiry_time="12:30")
    assert (moved["spot_price"], moved["interest_rate"]) == (26_000.0, 6.5)
    assert moved["days_to_expiry"] == pytest.approx(plain["days_to_expiry"] - 3 / 24, abs=1e-3)
    assert moved["implied_volatility"] > plain["implied_volatility"]
    named = answer(simulator, "optiongreeks", **CALL, underlying_symbol="SBIN", underlying_exchange="NSE")
    assert named["spot_price"] == answer(simulator, "quotes", symbol="SBIN", exchange="NSE")["data"]["ltp"]


def test_optiongreeks_without_time_value_say_so(simulator: RunningSimulator) -> None:
    found = answer(simulator, "optiongreeks", **CALL, forward_price=28_000)
    assert (found["implied_volatility"], found["greeks"]["delta"], found["greeks"]["vega"]) == (0.0, 1.0, 0.0)
    assert found["intrinsic_value"] == 2_000.0
    assert found["note"]


def test_syntheticfuture_is_strike_plus_call_minus_put(simulator: RunningSimulator) -> None:
    body = answer(simulator, "syntheticfuture", **CHAIN)
    call, put = (answer(simulator, "quotes", **named)["data"]["ltp"] for named in (CALL, PUT))
    assert (body["atm_strike"], body["underlying_ltp"]) == (26_000.0, 26_012.0)
    assert body["synthetic_future_price"] == pytest.approx(26_000.0 + call - put)


def test_ticker_gives_the_bars_of_history(simulator: RunningSimulator) -> None:
    days = "&interval=15m&from=2026-11-19&to=2026-11-19"
    _, body = simulator.get("/api/v1/ticker/NSE:SBIN", days)
    asked = {"symbol": "SBIN", "exchange": "NSE", "interval": "15m"}
    expected = answer(simulator, "history", **asked, start_date="2026-11-19", end_date="2026-11-19")
    assert len(body["data"]) == 24
    assert body == expected
    _, other = simulator.get("/api/v1/ticker/nothing", days)
    assert other["data"][0]["close"] > 1_200
    assert simulator.get("/api/v1/ticker/NSE:NOSUCH", days)[0] == 400


def test_ticker_gives_lines_of_text(simulator: RunningSimulator) -> None:
    address = f"{simulator.rest}/api/v1/ticker/NSE:SBIN?apikey={simulator.api_key}&format=txt&interval="
    with urlopen(f"{address}1h&from=2026-11-19&to=2026-11-19") as response:
        lines = response.read().decode().splitlines()
    assert [line.split(",")[:3] for line in lines[:2]] == [
        ["NSE:SBIN", "2026-11-19", "09:15:00"],
        ["NSE:SBIN", "2026-11-19", "10:15:00"],
    ]
    with urlopen(f"{address}D&from=2026-11-18&to=2026-11-19") as response:
        assert [line.split(",")[1] for line in response.read().decode().splitlines()] == ["2026-11-18", "2026-11-19"]


def test_telegram_notice_is_taken_and_limited_by_the_minute(simulator: RunningSimulator) -> None:
    assert answer(simulator, "telegram/notify", username="me", message="hello")["status"] == "success"
    answers = [simulator.call("telegram/notify", username="me", message="hello") for _ in range(30)]
    assert answers[-1] == (429, {"message": "30 per 1 minute"})
    assert [status for status, _ in answers[:29]] == [200] * 29
