"""Trial of strategies with their parameters: each is loaded, and its `initialize` called, in a process of its own.

Author code runs in the child alone, which may hang, print or die there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mytrading.messages.run_config import StrategyRun

PATIENCE_S = 30.0


class _Trial(msgspec.Struct, frozen=True):
    home: str
    runs: tuple[StrategyRun, ...]


class TrialRefusal(msgspec.Struct, frozen=True):
    """A strategy that would not run, why, and where in its file."""

    strategy: str
    error: str
    where: str

    def __str__(self) -> str:
        return f"{self.strategy} cannot run: {self.where}: {self.error}"


def try_strategies(home: Path, runs: Sequence[StrategyRun], patience_s: float = PATIENCE_S) -> list[TrialRefusal]:
    """Load and initialize strategies in another process, within `patience_s`; returns those that fail (empty: none)."""
    if not runs:
        return []
    names = ", ".join(run.name for run in runs)
    request = msgspec.msgpack.encode(_Trial(str(home), tuple(runs)))
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, input=request, capture_output=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired:
        return [TrialRefusal(names, f"no end of loading and `initialize` within {patience_s:g} s", "one of them")]
    try:
        return msgspec.json.decode(done.stdout, type=list[TrialRefusal])
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        problem = f"the process that tried them ended with {done.returncode}: {last[0]}"
        return [TrialRefusal(names, problem, "one of them")]


def _main() -> None:
    """The child: reads what to try, and answers with the refusals; what authors print goes to the errors."""
    from mytrading.core.engine.strategy_host import NoCallGuard, StrategyHost
    from mytrading.daemons.engine.strategy_files import find_strategies

    answer, sys.stdout = sys.stdout, sys.stderr
    trial = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Trial)
    classes = find_strategies(Path(trial.home), trial.runs)
    tried = [StrategyHost(run, classes[run.name], NoCallGuard()) for run in trial.runs]
    found = [TrialRefusal(one.run.name, one.fault.error, one.fault.where) for one in tried if one.fault is not None]
    answer.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    _main()
