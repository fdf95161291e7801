"""A stack whose journals lie on a small file system that fills up while positions are held: `FOLDER` is its argument.

Run by `tests/system/test_full_disk.py` in a mount namespace of its own, where FOLDER/state/paper/journal is a tmpfs.
Prints what was seen, as JSON. The one rule: the file system is really full; nothing is pretended.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.full_disk import fill
from tests.support import eventually
from tests.system.home import ALTERNATING, HEAD, LONG, RICH, WIDE, make_project, named
from tests.system.stack import Stack
from tests.system.test_limits_kept import push

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


def make_home(home: Path) -> dict[str, str]:
    """Two whose stops lie at the broker and in risk, and one that leaves by its wish."""
    settings = {name: SETTINGS.format(name=name, symbol=symbol, stop=stop) for name, symbol, stop in STRATEGIES}
    disk = {"MYTRADING_MIN_FREE_BYTES": "20000000", "MYTRADING_JOURNAL_RESERVE": "2000000"}
    return make_project(home, CODE, settings, WIDE, **RICH, **disk)


def denied(stack: Stack) -> bool:
    return "DISK_LOW" in stack.run("signals", "--json", "-n", "20").stdout


def entries(stack: Stack) -> int:
    """How many the exchange has got."""
    return sum(row["action"] == "BUY" for row in stack.rest("orderbook")["orders"])


def scenario(stack: Stack, journal: Path) -> dict[str, Any]:
    """Hold three positions, fill the disk, leave one by its wish, and let the price fall through both stops."""
    stack.up("--simulator", "--speed", "6")
    eventually(lambda: stack.broker_net() == {"NSE:INFY": 40, "NSE:SBIN": 20}, 90)
    eventually(lambda: any(row["trigger_price"] for row in stack.rest("orderbook")["orders"]), 20)
    price = float(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"])
    fill(journal)
    eventually(lambda: "DISK_LOW" in {row["code"] for row in stack.ask("alerts")}, 30)
    before = entries(stack)
    eventually(lambda: "NSE:SBIN" not in stack.broker_net(), 60)
    eventually(lambda: denied(stack), 60)
    resting = [row["order_status"] for row in stack.rest("orderbook")["orders"] if row["pricetype"] == "SL"]
    fill(journal)
    push(stack, ltp=round(price * 0.95, 1), hold=True, depth=100_000)
    eventually(lambda: not stack.broker_net(), 60)
    while_full = entries(stack) - before
    for path in journal.glob("filler*"):
        path.unlink()
    push(stack, ltp=price, release=True)
    eventually(lambda: "DISK_LOW" not in {row["code"] for row in stack.ask("alerts")}, 60)
    stack.run("resume")
    eventually(lambda: bool(stack.broker_net()), 90)
    verified = stack.run("journal", "verify")
    return {"resting": resting, "entries_while_full": while_full, "verify": verified.returncode}


def main(folder: Path) -> None:
    """The whole of it."""
    with Stack(folder, **make_home(folder / "home")) as stack:
        seen = scenario(stack, folder / "state" / "paper" / "journal")
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
