"""`mytrading data` against the simulator: universes fetched, stopped, gone on with, listed, filtered, backtested."""

from __future__ import annotations

import functools
import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mytrading.adapters.openalgo.rest import history
from mytrading.backtest.data import download
from mytrading.backtest.data.load import load_bars
from mytrading.backtest.data.store import open_store
from mytrading.cli.main import run
from tests.kit.in_process_command import Command
from tests.kit.project import ROOT
from tests.kit.simulator_process import RunningSimulator

DAYS = ("--from", "2026-11-16", "--to", "2026-11-19")
FIRST, LAST = date(2026, 11, 16), date(2026, 11, 19)


@pytest.fixture
def data(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`mytrading data` with a store of its own."""
    monkeypatch.setenv("MYTRADING_DATA_DIR", str(tmp_path / "data"))
    return functools.partial(command, "data")


def answer(called: tuple[int, str, str], code: int = 0) -> Any:
    assert called[0] == code, called[2]
    return json.loads(called[1])


def test_universe_of_a_file_is_fetched_once_and_listed_whole(data: Command, tmp_path: Path) -> None:
    names = tmp_path / "mine.csv"
    names.write_text("name,symbol\nState Bank,SBIN\nInfosys,INFY\nIndex,NIFTY\n", encoding="utf-8")
    ask = ("download", "--universe", str(names), "-i", "5m", *DAYS, "--json")
    first = answer(data(*ask))
    assert (first["requests"], first["bars"], first["added"], first["stopped"]) == (3, 3 * 4 * 72, 3 * 4 * 72, "")
    assert answer(data(*ask))["requests"] == 0, "what the server answered for is not asked for again"
    rows = answer(data("list", "--json"))
    assert [row["instrument"] for row in rows] == ["NSE:INFY", "NSE:SBIN", "NSE_INDEX:NIFTY"]
    assert {
        (row["interval"], row["first"], row["last"], row["bars"], row["gaps"], row["missing_days"]) for row in rows
    } == {("5m", "2026-11-16", "2026-11-19", 288, 0, 0)}
    assert answer(data("gaps", "--json")) == []


def test_only_days_that_are_not_covered_are_asked_for(data: Command) -> None:
    ask = ("download", "NSE:SBIN", "-i", "5m", "--json")
    assert answer(data(*ask, "--from", "2026-11-17", "--to", "2026-11-18"))["added"] == 144
    wider = answer(data(*ask, *DAYS))
    assert (wider["requests"], wider["bars"], wider["added"]) == (2, 144, 144), "the day before, and the day after"
    again = answer(data(*ask, *DAYS, "--again"))
    assert (again["requests"], again["bars"], again["added"]) == (1, 288, 0)


@pytest.mark.slow
def test_nifty_50_is_all_that_were_members_and_each_is_known(data: Command) -> None:
    found = answer(data("download", "--universe", "nifty50", "-i", "1d", *DAYS, "--json"))
    assert len(found["instruments"]) == found["requests"] == 50
    assert found["bars"] == 200


def test_failed_request_is_named_and_the_others_are_kept(data: Command, shared_simulator: RunningSimulator) -> None:
    code, out, _ = data("download", "NSE:SBIN", "NSE:NOSUCH", "-i", "5m", *DAYS, "--json")
    assert code == 1
    by_name = {one["instrument"]: one for one in json.loads(out)["instruments"]}
    assert (by_name["NSE:SBIN"]["added"], by_name["NSE:SBIN"]["failed"]) == (288, [])
    assert "Symbol 'NOSUCH' not found" in by_name["NSE:NOSUCH"]["failed"][0]["problem"]
    code, out, _ = data("download", "NSE:SBIN", "NSE:NOSUCH", "-i", "5m", *DAYS)
    assert (code, "NSE:NOSUCH: a request failed" in out) == (1, True), out


def test_server_that_is_gone_stops_the_download(data: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALGO_API_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENALGO_MAX_RETRIES", "1")
    code, _, err = data("download", "NSE:SBIN", "NSE:INFY", "NSE:TCS", "NSE:LT", "-i", "5m", *DAYS)
    assert (code, "the server gives no answer" in err, "repeat the command to go on" in err) == (1, True, True), err


def test_interrupted_download_keeps_what_came_and_goes_on(
    data: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C in the third request of bars: the bars of the two before are stored, and only the rest is asked for
    later. Minutes that prove the server's stamps do not count."""
    monkeypatch.setitem(history.CHUNK_DAYS, "5m", 1)
    fetch, calls = history.fetch_history, [0]

    def interrupted(*arguments: Any) -> Any:
        calls[0] += arguments[2] == "5m"
        if calls[0] == 3:
            raise KeyboardInterrupt
        return fetch(*arguments)

    monkeypatch.setattr(history, "fetch_history", interrupted)
    with pytest.raises(SystemExit) as ended:
        run(["data", "download", "NSE:SBIN", "-i", "5m", *DAYS])
    assert ended.value.code == 130
    monkeypatch.setattr(history, "fetch_history", fetch)
    assert open_store(ROOT).covered("NSE:SBIN", "5m") == ((FIRST, date(2026, 11, 17)),)
    rest = answer(data("download", "NSE:SBIN", "-i", "5m", *DAYS, "--json"))
    assert (rest["requests"], rest["added"]) == (2, 144)


def test_backtest_of_the_store_equals_that_of_the_server(data: Command, command: Command) -> None:
    assert data("download", "NSE:SBIN", "-i", "5m", *DAYS)[0] == 0
    test = (
        "backtest",
        "SMA_Crossover",
        "-i",
        "NSE:SBIN",
        "-p",
        "fast_period=5",
        "-p",
        "slow_period=15",
        *DAYS,
        "--json",
    )
    asked, stored, named = (
        json.loads(command(*test, "--data", source)[1].splitlines()[-1]) for source in ("openalgo", "store", "NSE:SBIN")
    )
    assert stored["trades"] > 0
    assert stored["trade_hash"] == asked["trade_hash"] == named["trade_hash"]


def test_backtest_of_a_universe_watches_its_members(data: Command, command: Command, tmp_path: Path) -> None:
    names = tmp_path / "two.txt"
    names.write_text("# mine\nSBIN\nNSE:INFY\n", encoding="utf-8")
    assert data("download", "--universe", str(names), "-i", "5m", *DAYS)[0] == 0
    code, out, err = command("backtest", "SMA_Crossover", "--universe", str(names), "--data", "store", *DAYS, "--json")
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["instruments"] == ["NSE:SBIN", "NSE:INFY"]


def test_store_without_the_bars_says_how_to_fetch_them(data: Command, command: Command) -> None:
    assert data("download", "NSE:SBIN", "-i", "15m", *DAYS)[0] == 0
    code, _, err = command("backtest", "SMA_Crossover", "-i", "NSE:SBIN", "-t", "5m", "--data", "store")
    assert (code, "bars of 15m, which are too long" in err, "mytrading data download NSE:SBIN" in err) == (
        2,
        True,
        True,
    ), err


@pytest.mark.slow
def test_options_by_rule_are_those_around_the_prices_of_their_weeks(data: Command, command: Command) -> None:
    code, out, err = data(
        "download",
        "--options",
        "NIFTY",
        "--strikes",
        "1",
        "-i",
        "5m",
        "--from",
        "2026-11-18",
        "--to",
        "2026-11-19",
        "--json",
    )
    found = json.loads(out)
    names = [one["instrument"] for one in found["instruments"]]
    assert (code, found["added"] > 0) == (0, True), err
    assert all(name.startswith("NFO:NIFTY23NOV26") for name in names), names
    daily = open_store(ROOT).read("NSE_INDEX:NIFTY", "1d").table
    low, high = round(daily[2].min() / 50) * 50 - 50, round(daily[1].max() / 50) * 50 + 50
    assert sorted({int(name[16:21]) for name in names}) == list(range(low, high + 1, 50))
    assert data("download", "NIFTY", "-i", "5m", *DAYS)[0] == 0
    code, out, err = command(
        "backtest",
        "Options_Straddle",
        "--data",
        "store",
        "--options",
        "store",
        "-t",
        "5m",
        "--from",
        "2026-11-18",
        "--json",
    )
    assert code == 0, err
    body = json.loads(out.splitlines()[-1])
    assert any(f"bars of {len(names)} contracts" in note for note in body["notes"]), body["notes"]


def test_import_adds_what_is_new_and_keeps_what_is_stored(data: Command, tmp_path: Path) -> None:
    sheet = tmp_path / "mine.csv"
    rows = [f"2026-11-18 09:{minute}:00,100,101,99,{100 + minute / 100},7\n" for minute in range(15, 30)]
    sheet.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows), encoding="utf-8")
    assert data("import", str(sheet))[0] == 2, "a file that names no instrument needs --instrument"
    (one,) = answer(data("import", str(sheet), "--instrument", "SBIN", "--json"))
    assert (one["instrument"], one["interval"], one["bars"], one["added"]) == ("NSE:SBIN", "1m", 15, 15)
    sheet.write_text("timestamp,open,high,low,close,volume\n" + rows[0].replace("100.15", "100.5") + "".join(
        f"2026-11-18 09:{minute}:00,100,101,99,100,7\n" for minute in range(30, 35)), encoding="utf-8")  # fmt: skip
    (more,) = answer(data("import", str(sheet), "--instrument", "NSE:SBIN", "--json"))
    assert (more["bars"], more["added"]) == (6, 5)
    stored = open_store(ROOT).read("NSE:SBIN", "1m")
    assert (len(stored.start_ns), stored.table[3, 0]) == (20, 100.15)
    data("import", str(sheet), "--instrument", "NSE:SBIN", "--replace")
    assert open_store(ROOT).read("NSE:SBIN", "1m").table[3, 0] == 100.5


def test_import_of_many_instruments_from_parquet_and_duckdb(data: Command, tmp_path: Path) -> None:
    sheet, base = tmp_path / "all.parquet", tmp_path / "all.duckdb"
    rows = "SELECT * FROM (VALUES ('TCS', TIMESTAMP '2026-11-18 09:15', 10.0), ('TCS', '2026-11-18 09:16', 11.0), " \
           "('NSE_INDEX:NIFTY', '2026-11-18 09:15', 20.0)) AS rows(symbol, timestamp, close)"  # fmt: skip
    whole = f"SELECT *, close AS open, close AS high, close AS low, 5 AS volume FROM ({rows})"
    duckdb.execute(f"COPY ({whole}) TO '{sheet}' (FORMAT parquet)")
    with duckdb.connect(str(base)) as database:
        database.execute(f"CREATE TABLE bars AS {whole}")
    found = answer(data("import", str(sheet), "--json"))
    assert [(one["instrument"], one["bars"], one["added"]) for one in found] == [
        ("NSE:TCS", 2, 2), ("NSE_INDEX:NIFTY", 1, 1),
    ]  # fmt: skip
    assert [one["added"] for one in answer(data("import", str(base), "--json"))] == [0, 0]


def test_gap_is_named_with_its_times(data: Command, tmp_path: Path) -> None:
    sheet = tmp_path / "holes.csv"
    minutes = [*range(15, 60), *range(90, 120)]
    lines = [f"2026-11-18 {9 + m // 60:02d}:{m % 60:02d}:00,100,100,100,100\n" for m in minutes]
    lines.append("2026-11-20 09:15:00,100,100,100,100\n")
    sheet.write_text("timestamp,open,high,low,close\n" + "".join(lines), encoding="utf-8")
    assert data("import", str(sheet), "--instrument", "SBIN")[0] == 0
    rows = answer(data("gaps", "NSE:SBIN", "--json"))
    assert [(row["day"], row["from"], row["to"]) for row in rows] == [
        ("2026-11-18", "10:00", "10:30"), ("2026-11-18", "11:00", "15:15"), ("2026-11-19", None, None),
    ]  # fmt: skip


def test_filter_keeps_what_the_bars_before_a_day_allow(data: Command, command: Command, tmp_path: Path) -> None:
    assert (
        data(
            "download", "NSE:SBIN", "NSE:INFY", "NSE:MARUTI", "-i", "1d", "--from", "2026-11-02", "--to", "2026-11-19"
        )[0]
        == 0
    )
    out = tmp_path / "kept.txt"
    found = answer(
        data("filter", "SBIN", "INFY", "NSE:MARUTI", "NSE:TCS", "--max-price", "5000", "--before", "2026-11-10",
             "--out", str(out), "--json")
    )  # fmt: skip
    assert sorted(one["instrument"] for one in found["kept"]) == ["NSE:INFY", "NSE:SBIN"]
    assert "above 5,000" in found["refused"]["NSE:MARUTI"]
    assert "no stored bars before 2026-11-10" in found["refused"]["NSE:TCS"]
    (sbin,) = [one for one in found["kept"] if one["instrument"] == "NSE:SBIN"]
    stored = load_bars(open_store(ROOT).path("NSE:SBIN", "1d"), "NSE:SBIN", None, date(2026, 11, 9))
    assert (sbin["days"], sbin["price"]) == (len(stored), stored.close[-1]), "nothing of the day itself or later"
    assert sorted(out.read_text().split()) == ["NSE:INFY", "NSE:SBIN"]
    (best,) = answer(data("filter", "SBIN", "INFY", "--top", "1", "--before", "2026-11-10", "--json"))["kept"]
    assert best["turnover"] == max(one["turnover"] for one in found["kept"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("download", "SBIN"), "--from: expected the first day"),
        (("download", *DAYS), "expected symbols, --universe or --options"),
        (("download", "SBIN", "-i", "7m", *DAYS), "--interval: expected 1m or"),
        (("download", "NOSUCH", *DAYS), "not a short name"),
        (("download", "--universe", "NIFTY500", *DAYS), "expected one of NIFTY50, or a file of symbols"),
        (("download", "--universe", "NIFTY50", "--from", "2019-01-01"), "its members are listed from 2022-03-31 on"),
        (("download", "--options", "SBIN", *DAYS), "expected an underlying with options"),
        (("filter",), "expected symbols or --universe"),
        (("import", "nothing.csv"), "no such file"),
    ],
)
def test_what_cannot_be_done_is_said(data: Command, arguments: tuple[str, ...], words: str) -> None:
    code, _, err = data(*arguments)
    assert (code, words in err) == (2, True), err


def test_option_rule_goes_over_the_turn_of_years_in_order() -> None:
    from mytrading.cli.shell.target import load_calendar, load_contract_facts

    calendar, facts = load_calendar(ROOT), load_contract_facts(ROOT).underlyings["NIFTY"]
    days = download.expiries_between(calendar, facts, "weekly", date(2024, 6, 1), date(2026, 1, 31))
    assert days == sorted(set(days)) and days[0] < date(2024, 6, 1) and days[-1] >= date(2026, 1, 31)
    assert len(days) in (88, 89)
    assert {day.weekday() for day in days if day.year == 2024 and day.month == 9} == {3}
    months = download.expiries_between(calendar, facts, "monthly", date(2024, 6, 1), date(2026, 1, 31))
    assert set(months[:-1]) <= set(days) and len(months) == 22
