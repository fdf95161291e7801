"""The event backtest beside backtesting.py, backtrader and nautilus_trader, on the same bars and with the same costs.

`make bench-peers` makes the peers' own environment and runs this; they are not installed beside us. Each run has a
process of its own, ours as well, and they take turns. The one rule: a peer that did not make the same round trips is no
peer; its figure is then marked as missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mytrading.backtest.columns import Columns
from mytrading.backtest.runner import run
from mytrading.bench.backtest import INSTRUMENT, made, spec_of
from mytrading.bench.figures import Figure
from mytrading.core.money.fees import SEGMENTS, FeeSchedule

BARS = 100_000
"""Of each run; nautilus_trader and backtrader take a minute or two for ten times as many."""
GOALS = {"backtesting": 3.0, "nautilus_trader": 25.0, "backtrader": 25.0}
"""Times the bars a second of each peer."""
SLACK = 2
"""Round trips that may be more or fewer: a tie of two averages, and the trip that is open at the end."""
ROUNDS = 3
_SCRIPT = Path(__file__).with_name("peer_runs.py")
_RATE = 0.0003


def measure_peers(python: str, bars: int = BARS, rounds: int = ROUNDS) -> list[Figure]:
    """The best of some rounds of each peer, and of ours beside it; `python` is that of their environment."""
    columns = made(bars)
    with tempfile.TemporaryDirectory(prefix="mtp") as folder:
        file = str(Path(folder) / "bars.npz")
        np.savez(file, start=columns.start_ns, table=columns.table)
        ours = [sys.executable, "-m", "mytrading.bench.peers", "--own", file]
        found = []
        for name, goal in GOALS.items():
            peer: list[dict[str, Any]] = []
            own: list[dict[str, Any]] = []
            for _ in range(rounds):
                peer.append(_told([python, str(_SCRIPT), name, file]))
                own.append(_told(ours))
            found.append(_figure(name, goal, peer, own))
        return found


def _told(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: expected a run, found\n{done.stderr[-2000:]}\nsee `make bench-peers`")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _figure(name: str, goal: float, peer: list[dict[str, Any]], own: list[dict[str, Any]]) -> Figure:
    theirs = max(each["bars"] / each["seconds"] for each in peer)
    ours = max(each["bars"] / each["seconds"] for each in own)
    same = abs(peer[0]["trades"] - own[0]["trades"]) <= SLACK
    print(
        f"… {name} {peer[0]['version']}: {peer[0]['trades']} round trips, net {peer[0]['net']}; "
        f"ours: {own[0]['trades']}, net {own[0]['net']}",
        file=sys.stderr,
    )
    return Figure(
        name=f"backtest_{name}", value=round(ours), unit="bars/s", goal=f"≥ {goal:g}× {name}, the same round trips",
        met=same and ours >= goal * theirs, n=own[0]["trades"], limit=round(theirs), ratio=round(ours / theirs, 2),
    )  # fmt: skip


def _own(file: str) -> dict[str, Any]:
    """Our run, with the one rate that the peers are given, after a short one that makes the kernels ready."""
    flat = FeeSchedule.from_dict({"segments": {name: {"brokerage": _RATE} for name in SEGMENTS}})
    run(spec_of(made(2000)))
    bars = np.load(file)
    spec = spec_of(Columns(INSTRUMENT, "1m", bars["start"], bars["table"]))
    began = time.process_time()
    result = run(replace(spec, fees=flat))
    seconds = time.process_time() - began
    net = sum(trade.net for trade in result.ledger.trades)
    return {
        "bars": result.bars, "seconds": seconds, "trades": len(result.ledger.trades), "net": round(net, 2),
        "quick": result.quick,
    }  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "--own":
        print(json.dumps(_own(sys.argv[2])))
    else:
        from mytrading.bench import describe_machine, show_figure

        for figure in measure_peers(sys.argv[1]):
            show_figure(figure, describe_machine(), "--json" in sys.argv)
