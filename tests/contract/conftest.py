"""Fixtures of the tests that speak to a running simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.cli.main import run
from tests.kit.in_process_command import Command
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator


@pytest.fixture(scope="module")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """One simulator for a file whose tests only read."""
    with start_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def command(
    shared_simulator: RunningSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """The command line of a home whose server is that simulator."""
    for name, value in {
        "MYTRADING_HOME": str(ROOT), "MYTRADING_STATE_DIR": str(tmp_path / "state"),
        "OPENALGO_API_HOST": shared_simulator.rest, "OPENALGO_API_KEY": API_KEY,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run([*arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command
