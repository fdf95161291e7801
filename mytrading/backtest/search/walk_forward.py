"""Walk-forward: parameters are chosen on in-sample days and judged on the out-of-sample days that follow, repeatedly.

The chosen parameters run over both, so that indicators are warm and positions are there; only the out-of-sample days
count. No day is judged with parameters that it helped to choose.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.run import Spec
from mytrading.backtest.search.trials import Trial
from mytrading.core.accounting import performance
from mytrading.core.time import DAY, IST_OFFSET


class WalkError(ValueError):
    """Too few days to walk forward; the message says how many there are."""


@dataclass(frozen=True)
class Fold:
    """Days (since 1970, India): in-sample from `first` to before `split`, out-of-sample from there to before `end`."""

    first: int
    split: int
    end: int
    out_of_sample_days: int


@dataclass(frozen=True)
class WalkForwardStep:
    """One fold: the parameters chosen in-sample, with their trial, and their out-of-sample result."""

    fold: Fold
    best: Trial | None
    returns: tuple[float, ...]
    """By day, out-of-sample."""
    net: float = 0.0
    problem: str = ""


def days_with_bars(spec: Spec) -> NDArray[np.int64]:
    """Return the days with a bar, ascending, as day numbers since 1970-01-01 in India."""
    return np.unique(np.concatenate([(columns.start_ns + IST_OFFSET) // DAY for columns in spec.data]))


def split_days(days: NDArray[np.int64], train: int, test: int, anchored: bool) -> list[Fold]:
    """Split days into folds of `train` then `test` days; `anchored` ones all start at day one. Raises `WalkError`."""
    if train < 1 or test < 1 or len(days) < train + 1:
        raise WalkError(
            f"expected more than {train} days, to choose on and to judge; found {len(days)} days in the data; "
            "give more data, or a shorter --train"
        )
    found = []
    for begin in range(0, len(days) - train, test):
        split, stop = begin + train, min(begin + train + test, len(days))
        first = 0 if anchored else begin
        after = int(days[stop]) if stop < len(days) else int(days[-1]) + 1
        found.append(Fold(int(days[first]), int(days[split]), after, stop - split))
    return found


def restrict_to_days(spec: Spec, first: int, end: int) -> Spec:
    """Return the spec with the bars of days `first` to before `end` only (days since 1970, India)."""
    low, high = first * DAY - IST_OFFSET, end * DAY - IST_OFFSET
    return dataclasses.replace(spec, data=tuple(columns.between(low, high) for columns in spec.data))


def walk_forward_efficiency(steps: Sequence[WalkForwardStep]) -> float:
    """Return mean out-of-sample over mean in-sample return, NaN if the latter is not above 0; above 0.5 is usually
    called robust."""
    walked = [step for step in steps if step.best is not None and len(step.returns) > 1]
    before = [float(np.mean(step.best.returns)) for step in walked if step.best is not None and step.best.returns]
    after = [float(np.mean(step.returns)) for step in walked]
    if not before or not float(np.mean(before)) > 0:
        return math.nan
    return float(np.mean(after)) / float(np.mean(before))


def efficiency_problem(steps: Sequence[WalkForwardStep]) -> str:
    """Return why there is no walk-forward efficiency; empty if there is one."""
    walked = [step for step in steps if step.best is not None and len(step.returns) > 1]
    if not walked:
        return "no fold chose parameters and was judged on more than one day"
    before = [float(np.mean(step.best.returns)) for step in walked if step.best is not None and step.best.returns]
    if not before:
        return "no choice has returns by day"
    if not float(np.mean(before)) > 0:
        return f"the choices lost on their own days ({float(np.mean(before)):.4%} a day), so there is nothing to keep"
    return ""


def out_of_sample_returns(steps: Sequence[WalkForwardStep]) -> NDArray[np.float64]:
    """Return the daily returns of all out-of-sample periods in order; 0 in a fold that chose no parameters."""
    return np.array([value for step in steps for value in (step.returns or (0.0,) * step.fold.out_of_sample_days)])


def summary(steps: Sequence[WalkForwardStep]) -> dict[str, float]:
    """Return the metrics of all out-of-sample days together."""
    return performance.return_figures(out_of_sample_returns(steps))
