"""A stack whose state, logs and consoles lie on a small file system that fills up while positions are held.

`FOLDER SECONDS` are its arguments: run by `tests/system/test_full_disk.py` in a mount namespace of its own, where
FOLDER is a tmpfs, it holds the file system at zero for so long. Prints what was seen, as JSON. Rule: the file
system is really full, and whatever is released is taken again at once; nothing is pretended.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mytrading.messages.streams import OPTIONAL
from mytrading.runtime.supervision.control import PROGRAMS
from tests.kit.full_disk import fill
from tests.kit.in_process_command import asked
from tests.kit.limit_stack import push
from tests.kit.stack import Stack
from tests.kit.stack_project import ALTERNATING, HEAD, LONG, RICH, WIDE, make_project, named
from tests.kit.waiting import eventually

CODE = HEAD + LONG + ALTERNATING + named("Long", "AtBroker", "Armed") + named("Alternating", "Closes")
SETTINGS = """
name = "{name}"
symbols = ["{symbol}"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 20
stop = "{stop}"
signal_cooldown = 0
"""
STRATEGIES = (("AtBroker", "INFY", "broker"), ("Armed", "INFY", "engine"), ("Closes", "SBIN", "none"))
EVERY_S = 0.1


def make_home(home: Path) -> dict[str, str]:
    """Two whose stops lie at the broker and in risk, and one that leaves by its signal."""
    settings = {name: SETTINGS.format(name=name, symbol=symbol, stop=stop) for name, symbol, stop in STRATEGIES}
    disk = {"MYTRADING_MIN_FREE_BYTES": "20000000", "MYTRADING_JOURNAL_RESERVE": "4000000"}
    return make_project(home, CODE, settings, WIDE, **RICH, **disk)


@contextmanager
def held_at_zero(folder: Path) -> Iterator[None]:
    """Another program writes whatever room there is until the end, and then removes what it wrote."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(EVERY_S):
            fill(folder)

    fill(folder)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        (folder / "filler").unlink()


def denied(stack: Stack) -> bool:
    return "DISK_LOW" in stack.run("signals", "--json", "-n", "20").stdout


def entries(stack: Stack) -> int:
    """Return the number of entries at the exchange."""
    return sum(row["action"] == "BUY" for row in stack.rest("orderbook")["orders"])


def processes(stack: Stack) -> dict[str, int]:
    return {name: stack.pid(name) for name in (*PROGRAMS, "supervisord") if name not in OPTIONAL}


def start_after_kill(stack: Stack, name: str) -> int:
    """Kill a daemon; the pid of its successor, once it has come to run."""
    killed = stack.kill(name)
    return eventually(lambda: (pid := stack.pid(name)) not in (0, killed) and pid, 30)


def works(stack: Stack) -> bool:
    """True if all daemons run; while the disk is full not all are ready."""
    done = asked(stack.environment, "status", "--json")
    rows = json.loads(done.stdout)["daemons"] if done.returncode == 0 else []
    return bool(rows) and all(row["state"] in ("RUNNING", "DEGRADED") for row in rows)


def all_new(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """The processes, if all run and none of them did before."""
    return now if all(now.values()) and not set(now.values()) & set(before.values()) else {}


def is_flat_at(stack: Stack, ltp: float) -> bool:
    """Trade around this price once more, as a market does; true once the exchange holds nothing."""
    push(stack, ltp=ltp + 0.5 * (time.monotonic_ns() % 2), hold=True, depth=100_000)
    return not stack.broker_net()


def stay_alive(stack: Stack, seconds: float) -> dict[str, int]:
    """The processes, which are to be the same for so long."""
    before, until = processes(stack), time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until or processes(stack) != before, seconds)
    return before


def scenario(stack: Stack, folder: Path, seconds: float) -> dict[str, Any]:
    """Hold three positions, fill the disk, leave one by its signal, and let the price fall through both stops."""
    stack.up("--simulator", "--speed", "6")
    eventually(lambda: stack.broker_net() == {"NSE:INFY": 40, "NSE:SBIN": 20}, 90)
    eventually(lambda: any(row["trigger_price"] for row in stack.rest("orderbook")["orders"]), 20)
    price = float(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"])
    with held_at_zero(folder):
        eventually(lambda: "DISK_LOW" in {row["code"] for row in stack.ask("alerts")}, 30)
        before, running = entries(stack), processes(stack)
        eventually(lambda: "NSE:SBIN" not in stack.broker_net(), 60)
        eventually(lambda: denied(stack), 60)
        resting = [row["order_status"] for row in stack.rest("orderbook")["orders"] if row["pricetype"] == "SL"]
        for name in ("router", "feed", "risk", "engine"):
            running[name] = start_after_kill(stack, name)
        stack.kill("supervisord")
        running = eventually(lambda: all_new(processes(stack), running), 60)
        eventually(lambda: works(stack), 60)
        running = stay_alive(stack, seconds)
        eventually(lambda: is_flat_at(stack, round(price * 0.95, 1)), 60)
        free = os.statvfs(folder).f_bavail
        ended = sorted(name for name, pid in processes(stack).items() if pid != running[name])
        alerts = {row["code"] for row in stack.ask("alerts")} & {"DAEMON_GIVEN_UP", "DAEMON_STOPPED"}
        while_full = entries(stack) - before
    push(stack, ltp=price, release=True)
    eventually(lambda: "DISK_LOW" not in {row["code"] for row in stack.ask("alerts")}, 60)
    stack.run("resume")
    eventually(lambda: works(stack) and stack.is_ready(), 60)
    eventually(lambda: bool(stack.broker_net()), 90)
    verified = stack.run("journal", "verify")
    return {
        "resting": resting, "entries_while_full": while_full, "free": free, "ended": ended,
        "alerts": sorted(alerts),
        "verify": verified.returncode,
    }  # fmt: skip


def main(folder: Path, seconds: float) -> None:
    """The whole of it."""
    with Stack(folder, **make_home(folder / "home")) as stack:
        try:
            seen = scenario(stack, folder, seconds)
        except BaseException:
            print(stack.log(), *(path.read_text() for path in folder.glob("**/*.out")), sep="\n", file=sys.stderr)
            raise
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
