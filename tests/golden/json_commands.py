"""Every command with `--json`, run once on a small market, and the key paths of what it prints.

Used by `tests/system/test_json_keys.py`, and once, with the code of commit 9f71261, for `json_keys.json` and
`json_keys_rare.json`: `python -m tests.golden.json_commands 3` runs all of it three times and writes both. Paths that
every run printed are in the first, paths that some run printed in the second. Neither file is written again: what a
release printed, the next one prints.

A path names dictionaries by their keys and lists by `[]`: `daemons[].restarts`. A `*` stands for a key that is data,
such as the name of a process, of a strategy or of an instrument.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.kit.in_process_command import asked
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.stack_project import BUSY, DAY, HEAD, OPENS, WIDE, make_project, write_ticks
from tests.kit.waiting import eventually

Keys = dict[str, set[str]]

FILE = ROOT / "tests" / "golden" / "json_keys.json"
RARE = FILE.with_name("json_keys_rare.json")
BARS = ROOT / "tests" / "data" / "bars-wild.csv.gz"
SBIN = "NSE:SBIN"
CODE = (
    HEAD
    + '''

class Alternating(BaseStrategy):
    """Long from each even minute to the next odd one."""

    lookback: int = 3

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.lookback, name="average")

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)


class Greedy(BaseStrategy):
    """Asks for more than any limit allows."""

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY", confidence=1.0)


class Resting(BaseStrategy):
    """Bids below the market, so that an entry rests."""

    bid = 0.0

    def on_data(self, data: Bar) -> Signal | None:
        self.bid = self.bid or float(round(data.close * 0.97))
        return self.create_signal("BUY", limit_price=self.bid, valid_seconds=9000.0)
'''
)
SETTINGS = {
    "Alternating": BUSY
    + """
[risk]
max_loss = 50000
max_profit = 150
trailing = 40000
trailing_type = "amount"
leg_stop_loss = 60
leg_take_profit = 90
leg_trailing = 70
supertrend = "breakdown"
supertrend_timeframe = "3m"
""",
    "Greedy": """
name = "Greedy"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "NRML"
lots = 500
stop = "none"
signal_cooldown = 0

[trade]
long = "NIFTY ATM CE next"
""",
    "Resting": """
name = "Resting"
symbols = ["INFY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 10
signal_cooldown = 0
""",
}
STARRED = (
    "daemons.*", "daemons[].cursors.*", "daemons[].written.*", "[].parameters.*", "parameters.*",
    "strategies[].parameters.*", "budgets[].waiting.*", "budgets[].kept.*", "error_rates.*", "orders.*/day close",
    "missing.*", "library.missing.*", "library.extra.*", "openalgo.missing.*", "openalgo.extra.*",
    "checks[].figures.effects.*", "best[].parameters.*", "folds[].parameters.*", "filled.*", "acts.*",
    "faults_by_kind.*", "unknowns.ended.*", "requests.*", "rates.*", "latency_ms.*",
)  # fmt: skip
"""Dictionaries whose keys are data; after a slash, the only command where that is so."""
OPAQUE = {"journal show": {"body"}}
"""What may hold anything: the rows of journals have a schema of their own."""


def paths(value: Any, command: str = "", prefix: str = "") -> Iterator[str]:
    """The key paths of JSON."""
    if isinstance(value, list):
        for item in value:
            yield from paths(item, command, f"{prefix}[]")
    elif isinstance(value, dict):
        counts_rows = prefix == "daemons[].figures" and "live" in value  # the router's, by types of journal rows
        for key, item in value.items():
            if counts_rows and key != "live":
                continue
            path = f"{prefix}.{key}".lstrip(".")
            if _is_data(f"{prefix}.*".lstrip("."), str(key), command):
                path = f"{prefix}.*".lstrip(".")
            yield path
            if path not in OPAQUE.get(command, ()):
                yield from paths(item, command, path)


def _is_data(starred: str, key: str, command: str) -> bool:
    if command.startswith("perf") and "." in key:
        return key != "strategy_engine.execute"
    return ":" in key or " " in key or starred in STARRED or f"{starred}/{command}" in STARRED


def read(path: Path) -> dict[str, list[str]]:
    """A file of key paths by command."""
    found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def missing_keys(command: str, printed: set[str]) -> list[str]:
    """Paths that the command printed at 9f71261 and does not print now."""
    return sorted(set(read(FILE)[command]) - printed)


class Collector:
    """Runs commands of a stack and keeps the key paths of what they print."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.keys: Keys = {}

    def add(self, command: str, text: str) -> Any:
        """Take the JSON that was printed, the last line of it, or every line if each is an object."""
        lines = [json.loads(line) for line in text.splitlines() if line.startswith(("{", "["))]
        assert lines, f"{command}: no JSON: {text[:400]}"
        found = self.keys.setdefault(command, set())
        for body in lines:
            found.update(paths(body, command))
        return lines[-1]

    def ask(self, command: str, *arguments: str, code: int | None = 0, as_process: bool = False) -> Any:
        """Run `command` with arguments and `--json`; it ends with that code, or with any."""
        words = (*command.split(), *arguments, "--json")
        done = self.stack.run(*words) if as_process else asked(self.stack.environment, *words)
        assert code in (done.returncode, None), f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return self.add(command, done.stdout)


def make_home(folder: Path) -> tuple[dict[str, str], Path]:
    """A project with two strategies and a recorded morning; the environment and the file of ticks."""
    limits = {**WIDE, "max_order_size": 400_000}
    environment = make_project(folder / "home", CODE, SETTINGS, limits, PAPER_TRADING_INITIAL_CAPITAL="10000000")
    level = 26_000.0
    ticks = [(OPENS + at, level + (at // 15 % 7) - 3 + (at // 60 % 5) * 2) for at in range(0, 3600 * 5, 15)]
    return environment, write_ticks(folder / "ticks.csv", {DAY: ticks})


def collect(folder: Path) -> Keys:
    """The commands around a stack, on one in an empty folder."""
    folder.mkdir()
    environment, ticks = make_home(folder)
    with Stack(folder, **environment) as stack:
        found = Collector(stack)
        _without_a_stack(found)
        found.ask("up", "--detach", "--replay", str(ticks), "--speed", "20", as_process=True)
        _books(found)
        _market(found)
        _server(found)
        _orders(found)
        _control(found)
        _ends(found, folder)
    return found.keys


def research(folder: Path) -> Keys:
    """The commands on recorded bars."""
    folder.mkdir()
    environment, _ = make_home(folder)
    found = Collector(Stack(folder, **environment))
    data = ("Alternating", "--data", str(BARS), "--instrument", SBIN, "--timeframe", "1m", "--to", "2024-03-12")
    report = folder / "backtest"
    found.ask("backtest", *data, "--report", str(report))
    found.add("backtest metrics.json", json.dumps(json.loads((report / "metrics.json").read_text(encoding="utf-8"))))
    with (report / "trades.csv").open(encoding="utf-8") as file:
        found.keys["backtest trades.csv"] = set(next(csv.reader(file)))
    found.ask("check", *data, "--budget-us", "50000", code=None)
    space = ("--param", "lookback=2:3", "--workers", "1", "--min-trades", "1")
    found.ask("optimize", *data, *space, "--report", str(folder / "optimize"), as_process=True)
    found.ask(
        "walk-forward", *data, *space, "--report", str(folder / "walk"), "--train", "1", "--test", "1", as_process=True
    )
    return found.keys


def _without_a_stack(found: Collector) -> None:
    found.ask("version")
    found.ask("new-strategy", "Fresh", "--no-test")
    found.ask("legs new", "Condor", "-t", "iron-condor")
    found.ask("legs check", "Condor")
    found.ask("indicators")
    found.ask("config show")
    found.ask("config check", code=4)
    found.ask("calendar show", "2026-11-24")
    found.ask("calendar write", "--year", "2026")
    found.ask("size", "NIFTY", "--risk", "50000", "--entry", "100", "--stop", "80")
    found.ask("account list")


def _books(found: Collector) -> None:
    """Answers about the stack's books; its parts come one by one."""
    stack = found.stack
    eventually(lambda: stack.ask("trades"), 60)
    eventually(lambda: {"stop", "exit"} <= {row["purpose"] for row in stack.ask("orders")}, 30)
    eventually(lambda: any(row["denied"] for row in stack.ask("signals")), 30)
    eventually(lambda: _rows(stack, "Resting", "ACCEPTED"), 30)
    eventually(lambda: stack.held().get("Alternating"), 30)
    stack.post("placeorder", **_BY_HAND)
    eventually(lambda: _unmanaged(stack), 100)
    (bought,) = _unmanaged(stack)
    stop = str(round(bought["average_price"] * 0.9))
    found.ask("positions claim", SBIN, "--strategy", "manual", "--yes", "--stop", stop)
    eventually(lambda: any(row["instrument"] == SBIN for row in stack.ask("orders", "--live")), 30)
    eventually(lambda: any(row.get("stop_state") == "resting" for row in stack.ask("positions", "--all")), 60)
    for command in ("orders", "status", "trades", "signals", "strategies", "strategies list", "perf", "risk"):
        found.ask(command)
    found.ask("positions", "--all")
    found.ask("alerts", "--all")
    found.ask("strategies show", "Alternating")
    found.ask("strategies chart", "Alternating", "-t", "1m")
    found.ask("chart", "NIFTY")
    for book in ("orders", "trades", "positions", "holdings", "funds"):
        found.ask("broker", book)
    order = next(row for row in stack.ask("orders") if row["purpose"] == "entry" and row["filled"])
    found.ask("why", order["client_order_id"])


def _unmanaged(stack: Stack) -> list[dict[str, Any]]:
    """Units without owner whose price is known, by which the stop of a claim is judged."""
    return [row for row in stack.ask("positions") if row["strategy"] == "(unmanaged)" and row["ltp"]]


def _rows(stack: Stack, strategy: str, state: str) -> list[dict[str, Any]]:
    """A strategy's orders in a state."""
    return [row for row in stack.ask("orders") if (row["strategy"], row["state"]) == (strategy, state)]


_BY_HAND = {"strategy": "by hand", "action": "BUY", "quantity": "10", "price": "0", "symbol": "SBIN", "exchange": "NSE",
            "product": "MIS", "pricetype": "MARKET"}  # fmt: skip


def _market(found: Collector) -> None:
    found.ask("chain", "NIFTY", "-n", "2")
    found.ask("legs show", "Condor")
    found.ask("history fetch", "NIFTY", "--from", "2026-11-18", "--to", "2026-11-19")
    contract, *_ = found.ask("instruments search", "NIFTY", "CE", "-n", "3")
    found.ask("instruments show", contract["id"])
    found.ask("instruments show", "NIFTY")
    found.ask("margin")
    found.ask("margin", "--margin", "1000000")
    found.ask("instruments save", as_process=True)
    found.ask("doctor", code=None)


def _server(found: Collector) -> None:
    """Accounts, at the stack's own exchange as a server."""
    venue = found.stack.config.venue
    with patch("sys.stdin", io.StringIO(f"{venue.api_key}\n" * 9)):
        found.ask("account add", "first", "--host", venue.rest_url, "--ws-url", venue.ws_url, "--key-stdin")
        found.ask("account add", "second", "--host", venue.rest_url, "--role", "backup", "--key-stdin")
        found.ask("account edit", "second", "--product", "NRML")
    found.ask("account list")
    found.ask("account test")
    found.ask("account set-primary", "second")
    found.ask("account rotate-key")
    found.ask("account remove", "first", "--force")
    found.ask("account audit")


def _orders(found: Collector) -> None:
    """Answers of a person's commands for orders and positions."""
    stack = found.stack
    (entry,) = eventually(lambda: _rows(stack, "Resting", "ACCEPTED"), 30)
    eventually(lambda: stack.ask("risk")["runs"], 30)
    found.ask("risk")
    found.ask("orders modify", entry["client_order_id"], "--price", str(entry["price"] - 5))
    found.ask("orders cancel", entry["client_order_id"])
    eventually(lambda: _risen(stack) or stack.ask("risk", "events"), 60)
    stack.ask("strategies", "disable", "Alternating")
    stack.ask("flatten", "--strategy", "Alternating")
    stack.ask("simulator", "fault", "place_lost:x99")  # the next may be an entry of `Resting`
    found.ask("simulator fault")
    found.ask("positions close", SBIN, "--strategy", "manual", "--deadline", "1", code=5)
    (lost,) = eventually(lambda: _rows(stack, "manual", "UNKNOWN"), 20)
    stack.ask("simulator", "fault", "--clear")
    found.ask("orders")
    found.ask("alerts")
    found.ask("orders resolve", lost["client_order_id"], "--not-placed")


def _risen(stack: Stack) -> None:
    """Push prices until the position of `Alternating` is worth its `max_profit`."""
    for row in stack.ask("positions"):
        if row["strategy"] == "Alternating" and row["quantity"]:
            exchange, symbol = row["instrument"].split(":")
            stack.sim("market", symbol=symbol, exchange=exchange, ltp=round(row["average_price"] * 1.08, 1))


def _control(found: Collector) -> None:
    found.ask("halt", "lunch")
    found.ask("reduce", "still lunch")
    found.ask("status")
    found.ask("risk")
    found.ask("resume")
    found.ask("strategies disable", "Resting", "--reason", "test")
    found.ask("strategies")
    found.ask("strategies enable", "Resting")
    found.ask("kill", "halt", "test")
    found.ask("status")
    found.ask("kill", "--remove")
    found.stack.ask("simulator", "fault", "book_500:x99999")
    found.ask("flatten", "--deadline", "1", code=5)
    found.ask("risk")  # lists flattens that have not ended, as this one cannot while no book is read
    found.stack.ask("simulator", "fault", "--clear")
    found.ask("flatten")
    found.ask("resume")
    found.ask("resume", "--strategy", "Alternating")
    found.ask("risk events")


def _ends(found: Collector, folder: Path) -> None:
    found.ask("journal verify")
    found.ask("journal show")
    found.ask("journal export", str(folder / "rows.parquet"))
    found.ask("state show")
    found.ask("down", as_process=True)
    found.ask("status", code=3)
    found.ask("logs", "performance")
    found.ask("parity", code=None)
    found.ask("state backup", str(folder / "backup.tar.gz"))
    found.ask("state upgrade")
    found.ask("state reset", "--force", "--confirm", "replay")


def _one_run(folder: Path) -> Keys:
    keys = collect(folder / "stack") | research(folder / "research")
    ended = Collector(Stack(folder / "ended"))
    ended.add("up --for", ended.stack.run("up", "--simulator", "--for", "15", "--json").stdout)
    return keys | ended.keys


def main(runs: int) -> None:
    """Write the two files."""
    always: Keys = {}
    ever: Keys = {}
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="jk", dir="/tmp") as folder:
            for command, found in _one_run(Path(folder)).items():
                always[command] = found if not number else always[command] & found
                ever[command] = ever.get(command, set()) | found
    _write(FILE, always)
    _write(RARE, {command: found - always[command] for command, found in ever.items() if found - always[command]})


def _write(path: Path, keys: Keys) -> None:
    path.write_text(json.dumps({name: sorted(keys[name]) for name in sorted(keys)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]))
