"""File systems that take no new file though they have space: what an operator is told to do about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.project import ROOT
from tests.system.test_full_disk import may_mount

pytestmark = pytest.mark.system
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
