"""One order call to the simulator and back: ours, the same request by a bare `http.client`, and the plain SDK's.

The three take turns at the pace that the exchange's rate limit allows. The SDK has a process of its own, because
importing it loads pandas. `python -m lab.bench.client URL KEY` is that process. Both are measured at a server
that answers at once besides, where nothing but the client takes time.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from lab.bench.results import Figure, against_limit, percentile
from lab.bench.simulator_process import Exchange, exchange
from lab.bench.stub_server import canned
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.adapters.venues import OpenAlgoVenue, order_request_fields
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.orders import Order
from mytrading.messages.run_config import ServerMode
from mytrading.runtime.host.clock import machine_now

CALLS = 60
SDK_CALLS = 20
PAUSE_S = 0.12
"""Between two calls: the exchange takes ten a second."""
AIM = 100.0
"""Intended speed of a call, as a multiple of the plain SDK's."""


def measure_client(progress: Callable[[str], None]) -> list[Figure]:
    """p50 of our order call against the bare one, and how many times slower the plain SDK is: whole, and alone."""
    progress(f"{CALLS} order calls of ours and {CALLS} bare ones in turns, then {SDK_CALLS} of the plain SDK")
    with tempfile.TemporaryDirectory(prefix="mtb") as folder, exchange(Path(folder)) as running:
        ours, bare = _in_turns(running)
        plain, version = _plain_sdk(running.rest, running.api_key)
    progress(f"the same two at a server that answers at once: the clients alone, {SDK_CALLS} calls each")
    with canned() as rest:
        alone = _ours_alone(rest)
        plain_alone, _ = _plain_sdk(rest, "key")
    mine = percentile(ours, 0.5)
    return [
        against_limit("order_call_p50", mine, percentile(bare, 0.5), 1.5, len(ours)),
        _beside_sdk("sdk_order_call_p50", plain, mine, version),
        _beside_sdk("sdk_client_alone_p50", plain_alone, percentile(alone, 0.5), version),
    ]


def _beside_sdk(name: str, plain: list[float], mine: float, version: str) -> Figure:
    theirs = percentile(plain, 0.5)
    times = theirs / mine
    return Figure(
        name=name, value=round(theirs, 3), unit="ms", goal=f"≥ {AIM:g}× ours (SDK {version})", met=times >= AIM,
        n=len(plain), limit=round(mine, 4), ratio=round(times, 1),
    )  # fmt: skip


def _ours_alone(rest: str) -> list[float]:
    venue = OpenAlgoVenue(OpenAlgoClient(rest, "key", machine_now), ServerMode.ANALYZE)
    found = []
    for number in range(SDK_CALLS + 2):
        time.sleep(PAUSE_S)
        found.append(_place(venue, number))
    venue.close()
    return found[2:]


def _in_turns(running: Exchange) -> tuple[list[float], list[float]]:
    venue = OpenAlgoVenue(OpenAlgoClient(running.rest, running.api_key, machine_now), ServerMode.ANALYZE)
    bare = _Bare(running)
    ours, limit = [], []
    for number in range(CALLS + 2):
        time.sleep(PAUSE_S)
        ours.append(_place(venue, number))
        time.sleep(PAUSE_S)
        limit.append(bare.place(number))
    venue.close()
    return ours[2:], limit[2:]


def _order(number: int) -> Order:
    """A share far below the market, so that it rests."""
    return Order(
        client_order_id=f"bench-{number}", account="bench", instrument="NSE:SBIN", product=Product.MIS,
        strategy="bench", run="1", cause="1", purpose=Purpose.ENTRY, side=Side.BUY, quantity=1,
        order_type=OrderType.LIMIT,
        state=OrderState.SUBMITTED, created_ns=0, updated_ns=0, price=900.0,
    )  # fmt: skip


def _place(venue: OpenAlgoVenue, number: int) -> float:
    order = _order(number)
    began = time.perf_counter_ns()
    outcome = venue.send(Call.PLACE, order)
    took = (time.perf_counter_ns() - began) / 1e6
    if outcome.outcome is not Outcome.ACCEPTED:
        raise RuntimeError(f"the exchange did not take order {number}: {outcome.message}")
    return took


class _Bare:
    """The same body over a keep-alive connection, the answer read and nothing made of it."""

    def __init__(self, running: Exchange) -> None:
        url = urlsplit(running.rest)
        self._connection = http.client.HTTPConnection(url.hostname or "", url.port)
        self._key = running.api_key

    def place(self, number: int) -> float:
        body = json.dumps({**order_request_fields(Call.PLACE, _order(number)), "apikey": self._key}).encode()
        began = time.perf_counter_ns()
        self._connection.request("POST", "/api/v1/placeorder", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        took = (time.perf_counter_ns() - began) / 1e6
        if answer.status != 200:
            raise RuntimeError(f"the exchange answered a bare order with HTTP {answer.status}")
        return took


def _plain_sdk(rest: str, api_key: str) -> tuple[list[float], str]:
    """Milliseconds of the plain SDK's calls, and which SDK it is."""
    command = [sys.executable, "-m", "lab.bench.client", rest, api_key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [float(line) for line in done.stdout.splitlines()[-SDK_CALLS:]], metadata.version("openalgo")


def _sdk_calls(rest: str, api_key: str) -> None:
    """Milliseconds of each call, a line each."""
    from openalgo import api  # type: ignore[import-untyped,unused-ignore]

    client = api(api_key=api_key, host=rest)
    for _ in range(SDK_CALLS):
        time.sleep(PAUSE_S)
        began = time.perf_counter_ns()
        answer = client.placeorder(
            strategy="bench", symbol="SBIN", action="BUY", exchange="NSE", price_type="LIMIT", product="MIS",
            quantity=1, price=900.0,
        )  # fmt: skip
        took = (time.perf_counter_ns() - began) / 1e6
        if answer.get("status") != "success":
            raise RuntimeError(f"the SDK's order was answered with {answer}")
        print(took, flush=True)


if __name__ == "__main__":
    _sdk_calls(sys.argv[1], sys.argv[2])
