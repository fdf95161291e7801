"""Determinism: the same bars lead to the same decisions, in this process and in another one.

If they do not, no other check that compares runs means anything, and none is made.
"""

from __future__ import annotations

from pathlib import Path

from mytrading.backtest.checks.findings import CheckOutcome
from mytrading.backtest.checks.lookahead import first_difference, told
from mytrading.backtest.checks.observer import Decision, Log, Observer, method_place
from mytrading.backtest.checks.subprocess_run import HASH_SEED, Elsewhere, ElsewhereFailed
from mytrading.backtest.results.output import ist
from mytrading.backtest.run import Spec

NAME = "determinism"
_STATE = "keep what it remembers in self (made anew in initialize) or in self.memory, not in the module or the class"
_SEED = "use no clock, no chance, no order of sets, no hash() or id(); sort what comes out of a set"


def determinism(
    spec: Spec, file: Path | None, observer: Observer, whole: Log, elsewhere: Elsewhere | None
) -> CheckOutcome:
    """Run it again here, and in a process of its own. Leaves the faster time of each call in `whole`."""
    found = CheckOutcome(NAME, "do the same bars lead to the same decisions every time?")
    again = observer.again(spec, whole)
    _tell(spec, found, whole, again.decisions, "a second run in the same process", _STATE)
    if len(again.took_ns) == len(whole.took_ns):
        whole.took_ns = [min(pair) for pair in zip(whole.took_ns, again.took_ns, strict=True)]
    if (again.fault is None) != (whole.fault is None) and not found.findings:
        fault = again.fault or whole.fault
        assert fault is not None
        found.find(f"one of two runs fails: {fault.error}", fault.where, _STATE)
    found.figures["runs"] = 2
    if file is None or elsewhere is None or found.findings:
        return found
    try:
        decisions, fault_there = elsewhere.run(spec, file)
    except ElsewhereFailed as error:
        found.find(str(error), cure="run the check again; if it stays, something ends the process", must=True)
        return found
    found.figures["runs"] = 3
    if fault_there and whole.fault is None:
        found.find(f"fails in another process: {fault_there}", method_place(spec.strategy), _SEED)
    else:
        _tell(spec, found, whole, decisions, f"another process with PYTHONHASHSEED={HASH_SEED}", _SEED)
    return found


def _tell(spec: Spec, found: CheckOutcome, whole: Log, decisions: list[Decision], place: str, cure: str) -> None:
    pair = first_difference(whole.decisions, decisions)
    if pair is None:
        return
    there, here = pair
    one = next(item for item in pair if item is not None)
    found.find(
        f"at {ist(one.at_ns)} it decided {told(there)} in the first run, {told(here)} in {place}",
        one.where or method_place(spec.strategy),
        cure,
    )
