"""Probability of backtest overfitting (Bailey, Borwein, López de Prado, Zhu) by combinatorially symmetric
cross-validation.

The days are cut into an even number of blocks. For every choice of half of them the best trial by Sharpe ratio on that
half is looked up on the other half; the probability is the share of choices in which it came out no better there than
the middle of all trials.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.search.trials import Trial

BLOCKS = 16
"""At most; 12,870 choices."""
LEAST_DAYS = 8
_AT_ONCE = 2_000_000


class Overfitting(NamedTuple):
    """Result of cross-validation; with too few trials or days `problem` says so, and figures are NaN."""

    probability: float = math.nan
    """Share (0 to 1) of choices in which the best trial was no better than the middle of all on the other half."""
    loss: float = math.nan
    """Share of choices in which the best trial lost on the other half."""
    choices: int = 0
    blocks: int = 0
    days: int = 0
    trials: int = 0
    logits: tuple[float, ...] = ()
    """By choice, the logarithm of the best trial's odds to beat another on the other half; 0: the middle."""
    problem: str = ""


def overfitting_of(trials: Sequence[Trial]) -> Overfitting:
    """Judge a search by the daily returns of its trials; those of another length than most are left out."""
    lengths = Counter(len(trial.returns) for trial in trials if trial.returns)
    days = max(lengths, key=lambda length: (lengths[length], length), default=0)
    mine = [trial.returns for trial in trials if len(trial.returns) == days]
    if days < LEAST_DAYS or len(mine) < 2:
        return Overfitting(
            days=days, trials=len(mine),
            problem=f"needs 2 trials with {LEAST_DAYS} days of returns, found {len(mine)} with {days}",
        )  # fmt: skip
    return cross_validate(np.array(mine).T, min(BLOCKS, days // 2 // 2 * 2))


def cross_validate(returns: NDArray[np.float64], blocks: int) -> Overfitting:
    """Judge by a matrix of returns, a row for each day and a column for each trial; `blocks` is even and at least 2.
    Equal ratios share their ranks; a trial whose returns do not vary has a ratio of 0."""
    days, trials = returns.shape
    parts = np.array_split(returns, blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([np.square(part).sum(axis=0) for part in parts])
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, taken in enumerate(itertools.combinations(range(blocks), blocks // 2)):
        chosen[row, taken] = 1.0
    logits, lost = [], 0
    step = max(1, _AT_ONCE // trials)
    for begin in range(0, len(chosen), step):
        inside = chosen[begin : begin + step]
        best = np.argmax(_ratios(inside, counts, sums, squares), axis=1)
        after = _ratios(1.0 - inside, counts, sums, squares)
        own = after[np.arange(len(best)), best][:, None]
        rank = np.sum(after < own, axis=1) + (np.sum(after == own, axis=1) + 1) / 2
        share = rank / (trials + 1)
        logits += np.log(share / (1.0 - share)).tolist()
        lost += int(np.sum(own < 0))
    found = np.array(logits)
    return Overfitting(
        float(np.mean(found <= 1e-12)), lost / len(chosen), len(chosen), blocks, days, trials, tuple(logits)
    )


def _ratios(
    taken: NDArray[np.float64], counts: NDArray[np.float64], sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sharpe ratios by day of each choice of blocks (rows) and trial (columns)."""
    count = (taken @ counts)[:, None]
    total, square = taken @ sums, taken @ squares
    variance = (square - total * total / count) / (count - 1.0)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    some = deviation > 1e-12
    return np.where(some, total / count / np.where(some, deviation, 1.0), 0.0)
