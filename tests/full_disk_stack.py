"""A stack whose journals lie on a small file system that fills up while positions are held: `FOLDER` is its argument.

Run by `tests/system/test_full_disk.py` in a mount namespace of its own, where FOLDER/state/paper/journal is a tmpfs.
Prints what was seen, as JSON. The one rule: the file system is really full; nothing is pretended.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.full_disk import fill
from tests.support import ROOT, eventually
from tests.system.stack import Stack
from tests.system.test_limits_kept import push

STRATEGY = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class AtBroker(BaseStrategy):
    """Long from its first bar on."""

    name = "AtBroker"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY", confidence=1.0)


class Armed(AtBroker):
    """The same."""

    name = "Armed"


class Closes(AtBroker):
    """Long from each even minute to the next odd one."""

    name = "Closes"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)
'''
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
RISK = """
[risk]
max_order_size = 1_000_000
max_position_size = 1_000_000
max_daily_loss = 1_000_000
avoid_first_minutes = 0
"""


def make_home(home: Path) -> dict[str, str]:
    """Two whose stops lie at the broker and in risk, and one that leaves by its wish."""
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("strategies"))
    (home / "config" / "strategies").mkdir()
    for name, symbol, stop in (("AtBroker", "INFY", "broker"), ("Armed", "INFY", "engine"), ("Closes", "SBIN", "none")):
        text = SETTINGS.format(name=name, symbol=symbol, stop=stop)
        (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(text)
    (home / "config" / "settings.toml").write_text(RISK)
    (home / "strategies").mkdir()
    (home / "strategies" / "held.py").write_text(STRATEGY)
    shutil.copy(ROOT / "supervisord.conf", home)
    return {
        "MYTRADING_HOME": str(home),
        "ENABLED_STRATEGIES": "AtBroker,Armed,Closes",
        "PAPER_TRADING_INITIAL_CAPITAL": "10000000",
        "MYTRADING_MIN_FREE_BYTES": "20000000",
        "MYTRADING_JOURNAL_RESERVE": "2000000",
    }


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
