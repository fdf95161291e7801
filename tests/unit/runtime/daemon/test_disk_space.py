"""Free space of the disks: of the state folder, and of the journals."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from mytrading.adapters.storage.bar_store import BarStoreDamaged
from mytrading.messages.run_config import ProcessRules
from mytrading.runtime.daemon import disk_space
from tests.kit.run_configs import run_config

MEGABYTE = 1 << 20


@pytest.mark.parametrize(("state", "journals", "low"), [(3, 3, False), (1, 3, True), (3, 1, True), (2, 2, False)])
def test_journals_on_a_disk_of_their_own_count_like_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: int, journals: int, low: bool
) -> None:
    config = replace(run_config(tmp_path), process=ProcessRules(min_free_bytes=2 * MEGABYTE))
    config.journal_dir("router").mkdir(parents=True)

    def statvfs(path: Path) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=journals if path.name == "journal" else state, f_frsize=MEGABYTE)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert disk_space.is_low(config) is low


def test_folder_that_is_not_there_yet_has_what_the_one_above_it_has(tmp_path: Path) -> None:
    config = replace(run_config(tmp_path), state_dir=str(tmp_path / "not" / "there"))
    assert not disk_space.is_low(replace(config, process=ProcessRules(min_free_bytes=1)))


def failed(code: int) -> sqlite3.OperationalError:
    """Return SQLite's error, whose words do not name the disk."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


def wrapped(cause: Exception) -> BarStoreDamaged:
    error = BarStoreDamaged("move the file aside")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "used_up", "full"),
    [
        (OSError(errno.ENOSPC, "no room"), False, True),
        (failed(sqlite3.SQLITE_FULL), False, True),
        (failed(sqlite3.SQLITE_IOERR_SHMSIZE), True, True),
        (failed(sqlite3.SQLITE_CANTOPEN), True, True),
        (failed(sqlite3.SQLITE_IOERR_SHMSIZE), False, False),
        (failed(sqlite3.SQLITE_CORRUPT), True, False),
        (ValueError("a defect"), True, False),
    ],
)
def test_want_of_room_is_found_behind_whatever_exception_was_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception, used_up: bool, full: bool
) -> None:
    """The feed ended five times as if its bars had been damaged, and stayed down when there was room again."""
    monkeypatch.setattr(disk_space, "USED_UP_BYTES", 1 << 62 if used_up else 0)
    config = run_config(tmp_path)
    assert disk_space.is_full(wrapped(cause), config) is full
    assert disk_space.is_full(cause, config) is full
