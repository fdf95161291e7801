"""The unmodified `openalgo` SDK against the simulator, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support import API_KEY, start_simulator

SCRIPT = """
import json, sys, time
from openalgo import api
rest, ws, key = sys.argv[1:]
client = api(api_key=key, host=rest, ws_url=ws)
out = {}
out["funds"] = client.funds()["status"]
out["placed"] = client.placeorder(strategy="SDK", symbol="SBIN", action="BUY", exchange="NSE", price_type="MARKET",
                                  product="MIS", quantity=5)
out["status"] = client.orderstatus(order_id=out["placed"]["orderid"], strategy="SDK")["data"]["order_status"]
limit = client.placeorder(strategy="SDK", symbol="SBIN", action="BUY", exchange="NSE", price_type="LIMIT",
                          product="MIS", quantity=5, price=900)
out["modified"] = client.modifyorder(order_id=limit["orderid"], strategy="SDK", symbol="SBIN", action="BUY",
                                     exchange="NSE", price_type="LIMIT", product="MIS", quantity=6, price=901)["status"]
out["cancelled"] = client.cancelorder(order_id=limit["orderid"], strategy="SDK")["status"]
out["open"] = client.openposition(strategy="SDK", symbol="SBIN", exchange="NSE", product="MIS")["quantity"]
out["books"] = [len(client.orderbook()["data"]["orders"]), len(client.tradebook()["data"]),
                len(client.positionbook()["data"])]
out["quote"] = client.quotes(symbol="SBIN", exchange="NSE")["data"]["ltp"] > 0
out["multi"] = len(client.multiquotes(symbols=[{"symbol": "SBIN", "exchange": "NSE"}])["results"])
out["depth"] = len(client.depth(symbol="SBIN", exchange="NSE")["data"]["bids"])
frame = client.history(symbol="NIFTY", exchange="NSE_INDEX", interval="5m", start_date="2026-11-18",
                       end_date="2026-11-20")
out["history"] = [len(frame) > 140, str(frame.index.tz)]
out["expiry"] = client.expiry(symbol="NIFTY", exchange="NFO", instrumenttype="options")["data"]
out["instruments"] = len(client.instruments(exchange="NFO"))
out["search"] = len(client.search(query="RELIANCE", exchange="NSE")["data"])
out["analyzer"] = client.analyzerstatus()["data"]["mode"]
out["margin"] = client.margin(positions=[{"symbol": "SBIN", "exchange": "NSE", "action": "BUY", "product": "MIS",
                                          "pricetype": "MARKET", "quantity": "10"}])["status"]
out["closed"] = client.closeposition(strategy="SDK")["status"]
seen = []
out["connected"] = client.connect()
client.subscribe_ltp([{"exchange": "NSE_INDEX", "symbol": "NIFTY"}], on_data_received=seen.append)
deadline = time.monotonic() + 10
while len(seen) < 3 and time.monotonic() < deadline:
    time.sleep(0.02)
out["ticks"] = len(seen) >= 3 and seen[0]["data"]["ltp"] > 0
client.disconnect()
print(json.dumps(out))
"""


def test_sdk_works_unmodified(tmp_path: Path) -> None:
    with start_simulator(tmp_path, speed=10) as running:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, running.rest, running.ws, API_KEY],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        out = json.loads(done.stdout.strip().splitlines()[-1])
    placed = out.pop("placed")
    assert (placed["status"], placed["mode"]) == ("success", "analyze")
    assert out == {
        "funds": "success",
        "status": "complete",
        "modified": "success",
        "cancelled": "success",
        "open": 5,
        "books": [2, 1, 1],
        "quote": True,
        "multi": 1,
        "depth": 5,
        "history": [True, "Asia/Kolkata"],
        "expiry": ["23-NOV-26", "29-DEC-26"],
        "instruments": 165,
        "search": 1,
        "analyzer": "analyze",
        "margin": "success",
        "closed": "success",
        "connected": True,
        "ticks": True,
    }
