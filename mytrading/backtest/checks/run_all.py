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
    lean_agreement,
    lookahead,
    monte_carlo,
    restart,
    source_lint,
    unused_parameters,
    vectorized_agreement,
    warm_up,
)
from mytrading.backtest.checks.determinism import OtherProcess
from mytrading.backtest.checks.observer import CheckFinding, CheckOutcome, Log, Observer, method_line
from mytrading.backtest.run import Spec

RUNS, SPEED, CHANCE = "runs", "speed", "chance"
CHECKS = (
    RUNS, source_lint.NAME, determinism.NAME, lean_agreement.NAME, lookahead.NAME, warm_up.NAME, restart.NAME, SPEED,
    unused_parameters.NAME, vectorized_agreement.NAME, CHANCE,
)  # fmt: skip
_COMPARING = {
    check.NAME: check.ASKS
    for check in (lean_agreement, lookahead, warm_up, restart, unused_parameters, vectorized_agreement)
}
"""Checks that compare runs, which means something only where two equal runs decide the same."""
BUDGET_US = 500.0
"""Microseconds that a call of `on_data` may take at the 99th percentile: fifty strategies on one bar take 25 ms."""
Progress = Callable[[str], None]


@dataclass
class CheckResults:
    """Results of all checks. `entries` and `orders` are None where there were too few trades."""

    spec: Spec
    whole: Log
    outcomes: list[CheckOutcome] = field(default_factory=list)
    entries: monte_carlo.Draws | None = None
    orders: monte_carlo.Draws | None = None

    @property
    def findings(self) -> list[CheckFinding]:
        """Return the findings of all checks, in the order of the checks."""
        return [finding for outcome in self.outcomes for finding in outcome.findings]

    @property
    def passes(self) -> bool:
        """True unless a check has a finding that fails it."""
        return all(outcome.passes for outcome in self.outcomes)


@dataclass(frozen=True)
class CheckRequest:
    """Subject of the checks: the strategy's file (None if it has none), which checks, µs of the budget."""

    file: Path | None = None
    only: Sequence[str] = CHECKS
    budget_us: float = BUDGET_US


def run_checks(
    spec: Spec, request: CheckRequest, other: OtherProcess | None, progress: Progress = lambda _check: None
) -> CheckResults:
    """Backtest a strategy and run the requested checks on it; `other` reruns it in a new process (None skips that
    check). `progress` gets each check's name."""
    observer = Observer(spec.strategy)
    progress(RUNS)
    whole = observer.record_run(spec)
    found = CheckResults(spec, whole, [_runs(spec, request.file, whole)])
    steady = determinism.check_determinism(
        spec, request.file, observer, whole, other if determinism.NAME in request.only else None
    )
    checks: dict[str, Callable[[], CheckOutcome]] = {
        source_lint.NAME: lambda: source_lint.check_source(request.file),
        determinism.NAME: lambda: steady,
        lean_agreement.NAME: lambda: _engines(spec, whole),
        lookahead.NAME: lambda: lookahead.check_look_ahead(spec, observer, whole),
        warm_up.NAME: lambda: warm_up.check_warm_up(spec, observer, whole),
        restart.NAME: lambda: restart.check_restart(spec, observer, whole),
        SPEED: lambda: _speed(spec, whole, request.budget_us),
        unused_parameters.NAME: lambda: unused_parameters.check_parameters(spec, request.file, observer, whole),
        vectorized_agreement.NAME: lambda: vectorized_agreement.check_agreement(spec),
        CHANCE: lambda: _chance(found),
    }
    for name, check in checks.items():
        if name in request.only:
            progress(name)
            judged = steady.passes or name not in _COMPARING
            skipped = "two equal runs differ already"
            found.outcomes.append(check() if judged else CheckOutcome(name, _COMPARING[name], skipped=skipped))
    return found


def _runs(spec: Spec, file: Path | None, whole: Log) -> CheckOutcome:
    found = CheckOutcome(RUNS, "does it go through the data without an error?")
    assert whole.result is not None
    found.figures = {
        "bars": whole.result.bars,
        "calls": len(whole.took_ns),
        "decisions": len(whole.decisions),
        "trades": len(whole.result.ledger.trades),
        "trade_hash": whole.result.ledger.trade_hash(),
    }
    if whole.fault is not None:
        mine = file is None or file.name in whole.fault.where
        place = whole.fault.where if mine else method_line(spec.strategy)
        found.add(whole.fault.error, place, "mend it: a strategy that fails stands still until a restart")
    elif not whole.decisions:
        found.add(
            "it decided nothing on this data, so little could be checked", method_line(spec.strategy),
            "check it on data on which it trades", must=False,
        )  # fmt: skip
    return found


def _engines(spec: Spec, whole: Log) -> CheckOutcome:
    assert whole.result is not None
    return lean_agreement.check_engines(spec, whole.result)


def _speed(spec: Spec, whole: Log, budget_us: float) -> CheckOutcome:
    found = CheckOutcome(SPEED, f"does a call of on_data take at most {budget_us:g} µs?")
    if not whole.took_ns:
        found.skipped = "on_data was never called"
        return found
    p50, p99, most = (float(value) / 1000 for value in np.percentile(whole.took_ns, (50, 99, 100)))
    found.figures = {"p50_us": round(p50, 2), "p99_us": round(p99, 2), "max_us": round(most, 2), "budget_us": budget_us}
    if p99 > budget_us:
        found.add(
            f"a call of on_data takes {p99:,.0f} µs (p99; p50 {p50:,.0f} µs), more than {budget_us:g} µs",
            method_line(spec.strategy),
            "let indicators do the work over columns (add_indicator, numpy on self.bars(n)) instead of loops over bars",
        )
    return found


def _chance(found: CheckResults) -> CheckOutcome:
    outcome = CheckOutcome(CHANCE, "could entries and drawdown have been luck? (for reading, fails nothing)")
    assert found.whole.result is not None
    found.entries = monte_carlo.compare_random_entries(found.whole.result)
    found.orders = monte_carlo.compare_reshuffled_trades(found.whole.result.ledger.trades)
    if found.orders is None:
        outcome.skipped = f"fewer than {monte_carlo.LEAST_TRADES} trades"
        return outcome
    spread = np.percentile(found.orders.drawn, (50, 95, 100))
    outcome.figures = {"round_trips": found.orders.trades}
    if found.entries is None:
        outcome.figures["entries"] = "not judged, the data has no bars of what was traded"
    else:
        outcome.figures |= {
            "mean_return": round(found.entries.own, 8),
            "random_mean_return": round(float(np.mean(found.entries.drawn)), 8),
            "entry_p": round(found.entries.p_value, 4),
        }
    outcome.figures |= {
        "drawdown": round(found.orders.own, 2),
        "drawdown_p50": round(float(spread[0]), 2),
        "drawdown_p95": round(float(spread[1]), 2),
        "drawdown_worst": round(float(spread[2]), 2),
    }
    return outcome


def json_body(found: CheckResults) -> dict[str, Any]:
    """Return the results of all checks as the object that `--json` prints last."""
    return {
        "strategy": found.spec.run.name,
        "holds": found.passes,
        "findings": [vars(finding) for finding in found.findings],
        "checks": [outcome.json_body() for outcome in found.outcomes],
    }
