"""The unmodified `openalgo` SDK against the simulator, in a process of its own: every method it has, by its answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mytrading.messages.run_config import STARTING_CASH
from tests.kit.shared_fixtures import once
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import eventually

pytestmark = pytest.mark.slow
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
BARS = ["open", "high", "low", "close", "volume"]
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
out["history"] = {"rows": len(frame), "zone": str(frame.index.tz), "columns": sorted(frame.columns),
                  "bars": [[int(at.timestamp()), *row] for at, row in zip(frame.index, frame[BARS].values.tolist())]}
daily = client.history(symbol="SBIN", exchange="NSE", interval="D", start_date="2026-11-16", end_date="2026-11-19")
out["daily"] = [str(day) for day in daily.index]
out["daily_bars"] = daily[BARS].values.tolist()
table = client.instruments(exchange="BFO")
out["instruments"] = {"rows": len(table), "columns": sorted(table.columns),
                      "lots": dict(zip(table["symbol"], table["lotsize"].tolist()))}

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
    updates = []
    out["subscribe_orders"] = client.subscribe_orders(on_order_update=updates.append)
    client.placeorder(**ORDER, price_type="MARKET", quantity=3)
    deadline = time.monotonic() + 20
    while not updates and time.monotonic() < deadline:
        time.sleep(0.02)
    out["order_updates"] = [[update["symbol"], update["quantity"]] for update in updates[:1]]
    out["get_orders"] = len(client.get_orders()["orders"]) > 0
    out["unsubscribe_orders"] = client.unsubscribe_orders()
client.disconnect()
out["disconnect"] = True

if hasattr(client, "close"):
    out["close"] = client.close() is None
public = [name for name, _ in inspect.getmembers(type(client), inspect.isfunction) if not name.startswith("_")]
print(json.dumps({"answers": out, "methods": public}, default=str))
"""


SHARE = {"symbol": "SBIN", "exchange": "NSE"}
NIFTY = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": "23NOV26"}
INDEX = {"symbol": "NIFTY", "exchange": "NSE_INDEX"}
DAYS = {"start_date": "2026-11-18", "end_date": "2026-11-20"}
MARGIN = [{**SHARE, "action": "BUY", "product": "MIS", "pricetype": "MARKET", "quantity": "10"}]
OPTION = {"symbol": "NIFTY23NOV2626000CE", "exchange": "NFO", "interest_rate": 0.0}
DIRECT: dict[str, tuple[str, dict[str, Any]]] = {
    "orderbook": ("orderbook", {}),
    "tradebook": ("tradebook", {}),
    "holdings": ("holdings", {}),
    "analyzerstatus": ("analyzer", {}),
    "intervals": ("intervals", {}),
    "margin": ("margin", {"positions": MARGIN}),
    "quotes": ("quotes", SHARE),
    "index": ("quotes", INDEX),
    "depth": ("depth", SHARE),
    "symbol": ("symbol", SHARE),
    "multiquotes": ("multiquotes", {"symbols": [SHARE]}),
    "search": ("search", {"query": "RELIANCE", "exchange": "NSE"}),
    "expiry": ("expiry", {"symbol": "NIFTY", "exchange": "NFO", "instrumenttype": "options"}),
    "optionsymbol": ("optionsymbol", {**NIFTY, "offset": "OTM2", "option_type": "CE"}),
    "optionchain": ("optionchain", {**NIFTY, "strike_count": 2}),
    "optiongreeks": ("optiongreeks", {**OPTION, "underlying_symbol": "NIFTY", "underlying_exchange": "NSE_INDEX"}),
    "syntheticfuture": ("syntheticfuture", NIFTY),
    "holidays": ("market/holidays", {"year": 2026}),
    "timings": ("market/timings", {"date": "2026-11-20"}),
    "history": ("history", {**INDEX, **DAYS, "interval": "5m"}),
    "daily": ("history", {**SHARE, "start_date": "2026-11-16", "end_date": "2026-11-19", "interval": "D"}),
}
"""The same questions to the simulator itself, by the method of the SDK that asks them."""
READS = (
    "holdings", "analyzerstatus", "intervals", "margin", "quotes", "depth", "symbol", "multiquotes", "search", "expiry",
    "optionsymbol", "syntheticfuture", "holidays", "timings",
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    def made() -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("sdk")
        with start_simulator(folder, speed=10) as running:
            running.call("/sim/pause", paused=True)
            done = _run(folder, running.rest, running.ws)
            return {**done, "direct": {name: _asked(running, *call) for name, call in DIRECT.items()}}

    found: dict[str, Any] = once(tmp_path_factory, "sdk", made)
    return found


def _asked(running: RunningSimulator, route: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The simulator's own answer, the market standing still."""
    replies: list[dict[str, Any]] = []
    eventually(lambda: replies.append(running.call(route, **fields)[1]) or replies[-1].get("status") == "success")
    return replies[-1]


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
    assert found["order_updates"] == [["SBIN", 3]]
    assert found["get_orders"] is True


def test_sdk_gets_a_success_from_every_method(answers: dict[str, Any]) -> None:
    replies = {name: answer for name, answer in answers["answers"].items() if isinstance(answer, dict)}
    failed = {name: answer for name, answer in replies.items() if answer.get("status") == "error"}
    assert failed == {}
    assert len(replies) > 35


def steady(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without the count of calls that the analyzer has seen."""
    data = answer.get("data")
    if not isinstance(data, dict):
        return answer
    return {**answer, "data": {name: value for name, value in data.items() if name != "total_logs"}}


@pytest.mark.parametrize("method", READS)
def test_sdk_gives_what_the_simulator_answers(answers: dict[str, Any], method: str) -> None:
    assert steady(answers["answers"][method]) == steady(answers["direct"][method])


def test_sdk_places_changes_and_reads_orders(answers: dict[str, Any]) -> None:
    found, direct = answers["answers"], answers["direct"]
    rows = {row["orderid"]: row for row in direct["orderbook"]["data"]["orders"]}
    book = found["orderbook"]["data"]["orders"]
    assert [rows[row["orderid"]] for row in book] == book and len(book) == 7
    first = rows[found["placeorder"]["orderid"]]
    status = found["orderstatus"]["data"]
    assert (status["order_status"], status["average_price"]) == ("complete", first["average_price"])
    assert (status["quantity"], first["quantity"], first["action"], first["symbol"]) == (5, 5, "BUY", "SBIN")
    changed = rows[found["modifyorder"]["orderid"]]
    assert (changed["quantity"], changed["price"], changed["order_status"]) == (6, 901.0, "cancelled")
    assert found["cancelorder"]["orderid"] == found["modifyorder"]["orderid"]
    assert rows[found["placesmartorder"]["orderid"]]["quantity"] == 3
    (leg,) = found["basketorder"]["results"]
    assert (leg["symbol"], rows[leg["orderid"]]["quantity"]) == ("SBIN", 1)
    slices = found["splitorder"]["results"]
    assert [rows[row["orderid"]]["quantity"] for row in slices] == [row["quantity"] for row in slices] == [2, 2, 1]
    assert found["cancelallorder"]["message"] == "No open orders to cancel"
    assert (found["closeposition"]["closed_positions"], found["closeposition"]["failed_closures"]) == (3, 0)


def test_sdk_reads_trades_positions_and_money_that_agree(answers: dict[str, Any]) -> None:
    found, direct = answers["answers"], answers["direct"]
    trades = found["tradebook"]["data"]
    rows = {row["orderid"]: row for row in direct["tradebook"]["data"]}
    assert [rows[row["orderid"]] for row in trades] == trades and len(trades) == 6
    spent = sum(row["quantity"] * row["average_price"] for row in trades)
    (held,) = found["positionbook"]["data"]
    assert (held["symbol"], held["quantity"], found["openposition"]["quantity"]) == ("SBIN", 14, 14)
    assert held["average_price"] == pytest.approx(spent / 14, abs=0.01)
    assert held["ltp"] == direct["quotes"]["data"]["ltp"]
    money = found["funds"]["data"]
    assert money["utiliseddebits"] == pytest.approx(spent / 5, rel=0.01), "five times leverage within the day"
    assert money["availablecash"] == pytest.approx(STARTING_CASH - money["utiliseddebits"], abs=50)
    assert money["m2munrealized"] == pytest.approx(14 * held["ltp"] - spent, abs=0.05)


def test_sdk_orders_options_that_the_chain_has(answers: dict[str, Any]) -> None:
    found, direct = answers["answers"], answers["direct"]
    chain = found["optionchain"]
    assert chain["chain"] == direct["optionchain"]["chain"] and len(chain["chain"]) == 5
    atm = next(row for row in chain["chain"] if row["strike"] == chain["atm_strike"])
    ordered = found["optionsorder"]
    assert (ordered["symbol"], ordered["underlying_ltp"]) == (atm["ce"]["symbol"], chain["underlying_ltp"])
    assert chain["underlying_ltp"] == direct["index"]["data"]["ltp"]
    rows = {row["orderid"]: row for row in direct["orderbook"]["data"]["orders"]}
    assert (rows[ordered["orderid"]]["symbol"], rows[ordered["orderid"]]["quantity"]) == (ordered["symbol"], 65)
    far, none = found["optionsmultiorder"]["results"]
    assert (far["status"], far["symbol"], none["status"]) == ("success", found["optionsymbol"]["symbol"], "error")
    greeks, expected = found["optiongreeks"], direct["optiongreeks"]
    same = ("symbol", "underlying", "strike", "option_type", "expiry_date", "option_price", "spot_price")
    assert [greeks[name] for name in same] == [expected[name] for name in same]
    assert greeks["greeks"] == pytest.approx(expected["greeks"], rel=0.01)


def test_sdk_reads_history_and_instruments(answers: dict[str, Any]) -> None:
    found, direct = answers["answers"], answers["direct"]
    names = ("open", "high", "low", "close", "volume")
    assert (found["history"]["zone"], found["history"]["rows"] > 140) == ("Asia/Kolkata", True)
    ended = {row["timestamp"]: [row[name] for name in names] for row in direct["history"]["data"]}
    *bars, _forming = found["history"]["bars"]
    assert [[at, *ended[at]] for at, *_ in bars] == bars
    assert [day[:10] for day in found["daily"]] == ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"]
    assert found["daily_bars"] == [[row[name] for name in names] for row in direct["daily"]["data"]]
    listed = found["instruments"]
    assert listed["rows"] == len(listed["lots"])
    by_lot = Counter((symbol.startswith("SENSEX"), lot) for symbol, lot in listed["lots"].items())
    assert by_lot == {(True, 20): 3 * 122 + 3, (False, 30): 2 * 122 + 3}  # BANKEX has monthly expiries alone


def test_sdk_switches_the_analyzer_and_sends_a_notice(answers: dict[str, Any]) -> None:
    found = answers["answers"]
    toggled = found["analyzertoggle"]["data"]
    assert (toggled["mode"], toggled["analyze_mode"]) == ("live", False)
    assert found["analyzerstatus"]["data"]["mode"] == "analyze"
    assert found["interval"] == found["intervals"]
    assert found["telegram"]["status"] == "success"


def test_sdk_hears_the_market_in_each_mode(answers: dict[str, Any]) -> None:
    found, direct = answers["answers"], answers["direct"]
    share, index, depth = (direct[name]["data"] for name in ("quotes", "index", "depth"))
    assert found["connect"] is True
    assert [found[f"subscribe_{kind}"] for kind in ("ltp", "quote")] == [["NIFTY", "SBIN"]] * 2
    assert found["subscribe_depth"] == ["SBIN"]
    last = found["get_ltp"]["ltp"]
    assert (last["NSE"]["SBIN"]["ltp"], last["NSE_INDEX"]["NIFTY"]["ltp"]) == (share["ltp"], index["ltp"])
    quote = found["get_quotes"]["quote"]["NSE"]["SBIN"]
    names = ("open", "high", "low", "ltp", "volume")
    assert [quote[name] for name in names] == [share[name] for name in names]
    assert quote["close"] == share["prev_close"]
    book = found["get_depth"]["depth"]["NSE"]["SBIN"]
    for side, levels in (("buyBook", depth["bids"]), ("sellBook", depth["asks"])):
        shown = [(float(level["price"]), int(level["qty"])) for level in book[side].values()]
        assert shown == [(level["price"], level["quantity"]) for level in levels]
