"""A real stack for tests: its own state folder, the command line, and the comparison of everybody's books."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from mytrading.core.orders.state_machine import is_untriggered_stop
from mytrading.messages.run_config import RunConfig, decode_run_config
from mytrading.runtime.journal.reader import JournalTail
from mytrading.runtime.supervision.instance_lock import holder
from tests.kit import fork_server
from tests.kit.fork_server import COMMAND
from tests.kit.in_process_command import asked
from tests.kit.project import ROOT
from tests.kit.waiting import eventually

TICK_SECONDS = 5
"""Of a generated market: half of what a stack computes is quotes, and a second of a test has twelve of them yet."""
SHORT_WINDOWS = Path(__file__).with_name("short_windows.py")
STARTING = ("up", "down")
"""Commands that start and stop processes: run as processes of their own."""
SHOWING = ("status", "orders", "positions", "trades", "signals", "alerts", "perf", "risk")
"""Commands that change nothing: repeated where the gateway is too busy to answer, as on a machine of many stacks."""
PROCESSES = (
    "supervisord",
    "watchdog",
    "feed",
    "engine",
    "risk",
    "router",
    "reconciler",
    "gateway",
    "webhooks",
    "console",
    "simulator",
)
ENDED = {"FILLED", "DENIED", "REJECTED", "CANCELLED", "EXPIRED", "RECORDED"}


def _is_busy(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 5 and "did not answer" in done.stderr


class Stack:
    """Starts and stops a stack in `folder`, and asks it through the command line.

    Its processes are forked from one that has loaded the package (`tests.kit.fork_server`) unless `forked` is False.
    With `short_windows` it concludes sooner and reads books oftener (`tests.kit.short_windows`).
    """

    def __init__(self, folder: Path, *, forked: bool = True, short_windows: bool = False, **environment: str) -> None:
        self.forked = forked
        self.base = folder / "state"
        self.command = [sys.executable, str(SHORT_WINDOWS)] if short_windows else [COMMAND]
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MYTRADING_", "OPENALGO_"))},
            "MYTRADING_HOME": str(ROOT),
            "MYTRADING_STATE_DIR": str(self.base),
            "MYTRADING_LOG_DIR": str(folder / "logs"),
            "SIMULATOR_TICK_SECONDS": str(TICK_SECONDS),
            "CONSOLE_ENABLED": "false",
            **environment,
        }

    def run(self, *arguments: str, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        command = [*self.command, *arguments]
        if self.forked:
            return fork_server.run(command, env=self.environment, text=True, timeout=seconds, cwd=ROOT)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=seconds, cwd=ROOT)

    def start(self, *arguments: str, **streams: Any) -> Any:
        """One command that goes on beside the test, as `subprocess.Popen` starts it."""
        started = fork_server.start if self.forked else subprocess.Popen
        return started([*self.command, *arguments], env=self.environment, cwd=ROOT, text=True, **streams)

    def ask(self, *arguments: str) -> Any:
        """The JSON that a command prints; fails with its errors."""
        words = (*arguments, "--json")
        if words[0] in STARTING:
            done = self.run(*words)
        elif words[0] in SHOWING and words[1].startswith("-"):
            done = eventually(lambda: None if _is_busy(found := asked(self.environment, *words)) else found, 20)
        else:
            done = asked(self.environment, *words)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout.strip().splitlines()[-1])

    def up(self, *arguments: str) -> None:
        """Start, detached, and wait until ready."""
        done = self.run("up", "--detach", *arguments)
        assert done.returncode == 0, f"up {arguments}: exit {done.returncode}: {done.stderr}\n{self.log()}"

    def begin(self, *arguments: str) -> Any:
        """Start without waiting for what may never be ready; the command that waits."""
        nowhere = subprocess.DEVNULL
        started = self.start("up", "--detach", *arguments, stdout=nowhere, stderr=nowhere)
        eventually(lambda: asked(self.environment, "status").returncode == 0, 30)
        return started

    def down(self) -> subprocess.CompletedProcess[str]:
        """Stop; nothing of the stack is left afterwards."""
        return self.run("down")

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        if any(self.base.glob("*/run.msgpack")):
            self.down()

    @property
    def state(self) -> Path:
        """The state folder of the profile that was started last; it is there once something was."""
        started = max(self.base.glob("*/run.msgpack"), key=lambda path: path.stat().st_mtime)
        return started.parent

    @property
    def config(self) -> RunConfig:
        """Return the configuration that the stack was started with."""
        return decode_run_config(self.state / "run.msgpack")

    def log(self) -> str:
        """The end of the main log, for a failure's message."""
        paths = Path(self.environment["MYTRADING_LOG_DIR"]).glob("*/main.log")
        return "\n".join(line for path in paths for line in path.read_text().splitlines()[-40:]) or "no log"

    def pid(self, name: str) -> int:
        """The pid that holds a daemon's (or supervisord's) lock; 0 if nobody does."""
        return int(holder(self.config.lock_dir / f"{name}.lock") or 0)

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Signal a process of this stack by its pid; returns the pid."""
        pid = eventually(lambda: self.pid(name), 20)
        os.kill(pid, number)
        return pid

    def kill_all(self) -> None:
        """Kill every process; none of them sees another end.

        Supervisor is stopped first and killed last: its end would let the stopped ones go on (the kernel continues the
        stopped members of a process group that is orphaned), and one of them would start another supervisor.
        """
        pids = [pid for name in PROCESSES if (pid := self.pid(name))]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(self.pid(name) for name in PROCESSES), 20)

    def held(self) -> dict[str, int]:
        """Units that each strategy holds, flat ones left out; of one that holds several, its last."""
        return {row["strategy"]: row["quantity"] for row in self.ask("positions") if row["quantity"]}

    def beat(self, name: str) -> dict[str, Any]:
        """A daemon's row in `status`."""
        rows = {row["daemon"]: row for row in self.ask("status")["daemons"]}
        found: dict[str, Any] = rows[name]
        return found

    def market_time(self) -> str:
        """Market time in India as HH:MM:SS."""
        seconds = self.ask("status")["market_ns"] // 1_000_000_000 + 19_800
        return time.strftime("%H:%M:%S", time.gmtime(seconds))

    def is_ready(self) -> bool:
        """True when every daemon says so and none is silent."""
        done = asked(self.environment, "status", "--json")
        if done.returncode != 0:
            return False
        body = json.loads(done.stdout)
        return all(
            row["ready"] and row["state"] == "RUNNING" for row in body["daemons"] if row["daemon"] != "simulator"
        )

    # the exchange's side

    def rest(self, route: str, **fields: Any) -> Any:
        """`data` of a POST to the stack's simulator."""
        return self.post(route, **fields)["data"]

    def post(self, route: str, **fields: Any) -> Any:
        """The whole answer to a POST to the stack's simulator, errors included."""
        return self._posted(f"api/v1/{route}", fields)

    def sim(self, route: str, /, **fields: Any) -> Any:
        """`data` of a POST to the simulator's own routes, below /sim."""
        return self._posted(f"sim/{route}", fields)["data"]

    def _posted(self, path: str, fields: dict[str, Any]) -> Any:
        venue = self.config.venue
        body = json.dumps({"apikey": venue.api_key, **fields}).encode()
        request = Request(f"{venue.rest_url}/{path}", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def broker_net(self) -> dict[str, int]:
        """The exchange's net units by instrument, flat ones left out."""
        rows = self.rest("positionbook")
        return {f"{row['exchange']}:{row['symbol']}": int(row["quantity"]) for row in rows if int(row["quantity"])}

    def journaled(self) -> tuple[dict[str, Any], dict[Any, Any]]:
        """Orders by id and positions by owner, folded from the router's journal alone."""
        orders: dict[str, Any] = {}
        positions: dict[Any, Any] = {}

        def fold(_row: object, message: Any) -> None:
            if type(message).__name__ == "OrderChanged":
                orders[message.order.client_order_id] = message.order
            elif type(message).__name__ in ("PositionChanged", "PositionAdjusted"):
                position = message.position
                positions[position.instrument, position.product, position.strategy] = position

        tail = JournalTail(self.config.journal_dir("router"), "orders", fold)
        tail.start(0)
        tail.close()
        return orders, positions

    def disagreements(self) -> list[str]:
        """Return the differences between our books, the exchange's books and the journal; empty when all agree."""
        found: list[str] = []
        orders, positions = self.journaled()
        ours = Counter[str]()
        for position in positions.values():
            ours[position.instrument] += position.quantity
        if (net := {name: units for name, units in ours.items() if units}) != self.broker_net():
            found.append(f"positions: journal {net}, exchange {self.broker_net()}")
        shown = Counter[str]()
        for row in self.ask("positions"):
            shown[row["instrument"]] += row["quantity"]
        if {name: units for name, units in shown.items() if units} != net:
            found.append(f"positions: journal {net}, shown {dict(shown)}")
        found += self._order_disagreements(orders)
        return found

    def _order_disagreements(self, orders: dict[str, Any]) -> list[str]:
        found: list[str] = []
        rows = self.rest("orderbook")["orders"]
        doubled = [tag for tag, count in Counter(row["strategy"] for row in rows).items() if count > 1]
        if doubled:
            found.append(f"placed more than once: {doubled}")
        by_broker = {order.broker_order_id: order for order in orders.values() if order.broker_order_id}
        for row in rows:
            order = by_broker.pop(row["orderid"], None)
            if order is None:
                found.append(f"order {row['orderid']} of the exchange is nobody's")
            elif order.filled != int(row["filled_quantity"]):
                found.append(f"order {row['orderid']}: filled {order.filled} here, {row['filled_quantity']} there")
        found += [f"order {name} is not at the exchange" for name, order in by_broker.items() if order.filled]
        found += [
            f"{o.client_order_id} ended {o.state}" for o in orders.values() if o.state.value in ("UNKNOWN", "LOST")
        ]
        traded = Counter[str]()
        for trade in self.rest("tradebook"):
            traded[trade["orderid"]] += int(trade["quantity"])
        ours = {order.broker_order_id: order.filled for order in orders.values() if order.filled}
        if dict(traded) != ours:
            found.append(f"trades: journal {ours}, exchange {dict(traded)}")
        return found

    def is_settled(self) -> bool:
        """True when no order is on its way; a stop that waits for its trigger is where it belongs."""
        orders, _ = self.journaled()
        return all(order.state.value in ENDED or is_untriggered_stop(order) for order in orders.values())
