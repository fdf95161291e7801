"""The probability of backtest overfitting, beside a plain implementation of the published procedure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest

from mytrading.backtest.search.overfitting import LEAST_DAYS, Overfitting, cross_validate, overfitting_of
from mytrading.backtest.search.report import SearchWorth, worth_table
from mytrading.backtest.search.trials import Deflated, Stability, Trial
from tests.kit.pages import column_of


def trial(number: int, returns: Sequence[float]) -> Trial:
    return Trial(number=number, parameters={"n": number}, objective=0.0, returns=tuple(returns))


def by_the_book(trials: Sequence[Sequence[float]], blocks: int) -> tuple[float, float, list[float]]:
    """PBO, probability of loss and logits of "The Probability of Backtest Overfitting", step by step over lists."""
    days = len(trials[0])
    size, left = divmod(days, blocks)
    parts, begin = [], 0
    for number in range(blocks):
        end = begin + size + (number < left)
        parts.append(range(begin, end))
        begin = end

    def sharpe(returns: list[float]) -> float:
        deviation = statistics.stdev(returns)
        return statistics.fmean(returns) / deviation if deviation > 1e-12 else 0.0

    logits, losses = [], 0
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        inside = [day for number in chosen for day in parts[number]]
        outside = [day for number in range(blocks) if number not in chosen for day in parts[number]]
        before = [sharpe([returns[day] for day in inside]) for returns in trials]
        after = [sharpe([returns[day] for day in outside]) for returns in trials]
        best = before.index(max(before))
        rank = sum(one < after[best] for one in after) + 1
        omega = rank / (len(trials) + 1)
        logits.append(math.log(omega / (1 - omega)))
        losses += after[best] < 0
    return sum(one <= 1e-12 for one in logits) / len(logits), losses / len(logits), logits


@pytest.mark.parametrize(("days", "count", "blocks"), [(40, 7, 6), (61, 12, 8), (33, 2, 10)])
def test_probability_is_that_of_the_published_procedure(days: int, count: int, blocks: int) -> None:
    drawn = np.random.default_rng(days).normal(0.0, 0.01, (count, days))
    expected, loss, logits = by_the_book(drawn.tolist(), blocks)
    found = cross_validate(drawn.T, blocks)
    assert found.probability == pytest.approx(expected, abs=1e-12)
    assert found.loss == pytest.approx(loss, abs=1e-12)
    assert found.logits == pytest.approx(logits, abs=1e-9)
    assert (found.choices, found.blocks, found.days) == (math.comb(blocks, blocks // 2), blocks, days)


def test_merit_is_not_overfitting_and_the_best_of_noise_is() -> None:
    noise = np.random.default_rng(3).normal(0.0, 0.01, (30, 320))
    merit = noise.copy()
    merit[4] += 0.01
    good = overfitting_of([trial(number, row) for number, row in enumerate(merit.tolist())])
    bad = overfitting_of([trial(number, row) for number, row in enumerate(noise.tolist())])
    assert (good.choices, good.probability, good.loss) == (12_870, 0.0, 0.0)
    assert bad.probability > 0.3


def test_trials_that_never_trade_have_a_ratio_of_nothing() -> None:
    losing = np.random.default_rng(4).normal(-0.01, 0.001, 40).tolist()
    found = overfitting_of([trial(0, losing), trial(1, [0.0] * 40)])
    assert (found.probability, found.loss) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("trials", "text"),
    [
        ([], "found 0 with 0"),
        ([trial(0, [0.1] * 40)], "found 1 with 40"),
        ([trial(0, [0.1] * 7), trial(1, [0.2] * 7)], "found 2 with 7"),
        ([trial(0, [0.1] * 9), trial(1, [0.2] * 8), trial(2, ())], "found 1 with 9"),
    ],
)
def test_too_few_trials_or_days_are_said_with_what_is_needed(trials: list[Trial], text: str) -> None:
    found = overfitting_of(trials)
    assert math.isnan(found.probability)
    assert found.problem == f"needs 2 trials with {LEAST_DAYS} days of returns, {text}"
    worth = SearchWorth(Deflated(math.nan, 0.0, 0, math.nan), Stability(0, math.nan, math.nan), found)
    table = worth_table(worth)
    row = column_of(table, "Measure").index("Probability of backtest overfitting")
    assert (column_of(table, "Value")[row], column_of(table, "Meaning")[row]) == (None, found.problem)


def test_few_days_make_fewer_blocks_that_are_still_even() -> None:
    returns = np.random.default_rng(5).normal(0.0, 0.01, (4, 15)).tolist()
    found = overfitting_of([trial(number, row) for number, row in enumerate(returns)])
    assert (found.blocks, found.choices) == (6, 20)
    assert isinstance(found, Overfitting)
