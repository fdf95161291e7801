"""A disk that is really full: entries are denied, an exit still goes, and what cannot be journaled is not sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.project import ROOT
from tests.kit.waiting import PATIENCE

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'

_BEGIN_DAY = """
import sys
from pathlib import Path
from mytrading.runtime.journal.format import JournalFull, SegmentHead
from mytrading.runtime.journal.segment import write_new_segment
try:
    write_new_segment(Path(sys.argv[1]) / "2026-11-26.journal", SegmentHead())
except JournalFull as error:
    print(error)
"""
_NO_INODES = 'mount -t tmpfs -o size=1m,nr_inodes=2 tmpfs "$1" && : > "$1/last"'
_READ_ONLY = 'mount -t tmpfs tmpfs "$1" && mkdir "$1/journal" && mount --bind "$1/journal" "$1/journal"'
_READ_ONLY += ' && mount -o remount,ro,bind "$1/journal"'
_FULL = 'mount -t tmpfs -o size=16k tmpfs "$1" && head -c 16384 /dev/zero > "$1/last"'


def may_mount(folder: Path) -> bool:
    """True where a file system can be mounted in a namespace of one's own."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    return subprocess.run(probe, capture_output=True).returncode == 0


def seen_on_a_small_disk(
    module: str, mounted: Path, size: str, *arguments: str, timeout: float = 170
) -> dict[str, Any]:
    """Output of a module of `tests` run where a file system of so many bytes is mounted."""
    mounted.mkdir(parents=True, exist_ok=True)
    if not may_mount(mounted):
        pytest.skip("expected to be allowed to mount a tmpfs in a namespace of one's own")
    run = [sys.executable, "-m", module, *arguments]
    command = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", size, str(mounted), *run]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout * PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_exit_goes_out_on_a_full_disk_and_entries_do_not(tmp_path: Path) -> None:
    mounted = tmp_path / "run" / "journal" / "router"
    seen = seen_on_a_small_disk("tests.kit.full_disk", mounted, "8m", str(tmp_path))
    assert seen["denied"].startswith("DISK_LOW")
    assert (seen["orders"], seen["after_exit"]) == (1, 2)
    assert seen["after_nothing_could_be_written"] == 2


@pytest.mark.parametrize("seconds", [5, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(2000)])])
def test_positions_are_closed_and_nobody_ends_while_the_disk_of_a_whole_stack_is_held_at_zero(
    tmp_path: Path, seconds: int
) -> None:
    """Each process died of the figures that it leaves, once a second, and supervisor of its own log; and whoever ended
    gave the reserve of its journal back, so that no other could start."""
    arguments = (str(tmp_path), str(seconds))
    seen = seen_on_a_small_disk("tests.kit.full_disk_stack", tmp_path, "200m", *arguments, timeout=200 + seconds)
    assert seen == {
        "resting": ["trigger pending"],
        "entries_while_full": 0,
        "free": 0,
        "ended": [],
        "alerts": [],
        "verify": 0,
    }


@pytest.mark.parametrize(
    ("mount", "folder", "said"),
    [
        (_NO_INODES, "", "{} has space but no inodes left (`df -i`): delete files there, say old logs"),
        (_READ_ONLY, "journal", "{} is mounted read-only: mount it for writing"),
        (_FULL, "", "free disk space"),
    ],
    ids=["no inodes", "read-only mount", "no space"],
)
def test_day_that_cannot_begin_names_what_the_file_system_lacks(
    tmp_path: Path, mount: str, folder: str, said: str
) -> None:
    """All three read `free disk space`, also where `df` showed 85 % free."""
    if not may_mount(tmp_path):
        pytest.skip("expected to be allowed to mount a tmpfs in a namespace of one's own")
    place = tmp_path / folder
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$2" -c "$3" "$4"', "sh", str(tmp_path)]
    command += [sys.executable, _BEGIN_DAY, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"; {said.format(place)}"), done.stdout
