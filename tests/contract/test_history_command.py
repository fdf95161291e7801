"""`mytrading history fetch` against the simulator: whole days, gaps named, files written, failures with exit codes."""

from __future__ import annotations

import csv
import functools
import json
from pathlib import Path

import duckdb
import pytest

from tests.kit.in_process_command import Command

DAYS = ("--from", "2026-11-18", "--to", "2026-11-19")


@pytest.fixture
def run(command: Command) -> Command:
    return functools.partial(command, "history", "fetch")


def test_two_days_are_whole_and_sorted_without_doubles(run: Command) -> None:
    code, out, err = run("NIFTY", *DAYS, "--json")
    assert code == 0, err
    body = json.loads(out)
    starts = [row[0] for row in body["rows"]]
    assert (body["instrument"], body["complete"], body["gaps"], body["failed"]) == ("NSE_INDEX:NIFTY", 1.0, [], [])
    assert len(starts) == body["bars"] == body["expected"] and starts == sorted(set(starts))


def test_bars_are_written_as_csv_and_as_parquet(run: Command, tmp_path: Path) -> None:
    sheet, table = tmp_path / "sbin.csv", tmp_path / "sbin's.parquet"
    assert run("NSE:SBIN", *DAYS, "-i", "15m", "-o", str(sheet))[0] == 0
    assert run("NSE:SBIN", *DAYS, "-i", "15m", "-o", str(table))[0] == 0
    with sheet.open() as file:
        rows = list(csv.DictReader(file))
    stored = duckdb.execute("SELECT start_ns, close FROM read_parquet(?) ORDER BY start_ns", [str(table)]).fetchall()
    assert [(int(row["start_ns"]), float(row["close"])) for row in rows] == stored
    assert len(stored) == 48


def test_daily_bars_are_one_a_trading_day(run: Command) -> None:
    code, out, _ = run("SBIN", "--from", "2026-11-13", "--to", "2026-11-19", "-i", "1d", "--json")
    body = json.loads(out)
    assert (code, body["bars"], body["complete"]) == (0, 5, 1.0)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("NSE:NOSUCH", *DAYS), 1, "2026-11-18 to 2026-11-19: history of NSE:NOSUCH: Symbol 'NOSUCH' not found"),
        (("NOSUCH", *DAYS), 2, "not a short name"),
        (("SBIN", "--from", "yesterday"), 2, "expected a day like"),
        (("SBIN", *DAYS, "-i", "5s"), 2, "expected minutes, hours or a day"),
        (("SBIN", *DAYS, "-o", "x.xls"), 2, "ending in .csv or .parquet"),
        (("SBIN", "--from", "2026-11-20", "--to", "2026-11-19"), 2, "expected the earlier day first"),
    ],
)
def test_fetch_that_cannot_be_made_says_why(run: Command, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended, _, err = run(*arguments)
    assert (ended, words in err) == (code, True), err
