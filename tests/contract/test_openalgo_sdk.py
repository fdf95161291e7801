"""Our subclass of the SDK against the simulator, in a process of its own because the SDK replaces `numba.jit`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support import API_KEY, start_simulator

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
for _ in range(96):
    client.quotes(symbol="SBIN", exchange="NSE")
out["opened"] = client.client.opened
lost = ExtendedOpenAlgoAPI("k", "http://127.0.0.1:1").funds()
out["lost"] = lost["error_type"]
print(json.dumps(out))
"""


def test_extended_sdk_hundred_calls_take_one_connection(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as running:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, running.rest, API_KEY],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == {
        "funds": "success",
        "placed": ["success", True],
        "found": True,
        "refused": ["error", "http_error", 400],
        "opened": 1,
        "lost": "connection_error",
    }
