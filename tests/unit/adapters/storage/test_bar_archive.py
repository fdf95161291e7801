"""The Parquet archive of research bars: merging, covered days, names, damage."""

from __future__ import annotations

import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytrading.adapters.storage.bar_archive import BarArchive, BarArchiveError, join_ranges, uncovered_ranges
from tests.kit.fork_server import start
from tests.kit.waiting import PATIENCE

SBIN = "NSE:SBIN"


def bars(*starts: int, close: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    return np.array(starts, np.int64), np.tile(np.array([[10.0], [11.0], [9.0], [close], [3.0]]), len(starts))


def test_bars_are_read_as_they_were_added_and_merged_by_their_start(tmp_path: Path) -> None:
    archive = BarArchive(tmp_path)
    assert archive.add(SBIN, "1m", *bars(30, 10)) == 2, "also if they are not sorted"
    assert archive.add(SBIN, "1m", *bars(20, 30, close=9.5)) == 1
    start, table = archive.read(SBIN, "1m")
    assert (start.tolist(), table[3].tolist(), table[4].tolist()) == ([10, 20, 30], [10.0, 9.5, 10.0], [3.0] * 3)
    assert archive.add(SBIN, "1m", *bars(30, close=9.75), replace=True) == 0
    assert archive.read(SBIN, "1m").table[3].tolist() == [10.0, 9.5, 9.75]
    assert archive.entries() == [(SBIN, "1m")] and archive.intervals(SBIN) == ("1m",)


def test_prices_come_back_to_the_last_bit(tmp_path: Path) -> None:
    archive, values = BarArchive(tmp_path), np.random.default_rng(1).uniform(1.0, 1e5, (5, 500))
    values[4] = np.round(values[4])
    archive.add(SBIN, "1m", np.arange(500), values)
    assert np.array_equal(archive.read(SBIN, "1m").table, values)


def test_days_without_bars_are_covered_too(tmp_path: Path) -> None:
    archive = BarArchive(tmp_path)
    none = np.empty(0, np.int64), np.empty((5, 0))
    archive.add("NSE:M&M", "1d", *none, [(date(2026, 1, 1), date(2026, 1, 3))])
    archive.add("NSE:M&M", "1d", *none, [(date(2026, 1, 4), date(2026, 1, 4)), (date(2026, 2, 1), date(2026, 2, 2))])
    assert archive.covered("NSE:M&M", "1d") == (
        (date(2026, 1, 1), date(2026, 1, 4)), (date(2026, 2, 1), date(2026, 2, 2)),
    )  # fmt: skip
    assert len(archive.read("NSE:M&M", "1d").start_ns) == 0
    assert archive.covered(SBIN, "1d") == ()


def test_contracts_lie_below_their_underlying(tmp_path: Path) -> None:
    archive, name = BarArchive(tmp_path), "NFO:NIFTY24NOV2626000CE"
    archive.add(name, "5m", *bars(1))
    assert archive.path(name, "5m") == tmp_path / "NFO" / "NIFTY" / "NIFTY24NOV2626000CE" / "5m.parquet"
    assert archive.entries() == [(name, "5m")]


@pytest.mark.parametrize("name", ["SBIN", "NSE:", "NSE:../SBIN", "NSE:A/B", "..:SBIN", "NSE:.hidden"])
def test_name_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected EXCHANGE:SYMBOL"):
        BarArchive(tmp_path).path(name, "1m")


def test_damaged_file_is_named(tmp_path: Path) -> None:
    archive = BarArchive(tmp_path)
    archive.add(SBIN, "1m", *bars(1))
    archive.path(SBIN, "1m").write_bytes(b"PAR1 nothing")
    with pytest.raises(BarArchiveError, match=r"1m.parquet.*move the file aside"):
        archive.read(SBIN, "1m")


ADD = """
import sys
from pathlib import Path
import numpy as np
from mytrading.adapters.storage.bar_archive import BarArchive
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 5):
    BarArchive(Path(sys.argv[1])).add("NSE:SBIN", "1m", np.array([number]), np.full((5, 1), 10.0))
"""


@pytest.mark.slow
def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    writers = [start([sys.executable, "-c", ADD, str(tmp_path), str(first)]) for first in (0, 100)]
    assert [writer.wait(60 * PATIENCE) for writer in writers] == [0, 0]
    assert BarArchive(tmp_path).read(SBIN, "1m").start_ns.tolist() == [*range(5), *range(100, 105)]


_DAYS = st.integers(1, 60).map(lambda number: date.fromordinal(730_000 + number))
_RANGES = st.lists(st.tuples(_DAYS, _DAYS).map(lambda pair: (min(pair), max(pair))), max_size=6)


@given(_RANGES, _DAYS, _DAYS)
def test_covered_and_uncovered_days_are_all_days_once(ranges: list[tuple[date, date]], one: date, other: date) -> None:
    first, last = min(one, other), max(one, other)

    def days(found: list[tuple[date, date]]) -> set[int]:
        return {day for low, high in found for day in range(low.toordinal(), high.toordinal() + 1)}

    joined = join_ranges(ranges)
    assert days(list(joined)) == days(ranges)
    assert all(a[1].toordinal() + 1 < b[0].toordinal() for a, b in pairwise(joined))
    assert days(list(uncovered_ranges(joined, first, last))) == days([(first, last)]) - days(ranges)
