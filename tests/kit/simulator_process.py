"""A simulator as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from mytrading.messages.run_config import STARTING_CASH
from tests.kit.fork_server import PIPE, Forked, start
from tests.kit.project import ROOT
from tests.kit.waiting import PATIENCE

API_KEY = "simulator-test-key"


@dataclass
class RunningSimulator:
    """A simulator process that serves."""

    process: Forked
    rest: str
    ws: str
    api_key: str = API_KEY

    def call(self, route: str, /, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of POST /api/v1/`route` (or of a path starting with /), with the key."""
        return self.raw(route, json.dumps({"apikey": self.api_key, **fields}).encode())

    def raw(self, route: str, body: bytes, content_type: str = "application/json") -> tuple[int, dict[str, Any]]:
        """Status and body of POST with these very bytes."""
        path = route if route.startswith("/") else f"/api/v1/{route}"
        return _exchange(Request(self.rest + path, data=body, headers={"Content-Type": content_type}))

    def get(self, path: str, query: str = "") -> tuple[int, dict[str, Any]]:
        """Status and body of GET, with the key."""
        return _exchange(Request(f"{self.rest}{path}?apikey={self.api_key}{query}"))

    def place(self, symbol: str = "SBIN", exchange: str = "NSE", **fields: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of an order, by default a market buy of 10 for MIS."""
        order = {"strategy": "T", "symbol": symbol, "exchange": exchange, "action": "BUY", "quantity": 10}
        return self.call("placeorder", **{**order, **fields})

    def status(self, order_id: str) -> str:
        """An order's status."""
        _, body = self.call("orderstatus", strategy="T", orderid=order_id)
        return str(body["data"]["order_status"])

    def push(self, symbol: str, ltp: float, exchange: str = "NSE", **fields: Any) -> None:
        """Make a price the market, and keep it."""
        status, body = self.call("/sim/market", symbol=symbol, exchange=exchange, ltp=ltp, **{"hold": True, **fields})
        assert status == 200, body


def _exchange(request: Request) -> tuple[int, dict[str, Any]]:
    try:
        with urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


@contextmanager
def start_simulator(folder: Path, **options: Any) -> Iterator[RunningSimulator]:
    """A simulator process with its books and clock in `folder`; `rest_port=5001` becomes `--rest-port 5001`."""
    process = _forked(folder, **options)
    try:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"the simulator ended: {process.stderr.read()}")
        served = json.loads(line)
        yield RunningSimulator(process, served["rest"], served["ws"])
    finally:
        process.close()


def refused_simulator(folder: Path, **options: Any) -> tuple[int, str]:
    """Exit code and words of a simulator that cannot start with such options."""
    process = _forked(folder, **options)
    try:
        return process.wait(20 * PATIENCE), process.stderr.read()
    finally:
        process.close()


def launch_simulator(folder: Path, **options: Any) -> subprocess.Popen[str]:
    """The command itself, which may still be starting or may fail to."""
    command, environment = _asked(folder, **options)
    return subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=folder, env=environment)


def _forked(folder: Path, **options: Any) -> Forked:
    command, environment = _asked(folder, **options)
    process = start(command, stdout=PIPE, stderr=PIPE, text=True, cwd=folder, env=environment)
    assert isinstance(process, Forked)
    return process


def _asked(folder: Path, *, capital: float = STARTING_CASH, **options: object) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a simulator; `capital` in rupees."""
    given: dict[str, object] = {
        "api_key": API_KEY,
        "seed": 7,
        "start": "2026-11-20 10:00",
        "state_dir": folder / "state",
        "clock": folder / "clock.json",
        "config_dir": ROOT / "config",
        **options,
    }
    command = [sys.executable, "-m", "mytrading.simulator", "--json"]
    for name, value in given.items():
        if value is True:
            command.append(f"--{name.replace('_', '-')}")
        elif value not in (None, ""):
            command += [f"--{name.replace('_', '-')}", str(value)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PAPER_")}
    environment["PAPER_TRADING_INITIAL_CAPITAL"] = str(capital)
    return command, environment
