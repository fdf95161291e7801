"""All checks of a strategy on data, in their order.

What cannot be judged is skipped with a reason, never passed in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mytrading.backtest.checks import (
    determinism,
    lookahead,
    monte_carlo,
    restart,
    source_lint,
    vectorized_agreement,
    warm_up,
)
from mytrading.backtest.checks import unused_parameters as used
from mytrading.backtest.checks.findings import CheckFinding, CheckOutcome
from mytrading.backtest.checks.observer import Log, Observer, method_place
from mytrading.backtest.checks.subprocess_run import Elsewhere
from mytrading.backtest.run import Spec

RUNS, SPEED, CHANCE = "runs", "speed", "chance"
CHECKS = (
    RUNS,
    source_lint.NAME,
    determinism.NAME,
    lookahead.NAME,
    warm_up.NAME,
    restart.NAME,
    SPEED,
    used.NAME,
    vectorized_agreement.NAME,
    CHANCE,
)
BUDGET_US = 500.0
"""Microseconds that a call of `on_data` may take at the 99th percentile: fifty strategies on one bar take 25 ms."""
Progress = Callable[[str], None]


@dataclass
class Examined:
    """What all checks said. `entries` and `orders` are None where there were too few round trips."""

    spec: Spec
    whole: Log
    outcomes: list[CheckOutcome] = field(default_factory=list)
    entries: monte_carlo.RandomEntries | None = None
    orders: monte_carlo.ShuffledOrders | None = None

    @property
    def findings(self) -> list[CheckFinding]:
        """All findings, in the order of the checks."""
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    @property
    def holds(self) -> bool:
        """True unless something that must hold does not."""
        return all(outcome.holds for outcome in self.outcomes)


@dataclass(frozen=True)
class CheckRequest:
    """What to examine: the strategy's file (None if it has none), which checks, µs of the budget."""

    file: Path | None = None
    only: Sequence[str] = CHECKS
    budget_us: float = BUDGET_US


def examine(
    spec: Spec, asked: CheckRequest, elsewhere: Elsewhere | None, told: Progress = lambda _check: None
) -> Examined:
    """Run a strategy and all that is asked for; `elsewhere` runs it in another process, None leaves that out."""
    observer = Observer(spec.strategy)
    told(RUNS)
    whole = observer.whole(spec)
    found = Examined(spec, whole)
    found.outcomes.append(_runs(spec, asked.file, whole))
    told(determinism.NAME)
    steady = determinism.determinism(
        spec, asked.file, observer, whole, elsewhere if determinism.NAME in asked.only else None
    )
    for name, check in _checks(spec, asked, observer, found, steady):
        if name not in asked.only:
            continue
        told(name)
        found.outcomes.append(check())
    return found


def _checks(
    spec: Spec, asked: CheckRequest, observer: Observer, found: Examined, steady: CheckOutcome
) -> list[tuple[str, Callable[[], CheckOutcome]]]:
    whole = found.whole

    def compared(name: str, asks: str, check: Callable[[], CheckOutcome]) -> Callable[[], CheckOutcome]:
        return check if steady.holds else lambda: CheckOutcome(name, asks, skipped="two equal runs differ already")

    return [
        (source_lint.NAME, lambda: source_lint.source(asked.file)),
        (determinism.NAME, lambda: steady),
        (lookahead.NAME, compared(lookahead.NAME, "are decisions the same without the bars that come after them?",
                              lambda: lookahead.look_ahead(spec, observer, whole))),
        (warm_up.NAME, compared(warm_up.NAME, "does it decide the same when history begins later?",
                             lambda: warm_up.recursion(spec, observer, whole))),
        (restart.NAME, compared(restart.NAME, "does it decide the same after a restart in the middle of a day?",
                                lambda: restart.restart(spec, observer, whole))),
        (SPEED, lambda: _speed(spec, whole, asked.budget_us)),
        (used.NAME, compared(used.NAME, "does every parameter change something?",
                             lambda: used.parameters(spec, asked.file, observer, whole))),
        (vectorized_agreement.NAME, compared(vectorized_agreement.NAME, vectorized_agreement.ASKS,
                                              lambda: vectorized_agreement.agreement(spec))),
        (CHANCE, lambda: _chance(found)),
    ]  # fmt: skip


def _runs(spec: Spec, asked_file: Path | None, whole: Log) -> CheckOutcome:
    found = CheckOutcome(RUNS, "does it go through the data without an error?")
    assert whole.result is not None
    found.figures = {
        "bars": whole.result.bars,
        "calls": len(whole.took_ns),
        "decisions": len(whole.decisions),
        "trades": len(whole.result.ledger.trades),
        "trade_hash": whole.result.ledger.hash(),
    }
    if whole.fault is not None:
        mine = asked_file is None or asked_file.name in whole.fault.where
        place = whole.fault.where if mine else method_place(spec.strategy)
        found.find(whole.fault.error, place, "mend it: a strategy that fails stands still until a restart")
    elif not whole.decisions:
        found.find(
            "it decided nothing on this data, so little could be checked", method_place(spec.strategy),
            "check it on data on which it trades", must=False,
        )  # fmt: skip
    return found


def _speed(spec: Spec, whole: Log, budget_us: float) -> CheckOutcome:
    found = CheckOutcome(SPEED, f"does a call of on_data take at most {budget_us:g} µs?")
    if not whole.took_ns:
        found.skipped = "on_data was never called"
        return found
    p50, p99, most = (float(value) / 1000 for value in np.percentile(whole.took_ns, (50, 99, 100)))
    found.figures = {"p50_us": round(p50, 2), "p99_us": round(p99, 2), "max_us": round(most, 2), "budget_us": budget_us}
    if p99 > budget_us:
        found.find(
            f"a call of on_data takes {p99:,.0f} µs (p99; p50 {p50:,.0f} µs), more than {budget_us:g} µs",
            method_place(spec.strategy),
            "let indicators do the work over columns (add_indicator, numpy on self.bars(n)) instead of loops over bars",
        )
    return found


def _chance(found: Examined) -> CheckOutcome:
    outcome = CheckOutcome(CHANCE, "could entries and drawdown have been luck? (for reading, fails nothing)")
    assert found.whole.result is not None
    found.entries = monte_carlo.entries(found.whole.result)
    found.orders = monte_carlo.orders(found.whole.result.ledger.trades)
    if found.orders is None:
        outcome.skipped = f"fewer than {monte_carlo.LEAST_TRIPS} round trips"
        return outcome
    spread = np.percentile(found.orders.shuffled, (50, 95, 100))
    outcome.figures = {"round_trips": found.orders.trips}
    if found.entries is None:
        outcome.figures["entries"] = "not judged, the data has no bars of what was traded"
    else:
        outcome.figures |= {
            "mean_return": round(found.entries.own, 8),
            "random_mean_return": round(float(np.mean(found.entries.random)), 8),
            "entry_p": round(found.entries.p, 4),
        }
    outcome.figures |= {
        "drawdown": round(found.orders.own, 2),
        "drawdown_p50": round(float(spread[0]), 2),
        "drawdown_p95": round(float(spread[1]), 2),
        "drawdown_worst": round(float(spread[2]), 2),
    }
    return outcome


def body(found: Examined) -> dict[str, Any]:
    """The object that `--json` ends with."""
    return {
        "strategy": found.spec.run.name,
        "holds": found.holds,
        "findings": [vars(finding) for finding in found.findings],
        "checks": [outcome.body() for outcome in found.outcomes],
    }
