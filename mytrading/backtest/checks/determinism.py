"""Determinism: the same bars lead to the same decisions, in this process and in another one.

If they do not, no other check that compares runs means anything, and none is made. The other process is this module run
as a program, with another seed of Python's hashes: specs come in on stdin, decisions go out on stdout, pickled, one run
after the other, each with a freshly loaded file. What the author prints there goes to stderr.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO, Self

from mytrading.backtest.checks.observer import CheckOutcome, Decision, Log, Observer, first_difference, method_line
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import Spec
from mytrading.backtest.search.workers import Payload, PayloadError, pack_spec

NAME = "determinism"
HASH_SEED = "4711"
_STATE = "keep what it remembers in self (made anew in initialize) or in self.memory, not in the module or the class"
_SEED = "use no clock, no chance, no order of sets, no hash() or id(); sort what comes out of a set"


class ProcessFailed(RuntimeError):
    """The other process did not answer; the message has its exit code."""


class OtherProcess:
    """Runs strategies in another process; use it in a `with` block. It is started with the first run."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def run(self, spec: Spec, file: Path) -> tuple[list[Decision], str]:
        """Run a spec in the other process; return its decisions and the strategy's fault text (empty for none)."""
        if self._process is None:
            command = [sys.executable, "-m", "mytrading.backtest.checks.determinism"]
            environment = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _send(process.stdin, pack_spec(spec, file))
            decisions, fault = pickle.load(process.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
            raise ProcessFailed(f"the other process ended with code {process.wait(5)}") from error
        return decisions, fault


def _send(stream: BinaryIO | Any, body: Any) -> None:
    stream.write(pickle.dumps(body))
    stream.flush()


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            payload: Payload = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            spec = payload.load_spec()
        except PayloadError as error:
            _send(answers, ([], str(error)))
            continue
        log = Observer(spec.strategy).record_run(spec)
        _send(answers, (log.decisions, log.fault.error if log.fault is not None else ""))


def check_determinism(
    spec: Spec, file: Path | None, observer: Observer, whole: Log, other: OtherProcess | None
) -> CheckOutcome:
    """Check that two repetitions of the full run `whole` make the same decisions: one here, one in another process.

    `other` is that process; None skips it. `whole.took_ns` is changed: each call gets the faster of its two times here.
    """
    found = CheckOutcome(NAME, "do the same bars lead to the same decisions every time?")
    again = observer.replay(spec, whole)
    _compare(spec, found, whole, again.decisions, "a second run in the same process", _STATE)
    if len(again.took_ns) == len(whole.took_ns):
        whole.took_ns = [min(pair) for pair in zip(whole.took_ns, again.took_ns, strict=True)]
    if (again.fault is None) != (whole.fault is None) and not found.findings:
        fault = again.fault or whole.fault
        assert fault is not None
        found.add(f"one of two runs fails: {fault.error}", fault.where, _STATE)
    found.figures["runs"] = 2
    if file is None or other is None or found.findings:
        return found
    try:
        decisions, fault_there = other.run(spec, file)
    except ProcessFailed as error:
        found.add(str(error), cure="run the check again; if it stays, something ends the process", must=True)
        return found
    found.figures["runs"] = 3
    if fault_there and whole.fault is None:
        found.add(f"fails in another process: {fault_there}", method_line(spec.strategy), _SEED)
    else:
        _compare(spec, found, whole, decisions, f"another process with PYTHONHASHSEED={HASH_SEED}", _SEED)
    return found


def _compare(spec: Spec, found: CheckOutcome, whole: Log, decisions: list[Decision], place: str, cure: str) -> None:
    if difference := first_difference(whole.decisions, decisions):
        there, here = difference.actions
        what = f"at {iso_ist(difference.at_ns)} it decided {there} in the first run, {here} in {place}"
        found.add(what, difference.code_line(spec), cure)


if __name__ == "__main__":
    _serve()
