"""Databases that a full disk must not cost their log or its index: over a close, a start, and an end by an error."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mytrading.adapters.storage import shared_database
from mytrading.adapters.storage.bar_store import BarStore
from mytrading.adapters.storage.shared_database import INDEX_BYTES, open_to_read, open_to_write
from tests.kit.project import ROOT

RESERVE = 1 << 20
_ENDS = """
import sys
from pathlib import Path
from mytrading.adapters.storage import shared_database
from mytrading.adapters.storage.bar_store import BarStore
from mytrading.adapters.storage.disk_reserve import LogReserve
shared_database.ROOM = 1 << 62
store = BarStore(Path(sys.argv[1]))
LogReserve(store.path, 1 << 20)
raise SystemExit(74)
"""


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with less room than a log may be given back to."""
    monkeypatch.setattr(shared_database, "ROOM", 1 << 62)


def beside(path: Path) -> dict[str, tuple[int, int]]:
    """Inode and blocks of what lies beside a database."""
    found = {item.name.removeprefix(path.name): item.stat() for item in path.parent.glob(f"{path.name}-*")}
    return {name: (status.st_ino, status.st_blocks) for name, status in found.items()}


@pytest.mark.usefixtures("low")
def test_store_of_bars_closed_on_a_low_disk_keeps_its_log(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    before = beside(store.path)
    store.close()
    assert beside(store.path) == before != {}


def test_process_that_ends_by_an_error_on_a_low_disk_keeps_the_log(tmp_path: Path) -> None:
    """Connections are closed by the interpreter on that way, and SQLite removed the log with them."""
    done = subprocess.run([sys.executable, "-c", _ENDS, str(tmp_path)], cwd=ROOT)
    assert done.returncode == 74
    assert beside(tmp_path / "bars.sqlite")["-wal"][1] * 512 >= RESERVE


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("opened", [open_to_read, open_to_write])
def test_index_that_is_opened_first_is_not_cut_down(tmp_path: Path, opened: type) -> None:
    """SQLite cuts it to three bytes and asks the disk for the rest again."""
    path = tmp_path / "a.sqlite"
    index = Path(f"{path}-shm")
    made = open_to_write(path)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("CREATE TABLE t (x)")
    made.close_keeping_log()
    os.truncate(index, 2 * INDEX_BYTES)
    with closing(opened(path)) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert index.stat().st_size == 2 * INDEX_BYTES


@pytest.mark.usefixtures("low")
def test_index_of_a_dead_process_is_not_believed(tmp_path: Path) -> None:
    """After a crash of the machine it may say more than the log holds."""
    path = tmp_path / "a.sqlite"
    made = open_to_write(path)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("CREATE TABLE t (x)")
    made.execute("INSERT INTO t VALUES (1)")
    made.close_keeping_log()
    Path(f"{path}-wal").write_bytes(b"")
    with closing(open_to_read(path)) as db, pytest.raises(sqlite3.OperationalError, match="no such table"):
        db.execute("SELECT count(*) FROM t")


def test_connection_that_is_closed_takes_no_lock_from_another_of_its_process(tmp_path: Path) -> None:
    """A process that closes any descriptor of a file loses all its locks on it."""
    path = tmp_path / "a.sqlite"
    writer = open_to_write(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (x)")
    before = descriptors(path)
    open_to_read(path).close()
    assert descriptors(path) == before
    writer.close()
    assert descriptors(path) == 0


def descriptors(path: Path) -> int:
    """Number of descriptors that this process has open of the index."""
    links = (item.readlink().name for item in Path("/proc/self/fd").iterdir() if item.is_symlink())
    return sum(name.startswith(f"{path.name}-shm") for name in links)
