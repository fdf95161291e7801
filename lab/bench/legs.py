"""A file of legs: an iron condor with a combined stop on modelled prices, one run and a search, and Dask beside itself.

The bars are those of a made NIFTY. What an added bar costs is processor time of a long run less that of a short one,
each on bars of its own, so that all prices of options are made in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from lab.bench.backtest import added_speed, begin_of, made
from lab.bench.results import Figure, unmeasured
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.run import Spec, run
from mytrading.backtest.search.space import parse_leg_space
from mytrading.backtest.search.study import StudyPlan, search
from mytrading.backtest.search.workers import LOCAL_CLUSTER, WorkersError, cluster_workers, local_workers, pack_spec
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.cli.legs.command import TEMPLATES, template_toml

_ROOT = Path(__file__).resolve().parents[2]
INDEX = "NSE_INDEX:NIFTY"
DAY_BARS, MONTHS_BARS = 375, 29_625
"""Bars of a day, and of four months: 79 days."""
SIZES = (20 * DAY_BARS, MONTHS_BARS)
LEAST = 25_000
"""Bars a second, of what an added bar costs."""
TRIALS, MOST_S = 500, 180.0
AXES = ("risk.max_loss=1000:5500:500", "risk.max_profit=1000:5500:500", "entry_time=09:20,09:35,09:50,10:05,10:20")
"""Ten by ten by five sets of parameters."""
DASK_TRIALS, DASK_TIMES = 40, 1.6
NAME, STOPPED = "Condor", "Stopped_Condor"
"""Its legs have no stops of their own; those of the other one have the template's."""


def measure_legs(progress: Callable[[str], None]) -> list[Figure]:
    """Measure files of legs; return their figures."""
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        spec, file = condor(Path(folder), NAME)
        stopped, _ = condor(Path(folder), STOPPED)
        return [
            _speed("backtest_condor", spec, progress), _speed("backtest_condor_stops", stopped, progress),
            _search(spec, file, progress), _dask(spec, file, progress),
        ]  # fmt: skip


def condor(folder: Path, name: str) -> tuple[Spec, Path]:
    """A run that is measured, on four months of bars, and its file of legs, in a project made in `folder`."""
    for part in ("config", "strategies"):
        without = shutil.ignore_patterns("accounts.toml", "__pycache__")
        shutil.copytree(_ROOT / part, folder / part, ignore=without, dirs_exist_ok=True)
    text = template_toml(name, TEMPLATES["iron-condor"], "NIFTY")
    if name == NAME:
        text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("stop = "))
        text = text.replace('product = "MIS"', 'product = "MIS"\nstop = "none"')
    file = folder / "config" / "strategies" / f"{name.lower()}.toml"
    file.write_text(text.replace("\n[[legs]]", "\n[risk]\nmax_loss = 3000\n\n[[legs]]", 1), encoding="utf-8")
    columns = bars_of(MONTHS_BARS)
    data = folder / "bars.csv"
    rows = zip(columns.start_ns.tolist(), *(row.tolist() for row in columns.table[:4]), strict=True)
    lines = (",".join(map(str, row)) for row in rows)
    data.write_text("timestamp,open,high,low,close\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return prepare(folder, RunRequest(name, (f"NIFTY={data}",))).spec, file


def bars_of(count: int) -> Columns:
    """So many bars of the made index from January 2024 on."""
    return made(count, seed=3, name=INDEX, first=date(2024, 1, 1), times=21.7)


def _speed(name: str, spec: Spec, progress: Callable[[str], None]) -> Figure:
    progress(f"{name}: both engines, a short and a long run each")
    run(replace(spec, data=(begin_of(spec.data[0], 2 * DAY_BARS),)))  # compiled code is loaded
    run(replace(spec, data=(begin_of(spec.data[0], 2 * DAY_BARS),), lean=False))
    lean, machines = added_speed(spec, SIZES), added_speed(replace(spec, lean=False), SIZES, 5)
    return Figure(
        name=name, value=round(lean), unit="bars/s", goal=f"≥ {LEAST:,} bars/s", met=lean >= LEAST,
        n=SIZES[1], limit=round(machines), ratio=round(lean / machines, 2),
    )  # fmt: skip


def _search(spec: Spec, file: Path, progress: Callable[[str], None]) -> Figure:
    progress(f"optimize_condor: {TRIALS} trials by two processes")
    with local_workers(pack_spec(spec, file), "sharpe", 1, 2) as workers:
        began = time.perf_counter()
        found = search(_plan(spec, TRIALS), workers, (), lambda _trial: None, lambda *_what: None)
        seconds = time.perf_counter() - began
    assert len(found) == TRIALS
    return Figure(
        name="optimize_condor", value=round(seconds, 1), unit="s", goal=f"< {MOST_S:g} s, two processes",
        met=seconds < MOST_S, n=TRIALS, limit=MOST_S, ratio=round(seconds / MOST_S, 3),
    )  # fmt: skip


def _plan(spec: Spec, trials: int) -> StudyPlan:
    assert spec.legs is not None
    return StudyPlan(parse_leg_space(spec.legs, AXES), "sharpe", trials=trials)


def _dask(spec: Spec, file: Path, progress: Callable[[str], None]) -> Figure:
    """The time of a search by one Dask worker over that by two: both have made the prices before."""
    goal = f"≥ {DASK_TIMES:g}× the speed of one worker"
    progress(f"optimize_dask: {DASK_TRIALS} trials by one Dask worker, then by two")
    try:
        one, two = (_dask_seconds(spec, file, count) for count in (1, 2))
    except WorkersError as error:
        return unmeasured("optimize_dask", "times", goal, str(error))
    times = one / two
    return Figure(
        name="optimize_dask", value=round(times, 2), unit="×", goal=goal, met=times >= DASK_TIMES, n=DASK_TRIALS,
        limit=round(one, 2), ratio=round(times, 2),
    )  # fmt: skip


def _dask_seconds(spec: Spec, file: Path, count: int) -> float:
    with _in_silence(), cluster_workers(pack_spec(spec, file), "sharpe", 1, LOCAL_CLUSTER, count) as workers:
        plan = _plan(spec, DASK_TRIALS)
        search(plan, workers, (), lambda _trial: None, lambda *_what: None, list(plan.space.points())[: 4 * count])
        began = time.perf_counter()
        search(plan, workers, (), lambda _trial: None, lambda *_what: None)
        return time.perf_counter() - began


@contextmanager
def _in_silence() -> Iterator[None]:
    """Dask's processes begin in a folder of their own, where they may write."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
