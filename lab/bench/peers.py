"""MyTrading beside peers: the event backtest here, compiled paths in `peers_compiled`, on the same data and costs.

`make bench-peers` makes the peers' own environment and runs this; they are not installed beside us. Each run has a
process of its own, ours as well, and they take turns. A peer that did not make the same round trips is no peer; its
figure is then marked as missed.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lab.bench.backtest import INSTRUMENT, begin_of, long_short_spec, made, spec_of
from lab.bench.peer_process import NotThereError, last_line
from lab.bench.peer_runs import SHORT
from lab.bench.peers_compiled import (
    flat_costs,
    measure_chain,
    measure_stop_sweep,
    measure_sweep,
    measure_ticks,
    square_off_bars,
)
from lab.bench.results import Figure, unmeasured
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.run import run

BARS = 100_000
"""Of each run; nautilus_trader and backtrader take a minute or two for ten times as many."""
GOALS = {
    "backtesting": 3.0, "backtesting_long_short": 3.0, "backtesting_bars_view": 1.0, "backtesting_run_rules": 2.0,
    "nautilus_trader": 25.0, "backtrader": 25.0,
}  # fmt: skip
"""Times the bars a second of each peer, which trades by the same rules; `self.bars` stands beside its `self.I`."""
LIKE = 0.02
"""The share by which round trips of a long/short strategy may differ: the peer moves its trail at the end of a bar."""
SLACK = 2
"""Round trips that may be more or fewer: a tie of two averages, and the trip that is open at the end."""
ROUNDS = 3
_OBJECTS_BETWEEN_LOOKS = 50_000
"""Made before Python looks for cycles again: as in the command `mytrading`."""
_SCRIPT = Path(__file__).with_name("peer_runs.py")


def measure_peers(python: str, names: list[str]) -> list[Figure]:
    """The figures beside the named peers, all without a name; `python` is that of their environment."""
    known = [*GOALS, *_COMPILED]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"bench-peers: expected {', '.join(known)}; found {unknown[0]}")
    chosen = names or known
    found = measure_event(python, [name for name in GOALS if name in chosen])
    return [*found, *(figure for name, measure in _COMPILED.items() if name in chosen for figure in measure(python))]


def measure_event(python: str, names: list[str], bars: int = BARS, rounds: int = ROUNDS) -> list[Figure]:
    """The best of some rounds of each peer of the event backtest, and of ours beside it."""
    columns = made(bars)
    with tempfile.TemporaryDirectory(prefix="mtp") as folder:
        file = str(Path(folder) / "bars.npz")
        over, leaves = square_off_bars(columns)
        np.savez(file, start=columns.start_ns, table=columns.table, over=over, leaves=leaves)
        ours = [sys.executable, "-m", "lab.bench.peers", "--own", file]
        found = []
        for name in names:
            peer: list[dict[str, Any]] = []
            own: list[dict[str, Any]] = []
            try:
                for _ in range(rounds):
                    peer.append(last_line([python, str(_SCRIPT), name, file]))
                    own.append(last_line([*ours, name]))
            except NotThereError as error:
                found.append(unmeasured(f"backtest_{name}", "bars/s", _goal(name), str(error)))
                continue
            found.append(_figure(name, GOALS[name], peer, own))
        return found


def _goal(name: str) -> str:
    return f"≥ {GOALS[name]:g}× {name}, the same round trips"


def _figure(name: str, goal: float, peer: list[dict[str, Any]], own: list[dict[str, Any]]) -> Figure:
    theirs = max(each["bars"] / each["seconds"] for each in peer)
    ours = max(each["bars"] / each["seconds"] for each in own)
    slack = LIKE * peer[0]["trades"] if name.startswith("backtesting_") else SLACK
    same = abs(peer[0]["trades"] - own[0]["trades"]) <= slack
    print(
        f"… {name} {peer[0]['version']}: {peer[0]['trades']} round trips, net {peer[0]['net']}; "
        f"ours: {own[0]['trades']}, net {own[0]['net']}",
        file=sys.stderr,
    )
    return Figure(
        name=f"backtest_{name}", value=round(ours), unit="bars/s", goal=_goal(name),
        met=same and ours >= goal * theirs, n=own[0]["trades"], limit=round(theirs), ratio=round(ours / theirs, 2),
    )  # fmt: skip


def _own(file: str, name: str) -> dict[str, Any]:
    """Our run, with the one rate that the peers are given, after a short one that makes the kernels ready."""
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    run(spec_of(made(2000)))
    bars = np.load(file)
    columns = Columns(INSTRUMENT, "1m", bars["start"], bars["table"])
    added = name.startswith("backtesting_")
    spec = long_short_spec(columns, name.replace("backtesting_", "backtest_")) if added else spec_of(columns)
    spec = replace(spec, fees=flat_costs())
    began = time.process_time()
    result = run(spec)
    seconds, count = time.process_time() - began, len(columns)
    if added:
        began = time.process_time()
        run(replace(spec, data=(begin_of(columns, count // SHORT),)))
        seconds, count = seconds - (time.process_time() - began), count - count // SHORT
    net = sum(trade.net for trade in result.ledger.trades)
    return {
        "bars": count, "seconds": seconds, "trades": len(result.ledger.trades), "net": round(net, 2),
        "engine": result.engine,
    }  # fmt: skip


_COMPILED: dict[str, Callable[[str], list[Figure]]] = {
    "vectorbt": measure_sweep,
    "vectorbt_stops": measure_stop_sweep,
    "opengreeks": measure_chain,
    "polars": measure_ticks,
}


if __name__ == "__main__":
    if sys.argv[1] == "--own":
        print(json.dumps(_own(sys.argv[2], sys.argv[3])))
    else:
        from lab.bench import describe_machine, show_figure

        asked = [word for word in sys.argv[2:] if word != "--json"]
        for figure in measure_peers(sys.argv[1], asked):
            show_figure(figure, describe_machine(), "--json" in sys.argv)
