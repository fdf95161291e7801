"""A simulator that cannot serve says why, also to a program that reads its announcement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mytrading.simulator.__main__ import main


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_simulator_outside_a_project_names_the_folder_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["mytrading simulator", *options])
    assert main() == 2
    said = capsys.readouterr()
    assert f"in {tmp_path / 'config'}, found none" in said.err and "--config-dir" in said.err
    if options:
        assert json.loads(said.out) == {"error": said.err.strip(), "exit": 2}
    else:
        assert said.out == ""
