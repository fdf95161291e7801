"""The bar store: committed means there, delivered means never replaced, readers share the file with the writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.adapters.storage.bar_store import BarReader, BarStore, BarStoreDamaged
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar


def bar(number: int, close: float = 100.0, instrument: str = "NSE:SBIN") -> Bar:
    start = number * MINUTE
    return Bar(instrument, "1m", start, start + MINUTE, 99.0, 101.0, 98.0, close, 5, 3, 7)


def test_bars_added_are_read_back_in_time_order(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.add([bar(3), bar(1), bar(2), bar(9, instrument="NSE:INFY")])
    reader = BarReader(tmp_path)
    assert reader.bars("NSE:SBIN") == [bar(1), bar(2), bar(3)]
    assert reader.last_end("NSE:SBIN") == 4 * MINUTE
    assert reader.last_end("NSE:TCS") == 0


def test_bar_delivered_is_never_replaced(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    assert store.add([bar(1, 100.0)]) == [bar(1, 100.0)]
    assert store.add([bar(1, 555.0), bar(2)]) == [bar(2)]
    assert BarReader(tmp_path).bars("NSE:SBIN")[0].close == 100.0


def test_read_with_bounds_and_limit_gives_the_newest_within(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.add([bar(i) for i in range(10)])
    reader = BarReader(tmp_path)
    assert [item.start_ns // MINUTE for item in reader.bars("NSE:SBIN", since=3 * MINUTE, until=6 * MINUTE)] == [
        3,
        4,
        5,
    ]
    assert [item.start_ns // MINUTE for item in reader.bars("NSE:SBIN", limit=2)] == [8, 9]
    assert reader.bars("NSE:SBIN", "5m") == []


def test_reader_before_the_writer_has_no_bars_and_sees_them_as_they_come(tmp_path: Path) -> None:
    reader = BarReader(tmp_path / "bars")
    assert reader.bars("NSE:SBIN") == [] and reader.last_end("NSE:SBIN") == 0
    store = BarStore(tmp_path / "bars")
    assert reader.bars("NSE:SBIN") == []
    store.add([bar(1)])
    assert reader.bars("NSE:SBIN") == [bar(1)]
    store.add([bar(2)])
    assert reader.last_end("NSE:SBIN") == 3 * MINUTE
    reader.close()


def test_two_writers_of_one_store_agree_on_who_was_first(tmp_path: Path) -> None:
    live, history = BarStore(tmp_path), BarStore(tmp_path)
    assert live.add([bar(1, 100.0)])
    assert history.add([bar(0), bar(1, 90.0)]) == [bar(0)]
    assert live.add([bar(0, 1.0)]) == []


def test_store_survives_a_writer_that_never_closed(tmp_path: Path) -> None:
    BarStore(tmp_path).add([bar(1)])
    assert BarReader(tmp_path).bars("NSE:SBIN") == [bar(1)]


def test_damaged_store_is_named_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "bars.sqlite").write_bytes(b"not a database, not even nearly" * 50)
    with pytest.raises(BarStoreDamaged, match="move the file aside"):
        BarStore(tmp_path)


def test_history_added_is_noted_and_its_bars_replace_nothing(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.add([bar(2, 100.0)])
    assert store.filled_until("NSE:SBIN") == 0
    assert store.add_history("NSE:SBIN", [bar(1), bar(2, 55.0)], 3 * MINUTE) == [bar(1)]
    assert BarStore(tmp_path).filled_until("NSE:SBIN") == 3 * MINUTE


def test_time_noted_as_whole_is_never_taken_back_by_an_older_answer(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.mark_filled(["NSE:SBIN", "NSE:TCS"], 9 * MINUTE)
    store.add_history("NSE:SBIN", [bar(1)], 3 * MINUTE)
    assert [store.filled_until(name) for name in ("NSE:SBIN", "NSE:TCS")] == [9 * MINUTE] * 2


def test_bars_ahead_of_a_market_that_went_back_are_dropped_and_come_anew(tmp_path: Path) -> None:
    """A replay begun a second time found its bars in the store already, and published none."""
    store = BarStore(tmp_path)
    store.add_history("NSE:SBIN", [bar(i) for i in range(5)], 5 * MINUTE)
    assert store.delete_after(2 * MINUTE) == 3
    assert BarReader(tmp_path).bars("NSE:SBIN") == [bar(0), bar(1)]
    assert store.filled_until("NSE:SBIN") == 2 * MINUTE
    assert store.add([bar(2, 50.0)]) == [bar(2, 50.0)]
    assert store.delete_after(9 * MINUTE) == 0


def test_new_bars_of_a_sampled_instrument_are_noted_as_such_and_history_is_not(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.add([bar(0)])
    store.add([bar(0), bar(1), bar(2)], ["NSE:SBIN"])
    store.add([bar(3)], ["NSE:TCS"])
    store.add_history("NSE:SBIN", [bar(4)], 5 * MINUTE)
    reader = BarReader(tmp_path)
    assert reader.sampled_bars(0, 9 * MINUTE) == {"NSE:SBIN": 2}
    assert reader.sampled_bars(2 * MINUTE, 3 * MINUTE) == {"NSE:SBIN": 1}
    assert store.delete_after(2 * MINUTE) == 3
    assert reader.sampled_bars(0, 9 * MINUTE) == {"NSE:SBIN": 1}


def test_store_of_an_earlier_version_has_no_sampled_bars_until_it_is_written(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store._db.execute("DROP TABLE sampled")
    reader = BarReader(tmp_path)
    assert reader.sampled_bars(0, 9 * MINUTE) == {}
    BarStore(tmp_path).add([bar(1)], ["NSE:SBIN"])
    assert reader.sampled_bars(0, 9 * MINUTE) == {"NSE:SBIN": 1}
