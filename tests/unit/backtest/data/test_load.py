"""Files of bars as they are found, and what is said of those that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.backtest.data.columns import DataError, resample, timeframe_of
from mytrading.backtest.data.feeds import session_bounds
from mytrading.backtest.data.load import columns_from_bars, load_bars, load_instruments
from mytrading.core.time import DAY as DAY_NS
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.market import Bar
from tests.kit.backtest_specs import DAY, bars, calendar
from tests.kit.hypothesis_budget import examples

FIRST = to_ns(DAY, time(9, 15))
ROWS = ["100,101,99,100.5,7", "100.5,102,100,101,8", "101,101.5,100,100.2,9"]


def csv_of(folder: Path, times: list[str], head: str = "timestamp,open,high,low,close,volume") -> Path:
    path = folder / "x.csv"
    path.write_text("\n".join([head, *(f"{at},{row}" for at, row in zip(times, ROWS, strict=True))]) + "\n")
    return path


@pytest.mark.parametrize(
    "times",
    [
        ["2024-03-13 09:15:00+05:30", "2024-03-13 09:16:00+05:30", "2024-03-13 09:17:00+05:30"],
        ["2024-03-13 09:15:00", "2024-03-13 09:16:00", "2024-03-13 09:17:00"],
        ["2024-03-13T09:15:00", "2024-03-13T09:16:00", "2024-03-13T09:17:00"],
        [str(FIRST // 10**9 + n * 60) for n in range(3)],
        [str(FIRST // 10**6 + n * 60_000) for n in range(3)],
        [str(FIRST + n * 60 * 10**9) for n in range(3)],
    ],
)
def test_csv_with_any_common_time_gives_the_same_bars(times: list[str], tmp_path: Path) -> None:
    found = load_bars(csv_of(tmp_path, times), "NSE:X")
    assert found.start_ns.tolist() == [FIRST + n * 60 * 10**9 for n in range(3)]
    assert found.table[3].tolist() == [100.5, 101.0, 100.2]
    assert found.timeframe == "1m"
    assert found.table[4].tolist() == [7.0, 8.0, 9.0]


STAMPS = (
    lambda n: f"2024-03-13 09:{15 + n}:00", lambda n: f"2024-03-13T09:{15 + n}", lambda n: str(FIRST // 10**9 + n * 60),
    lambda n: str(FIRST // 10**6 + n * 60_000), lambda n: f"2024-03-{13 + n}", lambda n: f"{20240313 + n}",
    lambda n: f"0{FIRST // 10**9 + n * 60}", lambda n: f"2024-03-13 09:{59 + n}", lambda n: f"0{9 + n}:15:00",
)  # fmt: skip
FIELDS = st.one_of(
    st.integers(1, 10**6).map(str), st.floats(0.05, 1e5).map(repr), st.decimals("0.05", "99999", places=2).map(str),
    st.sampled_from(["", "-1", "0", "1.", ".5", "007", "1:30", "2024-03-13", "-"]),
)  # fmt: skip


@settings(max_examples=examples(25))
@given(
    st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=4),
    st.sampled_from(STAMPS),
    st.sampled_from([("timestamp", "volume"), ("Date", "OI"), ("ts", "Volume"), ("time", "symbol"), ("time", "date")]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_small_files_are_read_as_duckdb_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], stamp: Any, names: tuple[str, str], end: str
) -> None:
    found = []
    lines = [f"{stamp(n)},{price},{price},{price},{price},{other}" for n, (price, other) in enumerate(rows)]
    text = end.join([f"{names[0]},open,high,low,close,{names[1]}", *lines])
    for name in ("x.csv", "x.txt"):  # DuckDB alone reads texts
        path = tmp_path_factory.mktemp("bars") / name
        path.write_bytes(text.encode())
        try:
            columns = load_bars(path, "NSE:X")
            found.append((columns.start_ns.tolist(), columns.table.tolist()))
        except DataError as error:
            found.append(str(error).replace(str(path), ""))
    assert found[0] == found[1]


def test_parquet_and_duckdb_give_what_csv_gives(tmp_path: Path) -> None:
    source = csv_of(tmp_path, [f"2024-03-13 09:1{n}:00" for n in (5, 6, 7)])
    parquet, database = tmp_path / "x.parquet", tmp_path / "x.duckdb"
    duckdb.connect().execute(f"COPY (SELECT * FROM '{source}') TO '{parquet}'")
    with duckdb.connect(str(database)) as opened:
        opened.execute(f"CREATE TABLE bars AS SELECT *, 'NSE:X' AS instrument FROM '{source}'")
        opened.execute("INSERT INTO bars SELECT * REPLACE ('NSE:Y' AS instrument) FROM bars")
    wanted = load_bars(source, "NSE:X")
    for path in (parquet, database):
        found = load_bars(path, "NSE:X")
        assert found.start_ns.tolist() == wanted.start_ns.tolist()
        assert found.table.tolist() == wanted.table.tolist()
    with pytest.raises(DataError, match="no rows of NSE:Z; it holds NSE:X, NSE:Y"):
        load_bars(database, "NSE:Z")
    day_and_time = tmp_path / "two.csv"
    day_and_time.write_text(
        source.read_text(encoding="utf-8").replace("timestamp,", "Date,Time,").replace(" 09:", ",09:"), encoding="utf-8"
    )
    assert load_bars(day_and_time, "NSE:X").start_ns.tolist() == wanted.start_ns.tolist()
    day_and_time.write_text(
        day_and_time.read_text(encoding="utf-8").replace("2024-03-13", "20240313"), encoding="utf-8"
    )
    assert load_bars(day_and_time, "NSE:X").start_ns.tolist() == wanted.start_ns.tolist()
    day_and_time.write_text(day_and_time.read_text(encoding="utf-8").replace("Date", "Day"), encoding="utf-8")
    with pytest.raises(DataError, match="time has times of day; expected days with them"):
        load_bars(day_and_time, "NSE:X")
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as opened:
        opened.execute("CREATE SCHEMA market")
        names = ", ".join(
            f"{name} AS {name.upper()}" for name in ("timestamp", "open", "high", "low", "close", "volume")
        )
        opened.execute(f"CREATE TABLE market.\"Daily bars\" AS SELECT {names}, 'NSE:X' AS Symbol FROM '{source}'")
        opened.execute("CREATE TABLE notes AS SELECT 1 AS open")
    assert load_bars(other, "NSE:X").table.tolist() == wanted.table.tolist()
    with duckdb.connect(str(other)) as opened:
        opened.execute('UPDATE market."Daily bars" SET Symbol = NULL WHERE rowid = 1')
    with pytest.raises(DataError, match="a row has no name in Symbol"):
        load_instruments(other, str)


@pytest.mark.parametrize("text", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%d %H:%M:%S.250-00"])
def test_texts_with_a_zone_are_taken_at_their_word(tmp_path: Path, text: str) -> None:
    source = csv_of(tmp_path, [f"2024-03-13 09:1{n}:00" for n in (5, 6, 7)])
    path, stamp = tmp_path / "x.parquet", f"strftime(timestamp - INTERVAL 330 MINUTE, '{text}')"
    duckdb.connect().execute(f"COPY (SELECT * REPLACE ({stamp} AS timestamp) FROM '{source}') TO '{path}'")
    seconds = [(start - FIRST) // 10**9 for start in load_bars(path, "NSE:X").start_ns.tolist()]
    assert seconds == [0, 60, 120]


def test_prices_of_single_precision_are_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    prices = ", ".join(f"21666.6::FLOAT AS {name}" for name in ("close", "low", "open", "high"))
    duckdb.connect().execute(f"COPY (SELECT {prices}, '2024-03-13 09:15' AS time) TO '{path}'")
    assert load_bars(path, "NSE:X").table[:4].tolist() == [[21666.6]] * 4


def test_database_that_another_program_writes_to_is_named_with_that_program(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    hold = f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match=rf"another program writes to it \(PID {other.pid}\)"):
            load_bars(path, "NSE:X")
        other.stdin.close()


def test_days_are_cut_with_both_ends_included(tmp_path: Path) -> None:
    path = csv_of(tmp_path, ["2024-03-12 15:29:00", "2024-03-13 09:15:00", "2024-03-13 09:16:00"])
    assert len(load_bars(path, "NSE:X", date(2024, 3, 13), date(2024, 3, 13))) == 2
    with pytest.raises(DataError, match="it holds 2024-03-12 to 2024-03-13"):
        load_bars(path, "NSE:X", date(2025, 1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,open,high,low\n2024-03-13 09:15:00,1,2,0.5\n", "close is missing"),
        ("open,high,low,close\n1,2,0.5,1\n", "a time is missing"),
        ("timestamp,open,high,low,close\n", "no bars in it"),
        ("timestamp,open,high,low,close\n2024-03-13 09:16,1,2,1,1\n2024-03-13 09:15,1,2,1,1\n", "bar 2 starts at or"),
        ("timestamp,open,high,low,close\n2024-03-13 09:15,1,2,1,1\n2024-03-13 09:16,1,2,,1\n", "bar 2 has a price"),
        (
            "timestamp,open,high,low,close\n2024-03-13 09:15,1,2,1,1\n2024-03-13 09:16,3,2,1,1\n",
            "bar 2 opens or closes",
        ),
        ("timestamp,open,high,low,close\n2024-03-13 09:15,1,2,1,one\n", "cannot be read as bars"),
    ],
)
def test_file_that_cannot_be_used_says_what_is_wrong_where(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        load_bars(path, "NSE:X")
    assert str(path) in str(caught.value)


def test_file_of_another_kind_or_none_says_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.doc").write_text("?")
    for name in ("x.doc", "y.csv"):
        with pytest.raises(DataError, match=r"\.parquet"):
            load_bars(tmp_path / name, "NSE:X")


def test_longer_bars_are_anchored_to_the_open_and_know_their_last_row() -> None:
    rows = [(100 + n, 101 + n, 99 + n, 100.5 + n, 10) for n in range(12)]
    columns = bars(rows, at=time(9, 15))
    opens, _ = session_bounds(columns, calendar())
    found, lasts = resample(columns, "5m", opens)
    assert found.start_ns.tolist() == [FIRST, FIRST + 300 * 10**9, FIRST + 600 * 10**9]
    assert found.table[:, 0].tolist() == [100, 105, 99, 104.5, 50]
    assert lasts.tolist() == [4, 9, 11]


def test_bars_as_messages_become_the_same_columns() -> None:
    columns = bars([(100, 101, 99, 100.5, 10), (100.5, 102, 100, 101, 20)])
    made = [columns.bar(row, int(columns.start_ns[row]) + columns.span_ns) for row in (0, 1)]
    again = columns_from_bars(made, columns.instrument, "test")
    assert again.table.tolist() == columns.table.tolist()


def test_bars_as_messages_keep_their_timeframe_whatever_lies_between_them() -> None:
    days = [Bar("NSE:NIFTY", "1d", FIRST + day * DAY_NS, FIRST + (day + 1) * DAY_NS, 9, 9, 9, 9) for day in (0, 3)]
    assert columns_from_bars(days, "NSE:NIFTY", "a Friday and a Monday").timeframe == "1d"


@pytest.mark.parametrize(
    ("days", "timeframe"),
    [
        ((0, 3), "1d"),
        ((0, 3, 4), "1d"),
        ((0, 7, 14), "1d"),
        ((0, 1 / 24, 3, 3 + 1 / 24), "1h"),
        ((0, 1 / 96, 1), "15m"),
    ],
)
def test_timeframe_is_the_most_frequent_spacing_that_is_one(days: tuple[float, ...], timeframe: str) -> None:
    assert timeframe_of(np.array([int(day * DAY_NS) for day in days]), "a file") == timeframe


def test_spacing_that_is_no_timeframe_is_named() -> None:
    with pytest.raises(DataError, match=r"a file: most bars are 420 s apart; expected one of 1m, 3m"):
        timeframe_of(np.arange(5) * 7 * MINUTE, "a file")
