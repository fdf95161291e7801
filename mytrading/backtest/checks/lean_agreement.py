"""Engines: the lean engine makes the run exactly as the machines made it.

The machines are the judge: on a difference their result stands, and the check fails.
"""

from __future__ import annotations

from itertools import zip_longest

from mytrading.backtest.checks.observer import CheckOutcome
from mytrading.backtest.engine.ledger import Fill, Ledger
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import LEAN, RunResult, Spec, run

NAME = "engines"
ASKS = "does the lean engine make the run as the machines make it?"
_CURE = "the machines' result stands: run it with --machines, and report the strategy, its settings and the bar"


def check_engines(spec: Spec, by_machines: RunResult) -> CheckOutcome:
    """Check that both engines make the same fills, trades and events; not judged where the machines alone can."""
    found = CheckOutcome(NAME, ASKS)
    lean = run(spec)
    if lean.engine != LEAN:
        found.skipped = f"the machines make this run: {lean.note}" if lean.note else "the machines make this run"
        return found
    found.figures = {"fills": len(by_machines.ledger.fills), "events": len(by_machines.ledger.events)}
    if difference := ledger_difference(lean.ledger, by_machines.ledger):
        found.add(difference, cure=_CURE)
    return found


def ledger_difference(lean: Ledger, machines: Ledger) -> str:
    """Say where the ledgers of a lean run and one of the machines differ first; empty if nowhere."""
    for number, (here, there) in enumerate(zip_longest(lean.fills, machines.fills), 1):
        if here != there:
            return f"fill {number} is {_text(here)} by the lean engine, {_text(there)} by the machines"
    for event, other in zip_longest(lean.events, machines.events):
        if event != other:
            one, two = (f"{found.code} at {iso_ist(found.at_ns)}" if found else "none" for found in (event, other))
            return f"an event is {one} by the lean engine, {two} by the machines"
    return "" if lean.trades == machines.trades else "round trips of the same fills differ"


def _text(fill: Fill | None) -> str:
    return f"{fill.units:+d} at {fill.price:g} at {iso_ist(fill.at_ns)}" if fill is not None else "none"
