"""Storms of many seeds on all processors, and a table of what went wrong by kind, each with its seeds.

`make storms SEEDS=1-3000 ARGS="--draws all"` runs it (`python -m tests.kit.storm_scan`). A finding is a seed: the same
seed and draws give the same storm again. An interrupt (Ctrl-C, SIGTERM) ends it with the table of what is done.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import NamedTuple

from tests.kit.oms_storms import ACTS, NIGHT_ACTS, OLD_NIGHTS, Storm

TABLES: Mapping[str, Mapping[str, float]] = {"day": {}, "nights": OLD_NIGHTS, "all": NIGHT_ACTS}
KINDS = {
    "reversed": "was reversed by",
    "stop of a wrong size": "is guarded by",
    "level not in force": "stops rest at",
    "ledger is not the broker's": " owned, ",
    "placed twice": "was placed twice",
    "goal open": "[Goal(",
    "took a stranger's order": "took a stranger's order",
    "order unsettled": "Order(",
}
"""Findings by what their message says, each message counted as the first that fits; any other is `OTHER`."""
OTHER = "other"
STORM, CALM = 90, 120
"""Seconds of a storm, and of the calm after it."""
SHOWN_EVERY = 5.0
SEEDS_AT_ONCE = 4


class Finding(NamedTuple):
    """What went wrong in the storm of a seed."""

    seed: int
    kind: str
    message: str


def kind_of(message: str) -> str:
    """Return the kind of a finding by its message."""
    return next((kind for kind, words in KINDS.items() if words in message), OTHER)


def weights_of(draws: str) -> dict[str, float]:
    """Return the weights of acts that `draws` names: tables and `act=weight`, joined by commas; the last one holds."""
    weights: dict[str, float] = {}
    for part in draws.split(","):
        act, _, weight = part.partition("=")
        if part in TABLES:
            weights |= TABLES[part]
        elif act in ACTS and weight:
            weights[act] = float(weight)
        else:
            raise ValueError(
                f"--draws: expected {', '.join(TABLES)} or one of {', '.join(ACTS)} with =WEIGHT, not {part}"
            )
    return weights


def seeds_of(text: str) -> range:
    """Return the seeds of `FIRST-LAST`, or of one number."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def find(seed: int, weights: Mapping[str, float]) -> Finding | None:
    """Run the storm of a seed, every fifth over an instrument that turns; return what was wrong with it."""
    storm = Storm(seed, either=seed % 5 == 0, acts=weights)
    try:
        storm.run(STORM)
        storm.calm(CALM)
        storm.judge()
    except AssertionError as wrong:
        return Finding(seed, kind_of(str(wrong)), str(wrong))
    except Exception as error:  # noqa: BLE001  a crash is a finding, and the other seeds go on
        return Finding(seed, OTHER, f"{type(error).__name__}: {error}")
    return None


def find_all(seeds: list[int], weights: Mapping[str, float]) -> tuple[int, list[Finding]]:
    """Return how many storms were run, and what was found; the work of one process at a time."""
    return len(seeds), [found for seed in seeds if (found := find(seed, weights)) is not None]


def scan(
    seeds: Iterable[int], weights: Mapping[str, float], processes: int
) -> Generator[tuple[int, list[Finding]], None, None]:
    """Run the storms in so many processes; yields how many were run and what they found, in the order of their end."""
    left = iter(seeds)
    groups = iter(lambda: list(islice(left, SEEDS_AT_ONCE)), [])
    with ProcessPoolExecutor(processes, initializer=_ignore_interrupt) as pool:
        try:
            under_way: set[Future[tuple[int, list[Finding]]]] = set()
            while True:
                more = islice(groups, 2 * processes - len(under_way))
                under_way |= {pool.submit(find_all, group, weights) for group in more}
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupt() -> None:
    """An interrupt of the terminal reaches every process of the group; the scan itself ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def table(run: int, findings: list[Finding]) -> str:
    """Return the findings by kind with their seeds, as text."""
    lines = [f"{run:,} storms, {len(findings):,} with a finding"]
    for kind in (*KINDS, OTHER):
        seeds = sorted(found.seed for found in findings if found.kind == kind)
        lines.append(f"{kind:<28}{len(seeds):>6}  {' '.join(map(str, seeds))}".rstrip())
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make storms", description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-200"), metavar="FIRST-LAST")
    draws = f"acts that are drawn: {', '.join(TABLES)}, or ACT=WEIGHT, joined by commas (nights)"
    parser.add_argument("--draws", type=weights_of, default=weights_of("nights"), help=draws)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=0.0, help="end after so long with what is done")
    parser.add_argument("--messages", action="store_true", help="show what was wrong in each storm")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser.parse_args()


def main() -> int:
    """Scan, with progress on standard error; 1 if anything was found, else 0."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began, shown, run = time.monotonic(), 0.0, 0
    findings: list[Finding] = []
    storms = scan(asked.seeds, asked.draws, asked.processes)
    try:
        for count, found in storms:
            run += count
            findings += found
            now = time.monotonic()
            if now - shown >= SHOWN_EVERY:
                shown = now
                print(f"{run:,} of {len(asked.seeds):,} storms, {len(findings)} findings", file=sys.stderr, flush=True)
            if asked.minutes and now - began > asked.minutes * 60:
                break
    except KeyboardInterrupt:
        print("ended before its last seed", file=sys.stderr)
    storms.close()
    if asked.json:
        print(json.dumps({"storms": run, "findings": [found._asdict() for found in sorted(findings)]}, indent=1))
        return int(bool(findings))
    if asked.messages:
        print(*(f"{found.seed}: {found.kind}: {found.message}" for found in sorted(findings)), sep="\n")
    print(table(run, findings))
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
