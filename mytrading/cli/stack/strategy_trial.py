"""Whether strategies take their parameters: each is loaded, and its `initialize` called, in a process of its own.

Used by `mytrading config check`. The one rule: author code runs in the child alone, which may hang, print or die there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mytrading.messages.runconfig import StrategyRun

PATIENCE_S = 30.0


class _Trial(msgspec.Struct, frozen=True):
    home: str
    runs: tuple[StrategyRun, ...]


class Refusal(msgspec.Struct, frozen=True):
    """A strategy that would not run, why, and where in its file."""

    strategy: str
    error: str
    where: str

    def __str__(self) -> str:
        return f"{self.strategy} cannot run: {self.where}: {self.error}"


def refusals(home: Path, runs: Sequence[StrategyRun], patience_s: float = PATIENCE_S) -> list[Refusal]:
    """Those of the strategies that fault before their first bar; files of classes are below `home`."""
    if not runs:
        return []
    names = ", ".join(run.name for run in runs)
    asked = msgspec.msgpack.encode(_Trial(str(home), tuple(runs)))
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired:
        return [Refusal(names, f"no end of loading and `initialize` within {patience_s:g} s", "one of them")]
    try:
        return msgspec.json.decode(done.stdout, type=list[Refusal])
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        return [Refusal(names, f"the process that tried them ended with {done.returncode}: {last[0]}", "one of them")]


def _main() -> None:
    """The child: reads what to try, and answers with the refusals; what authors print goes to the errors."""
    from mytrading.daemons.engine_files import classes_of
    from mytrading.strategies.hosted import Hosted, NoGuard

    answer, sys.stdout = sys.stdout, sys.stderr
    trial = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Trial)
    classes = classes_of(Path(trial.home), trial.runs)
    tried = [Hosted(run, classes[run.name], NoGuard()) for run in trial.runs]
    found = [Refusal(one.run.name, one.fault.error, one.fault.where) for one in tried if one.fault is not None]
    answer.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    _main()
