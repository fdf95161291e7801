"""One trial of a search: a backtest with other parameters, and what it came to.

A trial is a value that can be written down; a strategy that refuses its parameters or faults is a trial with a
`problem`, never the end of the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import DataError
from mytrading.backtest.data.load import RequestError
from mytrading.backtest.results.output import daily_returns, metrics
from mytrading.backtest.run import RunResult, Spec, run
from mytrading.backtest.search.space import Space
from mytrading.strategies.parameters import Parameter

LESS_IS_BETTER = frozenset(("annual_volatility", "downside_risk"))
NET = "net"
OBJECTIVES = (
    "sharpe", "sortino", "calmar", "omega", "total_return", "annual_return", "max_drawdown", "profit_factor",
    "average_trade", "win_rate", "stability", "annual_volatility", "downside_risk", NET,
)  # fmt: skip
"""Objectives that a search can maximise (or minimise): a metric of the report, or rupees after costs."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one set of parameters. `net` is rupees after costs; `returns` simple returns by day.

    `objective` is NaN and `problem` says why where the parameters give no figure.
    """

    number: int
    parameters: dict[str, Parameter]
    objective: float
    net: float = 0.0
    trades: int = 0
    trade_hash: str = ""
    metrics: dict[str, float] = {}
    returns: tuple[float, ...] = ()
    seconds: float = 0.0
    problem: str = ""

    @property
    def has_value(self) -> bool:
        """True if the trial has a value of the objective."""
        return math.isfinite(self.objective)


def evaluate(spec: Spec, number: int, parameters: Mapping[str, Parameter], objective: str, least_trades: int) -> Trial:
    """Backtest one set of parameters as trial `number`, without objective value if it fails or makes too few trades."""
    began = time.perf_counter()
    try:
        result = run(spec.with_parameters(parameters))
    except (DataError, RequestError) as error:
        return failed_trial(number, parameters, str(error))
    seconds = round(time.perf_counter() - began, 4)
    if result.fault is not None:
        return failed_trial(number, parameters, f"{result.fault.error} ({result.fault.where})", seconds)
    found = metrics(result)
    net = result.gross - result.ledger.costs
    count = len(result.ledger.trades)
    why = _most_denied(result) if count < least_trades else ""
    value, problem = objective_value(net if objective == NET else found[objective], count, least_trades, objective, why)
    return Trial(
        number=number, parameters=dict(parameters), objective=value, net=round(net, 2), trades=count,
        trade_hash=result.ledger.trade_hash(), metrics=found, returns=tuple(daily_returns(result).tolist()),
        seconds=seconds, problem=problem,
    )  # fmt: skip


def failed_trial(number: int, parameters: Mapping[str, Parameter], problem: str, seconds: float = 0.0) -> Trial:
    """Return the trial of a failed run: without an objective value, with the problem's text."""
    return Trial(number=number, parameters=dict(parameters), objective=math.nan, problem=problem, seconds=seconds)


def objective_value(value: float, trades: int, least: int, objective: str, why: str = "") -> tuple[float, str]:
    """Return the value and a problem text (empty: none); NaN below `least` trades, `why` appended to the text."""
    if trades < least:
        return math.nan, f"{trades} trades, at least {least} are asked for{why}"
    return value, "" if math.isfinite(value) else f"its returns give no {objective}"


def _most_denied(result: RunResult) -> str:
    """The denial that came most often, with the text of its first time: why a run trades so little."""
    if not result.ledger.counts:
        return ""
    code, count = max(result.ledger.counts.items(), key=lambda item: (item[1], item[0]))
    text = next((event.text for event in result.ledger.events if event.code == code), "")
    return f"; {code} {count:,} times{f', first: {text}' if text else ''}"


def objective_sign(objective: str) -> int:
    """Return 1 if a higher value of the objective is better, −1 if a lower one is."""
    return -1 if objective in LESS_IS_BETTER else 1


def rank_trials(trials: Sequence[Trial], objective: str) -> list[Trial]:
    """Return the trials that have an objective value, best first, of equals the earlier one first."""
    sign = objective_sign(objective)
    return sorted(
        (trial for trial in trials if trial.has_value), key=lambda trial: (-sign * trial.objective, trial.number)
    )


_EULER = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Deflated:
    """Sharpe ratios by period (day), not by year. `probability` that the true one is above `luck`."""

    sharpe: float
    luck: float
    trials: int
    probability: float


def expected_best_sharpe(deviation: float, trials: int) -> float:
    """Return the Sharpe ratio that luck alone gives the best of `trials` strategies whose ratios have this standard
    `deviation`."""
    if trials < 2:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return deviation * ((1 - _EULER) * first + _EULER * second)


def probabilistic_sharpe(ratio: float, benchmark: float, skew: float, kurtosis: float, count: int) -> float:
    """Return the probabilistic Sharpe ratio: the probability that the true ratio exceeds `benchmark`. Both ratios are
    per return, not annualised; `kurtosis` is 3 for normal returns; `count`: number of returns. NaN if undefined."""
    variance = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    if not variance > 0:
        return math.nan
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(count - 1) / math.sqrt(variance))


def deflated_sharpe(best: Trial, trials: Sequence[Trial]) -> Deflated:
    """Compute the best trial's deflated Sharpe ratio, which accounts for the number of trials."""
    ratios = [ratio for trial in trials if math.isfinite(ratio := _by_period(np.asarray(trial.returns)))]
    returns, probability = np.asarray(best.returns), math.nan
    luck = expected_best_sharpe(float(np.std(ratios, ddof=1)), len(ratios)) if len(ratios) > 1 else 0.0
    sharpe = _by_period(returns)
    if len(returns) > 2 and math.isfinite(sharpe):
        z = (returns - np.mean(returns)) / float(np.std(returns))
        probability = probabilistic_sharpe(sharpe, luck, float(np.mean(z**3)), float(np.mean(z**4)), len(returns))
    return Deflated(sharpe, luck, len(ratios), probability)


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


def stability_of(best: Trial, trials: Sequence[Trial], space: Space, objective: str) -> Stability:
    """Compare the best trial with its neighbours in parameter space; neighbours without figure count as worst."""
    sign = objective_sign(objective)
    here = space.index_of(best.parameters)
    worth = {
        space.index_of(trial.parameters): sign * trial.objective if trial.has_value else -math.inf for trial in trials
    }
    near = [
        value
        for place, value in worth.items()
        if place != here and all(abs(a - b) <= 1 for a, b in zip(place, here, strict=True))
    ]
    if not near:
        return Stability(0, math.nan, math.nan)
    middle = float(np.median(near)) if all(map(math.isfinite, near)) else sorted(near)[len(near) // 2]
    everything = sorted(worth.values())
    return Stability(len(near), sign * middle, sum(value < middle for value in everything) / len(everything))
