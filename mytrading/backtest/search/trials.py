"""One trial of a search: a backtest with other parameters, and what it came to.

Used by every way of searching, here and on other machines. The one rule: a trial is a value that can be written down;
a strategy that refuses its parameters or faults is a trial with a `problem`, never the end of the search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import msgspec

from mytrading.backtest.asked import AskedWrongly
from mytrading.backtest.columns import DataError
from mytrading.backtest.output import daily_returns, metrics
from mytrading.backtest.runner import Result, Spec, run
from mytrading.strategies.parameters import Parameter

LESS_IS_BETTER = frozenset(("annual_volatility", "downside_risk"))
NET = "net"
OBJECTIVES = (
    "sharpe", "sortino", "calmar", "omega", "total_return", "annual_return", "max_drawdown", "profit_factor",
    "average_trade", "win_rate", "stability", "annual_volatility", "downside_risk", NET,
)  # fmt: skip
"""What a search can strive for: a metric of the report, or rupees after costs."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one set of parameters. `net` is rupees after costs; `returns` simple returns by day.

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
    def counts(self) -> bool:
        """True if it has a figure."""
        return math.isfinite(self.objective)


def evaluate(spec: Spec, number: int, parameters: Mapping[str, Parameter], objective: str, least_trades: int) -> Trial:
    """Run one set of parameters."""
    began = time.perf_counter()
    try:
        result = run(spec.with_parameters(parameters))
    except (DataError, AskedWrongly) as error:
        return Trial(number=number, parameters=dict(parameters), objective=math.nan, problem=str(error))
    return _trial(result, number, parameters, objective, least_trades, time.perf_counter() - began)


def judged(value: float, trips: int, least: int, objective: str, why: str = "") -> tuple[float, str]:
    """The figure to strive for, NaN of fewer than `least` round trips (`why`: more words on that), and its problem."""
    if trips < least:
        return math.nan, f"{trips} round trips, at least {least} are asked for{why}"
    return value, "" if math.isfinite(value) else f"its returns give no {objective}"


def _trial(
    result: Result, number: int, parameters: Mapping[str, Parameter], objective: str, least: int, seconds: float
) -> Trial:
    if result.fault is not None:
        said = f"{result.fault.error} ({result.fault.where})"
        return Trial(
            number=number, parameters=dict(parameters), objective=math.nan, problem=said, seconds=round(seconds, 4)
        )
    found = metrics(result)
    net = result.gross - result.ledger.costs
    count = len(result.ledger.trades)
    value = net if objective == NET else found[objective]
    why = _denied(result) if count < least else ""
    value, problem = judged(value, count, least, objective, why)
    return Trial(
        number=number,
        parameters=dict(parameters),
        objective=value,
        net=round(net, 2),
        trades=count,
        trade_hash=result.ledger.hash(),
        metrics=found,
        returns=tuple(daily_returns(result).tolist()),
        seconds=round(seconds, 4),
        problem=problem,
    )


def _denied(result: Result) -> str:
    """What was denied most often, in the words of its first time: why a run trades so little."""
    if not result.ledger.counts:
        return ""
    code, count = max(result.ledger.counts.items(), key=lambda item: (item[1], item[0]))
    text = next((event.text for event in result.ledger.events if event.code == code), "")
    return f"; {code} {count:,} times{f', first: {text}' if text else ''}"


def better(objective: str) -> int:
    """1 if more of an objective is better, −1 if less is."""
    return -1 if objective in LESS_IS_BETTER else 1


def ranked(trials: Sequence[Trial], objective: str) -> list[Trial]:
    """Those with a figure, the best first; of equals the one tried first."""
    sign = better(objective)
    return sorted(
        (trial for trial in trials if trial.counts), key=lambda trial: (-sign * trial.objective, trial.number)
    )
