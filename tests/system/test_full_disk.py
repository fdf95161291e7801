"""A disk that is really full: entries are denied, an exit still goes, and what cannot be journaled is not sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
SIZE = "8m"
_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && exec "$3" -m tests.full_disk "$4"'


def may_mount(folder: Path) -> bool:
    """True where a file system can be mounted in a namespace of one's own."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    return subprocess.run(probe, capture_output=True).returncode == 0


def test_exit_goes_out_on_a_full_disk_and_entries_do_not(tmp_path: Path) -> None:
    if not may_mount(tmp_path):
        pytest.skip("expected to be allowed to mount a tmpfs in a namespace of one's own")
    journal = tmp_path / "run" / "journal" / "router"
    journal.mkdir(parents=True)
    command = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", SIZE, str(journal), sys.executable, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=170)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    assert seen["denied"].startswith("DISK_LOW")
    assert (seen["orders"], seen["after_exit"]) == (1, 2)
    assert seen["after_nothing_could_be_written"] == 2
