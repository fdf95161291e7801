"""A disk that is really full: entries are denied, an exit still goes, and what cannot be journaled is not sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE, ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && exec "$3" -m "$5" "$4"'


def may_mount(folder: Path) -> bool:
    """True where a file system can be mounted in a namespace of one's own."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    return subprocess.run(probe, capture_output=True).returncode == 0


def seen_on_a_small_disk(module: str, folder: Path, mounted: Path, size: str) -> dict[str, Any]:
    """What a module of `tests` prints that runs where a file system of so many bytes is mounted."""
    if not may_mount(folder):
        pytest.skip("expected to be allowed to mount a tmpfs in a namespace of one's own")
    mounted.mkdir(parents=True)
    command = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", size, str(mounted), sys.executable, str(folder), module]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=170 * PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_exit_goes_out_on_a_full_disk_and_entries_do_not(tmp_path: Path) -> None:
    seen = seen_on_a_small_disk("tests.full_disk", tmp_path, tmp_path / "run" / "journal" / "router", "8m")
    assert seen["denied"].startswith("DISK_LOW")
    assert (seen["orders"], seen["after_exit"]) == (1, 2)
    assert seen["after_nothing_could_be_written"] == 2


def test_positions_of_a_stack_are_closed_by_wish_and_by_both_kinds_of_stop_while_its_disk_is_full(
    tmp_path: Path,
) -> None:
    mounted = tmp_path / "state" / "paper" / "journal"
    seen = seen_on_a_small_disk("tests.full_disk_stack", tmp_path, mounted, "60m")
    assert seen == {"resting": ["trigger pending"], "entries_while_full": 0, "verify": 0}
