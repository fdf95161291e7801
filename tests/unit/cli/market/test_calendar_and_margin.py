"""`mytrading calendar`, `margin` and `size` on a project folder of their own."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from datetime import date, time
from pathlib import Path

import pytest

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.cli.main import run as main
from mytrading.core.calendar import Calendar
from mytrading.core.time import to_ns
from mytrading.messages.run_config import write_run_config
from tests.kit.instrument_snapshot import snapshot
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    assert home

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def row_of(out: str, exchange: str) -> dict[str, object]:
    return next(row for row in json.loads(out)["exchanges"] if row["exchange"] == exchange)


@pytest.mark.parametrize(
    ("when", "exchange", "open_", "holiday", "why", "following"),
    [
        ("2026-11-23T10:00", "NFO", True, "", "", "2026-11-25"),
        ("2026-11-23T15:20", "NSE", False, "", "closing auction", "2026-11-25"),
        ("2026-11-23T15:20", "NFO", True, "", "", "2026-11-25"),
        ("2026-07-31T15:20", "NSE", True, "", "", "2026-08-03"),
        ("2026-11-23T15:40", "NFO", False, "", "closed for the day", "2026-11-25"),
        ("2026-11-23T08:00", "NSE", False, "", "not open yet", "2026-11-23"),
        ("2026-11-24T10:00", "NSE", False, "Guru Nanak Jayanti", "Guru Nanak Jayanti", "2026-11-25"),
        ("2026-11-24T18:00", "MCX", True, "", "Guru Nanak Jayanti: evening session", "2026-11-25"),
        (
            "2025-10-22T18:00",
            "MCX",
            True,
            "Diwali Balipratipada",
            "Diwali Balipratipada: evening session",
            "2025-10-23",
        ),
        ("2026-11-21T10:00", "NSE", False, "", "weekend", "2026-11-23"),
        ("2026-11-08T18:30", "NFO", True, "Diwali Laxmi Pujan", "Muhurat trading", "2026-11-09"),
    ],
)
def test_calendar_says_open_or_closed_why_and_when_next(
    run: Run, when: str, exchange: str, open_: bool, holiday: str, why: str, following: str
) -> None:
    code, out, _ = run("calendar", when, "--json")
    row = row_of(out, exchange)
    assert code == 0
    assert (row["open"], row["holiday"], row["why"]) == (open_, holiday, why)
    assert row["next_session"]["date"] == following  # type: ignore[index]


@pytest.mark.parametrize("day", ["1990-01-01", "0001-01-01", "9999-12-31"])
def test_calendar_of_a_day_without_sessions_around_it_is_refused_in_words(run: Run, day: str) -> None:
    code, _, err = run("calendar", day)
    assert (code, f"config/calendar.toml says nothing of {day}" in err) == (2, True), err


def test_margin_takes_an_underlying_in_small_letters(run: Run) -> None:
    _, small, _ = run("margin", "--margin", "1000000", "--instrument", "nifty", "--json")
    _, large, _ = run("margin", "--margin", "1000000", "--instrument", "NIFTY", "--json")
    assert json.loads(small) == json.loads(large)
    assert json.loads(small)["lots"] > 0


@pytest.mark.parametrize("command", [("margin", "--margin", "1000000"), ("size", "NIFTY", "--lots", "3")])
def test_lot_of_a_day_before_the_first_known_one_is_refused(run: Run, command: tuple[str, ...]) -> None:
    code, _, err = run(*command, "--day", "2015-12-31")
    assert (code, "config/instruments.toml begins with 2016-01-01" in err) == (2, True), err
    assert run(*command, "--day", "2016-01-01")[0] == 0


def test_calendar_expiry_on_a_holiday_is_the_day_before(run: Run) -> None:
    _, out, _ = run("calendar", "2026-11-23", "--json")
    nifty = next(row for row in json.loads(out)["expiries"] if row["underlying"] == "NIFTY")
    assert (nifty["weekly"], nifty["today"], "2026-11-23" in nifty["moved"]) == ("2026-11-23", True, True)


def test_calendar_bad_date_is_said_with_what_is_expected(run: Run) -> None:
    code, _, err = run("calendar", "soon")
    assert code == 2 and "expected a date like 2026-11-24" in err


def test_calendar_that_cannot_be_read_is_named(run: Run, home: Path) -> None:
    (home / "config" / "calendar.toml").write_bytes(b"[\xb4")
    code, _, said = run("calendar")
    assert code == 4 and "config/calendar.toml: " in said


def test_calendar_write_adds_what_the_library_names_and_keeps_the_rest(run: Run, home: Path) -> None:
    pytest.importorskip("exchange_calendars")
    path = home / "config" / "calendar.toml"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace('2026-04-03 = "Good Friday"\n', "", 1), encoding="utf-8")
    code, out, _ = run("calendar", "write", "--year", "2026")
    assert code == 0 and "2026-04-03  Holiday: added" in out
    text = path.read_text(encoding="utf-8")
    assert text == whole.replace('2026-04-03 = "Good Friday"', '2026-04-03 = "Holiday"', 1)
    assert Calendar.from_dict(tomllib.loads(text)).holiday_name("NFO", date(2026, 4, 3)) == "Holiday"
    assert run("calendar", "write", "--year", "2026", "--json")[1].startswith('{"year": 2026, "written": 0')


def test_margin_gives_the_lots_of_the_formula_and_exits_1_below_one(run: Run) -> None:
    code, out, _ = run("margin", "--margin", "1000000", "--instrument", "SENSEX", "--type", "sold", "--grade", "C",
                       "--expiry", "--json")  # fmt: skip
    body = json.loads(out)
    assert (code, body["lots"], body["margin_per_lot"], body["left"]) == (0, 2, 180_000, 640_000)
    code, out, _ = run("margin", "-m", "200000", "-i", "NIFTY", "-g", "A")
    assert code == 1 and "insufficient margin" in out


def test_margin_edited_grade_and_figure_count_at_once(run: Run, home: Path) -> None:
    path = home / "config" / "risk.toml"
    text = path.read_text(encoding="utf-8").replace("other = 250000", "other = 240000")
    text = text.replace("B = 0.65", "B = 0.5\nD = 1.0")
    path.write_text(text, encoding="utf-8")
    assert json.loads(run("margin", "-m", "1000000", "-g", "B", "--json")[1])["lots"] == 2
    assert json.loads(run("margin", "-m", "1000000", "-g", "D", "--json")[1])["lots"] == 4
    assert run("margin", "-m", "1", "-g", "E")[0] == 2


def test_margin_lot_is_that_of_the_nearest_contract_and_the_days_list_beats_it(run: Run, home: Path) -> None:
    for name, lot, max_lots in (("NIFTY", 75, 24), ("BANKNIFTY", 30, 30), ("SENSEX", 20, 50)):
        body = json.loads(run("margin", "-m", "1000000", "-i", name, "--day", "2025-06-02", "--json")[1])
        assert (body["lot_size"], body["max_lots"]) == (lot, max_lots)
    config = run_config(home)
    write_run_config(config.state / "run.msgpack", config)
    InstrumentFile(config.state).write(snapshot("2025-06-02"))
    body = json.loads(run("margin", "-m", "1000000", "--day", "2025-06-02", "--json")[1])
    assert (body["lot_size"], body["source"]) == (65, "contracts of 2025-06-02")


def test_size_risk_per_trade_gives_lots_and_their_orders(run: Run) -> None:
    body = json.loads(run("size", "NIFTY", "--risk", "6500", "--entry", "120", "--stop", "110", "--json")[1])
    assert (body["lots"], body["quantity"], body["orders"]) == (10, 650, [650])
    body = json.loads(run("size", "NIFTY", "--lots", "50", "--share", "a=3", "--share", "b=1", "--json")[1])
    assert (sum(body["orders"]), body["accounts"]) == (50 * 65, {"a": 38, "b": 12})
    assert max(body["orders"]) <= body["freeze"]


def test_size_without_a_question_or_with_too_many_lots_is_refused(run: Run) -> None:
    assert run("size", "NIFTY")[0] == 2
    code, _, err = run("size", "NIFTY", "--lots", "101")
    assert code == 2 and "at most 100 a leg" in err


def test_margin_without_an_amount_needs_a_stack(run: Run) -> None:
    assert run("margin")[0] == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("margin -m inf", "--margin: expected rupees, found inf"),
        ("margin -m nan", "--margin"),
        ("margin -m -5", "--margin"),
        ("margin -m 5 --premium inf", "--premium: expected rupees, found inf"),
        ("margin -m 5 --premium -1", "--premium"),
        ("size NIFTY --risk inf --entry 130 --stop 120", "--risk: expected rupees, found inf"),
        ("size NIFTY --risk 5 --entry inf --stop 120", "--entry: expected rupees, found inf"),
        ("size NIFTY --risk 6500 --stop 120", "expected --entry and --stop"),
        ("size NIFTY --lots 9 --share a=nan", "expected ACCOUNT=RUPEES, found 'a=nan'"),
        ("size NIFTY --lots 9 --share a=-1", "expected ACCOUNT=RUPEES, found 'a=-1'"),
        ("size NIFTY --lots 9 --share =5", "expected ACCOUNT=RUPEES, found '=5'"),
    ],
)
def test_sums_of_what_is_no_amount_are_refused(run: Run, line: str, says: str) -> None:
    code, out, err = run(*line.split())
    assert (code, out) == (2, "")
    assert says in err


def test_calculators_take_the_day_of_the_market_that_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = to_ns(date(2025, 6, 2), time(12))
    monkeypatch.setattr("mytrading.cli.shell.target.market_now", lambda _profile: noon)
    for command in (("margin", "-m", "1000000"), ("size", "NIFTY", "--lots", "2")):
        body = json.loads(run(*command, "--json")[1])
        assert (body["day"], body["lot_size"]) == ("2025-06-02", 75)
