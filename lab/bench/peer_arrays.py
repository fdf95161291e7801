"""vectorbt, opengreeks and polars on whole arrays: run by path in the peers' own environment, without anything of ours.

`python peer_arrays.py NAME FOLDER` reads `FOLDER/given.npz`, writes what it found to `FOLDER/NAME.npz` and prints one
JSON object: seconds of the best run, or of the only one, version, megabytes above the imports where they count. A peer
is used as its manual shows, in the way that was fastest, compiled and warm before it is timed.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

CHUNK = 10
"""Pairs at once: vectorbt was fastest and leanest with it, of 10, 25, 50 and 100."""
ROUNDS = 7


def vectorbt(given: Any) -> tuple[float, dict[str, Any], float]:
    """Every pair of averages: round trips that are closed, and profit of each pair."""
    pandas, vbt = importlib.import_module("pandas"), importlib.import_module("vectorbt")
    close = pandas.Series(given["close"])
    prices, enters = given["fills"][:, None], given["enters"][:, None]
    fasts, slows, rate = given["fasts"].tolist(), given["slows"].tolist(), float(given["rate"])

    def swept(first: int, last: int) -> tuple[Any, Any]:
        fast = vbt.MA.run(close, fasts[first:last], short_name="fast")
        slow = vbt.MA.run(close, slows[first:last], short_name="slow")
        held = vbt.Portfolio.from_signals(
            close, fast.ma_crossed_above(slow).to_numpy() & enters, fast.ma_crossed_below(slow).to_numpy(),
            price=prices, size=1.0, fees=rate, init_cash=1e6, freq="1min",
        )  # fmt: skip
        return held.trades.closed.count().to_numpy(), held.total_profit().to_numpy()

    return timed_sweep(swept, len(fasts))


def vectorbt_stops(given: Any) -> tuple[float, dict[str, Any], float]:
    """The pairs both ways, reversing, with a stop below or above the entry, flat at the end of each session."""
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
    vbt = importlib.import_module("vectorbt")
    opens, high, low, close = (pandas.Series(column) for column in given["table"][:4])
    prices, enters, leaves = (given[name][:, None] for name in ("fills", "enters", "leaves"))
    fasts, slows, rate = given["fasts"].tolist(), given["slows"].tolist(), float(given["rate"])

    def swept(first: int, last: int) -> tuple[Any, Any]:
        fast = vbt.MA.run(close, fasts[first:last], short_name="fast")
        slow = vbt.MA.run(close, slows[first:last], short_name="slow")
        up, down = fast.ma_crossed_above(slow).to_numpy(), fast.ma_crossed_below(slow).to_numpy()
        out = numpy.broadcast_to(leaves, up.shape)
        held = vbt.Portfolio.from_signals(
            close, up & enters, out, down & enters, out, open=opens, high=high, low=low, price=prices, size=1.0,
            fees=rate, init_cash=1e6, freq="1min", sl_stop=float(given["stop"]), upon_opposite_entry="reverse",
        )  # fmt: skip
        return held.trades.closed.count().to_numpy(), held.total_profit().to_numpy()

    return timed_sweep(swept, len(fasts))


def timed_sweep(swept: Callable[[int, int], tuple[Any, Any]], pairs: int) -> tuple[float, dict[str, Any], float]:
    """Time a sweep of pairs of averages, `CHUNK` at once, after a first chunk that does not count."""
    numpy = importlib.import_module("numpy")
    before = held_bytes("VmRSS")
    swept(0, CHUNK)
    began = time.perf_counter()
    found = [swept(first, first + CHUNK) for first in range(0, pairs, CHUNK)]
    seconds = time.perf_counter() - began
    trades, profits = (numpy.concatenate(each) for each in zip(*found, strict=True))
    return seconds, {"trades": trades, "profits": profits}, (held_bytes("VmHWM") - before) / 1e6


def opengreeks(given: Any) -> tuple[float, dict[str, Any], None]:
    """Implied volatility and five greeks of a chain, calls and puts in an array each."""
    numpy, black = importlib.import_module("numpy"), importlib.import_module("opengreeks.black76")
    rate, calls = float(given["rate"]), given["calls"]
    sides = []
    for flag, mask in (("c", calls), ("p", ~calls)):
        size = int(mask.sum())
        strikes, premiums = given["strikes"][mask].copy(), given["premiums"][mask].copy()
        forwards, years = numpy.full(size, float(given["forward"])), numpy.full(size, float(given["years"]))
        sides.append((flag, mask, premiums, forwards, strikes, years))
    greeks = [getattr(black, f"{name}_array") for name in ("delta", "gamma", "theta", "vega", "rho")]

    def chain() -> list[list[Any]]:
        found = []
        for flag, _, premiums, forwards, strikes, years in sides:
            volatility = black.implied_volatility_array(premiums, forwards, strikes, rate, years, flag)
            found.append([volatility, *(of(flag, forwards, strikes, years, rate, volatility) for of in greeks)])
        return found

    seconds = best_of(chain, 50)
    table = numpy.empty((6, calls.size))
    for (_, mask, *_), columns in zip(sides, chain(), strict=True):
        table[:, mask] = columns
    return seconds, {"table": table}, None


def polars(given: Any) -> tuple[float, dict[str, Any], None]:
    """One-minute bars of ticks, by its window of time and by groups of whole minutes; the faster one counts."""
    numpy, pl = importlib.import_module("numpy"), importlib.import_module("polars")
    span = int(given["span"])
    frame = pl.DataFrame({"at": given["at"], "price": given["prices"], "volume": given["volumes"]})
    timed = frame.with_columns(pl.col("at").set_sorted().cast(pl.Datetime("ns")))
    price, volume = pl.col("price"), pl.col("volume").last()
    wanted = [
        price.first().alias("open"), price.max().alias("high"), price.min().alias("low"), price.last().alias("close"),
        volume,
    ]  # fmt: skip

    def volumes(bars: Any) -> Any:
        return bars.with_columns(pl.col("volume").diff().fill_null(pl.col("volume")))

    def windows() -> Any:
        return volumes(timed.group_by_dynamic("at", every=f"{span}ns").agg(wanted))

    def groups() -> Any:
        return volumes(frame.group_by((pl.col("at") // span).alias("at")).agg(wanted).sort("at"))

    seconds = min(best_of(windows, 1), best_of(groups, 1))
    bars = windows()
    table = numpy.array([bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")])
    return seconds, {"starts": bars["at"].cast(pl.Int64).to_numpy(), "table": table}, None


PEERS: dict[str, Callable[[Any], tuple[float, dict[str, Any], float | None]]] = {
    "vectorbt": vectorbt,
    "vectorbt_stops": vectorbt_stops,
    "opengreeks": opengreeks,
    "polars": polars,
}


def best_of(call: Callable[[], Any], each: int) -> float:
    """Seconds of a call in the best of some rounds of `each` calls, after a first one that does not count."""
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(each):
            call()
        best = min(best, (time.perf_counter() - began) / each)
    return best


def held_bytes(kind: str) -> int:
    """Memory of this process: `VmRSS` now, `VmHWM` the most it ever held."""
    line = next(line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024


def main(name: str, folder: str) -> None:
    """Run one peer and say what it did, or that it is not there."""
    warnings.simplefilter("ignore")
    package = name.partition("_")[0]
    try:
        importlib.import_module(package)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    numpy = importlib.import_module("numpy")
    seconds, found, megabytes = PEERS[name](numpy.load(Path(folder, "given.npz")))
    numpy.savez(Path(folder, f"{name}.npz"), **found)
    print(json.dumps({"peer": package, "version": version(package), "seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
