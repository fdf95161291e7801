"""`mytrading broker`: the books of several accounts at once, field by field, and what happens when one is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.cli.main import run
from mytrading.cli.trading.broker import BOOKS, read_books
from mytrading.messages.run_config import AccountRun
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import eventually


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningSimulator, RunningSimulator]]:
    """Two servers; one order filled at each, of different shares."""
    one, other = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    with start_simulator(one) as first, start_simulator(other) as second:
        first.place(symbol="SBIN", quantity=3)
        second.place(symbol="INFY", quantity=4)
        for server in (first, second):
            eventually(lambda server=server: server.call("tradebook")[1]["data"])
        yield first, second


def accounts(*servers: RunningSimulator) -> list[AccountRun]:
    return [
        AccountRun(id=f"a{number}", rest_url=server.rest, ws_url=server.ws, api_key=API_KEY)
        for number, server in enumerate(servers)
    ]


@pytest.mark.parametrize("book", BOOKS)
def test_rows_are_those_of_the_servers_field_by_field(
    two: tuple[RunningSimulator, RunningSimulator], tmp_path: Path, book: str
) -> None:
    for server in two:
        server.call("/sim/pause", paused=True)
    shown = read_books(accounts(*two), book, tmp_path / "cache.json")
    for one, server in zip(shown, two, strict=True):
        data = server.call(BOOKS[book])[1]["data"]
        expected = [data] if book == "funds" else data[book] if book in ("orders", "holdings") else data
        assert (one.rows, one.age_s, one.problem) == (expected, 0.0, "")
    assert book == "holdings" or all(one.rows for one in shown)


def test_account_that_is_away_is_named_and_shows_what_was_read_before(
    two: tuple[RunningSimulator, RunningSimulator], tmp_path: Path
) -> None:
    known = accounts(*two)
    before = read_books(known, "orders", tmp_path / "cache.json")
    away = AccountRun(id="a1", rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9", api_key="x")
    here, gone = read_books([known[0], away], "orders", tmp_path / "cache.json")
    assert (here.problem, here.age_s) == ("", 0.0)
    assert gone.rows == before[1].rows
    assert "cannot connect to 127.0.0.1:9" in gone.problem
    assert (tmp_path / "cache.json").stat().st_mode & 0o777 == 0o600
    (never,) = read_books([away], "trades", tmp_path / "cache.json")
    assert (never.rows, never.age_s) == ([], 0.0)


def test_success_without_a_book_is_no_empty_book(
    two: tuple[RunningSimulator, RunningSimulator], tmp_path: Path
) -> None:
    two[0].call("/sim/fault", kind="book_empty", count=1, route="funds")
    (shown,) = read_books(accounts(two[0]), "funds", tmp_path / "cache.json")
    assert shown.problem == "expected a book of funds, found dict"


def test_command_prints_rows_and_exits_1_naming_who_failed(
    two: tuple[RunningSimulator, RunningSimulator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {
        "MYTRADING_HOME": str(ROOT),
        "MYTRADING_STATE_DIR": str(tmp_path),
        "OPENALGO_API_KEY": API_KEY,
        "OPENALGO_API_HOST": two[0].rest,
    }.items():
        monkeypatch.setenv(name, value)
    assert _exit("broker", "positions", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert [(row["symbol"], row["quantity"]) for row in shown["rows"]] == [("SBIN", 3)]
    monkeypatch.setenv("OPENALGO_API_KEY", "wrong")
    assert _exit("broker", "positions") == 1
    assert "could not be read: Invalid openalgo apikey; its rows are" in capsys.readouterr().err
    assert _exit("broker", "nosuch") == 2


def _exit(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        run(arguments)
    return end.value.code
