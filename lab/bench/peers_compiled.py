"""The compiled parts beside vectorbt, opengreeks and polars: a sweep of parameters, a chain's greeks, bars of ticks.

The data are made once and read by both sides, each in a process of its own; ours runs before and after the peer. Values
are compared, and a peer that found others is not counted as one.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace as changed

from lab.bench.backtest import INSTRUMENT, made, spec_of
from lab.bench.chain import Chain, made_chain
from lab.bench.compiled import TICKS, made_ticks
from lab.bench.peer_arrays import best_of, held_bytes
from lab.bench.peer_process import NotThereError, last_line
from lab.bench.results import Figure, beside_peer, unmeasured
from lab.bench.screen import BARS, FASTS, SLOWS, STOP, Averages, stopped
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.assumptions import MarketContext
from mytrading.backtest.search.screen import screen_all
from mytrading.core.accounting.fees import SEGMENTS, FeeSchedule
from mytrading.core.bars.from_ticks import bars_of_ticks
from mytrading.core.options.black76 import greeks, implied_volatilities
from mytrading.core.time import DAY, IST_OFFSET, MINUTE

RATE = 0.0003
"""Of the value of each fill, on both sides."""
LEAST = {"sweep_vectorbt": 30.0, "sweep_stops_vectorbt": 10.0, "greeks_opengreeks": 2.5, "ticks_polars": 5.0}
MEMORY = 0.2
_SCRIPT = Path(__file__).with_name("peer_arrays.py")
_DAY, _IST = DAY, IST_OFFSET
_TRIPS = 1e-3
"""Of all round trips, and of profits: ties of two averages fall differently between running sums."""
_LIKE = 0.1
"""The share by which round trips with stops may differ: the peer counts its stop from the fill and re-enters."""
_OUTSIDE, _INSIDE = 1e-11, 1e-8
"""Of volatility, out of and in the money, where the last bits of a premium of thousands hide it from opengreeks."""
_GREEKS = 1e-6
"""Relative, and so opengreeks' gamma in the money."""

Arrays = dict[str, Any]


def flat_costs() -> FeeSchedule:
    """Return fees of one rate for all segments, as the peers have them."""
    return FeeSchedule.from_dict({"segments": {name: {"brokerage": RATE} for name in SEGMENTS}})


def sweep_given() -> Arrays:
    """The bars, the pairs, and for each bar whether its signal may enter, and at what price it fills.

    The peer gets our rules of sessions: a session's last bar enters nothing, and what it exits goes out after
    the next session's first bar.
    """
    columns = made(BARS)
    opens, close = columns.table[0], columns.table[3]
    days = (columns.start_ns + _IST) // _DAY
    lasts = np.append(days[1:] != days[:-1], True)
    fills, places = np.append(opens[1:], close[-1]), np.flatnonzero(lasts[:-1])
    fills[places] = opens[np.minimum(places + 2, BARS - 1)]
    pairs = np.array([(fast, slow) for fast in FASTS for slow in SLOWS])
    return {
        "start": columns.start_ns, "table": columns.table, "close": close, "fills": fills, "enters": ~lasts,
        "fasts": pairs[:, 0], "slows": pairs[:, 1], "rate": RATE,
    }  # fmt: skip


def stops_given() -> Arrays:
    """The same both ways with stops, and the bars after which the peer is to leave: before the square-off of a day."""
    given = sweep_given()
    over, leaves = square_off_bars(Columns(INSTRUMENT, "1m", given["start"], given["table"]))
    return {**given, "enters": ~over, "leaves": leaves, "stop": STOP}


def square_off_bars(columns: Columns) -> tuple[Any, Any]:
    """For each bar whether the square-off of its day has begun when it ends, and whether it is the first such bar."""
    spec, start = spec_of(columns), columns.start_ns
    square_off = MarketContext(spec.calendar, spec.facts, [INSTRUMENT]).square_off()
    days = (start + _IST) // _DAY
    begins = {day: square_off.closing_begins_ns(INSTRUMENT.partition(":")[0], day * _DAY) for day in set(days.tolist())}
    over = start + MINUTE >= np.array([begins[day] for day in days.tolist()])
    return over, over & ~np.append(False, over[:-1])


def own_stops(given: Arrays) -> tuple[float, Arrays, float]:
    """The second of two sweeps long and short with stops."""
    return own_sweep(given, stops=True)


def own_sweep(given: Arrays, *, stops: bool = False) -> tuple[float, Arrays, float]:
    """The second of two sweeps, with the objective and the daily returns of each pair besides."""
    spec = replace(
        spec_of(Columns(INSTRUMENT, "1m", given["start"], given["table"])), strategy=Averages, fees=flat_costs()
    )
    spec = replace(spec, run=changed(spec.run, parameters={}))
    spec = stopped(spec) if stops else spec
    points = [{"fast": int(fast), "slow": int(slow)} for fast, slow in zip(given["fasts"], given["slows"], strict=True)]
    threads = os.cpu_count() or 1
    before = held_bytes("VmRSS")
    screen_all(spec, points[:4], "sharpe", 1, threads)
    began = time.perf_counter()
    found = screen_all(spec, points, "sharpe", 1, threads)
    seconds = time.perf_counter() - began
    arrays = {"trades": [each.trades for each in found], "profits": [each.net for each in found]}
    return seconds, arrays, (held_bytes("VmHWM") - before) / 1e6


def own_chain(given: Arrays) -> tuple[float, Arrays, None]:
    """The chain inverted and differentiated."""
    chain = Chain(*(given[name][()] for name in Chain._fields))
    forward, years, rate, strikes, calls, premiums = chain

    def whole() -> tuple[Any, ...]:
        volatilities, _ = implied_volatilities(premiums, forward, strikes, years, rate, calls)
        found = greeks(forward, strikes, years, volatilities, rate, calls)
        return volatilities, found.delta, found.gamma, found.theta, found.vega, found.rho

    return best_of(whole, 50), {"table": np.array(whole())}, None


def own_ticks(given: Arrays) -> tuple[float, Arrays, None]:
    """The bars of the ticks, which are said to be in order: the peer gets this too (`set_sorted`)."""
    columns = given["at"], given["prices"], given["volumes"], int(given["span"])
    seconds = best_of(lambda: bars_of_ticks(*columns, ordered=True), 1)
    starts, table = bars_of_ticks(*columns)
    return seconds, {"starts": starts, "table": table}, None


OWN: dict[str, Callable[[Arrays], tuple[float, Arrays, float | None]]] = {
    "vectorbt": own_sweep, "vectorbt_stops": own_stops, "opengreeks": own_chain, "polars": own_ticks,
}  # fmt: skip


def measure_sweep(python: str) -> list[Figure]:
    """Pairs a second, and megabytes above the imports."""
    given = sweep_given()
    pairs, name = len(given["fasts"]), "sweep_vectorbt"
    goal = f"≤ {MEMORY:g}× vectorbt's"
    try:
        ours, theirs, own, peer = _both(python, "vectorbt", given)
    except NotThereError as error:
        return [_absent(name, "pairs/s", error), unmeasured(f"{name}_memory", "MB", goal, str(error))]
    _say(
        f"{theirs['peer']} {theirs['version']}: {peer['trades'].sum():,} round trips, net {peer['profits'].sum():.0f}; "
        f"ours: {own['trades'].sum():,}, net {own['profits'].sum():.0f}"
    )
    same = same_sweep(own, peer)
    share = ours["megabytes"] / theirs["megabytes"]
    return [
        beside_peer(
            name, pairs / ours["seconds"], pairs / theirs["seconds"], "pairs/s", LEAST[name], "vectorbt", pairs,
            same=same,
        ),
        Figure(
            name=f"{name}_memory", value=round(ours["megabytes"], 1), unit="MB", goal=goal,
            met=same and share <= MEMORY, n=pairs, limit=round(theirs["megabytes"], 1), ratio=round(share, 3),
        ),
    ]  # fmt: skip


def measure_stop_sweep(python: str) -> list[Figure]:
    """Pairs a second, long and short with stops."""
    given, name = stops_given(), "sweep_stops_vectorbt"
    pairs = len(given["fasts"])
    try:
        ours, theirs, own, peer = _both(python, "vectorbt_stops", given)
    except NotThereError as error:
        return [_absent(name, "pairs/s", error)]
    made, found = int(own["trades"].sum()), int(peer["trades"].sum())
    _say(f"{theirs['peer']} {theirs['version']}: {found:,} round trips; ours: {made:,}")
    same = abs(made - found) <= _LIKE * found
    return [
        beside_peer(
            name, pairs / ours["seconds"], pairs / theirs["seconds"], "pairs/s", LEAST[name], "vectorbt", pairs,
            same=same,
        )
    ]  # fmt: skip


def same_sweep(own: Arrays, peer: Arrays) -> bool:
    """True if round trips and profits are those of the peer, but for ties of two averages."""
    return all(
        float(np.abs(own[name] - peer[name]).sum()) <= _TRIPS * float(np.abs(peer[name]).sum())
        for name in ("trades", "profits")
    )


def measure_chain(python: str) -> list[Figure]:
    """Contracts a second."""
    chain, name = made_chain(), "greeks_opengreeks"
    try:
        ours, theirs, own, peer = _both(python, "opengreeks", chain._asdict())
    except NotThereError as error:
        return [_absent(name, "contracts/s", error)]
    outside = (chain.strikes >= chain.forward) == chain.calls
    apart = np.abs(own["table"][0] - peer["table"][0])
    _say(
        f"{theirs['peer']} {theirs['version']}: volatility within {apart[outside].max():.1e} out of and "
        f"{apart[~outside].max():.1e} in the money"
    )
    size = chain.strikes.size
    return [
        beside_peer(
            name, size / ours["seconds"], size / theirs["seconds"], "contracts/s", LEAST[name], "opengreeks", size,
            same=same_chain(own["table"], peer["table"], outside),
        )
    ]  # fmt: skip


def same_chain(own: Any, peer: Any, outside: Any) -> bool:
    """True if volatility, then five greeks (rows), are those of the peer within its own accuracy."""
    apart = np.abs(own[0] - peer[0])
    near = (apart <= np.where(outside, _OUTSIDE, _INSIDE)).all()
    return bool(near and (np.abs(own[1:] - peer[1:]) <= _GREEKS * np.abs(own[1:])).all())


def measure_ticks(python: str) -> list[Figure]:
    """Ticks a second into one-minute bars."""
    at, prices, volumes = made_ticks(TICKS)
    name = "ticks_polars"
    try:
        given = {"at": at, "prices": prices, "volumes": volumes, "span": MINUTE}
        ours, theirs, own, peer = _both(python, "polars", given)
    except NotThereError as error:
        return [_absent(name, "ticks/s", error)]
    same = all(np.array_equal(own[each], peer[each]) for each in ("starts", "table"))
    _say(f"{theirs['peer']} {theirs['version']}: {len(own['starts'])} bars, {'equal' if same else 'not equal'}")
    return [
        beside_peer(
            name, TICKS / ours["seconds"], TICKS / theirs["seconds"], "ticks/s", LEAST[name], "polars", TICKS, same=same
        )
    ]


def _both(python: str, peer: str, given: Arrays) -> tuple[dict[str, Any], dict[str, Any], Arrays, Arrays]:
    """Run ours and the peer; return both summaries, then both sets of arrays found.

    Our seconds are the mean of a run before the peer's and one after it.
    """
    with tempfile.TemporaryDirectory(prefix="mtp") as folder:
        np.savez(Path(folder, "given.npz"), **given)
        command = [sys.executable, "-m", __name__, peer, folder]
        before = last_line(command)
        theirs = last_line([python, str(_SCRIPT), peer, folder])
        ours = last_line(command)
        ours["seconds"] = (before["seconds"] + ours["seconds"]) / 2
        own, found = ({**np.load(Path(folder, f"{name}.npz"))} for name in ("own", peer))
    return ours, theirs, own, found


def _absent(name: str, unit: str, error: NotThereError) -> Figure:
    peer = name.rpartition("_")[2]
    return unmeasured(name, unit, f"≥ {LEAST[name]:g}× {peer}, the same results", str(error))


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr)


def _main(peer: str, folder: str) -> None:
    seconds, found, megabytes = OWN[peer](np.load(Path(folder, "given.npz")))
    np.savez(Path(folder, "own.npz"), **found)
    print(json.dumps({"seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
