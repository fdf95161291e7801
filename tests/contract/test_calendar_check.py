"""`mytrading calendar write --check`: the file beside the holidays and hours that a server and the library name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.cli.main import run as main
from tests.kit.project import copy_project
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator

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
    copy_project(tmp_path)
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
        code, body = int(ended.value.code or 0), json.loads(capsys.readouterr().out)
        assert {*body, *body["not_compared"]} > {"library", "openalgo"}
        return code, body

    return command


def test_file_of_the_server_agrees_with_it_and_one_without_a_holiday_does_not(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "config" / "calendar.toml"
    whole = path.read_text(encoding="utf-8")
    code, body = check()
    assert (body["openalgo"], body["hours"], body["written"]) == ({"missing": {}, "extra": {}}, [], 0)
    assert (code, body["not_compared"]) == (0, {})
    assert HOLIDAY in whole
    path.write_text(whole.replace(HOLIDAY, "", 1), encoding="utf-8")
    code, body = check()
    assert (code, body["openalgo"]["missing"]) == (1, {"2026-04-03": "Good Friday"})
    assert path.read_text(encoding="utf-8") == whole.replace(HOLIDAY, "", 1), "a check writes nothing"


def test_hours_that_the_server_gives_otherwise_are_reported(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "config" / "calendar.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("close = 15:40:00", "close = 15:35:00"), encoding="utf-8")
    code, body = check()
    assert code == 1
    assert any("NFO: 09:15–15:35 here, 09:15–15:40 there" in text for text in body["hours"]), body["hours"]


@pytest.mark.parametrize(
    ("settings", "code", "why"),
    [({"OPENALGO_API_HOST": "http://127.0.0.1:1"}, 1, "holidays: "),
     ({"OPENALGO_API_KEY": ""}, 4, "OPENALGO_API_KEY")],
    ids=["no server", "no key"],
)  # fmt: skip
def test_server_that_cannot_be_asked_is_reported_and_no_agreement(
    check: Check, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], code: int, why: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found, body = check()
    assert (found, list(body["not_compared"])) == (code, ["openalgo"])
    assert why in body["not_compared"]["openalgo"] and body["library"] == {"missing": {}, "extra": {}}
