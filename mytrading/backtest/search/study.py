"""A search: which sets of parameters are tried next, until enough are, and what is kept of each.

Every finished trial is one line of a file, so a search that was stopped goes on where it was. The file is only ever
added to, and only by the search whose fingerprint its first line names.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import optuna
from msgspec.structs import replace

from mytrading.backtest.run import Spec
from mytrading.backtest.search.space import Parameters, Space
from mytrading.backtest.search.trials import Trial, objective_sign
from mytrading.backtest.search.workers import InProcess, Workers, WorkersError
from mytrading.strategies.parameters import Parameter

METHODS = ("grid", "random", "tpe", "nsga")
FILE = "trials.jsonl"
Progress = Callable[[int, int, Trial], None]
"""Called with each finished trial: how many there are now, how many there will be, and the trial."""


class StudyError(ValueError):
    """A search that cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class StudyPlan:
    """Plan of a search. `trials` 0 means all points of a grid, or 100 of another method."""

    space: Space
    objective: str
    method: str = "grid"
    trials: int = 0
    seed: int = 1

    @property
    def trial_count(self) -> int:
        """Return the number of trials to run in all: as many as asked for, else the whole grid or 100 samples."""
        if self.method == "grid":
            return min(self.trials or len(self.space), len(self.space))
        return min(self.trials or 100, len(self.space))


def fingerprint(spec: Spec, source: str, plan: StudyPlan, least_trades: int = 1) -> str:
    """Return a hash of all that trials depend on: strategy source, bars, objective, and how bars are traded, with the
    content of calendar, contracts and fees. With another hash it is another search."""
    sha = hashlib.sha256(source.encode())
    for columns in spec.data:
        sha.update(f"{columns.instrument} {columns.timeframe}".encode())
        sha.update(columns.start_ns.tobytes())
        sha.update(columns.table.tobytes())
    run = replace(spec.run, file="", parameters={})
    fees = spec.fees.file if spec.fees is not None else None
    how = (spec.capital, spec.models, fees, spec.facts, spec.calendar.content, run, spec.limits, spec.rates,
           least_trades, sorted(spec.run.parameters.items()), sorted(plan.space.fixed.items()), plan.objective,
           type(spec.calendar).__name__)  # fmt: skip
    sha.update(repr(how).encode())
    return sha.hexdigest()[:16]


class TrialsFile:
    """The file of a search's trials; from `read` to `close` no other search has it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / FILE
        self._name = name
        self._fd = -1

    def read(self, fresh: bool = False) -> list[Trial]:
        """Lock the file and return its earlier trials (`fresh`: delete them, return none); `StudyError` if it is locked
        or of another search."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._lines(fresh)
        except BlockingIOError:
            os.close(self._fd)
            self._fd = -1
            raise StudyError(
                f"{self._path}: another search writes to it; wait for its end, or name another folder with --report"
            ) from None
        except BaseException:
            self.close()
            raise

    def _lines(self, fresh: bool) -> list[Trial]:
        if fresh or not self._path.stat().st_size:
            self._path.write_bytes(msgspec.json.encode({"search": self._name}) + b"\n")
            return []
        lines = self._path.read_bytes().split(b"\n")
        try:
            of = msgspec.json.decode(lines[0]).get("search")
        except (msgspec.DecodeError, AttributeError):
            of = None
        if of != self._name:
            raise StudyError(
                f"{self._path} is of another search (strategy, data or options differ); name another folder with "
                f"--report, or begin anew with --fresh"
            )
        found, good = [], [lines[0]]
        for line in lines[1:]:
            try:
                found.append(_read_line(line))
                good.append(line)
            except msgspec.DecodeError:
                continue
        self._path.write_bytes(b"\n".join(good) + b"\n")
        return found

    def close(self) -> None:
        """Close the trials file and release its lock."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # also for workers that were forked meanwhile
            os.close(self._fd)
            self._fd = -1

    def add(self, trial: Trial) -> None:
        """Append one trial to the file."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(trial) + b"\n")


def _read_line(line: bytes) -> Trial:
    """A trial as it was written: JSON has null for NaN."""
    body = msgspec.json.decode(line, type=dict[str, Any])
    metrics = {name: math.nan if value is None else value for name, value in body.get("metrics", {}).items()}
    objective = math.nan if body.get("objective") is None else body["objective"]
    return msgspec.convert({**body, "objective": objective, "metrics": metrics}, Trial)


def known_trials(plan: StudyPlan, before: Sequence[Trial], points: Sequence[Parameters] | None = None) -> list[Trial]:
    """Return the earlier trials whose parameters lie in the plan's space, or among the given `points`."""
    found = [trial for trial in before if plan.space.contains(trial.parameters)]
    if points is None:
        return found
    wanted = {_key(point, plan.space) for point in points}
    return [trial for trial in found if _key(trial.parameters, plan.space) in wanted]


def search(
    plan: StudyPlan, workers: Workers | InProcess, before: Sequence[Trial], keep: Callable[[Trial], None],
    progress: Progress, points: Sequence[Parameters] | None = None,
) -> list[Trial]:  # fmt: skip
    """Run a plan's missing trials (or `points`) on `workers`, calling `keep` with each; returns them and those of
    `before` that lie in the plan. `progress` gets trials done, the number of all, and the newest trial."""
    asking = _Sampled(plan) if plan.method != "grid" and points is None else _Grid(plan, points)
    trials = known_trials(plan, before, points)
    for trial in trials:
        asking.tell(trial)
    running: dict[Future[Trial], Parameters] = {}
    try:
        while True:
            while len(running) < 2 * workers.count and len(trials) + len(running) < plan.trial_count:
                point = asking.ask()
                if point is None:
                    break
                running[workers.submit(len(trials) + len(running), point)] = point
            if not running:
                return trials
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running.pop(future)
            for trial in sorted((future.result() for future in done), key=lambda trial: trial.number):
                keep(trial)
                trials.append(trial)
                asking.tell(trial)
                progress(len(trials), plan.trial_count, trial)
    except BrokenProcessPool as error:
        raise WorkersError(
            f"a worker died, perhaps for want of memory; {len(trials)} trials are kept: try again with fewer --workers"
        ) from error
    finally:
        for future in running:
            future.cancel()


def _key(parameters: Parameters, space: Space) -> tuple[Parameter, ...]:
    return tuple(parameters[axis.name] for axis in space.axes)


class _Grid:
    """Every point once; a part of them, where fewer trials are wanted, spread by a seeded shuffle."""

    def __init__(self, plan: StudyPlan, only: Sequence[Parameters] | None) -> None:
        self._space = plan.space
        self._seen: set[tuple[Parameter, ...]] = set()
        self._left: Iterator[Parameters] = plan.space.points() if only is None else iter(only)
        if only is None and plan.trial_count < len(plan.space):
            points = list(plan.space.points())
            random.Random(plan.seed).shuffle(points)
            self._left = iter(points)

    def ask(self) -> Parameters | None:
        for point in self._left:
            key = _key(point, self._space)
            if key not in self._seen:
                self._seen.add(key)
                return point
        return None

    def tell(self, trial: Trial) -> None:
        self._seen.add(_key(trial.parameters, self._space))


class _Sampled:
    """Points that an optuna sampler thinks worth trying, none of them twice."""

    def __init__(self, plan: StudyPlan) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan = plan
        self._seen: set[tuple[Parameter, ...]] = set()
        directions = optuna.study.StudyDirection
        direction = directions.MINIMIZE if objective_sign(plan.objective) < 0 else directions.MAXIMIZE
        self._study = optuna.create_study(direction=direction, sampler=_sampler(plan))
        self._numeric = {
            axis.name: all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values)
            for axis in plan.space.axes
        }
        # numbers as places on their axis, so that any step is exact and near values are near; texts as texts
        number, text = optuna.distributions.IntDistribution, optuna.distributions.CategoricalDistribution
        self._of: dict[str, Any] = {
            axis.name: number(0, len(axis.values) - 1) if self._numeric[axis.name] else text(axis.values)
            for axis in plan.space.axes
        }
        self._asked: dict[tuple[Parameter, ...], Any] = {}
        self._random = random.Random(plan.seed)

    def ask(self) -> Parameters | None:
        space = self._plan.space
        for _ in range(20):
            asked = self._study.ask(self._of)
            values = {
                axis.name: axis.values[raw] if self._numeric[axis.name] else raw
                for axis, raw in ((axis, asked.params[axis.name]) for axis in space.axes)
            }
            point = {**space.fixed, **values}
            key = _key(point, space)
            if key not in self._seen:
                self._seen.add(key)
                self._asked[key] = asked
                return point
            self._study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        left = [point for point in space.points() if _key(point, space) not in self._seen]
        if not left:
            return None
        point = self._random.choice(left)
        self._seen.add(_key(point, space))
        return point

    def tell(self, trial: Trial) -> None:
        key = _key(trial.parameters, self._plan.space)
        self._seen.add(key)
        asked = self._asked.pop(key, None)
        if asked is not None:
            state = None if trial.has_value else optuna.trial.TrialState.FAIL
            self._study.tell(asked, trial.objective if trial.has_value else None, state=state)
        elif trial.has_value:
            params = {
                axis.name: axis.values.index(value) if self._numeric[axis.name] else value
                for axis, value in ((axis, trial.parameters[axis.name]) for axis in self._plan.space.axes)
            }
            self._study.add_trial(
                optuna.trial.create_trial(params=params, distributions=self._of, value=trial.objective)
            )


def _sampler(plan: StudyPlan) -> Any:
    samplers = optuna.samplers
    if plan.method == "tpe":
        return samplers.TPESampler(seed=plan.seed, multivariate=True, constant_liar=True)
    return samplers.NSGAIISampler(seed=plan.seed) if plan.method == "nsga" else samplers.RandomSampler(seed=plan.seed)
