"""Makes `state-9f71261.tar.xz` and `state-9f71261-killed.tar.xz` with the code of commit 9f71261.

Run it in a checkout of that commit, with that checkout's Python and the tests' helpers of that commit:

    git worktree add ../old 9f71261 && cd ../old && make setup
    PYTHONPATH=. .venv/bin/python NEW/tests/data/make_old_state.py NEW/tests/data

A stack in lock-step trades two mornings, and is stopped with `down`, or killed with all of its processes. What
is kept of its folder goes into an archive, with the project, and what the old code itself showed of
that state after it was started on it again (`picture.json`). Paths of this machine are replaced by `@FOLDER@`.

What the state holds, and which strategy makes it:

* Overnight: a future from the day before, with its stop at the broker.
* Condor: options from the day before too; a sold one with its stop at the broker, one whose stop has filled, and what
  covers them.
* Engineer, Targeter: shares whose stop and target risk holds.
* Trailer: a call whose run has a peak and a trailing stop; its entries are switched off.
* Loser: a limit of the day that is reached, and the pause after a loss.
* Cool: a cooldown that runs, and a limit partly used.
* Often: all entries of the session used up.
* Bidder: an entry that rests, the signal behind it pending, where the stack was killed.
* A position that nobody owns, and one that `manual` claimed, with a stop at the broker.
* An account that is halted, where the stack was not killed: a halt withdraws entries that rest.
* Journals of the first day, sealed.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from mytrading.runtime.clock import ClockFile, MarketClock, Segment, machine_now, write_clock_file
from tests.support import ROOT, eventually
from tests.system.lockstep_home import LockStepped
from tests.system.stack import COMMAND, Stack

THURSDAY, FRIDAY = "2026-11-19", "2026-11-20"
UNTIL = "09:44:00"
SBIN = "NSE:SBIN"
CODE = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


def levels(memory: dict, data: Bar) -> dict[str, float]:
    """A stop and a target, from the first bar's price."""
    level = memory.setdefault("level", data.close)
    return {"stop_price": float(round(level * 0.9)), "target_price": float(round(level * 1.1))}


class Timed(BaseStrategy):
    """Long from the bar that ends at minute `begin` of the Indian day to the one at `end`; 0 is never."""

    begin: int = 0
    end: int = 0
    again: int = 0
    day: int = 0

    def minute(self, data: Bar) -> int:
        if self.day and data.end_ns // 86_400_000_000_000 != self.day:
            return -1
        return data.end_ns // 60_000_000_000 % 1440 + 330

    def wanted(self, minute: int) -> bool:
        return self.begin <= minute < (self.end or 1440) or 0 < self.again <= minute

    def on_data(self, data: Bar) -> Signal | None:
        minute = self.minute(data)
        if minute < self.begin:
            return None
        return self.create_signal("BUY" if self.wanted(minute) else "EXIT", confidence=1.0, **self.hints(data))

    def hints(self, data: Bar) -> dict[str, float]:
        return {}


class Overnight(Timed):
    """A future."""


class Engineer(Timed):
    """Shares; their stop is reached in the test."""

    def hints(self, data: Bar) -> dict[str, float]:
        return levels(self.memory, data)


class Targeter(Timed):
    """Shares; their target is reached in the test."""

    def hints(self, data: Bar) -> dict[str, float]:
        return levels(self.memory, data)


class Trailer(Timed):
    """A call whose run trails."""


class Loser(Timed):
    """A call that is sold for less."""


class Cool(Timed):
    """A call, and a cooldown."""


class Often(Timed):
    """In and out with every bar."""

    def wanted(self, minute: int) -> bool:
        return minute % 2 == 0


class Bidder(Timed):
    """Bids below the market."""

    def hints(self, data: Bar) -> dict[str, float]:
        if not self.memory.get("bid"):
            self.memory["bid"] = float(round(data.close * 0.98))
        return {"limit_price": self.memory["bid"], "valid_seconds": 18_000.0}


class Late(Timed):
    """A call, after the stop of the stack."""
'''
STRATEGY = """
name = "{name}"
symbols = ["{symbol}"]
timeframes = ["1m"]
direction = "long"
product = "{product}"
lots = {lots}
{more}

[trade]
long = "{trade}"

[parameters]
begin = {begin}
end = {end}
again = {again}
day = {day}
"""
CALL = "NIFTY ATM CE next"
ROWS = (
    ("Overnight", "NIFTY", "NRML", 1, "future", 'stop = "broker"\nsignal_cooldown = 0', (560, 0, 0, 0)),
    ("Engineer", "INFY", "CNC", 20, "same", 'stop = "engine"\nsignal_cooldown = 0', (560, 0, 0, 2)),
    ("Targeter", "RELIANCE", "CNC", 15, "same", 'stop = "engine"\nsignal_cooldown = 0', (560, 0, 0, 2)),
    ("Trailer", "NIFTY", "MIS", 1, CALL, 'stop = "broker"\nsignal_cooldown = 0', (560, 0, 0, 2)),
    ("Loser", "NIFTY", "MIS", 1, "NIFTY OTM 2 CE next", 'stop = "none"\nsignal_cooldown = 0\nmax_daily_loss = 300',
     (567, 569, 571, 2)),
    ("Cool", "NIFTY", "MIS", 1, "NIFTY OTM 4 CE next",
     'stop = "none"\nsignal_cooldown = 2100\nmax_daily_loss = 50000', (567, 569, 575, 2)),
    ("Often", "NIFTY", "MIS", 1, "NIFTY OTM 6 CE next", 'stop = "none"\nsignal_cooldown = 0', (572, 0, 0, 2)),
    ("Bidder", "SBIN", "MIS", 10, "same", 'stop = "broker"\nsignal_cooldown = 0', (575, 0, 0, 2)),
    ("Late", "NIFTY", "MIS", 1, "NIFTY OTM 8 CE next", 'stop = "broker"\nsignal_cooldown = 0', (595, 0, 0, 2)),
)  # fmt: skip
RULES = {"Trailer": '\n[risk]\ntrailing = 3000\ntrailing_type = "amount"\nmax_loss = 40000\nmax_profit = 90000\n'}
CONDOR = """
name = "Condor"
underlying = "NIFTY"
product = "NRML"
entry_time = "09:20"
entry_minutes = 15

[[legs]]
action = "BUY"
strike = "OTM 10"
right = "CE"
expiry = "next"

[[legs]]
action = "SELL"
strike = "OTM 5"
right = "CE"
expiry = "next"
stop = "35%"
target = "70%"

[[legs]]
action = "BUY"
strike = "OTM 10"
right = "PE"
expiry = "next"

[[legs]]
action = "SELL"
strike = "OTM 5"
right = "PE"
expiry = "next"
stop = "35%"
target = "70%"
"""
SETTINGS = """
[risk]
max_order_size = 20000000
max_position_size = 20000000
max_daily_loss = 200000
avoid_first_minutes = 0
max_entries_per_session = 2
max_consecutive_losses = 1
loss_pause_minutes = 300
stale_quote_seconds = 60
max_positions_per_symbol = 20
max_total_positions = 40
"""
LEFT_OUT = {"archive", "backups", "lock", "logs", "metrics", "tape", "warehouse.duckdb", "supervisord.log",
            "supervisord.err", "export.log", "savepoints"}  # fmt: skip
"""What is made anew, or only looked at."""
SHOWN = ("status", "positions --all", "orders -n 0", "trades -n 0", "signals -n 0", "risk", "risk events -n 0",
         "alerts --all -n 0", "strategies")  # fmt: skip


def make_home(home: Path) -> dict[str, str]:
    """The project; the environment of a stack on it."""
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("strategies", "accounts.toml"))
    shutil.copy(ROOT / "supervisord.conf", home)
    (home / "strategies").mkdir()
    (home / "strategies" / "own.py").write_text(CODE, encoding="utf-8")
    (home / "config" / "strategies").mkdir()
    friday = int(datetime.fromisoformat(f"{FRIDAY}T00:00:00+00:00").timestamp()) // 86_400
    for name, symbol, product, lots, trade, more, (begin, end, again, day) in ROWS:
        text = STRATEGY.format(name=name, symbol=symbol, product=product, lots=lots, trade=trade, more=more,
                               begin=begin, end=end, again=again, day=friday if day else 0)  # fmt: skip
        (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(text + RULES.get(name, ""))
    (home / "config" / "strategies" / "condor.toml").write_text(CONDOR)
    (home / "config" / "settings.toml").write_text(SETTINGS)
    names = ",".join([row[0] for row in ROWS] + ["Condor"])
    return {"MYTRADING_HOME": str(home), "ENABLED_STRATEGIES": names, "PAPER_TRADING_INITIAL_CAPITAL": "10000000",
            "ENABLED_SYMBOLS": "NSE:SBIN", "ENABLE_HISTORICAL_DATA": "false"}  # fmt: skip


def moment(day: str, clock: str) -> int:
    """An Indian time in nanoseconds."""
    return int(datetime.fromisoformat(f"{day}T{clock}+05:30").timestamp()) * 1_000_000_000


def run_to(stack: Stack, day: str, clock: str) -> None:
    """Let the market go on to a moment and stand there."""
    market = LockStepped(stack)
    market.sim("pause", paused=False, at=moment(day, clock))
    market.await_rest(f"{day} {clock}", 240)


def set_clock(stack: Stack, day: str) -> None:
    """Have the market begin, or go on, a minute before the open of a day."""
    path = stack.base / "paper" / "clock.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    segments = MarketClock.load(path).segments if path.exists() else ()
    segment = Segment(machine_now(), moment(day, "09:14:00"), 1.0)
    write_clock_file(path, ClockFile(segments=(*segments, segment), last_seen_machine_ns=segment.machine_ns))


def start_paused(stack: Stack, day: str, clock: str) -> None:
    """Start, and stop the market at a moment before the stack is ready for its first step."""
    up = [COMMAND, "up", "--detach", "--simulator", "--speed", "0"]
    started = subprocess.Popen(up, env=stack.environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    eventually(lambda: _stands(stack, moment(day, clock)), 30)
    assert started.wait(120) == 0, stack.log()
    LockStepped(stack).await_rest(f"{day} {clock}", 240)


def _stands(stack: Stack, at: int) -> bool:
    with suppress(OSError, ValueError):  # nobody serves yet
        return bool(stack.sim("pause", paused=False, at=at))
    return False


def by_hand(stack: Stack, product: str, quantity: int) -> dict[str, Any]:
    """Shares bought beside the stack; their row once they are shown as nobody's."""
    answer = stack.post("placeorder", strategy="by hand", action="BUY", quantity=str(quantity), price="0",
                        symbol="SBIN", exchange="NSE", product=product, pricetype="MARKET")  # fmt: skip
    assert answer["status"] == "success", answer

    def shown() -> list[dict[str, Any]]:
        rows = [row for row in stack.ask("positions") if row["strategy"] == "(unmanaged)"]
        return [row for row in rows if (row["instrument"], row["product"]) == (SBIN, product)]

    return eventually(shown, 60)[0]


def build(stack: Stack, killed: bool) -> None:
    """Everything that the state is to hold. A halt withdraws entries that rest, so one state has each."""
    set_clock(stack, THURSDAY)
    start_paused(stack, THURSDAY, "09:24:00")
    stack.down()
    set_clock(stack, FRIDAY)
    start_paused(stack, FRIDAY, "09:38:00")
    by_hand(stack, "MIS", 5)
    stop = round(by_hand(stack, "CNC", 7)["average_price"] * 0.9)
    stack.ask("positions", "claim", SBIN, "--strategy", "manual", "--product", "CNC", "--stop", str(stop))
    eventually(lambda: any(row["strategy"] == "manual" for row in stack.ask("orders", "--live")), 30)
    run_to(stack, FRIDAY, UNTIL)
    stack.ask("strategies", "disable", "Trailer", "--reason", "looked at")
    if not killed:
        stack.ask("halt", "audit", "--account", "paper")


def picture(stack: Stack) -> dict[str, Any]:
    """Answers of the commands in `SHOWN`, by command."""
    return {command: stack.ask(*command.split()) for command in SHOWN}


def keep(folder: Path, target: Path) -> None:
    """The folder as an archive, without what a stack makes anew and without this machine's paths."""
    run = next((folder / "state").glob("*/run.msgpack"))
    run.write_bytes(msgspec.msgpack.encode(_moved(msgspec.msgpack.decode(run.read_bytes()), str(folder))))
    for name in ("bars/bars.sqlite", "simulator/books.sqlite"):  # of journals the files stay as they lie
        with closing(sqlite3.connect(run.parent / name)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder).parts
            if path.is_file() and not set(inside) & LEFT_OUT and not path.name.endswith((".reserve", "-shm")):
                archive.add(path, "/".join(inside))


def _moved(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace(folder, "@FOLDER@").replace(str(ROOT), "@CODE@")
    if isinstance(value, dict):
        return {key: _moved(item, folder) for key, item in value.items()}
    return [_moved(item, folder) for item in value] if isinstance(value, list) else value


def make(target: Path, killed: bool) -> None:
    """One archive."""
    with tempfile.TemporaryDirectory(prefix="os", dir="/tmp") as name:
        folder = Path(name) / "state-of-old"
        folder.mkdir()
        environment = make_home(folder / "home")
        with Stack(folder, **environment) as stack:
            build(stack, killed)
            stack.kill_all() if killed else stack.down()
            copy = Path(name) / "copy"
            shutil.copytree(folder, copy)
            start_paused(stack, FRIDAY, UNTIL)
            after = picture(stack)
            stack.down()
        folder.rename(Path(name) / "used")
        copy.rename(folder)
        (folder / "environment.json").write_text(
            json.dumps({**environment, "MYTRADING_HOME": "@FOLDER@/home"}, indent=1)
        )
        (folder / "picture.json").write_text(json.dumps(after))
        keep(folder, target)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    make(out / "state-9f71261.tar.xz", killed=False)
    make(out / "state-9f71261-killed.tar.xz", killed=True)
