"""What a comparison came to: counts, differences, and the object that `--json` prints.

Every count is of the very lists that are shown.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from mytrading.backtest.parity.explain import Explainer
from mytrading.backtest.parity.facts import Agreement, Cause, ParityDifference
from mytrading.backtest.parity.load import ParityCase
from mytrading.backtest.parity.replay import Replay
from mytrading.backtest.parity.side import DaySide
from mytrading.backtest.results.output import ist

KINDS = ("signal", "order", "fill")


@dataclass(frozen=True)
class ParityVerdict:
    """A day compared. `agreed` are the pairs that are equal; `seconds` those of the walk."""

    case: ParityCase
    strategies: tuple[str, ...]
    stack: DaySide
    backtest: DaySide
    differences: tuple[ParityDifference, ...]
    agreed: tuple[Agreement, ...]
    seconds: float

    @property
    def causes(self) -> dict[str, int]:
        """How many differences each cause has."""
        found = Counter(one.cause for one in self.differences)
        return {cause.value: found[cause] for cause in Cause}

    @property
    def unexplained(self) -> int:
        """Differences that nothing on record explains."""
        return self.causes[Cause.UNEXPLAINED.value]

    @property
    def cost(self) -> float:
        """Rupees that the fills of both sides cost the stack more than the backtest."""
        return round(sum(one.cost for one in self.differences), 2)

    @property
    def trades_equal(self) -> bool:
        """True if both sides traded the same: instruments, sides, quantities, prices and, where asked for, times."""
        return not any(one.kind == "fill" for one in self.differences)


def compare(
    case: ParityCase, strategies: Collection[str] = (), progress: Callable[[int], None] = lambda _: None
) -> ParityVerdict:
    """Walk the machines through the day and explain what differs, of these strategies (none: of all)."""
    began = time.perf_counter()
    backtest = Replay(case.world).run(case.walk(), progress)
    seconds = time.perf_counter() - began
    stack = case.record.side
    if strategies:
        stack, backtest = stack.only(strategies), backtest.only(strategies)
    explainer = Explainer(stack, backtest, case.facts)
    differences = explainer.run()
    names = tuple(strategies) or tuple(run.name for run in case.config.strategies)
    return ParityVerdict(case, names, stack, backtest, tuple(differences), tuple(explainer.agreed), seconds)


def summary(verdict: ParityVerdict) -> dict[str, Any]:
    """The object of `--json`."""
    case = verdict.case
    return {
        "profile": case.config.profile,
        "day": case.record.day,
        "strategies": list(verdict.strategies),
        "source": case.source,
        "quotes": case.quotes,
        "bars": case.bars,
        "stack": counts(verdict.stack),
        "backtest": counts(verdict.backtest),
        "equal": equal(verdict),
        "trades_equal": verdict.trades_equal,
        "causes": verdict.causes,
        "cost": verdict.cost,
        "ok": not verdict.unexplained,
        "differences": [plain(one) for one in verdict.differences],
        "notes": list(case.notes),
        "seconds": round(verdict.seconds, 3),
    }


def counts(side: DaySide) -> dict[str, int]:
    """How many things a side did."""
    return {
        "signals": len(side.signals),
        "orders": len(side.orders),
        "fills": len(side.fills),
        "denials": len(side.denials),
    }


def equal(verdict: ParityVerdict) -> dict[str, int]:
    """How many pairs are equal."""
    found = Counter(one.kind for one in verdict.agreed)
    return {f"{kind}s": found[kind] for kind in KINDS}


def counted(verdict: ParityVerdict) -> list[tuple[str, int, int, int]]:
    """For signals, orders and fills: how many the stack had, the backtest had, and how many are equal."""
    there, here, same = counts(verdict.stack), counts(verdict.backtest), equal(verdict)
    return [(kind, there[kind], here[kind], same[kind]) for kind in same]


def plain(one: ParityDifference) -> dict[str, Any]:
    """A difference as JSON has it."""
    return {**one._asdict(), "cause": one.cause.value, "time": ist(one.at_ns)}
