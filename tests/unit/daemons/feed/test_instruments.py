"""The day's instruments on their way into the warehouse: a child of the feed, while others use the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest

from mytrading.adapters.storage.instrument_store import FOLDER, KEPT, InstrumentFile
from mytrading.adapters.storage.warehouse import FILE, Warehouse, WarehouseBusy, archive_days
from mytrading.daemons.feed.instruments import ARCHIVE_RETRY_NS, InstrumentArchiver
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from tests.kit.waiting import eventually

SBIN = Instrument(id="NSE:SBIN", exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
TODAY = "2026-11-20"


def snapshot(day: str, *instruments: Instrument) -> Snapshot:
    return Snapshot(day=day, fetched_ns=1, instruments=instruments or (SBIN,), good_day=day)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[InstrumentArchiver]:
    found = InstrumentArchiver(tmp_path, after_ns=10)
    yield found
    found.stop()


def test_list_that_was_fetched_is_in_the_warehouse_soon_and_not_before_it_is_due(
    keeper: InstrumentArchiver, tmp_path: Path
) -> None:
    InstrumentFile(tmp_path).write(snapshot(TODAY))
    keeper.archive_if_due(0)
    keeper.schedule(100)
    keeper.archive_if_due(109)
    assert not keeper.is_busy
    keeper.archive_if_due(110)
    assert keeper.is_busy
    eventually(lambda: keeper.archive_if_due(111) or not keeper.is_busy, 30)
    assert Warehouse(tmp_path).instruments(TODAY) == [SBIN]


@pytest.mark.slow
def test_child_that_failed_is_begun_again_later(keeper: InstrumentArchiver, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no database")
    InstrumentFile(tmp_path).write(snapshot(TODAY))
    keeper.schedule(0)
    keeper.archive_if_due(10)
    eventually(lambda: keeper.archive_if_due(11) or not keeper.is_busy, 30)
    (tmp_path / FILE).unlink()
    keeper.archive_if_due(ARCHIVE_RETRY_NS)
    assert not keeper.is_busy
    keeper.archive_if_due(11 + ARCHIVE_RETRY_NS)
    eventually(lambda: keeper.archive_if_due(12 + ARCHIVE_RETRY_NS) or not keeper.is_busy, 30)
    assert Warehouse(tmp_path).instrument_days() == [TODAY]


def test_days_that_lack_and_the_newest_are_kept_and_old_copies_go(tmp_path: Path) -> None:
    files, days = InstrumentFile(tmp_path), [f"2026-11-{day:02}" for day in range(1, KEPT + 3)]
    for day in days:
        files.write(snapshot(day))
    assert archive_days(tmp_path) == dict.fromkeys(days, 1)
    assert files.days() == days[2:]
    anew = (SBIN, msgspec.structs.replace(SBIN, id="NSE:INFY", symbol="INFY"))
    files.write(snapshot(days[-1], *anew))
    assert archive_days(tmp_path) == {days[-1]: 2}
    assert Warehouse(tmp_path).instrument_days() == days
    assert archive_days(tmp_path, everything=True) == {**dict.fromkeys(days[2:], 1), days[-1]: 2}


def test_copy_that_does_not_decode_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    for day in ("2026-11-18", "2026-11-19", TODAY):
        InstrumentFile(tmp_path).write(snapshot(day))
    (tmp_path / FOLDER / "2026-11-19.msgpack").write_bytes(b"spoilt")
    with pytest.raises(ValueError, match="2026-11-19"):
        archive_days(tmp_path)
    assert Warehouse(tmp_path).instrument_days() == ["2026-11-18", TODAY]


def test_warehouse_that_is_no_database_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no database")
    with pytest.raises(WarehouseBusy, match="move the file aside"):
        Warehouse(tmp_path, patience_s=60.0).instrument_days()


@pytest.mark.slow
def test_warehouse_that_another_process_has_is_waited_for(keeper: InstrumentArchiver, tmp_path: Path) -> None:
    InstrumentFile(tmp_path).write(snapshot(TODAY))
    with duckdb.connect(str(tmp_path / FILE)):
        keeper.schedule(0)
        keeper.archive_if_due(10)
        assert keeper.is_busy
    eventually(lambda: keeper.archive_if_due(11) or not keeper.is_busy, 30)
    assert Warehouse(tmp_path).instrument_days() == [TODAY]
