"""How much of a search's best result is luck: the deflated Sharpe ratio, and how its neighbours fare.

Used by the reports of searches. The deflated Sharpe ratio follows Bailey and López de Prado (2014): the chance that the
true Sharpe ratio is above what the best of so many worthless trials would show. The one rule: what the returns cannot
tell is NaN, never a reassuring number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.search.space import Space
from mytrading.backtest.search.trials import Trial, better

_EULER = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Deflated:
    """Sharpe ratios by period (day), not by year. `probability` that the true one is above `luck`."""

    sharpe: float
    luck: float
    trials: int
    probability: float


def best_of_luck(deviation: float, trials: int) -> float:
    """The Sharpe ratio to be expected of the best of `trials` without merit whose ratios deviate by `deviation`."""
    if trials < 2:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return deviation * ((1 - _EULER) * first + _EULER * second)


def probabilistic_sharpe(returns: NDArray[np.float64], benchmark: float) -> float:
    """The chance that the true Sharpe ratio (by period) is above `benchmark`, by skew and tails; NaN if unknowable."""
    count = len(returns)
    deviation = float(np.std(returns, ddof=1)) if count > 2 else 0.0
    if not deviation > 0:
        return math.nan
    z = (returns - np.mean(returns)) / float(np.std(returns))
    skew, kurtosis = float(np.mean(z**3)), float(np.mean(z**4))
    ratio = float(np.mean(returns)) / deviation
    return above(ratio, benchmark, skew, kurtosis, count)


def above(ratio: float, benchmark: float, skew: float, kurtosis: float, count: int) -> float:
    """The chance that a Sharpe ratio seen over `count` periods is truly above `benchmark`; NaN if unknowable."""
    variance = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    if not variance > 0:
        return math.nan
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(count - 1) / math.sqrt(variance))


def deflated_sharpe(best: Trial, trials: Sequence[Trial]) -> Deflated:
    """The best trial's Sharpe ratio against the luck of all that were tried."""
    ratios = [ratio for trial in trials if math.isfinite(ratio := _by_period(np.asarray(trial.returns)))]
    returns = np.asarray(best.returns)
    luck = best_of_luck(float(np.std(ratios, ddof=1)), len(ratios)) if len(ratios) > 1 else 0.0
    return Deflated(_by_period(returns), luck, len(ratios), probabilistic_sharpe(returns, luck))


def _by_period(returns: NDArray[np.float64]) -> float:
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / deviation if deviation > 0 else math.nan


@dataclass(frozen=True)
class Stability:
    """The best trial among its neighbours, one step away on any axes: their median against it, by rank among all.

    `rank` is the share of all trials that the median neighbour beats: near 1 on a plateau, 0.5 on a lone spike.
    """

    neighbours: int
    median: float
    rank: float


def stability(best: Trial, trials: Sequence[Trial], space: Space, objective: str) -> Stability:
    """How the sets of parameters next to the best fare; neighbours that gave no figure count as the worst."""
    sign = better(objective)
    here = space.index_of(best.parameters)
    worth = {
        space.index_of(trial.parameters): sign * trial.objective if trial.counts else -math.inf for trial in trials
    }
    near = [value for place, value in worth.items() if place != here and _is_next(place, here)]
    if not near:
        return Stability(0, math.nan, math.nan)
    middle = float(np.median(near)) if all(map(math.isfinite, near)) else sorted(near)[len(near) // 2]
    everything = sorted(worth.values())
    rank = sum(value < middle for value in everything) / len(everything)
    return Stability(len(near), sign * middle, rank)


def _is_next(place: tuple[int, ...], here: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 1 for a, b in zip(place, here, strict=True))
