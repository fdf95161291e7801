"""The same run in another process, with another seed of Python's hashes: what is decided there must be the same.

The process is `python -m mytrading.backtest.checks.subprocess_run`: runs come in on stdin as pickled frames, decisions
go out on stdout. It serves one run after the other, each with a freshly loaded file. What the author prints there goes
to stderr, never among the answers.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from mytrading.backtest.checks.observer import Decision, Observer
from mytrading.backtest.run import Spec
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies.base_strategy import BaseStrategy

HASH_SEED = "4711"
_LENGTH = struct.Struct("!Q")


class ElsewhereFailed(RuntimeError):
    """The other process did not answer; the message says what it said."""


class Elsewhere:
    """The other process; use it in a `with` block. It is started with the first run."""

    def __init__(self, hash_seed: str = HASH_SEED) -> None:
        self._seed = hash_seed
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def run(self, spec: Spec, file: Path) -> tuple[list[Decision], str]:
        """The decisions of a spec whose strategy stands in a file, and its fault in words (empty for none)."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        bare = dataclasses.replace(spec, strategy=BaseStrategy)
        try:
            _send(process.stdin, (bare, str(file), spec.strategy.__name__))
            answer = _receive(process.stdout)
        except (BrokenPipeError, EOFError) as error:
            raise ElsewhereFailed(f"the other process ended with code {process.wait(5)}") from error
        decisions, fault = answer
        return decisions, fault

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mytrading.backtest.checks.subprocess_run"]
        environment = {**os.environ, "PYTHONHASHSEED": self._seed}
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def _send(stream: BinaryIO | Any, body: Any) -> None:
    data = pickle.dumps(body)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _receive(stream: BinaryIO | Any) -> Any:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(_LENGTH.unpack(head)[0]))


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            spec, file, name = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, _answer(spec, Path(file), name))


def _answer(spec: Spec, file: Path, name: str) -> tuple[list[Decision], str]:
    loaded = load_file(file, BaseStrategy)
    found = next((item for item in loaded.classes if item.__name__ == name), None)
    if found is None:
        said = loaded.fault.message if loaded.fault is not None else f"no {name} in it"
        return [], f"{file.name}: {said}"
    log = Observer(found).whole(dataclasses.replace(spec, strategy=found))
    return log.decisions, log.fault.error if log.fault is not None else ""


if __name__ == "__main__":
    _serve()
