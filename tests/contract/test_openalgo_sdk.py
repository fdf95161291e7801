"""Our subclass of the SDK against the simulator, in a process of its own because the SDK replaces `numba.jit`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.kit.shared_fixtures import once
from tests.kit.simulator_process import API_KEY, start_simulator

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
from mytrading import ExtendedOpenAlgoAPI
client = ExtendedOpenAlgoAPI(sys.argv[2], sys.argv[1])
out = {"funds": client.funds()["status"]}
placed = client.placeorder(strategy="SDK", symbol="SBIN", action="BUY", exchange="NSE", price_type="MARKET",
                           product="MIS", quantity=5)
out["placed"] = [placed["status"], bool(placed["orderid"])]
out["found"] = client.orderstatus(order_id=placed["orderid"], strategy="SDK")["data"]["orderid"] == placed["orderid"]
refused = client.placeorder(strategy="SDK", symbol="NOSUCH", action="BUY", exchange="NSE", quantity=5)
out["refused"] = [refused["status"], refused["error_type"], refused["code"]]
below = round(client.quotes(symbol="SBIN", exchange="NSE")["data"]["ltp"] * 0.97)
stop = {"strategy": "words", "symbol": "SBIN", "action": "SELL", "exchange": "NSE", "price_type": "SL-L",
        "trigger_price": below, "price": below - 3, "quantity": 5, "product": "MIS"}
rested = client.placeorder(stop)
assert "order_id" in rested, rested
account, (held,) = client.get_account(), client.positions()["positions"]
book = client.orderbook(strategy="words", order_id=rested["order_id"])
out["words"] = [
    rested["status"], book["status"], book["price_type"], client.smartorderbook(rested["order_id"])["status"],
    client.orderbook(placed["order_id"])["status"], client.orderbook("nothing")["status"],
    sorted(account), account["available_margin"] + account["used_margin"] == account["cash"],
    [held["symbol"], held["quantity"], held["entry_price"] > 0, "pnl_percentage" in held],
    client.search_symbol(exchange="NSE", symbol="SBIN")["token"] == client.search_symbol("SBIN", "NSE")["token"],
    client.search_symbol("NIFTY23NOV2626000CE")["exchange"], client.search_symbol("NOSUCH")["status"],
    [row["status"] for row in client.batch_placeorder([{**stop, "trigger_price": below + 1}, stop])["results"]],
    len(client.orderbook()["data"]["orders"]),
]
out["broken"] = [ExtendedOpenAlgoAPI("k", "http://127.0.0.1:1").get_account()["status"],
                 "positions" in ExtendedOpenAlgoAPI("k", "http://127.0.0.1:1").positions()]
for _ in range(96):
    client.quotes(symbol="SBIN", exchange="NSE")
out["opened"] = client.rest.opened
lost = ExtendedOpenAlgoAPI("k", "http://127.0.0.1:1").funds()
out["lost"] = lost["error_type"]
trigger = {"symbol": "SBIN", "action": "BUY", "exchange": "NSE", "trigger_type": "SINGLE", "product": "CNC",
           "quantity": 5, "price_type": "LIMIT", "price": 900, "triggerprice_sl": 901}
waiting = client.placegttorder(**trigger).trigger_id
changed = client.modifygttorder(trigger_id=waiting, **{**trigger, "quantity": 6}).trigger_id
rows = [(row["trigger_id"], row["status"]) for row in client.gttorderbook()]
ended = client.cancelgttorder(waiting).trigger_id
out["trigger"] = [changed == waiting, rows == [(waiting, "active")], ended == waiting]
day = {"start_date": "2026-11-19", "end_date": "2026-11-19"}
out["added"] = [client.ping().message, len(client.ticker("SBIN", "NSE", "1h", **day)),
                [row["quantity"] for row in client.pnlsymbols()],
                len(client.multioptiongreeks([{"symbol": "NIFTY23NOV2626000CE", "exchange": "NFO"}]))]
if hasattr(client, "strategylist"):
    out["unknown"] = client.strategylist()["code"]
out["table"] = len(client.instruments(exchange="BFO")) > 0
client.close()
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    def made() -> Any:
        folder = tmp_path_factory.mktemp("sdk")
        with start_simulator(folder) as running:
            command = [sys.executable, "-c", SCRIPT, running.rest, API_KEY]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=folder)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    found: dict[str, Any] = once(tmp_path_factory, "extended_sdk", made)
    return found


def test_extended_sdk_hundred_calls_take_one_connection(answered: dict[str, Any]) -> None:
    assert {name: answered[name] for name in ("funds", "placed", "found", "refused", "opened", "lost")} == {
        "funds": "success",
        "placed": ["success", True],
        "found": True,
        "refused": ["error", "http_error", 400],
        "opened": 1,
        "lost": "connection_error",
    }


def test_extended_sdk_has_the_calls_that_the_sdk_lacks(answered: dict[str, Any]) -> None:
    assert answered["added"] == ["pong", 6, [5], 1]


def test_extended_sdk_keeps_its_own_triggers_beside_those_of_newer_sdks(answered: dict[str, Any]) -> None:
    assert answered["trigger"] == [True, True, True]


def test_extended_sdk_reads_instruments_over_the_sdks_own_connections(answered: dict[str, Any]) -> None:
    assert answered["table"] is True


@pytest.mark.skipif(sys.version_info < (3, 12), reason="SDK 2.x, which has strategylist, needs Python 3.12")
def test_extended_sdk_gives_a_refusal_of_newer_methods_with_its_code(answered: dict[str, Any]) -> None:
    assert answered["unknown"] == 404


def test_extended_sdk_words_of_other_clients_give_what_their_scripts_read(answered: dict[str, Any]) -> None:
    account = ["available_margin", "cash", "equity", "margin_percentage", "status", "used_margin"]
    assert answered["words"] == [
        "success", "OPEN", "SL", "OPEN", "COMPLETE", "error", account, True, ["SBIN", 5, True, True], True, "NFO",
        "error", ["success", "success"], 4,
    ]  # fmt: skip


def test_extended_sdk_reads_of_a_server_that_is_away_are_no_empty_books(answered: dict[str, Any]) -> None:
    assert answered["broken"] == ["error", False]
