"""`mytrading calendar write --check`: the file beside the holidays and hours that a server and the library name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.cli.main import run as main
from tests.support import API_KEY, ROOT, RunningSimulator, start_simulator

Check = Callable[[], tuple[int, dict[str, Any]]]
HOLIDAY = '2026-04-03 = "Good Friday"\n'


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def check(
    simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    for folder in ("config", "strategies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    for name, value in {
        "MYTRADING_HOME": str(tmp_path),
        "MYTRADING_STATE_DIR": str(tmp_path / "state"),
        "OPENALGO_API_HOST": simulator.rest,
        "OPENALGO_WS_PORT": simulator.ws.rpartition(":")[2],
        "OPENALGO_API_KEY": API_KEY,
    }.items():
        monkeypatch.setenv(name, value)

    def command() -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["calendar", "write", "--check", "--year", "2026", "--json"])
        said = capsys.readouterr()
        assert "openalgo" in said.out, said.err
        return int(ended.value.code or 0), json.loads(said.out)

    return command


def test_file_of_the_server_agrees_with_it_and_one_without_a_holiday_does_not(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "config" / "calendar.toml"
    whole = path.read_text(encoding="utf-8")
    body = check()[1]
    assert (body["openalgo"], body["hours"], body["written"]) == ({"missing": {}, "extra": {}}, [], 0)
    assert HOLIDAY in whole
    path.write_text(whole.replace(HOLIDAY, "", 1), encoding="utf-8")
    code, body = check()
    assert (code, body["openalgo"]["missing"]) == (1, {"2026-04-03": "Good Friday"})
    assert path.read_text(encoding="utf-8") == whole.replace(HOLIDAY, "", 1), "a check writes nothing"


def test_hours_that_the_server_gives_otherwise_are_told(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "config" / "calendar.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("close = 15:40:00", "close = 15:35:00"), encoding="utf-8")
    code, body = check()
    assert code == 1
    assert any("NFO: 09:15–15:35 here, 09:15–15:40 there" in text for text in body["hours"]), body["hours"]
