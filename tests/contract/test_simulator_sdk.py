"""The unmodified `openalgo` SDK against the simulator, in a process of its own: every method it has, by its answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import API_KEY, start_simulator

NEEDS_2X = pytest.mark.skipif(sys.version_info < (3, 12), reason="SDK 2.x needs Python 3.12")

SCRIPT = """
import importlib.metadata, inspect, json, sys, time
from openalgo import api

rest, ws, key = sys.argv[1:]
client = api(api_key=key, host=rest, ws_url=ws)
out = {"version": importlib.metadata.version("openalgo")}
SHARE = {"symbol": "SBIN", "exchange": "NSE"}
ORDER = {**SHARE, "strategy": "SDK", "action": "BUY", "product": "MIS"}
NIFTY = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "23NOV26"}
LEG = {"option_type": "CE", "action": "BUY", "quantity": 65, "product": "NRML"}


def called(name, *arguments, **fields):
    while True:
        answer = getattr(client, name)(*arguments, **fields)
        if not (isinstance(answer, dict) and answer.get("code") == 429):
            out.setdefault(name, answer)
            return answer
        time.sleep(0.1)


placed = called("placeorder", **ORDER, price_type="MARKET", quantity=5)
called("orderstatus", order_id=placed["orderid"], strategy="SDK")
limit = called("placeorder", **ORDER, price_type="LIMIT", quantity=5, price=900)["orderid"]
called("modifyorder", order_id=limit, **ORDER, price_type="LIMIT", quantity=6, price=901)
called("cancelorder", order_id=limit, strategy="SDK")
called("placesmartorder", **ORDER, price_type="MARKET", quantity=1, position_size=8)
called("basketorder", strategy="SDK", orders=[{**SHARE, "action": "BUY", "quantity": 1, "pricetype": "MARKET",
                                               "product": "MIS"}])
called("splitorder", **ORDER, price_type="MARKET", quantity=5, splitsize=2)
called("openposition", strategy="SDK", **SHARE, product="MIS")
called("cancelallorder", strategy="SDK")
for name in ("funds", "orderbook", "tradebook", "positionbook", "holdings", "analyzerstatus", "intervals",
             "interval"):
    called(name)
called("margin", positions=[{**SHARE, "action": "BUY", "product": "MIS", "pricetype": "MARKET", "quantity": "10"}])
for name in ("quotes", "depth", "symbol"):
    called(name, **SHARE)
called("multiquotes", symbols=[SHARE])
called("search", query="RELIANCE", exchange="NSE")
called("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="options")
called("optionsymbol", **NIFTY, offset="OTM2", option_type="CE")
called("optionsorder", strategy="SDK", **NIFTY, offset="ATM", **LEG, price_type="MARKET")
called("optionsmultiorder", strategy="SDK", **NIFTY, legs=[{"offset": "OTM2", **LEG}, {"offset": "OTM50", **LEG}])
called("optionchain", **NIFTY, strike_count=2)
called("optiongreeks", symbol="NIFTY23NOV2626000CE", exchange="NFO", interest_rate=0.0, underlying_symbol="NIFTY",
       underlying_exchange="NSE_INDEX")
called("syntheticfuture", **NIFTY)
called("holidays", year=2026)
called("timings", date="2026-11-20")
called("telegram", username="me", message="hello")
called("closeposition", strategy="SDK")
if hasattr(client, "placegttorder"):
    rule = {**ORDER, "product": "CNC", "quantity": 5, "price": 900, "triggerprice_sl": 901}
    waiting = called("placegttorder", **rule)["trigger_id"]
    called("modifygttorder", trigger_id=waiting, **{**rule, "quantity": 6})
    called("gttorderbook")
    called("cancelgttorder", trigger_id=waiting, strategy="SDK")
    out["whatsapp"] = [client.whatsapp("hello")["code"]]
called("analyzertoggle", mode=False)
client.analyzertoggle(mode=True)
frame = client.history(symbol="NIFTY", exchange="NSE_INDEX", interval="5m", start_date="2026-11-18",
                       end_date="2026-11-20")
out["history"] = {"rows": len(frame), "zone": str(frame.index.tz), "columns": sorted(frame.columns)}
daily = client.history(symbol="SBIN", exchange="NSE", interval="D", start_date="2026-11-16", end_date="2026-11-19")
out["daily"] = [str(day) for day in daily.index]
table = client.instruments(exchange="BFO")
out["instruments"] = {"rows": len(table), "columns": sorted(table.columns)}

watched = [{"exchange": "NSE_INDEX", "symbol": "NIFTY"}, {"exchange": "NSE", "symbol": "SBIN"}]
out["connect"] = client.connect()
for kind, got in (("ltp", client.get_ltp), ("quote", client.get_quotes), ("depth", client.get_depth)):
    seen = []
    getattr(client, "subscribe_" + kind)(watched, on_data_received=seen.append)
    deadline = time.monotonic() + 20
    expected = {"SBIN"} if kind == "depth" else {"NIFTY", "SBIN"}
    while {tick["symbol"] for tick in seen} != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    out["subscribe_" + kind] = sorted({tick["symbol"] for tick in seen})
    out[got.__name__] = got()
    getattr(client, "unsubscribe_" + kind)(watched)
    out["unsubscribe_" + kind] = True
if hasattr(client, "subscribe_orders"):
    heard = []
    out["subscribe_orders"] = client.subscribe_orders(on_order_update=heard.append)
    client.placeorder(**ORDER, price_type="MARKET", quantity=3)
    deadline = time.monotonic() + 20
    while not heard and time.monotonic() < deadline:
        time.sleep(0.02)
    out["heard"] = [[update["symbol"], update["quantity"]] for update in heard[:1]]
    out["get_orders"] = len(client.get_orders()["orders"]) > 0
    out["unsubscribe_orders"] = client.unsubscribe_orders()
client.disconnect()
out["disconnect"] = True

if hasattr(client, "close"):
    out["close"] = client.close() is None
public = [name for name, _ in inspect.getmembers(type(client), inspect.isfunction) if not name.startswith("_")]
print(json.dumps({"answers": out, "methods": public}, default=str))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("sdk")
    with start_simulator(folder, speed=10) as running:
        done = _run(folder, running.rest, running.ws)
    yield done


def _run(folder: Path, rest: str, ws: str) -> dict[str, Any]:
    command = [sys.executable, "-c", SCRIPT, rest, ws, API_KEY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_sdk_has_no_method_that_is_not_asked(answers: dict[str, Any]) -> None:
    """SDK 2.x's `strategy...` run strategies kept in the server's own pages, which the simulator has none of."""
    asked = {name for name in answers["methods"] if not name.startswith("strategy")}
    assert asked <= set(answers["answers"])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="SDK 1.x is installed below Python 3.12 only")
def test_sdk_below_python_3_12_is_1x(answers: dict[str, Any]) -> None:
    assert answers["answers"]["version"].startswith("1.")
    assert "placegttorder" not in answers["methods"]


@NEEDS_2X
def test_sdk_from_python_3_12_on_is_2x(answers: dict[str, Any]) -> None:
    assert answers["answers"]["version"].startswith("2.")


@NEEDS_2X
def test_sdk_2x_sets_changes_and_cancels_triggers(answers: dict[str, Any]) -> None:
    found = answers["answers"]
    assert found["placegttorder"]["status"] == found["modifygttorder"]["status"] == "success"
    assert [row["symbol"] for row in found["gttorderbook"]["data"]] == ["SBIN"]
    assert found["cancelgttorder"]["trigger_id"] == found["placegttorder"]["trigger_id"]
    assert found["whatsapp"] == [409]


@NEEDS_2X
def test_sdk_2x_hears_of_orders(answers: dict[str, Any]) -> None:
    found = answers["answers"]
    assert found["subscribe_orders"] is True
    assert found["heard"] == [["SBIN", 3]]
    assert found["get_orders"] is True


def test_sdk_gets_a_success_from_every_method(answers: dict[str, Any]) -> None:
    replies = {name: answer for name, answer in answers["answers"].items() if isinstance(answer, dict)}
    failed = {name: answer for name, answer in replies.items() if answer.get("status") == "error"}
    assert failed == {}
    assert len(replies) > 35


def test_sdk_places_changes_and_reads_orders(answers: dict[str, Any]) -> None:
    found = answers["answers"]
    assert found["orderstatus"]["data"]["order_status"] == "complete"
    assert found["openposition"]["quantity"] == 14
    assert [row["quantity"] for row in found["splitorder"]["results"]] == [2, 2, 1]
    assert found["basketorder"]["results"][0]["status"] == "success"
    assert found["cancelallorder"]["message"] == "No open orders to cancel"
    assert len(found["tradebook"]["data"]) == 6
    assert [row["quantity"] for row in found["positionbook"]["data"]] == [14]
    assert found["closeposition"]["failed_closures"] == 0


def test_sdk_reads_data_and_options(answers: dict[str, Any]) -> None:
    found = answers["answers"]
    assert found["history"]["rows"] > 140
    assert found["history"]["zone"] == "Asia/Kolkata"
    assert {"open", "high", "low", "close", "volume"} <= set(found["history"]["columns"])
    assert [day[:10] for day in found["daily"]] == ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"]
    assert found["instruments"]["rows"] == 3 * 82 + 3
    assert len(found["optionchain"]["chain"]) == 5
    assert found["optionsymbol"]["symbol"].startswith("NIFTY23NOV26")
    assert [row["status"] for row in found["optionsmultiorder"]["results"]] == ["success", "error"]
    assert 0 < found["optiongreeks"]["greeks"]["delta"] < 1
    assert len(found["depth"]["data"]["bids"]) == 5


def test_sdk_hears_the_market_in_each_mode(answers: dict[str, Any]) -> None:
    found = answers["answers"]
    assert found["connect"] is True
    assert [found[f"subscribe_{kind}"] for kind in ("ltp", "quote")] == [["NIFTY", "SBIN"]] * 2
    assert found["subscribe_depth"] == ["SBIN"]
    assert found["get_ltp"]["ltp"]["NSE"]["SBIN"]["ltp"] > 0
    assert found["get_quotes"]["quote"]["NSE"]["SBIN"]["open"] > 0
    assert len(found["get_depth"]["depth"]["NSE"]["SBIN"]["buyBook"]) == 5
