"""Files for replay: ticks and bars, CSV and Parquet, one day and several."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import IST, MINUTE, to_ns
from mytrading.simulator.market.history import MarketHistory
from mytrading.simulator.market.replay import BadTickFile, TickFile, read_ticks
from mytrading.simulator.market.world import SimulatedWorld
from tests.kit.project import ROOT

BARS = """timestamp,open,high,low,close,volume
2024-03-13 09:15:00+05:30,100,104,98,101,600
2024-03-13 09:16:00+05:30,101,101,100,100.5,61
2024-03-14 09:15:00+05:30,110,111,109,109,0
"""


def written(folder: Path, text: str, name: str = "file.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def parquet(folder: Path, query: str) -> Path:
    file = folder / "file.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    return file


def minute(file: TickFile, number: int) -> np.ndarray:
    start = file.times[0] + number * MINUTE
    return file.ltp[(file.times >= start) & (file.times < start + MINUTE)]


def test_bars_become_a_tick_a_second_through_their_four_prices(tmp_path: Path) -> None:
    first, second = read_ticks(written(tmp_path, BARS))
    assert (first.day, second.day) == (date(2024, 3, 13), date(2024, 3, 14))
    assert np.diff(first.times).tolist() == [1_000_000_000] * 119
    assert first.times[0] == to_ns(date(2024, 3, 13), datetime(2024, 3, 13, 9, 15).time())
    path = minute(first, 0)
    assert [float(path[second]) for second in (0, 20, 40, 59)] == [100.0, 104.0, 98.0, 101.0]
    assert (path.max(), path.min()) == (104.0, 98.0)
    assert [float(value) for value in (minute(first, 1)[0], minute(first, 1)[-1])] == [101.0, 100.5]
    assert first.volume is not None
    assert (first.volume[59], first.volume[-1]) == (600, 661)
    assert second.volume is not None
    assert second.volume[-1] == 0


def test_history_of_replayed_bars_gives_the_bars_of_the_file(tmp_path: Path) -> None:
    calendar = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
    facts = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))
    files = read_ticks(written(tmp_path, BARS))
    world = SimulatedWorld(calendar, facts, 1, files[0].day, files)
    nifty = world.listing(files[0].day).get("NSE_INDEX:NIFTY")
    assert nifty is not None
    rows = MarketHistory(world).rows(nifty, 1, files[0].day, files[1].day, int(files[1].times[-1]))
    found = [tuple(row[name] for name in ("open", "high", "low", "close", "volume")) for row in rows]
    assert found == [(100, 104, 98, 101, 600), (101, 101, 100, 100.5, 61), (110, 111, 109, 109, 0)]
    assert world.opening_price("NIFTY", files[1].day) == 110.0
    assert world.next_open(int(files[0].times[-1])) == files[1].times[0]
    assert world.next_open(int(files[1].times[-1])) is None


@pytest.mark.parametrize(
    "moment",
    [
        "TIMESTAMPTZ '2024-03-13 03:45:00+00'",
        "TIMESTAMP '2024-03-13 09:15:00'",
        "TIMESTAMP_NS '2024-03-13 09:15:00'",
        "'2024-03-13 09:15:00'",
        "1710301500",
        "1710301500000",
        "1710301500000000000",
    ],
)
def test_parquet_times_of_every_kind_are_the_same_moment(tmp_path: Path, moment: str) -> None:
    (ticks,) = read_ticks(parquet(tmp_path, f"SELECT {moment} AS timestamp, 10.5 AS ltp, 7 AS volume"))
    assert ticks.times[0] == 1_710_301_500_000_000_000
    assert ticks.ltp[0] == 10.5
    assert ticks.volume is not None
    assert (ticks.volume[0], ticks.bid) == (7, None)
    assert datetime.fromtimestamp(ticks.times[0] / 1e9, IST).hour == 9


def test_parquet_bars_read_as_the_same_csv(tmp_path: Path) -> None:
    csv = written(tmp_path, BARS)
    stored = parquet(tmp_path, f"SELECT * FROM read_csv('{csv}') ORDER BY timestamp")
    for one, other in zip(read_ticks(csv), read_ticks(stored), strict=True):
        assert (one.times == other.times).all()
        assert (one.ltp == other.ltp).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timestamp,ltp\n", "expected at least one tick or bar"),
        ("time,price\n1,2\n", "line 1: expected timestamp,ltp"),
        ("timestamp,open,high,low\n", "or timestamp,open,high,low,close"),
        (BARS.replace(",98,", ",102,"), "line 2: expected open and close between low and high"),
        (BARS.replace("09:16", "09:14"), "line 3: expected times in ascending order"),
        (BARS.replace("09:16:00", "09:15:02"), "expected bars of 4 seconds or more, found 2"),
        (BARS.replace(",104,", ",,"), "line 2: expected high above 0"),
        ("timestamp,ltp\n2024-03-13 09:15:00,10,9\n", "line 2: expected 2 columns, found 3"),
    ],
)
def test_file_that_cannot_be_replayed_says_where_and_why(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadTickFile) as caught:
        read_ticks(written(tmp_path, text))
    assert words in str(caught.value)


def test_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTickFile, match="or Parquet, found"):
        read_ticks(written(tmp_path, "timestamp,ltp\n", "file.parquet"))
